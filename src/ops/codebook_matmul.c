// codebook_matmul: a product with a matrix of indices into a codebook. The shaders are
// codebook_matmul.comp, those of block_plan.h, and gemm.h's for what follows.
#include "ops/block_plan.h"
#include "ops/codebook.h"
#include "ops/ops.h"

enum { X, INDICES, CODEBOOK, BIAS, RESIDUAL };

static int64_t inner(const tuff_call *c) { return c->in[X].dim[c->in[X].rank - 1]; }

static int64_t columns(const tuff_call *c) { return c->in[INDICES].dim[0]; }

static int bits_of(const tuff_call *c) { return tuff_codebook_bits(&c->in[CODEBOOK]); }

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_codebook_matmul_params *p = c->params;
    const tuff_desc *indices = &c->in[INDICES];
    char b[96];
    TUFF_TRY(tuff_block_infer(c, columns(c), BIAS, RESIDUAL, p->act, out));
    TUFF_TRY(tuff_codebook_check(&c->in[CODEBOOK]));
    const long long words = (long long)tuff_codebook_words(bits_of(c), inner(c));
    TUFF_REQUIRE(indices->rank == 2 && indices->dim[1] == words, SHAPE,
                 "indices is %s, expected [N, %lld]: the words of %lld indices of %d bits",
                 tuff_desc_print(indices, b, sizeof b), words, (long long)inner(c), bits_of(c));
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

// One unit is one column of y.
static void ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_codebook_matmul_params *p = c->params;
    const int bits = bits_of(c);
    const size_t k = (size_t)inner(c), n = (size_t)columns(c);
    const size_t rows = (size_t)tuff_desc_count(&c->in[X]) / k;
    const size_t words = (size_t)c->in[INDICES].dim[1];
    const uint32_t *indices = (const uint32_t *)(const void *)r->in[INDICES];
    for (size_t col = r->begin; col < r->end; col++)
        for (size_t row = 0; row < rows; row++) {
            double sum = 0;
            for (size_t i = 0; i < k; i++) {
                const uint32_t at = tuff_codebook_index(bits, indices + col * words,
                                                        (int64_t)i);
                sum += (double)r->in[X][row * k + i] * (double)r->in[CODEBOOK][at];
            }
            const size_t to = row * n + col;
            if (r->in[BIAS]) sum += (double)r->in[BIAS][col];
            if (r->in[RESIDUAL]) sum += (double)r->in[RESIDUAL][to];
            r->out[0][to] = (float)tuff_act_ref(sum, p->act);
        }
}

static size_t units(const tuff_call *c) { return (size_t)columns(c); }

// ---- plans ---------------------------------------------------------------------------------

static tuff_block_product product_of(const tuff_call *c)
{
    const tuff_codebook_matmul_params *p = c->params;
    return (tuff_block_product){ .p = tuff_block_product_of(c, columns(c), BIAS, RESIDUAL,
                                                            p->act),
                                 .codebook = CODEBOOK, .unit = 32,
                                 .format = TUFF_FORMAT_CODEBOOK + (uint32_t)bits_of(c),
                                 .row_bytes = 4 * (uint32_t)c->in[INDICES].dim[1] };
}

static bool packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return b.p.g.k % 32 == 0 && tuff_block_packed(&b, k, plan);
}

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return b.p.g.k % 32 == 0 && tuff_block_texel(&b, k, plan);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    return b.p.g.k % 32 == 0 && tuff_block_group(&b, k, plan);
}

static struct tuff_codebook_matmul_pc push_of(const tuff_block_product *b)
{
    return (struct tuff_codebook_matmul_pc){ .g = b->p.g, .words = b->row_bytes / 4 };
}

// The first dispatch takes what gemm.h's kernels do not know of: constant 11, binding 5.
static void add_codebook(const tuff_block_product *b, tuff_dispatch *d)
{
    while (d->launch.nspec < 11) tuff_spec(d, 0);
    tuff_spec(d, b->format - TUFF_FORMAT_CODEBOOK);
    tuff_bind(d, TUFF_ROLE_IN, CODEBOOK, TUFF_BIND_TEXEL_F32, TUFF_READ);
}

static bool tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    struct tuff_codebook_matmul_pc pc = push_of(&b);
    if (!tuff_product_tile(&b.p, TUFF_SHADER_codebook_matmul_tile, &pc, sizeof pc,
                           &(tuff_gemm_form){ .a_long_k = true, .b_long_k = true }, k, plan))
        return false;
    add_codebook(&b, &plan->d[0]);
    return true;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_block_product b = product_of(c);
    struct tuff_codebook_matmul_pc pc = push_of(&b);
    if (!tuff_product_plain(&b.p, TUFF_SHADER_codebook_matmul_plain, &pc, sizeof pc, k, plan))
        return false;
    add_codebook(&b, &plan->d[0]);
    return true;
}

// ---- the CPU path --------------------------------------------------------------------------

static tuff_codebook_product host_of(const tuff_call *c)
{
    const tuff_codebook_matmul_params *p = c->params;
    return (tuff_codebook_product){
        .bits = bits_of(c), .rows = tuff_desc_count(&c->in[X]) / inner(c), .n = columns(c),
        .k = inner(c), .words = c->in[INDICES].dim[1],
        .finish = { .alpha = 1, .beta = 1, .plus_n = 1, .act = p->act } };
}

static bool host_takes(const tuff_call *c) { return c->in[X].dtype == TUFF_F32; }

static size_t host_units(const tuff_call *c, int stage)
{
    const tuff_codebook_product p = host_of(c);
    return stage ? 0 : tuff_codebook_host_units(p.rows, p.n, p.k);
}

static void host_run(const tuff_ref *r)
{
    tuff_codebook_product p = host_of(r->call);
    p.x = r->in[X];
    p.indices = (const uint32_t *)(const void *)r->in[INDICES];
    p.codebook = r->in[CODEBOOK];
    p.finish.plus = r->in[BIAS];
    p.finish.residual = r->in[RESIDUAL];
    p.y = r->out[0];
    tuff_codebook_host(&p, r->begin, r->end);
}

// ---- record --------------------------------------------------------------------------------

// With d = dy act': dx = d W and dW = d^T x, of which a number of the codebook has the sum over
// its indices.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_codebook_matmul_params *p = n->call.params;
    const int64_t k = inner(&n->call), cols = columns(&n->call);
    const int64_t rows = tuff_desc_count(&n->call.in[X]) / k;
    const tuff_codebook_params of_row = { .cols = k };
    const tuff_codebook_grad_params of_book = { .bits = bits_of(&n->call) };
    const tuff_matmul_params transposed = { .trans_a = true };
    const tuff_var d = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    const tuff_dtype type = n->call.in[X].dtype;
    const tuff_var flat = t->reshape(t, d, &TUFF_SHAPE(type, rows, cols));
    const tuff_var x = t->reshape(t, n->in[X], &TUFF_SHAPE(type, rows, k));
    const tuff_var w = TUFF_V(t, &tuff_op_codebook_dequantize, &of_row, n->in[INDICES],
                              n->in[CODEBOOK]);
    dx[X] = t->reshape(t, TUFF_V(t, &tuff_op_matmul, NULL, flat, w), &n->call.in[X]);
    const tuff_var dw = TUFF_V(t, &tuff_op_matmul, &transposed, flat, x);
    dx[CODEBOOK] = TUFF_V(t, &tuff_op_codebook_grad, &of_book, dw, n->in[INDICES]);
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
    tuff_codebook_draw(&c->in[INDICES], in[INDICES]);
}

const tuff_op tuff_op_codebook_matmul = {
    .name = "codebook_matmul",
    .doc = "y = act(x W^T + bias + residual), W = codebook[indices]",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "indices", .dtypes = TUFF_U32, .no_grad = true },
            { .name = "codebook", .dtypes = TUFF_FLOATS },
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true },
            { .name = "residual", .dtypes = TUFF_FLOATS, .optional = true } },
    .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },
    .params_size = sizeof(tuff_codebook_matmul_params),
    .params = { TUFF_ENUM(tuff_codebook_matmul_params, act, tuff_act_names) },
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("packed", packed), TUFF_KERNEL("texel", texel),
                  TUFF_GPU_KERNEL("group", group), TUFF_GPU_KERNEL("tile", tile),
                  TUFF_KERNEL("plain", plain) },
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_run,
                 .units = host_units } },
    .fuse = { .bias = BIAS, .residual = RESIDUAL,
              .act = offsetof(tuff_codebook_matmul_params, act), .bias_axis = 0 },
    .tol = { .f32 = 1e-5f }, // as matmul's
    .sample = { -1, 1 },
    .prepare = prepare,
    .cases = TUFF_CASES("1x1 1x1 2", "3x5x107 37x14 16 37 3x5x37 act=relu",
                        "2x32 16x1 2 16 act=tanh", "1x64 20x4 4", "5x96 16x9 8",
                        "4x160 48x20 16 48", "1x224 12x35 32", "3x32 16x6 64",
                        "2x96 16x21 128", "1x1056 35x264 256 35", "2x70001 3x6563 8",
                        "97x352 128x44 16 128")
};

tuff_status tuff_codebook_matmul(tuff_stream *s, const tuff_tensor *x,
                                 const tuff_tensor *indices, const tuff_tensor *codebook,
                                 const tuff_tensor *bias, const tuff_tensor *residual,
                                 tuff_tensor *y, const tuff_codebook_matmul_params *p)
{
    return tuff_run(s, &tuff_op_codebook_matmul,
                    TUFF_RUN_IN(x, indices, codebook, bias, residual), TUFF_RUN_OUT(y), p);
}
