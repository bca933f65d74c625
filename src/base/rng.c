#include "base/rng.h"
#include <assert.h>
#include <math.h>

void tuff_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)b;
        x3 = (uint32_t)a;
        k0 += 0x9E3779B9u; // the golden ratio
        k1 += 0xBB67AE85u; // sqrt(3) - 1
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

static void block(uint64_t seed, uint64_t number, uint32_t purpose, uint32_t out[4])
{
    const uint32_t counter[4] = { (uint32_t)number, (uint32_t)(number >> 32), purpose, 0 };
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    tuff_philox(counter, key, out);
}

uint32_t tuff_rng_word_at(uint64_t seed, uint64_t i)
{
    uint32_t words[4];
    block(seed, i / 4, 0, words);
    return words[i % 4];
}

float tuff_rng_uniform_at(uint64_t seed, uint64_t i)
{
    return (float)(tuff_rng_word_at(seed, i) >> 8) * 0x1p-24f;
}

float tuff_rng_normal_at(uint64_t seed, uint64_t i)
{
    uint32_t words[4];
    block(seed, i / 4, 0, words);
    const uint32_t *pair = words + i % 4 / 2 * 2;
    const double u = ((pair[0] >> 8) + 1) * 0x1p-24;
    const double angle = 6.283185307179586476925 * ((pair[1] >> 8) * 0x1p-24);
    return (float)(sqrt(-2 * log(u)) * (i % 2 ? sin(angle) : cos(angle)));
}

uint64_t tuff_rng_fork(uint64_t seed, uint64_t purpose)
{
    uint32_t words[4];
    block(seed, purpose, 1, words);
    return words[0] | (uint64_t)words[1] << 32;
}

uint32_t tuff_rng_word(tuff_rng *rng) { return tuff_rng_word_at(rng->seed, rng->counter++); }

float tuff_rng_uniform(tuff_rng *rng)
{
    return tuff_rng_uniform_at(rng->seed, rng->counter++);
}

float tuff_rng_normal(tuff_rng *rng) { return tuff_rng_normal_at(rng->seed, rng->counter++); }

// The high half of word * n is even over [0, n) once the 2^32 % n smallest low halves are
// refused (Lemire, "Fast random integer generation in an interval", 2019).
uint32_t tuff_rng_below(tuff_rng *rng, uint32_t n)
{
    assert(n >= 1);
    const uint32_t refused = (uint32_t)-n % n;
    uint64_t product;
    do {
        product = (uint64_t)tuff_rng_word(rng) * n;
    } while ((uint32_t)product < refused);
    return (uint32_t)(product >> 32);
}

void tuff_rng_shuffle(tuff_rng *rng, uint32_t *items, size_t n)
{
    assert(n <= UINT32_MAX);
    for (size_t i = n; i > 1; i--) {
        const uint32_t j = tuff_rng_below(rng, (uint32_t)i);
        const uint32_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
