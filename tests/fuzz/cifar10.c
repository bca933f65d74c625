#include "fuzz.h"
#include "data/parts.h"

FUZZ_TARGET(cifar10)
{
    tuff_array x = { 0 }, y = { 0 };
    tuff_status status = tuff_cifar10_parse(data, size, &x, &y);
    if (status == TUFF_OK) status = tuff_cifar10_parse(data, size, &x, &y); // appends
    if (status == TUFF_OK) {
        FUZZ_REQUIRE((size_t)y.desc.dim[0] == size / 3073 * 2);
        fuzz_touch(x.data, tuff_desc_bytes(&x.desc));
        for (int64_t i = 0; i < y.desc.dim[0]; i++)
            FUZZ_REQUIRE(((int32_t *)y.data)[i] >= 0 && ((int32_t *)y.data)[i] < 10);
    }
    tuff_array_clear(&x);
    tuff_array_clear(&y);
    return status;
}
