// Many words of a sequence at once: sixteen blocks of four beside one another.
#include "base/processor.h"
#include "base/rng.h"
#include <string.h>

enum { BLOCKS = 16, WORDS = 4 * BLOCKS };

// The blocks from number `first` on.
TUFF_EACH_PROCESSOR void philox(uint64_t seed, uint64_t first, uint32_t *words)
{
    uint32_t x0[BLOCKS], x1[BLOCKS], x2[BLOCKS] = { 0 }, x3[BLOCKS] = { 0 };
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    TUFF_INDEPENDENT
    for (int i = 0; i < BLOCKS; i++) {
        x0[i] = (uint32_t)(first + (uint64_t)i);
        x1[i] = (uint32_t)((first + (uint64_t)i) >> 32);
    }
    for (int round = 0; round < 10; round++) {
        TUFF_INDEPENDENT
        for (int i = 0; i < BLOCKS; i++) {
            const uint64_t a = (uint64_t)0xD2511F53u * x0[i], b = (uint64_t)0xCD9E8D57u * x2[i];
            x0[i] = (uint32_t)(b >> 32) ^ x1[i] ^ k0;
            x2[i] = (uint32_t)(a >> 32) ^ x3[i] ^ k1;
            x1[i] = (uint32_t)b;
            x3[i] = (uint32_t)a;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    TUFF_INDEPENDENT
    for (int i = 0; i < BLOCKS; i++) {
        words[4 * i] = x0[i];
        words[4 * i + 1] = x1[i];
        words[4 * i + 2] = x2[i];
        words[4 * i + 3] = x3[i];
    }
}
TUFF_FOR_PROCESSORS(philox, (uint64_t seed, uint64_t first, uint32_t *words),
                    (seed, first, words))

void tuff_rng_words(uint64_t seed, uint64_t first, size_t n, uint32_t *words)
{
    philox_fn *best = philox_best();
    uint32_t room[WORDS];
    while (n) {
        const size_t skip = first % 4, left = WORDS - skip, take = n < left ? n : left;
        if (take == WORDS) {
            best(seed, first / 4, words);
        } else {
            best(seed, first / 4, room);
            memcpy(words, room + skip, take * sizeof *words);
        }
        words += take;
        first += take;
        n -= take;
    }
}
