// Lists of commands. Commands are noted as they come, and made into a command buffer when the
// list is finished (reusable) or submitted (not): by then all that it needs is known, so that
// pipelines are built in parallel and one descriptor pool of the right size is made.
#include "device/vulkan/vk.h"
#include "device/vulkan/hazard.h"
#include "base/alloc.h"
#include <string.h>

typedef enum record_kind { LAUNCH, COPY, FILL } record_kind;

typedef struct record {
    record_kind kind;
    int count;    // bindings
    uint32_t word; // FILL
    tuff_binding b[TUFF_MAX_BINDINGS]; // COPY: to, from; FILL: to
    // LAUNCH
    vk_pipeline *pipeline;
    vk_layout layout;
    VkDescriptorSet set;
    uint32_t push_size, grid[3];
    unsigned char push[TUFF_MAX_PUSH];
} record;

typedef struct vk_cmd {
    tuff_cmd base;
    VkCommandPool pool;
    VkCommandBuffer buffer;
    record *record;
    int capacity;
    VkDescriptorPool sets; // and how much it holds
    uint32_t most_sets, most_storage, most_texel;
    VkQueryPool clock; // of a timed list: when it began, and when it ended
} vk_cmd;

static vk_device *device_of(const vk_cmd *c) { return (vk_device *)c->base.dev; }

// ---- making and dropping -----------------------------------------------------------------

static tuff_status create_clock(vk_cmd *c)
{
    tuff_status status = TUFF_OK;
    vk_device *d = device_of(c);
    VK(d->vk.vkCreateQueryPool(d->device,
                               &(VkQueryPoolCreateInfo){
                                   .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                   .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                   .queryCount = 2,
                               },
                               NULL, &c->clock));
    vk_name(d, VK_OBJECT_TYPE_QUERY_POOL, (uint64_t)c->clock, "clock of a list");
exit:
    return status;
}

tuff_status vk_cmd_create(tuff_device *dev, bool reusable, tuff_cmd **cmd)
{
    tuff_status status = TUFF_OK;
    vk_device *d = (vk_device *)dev;
    vk_cmd *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    c->base.dev = dev;
    VK(d->vk.vkCreateCommandPool(
        d->device,
        &(VkCommandPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
            .flags = reusable ? 0 : VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
            .queueFamilyIndex = (uint32_t)d->choice.family,
        },
        NULL, &c->pool));
    VK(d->vk.vkAllocateCommandBuffers(
        d->device,
        &(VkCommandBufferAllocateInfo){
            .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
            .commandPool = c->pool,
            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
            .commandBufferCount = 1,
        },
        &c->buffer));
    if (reusable && atomic_load(&dev->timed) && d->choice.caps.timestamp_ns > 0)
        TUFF_GO(create_clock(c));
    const char *kind = reusable ? "replayed list" : "eager list";
    vk_name(d, VK_OBJECT_TYPE_COMMAND_POOL, (uint64_t)c->pool, "%s", kind);
    vk_name(d, VK_OBJECT_TYPE_COMMAND_BUFFER, (uint64_t)(uintptr_t)c->buffer, "%s", kind);
    *cmd = &c->base;
    return TUFF_OK;
exit:
    vk_cmd_destroy(&c->base);
    return status;
}

void vk_cmd_destroy(tuff_cmd *cmd)
{
    vk_cmd *c = (vk_cmd *)cmd;
    vk_device *d = device_of(c);
    d->vk.vkDestroyQueryPool(d->device, c->clock, NULL);
    d->vk.vkDestroyDescriptorPool(d->device, c->sets, NULL);
    d->vk.vkDestroyCommandPool(d->device, c->pool, NULL);
    tuff_free(c->record);
    tuff_free(c);
}

tuff_status vk_cmd_reset(tuff_cmd *cmd)
{
    tuff_status status = TUFF_OK;
    vk_cmd *c = (vk_cmd *)cmd;
    vk_device *d = device_of(c);
    VK(d->vk.vkResetCommandPool(d->device, c->pool, 0));
exit:
    return status;
}

// ---- noting commands ---------------------------------------------------------------------

static tuff_status note(vk_cmd *c, const tuff_binding b[], int count, record **made)
{
    if (c->base.length == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 32;
        record *grown = tuff_realloc(c->record, (size_t)capacity, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        c->record = grown;
        c->capacity = capacity;
    }
    for (int i = 0; i < count; i++)
        TUFF_TRY(tuff_cmd_keep(&c->base, b[i].range.buffer, b[i].access & TUFF_WRITE));
    record *r = &c->record[c->base.length++];
    *r = (record){ .count = count };
    for (int i = 0; i < count; i++) r->b[i] = b[i];
    *made = r;
    return TUFF_OK;
}

tuff_status vk_cmd_launch(tuff_cmd *cmd, const tuff_launch *l, const tuff_binding b[],
                          int count)
{
    vk_cmd *c = (vk_cmd *)cmd;
    vk_device *d = device_of(c);
    const int signature = vk_signature(b, count);
    vk_pipeline *pipeline;
    vk_layout layout;
    record *r;
    TUFF_TRY(vk_layout_get(d, signature, &layout));
    TUFF_TRY(vk_pipeline_get(d, l, signature, &pipeline));
    TUFF_TRY(note(c, b, count, &r));
    r->kind = LAUNCH;
    r->pipeline = pipeline;
    r->layout = layout;
    r->push_size = (l->push_size + 3) / 4 * 4;
    memcpy(r->push, l->push, sizeof r->push);
    memcpy(r->grid, l->grid, sizeof r->grid);
    return TUFF_OK;
}

tuff_status vk_cmd_host_call(tuff_cmd *cmd, tuff_host_fn fn, const void *arg, size_t arg_size,
                             const tuff_binding b[], int count)
{
    (void)fn, (void)arg, (void)arg_size, (void)b, (void)count;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s runs shaders, not C functions",
                     cmd->dev->info.name);
}

tuff_status vk_cmd_copy(tuff_cmd *cmd, tuff_range to, tuff_range from)
{
    const tuff_binding b[2] = { { .range = to, .access = TUFF_WRITE },
                                { .range = from, .access = TUFF_READ } };
    record *r;
    TUFF_TRY(note((vk_cmd *)cmd, b, 2, &r));
    r->kind = COPY;
    return TUFF_OK;
}

tuff_status vk_cmd_fill(tuff_cmd *cmd, tuff_range to, uint32_t word)
{
    const tuff_binding b = { .range = to, .access = TUFF_WRITE };
    record *r;
    TUFF_TRY(note((vk_cmd *)cmd, &b, 1, &r));
    r->kind = FILL;
    r->word = word;
    return TUFF_OK;
}

// ---- pipelines and descriptors -----------------------------------------------------------

static tuff_status build_pipelines(vk_cmd *c)
{
    vk_device *d = device_of(c);
    int n = 0;
    for (int i = 0; i < c->base.length; i++)
        n += c->record[i].pipeline && !atomic_load(&c->record[i].pipeline->pipeline);
    if (!n) return TUFF_OK;
    vk_pipeline **list = tuff_alloc((size_t)n, sizeof *list);
    if (!list) return TUFF_ERR_MEMORY;
    int missing = 0;
    for (int i = 0; i < c->base.length && missing < n; i++) {
        vk_pipeline *p = c->record[i].pipeline;
        if (!p || atomic_load(&p->pipeline)) continue;
        int k = 0;
        while (k < missing && list[k] != p) k++;
        if (k == missing) list[missing++] = p;
    }
    const tuff_status status = vk_pipeline_build(d, list, missing);
    tuff_free(list);
    return status;
}

// A descriptor pool that holds what the list needs: the one there is, when it is large
// enough, else a new one.
static tuff_status reserve_sets(vk_cmd *c)
{
    tuff_status status = TUFF_OK;
    vk_device *d = device_of(c);
    uint32_t sets = 0, texel = 0, storage = 0;
    for (int i = 0; i < c->base.length; i++) {
        const record *r = &c->record[i];
        if (r->kind != LAUNCH) continue;
        sets++;
        for (int k = 0; k < r->count; k++)
            *(r->b[k].kind == TUFF_BIND_STORAGE ? &storage : &texel) += 1;
    }
    if (!sets) return TUFF_OK;
    if (sets <= c->most_sets && storage <= c->most_storage && texel <= c->most_texel) {
        VK(d->vk.vkResetDescriptorPool(d->device, c->sets, 0));
        return TUFF_OK;
    }
    d->vk.vkDestroyDescriptorPool(d->device, c->sets, NULL);
    c->sets = VK_NULL_HANDLE;
    c->most_sets = c->most_storage = c->most_texel = 0;
    // Eager lists come again, with other commands: some more than is needed now.
    const uint32_t more = c->base.reusable ? 0 : 32;
    sets += more;
    storage += 4 * more + 1;
    texel += 2 * more + 1;
    VK(d->vk.vkCreateDescriptorPool(
        d->device,
        &(VkDescriptorPoolCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
            .maxSets = sets,
            .poolSizeCount = 2,
            .pPoolSizes =
                (VkDescriptorPoolSize[]){
                    { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, storage },
                    { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, texel },
                },
        },
        NULL, &c->sets));
    vk_name(d, VK_OBJECT_TYPE_DESCRIPTOR_POOL, (uint64_t)c->sets, "%u sets", sets);
    c->most_sets = sets;
    c->most_storage = storage;
    c->most_texel = texel;
exit:
    return status;
}

tuff_status vk_set_make(vk_device *d, VkDescriptorPool pool, const vk_layout *layout,
                        const tuff_binding b[], int count, VkDescriptorSet *set)
{
    tuff_status status = TUFF_OK;
    VkWriteDescriptorSet write[TUFF_MAX_BINDINGS];
    VkDescriptorBufferInfo info[TUFF_MAX_BINDINGS];
    VkBufferView view[TUFF_MAX_BINDINGS];
    VK(d->vk.vkAllocateDescriptorSets(
        d->device,
        &(VkDescriptorSetAllocateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = pool,
            .descriptorSetCount = 1,
            .pSetLayouts = &layout->set,
        },
        set));
    for (int i = 0; i < count; i++) {
        const vk_buffer *buffer = (const vk_buffer *)b[i].range.buffer;
        const bool texel = b[i].kind != TUFF_BIND_STORAGE;
        // Bytes are read as words: the last word is bound whole. Buffers are cut at
        // multiples of TUFF_BUFFER_ALIGN, so it is there.
        info[i] = (VkDescriptorBufferInfo){
            .buffer = buffer->block->buffer,
            .offset = buffer->offset + b[i].range.offset,
            .range = (b[i].range.size + 3) / 4 * 4,
        };
        if (texel) TUFF_GO(vk_buffer_view(d, &b[i], &view[i]));
        write[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = *set,
            .dstBinding = (uint32_t)i,
            .descriptorCount = 1,
            .descriptorType = texel ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                    : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .pBufferInfo = texel ? NULL : &info[i],
            .pTexelBufferView = texel ? &view[i] : NULL,
        };
    }
    d->vk.vkUpdateDescriptorSets(d->device, (uint32_t)count, write, 0, NULL);
exit:
    return status;
}

static bool same_bindings(const record *a, const record *b)
{
    bool same = a->layout.set == b->layout.set && a->count == b->count;
    for (int i = 0; same && i < a->count; i++) {
        const tuff_binding *x = &a->b[i], *y = &b->b[i];
        same = x->kind == y->kind && x->range.buffer == y->range.buffer &&
               x->range.offset == y->range.offset && x->range.size == y->range.size;
    }
    return same;
}

// The sets of all launches; one that binds what the launch before it binds has the same.
static tuff_status make_sets(vk_cmd *c)
{
    const record *last = NULL;
    for (int i = 0; i < c->base.length; i++) {
        record *r = &c->record[i];
        if (r->kind != LAUNCH) continue;
        if (last && same_bindings(last, r)) r->set = last->set;
        else TUFF_TRY(vk_set_make(device_of(c), c->sets, &r->layout, r->b, r->count, &r->set));
        last = r;
    }
    return TUFF_OK;
}

// ---- the command buffer ------------------------------------------------------------------

enum {
    STAGES = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
    READS = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
    WRITES = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT
};

static void barrier(vk_cmd *c, VkPipelineStageFlags to, VkAccessFlags access)
{
    device_of(c)->vk.vkCmdPipelineBarrier(c->buffer, STAGES, to, 0, 1,
                                          &(VkMemoryBarrier){
                                              .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                              .srcAccessMask = WRITES,
                                              .dstAccessMask = access,
                                          },
                                          0, NULL, 0, NULL);
}

// What the launch before (`last`, NULL: none) has bound already stays as it is.
static void encode_launch(vk_cmd *c, const record *r, const record *last)
{
    const struct VolkDeviceTable *vk = &device_of(c)->vk;
    const VkPipeline pipeline = atomic_load(&r->pipeline->pipeline);
    const bool same_layout = last && last->layout.pipeline == r->layout.pipeline;
    if (!last || last->pipeline != r->pipeline)
        vk->vkCmdBindPipeline(c->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    if (!same_layout || last->set != r->set)
        vk->vkCmdBindDescriptorSets(c->buffer, VK_PIPELINE_BIND_POINT_COMPUTE,
                                    r->layout.pipeline, 0, 1, &r->set, 0, NULL);
    if (r->push_size && !(same_layout && last->push_size == r->push_size &&
                          memcmp(last->push, r->push, r->push_size) == 0))
        vk->vkCmdPushConstants(c->buffer, r->layout.pipeline, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               r->push_size, r->push);
    vk->vkCmdDispatch(c->buffer, r->grid[0], r->grid[1], r->grid[2]);
}

static uint64_t place_of(const tuff_binding *b)
{
    return ((const vk_buffer *)b->range.buffer)->offset + b->range.offset;
}

static VkBuffer handle_of(const tuff_binding *b)
{
    return ((const vk_buffer *)b->range.buffer)->block->buffer;
}

static void encode(vk_cmd *c, const record *r, const record *last)
{
    const struct VolkDeviceTable *vk = &device_of(c)->vk;
    switch (r->kind) {
    case LAUNCH: encode_launch(c, r, last); break;
    case COPY:
        vk->vkCmdCopyBuffer(c->buffer, handle_of(&r->b[1]), handle_of(&r->b[0]), 1,
                            &(VkBufferCopy){
                                .srcOffset = place_of(&r->b[1]),
                                .dstOffset = place_of(&r->b[0]),
                                .size = r->b[0].range.size,
                            });
        break;
    case FILL:
        vk->vkCmdFillBuffer(c->buffer, handle_of(&r->b[0]), place_of(&r->b[0]),
                            r->b[0].range.size, r->word);
        break;
    }
}

// A time stamp is taken when all that was submitted before it is done.
static void stamp(vk_cmd *c, uint32_t query)
{
    if (c->clock)
        device_of(c)->vk.vkCmdWriteTimestamp(c->buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                             c->clock, query);
}

// A barrier where commands need one, and one at the end: what was written is seen by the host
// and by later submissions, which therefore need none at their beginning.
static void encode_all(vk_cmd *c)
{
    tuff_hazard hazard = { .count = 0 };
    const record *last = NULL;
    for (int i = 0; i < c->base.length; i++) {
        const record *r = &c->record[i];
        if (tuff_hazard_add(&hazard, r->b, r->count)) barrier(c, STAGES, READS | WRITES);
        encode(c, r, last);
        if (r->kind == LAUNCH) last = r;
    }
    barrier(c, STAGES | VK_PIPELINE_STAGE_HOST_BIT, READS | WRITES | VK_ACCESS_HOST_READ_BIT);
}

tuff_status vk_cmd_finish(tuff_cmd *cmd)
{
    tuff_status status = TUFF_OK;
    vk_cmd *c = (vk_cmd *)cmd;
    vk_device *d = device_of(c);
    TUFF_GO(build_pipelines(c));
    TUFF_GO(reserve_sets(c));
    TUFF_GO(make_sets(c));
    // A reusable list may be submitted again while it still runs: submissions run in order.
    VK(d->vk.vkBeginCommandBuffer(
        c->buffer, &(VkCommandBufferBeginInfo){
                       .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                       .flags = cmd->reusable ? VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT
                                              : VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
                   }));
    if (c->clock) d->vk.vkCmdResetQueryPool(c->buffer, c->clock, 0, 2);
    stamp(c, 0);
    encode_all(c);
    stamp(c, 1);
    VK(d->vk.vkEndCommandBuffer(c->buffer));
    if (cmd->reusable) { // nothing is recorded any more
        tuff_free(c->record);
        c->record = NULL;
        c->capacity = 0;
    }
    return TUFF_OK;
exit:
    // Half a command buffer is of no use to a second try.
    (void)d->vk.vkResetCommandPool(d->device, c->pool, 0);
    return status;
}

bool vk_cmd_seconds(tuff_cmd *cmd, double *seconds)
{
    vk_cmd *c = (vk_cmd *)cmd;
    vk_device *d = device_of(c);
    uint64_t at[2];
    if (!c->clock || !cmd->ticket) return false;
    if (d->vk.vkGetQueryPoolResults(d->device, c->clock, 0, 2, sizeof at, at, sizeof *at,
                                    VK_QUERY_RESULT_64_BIT) != VK_SUCCESS)
        return false;
    // The clock counts in as many bits as the queue has, and begins again at 0.
    const uint32_t bits = d->snap.family[d->choice.family].timestamp_bits;
    const uint64_t mask = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
    const uint64_t ticks = (at[1] - at[0]) & mask;
    *seconds = (double)ticks * (double)d->choice.caps.timestamp_ns * 1e-9;
    return true;
}

VkCommandBuffer vk_cmd_buffer(tuff_cmd *cmd) { return ((vk_cmd *)cmd)->buffer; }
