// Files of arrays: .npy, safetensors, PNG; what they hold, and how they refuse what lies.
#include "harness.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "base/rng.h"
#include "data/npy.h"
#include "format/png.h"
#include "format/safetensors.h"
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One sentence: something, and no newline in it.
static void expect_sentence(void)
{
    const char *text = tuff_last_error();
    if (!EXPECT(strlen(text) > 10 && !strchr(text, '\n'))) FAIL("'%s'", text);
}

// ---- halves and arrays ----------------------------------------------------------------------

// Every f16 there and back; values between two f16 go to the nearer, ties to the even one.
static void halves(void)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float wide = tuff_f16_to_f32((uint16_t)bits);
        const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
        if (exponent == 31 && mantissa) {
            if (!isnan(wide) || !isnan(tuff_f16_to_f32(tuff_f32_to_f16(wide)))) FAIL("nan");
            continue;
        }
        const double m = exponent ? 1 + mantissa / 1024.0 : mantissa / 1024.0;
        double want = exponent == 31 ? INFINITY : ldexp(m, exponent ? (int)exponent - 15 : -14);
        if (bits & 0x8000) want = -want;
        if (wide != want || tuff_f32_to_f16(wide) != bits) FAIL("f16 %04x is %g", bits, wide);
        const float b = tuff_bf16_to_f32((uint16_t)bits);
        if (!isnan(b) && tuff_f32_to_bf16(b) != bits) FAIL("bf16 %04x is %g", bits, b);
    }
    for (uint32_t bits = 0; bits < 0x7bff; bits++) { // neighbours, and what lies between
        const float a = tuff_f16_to_f32((uint16_t)bits);
        const float b = tuff_f16_to_f32((uint16_t)(bits + 1));
        const float middle = (a + b) / 2;
        const uint32_t even = bits + (bits & 1);
        if (tuff_f32_to_f16(middle) != even) FAIL("the middle after %04x", bits);
        if (tuff_f32_to_f16(nextafterf(middle, 0)) != bits) FAIL("under the middle %04x", bits);
        if (tuff_f32_to_f16(nextafterf(middle, b)) != bits + 1) FAIL("over it %04x", bits);
    }
    EXPECT_EQ(tuff_f32_to_f16(65519.99f), 0x7bff);
    EXPECT_EQ(tuff_f32_to_f16(65520), 0x7c00);
    EXPECT_EQ(tuff_f32_to_f16(1e30f), 0x7c00);
    EXPECT_EQ(tuff_f32_to_f16(-1e-30f), 0x8000);
    EXPECT_EQ(tuff_f32_to_bf16(1.00390625f), 0x3f80); // a tie, to even
    EXPECT_EQ(tuff_f32_to_bf16(1.01171875f), 0x3f82);
    EXPECT(isnan(tuff_bf16_to_f32(tuff_f32_to_bf16(NAN))));
}

static void array_limits(void)
{
    tuff_array a;
    EXPECT_STATUS(tuff_array_init(&a, TUFF_SHAPE(TUFF_F32, 3, 0)), TUFF_ERR_SHAPE);
    EXPECT_STATUS(tuff_array_init(&a, TUFF_SHAPE(TUFF_F32, -1)), TUFF_ERR_SHAPE);
    EXPECT_STATUS(tuff_array_init(&a, TUFF_SHAPE(TUFF_F32, 1ll << 40, 1ll << 40)),
                  TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "overflows");
    EXPECT_STATUS(tuff_array_init(&a, (tuff_desc){ .dtype = TUFF_F32, .rank = 9 }),
                  TUFF_ERR_SHAPE);
    EXPECT_STATUS(tuff_array_init(&a, TUFF_SHAPE((tuff_dtype)3, 1)), TUFF_ERR_DTYPE);
    EXPECT(a.data == NULL);
    EXPECT_OK(tuff_array_init(&a, TUFF_SCALAR(TUFF_F32)));
    EXPECT(a.data && *(float *)a.data == 0 && (uintptr_t)a.data % 64 == 0);
    tuff_array_clear(&a);
    tuff_array_clear(&a);
    EXPECT(a.data == NULL);
}

static void converts(void)
{
    int64_t wide[] = { -5, 0, 16777216, 2147483647, 2147483648, 16777217, INT64_MIN };
    const tuff_array from = { TUFF_SHAPE(TUFF_I64, 4), wide };
    tuff_array to;
    EXPECT_OK(tuff_array_convert(&from, TUFF_I32, &to));
    for (int i = 0; i < 4; i++) EXPECT_EQ(((int32_t *)to.data)[i], wide[i]);
    tuff_array_clear(&to);
    const tuff_array three = { TUFF_SHAPE(TUFF_I64, 3), wide };
    EXPECT_OK(tuff_array_convert(&three, TUFF_F32, &to));
    EXPECT(((float *)to.data)[0] == -5 && ((float *)to.data)[2] == 16777216);
    tuff_array_clear(&to);
    static const struct {
        int at;
        tuff_dtype to;
    } refused[] = { { 4, TUFF_I32 }, { 5, TUFF_F32 }, { 0, TUFF_U32 }, { 0, TUFF_BOOL },
                    { 2, TUFF_U8 },  { 5, TUFF_F16 }, { 3, TUFF_BF16 } };
    for (size_t i = 0; i < COUNT(refused); i++) {
        const tuff_array one = { TUFF_SHAPE(TUFF_I64, 1), wide + refused[i].at };
        EXPECT_STATUS(tuff_array_convert(&one, refused[i].to, &to), TUFF_ERR_DTYPE);
        EXPECT_HAS(tuff_last_error(), "element 0 is ");
        EXPECT(to.data == NULL);
    }
    float real[] = { 1.5f, NAN, 3, 1e30f, -0.0f };
    for (int i = 0; i < 5; i++) {
        const tuff_array one = { TUFF_SHAPE(TUFF_F32, 1), real + i };
        const bool fits = i == 2 || i == 4;
        EXPECT_STATUS(tuff_array_convert(&one, TUFF_I32, &to), fits ? TUFF_OK : TUFF_ERR_DTYPE);
        if (fits) EXPECT_EQ(*(int32_t *)to.data, (int)real[i]);
        tuff_array_clear(&to);
    }
    const tuff_array reals = { TUFF_SHAPE(TUFF_F32, 5), real };
    EXPECT_OK(tuff_array_convert(&reals, TUFF_F16, &to));
    EXPECT_EQ(((uint16_t *)to.data)[0], 0x3e00);
    EXPECT_EQ(((uint16_t *)to.data)[3], 0x7c00);
    tuff_array_clear(&to);
}

// ---- .npy -----------------------------------------------------------------------------------

// A file in memory: version, header text (padded as NumPy does) and elements.
struct file {
    uint8_t bytes[2048];
    size_t size;
};

static struct file npy(int version, const char *header, const void *data, size_t size)
{
    struct file f = { .bytes = "\x93NUMPY" };
    const size_t start = version == 1 ? 10 : 12, length = strlen(header) + 1;
    f.bytes[6] = (uint8_t)version;
    f.bytes[8] = (uint8_t)length;
    f.bytes[9] = (uint8_t)(length >> 8);
    memcpy(f.bytes + start, header, length - 1);
    f.bytes[start + length - 1] = '\n';
    if (size) memcpy(f.bytes + start + length, data, size);
    f.size = start + length + size;
    return f;
}

static void npy_kinds(void)
{
    static const struct {
        const char *descr;
        tuff_dtype dtype;
        const char *elements; // two
        size_t size;
        float want[2];
    } rows[] = {
        { "<f4", TUFF_F32, "\0\0\x80\x3f\0\0\0\xc0", 8, { 1, -2 } },
        { "<f8", TUFF_F32, "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 16, { 1, -2 } },
        { "<f2", TUFF_F16, "\0\x3c\0\xc0", 4, { 1, -2 } },
        { "<i4", TUFF_I32, "\1\0\0\0\xfe\xff\xff\xff", 8, { 1, -2 } },
        { "<u4", TUFF_U32, "\1\0\0\0\0\0\0\x80", 8, { 1, 2147483648.0f } },
        { "<i8", TUFF_I64, "\1\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff", 16, { 1, -2 } },
        { "|u1", TUFF_U8, "\1\xfe", 2, { 1, 254 } },
        { "|i1", TUFF_I8, "\1\xfe", 2, { 1, -2 } },
        { "|b1", TUFF_BOOL, "\0\5", 2, { 0, 1 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int version = 1; version <= 3; version++) {
            char header[128];
            tuff_array a, wide = { 0 };
            snprintf(header, sizeof header,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }   ",
                     rows[i].descr);
            const struct file f = npy(version, header, rows[i].elements, rows[i].size);
            if (!EXPECT_OK(tuff_npy_parse(f.bytes, f.size, &a))) continue;
            EXPECT(a.desc.dtype == rows[i].dtype && a.desc.rank == 1 && a.desc.dim[0] == 2);
            EXPECT_OK(tuff_array_convert(&a, TUFF_F32, &wide));
            for (int k = 0; k < 2; k++)
                EXPECT_NEAR(((float *)wide.data)[k], rows[i].want[k], 0);
            tuff_array_clear(&a);
            tuff_array_clear(&wide);
        }
}

// Element (i, j, k) of a 2 x 3 x 5 array in Fortran's order lies at i + 2 j + 6 k.
static void npy_fortran(void)
{
    int32_t data[30];
    for (int i = 0; i < 30; i++) data[i] = i;
    const char *header = "{'shape': (2, 3, 5), \"descr\": \"<i4\", 'fortran_order':True}";
    const struct file f = npy(1, header, data, sizeof data);
    tuff_array a;
    if (!EXPECT_OK(tuff_npy_parse(f.bytes, f.size, &a))) return;
    EXPECT(a.desc.rank == 3 && a.desc.dim[0] == 2 && a.desc.dim[1] == 3 && a.desc.dim[2] == 5);
    const int32_t *got = a.data;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 5; k++) EXPECT_EQ(*got++, i + 2 * j + 6 * k);
    tuff_array_clear(&a);
}

static void npy_round_trip(void)
{
    const char *path = temp_path("a.npy");
    uint8_t raw[24 * 8];
    tuff_rng rng = { 9, 0 };
    for (size_t i = 0; i < sizeof raw; i++) raw[i] = (uint8_t)tuff_rng_word(&rng);
    static const tuff_dtype types[] = { TUFF_F32, TUFF_F16, TUFF_I32, TUFF_U32, TUFF_I8,
                                        TUFF_U8, TUFF_I64 };
    const tuff_desc shapes[] = { TUFF_SCALAR(TUFF_F32), TUFF_SHAPE(TUFF_F32, 24),
                                 TUFF_SHAPE(TUFF_F32, 2, 1, 3, 4),
                                 TUFF_SHAPE(TUFF_F32, 1, 1, 1, 1, 2, 2, 2, 3) };
    for (size_t t = 0; t < COUNT(types); t++)
        for (size_t s = 0; s < COUNT(shapes); s++) {
            tuff_array a = { shapes[s], raw }, b;
            a.desc.dtype = types[t];
            EXPECT_OK(tuff_npy_write(path, &a));
            if (!EXPECT_OK(tuff_npy_read(path, &b))) continue;
            EXPECT(tuff_desc_equal(&a.desc, &b.desc));
            EXPECT(memcmp(b.data, raw, tuff_desc_bytes(&a.desc)) == 0);
            tuff_array_clear(&b);
            void *bytes;
            size_t size;
            EXPECT_OK(tuff_file_read(path, 4096, &bytes, &size));
            EXPECT_EQ((size - tuff_desc_bytes(&a.desc)) % 64, 0);
            tuff_free(bytes);
        }
    const tuff_array brain = { TUFF_SHAPE(TUFF_BF16, 2), raw };
    EXPECT_STATUS(tuff_npy_write(path, &brain), TUFF_ERR_DTYPE);
}

static void npy_refuses(void)
{
    static const struct {
        const char *header, *why;
    } rows[] = {
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", "the type is '>f4'" },
        { "{'descr': [('a','<f4')], 'fortran_order': False, 'shape': (2,)}", "structured" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "needs 12 bytes" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "the file has 8" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", "needs 4 bytes" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "no elements" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "no whole number" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}", "not closed" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "no tuple" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': "
          "(4294967296, 4294967296, 4294967296)}", "overflows" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
          "no whole number" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}", "over 8" },
        { "{'descr': '<f4', 'fortran_order': No, 'shape': (2,)}", "neither True nor False" },
        { "{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", "twice" },
        { "{'descr': '<f4', 'fortran_order': False}", "lacks one of" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "unknown key" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 1", "goes on" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "not closed" },
        { "", "no dictionary" },
    };
    tuff_array a;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct file f = npy(1, rows[i].header, "\0\0\0\0\0\0\0\0", 8);
        if (!EXPECT_STATUS(tuff_npy_parse(f.bytes, f.size, &a), TUFF_ERR_FORMAT))
            FAIL("%s", rows[i].header);
        EXPECT_HAS(tuff_last_error(), rows[i].why);
        EXPECT(a.data == NULL);
    }
    const char *good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
    for (int version = 1; version <= 3; version++) {
        struct file f = npy(version, good, "\0\0\0\0\0\0\0\0", 8);
        for (size_t cut = 0; cut < f.size; cut++) {
            void *exact = malloc(cut ? cut : 1); // so that a sanitizer sees one byte too many
            memcpy(exact, f.bytes, cut);
            EXPECT_STATUS(tuff_npy_parse(exact, cut, &a), TUFF_ERR_FORMAT);
            expect_sentence();
            free(exact);
        }
        EXPECT_STATUS(tuff_npy_parse(f.bytes, f.size + 1, &a), TUFF_ERR_FORMAT);
        f.bytes[6] = 4;
        EXPECT_STATUS(tuff_npy_parse(f.bytes, f.size, &a), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), "version is 4.0");
    }
    EXPECT_STATUS(tuff_npy_read(temp_path("none.npy"), &a), TUFF_ERR_IO);
}

// A file without elements is told from one that is wrong, and from one with elements.
static void npy_tells_empty_ones(void)
{
    static const struct {
        const char *shape;
        size_t bytes; // of elements
        bool empty;
    } rows[] = {
        { "(0,)", 0, true }, { "(3, 0, 2)", 0, true }, { "(2,)", 8, false },
        { "(0,)", 8, false }, { "()", 4, false }, { "(0", 0, false },
    };
    const char *path = temp_path("empty.npy");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char header[100];
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': %s}",
                 rows[i].shape);
        const struct file f = npy(1, header, "\0\0\0\0\0\0\0\0", rows[i].bytes);
        EXPECT_OK(tuff_file_write(path, f.bytes, f.size));
        if (tuff_npy_is_empty(path) != rows[i].empty) FAIL("row %zu", i);
    }
    EXPECT(!tuff_npy_is_empty(temp_path("none.npy")));
}

// ---- safetensors ----------------------------------------------------------------------------

static struct file st(const char *header, size_t data)
{
    struct file f = { 0 };
    const uint64_t length = strlen(header);
    memcpy(f.bytes, &length, 8);
    memcpy(f.bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) f.bytes[8 + length + i] = (uint8_t)(i + 1);
    f.size = 8 + length + data;
    return f;
}

// Parses a copy whose block is exactly as long as it says.
static tuff_status st_parse(const void *bytes, size_t size, tuff_safetensors **out)
{
    uint8_t *copy = tuff_alloc(size, 1);
    if (size) memcpy(copy, bytes, size);
    return tuff_safetensors_parse(copy, size, out);
}

static void safetensors_round_trip(void)
{
    const char *path = temp_path("a.safetensors"), *again = temp_path("b.safetensors");
    float w[6] = { 1, -2, 3.5f, NAN, INFINITY, 1e-40f };
    uint8_t b[3] = { 7, 8, 9 };
    int64_t n[1] = { INT64_MIN };
    uint16_t h[2] = { 0x3c00, 0xfbff };
    tuff_named_array arrays[] = {
        { "layer.weight", { TUFF_SHAPE(TUFF_F32, 2, 3), w } },
        { "a \"quoted\"\n\\ \xc3\xa9", { TUFF_SHAPE(TUFF_U8, 3), b } },
        { "n", { TUFF_SCALAR(TUFF_I64), n } },
        { "half", { TUFF_SHAPE(TUFF_F16, 2, 1), h } },
    };
    tuff_pair meta[] = { { "step", "18446744073709551615" }, { "net", "conv 6 5 | \"relu\"" } };
    EXPECT_OK(tuff_safetensors_write(path, arrays, 4, meta, 2));
    tuff_safetensors *f;
    if (!EXPECT_OK(tuff_safetensors_read(path, &f))) return;
    EXPECT_EQ(tuff_safetensors_count(f), 4);
    for (int i = 0; i < 4; i++) {
        const tuff_array *a = tuff_safetensors_find(f, arrays[i].name);
        if (!EXPECT(a != NULL)) continue;
        EXPECT(tuff_desc_equal(&a->desc, &arrays[i].array.desc));
        EXPECT(memcmp(a->data, arrays[i].array.data, tuff_desc_bytes(&a->desc)) == 0);
        EXPECT_EQ((uintptr_t)a->data % tuff_dtype_size(a->desc.dtype), 0);
    }
    EXPECT_STR(tuff_safetensors_at(f, 3)->name, "n");
    EXPECT(!tuff_safetensors_at(f, 4) && !tuff_safetensors_at(f, -1));
    EXPECT(!tuff_safetensors_find(f, "N") && !tuff_safetensors_find(f, "__metadata__"));
    EXPECT_STR(tuff_safetensors_meta(f, "step"), "18446744073709551615");
    EXPECT_STR(tuff_safetensors_meta(f, "net"), "conv 6 5 | \"relu\"");
    EXPECT(!tuff_safetensors_meta(f, "nothing"));
    tuff_safetensors_destroy(&f);
    EXPECT(f == NULL);
    tuff_safetensors_destroy(&f);

    // Another order, the same bytes.
    const tuff_named_array turned[] = { arrays[3], arrays[1], arrays[0], arrays[2] };
    const tuff_pair meta_turned[] = { meta[1], meta[0] };
    EXPECT_OK(tuff_safetensors_write(again, turned, 4, meta_turned, 2));
    void *x, *y;
    size_t p, q;
    EXPECT_OK(tuff_file_read(path, 4096, &x, &p));
    EXPECT_OK(tuff_file_read(again, 4096, &y, &q));
    EXPECT(p == q && memcmp(x, y, p) == 0);
    tuff_free(x);
    tuff_free(y);

    EXPECT_OK(tuff_safetensors_write(path, NULL, 0, NULL, 0));
    EXPECT_OK(tuff_safetensors_read(path, &f));
    EXPECT_EQ(tuff_safetensors_count(f), 0);
    EXPECT(!tuff_safetensors_find(f, "x") && !tuff_safetensors_meta(f, "x"));
    tuff_safetensors_destroy(&f);
    arrays[1].name = "n";
    EXPECT_STATUS(tuff_safetensors_write(path, arrays, 4, NULL, 0), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "two arrays are named 'n'");
    arrays[1].name = "__metadata__";
    EXPECT_STATUS(tuff_safetensors_write(path, arrays, 4, NULL, 0), TUFF_ERR_ARG);
    meta[1].key = "step";
    EXPECT_STATUS(tuff_safetensors_write(path, arrays, 1, meta, 2), TUFF_ERR_ARG);
}

// A file as another library may write it: spaces, a wide type, arrays across their alignment.
static void safetensors_foreign(void)
{
    const double doubles[2] = { 0.5, -1e10 };
    struct file f = st("{ \"odd\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\n"
                       "\"wide\":{\"shape\":[2,1],\"dtype\":\"F64\",\"data_offsets\":[3,19]},"
                       "\"none\":{\"shape\":[0,5],\"dtype\":\"F32\",\"data_offsets\":[3,3]}}  ",
                       19);
    memcpy(f.bytes + f.size - 16, doubles, 16);
    tuff_safetensors *file;
    if (!EXPECT_OK(st_parse(f.bytes, f.size, &file))) return;
    const tuff_array *wide = tuff_safetensors_find(file, "wide");
    EXPECT(wide->desc.dtype == TUFF_F32 && wide->desc.rank == 2);
    EXPECT(((float *)wide->data)[0] == 0.5f && ((float *)wide->data)[1] == -1e10f);
    EXPECT_EQ(((uint8_t *)tuff_safetensors_find(file, "odd")->data)[2], 3);
    EXPECT_EQ(tuff_desc_count(&tuff_safetensors_find(file, "none")->desc), 0);
    tuff_safetensors_destroy(&file);
}

#define ENTRY(name, dtype, shape, offsets)                                      \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void safetensors_refuses(void)
{
    static const struct {
        const char *header, *why;
        size_t data;
    } rows[] = {
        { "{" ENTRY("a", "F32", "[2]", "[0,8]") "}", "the file has 7 bytes", 7 },
        { "{" ENTRY("a", "F32", "[2]", "[0,8]") "}", "1 bytes of data belong to no", 9 },
        { "{" ENTRY("a", "F32", "[3]", "[0,8]") "}", "does not fit its 8 bytes", 8 },
        { "{" ENTRY("a", "F32", "[2]", "[8,0]") "}", "lies at 8 to 0", 8 },
        { "{" ENTRY("a", "F32", "[2]", "[4,12]") "}", "begins at byte 4", 12 },
        { "{" ENTRY("a", "F32", "[2]", "[-8,0]") "}", "no two data_offsets", 8 },
        { "{" ENTRY("a", "F32", "[2]", "[0,8,9]") "}", "no two data_offsets", 8 },
        { "{" ENTRY("a", "F32", "[2]", "[0,1e300]") "}", "no two data_offsets", 8 },
        { "{" ENTRY("a", "F32", "[2]", "[0,8.5]") "}", "no two data_offsets", 8 },
        { "{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", "does not fit", 0 },
        { "{" ENTRY("a", "F32", "[0,4294967296,4294967296]", "[0,0]") "}", "does not fit", 0 },
        { "{" ENTRY("a", "F32", "[-1]", "[0,0]") "}", "no whole number", 0 },
        { "{" ENTRY("a", "F32", "[1.5]", "[0,6]") "}", "no whole number", 6 },
        { "{" ENTRY("a", "F32", "[\"2\"]", "[0,8]") "}", "no whole number", 8 },
        { "{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", "over 8 dims", 4 },
        { "{" ENTRY("a", "F32", "2", "[0,8]") "}", "no shape", 8 },
        { "{" ENTRY("a", "F33", "[2]", "[0,8]") "}", "has dtype F33", 8 },
        { "{" ENTRY("a", "U8", "[8]", "[0,8]") "," ENTRY("a", "U8", "[1]", "[8,9]") "}",
          "'a' is there twice", 9 },
        { "{" ENTRY("a", "U8", "[6]", "[0,6]") "," ENTRY("b", "U8", "[4]", "[4,8]") "}",
          "'b' begins at byte 4, the array before it ends at 6", 8 },
        { "{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[4]", "[4,8]") "}",
          "ends at 2", 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "not described by", 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2]}}", "no two data_off", 8 },
        { "{\"a\":[]}", "not described by", 0 },
        { "{\"a\":null}", "not described by", 0 },
        { "{\"__metadata__\":{\"a\":1}}", "'a' is no string", 0 },
        { "{\"__metadata__\":[]}", "is no map", 0 },
        { "{\"__metadata__\":{},\"__metadata__\":{}}", "there twice", 0 },
        { "[]", "no map of names", 0 },
        { "{", "not JSON", 0 },
        { "{} x", "not JSON from byte 3", 0 },
        { "", "not JSON", 0 },
    };
    tuff_safetensors *file;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct file f = st(rows[i].header, rows[i].data);
        if (!EXPECT_STATUS(st_parse(f.bytes, f.size, &file), TUFF_ERR_FORMAT))
            FAIL("%s", rows[i].header);
        EXPECT_HAS(tuff_last_error(), rows[i].why);
        EXPECT(file == NULL);
    }
    // Cut anywhere, and every length that lies.
    struct file f = st("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 8);
    for (size_t cut = 0; cut < f.size; cut++) {
        EXPECT_STATUS(st_parse(f.bytes, cut, &file), TUFF_ERR_FORMAT);
        expect_sentence();
    }
    uint64_t length;
    memcpy(&length, f.bytes, 8);
    const uint64_t lies[] = { 0, 1, length - 1, length + 1, f.size - 8, f.size - 7, f.size,
                              100000001, UINT64_MAX, UINT64_MAX - 7, 1ull << 63 };
    for (size_t i = 0; i < COUNT(lies); i++) {
        memcpy(f.bytes, &lies[i], 8);
        EXPECT_STATUS(st_parse(f.bytes, f.size, &file), TUFF_ERR_FORMAT);
        expect_sentence();
    }
    // Brackets within brackets within brackets: no stack is deep enough for all of them.
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    const uint64_t all = (1 << 20) - 8;
    memcpy(deep, &all, 8);
    EXPECT_STATUS(st_parse(deep, 1 << 20, &file), TUFF_ERR_FORMAT);
    free(deep);
}

// A thousand names: sorted, found, and none mistaken for another.
static void safetensors_many(void)
{
    enum { N = 1009 };
    static char names[N][16];
    static float values[N];
    static tuff_named_array arrays[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i * 7919 % N);
        values[i] = (float)i;
        arrays[i] = (tuff_named_array){ names[i], { TUFF_SHAPE(TUFF_F32, 1), &values[i] } };
    }
    const char *path = temp_path("many");
    EXPECT_OK(tuff_safetensors_write(path, arrays, N, NULL, 0));
    tuff_safetensors *f;
    if (!EXPECT_OK(tuff_safetensors_read(path, &f))) return;
    for (int i = 0; i < N; i++) {
        const tuff_array *a = tuff_safetensors_find(f, names[i]);
        if (!a || *(float *)a->data != values[i]) FAIL("%s", names[i]);
    }
    for (int i = 1; i < N; i++)
        EXPECT(strcmp(tuff_safetensors_at(f, i - 1)->name, tuff_safetensors_at(f, i)->name)
               < 0);
    tuff_safetensors_destroy(&f);
}

// ---- PNG ------------------------------------------------------------------------------------

static size_t make_png(uint32_t format, int w, int h, const void *pixels, const void *map,
                       int colours, void *out, size_t room)
{
    png_image image = { .version = PNG_IMAGE_VERSION, .width = (png_uint_32)w,
                        .height = (png_uint_32)h, .format = format,
                        .colormap_entries = (png_uint_32)colours };
    png_alloc_size_t size = room;
    return png_image_write_to_memory(&image, out, &size, 0, pixels, 0, map) ? size : 0;
}

static void png_pixels(void)
{
    static const uint8_t grey[6] = { 0, 1, 127, 128, 254, 255 };
    static const uint8_t rgb[18] = { 255, 0, 0, 0, 255, 0, 0, 0, 255,
                                     1,   2, 3, 9, 9,   9, 0, 0, 7 };
    static const uint8_t index[6] = { 0, 1, 2, 2, 1, 0 };
    static const uint8_t map[9] = { 10, 20, 30, 40, 50, 60, 70, 80, 90 };
    static const uint8_t ga[12] = { 200, 255, 200, 0, 0, 255, 255, 255, 9, 0, 1, 255 };
    uint8_t png[1000];
    tuff_array a;
    size_t n = make_png(PNG_FORMAT_GRAY, 3, 2, grey, NULL, 0, png, sizeof png);
    for (int channels = 0; channels <= 3; channels++) {
        if (channels == 2) continue;
        if (!EXPECT_OK(tuff_png_parse(png, n, channels, &a))) return;
        const int64_t c = channels ? channels : 1;
        EXPECT(a.desc.rank == 3 && a.desc.dim[0] == c && a.desc.dim[1] == 2 &&
               a.desc.dim[2] == 3 && a.desc.dtype == TUFF_F32);
        for (int i = 0; i < 6 * c; i++)
            EXPECT_NEAR(((float *)a.data)[i], grey[i % 6] / 255.0, 1e-7);
        tuff_array_clear(&a);
    }
    n = make_png(PNG_FORMAT_RGB, 3, 2, rgb, NULL, 0, png, sizeof png);
    EXPECT_OK(tuff_png_parse(png, n, 0, &a));
    EXPECT_EQ(a.desc.dim[0], 3);
    for (int i = 0; i < 18; i++)
        EXPECT_NEAR(((float *)a.data)[i], rgb[i % 6 * 3 + i / 6] / 255.0, 1e-7);
    tuff_array_clear(&a);
    EXPECT_OK(tuff_png_parse(png, n, 1, &a)); // luma: green is the brightest, blue the darkest
    EXPECT(((float *)a.data)[1] > ((float *)a.data)[0] &&
           ((float *)a.data)[0] > ((float *)a.data)[2]);
    EXPECT_NEAR(((float *)a.data)[4], 9 / 255.0, 1e-7);
    tuff_array_clear(&a);
    n = make_png(PNG_FORMAT_RGB_COLORMAP, 3, 2, index, map, 3, png, sizeof png);
    EXPECT_OK(tuff_png_parse(png, n, 0, &a));
    EXPECT_EQ(a.desc.dim[0], 3);
    for (int i = 0; i < 18; i++)
        EXPECT_NEAR(((float *)a.data)[i], map[index[i % 6] * 3 + i / 6] / 255.0, 1e-7);
    tuff_array_clear(&a);
    n = make_png(PNG_FORMAT_GA, 3, 2, ga, NULL, 0, png, sizeof png);
    EXPECT_OK(tuff_png_parse(png, n, 0, &a)); // over black
    for (int i = 0; i < 6; i++)
        EXPECT_NEAR(((float *)a.data)[i], ga[2 * i + 1] ? ga[2 * i] / 255.0 : 0, 1e-7);
    tuff_array_clear(&a);
}

static void png_refuses(void)
{
    uint8_t grey[35], png[1000];
    tuff_array a;
    for (int i = 0; i < 35; i++) grey[i] = (uint8_t)(i * 7);
    const size_t n = make_png(PNG_FORMAT_GRAY, 5, 7, grey, NULL, 0, png, sizeof png);
    EXPECT_STATUS(tuff_png_parse(png, n, 2, &a), TUFF_ERR_ARG);
    // The last chunk has 12 bytes and says nothing; libpng does not miss it.
    for (size_t cut = 0; cut + 12 < n; cut++) {
        void *exact = malloc(cut ? cut : 1);
        memcpy(exact, png, cut);
        EXPECT_STATUS(tuff_png_parse(exact, cut, 0, &a), TUFF_ERR_FORMAT);
        EXPECT(a.data == NULL);
        expect_sentence();
        free(exact);
    }
    // 60,000 x 60,000 pixels, with a checksum that is right: refused, no memory asked for.
    uint8_t head[33];
    memcpy(head, png, 33);
    const uint8_t side[4] = { 0, 0, 0xea, 0x60 };
    memcpy(head + 16, side, 4);
    memcpy(head + 20, side, 4);
    uint32_t crc = ~0u;
    for (int i = 12; i < 29; i++) {
        crc ^= head[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; i++) head[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    memcpy(png, head, 33);
    EXPECT_STATUS(tuff_png_parse(png, n, 0, &a), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "60000 x 60000");
    EXPECT_STATUS(tuff_png_read(temp_path("none.png"), 0, &a), TUFF_ERR_IO);
    EXPECT_OK(tuff_file_write(temp_path("text.png"), "hello", 5));
    EXPECT_STATUS(tuff_png_read(temp_path("text.png"), 0, &a), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "text.png: it is no PNG image");
}

// The n-th allocation fails, for every n: a clean error, and nothing is lost (a sanitizer
// watches).
static void memory_runs_out(void)
{
    const char *path = temp_path("m");
    const float x[2] = { 1, 2 };
    const tuff_named_array named = { "x", { TUFF_SHAPE(TUFF_F32, 2), (void *)(uintptr_t)x } };
    for (int what = 0; what < 4; what++) {
        int failed = 0;
        for (int n = 1;; n++) {
            tuff_array a = { 0 };
            tuff_safetensors *f = NULL;
            tuff_status status;
            if (what == 1) EXPECT_OK(tuff_npy_write(path, &named.array));
            tuff_alloc_fail_at(n);
            if (what == 0) status = tuff_npy_write(path, &named.array);
            else if (what == 1) status = tuff_npy_read(path, &a);
            else if (what == 2) status = tuff_safetensors_write(path, &named, 1, NULL, 0);
            else status = tuff_safetensors_read(path, &f);
            tuff_alloc_fail_at(0);
            tuff_array_clear(&a);
            tuff_safetensors_destroy(&f);
            if (status == TUFF_OK) break;
            failed++;
            EXPECT_STATUS(status, TUFF_ERR_MEMORY);
        }
        EXPECT(failed >= 2);
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(halves);
    CASE(array_limits);
    CASE(converts);
    CASE(npy_kinds);
    CASE(npy_fortran);
    CASE(npy_round_trip);
    CASE(npy_refuses);
    CASE(npy_tells_empty_ones);
    CASE(safetensors_round_trip);
    CASE(safetensors_foreign);
    CASE(safetensors_refuses);
    CASE(safetensors_many);
    CASE(png_pixels);
    CASE(png_refuses);
    CASE(memory_runs_out);
    return report();
}
