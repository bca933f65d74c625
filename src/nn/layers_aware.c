// Training as if quantized: numbers that are rounded to steps while they stay floats, with
// gradients that go straight through (<tuff/ops/quant.h>, fake_quantize). What flows is rounded
// by a layer of its own, weights by the layer that has them, with fake=BITS.
//
// A step is `scale` times e^log_gain, where log_gain is trained and starts at 0. So steps stay
// above 0, an optimizer whose steps know no size (Adam) changes each by as much of itself, and
// a penalty on weights pulls them back to where they began.
#include "base/status.h"
#include "nn/layers.h"

enum { BITS, LEARN };
enum { SCALE, ZERO, GAIN }; // in the order of the parameters

static void add_steps(tuff_layer_params *p, const char *const name[3], int64_t n, bool learn)
{
    tuff_add_param(p, name[SCALE], TUFF_BUFFER_ONES, TUFF_SHAPE(TUFF_F32, n));
    tuff_add_stored(p, name[ZERO], TUFF_SHAPE(TUFF_I32, n), 0);
    if (!learn) return;
    tuff_add_param(p, name[GAIN], TUFF_PARAM_ZEROS, TUFF_SHAPE(TUFF_F32, n));
    p->stands[p->count - 1] = 0;
}

static tuff_var rounded(const tuff_emit *e, tuff_var x, const tuff_var step[], bool learn,
                        const tuff_fake_quantize_params *p)
{
    tuff_var scale = step[SCALE];
    if (learn) {
        const tuff_var gain = tuff_graph_op(e->g, "exp", &step[GAIN], 1, NULL);
        scale = tuff_graph_op(e->g, "mul", (tuff_var[]){ scale, gain }, 2, NULL);
    }
    return tuff_graph_op(e->g, "fake_quantize", (tuff_var[]){ x, scale, step[ZERO] }, 3, p);
}

// ---- weights ------------------------------------------------------------------------------

void tuff_fake_weights(tuff_layer_params *p, int64_t out, bool per_tensor)
{
    static const char *const names[] = { "weight_scale", "weight_zero_point",
                                         "weight_log_gain" };
    add_steps(p, names, per_tensor ? 1 : out, true);
}

tuff_var tuff_fake_weight(const tuff_emit *e, tuff_var weight, const tuff_var step[], int bits)
{
    if (!weight.id) return weight;
    const tuff_fake_quantize_params p = { .axis = tuff_graph_desc(e->g, weight)->rank - 1,
                                          .bits = bits };
    return rounded(e, weight, step, true, &p);
}

tuff_var tuff_fake_sign(const tuff_emit *e, tuff_var weight, bool per_tensor)
{
    if (!weight.id) return weight;
    const tuff_desc d = *tuff_graph_desc(e->g, weight);
    const int64_t rows = per_tensor ? 1 : d.dim[0];
    const tuff_binarize_params p = { .keep = 1 };
    const tuff_var v = tuff_graph_reshape(
        e->g, weight, TUFF_SHAPE(TUFF_F32, rows, tuff_desc_count(&d) / rows));
    const tuff_var y = tuff_graph_op(e->g, "binarize", &v, 1, &p);
    return y.id ? tuff_graph_reshape(e->g, y, d) : y;
}

// ---- what flows ---------------------------------------------------------------------------

static tuff_status fake_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    static const char *const names[] = { "scale", "zero_point", "log_gain" };
    TUFF_REQUIRE(x->dtype == TUFF_F32, DTYPE, "fake_quantize takes f32, it is given %s",
                 tuff_dtype_name(x->dtype));
    TUFF_REQUIRE(!l->store.form, ARG, "fake_quantize has no weights to store");
    add_steps(p, names, 1, l->arg[LEARN][0]);
    return TUFF_OK;
}

static tuff_var fake_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                             int n, const tuff_var param[])
{
    (void)n;
    return rounded(e, x[0], param, l->arg[LEARN][0],
                   &(tuff_fake_quantize_params){ .bits = l->arg[BITS][0] });
}

const tuff_layer_kind tuff_layers_aware[] = {
    { .name = "fake_quantize",
      .usage = "fake_quantize [BITS] [learn=yes]",
      .doc = "Rounds to steps of BITS (8) bits as quantize and dequantize would, with a "
             "gradient as if it did not; learn: the step is trained.",
      .arg = { { .name = "BITS", .place = true, .optional = true, .type = TUFF_ARG_INT,
                 .min = 2, .max = 8, .standard = 8 },
               SWITCH("learn", 1) },
      .params = fake_params, .forward = fake_forward },
    { .name = NULL }
};
