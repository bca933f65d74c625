// What a device can do, as plain numbers. Filled by the backend when it opens the device
// (src/device/vulkan/choose.c for Vulkan), read by every op's `plan`. No Vulkan in sight.
#ifndef TUFF_DEVICE_CAPS_H
#define TUFF_DEVICE_CAPS_H
#include <tuff/device.h>

struct tuff_tuning;

// Cooperative matrices: the types of two factors, whose products are summed in f32 or, those of
// i8, in i32.
typedef enum tuff_coop_type {
    TUFF_COOP_F16,
    TUFF_COOP_BF16,
    TUFF_COOP_I8,
    TUFF_COOP_TYPES
} tuff_coop_type;

enum { TUFF_COOP_MOST = 8 }; // shapes of a type that are kept

// A product of an [m, k] and a [k, n] matrix that a subgroup makes as one operation.
typedef struct tuff_coop {
    uint16_t m, n, k;
} tuff_coop;

typedef struct tuff_caps {
    bool cpu;                    // the CPU path: ops run their reference, plans are not asked
    bool cpu_like;               // a software driver: lanes are SIMD, shared memory is memory
    uint32_t subgroup;           // invocations, a power of two; 1 when unknown
    bool subgroup_basic;         // each of these in compute shaders
    bool subgroup_shuffle;
    bool subgroup_arithmetic;
    bool subgroup_control;       // a required subgroup size may be asked for
    uint32_t subgroup_min, subgroup_max;
    uint32_t max_group;          // invocations in a workgroup (>= 128)
    uint32_t max_group_size[3];
    uint32_t max_groups[3];      // workgroups in a dispatch (>= 65,535)
    uint32_t shared;             // bytes of shared memory in a workgroup (>= 16 KiB)
    uint32_t storage_buffers;    // storage buffers one kernel may bind (>= 4)
    uint64_t max_storage_range;  // bytes one storage binding may cover (>= 128 MiB)
    uint64_t max_texels;         // elements of one texel-buffer binding (>= 65,536)
    uint64_t max_alloc;          // bytes of one allocation of device memory
    uint32_t storage_align;      // bytes; offsets of storage bindings are multiples
    uint32_t texel_align;        // bytes; offsets of texel bindings are multiples
    bool storage16, storage8;    // 16- and 8-bit elements in storage buffers
    bool f16, i8;                // arithmetic in f16, in 8-bit integers
    bool dot8;                   // packed 4x8 integer dot product: accelerated, or (to be
                                 // checked there) of a software driver
    bool coopmat;                // cooperative matrices (KHR)
    bool coopmat2;               // ... and a function called for each of their elements (NV)
    tuff_coop coop[TUFF_COOP_TYPES][TUFF_COOP_MOST]; // their shapes; those with m = 0 are none
    uint32_t cores;              // of the GPU that run workgroups side by side; 0: unknown
    bool timeline, memory_budget, portability;
    bool unified;                // device memory is host-visible: nothing needs staging
    float timestamp_ns;          // nanoseconds of one timestamp tick; 0 without timestamps
    // Quirks, each set in choose.c with the driver and version that has it.
    uint32_t max_loop;           // iterations one invocation may make in total; 0: no limit
    bool slow_compile;           // a large kernel takes it a minute and more, and gigabytes
    bool slow_multiply;          // multiplying is slow beside loads and stores
    // What was measured on this device (ops/tuning.h), NULL: nothing. It decides before the
    // order of an op's variants does.
    struct tuff_tuning *tuning;
    uint32_t group;              // invocations of a workgroup that a tuned plan asks for; 0: as
                                 // tuff_group_size says
} tuff_caps;
#endif
