// The Vulkan loader, opened at run time, and one instance shared by all open devices.
#define VOLK_IMPLEMENTATION
#include "device/vulkan/vk.h"
#include "base/alloc.h"
#include "base/file.h"
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    VkInstance instance;
    int users;
    bool loaded, debug_utils;
    uint32_t api; // version asked for
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

// ---- errors ------------------------------------------------------------------------------

static const char *result_name(VkResult r)
{
    switch (r) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_OUT_OF_POOL_MEMORY: return "VK_ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_FRAGMENTED_POOL: return "VK_ERROR_FRAGMENTED_POOL";
    default: return "an error that has no name here";
    }
}

tuff_status vk_failed(VkResult result, const char *text)
{
    tuff_log(2, "%s (%d) from %.200s", result_name(result), result, text);
    // The function's name alone goes into the sentence: "vkCreateBuffer".
    const char *name = strstr(text, "vk.vk");
    name = name ? name + 3 : text;
    const int n = (int)strcspn(name, "(_ ");
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return tuff_fail(TUFF_ERR_MEMORY, "the driver is out of host memory in %.*s", n, name);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTED_POOL:
    case VK_ERROR_TOO_MANY_OBJECTS:
        return tuff_fail(TUFF_ERR_MEMORY, "the device is out of memory in %.*s", n, name);
    case VK_ERROR_DEVICE_LOST:
        return tuff_fail(TUFF_ERR_LOST, "the device was lost in %.*s: close it and open it "
                         "again; what was in its memory is gone", n, name);
    default:
        return tuff_fail(TUFF_ERR_DEVICE, "%.*s failed with %s (%d)", n, name,
                         result_name(result), result);
    }
}

// ---- the instance ------------------------------------------------------------------------

// Mesa's CPU drivers keep compiled kernels in a folder of Mesa's, and nothing in a
// VkPipelineCache. Unless the user has said where that is, it lies beside Tuff's own files.
static void place_mesa_cache(void)
{
    char path[1024];
    if (getenv("MESA_SHADER_CACHE_DIR") || getenv("MESA_GLSL_CACHE_DIR")) return;
    tuff_cache_path("mesa", path, sizeof path);
    if (path[0] && tuff_folder_make(path) == TUFF_OK) setenv("MESA_SHADER_CACHE_DIR", path, 0);
}

static bool offers(const VkExtensionProperties *list, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(list[i].extensionName, name) == 0) return true;
    return false;
}

static tuff_status create_instance(void)
{
    tuff_status status = TUFF_OK;
    VkExtensionProperties *list = NULL;
    const char *name[2];
    uint32_t n = 0, names = 0;
    VkInstanceCreateFlags flags = 0;
    VK(vkEnumerateInstanceExtensionProperties(NULL, &n, NULL));
    list = tuff_alloc(n, sizeof *list);
    if (!list) return TUFF_ERR_MEMORY;
    VK(vkEnumerateInstanceExtensionProperties(NULL, &n, list));
    shared.debug_utils = offers(list, n, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    if (shared.debug_utils) name[names++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
#ifdef VK_KHR_portability_enumeration
    if (offers(list, n, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        name[names++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
#endif
    const uint32_t version = volkGetInstanceVersion();
    shared.api = version < VK_API_VERSION_1_3 ? version : VK_API_VERSION_1_3;
    if (version < VK_API_VERSION_1_1) {
        status = tuff_fail(TUFF_ERR_DEVICE, "the Vulkan loader speaks 1.0, 1.1 is needed");
        goto exit;
    }
    const VkResult made = vkCreateInstance(
        &(VkInstanceCreateInfo){
            .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
            .flags = flags,
            .pApplicationInfo =
                &(VkApplicationInfo){
                    .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                    .pEngineName = "tuff",
                    .engineVersion = VK_MAKE_VERSION(TUFF_VERSION_MAJOR, TUFF_VERSION_MINOR,
                                                     TUFF_VERSION_PATCH),
                    .apiVersion = shared.api,
                },
            .enabledExtensionCount = names,
            .ppEnabledExtensionNames = name,
        },
        NULL, &shared.instance);
    if (made == VK_ERROR_INCOMPATIBLE_DRIVER) {
        status = tuff_fail(TUFF_ERR_DEVICE, "the Vulkan loader finds no driver");
        goto exit;
    }
    if (made < 0) {
        status = vk_failed(made, "vkCreateInstance");
        goto exit;
    }
    volkLoadInstanceOnly(shared.instance);
exit:
    tuff_free(list);
    return status;
}

tuff_status vk_instance_retain(void)
{
    tuff_status status = TUFF_OK;
    pthread_mutex_lock(&shared.lock);
    if (!shared.loaded) {
        place_mesa_cache();
        if (volkInitialize() == VK_SUCCESS)
            shared.loaded = true;
        else
            status = tuff_fail(TUFF_ERR_DEVICE, "there is no Vulkan loader (libvulkan.so.1)");
    }
    if (status == TUFF_OK && !shared.instance) status = create_instance();
    if (status == TUFF_OK) shared.users++;
    pthread_mutex_unlock(&shared.lock);
    return status;
}

void vk_instance_release(void)
{
    pthread_mutex_lock(&shared.lock);
    if (--shared.users == 0) {
        vkDestroyInstance(shared.instance, NULL);
        shared.instance = VK_NULL_HANDLE;
    }
    pthread_mutex_unlock(&shared.lock);
}

tuff_status vk_instance_devices(VkPhysicalDevice list[VK_MOST_DEVICES], int *count)
{
    tuff_status status = TUFF_OK;
    uint32_t n = VK_MOST_DEVICES;
    *count = 0;
    VK(vkEnumeratePhysicalDevices(shared.instance, &n, list));
    *count = (int)n;
exit:
    return status;
}

PFN_vkVoidFunction vk_instance_function(const char *name)
{
    return vkGetInstanceProcAddr(shared.instance, name);
}

int vk_instance_api(void)
{
    return (int)(VK_API_VERSION_MAJOR(shared.api) * 10 + VK_API_VERSION_MINOR(shared.api));
}

void vk_name(vk_device *d, VkObjectType type, uint64_t handle, const char *format, ...)
{
    if (!shared.debug_utils || !vkSetDebugUtilsObjectNameEXT) return;
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)vkSetDebugUtilsObjectNameEXT(
        d->device, &(VkDebugUtilsObjectNameInfoEXT){
                       .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                       .objectType = type,
                       .objectHandle = handle,
                       .pObjectName = text,
                   });
}

// ---- listing -----------------------------------------------------------------------------

// The instance is held.
static tuff_status list_held(tuff_device_info *list, int capacity, int *count)
{
    VkPhysicalDevice device[VK_MOST_DEVICES];
    TUFF_TRY(vk_instance_devices(device, count));
    for (int i = 0; i < *count && i < capacity; i++) {
        tuff_vk_snapshot snap;
        tuff_vk_choice choice;
        TUFF_TRY(vk_snapshot(device[i], &snap));
        tuff_vk_choose(&snap, getenv("TUFF_AVOID"), &choice);
        tuff_vk_describe(&snap, &choice, &list[i]);
        snprintf(list[i].id, sizeof list[i].id, "vulkan:%u", (unsigned)i % 64);
    }
    return TUFF_OK;
}

tuff_status tuff_vulkan_list(tuff_device_info *list, int capacity, int *count)
{
    *count = 0;
    TUFF_TRY(tuff_vk_check_avoid(getenv("TUFF_AVOID")));
    tuff_status status = vk_instance_retain();
    if (status == TUFF_OK) {
        status = list_held(list, capacity, count);
        vk_instance_release();
    }
    if (status == TUFF_ERR_MEMORY) return status;
    if (status != TUFF_OK) *count = 0;
    static atomic_flag said = ATOMIC_FLAG_INIT; // one line, however often devices are listed
    if (*count == 0 && !atomic_flag_test_and_set(&said))
        tuff_log(1, "no Vulkan device, the CPU path alone is there: %s",
                 status == TUFF_OK ? "no driver lists one" : tuff_last_error());
    return TUFF_OK;
}

bool tuff_vulkan_hold(void) { return vk_instance_retain() == TUFF_OK; }
void tuff_vulkan_let_go(void) { vk_instance_release(); }
