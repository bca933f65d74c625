// Params structs <-> text; see fields.h.
#include "ops/fields.h"
#include "base/dtype.h"
#include "base/text.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 2 * TUFF_MAX_DIMS }; // numbers in a list: pads have two a dim

// One value being read: where it goes, and the word it came from for error texts.
typedef struct reader {
    const tuff_field *field;
    tuff_dialect dialect;
    int rank;
    const char *word, *value;
    unsigned char *to;
} reader;

static const char *field_name(const tuff_field *f, tuff_dialect dialect)
{
    return dialect == TUFF_DIALECT_ONNX && f->onnx ? f->onnx : f->name;
}

// Adds ", name" to a list in text[size]; names that do not fit are left out.
static void append(char *text, size_t size, const char *name)
{
    const size_t n = strlen(text), more = strlen(name);
    if (n + more + 3 <= size) snprintf(text + n, size - n, "%s%s", n ? ", " : "", name);
}

static tuff_status unknown(const tuff_op *op, tuff_dialect dialect, const char *word,
                           size_t len)
{
    const char *names[TUFF_OP_PARAMS];
    char key[64], list[400] = "";
    size_t n = 0;
    for (const tuff_field *f = op->params; n < TUFF_OP_PARAMS && f->name; f++) {
        names[n++] = field_name(f, dialect);
        append(list, sizeof list, names[n - 1]);
    }
    snprintf(key, sizeof key, "%.*s", (int)(len < sizeof key ? len : sizeof key - 1), word);
    const char *near = tuff_nearest(key, names, n);
    return tuff_fail(TUFF_ERR_FORMAT, "%s: there is no parameter '%s'%s%s%s, expected %s",
                     op->name, key, near ? " (did you mean '" : "", near ? near : "",
                     near ? "'?)" : "", n ? list : "none");
}

static const tuff_field *find(const tuff_op *op, tuff_dialect dialect, const char *key,
                              size_t len)
{
    for (const tuff_field *f = op->params; f < op->params + TUFF_OP_PARAMS && f->name; f++) {
        const char *name = field_name(f, dialect);
        if (strlen(name) == len && memcmp(name, key, len) == 0) return f;
    }
    return NULL;
}

// ---- numbers -----------------------------------------------------------------------------

static tuff_status bad(const reader *r, const char *expected)
{
    return tuff_fail(TUFF_ERR_FORMAT, "'%s': '%s' is not %s", r->word, r->value, expected);
}

static tuff_status read_one(const reader *r, int64_t min, int64_t max, int64_t *v)
{
    if (!tuff_parse_int(r->value, v) || *v < min || *v > max)
        return bad(r, "a whole number that fits here");
    return TUFF_OK;
}

// Numbers separated by commas; ONNX's may stand in brackets and have blanks, and those that
// do not fit an int (its "to the end" is 2^63 - 1) become the nearest that does.
static tuff_status read_list(const reader *r, int most, int64_t v[], int *count)
{
    const char *s = r->value, *end = s + strlen(s);
    const bool onnx = r->dialect == TUFF_DIALECT_ONNX;
    *count = 0;
    if (onnx && *s == '[' && end[-1] == ']') {
        s++;
        end--;
        if (s == end) return TUFF_OK;
    }
    while (s <= end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const char *next = comma ? comma : end, *last = next;
        while (onnx && s < last && *s == ' ') s++;
        while (onnx && s < last && last[-1] == ' ') last--;
        if (*count == most)
            return tuff_fail(TUFF_ERR_FORMAT, "'%s': more than %d numbers", r->word, most);
        int64_t n;
        if (!tuff_parse_i64(s, (size_t)(last - s), &n) ||
            (!onnx && (n < INT_MIN || n > INT_MAX)))
            return bad(r, "a list of whole numbers as in 1,2");
        v[(*count)++] = n < INT_MIN ? INT_MIN : n > INT_MAX ? INT_MAX : n;
        s = next + 1;
    }
    return TUFF_OK;
}

// An axis, one of `count` in a list, as written to one counted from the innermost.
static tuff_status turn_axis(const reader *r, int64_t v, int count, int *axis)
{
    const int64_t onnx = r->rank + (r->field->added ? count : 0);
    const int64_t most = r->dialect == TUFF_DIALECT_CASE ? TUFF_MAX_DIMS : onnx;
    const int64_t inner = r->dialect == TUFF_DIALECT_CASE ? v : v < 0 ? -v - 1 : most - 1 - v;
    if (inner < 0 || inner >= most)
        return tuff_fail(TUFF_ERR_FORMAT, "'%s': there is no axis %lld among %lld dims",
                         r->word, (long long)v, (long long)most);
    *axis = (int)inner;
    return TUFF_OK;
}

static void put(const reader *r, const void *value, size_t size) { memcpy(r->to, value, size); }

// One number that is out of the field's range, in a sentence.
static tuff_status check_range(const reader *r, int64_t v)
{
    const tuff_field *f = r->field;
    const bool good = f->range == TUFF_AT_LEAST_1 ? v >= 1 : f->range == TUFF_NOT_0 ? v != 0
                                                                                    : true;
    TUFF_REQUIRE(good, FORMAT, "'%s': %s is %lld, it must %s", r->word,
                 field_name(f, r->dialect), (long long)v,
                 f->range == TUFF_NOT_0 ? "not be 0" : "be at least 1");
    return TUFF_OK;
}

// Each of 0 to rank - 1 once.
static tuff_status check_dims(const reader *r, const int64_t v[], int n)
{
    uint32_t seen = 0;
    bool good = n == r->rank;
    for (int i = 0; i < n && good; i++) {
        good = v[i] >= 0 && v[i] < r->rank && !(seen >> v[i] & 1);
        if (good) seen |= 1u << v[i];
    }
    TUFF_REQUIRE(good, FORMAT, "'%s': it must hold each of 0 to %d once", r->word, r->rank - 1);
    return TUFF_OK;
}

static tuff_status check_numbers(const reader *r, const int64_t v[], int n)
{
    const tuff_field *f = r->field;
    const int spatial = r->rank - 2;
    const int want = f->length == TUFF_PER_SPATIAL ? spatial
                   : f->length == TUFF_PER_SIDE ? 2 * spatial : r->rank;
    const bool all = f->length != TUFF_PER_DIM && n == 1;
    if (f->range == TUFF_EACH_DIM) return check_dims(r, v, n);
    for (int i = 0; i < n; i++) TUFF_TRY(check_range(r, v[i]));
    if (r->dialect == TUFF_DIALECT_CASE || f->length == TUFF_ANY_LENGTH || all) return TUFF_OK;
    TUFF_REQUIRE(n == want, FORMAT, "'%s': %s has %d number%s, for %d dims it must have %d",
                 r->word, field_name(f, r->dialect), n, n == 1 ? "" : "s", r->rank, want);
    return TUFF_OK;
}

static tuff_status parse_int(const reader *r)
{
    const bool counted = r->field->counted && r->dialect == TUFF_DIALECT_ONNX;
    int64_t v;
    TUFF_TRY(read_one(r, INT_MIN, counted ? INT_MAX - 1 : INT_MAX, &v));
    if (counted) v = v < 0 ? 0 : v + 1;
    TUFF_TRY(check_range(r, v));
    put(r, &(int){ (int)v }, sizeof(int));
    return TUFF_OK;
}

static tuff_status parse_int64(const reader *r)
{
    int64_t v;
    TUFF_TRY(read_one(r, INT64_MIN, INT64_MAX, &v));
    put(r, &v, sizeof v);
    return TUFF_OK;
}

static tuff_status parse_uint64(const reader *r)
{
    uint64_t v;
    if (!tuff_parse_u64(r->value, strlen(r->value), &v))
        return bad(r, "a whole number from 0 to 2^64 - 1");
    put(r, &v, sizeof v);
    return TUFF_OK;
}

static tuff_status parse_bool(const reader *r)
{
    const bool yes = strcmp(r->value, "1") == 0 || strcmp(r->value, "true") == 0;
    const bool no = strcmp(r->value, "0") == 0 || strcmp(r->value, "false") == 0;
    if (!yes && !no) return bad(r, "0 or 1");
    put(r, &yes, sizeof yes);
    return TUFF_OK;
}

static tuff_status parse_float(const reader *r)
{
    float v;
    if (!tuff_parse_float(r->value, &v)) return bad(r, "a finite number");
    if (r->field->zero && v == 0) v = TUFF_ZERO;
    put(r, &v, sizeof v);
    return TUFF_OK;
}

static tuff_status parse_floats(const reader *r)
{
    float to[LONGEST] = { 0 };
    const char *s = r->value, *end = s + strlen(s);
    int n = 0;
    if (r->dialect == TUFF_DIALECT_ONNX && *s == '[' && end[-1] == ']') s++, end--;
    while (s < end) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        const size_t len = (size_t)((comma ? comma : end) - s);
        char word[40];
        snprintf(word, sizeof word, "%.*s", len < sizeof word ? (int)len : 0, s);
        const char *number = word;
        while (*number == ' ') number++;
        if (n == r->field->count)
            return tuff_fail(TUFF_ERR_FORMAT, "'%s': more than %d numbers", r->word, n);
        if (!tuff_parse_float(number, &to[n++])) return bad(r, "a list of numbers as in 1,0.5");
        s += len + (comma != NULL);
    }
    put(r, to, (size_t)r->field->count * sizeof(float));
    return TUFF_OK;
}

// Strides, pads: one number stands for all. In lists with a place for every dim it does not.
static bool short_list(const tuff_field *f) { return f->count < TUFF_MAX_DIMS; }

static tuff_status parse_ints(const reader *r)
{
    int64_t v[LONGEST];
    int to[LONGEST] = { 0 }, n;
    TUFF_TRY(read_list(r, r->field->count, v, &n));
    TUFF_TRY(check_numbers(r, v, n));
    for (int i = 0; i < n; i++) to[i] = (int)v[i];
    for (int i = 1; n == 1 && short_list(r->field) && i < r->field->count; i++) to[i] = to[0];
    put(r, to, (size_t)r->field->count * sizeof(int));
    return TUFF_OK;
}

static tuff_status parse_axis(const reader *r)
{
    int64_t v;
    int axis = 0;
    TUFF_TRY(read_one(r, INT_MIN, INT_MAX, &v));
    TUFF_TRY(turn_axis(r, v, 1, &axis));
    put(r, &axis, sizeof axis);
    return TUFF_OK;
}

static tuff_status parse_axes(const reader *r)
{
    int64_t v[TUFF_MAX_DIMS];
    uint32_t mask = 0;
    int n, axis = 0;
    TUFF_TRY(read_list(r, TUFF_MAX_DIMS, v, &n));
    for (int i = 0; i < n; i++) {
        TUFF_TRY(turn_axis(r, v[i], n, &axis));
        TUFF_REQUIRE(!(mask >> axis & 1), FORMAT, "'%s': axis %lld is named twice", r->word,
                     (long long)v[i]);
        mask |= 1u << axis;
    }
    put(r, &mask, sizeof mask);
    return TUFF_OK;
}

static tuff_status parse_dims(const reader *r)
{
    int64_t v[LONGEST];
    int to[LONGEST] = { 0 }, n;
    TUFF_TRY(read_list(r, r->field->count, v, &n));
    for (int i = 0; i < n; i++) {
        TUFF_TRY(turn_axis(r, v[i], n, &to[i]));
        to[i]++;
    }
    put(r, to, (size_t)r->field->count * sizeof(int));
    return TUFF_OK;
}

static tuff_status parse_enum(const reader *r)
{
    char list[200] = "";
    for (int i = 0; r->field->names[i]; i++) {
        const char *also = r->field->also ? r->field->also[i] : NULL;
        if (strcmp(r->field->names[i], r->value) == 0 || (also && !strcmp(also, r->value))) {
            put(r, &i, sizeof i);
            return TUFF_OK;
        }
        append(list, sizeof list, r->field->names[i]);
    }
    return tuff_fail(TUFF_ERR_FORMAT, "'%s': '%s' is none of %s", r->word, r->value, list);
}

// By its name, or by ONNX's number of it (TensorProto.DataType).
static tuff_status parse_dtype(const reader *r)
{
    static const struct { tuff_dtype dtype; const char *onnx; } types[] = {
        { TUFF_F32, "1" },  { TUFF_F16, "10" }, { TUFF_BF16, "16" },
        { TUFF_I32, "6" },  { TUFF_U32, "12" }, { TUFF_I8, "3" },
        { TUFF_U8, "2" },   { TUFF_BOOL, "9" }, { TUFF_I64, "7" },
    };
    char list[200] = "";
    tuff_dtype found = tuff_dtype_find(r->value, strlen(r->value));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (r->dialect == TUFF_DIALECT_ONNX && strcmp(types[i].onnx, r->value) == 0)
            found = types[i].dtype;
        append(list, sizeof list, tuff_dtype_name(types[i].dtype));
    }
    if (found) return put(r, &(int){ (int)found }, sizeof(int)), TUFF_OK;
    return tuff_fail(TUFF_ERR_FORMAT, "'%s': '%s' is none of %s", r->word, r->value, list);
}

tuff_status tuff_field_parse(const tuff_op *op, tuff_dialect dialect, int rank,
                             const char *text, void *params, const tuff_field **field)
{
    static tuff_status (*const parse[])(const reader *) = {
        [TUFF_FIELD_INT] = parse_int, [TUFF_FIELD_INT64] = parse_int64,
        [TUFF_FIELD_UINT64] = parse_uint64, [TUFF_FIELD_BOOL] = parse_bool,
        [TUFF_FIELD_FLOAT] = parse_float, [TUFF_FIELD_INTS] = parse_ints,
        [TUFF_FIELD_DIMS] = parse_dims, [TUFF_FIELD_FLOATS] = parse_floats,
        [TUFF_FIELD_AXIS] = parse_axis, [TUFF_FIELD_AXES] = parse_axes,
        [TUFF_FIELD_ENUM] = parse_enum, [TUFF_FIELD_DTYPE] = parse_dtype,
    };
    const char *equals = strchr(text, '=');
    TUFF_REQUIRE(equals, FORMAT, "'%s' is no parameter: expected key=value", text);
    const size_t len = (size_t)(equals - text);
    const tuff_field *f = find(op, dialect, text, len);
    // A case may take ONNX's name, and is then read as ONNX's value too.
    const tuff_dialect value = f ? dialect : TUFF_DIALECT_ONNX;
    if (!f) f = find(op, TUFF_DIALECT_ONNX, text, len);
    if (!f) return unknown(op, dialect, text, len);
    const reader r = { .field = f, .dialect = value, .rank = rank, .word = text,
                       .value = equals + 1, .to = (unsigned char *)params + f->offset };
    if (field) *field = f;
    return parse[f->type](&r);
}

// ---- printing ----------------------------------------------------------------------------

typedef struct writer {
    char *text;
    size_t size, length;
} writer;

static void emit(writer *w, const char *format, ...) TUFF_PRINTF(2, 3);
static void emit(writer *w, const char *format, ...)
{
    const size_t left = w->length < w->size ? w->size - w->length : 0;
    va_list args;
    va_start(args, format);
    w->length += (size_t)vsnprintf(left ? w->text + w->length : NULL, left, format, args);
    va_end(args);
}

static size_t field_size(const tuff_field *f)
{
    switch (f->type) {
    case TUFF_FIELD_INT64:
    case TUFF_FIELD_UINT64: return 8;
    case TUFF_FIELD_BOOL: return sizeof(bool);
    case TUFF_FIELD_INTS:
    case TUFF_FIELD_FLOATS:
    case TUFF_FIELD_DIMS: return (size_t)f->count * sizeof(int);
    default: return 4;
    }
}

static bool all_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i]) return false;
    return true;
}

// The shortest decimal number that reads back as the same float.
static void emit_float(writer *w, float v)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    emit(w, "%s", text);
}

static void emit_ints(writer *w, const tuff_field *f, const int *v, int rank)
{
    int n = f->count;
    if (!short_list(f)) {
        while (n > 0 && !v[n - 1]) n--;
        if (n < rank && f->range != TUFF_AT_LEAST_1) n = rank;
    } else {
        bool equal = true;
        for (int i = 1; i < n; i++) equal &= v[i] == v[0];
        if (equal) n = 1;
        // One number would stand for all, and what is left out is 0.
        while (f->range == TUFF_AT_LEAST_1 && n > 2 && !v[n - 1]) n--;
    }
    for (int i = 0; i < n; i++) emit(w, i ? ",%d" : "%d", v[i]);
}

static void emit_floats(writer *w, const tuff_field *f, const float *v)
{
    int n = f->count;
    while (n > 1 && v[n - 1] == 0) n--;
    for (int i = 0; i < n; i++) {
        if (i) emit(w, ",");
        emit_float(w, v[i]);
    }
}

static void emit_value(writer *w, const tuff_field *f, const unsigned char *from, int rank)
{
    union {
        int i, list[LONGEST];
        int64_t i64;
        uint64_t u64;
        uint32_t mask;
        float f, reals[LONGEST];
    } v;
    memcpy(&v, from, field_size(f));
    const char *comma = "";
    switch (f->type) {
    case TUFF_FIELD_INT64: emit(w, "%lld", (long long)v.i64); break;
    case TUFF_FIELD_UINT64: emit(w, "%llu", (unsigned long long)v.u64); break;
    case TUFF_FIELD_BOOL: emit(w, "1"); break; // a field that is 0 is not written
    case TUFF_FIELD_FLOAT: emit_float(w, f->zero && v.f == 0 ? 0 : v.f); break;
    case TUFF_FIELD_INTS: emit_ints(w, f, v.list, rank); break;
    case TUFF_FIELD_FLOATS: emit_floats(w, f, v.reals); break;
    case TUFF_FIELD_DIMS:
        for (int i = 0; i < f->count && v.list[i]; i++)
            emit(w, i ? ",%d" : "%d", v.list[i] - 1);
        break;
    case TUFF_FIELD_ENUM: emit(w, "%s", f->names[v.i]); break;
    case TUFF_FIELD_DTYPE: emit(w, "%s", tuff_dtype_name((tuff_dtype)v.i)); break;
    case TUFF_FIELD_AXES:
        for (int i = 0; i < TUFF_MAX_DIMS; i++) {
            if (!(v.mask >> i & 1)) continue;
            emit(w, "%s%d", comma, i);
            comma = ",";
        }
        break;
    case TUFF_FIELD_INT:
    case TUFF_FIELD_AXIS: emit(w, "%d", v.i); break;
    }
}

size_t tuff_field_print(const tuff_op *op, int rank, const void *params, char *text,
                        size_t size)
{
    writer w = { .text = text, .size = size };
    if (size) text[0] = '\0';
    for (const tuff_field *f = op->params; f < op->params + TUFF_OP_PARAMS && f->name; f++) {
        const unsigned char *from = (const unsigned char *)params + f->offset;
        if (all_zero(from, field_size(f))) continue;
        emit(&w, w.length ? " %s=" : "%s=", f->name);
        emit_value(&w, f, from, rank);
    }
    return w.length;
}
