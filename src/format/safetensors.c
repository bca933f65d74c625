// Reading safetensors (format of Hugging Face's library of that name):
//
//   u64 n | n bytes of JSON | elements of every array, one after the other
//
// The JSON maps names to {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}; offsets
// count from the end of the JSON. "__metadata__" maps strings to strings.
#include "format/safetensors.h"
#include "format/tuffz.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "base/text.h"
#include "data/array.h"
#include <stdlib.h>
#include <string.h>

static const size_t most_header = 100000000; // what the format's own library takes

// An array and where its elements lie.
struct entry {
    tuff_named_array named;
    const char *type;   // in the file
    size_t size;        // bytes of an element in the file
    size_t begin, end;  // in the file's data
    bool owned;         // the elements were moved to memory of their own
};

struct tuff_safetensors {
    uint8_t *bytes;
    cJSON *header; // names and metadata point into it
    struct entry *entries;
    tuff_named_array *sorted; // by name
    const cJSON *meta;
    int count;
};

static const struct {
    const char *name;
    tuff_dtype dtype;
    size_t size;
} types[] = {
    { "F32", TUFF_F32, 4 }, { "F16", TUFF_F16, 2 },   { "BF16", TUFF_BF16, 2 },
    { "I32", TUFF_I32, 4 }, { "U32", TUFF_U32, 4 },   { "I64", TUFF_I64, 8 },
    { "I8", TUFF_I8, 1 },   { "U8", TUFF_U8, 1 },     { "BOOL", TUFF_BOOL, 1 },
    { "F64", TUFF_F32, 8 },
};

static const char *show(const char *text) { return tuff_show(text, strlen(text)); }

static tuff_status read_dtype(const cJSON *object, struct entry *e)
{
    const char *name = show(e->named.name);
    e->type = tuff_json_text(object, "dtype");
    TUFF_REQUIRE(e->type, FORMAT, "'%s' has no dtype", name);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(e->type, types[i].name) != 0) continue;
        e->named.array.desc.dtype = types[i].dtype;
        e->size = types[i].size;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_FORMAT,
                     "'%s' has dtype %s, expected F32, F16, BF16, F64, I64, I32, U32, "
                     "I8, U8 or BOOL",
                     name, show(e->type));
}

static tuff_status read_dims(const cJSON *object, struct entry *e)
{
    const char *name = show(e->named.name);
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(object, "shape"), *dim;
    tuff_desc *d = &e->named.array.desc;
    TUFF_REQUIRE(cJSON_IsArray(shape), FORMAT, "'%s' has no shape", name);
    cJSON_ArrayForEach(dim, shape)
    {
        TUFF_REQUIRE(d->rank < TUFF_MAX_DIMS, FORMAT, "'%s' has over %d dims", name,
                     TUFF_MAX_DIMS);
        TUFF_REQUIRE(tuff_json_int(dim, 0, INT64_C(1) << 53, &d->dim[d->rank]), FORMAT,
                     "dim %d of '%s' is no whole number", d->rank, name);
        d->rank++;
    }
    return TUFF_OK;
}

static tuff_status read_offsets(const cJSON *object, struct entry *e, size_t data)
{
    const char *name = show(e->named.name);
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(object, "data_offsets");
    int64_t begin, end;
    size_t need;
    TUFF_REQUIRE(cJSON_IsArray(at) && cJSON_GetArraySize(at) == 2 &&
                     tuff_json_int(at->child, 0, INT64_C(1) << 53, &begin) &&
                     tuff_json_int(at->child->next, 0, INT64_C(1) << 53, &end),
                 FORMAT, "'%s' has no two data_offsets", name);
    TUFF_REQUIRE(begin <= end && (uint64_t)end <= data, FORMAT,
                 "'%s' lies at %lld to %lld, the file has %zu bytes of data", name,
                 (long long)begin, (long long)end, data);
    const tuff_desc *d = &e->named.array.desc;
    TUFF_REQUIRE(tuff_dims_bytes(d->dim, d->rank, e->size, &need) &&
                     need == (size_t)(end - begin),
                 FORMAT, "the shape of '%s' does not fit its %lld bytes", name,
                 (long long)(end - begin));
    e->begin = (size_t)begin;
    e->end = (size_t)end;
    return TUFF_OK;
}

static tuff_status read_entry(const cJSON *object, struct entry *e, size_t data)
{
    e->named.name = object->string;
    TUFF_REQUIRE(cJSON_IsObject(object) && cJSON_GetArraySize(object) == 3, FORMAT,
                 "'%s' is not described by dtype, shape and data_offsets",
                 show(e->named.name));
    TUFF_TRY(read_dtype(object, e));
    TUFF_TRY(read_dims(object, e));
    return read_offsets(object, e, data);
}

static tuff_status read_meta(tuff_safetensors *f, const cJSON *meta)
{
    const cJSON *item;
    TUFF_REQUIRE(!f->meta && cJSON_IsObject(meta), FORMAT,
                 "__metadata__ is no map, or there twice");
    cJSON_ArrayForEach(item, meta)
        TUFF_REQUIRE(cJSON_IsString(item), FORMAT, "__metadata__ '%s' is no string",
                     show(item->string));
    f->meta = meta;
    return TUFF_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tuff_named_array *)a)->name, ((const tuff_named_array *)b)->name);
}

// The arrays must fill the data, one after the other.
static tuff_status check_places(tuff_safetensors *f, size_t data)
{
    size_t end = 0;
    qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_place);
    for (int i = 0; i < f->count; i++) {
        const struct entry *e = &f->entries[i];
        TUFF_REQUIRE(e->begin == end, FORMAT, "'%s' begins at byte %zu, %s ends at %zu",
                     show(e->named.name), e->begin,
                     i ? "the array before it" : "the header", end);
        end = e->end;
    }
    TUFF_REQUIRE(end == data, FORMAT, "%zu bytes of data belong to no array", data - end);
    return TUFF_OK;
}

static tuff_status check_names(const tuff_safetensors *f)
{
    qsort(f->sorted, (size_t)f->count, sizeof *f->sorted, by_name);
    for (int i = 1; i < f->count; i++)
        TUFF_REQUIRE(strcmp(f->sorted[i - 1].name, f->sorted[i].name) != 0, FORMAT,
                     "'%s' is there twice", show(f->sorted[i].name));
    return TUFF_OK;
}

// Points an array at its elements; where they lie across their alignment they are copied.
static tuff_status place(struct entry *e, uint8_t *data)
{
    uint8_t *at = data + e->begin;
    const size_t bytes = e->end - e->begin;
    e->named.array.data = at;
    if ((uintptr_t)at % e->size != 0) {
        e->named.array.data = tuff_alloc_aligned(bytes);
        if (!e->named.array.data) return TUFF_ERR_MEMORY;
        e->owned = true;
        memcpy(e->named.array.data, at, bytes);
    }
    // In place: the floats take the first half of what the doubles took.
    if (strcmp(e->type, "F64") == 0)
        tuff_narrow_f64(e->named.array.data, e->named.array.data, bytes / 8);
    return TUFF_OK;
}

static tuff_status read_entries(tuff_safetensors *f, uint8_t *data, size_t size)
{
    const cJSON *item;
    const int items = cJSON_GetArraySize(f->header);
    f->entries = tuff_alloc((size_t)items, sizeof *f->entries);
    f->sorted = tuff_alloc((size_t)items, sizeof *f->sorted);
    if (!f->entries || !f->sorted) return TUFF_ERR_MEMORY;
    cJSON_ArrayForEach(item, f->header)
    {
        if (strcmp(item->string, "__metadata__") == 0) TUFF_TRY(read_meta(f, item));
        else TUFF_TRY(read_entry(item, &f->entries[f->count++], size));
    }
    TUFF_TRY(check_places(f, size));
    for (int i = 0; i < f->count; i++) {
        TUFF_TRY(place(&f->entries[i], data));
        f->sorted[i] = f->entries[i].named;
    }
    return check_names(f);
}

static tuff_status parse(tuff_safetensors *f, size_t size)
{
    uint64_t length;
    TUFF_REQUIRE(size >= 8, FORMAT, "it has %zu bytes, expected 8 at least", size);
    memcpy(&length, f->bytes, sizeof length);
    TUFF_REQUIRE(memcmp(f->bytes, TUFF_TUFFZ_MAGIC, sizeof length) != 0, FORMAT,
                 "it is a .tuffz file, expected safetensors");
    TUFF_REQUIRE(length <= most_header, FORMAT,
                 "its header has %llu bytes, expected at most %zu",
                 (unsigned long long)length, most_header);
    TUFF_REQUIRE(length <= size - 8, FORMAT,
                 "its header has %llu bytes, the file ends before",
                 (unsigned long long)length);
    const tuff_status status = tuff_json_parse((char *)f->bytes + 8, length, &f->header);
    if (status != TUFF_OK) tuff_fail_prefix("its header");
    TUFF_TRY(status);
    TUFF_REQUIRE(cJSON_IsObject(f->header), FORMAT, "its header is no map of names");
    return read_entries(f, f->bytes + 8 + length, size - 8 - length);
}

tuff_status tuff_safetensors_parse(void *bytes, size_t size, tuff_safetensors **file)
{
    *file = NULL;
    tuff_safetensors *f = tuff_alloc(1, sizeof *f);
    if (!f) {
        tuff_free(bytes);
        return TUFF_ERR_MEMORY;
    }
    f->bytes = bytes;
    const tuff_status status = parse(f, size);
    if (status == TUFF_OK) *file = f;
    else tuff_safetensors_destroy(&f);
    return status;
}

tuff_status tuff_safetensors_read(const char *path, tuff_safetensors **file)
{
    void *bytes;
    size_t size;
    *file = NULL;
    TUFF_TRY(tuff_file_read(path, SIZE_MAX, &bytes, &size));
    const tuff_status status = tuff_safetensors_parse(bytes, size, file);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    return status;
}

void tuff_safetensors_destroy(tuff_safetensors **file)
{
    tuff_safetensors *f = *file;
    if (!f) return;
    for (int i = 0; i < f->count; i++)
        if (f->entries[i].owned) tuff_free(f->entries[i].named.array.data);
    tuff_free(f->entries);
    tuff_free(f->sorted);
    tuff_free(f->bytes);
    cJSON_Delete(f->header);
    tuff_free(f);
    *file = NULL;
}

int tuff_safetensors_count(const tuff_safetensors *file) { return file->count; }

const tuff_named_array *tuff_safetensors_at(const tuff_safetensors *file, int i)
{
    return i >= 0 && i < file->count ? &file->sorted[i] : NULL;
}

const tuff_array *tuff_safetensors_find(const tuff_safetensors *file, const char *name)
{
    const tuff_named_array key = { .name = name };
    const tuff_named_array *found =
        file->count ? bsearch(&key, file->sorted, (size_t)file->count, sizeof key, by_name)
                    : NULL;
    return found ? &found->array : NULL;
}

const char *tuff_safetensors_meta(const tuff_safetensors *file, const char *key)
{
    return file->meta ? tuff_json_text(file->meta, key) : NULL;
}
