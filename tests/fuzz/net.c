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
    tuff_net *tree = NULL, *again = NULL;
    tuff_net_item *items = NULL;
    char *first = NULL, *second = NULL;
    int count = 0;
    char *text = malloc(size + 1);
    if (!text) return TUFF_ERR_MEMORY;
    if (size) memcpy(text, data, size);
    text[size] = 0;
    tuff_status status = tuff_net_parse(text, &tree);
    free(text);
    if (status == TUFF_OK) status = tuff_net_flatten(tree, &items, &count);
    if (status != TUFF_OK) {
        check_marks();
        tuff_net_free(&tree);
        return tuff_fail(status, "the net is refused");
    }
    FUZZ_REQUIRE(count >= 1 && count <= TUFF_NET_LAYERS);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < items[i].nin; k++)
            FUZZ_REQUIRE(items[i].in[k] >= TUFF_NET_INPUT && items[i].in[k] < i);
    if (tuff_net_print(tree, &first) == TUFF_OK) {
        FUZZ_REQUIRE(tuff_net_parse(first, &again) == TUFF_OK);
        if (tuff_net_print(again, &second) == TUFF_OK)
            FUZZ_REQUIRE(strcmp(first, second) == 0);
    }
    tuff_free(first);
    tuff_free(second);
    tuff_free(items);
    tuff_net_free(&tree);
    tuff_net_free(&again);
    return status;
}
