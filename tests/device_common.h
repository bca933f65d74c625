// What the tests of the device room share.
#ifndef TUFF_TESTS_DEVICE_COMMON_H
#define TUFF_TESTS_DEVICE_COMMON_H
#include "harness.h"
#include "device/impl.h"
#include "abi/selftest.h"
#include "tuff_shaders.h"
#include <string.h>

static inline void pattern(uint8_t *data, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static inline tuff_range all(tuff_buffer *b)
{
    return (tuff_range){ b, 0, tuff_buffer_size(b) };
}

// A launch of shaders/selftest.comp over n words.
static inline tuff_launch self_launch(int shader, uint32_t n, uint32_t loops, uint32_t blend,
                               uint32_t skew)
{
    const struct selftest_pc pc = { n, 3, 5, skew };
    tuff_launch l = { .shader = shader, .spec = { 64, loops, blend }, .nspec = 3,
                      .push_size = sizeof pc, .grid = { (n + 63) / 64, 1, 1 } };
    memcpy(l.push, &pc, sizeof pc);
    return l;
}

// Runs `loops` steps in each invocation, and skew more in each than in the one before it;
// true when the last word is what they lead to. Some drivers treat loops that all
// invocations leave together unlike others.
static inline bool loops_right(tuff_device *dev, uint32_t loops, uint32_t skew)
{
    enum { N = 64 };
    uint32_t x[N], got[N] = { 0 };
    tuff_stream *s;
    tuff_buffer *b;
    tuff_cmd *cmd;
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof x, &b));
    for (uint32_t i = 0; i < N; i++) x[i] = i;
    EXPECT_OK(tuff_stream_upload(s, all(b), x));
    const tuff_launch l = self_launch(TUFF_SHADER_selftest_storage, N, loops, 0, skew);
    const tuff_binding bind[2] = { { all(b), TUFF_BIND_STORAGE, TUFF_READ },
                                   { all(b), TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE } };
    EXPECT_OK(tuff_stream_cmd(s, &cmd));
    EXPECT_OK(tuff_cmd_launch(cmd, &l, bind, 2));
    EXPECT_OK(tuff_stream_download(s, all(b), got));
    uint32_t want = N - 1;
    for (uint32_t k = 0; k < loops + skew * (N - 1); k++) want = want * 3 + 5;
    tuff_buffer_release(&b);
    tuff_stream_destroy(&s);
    return got[N - 1] == want;
}
#endif
