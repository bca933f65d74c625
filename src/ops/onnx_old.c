// What ONNX's operators meant in older opsets, by those of today; see onnx.h.
#include "base/text.h"
#include "ops/onnx.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <string.h>

static tuff_status needs(const tuff_onnx_call *c, int inputs)
{
    for (int i = 0; i < inputs; i++)
        TUFF_REQUIRE(i < c->nin && c->in[i], ARG, "input %d is missing", i);
    return TUFF_OK;
}

// Until opset 12 softmax saw x as a matrix: the dims from `axis` on are one.
tuff_status tuff_onnx_rows(tuff_onnx_call *c)
{
    int64_t axis;
    TUFF_TRY(needs(c, 1));
    TUFF_TRY(tuff_onnx_int(c, "axis", 1, &axis));
    const tuff_desc *x = &c->in[0]->desc;
    const int64_t from = axis < 0 ? axis + x->rank : axis;
    TUFF_REQUIRE(from >= 0 && from < x->rank, ARG, "axis is %lld, x has %d dims",
                 (long long)axis, x->rank);
    int64_t cols = 1;
    for (int i = (int)from; i < x->rank; i++) cols *= x->dim[i];
    c->y = *x;
    TUFF_TRY(tuff_onnx_view(c, c->in[0], TUFF_SHAPE(x->dtype, tuff_desc_count(x) / cols, cols),
                            &c->in[0]));
    return tuff_onnx_set(&c->attrs, "axis", "-1");
}

// Input 1 with so many dims of 1 behind its own.
static tuff_status add_dims(tuff_onnx_call *c, int more)
{
    tuff_desc d = c->in[1]->desc;
    TUFF_REQUIRE(d.rank + more <= TUFF_MAX_DIMS, SHAPE, "the second input has too many dims");
    for (int i = 0; i < more; i++) d.dim[d.rank++] = 1;
    return tuff_onnx_view(c, c->in[1], d, &c->in[1]);
}

// Until opset 6 b was repeated when `broadcast` said so alone, to the dims of a from `axis` on;
// without an axis they are a's last ones.
tuff_status tuff_onnx_broadcast(tuff_onnx_call *c)
{
    int64_t axis;
    char ta[96], tb[96];
    TUFF_TRY(needs(c, 2));
    const tuff_desc *a = &c->in[0]->desc, *b = &c->in[1]->desc;
    TUFF_TRY(tuff_onnx_int(c, "axis", a->rank - b->rank, &axis));
    const bool repeats = tuff_onnx_flag(c, "broadcast");
    tuff_onnx_drop(&c->attrs, "axis");
    tuff_onnx_drop(&c->attrs, "broadcast");
    tuff_desc same = *b;
    same.dtype = a->dtype;
    if (!repeats) {
        TUFF_REQUIRE(tuff_desc_equal(a, &same), SHAPE, "a is %s and b is %s: without "
                     "broadcast=1 opset %d has them equal", tuff_desc_print(a, ta, sizeof ta),
                     tuff_desc_print(b, tb, sizeof tb), c->opset);
        return TUFF_OK;
    }
    if (axis < 0) axis += a->rank;
    TUFF_REQUIRE(tuff_desc_count(b) == 1 || (axis >= 0 && axis + b->rank <= a->rank), SHAPE,
                 "a is %s and b is %s, which does not fit it from axis %lld on",
                 tuff_desc_print(a, ta, sizeof ta), tuff_desc_print(b, tb, sizeof tb),
                 (long long)axis);
    return tuff_desc_count(b) == 1 ? TUFF_OK : add_dims(c, a->rank - b->rank - (int)axis);
}

// Until opset 6 a slope was one number, or one a channel.
tuff_status tuff_onnx_old_slope(tuff_onnx_call *c)
{
    TUFF_TRY(needs(c, 2));
    const tuff_desc *x = &c->in[0]->desc, *slope = &c->in[1]->desc;
    return slope->rank == 1 && slope->dim[0] > 1 && x->rank > 2 ? add_dims(c, x->rank - 2)
                                                               : TUFF_OK;
}

tuff_status tuff_onnx_old_gemm(tuff_onnx_call *c)
{
    char text[96];
    TUFF_TRY(needs(c, 3));
    const bool repeats = tuff_onnx_flag(c, "broadcast");
    const tuff_desc *a = &c->in[0]->desc, *b = &c->in[1]->desc, *d = &c->in[2]->desc;
    tuff_onnx_drop(&c->attrs, "broadcast");
    if (repeats || a->rank != 2 || b->rank != 2) return TUFF_OK;
    const int64_t m = a->dim[tuff_onnx_flag(c, "transA")];
    const int64_t n = b->dim[!tuff_onnx_flag(c, "transB")];
    TUFF_REQUIRE(d->rank == 2 && d->dim[0] == m && d->dim[1] == n, SHAPE,
                 "c is %s: without broadcast=1 opset %d has it %lldx%lld",
                 tuff_desc_print(d, text, sizeof text), c->opset, (long long)m, (long long)n);
    return TUFF_OK;
}

// Until opset 5 the type was a word of TensorProto's.
tuff_status tuff_onnx_old_cast(tuff_onnx_call *c)
{
    static const struct { const char *onnx, *ours; } names[] = {
        { "FLOAT", "f32" },  { "FLOAT16", "f16" }, { "INT8", "i8" },  { "UINT8", "u8" },
        { "INT32", "i32" },  { "UINT32", "u32" },  { "INT64", "i64" }, { "BOOL", "bool" },
    };
    const char *to = tuff_onnx_get(&c->attrs, "to");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].onnx, to) == 0)
            return tuff_onnx_set(&c->attrs, "to", "%s", names[i].ours);
    return TUFF_OK; // today's way, or refused with a list of what there is
}

// Until opset 10 all were attributes, in the first one under another name.
tuff_status tuff_onnx_pad(tuff_onnx_call *c)
{
    TUFF_TRY(needs(c, 1));
    if (c->opset < 2) TUFF_TRY(tuff_onnx_rename(&c->attrs, "paddings", "pads"));
    if (c->opset < 11) TUFF_TRY(tuff_onnx_rename(&c->attrs, "value", "constant_value"));
    const int axes = tuff_onnx_length(&c->attrs, "axes");
    const int want = 2 * (axes < 0 ? c->in[0]->desc.rank : axes);
    const int pads = tuff_onnx_length(&c->attrs, "pads");
    TUFF_REQUIRE(pads >= 0, ARG, "%s is missing, ONNX has no default for it",
                 c->opset < 2 ? "paddings" : "pads");
    TUFF_REQUIRE(pads == want, ARG, "pads has %d numbers, it must have %d", pads, want);
    return TUFF_OK;
}

// In opset 1 the power was a real number.
tuff_status tuff_onnx_old_lp_pool(tuff_onnx_call *c)
{
    const char *text = tuff_onnx_get(&c->attrs, "p");
    float p = 2;
    TUFF_REQUIRE(!text || (tuff_parse_float(text, &p) && p >= 1 && p < 1e6f && p == (int)p),
                 UNSUPPORTED, "p is %.40s, only whole numbers of at least 1 are taken", text);
    return text ? tuff_onnx_set(&c->attrs, "p", "%d", (int)p) : TUFF_OK;
}

// Of images alone.
tuff_status tuff_onnx_old_upsample(tuff_onnx_call *c)
{
    TUFF_TRY(needs(c, 1));
    const char *mode = tuff_onnx_get(&c->attrs, "mode");
    TUFF_REQUIRE(c->in[0]->desc.rank == 4, SHAPE, "x has %d dims, opset %d has 4",
                 c->in[0]->desc.rank, c->opset);
    TUFF_TRY(tuff_onnx_set(&c->attrs, "scales", "1,1,%s,%s",
                           tuff_onnx_get(&c->attrs, "height_scale"),
                           tuff_onnx_get(&c->attrs, "width_scale")));
    tuff_onnx_drop(&c->attrs, "height_scale");
    tuff_onnx_drop(&c->attrs, "width_scale");
    return mode && strcmp(mode, "bilinear") == 0 ? tuff_onnx_set(&c->attrs, "mode", "linear")
                                                 : TUFF_OK;
}

// The one element of an input, of any type.
static tuff_status scalar(tuff_onnx_call *c, int input, const char *name, int64_t *v)
{
    const tuff_tensor *wide;
    TUFF_REQUIRE(tuff_desc_count(&c->in[input]->desc) == 1, SHAPE, "%s must hold one element",
                 name);
    TUFF_TRY(tuff_onnx_cast(c, c->in[input], TUFF_I64, &wide));
    return tuff_tensor_read(c->stream, wide, v, sizeof *v);
}

// Until opset 5: so many tiles along one axis.
tuff_status tuff_onnx_old_tile(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    int64_t tiles, axis;
    tuff_tile_params p = { { 0 } };
    const tuff_tensor *y;
    TUFF_TRY(needs(c, 3));
    TUFF_TRY(tuff_onnx_only(c, ""));
    TUFF_TRY(scalar(c, 1, "tiles", &tiles));
    TUFF_TRY(scalar(c, 2, "axis", &axis));
    const int rank = c->in[0]->desc.rank;
    TUFF_REQUIRE(axis >= -rank && axis < rank, ARG, "axis is %lld, x has %d dims",
                 (long long)axis, rank);
    TUFF_REQUIRE(tiles >= 1 && tiles <= INT32_MAX, ARG, "tiles is %lld, it must be at least 1",
                 (long long)tiles);
    p.repeats[axis < 0 ? axis + rank : axis] = (int)tiles;
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_tile, c->in, 1, &p, &y));
    *nout = 1;
    return tuff_onnx_give(y, y->desc, &out[0]);
}

// Until opset 6 it dropped unless is_test said otherwise, until opset 11 never; the mask was of
// x's type until opset 9.
tuff_status tuff_onnx_old_dropout(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const bool trains = c->opset < 7 && !tuff_onnx_flag(c, "is_test");
    const tuff_tensor *mask;
    TUFF_TRY(needs(c, 1));
    if (c->opset < 7) tuff_onnx_drop(&c->attrs, "is_test");
    if (!trains) tuff_onnx_drop(&c->attrs, "ratio");
    else if (!tuff_onnx_get(&c->attrs, "ratio"))
        TUFF_TRY(tuff_onnx_set(&c->attrs, "ratio", "0.5"));
    TUFF_TRY(tuff_onnx_records(c, out, nout));
    if (c->opset > 9) return TUFF_OK;
    TUFF_TRY(tuff_onnx_keep(c, out[1]));
    mask = out[1];
    out[1] = NULL;
    TUFF_TRY(tuff_onnx_cast(c, mask, c->in[0]->desc.dtype, &mask));
    return tuff_onnx_give(mask, mask->desc, &out[1]);
}

// ---- batch normalization -------------------------------------------------------------------

// The batch's own mean and variance [C].
static tuff_status moments(tuff_onnx_call *c, tuff_tensor *out[])
{
    const tuff_desc *x = &c->in[0]->desc;
    const tuff_reduce_params p = { .axes = ((1u << x->rank) - 1) & ~(1u << (x->rank - 2)),
                                   .keepdims = true };
    const tuff_tensor *mean, *var, *d[2] = { c->in[0] };
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_reduce_mean, c->in, 1, &p, &mean));
    d[1] = mean;
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_sub, d, 2, NULL, &var));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_square, &var, 1, NULL, &var));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_reduce_mean, &var, 1, &p, &var));
    TUFF_TRY(tuff_onnx_give(mean, TUFF_SHAPE(x->dtype, x->dim[1]), &out[0]));
    return tuff_onnx_give(var, TUFF_SHAPE(x->dtype, x->dim[1]), &out[1]);
}

// Until opset 13. In training it gives y, the running mean and variance, and the batch's;
// until opset 6 it trained unless is_test said otherwise, and then where more than y was asked
// for.
tuff_status tuff_onnx_old_batch_norm(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const char *spatial = tuff_onnx_get(&c->attrs, "spatial");
    const bool trains = c->opset < 7 ? !tuff_onnx_flag(c, "is_test") : c->asked > 1;
    TUFF_TRY(needs(c, 5));
    TUFF_REQUIRE(c->opset >= 9 || !spatial || strcmp(spatial, "0") != 0, UNSUPPORTED,
                 "spatial is 0, only statistics of whole channels are computed");
    if (c->opset < 9) tuff_onnx_drop(&c->attrs, "spatial");
    if (c->opset < 7) tuff_onnx_drop(&c->attrs, "is_test");
    if (trains) c->op = "batch_norm_train";
    TUFF_TRY(tuff_onnx_records(c, out, nout));
    if (!trains) return TUFF_OK;
    tuff_tensor_destroy(&out[3]); // ours has both in one
    *nout = c->asked > 3 ? 5 : 3;
    return *nout == 5 ? moments(c, &out[3]) : TUFF_OK;
}
