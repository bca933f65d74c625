// Folders of images in binary files: MNIST's IDX format, and CIFAR-10's.
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "data/array.h"
#include "data/parts.h"
#include <stdio.h>
#include <string.h>

// Larger files are refused, packed or not: these sets have some 50 MB.
static const size_t most_bytes = (size_t)1 << 32;

// ---- IDX ------------------------------------------------------------------------------------

//   0 0 type rank | u32 dims, big-endian | elements          (LeCun, Cortes and Burges, MNIST)
//
// Only type 8, bytes, is in use.
tuff_status tuff_idx_parse(const void *bytes, size_t size, tuff_array *a)
{
    const uint8_t *at = bytes;
    size_t need;
    *a = (tuff_array){ 0 };
    TUFF_REQUIRE(size >= 4 && at[0] == 0 && at[1] == 0, FORMAT, "it is no IDX file");
    TUFF_REQUIRE(at[2] == 8, FORMAT, "its elements have type %d, expected 8 (bytes)", at[2]);
    const int rank = at[3];
    TUFF_REQUIRE(rank >= 1 && rank <= TUFF_MAX_DIMS, FORMAT,
                 "it has %d dims, expected 1 to %d", rank, TUFF_MAX_DIMS);
    const size_t start = 4 + 4 * (size_t)rank;
    TUFF_REQUIRE(size >= start, FORMAT, "it ends inside its header");
    tuff_desc d = { .dtype = TUFF_U8, .rank = rank };
    for (int i = 0; i < rank; i++) {
        const uint8_t *p = at + 4 + 4 * i;
        d.dim[i] = (int64_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
        TUFF_REQUIRE(d.dim[i] > 0, FORMAT, "dim %d in its header is 0", i);
    }
    TUFF_REQUIRE(tuff_dims_bytes(d.dim, rank, 1, &need), FORMAT,
                 "the product of the dims in its header overflows");
    TUFF_REQUIRE(need == size - start, FORMAT,
                 "its header asks for %zu bytes of elements, the file has %zu", need,
                 size - start);
    TUFF_TRY(tuff_array_init(a, d));
    memcpy(a->data, at + start, need);
    return TUFF_OK;
}

// Reads FOLDER/{SET}-{KIND}-idx{RANK}-ubyte, by any of the names in use.
static tuff_status read_idx(const char *folder, const char *set, const char *kind, int rank,
                            tuff_array *a)
{
    char names[4][64], path[4096];
    const char *list[4];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s-%s%cidx%d-ubyte%s", set, kind,
                 i & 1 ? '.' : '-', rank, i & 2 ? ".gz" : "");
        list[i] = names[i];
    }
    if (!tuff_file_find(folder, list, 4, path, sizeof path))
        return tuff_fail(TUFF_ERR_IO, "%s has no file %s, nor .gz", folder, names[0]);
    void *bytes;
    size_t size;
    TUFF_TRY(tuff_file_read_gz(path, most_bytes, &bytes, &size));
    tuff_status status = tuff_idx_parse(bytes, size, a);
    if (status == TUFF_OK && a->desc.rank != rank) {
        status = tuff_fail(TUFF_ERR_FORMAT, "it has %d dims, expected %d", a->desc.rank, rank);
        tuff_array_clear(a);
    }
    if (status != TUFF_OK) tuff_fail_prefix(path);
    tuff_free(bytes);
    return status;
}

static tuff_status read_idx_set(const char *folder, const char *set, tuff_array *x,
                                tuff_array *y)
{
    TUFF_TRY(read_idx(folder, set, "images", 3, x));
    TUFF_TRY(read_idx(folder, set, "labels", 1, y));
    const tuff_status status = tuff_parts_arrange(x, y);
    if (status != TUFF_OK) {
        tuff_fail_prefix(set);
        tuff_fail_prefix(folder);
    }
    return status;
}

tuff_status tuff_parts_idx(const char *folder, tuff_parts *parts)
{
    TUFF_TRY(read_idx_set(folder, "train", &parts->x, &parts->y));
    return read_idx_set(folder, "t10k", &parts->test_x, &parts->test_y);
}

tuff_status tuff_parts_fashion(const char *spec, tuff_parts *parts)
{
    static const char *const folder = "/usr/share/datasets/fashion-mnist";
    static const char *const first[] = { "train-images-idx3-ubyte.gz",
                                         "train-images-idx3-ubyte" };
    static const char *const names[] = { "T-shirt/top", "Trouser", "Pullover", "Dress",
                                         "Coat",        "Sandal",  "Shirt",    "Sneaker",
                                         "Bag",         "Ankle boot" };
    char path[128];
    (void)spec;
    if (!tuff_file_find(folder, first, 2, path, sizeof path))
        return tuff_fail(TUFF_ERR_IO,
                         "Fashion-MNIST is not in %s: install Debian's package "
                         "dataset-fashion-mnist, or name a folder of its files, idx:FOLDER",
                         folder);
    TUFF_TRY(tuff_parts_idx(folder, parts));
    TUFF_TRY(tuff_parts_name(parts, 10));
    for (int i = 0; i < 10; i++)
        if (!(parts->names[i] = tuff_strdup(names[i]))) return TUFF_ERR_MEMORY;
    return TUFF_OK;
}

// ---- CIFAR-10 -------------------------------------------------------------------------------

// A record: a label, then 32 x 32 bytes of red, of green and of blue. (Krizhevsky 2009.)
enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS };

// Makes room for n more rows of an array whose memory may move.
static tuff_status add_rows(tuff_array *a, tuff_desc row, int64_t n)
{
    tuff_array larger;
    const int64_t old = a->data ? a->desc.dim[0] : 0;
    row.dim[0] = old + n;
    TUFF_TRY(tuff_array_init(&larger, row));
    if (old) memcpy(larger.data, a->data, tuff_desc_bytes(&a->desc));
    tuff_array_clear(a);
    *a = larger;
    return TUFF_OK;
}

tuff_status tuff_cifar10_parse(const void *bytes, size_t size, tuff_array *x, tuff_array *y)
{
    const uint8_t *at = bytes;
    const int64_t n = (int64_t)(size / RECORD), old = x->data ? x->desc.dim[0] : 0;
    TUFF_REQUIRE(size > 0 && size % RECORD == 0, FORMAT,
                 "it has %zu bytes, expected a multiple of %d", size, RECORD);
    for (int64_t i = 0; i < n; i++)
        TUFF_REQUIRE(at[i * RECORD] < 10, FORMAT, "record %lld has label %d, expected 0 to 9",
                     (long long)i, at[i * RECORD]);
    TUFF_TRY(add_rows(x, TUFF_SHAPE(TUFF_U8, 1, 3, 32, 32), n));
    TUFF_TRY(add_rows(y, TUFF_SHAPE(TUFF_I32, 1), n));
    for (int64_t i = 0; i < n; i++, at += RECORD) {
        ((int32_t *)y->data)[old + i] = at[0];
        memcpy((uint8_t *)x->data + (old + i) * PIXELS, at + 1, PIXELS);
    }
    return TUFF_OK;
}

// Appends a batch when it is there; *found counts those that are.
static tuff_status read_batch(const char *folder, const char *name, tuff_array *x,
                              tuff_array *y, int *found)
{
    char packed[64], path[4096];
    snprintf(packed, sizeof packed, "%s.gz", name);
    const char *const list[] = { name, packed };
    if (!tuff_file_find(folder, list, 2, path, sizeof path)) return TUFF_OK;
    void *bytes;
    size_t size;
    TUFF_TRY(tuff_file_read_gz(path, most_bytes, &bytes, &size));
    const tuff_status status = tuff_cifar10_parse(bytes, size, x, y);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    tuff_free(bytes);
    (*found)++;
    return status;
}

// Names of the classes, a line each; without the file there are none.
static tuff_status read_class_names(const char *folder, tuff_parts *parts)
{
    static const char *const list[] = { "batches.meta.txt" };
    char path[4096];
    void *bytes;
    size_t size;
    if (!tuff_file_find(folder, list, 1, path, sizeof path)) return TUFF_OK;
    TUFF_TRY(tuff_file_read(path, 4096, &bytes, &size));
    tuff_status status = tuff_parts_name(parts, 10);
    char *line = bytes;
    for (int i = 0; i < 10 && status == TUFF_OK; i++) {
        const size_t n = strcspn(line, "\r\n");
        const char end = line[n];
        line[n] = '\0';
        if (n == 0) status = tuff_fail(TUFF_ERR_FORMAT, "%s has %d names of 10", path, i);
        else if (!(parts->names[i] = tuff_strdup(line))) status = TUFF_ERR_MEMORY;
        line += n + (end != '\0');
        line += strspn(line, "\r\n");
    }
    tuff_free(bytes);
    return status;
}

tuff_status tuff_parts_cifar10(const char *folder, tuff_parts *parts)
{
    int train = 0, test = 0;
    for (int i = 1; i <= 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        TUFF_TRY(read_batch(folder, name, &parts->x, &parts->y, &train));
    }
    TUFF_TRY(read_batch(folder, "test_batch.bin", &parts->test_x, &parts->test_y, &test));
    TUFF_REQUIRE(train, IO, "%s has none of data_batch_1.bin to data_batch_5.bin, nor .gz",
                 folder);
    TUFF_REQUIRE(test, IO, "%s has no test_batch.bin, nor test_batch.bin.gz", folder);
    return read_class_names(folder, parts);
}
