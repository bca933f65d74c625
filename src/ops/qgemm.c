// Plans of integer products; see qgemm.h.
#include "ops/qgemm.h"
#include "ops/divide.h"
#include "ops/gemm.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>

enum {
    ROWS = 16,            // of a tile of qgemm_packed.comp
    TILE = 64,            // rows and columns of one of qgemm_tile.comp
    TILE_GROUP = 256,
    TILE_SHARED = 8192,   // bytes
    PACK_LEAST = 1 << 15, // products that are worth two more dispatches
    FEW = 4,              // rows or columns that are not worth a tile
    CHUNKS = 24,          // of columns, at most
    CHUNK_BYTES = 4 << 20 // of packed columns, more where there would be too many chunks
};

static bool is_there(const tuff_qproduct *p, int input)
{
    return tuff_call_has(p->call, input);
}

// ---- the sums' way to y ------------------------------------------------------------------

enum { LEFT, RIGHT, RIGHT_2, SUMS }; // scratch

static void bind_sums(tuff_dispatch *d, bool direct)
{
    if (direct) tuff_bind_out(d, 0);
    else tuff_bind(d, TUFF_ROLE_SCRATCH, SUMS, TUFF_BIND_STORAGE, TUFF_WRITE);
}

// An input as texels of which none is read, or the first alone: as few as there can be.
static void bind_word(const tuff_call *c, tuff_dispatch *d, int input, tuff_bind_kind kind)
{
    tuff_bind(d, TUFF_ROLE_IN, input, kind, TUFF_READ);
    if (tuff_desc_bytes(&c->in[input]) >= 4) d->slot[d->nslot - 1].size = 4;
}

// Whether the sums may be y, or fit scratch.
static bool place_sums(const tuff_qproduct *p, const tuff_caps *k, uint32_t splits,
                       tuff_plan *plan, bool *direct)
{
    const size_t bytes = (size_t)tuff_desc_count(&p->call->out[0]) * splits * 4;
    *direct = !p->requant && splits == 1;
    if (!*direct) plan->scratch[SUMS] = bytes;
    return *direct || tuff_fits(k, bytes);
}

// Adds parts in scratch, or turns sums to bytes.
void tuff_requant_add(const tuff_call *c, const tuff_requant *r, int sums, uint32_t splits,
                      const tuff_caps *k, tuff_plan *plan)
{
    const uint32_t wg = tuff_group_size_flat(k);
    const uint32_t count = (uint32_t)tuff_desc_count(&c->out[0]);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_requant);
    struct tuff_requant_pc pc = { .row_step = tuff_divide_by(1), .rows = tuff_divide_by(1),
                                  .cols = tuff_divide_by(1) };
    if (r) pc = r->pc;
    pc.count = count;
    pc.splits = splits;
    const bool bias = r && tuff_call_has(c, r->bias);
    pc.has_bias = bias;
    tuff_spec(d, wg);
    tuff_spec(d, !r);
    tuff_spec(d, r && r->shared);
    tuff_bind(d, TUFF_ROLE_SCRATCH, sums, TUFF_BIND_STORAGE, TUFF_READ);
    // What is not read is bound to any input.
    tuff_bind_in(d, r ? r->left_scale : 0);
    tuff_bind_in(d, bias ? r->bias : r ? r->right_scale : 0);
    tuff_bind_out(d, 0);
    bind_word(c, d, r ? r->y_scale : 0, TUFF_BIND_TEXEL_F32);
    bind_word(c, d, r ? r->y_zero : 0, TUFF_BIND_TEXEL_U32);
    bind_word(c, d, r ? r->right_scale : 0, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, tuff_ceil_div(count, 4 * (uint64_t)wg), k);
    TUFF_PUSH(d, pc);
}

static void finish(const tuff_qproduct *p, const tuff_caps *k, uint32_t splits, tuff_plan *plan)
{
    if (p->requant || splits > 1)
        tuff_requant_add(p->call, p->requant, SUMS, splits, k, plan);
}

// ---- packed operands ---------------------------------------------------------------------

typedef struct packing {
    uint32_t w;    // rows of a panel
    bool floats;   // vec4, else words
    uint32_t quads;
    bool to_bytes; // the kernel writes bytes itself
    uint32_t parts; // of each sum, where they are several
} packing;

static uint32_t bits_of(const tuff_qoperand *o) { return o->bits ? (uint32_t)o->bits : 8; }

static size_t panel_bytes(const packing *as, uint32_t rows)
{
    return (size_t)tuff_ceil_div(rows, as->w) * as->w * as->quads * (as->floats ? 16 : 4);
}

static void add_pack(const tuff_qproduct *p, const tuff_qoperand *o, const packing *as,
                     uint32_t first, uint32_t rows, int scratch, const tuff_caps *k,
                     tuff_plan *plan)
{
    const uint32_t wg = tuff_group_size_flat(k);
    const uint64_t items = (uint64_t)tuff_ceil_div(rows, as->w) * as->w * as->quads;
    tuff_dispatch *d = tuff_plan_add(plan, as->floats ? TUFF_SHADER_qpack_floats
                                                      : TUFF_SHADER_qpack);
    struct tuff_qpack_pc pc = o->pc;
    pc.rows = rows;
    pc.first = first;
    pc.k = p->k;
    pc.sign = tuff_qsign(&p->call->in[o->input]);
    pc.zeros = tuff_qzeros(p->call, o->zero);
    pc.quads = tuff_divide_by(as->quads);
    tuff_spec(d, wg);
    tuff_spec(d, as->w);
    tuff_spec(d, o->layout);
    tuff_spec(d, bits_of(o));
    tuff_bind(d, TUFF_ROLE_IN, o->input, as->floats ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
              TUFF_READ);
    tuff_bind_in(d, is_there(p, o->zero) ? o->zero : o->input);
    tuff_bind(d, TUFF_ROLE_SCRATCH, scratch, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_grid(d, tuff_ceil_div(items, wg), k);
    TUFF_PUSH(d, pc);
}

// Columns of a chunk, a multiple of `unit`; 0 where they cannot be few enough. Panels are bound
// as texels of 16 bytes, or as storage.
static uint32_t chunk_of(const tuff_qproduct *p, const packing *as, uint32_t unit,
                         const tuff_caps *k)
{
    const uint64_t column = (uint64_t)as->quads * (as->floats ? 16 : 4);
    uint64_t most = k->max_storage_range;
    if (as->floats && most > k->max_texels * 16) most = k->max_texels * 16;
    uint64_t cols = CHUNK_BYTES / column;
    const uint64_t least = tuff_ceil_div(p->n, CHUNKS);
    if (cols < least) cols = least;
    cols = (cols + unit - 1) / unit * unit;
    if (cols * column > most) cols = most / column / unit * unit;
    if (cols > p->n) cols = (p->n + unit - 1) / unit * unit;
    return !cols || tuff_ceil_div(p->n, cols) > CHUNKS + 4 ? 0 : (uint32_t)cols;
}

// Packs the left operand, and the right one by chunks, each followed by `multiply`.
static bool add_chunks(const tuff_qproduct *p, const packing *as, uint32_t unit,
                       void (*multiply)(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc,
                                        int right, bool direct, const tuff_caps *k,
                                        tuff_plan *plan),
                       const tuff_caps *k, tuff_plan *plan)
{
    const uint32_t chunk = chunk_of(p, as, unit, k);
    const size_t left = panel_bytes(as, p->m);
    bool direct;
    if (!chunk || !tuff_fits(k, left)) return false;
    if (as->floats && left / 16 > k->max_texels) return false;
    const uint32_t parts = as->parts > 1 ? as->parts : 1;
    const bool whole = as->to_bytes && p->requant && parts == 1;
    if (whole) direct = true;
    else if (!place_sums(p, k, parts, plan, &direct)) return false;
    plan->scratch[LEFT] = left;
    add_pack(p, &p->left, as, 0, p->m, LEFT, k, plan);
    struct tuff_qgemm_pc pc = {
        .m = p->m, .quads = as->quads, .plane = p->plane, .image_step = p->image_step,
        .left_sign = tuff_qsign(&p->call->in[p->left.input]),
        .left_zeros = tuff_qzeros(p->call, p->left.zero),
        .right_sign = tuff_qsign(&p->call->in[p->right.input]),
        .right_zeros = tuff_qzeros(p->call, p->right.zero)
    };
    // Two places for columns, so that one is packed while the other is read.
    for (uint32_t i = 0; i * chunk < p->n; i++) {
        const int right = i % 2 ? RIGHT_2 : RIGHT;
        pc.first = i * chunk;
        pc.n = p->n - pc.first < chunk ? p->n - pc.first : chunk;
        const size_t bytes = panel_bytes(as, pc.n);
        if (plan->scratch[right] < bytes) plan->scratch[right] = bytes;
        add_pack(p, &p->right, as, pc.first, pc.n, right, k, plan);
        multiply(p, &pc, right, direct, k, plan);
    }
    if (!whole) finish(p, k, parts, plan);
    return true;
}

static void multiply_packed(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc, int right,
                            bool direct, const tuff_caps *k, tuff_plan *plan)
{
    (void)p;
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_qgemm_packed);
    tuff_spec(d, k->subgroup);
    tuff_bind(d, TUFF_ROLE_SCRATCH, LEFT, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, right, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    bind_sums(d, direct);
    const uint64_t cols = tuff_ceil_div(pc->n, 4 * (uint64_t)k->subgroup);
    tuff_grid(d, tuff_ceil_div(pc->m, ROWS) * cols, k);
    tuff_push(d, pc, sizeof *pc);
}

static bool fits_words(const tuff_qproduct *p, const tuff_qoperand *o, const tuff_caps *k)
{
    return tuff_fits_words(k, &p->call->in[o->input]);
}

bool tuff_qproduct_packed(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan)
{
    const uint32_t w = k->subgroup;
    const packing as = { w, true, tuff_ceil_div(p->k, 4), false, 1 };
    if (!tuff_takes_texels(k) || p->batches) return false;
    if (p->m < FEW || p->n < FEW || (double)p->m * p->n * p->k < PACK_LEAST) return false;
    if (k->max_loop && as.quads + as.quads / 32 + 64 > k->max_loop) return false;
    if (!fits_words(p, &p->left, k) || !fits_words(p, &p->right, k)) return false;
    return add_chunks(p, &as, 4 * w, multiply_packed, k, plan);
}

static void multiply_tile(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc, int right,
                          bool direct, const tuff_caps *k, tuff_plan *plan, int shader)
{
    tuff_dispatch *d = tuff_plan_add(plan, shader);
    tuff_bind(d, TUFF_ROLE_SCRATCH, LEFT, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, right, TUFF_BIND_STORAGE, TUFF_READ);
    bind_sums(d, direct);
    tuff_bind_or_word(p->call, d, p->left.zero, p->left.input, TUFF_BIND_TEXEL_U32);
    tuff_bind_or_word(p->call, d, p->right.zero, p->right.input, TUFF_BIND_TEXEL_U32);
    tuff_grid(d, (uint64_t)tuff_ceil_div(pc->m, TILE) * tuff_ceil_div(pc->n, TILE), k);
    tuff_push(d, pc, sizeof *pc);
}

static void multiply_dot(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc, int right,
                         bool direct, const tuff_caps *k, tuff_plan *plan)
{
    multiply_tile(p, pc, right, direct, k, plan, TUFF_SHADER_qgemm_dot);
}

static void multiply_floats(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc, int right,
                            bool direct, const tuff_caps *k, tuff_plan *plan)
{
    multiply_tile(p, pc, right, direct, k, plan, TUFF_SHADER_qgemm_tile);
}

// Zero points that a kernel reads as texels.
static bool zeros_fit(const tuff_qproduct *p, int zero, const tuff_caps *k)
{
    return !is_there(p, zero) || tuff_fits_words(k, &p->call->in[zero]);
}

tuff_requant tuff_requant_of(const tuff_call *c, int left_scale, int right_scale, int y_scale,
                             int y_zero, bool relu)
{
    const bool is_signed = c->out[0].dtype == TUFF_I8;
    return (tuff_requant){
        .left_scale = left_scale, .right_scale = right_scale, .y_scale = y_scale,
        .y_zero = y_zero, .bias = -1,
        .pc = { .low = is_signed ? -128 : 0, .high = is_signed ? 127 : 255, .relu = relu,
                .zero_sign = tuff_qsign(&c->out[0]),
                .left_scales = tuff_qzeros(c, left_scale),
                .right_scales = tuff_qzeros(c, right_scale) },
    };
}

bool tuff_qproduct_tile(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan, bool dot8)
{
    const packing as = { 1, false, tuff_ceil_div(p->k, 4), false, 1 };
    if (dot8 && (!k->dot8 || !tuff_shader_built(TUFF_SHADER_qgemm_dot))) return false;
    if (k->max_group < TILE_GROUP || k->max_group_size[0] < TILE_GROUP ||
        k->shared < TILE_SHARED || p->batches)
        return false;
    if (p->m < FEW || p->n < FEW || (double)p->m * p->n * p->k < PACK_LEAST) return false;
    if (k->max_loop && (uint64_t)p->k * 8 + 1024 > k->max_loop) return false;
    if (!zeros_fit(p, p->left.zero, k) || !zeros_fit(p, p->right.zero, k)) return false;
    return add_chunks(p, &as, TILE, dot8 ? multiply_dot : multiply_floats, k, plan);
}

// ---- cooperative matrices ----------------------------------------------------------------

// Both operands lie along k, in words of four.
static const tuff_gemm_form quads = { .a_long_k = true, .b_long_k = true, .a_quad = true,
                                      .b_quad = true };

// The tile of all chunks, and the parts of each sum.
static bool choose_coop(const tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan,
                        tuff_coop_tile *t, uint32_t *parts)
{
    enum { SHORTEST_PART = 512 }; // products that are worth a part of their own
    const tuff_gemm g = { .m = p->m, .n = p->n, .k = (p->k + 3) / 4 * 4, .batches = 1 };
    tuff_gemm_cut cut;
    if (!tuff_coop_choose(&g, TUFF_COOP_I8, &quads, 0, k, t, &cut)) return false;
    const uint32_t useful = g.k / SHORTEST_PART;
    *parts = tuff_product_parts(plan, cut.parts, useful ? useful : 1);
    return true;
}

static void multiply_coop(const tuff_qproduct *p, const struct tuff_qgemm_pc *pc, int right,
                          bool direct, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_requant *r = direct ? p->requant : NULL;
    const int any = p->left.input;
    const bool bias = r && is_there(p, r->bias);
    struct tuff_qcoop_pc push = { .g = *pc };
    tuff_coop_tile t;
    uint32_t parts = 1;
    (void)choose_coop(p, k, plan, &t, &parts); // tuff_qproduct_coop has asked
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_qgemm_coop);
    tuff_bind(d, TUFF_ROLE_SCRATCH, LEFT, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, right, TUFF_BIND_STORAGE, TUFF_READ);
    bind_sums(d, direct);
    tuff_bind_or_word(p->call, d, p->left.zero, any, TUFF_BIND_TEXEL_U32);
    tuff_bind_or_word(p->call, d, p->right.zero, any, TUFF_BIND_TEXEL_U32);
    tuff_bind_or_word(p->call, d, r ? r->left_scale : -1, any, TUFF_BIND_TEXEL_F32);
    tuff_bind_or_word(p->call, d, bias ? r->bias : r ? r->right_scale : -1, any,
                      TUFF_BIND_TEXEL_U32);
    bind_word(p->call, d, r ? r->y_scale : any, TUFF_BIND_TEXEL_F32);
    bind_word(p->call, d, r ? r->right_scale : any, TUFF_BIND_TEXEL_F32);
    bind_word(p->call, d, r ? r->y_zero : any, TUFF_BIND_TEXEL_U32);
    if (r) push.r = r->pc;
    push.r.has_bias = bias;
    push.r.count = (uint32_t)tuff_desc_count(&p->call->out[0]);
    push.r.splits = parts;
    tuff_coop_spec(d, &t, &quads, r != NULL, k);
    tuff_grid(d, (uint64_t)tuff_ceil_div(pc->m, t.rows) * tuff_ceil_div(pc->n, t.cols) * parts,
              k);
    TUFF_PUSH(d, push);
}

// Scales and a bias that the kernel reads as texels, where it writes bytes.
static bool scales_fit(const tuff_qproduct *p, const tuff_caps *k)
{
    const tuff_requant *r = p->requant;
    const tuff_desc *in = p->call->in;
    return k->storage8 && tuff_fits_texel(k, &in[r->left_scale], 4) &&
           tuff_fits_texel(k, &in[r->right_scale], 4) &&
           (!is_there(p, r->bias) || tuff_fits_texel(k, &in[r->bias], 4));
}

bool tuff_qproduct_coop(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan)
{
    packing as = { 1, false, tuff_ceil_div(p->k, 4), p->requant && scales_fit(p, k), 1 };
    tuff_coop_tile t;
    if (!tuff_shader_built(TUFF_SHADER_qgemm_coop) || p->batches || !k->storage8)
        return false;
    if (!choose_coop(p, k, plan, &t, &as.parts)) return false;
    if (p->m < FEW || p->n < FEW || (double)p->m * p->n * p->k < PACK_LEAST) return false;
    if (!zeros_fit(p, p->left.zero, k) || !zeros_fit(p, p->right.zero, k)) return false;
    return add_chunks(p, &as, TILE, multiply_coop, k, plan);
}

// ---- bytes as they are -------------------------------------------------------------------

bool tuff_qproduct_plain(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan, bool texel)
{
    const tuff_call *c = p->call;
    if (!zeros_fit(p, p->right.zero, k)) return false;
    if (texel &&
        (!k->cpu_like || !fits_words(p, &p->left, k) || !fits_words(p, &p->right, k)))
        return false;
    // A quarter of the iterations is left to what is not the sum.
    const uint32_t most = k->max_loop ? k->max_loop / 4 * 3 : INT32_MAX;
    *p->splits = tuff_ceil_div(p->k, most);
    *p->k_step = *p->splits > 1 ? most : p->k;
    bool direct;
    if (!place_sums(p, k, *p->splits, plan, &direct)) return false;
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(plan, texel ? p->shader_texel : p->shader);
    const tuff_bind_kind kind = texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE;
    tuff_spec(d, wg);
    tuff_spec(d, bits_of(&p->left));
    tuff_bind(d, TUFF_ROLE_IN, p->left.input, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, p->right.input, kind, TUFF_READ);
    bind_sums(d, direct);
    tuff_bind_in(d, is_there(p, p->left.zero) ? p->left.zero : p->left.input);
    tuff_bind_or_word(c, d, p->right.zero, p->right.input, TUFF_BIND_TEXEL_U32);
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]) * *p->splits;
    tuff_grid(d, tuff_ceil_div(count, wg), k);
    tuff_push(d, p->pc, p->pc_bytes);
    finish(p, k, *p->splits, plan);
    return true;
}

// ---- reference ---------------------------------------------------------------------------

// To 24 bits, ties to even. A quotient of two 24-bit numbers that was rounded to a double is
// rounded once all the same: 53 >= 2 * 24 + 2 (Figueroa, 1995).
static double nearest_24(double v)
{
    int e;
    const double f = frexp(v, &e);
    return ldexp(rint(ldexp(f, 24)), e - 24);
}

double tuff_qfactor(float a, float b, float s)
{
    const double m = nearest_24(nearest_24((double)a * (double)b) / (double)s);
    return isfinite(m) ? m : 0;
}

int64_t tuff_requant_ref(int32_t acc, double factor, int64_t zero, tuff_dtype to, bool relu)
{
    const int64_t high = to == TUFF_I8 ? 127 : 255, far = (int64_t)1 << 20;
    int64_t low = to == TUFF_I8 ? -128 : 0;
    if (relu && zero > low) low = zero;
    int e;
    // acc m = product 2^(e - 24), a whole number of at most 55 bits: exact.
    const int64_t product = acc * (int64_t)ldexp(frexp(factor, &e), 24);
    const int shift = 24 - e;
    int64_t y = product < 0 ? -far : product > 0 ? far : 0;
    if (shift > 62) y = 0;
    else if (shift > 0) {
        const int64_t one = (int64_t)1 << shift;
        int64_t whole = product / one, rest = product % one;
        if (rest < 0) { // towards minus infinity
            rest += one;
            whole--;
        }
        if (2 * rest > one || (2 * rest == one && whole % 2 != 0)) whole++;
        y = whole < -far ? -far : whole > far ? far : whole;
    }
    y += zero;
    return y < low ? low : y > high ? high : y;
}
