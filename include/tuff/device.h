#ifndef TUFF_DEVICE_H
#define TUFF_DEVICE_H
#include <tuff/base.h>
// Devices and streams. A device is the CPU path or one Vulkan GPU; a stream is an ordered
// list of work on it.
//
//   Threads  a device may be used from several threads; a stream belongs to one at a time.

typedef struct tuff_device tuff_device;
typedef struct tuff_stream tuff_stream;

typedef enum tuff_device_type {
    TUFF_DEVICE_CPU,        // the CPU path: no Vulkan involved
    TUFF_DEVICE_SOFTWARE,   // a Vulkan driver that runs on the CPU (lavapipe, SwiftShader)
    TUFF_DEVICE_VIRTUAL,
    TUFF_DEVICE_INTEGRATED,
    TUFF_DEVICE_DISCRETE,
    TUFF_DEVICE_OTHER
} tuff_device_type;

typedef struct tuff_device_info {
    char id[16];          // "cpu", "vulkan:0", ...: what tuff_device_open takes
    char name[256];       // as the driver names it
    char vendor[32];      // "NVIDIA", "AMD", ...; "0x1234" when unknown
    char driver[128];     // driver name and version
    char api[16];         // "1.3.230"; "" for the CPU path
    char features[512];   // space-separated: "timeline f16 storage16 int8 dot8 coopmat ..."
    char problem[256];    // "" when usable; else one sentence saying why it is not
    tuff_device_type type;
    uint64_t memory;      // bytes of the largest device-local heap (RAM for the CPU path)
    uint64_t max_tensor;  // bytes of the largest tensor that one kernel can see
    uint32_t subgroup;    // invocations; 1 for the CPU path
    uint32_t max_group;   // invocations in one workgroup; threads for the CPU path
    uint32_t shared;      // bytes of shared memory in one workgroup
} tuff_device_info;

// Lists every device in the order of their ids: the CPU path last. Without a Vulkan loader
// or driver the list holds the CPU path alone and one log line says why.
// Writes at most `capacity` entries, the number there are to *count.
// Fails: TUFF_ERR_ARG (TUFF_AVOID, below, has a word that is none), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_device_list(tuff_device_info *list, int capacity,
                                                 int *count);

// Opens a device: "auto" (also NULL or ""), "cpu", "vulkan:N", or a part of a device's name,
// in any case of letters. `auto` reads the environment's TUFF_DEVICE first, then prefers
// discrete, integrated, virtual, software, the CPU path; a log line says which it took. Where
// all there is beside the CPU path is software, the faster of the two is taken: that is
// measured once, in a second or two, and kept in the cache folder (<tuff/tune.h>).
// The environment's TUFF_AVOID lists words of tuff_device_info.features ("timeline f16") that
// are left alone though the device has them: a way round a driver's bug. The word limits makes
// of it a device with as little as Vulkan promises (128 invocations, 4 storage buffers, 16 KiB
// of shared memory, 65,536 texels): a poor one to try things on.
// Fails: TUFF_ERR_DEVICE (none matches: the sentence lists what there is), TUFF_ERR_ARG
// (TUFF_AVOID has a word that is none), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_device_open(const char *which, tuff_device **device);
// Waits for the device's work, then releases it. Tensors, streams and programs of the device
// must be destroyed before.
TUFF_API void tuff_device_close(tuff_device **device);
// Valid as long as the device.
TUFF_API const tuff_device_info *tuff_device_get_info(const tuff_device *device);

typedef struct tuff_memory_stats {
    uint64_t used;     // bytes in tensors and scratch now
    uint64_t reserved; // bytes taken from the driver now
    uint64_t peak;     // largest `used` so far
    uint32_t blocks;   // blocks taken from the driver
    uint32_t pipelines; // pipelines created so far
    uint64_t submits;  // submissions so far
} tuff_memory_stats;
// What the device has in use at this moment.
TUFF_API void tuff_device_get_stats(tuff_device *device, tuff_memory_stats *stats);
// Has programs that are made from now on take the time of their runs by the device's own clock
// (tuff_program_seconds), which costs two time stamps a run. Off at first.
TUFF_API void tuff_device_set_timed(tuff_device *device, bool on);

// The caller destroys it. Fails: TUFF_ERR_ARG (a NULL), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_stream_create(tuff_device *device, tuff_stream **stream);
// Waits for the stream's work, then releases it.
TUFF_API void tuff_stream_destroy(tuff_stream **stream);
// Submits what was recorded; returns at once. Fails: TUFF_ERR_LOST, TUFF_ERR_MEMORY (what was
// recorded is dropped, the stream stays usable).
TUFF_API TUFF_CHECK tuff_status tuff_stream_flush(tuff_stream *stream);
// Submits what was recorded and waits until all of it is done.
// Fails: TUFF_ERR_LOST, or the first error of work recorded before.
TUFF_API TUFF_CHECK tuff_status tuff_stream_wait(tuff_stream *stream);
// The device it was created on.
TUFF_API tuff_device *tuff_stream_device(const tuff_stream *stream);
#endif
