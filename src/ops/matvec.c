// matmul's kernels where one operand is one to eight vectors: the matrix is read once, which is
// all the time it takes. The shaders are matvec_group.comp and matvec_texel.comp.
#include "ops/matmul.h"

enum {
    MOST_VECTORS = 8,
    GROUP = 64,       // invocations of matvec_group.comp
    BUSY = 1024,      // workgroups that keep a large GPU busy
    BUSY_LANES = 16,  // ... and the threads of a CPU
    SHORT = 512,      // products that are worth a part of their own
};

// How the product looks to these kernels; see matvec.glsl.
typedef struct vectors {
    struct tuff_matmul_pc pc; // the matrix in the place of a, but for m and n
    int matrix, vector;       // inputs
    bool matrix_b, long_k, wide, v_wide;
    uint32_t rows, vecs;
} vectors;

static void swap(uint32_t *a, uint32_t *b)
{
    const uint32_t v = *a;
    *a = *b;
    *b = v;
}

static bool vectors_of(const tuff_product *p, const struct tuff_matmul_pc *pc, vectors *v)
{
    const tuff_gemm *g = &p->g;
    *v = (vectors){ .pc = *pc, .matrix = p->a, .vector = p->b, .matrix_b = g->n > g->m,
                    .rows = g->n > g->m ? g->n : g->m };
    const uint32_t n = v->matrix_b ? g->m : g->n;
    if (n > MOST_VECTORS) return false;
    v->vecs = n == 1 ? 1 : n <= 4 ? 4 : 8; // few kernels
    if (v->matrix_b) {
        v->matrix = p->b;
        v->vector = p->a;
        swap(&v->pc.a_m, &v->pc.b_n);
        swap(&v->pc.a_k, &v->pc.b_k);
        for (int i = 0; i < TUFF_MATMUL_DIMS; i++) swap(&v->pc.a_step[i], &v->pc.b_step[i]);
    }
    v->long_k = v->pc.a_k == 1;
    // Operands are dense: where the inner dim is a multiple of four, so is every other step.
    v->wide = (v->long_k ? g->k : v->rows) % 4 == 0;
    v->v_wide = v->wide && v->pc.b_k == 1 && g->k % 4 == 0;
    return true;
}

// The push constants of a product that has been cut.
static void push(tuff_dispatch *d, const tuff_product *p, vectors *v)
{
    v->pc.g = p->g;
    v->pc.g.after |= v->matrix_b ? TUFF_AFTER_MATRIX_B : 0;
    TUFF_PUSH(d, v->pc);
}

static void spec(tuff_dispatch *d, uint32_t group, const vectors *v)
{
    tuff_spec(d, group);
    tuff_spec(d, v->long_k);
    tuff_spec(d, v->wide);
    tuff_spec(d, v->v_wide);
    tuff_spec(d, v->vecs);
}

// Parts of a sum: enough for the device, and none that is short.
static uint32_t parts_of(const tuff_gemm *g, uint64_t tiles, uint32_t busy, tuff_plan *plan)
{
    const uint64_t wanted = busy / (tiles ? tiles : 1);
    return tuff_product_parts(plan, (uint32_t)wanted, g->k / SHORT);
}

bool tuff_matmul_matvec_group(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                              tuff_plan *plan)
{
    vectors v;
    if (!vectors_of(p, pc, &v)) return false;
    if (p->g.k < (v.long_k ? 2 * GROUP : GROUP / 4)) return false; // most would be idle
    const uint64_t tiles = (uint64_t)tuff_ceil_div(v.rows, v.long_k ? 4 : 64) * p->g.batches;
    if (!tuff_product_cut(p, k, parts_of(&p->g, tiles, BUSY, plan), 4,
                          tuff_product_direct(p, k)))
        return false;
    const tuff_dtype type = p->call->in[p->a].dtype;
    tuff_product turned = *p;
    turned.a = v.matrix;
    turned.b = v.vector;
    tuff_dispatch *d = tuff_product_add(&turned, TUFF_SHADER_matvec_group, plan);
    spec(d, GROUP, &v);
    tuff_spec(d, type == TUFF_F16    ? TUFF_ELEMENT_F16
                 : type == TUFF_BF16 ? TUFF_ELEMENT_BF16 : TUFF_ELEMENT_F32);
    push(d, p, &v);
    tuff_grid(d, tiles * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

bool tuff_matmul_matvec(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                        tuff_plan *plan)
{
    vectors v;
    if (!tuff_takes_texels(k) || !vectors_of(p, pc, &v)) return false;
    const tuff_call *c = p->call;
    const bool several = v.matrix_b && v.vecs > 1;
    // Several are a product like others where there is a better kernel for those, and where
    // multiplying is slow.
    if (!plan->forced && several && (k->slow_multiply || tuff_matmul_is_wide(p, pc, k)))
        return false;
    const bool fits = tuff_fits_texel(k, &c->in[v.matrix], v.wide ? 16 : 4) &&
                      tuff_fits_texel(k, &c->in[v.vector], v.v_wide ? 16 : 4);
    const uint32_t w = k->subgroup, rows = v.vecs == 8 ? 4 : 8, blocks = v.vecs == 1 ? 4 : 1;
    const uint32_t tile = v.long_k ? rows : 4 * w * blocks;
    const uint64_t tiles = (uint64_t)tuff_ceil_div(v.rows, tile) * p->g.batches;
    const bool residual = tuff_call_has(c, p->residual);
    if (!tuff_product_cut(p, k, parts_of(&p->g, tiles, BUSY_LANES, plan), 4,
                          tuff_product_direct(p, k) && !residual))
        return false;
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_matvec_texel
                                                : TUFF_SHADER_matvec_stored);
    const tuff_bind_kind wide = fits ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_STORAGE;
    const tuff_bind_kind narrow = fits ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    tuff_bind(d, TUFF_ROLE_IN, v.matrix, v.wide ? wide : narrow, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, v.vector, v.v_wide ? wide : narrow, TUFF_READ);
    tuff_product_bind_y(p, d);
    tuff_product_bind_bias(p, d);
    spec(d, w, &v);
    push(d, p, &v);
    tuff_grid(d, tiles * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}
