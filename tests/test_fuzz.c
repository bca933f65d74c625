// Runs every target of tests/fuzz on seeds that were bent, cut and put together at random,
// the same in every run. `test_fuzz npy` runs one.
#include "harness.h"
#include "fuzz/fuzz.h"
#include "base/rng.h"
#include "base/time.h"
#include "ops/case.h"
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define TARGETS(X)                                                              \
    X(npy) X(safetensors) X(tuffz) X(png) X(idx) X(cifar10) X(csv) X(gzip) X(net) X(call)
#define DECLARE(name) tuff_status fuzz_##name(const uint8_t *data, size_t size);
TARGETS(DECLARE)

enum { SEEDS = 6, MOST = 8192, RUNS = 20000 };
static const double most_seconds = 4; // of a target; a slow machine does fewer runs

struct seeds {
    int count;
    size_t size[SEEDS];
    uint8_t bytes[SEEDS][MOST];
};

static void add(struct seeds *s, const void *bytes, size_t size)
{
    if (!EXPECT(s->count < SEEDS && size <= MOST)) return;
    memcpy(s->bytes[s->count], bytes, size);
    s->size[s->count++] = size;
}

static void add_text(struct seeds *s, const char *text) { add(s, text, strlen(text)); }

// ---- seeds ----------------------------------------------------------------------------------

static void add_npy(struct seeds *s, int version, const char *header, size_t data)
{
    uint8_t bytes[512] = "\x93NUMPY";
    const size_t start = version == 1 ? 10 : 12;
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)strlen(header);
    memcpy(bytes + start, header, strlen(header));
    add(s, bytes, start + strlen(header) + data);
}

static void seeds_npy(struct seeds *s)
{
    add_npy(s, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24);
    add_npy(s, 2, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }\n", 24);
    add_npy(s, 3, "{'shape': (), 'descr': '<f8', 'fortran_order': False}", 8);
}

static void add_safetensors(struct seeds *s, const char *header, size_t data)
{
    uint8_t bytes[1024] = { 0 };
    bytes[0] = (uint8_t)strlen(header);
    memcpy(bytes + 8, header, strlen(header));
    add(s, bytes, 8 + strlen(header) + data);
}

static void seeds_safetensors(struct seeds *s)
{
    add_safetensors(s, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                       "\"data_offsets\":[0,24]}}", 24);
    add_safetensors(s, "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"U8\",\"shape\":[3],"
                       "\"data_offsets\":[0,3]},\"c\":{\"dtype\":\"F64\",\"shape\":[1],"
                       "\"data_offsets\":[3,11]}}", 11);
    add_safetensors(s, "{}", 0);
}

// Each coding: bytes as they are, deflated, and codebooks with and without gaps.
static void seeds_tuffz(struct seeds *s)
{
    static float few[900], dense[40], zeros[3000], noise[5];
    static uint8_t bytes[MOST], repeated[600];
    for (int i = 0; i < 900; i += i % 7 ? 5 : 61) few[i] = (float)(i % 9) - 4;
    for (int i = 0; i < 40; i++) dense[i] = i % 3 ? 0.5f : -2;
    for (int i = 0; i < 5; i++) noise[i] = 1.1f * (float)i;
    const tuff_named_array all[] = {
        { "few", { TUFF_SHAPE(TUFF_F32, 30, 30), few } },
        { "dense", { TUFF_SHAPE(TUFF_F32, 40), dense } },
        { "zeros", { TUFF_SHAPE(TUFF_F32, 3000), zeros } },
        { "noise", { TUFF_SHAPE(TUFF_F32, 5), noise } },
        { "repeated", { TUFF_SHAPE(TUFF_U8, 600), repeated } },
    };
    const tuff_pair meta = { "k", "v" };
    for (int i = 0; i < SEEDS; i++) {
        const char *path = temp_path("seed.tuffz");
        const int first = i < (int)COUNT(all) ? i : 0;
        const int count = i < (int)COUNT(all) ? 1 : (int)COUNT(all);
        FILE *file = NULL;
        size_t size = 0;
        if (EXPECT_OK(tuff_tuffz_write(path, all + first, count, &meta, i % 2)))
            file = fopen(path, "rb");
        if (EXPECT(file)) size = fread(bytes, 1, sizeof bytes, file);
        if (file) fclose(file);
        add(s, bytes, size);
    }
}

static void add_png(struct seeds *s, uint32_t format, const void *map)
{
    uint8_t pixels[9 * 7 * 4], bytes[MOST];
    png_alloc_size_t size = sizeof bytes;
    png_image image = { .version = PNG_IMAGE_VERSION, .width = 9, .height = 7,
                        .format = format, .colormap_entries = map ? 5 : 0 };
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(map ? i % 5 : i * 37);
    EXPECT(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, map));
    add(s, bytes, size);
}

static void seeds_png(struct seeds *s)
{
    static const uint8_t map[20] = { 1, 2, 3, 4, 50, 60, 70, 80, 90, 255, 0 };
    add_png(s, PNG_FORMAT_GRAY, NULL);
    add_png(s, PNG_FORMAT_RGBA, NULL);
    add_png(s, PNG_FORMAT_GA, NULL);
    add_png(s, PNG_FORMAT_RGBA_COLORMAP, map);
}

static void seeds_idx(struct seeds *s)
{
    uint8_t images[16 + 12] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3 };
    uint8_t labels[8 + 5] = { 0, 0, 8, 1, 0, 0, 0, 5 };
    add(s, images, sizeof images);
    add(s, labels, sizeof labels);
}

static void seeds_cifar10(struct seeds *s)
{
    static uint8_t records[2 * 3073];
    records[3073] = 9;
    add(s, records, 3073);
    add(s, records, sizeof records);
}

static void seeds_csv(struct seeds *s)
{
    add_text(s, "\1" "1,2.5,a\n3,-4e3,b\n5,6,a\n");
    add_text(s, "\3" "a,\"b \"\"q\"\"\",kind\r\n1.5,2,\"x\"\r\n\r\n3,4,y\r\n");
    add_text(s, "\4" "1,2,3\n4,5,6\n");
    add_text(s, "\0" "7,1\n8,0\n9,01\n");
}

static void seeds_gzip(struct seeds *s)
{
    static uint8_t zeros[100000];
    uint8_t packed[MOST];
    static const size_t sizes[] = { 0, 60, 3000, 100000 };
    for (size_t i = 0; i < 3000; i++) zeros[i] = (uint8_t)(i % 7 * i);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        z_stream z = { .next_in = zeros, .avail_in = (uInt)sizes[i], .next_out = packed,
                       .avail_out = sizeof packed };
        EXPECT(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        EXPECT(deflate(&z, Z_FINISH) == Z_STREAM_END);
        deflateEnd(&z);
        add(s, packed, z.total_out);
    }
}

static void seeds_net(struct seeds *s)
{
    add_text(s, "conv 6 5x3 pad=2 stride=2x1 group=1 bias=no | relu | maxpool 2 stride=1");
    add_text(s, "2x(dense 9 | 3x(tanh | dense 4)) # a comment\n | softmax");
    add_text(s, "flatten | dense 10 bias=yes | sigmoid");
    add_text(s, "avgpool 3 pad=1 | conv 4 1 dilation=2");
}

// The first case of some ops, behind the byte that names the op.
static void seeds_call(struct seeds *s)
{
    static const char *const ops[] = { "matmul", "conv2d", "slice", "max_pool2d", "adam",
                                       "transpose" };
    for (int i = 0; i < tuff_op_count(); i++)
        for (size_t k = 0; k < COUNT(ops); k++) {
            char text[TUFF_CASE_TEXT + 1];
            if (strcmp(tuff_op_at(i)->name, ops[k]) != 0) continue;
            const int n = snprintf(text, sizeof text, "%c%s", i, tuff_op_at(i)->cases[2]);
            if (i && n > 0) add(s, text, (size_t)n);
        }
}

// ---- bending --------------------------------------------------------------------------------

struct input {
    uint8_t bytes[2 * MOST];
    size_t size;
};

// Replaces bytes [at, at + drop) by n others.
static void splice(struct input *in, size_t at, size_t drop, const uint8_t *with, size_t n)
{
    if (in->size - drop + n > sizeof in->bytes) return;
    uint8_t copy[2 * MOST];
    if (n) memcpy(copy, with, n);
    memmove(in->bytes + at + n, in->bytes + at + drop, in->size - at - drop);
    if (n) memcpy(in->bytes + at, copy, n);
    in->size += n - drop;
}

static void bend(struct input *in, const struct seeds *s, tuff_rng *rng)
{
    static const uint8_t odd[] = { 0, 1, 127, 128, 255, '0', '9', '-', '"', '\'', ',', ':', '.',
                                   '{', '}', '[', ']', '(', ')', ' ', '\n', '\r', 'e', 27 };
    static const uint64_t wide[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
                                     INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 7 };
    static const char *const words[] = { "99999999999999999999", "-1", "1e308", "0.5", "null",
                                         "\"\\u0000\"", "[[[[", "4294967296", "NaN", "\"\"" };
    const size_t at = in->size ? tuff_rng_below(rng, (uint32_t)in->size) : 0;
    const size_t left = in->size - at;
    const size_t some = left ? 1 + tuff_rng_below(rng, left < 16 ? (uint32_t)left : 16) : 0;
    const uint32_t pick = tuff_rng_word(rng) >> 8;
    const int other = (int)(pick % (uint32_t)s->count);
    switch (tuff_rng_below(rng, 10)) {
    case 0:
        if (left) in->bytes[at] ^= (uint8_t)(1 << pick % 8);
        break;
    case 1:
        if (left) in->bytes[at] = odd[pick % COUNT(odd)];
        break;
    case 2: in->size = at; break;
    case 3: splice(in, at, some, NULL, 0); break;
    case 4: splice(in, at, 0, in->bytes + at, some); break;
    case 5: splice(in, at, 0, &odd[pick % COUNT(odd)], 1); break;
    case 6:
        if (left >= 8) memcpy(in->bytes + at, &wide[pick % COUNT(wide)], pick & 1 ? 8 : 4);
        break;
    case 7: {
        const char *word = words[pick % COUNT(words)];
        splice(in, at, pick & 1 ? some : 0, (const uint8_t *)word, strlen(word));
        break;
    }
    case 8: // a number's digit
        if (left && in->bytes[at] >= '0' && in->bytes[at] <= '9')
            in->bytes[at] = (uint8_t)('0' + pick % 10);
        break;
    default: splice(in, at, left, s->bytes[other], s->size[other]); break;
    }
}

static void run(const char *name, tuff_status (*target)(const uint8_t *, size_t),
                void (*seed)(struct seeds *))
{
    static struct seeds s;
    static struct input in;
    int taken = 0, refused = 0;
    s = (struct seeds){ 0 };
    seed(&s);
    for (int i = 0; i < s.count; i++) // most seeds are good; each is at least not fatal
        fuzz_sentence(target(s.bytes[i], s.size[i]));
    const double end = tuff_time_now() + most_seconds;
    for (int i = 0; i < RUNS && tuff_time_now() < end; i++) {
        tuff_rng rng = { .seed = (uint64_t)i };
        const uint32_t from = tuff_rng_below(&rng, (uint32_t)s.count);
        memcpy(in.bytes, s.bytes[from], s.size[from]);
        in.size = s.size[from];
        for (uint32_t k = 1 + tuff_rng_below(&rng, 4); k > 0; k--) bend(&in, &s, &rng);
        uint8_t *exact = malloc(in.size ? in.size : 1); // a sanitizer sees the byte behind
        if (in.size) memcpy(exact, in.bytes, in.size);
        const tuff_status status = target(exact, in.size);
        fuzz_sentence(status);
        status == TUFF_OK ? taken++ : refused++;
        free(exact);
    }
    // A hunt that never gets in, or is never refused, hunts nothing.
    if (!EXPECT(taken > 20 && refused > 20))
        FAIL("%s: %d inputs were taken, %d refused", name, taken, refused);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
#define RUN(name)                                                               \
    if (case_begin(#name)) {                                                    \
        run(#name, fuzz_##name, seeds_##name);                                  \
        case_end();                                                             \
    }
    TARGETS(RUN)
    return report();
}
