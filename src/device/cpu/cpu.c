// The CPU path: buffers are host memory, commands are calls of C functions. A list that is
// not reusable runs each command as it is recorded; a reusable one keeps its commands and
// runs them when it is submitted, in the caller's thread. Either way work is done by the time
// a call returns, so every ticket is done and nothing is ever waited for.
#include "base/alloc.h"
#include "base/thread.h"
#include "base/time.h"
#include "device/impl.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct cpu_device {
    tuff_device base;
    _Atomic uint64_t blocks;
} cpu_device;

typedef struct cpu_buffer {
    tuff_buffer base;
    void *memory;
} cpu_buffer;

// A recorded call. Its argument and addresses follow it in the list's memory.
typedef struct call {
    tuff_host_fn fn;
    size_t arg, ptr; // byte offsets into the list's data
} call;

typedef struct cpu_cmd {
    tuff_cmd base;
    call *call;
    int capacity;
    unsigned char *data; // arguments and arrays of addresses, each 16-byte aligned
    size_t used, size;
    double seconds; // of the last submission, where it is timed
} cpu_cmd;

// ---- memory ------------------------------------------------------------------------------

static tuff_status buffer_create(tuff_device *dev, size_t bytes, bool staging,
                                 tuff_buffer **buffer)
{
    (void)staging;
    const uint64_t limit = atomic_load(&dev->memory_limit);
    const uint64_t used = atomic_load(&dev->used);
    TUFF_REQUIRE(!limit || (bytes <= limit && used <= limit - bytes), MEMORY,
                 "out of host memory: %zu bytes were asked for, %llu are in use", bytes,
                 (unsigned long long)used);
    cpu_buffer *b = tuff_alloc(1, sizeof *b);
    if (!b) return TUFF_ERR_MEMORY;
    b->memory = bytes <= SIZE_MAX - TUFF_BUFFER_ALIGN
                    ? tuff_alloc_aligned(bytes + TUFF_BUFFER_ALIGN)
                    : NULL;
    if (!b->memory) {
        tuff_free(b);
        return tuff_fail(TUFF_ERR_MEMORY, "out of host memory: %zu bytes were asked for",
                         bytes);
    }
    const uintptr_t at = (uintptr_t)b->memory + TUFF_BUFFER_ALIGN - 1;
    b->base.map = (char *)b->memory + (at / TUFF_BUFFER_ALIGN * TUFF_BUFFER_ALIGN -
                                       (uintptr_t)b->memory);
    b->base.cached = true;
    atomic_fetch_add(&((cpu_device *)dev)->blocks, 1);
    *buffer = &b->base;
    return TUFF_OK;
}

static void buffer_destroy(tuff_buffer *buffer)
{
    cpu_buffer *b = (cpu_buffer *)buffer;
    atomic_fetch_sub(&((cpu_device *)buffer->dev)->blocks, 1);
    tuff_free(b->memory);
    tuff_free(b);
}

// ---- lists -------------------------------------------------------------------------------

static tuff_status cmd_create(tuff_device *dev, bool reusable, tuff_cmd **cmd)
{
    (void)dev, (void)reusable;
    cpu_cmd *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    *cmd = &c->base;
    return TUFF_OK;
}

static void cmd_destroy(tuff_cmd *cmd)
{
    cpu_cmd *c = (cpu_cmd *)cmd;
    tuff_free(c->call);
    tuff_free(c->data);
    tuff_free(c);
}

static tuff_status cmd_reset(tuff_cmd *cmd)
{
    ((cpu_cmd *)cmd)->used = 0;
    return TUFF_OK;
}

static size_t aligned(size_t n) { return (n + 15) / 16 * 16; }

// Makes room for one more call with `bytes` of data.
static tuff_status reserve(cpu_cmd *c, size_t bytes)
{
    if (c->base.length == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 32;
        call *grown = tuff_realloc(c->call, (size_t)capacity, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        c->call = grown;
        c->capacity = capacity;
    }
    if (c->size - c->used < bytes) {
        size_t size = c->size ? c->size : 4096;
        while (size - c->used < bytes) size *= 2;
        unsigned char *grown = tuff_realloc(c->data, size, 1);
        if (!grown) return TUFF_ERR_MEMORY;
        c->data = grown;
        c->size = size;
    }
    return TUFF_OK;
}

static void addresses(void *ptr[], const tuff_binding b[], int count)
{
    for (int i = 0; i < count; i++)
        ptr[i] = (char *)b[i].range.buffer->map + b[i].range.offset;
}

static tuff_status record(cpu_cmd *c, tuff_host_fn fn, const void *arg, size_t arg_size,
                          const tuff_binding b[], int count)
{
    const size_t arg_room = aligned(arg_size);
    const size_t ptr_room = aligned((size_t)count * sizeof(void *));
    TUFF_TRY(reserve(c, arg_room + ptr_room));
    for (int i = 0; i < count; i++)
        TUFF_TRY(tuff_cmd_keep(&c->base, b[i].range.buffer, b[i].access & TUFF_WRITE));
    c->call[c->base.length++] = (call){ fn, c->used, c->used + arg_room };
    if (arg_size) memcpy(c->data + c->used, arg, arg_size);
    addresses((void **)(c->data + c->used + arg_room), b, count);
    c->used += arg_room + ptr_room;
    return TUFF_OK;
}

// A call that runs at once gets its own copy of the argument all the same: it may write there.
static tuff_status run_now(tuff_host_fn fn, const void *arg, size_t arg_size,
                           const tuff_binding b[], int count)
{
    enum { ON_STACK = 4096, POINTERS = 64 };
    _Alignas(16) unsigned char copy[ON_STACK];
    void *ptr[POINTERS] = { 0 };
    TUFF_REQUIRE(count <= POINTERS, LIMIT, "a host call takes at most %d ranges, %d were given",
                 POINTERS, count);
    unsigned char *own = copy;
    if (arg_size > sizeof copy && !(own = tuff_alloc(arg_size, 1))) return TUFF_ERR_MEMORY;
    if (arg_size) memcpy(own, arg, arg_size);
    addresses(ptr, b, count);
    fn(own, ptr);
    for (int i = 0; i < count; i++)
        if (b[i].access & TUFF_WRITE) tuff_buffer_touch(b[i].range.buffer);
    if (own != copy) tuff_free(own);
    return TUFF_OK;
}

static tuff_status host_call(tuff_cmd *cmd, tuff_host_fn fn, const void *arg, size_t arg_size,
                             const tuff_binding b[], int count)
{
    return cmd->reusable ? record((cpu_cmd *)cmd, fn, arg, arg_size, b, count)
                         : run_now(fn, arg, arg_size, b, count);
}

static void copy_bytes(void *arg, void *const ptr[])
{
    memmove(ptr[0], ptr[1], *(size_t *)arg);
}

static tuff_status copy(tuff_cmd *cmd, tuff_range to, tuff_range from)
{
    const tuff_binding b[2] = { { to, TUFF_BIND_STORAGE, TUFF_WRITE },
                                { from, TUFF_BIND_STORAGE, TUFF_READ } };
    return host_call(cmd, copy_bytes, &to.size, sizeof to.size, b, 2);
}

struct fill_arg {
    size_t words;
    uint32_t word;
};

static void fill_words(void *arg, void *const ptr[])
{
    const struct fill_arg *a = arg;
    uint32_t *y = ptr[0];
    for (size_t i = 0; i < a->words; i++) y[i] = a->word;
}

static tuff_status fill(tuff_cmd *cmd, tuff_range to, uint32_t word)
{
    const tuff_binding b = { to, TUFF_BIND_STORAGE, TUFF_WRITE };
    const struct fill_arg a = { to.size / 4, word };
    return host_call(cmd, fill_words, &a, sizeof a, &b, 1);
}

static tuff_status launch(tuff_cmd *cmd, const tuff_launch *l, const tuff_binding b[],
                          int count)
{
    (void)cmd, (void)l, (void)b, (void)count;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "the CPU path runs no shaders");
}

static tuff_status finish(tuff_cmd *cmd)
{
    (void)cmd;
    return TUFF_OK;
}

// ---- submitting --------------------------------------------------------------------------

static tuff_status submit(tuff_device *dev, tuff_cmd *const cmds[], int count,
                          tuff_ticket *ticket)
{
    (void)dev;
    for (int i = 0; i < count; i++) {
        cpu_cmd *c = (cpu_cmd *)cmds[i];
        const double start = c->base.timed ? tuff_time_now() : 0;
        for (int k = 0; k < c->base.length; k++)
            c->call[k].fn(c->data + c->call[k].arg,
                          (void *const *)(c->data + c->call[k].ptr));
        if (c->base.timed) c->seconds = tuff_time_now() - start;
    }
    *ticket = 0;
    return TUFF_OK;
}

static tuff_status wait(tuff_device *dev, tuff_ticket ticket)
{
    (void)dev, (void)ticket;
    return TUFF_OK;
}

static bool done(tuff_device *dev, tuff_ticket ticket)
{
    (void)dev, (void)ticket;
    return true;
}

static bool seconds_of(tuff_cmd *cmd, double *seconds)
{
    *seconds = ((cpu_cmd *)cmd)->seconds;
    return *seconds > 0;
}

static void stats(tuff_device *dev, tuff_memory_stats *s)
{
    s->reserved = s->used;
    s->blocks = (uint32_t)atomic_load(&((cpu_device *)dev)->blocks);
}

// ---- the device --------------------------------------------------------------------------

static void close_device(tuff_device *dev) { tuff_free(dev); }

static const tuff_backend backend = {
    .close = close_device,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .cmd_create = cmd_create,
    .cmd_destroy = cmd_destroy,
    .cmd_reset = cmd_reset,
    .launch = launch,
    .host_call = host_call,
    .copy = copy,
    .fill = fill,
    .finish = finish,
    .submit = submit,
    .wait = wait,
    .done = done,
    .seconds = seconds_of,
    .stats = stats,
};

// The processor as Linux names it, or "this machine's processor".
static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "this machine's processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || colon[1] != ' ') continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    fclose(file);
}

void tuff_cpu_describe(tuff_device_info *info)
{
    char processor[200];
    processor_name(processor, sizeof processor);
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    *info = (tuff_device_info){
        .id = "cpu",
        .driver = "Tuff " TUFF_VERSION,
        .features = "f64-sums",
        .type = TUFF_DEVICE_CPU,
        .memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0,
        .max_tensor = INT32_MAX * (uint64_t)4,
        .subgroup = 1,
        .max_group = (uint32_t)tuff_thread_count(),
    };
    snprintf(info->name, sizeof info->name, "CPU path (%s)", processor);
    snprintf(info->vendor, sizeof info->vendor, "Tuff");
}

tuff_status tuff_cpu_open(tuff_device **dev)
{
    cpu_device *d = tuff_alloc(1, sizeof *d);
    if (!d) return TUFF_ERR_MEMORY;
    d->base.backend = &backend;
    tuff_cpu_describe(&d->base.info);
    d->base.caps = (tuff_caps){
        .cpu = true, .cpu_like = true, .unified = true,
        .subgroup = 1, .subgroup_min = 1, .subgroup_max = 1,
        .max_group = 128, .max_group_size = { 128, 128, 64 },
        .max_groups = { 65535, 65535, 65535 }, .shared = 16384, .storage_buffers = 8,
        .max_storage_range = SIZE_MAX, .max_texels = UINT32_MAX, .max_alloc = SIZE_MAX,
        .storage_align = 256, .texel_align = 256, .storage16 = true, .storage8 = true,
        .f16 = true, .i8 = true,
    };
    *dev = &d->base;
    return TUFF_OK;
}
