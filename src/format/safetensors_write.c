// Writing safetensors. Arrays of wide elements come first, so that every one is aligned, and
// names order the rest: the bytes do not depend on the caller's order.
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/status.h"
#include "format/safetensors.h"
#include <stdlib.h>
#include <string.h>

static const char *type_name(tuff_dtype dtype)
{
    switch (dtype) {
    case TUFF_F32: return "F32";
    case TUFF_F16: return "F16";
    case TUFF_BF16: return "BF16";
    case TUFF_I32: return "I32";
    case TUFF_U32: return "U32";
    case TUFF_I8: return "I8";
    case TUFF_U8: return "U8";
    case TUFF_BOOL: return "BOOL";
    case TUFF_I64: return "I64";
    }
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const tuff_named_array *x = a, *y = b;
    const size_t p = tuff_dtype_size(x->array.desc.dtype);
    const size_t q = tuff_dtype_size(y->array.desc.dtype);
    return p != q ? (p < q) - (p > q) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const tuff_named_array *)a)->name, ((const tuff_named_array *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const tuff_pair *)a)->key, ((const tuff_pair *)b)->key);
}

// A copy of n items in the order of `compare`.
static void *sorted(const void *items, int n, size_t size,
                    int (*compare)(const void *, const void *))
{
    void *copy = tuff_alloc((size_t)n, size);
    if (!copy || n == 0) return copy;
    memcpy(copy, items, (size_t)n * size);
    qsort(copy, (size_t)n, size, compare);
    return copy;
}

// Refuses what the format cannot say; `arrays` and `meta` are sorted by name.
static tuff_status check(const tuff_named_array *arrays, int count, const tuff_pair *meta,
                         int pairs)
{
    for (int i = 0; i < count; i++) {
        TUFF_REQUIRE(type_name(arrays[i].array.desc.dtype), DTYPE, "'%s' has no type",
                     arrays[i].name);
        TUFF_REQUIRE(strcmp(arrays[i].name, "__metadata__") != 0, ARG,
                     "no array may be named __metadata__");
        TUFF_REQUIRE(i == 0 || strcmp(arrays[i - 1].name, arrays[i].name) != 0, ARG,
                     "two arrays are named '%s'", arrays[i].name);
    }
    for (int i = 1; i < pairs; i++)
        TUFF_REQUIRE(strcmp(meta[i - 1].key, meta[i].key) != 0, ARG,
                     "the metadata has '%s' twice", meta[i].key);
    return TUFF_OK;
}

// Adds an item that was just made (NULL: memory ran out) to an object (key) or an array.
static bool add(cJSON *to, const char *key, cJSON *item)
{
    if (!item) return false;
    const bool ok = key ? cJSON_AddItemToObject(to, key, item) : cJSON_AddItemToArray(to, item);
    if (!ok) cJSON_Delete(item);
    return ok;
}

static bool add_entry(cJSON *root, const tuff_named_array *a, size_t begin)
{
    const tuff_desc *d = &a->array.desc;
    cJSON *entry = cJSON_AddObjectToObject(root, a->name);
    if (!entry || !add(entry, "dtype", cJSON_CreateString(type_name(d->dtype)))) return false;
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; shape && i < d->rank; i++)
        if (!add(shape, NULL, cJSON_CreateNumber((double)d->dim[i]))) return false;
    cJSON *at = cJSON_AddArrayToObject(entry, "data_offsets");
    const double end = (double)(begin + tuff_desc_bytes(d));
    return shape && at && add(at, NULL, cJSON_CreateNumber((double)begin)) &&
           add(at, NULL, cJSON_CreateNumber(end));
}

static bool add_meta(cJSON *root, const tuff_pair *meta, int count)
{
    cJSON *map = cJSON_AddObjectToObject(root, "__metadata__");
    for (int i = 0; map && i < count; i++)
        if (!add(map, meta[i].key, cJSON_CreateString(meta[i].value))) return false;
    return map != NULL;
}

// The header's text, to be freed with cJSON_free; NULL when memory ran out.
static char *make_header(const tuff_named_array *arrays, int count, const tuff_pair *meta,
                         int pairs)
{
    char *text = NULL;
    size_t begin = 0;
    cJSON *root = cJSON_CreateObject();
    bool ok = root && (pairs == 0 || add_meta(root, meta, pairs));
    for (int i = 0; ok && i < count; i++) {
        ok = add_entry(root, &arrays[i], begin);
        begin += tuff_desc_bytes(&arrays[i].array.desc);
    }
    if (ok) text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static tuff_status write_file(const char *path, const char *header,
                              const tuff_named_array *arrays, int count)
{
    tuff_status status = TUFF_OK;
    tuff_file_out *out = NULL;
    const size_t length = strlen(header), padding = -length % 8;
    const uint64_t whole = length + padding;
    TUFF_TRY(tuff_file_create(path, &out));
    TUFF_GO(tuff_file_put(out, &whole, sizeof whole));
    TUFF_GO(tuff_file_put(out, header, length));
    TUFF_GO(tuff_file_put(out, "        ", padding));
    for (int i = 0; i < count; i++) {
        const tuff_array *a = &arrays[i].array;
        TUFF_GO(tuff_file_put(out, a->data, tuff_desc_bytes(&a->desc)));
    }
    status = tuff_file_commit(&out);
exit:
    tuff_file_abandon(&out);
    return status;
}

tuff_status tuff_safetensors_write(const char *path, const tuff_named_array *arrays, int count,
                                   const tuff_pair *meta, int meta_count)
{
    tuff_status status = TUFF_OK;
    char *header = NULL;
    tuff_named_array *order = sorted(arrays, count, sizeof *order, by_name);
    tuff_pair *pairs = sorted(meta, meta_count, sizeof *pairs, by_key);
    if (!order || !pairs) {
        status = TUFF_ERR_MEMORY;
        goto exit;
    }
    TUFF_GO(check(order, count, pairs, meta_count));
    if (count) qsort(order, (size_t)count, sizeof *order, by_place);
    header = make_header(order, count, pairs, meta_count);
    if (!header)
        TUFF_GO(tuff_fail(TUFF_ERR_MEMORY, "out of memory for the header of %s", path));
    status = write_file(path, header, order, count);
exit:
    if (status == TUFF_ERR_ARG || status == TUFF_ERR_DTYPE) tuff_fail_prefix(path);
    cJSON_free(header);
    tuff_free(order);
    tuff_free(pairs);
    return status;
}
