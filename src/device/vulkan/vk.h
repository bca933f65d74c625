// Inside the Vulkan backend: an open device and what hangs on it.
//
//   instance.c   the loader, the shared instance, the devices it lists
//   snapshot.c   asking a device everything; choose.c: what follows from that
//   vk_device.c  opening and closing
//   queue.c      submissions and tickets
//   memory.c     blocks of device memory, and buffers cut from them
//   pipeline.c   layouts, shader modules, pipelines
//   cache.c      VkPipelineCache and its file
//   vk_cmd.c     recording of lists, barriers, descriptors
//   vk_bare.c    what the driver takes by itself
//
// Locks are taken in the order: queue, memory, pipeline; no two are held together.
#ifndef TUFF_VULKAN_VK_H
#define TUFF_VULKAN_VK_H
#define VK_NO_PROTOTYPES
#include <volk.h>
#include "device/impl.h"
#include "device/vulkan/choose.h"
#include "device/vulkan/snapshot.h"
#include "device/vulkan/suballoc.h"
#include "tuff_shaders.h"
#include <pthread.h>

// Headers older than the extension lack these.
#ifndef VK_KHR_cooperative_matrix
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR \
    ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506001)
typedef struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
typedef struct VkCooperativeMatrixPropertiesKHR {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    uint32_t AType, BType, CType, ResultType; // VkComponentTypeKHR
    VkBool32 saturatingAccumulation;
    uint32_t scope; // VkScopeKHR
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice, uint32_t *, VkCooperativeMatrixPropertiesKHR *);
#endif

#ifndef VK_NV_cooperative_matrix2
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV \
    ((VkStructureType)1000593000)
typedef struct VkPhysicalDeviceCooperativeMatrix2FeaturesNV {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrixWorkgroupScope, cooperativeMatrixFlexibleDimensions;
    VkBool32 cooperativeMatrixReductions, cooperativeMatrixConversions;
    VkBool32 cooperativeMatrixPerElementOperations, cooperativeMatrixTensorAddressing;
    VkBool32 cooperativeMatrixBlockLoads;
} VkPhysicalDeviceCooperativeMatrix2FeaturesNV;
#endif
#ifndef VK_KHR_shader_bfloat16
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR \
    ((VkStructureType)1000141000)
typedef struct VkPhysicalDeviceShaderBfloat16FeaturesKHR {
    VkStructureType sType;
    void *pNext;
    VkBool32 shaderBFloat16Type, shaderBFloat16DotProduct, shaderBFloat16CooperativeMatrix;
} VkPhysicalDeviceShaderBfloat16FeaturesKHR;
#endif
#ifndef VK_ARM_shader_core_builtins
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM \
    ((VkStructureType)1000497001)
typedef struct VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM {
    VkStructureType sType;
    void *pNext;
    uint64_t shaderCoreMask;
    uint32_t shaderCoreCount, shaderWarpsPerCore;
} VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM;
#endif

// A block of device memory with one buffer over all of it; tensors are ranges of that buffer.
typedef struct vk_block {
    VkDeviceMemory memory;
    VkBuffer buffer;
    uint64_t size;
    char *map; // NULL when the host cannot see it, or must not
    bool staging, cached;
    tuff_suballoc *space;
} vk_block;

// A texel view of a range of a buffer, kept as long as the buffer.
typedef struct vk_view {
    struct vk_view *next;
    VkBufferView view;
    uint64_t offset, size; // bytes of the tuff_buffer
    int kind;
} vk_view;

typedef struct vk_buffer {
    tuff_buffer base;
    vk_block *block;
    int piece;
    uint64_t offset; // of the buffer in its block
    vk_view *views;  // under the memory lock
} vk_buffer;

// The signature of a kernel's bindings: how many, and which of them are texel buffers.
// index = 2^count - 1 + mask, so that every signature has its place in one table.
enum { VK_SIGNATURES = (2 << TUFF_MAX_BINDINGS) - 1 };

typedef struct vk_layout {
    VkDescriptorSetLayout set;
    VkPipelineLayout pipeline;
} vk_layout;

typedef struct vk_pipeline_key {
    int shader, nspec, signature;
    uint32_t spec[TUFF_MAX_SPEC];
    uint32_t subgroup;
} vk_pipeline_key;

// An entry of the table of pipelines. It lives until the device is closed; `pipeline` is set
// once, by whoever builds it first.
typedef struct vk_pipeline {
    struct vk_pipeline *next;
    vk_pipeline_key key;
    _Atomic(VkPipeline) pipeline;
} vk_pipeline;

enum { VK_PIPELINE_BINS = 256, VK_FENCES = 16 };

// Without timeline semaphores a submission signals one of a few fences. A fence is used again
// when its submission is done and nobody waits on it.
typedef struct vk_fence {
    VkFence fence;
    tuff_ticket ticket;
    int users;
} vk_fence;

typedef struct vk_device {
    tuff_device base;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    struct VolkDeviceTable vk;
    tuff_vk_snapshot snap;
    tuff_vk_choice choice;
    bool holds_instance, locks;

    pthread_mutex_t queue_lock; // the queue, tickets and fences
    tuff_ticket submitted;
    _Atomic tuff_ticket completed;
    atomic_bool lost;
    VkSemaphore timeline;
    vk_fence fence[VK_FENCES];

    pthread_mutex_t memory_lock; // blocks and texel views
    vk_block **block;
    int blocks, block_capacity;
    uint64_t reserved;

    pthread_mutex_t pipeline_lock; // the tables; not the building
    VkShaderModule *module; // by shader
    int modules;
    vk_layout layout[VK_SIGNATURES];
    vk_pipeline *pipeline[VK_PIPELINE_BINS];
    VkPipelineCache cache;
    uint64_t cache_digest; // of what the file held
    atomic_uint pipelines;
} vk_device;

// Puts `item` at the head of the chain that `first` begins.
#define CHAIN(first, item)                                                      \
    do {                                                                        \
        (item).pNext = (first).pNext;                                           \
        (first).pNext = &(item);                                                \
    } while (0)

// ---- errors ------------------------------------------------------------------------------

// Runs a Vulkan call; on failure logs the call's text, sets the last error and jumps to
// `exit` with `status` set. Both must be there.
#define VK(...)                                                                 \
    do {                                                                        \
        const VkResult result_ = (__VA_ARGS__);                                 \
        if (result_ < 0) {                                                      \
            status = vk_failed(result_, #__VA_ARGS__);                          \
            goto exit;                                                          \
        }                                                                       \
    } while (0)

// Turns a failure of the call written `text` into a status and a sentence.
tuff_status vk_failed(VkResult result, const char *text);

// ---- instance.c --------------------------------------------------------------------------

enum { VK_MOST_DEVICES = 63 };

// The shared instance, made by the first who asks. Fails: TUFF_ERR_DEVICE when there is no
// loader or no driver.
tuff_status vk_instance_retain(void);
void vk_instance_release(void);
// The instance's devices in the order of their ids; the instance must be held.
tuff_status vk_instance_devices(VkPhysicalDevice list[VK_MOST_DEVICES], int *count);
// Asks a device everything (snapshot.c).
tuff_status vk_snapshot(VkPhysicalDevice device, tuff_vk_snapshot *s);
// The API version that devices are used with, as major * 10 + minor.
int vk_instance_api(void);
// A function of the instance that the headers may be too old for; NULL when there is none.
PFN_vkVoidFunction vk_instance_function(const char *name);
// Names an object for the validation layer and debuggers, where there is one.
void vk_name(vk_device *d, VkObjectType type, uint64_t handle, const char *format, ...)
    TUFF_PRINTF(4, 5);

// ---- queue.c -----------------------------------------------------------------------------

tuff_status vk_queue_create(vk_device *d);
void vk_queue_destroy(vk_device *d);
tuff_status vk_submit(tuff_device *dev, tuff_cmd *const cmds[], int count, tuff_ticket *ticket);
tuff_status vk_wait(tuff_device *dev, tuff_ticket ticket);
bool vk_done(tuff_device *dev, tuff_ticket ticket);

// ---- memory.c ----------------------------------------------------------------------------

tuff_status vk_buffer_create(tuff_device *dev, size_t bytes, bool staging,
                             tuff_buffer **buffer);
void vk_buffer_destroy(tuff_buffer *buffer);
// The texel view of a range, made the first time.
tuff_status vk_buffer_view(vk_device *d, const tuff_binding *b, VkBufferView *view);
void vk_memory_destroy(vk_device *d);

// ---- pipeline.c --------------------------------------------------------------------------

int vk_signature(const tuff_binding b[], int count);
tuff_status vk_layout_get(vk_device *d, int signature, vk_layout *layout);
// The table's entry for a launch; its pipeline may not be built yet.
tuff_status vk_pipeline_get(vk_device *d, const tuff_launch *l, int signature,
                            vk_pipeline **pipeline);
// Builds those that are not, in parallel. Fails with the first failure.
tuff_status vk_pipeline_build(vk_device *d, vk_pipeline *const list[], int count);
void vk_pipeline_destroy_all(vk_device *d);

// ---- cache.c -----------------------------------------------------------------------------

// Makes the device's VkPipelineCache, from its file where there is a good one.
tuff_status vk_cache_open(vk_device *d);
// Writes it back when it holds anything new, and releases it. Failures are only logged.
void vk_cache_close(vk_device *d);

// ---- vk_cmd.c ----------------------------------------------------------------------------

tuff_status vk_cmd_create(tuff_device *dev, bool reusable, tuff_cmd **cmd);
void vk_cmd_destroy(tuff_cmd *cmd);
tuff_status vk_cmd_reset(tuff_cmd *cmd);
tuff_status vk_cmd_launch(tuff_cmd *cmd, const tuff_launch *l, const tuff_binding b[],
                          int count);
tuff_status vk_cmd_host_call(tuff_cmd *cmd, tuff_host_fn fn, const void *arg, size_t arg_size,
                             const tuff_binding b[], int count);
tuff_status vk_cmd_copy(tuff_cmd *cmd, tuff_range to, tuff_range from);
tuff_status vk_cmd_fill(tuff_cmd *cmd, tuff_range to, uint32_t word);
// Makes the command buffer from what was recorded.
tuff_status vk_cmd_finish(tuff_cmd *cmd);
VkCommandBuffer vk_cmd_buffer(tuff_cmd *cmd);
bool vk_cmd_seconds(tuff_cmd *cmd, double *seconds);
// Allocates a set of a pool, and binds ranges in it.
tuff_status vk_set_make(vk_device *d, VkDescriptorPool pool, const vk_layout *layout,
                        const tuff_binding b[], int count, VkDescriptorSet *set);

// ---- vk_bare.c ---------------------------------------------------------------------------

tuff_status vk_bare_create(tuff_device *dev, const tuff_launch *l, const tuff_binding b[],
                           int count, int times, tuff_bare **bare);
tuff_status vk_bare_run(tuff_bare *bare);
void vk_bare_destroy(tuff_bare *bare);
#endif
