// Dense layers that keep only the weights that are not zero. Which weights those are stands in
// whole numbers beside them, and stays; the weights are trained as any. `tuff prune --form` and
// tuff_sparsify make them of dense layers; one that is made of text alone keeps its first
// columns' places and no weight.
#include "base/status.h"
#include "nn/layers.h"

enum { UNITS, COUNT, OF };   // COUNT: weights, blocks, or of N:M the N
enum { BIAS = 2, NM_BIAS };  // the places of the switch
enum { SIDE = 4 };           // of a block

// The weights come first and stand for all of the matrix.
static void add_weights(tuff_layer_params *p, tuff_desc values, int64_t stands)
{
    tuff_add_param(p, "weight", TUFF_PARAM_WEIGHT, values);
    p->stands[0] = stands;
}

static void add_bias(const tuff_layer *l, int arg, tuff_layer_params *p)
{
    if (l->arg[arg][0])
        tuff_add_param(p, "bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, l->arg[UNITS][0]));
}

static tuff_status by_rows(const tuff_layer *l, const tuff_desc *x, int side,
                           tuff_layer_params *p)
{
    const int64_t units = l->arg[UNITS][0], count = l->arg[COUNT][0];
    TUFF_TRY(tuff_want_row(l, x));
    const int64_t in = x->dim[0];
    TUFF_REQUIRE(units % side == 0 && in % side == 0, SHAPE,
                 "blocks of 4x4 divide not both its %lld inputs and %lld units",
                 (long long)in, (long long)units);
    TUFF_REQUIRE(count <= units / side * (in / side), SHAPE,
                 "it has %lld %s, %lld inputs and %lld units take %lld at most",
                 (long long)count, side > 1 ? "blocks" : "weights", (long long)in,
                 (long long)units, (long long)(units / side * (in / side)));
    add_weights(p, side > 1 ? TUFF_SHAPE(TUFF_F32, count, side, side)
                            : TUFF_SHAPE(TUFF_F32, count), units * in);
    tuff_add_stored(p, "columns", TUFF_SHAPE(TUFF_I32, count), 0);
    tuff_add_stored(p, "starts", TUFF_SHAPE(TUFF_I32, units / side + 1), 0);
    add_bias(l, BIAS, p);
    return TUFF_OK;
}

static tuff_status csr_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    return by_rows(l, x, 1, p);
}

static tuff_status bsr_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    return by_rows(l, x, SIDE, p);
}

static tuff_var with_bias(const tuff_emit *e, tuff_var y, tuff_var bias, bool there)
{
    return there ? tuff_graph_op(e->g, "add", (tuff_var[]){ y, bias }, 2, NULL) : y;
}

static tuff_var rows_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                             const tuff_var param[], const char *op)
{
    const tuff_sparse_matmul_params p = { .linear = true };
    const tuff_var in[] = { param[0], param[1], param[2], x[0] };
    return with_bias(e, tuff_graph_op(e->g, op, in, 4, &p), param[3], l->arg[BIAS][0]);
}

static tuff_var csr_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                            const tuff_var param[])
{
    (void)n;
    return rows_forward(e, l, x, param, "csr_matmul");
}

static tuff_var bsr_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                            const tuff_var param[])
{
    (void)n;
    return rows_forward(e, l, x, param, "bsr_matmul");
}

static tuff_nm_params nm_of(const tuff_layer *l)
{
    return (tuff_nm_params){ .keep = l->arg[COUNT][0], .of = l->arg[OF][0], .linear = true };
}

static tuff_status nm_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_row(l, x));
    const tuff_nm_params nm = nm_of(l);
    const int64_t units = l->arg[UNITS][0], in = x->dim[0], words = tuff_nm_words(in, &nm);
    TUFF_REQUIRE(words > 0, SHAPE, "its %lld inputs are not kept %d of %d, expected N of 4, 8 "
                 "or 16 that divides them", (long long)in, nm.keep, nm.of);
    add_weights(p, TUFF_SHAPE(TUFF_F32, units, in * nm.keep / nm.of), units * in);
    tuff_add_stored(p, "places", TUFF_SHAPE(TUFF_U32, units, words), 0);
    add_bias(l, NM_BIAS, p);
    return TUFF_OK;
}

static tuff_var nm_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                           const tuff_var param[])
{
    (void)n;
    const tuff_nm_params p = nm_of(l);
    const tuff_var in[] = { param[0], param[1], x[0] };
    return with_bias(e, tuff_graph_op(e->g, "nm_matmul", in, 3, &p), param[2],
                     l->arg[NM_BIAS][0]);
}

const tuff_layer_kind tuff_layers_sparse[] = {
    { .name = "csr",
      .usage = "csr UNITS COUNT [bias=yes]",
      .doc = "dense with COUNT weights that are not zero, by rows; made by tuff prune --form.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST),
               PLACE("COUNT", TUFF_ARG_INT, INT32_MAX), SWITCH("bias", 1) },
      .params = csr_params, .forward = csr_forward },
    { .name = "bsr",
      .usage = "bsr UNITS COUNT [bias=yes]",
      .doc = "dense with COUNT blocks of 4x4 weights that are not zero; likewise.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST),
               PLACE("COUNT", TUFF_ARG_INT, INT32_MAX), SWITCH("bias", 1) },
      .params = bsr_params, .forward = bsr_forward },
    { .name = "nm",
      .usage = "nm UNITS KEEP OF [bias=yes]",
      .doc = "dense with KEEP of every OF (4, 8, 16) neighbours in a row; likewise.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), PLACE("KEEP", TUFF_ARG_INT, 15),
               PLACE("OF", TUFF_ARG_INT, 16), SWITCH("bias", 1) },
      .params = nm_params, .forward = nm_forward },
    { .name = NULL }
};
