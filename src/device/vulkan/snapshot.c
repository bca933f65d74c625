// Asks a Vulkan device everything, once.
#include "device/vulkan/vk.h"
#include "base/alloc.h"
#include <stdio.h>
#include <string.h>

// Is an extension's content there, as an extension or as a part of the API?
static bool has(const tuff_vk_snapshot *s, int ext)
{
    return s->ext[ext] || tuff_vk_ext_in_core(s, ext);
}

static tuff_device_type type_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return TUFF_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return TUFF_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return TUFF_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return TUFF_DEVICE_SOFTWARE;
    default: return TUFF_DEVICE_OTHER;
    }
}

static tuff_status ask_extensions(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    tuff_status status = TUFF_OK;
    VkExtensionProperties *list = NULL;
    uint32_t n = 0;
    VK(vkEnumerateDeviceExtensionProperties(device, NULL, &n, NULL));
    list = tuff_alloc(n, sizeof *list);
    if (!list) return TUFF_ERR_MEMORY;
    VK(vkEnumerateDeviceExtensionProperties(device, NULL, &n, list));
    for (uint32_t i = 0; i < n; i++)
        for (int e = 0; e < TUFF_VK_EXT_COUNT; e++)
            if (strcmp(list[i].extensionName, tuff_vk_ext_name[e]) == 0) s->ext[e] = true;
exit:
    tuff_free(list);
    return status;
}

static void take_limits(const VkPhysicalDeviceLimits *l, tuff_vk_snapshot *s)
{
    s->group = l->maxComputeWorkGroupInvocations;
    for (int i = 0; i < 3; i++) {
        s->group_size[i] = l->maxComputeWorkGroupSize[i];
        s->groups[i] = l->maxComputeWorkGroupCount[i];
    }
    s->shared = l->maxComputeSharedMemorySize;
    s->stage_storage = l->maxPerStageDescriptorStorageBuffers;
    s->set_storage = l->maxDescriptorSetStorageBuffers;
    s->stage_sampled = l->maxPerStageDescriptorSampledImages;
    s->storage_range = l->maxStorageBufferRange;
    s->texels = l->maxTexelBufferElements;
    s->push = l->maxPushConstantsSize;
    s->max_allocs = l->maxMemoryAllocationCount;
    s->storage_align = l->minStorageBufferOffsetAlignment;
    s->texel_align = l->minTexelBufferOffsetAlignment;
    s->timestamp_ns = l->timestampPeriod;
}

static void take_driver_text(const VkPhysicalDeviceDriverProperties *driver,
                             tuff_vk_snapshot *s)
{
    s->driver_id = driver->driverID;
    memcpy(s->driver_name, driver->driverName, sizeof s->driver_name);
    memcpy(s->driver_info, driver->driverInfo, sizeof s->driver_info);
}

static void ask_properties(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    VkPhysicalDeviceMaintenance3Properties maintenance3 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES
    };
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES
    };
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES
    };
    VkPhysicalDeviceSubgroupSizeControlProperties control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES
    };
    VkPhysicalDeviceShaderIntegerDotProductProperties dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES
    };
    VkPhysicalDeviceMaintenance4Properties maintenance4 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES
    };
    VkPhysicalDeviceProperties2 p = { .sType =
                                          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 };
    CHAIN(p, maintenance3);
    CHAIN(p, subgroup);
    if (has(s, TUFF_VK_DRIVER)) CHAIN(p, driver);
    if (has(s, TUFF_VK_SUBGROUP)) CHAIN(p, control);
    if (has(s, TUFF_VK_DOT)) CHAIN(p, dot);
    if (has(s, TUFF_VK_MAINTENANCE4)) CHAIN(p, maintenance4);
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV
    };
    VkPhysicalDeviceShaderCorePropertiesAMD amd = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD
    };
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM
    };
    if (s->ext[TUFF_VK_CORES_NV]) CHAIN(p, nv);
    if (s->ext[TUFF_VK_CORES_AMD]) CHAIN(p, amd);
    if (s->ext[TUFF_VK_CORES_ARM]) CHAIN(p, arm);
    vkGetPhysicalDeviceProperties2(device, &p);

    s->cores = nv.shaderSMCount + arm.shaderCoreCount +
               amd.shaderEngineCount * amd.shaderArraysPerEngineCount *
                   amd.computeUnitsPerShaderArray;
    s->max_alloc = maintenance3.maxMemoryAllocationSize;
    s->max_buffer = maintenance4.maxBufferSize;
    take_driver_text(&driver, s);
    const bool compute = subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT;
    const VkSubgroupFeatureFlags ops = compute ? subgroup.supportedOperations : 0;
    s->subgroup = subgroup.subgroupSize;
    s->subgroup_basic = ops & VK_SUBGROUP_FEATURE_BASIC_BIT;
    s->subgroup_shuffle = ops & VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    s->subgroup_arithmetic = ops & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    s->subgroup_min = control.minSubgroupSize;
    s->subgroup_max = control.maxSubgroupSize;
    s->subgroup_required = control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT;
    s->dot8_fast = dot.integerDotProduct4x8BitPackedSignedAccelerated;
    take_limits(&p.properties.limits, s);
}

static void ask_features(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES
    };
    VkPhysicalDevice8BitStorageFeatures storage8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES
    };
    VkPhysicalDeviceShaderFloat16Int8Features f16_i8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES
    };
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES
    };
    VkPhysicalDeviceVulkanMemoryModelFeatures model = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES
    };
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES
    };
    VkPhysicalDeviceSubgroupSizeControlFeatures control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES
    };
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR
    };
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV
    };
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR
    };
    VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
    CHAIN(f, storage16);
    if (has(s, TUFF_VK_STORAGE8)) CHAIN(f, storage8);
    if (has(s, TUFF_VK_F16_I8)) CHAIN(f, f16_i8);
    if (has(s, TUFF_VK_TIMELINE)) CHAIN(f, timeline);
    if (has(s, TUFF_VK_MEMORY_MODEL)) CHAIN(f, model);
    if (has(s, TUFF_VK_DOT)) CHAIN(f, dot);
    if (has(s, TUFF_VK_SUBGROUP)) CHAIN(f, control);
    if (has(s, TUFF_VK_COOPMAT)) CHAIN(f, coopmat);
    if (has(s, TUFF_VK_COOPMAT2)) CHAIN(f, coopmat2);
    if (has(s, TUFF_VK_BFLOAT16)) CHAIN(f, bfloat16);
    vkGetPhysicalDeviceFeatures2(device, &f);

    s->i16 = f.features.shaderInt16;
    s->storage16 = storage16.storageBuffer16BitAccess;
    s->storage8 = storage8.storageBuffer8BitAccess;
    s->f16 = f16_i8.shaderFloat16;
    s->i8 = f16_i8.shaderInt8;
    s->timeline = timeline.timelineSemaphore;
    s->memory_model = model.vulkanMemoryModel;
    s->memory_model_device = model.vulkanMemoryModelDeviceScope;
    s->dot = dot.shaderIntegerDotProduct;
    s->subgroup_control = control.subgroupSizeControl;
    s->coopmat = coopmat.cooperativeMatrix;
    s->coopmat_each = coopmat2.cooperativeMatrixPerElementOperations;
    s->bfloat16 = bfloat16.shaderBFloat16Type && bfloat16.shaderBFloat16CooperativeMatrix;
}

// A driver that lists none, or more than there is room for, is none to stumble over.
static void ask_coopmats(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    VkCooperativeMatrixPropertiesKHR list[TUFF_VK_MOST_COOPMATS];
    uint32_t n = TUFF_VK_MOST_COOPMATS;
    const PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR ask =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)vk_instance_function(
            "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    if (!s->coopmat || !ask) return;
    for (uint32_t i = 0; i < n; i++)
        list[i] = (VkCooperativeMatrixPropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR
        };
    if (ask(device, &n, list) < 0) return;
    s->coopmat_kinds = (int)n;
    for (uint32_t i = 0; i < n; i++)
        s->coopmats[i] = (tuff_vk_coopmat){
            .m = list[i].MSize, .n = list[i].NSize, .k = list[i].KSize,
            .a = (uint32_t)list[i].AType, .b = (uint32_t)list[i].BType,
            .c = (uint32_t)list[i].CType, .result = (uint32_t)list[i].ResultType,
            .scope = (uint32_t)list[i].scope, .saturating = list[i].saturatingAccumulation,
        };
}

static void ask_queues(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    VkQueueFamilyProperties family[TUFF_VK_MOST_FAMILIES];
    uint32_t n = TUFF_VK_MOST_FAMILIES;
    vkGetPhysicalDeviceQueueFamilyProperties(device, &n, family);
    s->families = (int)n;
    for (uint32_t i = 0; i < n; i++) {
        s->family[i].count = family[i].queueCount;
        s->family[i].compute = family[i].queueFlags & VK_QUEUE_COMPUTE_BIT;
        s->family[i].graphics = family[i].queueFlags & VK_QUEUE_GRAPHICS_BIT;
        s->family[i].timestamp_bits = family[i].timestampValidBits;
    }
}

static void ask_memory(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    // Bits of memory that needs more than this backend does: protected, lazily allocated,
    // device-coherent and device-uncached (AMD), remote (NVIDIA).
    const VkMemoryPropertyFlags plain =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
        VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    VkPhysicalDeviceMemoryProperties m;
    vkGetPhysicalDeviceMemoryProperties(device, &m);
    s->types = (int)m.memoryTypeCount;
    for (int i = 0; i < s->types; i++) {
        const VkMemoryPropertyFlags f = m.memoryTypes[i].propertyFlags;
        s->type_of[i].heap = (int)m.memoryTypes[i].heapIndex;
        s->type_of[i].local = f & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
        s->type_of[i].visible = f & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
        s->type_of[i].coherent = f & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        s->type_of[i].cached = f & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
        s->type_of[i].odd = f & ~plain;
    }
    s->heaps = (int)m.memoryHeapCount;
    for (int i = 0; i < s->heaps; i++) {
        s->heap[i].size = m.memoryHeaps[i].size;
        s->heap[i].local = m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
    }
}

tuff_status vk_snapshot(VkPhysicalDevice device, tuff_vk_snapshot *s)
{
    memset(s, 0, sizeof *s);
    VkPhysicalDeviceProperties p;
    vkGetPhysicalDeviceProperties(device, &p);
    memcpy(s->name, p.deviceName, sizeof s->name);
    s->vendor = p.vendorID;
    s->device = p.deviceID;
    s->driver_version = p.driverVersion;
    s->type = type_of(p.deviceType);
    memcpy(s->cache_uuid, p.pipelineCacheUUID, sizeof s->cache_uuid);
    s->major = (int)VK_API_VERSION_MAJOR(p.apiVersion);
    s->minor = (int)VK_API_VERSION_MINOR(p.apiVersion);
    snprintf(s->api, sizeof s->api, "%u.%u.%u", VK_API_VERSION_MAJOR(p.apiVersion) & 7u,
             VK_API_VERSION_MINOR(p.apiVersion) & 1023u,
             VK_API_VERSION_PATCH(p.apiVersion) & 4095u);
    take_limits(&p.limits, s);
    if (s->major == 1 && s->minor < 1) return TUFF_OK; // the questions below came with 1.1
    const int api = vk_instance_api();
    if (s->major * 10 + s->minor > api) {
        s->major = api / 10;
        s->minor = api % 10;
    }
    TUFF_TRY(ask_extensions(device, s));
    ask_properties(device, s);
    ask_features(device, s);
    ask_coopmats(device, s);
    ask_queues(device, s);
    ask_memory(device, s);
    return TUFF_OK;
}
