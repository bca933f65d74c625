#include "format/huffman.h"
#include "base/status.h"
#include <string.h>

// ---- making codes --------------------------------------------------------------------------

enum { NODES = 2 * TUFF_HUFFMAN_SYMBOLS };

// The least of those that have no parent yet, but `other`.
static int least(const int64_t weight[], const int parent[], int nodes, int other)
{
    int best = -1;
    for (int i = 0; i < nodes; i++)
        if (weight[i] > 0 && !parent[i] && i != other &&
            (best < 0 || weight[i] < weight[best]))
            best = i;
    return best;
}

// Joins the two least until one is left; returns the longest code.
static int join(const int64_t count[], int n, uint8_t length[])
{
    int64_t weight[NODES] = { 0 };
    int parent[NODES] = { 0 }, nodes = n, longest = 0;
    memcpy(weight, count, (size_t)n * sizeof *weight);
    for (;;) {
        const int a = least(weight, parent, nodes, -1), b = least(weight, parent, nodes, a);
        if (b < 0) break;
        weight[nodes] = weight[a] + weight[b];
        parent[a] = parent[b] = nodes++;
    }
    for (int i = 0; i < n; i++) {
        int depth = 0;
        for (int at = i; parent[at]; at = parent[at]) depth++;
        if (count[i] && nodes == n) depth = 1; // it is alone
        if (depth > longest) longest = depth;
        length[i] = (uint8_t)(depth < 255 ? depth : 255);
    }
    return longest;
}

void tuff_huffman_lengths(const int64_t count[], int n, uint8_t length[])
{
    int64_t flat[TUFF_HUFFMAN_SYMBOLS];
    memcpy(flat, count, (size_t)n * sizeof *flat);
    // Counts that lie closer together give shorter codes; equal ones give 8 bits at most.
    while (join(flat, n, length) > TUFF_HUFFMAN_BITS)
        for (int i = 0; i < n; i++) flat[i] = (flat[i] + 1) / 2;
}

// The first code of each length.
static void first_codes(const uint8_t length[], int n, uint32_t first[])
{
    int of[TUFF_HUFFMAN_BITS + 1] = { 0 };
    for (int i = 0; i < n; i++) of[length[i]]++;
    of[0] = 0;
    first[0] = 0;
    for (int b = 1; b <= TUFF_HUFFMAN_BITS; b++)
        first[b] = (first[b - 1] + (uint32_t)of[b - 1]) << 1;
}

void tuff_huffman_codes(const uint8_t length[], int n, uint16_t code[])
{
    uint32_t next[TUFF_HUFFMAN_BITS + 1];
    first_codes(length, n, next);
    for (int i = 0; i < n; i++) code[i] = length[i] ? (uint16_t)next[length[i]]++ : 0;
}

// ---- reading them --------------------------------------------------------------------------

static tuff_status check(const uint8_t length[], int n, const char *what)
{
    int64_t used = 0; // of 2^15
    int codes = 0;
    for (int i = 0; i < n; i++) {
        if (!length[i]) continue;
        TUFF_REQUIRE(length[i] <= TUFF_HUFFMAN_BITS, FORMAT, "a code of its %s has %d bits",
                     what, length[i]);
        used += (int64_t)1 << (TUFF_HUFFMAN_BITS - length[i]);
        codes++;
    }
    const int64_t all = (int64_t)1 << TUFF_HUFFMAN_BITS;
    TUFF_REQUIRE(codes > 0, FORMAT, "the Huffman table of its %s has no codes", what);
    TUFF_REQUIRE(used <= all, FORMAT,
                 "the Huffman table of its %s has more codes than their lengths allow", what);
    TUFF_REQUIRE(used == all || (codes == 1 && used == all / 2), FORMAT,
                 "the Huffman table of its %s leaves codes without a meaning", what);
    return TUFF_OK;
}

tuff_status tuff_huffman_build(tuff_huffman *h, const uint8_t length[], int n, const char *what)
{
    uint16_t code[TUFF_HUFFMAN_SYMBOLS];
    TUFF_TRY(check(length, n, what));
    h->bits = 1;
    for (int i = 0; i < n; i++)
        if (length[i] > h->bits) h->bits = length[i];
    memset(h->table, 0, sizeof *h->table << h->bits);
    tuff_huffman_codes(length, n, code);
    for (int i = 0; i < n; i++) {
        if (!length[i]) continue;
        const int rest = h->bits - length[i];
        for (uint32_t k = 0; k < 1u << rest; k++)
            h->table[((uint32_t)code[i] << rest) + k] = (uint16_t)(i | length[i] << 8);
    }
    return TUFF_OK;
}
