#include "fuzz.h"
#include "format/png.h"

FUZZ_TARGET(png)
{
    // The size in the header is kept small: a hunt is not to spend its time on large images.
    if (size >= 24 && (data[16] || data[17] || data[18] > 1 || data[20] || data[21] ||
                       data[22] > 1))
        return TUFF_OK;
    tuff_array a;
    const tuff_status status = tuff_png_parse(data, size, size % 2 ? 3 : 0, &a);
    FUZZ_REQUIRE((status == TUFF_OK) == (a.data != NULL));
    const size_t count = a.data ? (size_t)tuff_desc_count(&a.desc) : 0;
    for (size_t i = 0; i < count; i++) {
        const float v = ((const float *)a.data)[i];
        FUZZ_REQUIRE(v >= 0 && v <= 1);
    }
    tuff_array_clear(&a);
    return status;
}
