// An ONNX call's attributes, and the tensors it makes on its way; see onnx.h.
#include "ops/onnx.h"
#include "base/alloc.h"
#include "base/text.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <float.h>
#include <math.h>
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

int tuff_onnx_length(const tuff_onnx_attrs *a, const char *name)
{
    const char *s = tuff_onnx_get(a, name);
    if (!s) return -1;
    int n = strcspn(s, "0123456789") < strlen(s);
    for (; *s; s++) n += *s == ',';
    return n;
}

tuff_status tuff_onnx_rename(tuff_onnx_attrs *a, const char *from, const char *to)
{
    const char *value = tuff_onnx_get(a, from);
    if (!value) return TUFF_OK;
    tuff_onnx_drop(a, from);
    return tuff_onnx_set(a, to, "%s", value);
}

tuff_status tuff_onnx_int(const tuff_onnx_call *c, const char *name, int64_t otherwise,
                          int64_t *v)
{
    const char *text = tuff_onnx_get(&c->attrs, name);
    *v = otherwise;
    TUFF_REQUIRE(!text || tuff_parse_int(text, v), FORMAT, "'%s=%s' is not a whole number",
                 name, text ? text : "");
    return TUFF_OK;
}

tuff_status tuff_onnx_float(const tuff_onnx_call *c, const char *name, double otherwise,
                            double *v)
{
    const char *text = tuff_onnx_get(&c->attrs, name);
    const size_t n = text ? strlen(text) : 0;
    *v = otherwise;
    TUFF_REQUIRE(!text || (tuff_parse_f64(text, n, v) && fabs(*v) <= FLT_MAX), FORMAT,
                 "'%s=%s' is not a number", name, text ? text : "");
    return TUFF_OK;
}

bool tuff_onnx_flag(const tuff_onnx_call *c, const char *name)
{
    const char *text = tuff_onnx_get(&c->attrs, name);
    return text && strcmp(text, "0") != 0;
}

tuff_status tuff_onnx_only(const tuff_onnx_call *c, const char *words)
{
    for (int i = 0; i < c->attrs.count; i++) {
        const char *item = c->attrs.item[i], *at = words;
        const size_t n = strcspn(item, "=");
        while (*at && (strcspn(at, " ") != n || strncmp(at, item, n) != 0)) {
            at += strcspn(at, " ");
            at += *at == ' ';
        }
        TUFF_REQUIRE(*at, FORMAT, "it has no attribute '%.*s'; it has %s", (int)n, item,
                     *words ? words : "none");
    }
    return TUFF_OK;
}

// ---- tensors -------------------------------------------------------------------------------

tuff_status tuff_onnx_keep(tuff_onnx_call *c, tuff_tensor *t)
{
    if (c->count == c->room) {
        const int room = c->room ? 2 * c->room : 16;
        tuff_tensor **made = tuff_alloc((size_t)room, sizeof *made);
        if (!made) {
            tuff_tensor_destroy(&t);
            return TUFF_ERR_MEMORY;
        }
        if (c->count) memcpy(made, c->made, (size_t)c->count * sizeof *made);
        tuff_free(c->made);
        c->made = made;
        c->room = room;
    }
    c->made[c->count++] = t;
    return TUFF_OK;
}

tuff_status tuff_onnx_give(const tuff_tensor *x, tuff_desc desc, tuff_tensor **out)
{
    return tuff_tensor_view((tuff_tensor *)(uintptr_t)x, 0, desc, out);
}

tuff_status tuff_onnx_upload(tuff_onnx_call *c, tuff_desc desc, const void *data,
                             const tuff_tensor **t)
{
    tuff_tensor *x;
    TUFF_TRY(tuff_tensor_upload(c->stream, desc, data, &x));
    *t = x;
    return tuff_onnx_keep(c, x);
}

tuff_status tuff_onnx_view(tuff_onnx_call *c, const tuff_tensor *x, tuff_desc desc,
                           const tuff_tensor **y)
{
    tuff_tensor *v;
    TUFF_TRY(tuff_onnx_give(x, desc, &v));
    *y = v;
    return tuff_onnx_keep(c, v);
}

tuff_status tuff_onnx_op(tuff_onnx_call *c, const tuff_op *op, const tuff_tensor *const in[],
                         int nin, const void *params, const tuff_tensor *out[])
{
    tuff_call call = { .op = op, .nin = nin, .params = params };
    tuff_tensor *made[TUFF_OP_OUT] = { 0 };
    for (int i = 0; i < nin; i++)
        if (in[i]) call.in[i] = in[i]->desc;
    TUFF_TRY(tuff_call_infer(&call));
    for (int i = 0; i < call.nout; i++) {
        TUFF_TRY(tuff_tensor_create(tuff_stream_device(c->stream), call.out[i], &made[i]));
        TUFF_TRY(tuff_onnx_keep(c, made[i]));
    }
    TUFF_TRY(tuff_run(c->stream, op, in, nin, made, call.nout, params));
    for (int i = 0; i < call.nout; i++) out[i] = made[i];
    return TUFF_OK;
}

tuff_status tuff_onnx_cast(tuff_onnx_call *c, const tuff_tensor *x, tuff_dtype type,
                           const tuff_tensor **y)
{
    const tuff_cast_params p = { .to = (int)type };
    if (x->desc.dtype == type) return *y = x, TUFF_OK;
    return tuff_onnx_op(c, &tuff_op_cast, &x, 1, &p, y);
}

static int most_inputs(const tuff_op *op)
{
    int most = 0;
    while (op->in[most].name) most++;
    return most;
}

static tuff_status link(tuff_onnx_call *c, const tuff_op *op, const void *params,
                        const tuff_tensor *const t[], int count, const tuff_tensor **y)
{
    tuff_tensor *out[TUFF_OP_OUT];
    int made;
    if (count == 1) return *y = t[0], TUFF_OK;
    if (params) return tuff_onnx_op(c, op, t, count, params, y);
    TUFF_TRY(tuff_op_apply(c->stream, op->name, t, count, c->attrs.item, c->attrs.count, NULL,
                           out, &made));
    TUFF_TRY(tuff_onnx_keep(c, out[0]));
    *y = out[0];
    return TUFF_OK;
}

// The groups' results take the tensors' places until one is left.
tuff_status tuff_onnx_chain(tuff_onnx_call *c, const tuff_op *op, const void *params,
                            const tuff_tensor *t[], int64_t count, const tuff_tensor **y)
{
    const int most = most_inputs(op);
    while (count > 1) {
        int64_t n = 0;
        for (int64_t i = 0; i < count; i += most) {
            const int some = count - i < most ? (int)(count - i) : most;
            TUFF_TRY(link(c, op, params, t + i, some, &t[n]));
            n++;
        }
        count = n;
    }
    *y = t[0];
    return TUFF_OK;
}

tuff_status tuff_onnx_many(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const bool mean = strcmp(c->op, "Mean") == 0, sum = strcmp(c->op, "Sum") == 0;
    const tuff_op *op = mean || sum ? &tuff_op_sum
                      : strcmp(c->op, "Max") == 0 ? &tuff_op_max
                      : strcmp(c->op, "Min") == 0 ? &tuff_op_min : &tuff_op_concat;
    const tuff_affine_params part = { .scale = 1 / (float)(c->nin ? c->nin : 1) };
    if (c->nin <= most_inputs(op)) return tuff_onnx_records(c, out, nout);
    TUFF_TRY(tuff_onnx_only(c, op == &tuff_op_concat ? "axis" : ""));
    const tuff_dtype type = c->in[0] ? c->in[0]->desc.dtype : 0;
    for (int i = 0; i < c->nin; i++)
        TUFF_REQUIRE(c->in[i] && c->in[i]->desc.dtype == type, DTYPE,
                     "input %d is missing, or not %s as input 0 is", i, tuff_dtype_name(type));
    // What lies between is not rounded to 16 bits.
    for (int i = 0; (mean || sum) && type & TUFF_FLOATS && i < c->nin; i++)
        TUFF_TRY(tuff_onnx_cast(c, c->in[i], TUFF_F32, &c->in[i]));
    const tuff_tensor *y;
    TUFF_TRY(tuff_onnx_chain(c, op, NULL, c->in, c->nin, &y));
    if (mean) TUFF_TRY(tuff_onnx_op(c, &tuff_op_affine, &y, 1, &part, &y));
    TUFF_TRY(tuff_onnx_cast(c, y, type, &y));
    *nout = 1;
    return tuff_onnx_give(y, y->desc, &out[0]);
}
