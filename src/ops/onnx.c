// Running one of ONNX's operators; see onnx.h.
#include "ops/onnx.h"
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/fields.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- attributes --------------------------------------------------------------------------

static int find(const tuff_onnx_attrs *a, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < a->count; i++)
        if (strncmp(a->item[i], name, n) == 0 && a->item[i][n] == '=') return i;
    return -1;
}

const char *tuff_onnx_get(const tuff_onnx_attrs *a, const char *name)
{
    const int i = find(a, name);
    return i < 0 ? NULL : a->item[i] + strlen(name) + 1;
}

void tuff_onnx_drop(tuff_onnx_attrs *a, const char *name)
{
    const int i = find(a, name);
    if (i >= 0) a->item[i] = a->item[--a->count];
}

tuff_status tuff_onnx_set(tuff_onnx_attrs *a, const char *name, const char *format, ...)
{
    va_list args;
    char *at = a->text + a->used;
    const size_t left = sizeof a->text - a->used;
    size_t n = (size_t)snprintf(at, left, "%s=", name);
    if (n < left) {
        va_start(args, format);
        n += (size_t)vsnprintf(at + n, left - n, format, args);
        va_end(args);
    }
    tuff_onnx_drop(a, name);
    TUFF_REQUIRE(n < left && a->count < TUFF_ONNX_ATTRS, LIMIT, "its attributes are too many");
    a->item[a->count++] = at;
    a->used += n + 1;
    return TUFF_OK;
}

int tuff_onnx_ints(const char *value, int64_t v[], int most)
{
    int n = 0;
    for (const char *s = value; *s && n < most;) {
        char *end;
        if (*s == '[' || *s == ']' || *s == ',' || *s == ' ') {
            s++;
            continue;
        }
        v[n] = strtoll(s, &end, 10);
        if (end == s) break;
        n++;
        s = end;
    }
    return n;
}

// ---- inputs that are attributes here -----------------------------------------------------

static int64_t int_range(int64_t v)
{
    return v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : v;
}

// Writes a tensor's numbers as the value of an attribute.
static tuff_status value_text(const tuff_desc *d, const void *data, char *text, size_t size)
{
    const size_t n = (size_t)tuff_desc_count(d), step = tuff_dtype_size(d->dtype);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const void *at = (const char *)data + i * step;
        char word[40];
        if (d->dtype & TUFF_FLOATS) {
            float v;
            tuff_convert(d->dtype, at, TUFF_F32, &v, false, 0, 1);
            snprintf(word, sizeof word, "%.9g", (double)v);
        } else {
            int64_t v;
            tuff_convert(d->dtype, at, TUFF_I64, &v, false, 0, 1);
            snprintf(word, sizeof word, "%lld", (long long)int_range(v));
        }
        const size_t left = used < size ? size - used : 0;
        used += (size_t)snprintf(left ? text + used : NULL, left, i ? ",%s" : "%s", word);
        TUFF_REQUIRE(used < size, LIMIT, "an input with the place of an attribute has %zu "
                     "elements", n);
    }
    return TUFF_OK;
}

static tuff_status take_input(tuff_stream *s, tuff_onnx_call *c, int input, const char *name)
{
    const tuff_tensor *t = c->in[input];
    char text[2048];
    void *data = tuff_alloc(tuff_desc_bytes(&t->desc), 1);
    tuff_status status = TUFF_ERR_MEMORY;
    if (!data) return status;
    TUFF_GO(tuff_tensor_read(s, t, data, tuff_desc_bytes(&t->desc)));
    TUFF_GO(value_text(&t->desc, data, text, sizeof text));
    TUFF_GO(tuff_onnx_set(&c->attrs, name, "%s", text));
    c->in[input] = NULL;
    status = TUFF_OK;
exit:
    tuff_free(data);
    return status;
}

// Calls `fn` for each word of a list divided by blanks.
static tuff_status each_word(const char *list, void *user,
                             tuff_status (*fn)(void *user, char *word))
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", list ? list : "");
    char *rest = NULL;
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        TUFF_TRY(fn(user, w));
    return TUFF_OK;
}

typedef struct reading {
    tuff_stream *stream;
    tuff_onnx_call *call;
} reading;

static tuff_status on_input(void *user, char *word)
{
    reading *r = user;
    char *colon = strchr(word, ':');
    const int input = atoi(word);
    if (input >= r->call->nin || !r->call->in[input]) return TUFF_OK;
    return take_input(r->stream, r->call, input, colon + 1);
}

static tuff_status on_default(void *user, char *word)
{
    tuff_onnx_attrs *a = user;
    char *equals = strchr(word, '=');
    *equals = '\0';
    return tuff_onnx_get(a, word) ? TUFF_OK : tuff_onnx_set(a, word, "%s", equals + 1);
}

static tuff_status on_dropped(void *user, char *word)
{
    tuff_onnx_drop(user, word);
    return TUFF_OK;
}

// ---- running -----------------------------------------------------------------------------

// A record is asked for by ONNX's name, or by its own where ONNX's says less (see onnx.h).
static bool answers_to(const tuff_op *op, const char *name)
{
    return strcmp(op->onnx ? op->onnx : op->name, name) == 0;
}

// The first record of that operator that takes the call; *said holds what the first one said.
static tuff_status run_records(tuff_stream *s, const tuff_onnx_call *c, const tuff_desc *shape,
                               tuff_tensor *out[8], int *nout)
{
    char said[512] = "";
    tuff_status first = TUFF_OK;
    for (int i = 0; i < tuff_op_count(); i++) {
        const tuff_op *op = tuff_op_at(i);
        if (!answers_to(op, c->op)) continue;
        const tuff_status status = tuff_op_apply(s, op->name, c->in, c->nin, c->attrs.item,
                                                 c->attrs.count, shape, out, nout);
        if (status == TUFF_OK) return status;
        if (first == TUFF_OK) snprintf(said, sizeof said, "%s", tuff_last_error());
        if (first == TUFF_OK) first = status;
        // Another record may be the one for this rank; what is not about the call is final.
        if (status != TUFF_ERR_SHAPE && status != TUFF_ERR_ARG && status != TUFF_ERR_DTYPE &&
            status != TUFF_ERR_FORMAT)
            return status;
    }
    if (first == TUFF_OK)
        return tuff_fail(TUFF_ERR_UNSUPPORTED, "there is no op for ONNX's %s", c->op);
    return tuff_fail(first, "%s", said);
}

bool tuff_onnx_has(const char *op_type)
{
    const tuff_onnx_rule *rule = tuff_onnx_rule_for(op_type, TUFF_ONNX_OPSET);
    if (rule && rule->run) return true;
    if (rule && rule->as) op_type = rule->as;
    for (int i = 0; i < tuff_op_count(); i++)
        if (tuff_op_at(i)->onnx && strcmp(tuff_op_at(i)->onnx, op_type) == 0) return true;
    return false;
}

// ONNX has these in i64.
static tuff_status widen(tuff_stream *s, tuff_tensor **t)
{
    tuff_desc d = (*t)->desc;
    tuff_tensor *wide = NULL;
    tuff_status status = TUFF_OK;
    if (d.dtype != TUFF_I32) return TUFF_OK;
    d.dtype = TUFF_I64;
    const tuff_cast_params p = { .to = TUFF_I64 };
    TUFF_GO(tuff_tensor_create(tuff_stream_device(s), d, &wide));
    TUFF_GO(tuff_cast(s, *t, wide, &p));
    tuff_tensor_destroy(t);
    *t = wide;
    wide = NULL;
exit:
    tuff_tensor_destroy(&wide);
    return status;
}

static tuff_status prepare(tuff_stream *s, tuff_onnx_call *c, const tuff_onnx_rule *rule)
{
    if (!rule) return TUFF_OK;
    reading r = { s, c };
    TUFF_TRY(each_word(rule->inputs, &r, on_input));
    TUFF_TRY(each_word(rule->defaults, &c->attrs, on_default));
    TUFF_TRY(each_word(rule->dropped, &c->attrs, on_dropped));
    if (rule->fix) TUFF_TRY(rule->fix(c));
    return TUFF_OK;
}

tuff_status tuff_onnx_apply(tuff_stream *s, const char *op_type, int opset,
                            const tuff_tensor *const in[], int nin,
                            const char *const attributes[], int count, const tuff_desc *shape,
                            tuff_tensor *out[8], int *nout)
{
    const int asked = *nout;
    memset(out, 0, TUFF_OP_OUT * sizeof *out);
    *nout = 0;
    TUFF_REQUIRE(s && op_type && nin >= 0 && nin <= TUFF_OP_IN, ARG,
                 "onnx: %d inputs were given, at most %d are taken", nin, TUFF_OP_IN);
    TUFF_REQUIRE(count >= 0 && count <= TUFF_ONNX_ATTRS / 2, ARG,
                 "%s: %d attributes were given, at most %d are taken", op_type, count,
                 TUFF_ONNX_ATTRS / 2);
    tuff_status status = TUFF_OK;
    tuff_onnx_call *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    *c = (tuff_onnx_call){ .op = op_type, .opset = opset ? opset : TUFF_ONNX_OPSET,
                           .nin = nin, .asked = asked };
    for (int i = 0; i < nin; i++) c->in[i] = in[i];
    for (int i = 0; i < count; i++) c->attrs.item[c->attrs.count++] = attributes[i];
    const tuff_onnx_rule *rule = tuff_onnx_rule_for(op_type, c->opset);
    TUFF_GO(prepare(s, c, rule));
    if (rule && rule->as) c->op = rule->as;
    while (c->nin && !c->in[c->nin - 1]) c->nin--;
    TUFF_GO(rule && rule->run ? rule->run(s, c, out, nout)
                              : run_records(s, c, shape, out, nout));
    for (int i = 0; i < *nout && rule; i++)
        if (rule->wide >> i & 1) TUFF_GO(widen(s, &out[i]));
exit:
    for (int i = 0; i < TUFF_OP_OUT && status != TUFF_OK; i++) tuff_tensor_destroy(&out[i]);
    if (status != TUFF_OK) *nout = 0;
    tuff_free(c);
    return status;
}
