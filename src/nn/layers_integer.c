// Layers between quantize and dequantize, where a sample is 8-bit numbers: q stands for
// (q - zero_point) scale. A layer is the same word there, with weights in whole numbers and the
// scales of what it takes and gives among its parameters, none of which is trained:
//
//   quantize | conv 6 5 | maxpool 2 | flatten | dense 10 | dequantize
//
// Weights are bytes, or with `bits` signed numbers of 2 to 7 bits that lie packed in words,
// which kernels read as they lie. What a layer gives may end at its zero point, so that a relu
// behind it costs nothing. Sums are i32, and every device gives the same bits
// (<tuff/ops/quant.h>).
#include "base/alloc.h"
#include "base/status.h"
#include "nn/layers.h"
#include <stdio.h>
#include <tuff/ops/block.h>
#include <tuff/ops/quant.h>

// ---- parameters ---------------------------------------------------------------------------

static void add_scale(tuff_layer_params *p, const char *scale, const char *zero_point)
{
    tuff_add_stored(p, scale, TUFF_SCALAR(TUFF_F32), 0);
    tuff_add_stored(p, zero_point, TUFF_SCALAR(TUFF_I8), 0);
}

void tuff_integer_ends(tuff_layer_params *p)
{
    add_scale(p, "input_scale", "input_zero_point");
    add_scale(p, "output_scale", "output_zero_point");
}

// In the order in which emit_product takes them.
tuff_status tuff_integer_weights(const tuff_layer *l, tuff_desc weight, bool bias,
                                 tuff_layer_params *p)
{
    const int64_t out = weight.dim[0], stands = tuff_desc_count(&weight);
    const int bits = l->store.bits;
    TUFF_REQUIRE(!bits || (bits >= 2 && bits <= 7), ARG,
                 "bits is %d, expected 2 to 7, or none where integers have 8", bits);
    weight.dtype = TUFF_I8;
    if (bits) weight = TUFF_SHAPE(TUFF_U32, tuff_packed_words(bits, stands));
    tuff_add_stored(p, "weight", weight, stands);
    tuff_add_stored(p, "weight_scale", TUFF_SHAPE(TUFF_F32, out), 0);
    tuff_add_stored(p, "weight_zero_point", TUFF_SHAPE(TUFF_I8, out), 0);
    tuff_integer_ends(p);
    if (bias) tuff_add_stored(p, "bias", TUFF_SHAPE(TUFF_I32, out), out);
    return TUFF_OK;
}

enum { WEIGHT, WEIGHT_SCALE, WEIGHT_ZERO, IN_SCALE, IN_ZERO, OUT_SCALE, OUT_ZERO, BIAS };

tuff_status tuff_integer_read(const tuff_layer *l, const void *stored, int64_t n, int32_t *q)
{
    const int8_t *bytes = stored;
    if (l->store.bits) return tuff_packed_read(l->store.bits, false, stored, n, q);
    for (int64_t i = 0; i < n; i++) q[i] = bytes[i];
    return TUFF_OK;
}

tuff_status tuff_integer_write(const tuff_layer *l, const int32_t *q, int64_t n, void *stored)
{
    int8_t *bytes = stored;
    if (l->store.bits) return tuff_packed_write(l->store.bits, false, q, n, stored);
    for (int64_t i = 0; i < n; i++) bytes[i] = (int8_t)q[i];
    return TUFF_OK;
}

int64_t tuff_integer_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                           const void *const data[])
{
    if (!tuff_is_integer(x)) return 0;
    tuff_layer_params p = { 0 };
    if (l->kind->params(l, x, &p) != TUFF_OK) return 0;
    const int8_t *zero = data[WEIGHT_ZERO];
    const int32_t *bias = data[BIAS];
    const int64_t out = desc[WEIGHT_SCALE].dim[0], count = p.stands[WEIGHT];
    int32_t *q = tuff_alloc((size_t)count, sizeof *q);
    int64_t zeros = 0;
    const bool read = q && tuff_integer_read(l, data[WEIGHT], count, q) == TUFF_OK;
    for (int64_t i = 0; read && i < count; i++) zeros += q[i] == zero[i / (count / out)];
    for (int64_t i = 0; bias && i < out; i++) zeros += bias[i] == 0;
    tuff_free(q);
    return zeros;
}

// ---- products -----------------------------------------------------------------------------

static tuff_var reshape(const tuff_emit *e, tuff_var x, tuff_desc to)
{
    to.dtype = tuff_graph_desc(e->g, x)->dtype;
    return tuff_graph_reshape(e->g, x, to);
}

tuff_var tuff_integer_conv(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                           const tuff_var w[], const tuff_conv_params *p, bool bias)
{
    const tuff_packed_conv_params packed = {
        .conv = *p, .bits = l->store.bits,
        .channels = (int)tuff_graph_desc(e->g, w[WEIGHT_SCALE])->dim[0] };
    const tuff_var in[] = { x, w[IN_SCALE], w[IN_ZERO], w[WEIGHT], w[WEIGHT_SCALE],
                            w[WEIGHT_ZERO], w[OUT_SCALE], w[OUT_ZERO], w[BIAS] };
    if (l->store.bits)
        return tuff_graph_op(e->g, "qlinear_conv_packed", in, bias ? 9 : 8, &packed);
    return tuff_graph_op(e->g, "qlinear_conv", in, bias ? 9 : 8, p);
}

// A row is an image of one pixel.
tuff_var tuff_integer_dense(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                            const tuff_var w[], bool bias)
{
    if (!x.id) return x;
    const tuff_desc d = *tuff_graph_desc(e->g, x), m = *tuff_graph_desc(e->g, w[WEIGHT]);
    const int64_t rows = tuff_desc_count(&d) / d.dim[d.rank - 1];
    tuff_var in[BIAS + 1];
    for (int i = 0; i < BIAS + bias; i++) in[i] = w[i];
    if (!l->store.bits)
        in[WEIGHT] = reshape(e, w[WEIGHT], TUFF_SHAPE(TUFF_I8, m.dim[0], m.dim[1], 1, 1));
    x = reshape(e, x, TUFF_SHAPE(TUFF_I8, rows, d.dim[d.rank - 1], 1, 1));
    tuff_desc to = d;
    to.dim[to.rank - 1] = tuff_graph_desc(e->g, w[WEIGHT_SCALE])->dim[0];
    const tuff_var y = tuff_integer_conv(e, l, x, in, &(tuff_conv_params){ 0 }, bias);
    return y.id ? reshape(e, y, to) : y;
}

// ---- what stands between them -------------------------------------------------------------

tuff_var tuff_integer_mean(const tuff_emit *e, tuff_var x, const tuff_var end[],
                           const tuff_pool2d_params *p)
{
    const tuff_var in[] = { x, end[0], end[1], end[2], end[3] };
    return tuff_graph_op(e->g, "qlinear_average_pool2d", in, 5, p);
}

tuff_var tuff_integer_gap(const tuff_emit *e, tuff_var x, const tuff_var end[])
{
    if (!x.id) return x;
    const tuff_desc d = *tuff_graph_desc(e->g, x);
    const tuff_pool2d_params p = { .kernel = { (int)d.dim[2], (int)d.dim[3] } };
    const tuff_var y = tuff_integer_mean(e, x, end, &p);
    return y.id ? reshape(e, y, TUFF_SHAPE(TUFF_I8, d.dim[0], d.dim[1])) : y;
}

tuff_var tuff_integer_max(const tuff_emit *e, tuff_var x, const tuff_pool2d_params *q)
{
    const tuff_pool_params p = {
        .kernel = { q->kernel[0], q->kernel[1] }, .stride = { q->stride[0], q->stride[1] },
        .pad = { q->pad[0], q->pad[1], q->pad[2], q->pad[3] },
    };
    return tuff_graph_op(e->g, "max_pool", &x, 1, &p);
}

// Channels of the zero point.
tuff_var tuff_integer_channelpad(const tuff_emit *e, tuff_var x, tuff_var zero, int before,
                                 int behind)
{
    if (!x.id) return x;
    const tuff_desc d = *tuff_graph_desc(e->g, x);
    tuff_var part[3];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const int channels = i == 0 ? before : behind;
        const tuff_expand_params p = { .shape = { (int)d.dim[0], channels, (int)d.dim[2],
                                                  (int)d.dim[3] } };
        if (i == 1) part[n++] = x;
        else if (channels) part[n++] = tuff_graph_op(e->g, "expand", &zero, 1, &p);
    }
    const tuff_concat_params p = { .axis = 2 };
    return tuff_graph_op(e->g, "concat", part, n, &p);
}

tuff_var tuff_integer_relu(const tuff_emit *e, tuff_var x, tuff_var zero)
{
    return tuff_graph_op(e->g, "max", (tuff_var[]){ x, zero }, 2, NULL);
}

void tuff_integer_sum_ends(tuff_layer_params *p)
{
    add_scale(p, "left_scale", "left_zero_point");
    add_scale(p, "right_scale", "right_zero_point");
    add_scale(p, "output_scale", "output_zero_point");
}

tuff_var tuff_integer_sum(const tuff_emit *e, const tuff_var x[], const tuff_var end[])
{
    const tuff_var in[] = { x[0], end[0], end[1], x[1], end[2], end[3], end[4], end[5] };
    return tuff_graph_op(e->g, "qlinear_add", in, 8, NULL);
}

// ---- the way in and out -------------------------------------------------------------------

static tuff_status ends_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    const bool in = l->kind == &tuff_layers_integer[0];
    TUFF_REQUIRE(x->dtype == (in ? TUFF_F32 : TUFF_I8), DTYPE, "%s takes %s, it is given %s",
                 l->kind->name, in ? "f32" : "i8", tuff_dtype_name(x->dtype));
    add_scale(p, "scale", "zero_point");
    return TUFF_OK;
}

static tuff_var quantize_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                 int n, const tuff_var param[])
{
    (void)l, (void)n;
    return tuff_graph_op(e->g, "quantize_linear", (tuff_var[]){ x[0], param[0], param[1] }, 3,
                         NULL);
}

static tuff_var dequantize_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                   int n, const tuff_var param[])
{
    (void)l, (void)n;
    return tuff_graph_op(e->g, "dequantize_linear", (tuff_var[]){ x[0], param[0], param[1] }, 3,
                         NULL);
}

const tuff_layer_kind tuff_layers_integer[] = {
    { .name = "quantize",
      .usage = "quantize",
      .doc = "From here on numbers of 8 bits, x / scale to the nearest one plus zero_point, "
             "until dequantize.",
      .params = ends_params, .forward = quantize_forward },
    { .name = "dequantize",
      .usage = "dequantize",
      .doc = "Back to floats: (x - zero_point) scale.",
      .params = ends_params, .forward = dequantize_forward },
    { .name = NULL }
};
