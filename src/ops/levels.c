// Products with weights of few levels, straight from their codes: ternarize and ternary_matmul
// (Li et al. 2016, "Ternary weight networks"), matmul_q8. The shaders are bits_pack.comp,
// mean_abs.comp, levels_plain.comp and levels_texel.comp.
#include "abi/levels.h"
#include "ops/binarize.h"
#include "ops/gemm.h"
#include "ops/levels.h"
#include "ops/quantize.h"
#include <math.h>

enum { X, W, SCALE, ZERO };
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

static bool is_ternary(const tuff_call *c) { return c->in[W].dtype == TUFF_U32; }

static int64_t inner(const tuff_call *c) { return c->in[X].dim[c->in[X].rank - 1]; }

static tuff_status infer_product(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[X], *w = &c->in[W];
    const bool ternary = is_ternary(c);
    TUFF_REQUIRE(x->rank >= 1, SHAPE, "x has no dims, expected at least 1");
    if (ternary)
        TUFF_REQUIRE(w->rank == 3 && w->dim[1] == 2 && w->dim[2] == (inner(c) + 31) / 32, SHAPE,
                     "w is no [N, 2, %lld], which rows of %lld take",
                     (long long)((inner(c) + 31) / 32), (long long)inner(c));
    else
        TUFF_REQUIRE(w->rank == 2 && w->dim[1] == inner(c), SHAPE,
                     "w has %d dims and rows of %lld, expected 2 and x's %lld", w->rank,
                     (long long)w->dim[w->rank ? w->rank - 1 : 0], (long long)inner(c));
    TUFF_TRY(tuff_quant_vector(c, SCALE, w->dim[0], "rows of w"));
    TUFF_TRY(tuff_quant_vector(c, ZERO, w->dim[0], "rows of w"));
    TUFF_TRY(tuff_quant_same_type(c, W, ZERO));
    out[0] = *x;
    out[0].dim[x->rank - 1] = w->dim[0];
    return TUFF_OK;
}

// ---- products: reference -----------------------------------------------------------------

static double level(const tuff_ref *r, int64_t n, int64_t k)
{
    const tuff_call *c = r->call;
    if (!is_ternary(c))
        return (double)tuff_whole_at(c->in[W].dtype, r->in[W], (size_t)(n * inner(c) + k));
    const int64_t words = c->in[W].dim[2];
    const uint32_t *there = (const uint32_t *)(const void *)r->in[W] + n * 2 * words;
    if (!(there[k / 32] >> k % 32 & 1)) return 0;
    return there[words + k / 32] >> k % 32 & 1 ? 1 : -1;
}

static void ref_product(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const int64_t n = c->in[W].dim[0], k = inner(c);
    for (size_t i = r->begin; i < r->end; i++)
        for (int64_t j = 0; j < n; j++) {
            double zero = 0, scale = 1, sum = 0;
            if (tuff_call_has(c, ZERO))
                zero = (double)tuff_whole_at(
                    c->in[ZERO].dtype, r->in[ZERO],
                    tuff_desc_count(&c->in[ZERO]) == 1 ? 0 : (size_t)j);
            if (r->in[SCALE])
                scale = (double)r->in[SCALE][tuff_desc_count(&c->in[SCALE]) == 1 ? 0 : j];
            for (int64_t q = 0; q < k; q++)
                sum += (double)r->in[X][(int64_t)i * k + q] * (level(r, j, q) - zero);
            r->out[0][(int64_t)i * n + j] = (float)(sum * scale);
        }
}

static size_t units(const tuff_call *c)
{
    return (size_t)(tuff_desc_count(&c->in[X]) / inner(c));
}

static tuff_cost cost(const tuff_call *c)
{
    const double m = (double)units(c), n = (double)c->in[W].dim[0];
    return (tuff_cost){ .flops = 2 * m * n * (double)inner(c),
                        .bytes = tuff_call_bytes(c) };
}

// ---- products: plans ---------------------------------------------------------------------

static struct tuff_levels_pc describe(const tuff_call *c)
{
    return (struct tuff_levels_pc){
        .m = (uint32_t)units(c), .n = (uint32_t)c->in[W].dim[0], .k = (uint32_t)inner(c),
        .sign = c->in[W].dtype == TUFF_I8 ? 0x80 : 0,
        .scales = tuff_call_has(c, SCALE) ? (uint32_t)tuff_desc_count(&c->in[SCALE]) : 0,
        .zeros = tuff_call_has(c, ZERO) ? (uint32_t)tuff_desc_count(&c->in[ZERO]) : 0 };
}

static uint32_t format_of(const tuff_call *c)
{
    return is_ternary(c) ? TUFF_LEVELS_TERNARY : TUFF_LEVELS_BYTES;
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

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t w = k->subgroup;
    const struct tuff_levels_pc pc = describe(c);
    if (!tuff_takes_texels(k)) return false;
    for (int i = X; i <= ZERO; i++)
        if (!fits_texel(c, k, i)) return false;
    if (!steps_fit(k, tuff_ceil_div(tuff_ceil_div(pc.k, 4), w))) return false;
    const bool wide = !is_ternary(c) && pc.k % 16 == 0;
    // One kernel instead of three where each costs seconds.
    const uint32_t row_count = k->slow_compile ? 4 : pc.m >= 5 ? 8 : pc.m >= 2 ? 4 : 1;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_levels_texel);
    tuff_spec(d, w);
    tuff_spec(d, format_of(c));
    tuff_spec(d, row_count);
    tuff_spec(d, wide);
    tuff_bind(d, TUFF_ROLE_IN, X, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, W, wide ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32,
              TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind_or_word(c, d, SCALE, X, TUFF_BIND_TEXEL_F32);
    tuff_bind_or_word(c, d, ZERO, X, TUFF_BIND_TEXEL_U32);
    tuff_grid(d, (uint64_t)tuff_ceil_div(pc.n, 2 * w) * tuff_ceil_div(pc.m, row_count), k);
    TUFF_PUSH(d, pc);
    return true;
}

// One launch of the kernels that read storage buffers; those after a sum's first add to y.
static void add_storage(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader,
                        uint32_t wg, uint64_t groups, const struct tuff_levels_pc *pc)
{
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, format_of(c));
    tuff_bind_in(d, X);
    tuff_bind_in(d, W);
    tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
              pc->begin ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
    tuff_bind_or_word(c, d, SCALE, X, TUFF_BIND_STORAGE);
    tuff_bind_or_word(c, d, ZERO, X, TUFF_BIND_TEXEL_U32);
    tuff_grid(d, groups, k);
    tuff_push(d, pc, sizeof *pc);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const struct tuff_levels_pc pc = describe(c);
    const uint32_t steps = tuff_ceil_div(tuff_ceil_div(pc.k, 4), GROUP_LANES);
    if (!fits_texel(c, k, ZERO) || !steps_fit(k, steps * (GROUP_ROWS + 1))) return false;
    add_storage(c, k, p, TUFF_SHADER_levels_group, GROUP,
                (uint64_t)tuff_ceil_div(pc.n, GROUP_COLS) * tuff_ceil_div(pc.m, GROUP_ROWS),
                &pc);
    return true;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    struct tuff_levels_pc pc = describe(c);
    const uint32_t quads = tuff_ceil_div(pc.k, 4), wg = tuff_group_size(k);
    pc.span = most_steps(k, quads);
    if (!fits_texel(c, k, ZERO) || tuff_ceil_div(quads, pc.span) > PARTS) return false;
    for (; pc.begin < quads; pc.begin += pc.span)
        add_storage(c, k, p, TUFF_SHADER_levels_plain, wg,
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
    .tol = { .f32 = 1e-5f }, /* as matmul's: f32 sums, the levels being exact */ \
    .sample = { -1, 1 }

const tuff_op tuff_op_ternary_matmul = {
    .name = "ternary_matmul",
    .doc = "y = (x w^T) scale, w of -1, 0 and 1 as ternarize has packed it, scale one a row of "
           "w",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "w", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "scale", .dtypes = TUFF_F32, .optional = true } },
    PRODUCT, .prepare = prepare_codes,
    .hosts = { { .name = "fast", .takes = host_takes, .run = tuff_ternary_host,
                 .units = tuff_ternary_host_units } },
    .cases = TUFF_CASES("1x1 1x2x1", "3x33 5x2x2 5", "65 33x2x3 33", "2x3x128 35x2x4 1",
                        "9x219 67x2x7 67", "2x70001 3x2x2188 3", "1x262147 2x2x8193 2")
};

const tuff_op tuff_op_matmul_q8 = {
    .name = "matmul_q8",
    .doc = "y = (x (w - zero_point)^T) scale, w of 8 bits with a scale and a zero point for "
           "all or one a row of w",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "w", .dtypes = TUFF_BYTES },
            { .name = "scale", .dtypes = TUFF_F32, .optional = true },
            { .name = "zero_point", .dtypes = TUFF_BYTES, .optional = true } },
    PRODUCT,
    .cases = TUFF_CASES("1x1 1x1", "3x33 5x33 5 5", "65 33x65 33", "2x3x128 35x128 1 1",
                        "9x219 67x219 67 67", "2x70001 3x70001 3", "1x262147 2x262147 2")
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
                           tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_matmul_q8, TUFF_RUN_IN(x, w, scale, zero_point),
                    TUFF_RUN_OUT(y), NULL);
}
