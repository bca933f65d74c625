// Device memory: few large blocks, each with one VkBuffer over all of it, cut into tensors.
//
//   block 0  | x     | w   | free        |      64 MiB
//   block 1  | one tensor that is larger |      its own size
//
// Blocks are kept when they empty: the first touch of fresh memory is slow on CPU drivers
// (about 100 ms for 64 MiB). They go back to the driver when memory runs out, and at the end.
#include "device/vulkan/vk.h"
#include "base/alloc.h"

enum { MIB = 1 << 20 };
static const uint64_t TENSOR_BLOCK = 64 * MIB, STAGING_BLOCK = 8 * MIB;

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

// ---- blocks ------------------------------------------------------------------------------

static void block_destroy(vk_device *d, vk_block *b)
{
    if (b->memory) d->reserved -= b->size;
    d->vk.vkDestroyBuffer(d->device, b->buffer, NULL);
    d->vk.vkFreeMemory(d->device, b->memory, NULL); // unmaps it too
    tuff_suballoc_destroy(&b->space);
    tuff_free(b);
}

// Bytes that may still be taken from a heap, as far as the driver tells.
static uint64_t heap_left(vk_device *d, int heap)
{
    if (!d->choice.caps.memory_budget) return UINT64_MAX;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
    };
    vkGetPhysicalDeviceMemoryProperties2(
        d->physical, &(VkPhysicalDeviceMemoryProperties2){
                         .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                         .pNext = &budget,
                     });
    const uint64_t have = budget.heapBudget[heap], used = budget.heapUsage[heap];
    return have > used ? have - used : 0;
}

// The best memory type among those that the buffer may lie in; -1 for none.
static int pick_type(const vk_device *d, uint32_t bits, bool staging)
{
    const int *list = staging ? d->choice.staging_type : d->choice.tensor_type;
    const int n = staging ? d->choice.staging_types : d->choice.tensor_types;
    for (int i = 0; i < n; i++)
        if (bits >> list[i] & 1) return list[i];
    return -1;
}

// Memory for a block whose buffer is there, bound to it and mapped where the host may see it.
static tuff_status block_memory(vk_device *d, vk_block *b)
{
    tuff_status status = TUFF_OK;
    VkMemoryRequirements need;
    d->vk.vkGetBufferMemoryRequirements(d->device, b->buffer, &need);
    const int type = pick_type(d, need.memoryTypeBits, b->staging);
    if (type < 0)
        return tuff_fail(TUFF_ERR_DEVICE, "%s has no memory that a buffer can lie in",
                         d->base.info.name);
    const uint64_t limit = atomic_load(&d->base.memory_limit);
    if ((limit && (d->reserved >= limit || need.size > limit - d->reserved)) ||
        need.size > heap_left(d, d->snap.type_of[type].heap) ||
        (uint32_t)d->blocks + 16 >= d->snap.max_allocs)
        return tuff_fail(TUFF_ERR_MEMORY,
                         "%s is out of memory: %llu bytes were asked for, %llu are taken",
                         d->base.info.name, (unsigned long long)need.size,
                         (unsigned long long)d->reserved);
    VK(d->vk.vkAllocateMemory(d->device,
                              &(VkMemoryAllocateInfo){
                                  .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                  .allocationSize = need.size,
                                  .memoryTypeIndex = (uint32_t)type,
                              },
                              NULL, &b->memory));
    d->reserved += b->size;
    VK(d->vk.vkBindBufferMemory(d->device, b->buffer, b->memory, 0));
    if (b->staging || d->choice.caps.unified) {
        void *map;
        VK(d->vk.vkMapMemory(d->device, b->memory, 0, VK_WHOLE_SIZE, 0, &map));
        b->map = map;
    }
    // Staging is no way round slow reads where it is as slow.
    b->cached = d->snap.type_of[type].cached ||
                !d->snap.type_of[d->choice.staging_type[0]].cached;
exit:
    return status;
}

static tuff_status block_create(vk_device *d, uint64_t size, bool staging, vk_block **block)
{
    tuff_status status = TUFF_OK;
    if (d->blocks == d->block_capacity) {
        const int capacity = d->block_capacity ? 2 * d->block_capacity : 16;
        vk_block **grown = tuff_realloc(d->block, (size_t)capacity, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        d->block = grown;
        d->block_capacity = capacity;
    }
    vk_block *b = tuff_alloc(1, sizeof *b);
    if (!b) return TUFF_ERR_MEMORY;
    b->size = size;
    b->staging = staging;
    TUFF_GO(tuff_suballoc_create(size, TUFF_BUFFER_ALIGN, &b->space));
    VK(d->vk.vkCreateBuffer(d->device,
                            &(VkBufferCreateInfo){
                                .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = size,
                                .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                         VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                         VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                         VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
                                .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
                            },
                            NULL, &b->buffer));
    TUFF_GO(block_memory(d, b));
    const char *kind = staging ? "staging" : "tensor";
    vk_name(d, VK_OBJECT_TYPE_BUFFER, (uint64_t)b->buffer, "%s block %d", kind, d->blocks);
    vk_name(d, VK_OBJECT_TYPE_DEVICE_MEMORY, (uint64_t)b->memory, "%s memory %d", kind,
            d->blocks);
    d->block[d->blocks++] = b;
    *block = b;
    return TUFF_OK;
exit:
    block_destroy(d, b);
    return status;
}

// Gives blocks that hold nothing back to the driver; true when there was one.
static bool trim(vk_device *d)
{
    int n = 0;
    for (int i = 0; i < d->blocks; i++) {
        if (tuff_suballoc_empty(d->block[i]->space))
            block_destroy(d, d->block[i]);
        else
            d->block[n++] = d->block[i];
    }
    const bool some = n < d->blocks;
    d->blocks = n;
    return some;
}

// How large a new block for `bytes` is: as much as it takes to have few of them, but no
// large part of a small heap.
static uint64_t block_size(const vk_device *d, uint64_t bytes, bool staging)
{
    uint64_t size = staging ? STAGING_BLOCK : most(TENSOR_BLOCK, d->reserved / 4);
    size = least(size, round_up(d->choice.caps.max_alloc / 8, TUFF_BUFFER_ALIGN));
    size = least(size, 1024 * (uint64_t)MIB);
    return most(size, round_up(bytes, TUFF_BUFFER_ALIGN));
}

// A new block, of less than the usual size when there is not enough for that.
static tuff_status new_block(vk_device *d, uint64_t bytes, bool staging, vk_block **block)
{
    const uint64_t least_size = round_up(bytes, TUFF_BUFFER_ALIGN);
    tuff_status status;
    do {
        uint64_t size = block_size(d, bytes, staging);
        while ((status = block_create(d, size, staging, block)) == TUFF_ERR_MEMORY &&
               size > least_size)
            size = most(round_up(size / 2, TUFF_BUFFER_ALIGN), least_size);
    } while (status == TUFF_ERR_MEMORY && trim(d));
    return status;
}

// ---- buffers -----------------------------------------------------------------------------

// Under the memory lock: finds or makes room.
static tuff_status place(vk_device *d, uint64_t bytes, bool staging, vk_buffer *b)
{
    for (int i = 0; i < d->blocks; i++) {
        vk_block *block = d->block[i];
        if (block->staging != staging || block->size < bytes) continue;
        TUFF_TRY(tuff_suballoc_take(block->space, bytes, &b->piece, &b->offset));
        if (b->piece == TUFF_NO_PIECE) continue;
        b->block = block;
        return TUFF_OK;
    }
    TUFF_TRY(new_block(d, bytes, staging, &b->block));
    return tuff_suballoc_take(b->block->space, bytes, &b->piece, &b->offset);
}

tuff_status vk_buffer_create(tuff_device *dev, size_t bytes, bool staging, tuff_buffer **buffer)
{
    vk_device *d = (vk_device *)dev;
    TUFF_REQUIRE(bytes <= d->choice.caps.max_alloc, LIMIT,
                 "%zu bytes were asked for, %s gives at most %llu in one piece "
                 "(maxMemoryAllocationSize, maxBufferSize or its memory)", bytes,
                 dev->info.name, (unsigned long long)d->choice.caps.max_alloc);
    vk_buffer *b = tuff_alloc(1, sizeof *b);
    if (!b) return TUFF_ERR_MEMORY;
    pthread_mutex_lock(&d->memory_lock);
    const tuff_status status = place(d, bytes, staging, b);
    pthread_mutex_unlock(&d->memory_lock);
    if (status != TUFF_OK) {
        tuff_free(b);
        return status;
    }
    if (b->block->map) b->base.map = b->block->map + b->offset;
    b->base.cached = b->block->cached;
    *buffer = &b->base;
    return TUFF_OK;
}

void vk_buffer_destroy(tuff_buffer *buffer)
{
    vk_device *d = (vk_device *)buffer->dev;
    vk_buffer *b = (vk_buffer *)buffer;
    for (vk_view *v = b->views, *next; v; v = next) {
        next = v->next;
        d->vk.vkDestroyBufferView(d->device, v->view, NULL);
        tuff_free(v);
    }
    pthread_mutex_lock(&d->memory_lock);
    tuff_suballoc_give(b->block->space, b->piece);
    pthread_mutex_unlock(&d->memory_lock);
    tuff_free(b);
}

// ---- texel views -------------------------------------------------------------------------

static VkFormat texel_format(int kind, uint32_t *bytes)
{
    *bytes = kind == TUFF_BIND_TEXEL_F32X4 || kind == TUFF_BIND_TEXEL_U32X4 ? 16 : 4;
    switch (kind) {
    case TUFF_BIND_TEXEL_F32: return VK_FORMAT_R32_SFLOAT;
    case TUFF_BIND_TEXEL_F32X4: return VK_FORMAT_R32G32B32A32_SFLOAT;
    case TUFF_BIND_TEXEL_U32: return VK_FORMAT_R32_UINT;
    default: return VK_FORMAT_R32G32B32A32_UINT;
    }
}

static tuff_status view_create(vk_device *d, const tuff_binding *b, vk_view **view)
{
    tuff_status status = TUFF_OK;
    vk_buffer *buffer = (vk_buffer *)b->range.buffer;
    uint32_t texel;
    const VkFormat format = texel_format(b->kind, &texel);
    vk_view *v = tuff_alloc(1, sizeof *v);
    if (!v) return TUFF_ERR_MEMORY;
    *v = (vk_view){ .offset = b->range.offset, .size = b->range.size, .kind = b->kind };
    VK(d->vk.vkCreateBufferView(d->device,
                                &(VkBufferViewCreateInfo){
                                    .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                    .buffer = buffer->block->buffer,
                                    .format = format,
                                    .offset = buffer->offset + b->range.offset,
                                    .range = round_up(b->range.size, texel),
                                },
                                NULL, &v->view));
    vk_name(d, VK_OBJECT_TYPE_BUFFER_VIEW, (uint64_t)v->view, "texels of %zu bytes",
            b->range.size);
    v->next = buffer->views;
    buffer->views = v;
    *view = v;
    return TUFF_OK;
exit:
    tuff_free(v);
    return status;
}

tuff_status vk_buffer_view(vk_device *d, const tuff_binding *b, VkBufferView *view)
{
    tuff_status status = TUFF_OK;
    pthread_mutex_lock(&d->memory_lock);
    vk_view *v = ((vk_buffer *)b->range.buffer)->views;
    while (v && (v->offset != b->range.offset || v->size != b->range.size ||
                 v->kind != b->kind))
        v = v->next;
    if (!v) status = view_create(d, b, &v);
    if (status == TUFF_OK) *view = v->view;
    pthread_mutex_unlock(&d->memory_lock);
    return status;
}

void vk_memory_destroy(vk_device *d)
{
    for (int i = 0; i < d->blocks; i++) block_destroy(d, d->block[i]);
    tuff_free(d->block);
    d->block = NULL;
    d->blocks = 0;
}
