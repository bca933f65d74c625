// The device a test runs on. Apart from harness.c, so that a test of a lower room links
// without the device room.
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>

tuff_device *open_device(void)
{
    const char *which = getenv("TUFF_DEVICE");
    tuff_device *device = NULL;
    if (tuff_device_open(which && *which ? which : "cpu", &device) == TUFF_OK) return device;
    printf("%s\n0 passed, 1 failed, 0 skipped, 0 known\n", tuff_last_error());
    exit(1);
}

tuff_tensor *new_tensor(tuff_device *device, tuff_stream *stream, tuff_desc d,
                        const void *data)
{
    tuff_tensor *t = NULL;
    if (EXPECT_OK(tuff_tensor_create(device, d, &t)) && data)
        EXPECT_OK(tuff_tensor_write(stream, t, data, tuff_desc_bytes(&d)));
    return t;
}
