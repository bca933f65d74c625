#include "fuzz.h"
#include "ops/case.h"

// The first byte chooses the op, the rest is a case of it.
FUZZ_TARGET(call)
{
    static tuff_case c, again;
    char printed[TUFF_CASE_TEXT];
    const tuff_op *op = tuff_op_at(size ? data[0] % tuff_op_count() : 0);
    char *text = malloc(size + 1);
    if (!text) return TUFF_ERR_MEMORY;
    if (size > 1) memcpy(text, data + 1, size - 1);
    text[size > 1 ? size - 1 : 0] = 0;
    for (char *line = strchr(text, '\n'); line; line = strchr(line, '\n')) *line = ' ';
    const tuff_status status = tuff_case_parse(op, TUFF_F32, text, &c);
    free(text);
    if (status != TUFF_OK) return status;
    for (int o = 0; o < c.call.nout; o++)
        FUZZ_REQUIRE(tuff_desc_count(&c.call.out[o]) >= 1 &&
                     tuff_desc_count(&c.call.out[o]) <= INT32_MAX);
    if (tuff_case_print(&c.call, printed, sizeof printed) >= sizeof printed) return status;
    FUZZ_REQUIRE(tuff_case_parse(op, TUFF_F32, printed, &again) == TUFF_OK);
    for (int o = 0; o < c.call.nout; o++)
        FUZZ_REQUIRE(tuff_desc_equal(&c.call.out[o], &again.call.out[o]));
    return status;
}
