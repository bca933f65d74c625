// Products with weights of few levels, straight from their codes: ternarize and ternary_matmul
// (Li et al. 2016, "Ternary weight networks"), matmul_q8, packed_matmul, half_matmul. The
// shaders are bits_pack.comp, mean_abs.comp, levels_plain.comp and levels_texel.comp.
#include "ops/levels.h"
#include "abi/levels.h"
#include "base/half.h"
#include "ops/binarize.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/quantize.h"
#include <math.h>
#include <tuff/ops/block.h>

enum { X, W };
enum {
    GROUP = 128, GROUP_COLS = 4, GROUP_ROWS = 4, GROUP_LANES = 32,
    PARTS = TUFF_PLAN_MAX / 2 // of a sum; casts take launches too
};

// ---- ternarize ---------------------------------------------------------------------------

enum { LIMIT = 1 };         // input
enum { CODES, ALPHA };      // outputs

static tuff_axis rows_of(const tuff_call *c) { return tuff_axis_of(&c->in[0], 0); }

static tuff_status infer_ternarize(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(x->rank >= 1 && x->rank < TUFF_MAX_DIMS, SHAPE, "x has %d dims, expected 1 to "
                 "%d", x->rank, TUFF_MAX_DIMS - 1);
    tuff_desc rows = *x;
    rows.dtype = TUFF_F32;
    rows.rank--;
    TUFF_REQUIRE(tuff_desc_count(&c->in[LIMIT]) == tuff_desc_count(&rows), SHAPE,
                 "threshold has %lld elements, x has %lld rows",
                 (long long)tuff_desc_count(&c->in[LIMIT]), (long long)tuff_desc_count(&rows));
    out[ALPHA] = out[CODES] = rows;
    out[CODES].dtype = TUFF_U32;
    out[CODES].dim[out[CODES].rank++] = 2;
    out[CODES].dim[out[CODES].rank++] = (x->dim[x->rank - 1] + 31) / 32;
    return TUFF_OK;
}

static void ref_ternarize(const tuff_ref *r)
{
    const tuff_axis a = rows_of(r->call);
    const size_t words = (a.cols + 31) / 32;
    uint32_t *y = (void *)r->out[CODES];
    for (size_t row = r->begin; row < r->end; row++) {
        uint32_t *there = y + row * 2 * words, *above = there + words;
        for (size_t i = 0; i < 2 * words; i++) there[i] = 0;
        for (size_t j = 0; j < a.cols; j++) {
            const float x = r->in[0][row * a.cols + j];
            if (!(fabsf(x) > fabsf(r->in[LIMIT][row]))) continue;
            there[j / 32] |= 1u << j % 32;
            if (x > 0) above[j / 32] |= 1u << j % 32;
        }
        r->out[ALPHA][row] = tuff_mean_abs_ref(r, &a, LIMIT, row);
    }
}

static size_t rows(const tuff_call *c) { return rows_of(c).rows; }

static bool plan_ternarize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_texel_floats(k, &c->in[0])) return false;
    const tuff_means f = {
        .rows = rows_of(c), .limit = LIMIT, .factor = 1, .texel = texel,
        .to = { .role = TUFF_ROLE_OUT, .index = ALPHA, .kind = TUFF_BIND_STORAGE,
                .access = TUFF_WRITE } };
    tuff_bits_add(k, p, rows_of(c), texel ? TUFF_SHADER_ternary_pack_texel
                                          : TUFF_SHADER_ternary_pack, texel, LIMIT);
    return tuff_mean_abs_add(k, p, &f);
}

TUFF_BITS_PLANS(ternarize)

// ---- products: shapes --------------------------------------------------------------------

static int64_t inner(const tuff_call *c) { return c->in[X].dim[c->in[X].rank - 1]; }

tuff_levels tuff_levels_of(const tuff_call *c)
{
    const tuff_few_bits_params *p = c->params;
    const tuff_desc *w = &c->in[W];
    tuff_levels f = { .format = TUFF_LEVELS_BYTES, .scale = 2, .zero = 3, .bias = 4,
                      .k = inner(c) };
    if (c->op == &tuff_op_ternary_matmul) {
        f.format = TUFF_LEVELS_TERNARY;
        f.zero = f.bias = -1;
    } else if (c->op == &tuff_op_half_matmul) {
        f.format = TUFF_LEVELS_HALF;
        f.scale = f.zero = -1;
        f.bias = 2;
    } else if (c->op == &tuff_op_packed_matmul) {
        f.bits = p->bits ? p->bits : 4;
        f.format = TUFF_LEVELS_PACKED + (uint32_t)f.bits;
    }
    f.n = f.bits ? p->rows : w->dim[0];
    if (f.bits && !f.n && f.k > 0) f.n = w->dim[0] * 32 / f.bits / f.k;
    f.act = f.bias < 0 ? TUFF_ACT_NONE : p->act;
    f.is_signed = w->dtype == TUFF_I8 || (f.bits && !tuff_call_has(c, f.zero));
    return f;
}

static tuff_status check_weights(const tuff_call *c, const tuff_levels *f)
{
    const tuff_desc *w = &c->in[W];
    char text[96];
    if (f->format == TUFF_LEVELS_TERNARY) {
        TUFF_REQUIRE(w->rank == 3 && w->dim[1] == 2 && w->dim[2] == (f->k + 31) / 32, SHAPE,
                     "w is no [N, 2, %lld], which rows of %lld take",
                     (long long)((f->k + 31) / 32), (long long)f->k);
        return TUFF_OK;
    }
    if (!f->bits) {
        TUFF_REQUIRE(w->rank == 2 && w->dim[1] == f->k, SHAPE,
                     "w has %d dims and rows of %lld, expected 2 and x's %lld", w->rank,
                     (long long)w->dim[w->rank ? w->rank - 1 : 0], (long long)f->k);
        return TUFF_OK;
    }
    TUFF_REQUIRE(f->bits >= 1 && f->bits <= TUFF_PACKED_BITS, ARG,
                 "bits is %d, expected 1 to %d", f->bits, TUFF_PACKED_BITS);
    TUFF_REQUIRE(f->n > 0 && f->n <= INT32_MAX / f->k, ARG, "%lld rows of %lld numbers",
                 (long long)f->n, (long long)f->k);
    TUFF_REQUIRE(w->rank == 1 && w->dim[0] == tuff_packed_words(f->bits, f->n * f->k), SHAPE,
                 "w is %s, expected [%lld] for %lld rows of %lld numbers of %d bits",
                 tuff_desc_print(w, text, sizeof text),
                 (long long)tuff_packed_words(f->bits, f->n * f->k), (long long)f->n,
                 (long long)f->k, f->bits);
    return TUFF_OK;
}

// A zero point for each scale, packed as w is.
static tuff_status check_zeros(const tuff_call *c, const tuff_levels *f)
{
    if (!tuff_call_has(c, f->zero)) return TUFF_OK;
    if (!f->bits) {
        TUFF_TRY(tuff_quant_vector(c, f->zero, f->n, "rows of w"));
        return tuff_quant_same_type(c, W, f->zero);
    }
    const tuff_desc *zero = &c->in[f->zero];
    const int64_t scales = tuff_call_has(c, f->scale) ? tuff_desc_count(&c->in[f->scale]) : 1;
    TUFF_REQUIRE(zero->rank == 1 && zero->dim[0] == tuff_packed_words(f->bits, scales), SHAPE,
                 "zero_point has %d dims and %lld words, expected 1 and %lld for %lld scales",
                 zero->rank, (long long)tuff_desc_count(zero),
                 (long long)tuff_packed_words(f->bits, scales), (long long)scales);
    return TUFF_OK;
}

static tuff_status infer_product(const tuff_call *c, tuff_desc out[])
{
    char text[96];
    TUFF_REQUIRE(c->in[X].rank >= 1, SHAPE, "x has no dims, expected at least 1");
    const tuff_levels f = tuff_levels_of(c);
    TUFF_TRY(check_weights(c, &f));
    TUFF_TRY(tuff_quant_vector(c, f.scale, f.n, "rows of w"));
    TUFF_TRY(check_zeros(c, &f));
    if (tuff_call_has(c, f.bias))
        TUFF_REQUIRE(c->in[f.bias].rank == 1 && c->in[f.bias].dim[0] == f.n, SHAPE,
                     "bias is %s, expected [%lld]",
                     tuff_desc_print(&c->in[f.bias], text, sizeof text), (long long)f.n);
    TUFF_REQUIRE(f.act >= TUFF_ACT_NONE && f.act <= TUFF_ACT_TANH, ARG,
                 "act is %d, expected 0 to %d", f.act, TUFF_ACT_TANH);
    out[0] = c->in[X];
    out[0].dim[out[0].rank - 1] = f.n;
    return TUFF_OK;
}

// ---- products: reference -----------------------------------------------------------------

static double level(const tuff_ref *r, const tuff_levels *f, int64_t n, int64_t k)
{
    const tuff_desc *w = &r->call->in[W];
    const uint32_t *words = (const uint32_t *)(const void *)r->in[W];
    const int64_t at = n * f->k + k;
    if (f->bits) return tuff_packed_number(f->bits, !f->is_signed, words, at);
    if (f->format == TUFF_LEVELS_HALF)
        return (double)tuff_f16_to_f32(((const uint16_t *)(const void *)words)[at]);
    if (f->format == TUFF_LEVELS_BYTES)
        return (double)tuff_whole_at(w->dtype, r->in[W], (size_t)at);
    const uint32_t *there = words + n * 2 * w->dim[2];
    if (!(there[k / 32] >> k % 32 & 1)) return 0;
    return there[w->dim[2] + k / 32] >> k % 32 & 1 ? 1 : -1;
}

static double zero_of(const tuff_ref *r, const tuff_levels *f, int64_t n)
{
    const tuff_call *c = r->call;
    if (!tuff_call_has(c, f->zero)) return 0;
    if (f->bits)
        return tuff_packed_number(f->bits, true,
                                  (const uint32_t *)(const void *)r->in[f->zero],
                                  tuff_levels_count(c, f->zero) == 1 ? 0 : n);
    return (double)tuff_whole_at(c->in[f->zero].dtype, r->in[f->zero],
                                 tuff_levels_count(c, f->zero) == 1 ? 0 : (size_t)n);
}

static void ref_product(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_levels f = tuff_levels_of(c);
    for (size_t i = r->begin; i < r->end; i++)
        for (int64_t j = 0; j < f.n; j++) {
            const double zero = zero_of(r, &f, j);
            double scale = 1, sum = 0;
            if (tuff_call_has(c, f.scale))
                scale = (double)r->in[f.scale][tuff_levels_count(c, f.scale) == 1 ? 0 : j];
            for (int64_t q = 0; q < f.k; q++)
                sum += (double)r->in[X][(int64_t)i * f.k + q] * (level(r, &f, j, q) - zero);
            sum *= scale;
            if (tuff_call_has(c, f.bias)) sum += (double)r->in[f.bias][j];
            r->out[0][(int64_t)i * f.n + j] = (float)tuff_act_ref(sum, f.act);
        }
}

static size_t units(const tuff_call *c)
{
    return (size_t)(tuff_desc_count(&c->in[X]) / inner(c));
}

static tuff_cost cost(const tuff_call *c)
{
    return (tuff_cost){ .flops = 2 * (double)units(c) * (double)tuff_levels_of(c).n *
                                 (double)inner(c),
                        .bytes = tuff_call_bytes(c) };
}

// ---- products: plans ---------------------------------------------------------------------

int64_t tuff_levels_count(const tuff_call *c, int input)
{
    const tuff_levels f = tuff_levels_of(c);
    if (!tuff_call_has(c, input)) return 0;
    if (input != f.zero || !f.bits) return tuff_desc_count(&c->in[input]);
    return tuff_call_has(c, f.scale) ? tuff_desc_count(&c->in[f.scale]) : 1;
}

static struct tuff_levels_pc describe(const tuff_call *c, const tuff_levels *f)
{
    const uint32_t highest = f->bits ? 1u << (f->bits - 1) : 0x80;
    return (struct tuff_levels_pc){
        .m = (uint32_t)units(c), .n = (uint32_t)f->n, .k = (uint32_t)f->k,
        .sign = f->is_signed ? highest : 0,
        .words = (uint32_t)((tuff_desc_bytes(&c->in[W]) + 3) / 4),
        .scales = (uint32_t)tuff_levels_count(c, f->scale),
        .zeros = (uint32_t)tuff_levels_count(c, f->zero),
        .bias = tuff_call_has(c, f->bias) };
}

static bool fits_texel(const tuff_call *c, const tuff_caps *k, int input)
{
    return !tuff_call_has(c, input) || tuff_fits_words(k, &c->in[input]);
}

// Steps that an invocation may make of a sum of `steps`; a part of the iterations is left to
// the loops around them.
static uint32_t most_steps(const tuff_caps *k, uint32_t steps)
{
    const uint32_t most = k->max_loop / 16 * 15;
    return k->max_loop && steps > most ? most : steps;
}

static bool steps_fit(const tuff_caps *k, uint32_t steps)
{
    return most_steps(k, steps) == steps;
}

// Whether the kernel for software drivers finds four quads of a row whole: in a texel of four
// words, or where a word begins.
static bool is_wide(const tuff_levels *f)
{
    if (f->bits) return f->bits % 2 == 0 && f->k * f->bits % 32 == 0;
    return f->format == TUFF_LEVELS_BYTES && f->k % 16 == 0;
}

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t w = k->subgroup;
    const tuff_levels f = tuff_levels_of(c);
    const struct tuff_levels_pc pc = describe(c, &f);
    if (!tuff_takes_texels(k)) return false;
    for (int i = X; i < c->nin; i++)
        if (!fits_texel(c, k, i)) return false;
    if (!steps_fit(k, tuff_ceil_div(tuff_ceil_div(pc.k, 4), w))) return false;
    const bool wide = is_wide(&f);
    // One kernel instead of three where each costs seconds.
    const uint32_t row_count = k->slow_compile ? 4 : pc.m >= 5 ? 8 : pc.m >= 2 ? 4 : 1;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_levels_texel);
    tuff_spec(d, w);
    tuff_spec(d, f.format);
    tuff_spec(d, row_count);
    tuff_spec(d, wide);
    tuff_spec(d, (uint32_t)f.act);
    tuff_bind(d, TUFF_ROLE_IN, X, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, W, wide && f.format == TUFF_LEVELS_BYTES
                                      ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32,
              TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind_or_word(c, d, f.scale, X, TUFF_BIND_TEXEL_F32);
    tuff_bind_or_word(c, d, f.zero, X, TUFF_BIND_TEXEL_U32);
    tuff_bind_or_word(c, d, f.bias, X, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, (uint64_t)tuff_ceil_div(pc.n, 2 * w) * tuff_ceil_div(pc.m, row_count), k);
    TUFF_PUSH(d, pc);
    return true;
}

// One launch of the kernels that read storage buffers; those after a sum's first add to y.
static void add_storage(const tuff_call *c, const tuff_levels *f, const tuff_caps *k,
                        tuff_plan *p, int shader, uint32_t wg, uint64_t groups,
                        const struct tuff_levels_pc *pc)
{
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, f->format);
    tuff_spec(d, (uint32_t)f->act);
    tuff_bind_in(d, X);
    tuff_bind_in(d, W);
    tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
              pc->begin ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
    tuff_bind_or_word(c, d, f->scale, X, TUFF_BIND_STORAGE);
    tuff_bind_or_word(c, d, f->zero, X, TUFF_BIND_TEXEL_U32);
    tuff_bind_or_word(c, d, f->bias, X, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, groups, k);
    tuff_push(d, pc, sizeof *pc);
}

static bool small_fit(const tuff_call *c, const tuff_levels *f, const tuff_caps *k)
{
    return fits_texel(c, k, f->zero) && fits_texel(c, k, f->bias);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_levels f = tuff_levels_of(c);
    const struct tuff_levels_pc pc = describe(c, &f);
    const uint32_t steps = tuff_ceil_div(tuff_ceil_div(pc.k, 4), GROUP_LANES);
    if (!small_fit(c, &f, k) || !steps_fit(k, steps * (GROUP_ROWS + 1))) return false;
    add_storage(c, &f, k, p, TUFF_SHADER_levels_group, GROUP,
                (uint64_t)tuff_ceil_div(pc.n, GROUP_COLS) * tuff_ceil_div(pc.m, GROUP_ROWS),
                &pc);
    return true;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_levels f = tuff_levels_of(c);
    struct tuff_levels_pc pc = describe(c, &f);
    const uint32_t quads = tuff_ceil_div(pc.k, 4), wg = tuff_group_size(k);
    pc.span = most_steps(k, quads);
    if (!small_fit(c, &f, k) || tuff_ceil_div(quads, pc.span) > PARTS) return false;
    for (; pc.begin < quads; pc.begin += pc.span)
        add_storage(c, &f, k, p, TUFF_SHADER_levels_plain, wg,
                    tuff_ceil_div((uint64_t)pc.m * pc.n, wg), &pc);
    return true;
}

// ---- records -----------------------------------------------------------------------------

// Words of all bits alike, signs only for what is there, and nothing past the end.
static void prepare_codes(const tuff_call *c, void *const in[])
{
    const int64_t words = c->in[W].dim[2], k = inner(c);
    uint32_t *v = in[W];
    for (int64_t i = 0; i < tuff_desc_count(&c->in[W]); i++) v[i] *= 2654435761u;
    for (int64_t n = 0; n < c->in[W].dim[0]; n++, v += 2 * words) {
        if (k % 32) v[words - 1] &= (1u << k % 32) - 1;
        for (int64_t i = 0; i < words; i++) v[words + i] &= v[i];
    }
}

const tuff_op tuff_op_ternarize = {
    .name = "ternarize",
    .doc = "y = two words of bits for 32 elements of a row: which are beyond the row's "
           "threshold, |x| > |threshold|, and which of those are above 0; scale = the mean of "
           "|x| over those",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "threshold", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { { .name = "y" }, { .name = "scale" } },
    .infer = infer_ternarize, .units = rows, .ref = ref_ternarize,
    .variants = { TUFF_KERNEL("texel", texel_ternarize),
                  TUFF_KERNEL("plain", plain_ternarize) },
    .tol = { .f32 = 5e-7f }, // as mean_abs
    .sample = { -1, 1 },
    .cases = TUFF_CASES("5 []", "7x33 7", "2x3x64 2x3", "3x4099 3")
};

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

#define PRODUCT                                                                 \
    .out = { { .name = "y" } },                                                 \
    .infer = infer_product, .ref = ref_product, .units = units, .cost = cost,   \
    .variants = { TUFF_KERNEL("texel", texel), TUFF_GPU_KERNEL("group", group), \
                  TUFF_KERNEL("plain", plain) },                                \
    .hosts = { { .name = "fast", .takes = host_takes, .run = tuff_levels_host,  \
                 .units = tuff_levels_host_units } },                           \
    .tol = { .f32 = 1e-5f }, /* as matmul's: f32 sums, the levels being exact */ \
    .sample = { -1, 1 }

#define ACT TUFF_ENUM(tuff_few_bits_params, act, tuff_act_names)
#define FUSED(bias_)                                                            \
    .params_size = sizeof(tuff_few_bits_params),                                  \
    .fuse = { .bias = (bias_), .act = offsetof(tuff_few_bits_params, act) }

const tuff_op tuff_op_ternary_matmul = {
    .name = "ternary_matmul",
    .doc = "y = (x w^T) scale, w of -1, 0 and 1 as ternarize has packed it, scale one a row of "
           "w",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "w", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "scale", .dtypes = TUFF_F32, .optional = true } },
    PRODUCT, .prepare = prepare_codes,
    .cases = TUFF_CASES("1x1 1x2x1", "3x33 5x2x2 5", "65 33x2x3 33", "2x3x128 35x2x4 1",
                        "9x219 67x2x7 67", "2x70001 3x2x2188 3", "1x262147 2x2x8193 2")
};

const tuff_op tuff_op_matmul_q8 = {
    .name = "matmul_q8",
    .doc = "y = act((x (w - zero_point)^T) scale + bias), w of 8 bits with a scale and a zero "
           "point for all or one a row of w",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "w", .dtypes = TUFF_BYTES },
            { .name = "scale", .dtypes = TUFF_F32, .optional = true },
            { .name = "zero_point", .dtypes = TUFF_BYTES, .optional = true },
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true } },
    .params = { ACT },
    PRODUCT, FUSED(4),
    .cases = TUFF_CASES("1x1 1x1", "3x33 5x33 5 5 5 act=relu", "65 33x65 33",
                        "2x3x128 35x128 1 1", "9x219 67x219 67 67 67", "2x70001 3x70001 3",
                        "1x262147 2x262147 2")
};

// Any bits are numbers; what is drawn has few.
static void prepare_words(const tuff_call *c, void *const in[])
{
    for (int k = W; k < c->nin; k++) {
        uint32_t *words = in[k];
        for (int64_t i = 0; c->in[k].dtype == TUFF_U32 && i < tuff_desc_count(&c->in[k]); i++)
            words[i] = (words[i] + (uint32_t)i + 1) * 2654435761u ^ (uint32_t)i * 40503u << 7;
    }
}

const tuff_op tuff_op_packed_matmul = {
    .name = "packed_matmul",
    .doc = "y = act((x (q - zero_point)^T) scale + bias), where numbers q of 1 to 16 bits lie "
           "packed in words, one row behind the other, with a scale and a zero point for all "
           "or one a row",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "words", .dtypes = TUFF_U32, .no_grad = true },
            { .name = "scale", .dtypes = TUFF_F32, .optional = true },
            { .name = "zero_point", .dtypes = TUFF_U32, .optional = true, .no_grad = true,
              .mixed = true },
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true } },
    .params = { TUFF_POSITIVE(tuff_few_bits_params, bits),
                TUFF_INT64(tuff_few_bits_params, rows), ACT },
    PRODUCT, FUSED(4), .prepare = prepare_words,
    // Widths that divide a word and that do not, signed and not, rows that begin within words.
    .cases = TUFF_CASES("1x1 1 bits=1 rows=1", "3x33 6 5 1 bits=1 rows=5",
                        "2x64 28 - - 7 bits=2 rows=7 act=relu", "65 202 33 4 bits=3 rows=33",
                        "2x3x128 560 1 1 35 rows=35", "9x219 1835 67 9 67 rows=67",
                        "5x96 270 18 - 18 bits=5 rows=18", "3x51 192 20 4 bits=6 rows=20",
                        "1x107 235 10 3 bits=7 rows=10", "2x36 99 11 - 11 bits=8 rows=11",
                        "3x35 109 9 bits=11 rows=9", "2x29 96 7 4 bits=15 rows=7",
                        "7x40 100 5 3 5 bits=16 rows=5 act=tanh", "2x70001 26251 3 rows=3",
                        "1x262147 49153 2 1 bits=3 rows=2")
};

const tuff_op tuff_op_half_matmul = {
    .name = "half_matmul",
    .doc = "y = act(x w^T + bias), w of f16",
    .native = TUFF_WORDS | TUFF_F16,
    .in = { { .name = "x", .dtypes = TUFF_F32, .no_grad = true },
            { .name = "w", .dtypes = TUFF_F16, .no_grad = true },
            { .name = "bias", .dtypes = TUFF_F32, .optional = true } },
    .params = { ACT },
    PRODUCT, FUSED(2),
    .cases = TUFF_CASES("1x1 1x1", "3x33 5x33 5 act=relu", "65 33x65", "2x3x128 35x128",
                        "9x219 67x219 67 act=sigmoid", "2x70001 3x70001", "1x262147 2x262147")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_ternarize(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *threshold,
                           tuff_tensor *y, tuff_tensor *scale)
{
    return tuff_run(s, &tuff_op_ternarize, TUFF_RUN_IN(x, threshold), TUFF_RUN_OUT(y, scale),
                    NULL);
}

tuff_status tuff_ternary_matmul(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                                const tuff_tensor *scale, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_ternary_matmul, TUFF_RUN_IN(x, w, scale), TUFF_RUN_OUT(y),
                    NULL);
}

tuff_status tuff_matmul_q8(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                           const tuff_tensor *scale, const tuff_tensor *zero_point,
                           const tuff_tensor *bias, tuff_tensor *y,
                           const tuff_few_bits_params *p)
{
    return tuff_run(s, &tuff_op_matmul_q8, TUFF_RUN_IN(x, w, scale, zero_point, bias),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_packed_matmul(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *words,
                               const tuff_tensor *scale, const tuff_tensor *zero_point,
                               const tuff_tensor *bias, tuff_tensor *y,
                               const tuff_few_bits_params *p)
{
    return tuff_run(s, &tuff_op_packed_matmul, TUFF_RUN_IN(x, words, scale, zero_point, bias),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_half_matmul(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                             const tuff_tensor *bias, tuff_tensor *y,
                             const tuff_few_bits_params *p)
{
    return tuff_run(s, &tuff_op_half_matmul, TUFF_RUN_IN(x, w, bias), TUFF_RUN_OUT(y), p);
}
