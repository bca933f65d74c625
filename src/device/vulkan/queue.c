// The queue of a device: submissions, and tickets that say when one is done.
//
// A timeline semaphore counts the tickets where there is one; else each submission signals a
// fence. Work on the one queue ends in order, so a ticket is done when a later one is.
#include "device/vulkan/vk.h"
#include <sched.h>

enum { BATCH = 32 }; // lists handed to the driver in one array

static const uint64_t forever = UINT64_MAX;

tuff_status vk_queue_create(vk_device *d)
{
    tuff_status status = TUFF_OK;
    d->vk.vkGetDeviceQueue(d->device, d->snap.families ? (uint32_t)d->choice.family : 0, 0,
                           &d->queue);
    if (d->choice.caps.timeline) {
        VK(d->vk.vkCreateSemaphore(
            d->device,
            &(VkSemaphoreCreateInfo){
                .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                .pNext =
                    &(VkSemaphoreTypeCreateInfo){
                        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
                    },
            },
            NULL, &d->timeline));
        vk_name(d, VK_OBJECT_TYPE_SEMAPHORE, (uint64_t)d->timeline, "tickets");
        goto exit;
    }
    for (int i = 0; i < VK_FENCES; i++) {
        VK(d->vk.vkCreateFence(
            d->device,
            &(VkFenceCreateInfo){ .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO }, NULL,
            &d->fence[i].fence));
        vk_name(d, VK_OBJECT_TYPE_FENCE, (uint64_t)d->fence[i].fence, "fence %d", i);
    }
exit:
    return status;
}

void vk_queue_destroy(vk_device *d)
{
    d->vk.vkDestroySemaphore(d->device, d->timeline, NULL);
    for (int i = 0; i < VK_FENCES; i++)
        d->vk.vkDestroyFence(d->device, d->fence[i].fence, NULL);
}

static void completed(vk_device *d, tuff_ticket ticket)
{
    tuff_ticket known = atomic_load(&d->completed);
    while (known < ticket && !atomic_compare_exchange_weak(&d->completed, &known, ticket)) { }
}

// Whatever fails because the device is lost, everybody learns of it.
static tuff_status noted(vk_device *d, tuff_status status)
{
    if (status == TUFF_ERR_LOST) atomic_store(&d->lost, true);
    return status;
}

// ---- fences ------------------------------------------------------------------------------

// Under the queue lock: takes note of fences that were signalled.
static void poll_fences(vk_device *d)
{
    for (int i = 0; i < VK_FENCES; i++)
        if (d->fence[i].ticket > atomic_load(&d->completed) &&
            d->vk.vkGetFenceStatus(d->device, d->fence[i].fence) == VK_SUCCESS)
            completed(d, d->fence[i].ticket);
}

// Waits, with the queue lock held but let go meanwhile, for the first fence that tells of
// `ticket`.
static tuff_status wait_fence(vk_device *d, tuff_ticket ticket)
{
    tuff_status status = TUFF_OK;
    vk_fence *f = NULL;
    for (int i = 0; i < VK_FENCES; i++)
        if (d->fence[i].ticket >= ticket && (!f || d->fence[i].ticket < f->ticket))
            f = &d->fence[i];
    // No such fence: it was used again, which only happens after the ticket was done.
    if (!f || ticket <= atomic_load(&d->completed)) return TUFF_OK;
    const tuff_ticket told = f->ticket;
    f->users++;
    pthread_mutex_unlock(&d->queue_lock);
    VK(d->vk.vkWaitForFences(d->device, 1, &f->fence, VK_TRUE, forever));
    completed(d, told);
exit:
    pthread_mutex_lock(&d->queue_lock);
    f->users--;
    return status;
}

// Under the queue lock: a fence for the next submission, waiting for one if need be.
static tuff_status take_fence(vk_device *d, vk_fence **fence)
{
    tuff_status status = TUFF_OK;
    for (;;) {
        poll_fences(d);
        const tuff_ticket known = atomic_load(&d->completed);
        vk_fence *oldest = NULL; // of those that are not done
        for (int i = 0; i < VK_FENCES; i++) {
            vk_fence *f = &d->fence[i];
            if (f->ticket > known) {
                if (!oldest || f->ticket < oldest->ticket) oldest = f;
            } else if (!f->users) {
                if (f->ticket) VK(d->vk.vkResetFences(d->device, 1, &f->fence));
                f->ticket = 0;
                *fence = f;
                goto exit;
            }
        }
        if (oldest) {
            TUFF_GO(wait_fence(d, oldest->ticket));
        } else { // all are done, and those who waited are about to leave
            pthread_mutex_unlock(&d->queue_lock);
            sched_yield();
            pthread_mutex_lock(&d->queue_lock);
        }
    }
exit:
    return status;
}

// ---- submitting --------------------------------------------------------------------------

// Under the queue lock. Only the last array of lists signals.
static tuff_status submit_locked(vk_device *d, tuff_cmd *const cmds[], int count,
                                 tuff_ticket *made)
{
    tuff_status status = TUFF_OK;
    vk_fence *fence = NULL;
    if (!d->timeline) TUFF_GO(take_fence(d, &fence)); // may let others submit meanwhile
    const tuff_ticket ticket = d->submitted + 1;
    for (int first = 0; first < count || first == 0; first += BATCH) {
        VkCommandBuffer buffer[BATCH];
        const int n = count - first < BATCH ? count - first : BATCH;
        const bool last = first + n >= count;
        for (int i = 0; i < n; i++) buffer[i] = vk_cmd_buffer(cmds[first + i]);
        VK(d->vk.vkQueueSubmit(
            d->queue, 1,
            &(VkSubmitInfo){
                .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                .pNext = last && d->timeline
                             ? &(VkTimelineSemaphoreSubmitInfo){
                                   .sType =
                                       VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                   .signalSemaphoreValueCount = 1,
                                   .pSignalSemaphoreValues = &ticket,
                               }
                             : NULL,
                .commandBufferCount = (uint32_t)n,
                .pCommandBuffers = buffer,
                .signalSemaphoreCount = last && d->timeline,
                .pSignalSemaphores = &d->timeline,
            },
            last && fence ? fence->fence : VK_NULL_HANDLE));
    }
    if (fence) fence->ticket = ticket;
    d->submitted = *made = ticket;
exit:
    return noted(d, status);
}

static tuff_status lost(const vk_device *d)
{
    return tuff_fail(TUFF_ERR_LOST, "%s was lost: close it and open it again; what was in its "
                     "memory is gone", d->base.info.name);
}

void tuff_vulkan_lose(tuff_device *dev) { atomic_store(&((vk_device *)dev)->lost, true); }

tuff_status vk_submit(tuff_device *dev, tuff_cmd *const cmds[], int count, tuff_ticket *ticket)
{
    vk_device *d = (vk_device *)dev;
    if (atomic_load(&d->lost)) return lost(d);
    for (int i = 0; i < count; i++)
        if (!cmds[i]->reusable) TUFF_TRY(vk_cmd_finish(cmds[i]));
    pthread_mutex_lock(&d->queue_lock);
    const tuff_status status = submit_locked(d, cmds, count, ticket);
    pthread_mutex_unlock(&d->queue_lock);
    if (status != TUFF_OK) return status;
    for (int i = 0; i < count; i++) tuff_cmd_mark(cmds[i], *ticket);
    return TUFF_OK;
}

static tuff_status wait_timeline(vk_device *d, tuff_ticket ticket)
{
    tuff_status status = TUFF_OK;
    const PFN_vkWaitSemaphores vkWaitSemaphores_ =
        d->vk.vkWaitSemaphores ? d->vk.vkWaitSemaphores : d->vk.vkWaitSemaphoresKHR;
    VK(vkWaitSemaphores_(d->device,
                         &(VkSemaphoreWaitInfo){
                             .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                             .semaphoreCount = 1,
                             .pSemaphores = &d->timeline,
                             .pValues = &ticket,
                         },
                         forever));
    completed(d, ticket);
exit:
    return status;
}

tuff_status vk_wait(tuff_device *dev, tuff_ticket ticket)
{
    vk_device *d = (vk_device *)dev;
    if (ticket <= atomic_load(&d->completed)) return TUFF_OK;
    if (atomic_load(&d->lost)) return lost(d);
    if (d->timeline) return noted(d, wait_timeline(d, ticket));
    pthread_mutex_lock(&d->queue_lock);
    const tuff_status status = wait_fence(d, ticket);
    pthread_mutex_unlock(&d->queue_lock);
    return noted(d, status);
}

bool vk_done(tuff_device *dev, tuff_ticket ticket)
{
    vk_device *d = (vk_device *)dev;
    if (ticket <= atomic_load(&d->completed) || atomic_load(&d->lost)) return true;
    if (!d->timeline) {
        pthread_mutex_lock(&d->queue_lock);
        poll_fences(d);
        pthread_mutex_unlock(&d->queue_lock);
        return ticket <= atomic_load(&d->completed);
    }
    uint64_t value = 0;
    PFN_vkGetSemaphoreCounterValue read = d->vk.vkGetSemaphoreCounterValue
                                              ? d->vk.vkGetSemaphoreCounterValue
                                              : d->vk.vkGetSemaphoreCounterValueKHR;
    if (read(d->device, d->timeline, &value) == VK_SUCCESS) completed(d, value);
    return ticket <= atomic_load(&d->completed);
}
