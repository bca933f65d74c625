// ONNX's ConvInteger and QLinearConv of sequences and volumes by ours, which are of images, and
// its QuantizeLinear and DequantizeLinear of blocks by ours of rows.
//
//   1 dim    [N, C, L] is [N, C, 1, L]
//   3 dims   the slices under a kernel become channels, and slices of y become images:
//            x [N, C, D, H, W], with its zero point round it along D
//              -> gather [N, C, kd, OD, H, W] -> [N OD, C kd, H, W]
//            w [O, C / group, kd, kh, kw] -> [O, C / group kd, kh, kw]
//            y [N OD, O, OH, OW] -> [N, O, OD, OH, OW]
//
// Sums are the same whole numbers in any order.
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/conv.h"
#include "ops/onnx.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <string.h>

enum { MOST = 3 }; // spatial dims

// What ONNX's attributes say of each spatial dim.
typedef struct form {
    int dims;
    int64_t stride[MOST], dilation[MOST], kernel[MOST], pad[2 * MOST];
    bool has_kernel;
    char same; // 'U', 'L' where auto_pad says so, or 0
} form;

// `count` numbers, or `otherwise` for each; *given may be NULL.
static tuff_status numbers(const tuff_onnx_call *c, const char *name, int count, int64_t least,
                           int64_t otherwise, int64_t v[], bool *given)
{
    const char *text = tuff_onnx_get(&c->attrs, name);
    int64_t read[2 * MOST + 1];
    for (int i = 0; i < count; i++) v[i] = otherwise;
    if (given) *given = text;
    if (!text) return TUFF_OK;
    const int n = tuff_onnx_ints(text, read, 2 * MOST + 1);
    TUFF_REQUIRE(n == count, FORMAT, "'%s=%s' has %d numbers, it must have %d", name, text, n,
                 count);
    for (int i = 0; i < n; i++) {
        TUFF_REQUIRE(read[i] >= least && read[i] <= INT32_MAX, FORMAT,
                     "'%s=%s': %lld must be at least %lld", name, text, (long long)read[i],
                     (long long)least);
        v[i] = read[i];
    }
    return TUFF_OK;
}

static tuff_status read_form(const tuff_onnx_call *c, form *f)
{
    const char *same = tuff_onnx_get(&c->attrs, "auto_pad");
    bool pads;
    TUFF_TRY(numbers(c, "strides", f->dims, 1, 1, f->stride, NULL));
    TUFF_TRY(numbers(c, "dilations", f->dims, 1, 1, f->dilation, NULL));
    TUFF_TRY(numbers(c, "kernel_shape", f->dims, 1, 1, f->kernel, &f->has_kernel));
    TUFF_TRY(numbers(c, "pads", 2 * f->dims, 0, 0, f->pad, &pads));
    f->same = same && strcmp(same, "SAME_UPPER") == 0   ? 'U'
              : same && strcmp(same, "SAME_LOWER") == 0 ? 'L' : 0;
    TUFF_REQUIRE(!f->same || !pads, ARG, "pads are given beside auto_pad %s", same);
    return TUFF_OK;
}

// The attributes of the last two dims; a dim of 1 stands before a single one.
static tuff_status write_form(tuff_onnx_call *c, const form *f)
{
    const int w = f->dims - 1, h = f->dims - 2;
    const int64_t *s = f->stride, *d = f->dilation, *k = f->kernel, *p = f->pad;
    const bool one = f->dims == 1;
    tuff_onnx_drop(&c->attrs, "pads");
    TUFF_TRY(tuff_onnx_set(&c->attrs, "strides", "%lld,%lld", one ? 1 : (long long)s[h],
                           (long long)s[w]));
    TUFF_TRY(tuff_onnx_set(&c->attrs, "dilations", "%lld,%lld", one ? 1 : (long long)d[h],
                           (long long)d[w]));
    if (f->has_kernel)
        TUFF_TRY(tuff_onnx_set(&c->attrs, "kernel_shape", "%lld,%lld",
                               one ? 1 : (long long)k[h], (long long)k[w]));
    if (f->same) return TUFF_OK;
    return tuff_onnx_set(&c->attrs, "pads", "%lld,%lld,%lld,%lld", one ? 0 : (long long)p[h],
                         (long long)p[w], one ? 0 : (long long)p[f->dims + h],
                         (long long)p[f->dims + w]);
}

// x [N, C, L] with a dim of 1 before the last.
static tuff_status as_image(tuff_onnx_call *c, int input)
{
    const tuff_desc *d = &c->in[input]->desc;
    return tuff_onnx_view(c, c->in[input],
                          TUFF_SHAPE(d->dtype, d->dim[0], d->dim[1], 1, d->dim[2]),
                          &c->in[input]);
}

// Zero points before and behind the slices.
static tuff_status pad_slices(tuff_onnx_call *c, int zero, int64_t before, int64_t behind)
{
    tuff_pad_params p = { .axes = { 3 } };
    p.pads[0] = (int)before;
    p.pads[1] = (int)behind;
    if (zero < c->nin && c->in[zero]) {
        uint64_t bits = 0;
        const tuff_desc *d = &c->in[zero]->desc;
        TUFF_REQUIRE(tuff_desc_count(d) == 1 && tuff_desc_bytes(d) <= sizeof bits, SHAPE,
                     "x_zero_point must hold one element");
        TUFF_TRY(tuff_tensor_read(c->stream, c->in[zero], &bits, tuff_desc_bytes(d)));
        tuff_convert(d->dtype, &bits, TUFF_F32, &p.value, false, 0, 1);
    }
    return before || behind ? tuff_onnx_op(c, &tuff_op_pad, c->in, 1, &p, &c->in[0]) : TUFF_OK;
}

// Slices of x under each tap of w: i32 [kd, OD].
static tuff_status taps(tuff_onnx_call *c, const form *f, int64_t kd, int64_t od,
                        const tuff_tensor **t)
{
    int32_t *at = tuff_alloc((size_t)(kd * od), sizeof *at);
    if (!at) return TUFF_ERR_MEMORY;
    for (int64_t k = 0; k < kd; k++)
        for (int64_t o = 0; o < od; o++)
            at[k * od + o] = (int32_t)(o * f->stride[0] + k * f->dilation[0]);
    const tuff_status status = tuff_onnx_upload(c, TUFF_SHAPE(TUFF_I32, kd, od), at, t);
    tuff_free(at);
    return status;
}

// x and w of volumes as those of images; *slices receives how many y has.
static tuff_status as_images(tuff_onnx_call *c, const form *f, int w, int zero, int64_t *slices)
{
    static const tuff_transpose_params order = { .perm = { 0, 3, 1, 2, 4, 5 } };
    static const tuff_gather_params along = { .axis = 2 };
    const tuff_desc *k = &c->in[w]->desc;
    const int64_t kd = k->dim[2], reach = (kd - 1) * f->dilation[0] + 1, s = f->stride[0];
    int64_t before = f->pad[0], behind = f->pad[f->dims], size = c->in[0]->desc.dim[2];
    TUFF_REQUIRE(!f->has_kernel || f->kernel[0] == kd, SHAPE,
                 "w has %lld slices, kernel_shape says %lld", (long long)kd,
                 (long long)f->kernel[0]);
    if (f->same) {
        const int64_t slices_out = (size + s - 1) / s;
        behind = tuff_conv_same(size, slices_out, s, reach, f->same == 'L', &before) - before;
    }
    TUFF_TRY(pad_slices(c, zero, before, behind));
    const tuff_desc x = c->in[0]->desc;
    TUFF_REQUIRE(reach <= x.dim[2], SHAPE, "the kernel covers %lld slices, x with its pads has "
                 "%lld", (long long)reach, (long long)x.dim[2]);
    *slices = (x.dim[2] - reach) / s + 1;
    const tuff_tensor *in[2] = { c->in[0] };
    TUFF_TRY(taps(c, f, kd, *slices, &in[1]));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_gather, in, 2, &along, &in[0]));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_transpose, in, 1, &order, &in[0]));
    TUFF_TRY(tuff_onnx_view(c, in[0], TUFF_SHAPE(x.dtype, x.dim[0] * *slices, x.dim[1] * kd,
                                                 x.dim[3], x.dim[4]), &c->in[0]));
    return tuff_onnx_view(c, c->in[w], TUFF_SHAPE(k->dtype, k->dim[0], k->dim[1] * kd,
                                                  k->dim[3], k->dim[4]), &c->in[w]);
}

tuff_status tuff_onnx_quant_conv(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    static const tuff_transpose_params order = { .perm = { 0, 2, 1, 3, 4 } };
    const int w = strcmp(c->op, "ConvInteger") == 0 ? 1 : 3;
    const bool known = w < c->nin && c->in[0] && c->in[w];
    const int rank = known ? c->in[0]->desc.rank : 0;
    form f = { .dims = rank - 2 };
    int64_t slices = 1;
    if ((rank != 3 && rank != 5) || c->in[w]->desc.rank != rank)
        return tuff_onnx_records(c, out, nout);
    TUFF_TRY(read_form(c, &f));
    if (rank == 5) {
        TUFF_TRY(as_images(c, &f, w, 2, &slices));
    } else {
        TUFF_TRY(as_image(c, 0));
        TUFF_TRY(as_image(c, w));
    }
    TUFF_TRY(write_form(c, &f));
    TUFF_TRY(tuff_onnx_records(c, out, nout));
    TUFF_TRY(tuff_onnx_keep(c, out[0]));
    const tuff_tensor *y = out[0];
    const tuff_desc d = y->desc;
    out[0] = NULL;
    if (rank == 3)
        return tuff_onnx_give(y, TUFF_SHAPE(d.dtype, d.dim[0], d.dim[1], d.dim[3]), &out[0]);
    TUFF_TRY(tuff_onnx_view(c, y, TUFF_SHAPE(d.dtype, d.dim[0] / slices, slices, d.dim[1],
                                             d.dim[2], d.dim[3]), &y));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_transpose, &y, 1, &order, &y));
    return tuff_onnx_give(y, y->desc, &out[0]);
}

// ---- blocks --------------------------------------------------------------------------------

// [a, b, c, d] with its last two dims changed over.
static tuff_status turn(tuff_onnx_call *c, const tuff_tensor *x, tuff_desc as, tuff_desc seen,
                        const tuff_tensor **y)
{
    static const tuff_transpose_params order = { .perm = { 0, 1, 3, 2 } };
    TUFF_TRY(tuff_onnx_view(c, x, as, &x));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_transpose, &x, 1, &order, &x));
    return tuff_onnx_view(c, x, seen, y);
}

// A scale for every block of so many elements along the axis: each block becomes a row, and the
// scales lie along the rows.
static tuff_status blocks(tuff_onnx_call *c, int64_t block, tuff_tensor *out[], int *nout)
{
    int64_t axis, outer = 1, inner = 1;
    char tx[96], ts[96];
    TUFF_TRY(tuff_onnx_int(c, "axis", 1, &axis));
    TUFF_REQUIRE(c->nin >= 2 && c->in[0] && c->in[1], ARG, "it has two inputs or three");
    const tuff_desc x = c->in[0]->desc;
    TUFF_REQUIRE(axis >= -x.rank && axis < x.rank, ARG, "axis is %lld, x has %d dims",
                 (long long)axis, x.rank);
    if (axis < 0) axis += x.rank;
    for (int i = 0; i < x.rank; i++) *(i < axis ? &outer : &inner) *= x.dim[i];
    inner /= x.dim[axis];
    tuff_desc scales = x;
    scales.dim[axis] = x.dim[axis] / block;
    for (int i = 1; i < 3 && i < c->nin; i++) {
        if (!c->in[i]) continue;
        scales.dtype = c->in[i]->desc.dtype;
        TUFF_REQUIRE(x.dim[axis] % block == 0 && tuff_desc_equal(&c->in[i]->desc, &scales),
                     SHAPE, "x is %s and input %d %s: with blocks of %lld along dim %lld each "
                     "must have one scale", tuff_desc_print(&x, tx, sizeof tx), i,
                     tuff_desc_print(&c->in[i]->desc, ts, sizeof ts), (long long)block,
                     (long long)axis);
        const tuff_desc line = TUFF_SHAPE(scales.dtype, tuff_desc_count(&scales));
        TUFF_TRY(tuff_onnx_view(c, c->in[i], line, &c->in[i]));
    }
    const int64_t count = x.dim[axis] / block;
    TUFF_TRY(turn(c, c->in[0], TUFF_SHAPE(x.dtype, outer, count, block, inner),
                  TUFF_SHAPE(x.dtype, outer * count * inner, block), &c->in[0]));
    TUFF_TRY(tuff_onnx_set(&c->attrs, "axis", "0"));
    TUFF_TRY(tuff_onnx_records(c, out, nout));
    TUFF_TRY(tuff_onnx_keep(c, out[0]));
    const tuff_tensor *y = out[0];
    tuff_desc d = x;
    d.dtype = y->desc.dtype;
    out[0] = NULL;
    TUFF_TRY(turn(c, y, TUFF_SHAPE(d.dtype, outer, count, inner, block), d, &y));
    return tuff_onnx_give(y, d, &out[0]);
}

// The axis, 1 when absent, means nothing with one scale for the tensor; nor do blocks of 0.
tuff_status tuff_onnx_quantize(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const bool one = c->nin < 2 || !c->in[1] || tuff_desc_count(&c->in[1]->desc) == 1;
    int64_t block;
    TUFF_TRY(tuff_onnx_int(c, "block_size", 0, &block));
    TUFF_REQUIRE(block >= 0, ARG, "block_size is %lld, it must be at least 0",
                 (long long)block);
    tuff_onnx_drop(&c->attrs, "block_size");
    if (block && !one) return blocks(c, block, out, nout);
    if (one) tuff_onnx_drop(&c->attrs, "axis");
    else if (!tuff_onnx_get(&c->attrs, "axis"))
        TUFF_TRY(tuff_onnx_set(&c->attrs, "axis", "1"));
    return tuff_onnx_records(c, out, nout);
}
