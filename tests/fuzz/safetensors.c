#include "fuzz.h"
#include "base/alloc.h"
#include "format/safetensors.h"

FUZZ_TARGET(safetensors)
{
    tuff_safetensors *f;
    uint8_t *copy = tuff_alloc(size, 1);
    if (!copy) return TUFF_ERR_MEMORY;
    if (size) memcpy(copy, data, size);
    const tuff_status status = tuff_safetensors_parse(copy, size, &f);
    FUZZ_REQUIRE((status == TUFF_OK) == (f != NULL));
    size_t bytes = 0;
    for (int i = 0; f && i < tuff_safetensors_count(f); i++) {
        const tuff_named_array *a = tuff_safetensors_at(f, i);
        bytes += tuff_desc_bytes(&a->array.desc);
        FUZZ_REQUIRE(bytes <= size);
        FUZZ_REQUIRE(tuff_safetensors_find(f, a->name) == &a->array);
        fuzz_touch(a->array.data, tuff_desc_bytes(&a->array.desc));
    }
    if (f && tuff_safetensors_meta(f, "k")) fuzz_touch(tuff_safetensors_meta(f, "k"), 1);
    tuff_safetensors_destroy(&f);
    return status;
}
