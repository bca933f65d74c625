// Random numbers by counter: Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). A number is a pure function of a seed and of its
// place in the sequence, so any thread, CPU or GPU can make any of them, and a generator's
// whole state is (seed, counter): what a checkpoint must hold.
//
// The sequences of a seed; shaders/philox.glsl has the same formulas.
//
//   word(i)     word i % 4 of philox(counter = (lo32(i / 4), hi32(i / 4), 0, 0),
//                                    key = (lo32(seed), hi32(seed)))
//   uniform(i)  (word(i) >> 8) * 2^-24                              in [0, 1), exact
//   normal(i)   Box and Muller over the pair that i is in, p = i - i % 2:
//                 r = sqrt(-2 ln u),  u = ((word(p) >> 8) + 1) * 2^-24    in (0, 1]
//                 a = 2 pi uniform(p + 1)
//                 i even: r cos(a),  i odd: r sin(a)
//
// normal(i) is made of the words that uniform(i) is made of: numbers of different purposes
// want different seeds, which tuff_rng_fork makes.
//
//   Threads  functions of a seed are pure; a tuff_rng belongs to one thread at a time.
#ifndef TUFF_BASE_RNG_H
#define TUFF_BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

// The block cipher itself: 10 rounds.
void tuff_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

// Numbers of a seed's sequences by their place.
uint32_t tuff_rng_word_at(uint64_t seed, uint64_t i);
float tuff_rng_uniform_at(uint64_t seed, uint64_t i);
float tuff_rng_normal_at(uint64_t seed, uint64_t i);
// words[k] = word(first + k) for k < n, many at once.
void tuff_rng_words(uint64_t seed, uint64_t first, size_t n, uint32_t *words);

// Another seed, for purpose number `purpose`: words 0 and 1 (low and high half) of
// philox((lo32(purpose), hi32(purpose), 1, 0), seed), a counter no sequence has.
uint64_t tuff_rng_fork(uint64_t seed, uint64_t purpose);

// A walk along a seed's sequence: `counter` is the place of the next number.
typedef struct tuff_rng {
    uint64_t seed, counter;
} tuff_rng;

uint32_t tuff_rng_word(tuff_rng *rng);
float tuff_rng_uniform(tuff_rng *rng);
float tuff_rng_normal(tuff_rng *rng);
// A whole number in [0, n), each equally likely; n >= 1. Takes one word, rarely more.
uint32_t tuff_rng_below(tuff_rng *rng, uint32_t n);
// Puts n items (n < 2^32) in random order, each order equally likely (Fisher and Yates).
void tuff_rng_shuffle(tuff_rng *rng, uint32_t *items, size_t n);
#endif
