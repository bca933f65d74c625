#include "fuzz.h"
#include "data/parts.h"

FUZZ_TARGET(idx)
{
    tuff_array a;
    const tuff_status status = tuff_idx_parse(data, size, &a);
    FUZZ_REQUIRE((status == TUFF_OK) == (a.data != NULL));
    if (a.data) FUZZ_REQUIRE(tuff_desc_bytes(&a.desc) < size);
    if (a.data) fuzz_touch(a.data, tuff_desc_bytes(&a.desc));
    tuff_array_clear(&a);
    return status;
}
