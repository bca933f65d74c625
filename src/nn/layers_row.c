// Layers that work on sequences: samples of T positions with D numbers each.
#include "base/alloc.h"
#include "base/status.h"
#include "nn/layers.h"
#include <math.h>
#include <string.h>

static tuff_status want_sequence(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 2, SHAPE,
                 "%s takes samples of positions x numbers, it is given %s", l->kind->name,
                 tuff_sample_print(x, text, sizeof text));
    return TUFF_OK;
}

// ---- embedding -----------------------------------------------------------------------------

enum { EMBEDDING_COUNT, EMBEDDING_WIDTH };

static tuff_status embedding_params(const tuff_layer *l, const tuff_desc *x,
                                    tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_row(l, x));
    tuff_add_param(p, "weight", TUFF_PARAM_NORMAL,
                   TUFF_SHAPE(TUFF_F32, l->arg[EMBEDDING_COUNT][0],
                              l->arg[EMBEDDING_WIDTH][0]));
    return TUFF_OK;
}

// Samples are f32; whole numbers up to 2^24 are exact in it.
static tuff_var embedding_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                  int n, const tuff_var param[])
{
    (void)l, (void)n;
    const tuff_cast_params whole = { .to = TUFF_I32 };
    const tuff_var in[] = { param[0], tuff_graph_op(e->g, "cast", x, 1, &whole) };
    const tuff_gather_params rows = { .axis = 1 };
    return tuff_graph_op(e->g, "gather", in, 2, &rows);
}

// ---- attention -----------------------------------------------------------------------------

enum { ATTENTION_HEADS, ATTENTION_CAUSAL, ATTENTION_BIAS };

static tuff_status attention_params(const tuff_layer *l, const tuff_desc *x,
                                    tuff_layer_params *p)
{
    TUFF_TRY(want_sequence(l, x));
    const int64_t d = x->dim[1], heads = l->arg[ATTENTION_HEADS][0];
    TUFF_REQUIRE(d % heads == 0, SHAPE, "%lld heads divide not the %lld numbers of a position",
                 (long long)heads, (long long)d);
    tuff_add_param(p, "in_proj_weight", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, 3 * d, d));
    if (l->arg[ATTENTION_BIAS][0])
        tuff_add_param(p, "in_proj_bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, 3 * d));
    tuff_add_param(p, "out_proj.weight", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, d, d));
    if (l->arg[ATTENTION_BIAS][0])
        tuff_add_param(p, "out_proj.bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, d));
    return TUFF_OK;
}

static tuff_var dense(tuff_graph *g, tuff_var x, const tuff_var param[], bool bias)
{
    const tuff_var in[] = { x, param[0], param[bias ? 1 : 0] };
    return tuff_graph_op(g, "matmul", in, bias ? 3 : 2,
                         &(tuff_matmul_params){ .trans_b = true });
}

// Part number `i` of three of [N, T, 3D], as [N, heads, T, D / heads].
static tuff_var head_part(tuff_graph *g, tuff_var x, int i, int64_t heads)
{
    if (!x.id) return x;
    tuff_desc d = *tuff_graph_desc(g, x);
    const int64_t width = d.dim[2] / 3;
    tuff_slice_params cut = { .starts = { 0, 0, (int)(width * i) },
                              .ends = { 0, 0, i < 2 ? (int)(width * (i + 1)) : 0 } };
    const tuff_transpose_params swap = { .perm = { 0, 2, 1, 3 } };
    tuff_var part = tuff_graph_op(g, "slice", &x, 1, &cut);
    part = tuff_graph_reshape(g, part, TUFF_SHAPE(TUFF_F32, d.dim[0], d.dim[1], heads,
                                                  width / heads));
    return tuff_graph_op(g, "transpose", &part, 1, &swap);
}

// Scores of positions behind the asking one: minus infinity would leave no gradient defect, but
// is not needed; e^-1e9 is 0 in f32.
static tuff_var causal_mask(tuff_graph *g, int64_t t)
{
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, t, t);
    float *mask = tuff_alloc((size_t)(t * t), sizeof *mask);
    if (!mask) {
        g->tape.status = TUFF_ERR_MEMORY;
        return (tuff_var){ 0 };
    }
    for (int64_t i = 0; i < t; i++)
        for (int64_t k = i + 1; k < t; k++) mask[i * t + k] = -1e9f;
    const tuff_var v = tuff_graph_constant(g, d, mask);
    tuff_free(mask);
    return v;
}

// softmax(q k^T / sqrt(d)) v with q, k, v [N, heads, T, d] (Vaswani et al., 1706.03762).
static tuff_var attend(tuff_graph *g, const tuff_var qkv[3], bool causal)
{
    if (tuff_graph_status(g) != TUFF_OK) return (tuff_var){ 0 };
    const tuff_desc d = *tuff_graph_desc(g, qkv[0]);
    const tuff_affine_params scale = { .scale = 1 / sqrtf((float)d.dim[3]) };
    tuff_var s = tuff_graph_op(g, "matmul", qkv, 2, &(tuff_matmul_params){ .trans_b = true });
    s = tuff_graph_op(g, "affine", &s, 1, &scale);
    if (causal)
        s = tuff_graph_op(g, "add", (tuff_var[]){ s, causal_mask(g, d.dim[2]) }, 2, NULL);
    s = tuff_graph_op(g, "softmax", &s, 1, NULL);
    return tuff_graph_op(g, "matmul", (tuff_var[]){ s, qkv[2] }, 2, NULL);
}

static tuff_var attention_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                  int n, const tuff_var param[])
{
    (void)n;
    const bool bias = l->arg[ATTENTION_BIAS][0];
    const int64_t heads = l->arg[ATTENTION_HEADS][0];
    const tuff_var all = dense(e->g, x[0], param, bias);
    tuff_var qkv[3];
    for (int i = 0; i < 3; i++) qkv[i] = head_part(e->g, all, i, heads);
    tuff_var y = attend(e->g, qkv, l->arg[ATTENTION_CAUSAL][0]);
    const tuff_transpose_params swap = { .perm = { 0, 2, 1, 3 } };
    y = tuff_graph_op(e->g, "transpose", &y, 1, &swap);
    if (!y.id) return y;
    y = tuff_graph_reshape(e->g, y, *tuff_graph_desc(e->g, x[0]));
    return dense(e->g, y, param + (bias ? 2 : 1), bias);
}

const tuff_layer_kind tuff_layers_row[] = {
    { .name = "embedding",
      .usage = "embedding COUNT WIDTH",
      .doc = "A row of WIDTH numbers for each of T whole numbers below COUNT.",
      .arg = { PLACE("COUNT", TUFF_ARG_INT, WIDEST), PLACE("WIDTH", TUFF_ARG_INT, WIDEST) },
      .params = embedding_params, .forward = embedding_forward },
    { .name = "attention",
      .usage = "attention HEADS [causal=no] [bias=yes]",
      .doc = "Self attention over T positions with HEADS heads; causal looks back alone.",
      .arg = { PLACE("HEADS", TUFF_ARG_INT, LONGEST), SWITCH("causal", 0), SWITCH("bias", 1) },
      .params = attention_params, .forward = attention_forward },
    { .name = NULL }
};
