// The public front of devices: what there is, which one is meant, and the functions that hand
// buffers and lists to the backend behind a device.
#include "base/alloc.h"
#include "device/impl.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 64 };

// ---- listing and choosing ----------------------------------------------------------------

// Every device there is, at most MOST_DEVICES, in a list that the caller frees.
static tuff_status list_all(tuff_device_info **list, int *count)
{
    *list = tuff_alloc(MOST_DEVICES, sizeof **list);
    if (!*list) return TUFF_ERR_MEMORY;
    *count = 0;
#ifndef TUFF_NO_VULKAN
    const tuff_status status = tuff_vulkan_list(*list, MOST_DEVICES - 1, count);
    if (status != TUFF_OK) {
        tuff_free(*list);
        *list = NULL;
        return status;
    }
    if (*count > MOST_DEVICES - 1) *count = MOST_DEVICES - 1;
#endif
    tuff_cpu_describe(&(*list)[(*count)++]);
    return TUFF_OK;
}

tuff_status tuff_device_list(tuff_device_info *list, int capacity, int *count)
{
    TUFF_REQUIRE(count && (list || capacity <= 0), ARG, "device list: count or list is NULL");
    *count = 0;
    tuff_device_info *all;
    TUFF_TRY(list_all(&all, count));
    for (int i = 0; i < *count && i < capacity; i++) list[i] = all[i];
    tuff_free(all);
    return TUFF_OK;
}

int tuff_device_prefer(const tuff_device_info *list, int count)
{
    static const int rank[] = {
        [TUFF_DEVICE_CPU] = 1,      [TUFF_DEVICE_OTHER] = 2,      [TUFF_DEVICE_SOFTWARE] = 3,
        [TUFF_DEVICE_VIRTUAL] = 4,  [TUFF_DEVICE_INTEGRATED] = 5, [TUFF_DEVICE_DISCRETE] = 6,
    };
    int best = -1;
    for (int i = 0; i < count; i++)
        if (!list[i].problem[0] && (best < 0 || rank[list[i].type] > rank[list[best].type]))
            best = i;
    return best;
}

static int lower(char c) { return tolower((unsigned char)c); }

static bool holds(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && lower(text[i]) == lower(part[i])) i++;
        if (!part[i]) return true;
    }
    return false;
}

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && holds(a, b);
}

int tuff_device_match(const tuff_device_info *list, int count, const char *which)
{
    int found = -1;
    for (int i = 0; i < count; i++)
        if (same(list[i].id, which)) return i;
    for (int i = 0; i < count; i++) {
        if (!holds(list[i].name, which)) continue;
        if (!list[i].problem[0]) return i;
        if (found < 0) found = i;
    }
    return found;
}

static tuff_status open_one(const tuff_device_info *info, int index, tuff_device **device)
{
    TUFF_REQUIRE(!info->problem[0], DEVICE, "%s (%s) cannot be used: %s", info->id, info->name,
                 info->problem);
#ifndef TUFF_NO_VULKAN
    if (info->type != TUFF_DEVICE_CPU) return tuff_vulkan_open(index, device);
#endif
    (void)index;
    return tuff_cpu_open(device);
}

static tuff_status no_match(const tuff_device_info *list, int count, const char *which)
{
    char text[700] = "";
    for (int i = 0; i < count; i++) {
        const size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s (%s)", i ? ", " : "", list[i].id,
                 list[i].name);
    }
    return tuff_fail(TUFF_ERR_DEVICE, "no device is called '%.100s'; there is %s", which, text);
}

// Takes the best device that opens: one that does not is logged and passed over.
static tuff_status open_best(tuff_device_info *list, int count, tuff_device **device)
{
    tuff_status status = TUFF_ERR_DEVICE;
    for (int i; (i = tuff_device_prefer(list, count)) >= 0;) {
        double faster;
        if (list[i].type == TUFF_DEVICE_SOFTWARE &&
            tuff_auto_takes_cpu(&list[i], &list[count - 1], &faster)) {
            tuff_log(1, "auto took cpu: it is %.1f times faster than %s here; --device or "
                     "TUFF_DEVICE overrule", faster, list[i].name);
            return tuff_cpu_open(device);
        }
        status = open_one(&list[i], i, device);
        if (status == TUFF_OK) {
            tuff_log(1, "auto took %s: %s", list[i].id, list[i].name);
            return TUFF_OK;
        }
        if (status == TUFF_ERR_MEMORY) return status;
        tuff_log(0, "auto passed over %s: %s", list[i].id, tuff_last_error());
        snprintf(list[i].problem, sizeof list[i].problem, "it could not be opened");
    }
    return status;
}

static tuff_status open_among_all(const char *which, tuff_device **device)
{
    tuff_device_info *list;
    int count;
    TUFF_TRY(list_all(&list, &count));
    tuff_status status;
    if (!which || !*which || same(which, "auto")) {
        status = open_best(list, count, device);
    } else {
        const int i = tuff_device_match(list, count, which);
        status = i < 0 ? no_match(list, count, which) : open_one(&list[i], i, device);
    }
    tuff_free(list);
    return status;
}

static tuff_status open_any(const char *which, tuff_device **device)
{
    if (!which || !*which || same(which, "auto")) which = getenv("TUFF_DEVICE");
    // The CPU path needs no look at the others.
    if (which && same(which, "cpu")) return tuff_cpu_open(device);
#ifndef TUFF_NO_VULKAN
    const bool held = tuff_vulkan_hold();
    const tuff_status status = open_among_all(which, device);
    if (held) tuff_vulkan_let_go();
    return status;
#else
    return open_among_all(which, device);
#endif
}

tuff_status tuff_device_open(const char *which, tuff_device **device)
{
    TUFF_REQUIRE(device, ARG, "device open: device is NULL");
    *device = NULL;
    TUFF_TRY(open_any(which, device));
    const tuff_status status = tuff_tuning_attach(*device);
    if (status != TUFF_OK) tuff_device_close(device);
    return status;
}

void tuff_device_close(tuff_device **device)
{
    if (!device || !*device) return;
    if ((*device)->tuning_free) (*device)->tuning_free(&(*device)->caps.tuning);
    (*device)->backend->close(*device);
    *device = NULL;
}

void tuff_device_set_tuning(tuff_device *dev, struct tuff_tuning *tuning,
                            void (*destroy)(struct tuff_tuning **tuning))
{
    if (dev->tuning_free) dev->tuning_free(&dev->caps.tuning);
    dev->caps.tuning = tuning;
    dev->tuning_free = destroy;
}

const tuff_device_info *tuff_device_get_info(const tuff_device *device)
{
    return &device->info;
}

const tuff_caps *tuff_device_caps(const tuff_device *device) { return &device->caps; }

void tuff_device_get_stats(tuff_device *device, tuff_memory_stats *stats)
{
    *stats = (tuff_memory_stats){ .used = atomic_load(&device->used),
                                  .peak = atomic_load(&device->peak),
                                  .submits = atomic_load(&device->submits) };
    device->backend->stats(device, stats);
}

void tuff_device_set_timed(tuff_device *device, bool on) { atomic_store(&device->timed, on); }

void tuff_device_limit_memory(tuff_device *dev, uint64_t bytes)
{
    atomic_store(&dev->memory_limit, bytes);
}

// ---- buffers -----------------------------------------------------------------------------

static tuff_status buffer_create(tuff_device *dev, size_t bytes, bool staging,
                                 tuff_buffer **buffer)
{
    *buffer = NULL;
    tuff_buffer *b = NULL;
    TUFF_TRY(dev->backend->buffer_create(dev, bytes ? bytes : 1, staging, &b));
    b->dev = dev;
    b->size = bytes;
    atomic_init(&b->refs, 1);
    atomic_init(&b->version, 0);
    const uint64_t used = atomic_fetch_add(&dev->used, bytes) + bytes;
    uint64_t peak = atomic_load(&dev->peak);
    while (used > peak && !atomic_compare_exchange_weak(&dev->peak, &peak, used)) { }
    *buffer = b;
    return TUFF_OK;
}

tuff_status tuff_buffer_create(tuff_device *dev, size_t bytes, tuff_buffer **buffer)
{
    return buffer_create(dev, bytes, false, buffer);
}

tuff_status tuff_buffer_create_host(tuff_device *dev, size_t bytes, tuff_buffer **buffer)
{
    return buffer_create(dev, bytes, true, buffer);
}

tuff_buffer *tuff_buffer_retain(tuff_buffer *buffer)
{
    atomic_fetch_add(&buffer->refs, 1);
    return buffer;
}

void tuff_buffer_release(tuff_buffer **buffer)
{
    if (!buffer || !*buffer) return;
    tuff_buffer *b = *buffer;
    *buffer = NULL;
    if (atomic_fetch_sub(&b->refs, 1) != 1) return;
    atomic_fetch_sub(&b->dev->used, b->size);
    b->dev->backend->buffer_destroy(b);
}

size_t tuff_buffer_size(const tuff_buffer *buffer) { return buffer->size; }
tuff_device *tuff_buffer_device(const tuff_buffer *buffer) { return buffer->dev; }
void *tuff_buffer_map(tuff_buffer *buffer) { return buffer->map; }

uint64_t tuff_buffer_version(const tuff_buffer *buffer)
{
    return atomic_load(&buffer->version);
}

void tuff_buffer_touch(tuff_buffer *buffer) { atomic_fetch_add(&buffer->version, 1); }

bool tuff_buffer_idle(const tuff_buffer *buffer)
{
    return atomic_load(&buffer->recorded) == 0 &&
           tuff_device_done(buffer->dev, atomic_load(&buffer->last));
}

// ---- lists -------------------------------------------------------------------------------

tuff_status tuff_cmd_create(tuff_device *dev, bool reusable, tuff_cmd **cmd)
{
    *cmd = NULL;
    TUFF_TRY(dev->backend->cmd_create(dev, reusable, cmd));
    (*cmd)->dev = dev;
    (*cmd)->reusable = reusable;
    (*cmd)->timed = reusable && atomic_load(&dev->timed);
    return TUFF_OK;
}

tuff_status tuff_cmd_keep(tuff_cmd *cmd, tuff_buffer *buffer, bool written)
{
    // A look at the last few catches most repeats; the rest goes when the list is finished.
    for (int i = cmd->nkept; i-- > 0 && i >= cmd->nkept - 16;) {
        if (cmd->kept[i].buffer != buffer) continue;
        cmd->kept[i].written |= written;
        return TUFF_OK;
    }
    if (cmd->nkept == cmd->capkept) {
        const int cap = cmd->capkept ? 2 * cmd->capkept : 32;
        tuff_kept *grown = tuff_realloc(cmd->kept, (size_t)cap, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        cmd->kept = grown;
        cmd->capkept = cap;
    }
    cmd->kept[cmd->nkept++] = (tuff_kept){ tuff_buffer_retain(buffer), written };
    if (!cmd->reusable) atomic_fetch_add(&buffer->recorded, 1);
    return TUFF_OK;
}

void tuff_cmd_mark(tuff_cmd *cmd, tuff_ticket ticket)
{
    const bool first = !cmd->reusable && cmd->ticket == 0;
    cmd->ticket = ticket;
    for (int i = 0; i < cmd->nkept; i++) {
        tuff_buffer *b = cmd->kept[i].buffer;
        tuff_ticket last = atomic_load(&b->last);
        while (last < ticket && !atomic_compare_exchange_weak(&b->last, &last, ticket)) { }
        if (first) atomic_fetch_sub(&b->recorded, 1);
    }
}

static void release_kept(tuff_cmd *cmd)
{
    for (int i = 0; i < cmd->nkept; i++) {
        tuff_buffer *b = cmd->kept[i].buffer;
        if (!cmd->reusable && cmd->ticket == 0) atomic_fetch_sub(&b->recorded, 1);
        tuff_buffer_release(&b);
    }
    cmd->nkept = 0;
    cmd->ticket = 0;
    cmd->length = 0;
    cmd->finished = false;
}

void tuff_cmd_destroy(tuff_cmd **cmd)
{
    if (!cmd || !*cmd) return;
    tuff_cmd *c = *cmd;
    *cmd = NULL;
    // A lost device has nothing left to wait for.
    (void)tuff_device_wait(c->dev, c->ticket);
    release_kept(c);
    tuff_free(c->kept);
    c->kept = NULL;
    c->dev->backend->cmd_destroy(c);
}

tuff_status tuff_cmd_reset(tuff_cmd *cmd)
{
    TUFF_TRY(tuff_device_wait(cmd->dev, cmd->ticket));
    release_kept(cmd);
    return cmd->dev->backend->cmd_reset(cmd);
}

static bool fits(tuff_cmd *cmd, tuff_range r)
{
    return r.buffer && r.buffer->dev == cmd->dev && r.offset <= r.buffer->size &&
           r.size <= r.buffer->size - r.offset;
}

static void check_bindings(tuff_cmd *cmd, const tuff_binding b[], int count)
{
    assert(count >= 0 && !cmd->finished);
    const tuff_caps *k = tuff_device_caps(cmd->dev);
    for (int i = 0; i < count; i++) {
        assert(fits(cmd, b[i].range) && b[i].access);
        const bool four = b[i].kind == TUFF_BIND_TEXEL_F32X4 ||
                          b[i].kind == TUFF_BIND_TEXEL_U32X4;
        assert(b[i].kind == TUFF_BIND_STORAGE ||
               b[i].range.size / (four ? 16 : 4) <= k->max_texels);
        (void)four;
    }
    (void)cmd, (void)b, (void)fits, (void)k;
}

tuff_status tuff_cmd_launch(tuff_cmd *cmd, const tuff_launch *launch,
                            const tuff_binding *bindings, int count)
{
    assert(count <= TUFF_MAX_BINDINGS && launch->nspec <= TUFF_MAX_SPEC &&
           launch->push_size <= TUFF_MAX_PUSH);
    check_bindings(cmd, bindings, count);
    return cmd->dev->backend->launch(cmd, launch, bindings, count);
}

tuff_status tuff_cmd_host_call(tuff_cmd *cmd, tuff_host_fn fn, const void *arg, size_t arg_size,
                               const tuff_binding *bindings, int count)
{
    check_bindings(cmd, bindings, count);
    return cmd->dev->backend->host_call(cmd, fn, arg, arg_size, bindings, count);
}

tuff_status tuff_cmd_copy(tuff_cmd *cmd, tuff_range to, tuff_range from)
{
    assert(fits(cmd, to) && fits(cmd, from) && to.size == from.size && !cmd->finished);
    return to.size ? cmd->dev->backend->copy(cmd, to, from) : TUFF_OK;
}

tuff_status tuff_cmd_fill(tuff_cmd *cmd, tuff_range to, uint32_t word)
{
    assert(fits(cmd, to) && to.offset % 4 == 0 && to.size % 4 == 0 && !cmd->finished);
    return to.size ? cmd->dev->backend->fill(cmd, to, word) : TUFF_OK;
}

int tuff_cmd_length(const tuff_cmd *cmd) { return cmd->length; }

bool tuff_cmd_seconds(tuff_cmd *cmd, double *seconds)
{
    return cmd->timed && tuff_device_wait(cmd->dev, cmd->ticket) == TUFF_OK &&
           cmd->dev->backend->seconds(cmd, seconds);
}

static int by_address(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const tuff_kept *)a)->buffer;
    const uintptr_t y = (uintptr_t)((const tuff_kept *)b)->buffer;
    return (x > y) - (x < y);
}

tuff_status tuff_cmd_finish(tuff_cmd *cmd)
{
    assert(cmd->reusable && !cmd->finished);
    // Each buffer once: submitting walks over them.
    if (cmd->nkept) qsort(cmd->kept, (size_t)cmd->nkept, sizeof *cmd->kept, by_address);
    int n = 0;
    for (int i = 0; i < cmd->nkept; i++) {
        if (!n || cmd->kept[n - 1].buffer != cmd->kept[i].buffer) {
            cmd->kept[n++] = cmd->kept[i];
            continue;
        }
        cmd->kept[n - 1].written |= cmd->kept[i].written;
        tuff_buffer_release(&cmd->kept[i].buffer);
    }
    cmd->nkept = n;
    TUFF_TRY(cmd->dev->backend->finish(cmd));
    cmd->finished = true;
    return TUFF_OK;
}

tuff_status tuff_device_submit(tuff_device *dev, tuff_cmd *const cmds[], int count,
                               tuff_ticket *ticket)
{
    for (int i = 0; i < count; i++)
        assert(cmds[i]->dev == dev && cmds[i]->finished == cmds[i]->reusable);
    TUFF_TRY(dev->backend->submit(dev, cmds, count, ticket));
    atomic_fetch_add(&dev->submits, 1);
    // Afterwards: who sees the new version and reads in a later submission reads what is new.
    for (int i = 0; i < count; i++)
        for (int k = 0; k < cmds[i]->nkept; k++)
            if (cmds[i]->kept[k].written) tuff_buffer_touch(cmds[i]->kept[k].buffer);
    return TUFF_OK;
}

tuff_status tuff_device_wait(tuff_device *dev, tuff_ticket ticket)
{
    return ticket ? dev->backend->wait(dev, ticket) : TUFF_OK;
}

bool tuff_device_done(tuff_device *dev, tuff_ticket ticket)
{
    return !ticket || dev->backend->done(dev, ticket);
}

// ---- what the driver takes ---------------------------------------------------------------

tuff_status tuff_bare_create(tuff_device *dev, const tuff_launch *launch,
                             const tuff_binding *bindings, int count, int times,
                             tuff_bare **bare)
{
    *bare = NULL;
    TUFF_REQUIRE(dev->backend->bare_create, UNSUPPORTED, "%s has no driver", dev->info.name);
    return dev->backend->bare_create(dev, launch, bindings, count, times, bare);
}

tuff_status tuff_bare_run(tuff_bare *bare) { return bare->dev->backend->bare_run(bare); }

void tuff_bare_destroy(tuff_bare **bare)
{
    if (!*bare) return;
    (*bare)->dev->backend->bare_destroy(*bare);
    *bare = NULL;
}
