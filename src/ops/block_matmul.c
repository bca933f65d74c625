// block_matmul: a product with a matrix in blocks. The shaders are block_matmul_*.comp, and
// gemm.h's for what follows.
#include "ops/block.h"
#include "ops/block_plan.h"
#include "ops/ops.h"

enum { X, W, BIAS, RESIDUAL };

static int format_of(const tuff_call *c)
{
    const tuff_block_matmul_params *p = c->params;
    return p->format;
}

static int64_t inner(const tuff_call *c) { return c->in[X].dim[c->in[X].rank - 1]; }

static int64_t columns(const tuff_call *c) { return c->in[W].dim[0]; }

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_block_matmul_params *p = c->params;
    const tuff_desc *x = &c->in[X], *w = &c->in[W];
    char a[96], b[96];
    int64_t k;
    TUFF_TRY(tuff_block_check(p->format));
    TUFF_REQUIRE(w->rank == 2, SHAPE, "w is %s, expected 2 dims: rows and their bytes",
                 tuff_desc_print(w, b, sizeof b));
    TUFF_TRY(tuff_block_infer(c, columns(c), BIAS, RESIDUAL, p->act, out));
    TUFF_TRY(tuff_block_to_numbers(p->format, "w", w, &k));
    TUFF_REQUIRE(inner(c) == k, SHAPE, "x is %s, w is %s: a row of w holds %lld numbers, "
                 "expected %lld", tuff_desc_print(x, a, sizeof a),
                 tuff_desc_print(w, b, sizeof b), (long long)k, (long long)inner(c));
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

// One unit is one column of y: each row of w is decoded once.
static void ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_block_matmul_params *p = c->params;
    const tuff_block_kind *kind = &tuff_block_kinds[p->format];
    const size_t k = (size_t)inner(c), n = (size_t)columns(c);
    const size_t rows = (size_t)tuff_desc_count(&c->in[X]) / k;
    const uint8_t *w = (const uint8_t *)(const void *)r->in[W];
    for (size_t col = r->begin; col < r->end; col++) {
        const uint8_t *from = w + col * tuff_block_row(p->format, (int64_t)k);
        for (size_t row = 0; row < rows; row++) {
            double sum = 0;
            for (size_t at = 0; at < k; at += (size_t)kind->count) {
                float numbers[256];
                kind->decode(from + at / (size_t)kind->count * kind->bytes, numbers);
                sum += tuff_dot(r->in[X] + row * k + at, numbers, 1, kind->count);
            }
            const size_t i = row * n + col;
            if (r->in[BIAS]) sum += (double)r->in[BIAS][col];
            if (r->in[RESIDUAL]) sum += (double)r->in[RESIDUAL][i];
            r->out[0][i] = (float)tuff_act_ref(sum, p->act);
        }
    }
}

static size_t units(const tuff_call *c) { return (size_t)columns(c); }

static int64_t rows_of(const tuff_call *c) { return tuff_desc_count(&c->in[X]) / inner(c); }

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static size_t host_units(const tuff_call *c, int stage)
{
    return stage ? 0 : tuff_block_host_units(rows_of(c), columns(c), inner(c));
}

static void host_run(const tuff_ref *r)
{
    const tuff_block_matmul_params *p = r->call->params;
    const tuff_block_host h = {
        .format = p->format, .rows = rows_of(r->call), .n = columns(r->call),
        .k = inner(r->call), .x = r->in[X], .w = (const uint8_t *)(const void *)r->in[W],
        .y = r->out[0],
        .finish = { .residual = r->in[RESIDUAL], .plus = r->in[BIAS], .plus_n = 1, .alpha = 1,
                    .beta = 1, .act = p->act } };
    tuff_block_host_run(&h, r->begin, r->end);
}

// ---- plans ---------------------------------------------------------------------------------

static tuff_block_product product_of(const tuff_call *c)
{
    const tuff_block_matmul_params *p = c->params;
    return (tuff_block_product){ .p = tuff_block_product_of(c, columns(c), BIAS, RESIDUAL,
                                                            p->act),
                                 .format = (uint32_t)p->format, .codebook = -1,
                                 .unit = (uint32_t)tuff_block_kinds[p->format].count,
                                 .row_bytes = (uint32_t)tuff_block_row(p->format, inner(c)) };
}

static bool packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return tuff_block_packed(&b, k, plan);
}

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return tuff_block_texel(&b, k, plan);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return tuff_block_group(&b, k, plan);
}

static bool tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    struct tuff_block_matmul_pc pc = tuff_block_push(&b);
    if (b.p.g.m <= TUFF_BLOCK_ROWS) return false; // `group` takes it
    if (!tuff_product_tile(&b.p, TUFF_SHADER_block_matmul_tile, &pc, sizeof pc,
                           &(tuff_gemm_form){ .a_long_k = true, .b_long_k = true }, k, plan))
        return false;
    tuff_spec(&plan->d[0], b.format);
    return true;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    const uint32_t wg = tuff_group_size(k);
    if (!tuff_product_cut(&b.p, k, 1, 4, tuff_product_direct(&b.p, k))) return false;
    tuff_dispatch *d = tuff_product_add(&b.p, TUFF_SHADER_block_matmul_plain, plan);
    const struct tuff_block_matmul_pc pc = tuff_block_push(&b);
    tuff_spec(d, wg);
    tuff_spec(d, b.format);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_ceil_div((uint64_t)b.p.g.count * b.p.g.splits, wg), k);
    tuff_product_finish(&b.p, k, plan);
    return true;
}

// ---- record --------------------------------------------------------------------------------

// dx = (dy act') W, where W is written out; the bias and the residual are added, so theirs is
// the sum over the rows, and dy act' itself. The blocks are numbers that do not move.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_block_matmul_params *p = n->call.params;
    const tuff_var d = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    const tuff_blocks_params blocks = { .format = p->format };
    const int64_t k = inner(&n->call), cols = columns(&n->call);
    const int64_t rows = tuff_desc_count(&n->call.in[X]) / k;
    const tuff_dtype type = n->call.in[X].dtype;
    const tuff_cast_params cast = { .to = (int)type };
    tuff_var w = TUFF_V(t, &tuff_op_dequantize_blocks, &blocks, n->in[W]);
    if (type != TUFF_F32) w = TUFF_V(t, &tuff_op_cast, &cast, w);
    const tuff_var flat = t->reshape(t, d, &TUFF_SHAPE(type, rows, cols));
    dx[X] = t->reshape(t, TUFF_V(t, &tuff_op_matmul, NULL, flat, w), &n->call.in[X]);
    if (tuff_call_has(&n->call, BIAS)) {
        const tuff_reduce_params over = { .axes = 2 };
        dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &over, flat);
    }
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = d;
}

static tuff_cost cost(const tuff_call *c)
{
    return (tuff_cost){ .flops = 2.0 * (double)tuff_desc_count(&c->in[X]) * (double)columns(c),
                        .bytes = tuff_call_bytes(c) };
}

static void prepare(const tuff_call *c, void *const in[])
{
    tuff_block_make_valid(format_of(c), in[W], tuff_desc_bytes(&c->in[W]));
}

const tuff_op tuff_op_block_matmul = {
    .name = "block_matmul",
    .doc = "y = act(x W^T + bias + residual), the rows of W being blocks of `format`",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "w", .dtypes = TUFF_U8, .no_grad = true },
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true },
            { .name = "residual", .dtypes = TUFF_FLOATS, .optional = true } },
    .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },
    .native = TUFF_F32 | TUFF_U8,
    .params_size = sizeof(tuff_block_matmul_params),
    .params = { TUFF_ENUM(tuff_block_matmul_params, format, tuff_block_names),
                TUFF_ENUM(tuff_block_matmul_params, act, tuff_act_names) },
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("packed", packed), TUFF_KERNEL("texel", texel),
                  TUFF_GPU_KERNEL("group", group), TUFF_GPU_KERNEL("tile", tile),
                  TUFF_KERNEL("plain", plain) },
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_run,
                 .units = host_units } },
    .fuse = { .bias = BIAS, .residual = RESIDUAL,
              .act = offsetof(tuff_block_matmul_params, act), .bias_axis = 0 },
    .tol = { .f32 = 1e-5f }, // as matmul's: f32 sums, the numbers of the blocks being exact
    .sample = { -1, 1 },
    .prepare = prepare,
    // Every format, blocks at every place within words, whole texels and not; a sum over the
    // limit of loops, a product that is worth packing.
    .cases = TUFF_CASES("1x32 1x18", "3x5x96 37x54 37 3x5x37 act=relu",
                        "2x64 40x40 40 format=q4_1 act=tanh", "1x160 48x110 format=q5_0",
                        "5x32 10x24 format=q5_1", "1x1056 136x1122 136 format=q8_0",
                        "2x256 12x84 format=q2_k", "3x768 8x330 format=q3_k",
                        "5x512 35x288 35 format=q4_k", "1x256 67x176 format=q5_k",
                        "17x256 24x210 24 format=q6_k", "6x96 8x54 format=iq4_nl",
                        "1x192 16x108 format=nf4", "4x64 24x34 format=nf4_f16",
                        "2x65600 4x69700 format=q8_0", "97x352 128x198 128"),
};

tuff_status tuff_block_matmul(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                              const tuff_tensor *bias, const tuff_tensor *residual,
                              tuff_tensor *y, const tuff_block_matmul_params *p)
{
    return tuff_run(s, &tuff_op_block_matmul, TUFF_RUN_IN(x, w, bias, residual),
                    TUFF_RUN_OUT(y), p);
}
