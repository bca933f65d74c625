#include "fuzz.h"
#include "data/npy.h"

FUZZ_TARGET(npy)
{
    tuff_array a;
    const tuff_status status = tuff_npy_parse(data, size, &a);
    FUZZ_REQUIRE((status == TUFF_OK) == (a.data != NULL));
    if (a.data) fuzz_touch(a.data, tuff_desc_bytes(&a.desc));
    tuff_array_clear(&a);
    return status;
}
