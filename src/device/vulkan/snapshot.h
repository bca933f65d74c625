// All that Tuff wants to know about a Vulkan device, asked once and kept as plain numbers, so
// that what follows from it (choose.h) can be tried with invented devices. No Vulkan header.
#ifndef TUFF_VULKAN_SNAPSHOT_H
#define TUFF_VULKAN_SNAPSHOT_H
#include <tuff/device.h>

// Extensions of a device that are looked for: X(name here, name there, core since, 0 = never).
#define TUFF_VK_EXTENSIONS(X)                                                   \
    X(TIMELINE, "VK_KHR_timeline_semaphore", 12)                                \
    X(STORAGE8, "VK_KHR_8bit_storage", 12)                                      \
    X(F16_I8, "VK_KHR_shader_float16_int8", 12)                                 \
    X(DRIVER, "VK_KHR_driver_properties", 12)                                   \
    X(MEMORY_MODEL, "VK_KHR_vulkan_memory_model", 12)                           \
    X(DOT, "VK_KHR_shader_integer_dot_product", 13)                             \
    X(SUBGROUP, "VK_EXT_subgroup_size_control", 13)                             \
    X(MAINTENANCE4, "VK_KHR_maintenance4", 13)                                  \
    X(COOPMAT, "VK_KHR_cooperative_matrix", 0)                                  \
    X(COOPMAT2, "VK_NV_cooperative_matrix2", 0)                                 \
    X(BFLOAT16, "VK_KHR_shader_bfloat16", 0)                                    \
    X(CORES_NV, "VK_NV_shader_sm_builtins", 0)                                  \
    X(CORES_AMD, "VK_AMD_shader_core_properties", 0)                            \
    X(CORES_ARM, "VK_ARM_shader_core_builtins", 0)                              \
    X(BUDGET, "VK_EXT_memory_budget", 0)                                        \
    X(PORTABILITY, "VK_KHR_portability_subset", 0)

enum {
#define TUFF_VK_EXT_ENUM(id, name, core) TUFF_VK_##id,
    TUFF_VK_EXTENSIONS(TUFF_VK_EXT_ENUM)
#undef TUFF_VK_EXT_ENUM
    TUFF_VK_EXT_COUNT
};

enum { TUFF_VK_MOST_COOPMATS = 64 };

// One kind of product of cooperative matrices, in Vulkan's numbers (VkComponentTypeKHR,
// VkScopeKHR): c + a b gives result.
typedef struct tuff_vk_coopmat {
    uint32_t m, n, k, a, b, c, result, scope;
    bool saturating;
} tuff_vk_coopmat;

enum { TUFF_VK_MOST_FAMILIES = 16, TUFF_VK_MOST_TYPES = 32, TUFF_VK_MOST_HEAPS = 16 };

typedef struct tuff_vk_snapshot {
    char name[256], driver_name[256], driver_info[256];
    uint32_t vendor, device, driver_version;
    uint32_t driver_id; // VkDriverId; 0 when unknown
    char api[16];     // the device's version of the API, in words
    int major, minor; // the lesser of it and the instance's: what is used
    tuff_device_type type;   // never TUFF_DEVICE_CPU
    uint8_t cache_uuid[16];

    struct {
        uint32_t count;
        bool compute, graphics;
        uint32_t timestamp_bits;
    } family[TUFF_VK_MOST_FAMILIES];
    int families;

    struct {
        int heap;
        bool local, visible, coherent, cached;
        bool odd; // protected, lazily allocated or device-coherent: never chosen
    } type_of[TUFF_VK_MOST_TYPES];
    struct {
        uint64_t size;
        bool local;
    } heap[TUFF_VK_MOST_HEAPS];
    int types, heaps;

    // Limits.
    uint32_t group, group_size[3], groups[3], shared;
    uint32_t stage_storage, set_storage, stage_sampled; // descriptors
    uint32_t storage_range, texels, push;
    uint64_t max_alloc, max_buffer; // bytes; 0 when unknown
    uint32_t max_allocs;
    uint64_t storage_align, texel_align;
    float timestamp_ns;

    // Subgroups, in compute shaders.
    uint32_t subgroup, subgroup_min, subgroup_max;
    bool subgroup_basic, subgroup_shuffle, subgroup_arithmetic, subgroup_required;

    // Extensions offered, and features.
    bool ext[TUFF_VK_EXT_COUNT];
    bool timeline, storage16, storage8, f16, i8, i16, subgroup_control, coopmat;
    bool memory_model, memory_model_device;
    bool coopmat_each; // a function called for each element
    bool bfloat16; // as a type, and in cooperative matrices
    tuff_vk_coopmat coopmats[TUFF_VK_MOST_COOPMATS];
    int coopmat_kinds;
    uint32_t cores; // that run workgroups side by side; 0 when unknown
    bool dot, dot8_fast; // the feature; whether packed 4x8 products are accelerated
} tuff_vk_snapshot;

// The names of the extensions, and whether one is a part of the API that is used (choose.c).
extern const char *const tuff_vk_ext_name[TUFF_VK_EXT_COUNT];
bool tuff_vk_ext_in_core(const tuff_vk_snapshot *s, int ext);
#endif
