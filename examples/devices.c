// Lists the devices of this machine and says which one `auto` takes.
#include "example.h"

int main(void)
{
    tuff_device_info list[16];
    int count;
    DO(tuff_device_list(list, 16, &count));
    for (int i = 0; i < count && i < 16; i++)
        printf("%-10s %s%s%s\n", list[i].id, list[i].name, list[i].problem[0] ? ": " : "",
               list[i].problem);

    tuff_device *device;
    DO(tuff_device_open("auto", &device));
    printf("auto takes %s\n", tuff_device_get_info(device)->name);
    tuff_device_close(&device);
    return 0;
}
