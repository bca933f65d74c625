// NumPy's .npy: "\x93NUMPY", a version, the length of a header, and the header, which is a
// Python dictionary in text:
//
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//
// Then the elements. (NumPy's documentation: numpy.lib.format.)
#include "data/npy.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "data/array.h"
#include <stdio.h>
#include <string.h>

enum { HEADER_MOST = 1 << 17 }; // bytes of a file without elements

static const struct kind {
    const char *descr;
    tuff_dtype dtype;
    size_t size; // of an element in the file
} kinds[] = {
    { "<f4", TUFF_F32, 4 }, { "<f8", TUFF_F32, 8 }, { "<f2", TUFF_F16, 2 },
    { "<i4", TUFF_I32, 4 }, { "<u4", TUFF_U32, 4 }, { "<i8", TUFF_I64, 8 },
    { "|u1", TUFF_U8, 1 },  { "|i1", TUFF_I8, 1 },  { "|b1", TUFF_BOOL, 1 },
    { "<u1", TUFF_U8, 1 },  { "<i1", TUFF_I8, 1 },  { "<b1", TUFF_BOOL, 1 },
};

// What the header says.
struct header {
    const struct kind *kind;
    bool fortran, has_order, has_shape, empty;
    int rank;
    int64_t dim[TUFF_MAX_DIMS];
};

// ---- reading the dictionary ----------------------------------------------------------------

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

// Takes `text` if it comes next, after white space.
static bool take(struct cursor *c, const char *text)
{
    const size_t n = strlen(text);
    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0) return false;
    c->at += n;
    return true;
}

// Takes a string in quotes; escapes are not known, and no key or type needs one.
static bool take_quoted(struct cursor *c, char *text, size_t size)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char quote = *c->at++;
    size_t n = 0;
    while (c->at < c->end && *c->at != quote) {
        if (n + 1 >= size || *c->at < ' ' || *c->at == 127 || *c->at == '\\') return false;
        text[n++] = *c->at++;
    }
    text[n] = '\0';
    return take(c, (char[]){ quote, '\0' });
}

static bool take_number(struct cursor *c, int64_t *value)
{
    skip_space(c);
    const char *start = c->at;
    int64_t v = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->at - '0', &v))
            return false;
    *value = v;
    return c->at > start;
}

static tuff_status read_type(struct cursor *c, struct header *h)
{
    char text[16];
    TUFF_REQUIRE(!h->kind, FORMAT, "the header has 'descr' twice");
    if (take(c, "["))
        return tuff_fail(TUFF_ERR_FORMAT, "the type is structured, expected one like '<f4'");
    TUFF_REQUIRE(take_quoted(c, text, sizeof text), FORMAT, "'descr' is no short string");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(text, kinds[i].descr) == 0) h->kind = &kinds[i];
    TUFF_REQUIRE(h->kind, FORMAT,
                 "the type is '%s', expected <f4 <f8 <f2 <i4 <u4 <i8 |u1 |i1 or |b1", text);
    return TUFF_OK;
}

static tuff_status read_shape(struct cursor *c, struct header *h)
{
    TUFF_REQUIRE(!h->has_shape && take(c, "("), FORMAT, "'shape' is no tuple, or there twice");
    h->has_shape = true;
    while (!take(c, ")")) {
        TUFF_REQUIRE(h->rank < TUFF_MAX_DIMS, FORMAT, "the array has over %d dims",
                     TUFF_MAX_DIMS);
        TUFF_REQUIRE(take_number(c, &h->dim[h->rank]), FORMAT,
                     "dim %d of 'shape' is no whole number", h->rank);
        h->empty |= h->dim[h->rank] == 0;
        h->rank++;
        if (take(c, ",")) continue;
        TUFF_REQUIRE(take(c, ")"), FORMAT, "'shape' is not closed");
        break;
    }
    return TUFF_OK;
}

static tuff_status read_order(struct cursor *c, struct header *h)
{
    TUFF_REQUIRE(!h->has_order, FORMAT, "the header has 'fortran_order' twice");
    h->has_order = true;
    h->fortran = take(c, "True");
    TUFF_REQUIRE(h->fortran || take(c, "False"), FORMAT,
                 "'fortran_order' is neither True nor False");
    return TUFF_OK;
}

static tuff_status read_header(struct cursor c, struct header *h)
{
    char key[32];
    *h = (struct header){ 0 };
    TUFF_REQUIRE(take(&c, "{"), FORMAT, "the header is no dictionary");
    while (!take(&c, "}")) {
        TUFF_REQUIRE(take_quoted(&c, key, sizeof key) && take(&c, ":"), FORMAT,
                     "the header is no dictionary of short names");
        if (strcmp(key, "descr") == 0) TUFF_TRY(read_type(&c, h));
        else if (strcmp(key, "fortran_order") == 0) TUFF_TRY(read_order(&c, h));
        else if (strcmp(key, "shape") == 0) TUFF_TRY(read_shape(&c, h));
        else return tuff_fail(TUFF_ERR_FORMAT, "the header has an unknown key '%s'", key);
        if (take(&c, ",")) continue;
        TUFF_REQUIRE(take(&c, "}"), FORMAT, "the header's dictionary is not closed");
        break;
    }
    skip_space(&c);
    TUFF_REQUIRE(c.at == c.end, FORMAT, "the header goes on after its dictionary");
    TUFF_REQUIRE(h->kind && h->has_order && h->has_shape, FORMAT,
                 "the header lacks one of 'descr', 'fortran_order' and 'shape'");
    return TUFF_OK;
}

// ---- the array -----------------------------------------------------------------------------

// Finds the header's text; *offset is where the elements begin.
static tuff_status find_header(const uint8_t *bytes, size_t size, struct cursor *text,
                               size_t *offset)
{
    TUFF_REQUIRE(size >= 10 && memcmp(bytes, "\x93NUMPY", 6) == 0, FORMAT,
                 "it does not begin as a .npy file");
    const int version = bytes[6];
    TUFF_REQUIRE(version >= 1 && version <= 3 && bytes[7] == 0, FORMAT,
                 "its version is %d.%d, expected 1.0, 2.0 or 3.0", version, bytes[7]);
    const size_t start = version == 1 ? 10 : 12;
    TUFF_REQUIRE(size >= start, FORMAT, "it ends inside the header's length");
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (version > 1) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    TUFF_REQUIRE(length <= size - start, FORMAT,
                 "its header has %zu bytes, the file ends before", length);
    text->at = (const char *)bytes + start;
    text->end = text->at + length;
    *offset = start + length;
    return TUFF_OK;
}

// Copies elements from Fortran's order (the first index runs fastest) to C's: walks the
// array in C's order, index[] beside, and keeps the source's place up to date.
static void copy_fortran(const struct header *h, const uint8_t *from, uint8_t *to)
{
    const size_t size = h->kind->size;
    size_t step[TUFF_MAX_DIMS], index[TUFF_MAX_DIMS] = { 0 }, at = 0, count = 1;
    for (int i = 0; i < h->rank; i++) {
        step[i] = count;
        count *= (size_t)h->dim[i];
    }
    for (size_t n = 0; n < count; n++) {
        memcpy(to + n * size, from + at * size, size);
        for (int i = h->rank - 1; i >= 0; i--) {
            at += step[i];
            if (++index[i] < (size_t)h->dim[i]) break;
            at -= index[i] * step[i];
            index[i] = 0;
        }
    }
}

static tuff_status copy_elements(const struct header *h, const uint8_t *from, tuff_array *a)
{
    tuff_status status = TUFF_OK;
    tuff_desc desc = { .dtype = h->kind->dtype, .rank = h->rank };
    memcpy(desc.dim, h->dim, sizeof h->dim);
    const size_t count = (size_t)tuff_desc_count(&desc);
    uint8_t *turned = NULL;
    if (h->fortran && h->rank > 1) {
        turned = tuff_alloc_aligned(count * h->kind->size);
        if (!turned) return TUFF_ERR_MEMORY;
        copy_fortran(h, from, turned);
        from = turned;
    }
    TUFF_GO(tuff_array_init(a, desc));
    if (h->kind->size == 8 && desc.dtype == TUFF_F32) tuff_narrow_f64(from, a->data, count);
    else memcpy(a->data, from, count * h->kind->size);
    uint8_t *flags = a->data;
    for (size_t i = 0; desc.dtype == TUFF_BOOL && i < count; i++) flags[i] = flags[i] != 0;
exit:
    tuff_free(turned);
    return status;
}

static tuff_status parse_header(const void *bytes, size_t size, struct header *h,
                                size_t *offset)
{
    struct cursor text = { 0 };
    TUFF_TRY(find_header(bytes, size, &text, offset));
    return read_header(text, h);
}

tuff_status tuff_npy_parse(const void *bytes, size_t size, tuff_array *a)
{
    struct header h;
    size_t offset = 0, need;
    *a = (tuff_array){ 0 };
    TUFF_TRY(parse_header(bytes, size, &h, &offset));
    TUFF_REQUIRE(!h.empty, FORMAT, "the array has no elements");
    TUFF_REQUIRE(tuff_dims_bytes(h.dim, h.rank, h.kind->size, &need), FORMAT,
                 "the size of its shape overflows");
    TUFF_REQUIRE(need == size - offset, FORMAT,
                 "its shape needs %zu bytes of elements, the file has %zu", need,
                 size - offset);
    return copy_elements(&h, (const uint8_t *)bytes + offset, a);
}

tuff_status tuff_npy_read(const char *path, tuff_array *a)
{
    void *bytes;
    size_t size;
    *a = (tuff_array){ 0 };
    TUFF_TRY(tuff_file_read(path, SIZE_MAX, &bytes, &size));
    const tuff_status status = tuff_npy_parse(bytes, size, a);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    tuff_free(bytes);
    return status;
}

bool tuff_npy_is_empty(const char *path)
{
    void *bytes;
    size_t size, offset = 0;
    struct header h = { .empty = false };
    if (tuff_file_read(path, HEADER_MOST, &bytes, &size) != TUFF_OK) return false;
    const bool whole = parse_header(bytes, size, &h, &offset) == TUFF_OK && offset == size;
    tuff_free(bytes);
    return whole && h.empty;
}

tuff_status tuff_npy_write(const char *path, const tuff_array *a)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !kind; i++)
        if (kinds[i].dtype == a->desc.dtype) kind = &kinds[i];
    TUFF_REQUIRE(kind, DTYPE, "%s: NumPy has no %s, safetensors has it", path,
                 tuff_dtype_name(a->desc.dtype));
    // Magic, version and length take 10 bytes; with the header, which ends with a newline,
    // they fill a multiple of 64.
    char text[320];
    int n = snprintf(text, sizeof text,
                     "\x93NUMPY%c%c%c%c{'descr': '%s', 'fortran_order': False, 'shape': (",
                     1, 0, 0, 0, kind->descr);
    for (int i = 0; i < a->desc.rank; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, i ? ", %lld" : "%lld",
                      (long long)a->desc.dim[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, a->desc.rank == 1 ? ",), }" : "), }");
    const int whole = (n + 1 + 63) / 64 * 64;
    memset(text + n, ' ', (size_t)(whole - n));
    text[whole - 1] = '\n';
    text[8] = (char)((whole - 10) & 255);
    text[9] = (char)((whole - 10) >> 8);

    tuff_status status = TUFF_OK;
    tuff_file_out *out = NULL;
    TUFF_TRY(tuff_file_create(path, &out));
    TUFF_GO(tuff_file_put(out, text, (size_t)whole));
    TUFF_GO(tuff_file_put(out, a->data, tuff_desc_bytes(&a->desc)));
    status = tuff_file_commit(&out);
exit:
    tuff_file_abandon(&out);
    return status;
}
