// Layers that are one op: activations, dropout, softmax.
#include "base/status.h"
#include "nn/layers.h"

// The op of the same name (or of the record's `op`), as it is by default.
static tuff_var op_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                           const tuff_var param[])
{
    (void)n, (void)param;
    return tuff_graph_op(e->g, l->kind->op ? l->kind->op : l->kind->name, x, 1, NULL);
}

static tuff_status relu_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    if (tuff_is_integer(x)) tuff_add_stored(p, "zero_point", TUFF_SCALAR(TUFF_I8), 0);
    return TUFF_OK;
}

static tuff_var relu_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                             const tuff_var param[])
{
    if (x[0].id && tuff_is_integer(tuff_graph_desc(e->g, x[0])))
        return tuff_integer_relu(e, x[0], param[0]);
    return op_forward(e, l, x, n, param);
}

// ---- activations with a number -------------------------------------------------------------

// leaky_relu, elu and celu: params that are one alpha.
static tuff_var alpha_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                              int n, const tuff_var param[])
{
    (void)n, (void)param;
    const tuff_alpha_params p = { .alpha = tuff_or_zero((double)l->real[0]) };
    return tuff_graph_op(e->g, l->kind->name, x, 1, &p);
}

// PyTorch's Hardsigmoid, which is not ONNX's by default.
static tuff_var hardsigmoid_forward(const tuff_emit *e, const tuff_layer *l,
                                    const tuff_var x[], int n, const tuff_var param[])
{
    (void)l, (void)n, (void)param;
    const tuff_hardsigmoid_params p = { .alpha = 1.0f / 6, .beta = 0.5f };
    return tuff_graph_op(e->g, "hardsigmoid", x, 1, &p);
}

static tuff_var gelu_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                             const tuff_var param[])
{
    (void)n, (void)param;
    const tuff_gelu_params p = { .approximate = l->arg[0][0] };
    return tuff_graph_op(e->g, "gelu", x, 1, &p);
}

// One slope for all, as PyTorch's PReLU has by default.
static tuff_status prelu_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l, (void)x;
    tuff_add_param(p, "weight", TUFF_PARAM_SLOPE, TUFF_SHAPE(TUFF_F32, 1));
    return TUFF_OK;
}

static tuff_var prelu_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                              int n, const tuff_var param[])
{
    (void)l, (void)n;
    return tuff_graph_op(e->g, "prelu", (tuff_var[]){ x[0], param[0] }, 2, NULL);
}

// ---- dropout and softmax -------------------------------------------------------------------

// Each layer draws from a seed of its own; the counter makes each step's numbers others.
static tuff_var dropout_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                int n, const tuff_var param[])
{
    (void)n, (void)param;
    if (!e->training || l->real[0] == 0) return x[0];
    const tuff_dropout_params p = { .ratio = l->real[0], .seed = 1 + (uint64_t)e->index };
    const tuff_var in[] = { x[0], e->counter };
    tuff_var out[2];
    tuff_graph_op_n(e->g, "dropout", in, e->counter.id ? 2 : 1, &p, out, 2);
    return out[0];
}

static tuff_status softmax_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)p;
    return tuff_want_row(l, x);
}

// ---- the records ---------------------------------------------------------------------------

#define PLAIN(name_, doc_) \
    { .name = name_, .mixing = TUFF_MIX_NONE, .usage = name_, .doc = doc_, \
      .forward = op_forward }
#define ALPHA(name_, usual_text_, usual_, doc_)                                 \
    { .name = name_, .mixing = TUFF_MIX_NONE,                                    \
      .usage = name_ " [ALPHA=" usual_text_ "]", .doc = doc_,                   \
      .arg = { REAL_PLACE("ALPHA", 0, 1000, usual_, true) }, .forward = alpha_forward }

const tuff_layer_kind tuff_layers_op[] = {
    { .name = "relu", .mixing = TUFF_MIX_NONE, .scales = true, .selects = true,
      .usage = "relu",
      .doc = "max(x, 0).", .params = relu_params, .forward = relu_forward },
    { .name = "leaky_relu", .mixing = TUFF_MIX_NONE, .scales = true,
      .usage = "leaky_relu [ALPHA=0.01]", .doc = "x where x >= 0, else ALPHA x.",
      .arg = { REAL_PLACE("ALPHA", 0, 1000, 0.01f, true) }, .forward = alpha_forward },
    ALPHA("elu", "1", 1, "x where x >= 0, else ALPHA (exp(x) - 1)."),
    ALPHA("celu", "1", 1, "x where x >= 0, else ALPHA (exp(x / ALPHA) - 1)."),
    PLAIN("selu", "1.0507 elu(x) with ALPHA 1.6733, which keeps mean and deviation."),
    { .name = "gelu", .mixing = TUFF_MIX_NONE,
      .usage = "gelu [approximate=none] (none or tanh)",
      .doc = "x times the chance that a normal number is below x; approximate=tanh is nearly "
             "so.",
      .arg = { { .name = "approximate", .type = TUFF_ARG_CHOICE,
                 .choices = { "none", "tanh", NULL } } },
      .forward = gelu_forward },
    PLAIN("silu", "x sigmoid(x), also called swish."),
    PLAIN("hardswish", "x min(max(x + 3, 0), 6) / 6."),
    { .name = "hardsigmoid", .mixing = TUFF_MIX_NONE,
      .usage = "hardsigmoid",
      .doc = "min(max(x + 3, 0), 6) / 6.",
      .forward = hardsigmoid_forward },
    PLAIN("softplus", "log(1 + exp(x))."),
    PLAIN("mish", "x tanh(softplus(x))."),
    PLAIN("softsign", "x / (1 + |x|)."),
    PLAIN("sigmoid", "1 / (1 + exp(-x))."),
    PLAIN("tanh", "The hyperbolic tangent."),
    { .name = "sign", .mixing = TUFF_MIX_NONE, .op = "sign_ste",
      .usage = "sign",
      .doc = "-1 below 0, else 1; in training the gradient passes where |x| <= 1.",
      .forward = op_forward },
    { .name = "prelu", .mixing = TUFF_MIX_NONE, .scales = true,
      .usage = "prelu",
      .doc = "x where x >= 0, else x times a slope that is learned.",
      .params = prelu_params, .forward = prelu_forward },
    { .name = "dropout", .mixing = TUFF_MIX_NONE, .scales = true,
      .usage = "dropout RATIO",
      .doc = "While training, numbers become 0 at random and the others grow to make up for "
             "it.",
      .arg = { REAL_PLACE("RATIO", 0, 0.999f, 0, false) },
      .forward = dropout_forward, .random = true },
    { .name = "softmax",
      .usage = "softmax",
      .doc = "exp(x) / sum(exp(x)) of one row; not before a cross entropy, which takes logits.",
      .params = softmax_params, .forward = op_forward },
    { .name = NULL }
};
