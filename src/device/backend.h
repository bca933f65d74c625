// The contract between the device room and whoever runs work on it.
//
// A backend offers memory (buffers) and lists of commands. A list is recorded once and then
// submitted, once (eager streams) or many times (programs). The two primitives that a list
// records are
//
//   launch     one dispatch of a compute shader (Vulkan)
//   host_call  one call of a C function           (the CPU path)
//
// plus copy and fill. Each names the byte ranges it reads and writes; the backend puts a
// barrier exactly where a later command touches what an earlier one wrote (or writes what an
// earlier one read), and keeps every buffer alive as long as a list that uses it.
//
//   record:   launch A (writes x)   launch B (reads x)   copy x -> y
//   backend:  A | barrier | B  copy (no barrier: both only read x)
//
// The device room never sees an op: `launch` is told numbers, `host_call` a function.
// Callers validate first (see ops/run.c); here valid input is assumed and asserted.
#ifndef TUFF_DEVICE_BACKEND_H
#define TUFF_DEVICE_BACKEND_H
#include "device/caps.h"

typedef struct tuff_buffer tuff_buffer; // reference-counted memory on one device
typedef struct tuff_cmd tuff_cmd;       // a list of commands on one device

enum {
    TUFF_MAX_BINDINGS = 12,
    TUFF_MAX_SPEC = 16,
    TUFF_MAX_PUSH = 128, // bytes; what every Vulkan device has
    TUFF_BUFFER_ALIGN = 256 // offsets at which a buffer may be cut into tensors
};

// How a shader sees a range. Texel buffers are read-only here; on CPU-like drivers a fetch
// from one is many times cheaper than a load from a storage buffer.
typedef enum tuff_bind_kind {
    TUFF_BIND_STORAGE,
    TUFF_BIND_TEXEL_F32,   // samplerBuffer, one f32 a texel
    TUFF_BIND_TEXEL_F32X4, // samplerBuffer, four f32 a texel; the size is a multiple of 16
    TUFF_BIND_TEXEL_U32,   // usamplerBuffer
    TUFF_BIND_TEXEL_U32X4
} tuff_bind_kind;

enum { TUFF_READ = 1, TUFF_WRITE = 2 };

typedef struct tuff_range {
    tuff_buffer *buffer;
    size_t offset, size; // bytes
} tuff_range;

typedef struct tuff_binding {
    tuff_range range;
    uint8_t kind;   // tuff_bind_kind
    uint8_t access; // TUFF_READ | TUFF_WRITE
} tuff_binding;

typedef struct tuff_launch {
    int shader;                   // TUFF_SHADER_..., or what tuff_shader_add gave
    uint32_t spec[TUFF_MAX_SPEC]; // constant_id 0, 1, ...
    int nspec;
    unsigned char push[TUFF_MAX_PUSH];
    uint32_t push_size;
    uint32_t grid[3];             // workgroups; each >= 1 and within caps.max_groups
    uint32_t subgroup;            // required subgroup size; 0: the device's own
} tuff_launch;

// Shaders by number: those of the generated tuff_shaders.h, and behind them what is added.
int tuff_shader_count(void);
const char *tuff_shader_name(int shader);
// False when this build leaves it out: its tools were too old.
bool tuff_shader_built(int shader);
// Its SPIR-V, *count words, to be freed with tuff_free. TUFF_ERR_MEMORY, and
// TUFF_ERR_UNSUPPORTED when it is not built.
tuff_status tuff_shader_words(int shader, uint32_t **words, size_t *count);
// Adds valid SPIR-V, which is copied; it stays for good, and the same code under the same name
// is the same shader. Thread-safe. Fails: TUFF_ERR_LIMIT, TUFF_ERR_MEMORY.
tuff_status tuff_shader_add(const char *name, const uint32_t *words, size_t bytes,
                            int *shader);

// `ptr[i]` is the host address of ranges[i]. `arg` is the list's own copy.
typedef void (*tuff_host_fn)(void *arg, void *const ptr[]);

// One submission of lists: 0 is "nothing yet", already done.
typedef uint64_t tuff_ticket;

// The front's own functions, in device.c; `dev` is any open device.
const tuff_caps *tuff_device_caps(const tuff_device *dev);
// Hands a device what was measured on it: caps.tuning, freed by `destroy` when it is closed.
void tuff_device_set_tuning(tuff_device *dev, struct tuff_tuning *tuning,
                            void (*destroy)(struct tuff_tuning **tuning));

// Memory. Offsets of the returned buffer count from 0 and are TUFF_BUFFER_ALIGN-aligned in
// the memory behind it. Fails: TUFF_ERR_LIMIT, TUFF_ERR_MEMORY (the device stays usable).
tuff_status tuff_buffer_create(tuff_device *dev, size_t bytes, tuff_buffer **buffer);
// The same in memory that the host always sees: staging for uploads, read by copies only.
tuff_status tuff_buffer_create_host(tuff_device *dev, size_t bytes, tuff_buffer **buffer);
tuff_buffer *tuff_buffer_retain(tuff_buffer *buffer);
void tuff_buffer_release(tuff_buffer **buffer); // NULL accepted; sets NULL
size_t tuff_buffer_size(const tuff_buffer *buffer);
tuff_device *tuff_buffer_device(const tuff_buffer *buffer);
// Grows with every upload and every submission that writes the buffer: as long as it is the
// same, so are the contents, for whoever looked at it after their last write was submitted.
uint64_t tuff_buffer_version(const tuff_buffer *buffer);
// The host's address of a buffer, or NULL when the host cannot see it. Contents are what
// finished work left there; writes are seen by work submitted afterwards.
void *tuff_buffer_map(tuff_buffer *buffer);

// A list. Reusable: may be submitted again and again, even while an earlier submission of it
// runs (they run in order; it is never re-recorded); otherwise it is submitted once and then
// emptied by tuff_cmd_reset.
tuff_status tuff_cmd_create(tuff_device *dev, bool reusable, tuff_cmd **cmd);
void tuff_cmd_destroy(tuff_cmd **cmd); // waits for its submission
tuff_status tuff_cmd_reset(tuff_cmd *cmd); // waits for its submission; empty afterwards
// Recording. On failure nothing was recorded.
tuff_status tuff_cmd_launch(tuff_cmd *cmd, const tuff_launch *launch,
                            const tuff_binding *bindings, int count);
tuff_status tuff_cmd_host_call(tuff_cmd *cmd, tuff_host_fn fn, const void *arg,
                               size_t arg_size, const tuff_binding *bindings, int count);
tuff_status tuff_cmd_copy(tuff_cmd *cmd, tuff_range to, tuff_range from);
tuff_status tuff_cmd_fill(tuff_cmd *cmd, tuff_range to, uint32_t word); // 4-byte multiples
int tuff_cmd_length(const tuff_cmd *cmd); // commands recorded
// Seconds that the last submission of a list took by the device's own clock, from where the
// work before it was done; waits for it. False where it was not timed: the list was made while
// tuff_device_set_timed was off, or the device's queue has no clock.
bool tuff_cmd_seconds(tuff_cmd *cmd, double *seconds);
// Closes a reusable list: its pipelines are built (in parallel) and its descriptors written
// now, so that submitting costs one driver call and no allocation.
tuff_status tuff_cmd_finish(tuff_cmd *cmd);

// Submits lists in order as ONE submission; every later submission of the device sees its
// writes. Returns at once (the CPU path may do the work before it returns). Thread-safe.
tuff_status tuff_device_submit(tuff_device *dev, tuff_cmd *const cmds[], int count,
                               tuff_ticket *ticket);
// Waits until a submission is done. Fails: TUFF_ERR_LOST.
tuff_status tuff_device_wait(tuff_device *dev, tuff_ticket ticket);
bool tuff_device_done(tuff_device *dev, tuff_ticket ticket); // no waiting

// What a driver takes by itself, to hold replayed lists against: a launch `times` times over,
// with a barrier behind each, in a command buffer made, submitted and waited for by nothing but
// the driver's own calls. The buffers must outlive it.
// Fails: TUFF_ERR_UNSUPPORTED (the CPU path), TUFF_ERR_MEMORY.
typedef struct tuff_bare tuff_bare;
tuff_status tuff_bare_create(tuff_device *dev, const tuff_launch *launch,
                             const tuff_binding *bindings, int count, int times,
                             tuff_bare **bare);
tuff_status tuff_bare_run(tuff_bare *bare); // submits and waits; one thread at a time
void tuff_bare_destroy(tuff_bare **bare);   // NULL accepted; sets NULL

// Streams (stream.c): the open list of a stream, to record into; submitted by
// tuff_stream_flush, or when it has grown long.
tuff_status tuff_stream_cmd(tuff_stream *stream, tuff_cmd **cmd);
// Ordered on the stream; `data` is copied before this returns. `to.size` bytes.
tuff_status tuff_stream_upload(tuff_stream *stream, tuff_range to, const void *data);
// Flushes, waits, copies out.
tuff_status tuff_stream_download(tuff_stream *stream, tuff_range from, void *data);
#endif
