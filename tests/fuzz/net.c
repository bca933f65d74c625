#include "base/alloc.h"
#include "base/status.h"
#include "fuzz.h"
#include "nn/net.h"

// A refusal shows the line and marks the word below it: three lines of printable text.
static void check_marks(void)
{
    int lines = 1;
    for (const unsigned char *at = (const unsigned char *)tuff_last_error(); *at; at++) {
        lines += *at == '\n';
        FUZZ_REQUIRE(*at == '\n' || (*at >= ' ' && *at != 127));
    }
    FUZZ_REQUIRE(lines <= 3);
}

// What was read is printed, and read again as the same.
FUZZ_TARGET(net)
{
    tuff_layer *layers = NULL, *again = NULL;
    int count = 0, same = 0;
    char *text = malloc(size + 1);
    if (!text) return TUFF_ERR_MEMORY;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    const tuff_status status = tuff_net_read(text, &layers, &count);
    free(text);
    if (status != TUFF_OK) {
        check_marks();
        return tuff_fail(status, "the net is refused");
    }
    FUZZ_REQUIRE(count >= 1 && count <= TUFF_NET_LAYERS);
    char *first = tuff_net_print(layers, count), *second = NULL;
    if (first) {
        FUZZ_REQUIRE(tuff_net_read(first, &again, &same) == TUFF_OK && same == count);
        second = tuff_net_print(again, same);
        FUZZ_REQUIRE(second && strcmp(first, second) == 0);
    }
    tuff_free(first);
    tuff_free(second);
    tuff_free(layers);
    tuff_free(again);
    return status;
}
