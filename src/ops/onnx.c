// Running one of ONNX's operators; see onnx.h.
#include "ops/onnx.h"
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/fields.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static tuff_status take_input(tuff_onnx_call *c, int input, const char *name)
{
    const tuff_tensor *t = c->in[input];
    char text[2048];
    void *data = tuff_alloc(tuff_desc_bytes(&t->desc), 1);
    tuff_status status = TUFF_ERR_MEMORY;
    if (!data) return status;
    TUFF_GO(tuff_tensor_read(c->stream, t, data, tuff_desc_bytes(&t->desc)));
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

static tuff_status on_input(void *user, char *word)
{
    tuff_onnx_call *c = user;
    char *colon = strchr(word, ':');
    const int input = atoi(word);
    if (input >= c->nin || !c->in[input]) return TUFF_OK;
    return take_input(c, input, colon + 1);
}

static tuff_status on_need(void *user, char *word)
{
    TUFF_REQUIRE(tuff_onnx_get(user, word), ARG, "%s is missing, ONNX has no default for it",
                 word);
    return TUFF_OK;
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

// False for a record of images of another rank than x's: conv2d takes 4 dims. Where x has none
// of those ranks the first one says so.
static bool suits(const tuff_op *op, const tuff_onnx_call *c)
{
    const int rank = c->nin && c->in[0] ? c->in[0]->desc.rank : 0;
    return !op->spatial || rank == 2 + op->spatial ||
           ((rank < 3 || rank > 5) && op->spatial == 1);
}

tuff_status tuff_onnx_records(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    char said[512] = "";
    tuff_status first = TUFF_OK;
    TUFF_REQUIRE(c->nin <= TUFF_OP_IN, ARG, "%s: %d inputs were given, at most %d are taken",
                 c->op, c->nin, TUFF_OP_IN);
    for (int i = 0; i < tuff_op_count(); i++) {
        const tuff_op *op = tuff_op_at(i);
        if (!answers_to(op, c->op) || !suits(op, c)) continue;
        const tuff_status status = tuff_op_apply(c->stream, op->name, c->in, c->nin,
                                                 c->attrs.item, c->attrs.count, c->shape, out,
                                                 nout);
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

// The first output as the caller wants to see it.
static tuff_status reshape(const tuff_onnx_call *c, tuff_tensor **t)
{
    tuff_desc d = c->y;
    tuff_tensor *seen;
    if (!d.dtype) return TUFF_OK;
    d.dtype = (*t)->desc.dtype;
    TUFF_TRY(tuff_onnx_give(*t, d, &seen));
    tuff_tensor_destroy(t);
    *t = seen;
    return TUFF_OK;
}

static tuff_status prepare(tuff_onnx_call *c, const tuff_onnx_rule *rule)
{
    // In opset 1 every operator that could work in place said so.
    if (c->opset < 6) tuff_onnx_drop(&c->attrs, "consumed_inputs");
    if (!rule) return TUFF_OK;
    TUFF_TRY(each_word(rule->inputs, c, on_input));
    TUFF_TRY(each_word(rule->needs, &c->attrs, on_need));
    TUFF_TRY(each_word(rule->defaults, &c->attrs, on_default));
    TUFF_TRY(each_word(rule->dropped, &c->attrs, on_dropped));
    return rule->fix ? rule->fix(c) : TUFF_OK;
}

static tuff_status run_rule(tuff_onnx_call *c, const tuff_onnx_rule *rule, tuff_tensor *out[],
                            int *nout)
{
    const char *op_type = c->op;
    tuff_status status = prepare(c, rule);
    if (status == TUFF_OK && rule && rule->as) c->op = rule->as;
    while (c->nin && !c->in[c->nin - 1]) c->nin--;
    const bool own = rule && rule->run;
    if (status == TUFF_OK && own) status = rule->run(c, out, nout);
    if (status != TUFF_OK) return tuff_fail_prefix(op_type), status;
    return own ? TUFF_OK : tuff_onnx_records(c, out, nout);
}

static tuff_status check(tuff_stream *s, const char *op_type, int opset, int nin, int count)
{
    TUFF_REQUIRE(s && op_type && nin >= 0 && nin <= TUFF_ONNX_IN, ARG,
                 "onnx: %d inputs were given, at most %d are taken", nin, TUFF_ONNX_IN);
    TUFF_REQUIRE(opset >= 0 && opset <= TUFF_ONNX_LATEST, ARG,
                 "%s: opset is %d, it must be 1 to %d", op_type, opset, TUFF_ONNX_LATEST);
    TUFF_REQUIRE(count >= 0 && count <= TUFF_ONNX_ATTRS / 2, ARG,
                 "%s: %d attributes were given, at most %d are taken", op_type, count,
                 TUFF_ONNX_ATTRS / 2);
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
    TUFF_TRY(check(s, op_type, opset, nin, count));
    tuff_status status = TUFF_OK;
    tuff_onnx_call *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    *c = (tuff_onnx_call){ .stream = s, .op = op_type, .nin = nin, .asked = asked,
                           .opset = opset ? opset : TUFF_ONNX_OPSET, .shape = shape };
    for (int i = 0; i < nin; i++) c->in[i] = in[i];
    for (int i = 0; i < count; i++) c->attrs.item[c->attrs.count++] = attributes[i];
    const tuff_onnx_rule *rule = tuff_onnx_rule_for(op_type, c->opset);
    TUFF_GO(run_rule(c, rule, out, nout));
    TUFF_GO(reshape(c, &out[0]));
    for (int i = 0; i < *nout && rule; i++)
        if (rule->wide >> i & 1) TUFF_GO(widen(s, &out[i]));
exit:
    for (int i = 0; i < TUFF_OP_OUT && status != TUFF_OK; i++) tuff_tensor_destroy(&out[i]);
    if (status != TUFF_OK) *nout = 0;
    for (int i = c->count - 1; i >= 0; i--) tuff_tensor_destroy(&c->made[i]);
    tuff_free(c->made);
    tuff_free(c);
    return status;
}
