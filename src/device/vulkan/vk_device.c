// Opening and closing a Vulkan device.
#include "device/vulkan/vk.h"
#include "base/alloc.h"
#include <stdio.h>
#include <stdlib.h>

// Long, because Vulkan has a struct for each feature.
static tuff_status create_device(vk_device *d)
{
    tuff_status status = TUFF_OK;
    const tuff_caps *k = &d->choice.caps;
    const char *name[TUFF_VK_EXT_COUNT];
    uint32_t names = 0;
    for (int e = 0; e < TUFF_VK_EXT_COUNT; e++)
        if (d->choice.enable[e]) name[names++] = tuff_vk_ext_name[e];

    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .storageBuffer16BitAccess = VK_TRUE,
    };
    VkPhysicalDevice8BitStorageFeatures storage8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
        .storageBuffer8BitAccess = VK_TRUE,
    };
    VkPhysicalDeviceShaderFloat16Int8Features f16_i8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        .shaderFloat16 = k->f16,
        .shaderInt8 = k->i8,
    };
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
        .timelineSemaphore = VK_TRUE,
    };
    VkPhysicalDeviceVulkanMemoryModelFeatures model = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
        .vulkanMemoryModel = VK_TRUE,
        .vulkanMemoryModelDeviceScope = d->snap.memory_model_device,
    };
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .shaderIntegerDotProduct = VK_TRUE,
    };
    VkPhysicalDeviceSubgroupSizeControlFeatures control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .subgroupSizeControl = VK_TRUE,
    };
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .cooperativeMatrix = VK_TRUE,
    };
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
        .cooperativeMatrixPerElementOperations = VK_TRUE,
    };
    VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
        .shaderBFloat16Type = VK_TRUE,
        .shaderBFloat16CooperativeMatrix = VK_TRUE,
    };
    // Shaders built for 1.3 say the size of their workgroups in its way; every 1.3 has it.
    VkPhysicalDeviceMaintenance4Features maintenance4 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES,
        .maintenance4 = VK_TRUE,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .features = { .shaderInt16 = d->snap.i16 },
    };
    if (k->storage16) CHAIN(features, storage16);
    if (k->storage8) CHAIN(features, storage8);
    if (k->f16 || k->i8) CHAIN(features, f16_i8);
    if (k->timeline) CHAIN(features, timeline);
    if (d->choice.memory_model) CHAIN(features, model);
    if (k->dot8) CHAIN(features, dot);
    if (k->subgroup_control) CHAIN(features, control);
    if (k->coopmat) CHAIN(features, coopmat);
    if (k->coopmat) CHAIN(features, maintenance4);
    if (k->coopmat2) CHAIN(features, coopmat2);
    if (d->choice.enable[TUFF_VK_BFLOAT16]) CHAIN(features, bfloat16);

    VK(vkCreateDevice(
        d->physical,
        &(VkDeviceCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
            .pNext = &features,
            .queueCreateInfoCount = 1,
            .pQueueCreateInfos =
                &(VkDeviceQueueCreateInfo){
                    .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                    .queueFamilyIndex = (uint32_t)d->choice.family,
                    .queueCount = 1,
                    .pQueuePriorities = &(float){ 1 },
                },
            .enabledExtensionCount = names,
            .ppEnabledExtensionNames = name,
        },
        NULL, &d->device));
    volkLoadDeviceTable(&d->vk, d->device);
exit:
    return status;
}

// Releases what there is; `d` may be half-built.
static void close_device(tuff_device *dev)
{
    vk_device *d = (vk_device *)dev;
    if (d->device) {
        if (d->submitted) (void)vk_wait(dev, d->submitted);
        vk_cache_close(d);
        vk_pipeline_destroy_all(d);
        vk_memory_destroy(d);
        vk_queue_destroy(d);
        d->vk.vkDestroyDevice(d->device, NULL);
    }
    if (d->locks) {
        pthread_mutex_destroy(&d->queue_lock);
        pthread_mutex_destroy(&d->memory_lock);
        pthread_mutex_destroy(&d->pipeline_lock);
    }
    if (d->holds_instance) vk_instance_release();
    tuff_free(d);
}

static void stats(tuff_device *dev, tuff_memory_stats *s)
{
    vk_device *d = (vk_device *)dev;
    pthread_mutex_lock(&d->memory_lock);
    s->reserved = d->reserved;
    s->blocks = (uint32_t)d->blocks;
    pthread_mutex_unlock(&d->memory_lock);
    s->pipelines = atomic_load(&d->pipelines);
}

static const tuff_backend backend = {
    .close = close_device,
    .buffer_create = vk_buffer_create,
    .buffer_destroy = vk_buffer_destroy,
    .cmd_create = vk_cmd_create,
    .cmd_destroy = vk_cmd_destroy,
    .cmd_reset = vk_cmd_reset,
    .launch = vk_cmd_launch,
    .host_call = vk_cmd_host_call,
    .copy = vk_cmd_copy,
    .fill = vk_cmd_fill,
    .finish = vk_cmd_finish,
    .submit = vk_submit,
    .wait = vk_wait,
    .done = vk_done,
    .seconds = vk_cmd_seconds,
    .bare_create = vk_bare_create,
    .bare_run = vk_bare_run,
    .bare_destroy = vk_bare_destroy,
    .stats = stats,
};

tuff_status tuff_vulkan_open(int index, tuff_device **dev)
{
    tuff_status status = TUFF_OK;
    VkPhysicalDevice list[VK_MOST_DEVICES];
    int count = 0;
    vk_device *d = tuff_alloc(1, sizeof *d);
    if (!d) return TUFF_ERR_MEMORY;
    d->base.backend = &backend;
    d->locks = pthread_mutex_init(&d->queue_lock, NULL) == 0 &&
               pthread_mutex_init(&d->memory_lock, NULL) == 0 &&
               pthread_mutex_init(&d->pipeline_lock, NULL) == 0;
    TUFF_GO(vk_instance_retain());
    d->holds_instance = true;
    TUFF_GO(vk_instance_devices(list, &count));
    if (index < 0 || index >= count) {
        status = tuff_fail(TUFF_ERR_DEVICE, "there is no device vulkan:%d, there are %d", index,
                           count);
        goto exit;
    }
    d->physical = list[index];
    TUFF_GO(vk_snapshot(d->physical, &d->snap));
    tuff_vk_choose(&d->snap, getenv("TUFF_AVOID"), &d->choice);
    tuff_vk_describe(&d->snap, &d->choice, &d->base.info);
    snprintf(d->base.info.id, sizeof d->base.info.id, "vulkan:%u", (unsigned)index % 64);
    d->base.caps = d->choice.caps;
    if (d->choice.problem[0]) {
        status = tuff_fail(TUFF_ERR_DEVICE, "%s cannot be used: %s", d->snap.name,
                           d->choice.problem);
        goto exit;
    }
    if (d->choice.quirks[0]) tuff_log(2, "%s: %s", d->snap.name, d->choice.quirks);
    TUFF_GO(create_device(d));
    TUFF_GO(vk_queue_create(d));
    TUFF_GO(vk_cache_open(d));
    *dev = &d->base;
    return TUFF_OK;
exit:
    close_device(&d->base);
    return status;
}
