// .tuffz: what is written comes back bit for bit, is small where it can be, models are taken
// like any, and files that lie are refused.
#include "harness.h"
#include "base/rng.h"
#include "format/tuffz.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

static tuff_device *device;

// ---- Huffman's codes ------------------------------------------------------------------------

static int64_t cost(const int64_t count[], const uint8_t length[], int n)
{
    int64_t bits = 0;
    for (int i = 0; i < n; i++) bits += count[i] * length[i];
    return bits;
}

static void codes_are_the_best(void)
{
    // Known: counts 1 1 2 3 5 8 give lengths 5 5 4 3 2 1.
    static const int64_t counts[] = { 1, 1, 2, 3, 5, 8 };
    uint8_t length[TUFF_HUFFMAN_SYMBOLS];
    tuff_huffman_lengths(counts, 6, length);
    EXPECT_EQ(cost(counts, length, 6), 5 + 5 + 8 + 9 + 10 + 8);
    EXPECT(length[0] == 5 && length[2] == 4 && length[5] == 1);
    // 256 equal ones have 8 bits each, one alone has a bit.
    int64_t even[TUFF_HUFFMAN_SYMBOLS];
    for (int i = 0; i < TUFF_HUFFMAN_SYMBOLS; i++) even[i] = 7;
    tuff_huffman_lengths(even, TUFF_HUFFMAN_SYMBOLS, length);
    for (int i = 0; i < TUFF_HUFFMAN_SYMBOLS; i++) EXPECT(length[i] == 8);
    static const int64_t alone[] = { 0, 0, 9, 0 };
    tuff_huffman_lengths(alone, 4, length);
    EXPECT(length[2] == 1 && !length[0] && !length[1] && !length[3]);
}

// Counts like Fibonacci's make the longest codes: they are cut to 15 bits and still a code.
static void long_codes_are_cut(void)
{
    static tuff_huffman h;
    int64_t count[40] = { 1, 1 };
    uint8_t length[40];
    for (int i = 2; i < 40; i++) count[i] = count[i - 1] + count[i - 2];
    tuff_huffman_lengths(count, 40, length);
    for (int i = 0; i < 40; i++) EXPECT(length[i] >= 1 && length[i] <= TUFF_HUFFMAN_BITS);
    EXPECT_OK(tuff_huffman_build(&h, length, 40, "numbers"));
    EXPECT(h.bits == TUFF_HUFFMAN_BITS);
}

static void tables_that_lie(void)
{
    static tuff_huffman h;
    static const uint8_t over[] = { 1, 1, 1 }, under[] = { 2, 2, 2 }, none[] = { 0, 0 };
    static const uint8_t one[] = { 0, 2 }, good[] = { 1, 2, 2 };
    EXPECT_STATUS(tuff_huffman_build(&h, over, 3, "gaps"), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "table of its gaps has more codes than their lengths allow");
    EXPECT_STATUS(tuff_huffman_build(&h, under, 3, "gaps"), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "leaves codes without a meaning");
    EXPECT_STATUS(tuff_huffman_build(&h, none, 2, "gaps"), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "has no codes");
    EXPECT_STATUS(tuff_huffman_build(&h, one, 2, "gaps"), TUFF_ERR_FORMAT);
    EXPECT_OK(tuff_huffman_build(&h, good, 3, "gaps"));
}

// ---- arrays ---------------------------------------------------------------------------------

struct whole {
    uint8_t *data;
    size_t at, most;
};

static tuff_status keep(void *user, size_t at, const void *data, size_t size)
{
    struct whole *w = user;
    EXPECT(at == w->at && size <= TUFF_TUFFZ_PIECE);
    memcpy(w->data + at, data, size);
    w->at += size;
    if (size > w->most) w->most = size;
    return TUFF_OK;
}

// Whether tensor i of a file has exactly these bytes.
static bool same(const tuff_tuffz *f, int i, const tuff_array *a)
{
    tuff_tuffz_tensor t;
    struct whole w = { 0 };
    if (!tuff_tuffz_at(f, i, &t) || !tuff_desc_equal(&t.desc, &a->desc)) return false;
    const size_t bytes = tuff_desc_bytes(&t.desc);
    w.data = malloc(bytes);
    const bool ok = EXPECT_OK(tuff_tuffz_read(f, i, keep, &w, NULL)) && w.at == bytes &&
                    memcmp(w.data, a->data, bytes) == 0;
    free(w.data);
    return ok;
}

static void arrays_come_back(void)
{
    enum { N = 200003, SMALL = 77 };
    static float few[N], noise[SMALL], zeros[N], odd[SMALL], every[5100], two[N];
    static uint8_t bytes[N];
    static int64_t wide[SMALL];
    tuff_rng rng = { .seed = 5 };
    for (int i = 0; i < N; i++) {
        const float v = (float)tuff_rng_below(&rng, 31) * 0.25f - 3;
        few[i] = tuff_rng_below(&rng, 13) == 0 && i / 5000 != 3 ? v : 0;
        bytes[i] = (uint8_t)(i / 1000);
        two[i] = tuff_rng_below(&rng, 2) ? 1.5f : -1;
    }
    few[N - 1] = 0;
    for (int i = 0; i < SMALL; i++) {
        noise[i] = sinf((float)i);
        wide[i] = -i;
        odd[i] = i % 4 == 0 ? -0.0f : i % 4 == 1 ? NAN : i % 4 == 2 ? INFINITY : 0;
    }
    for (int i = 0; i < 5100; i++) // 255 and zero: just fits
        every[i] = i < 256 ? (float)i : (float)tuff_rng_below(&rng, 256);
    const tuff_named_array all[] = {
        { "few", { TUFF_SHAPE(TUFF_F32, 1, N), few } },
        { "noise", { TUFF_SHAPE(TUFF_F32, 7, 11), noise } },
        { "zeros", { TUFF_SHAPE(TUFF_F32, N), zeros } },
        { "odd", { TUFF_SHAPE(TUFF_F32, SMALL), odd } },
        { "every", { TUFF_SHAPE(TUFF_F32, 5100), every } },
        { "two", { TUFF_SHAPE(TUFF_F32, N), two } },
        { "bytes", { TUFF_SHAPE(TUFF_U8, N), bytes } },
        { "wide", { TUFF_SHAPE(TUFF_I64, SMALL), wide } },
        { "scalar", { TUFF_SCALAR(TUFF_F32), few + 5 } },
    };
    const tuff_pair meta[] = { { "a key", "a value\nof two lines" }, { "empty", "" } };
    const char *path = temp_path("all.tuffz");
    tuff_tuffz *f;
    tuff_tuffz_tensor t;
    EXPECT_OK(tuff_tuffz_write(path, all, COUNT(all), meta, COUNT(meta)));
    EXPECT(tuff_tuffz_is(path) && !tuff_tuffz_is("/no/file"));
    if (!EXPECT_OK(tuff_tuffz_open(path, &f))) return;
    EXPECT_EQ(tuff_tuffz_count(f), COUNT(all));
    EXPECT_STR(tuff_tuffz_meta(f, "a key"), meta[0].value);
    EXPECT_STR(tuff_tuffz_meta(f, "empty"), "");
    EXPECT(!tuff_tuffz_meta(f, "none") && tuff_tuffz_find(f, "none") == -1);
    for (int i = 0; i < (int)COUNT(all); i++) {
        EXPECT_EQ(tuff_tuffz_find(f, all[i].name), i);
        if (!EXPECT(same(f, i, &all[i].array))) FAIL("%s differs", all[i].name);
    }
    EXPECT(tuff_tuffz_at(f, 0, &t) && t.coding == TUFF_TUFFZ_CODEBOOK && t.codebook == 30);
    EXPECT(t.index_bits == 5 && t.gap_bits >= 4 && t.bytes < N / 13 * 2);
    EXPECT(tuff_tuffz_at(f, 1, &t) && t.coding == TUFF_TUFFZ_RAW);
    EXPECT(tuff_tuffz_at(f, 2, &t) && t.coding == TUFF_TUFFZ_CODEBOOK && t.bytes < 500);
    EXPECT(tuff_tuffz_at(f, 4, &t) && t.codebook == 255 && t.index_bits == 8);
    EXPECT(tuff_tuffz_at(f, 5, &t) && t.gap_bits == 0 && t.entries == N);
    EXPECT(tuff_tuffz_at(f, 6, &t) && t.coding == TUFF_TUFFZ_ZLIB && t.bytes < 3000);
    EXPECT(!tuff_tuffz_at(f, COUNT(all), &t));
    tuff_tuffz_destroy(&f);
}

// Bits can be counted by hand: 1,024 elements of which each 16th is 1 or 2.
static void bits_are_counted(void)
{
    float x[1024] = { 0 };
    for (int i = 15; i < 1024; i += 16) x[i] = i % 32 == 15 ? 1 : 2;
    const tuff_named_array a = { "x", { TUFF_SHAPE(TUFF_F32, 1024), x } };
    const char *path = temp_path("bits.tuffz");
    tuff_tuffz *f;
    tuff_tuffz_tensor t;
    tuff_tuffz_bits bits;
    EXPECT_OK(tuff_tuffz_write(path, &a, 1, NULL, 0));
    if (!EXPECT_OK(tuff_tuffz_open(path, &f))) return;
    EXPECT_OK(tuff_tuffz_read(f, 0, NULL, NULL, &bits));
    EXPECT(tuff_tuffz_at(f, 0, &t) && t.gap_bits == 4 && t.entries == 64);
    // One gap alone has one bit, and so has each of two indices.
    EXPECT(bits.nonzeros == 64 && bits.fillers == 0 && bits.index == 64 && bits.gap == 64);
    // Frame, name, type, rank, dim, coding, its four numbers, codebook, tables, codes.
    EXPECT_EQ(t.bytes, 16 + 2 + 1 + 1 + 1 + 4 + 1 + 6 + 8 + 2 + 8 + 16);
    tuff_tuffz_destroy(&f);
}

static void what_is_not_written(void)
{
    float x = 1;
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const tuff_named_array twice[] = { { "x", { TUFF_SHAPE(TUFF_F32, 1), &x } },
                                       { "x", { TUFF_SHAPE(TUFF_F32, 1), &x } } };
    const tuff_named_array longer = { name, { TUFF_SHAPE(TUFF_F32, 1), &x } };
    const char *path = temp_path("not.tuffz");
    struct stat s;
    EXPECT_STATUS(tuff_tuffz_write(path, twice, 2, NULL, 0), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "'x' is there twice");
    EXPECT_STATUS(tuff_tuffz_write(path, &longer, 1, NULL, 0), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "has 499 bytes");
    EXPECT_STATUS(tuff_tuffz_write("/no/folder/x", twice, 1, NULL, 0), TUFF_ERR_IO);
    EXPECT(stat(path, &s) != 0); // nothing half-written
}

// ---- models ---------------------------------------------------------------------------------

static void models_are_taken_like_any(void)
{
    const char *path = temp_path("model.tuffz"), *plain = temp_path("model.safetensors");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 32 });
    tuff_model *model = tiny_model(device, data, "conv 4 3 | bn | relu | flatten | dense 5");
    tuff_model *back, *other;
    tuff_metrics before, after;
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1 }, NULL));
    float *w = malloc(2000 * sizeof *w);
    EXPECT_OK(tuff_model_get(model, "4.weight", w, 2000));
    for (int i = 0; i < 2000; i++) w[i] = i % 3 ? 0 : roundf(w[i] * 50) / 50;
    EXPECT_OK(tuff_model_set(model, "4.weight", w, 2000));
    free(w);
    EXPECT_OK(tuff_test(model, data, NULL, &before));
    EXPECT_OK(tuff_model_save(model, path));
    EXPECT_OK(tuff_model_save(model, plain));
    struct stat small, large;
    EXPECT(stat(path, &small) == 0 && stat(plain, &large) == 0 &&
           small.st_size * 4 < large.st_size);
    if (!EXPECT_OK(tuff_model_load(device, path, &back))) return;
    EXPECT(tiny_same(model, back));
    EXPECT_STR(tuff_model_net(back), tuff_model_net(model));
    EXPECT(tuff_model_get_data(back)->classes == TINY_CLASSES);
    EXPECT(tuff_model_get_data(back)->scale[0] == tuff_model_get_data(model)->scale[0]);
    EXPECT_OK(tuff_test(back, data, NULL, &after));
    EXPECT(after.correct == before.correct && after.loss == before.loss);
    other = tiny_model(device, data, "conv 4 3 | bn | relu | flatten | dense 5");
    EXPECT_OK(tuff_model_load_weights(other, path));
    EXPECT(tiny_same(model, other));
    tuff_model_destroy(&other);
    other = tiny_model(device, data, "conv 4 3 | bn | relu | flatten | dense 6");
    EXPECT_STATUS(tuff_model_load_weights(other, path), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "4.weight is f32 [5, 400], the net has f32 [6, 400]");
    tuff_model_destroy(&other);
    other = tiny_model(device, data, "conv 4 3 | bn | relu | flatten | dense 5 bias=no");
    EXPECT_STATUS(tuff_model_load_weights(other, path), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "the net has no parameter 4.bias");
    tuff_model_destroy(&other);
    // It is no checkpoint; and one is written as such whatever its name.
    EXPECT_STATUS(tuff_train(back, data, &(tuff_train_params){ .resume = path }, NULL),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it is a .tuffz file, expected safetensors");
    const tuff_train_params p = { .epochs = 1, .out = path };
    EXPECT_OK(tuff_train(back, data, &p, NULL));
    const tuff_train_params on = { .resume = path, .epochs = 2 };
    EXPECT_OK(tuff_train(back, data, &on, NULL));
    tuff_model_destroy(&back);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Stored weights of other types, and a net over several pieces.
static void large_models_come_back(void)
{
    const char *path = temp_path("large.tuffz");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 8 });
    tuff_model *model = tiny_model(device, data, "flatten | dense 2501 | relu | dense 5");
    tuff_model *back;
    EXPECT_OK(tuff_model_save(model, path));
    if (EXPECT_OK(tuff_model_load(device, path, &back))) EXPECT(tiny_same(model, back));
    tuff_model_destroy(&back);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- files that lie -------------------------------------------------------------------------

static uint8_t file_bytes[4096];
static size_t file_size;

static void put(const void *data, size_t size)
{
    memcpy(file_bytes + file_size, data, size);
    file_size += size;
}

static void put_number(int size, uint64_t v)
{
    for (int i = 0; i < size; i++) file_bytes[file_size++] = (uint8_t)(v >> 8 * i);
}

static size_t begin_chunk(const char *tag)
{
    put(tag, 4);
    put_number(8, 0);
    return file_size;
}

static void end_chunk(size_t body)
{
    const size_t end = file_size;
    file_size = body - 8;
    put_number(8, end - body);
    file_size = end;
    put_number(4, crc32(0, file_bytes + body - 12, (uInt)(end - body + 12)));
}

static void begin_file(void)
{
    file_size = 0;
    put("\x89TUFFZ\r\n", 8);
    put_number(4, 1);
    const size_t meta = begin_chunk("META");
    put_number(2, 0);
    end_chunk(meta);
}

static void end_file(void) { end_chunk(begin_chunk("END ")); }

// What one tensor says: 8 elements of which the third is 1 and the seventh 2.
struct lie {
    int type, rank, coding, gap_bits, book;
    uint64_t dim, entries;
    uint8_t index_lengths[2], gap_lengths[4], codes[2];
    int code_bytes;
    const char *why;
};

static tuff_status open_lie(const struct lie *l)
{
    static const float book[] = { 1, 2 };
    tuff_tuffz *f;
    begin_file();
    const size_t body = begin_chunk("TENS");
    put_number(2, 1);
    put("x", 1);
    put_number(1, (uint64_t)l->type);
    put_number(1, (uint64_t)l->rank);
    put_number(4, l->dim);
    put_number(1, (uint64_t)l->coding);
    put_number(1, (uint64_t)l->gap_bits);
    put_number(1, (uint64_t)l->book);
    put_number(4, l->entries);
    put(book, sizeof book);
    put(l->index_lengths, 2);
    put(l->gap_lengths, 4);
    put(l->codes, (size_t)l->code_bytes);
    end_chunk(body);
    end_file();
    tuff_status status = tuff_tuffz_parse(file_bytes, file_size, &f);
    if (status == TUFF_OK) status = tuff_tuffz_read(f, 0, NULL, NULL, NULL);
    tuff_tuffz_destroy(&f);
    return status;
}

// Symbols 1 and 2 of the indices have the codes 0 and 1, gaps 2 and 3 too: 0 0 1 1.
#define HONEST { 1, 1, 2, 3, 2, 8, 2, { 0x10, 0x01 }, { 0, 0x11 }, { 0x30 }, 1, NULL }

static void files_that_lie(void)
{
    struct lie l = HONEST;
    EXPECT_OK(open_lie(&l));
    struct lie lies[24];
    int n = 0;
#define LIE(sentence, ...)                                                      \
    do {                                                                        \
        struct lie x = HONEST;                                                  \
        __VA_ARGS__;                                                            \
        x.why = sentence;                                                       \
        lies[n++] = x;                                                          \
    } while (0)
    LIE("x has elements of the unknown type 0", x.type = 0);
    LIE("x has elements of the unknown type 10", x.type = 10);
    LIE("x has 9 dims, expected at most 8", x.rank = 9);
    LIE("dim 0 of x is 0", x.dim = 0);
    LIE("x has more than 2^31 - 1 elements", x.dim = 1u << 31);
    LIE("x has the unknown coding 3", x.coding = 3);
    LIE("x has 21 bytes, its elements take 32", x.coding = 0);
    LIE("x has a codebook, but elements of i32", x.type = 4);
    LIE("x has gaps of 9 bits, expected at most 8", x.gap_bits = 9);
    LIE("x ends within its tables", x.book = 255);
    LIE("x says it has 9 entries, its 1 bytes hold fewer", x.entries = 9);
    LIE("x has 4 entries with gaps of 3 bits for 2000000000", x.dim = 2000000000,
        x.entries = 4);
    LIE("x has 2 entries with gaps of 3 bits for 24", x.dim = 24);
    LIE("entries without gaps for 8 elements", x.gap_bits = 0);
    LIE("'x' has a gap beyond its 7 elements", x.dim = 7, x.codes[0] = 0xb0);
    LIE("'x': its entries end 8 elements early", x.dim = 15);
    LIE("'x' has a gap beyond its 6 elements", x.dim = 6);
    LIE("x: the Huffman table of its indices has more codes", x.index_lengths[0] = 0x11);
    LIE("x: the Huffman table of its indices leaves codes", x.index_lengths[1] = 2);
    LIE("x: the Huffman table of its gaps has more codes", x.gap_lengths[0] = 0xff);
    LIE("x: the Huffman table of its gaps has no codes", x.gap_lengths[1] = 0);
    LIE("'x' holds a code that its tables do not have", x.gap_lengths[1] = 0x10);
    LIE("something follows its codes", x.code_bytes = 2);
    LIE("something follows its codes", x.codes[0] = 0x31);
    for (int i = 0; i < n; i++) {
        EXPECT_STATUS(open_lie(&lies[i]), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), lies[i].why);
    }
}

// A file that is cut anywhere, or has any bit changed, is refused.
static void damaged_files(void)
{
    struct lie honest = HONEST;
    tuff_tuffz *f;
    EXPECT_OK(open_lie(&honest));
    const size_t size = file_size;
    for (size_t n = 0; n < size; n++)
        EXPECT_STATUS(tuff_tuffz_parse(file_bytes, n, &f), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it is cut short: its chunk 'END '");
    for (size_t i = 0; i < 8 * size; i++) {
        file_bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        EXPECT_STATUS(tuff_tuffz_parse(file_bytes, size, &f), TUFF_ERR_FORMAT);
        file_bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    EXPECT_STATUS(tuff_tuffz_parse(file_bytes, size + 1, &f), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "1 bytes follow its end");
    file_bytes[60] ^= 1;
    EXPECT_STATUS(tuff_tuffz_parse(file_bytes, size, &f), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "is damaged: its checksum is");
    begin_file();
    end_chunk(begin_chunk("NEWS"));
    EXPECT_STATUS(tuff_tuffz_parse(file_bytes, file_size, &f), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "its chunk 'NEWS' is not known");
}

// A net that asks for more than the file holds is refused before memory is taken for it.
static void nets_that_lie(void)
{
    static float weight[20], bias[5];
    const tuff_named_array all[] = {
        { "0.weight", { TUFF_SHAPE(TUFF_F32, 5, 4), weight } },
        { "0.bias", { TUFF_SHAPE(TUFF_F32, 5), bias } },
    };
    static const struct {
        const char *net, *why;
    } cases[] = {
        { "dense 1000000 | dense 1000", "the file holds 25 numbers" },
        { "dense 5 bias=no", "the net has no parameter 0.bias" },
        { "relu | dense 5", "the net has no parameter 0.weight" },
        { "dens 5", "'dens' is no layer" },
        { "dense 4", "0.weight is f32 [5, 4], the net has f32 [4, 4]" },
    };
    const char *path = temp_path("lie.tuffz");
    tuff_model *model;
    tuff_pair pair[] = { { "tuff.version", "1" }, { "tuff.net", "dense 5" },
                         { "tuff.input", "4" }, { "tuff.classes", "0" } };
    EXPECT_OK(tuff_tuffz_write(path, all, 2, pair, COUNT(pair)));
    if (EXPECT_OK(tuff_model_load(device, path, &model))) tuff_model_destroy(&model);
    for (size_t i = 0; i < COUNT(cases); i++) {
        pair[1].value = cases[i].net;
        EXPECT_OK(tuff_tuffz_write(path, all, 2, pair, COUNT(pair)));
        EXPECT_STATUS(tuff_model_load(device, path, &model), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
        EXPECT_HAS(tuff_last_error(), "lie.tuffz: ");
    }
    EXPECT_OK(tuff_tuffz_write(path, all, 2, pair + 1, 3));
    EXPECT_STATUS(tuff_model_load(device, path, &model), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "have no tuff.version");
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(codes_are_the_best);
    CASE(long_codes_are_cut);
    CASE(tables_that_lie);
    CASE(arrays_come_back);
    CASE(bits_are_counted);
    CASE(what_is_not_written);
    CASE(models_are_taken_like_any);
    CASE(large_models_come_back);
    CASE(files_that_lie);
    CASE(damaged_files);
    CASE(nets_that_lie);
    tuff_device_close(&device);
    return report();
}
