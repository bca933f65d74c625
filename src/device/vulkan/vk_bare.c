// What the driver takes by itself: a command buffer that has nothing of vk_cmd.c and queue.c
// about it. The pipeline and what it binds are the device's own; all else is made here.
#include "device/vulkan/vk.h"
#include "base/alloc.h"

typedef struct vk_bare {
    tuff_bare base;
    VkCommandPool pool;
    VkCommandBuffer buffer;
    VkDescriptorPool sets;
    VkFence fence;
} vk_bare;

static tuff_status make_objects(vk_bare *t, vk_device *d)
{
    tuff_status status = TUFF_OK;
    VK(d->vk.vkCreateCommandPool(
        d->device,
        &(VkCommandPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
            .queueFamilyIndex = (uint32_t)d->choice.family,
        },
        NULL, &t->pool));
    VK(d->vk.vkAllocateCommandBuffers(
        d->device,
        &(VkCommandBufferAllocateInfo){
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = t->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = 1,
        },
        &t->buffer));
    VK(d->vk.vkCreateDescriptorPool(
        d->device,
        &(VkDescriptorPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
            .maxSets = 1,
            .poolSizeCount = 2,
            .pPoolSizes =
                (VkDescriptorPoolSize[]){
                    { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, TUFF_MAX_BINDINGS },
                    { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, TUFF_MAX_BINDINGS },
                },
        },
        NULL, &t->sets));
    VK(d->vk.vkCreateFence(
        d->device, &(VkFenceCreateInfo){ .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO }, NULL,
        &t->fence));
    vk_name(d, VK_OBJECT_TYPE_FENCE, (uint64_t)t->fence, "bare fence");
exit:
    return status;
}

static tuff_status record(vk_bare *t, vk_device *d, const tuff_launch *l,
                          const vk_layout *layout, VkPipeline pipeline, VkDescriptorSet set,
                          int times)
{
    const struct VolkDeviceTable *vk = &d->vk;
    tuff_status status = TUFF_OK;
    VK(vk->vkBeginCommandBuffer(
        t->buffer, &(VkCommandBufferBeginInfo){
                       .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                   }));
    vk->vkCmdBindPipeline(t->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vk->vkCmdBindDescriptorSets(t->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, layout->pipeline, 0,
                                1, &set, 0, NULL);
    if (l->push_size)
        vk->vkCmdPushConstants(t->buffer, layout->pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               (l->push_size + 3) / 4 * 4, l->push);
    for (int i = 0; i < times; i++) {
        vk->vkCmdDispatch(t->buffer, l->grid[0], l->grid[1], l->grid[2]);
        vk->vkCmdPipelineBarrier(t->buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                 VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1,
                                 &(VkMemoryBarrier){
                                     .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_SHADER_READ_BIT |
                                                      VK_ACCESS_SHADER_WRITE_BIT,
                                 },
                                 0, NULL, 0, NULL);
    }
    VK(vk->vkEndCommandBuffer(t->buffer));
exit:
    return status;
}

tuff_status vk_bare_create(tuff_device *dev, const tuff_launch *l, const tuff_binding b[],
                           int count, int times, tuff_bare **bare)
{
    vk_device *d = (vk_device *)dev;
    const int signature = vk_signature(b, count);
    vk_layout layout;
    vk_pipeline *pipeline;
    VkDescriptorSet set;
    tuff_status status = TUFF_OK;
    vk_bare *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    t->base.dev = dev;
    TUFF_GO(make_objects(t, d));
    TUFF_GO(vk_layout_get(d, signature, &layout));
    TUFF_GO(vk_pipeline_get(d, l, signature, &pipeline));
    if (!atomic_load(&pipeline->pipeline)) TUFF_GO(vk_pipeline_build(d, &pipeline, 1));
    TUFF_GO(vk_set_make(d, t->sets, &layout, b, count, &set));
    TUFF_GO(record(t, d, l, &layout, atomic_load(&pipeline->pipeline), set, times));
    *bare = &t->base;
    return TUFF_OK;
exit:
    vk_bare_destroy(&t->base);
    return status;
}

tuff_status vk_bare_run(tuff_bare *bare)
{
    vk_bare *t = (vk_bare *)bare;
    vk_device *d = (vk_device *)bare->dev;
    tuff_status status = TUFF_OK;
    pthread_mutex_lock(&d->queue_lock);
    const VkResult submitted = d->vk.vkQueueSubmit(d->queue, 1,
                                                   &(VkSubmitInfo){
                                                       .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                                       .commandBufferCount = 1,
                                                       .pCommandBuffers = &t->buffer,
                                                   },
                                                   t->fence);
    pthread_mutex_unlock(&d->queue_lock);
    VK(submitted);
    VK(d->vk.vkWaitForFences(d->device, 1, &t->fence, VK_TRUE, UINT64_MAX));
    VK(d->vk.vkResetFences(d->device, 1, &t->fence));
exit:
    return status;
}

void vk_bare_destroy(tuff_bare *bare)
{
    vk_bare *t = (vk_bare *)bare;
    vk_device *d = (vk_device *)bare->dev;
    d->vk.vkDestroyFence(d->device, t->fence, NULL);
    d->vk.vkDestroyDescriptorPool(d->device, t->sets, NULL);
    d->vk.vkDestroyCommandPool(d->device, t->pool, NULL);
    tuff_free(t);
}
