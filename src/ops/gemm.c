// The parts of a product's plan that matmul and the convolutions share. See gemm.h.
#include "ops/gemm.h"
#include "ops/ops.h"
#include <math.h>
#include <string.h>

enum {
    TEXEL_ROWS = 8,     // rows of a tile of texel.glsl
    FEW_TILES = 16,     // fewer than this leave threads of a CPU idle
    PACK_WORTH = 8,     // see worth_packing
    GATHER_WORTH = 24,  // the same where packing gathers (convolutions)
    PACK_LEAST = 1 << 22, // products that are worth two more dispatches
    SHORTEST_PART = 256, // products that are worth a part of their own
    ELEMENT_GROUP = 64   // invocations that share the sum of one element
};

const char *const tuff_act_names[] = { "none", "relu", "sigmoid", "tanh", NULL };

double tuff_act_ref(double x, int act)
{
    switch (act) {
    case TUFF_ACT_RELU: return x < 0 ? 0 : x;
    case TUFF_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case TUFF_ACT_TANH: return tanh(x);
    default: return x;
    }
}

tuff_var tuff_act_grad(tuff_tape *t, int act, tuff_var y, tuff_var dy)
{
    switch (act) {
    case TUFF_ACT_RELU: return TUFF_V(t, &tuff_op_relu_grad, NULL, y, dy);
    case TUFF_ACT_SIGMOID: return TUFF_V(t, &tuff_op_sigmoid_grad, NULL, y, dy);
    case TUFF_ACT_TANH: return TUFF_V(t, &tuff_op_tanh_grad, NULL, y, dy);
    default: return dy;
    }
}

static bool has(const tuff_product *p, int input)
{
    return input >= 0 && tuff_call_has(p->call, input);
}

static uint32_t after_bits(const tuff_product *p)
{
    return (uint32_t)p->act | (has(p, p->bias) ? TUFF_AFTER_BIAS : 0) |
           (has(p, p->residual) ? TUFF_AFTER_RESIDUAL : 0);
}

static float factor(float v) { return (float)tuff_number(v, 1); }

// What follows the product is for gemm_sum.comp alone.
static bool is_apart(const tuff_product *p)
{
    return factor(p->alpha) != 1 || factor(p->beta) != 1 || (p->apart && has(p, p->bias));
}

bool tuff_product_direct(const tuff_product *p, const tuff_caps *k)
{
    if (is_apart(p) || (!p->acts && p->act > TUFF_ACT_RELU)) return false;
    if (!has(p, p->bias)) return true;
    const tuff_desc *bias = &p->call->in[p->bias];
    return p->words ? tuff_fits_words(k, bias) : tuff_fits_texel(k, bias, sizeof(float));
}

bool tuff_product_texels(const tuff_product *p, const tuff_caps *k, size_t texel)
{
    return tuff_product_direct(p, k) &&
           (!has(p, p->residual) || tuff_fits_texel(k, &p->call->in[p->residual], texel));
}

// Cuts the sums: into `parts` parts or more, each a multiple of `unit` products and of at most
// `most`. Returns false when the parts would not fit one storage binding.
static bool cut_by(tuff_product *p, const tuff_caps *k, uint32_t parts, uint32_t unit,
                   bool direct, uint32_t most)
{
    tuff_gemm *g = &p->g;
    if (unit > most) return false;
    uint32_t step = tuff_ceil_div(tuff_ceil_div(g->k, parts), unit) * unit;
    if (step > most) step = most / unit * unit;
    g->count = g->m * g->n * g->batches;
    g->k_step = step;
    g->splits = tuff_ceil_div(g->k, step);
    const bool whole = g->splits == 1 && direct;
    g->after = whole ? after_bits(p) : 0;
    return whole || tuff_fits(k, (size_t)g->splits * g->count * sizeof(float));
}

bool tuff_product_cut(tuff_product *p, const tuff_caps *k, uint32_t parts, uint32_t unit,
                      bool direct)
{
    // A quarter of the iterations is left to loops around and inside the sum.
    const uint32_t loop = k->max_loop ? k->max_loop / 4 * 3 / (p->loops ? p->loops : 1)
                                      : INT32_MAX;
    const uint32_t usual = loop < TUFF_GEMM_SUM ? loop : TUFF_GEMM_SUM;
    // The parts of a large y may not fit a binding; longer sums are then the lesser evil.
    return cut_by(p, k, parts > 1 ? parts : 1, unit, direct, usual) ||
           cut_by(p, k, 1, unit, direct, loop);
}

// Whether the kernel writes y itself.
static bool is_whole(const tuff_product *p)
{
    return p->g.splits == 1 && p->g.after == after_bits(p) && !is_apart(p);
}

// Binds an input, or what is never read in its place.
static void bind_or(const tuff_product *p, tuff_dispatch *d, int input, tuff_bind_kind kind)
{
    tuff_bind_or_word(p->call, d, input, 0, kind);
}

void tuff_product_bind_bias(const tuff_product *p, tuff_dispatch *d)
{
    bind_or(p, d, p->g.after & TUFF_AFTER_BIAS ? p->bias : -1,
            p->words ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_TEXEL_F32);
}

bool tuff_product_bind_residual(const tuff_product *p, tuff_dispatch *d, tuff_bind_kind kind)
{
    const bool there = p->g.after & TUFF_AFTER_RESIDUAL;
    bind_or(p, d, there ? p->residual : -1, there ? kind : TUFF_BIND_TEXEL_F32);
    return there;
}

void tuff_product_bind_y(const tuff_product *p, tuff_dispatch *d)
{
    tuff_bind(d, is_whole(p) ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE,
              TUFF_WRITE);
}

// Where the rows of y that are made begin.
static size_t first_byte(const tuff_product *p)
{
    return (size_t)p->first * p->g.n * tuff_dtype_size(p->call->out[0].dtype);
}

tuff_dispatch *tuff_product_add(const tuff_product *p, int shader, tuff_plan *plan)
{
    tuff_dispatch *d = tuff_plan_add(plan, shader);
    const bool residual = p->g.after & TUFF_AFTER_RESIDUAL;
    tuff_bind_in(d, p->a);
    d->slot[0].offset = p->first * p->a_row * tuff_dtype_size(p->call->in[p->a].dtype);
    tuff_bind_in(d, p->b);
    tuff_product_bind_y(p, d);
    if (d->slot[2].role == TUFF_ROLE_OUT) d->slot[2].offset = first_byte(p);
    tuff_product_bind_bias(p, d);
    bind_or(p, d, residual ? p->residual : -1, TUFF_BIND_STORAGE);
    if (residual) d->slot[4].offset = first_byte(p);
    return d;
}

void tuff_product_finish(const tuff_product *p, const tuff_caps *k, tuff_plan *plan)
{
    if (is_whole(p)) return;
    const uint32_t wg = tuff_group_size(k);
    const tuff_dtype type = p->call->out[0].dtype;
    const bool words = type == TUFF_F16 || type == TUFF_BF16; // two elements an invocation
    plan->scratch[0] = (size_t)p->g.splits * p->g.count * sizeof(float);
    tuff_dispatch *d = tuff_plan_add(plan, words ? TUFF_SHADER_gemm_sum_16
                                                 : TUFF_SHADER_gemm_sum);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    d->slot[1].offset = first_byte(p);
    bind_or(p, d, p->bias, TUFF_BIND_STORAGE);
    bind_or(p, d, p->residual, TUFF_BIND_STORAGE);
    if (has(p, p->residual)) d->slot[3].offset = first_byte(p);
    tuff_spec(d, wg);
    if (words) tuff_spec(d, type == TUFF_F16 ? TUFF_ELEMENT_F16 : TUFF_ELEMENT_BF16);
    tuff_grid(d, tuff_ceil_div(p->g.count, words ? 2 * wg : wg), k);
    TUFF_PUSH(d, (struct tuff_gemm_sum_pc){ .count = p->g.count, .splits = p->g.splits,
                                            .after = after_bits(p),
                                            .bias_step = p->bias_step,
                                            .bias_n = p->bias_n,
                                            .alpha = factor(p->alpha),
                                            .beta = factor(p->beta) });
}

bool tuff_takes_texels(const tuff_caps *k)
{
    const uint32_t w = k->subgroup;
    return k->cpu_like && k->subgroup_basic && k->subgroup_shuffle &&
           (w == 4 || w == 8 || w == 16);
}

int tuff_shader_stored(int shader)
{
    switch (shader) {
    case TUFF_SHADER_matmul_texel: return TUFF_SHADER_matmul_stored;
    case TUFF_SHADER_matvec_texel: return TUFF_SHADER_matvec_stored;
    case TUFF_SHADER_pack: return TUFF_SHADER_pack_stored;
    case TUFF_SHADER_gemm_packed: return TUFF_SHADER_gemm_stored;
    case TUFF_SHADER_conv_texel: return TUFF_SHADER_conv_stored;
    case TUFF_SHADER_conv1_texel: return TUFF_SHADER_conv1_stored;
    case TUFF_SHADER_conv_dw_texel: return TUFF_SHADER_conv_dw_stored;
    case TUFF_SHADER_conv_pack: return TUFF_SHADER_conv_pack_stored;
    case TUFF_SHADER_conv_pack_taps: return TUFF_SHADER_conv_pack_taps_stored;
    case TUFF_SHADER_conv3_texel: return TUFF_SHADER_conv3_stored;
    case TUFF_SHADER_conv3_dw_texel: return TUFF_SHADER_conv3_dw_stored;
    case TUFF_SHADER_conv3_pack: return TUFF_SHADER_conv3_pack_stored;
    case TUFF_SHADER_conv3_pack_taps: return TUFF_SHADER_conv3_pack_taps_stored;
    case TUFF_SHADER_conv_point: return TUFF_SHADER_conv_point_stored;
    case TUFF_SHADER_conv_slide: return TUFF_SHADER_conv_slide_stored;
    case TUFF_SHADER_conv_slide_back: return TUFF_SHADER_conv_slide_back_stored;
    case TUFF_SHADER_conv_slide_dw: return TUFF_SHADER_conv_slide_dw_stored;
    case TUFF_SHADER_winograd_panel: return TUFF_SHADER_winograd_panel_stored;
    case TUFF_SHADER_winograd_panel_dy: return TUFF_SHADER_winograd_panel_dy_stored;
    default: return -1;
    }
}

static size_t panel_bytes(uint32_t rows, uint32_t k, uint32_t w)
{
    return (size_t)tuff_ceil_div(rows, w) * w * tuff_ceil_div(k, 4) * 16;
}

bool tuff_panel_fits_texel(const tuff_product *p, uint32_t rows, const tuff_caps *k)
{
    return panel_bytes(rows, p->g.k, k->subgroup) / 16 <= k->max_texels;
}

// Whether a matrix lies in fours: pack_wide.comp then reads them along k or along the rows.
static bool in_fours(const struct tuff_pack_pc *f, bool *long_k)
{
    *long_k = f->inner_step == 1;
    if (f->inner != f->k || f->k % 4 != 0) return false;
    if (*long_k) return f->row_step % 4 == 0;
    return f->row_step == 1 && f->inner_step % 4 == 0 && f->rows % 4 == 0;
}

static bool pack_wide(const tuff_product *p, const tuff_panels *from, int scratch,
                      const tuff_caps *k, tuff_plan *plan)
{
    const struct tuff_pack_pc *f = from->pc;
    bool long_k;
    if (from->shader != TUFF_SHADER_pack || !in_fours(f, &long_k)) return false;
    if (!tuff_fits_texel(k, &p->call->in[from->input], 16)) return false;
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_pack_wide);
    tuff_bind(d, TUFF_ROLE_IN, from->input, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, scratch, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, long_k);
    TUFF_PUSH(d, *f);
    tuff_grid(d, (uint64_t)tuff_ceil_div(f->rows, (long_k ? 1 : 4) * k->subgroup) *
                     tuff_ceil_div(f->k / 4, TUFF_PACK_PIECE), k);
    return true;
}

bool tuff_product_pack(const tuff_product *p, const tuff_panels *from, int scratch,
                       const tuff_caps *k, tuff_plan *plan)
{
    const size_t bytes = panel_bytes(from->rows, p->g.k, k->subgroup);
    const tuff_bind_kind texel = from->words ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_F32;
    const bool fits = tuff_fits_texel(k, &p->call->in[from->input], from->words ? 16 : 4);
    const int shader = fits ? from->shader : tuff_shader_stored(from->shader);
    if (shader < 0 || !tuff_fits(k, bytes)) return false;
    plan->scratch[scratch] = bytes;
    if (pack_wide(p, from, scratch, k, plan)) return true;
    tuff_dispatch *d = tuff_plan_add(plan, shader);
    tuff_bind(d, TUFF_ROLE_IN, from->input, fits ? texel : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, scratch, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, k->subgroup);
    if (from->flagged) tuff_spec(d, from->flag);
    tuff_push(d, from->pc, from->pc_bytes);
    tuff_grid(d, tuff_ceil_div(from->rows, k->subgroup), k);
    return true;
}

// Packing an operand costs about as much as `worth` / 2 products of each of its elements; of
// one that is packed once and for all it costs nothing. Where multiplying is slow,
// launches and gathering count less beside it.
static bool worth_packing(const tuff_product *p, const tuff_panels *a, const tuff_panels *b,
                          const tuff_caps *k)
{
    const tuff_gemm *g = &p->g;
    const double m = g->m, n = g->n;
    if (tuff_call_constant(p->call, a->input) && b->shader != TUFF_SHADER_pack)
        return m >= 2 * TEXEL_ROWS && ceil(m / 16) * ceil(n / 32) >= 2 * FEW_TILES;
    const bool copies = a->shader == TUFF_SHADER_pack && b->shader == TUFF_SHADER_pack;
    const bool slow = k->slow_multiply;
    const double worth = copies ? slow ? 2 * PACK_WORTH : PACK_WORTH
                                : slow ? 2.0 / 3 * GATHER_WORTH : GATHER_WORTH;
    return m * n / (m + n) >= worth && m * n * g->k >= (slow ? PACK_LEAST / 8 : PACK_LEAST);
}

uint32_t tuff_packed_rows(uint32_t m, uint64_t pieces, const tuff_caps *k)
{
    enum { LESS = 16, MORE = 32 };
    const double gain = 0.84; // time of a row in the larger tile
    const uint32_t few = tuff_ceil_div(m, LESS), more = tuff_ceil_div(m, MORE);
    const bool takes = k->subgroup * 4 >= MORE && !k->slow_compile;
    if (!takes || more * pieces < FEW_TILES) return LESS;
    return more * MORE * gain < few * LESS ? MORE : LESS;
}

bool tuff_product_packed(tuff_product *p, const tuff_panels *left, const tuff_panels *right,
                         uint32_t plane, uint32_t image_step, const tuff_caps *k,
                         tuff_plan *plan)
{
    const uint32_t w = k->subgroup;
    const bool direct = tuff_product_texels(p, k, sizeof(float));
    if (!tuff_takes_texels(k) || p->g.batches != 1) return false;
    if (!plan->forced && !worth_packing(p, left, right, k)) return false;
    if (k->max_loop && p->g.k > k->max_loop / 2) return false; // pack.comp takes it whole
    if (!tuff_product_cut(p, k, 1, 4, direct)) return false;
    if (!tuff_product_pack(p, left, 1, k, plan) || !tuff_product_pack(p, right, 2, k, plan))
        return false;
    const bool fits = tuff_panel_fits_texel(p, left->rows, k) &&
                      tuff_panel_fits_texel(p, right->rows, k);
    const tuff_bind_kind kind = fits ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_gemm_packed
                                                : TUFF_SHADER_gemm_stored);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 1, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 2, kind, TUFF_READ);
    tuff_product_bind_y(p, d);
    tuff_product_bind_bias(p, d);
    const bool residual = tuff_product_bind_residual(p, d, TUFF_BIND_TEXEL_F32);
    tuff_spec(d, w);
    const uint64_t pieces = (uint64_t)tuff_ceil_div(p->g.n, 4 * w) * p->g.splits;
    const uint32_t rows = tuff_packed_rows(p->g.m, pieces, k);
    tuff_spec(d, residual);
    tuff_spec(d, rows);
    TUFF_PUSH(d, (struct tuff_packed_pc){ .g = p->g, .plane = plane, .image_step = image_step,
                                          .bias_col = image_step == 0 });
    tuff_grid(d, tuff_ceil_div(p->g.m, rows) * pieces, k);
    tuff_product_finish(p, k, plan);
    return true;
}

uint32_t tuff_product_parts(tuff_plan *plan, uint32_t parts, uint32_t useful)
{
    static const char *const ways[] = { "usual", "whole", "half", "twice", "four_times", NULL };
    if (parts < 1) parts = 1;
    switch (tuff_plan_way(plan, ways)) {
    case 1: parts = 1; break;
    case 2: parts = (parts + 1) / 2; break;
    case 3: parts *= 2; break;
    case 4: parts *= 4; break;
    default: break;
    }
    return parts > useful ? useful : parts;
}

bool tuff_product_texel(tuff_product *p, int shader, void *pc, size_t pc_bytes, uint32_t unit,
                        const tuff_caps *k, tuff_plan *plan)
{
    const tuff_call *c = p->call;
    const uint32_t w = k->subgroup;
    if (!tuff_takes_texels(k)) return false;
    const bool fits = tuff_fits_texel(k, &c->in[p->a], 4) &&
                      tuff_fits_texel(k, &c->in[p->b], 4);
    const tuff_bind_kind kind = fits ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    if (!fits) shader = tuff_shader_stored(shader);
    const bool direct = tuff_product_texels(p, k, sizeof(float));
    const uint64_t tiles = (uint64_t)tuff_ceil_div(p->g.m, TEXEL_ROWS) *
                           tuff_ceil_div(p->g.n, 4 * w) * p->g.batches;
    const uint32_t useful = p->g.k / SHORTEST_PART; // each part is summed once more
    const uint32_t parts = tiles < FEW_TILES ? 2 * FEW_TILES / (uint32_t)tiles : 1;
    if (!tuff_product_cut(p, k, tuff_product_parts(plan, parts, useful), unit, direct))
        return false;
    memcpy(pc, &p->g, sizeof p->g);
    tuff_dispatch *d = tuff_plan_add(plan, shader);
    tuff_bind(d, TUFF_ROLE_IN, p->a, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, p->b, kind, TUFF_READ);
    tuff_product_bind_y(p, d);
    tuff_product_bind_bias(p, d);
    const bool residual = tuff_product_bind_residual(p, d, TUFF_BIND_TEXEL_F32);
    tuff_spec(d, w);
    tuff_spec(d, residual);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, tiles * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

bool tuff_product_plain(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                        const tuff_caps *k, tuff_plan *plan)
{
    if (!tuff_product_cut(p, k, 1, 1, tuff_product_direct(p, k))) return false;
    memcpy(pc, &p->g, sizeof p->g);
    tuff_dispatch *d = tuff_product_add(p, shader, plan);
    const uint32_t wg = tuff_group_size(k);
    tuff_spec(d, wg);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, tuff_ceil_div((uint64_t)p->g.count * p->g.splits, wg), k);
    tuff_product_finish(p, k, plan);
    return true;
}

bool tuff_product_element(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                          const tuff_caps *k, tuff_plan *plan)
{
    const uint32_t loop = k->max_loop ? k->max_loop / 2 : INT32_MAX;
    const uint32_t most = loop < TUFF_GEMM_SUM ? loop : TUFF_GEMM_SUM; // of one invocation
    if (!cut_by(p, k, 1, 1, tuff_product_direct(p, k), most * ELEMENT_GROUP)) return false;
    memcpy(pc, &p->g, sizeof p->g);
    tuff_dispatch *d = tuff_product_add(p, shader, plan);
    tuff_spec(d, ELEMENT_GROUP);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, (uint64_t)p->g.count * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}
