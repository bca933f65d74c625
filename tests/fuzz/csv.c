#include "fuzz.h"
#include "data/parts.h"

// The first byte chooses the options.
FUZZ_TARGET(csv)
{
    static const char *const labels[] = { NULL, "0", "-2", "kind" };
    tuff_parts parts = { 0 };
    const int how = size ? data[0] : 0;
    char *text = malloc(size ? size : 1);
    if (!text) return TUFF_ERR_MEMORY;
    if (size > 1) memcpy(text, data + 1, size - 1);
    const char *answer = labels[how % 4];
    const bool target = how & 4;
    const tuff_status status = tuff_csv_parse("t.csv", text, size ? size - 1 : 0,
                                              target ? NULL : answer,
                                              target ? answer : NULL, &parts);
    if (status == TUFF_OK) {
        const tuff_desc *x = &parts.x.desc, *y = &parts.y.desc;
        FUZZ_REQUIRE(x->rank == 2 && x->dim[0] == y->dim[0]);
        fuzz_touch(parts.x.data, tuff_desc_bytes(x));
        for (int64_t i = 0; parts.names && i < y->dim[0]; i++) {
            const int32_t label = ((int32_t *)parts.y.data)[i];
            FUZZ_REQUIRE(label >= 0 && label < parts.name_count && parts.names[label]);
        }
    }
    tuff_parts_clear(&parts);
    free(text);
    return status;
}
