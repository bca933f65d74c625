// Memory, lists and streams, on the device that TUFF_DEVICE names.
#include "device_common.h"
#include "base/alloc.h"
#include "base/time.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *dev;

// ---- transfers ---------------------------------------------------------------------------

static void round_trips(void)
{
    static const size_t sizes[] = { 1, 3, 4, 5, 255, 256, 257, 65537, 1048583, 20000003 };
    tuff_stream *s;
    EXPECT_OK(tuff_stream_create(dev, &s));
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        uint8_t *want = malloc(n), *got = malloc(n);
        pattern(want, n, (uint32_t)n);
        memset(got, 0, n);
        tuff_buffer *b, *c;
        EXPECT_OK(tuff_buffer_create(dev, n, &b));
        EXPECT_OK(tuff_buffer_create(dev, n, &c));
        EXPECT_EQ(tuff_buffer_size(b), n);
        EXPECT(tuff_buffer_device(b) == dev);
        tuff_cmd *cmd;
        EXPECT_OK(tuff_stream_upload(s, all(b), want));
        EXPECT_OK(tuff_stream_cmd(s, &cmd));
        EXPECT_OK(tuff_cmd_copy(cmd, all(c), all(b)));
        // The copy is recorded by now: what follows must not reach into it.
        memset(got, 0xff, n);
        EXPECT_OK(tuff_stream_upload(s, all(b), got));
        EXPECT_OK(tuff_stream_download(s, all(c), got));
        EXPECT(memcmp(want, got, n) == 0);
        EXPECT_OK(tuff_stream_download(s, all(b), got));
        EXPECT(got[0] == 0xff && got[n - 1] == 0xff);
        tuff_buffer_release(&b);
        tuff_buffer_release(&c);
        EXPECT(!b && !c);
        free(want);
        free(got);
    }
    tuff_stream_destroy(&s);
}

static void parts_of_buffers(void)
{
    uint8_t want[2048], got[2048];
    pattern(want, sizeof want, 7);
    tuff_stream *s;
    tuff_buffer *b;
    tuff_cmd *cmd;
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &b));
    EXPECT_OK(tuff_stream_upload(s, all(b), want));
    EXPECT_OK(tuff_stream_upload(s, (tuff_range){ b, 256, 77 }, want + 1000));
    EXPECT_OK(tuff_stream_cmd(s, &cmd));
    EXPECT_OK(tuff_cmd_fill(cmd, (tuff_range){ b, 1024, 100 }, 0x04030201));
    EXPECT_OK(tuff_cmd_copy(cmd, (tuff_range){ b, 512, 101 }, (tuff_range){ b, 1024, 101 }));
    memcpy(want + 256, want + 1000, 77);
    for (int i = 0; i < 100; i++) want[1024 + i] = (uint8_t)(i % 4 + 1);
    memcpy(want + 512, want + 1024, 101);
    EXPECT_OK(tuff_stream_download(s, all(b), got));
    EXPECT(memcmp(want, got, sizeof want) == 0);
    EXPECT_OK(tuff_stream_download(s, (tuff_range){ b, 256, 300 }, got));
    EXPECT(memcmp(want + 256, got, 300) == 0);
    tuff_buffer_release(&b);
    tuff_stream_destroy(&s);
}

// Each copy reads what the one before it wrote, and the next upload overwrites what an
// earlier copy reads: one missing barrier or an upload out of order shows in the last bytes.
static void chained_copies(void)
{
    enum { BUFFERS = 5, STEPS = 333, N = 4099 };
    tuff_stream *s;
    tuff_buffer *b[BUFFERS];
    uint8_t model[BUFFERS][N], *fresh = malloc(N), *got = malloc(N);
    EXPECT_OK(tuff_stream_create(dev, &s));
    for (int i = 0; i < BUFFERS; i++) {
        pattern(model[i], N, (uint32_t)i);
        EXPECT_OK(tuff_buffer_create(dev, N, &b[i]));
        EXPECT_OK(tuff_stream_upload(s, all(b[i]), model[i]));
    }
    for (int k = 0; k < STEPS; k++) {
        const int from = k % BUFFERS, to = (k * 2 + 1) % BUFFERS;
        tuff_cmd *cmd;
        if (from != to) {
            EXPECT_OK(tuff_stream_cmd(s, &cmd));
            EXPECT_OK(tuff_cmd_copy(cmd, (tuff_range){ b[to], 0, N - 7 },
                                    (tuff_range){ b[from], 7, N - 7 }));
            memcpy(model[to], model[from] + 7, N - 7);
        }
        if (k % 3 == 0) {
            pattern(fresh, N, (uint32_t)(1000 + k));
            EXPECT_OK(tuff_stream_upload(s, all(b[from]), fresh));
            memcpy(model[from], fresh, N);
        }
    }
    for (int i = 0; i < BUFFERS; i++) {
        EXPECT_OK(tuff_stream_download(s, all(b[i]), got));
        EXPECT(memcmp(model[i], got, N) == 0);
        tuff_buffer_release(&b[i]);
    }
    tuff_stream_destroy(&s);
    free(fresh);
    free(got);
}

// ---- lists that are replayed -------------------------------------------------------------

// A step of a program, as both backends run it: y ^= 3 y + 5 for every word, then z = y.
static void host_step(void *arg, void *const ptr[])
{
    uint32_t *y = ptr[0];
    for (uint32_t i = 0; i < *(uint32_t *)arg; i++) y[i] ^= 3 * y[i] + 5;
}

static tuff_status record_step(tuff_cmd *cmd, tuff_buffer *y, tuff_buffer *z)
{
    const uint32_t n = (uint32_t)(tuff_buffer_size(y) / 4);
    const tuff_launch l = self_launch(TUFF_SHADER_selftest_storage, n, 1, 1, 0);
    const tuff_binding b[2] = { { all(y), TUFF_BIND_STORAGE, TUFF_READ },
                                { all(y), TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE } };
    TUFF_TRY(tuff_device_caps(dev)->cpu
                 ? tuff_cmd_host_call(cmd, host_step, &n, sizeof n, &b[1], 1)
                 : tuff_cmd_launch(cmd, &l, b, 2));
    return tuff_cmd_copy(cmd, all(z), all(y));
}

// Two programs in one submission, again and again: no host memory, no pipeline is made.
static void replays(void)
{
    enum { N = 257, TIMES = 100 };
    uint32_t want[N], got[N];
    tuff_memory_stats before, after;
    tuff_stream *s;
    tuff_buffer *y, *z, *w;
    tuff_cmd *cmd[2];
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &y));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &z));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &w));
    for (uint32_t i = 0; i < N; i++) want[i] = i * 77;
    EXPECT_OK(tuff_stream_upload(s, all(y), want));
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tuff_cmd_create(dev, true, &cmd[i]));
        EXPECT_OK(record_step(cmd[i], y, i ? w : z));
        EXPECT_EQ(tuff_cmd_length(cmd[i]), 2);
        EXPECT_OK(tuff_cmd_finish(cmd[i]));
    }
    tuff_buffer_release(&y); // the lists keep it
    tuff_device_get_stats(dev, &before);
    const int64_t made = tuff_alloc_count();
    for (int k = 0; k < TIMES; k++) {
        tuff_ticket t;
        EXPECT_OK(tuff_device_submit(dev, cmd, 2, &t));
        if (k % 3) EXPECT_OK(tuff_device_wait(dev, t)); // else it runs into the next
        for (uint32_t i = 0; i < 2 * N; i++) want[i % N] ^= 3 * want[i % N] + 5;
    }
    EXPECT_EQ(tuff_alloc_count(), made);
    tuff_device_get_stats(dev, &after);
    EXPECT_EQ(after.pipelines, before.pipelines);
    EXPECT_EQ(after.submits - before.submits, TIMES);
    EXPECT_OK(tuff_stream_download(s, all(w), got));
    EXPECT(memcmp(want, got, sizeof want) == 0);
    for (int i = 0; i < 2; i++) tuff_cmd_destroy(&cmd[i]);
    tuff_buffer_release(&z);
    tuff_buffer_release(&w);
    tuff_stream_destroy(&s);
}

// A list made while the device is timed tells how long it took, a longer one more; others, and
// those that were not submitted, say that they do not know.
static void times(void)
{
    enum { N = 257, MORE = 200, TRIES = 40 };
    static uint32_t zeros[N];
    double least[2] = { INFINITY, INFINITY }, unused; // the first try compiles the kernel
    tuff_stream *s;
    tuff_buffer *y, *z;
    tuff_cmd *cmd[3];
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof zeros, &y));
    EXPECT_OK(tuff_buffer_create(dev, sizeof zeros, &z));
    EXPECT_OK(tuff_stream_upload(s, all(y), zeros));
    EXPECT_OK(tuff_stream_wait(s));
    for (int i = 0; i < 3; i++) {
        tuff_ticket t;
        tuff_device_set_timed(dev, i < 2);
        EXPECT_OK(tuff_cmd_create(dev, true, &cmd[i]));
        for (int k = 0; k < (i == 1 ? MORE : 1); k++) EXPECT_OK(record_step(cmd[i], y, z));
        EXPECT_OK(tuff_cmd_finish(cmd[i]));
        EXPECT(!tuff_cmd_seconds(cmd[i], &unused));
        for (int k = 0; k < TRIES; k++) {
            double seconds = 0;
            const double start = tuff_time_now();
            EXPECT_OK(tuff_device_submit(dev, &cmd[i], 1, &t));
            if (!EXPECT_EQ(tuff_cmd_seconds(cmd[i], &seconds), i < 2) || i == 2) continue;
            const double wall = tuff_time_now() - start;
            EXPECT(seconds > 0 && seconds <= 1.01 * wall + 1e-6);
            least[i] = fmin(least[i], seconds);
        }
    }
    tuff_device_set_timed(dev, false);
    EXPECT(least[1] > 2 * least[0]);
    for (int i = 0; i < 3; i++) tuff_cmd_destroy(&cmd[i]);
    tuff_buffer_release(&y);
    tuff_buffer_release(&z);
    tuff_stream_destroy(&s);
}

// What the bench holds replays against does the same work.
static void bare(void)
{
    enum { N = 257, TIMES = 5 };
    uint32_t want[N], got[N];
    tuff_stream *s;
    tuff_buffer *y;
    tuff_bare *t;
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &y));
    const tuff_launch l = self_launch(TUFF_SHADER_selftest_storage, N, 1, 1, 0);
    const tuff_binding b[2] = { { all(y), TUFF_BIND_STORAGE, TUFF_READ },
                                { all(y), TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE } };
    if (tuff_device_caps(dev)->cpu) {
        EXPECT_STATUS(tuff_bare_create(dev, &l, b, 2, TIMES, &t), TUFF_ERR_UNSUPPORTED);
    } else {
        for (uint32_t i = 0; i < N; i++) want[i] = i * 77;
        EXPECT_OK(tuff_stream_upload(s, all(y), want));
        EXPECT_OK(tuff_stream_wait(s));
        EXPECT_OK(tuff_bare_create(dev, &l, b, 2, TIMES, &t));
        for (int k = 0; k < 2; k++) EXPECT_OK(tuff_bare_run(t));
        for (uint32_t i = 0; i < 2 * TIMES * N; i++) want[i % N] ^= 3 * want[i % N] + 5;
        tuff_bare_destroy(&t);
        EXPECT_OK(tuff_stream_download(s, all(y), got));
        EXPECT(memcmp(want, got, sizeof want) == 0);
    }
    EXPECT(!t);
    tuff_buffer_release(&y);
    tuff_stream_destroy(&s);
}

// ---- shaders -----------------------------------------------------------------------------

// Every kind of binding sees the same words, at the start of a buffer and inside it.
static void kinds_of_bindings(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path runs no shaders");
    enum { N = 1003 };
    static const int shader[] = { TUFF_SHADER_selftest_storage, TUFF_SHADER_selftest_f32,
                                  TUFF_SHADER_selftest_f32x4, TUFF_SHADER_selftest_u32,
                                  TUFF_SHADER_selftest_u32x4 };
    const size_t align = 256, room = (N + 1) * 4 + align;
    uint32_t *x = calloc(1, room), *got = calloc(1, room);
    tuff_stream *s;
    tuff_buffer *a, *b;
    tuff_cmd *cmd;
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, room, &a));
    EXPECT_OK(tuff_buffer_create(dev, room, &b));
    // Bits of numbers of common size: a texel of floats may not carry others.
    for (size_t i = 0; i < room / 4; i++) x[i] = 0x3f800000u + (uint32_t)i * 8191u;
    EXPECT_OK(tuff_stream_upload(s, all(a), x));
    for (int kind = 0; kind < 5; kind++)
        for (size_t at = 0; at <= align; at += align) {
            const tuff_launch l = self_launch(shader[kind], N, 2, 0, 0);
            const tuff_binding bind[2] = {
                { { a, at, (N + 1) * 4 }, (uint8_t)kind, TUFF_READ },
                { { b, align - at, N * 4 }, TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE },
            };
            EXPECT_OK(tuff_stream_cmd(s, &cmd));
            EXPECT_OK(tuff_cmd_fill(cmd, all(b), 0xdeadbeefu));
            EXPECT_OK(tuff_cmd_launch(cmd, &l, bind, 2));
            EXPECT_OK(tuff_stream_download(s, all(b), got));
            bool same = got[(align - at) / 4 + N] == 0xdeadbeefu;
            for (size_t i = 0; i < N; i++)
                same = same &&
                       got[(align - at) / 4 + i] == (x[at / 4 + i] * 3 + 5) * 3 + 5;
            if (!same) FAIL("kind %d at byte %zu: the words differ", kind, at);
        }
    tuff_buffer_release(&a);
    tuff_buffer_release(&b);
    tuff_stream_destroy(&s);
    free(x);
    free(got);
}

// A chain of launches through a ring of buffers: each reads what the last one wrote and adds
// to what lay there, so that a barrier that is missing shows, and a list that runs twice.
static void chained_launches(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path runs no shaders");
    enum { N = 4097, RING = 3, STEPS = 200 };
    static uint32_t model[RING][N], got[N];
    tuff_stream *s;
    tuff_buffer *b[RING];
    EXPECT_OK(tuff_stream_create(dev, &s));
    for (int i = 0; i < RING; i++) {
        EXPECT_OK(tuff_buffer_create(dev, sizeof got, &b[i]));
        pattern((uint8_t *)model[i], sizeof got, 3 + (uint32_t)i);
        EXPECT_OK(tuff_stream_upload(s, all(b[i]), model[i]));
    }
    for (int k = 0; k < STEPS; k++) {
        const int from = k % RING, to = (k + 1) % RING;
        const tuff_launch l = self_launch(TUFF_SHADER_selftest_u32, N, 1, 1, 0);
        const tuff_binding bind[2] = {
            { all(b[from]), TUFF_BIND_TEXEL_U32, TUFF_READ },
            { all(b[to]), TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE },
        };
        tuff_cmd *cmd;
        EXPECT_OK(tuff_stream_cmd(s, &cmd));
        EXPECT_OK(tuff_cmd_launch(cmd, &l, bind, 2));
        for (int i = 0; i < N; i++) model[to][i] ^= model[from][i] * 3 + 5;
    }
    for (int i = 0; i < RING; i++) {
        EXPECT_OK(tuff_stream_download(s, all(b[i]), got));
        EXPECT(memcmp(model[i], got, sizeof got) == 0);
        tuff_buffer_release(&b[i]);
    }
    tuff_stream_destroy(&s);
}

// caps.max_loop is true of this driver: so many iterations are right, and without a limit far
// more are.
static void limit_on_loops(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path runs no shaders");
    const uint32_t most = tuff_device_caps(dev)->max_loop;
    for (uint32_t skew = 0; skew < 2; skew++) {
        EXPECT(loops_right(dev, (most ? most : 300000) - 63 * skew, skew));
        EXPECT(loops_right(dev, 60000, skew));
    }
    // A driver that was taken to have the limit and has none: choose.c can be corrected.
    EXPECT(!most || !loops_right(dev, most + 1 - 63, 1));
}

// ---- failures ----------------------------------------------------------------------------

static void out_of_memory(void)
{
    tuff_memory_stats before, after;
    tuff_device_get_stats(dev, &before);
    tuff_device_limit_memory(dev, before.reserved + (3u << 20));
    tuff_buffer *b[64];
    int n = 0;
    tuff_status status = TUFF_OK;
    while (n < 64 && (status = tuff_buffer_create(dev, 3000000, &b[n])) == TUFF_OK) n++;
    EXPECT_STATUS(status, TUFF_ERR_MEMORY);
    EXPECT_HAS(tuff_last_error(), "memory");
    tuff_device_limit_memory(dev, 0);
    EXPECT_OK(tuff_buffer_create(dev, 3000000, &b[n]));
    while (n >= 0) tuff_buffer_release(&b[n--]);
    tuff_device_get_stats(dev, &after);
    EXPECT_EQ(after.used, before.used);
    EXPECT(after.peak >= 3000000);
    round_trips();
}

// A stream that finds no staging memory says so and goes on.
static void no_room_to_stage(void)
{
    if (tuff_device_caps(dev)->unified) SKIP("nothing is staged here");
    uint8_t want[3000], got[3000];
    tuff_stream *s;
    tuff_buffer *b;
    pattern(want, sizeof want, 5);
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &b));
    tuff_device_limit_memory(dev, 1);
    // There is room in blocks that are there already: several streams may still find it.
    tuff_stream *more[64];
    tuff_status status = TUFF_OK;
    int n = 0;
    while (n < 64 && status == TUFF_OK) {
        EXPECT_OK(tuff_stream_create(dev, &more[n]));
        status = tuff_stream_upload(more[n++], all(b), want);
    }
    EXPECT_STATUS(status, TUFF_ERR_MEMORY);
    tuff_device_limit_memory(dev, 0);
    EXPECT_OK(tuff_stream_upload(more[n - 1], all(b), want));
    while (n > 0) tuff_stream_destroy(&more[--n]);
    EXPECT_OK(tuff_stream_download(s, all(b), got));
    EXPECT(memcmp(want, got, sizeof want) == 0);
    tuff_buffer_release(&b);
    tuff_stream_destroy(&s);
}

// Few large blocks: many tensors share them, and what is freed is used again.
static void blocks_are_shared(void)
{
    enum { N = 100, BYTES = 1 << 20 };
    tuff_buffer *b[N];
    tuff_memory_stats before, full, after;
    tuff_device_get_stats(dev, &before);
    for (int i = 0; i < N; i++) EXPECT_OK(tuff_buffer_create(dev, BYTES - 3, &b[i]));
    tuff_device_get_stats(dev, &full);
    EXPECT_EQ(full.used - before.used, (uint64_t)N * (BYTES - 3));
    EXPECT(full.reserved >= full.used);
    if (!tuff_device_caps(dev)->cpu) EXPECT(full.blocks - before.blocks <= 2);
    for (int i = 0; i < N; i += 2) tuff_buffer_release(&b[i]);
    for (int i = 0; i < N; i += 2) EXPECT_OK(tuff_buffer_create(dev, BYTES / 2, &b[i]));
    tuff_device_get_stats(dev, &after);
    if (!tuff_device_caps(dev)->cpu) EXPECT_EQ(after.reserved, full.reserved);
    for (int i = 0; i < N; i++) tuff_buffer_release(&b[i]);
    // One that is larger than a block gets its own.
    EXPECT_OK(tuff_buffer_create(dev, (size_t)90 << 20, &b[0]));
    tuff_buffer_release(&b[0]);
    tuff_device_get_stats(dev, &after);
    EXPECT_EQ(after.used, before.used);
    if (tuff_device_caps(dev)->cpu) return;
    EXPECT_STATUS(tuff_buffer_create(dev, tuff_device_caps(dev)->max_alloc + 1, &b[0]),
                  TUFF_ERR_LIMIT);
    EXPECT_HAS(tuff_last_error(), "maxMemoryAllocationSize");
}

static tuff_status a_little_of_everything(void)
{
    uint8_t data[1000] = { 1, 2, 3 }, got[1000];
    tuff_stream *s = NULL;
    tuff_buffer *b = NULL, *c = NULL;
    tuff_cmd *cmd = NULL, *list = NULL;
    tuff_ticket ticket;
    tuff_status status;
    TUFF_GO(tuff_stream_create(dev, &s));
    TUFF_GO(tuff_buffer_create(dev, sizeof data, &b));
    TUFF_GO(tuff_buffer_create(dev, sizeof data, &c));
    TUFF_GO(tuff_stream_upload(s, all(b), data));
    TUFF_GO(tuff_stream_cmd(s, &cmd));
    TUFF_GO(tuff_cmd_copy(cmd, all(c), all(b)));
    TUFF_GO(tuff_stream_upload(s, all(b), data));
    TUFF_GO(tuff_stream_download(s, all(c), got));
    TUFF_GO(tuff_cmd_create(dev, true, &list));
    TUFF_GO(record_step(list, c, b));
    TUFF_GO(tuff_cmd_finish(list));
    TUFF_GO(tuff_device_submit(dev, &list, 1, &ticket));
    TUFF_GO(tuff_device_wait(dev, ticket));
exit:
    tuff_cmd_destroy(&list);
    tuff_buffer_release(&b);
    tuff_buffer_release(&c);
    tuff_stream_destroy(&s);
    return status;
}

// Every allocation of host memory fails once; nothing is lost, and the next run is fine.
static void every_allocation_fails_once(void)
{
    tuff_memory_stats before, after;
    EXPECT_OK(a_little_of_everything());
    tuff_device_get_stats(dev, &before);
    int n = 1;
    for (; n < 1000; n++) {
        tuff_alloc_fail_at(n);
        const int64_t start = tuff_alloc_count();
        const tuff_status status = a_little_of_everything();
        tuff_alloc_fail_at(0);
        if (status == TUFF_OK) {
            EXPECT(tuff_alloc_count() - start < n || n > 1);
            if (tuff_alloc_count() - start < n) break;
        } else if (!EXPECT_STATUS(status, TUFF_ERR_MEMORY)) {
            break;
        }
    }
    EXPECT(n > 3 && n < 1000);
    EXPECT_OK(a_little_of_everything());
    tuff_device_get_stats(dev, &after);
    EXPECT_EQ(after.used, before.used);
}

// ---- threads -----------------------------------------------------------------------------

static void *thread_main(void *arg)
{
    const uint32_t seed = *(uint32_t *)arg;
    tuff_stream *s;
    if (!EXPECT_OK(tuff_stream_create(dev, &s))) return NULL;
    uint8_t want[5000], got[5000];
    for (uint32_t k = 0; k < 40; k++) {
        tuff_buffer *a, *b;
        tuff_cmd *cmd;
        pattern(want, sizeof want, seed * 1000 + k);
        EXPECT_OK(tuff_buffer_create(dev, sizeof want, &a));
        EXPECT_OK(tuff_buffer_create(dev, sizeof want, &b));
        EXPECT_OK(tuff_stream_upload(s, all(a), want));
        EXPECT_OK(tuff_stream_cmd(s, &cmd));
        EXPECT_OK(tuff_cmd_copy(cmd, all(b), all(a)));
        EXPECT_OK(tuff_stream_download(s, all(b), got));
        EXPECT(memcmp(want, got, sizeof want) == 0);
        tuff_buffer_release(&a);
        tuff_buffer_release(&b);
    }
    tuff_stream_destroy(&s);
    return NULL;
}

static void two_threads(void)
{
    pthread_t thread[2];
    uint32_t seed[2] = { 1, 2 };
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, thread_main, &seed[i]);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

// More submissions in flight than there are fences, from two threads: each list adds up its
// own words, so that one that is lost or runs twice shows.
static void *submit_often(void *arg)
{
    enum { TIMES = 70 };
    uint32_t want[64], got[64] = { 0 };
    tuff_stream *s;
    tuff_buffer *y, *z;
    tuff_cmd *cmd;
    tuff_ticket ticket = 0;
    for (uint32_t i = 0; i < 64; i++) want[i] = i * *(uint32_t *)arg;
    EXPECT_OK(tuff_stream_create(dev, &s));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &y));
    EXPECT_OK(tuff_buffer_create(dev, sizeof want, &z));
    EXPECT_OK(tuff_stream_upload(s, all(y), want));
    EXPECT_OK(tuff_cmd_create(dev, true, &cmd));
    EXPECT_OK(record_step(cmd, y, z));
    EXPECT_OK(tuff_cmd_finish(cmd));
    for (int k = 0; k < TIMES; k++) {
        tuff_ticket next;
        EXPECT_OK(tuff_device_submit(dev, &cmd, 1, &next));
        EXPECT(tuff_device_caps(dev)->cpu || next > ticket);
        if (k % 20 == 19) EXPECT_OK(tuff_device_wait(dev, ticket));
        ticket = next;
        for (uint32_t i = 0; i < 64; i++) want[i] ^= 3 * want[i] + 5;
    }
    EXPECT_OK(tuff_device_wait(dev, ticket));
    EXPECT(tuff_device_done(dev, ticket));
    EXPECT_OK(tuff_stream_download(s, all(z), got));
    EXPECT(memcmp(want, got, sizeof want) == 0);
    tuff_cmd_destroy(&cmd);
    tuff_buffer_release(&y);
    tuff_buffer_release(&z);
    tuff_stream_destroy(&s);
    return NULL;
}

static void many_submissions(void)
{
    pthread_t thread[2];
    uint32_t seed[2] = { 11, 12 };
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, submit_often, &seed[i]);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

static void work(void)
{
    CASE(round_trips);
    CASE(parts_of_buffers);
    CASE(chained_copies);
    CASE(replays);
    CASE(times);
    CASE(bare);
    CASE(limit_on_loops);
    CASE(kinds_of_bindings);
    CASE(chained_launches);
    CASE(out_of_memory);
    CASE(no_room_to_stage);
    CASE(blocks_are_shared);
    CASE(every_allocation_fails_once);
    CASE(two_threads);
    CASE(many_submissions);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    work();
    // The same without what not every device has: tickets by fences, uploads by staging.
    static const char *const avoid[] = { "timeline", "unified", "timeline,unified" };
    for (size_t i = 0; !tuff_device_caps(dev)->cpu && i < COUNT(avoid); i++) {
        tuff_device_close(&dev);
        setenv("TUFF_AVOID", avoid[i], 1);
        dev = open_device();
        printf("without %s\n", avoid[i]);
        EXPECT(!tuff_device_caps(dev)->timeline || !tuff_device_caps(dev)->unified);
        work();
    }
    tuff_device_close(&dev);
    return report();
}
