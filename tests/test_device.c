// Devices, memory, lists and streams, on the device that TUFF_DEVICE names.
#include "harness.h"
#include "base/alloc.h"
#include "device/impl.h"
#include "abi/selftest.h"
#include "tuff_shaders.h"
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tuff_device *dev;

static void pattern(uint8_t *data, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
}

static tuff_range all(tuff_buffer *b) { return (tuff_range){ b, 0, tuff_buffer_size(b) }; }

// ---- opening -----------------------------------------------------------------------------

static void lists_devices(void)
{
    int count = 0;
    EXPECT_OK(tuff_device_list(NULL, 0, &count));
    EXPECT(count >= 1 && count <= 64);
    tuff_device_info *list = calloc((size_t)count, sizeof *list);
    int again = 0;
    EXPECT_OK(tuff_device_list(list, count, &again));
    EXPECT_EQ(again, count);
    EXPECT_STR(list[count - 1].id, "cpu");
    EXPECT_EQ(list[count - 1].type, TUFF_DEVICE_CPU);
    for (int i = 0; i < count; i++) EXPECT(list[i].name[0] && list[i].vendor[0]);
    free(list);
    EXPECT_STATUS(tuff_device_list(NULL, 0, NULL), TUFF_ERR_ARG);
}

static void opens_by_name(void)
{
    const tuff_device_info *info = tuff_device_get_info(dev);
    tuff_device *other = NULL;
    EXPECT_OK(tuff_device_open(info->id, &other));
    EXPECT(other && other != dev);
    if (other) EXPECT_STR(tuff_device_get_info(other)->name, info->name);
    tuff_device_close(&other);
    EXPECT(!other);
    char part[8] = "";
    for (int i = 0; i < 5; i++) // the first letters, in the other case
        part[i] = info->name[i] >= 'a' && info->name[i] <= 'z' ? (char)(info->name[i] - 32)
                : info->name[i] >= 'A' && info->name[i] <= 'Z' ? (char)(info->name[i] + 32)
                                                               : info->name[i];
    EXPECT_OK(tuff_device_open(part, &other));
    tuff_device_close(&other);
    EXPECT_OK(tuff_device_open("cpu", &other));
    if (other) EXPECT_STR(tuff_device_get_info(other)->id, "cpu");
    tuff_device_close(&other);
    tuff_device_close(&other);
    tuff_device_close(NULL);
}

static void refuses_unknown_names(void)
{
    tuff_device *other = dev;
    EXPECT_STATUS(tuff_device_open("no such device", &other), TUFF_ERR_DEVICE);
    EXPECT(!other);
    EXPECT_HAS(tuff_last_error(), "'no such device'");
    EXPECT_HAS(tuff_last_error(), "cpu (");
    EXPECT_STATUS(tuff_device_open("vulkan:63", &other), TUFF_ERR_DEVICE);
    EXPECT_STATUS(tuff_device_open("auto", NULL), TUFF_ERR_ARG);
}

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

static tuff_launch self_launch(int shader, uint32_t n, uint32_t loops, uint32_t blend,
                               uint32_t skew)
{
    const struct selftest_pc pc = { n, 3, 5, skew };
    tuff_launch l = { .shader = shader, .spec = { 64, loops, blend }, .nspec = 3,
                      .push_size = sizeof pc, .grid = { (n + 63) / 64, 1, 1 } };
    memcpy(l.push, &pc, sizeof pc);
    return l;
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

// Runs `loops` steps in each invocation, and skew more in each than in the one before it;
// true when the last word is what they lead to. Some drivers treat loops that all
// invocations leave together unlike others.
static bool loops_right(uint32_t loops, uint32_t skew)
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

// caps.max_loop is true of this driver: so many iterations are right, and without a limit far
// more are.
static void limit_on_loops(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path runs no shaders");
    const uint32_t most = tuff_device_caps(dev)->max_loop;
    for (uint32_t skew = 0; skew < 2; skew++) {
        EXPECT(loops_right((most ? most : 300000) - 63 * skew, skew));
        EXPECT(loops_right(60000, skew));
    }
    // A driver that was taken to have the limit and has none: choose.c can be corrected.
    EXPECT(!most || !loops_right(most + 1 - 63, 1));
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

// ---- several devices ---------------------------------------------------------------------

// The same driver opened three times, beside the CPU path, all in use at once.
static void several_devices(void)
{
    enum { DEVICES = 4, N = 1000 };
    tuff_device *d[DEVICES] = { NULL };
    tuff_stream *s[DEVICES];
    tuff_buffer *b[DEVICES];
    uint8_t data[N], got[N];
    for (int i = 0; i < DEVICES; i++) {
        EXPECT_OK(tuff_device_open(i ? tuff_device_get_info(dev)->id : "cpu", &d[i]));
        if (!d[i]) return;
        EXPECT_OK(tuff_stream_create(d[i], &s[i]));
        EXPECT_OK(tuff_buffer_create(d[i], N, &b[i]));
    }
    pattern(data, N, 99);
    EXPECT_OK(tuff_stream_upload(s[0], all(b[0]), data));
    for (int i = 0; i < DEVICES; i++) { // handed from one to the next
        EXPECT_OK(tuff_stream_download(s[i], all(b[i]), got));
        if (i + 1 < DEVICES) EXPECT_OK(tuff_stream_upload(s[i + 1], all(b[i + 1]), got));
    }
    EXPECT(memcmp(data, got, N) == 0);
    for (int i = 0; i < DEVICES; i++) {
        tuff_stream_destroy(&s[i]);
        tuff_buffer_release(&b[i]);
        tuff_device_close(&d[i]);
    }
}

// ---- the file of pipelines ---------------------------------------------------------------

static char notes[4096];

static void keep_note(void *user, int level, const char *line)
{
    (void)user, (void)level;
    const size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", line);
}

// Opens the device anew, runs a shader on it, closes it; `notes` holds what was logged.
static void session(void)
{
    notes[0] = '\0';
    tuff_device *mine = dev;
    EXPECT_OK(tuff_device_open(tuff_device_get_info(mine)->id, &dev));
    if (dev) {
        tuff_memory_stats stats;
        EXPECT(loops_right(10, 1));
        tuff_device_get_stats(dev, &stats);
        EXPECT_EQ(stats.pipelines, 1);
        tuff_device_close(&dev);
    }
    dev = mine;
}

static void change_file(const char *path, long at, long length)
{
    FILE *file = fopen(path, "r+b");
    if (!EXPECT(file)) return;
    if (at >= 0) {
        EXPECT(fseek(file, at, SEEK_SET) == 0);
        const int byte = fgetc(file);
        EXPECT(fseek(file, at, SEEK_SET) == 0);
        EXPECT(fputc(byte ^ 0x55, file) != EOF);
    }
    fclose(file);
    if (length >= 0) EXPECT(truncate(path, length) == 0);
}

static void file_of_pipelines(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path has no pipelines");
    char folder[512], path[1024];
    glob_t found = { 0 };
    const char *before = getenv("TUFF_CACHE_DIR");
    char *old = before ? strdup(before) : NULL;
    snprintf(folder, sizeof folder, "%s", temp_path("a/new/folder"));
    setenv("TUFF_CACHE_DIR", folder, 1);
    tuff_log_set(keep_note, NULL);
    session();
    EXPECT(!strstr(notes, "not used"));
    snprintf(path, sizeof path, "%s/pipelines-*.bin", folder);
    EXPECT_EQ(glob(path, 0, NULL, &found), 0);
    if (EXPECT_EQ(found.gl_pathc, 1)) {
        const char *file = found.gl_pathv[0];
        session();
        EXPECT(!strstr(notes, "not used"));
        static const struct { long at, length; const char *why; } damage[] = {
            { 0, -1, "no file of Tuff's" },  { 8, -1, "another driver or build" },
            { 24, -1, "another driver" },    { 57, -1, "damaged" },
            { 70, -1, "damaged" },           { -1, 60, "damaged" },
            { -1, 20, "cut" },               { -1, 0, "cut" },
        };
        for (size_t i = 0; i < COUNT(damage); i++) {
            change_file(file, damage[i].at, damage[i].length);
            session();
            EXPECT_HAS(notes, damage[i].why);
            session(); // it was replaced by a good one
            EXPECT(!strstr(notes, "not used"));
        }
    }
    globfree(&found);
    // Where nothing can be kept, that is said, and all else works.
    setenv("TUFF_CACHE_DIR", "/dev/null/nowhere", 1);
    session();
    EXPECT_HAS(notes, "could not be kept");
    tuff_log_set(NULL, NULL);
    if (old)
        setenv("TUFF_CACHE_DIR", old, 1);
    else
        unsetenv("TUFF_CACHE_DIR");
    free(old);
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

static void work(void)
{
    CASE(round_trips);
    CASE(parts_of_buffers);
    CASE(chained_copies);
    CASE(replays);
    CASE(limit_on_loops);
    CASE(kinds_of_bindings);
    CASE(chained_launches);
    CASE(out_of_memory);
    CASE(blocks_are_shared);
    CASE(every_allocation_fails_once);
    CASE(two_threads);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    CASE(lists_devices);
    CASE(opens_by_name);
    CASE(refuses_unknown_names);
    CASE(several_devices);
    CASE(file_of_pipelines);
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
