// What is special about ONNX's operators; see onnx.h.
#include "ops/onnx.h"
#include "base/alloc.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <math.h>
#include <string.h>

static tuff_status fix_batch_norm(tuff_onnx_call *c)
{
    if (tuff_onnx_flag(c, "training_mode")) c->op = "batch_norm_train";
    tuff_onnx_drop(&c->attrs, "training_mode");
    return TUFF_OK;
}

// Nothing goes outside of training, whatever the ratio; in training it is 0.5 where not given.
static tuff_status fix_dropout(tuff_onnx_call *c)
{
    const bool trains = tuff_onnx_flag(c, "training_mode");
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

// Lists of as many numbers as there are axes, or dims; 0 for an end is no way to ask for all.
static tuff_status fix_slice(tuff_onnx_call *c)
{
    static const char *const others[] = { "ends", "axes", "steps" };
    const int n = tuff_onnx_length(&c->attrs, "starts");
    int64_t ends[TUFF_MAX_DIMS], steps[TUFF_MAX_DIMS];
    for (int i = 0; i < 3; i++) {
        const int m = tuff_onnx_length(&c->attrs, others[i]);
        TUFF_REQUIRE(m < 0 || m == n, ARG, "starts has %d numbers and %s %d, they must be as "
                     "many", n, others[i], m);
    }
    const char *step = tuff_onnx_get(&c->attrs, "steps");
    const int read = tuff_onnx_ints(tuff_onnx_get(&c->attrs, "ends"), ends, TUFF_MAX_DIMS);
    const int given = step ? tuff_onnx_ints(step, steps, TUFF_MAX_DIMS) : 0;
    for (int i = 0; i < read; i++)
        TUFF_REQUIRE(ends[i] || (i < given && steps[i] < 0), SHAPE,
                     "ends[%d] is 0, which leaves nothing: there are no empty tensors here", i);
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
    const int sizes = tuff_onnx_length(&c->attrs, "sizes");
    const int scales = tuff_onnx_length(&c->attrs, "scales");
    const int axes = tuff_onnx_length(&c->attrs, "axes");
    TUFF_REQUIRE(c->nin && c->in[0], ARG, "input 0 is missing");
    const int want = axes < 0 ? c->in[0]->desc.rank : axes;
    TUFF_REQUIRE((sizes < 0) != (scales < 0), ARG, "scales and sizes are both %s, one of them "
                 "must be", sizes < 0 ? "missing" : "given");
    TUFF_REQUIRE(sizes + scales + 1 == want, ARG, "%s has %d numbers, it must have %d",
                 sizes < 0 ? "scales" : "sizes", sizes + scales + 1, want);
    if (mode && strcmp(mode, "bilinear") == 0)
        return tuff_onnx_set(&c->attrs, "mode", "linear");
    return TUFF_OK;
}

// Scales may be of 16 bits.
static tuff_status fix_scales(tuff_onnx_call *c)
{
    for (int i = 1; i < c->nin; i++)
        if (c->in[i] && c->in[i]->desc.dtype & (TUFF_F16 | TUFF_BF16))
            TUFF_TRY(tuff_onnx_cast(c, c->in[i], TUFF_F32, &c->in[i]));
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

static tuff_status cast_like(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const tuff_tensor *y;
    TUFF_REQUIRE(c->nin == 2 && c->in[0] && c->in[1], ARG, "it has two inputs");
    TUFF_TRY(tuff_onnx_only(c, "saturate round_mode"));
    TUFF_TRY(tuff_onnx_cast(c, c->in[0], c->in[1]->desc.dtype, &y));
    TUFF_TRY(y == c->in[0] ? tuff_onnx_op(c, &tuff_op_identity, c->in, 1, NULL, &y) : TUFF_OK);
    *nout = 1;
    return tuff_onnx_give(y, y->desc, &out[0]);
}

// The sizes of x from the dim `start` on to before `end`, or their product.
static tuff_status shape_of(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    TUFF_REQUIRE(c->nin == 1 && c->in[0], ARG, "it has one input");
    TUFF_TRY(tuff_onnx_only(c, "start end"));
    const tuff_desc *x = &c->in[0]->desc;
    const bool size = strcmp(c->op, "Size") == 0;
    int64_t end[2];
    TUFF_TRY(tuff_onnx_int(c, "start", 0, &end[0]));
    TUFF_TRY(tuff_onnx_int(c, "end", x->rank, &end[1]));
    for (int i = 0; i < 2; i++) {
        if (end[i] < 0) end[i] += x->rank;
        end[i] = end[i] < 0 ? 0 : end[i] > x->rank ? x->rank : end[i];
    }
    const int64_t count = tuff_desc_count(x), n = end[1] - end[0];
    TUFF_REQUIRE(size || n > 0, SHAPE, "no dims are asked for, there are no empty tensors "
                 "here");
    const tuff_desc d = size ? TUFF_SCALAR(TUFF_I64) : TUFF_SHAPE(TUFF_I64, n);
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(c->stream), d, &out[0]));
    *nout = 1;
    return tuff_tensor_write(c->stream, out[0], size ? &count : x->dim + end[0],
                             tuff_desc_bytes(&d));
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
static tuff_status pow_of_two_types(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const tuff_tensor *in[2] = { NULL }, *y;
    TUFF_REQUIRE(c->nin == 2 && c->in[0] && c->in[1], ARG, "it has two inputs");
    if (c->opset < 7) TUFF_TRY(tuff_onnx_broadcast(c));
    TUFF_TRY(tuff_onnx_only(c, ""));
    const tuff_dtype base = c->in[0]->desc.dtype, other = c->in[1]->desc.dtype;
    const tuff_dtype type = base == other ? base
                          : (base | other) & TUFF_FLOATS ? TUFF_F32 : base;
    for (int i = 0; i < 2; i++) TUFF_TRY(tuff_onnx_cast(c, c->in[i], type, &in[i]));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_pow, in, 2, NULL, &y));
    if (type == TUFF_F32 && !(base & TUFF_FLOATS)) {
        // Whole powers of whole numbers are whole before they lose their fraction.
        bool whole;
        TUFF_TRY(all_whole(c->stream, in[1], &whole));
        if (whole) TUFF_TRY(tuff_onnx_op(c, &tuff_op_round, &y, 1, NULL, &y));
    }
    TUFF_TRY(tuff_onnx_cast(c, y, base, &y));
    *nout = 1;
    return tuff_onnx_give(y, y->desc, &out[0]);
}

// As many dims as the shape has; a 0 is x's dim there unless allowzero says that it is 0.
static tuff_status fix_reshape(tuff_onnx_call *c)
{
    int64_t v[TUFF_MAX_DIMS];
    const char *text = tuff_onnx_get(&c->attrs, "shape");
    const int n = tuff_onnx_ints(text, v, TUFF_MAX_DIMS);
    for (int i = 0; i < n && tuff_onnx_flag(c, "allowzero"); i++)
        TUFF_REQUIRE(v[i] != 0, UNSUPPORTED, "shape[%d] is 0 with allowzero, there are no "
                     "empty tensors here", i);
    tuff_onnx_drop(&c->attrs, "allowzero");
    if (n) return tuff_onnx_set(&c->attrs, "rank", "%d", n);
    tuff_onnx_drop(&c->attrs, "shape"); // [] of one element: the op gives it one dim
    c->y = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
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

#define ROWS(op_)                                                               \
    { .op = op_, .to = 12, .defaults = "axis=1", .fix = tuff_onnx_rows }
#define PAIR(op_)                                                               \
    { .op = op_, .to = 6, .fix = tuff_onnx_broadcast }
#define REDUCE(op_)                                                             \
    { .op = op_, .inputs = "1:axes", .defaults = "keepdims=1" }
#define POOL(op_)                                                               \
    { .op = op_, .needs = "kernel_shape", .defaults = "strides=1" }

static const tuff_onnx_rule rules[] = {
    ROWS("Softmax"), ROWS("LogSoftmax"), ROWS("Hardmax"),
    PAIR("Add"), PAIR("Sub"), PAIR("Mul"), PAIR("Div"), PAIR("And"), PAIR("Or"), PAIR("Xor"),
    PAIR("Equal"), PAIR("Greater"), PAIR("Less"),
    { .op = "PRelu", .to = 6, .fix = tuff_onnx_old_slope },
    { .op = "Gemm", .to = 6, .fix = tuff_onnx_old_gemm },
    { .op = "Selu", .to = 5, .defaults = "alpha=1.6732 gamma=1.0507" },
    REDUCE("ReduceSum"), REDUCE("ReduceMean"), REDUCE("ReduceMax"), REDUCE("ReduceMin"),
    REDUCE("ReduceProd"), REDUCE("ReduceL1"), REDUCE("ReduceL2"), REDUCE("ReduceLogSum"),
    REDUCE("ReduceLogSumExp"), REDUCE("ReduceSumSquare"),
    { .op = "Cast", .to = 5, .needs = "to", .fix = tuff_onnx_old_cast },
    { .op = "Cast", .needs = "to", .dropped = "saturate round_mode" },
    { .op = "LRN", .needs = "size" },
    { .op = "DepthToSpace", .needs = "blocksize" },
    { .op = "SpaceToDepth", .needs = "blocksize" },
    { .op = "BitShift", .needs = "direction" },
    { .op = "Concat", .to = 3, .defaults = "axis=1", .run = tuff_onnx_many },
    { .op = "Concat", .needs = "axis", .run = tuff_onnx_many },
    { .op = "Max", .run = tuff_onnx_many }, { .op = "Min", .run = tuff_onnx_many },
    { .op = "Sum", .run = tuff_onnx_many }, { .op = "Mean", .run = tuff_onnx_many },
    { .op = "QuantizeLinear", .dropped = "saturate precision",
      .run = tuff_onnx_quantize },
    { .op = "DequantizeLinear", .run = tuff_onnx_quantize },
    { .op = "BatchNormalization", .to = 13, .run = tuff_onnx_old_batch_norm },
    { .op = "BatchNormalization", .fix = fix_batch_norm },
    { .op = "Dropout", .to = 11, .run = tuff_onnx_old_dropout },
    { .op = "Dropout", .inputs = "1:ratio 2:training_mode", .fix = fix_dropout },
    { .op = "LayerNormalization", .dropped = "stash_type" },
    { .op = "GroupNormalization", .needs = "num_groups", .dropped = "stash_type" },
    { .op = "RMSNormalization", .dropped = "stash_type" },
    { .op = "ArgMax", .defaults = "axis=0 keepdims=1", .wide = 1 },
    { .op = "ArgMin", .defaults = "axis=0 keepdims=1", .wide = 1 },
    { .op = "TopK", .inputs = "1:k", .needs = "k", .dropped = "sorted", .wide = 2,
      .fix = fix_top_k },
    { .op = "CumSum", .inputs = "1:axis", .needs = "axis" },
    { .op = "Reshape", .inputs = "1:shape", .needs = "shape", .fix = fix_reshape },
    { .op = "Slice", .inputs = "1:starts 2:ends 3:axes 4:steps", .needs = "starts ends",
      .fix = fix_slice },
    { .op = "Expand", .inputs = "1:shape", .needs = "shape" },
    { .op = "Tile", .to = 5, .run = tuff_onnx_old_tile },
    { .op = "Tile", .inputs = "1:repeats", .needs = "repeats" },
    { .op = "Squeeze", .inputs = "1:axes" },
    { .op = "Unsqueeze", .inputs = "1:axes", .needs = "axes" },
    { .op = "Pad", .to = 10, .fix = tuff_onnx_pad },
    { .op = "Pad", .inputs = "1:pads 2:constant_value 3:axes", .fix = tuff_onnx_pad },
    { .op = "Split", .inputs = "1:split", .defaults = "axis=0", .fix = fix_split },
    { .op = "Trilu", .inputs = "1:k" },
    { .op = "Gather", .defaults = "axis=0" },
    { .op = "Col2Im", .inputs = "1:image_shape 2:block_shape",
      .needs = "image_shape block_shape" },
    { .op = "GatherElements", .defaults = "axis=0" },
    { .op = "ScatterElements", .defaults = "axis=0" },
    { .op = "Scatter", .defaults = "axis=0", .as = "ScatterElements" },
    { .op = "OneHot", .inputs = "1:depth", .needs = "depth", .fix = fix_one_hot },
    { .op = "MaxPool", .needs = "kernel_shape", .defaults = "strides=1", .wide = 2,
      .fix = fix_max_pool },
    { .op = "LpPool", .to = 1, .needs = "kernel_shape", .defaults = "strides=1",
      .fix = tuff_onnx_old_lp_pool },
    POOL("AveragePool"), POOL("LpPool"),
    { .op = "SoftmaxCrossEntropyLoss", .fix = fix_cross_entropy },
    { .op = "Resize", .to = 10, .inputs = "1:scales", .fix = fix_resize,
      .defaults = "coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .op = "Resize", .inputs = "1:roi 2:scales 3:sizes",
      .dropped = "roi extrapolation_value", .fix = fix_resize },
    { .op = "Upsample", .to = 6, .as = "Resize", .fix = tuff_onnx_old_upsample,
      .needs = "height_scale width_scale",
      .defaults = "coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .op = "Upsample", .inputs = "1:scales", .as = "Resize", .fix = fix_resize,
      .needs = "scales",
      .defaults = "coordinate_transformation_mode=asymmetric nearest_mode=floor" },
    { .op = "Adagrad", .run = tuff_onnx_update },
    { .op = "Adam", .run = tuff_onnx_update },
    { .op = "Momentum", .run = tuff_onnx_update },
    { .op = "ConvInteger", .run = tuff_onnx_quant_conv },
    { .op = "QLinearConv", .run = tuff_onnx_quant_conv },
    { .op = "QLinearMatMul", .fix = fix_scales },
    { .op = "Attention", .run = tuff_onnx_attention },
    { .op = "RotaryEmbedding", .run = tuff_onnx_rotary },
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
