// codebook_dequantize and codebook_grad, and indices on the host. Shaders: codebook.comp,
// codebook_grad.comp and codebook_sum.comp.
#include "ops/codebook.h"
#include "ops/ops.h"
#include "abi/block.h"
#include <string.h>

enum { INDICES, CODEBOOK };

// ---- host ----------------------------------------------------------------------------------

int64_t tuff_codebook_words(int bits, int64_t cols)
{
    return bits < 1 || bits > TUFF_CODEBOOK_BITS ? 0 : (cols * bits + 31) / 32;
}

static tuff_status check_host(int bits, const void *a, const void *b, int64_t rows,
                              int64_t cols)
{
    TUFF_REQUIRE(a && b, ARG, "codebook: a pointer is NULL");
    TUFF_REQUIRE(bits >= 1 && bits <= TUFF_CODEBOOK_BITS, ARG, "codebook: bits is %d, expected "
                 "1 to %d", bits, TUFF_CODEBOOK_BITS);
    TUFF_REQUIRE(rows >= 0 && cols >= 0, ARG, "codebook: %lld x %lld indices",
                 (long long)rows, (long long)cols);
    return TUFF_OK;
}

void tuff_codebook_put(int bits, uint32_t *row, int64_t k, uint32_t v)
{
    const int64_t bit = k * bits;
    uint32_t *w = row + bit / 32;
    w[0] |= v << bit % 32;
    if (bit % 32 + bits > 32) w[1] |= v >> (32 - bit % 32);
}

tuff_status tuff_codebook_pack(int bits, const uint8_t *indices, int64_t rows, int64_t cols,
                               uint32_t *words)
{
    TUFF_TRY(check_host(bits, indices, words, rows, cols));
    const int64_t step = tuff_codebook_words(bits, cols);
    memset(words, 0, (size_t)(rows * step) * sizeof *words);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < cols; k++) {
            const uint32_t v = indices[row * cols + k];
            TUFF_REQUIRE(v >> bits == 0, ARG, "codebook: index %lld of row %lld is %u, "
                         "expected below %d", (long long)k, (long long)row, v, 1 << bits);
            tuff_codebook_put(bits, words + row * step, k, v);
        }
    return TUFF_OK;
}

uint32_t tuff_codebook_index(int bits, const uint32_t *row, int64_t k)
{
    const int64_t bit = k * bits;
    uint64_t w = row[bit / 32];
    if (bit % 32 + bits > 32) w |= (uint64_t)row[bit / 32 + 1] << 32;
    return (uint32_t)(w >> bit % 32) & ((1u << bits) - 1);
}

tuff_status tuff_codebook_unpack(int bits, const uint32_t *words, int64_t rows, int64_t cols,
                                 uint8_t *indices)
{
    TUFF_TRY(check_host(bits, words, indices, rows, cols));
    const int64_t step = tuff_codebook_words(bits, cols);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < cols; k++)
            indices[row * cols + k] = (uint8_t)tuff_codebook_index(bits, words + row * step, k);
    return TUFF_OK;
}

// ---- what the ops share --------------------------------------------------------------------

int tuff_codebook_bits(const tuff_desc *codebook)
{
    int bits = 0;
    while (((int64_t)1 << bits) < codebook->dim[0] && bits <= TUFF_CODEBOOK_BITS) bits++;
    return bits;
}

tuff_status tuff_codebook_check(const tuff_desc *codebook)
{
    char text[96];
    TUFF_REQUIRE(codebook->rank == 1, SHAPE, "codebook is %s, expected 1 dim",
                 tuff_desc_print(codebook, text, sizeof text));
    const int bits = tuff_codebook_bits(codebook);
    TUFF_REQUIRE(bits >= 1 && bits <= TUFF_CODEBOOK_BITS &&
                 codebook->dim[0] == (int64_t)1 << bits, SHAPE,
                 "codebook has %lld numbers, expected 2, 4, 8, .. 256",
                 (long long)codebook->dim[0]);
    return TUFF_OK;
}

// Any bits are indices; what is drawn has few, and every second word gets more.
void tuff_codebook_draw(const tuff_desc *indices, uint32_t *words)
{
    for (int64_t i = 0; i < tuff_desc_count(indices); i++)
        words[i] = (words[i] + (uint32_t)i + 1) * 2654435761u ^ (uint32_t)i * 40503u << 7;
}

static uint32_t last_dim(const tuff_desc *d) { return (uint32_t)d->dim[d->rank - 1]; }

// ---- codebook_dequantize -------------------------------------------------------------------

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_codebook_params *p = c->params;
    const tuff_desc *indices = &c->in[INDICES];
    TUFF_TRY(tuff_codebook_check(&c->in[CODEBOOK]));
    TUFF_REQUIRE(indices->rank >= 1, SHAPE, "indices has no dims, expected at least 1");
    const int bits = tuff_codebook_bits(&c->in[CODEBOOK]);
    const int64_t words = last_dim(indices), cols = p->cols ? p->cols : words * 32 / bits;
    TUFF_REQUIRE(cols > 0 && tuff_codebook_words(bits, cols) == words, SHAPE,
                 "indices has %lld words a row, expected %lld for cols %lld of %d bits",
                 (long long)words, (long long)tuff_codebook_words(bits, cols), (long long)cols,
                 bits);
    out[0] = *indices;
    out[0].dtype = c->in[CODEBOOK].dtype;
    out[0].dim[indices->rank - 1] = cols;
    return TUFF_OK;
}

static size_t units(const tuff_call *c)
{
    return (size_t)(tuff_desc_count(&c->out[0]) / last_dim(&c->out[0]));
}

static void ref(const tuff_ref *r)
{
    const int bits = tuff_codebook_bits(&r->call->in[CODEBOOK]);
    const size_t words = last_dim(&r->call->in[INDICES]), cols = last_dim(&r->call->out[0]);
    const uint32_t *indices = (const uint32_t *)(const void *)r->in[INDICES];
    for (size_t row = r->begin; row < r->end; row++)
        for (size_t k = 0; k < cols; k++)
            r->out[0][row * cols + k] =
                r->in[CODEBOOK][tuff_codebook_index(bits, indices + row * words, (int64_t)k)];
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const uint32_t wg = tuff_group_size_flat(k), count = (uint32_t)tuff_desc_count(&c->out[0]);
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_codebook_texel
                                              : TUFF_SHADER_codebook);
    tuff_bind(d, TUFF_ROLE_IN, INDICES, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
              TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, CODEBOOK, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)tuff_codebook_bits(&c->in[CODEBOOK]));
    TUFF_PUSH(d, (struct tuff_codebook_pc){ .cols = last_dim(&c->out[0]),
                                            .words = last_dim(&c->in[INDICES]),
                                            .count = count });
    tuff_grid(d, (count + (uint64_t)wg - 1) / wg, k);
    return true;
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return k->cpu_like && tuff_fits_words(k, &c->in[INDICES]) && plan(c, k, p, true);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, false);
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_codebook_grad_params p = { .bits = tuff_codebook_bits(&n->call.in[CODEBOOK]) };
    dx[CODEBOOK] = TUFF_V(t, &tuff_op_codebook_grad, &p, dy[0], n->in[INDICES]);
}

static void prepare(const tuff_call *c, void *const in[])
{
    tuff_codebook_draw(&c->in[INDICES], in[INDICES]);
}

const tuff_op tuff_op_codebook_dequantize = {
    .name = "codebook_dequantize",
    .doc = "y = codebook[indices], where indices of log2(numbers) bits lie packed in words",
    .in = { { .name = "indices", .dtypes = TUFF_U32, .no_grad = true },
            { .name = "codebook", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_codebook_params),
    .params = { TUFF_INT64(tuff_codebook_params, cols) },
    .infer = infer, .ref = ref, .units = units, .grad = grad,
    .variants = { TUFF_KERNEL("texel", plan_texel), TUFF_KERNEL("plain", plan_plain) },
    .tol = { .f32 = 0 }, // numbers are copied
    .sample = { -2, 2 },
    .prepare = prepare,
    .cases = TUFF_CASES("1 2", "3x7 4 cols=107", "5x11 8", "2x3x5 16 cols=37",
                        "13x6 32 cols=37", "7x7 64 cols=37", "5x9 128 cols=41", "3x70 256")
};

tuff_status tuff_codebook_dequantize(tuff_stream *s, const tuff_tensor *indices,
                                     const tuff_tensor *codebook, tuff_tensor *y,
                                     const tuff_codebook_params *p)
{
    return tuff_run(s, &tuff_op_codebook_dequantize, TUFF_RUN_IN(indices, codebook),
                    TUFF_RUN_OUT(y), p);
}

// ---- codebook_grad -------------------------------------------------------------------------

enum {
    DW, OF,
    SHORTEST_SPAN = 1024, // elements of a part
    MOST_PARTS = 2048,    // an invocation adds all parts of a number
    GROUP = 128
};

static int bits_of(const tuff_call *c)
{
    const tuff_codebook_grad_params *p = c->params;
    return p->bits ? p->bits : 4;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    const int bits = bits_of(c);
    const tuff_desc *dw = &c->in[DW], *of = &c->in[OF];
    char got[96], want[96];
    TUFF_REQUIRE(bits >= 1 && bits <= TUFF_CODEBOOK_BITS, ARG, "bits is %d, expected 1 to %d, "
                 "or 0 for 4", bits, TUFF_CODEBOOK_BITS);
    TUFF_REQUIRE(dw->rank >= 1, SHAPE, "dw has no dims, expected at least 1");
    tuff_desc words = *dw;
    words.dtype = TUFF_U32;
    words.dim[dw->rank - 1] = tuff_codebook_words(bits, last_dim(dw));
    TUFF_REQUIRE(tuff_desc_equal(of, &words), SHAPE, "indices is %s, expected %s",
                 tuff_desc_print(of, got, sizeof got),
                 tuff_desc_print(&words, want, sizeof want));
    out[0] = TUFF_SHAPE(dw->dtype, (int64_t)1 << bits);
    return TUFF_OK;
}

static void ref_grad(const tuff_ref *r)
{
    const tuff_desc *dw = &r->call->in[DW];
    const int bits = bits_of(r->call);
    const size_t cols = last_dim(dw), words = last_dim(&r->call->in[OF]);
    const size_t rows = (size_t)tuff_desc_count(dw) / cols;
    const uint32_t *indices = (const uint32_t *)(const void *)r->in[OF];
    double sum[1 << TUFF_CODEBOOK_BITS] = { 0 };
    for (size_t row = 0; row < rows; row++)
        for (size_t k = 0; k < cols; k++)
            sum[tuff_codebook_index(bits, indices + row * words, (int64_t)k)] +=
                (double)r->in[DW][row * cols + k];
    for (int i = 0; i < 1 << bits; i++) r->out[0][i] = (float)sum[i];
}

static struct tuff_codebook_pc parts_of(const tuff_call *c)
{
    const uint32_t count = (uint32_t)tuff_desc_count(&c->in[DW]);
    uint32_t span = (count + MOST_PARTS - 1) / MOST_PARTS;
    if (span < SHORTEST_SPAN) span = SHORTEST_SPAN;
    return (struct tuff_codebook_pc){ .cols = last_dim(&c->in[DW]),
                                      .words = last_dim(&c->in[OF]), .count = count,
                                      .span = span, .parts = (count + span - 1) / span };
}

// Sums of parts, and then of those.
static bool plan_parts(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader,
                       uint32_t wg, uint64_t groups, const struct tuff_codebook_pc *pc)
{
    const int bits = bits_of(c);
    if (k->max_loop && 2 * (uint64_t)pc->span + 512 > k->max_loop) return false;
    p->scratch[0] = (size_t)pc->parts * sizeof(float) << bits;
    if (!tuff_fits(k, p->scratch[0])) return false;
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_bind_in(d, DW);
    tuff_bind_in(d, OF);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)bits);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, groups, k);
    tuff_dispatch *sum = tuff_plan_add(p, TUFF_SHADER_codebook_sum);
    const uint32_t width = tuff_group_size(k);
    tuff_bind(sum, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(sum, 0);
    tuff_spec(sum, width);
    tuff_spec(sum, (uint32_t)bits);
    TUFF_PUSH(sum, *pc);
    tuff_grid(sum, ((1u << bits) + width - 1) / width, k);
    return true;
}

static bool grad_group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (k->max_group < GROUP || k->max_group_size[0] < GROUP) return false;
    const struct tuff_codebook_pc pc = parts_of(c);
    return plan_parts(c, k, p, TUFF_SHADER_codebook_grad_group, GROUP, pc.parts, &pc);
}

static bool grad_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    const struct tuff_codebook_pc pc = parts_of(c);
    return plan_parts(c, k, p, TUFF_SHADER_codebook_grad, wg, (pc.parts + wg - 1) / wg, &pc);
}

// It is linear in dw: the slope by an element is the gradient of its number.
static void grad_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_codebook_params p = { .cols = last_dim(&n->call.in[DW]) };
    dx[DW] = TUFF_V(t, &tuff_op_codebook_dequantize, &p, n->in[OF], dy[0]);
}

static void prepare_grad(const tuff_call *c, void *const in[])
{
    tuff_codebook_draw(&c->in[OF], in[OF]);
}

const tuff_op tuff_op_codebook_grad = {
    .name = "codebook_grad",
    .doc = "dcodebook[i] = sum of dw where indices is i",
    .in = { { .name = "dw", .dtypes = TUFF_FLOATS },
            { .name = "indices", .dtypes = TUFF_U32, .no_grad = true } },
    .out = { { .name = "dcodebook" } },
    .params_size = sizeof(tuff_codebook_grad_params),
    .params = { TUFF_POSITIVE(tuff_codebook_grad_params, bits) },
    .infer = infer_grad, .ref = ref_grad, .grad = grad_grad,
    .variants = { TUFF_GPU_KERNEL("group", grad_group), TUFF_KERNEL("plain", grad_plain) },
    // f32 sums of at most a few hundred numbers of one sign or of random ones.
    .tol = { .f32 = 2e-6f },
    .sample = { -2, 2 },
    .prepare = prepare_grad,
    .cases = TUFF_CASES("1 1 bits=2", "3x107 3x14", "7x257 7x49 bits=6", "129x65 129x17 bits=8",
                        "2x5x33 2x5x2 bits=1", "70001 6563 bits=3")
};

tuff_status tuff_codebook_grad(tuff_stream *s, const tuff_tensor *dw,
                               const tuff_tensor *indices, tuff_tensor *dcodebook,
                               const tuff_codebook_grad_params *p)
{
    return tuff_run(s, &tuff_op_codebook_grad, TUFF_RUN_IN(dw, indices),
                    TUFF_RUN_OUT(dcodebook), p);
}
