// What is special about ONNX's operators; see onnx.h.
#include "ops/onnx.h"
#include "base/alloc.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <math.h>
#include <string.h>

static tuff_status fix_batch_norm(tuff_onnx_call *c)
{
    const char *training = tuff_onnx_get(&c->attrs, "training_mode");
    if (training && strcmp(training, "0") != 0) c->op = "batch_norm_train";
    tuff_onnx_drop(&c->attrs, "training_mode");
    return TUFF_OK;
}

// Nothing goes outside of training, whatever the ratio; in training it is 0.5 where not given.
static tuff_status fix_dropout(tuff_onnx_call *c)
{
    const char *training = tuff_onnx_get(&c->attrs, "training_mode");
    const bool trains = training && strcmp(training, "0") != 0;
    tuff_onnx_drop(&c->attrs, "training_mode");
    if (!trains) tuff_onnx_drop(&c->attrs, "ratio");
    else if (!tuff_onnx_get(&c->attrs, "ratio"))
        TUFF_TRY(tuff_onnx_set(&c->attrs, "ratio", "0.5"));
    return TUFF_OK;
}

// Indices, depth, values: ours has no depth among the inputs.
static tuff_status fix_one_hot(tuff_onnx_call *c)
{
    TUFF_REQUIRE(c->nin == 3 && c->in[2], ARG, "it takes indices, depth and values");
    c->in[1] = c->in[2];
    c->in[2] = NULL;
    return TUFF_OK;
}

// The axis, 1 when absent, means nothing with one scale for the tensor; nor do blocks of 0.
static tuff_status fix_quantize(tuff_onnx_call *c)
{
    const bool one = c->nin < 2 || !c->in[1] || tuff_desc_count(&c->in[1]->desc) == 1;
    const char *axis = tuff_onnx_get(&c->attrs, "axis");
    const char *block = tuff_onnx_get(&c->attrs, "block_size");
    if (one) tuff_onnx_drop(&c->attrs, "axis");
    else if (!axis) TUFF_TRY(tuff_onnx_set(&c->attrs, "axis", "1"));
    if (block && strcmp(block, "0") == 0) tuff_onnx_drop(&c->attrs, "block_size");
    return TUFF_OK;
}

// Antialiasing is not done here, nor are proportions kept; linear was once bilinear.
static tuff_status fix_resize(tuff_onnx_call *c)
{
    const char *smooth = tuff_onnx_get(&c->attrs, "antialias");
    const char *keep = tuff_onnx_get(&c->attrs, "keep_aspect_ratio_policy");
    const char *mode = tuff_onnx_get(&c->attrs, "mode");
    TUFF_REQUIRE(!smooth || strcmp(smooth, "0") == 0, UNSUPPORTED,
                 "antialias is %s, only 0 is taken", smooth);
    TUFF_REQUIRE(!keep || strcmp(keep, "stretch") == 0, UNSUPPORTED,
                 "keep_aspect_ratio_policy is %s, only stretch is taken", keep);
    tuff_onnx_drop(&c->attrs, "antialias");
    tuff_onnx_drop(&c->attrs, "keep_aspect_ratio_policy");
    if (mode && strcmp(mode, "bilinear") == 0)
        return tuff_onnx_set(&c->attrs, "mode", "linear");
    return TUFF_OK;
}

static tuff_status fix_top_k(tuff_onnx_call *c)
{
    const char *largest = tuff_onnx_get(&c->attrs, "largest");
    const bool smallest = largest && strcmp(largest, "0") == 0;
    tuff_onnx_drop(&c->attrs, "largest");
    return smallest ? tuff_onnx_set(&c->attrs, "smallest", "1") : TUFF_OK;
}

// Without sizes a node's outputs say how many parts there are.
static tuff_status fix_split(tuff_onnx_call *c)
{
    if (!c->asked || tuff_onnx_get(&c->attrs, "split") ||
        tuff_onnx_get(&c->attrs, "num_outputs"))
        return TUFF_OK;
    return tuff_onnx_set(&c->attrs, "num_outputs", "%d", c->asked);
}

// x, or what it becomes as another type, to be destroyed by the caller.
static tuff_status as_type(tuff_stream *s, const tuff_tensor *x, tuff_dtype type,
                           tuff_tensor **to)
{
    const tuff_cast_params p = { .to = (int)type };
    tuff_desc d = x->desc;
    d.dtype = type;
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(s), d, to));
    return tuff_cast(s, x, *to, &p);
}

static tuff_status cast_like(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[],
                             int *nout)
{
    TUFF_REQUIRE(c->nin == 2 && c->in[0] && c->in[1], ARG, "CastLike has two inputs");
    *nout = 1;
    return as_type(s, c->in[0], c->in[1]->desc.dtype, &out[0]);
}

// The sizes of x from the dim `start` on to before `end`, or their product.
static tuff_status shape_of(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[],
                            int *nout)
{
    TUFF_REQUIRE(c->nin == 1 && c->in[0], ARG, "%s has one input", c->op);
    const tuff_desc *x = &c->in[0]->desc;
    const bool size = strcmp(c->op, "Size") == 0;
    const char *text[2] = { tuff_onnx_get(&c->attrs, "start"),
                            tuff_onnx_get(&c->attrs, "end") };
    int64_t end[2] = { 0, x->rank };
    for (int i = 0; i < 2; i++) {
        if (text[i]) tuff_onnx_ints(text[i], &end[i], 1);
        if (end[i] < 0) end[i] += x->rank;
        end[i] = end[i] < 0 ? 0 : end[i] > x->rank ? x->rank : end[i];
    }
    const int64_t count = tuff_desc_count(x), n = end[1] - end[0];
    TUFF_REQUIRE(size || n > 0, SHAPE, "Shape: no dims are asked for, there are no empty "
                 "tensors here");
    const tuff_desc d = size ? TUFF_SCALAR(TUFF_I64) : TUFF_SHAPE(TUFF_I64, n);
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(s), d, &out[0]));
    *nout = 1;
    return tuff_tensor_write(s, out[0], size ? &count : x->dim + end[0], tuff_desc_bytes(&d));
}

// Whether all elements of x are whole numbers.
static tuff_status all_whole(tuff_stream *s, const tuff_tensor *x, bool *whole)
{
    const size_t n = (size_t)tuff_desc_count(&x->desc);
    float *v = tuff_alloc(n, sizeof *v);
    if (!v) return TUFF_ERR_MEMORY;
    const tuff_status status = tuff_tensor_read(s, x, v, n * sizeof *v);
    *whole = true;
    for (size_t i = 0; i < n && status == TUFF_OK; i++) *whole &= v[i] == floorf(v[i]);
    tuff_free(v);
    return status;
}

// ONNX's exponent may be of another type than the base, which is that of the result.
static tuff_status pow_of_two_types(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[],
                                    int *nout)
{
    tuff_tensor *in[2] = { NULL }, *y[TUFF_OP_OUT] = { NULL };
    tuff_status status = TUFF_OK;
    int made = 0;
    TUFF_REQUIRE(c->nin == 2 && c->in[0] && c->in[1], ARG, "Pow has two inputs");
    const tuff_dtype base = c->in[0]->desc.dtype, other = c->in[1]->desc.dtype;
    const tuff_dtype type = base == other ? base
                          : (base | other) & TUFF_FLOATS ? TUFF_F32 : base;
    for (int i = 0; i < 2; i++) TUFF_GO(as_type(s, c->in[i], type, &in[i]));
    const tuff_tensor *const both[] = { in[0], in[1] };
    TUFF_GO(tuff_op_apply(s, "pow", both, 2, NULL, 0, NULL, y, &made));
    if (type == TUFF_F32 && !(base & TUFF_FLOATS)) {
        // Whole powers of whole numbers are whole before they lose their fraction.
        bool whole;
        TUFF_GO(all_whole(s, in[1], &whole));
        const tuff_tensor *power = y[0];
        if (whole) TUFF_GO(tuff_run(s, &tuff_op_round, &power, 1, y, 1, NULL));
    }
    TUFF_GO(as_type(s, y[0], base, &out[0]));
    *nout = 1;
exit:
    for (int i = 0; i < 2; i++) tuff_tensor_destroy(&in[i]);
    tuff_tensor_destroy(&y[0]);
    return status;
}

// Its second output is left out where nobody wants it.
static tuff_status fix_max_pool(tuff_onnx_call *c)
{
    return c->asked == 1 ? TUFF_OK : tuff_onnx_set(&c->attrs, "indices", "1");
}

// Its second output is left out where nobody wants it.
static tuff_status fix_cross_entropy(tuff_onnx_call *c)
{
    return c->asked == 1 ? TUFF_OK : tuff_onnx_set(&c->attrs, "log_prob", "1");
}

static const tuff_onnx_rule rules[] = {
    { .op = "QuantizeLinear", .dropped = "saturate precision", .fix = fix_quantize },
    { .op = "DequantizeLinear", .fix = fix_quantize },
    { .op = "BatchNormalization", .dropped = "spatial", .fix = fix_batch_norm },
    { .op = "Dropout", .inputs = "1:ratio 2:training_mode",
      .dropped = "is_test consumed_inputs", .fix = fix_dropout },
    { .op = "LayerNormalization", .dropped = "stash_type" },
    { .op = "GroupNormalization", .dropped = "stash_type" },
    { .op = "RMSNormalization", .dropped = "stash_type" },
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
    { .op = "TopK", .inputs = "1:k", .dropped = "sorted", .wide = 2, .fix = fix_top_k },
    { .op = "CumSum", .inputs = "1:axis" },
    { .op = "Reshape", .inputs = "1:shape" },
    { .op = "Slice", .inputs = "1:starts 2:ends 3:axes 4:steps" },
    { .op = "Expand", .inputs = "1:shape" },
    { .op = "Tile", .inputs = "1:repeats" },
    { .op = "Squeeze", .inputs = "1:axes" },
    { .op = "Unsqueeze", .inputs = "1:axes" },
    { .op = "Pad", .inputs = "1:pads 2:constant_value 3:axes" },
    { .op = "Split", .inputs = "1:split", .defaults = "axis=0", .fix = fix_split },
    { .op = "Trilu", .inputs = "1:k" },
    { .op = "Gather", .defaults = "axis=0" },
    { .op = "Col2Im", .inputs = "1:image_shape 2:block_shape" },
    { .op = "GatherElements", .defaults = "axis=0" },
    { .op = "ScatterElements", .defaults = "axis=0" },
    { .op = "Scatter", .defaults = "axis=0", .as = "ScatterElements" },
    { .op = "OneHot", .inputs = "1:depth", .fix = fix_one_hot },
    { .op = "MaxPool", .defaults = "strides=1", .wide = 2, .fix = fix_max_pool },
    { .op = "AveragePool", .defaults = "strides=1" },
    { .op = "LpPool", .defaults = "strides=1" },
    { .op = "SoftmaxCrossEntropyLoss", .fix = fix_cross_entropy },
    { .op = "Resize", .to = 10, .inputs = "1:scales",
      .defaults = "coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .op = "Resize", .inputs = "1:roi 2:scales 3:sizes",
      .dropped = "roi extrapolation_value", .fix = fix_resize },
    { .op = "Upsample", .inputs = "1:scales", .as = "Resize", .fix = fix_resize,
      .defaults = "coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .op = "Adagrad", .run = tuff_onnx_update },
    { .op = "Adam", .run = tuff_onnx_update },
    { .op = "Momentum", .run = tuff_onnx_update },
    { .op = "RNN", .run = tuff_onnx_recurrent },
    { .op = "GRU", .run = tuff_onnx_recurrent },
    { .op = "LSTM", .run = tuff_onnx_recurrent },
    { .op = "Pow", .run = pow_of_two_types },
    { .op = "CastLike", .run = cast_like },
    { .op = "Shape", .run = shape_of },
    { .op = "Size", .run = shape_of },
};

const tuff_onnx_rule *tuff_onnx_rule_for(const char *op, int opset)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].op, op) == 0 && opset >= rules[i].from &&
            (!rules[i].to || opset <= rules[i].to))
            return &rules[i];
    return NULL;
}
