// What is special about ONNX's operators; see onnx.h.
#include "ops/onnx.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <string.h>

static tuff_status set_ints(tuff_onnx_attrs *a, const char *name, const int64_t v[], int n)
{
    char text[512];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < n && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, i ? ",%lld" : "%lld",
                                 (long long)v[i]);
    return tuff_onnx_set(a, name, "%s", text);
}

static int rank_of(const tuff_onnx_call *c)
{
    return c->nin && c->in[0] ? c->in[0]->desc.rank : 0;
}

// Numbers given for the dims `axes` (all of them in order when NULL), spread to one a dim.
static tuff_status spread(tuff_onnx_call *c, const char *name, const char *axes, int64_t other)
{
    int64_t v[TUFF_MAX_DIMS], axis[TUFF_MAX_DIMS], to[TUFF_MAX_DIMS];
    const char *value = tuff_onnx_get(&c->attrs, name);
    const int rank = rank_of(c);
    if (!value) return TUFF_OK;
    const int n = tuff_onnx_ints(value, v, TUFF_MAX_DIMS);
    for (int i = 0; i < n; i++) axis[i] = i;
    if (axes)
        TUFF_REQUIRE(tuff_onnx_ints(axes, axis, TUFF_MAX_DIMS) == n, SHAPE,
                     "%s has %d numbers, and axes another count", name, n);
    for (int i = 0; i < TUFF_MAX_DIMS; i++) to[i] = other;
    for (int i = 0; i < n; i++) {
        const int64_t d = axis[i] < 0 ? axis[i] + rank : axis[i];
        TUFF_REQUIRE(d >= 0 && d < rank, ARG, "axes holds %lld, x has %d dims",
                     (long long)axis[i], rank);
        to[d] = v[i];
    }
    return set_ints(&c->attrs, name, to, rank);
}

static tuff_status fix_slice(tuff_onnx_call *c)
{
    char axes[256] = "";
    const char *given = tuff_onnx_get(&c->attrs, "axes");
    if (given) snprintf(axes, sizeof axes, "%s", given);
    TUFF_TRY(spread(c, "starts", given ? axes : NULL, 0));
    TUFF_TRY(spread(c, "ends", given ? axes : NULL, 0));
    TUFF_TRY(spread(c, "steps", given ? axes : NULL, 1));
    tuff_onnx_drop(&c->attrs, "axes");
    return TUFF_OK;
}

static const tuff_onnx_rule rules[] = {
    { .op = "ReduceSum", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceMean", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceMax", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceMin", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceProd", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceL1", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceL2", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceLogSum", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceLogSumExp", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ReduceSumSquare", .inputs = "1:axes", .defaults = "keepdims=1" },
    { .op = "ArgMax", .defaults = "axis=0 keepdims=1", .wide = 1 },
    { .op = "ArgMin", .defaults = "axis=0 keepdims=1", .wide = 1 },
    { .op = "Reshape", .inputs = "1:shape" },
    { .op = "Slice", .inputs = "1:starts 2:ends 3:axes 4:steps", .fix = fix_slice },
};

const tuff_onnx_rule *tuff_onnx_rule_for(const char *op, int opset)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].op, op) == 0 && opset >= rules[i].from &&
            (!rules[i].to || opset <= rules[i].to))
            return &rules[i];
    return NULL;
}
