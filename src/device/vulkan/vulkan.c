// The Vulkan devices of this machine.
#include "device/impl.h"

tuff_status tuff_vulkan_list(tuff_device_info *list, int capacity, int *count)
{
    (void)list, (void)capacity;
    *count = 0;
    tuff_log(1, "the Vulkan backend is not in this build; the CPU path alone is there");
    return TUFF_OK;
}

tuff_status tuff_vulkan_open(int index, tuff_device **dev)
{
    *dev = NULL;
    return tuff_fail(TUFF_ERR_DEVICE, "there is no Vulkan device %d", index);
}
