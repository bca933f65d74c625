// Signs instead of numbers (Rastegari et al. 2016, "XNOR-Net"; Courbariaux et al. 2016,
// "Binarized neural networks"): sign_ste, binarize, mean_abs, and binarize_pack, which packs 32
// signs into a word. The shaders are ste.comp, mean_abs.comp and bits_pack.comp.
#include "ops/binarize.h"
#include "ops/compose.h"
#include "ops/divide.h"
#include <math.h>

// ---- means of |x| ------------------------------------------------------------------------

static bool counts(const tuff_ref *r, int limit, size_t row, float x)
{
    return limit < 0 || fabsf(x) > fabsf(r->in[limit][row]);
}

float tuff_mean_abs_ref(const tuff_ref *r, const tuff_axis *a, int limit, size_t row)
{
    const float *x = r->in[0] + tuff_axis_base(*a, row);
    double sum = 0, n = 0;
    for (size_t j = 0; j < a->cols; j++) {
        if (!counts(r, limit, row, x[j * a->step])) continue;
        sum += fabs((double)x[j * a->step]);
        n++;
    }
    return n > 0 ? (float)(sum / n) : 0;
}

bool tuff_mean_abs_add(const tuff_caps *k, tuff_plan *p, const tuff_means *f)
{
    const bool many = f->rows.rows >= 16384; // rows that keep a GPU busy by themselves
    const uint32_t most = k->cpu_like ? 2048 : many ? 4096 : 64, wg = tuff_group_size(k);
    tuff_axis a = f->rows;
    for (int pass = 0;; pass++) {
        const uint32_t parts = (uint32_t)((a.cols + most - 1) / most);
        const bool last = parts == 1, texel = f->texel && !pass, by_row = a.step > 1;
        tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_mean_abs_texel
                                                  : TUFF_SHADER_mean_abs);
        tuff_spec(d, wg);
        tuff_spec(d, pass > 0);
        tuff_spec(d, !pass && f->limit >= 0);
        tuff_spec(d, last);
        tuff_spec(d, by_row);
        tuff_bind(d, pass ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, pass ? 1 - pass % 2 : 0,
                  texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
        tuff_bind_in(d, f->limit >= 0 ? f->limit : 0);
        if (last) d->slot[d->nslot++] = f->to;
        else tuff_bind(d, TUFF_ROLE_SCRATCH, pass % 2, TUFF_BIND_STORAGE, TUFF_WRITE);
        tuff_grid(d, ((uint64_t)a.rows * parts + wg - 1) / wg, k);
        TUFF_PUSH(d, (struct tuff_mean_abs_pc){
            .rows = (uint32_t)a.rows, .cols = (uint32_t)a.cols, .parts = parts,
            .factor = f->factor, .step = tuff_divide_by(a.step),
            .lanes = tuff_divide_by(by_row ? a.rows : parts) });
        if (last) return true;
        const size_t bytes = a.rows * parts * 2 * sizeof(float);
        if (!tuff_fits(k, bytes)) return false;
        if (p->scratch[pass % 2] < bytes) p->scratch[pass % 2] = bytes;
        a = (tuff_axis){ .rows = a.rows, .cols = parts, .step = 1 };
    }
}

bool tuff_texel_floats(const tuff_caps *k, const tuff_desc *x)
{
    return k->cpu_like && tuff_fits_texel(k, x, 4);
}

// ---- rows that are the first dims --------------------------------------------------------

// x as rows of all dims but the first `keep`; 0: of the last dim alone.
static tuff_status rows_of(const tuff_desc *x, int keep, tuff_axis *a)
{
    TUFF_REQUIRE(x->rank >= 1, SHAPE, "x has no dims, expected 1 or more");
    TUFF_REQUIRE(keep >= 0 && keep < x->rank, ARG,
                 "keep is %d, x has %d dims: expected 0 to %d", keep, x->rank, x->rank - 1);
    *a = (tuff_axis){ .rows = 1, .step = 1 };
    for (int i = 0; i < (keep ? keep : x->rank - 1); i++) a->rows *= (size_t)x->dim[i];
    a->cols = (size_t)tuff_desc_count(x) / a->rows;
    return TUFF_OK;
}

static int keep_of(const tuff_call *c)
{
    const tuff_binarize_params *p = c->params;
    return p->keep;
}

static tuff_axis axis_of(const tuff_call *c)
{
    tuff_axis a;
    const tuff_status status = rows_of(&c->in[0], keep_of(c), &a);
    (void)status; // infer has passed
    return a;
}

static tuff_status infer_mean(const tuff_call *c, tuff_desc out[])
{
    tuff_axis a;
    TUFF_TRY(rows_of(&c->in[0], keep_of(c), &a));
    out[0] = c->in[0];
    out[0].rank = keep_of(c) ? keep_of(c) : out[0].rank - 1;
    return TUFF_OK;
}

static tuff_status infer_binarize(const tuff_call *c, tuff_desc out[])
{
    tuff_axis a;
    TUFF_TRY(rows_of(&c->in[0], keep_of(c), &a));
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t rows(const tuff_call *c) { return axis_of(c).rows; }

static void ref_mean(const tuff_ref *r)
{
    const tuff_binarize_params *p = r->call->params;
    const tuff_axis a = axis_of(r->call);
    const double factor = tuff_number(p->factor, 1);
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)((double)tuff_mean_abs_ref(r, &a, -1, i) * factor);
}

static void ref_binarize(const tuff_ref *r)
{
    const tuff_axis a = axis_of(r->call);
    for (size_t row = r->begin; row < r->end; row++) {
        const float s = tuff_mean_abs_ref(r, &a, -1, row);
        for (size_t i = row * a.cols; i < (row + 1) * a.cols; i++)
            r->out[0][i] = r->in[0][i] < 0 ? -s : s;
    }
}

static bool plan_mean(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_binarize_params *params = c->params;
    if (texel && !tuff_texel_floats(k, &c->in[0])) return false;
    const tuff_means f = {
        .rows = axis_of(c), .limit = -1, .factor = (float)tuff_number(params->factor, 1),
        .to = { .role = TUFF_ROLE_OUT, .kind = TUFF_BIND_STORAGE, .access = TUFF_WRITE },
        .texel = texel };
    return tuff_mean_abs_add(k, p, &f);
}

// A dispatch of ste.comp; `other` may be anything that is not read.
static void add_ste(const tuff_call *c, const tuff_caps *k, tuff_plan *p, uint32_t op,
                    tuff_slot other, size_t cols)
{
    const uint32_t count = (uint32_t)tuff_desc_count(&c->out[0]), wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_ste);
    tuff_spec(d, wg);
    tuff_spec(d, op);
    tuff_bind_in(d, 0);
    other.kind = TUFF_BIND_STORAGE;
    other.access = TUFF_READ;
    d->slot[d->nslot++] = other;
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_ste_pc){ count, tuff_divide_by(cols) });
}

enum { SCALES = 2 }; // scratch, beside those of mean_abs

static bool plan_binarize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_texel_floats(k, &c->in[0])) return false;
    const tuff_slot scales = { .role = TUFF_ROLE_SCRATCH, .index = SCALES,
                               .kind = TUFF_BIND_STORAGE, .access = TUFF_WRITE };
    const tuff_means f = { .rows = axis_of(c), .limit = -1, .factor = 1, .to = scales,
                              .texel = texel };
    p->scratch[SCALES] = f.rows.rows * sizeof(float);
    if (!tuff_mean_abs_add(k, p, &f)) return false;
    add_ste(c, k, p, TUFF_STE_SCALE, scales, f.rows.cols);
    return true;
}

TUFF_BITS_PLANS(mean)
TUFF_BITS_PLANS(binarize)

// XNOR-Net, section 3.1: dx = dy (1/n + scale [|x| <= 1]), n elements in a row.
static void grad_binarize(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_axis a = axis_of(&n->call);
    const tuff_desc *whole = &n->call.in[0];
    const tuff_desc flat = TUFF_SHAPE(TUFF_F32, (int64_t)a.rows, (int64_t)a.cols);
    const tuff_desc column = TUFF_SHAPE(TUFF_F32, (int64_t)a.rows, 1);
    const tuff_var x = t->reshape(t, n->in[0], &flat), g = t->reshape(t, dy[0], &flat);
    const tuff_binarize_params rows_alone = { .keep = 1 };
    const tuff_var mean = TUFF_V(t, &tuff_op_mean_abs, &rows_alone, x);
    const tuff_var through = TUFF_V(t, &tuff_op_sign_ste_grad, NULL, x, g);
    const tuff_var scaled =
        TUFF_V(t, &tuff_op_mul, NULL, through, t->reshape(t, mean, &column));
    const tuff_var all = TUFF_V(t, &tuff_op_add, NULL, scaled,
                                tuff_scaled(t, g, 1 / (float)a.cols));
    dx[0] = t->reshape(t, all, whole);
}

// ---- signs -------------------------------------------------------------------------------

static tuff_status infer_sign(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

static tuff_status infer_sign_grad(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(tuff_desc_equal(&c->in[0], &c->in[1]), SHAPE,
                 "dy has another shape than x, they must be equal");
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t elements(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static void ref_sign(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = r->in[0][i] < 0 ? -1 : 1;
}

static void ref_sign_grad(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = fabsf(r->in[0][i]) <= 1 ? r->in[1][i] : 0;
}

static bool plan_sign(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    add_ste(c, k, p, TUFF_STE_SIGN, (tuff_slot){ .role = TUFF_ROLE_IN, .index = 0 }, 1);
    return true;
}

static bool plan_sign_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    add_ste(c, k, p, TUFF_STE_GRAD, (tuff_slot){ .role = TUFF_ROLE_IN, .index = 1 }, 1);
    return true;
}

static void grad_sign(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_sign_ste_grad, NULL, n->in[0], dy[0]);
}

// ---- packing -----------------------------------------------------------------------------

enum { WORDS, SCALE }; // outputs

static tuff_axis packed_axis(const tuff_call *c)
{
    const tuff_binarize_params *p = c->params;
    return tuff_axis_of(&c->in[0], p->axis);
}

// Rows that have a scale each: the same ones that become words, or blocks of the first dims.
static tuff_axis scaled_axis(const tuff_call *c)
{
    return keep_of(c) ? axis_of(c) : packed_axis(c);
}

static tuff_status infer_pack(const tuff_call *c, tuff_desc out[])
{
    const tuff_binarize_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(p->axis >= 0 && p->axis < x->rank, ARG, "axis is %d, x has %d dims", p->axis,
                 x->rank);
    const int packed = x->rank - 1 - p->axis;
    TUFF_REQUIRE(p->keep >= 0 && p->keep <= packed, ARG, "keep is %d, expected 0 to %d: the "
                 "dims before the axis", p->keep, packed);
    out[WORDS] = (tuff_desc){ .dtype = TUFF_U32 };
    for (int i = 0; i < x->rank; i++)
        if (i != packed) out[WORDS].dim[out[WORDS].rank++] = x->dim[i];
    out[SCALE] = out[WORDS];
    out[SCALE].dtype = TUFF_F32;
    if (p->keep) out[SCALE].rank = p->keep;
    out[WORDS].dim[out[WORDS].rank++] = (x->dim[packed] + 31) / 32;
    return TUFF_OK;
}

static void ref_pack(const tuff_ref *r)
{
    const tuff_axis a = packed_axis(r->call), s = scaled_axis(r->call);
    uint32_t *y = (void *)r->out[WORDS];
    const size_t words = (a.cols + 31) / 32;
    for (size_t i = 0; i < a.rows * words; i++) y[i] = 0;
    for (size_t row = 0; row < a.rows; row++)
        for (size_t j = 0; j < a.cols; j++)
            if (!(r->in[0][tuff_axis_base(a, row) + j * a.step] < 0))
                y[row * words + j / 32] |= 1u << j % 32;
    for (size_t row = 0; row < s.rows; row++)
        r->out[SCALE][row] = tuff_mean_abs_ref(r, &s, -1, row);
}

void tuff_bits_add(const tuff_caps *k, tuff_plan *p, tuff_axis a, int shader, bool texel,
                   int limit)
{
    const uint32_t wg = tuff_group_size(k), words = (uint32_t)((a.cols + 31) / 32);
    const bool by_row = a.step > 1;
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, by_row);
    tuff_bind(d, TUFF_ROLE_IN, 0, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_in(d, limit >= 0 ? limit : 0);
    tuff_bind_out(d, WORDS);
    tuff_grid(d, ((uint64_t)a.rows * words + wg - 1) / wg, k);
    TUFF_PUSH(d, (struct tuff_bits_pc){ .rows = (uint32_t)a.rows, .cols = (uint32_t)a.cols,
                                        .words = words, .step = tuff_divide_by(a.step),
                                        .lanes = tuff_divide_by(by_row ? a.rows : words) });
}

static bool plan_pack(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_texel_floats(k, &c->in[0])) return false;
    const tuff_means f = {
        .rows = scaled_axis(c), .limit = -1, .factor = 1, .texel = texel,
        .to = { .role = TUFF_ROLE_OUT, .index = SCALE, .kind = TUFF_BIND_STORAGE,
                .access = TUFF_WRITE } };
    tuff_bits_add(k, p, packed_axis(c), texel ? TUFF_SHADER_bits_pack_texel
                                              : TUFF_SHADER_bits_pack, texel, -1);
    return tuff_mean_abs_add(k, p, &f);
}

TUFF_BITS_PLANS(pack)

// ---- records -----------------------------------------------------------------------------

const tuff_op tuff_op_sign_ste = {
    .name = "sign_ste",
    .doc = "y = -1 for x below 0, else 1; its gradient is dy where |x| <= 1 (straight through)",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .alias = true } },
    .infer = infer_sign, .units = elements, .ref = ref_sign,
    .variants = { TUFF_KERNEL("plain", plan_sign) },
    .grad = grad_sign, .surrogate = true, .special = TUFF_SPECIAL_EACH,
    .sample = { -2, 2 }, .cases = TUFF_CASES("1", "3x5x7", "70001")
};

const tuff_op tuff_op_sign_ste_grad = {
    .name = "sign_ste_grad",
    .doc = "dx = dy where |x| <= 1, else 0",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "dy", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "dx", .alias = true, .alias_in = 1 } },
    .infer = infer_sign_grad, .units = elements, .ref = ref_sign_grad,
    .variants = { TUFF_KERNEL("plain", plan_sign_grad) },
    .sample = { -2, 2 }, .cases = TUFF_CASES("1 1", "3x5x7 3x5x7", "70001 70001")
};

const tuff_op tuff_op_mean_abs = {
    .name = "mean_abs",
    .doc = "y = factor times the mean of |x| over all dims but the first `keep` (0: over the "
           "last one)",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_binarize_params),
    .params = { TUFF_POSITIVE(tuff_binarize_params, keep),
                TUFF_FLOAT_ZERO(tuff_binarize_params, factor) },
    .infer = infer_mean, .units = rows, .ref = ref_mean,
    .variants = { TUFF_KERNEL("texel", texel_mean), TUFF_KERNEL("plain", plain_mean) },
    .tol = { .f32 = 5e-7f }, // parts are exact to an ulp; their sum, a quotient and a product
    .sample = { -1, 2 },
    .cases = TUFF_CASES("1", "7x33 factor=0.7", "2x3x5x7 keep=1", "3x4099", "70001", "4001x3")
};

const tuff_op tuff_op_binarize = {
    .name = "binarize",
    .doc = "y = sign(x) scale, scale the mean of |x| over all dims but the first `keep` (0: "
           "over the last one); dx = dy (1/n + scale where |x| <= 1), n elements in a row",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_binarize_params),
    .params = { TUFF_POSITIVE(tuff_binarize_params, keep) },
    .infer = infer_binarize, .units = rows, .ref = ref_binarize,
    .variants = { TUFF_KERNEL("texel", texel_binarize), TUFF_KERNEL("plain", plain_binarize) },
    .grad = grad_binarize, .surrogate = true,
    .tol = { .f32 = 5e-7f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("1", "7x33", "4x3x5x5 keep=1", "3x4099", "4001x3")
};

const tuff_op tuff_op_binarize_pack = {
    .name = "binarize_pack",
    .doc = "y = the signs along an axis, which becomes the last, 32 to a word (bit 1: not "
           "below 0; 0 past the end); scale = the mean of |x| along it, or over all dims but "
           "the first `keep`",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "y" }, { .name = "scale" } },
    .params_size = sizeof(tuff_binarize_params),
    .params = { TUFF_AXIS(tuff_binarize_params, axis),
                TUFF_POSITIVE(tuff_binarize_params, keep) },
    .infer = infer_pack, .ref = ref_pack,
    .variants = { TUFF_KERNEL("texel", texel_pack), TUFF_KERNEL("plain", plain_pack) },
    .hosts = { { .name = "fast", .takes = tuff_xnor_pack_takes, .run = tuff_xnor_pack_host,
                 .units = tuff_xnor_pack_units } },
    .tol = { .f32 = 5e-7f }, .sample = { -1, 2 },
    .cases = TUFF_CASES("1", "7x33", "5x64", "2x35x3x5 axis=2", "4x33x3x3 axis=2 keep=1",
                        "3x4099 axis=1", "70001")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_sign_ste(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_sign_ste, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL);
}

tuff_status tuff_sign_ste_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                               tuff_tensor *dx)
{
    return tuff_run(s, &tuff_op_sign_ste_grad, TUFF_RUN_IN(x, dy), TUFF_RUN_OUT(dx), NULL);
}

tuff_status tuff_mean_abs(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                          const tuff_binarize_params *p)
{
    return tuff_run(s, &tuff_op_mean_abs, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_binarize(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                          const tuff_binarize_params *p)
{
    return tuff_run(s, &tuff_op_binarize, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_binarize_pack(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                               tuff_tensor *scale, const tuff_binarize_params *p)
{
    return tuff_run(s, &tuff_op_binarize_pack, TUFF_RUN_IN(x), TUFF_RUN_OUT(y, scale), p);
}
