// quantize_linear and dequantize_linear as ONNX has them. The shaders are shaders/quantize.comp
// and shaders/dequantize.comp.
#include "ops/quantize.h"
#include "abi/cast.h"
#include "ops/divide.h"
#include <math.h>

enum { X, SCALE, ZERO };

// ---- shapes ------------------------------------------------------------------------------

tuff_status tuff_quant_axis_of(const tuff_call *c, int scale, int zero, int axis,
                               tuff_quant_axis *a)
{
    const tuff_desc *x = &c->in[0], *s = &c->in[scale];
    const char *name = c->op->in[scale].name;
    *a = (tuff_quant_axis){ 1, 1 };
    TUFF_REQUIRE(s->rank <= 1, SHAPE, "%s has %d dims, expected none or 1", name, s->rank);
    if (s->rank && s->dim[0] != 1) {
        TUFF_REQUIRE(axis >= 0 && axis < x->rank, ARG, "axis is %d, x has %d dims", axis,
                     x->rank);
        const int64_t n = x->dim[x->rank - 1 - axis];
        TUFF_REQUIRE(s->dim[0] == n, SHAPE, "%s has %lld elements, x has %lld along the axis",
                     name, (long long)s->dim[0], (long long)n);
        *a = (tuff_quant_axis){ tuff_axis_of(x, axis).step, (size_t)n };
    }
    if (tuff_call_has(c, zero))
        TUFF_REQUIRE(tuff_desc_count(&c->in[zero]) == (int64_t)a->scales &&
                         c->in[zero].rank <= 1,
                     SHAPE, "%s has %lld elements in %d dims, %s has %lld",
                     c->op->in[zero].name, (long long)tuff_desc_count(&c->in[zero]),
                     c->in[zero].rank, name, (long long)a->scales);
    return TUFF_OK;
}

tuff_status tuff_quant_vector(const tuff_call *c, int input, int64_t n, const char *of)
{
    if (!tuff_call_has(c, input)) return TUFF_OK;
    const tuff_desc *d = &c->in[input];
    const int64_t count = tuff_desc_count(d);
    const bool fits = count == 1 || (n && d->rank == 1 && count == n);
    if (n)
        TUFF_REQUIRE(fits, SHAPE, "%s has %lld elements in %d dims, expected 1 or one for each "
                     "of %lld %s", c->op->in[input].name, (long long)count, d->rank,
                     (long long)n, of);
    TUFF_REQUIRE(fits, SHAPE, "%s has %lld elements, expected 1", c->op->in[input].name,
                 (long long)count);
    return TUFF_OK;
}

tuff_status tuff_quant_same_type(const tuff_call *c, int input, int zero)
{
    if (!tuff_call_has(c, zero)) return TUFF_OK;
    TUFF_REQUIRE(c->in[zero].dtype == c->in[input].dtype, DTYPE, "%s is %s, %s is %s: they "
                 "must be equal", c->op->in[zero].name, tuff_dtype_name(c->in[zero].dtype),
                 c->op->in[input].name, tuff_dtype_name(c->in[input].dtype));
    return TUFF_OK;
}

static tuff_dtype quantized_type(const tuff_call *c)
{
    const tuff_quantize_params *p = c->params;
    if (tuff_call_has(c, ZERO)) return c->in[ZERO].dtype;
    return p->to ? (tuff_dtype)p->to : TUFF_U8;
}

static tuff_status infer_quantize(const tuff_call *c, tuff_desc out[])
{
    const tuff_quantize_params *p = c->params;
    tuff_quant_axis a;
    TUFF_REQUIRE(!p->to || p->to == TUFF_I8 || p->to == TUFF_U8, DTYPE,
                 "to is %s, expected i8 or u8", tuff_dtype_name((tuff_dtype)p->to));
    TUFF_REQUIRE(!p->to || (tuff_dtype)p->to == quantized_type(c), DTYPE,
                 "to is %s, y_zero_point is %s: they must be equal",
                 tuff_dtype_name((tuff_dtype)p->to), tuff_dtype_name(quantized_type(c)));
    TUFF_TRY(tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a));
    out[0] = c->in[X];
    out[0].dtype = quantized_type(c);
    return TUFF_OK;
}

static tuff_status infer_dequantize(const tuff_call *c, tuff_desc out[])
{
    const tuff_quantize_params *p = c->params;
    tuff_quant_axis a;
    TUFF_REQUIRE(!p->to || p->to == TUFF_F32, DTYPE, "to is %s, expected f32",
                 tuff_dtype_name((tuff_dtype)p->to));
    TUFF_TRY(tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a));
    out[0] = c->in[X];
    out[0].dtype = TUFF_F32;
    return TUFF_OK;
}

static tuff_quant_axis axis_of(const tuff_call *c)
{
    const tuff_quantize_params *p = c->params;
    tuff_quant_axis a = { 1, 1 };
    const tuff_status status = tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a);
    (void)status; // infer has passed
    return a;
}

// ---- references --------------------------------------------------------------------------

int64_t tuff_quant_ref(float x, float s, int64_t zero, tuff_dtype to)
{
    const double low = to == TUFF_I8 ? -128 : 0, high = to == TUFF_I8 ? 127 : 255;
    const float q = x / s;
    const double y = rint(isnan(q) ? 0 : (double)q) + (double)zero;
    return (int64_t)(y < low ? low : y > high ? high : y);
}

// One unit is four elements, so that no two share a word.
static size_t units(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->out[0]) + 3) / 4;
}

static size_t end_of(const tuff_ref *r)
{
    const size_t count = (size_t)tuff_desc_count(&r->call->out[0]);
    return 4 * r->end < count ? 4 * r->end : count;
}

static void ref_quantize(const tuff_ref *r)
{
    const tuff_quant_axis a = axis_of(r->call);
    const tuff_dtype type = r->call->out[0].dtype;
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        const size_t s = i / a.inner % a.scales;
        const int64_t zero = r->in[ZERO] ? tuff_whole_at(type, r->in[ZERO], s) : 0;
        const int64_t y = tuff_quant_ref(r->in[X][i], r->in[SCALE][s], zero, type);
        ((uint8_t *)(void *)r->out[0])[i] = (uint8_t)y;
    }
}

static void ref_dequantize(const tuff_ref *r)
{
    const tuff_quant_axis a = axis_of(r->call);
    const tuff_dtype type = r->call->in[X].dtype;
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        const size_t s = i / a.inner % a.scales;
        const int64_t zero = r->in[ZERO] ? tuff_whole_at(type, r->in[ZERO], s) : 0;
        const int64_t x = tuff_whole_at(type, r->in[X], i) - zero;
        // What does not fit 32 bits wraps round.
        r->out[0][i] = (float)((double)(int32_t)(uint32_t)x * r->in[SCALE][s]);
    }
}

// ---- the CPU path's kernels --------------------------------------------------------------

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static void host_quantize(const tuff_ref *r)
{
    tuff_quantize_host(r, axis_of(r->call), 4 * r->begin, end_of(r));
}

static void host_dequantize(const tuff_ref *r)
{
    tuff_dequantize_host(r, axis_of(r->call), 4 * r->begin, end_of(r));
}

// ---- plans -------------------------------------------------------------------------------

bool tuff_quant_texel(const tuff_caps *k, const tuff_desc *d)
{
    const size_t bytes = (tuff_desc_bytes(d) + 3) / 4 * 4;
    return k->cpu_like && bytes / 4 <= k->max_texels;
}

static void bind_slot(tuff_dispatch *d, tuff_slot s)
{
    s.kind = TUFF_BIND_STORAGE;
    s.access = TUFF_READ;
    d->slot[d->nslot++] = s;
}

void tuff_quantize_add(const tuff_caps *k, tuff_plan *p, bool texel, uint32_t op,
                       tuff_slot scale, tuff_slot zero,
                       const struct tuff_quantize_pc *pc)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_quantize_texel
                                              : TUFF_SHADER_quantize);
    tuff_spec(d, wg);
    tuff_spec(d, op);
    tuff_spec(d, pc->scales.by == 1);
    tuff_bind(d, TUFF_ROLE_IN, X, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
    bind_slot(d, scale);
    bind_slot(d, zero);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)pc->count + 4 * wg - 1) / (4 * wg), k);
    tuff_push(d, pc, sizeof *pc);
}

static bool plan_quantize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    const tuff_quant_axis a = axis_of(c);
    const bool is_signed = c->out[0].dtype == TUFF_I8, has_zero = tuff_call_has(c, ZERO);
    const tuff_slot scale = { .role = TUFF_ROLE_IN, .index = SCALE };
    const tuff_slot zero = { .role = TUFF_ROLE_IN, .index = ZERO };
    const struct tuff_quantize_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->in[X]), .low = is_signed ? -128 : 0,
        .high = is_signed ? 127 : 255, .zero_bits = is_signed ? 0x80 : 0,
        .has_zero = has_zero, .inner = tuff_divide_by(a.inner),
        .scales = tuff_divide_by(a.scales)
    };
    tuff_quantize_add(k, p, texel, TUFF_QUANTIZE_LINEAR, scale, has_zero ? zero : scale, &pc);
    return true;
}

void tuff_dequantize_add(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                         tuff_slot scale, tuff_slot zero,
                         const struct tuff_dequantize_pc *pc)
{
    const tuff_dtype from = c->in[X].dtype;
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_dequantize_texel
                                              : TUFF_SHADER_dequantize);
    tuff_spec(d, wg);
    tuff_spec(d, from == TUFF_I8 ? TUFF_CAST_I8 : from == TUFF_U8 ? TUFF_CAST_U8
                                                                  : TUFF_CAST_I32);
    tuff_bind(d, TUFF_ROLE_IN, X, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE, TUFF_READ);
    bind_slot(d, scale);
    bind_slot(d, zero);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)pc->count + 4 * wg - 1) / (4 * wg), k);
    tuff_push(d, pc, sizeof *pc);
}

static bool plan_dequantize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    const tuff_quant_axis a = axis_of(c);
    const bool has_zero = tuff_call_has(c, ZERO);
    const tuff_slot scale = { .role = TUFF_ROLE_IN, .index = SCALE };
    const tuff_slot zero = { .role = TUFF_ROLE_IN, .index = ZERO };
    const struct tuff_dequantize_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->in[X]), .has_scale = 1, .has_zero = has_zero,
        .inner = tuff_divide_by(a.inner), .scales = tuff_divide_by(a.scales)
    };
    tuff_dequantize_add(c, k, p, texel, scale, has_zero ? zero : scale, &pc);
    return true;
}

TUFF_QUANT_PLANS(quantize)
TUFF_QUANT_PLANS(dequantize)

// ---- records -----------------------------------------------------------------------------

// One element; ends inside a word; scales along an inner and the outermost axis;
// many elements.
#define CASES                                                                   \
    TUFF_CASES("1 1", "257 [] []", "3x5x7 5 5 axis=1", "13x11 13 axis=1", "5x6 6 6",  \
               "70001 1 1")

const tuff_op tuff_op_quantize_linear = {
    .name = "quantize_linear", .onnx = "QuantizeLinear",
    .doc = "y = saturate(round(x / y_scale) + y_zero_point), ties to even",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "y_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "y_zero_point", .dtypes = TUFF_BYTES, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_quantize_params),
    .params = { TUFF_AXIS(tuff_quantize_params, axis),
                { .name = "to", .type = TUFF_FIELD_DTYPE,
                  .offset = offsetof(tuff_quantize_params, to), .onnx = "output_dtype" } },
    .infer = infer_quantize, .units = units, .ref = ref_quantize,
    .variants = { TUFF_KERNEL("texel", texel_quantize), TUFF_KERNEL("plain", plain_quantize) },
    TUFF_FAST(host_takes, host_quantize),
    .sample = { -40, 40 }, // by scales from 0.1 to 40: some of it saturates
    .cases = CASES
};

const tuff_op tuff_op_dequantize_linear = {
    .name = "dequantize_linear", .onnx = "DequantizeLinear",
    .doc = "y = (x - x_zero_point) x_scale",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_BYTES | TUFF_I32, .low = -3000000, .high = 20000000 },
            { .name = "x_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "x_zero_point", .dtypes = TUFF_BYTES | TUFF_I32, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_quantize_params),
    .params = { TUFF_AXIS(tuff_quantize_params, axis),
                { .name = "to", .type = TUFF_FIELD_DTYPE,
                  .offset = offsetof(tuff_quantize_params, to), .onnx = "output_dtype" } },
    .infer = infer_dequantize, .units = units, .ref = ref_dequantize,
    .variants = { TUFF_KERNEL("texel", texel_dequantize),
                  TUFF_KERNEL("plain", plain_dequantize) },
    TUFF_FAST(host_takes, host_dequantize),
    .tol = { .f32 = 1.2e-7f }, // a conversion and a product, each within half an ulp
    .sample = { -2, 2 }, .cases = CASES
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_quantize_linear(tuff_stream *s, const tuff_tensor *x,
                                 const tuff_tensor *y_scale, const tuff_tensor *y_zero_point,
                                 tuff_tensor *y, const tuff_quantize_params *p)
{
    return tuff_run(s, &tuff_op_quantize_linear, TUFF_RUN_IN(x, y_scale, y_zero_point),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_dequantize_linear(tuff_stream *s, const tuff_tensor *x,
                                   const tuff_tensor *x_scale,
                                   const tuff_tensor *x_zero_point, tuff_tensor *y,
                                   const tuff_quantize_params *p)
{
    return tuff_run(s, &tuff_op_dequantize_linear, TUFF_RUN_IN(x, x_scale, x_zero_point),
                    TUFF_RUN_OUT(y), p);
}
