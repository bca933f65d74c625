// Layers that are one op without parameters: activations, softmax.
#include "base/status.h"
#include "nn/layers.h"

// The op of the same name (or of the record's `op`), as it is by default.
static tuff_var op_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                           const tuff_var param[])
{
    (void)n, (void)param;
    return tuff_graph_op(e->g, l->kind->op ? l->kind->op : l->kind->name, x, 1, NULL);
}

static tuff_status softmax_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)p;
    return tuff_want_row(l, x);
}

#define PLAIN(name_, doc_) \
    { .name = name_, .usage = name_, .doc = doc_, .forward = op_forward }

const tuff_layer_kind tuff_layers_op[] = {
    PLAIN("relu", "max(x, 0)."),
    PLAIN("sigmoid", "1 / (1 + exp(-x))."),
    PLAIN("tanh", "The hyperbolic tangent."),
    { .name = "softmax",
      .usage = "softmax",
      .doc = "exp(x) / sum(exp(x)) of one row; not before a cross entropy, which takes logits.",
      .params = softmax_params, .forward = op_forward },
    { .name = NULL }
};
