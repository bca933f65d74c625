// Inside the device room: what every backend's device, buffer and list begin with, and the
// table of functions by which the public front (device.c, stream.c) reaches them.
#ifndef TUFF_DEVICE_IMPL_H
#define TUFF_DEVICE_IMPL_H
#include "base/status.h"
#include "device/backend.h"
#include <stdatomic.h>

// One table per backend. Arguments have been validated; NULL outputs are never passed.
typedef struct tuff_backend {
    void (*close)(tuff_device *dev); // waits for the device's work first
    // `staging`: memory the host writes and reads on its way to or from the device.
    tuff_status (*buffer_create)(tuff_device *dev, size_t bytes, bool staging,
                                 tuff_buffer **buffer);
    void (*buffer_destroy)(tuff_buffer *buffer);
    tuff_status (*cmd_create)(tuff_device *dev, bool reusable, tuff_cmd **cmd);
    void (*cmd_destroy)(tuff_cmd *cmd);     // its work is done
    tuff_status (*cmd_reset)(tuff_cmd *cmd); // its work is done
    tuff_status (*launch)(tuff_cmd *cmd, const tuff_launch *launch, const tuff_binding b[],
                          int count);
    tuff_status (*host_call)(tuff_cmd *cmd, tuff_host_fn fn, const void *arg, size_t arg_size,
                             const tuff_binding b[], int count);
    tuff_status (*copy)(tuff_cmd *cmd, tuff_range to, tuff_range from);
    tuff_status (*fill)(tuff_cmd *cmd, tuff_range to, uint32_t word);
    tuff_status (*finish)(tuff_cmd *cmd);
    tuff_status (*submit)(tuff_device *dev, tuff_cmd *const cmds[], int count,
                          tuff_ticket *ticket);
    tuff_status (*wait)(tuff_device *dev, tuff_ticket ticket);
    bool (*seconds)(tuff_cmd *cmd, double *seconds); // of a timed list whose work is done
    bool (*done)(tuff_device *dev, tuff_ticket ticket);
    // NULL where there is no driver.
    tuff_status (*bare_create)(tuff_device *dev, const tuff_launch *l, const tuff_binding b[],
                               int count, int times, tuff_bare **bare);
    tuff_status (*bare_run)(tuff_bare *bare);
    void (*bare_destroy)(tuff_bare *bare);
    void (*stats)(tuff_device *dev, tuff_memory_stats *stats); // reserved, blocks, pipelines
} tuff_backend;

struct tuff_device {
    const tuff_backend *backend;
    tuff_device_info info;
    tuff_caps caps;
    _Atomic uint64_t used, peak, submits;
    _Atomic uint64_t memory_limit; // bytes a test allows to be taken; 0: no limit
    atomic_bool timed;             // reusable lists that are made now take their times
    void (*tuning_free)(struct tuff_tuning **tuning);
};

struct tuff_buffer {
    tuff_device *dev;
    size_t size;
    void *map;              // the host's address, or NULL
    bool cached;            // the host reads `map` at full speed
    atomic_int refs;
    atomic_int recorded;    // lists not yet submitted that use it
    _Atomic tuff_ticket last; // last submission that uses it
    _Atomic uint64_t version; // see tuff_buffer_version
};

// A buffer that a list retains.
typedef struct tuff_kept {
    tuff_buffer *buffer;
    bool written; // by a command of the list
} tuff_kept;

struct tuff_cmd {
    tuff_device *dev;
    bool reusable, finished;
    bool timed; // takes the time of each submission
    int length;
    tuff_ticket ticket;  // its last submission
    tuff_kept *kept;     // as long as the list may use them; a few repeat
    int nkept, capkept;
};

struct tuff_bare {
    tuff_device *dev;
};

// Retains `buffer` for the list, a command of which reads it, or writes it. Fails:
// TUFF_ERR_MEMORY.
tuff_status tuff_cmd_keep(tuff_cmd *cmd, tuff_buffer *buffer, bool written);
// Notes a write that is no submission's: by the host, or at once.
void tuff_buffer_touch(tuff_buffer *buffer);
// Called by a backend when its list was submitted: the buffers' last use is `ticket`.
void tuff_cmd_mark(tuff_cmd *cmd, tuff_ticket ticket);
// Nothing recorded or in flight touches the buffer.
bool tuff_buffer_idle(const tuff_buffer *buffer);

// A test hook: at most `bytes` are taken from the driver (0: no limit), so that running out
// of memory can be tried on any device.
void tuff_device_limit_memory(tuff_device *dev, uint64_t bytes);

// The index of the device that `auto` takes among those without a problem: discrete,
// integrated, virtual, software, other, the CPU path; the first of equals. -1 for none. Pure.
int tuff_device_prefer(const tuff_device_info *list, int count);
// The index of the device named by `which` ("cpu", "vulkan:N", part of a name), preferring
// usable ones; -1 when none matches. Pure.
int tuff_device_match(const tuff_device_info *list, int count, const char *which);

// Two questions that need ops to be run, which this room never sees; the ops room answers them.
// Gives a device that was just opened what was measured on it before (ops/tune_device.c), by
// tuff_device_set_tuning. Fails: TUFF_ERR_MEMORY.
tuff_status tuff_tuning_attach(tuff_device *dev);
// Whether `auto` takes the CPU path where all there is beside it is a software driver
// (ops/tune_auto.c): measured once and kept. *faster receives by how many times it is faster.
bool tuff_auto_takes_cpu(const tuff_device_info *software, const tuff_device_info *cpu,
                         double *faster);

// The CPU path.
void tuff_cpu_describe(tuff_device_info *info);
tuff_status tuff_cpu_open(tuff_device **dev);

#ifndef TUFF_NO_VULKAN
// The Vulkan devices, in the order of their ids; none without a loader or a driver, which is
// logged. Fails: TUFF_ERR_MEMORY.
tuff_status tuff_vulkan_list(tuff_device_info *list, int capacity, int *count);
tuff_status tuff_vulkan_open(int index, tuff_device **dev);
// A test hook: from now on the device behaves as one that was lost.
void tuff_vulkan_lose(tuff_device *dev);
// Keeps the drivers loaded between listing and opening; true when let_go must follow.
bool tuff_vulkan_hold(void);
void tuff_vulkan_let_go(void);
#endif
#endif
