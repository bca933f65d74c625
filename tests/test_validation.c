// Is the validation layer really watching? This program makes a mistake that only
// synchronization validation sees: two fills of one buffer with no barrier between them. In
// tests/list.txt it is marked `speaks`, so that the runner fails it unless the layer says so.
#include <stdio.h>

#ifdef TUFF_NO_VULKAN
int main(void)
{
    puts("0 passed, 0 failed, 1 skipped, 0 known");
    return 0;
}
#else
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <vulkan/vulkan.h>

#define INSTANCE_FUNCTIONS(X) \
    X(EnumeratePhysicalDevices) X(CreateDevice) X(GetDeviceProcAddr) X(DestroyInstance)
#define DEVICE_FUNCTIONS(X) \
    X(CreateBuffer) X(GetBufferMemoryRequirements) X(AllocateMemory) X(BindBufferMemory) \
    X(CreateCommandPool) X(AllocateCommandBuffers) X(BeginCommandBuffer) X(CmdFillBuffer) \
    X(EndCommandBuffer) X(DestroyCommandPool) X(DestroyBuffer) X(FreeMemory) X(DestroyDevice)
#define DECLARE(name) static PFN_vk##name vk##name;
INSTANCE_FUNCTIONS(DECLARE)
DEVICE_FUNCTIONS(DECLARE)

static VkInstance open_instance(void)
{
    void *loader = dlopen("libvulkan.so.1", RTLD_NOW);
    PFN_vkGetInstanceProcAddr get = NULL;
    if (loader) *(void **)&get = dlsym(loader, "vkGetInstanceProcAddr");
    if (!get) return NULL;

    VkInstance instance = NULL;
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
    const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
    if (create(&info, NULL, &instance) != VK_SUCCESS) return NULL;
#define LOAD(name) vk##name = (PFN_vk##name)get(instance, "vk" #name);
    INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return instance;
}

static VkDevice open_device(VkInstance instance)
{
    uint32_t count = 1;
    VkPhysicalDevice gpu = NULL;
    vkEnumeratePhysicalDevices(instance, &count, &gpu);
    if (!gpu) return NULL;

    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
    };
    VkDevice device = NULL;
    if (vkCreateDevice(gpu, &info, NULL, &device) != VK_SUCCESS) return NULL;
#define LOAD(name) vk##name = (PFN_vk##name)vkGetDeviceProcAddr(device, "vk" #name);
    DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return device;
}

// The mistake. Nothing is submitted: it shows while recording.
static void fill_twice(VkDevice device, VkCommandPool pool, VkBuffer buffer)
{
    VkCommandBuffer commands = NULL;
    vkAllocateCommandBuffers(device, &(VkCommandBufferAllocateInfo){
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = pool,
        .commandBufferCount = 1,
    }, &commands);
    vkBeginCommandBuffer(commands, &(VkCommandBufferBeginInfo){
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
    });
    vkCmdFillBuffer(commands, buffer, 0, VK_WHOLE_SIZE, 1);
    vkCmdFillBuffer(commands, buffer, 0, VK_WHOLE_SIZE, 2);
    vkEndCommandBuffer(commands);
}

int main(void)
{
    VkInstance instance = open_instance();
    VkDevice device = instance ? open_device(instance) : NULL;
    if (!device) {
        puts("no Vulkan device could be opened\n0 passed, 1 failed, 0 skipped, 0 known");
        return 1;
    }
    VkBuffer buffer = VK_NULL_HANDLE;
    VkMemoryRequirements needs;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    VkCommandPool pool = VK_NULL_HANDLE;
    vkCreateBuffer(device, &(VkBufferCreateInfo){
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = 4096,
        .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    }, NULL, &buffer);
    vkGetBufferMemoryRequirements(device, buffer, &needs);
    vkAllocateMemory(device, &(VkMemoryAllocateInfo){
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs.size,
    }, NULL, &memory);
    vkBindBufferMemory(device, buffer, memory, 0);
    vkCreateCommandPool(device, &(VkCommandPoolCreateInfo){
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
    }, NULL, &pool);

    fill_twice(device, pool, buffer);

    vkDestroyCommandPool(device, pool, NULL);
    vkDestroyBuffer(device, buffer, NULL);
    vkFreeMemory(device, memory, NULL);
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
    puts("1 passed, 0 failed, 0 skipped, 0 known");
    return 0;
}
#endif
