// Products whose weights are signs, or -1, 0 and 1, and what they take signs, too. While they
// are trained the weights are f32 from which those of few levels are made in every step:
//
//   levels    w of a product                                 its gradient by the f32 ones
//   sign      sign(v)                                        as if it were v
//   xnor      sign(v) mean |v|, a mean for each output       XNOR-Net's (op binarize)
//   ternary   sign(v) s where |v| > 0.7 mean |v|, else 0     as if it were v
//
// v of `sign` is kept within Glorot's coefficient c = sqrt(1.5 / (in + out)). Courbariaux et
// al. (1602.02830) keep it within 1 and divide each update by c, which for Adam is the same:
// its steps do not depend on a gradient's size. v of `xnor` is kept within 1; s of `ternary`
// is the mean of the |v| that are beyond (Li et al., 1605.04711).
//
// With packed=yes the layer holds bits, 32 to a word, and no f32 weights: what tuff quantize
// makes of it. Signs times signs are counted bits; signs times numbers are sums of them.
#include "base/alloc.h"
#include "base/status.h"
#include "nn/layers.h"
#include <math.h>
#include <string.h>

enum { UNITS, DENSE_LEVELS, DENSE_INPUTS, DENSE_PACKED, DENSE_BIAS };
enum { CHANNELS, KERNEL, STRIDE, PAD, CONV_LEVELS, CONV_INPUTS, CONV_PACKED, CONV_BIAS };
enum { SIGN, XNOR, TERNARY }; // levels
enum { REAL_INPUTS, SIGNS, SCALED }; // inputs

// A layer, whichever of the two it is. K is how many numbers an output is made of.
typedef struct shape {
    int64_t out, in, rows, cols, k; // rows and columns of the window; 1 of bdense
    int levels, inputs;
    bool packed, bias, conv;
    tuff_conv_params p;
} shape;

static shape dense_shape(const tuff_layer *l, int64_t in)
{
    return (shape){ .out = l->arg[UNITS][0], .in = in, .rows = 1, .cols = 1, .k = in,
                    .levels = l->arg[DENSE_LEVELS][0], .inputs = l->arg[DENSE_INPUTS][0],
                    .packed = l->arg[DENSE_PACKED][0], .bias = l->arg[DENSE_BIAS][0] };
}

static shape conv_shape(const tuff_layer *l, int64_t in)
{
    const int *kernel = l->arg[KERNEL], *stride = l->arg[STRIDE], *pad = l->arg[PAD];
    return (shape){ .out = l->arg[CHANNELS][0], .in = in, .rows = kernel[0], .cols = kernel[1],
                    .k = in * kernel[0] * kernel[1], .conv = true,
                    .levels = l->arg[CONV_LEVELS][0], .inputs = l->arg[CONV_INPUTS][0],
                    .packed = l->arg[CONV_PACKED][0], .bias = l->arg[CONV_BIAS][0],
                    .p = { .stride = { stride[0], stride[1] },
                           .pad = { pad[0], pad[1], pad[0], pad[1] } } };
}

// Whether both factors are signs, so that bits are counted.
static bool counts(const shape *s) { return s->inputs != REAL_INPUTS && s->levels != TERNARY; }

static int64_t words(int64_t bits) { return (bits + 31) / 32; }

// ---- parameters ----------------------------------------------------------------------------

static tuff_desc packed_desc(const shape *s)
{
    if (s->levels == TERNARY) return TUFF_SHAPE(TUFF_U32, s->out, 2, words(s->k));
    if (s->conv && counts(s))
        return TUFF_SHAPE(TUFF_U32, s->out, s->rows, s->cols, words(s->in));
    return TUFF_SHAPE(TUFF_U32, s->out, words(s->k));
}

static tuff_desc weight_desc(const shape *s, tuff_dtype type)
{
    return s->conv ? TUFF_SHAPE(type, s->out, s->in, s->rows, s->cols)
                   : TUFF_SHAPE(type, s->out, s->in);
}

static void add_params(const shape *s, tuff_layer_params *p)
{
    const tuff_desc row = TUFF_SHAPE(TUFF_F32, s->out);
    if (s->packed) {
        tuff_add_stored(p, "weight", packed_desc(s), s->out * s->k);
        if (s->levels != SIGN) tuff_add_stored(p, "weight_scale", row, 0);
        if (s->bias) tuff_add_stored(p, "bias", row, s->out);
        return;
    }
    const double ends = (double)(s->in + s->out) * (double)(s->rows * s->cols);
    tuff_add_param(p, "weight", TUFF_PARAM_WEIGHT, weight_desc(s, TUFF_F32));
    if (s->levels == SIGN) p->clip[0] = (float)sqrt(1.5 / ends);
    if (s->levels == XNOR) p->clip[0] = 1;
    if (s->bias) tuff_add_param(p, "bias", TUFF_PARAM_BIAS, row);
}

static tuff_status dense_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_rows(l, x));
    const shape s = dense_shape(l, x->dim[x->rank - 1]);
    add_params(&s, p);
    return TUFF_OK;
}

static tuff_status conv_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_image(l, x));
    const shape s = conv_shape(l, x->dim[0]);
    add_params(&s, p);
    return TUFF_OK;
}

static int64_t set_bits(const uint32_t *w, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += __builtin_popcount(w[i]);
    return sum;
}

// Of packed ones: signs are none.
static int64_t zeros(const shape *s, const tuff_desc desc[], const void *const data[])
{
    if (!s->packed) return 0;
    const int64_t w = desc[0].dim[desc[0].rank - 1];
    const float *bias = data[1 + (s->levels != SIGN)];
    int64_t n = 0;
    for (int64_t o = 0; s->levels == TERNARY && o < s->out; o++)
        n += s->k - set_bits((const uint32_t *)data[0] + 2 * w * o, w);
    for (int64_t o = 0; s->bias && o < s->out; o++) n += bias[o] == 0;
    return n;
}

static int64_t dense_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                           const void *const data[])
{
    const shape s = dense_shape(l, x->dim[x->rank - 1]);
    return zeros(&s, desc, data);
}

static int64_t conv_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                          const void *const data[])
{
    const shape s = conv_shape(l, x->dim[0]);
    return zeros(&s, desc, data);
}

// ---- weights -------------------------------------------------------------------------------

static tuff_var op1(const tuff_emit *e, const char *op, tuff_var x, const void *params)
{
    return tuff_graph_op(e->g, op, &x, 1, params);
}

static tuff_var op2(const tuff_emit *e, const char *op, tuff_var a, tuff_var b)
{
    return tuff_graph_op(e->g, op, (tuff_var[]){ a, b }, 2, NULL);
}

// A number for each output as a column of a matrix, or a channel of an image.
static tuff_var by_output(const tuff_emit *e, const shape *s, tuff_var v)
{
    return s->conv ? tuff_graph_reshape(e->g, v, TUFF_SHAPE(TUFF_F32, s->out, 1, 1)) : v;
}

// v as rows, one for each output.
static tuff_var as_rows(const tuff_emit *e, const shape *s, tuff_var v)
{
    return tuff_graph_reshape(e->g, v, TUFF_SHAPE(TUFF_F32, s->out, s->k));
}

// The signs of what is beyond the threshold of each row, and *scale, the mean of its size.
static tuff_var ternary_of(const tuff_emit *e, const shape *s, tuff_var v, tuff_var *scale)
{
    const tuff_binarize_params rows = { .factor = 0.7f };
    const tuff_cast_params real = { .to = TUFF_F32 };
    v = as_rows(e, s, v);
    const tuff_var limit = op1(e, "mean_abs", v, &rows);
    const tuff_var column = tuff_graph_reshape(e->g, limit, TUFF_SHAPE(TUFF_F32, s->out, 1));
    tuff_var coded[2];
    tuff_graph_op_n(e->g, "ternarize", (tuff_var[]){ v, limit }, 2, NULL, coded, 2);
    const tuff_var beyond = op2(e, "greater", op1(e, "abs", v, NULL), column);
    const tuff_var w = op2(e, "mul", op1(e, "sign", v, NULL), op1(e, "cast", beyond, &real));
    *scale = coded[1];
    return tuff_graph_reshape(e->g, w, weight_desc(s, TUFF_F32));
}

// While it is trained.
static tuff_var trained_weights(const tuff_emit *e, const shape *s, tuff_var v)
{
    const tuff_binarize_params rows = { .keep = 1 };
    if (s->levels == SIGN) return op1(e, "sign_ste", v, NULL);
    if (s->levels == XNOR) return op1(e, "binarize", v, &rows);
    // Straight through: v + (w - v), of which the second v is no way for a gradient.
    const tuff_var still = e->tensor && e->tensor[0]
                               ? tuff_graph_bind(e->g, NULL, e->tensor[0]) : v;
    tuff_var scale;
    const tuff_var levels = as_rows(e, s, ternary_of(e, s, still, &scale));
    const tuff_var column = tuff_graph_reshape(e->g, scale, TUFF_SHAPE(TUFF_F32, s->out, 1));
    const tuff_var step = op2(e, "sub", op2(e, "mul", levels, column), as_rows(e, s, still));
    return op2(e, "add", v, tuff_graph_reshape(e->g, step, weight_desc(s, TUFF_F32)));
}

// In use: whole numbers, whose sums with signs are exact, and their scale, if they have one.
static tuff_var weights_in_use(const tuff_emit *e, const shape *s, tuff_var v, tuff_var *scale)
{
    if (s->levels == TERNARY) return ternary_of(e, s, v, scale);
    if (s->levels == XNOR) *scale = op1(e, "mean_abs", as_rows(e, s, v), NULL);
    return op1(e, "sign_ste", v, NULL);
}

// Rows of `cols` bits as numbers: low where a bit is 0, 1 where it is 1.
static tuff_var unpacked(const tuff_emit *e, tuff_var bits, int64_t cols, float low)
{
    const tuff_codebook_params p = { .cols = (int)cols };
    const float level[] = { low, 1 };
    const tuff_var levels = tuff_graph_constant(e->g, TUFF_SHAPE(TUFF_F32, 2), level);
    return tuff_graph_op(e->g, "codebook_dequantize", (tuff_var[]){ bits, levels }, 2, &p);
}

// Packed weights as numbers, without their scale.
static tuff_var unpacked_weights(const tuff_emit *e, const shape *s, tuff_var bits)
{
    if (s->levels != TERNARY)
        return tuff_graph_reshape(e->g, unpacked(e, bits, s->k, -1), weight_desc(s, TUFF_F32));
    // Twice "above 0", less "not 0".
    const tuff_affine_params twice = { .scale = 2 };
    const tuff_split_params halves = { .axis = 1 };
    tuff_var half[2];
    const tuff_var both = unpacked(e, bits, s->k, 0);
    tuff_graph_op_n(e->g, "split", &both, 1, &halves, half, 2);
    const tuff_var w = op2(e, "sub", op1(e, "affine", half[1], &twice), half[0]);
    return tuff_graph_reshape(e->g, w, weight_desc(s, TUFF_F32));
}

// ---- forward -------------------------------------------------------------------------------

// Sums of w over the window, or the row, of each output: x as numbers.
static tuff_var product(const tuff_emit *e, const shape *s, tuff_var x, tuff_var w)
{
    if (s->conv) return tuff_graph_op(e->g, "conv2d", (tuff_var[]){ x, w }, 2, &s->p);
    return tuff_graph_op(e->g, "matmul", (tuff_var[]){ x, w }, 2,
                         &(tuff_matmul_params){ .trans_b = true });
}

// The mean of |x| over what each output takes, zeros outside of an image among it.
static tuff_var input_scale(const tuff_emit *e, const shape *s, tuff_var x)
{
    const tuff_reduce_params over = { .axes = s->conv ? 1u << 2 : 1u << 0, .keepdims = true };
    const tuff_pool2d_params window = {
        .kernel = { (int)s->rows, (int)s->cols }, .stride = { s->p.stride[0], s->p.stride[1] },
        .pad = { s->p.pad[0], s->p.pad[1], s->p.pad[2], s->p.pad[3] },
        .count_include_pad = true };
    const tuff_var mean = op1(e, "reduce_mean", op1(e, "abs", x, NULL), &over);
    return s->conv ? op1(e, "average_pool2d", mean, &window) : mean;
}

// Packs what it takes and counts bits.
static tuff_var counted(const tuff_emit *e, const shape *s, tuff_var x, const tuff_var param[])
{
    const tuff_binarize_params along = { .axis = s->conv ? 2 : 0 };
    const tuff_var none = { 0 };
    tuff_var packed[2];
    tuff_graph_op_n(e->g, "binarize_pack", &x, 1, &along, packed, 2);
    const tuff_var in[] = { packed[0], param[0], s->inputs == SCALED ? packed[1] : none,
                            s->levels == XNOR ? param[1] : none };
    if (!s->conv)
        return tuff_graph_op(e->g, "binary_matmul", in, 4,
                             &(tuff_binary_matmul_params){ .k = (int)s->in });
    tuff_binary_conv2d_params p = { .channels = (int)s->in };
    memcpy(p.stride, s->p.stride, sizeof p.stride);
    memcpy(p.pad, s->p.pad, sizeof p.pad);
    return tuff_graph_op(e->g, "binary_conv2d", in, 4, &p);
}

// Packed signs as levels: behind words of 1 for what there is in a row, as ternarize has them.
static tuff_var levels_of(const tuff_emit *e, const shape *s, tuff_var bits)
{
    const int64_t n = words(s->k);
    const tuff_desc rows = TUFF_SHAPE(TUFF_U32, s->out, 1, n);
    const tuff_expand_params repeat = { .shape = { (int)s->out, 1, (int)n } };
    const tuff_concat_params behind = { .axis = 1 };
    uint32_t *there = tuff_alloc((size_t)n, sizeof *there);
    if (!there) {
        e->g->tape.status = TUFF_ERR_MEMORY;
        return (tuff_var){ 0 };
    }
    for (int64_t i = 0; i < s->k; i++) there[i / 32] |= 1u << i % 32;
    const tuff_var row = tuff_graph_constant(e->g, TUFF_SHAPE(TUFF_U32, 1, 1, n), there);
    tuff_free(there);
    const tuff_var half[] = { op1(e, "expand", row, &repeat),
                              tuff_graph_reshape(e->g, bits, rows) };
    return tuff_graph_op(e->g, "concat", half, 2, &behind);
}

// Numbers times packed weights. A dense layer's are never made numbers of; a convolution's are,
// once.
static tuff_var summed(const tuff_emit *e, const shape *s, tuff_var x, const tuff_var param[])
{
    if (s->conv) return product(e, s, x, unpacked_weights(e, s, param[0]));
    const bool binary = s->levels != TERNARY;
    const tuff_var in[] = { x, binary ? levels_of(e, s, param[0]) : param[0] };
    return tuff_graph_op(e->g, "ternary_matmul", in, 2, NULL);
}

static tuff_var forward(const tuff_emit *e, const shape *s, tuff_var x, const tuff_var param[])
{
    tuff_var inputs = { 0 }, weights = { 0 }, y; // their scales
    const bool scaled = s->packed && s->levels != SIGN;
    if (s->packed && counts(s)) {
        y = counted(e, s, x, param);
    } else {
        if (s->inputs == SCALED) inputs = input_scale(e, s, x);
        if (s->inputs != REAL_INPUTS) x = op1(e, "sign_ste", x, NULL);
        if (scaled) weights = param[1];
        if (s->packed) y = summed(e, s, x, param);
        else if (e->training) y = product(e, s, x, trained_weights(e, s, param[0]));
        else y = product(e, s, x, weights_in_use(e, s, param[0], &weights));
        if (weights.id) y = op2(e, "mul", y, by_output(e, s, weights));
        if (inputs.id) y = op2(e, "mul", y, inputs);
    }
    if (!s->bias || tuff_graph_status(e->g) != TUFF_OK) return y;
    return op2(e, "add", y, by_output(e, s, param[scaled ? 2 : 1]));
}

static tuff_var dense_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                              int n, const tuff_var param[])
{
    (void)n;
    if (!x[0].id) return x[0];
    const tuff_desc *d = tuff_graph_desc(e->g, x[0]);
    const shape s = dense_shape(l, d->dim[d->rank - 1]);
    return forward(e, &s, x[0], param);
}

static tuff_var conv_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                             const tuff_var param[])
{
    (void)n;
    if (!x[0].id) return x[0];
    const shape s = conv_shape(l, tuff_graph_desc(e->g, x[0])->dim[1]);
    return forward(e, &s, x[0], param);
}

#define FORMS                                                                   \
    { .name = "levels", .type = TUFF_ARG_CHOICE,                               \
      .choices = { "sign", "xnor", "ternary" } },                               \
    { .name = "inputs", .type = TUFF_ARG_CHOICE,                                \
      .choices = { "real", "signs", "scaled" } },                               \
    SWITCH("packed", 0), SWITCH("bias", 1)
#define FORMS_USAGE                                                             \
    "[levels=sign|xnor|ternary] [inputs=real|signs|scaled] [packed=no] [bias=yes]"

const tuff_layer_kind tuff_layers_binary[] = {
    { .name = "bdense", .wide = true,
      .usage = "bdense UNITS " FORMS_USAGE,
      .doc = "dense whose weights are signs (xnor: times their row's mean size), or -1, 0 and "
             "1 times a number; inputs too, as signs or (scaled) signs times their mean size.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), FORMS },
      .params = dense_params, .forward = dense_forward, .zeros = dense_zeros },
    { .name = "bconv", .wide = true,
      .usage = "bconv CHANNELS KERNEL [stride=1] [pad=0] " FORMS_USAGE,
      .doc = "conv with such weights and inputs.",
      .arg = { PLACE("CHANNELS", TUFF_ARG_INT, WIDEST),
               PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),
               ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0), FORMS },
      .params = conv_params, .forward = conv_forward, .zeros = conv_zeros },
    { .name = NULL }
};
