// Products of signs (Rastegari et al. 2016, "XNOR-Net"): binary_matmul and binary_conv2d.
// Kernels: xnor_texel.comp, qgemm_tile.comp, xnor_plain.comp.
#include "ops/binarize.h"
#include "abi/xnor.h"

enum { A, B, A_SCALE, B_SCALE }; // binary_conv2d: x, w

enum {
    ROWS = 8,                 // of a tile of xnor_texel.comp
    TILE = 64, TILE_GROUP = 256, TILE_SHARED = 2048,
    MOST = 1 << 22,           // elements of a row: sums are exact in f32, loops short enough
    MOST_STEPS = 1 << 14      // of taps times words of theirs by fours
};

static uint32_t ceil_div(uint64_t a, uint64_t b) { return (uint32_t)((a + b - 1) / b); }

// ---- shapes ------------------------------------------------------------------------------

// The last dim of a packed tensor holds words of `k` bits.
static tuff_status check_words(const tuff_call *c, int input, int64_t k)
{
    const tuff_desc *d = &c->in[input];
    const int64_t words = d->dim[d->rank - 1];
    TUFF_REQUIRE(words == (k + 31) / 32, SHAPE, "%s has %lld words in a row, %lld elements "
                 "take %lld", c->op->in[input].name, (long long)words, (long long)k,
                 (long long)((k + 31) / 32));
    return TUFF_OK;
}

// A scale has the dims of the packed tensor but for the last, or the first one alone.
static tuff_status check_scale(const tuff_call *c, int scale, int of, bool first)
{
    if (!tuff_call_has(c, scale)) return TUFF_OK;
    tuff_desc want = c->in[of];
    want.dtype = TUFF_F32;
    want.rank = first ? 1 : want.rank - 1;
    char got_text[96], want_text[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[scale], &want), SHAPE, "%s is %s, expected %s",
                 c->op->in[scale].name,
                 tuff_desc_print(&c->in[scale], got_text, sizeof got_text),
                 tuff_desc_print(&want, want_text, sizeof want_text));
    return TUFF_OK;
}

static tuff_status infer_matmul(const tuff_call *c, tuff_desc out[])
{
    const tuff_binary_matmul_params *p = c->params;
    const tuff_desc *a = &c->in[A], *b = &c->in[B];
    TUFF_REQUIRE(a->rank >= 2 && b->rank == 2, SHAPE,
                 "a has %d dims, b has %d: expected at least 2, and 2", a->rank, b->rank);
    TUFF_REQUIRE(p->k >= 1 && p->k <= MOST, ARG, "k is %d, expected 1 to %d", p->k, MOST);
    TUFF_TRY(check_words(c, A, p->k));
    TUFF_TRY(check_words(c, B, p->k));
    TUFF_TRY(check_scale(c, A_SCALE, A, false));
    TUFF_TRY(check_scale(c, B_SCALE, B, false));
    out[0] = *a;
    out[0].dtype = TUFF_F32;
    out[0].dim[a->rank - 1] = b->dim[0];
    return TUFF_OK;
}

static int64_t or_1(int v) { return v ? v : 1; }

static tuff_status extent(const tuff_call *c, int axis, int64_t *size)
{
    static const char *const name[] = { "rows", "columns" };
    const tuff_binary_conv2d_params *p = c->params;
    TUFF_REQUIRE(p->stride[axis] >= 0 && p->dilation[axis] >= 0 && p->pad[axis] >= 0 &&
                     p->pad[axis + 2] >= 0,
                 ARG, "stride, dilation or pad of %s is below 0", name[axis]);
    const int64_t reach = or_1(p->dilation[axis]) * (c->in[B].dim[1 + axis] - 1) + 1;
    const int64_t from = c->in[A].dim[1 + axis] + p->pad[axis] + p->pad[axis + 2];
    TUFF_REQUIRE(from <= INT32_MAX && reach <= from, SHAPE,
                 "the kernel covers %lld %s, x with its pads has %lld", (long long)reach,
                 name[axis], (long long)from);
    *size = (from - reach) / or_1(p->stride[axis]) + 1;
    return TUFF_OK;
}

static tuff_status infer_conv(const tuff_call *c, tuff_desc out[])
{
    const tuff_binary_conv2d_params *p = c->params;
    const tuff_desc *x = &c->in[A], *w = &c->in[B];
    int64_t h, v;
    TUFF_REQUIRE(x->rank == 4 && w->rank == 4, SHAPE, "x has %d dims, w has %d: expected 4, 4",
                 x->rank, w->rank);
    TUFF_REQUIRE(p->channels >= 1, ARG, "channels is %d, expected at least 1", p->channels);
    TUFF_TRY(check_words(c, A, p->channels));
    TUFF_TRY(check_words(c, B, p->channels));
    const int64_t taps = w->dim[1] * w->dim[2];
    TUFF_REQUIRE(taps * p->channels <= MOST && taps * ceil_div((uint64_t)w->dim[3], 4) <=
                     MOST_STEPS,
                 ARG, "w has %lld taps of %d channels, which is too many", (long long)taps,
                 p->channels);
    TUFF_TRY(check_scale(c, A_SCALE, A, false));
    TUFF_TRY(check_scale(c, B_SCALE, B, true));
    TUFF_TRY(extent(c, 0, &h));
    TUFF_TRY(extent(c, 1, &v));
    out[0] = TUFF_SHAPE(TUFF_F32, x->dim[0], w->dim[0], h, v);
    return TUFF_OK;
}

// ---- references --------------------------------------------------------------------------

static const uint32_t *words_of(const tuff_ref *r, int input)
{
    return (const uint32_t *)(const void *)r->in[input];
}

// The sum of products of two rows of k signs each, sign by sign.
static int64_t signs(const uint32_t *a, const uint32_t *b, int64_t k)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < k; i++)
        sum += (a[i / 32] >> i % 32 & 1) == (b[i / 32] >> i % 32 & 1) ? 1 : -1;
    return sum;
}

static void ref_matmul(const tuff_ref *r)
{
    const tuff_binary_matmul_params *p = r->call->params;
    const size_t n = (size_t)r->call->in[B].dim[0], words = (size_t)r->call->in[B].dim[1];
    for (size_t i = r->begin; i < r->end; i++)
        for (size_t j = 0; j < n; j++) {
            double y = (double)signs(words_of(r, A) + i * words, words_of(r, B) + j * words,
                                     p->k);
            if (r->in[A_SCALE]) y *= (double)r->in[A_SCALE][i];
            if (r->in[B_SCALE]) y *= (double)r->in[B_SCALE][j];
            r->out[0][i * n + j] = (float)y;
        }
}

// One pixel of y. Taps outside of the image count neither in the sum nor in the mean of scales.
static float conv_pixel(const tuff_ref *r, int64_t n, int64_t o, int64_t i, int64_t j)
{
    const tuff_binary_conv2d_params *p = r->call->params;
    const int64_t *x = r->call->in[A].dim, *w = r->call->in[B].dim;
    int64_t sum = 0;
    double scale = 0;
    for (int64_t u = 0; u < w[1]; u++)
        for (int64_t v = 0; v < w[2]; v++) {
            const int64_t row = i * or_1(p->stride[0]) + u * or_1(p->dilation[0]) - p->pad[0];
            const int64_t col = j * or_1(p->stride[1]) + v * or_1(p->dilation[1]) - p->pad[1];
            if (row < 0 || row >= x[1] || col < 0 || col >= x[2]) continue;
            const int64_t at = (n * x[1] + row) * x[2] + col;
            sum += signs(words_of(r, A) + at * x[3],
                         words_of(r, B) + ((o * w[1] + u) * w[2] + v) * w[3], p->channels);
            if (r->in[A_SCALE]) scale += (double)r->in[A_SCALE][at];
        }
    double y = (double)sum;
    if (r->in[A_SCALE]) y *= scale / (double)(w[1] * w[2]);
    if (r->in[B_SCALE]) y *= (double)r->in[B_SCALE][o];
    return (float)y;
}

// One unit is one row of pixels.
static void ref_conv(const tuff_ref *r)
{
    const int64_t *y = r->call->out[0].dim;
    for (size_t unit = r->begin; unit < r->end; unit++)
        for (int64_t j = 0; j < y[3]; j++) {
            const int64_t i = (int64_t)unit % y[2], above = (int64_t)unit / y[2];
            r->out[0][(int64_t)unit * y[3] + j] =
                conv_pixel(r, above / y[1], above % y[1], i, j);
        }
}

static size_t units(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    return (size_t)(tuff_desc_count(y) / y->dim[y->rank - 1]);
}

// ---- plans -------------------------------------------------------------------------------

// Left and right as xnor_texel.comp has them.
typedef struct product {
    struct tuff_xnor_pc pc;
    int left, right, left_scale, right_scale;
    bool conv;
} product;

static void of_matmul(const tuff_call *c, product *f)
{
    const tuff_binary_matmul_params *p = c->params;
    *f = (product){ .left = A, .right = B, .left_scale = A_SCALE, .right_scale = B_SCALE };
    f->pc = (struct tuff_xnor_pc){ .n = (uint32_t)c->in[B].dim[0],
                                   .words = (uint32_t)c->in[B].dim[1], .k = (uint32_t)p->k };
    f->pc.m = (uint32_t)(tuff_desc_count(&c->in[A]) / f->pc.words);
}

static void of_conv(const tuff_call *c, product *f)
{
    const tuff_binary_conv2d_params *p = c->params;
    const int64_t *x = c->in[A].dim, *w = c->in[B].dim, *y = c->out[0].dim;
    *f = (product){ .left = B, .right = A, .left_scale = B_SCALE, .right_scale = A_SCALE,
                    .conv = true };
    f->pc = (struct tuff_xnor_pc){
        .m = (uint32_t)w[0], .n = (uint32_t)(y[0] * y[2] * y[3]), .words = (uint32_t)w[3],
        .k = (uint32_t)p->channels, .from_h = (uint32_t)x[1], .from_w = (uint32_t)x[2],
        .to_h = (uint32_t)y[2], .to_w = (uint32_t)y[3], .kh = (uint32_t)w[1],
        .kw = (uint32_t)w[2], .stride_y = (uint32_t)or_1(p->stride[0]),
        .stride_x = (uint32_t)or_1(p->stride[1]), .pad_y = p->pad[0], .pad_x = p->pad[1],
        .dilation_y = (uint32_t)or_1(p->dilation[0]),
        .dilation_x = (uint32_t)or_1(p->dilation[1]) };
}

static void describe(const tuff_call *c, product *f, bool conv)
{
    if (conv) of_conv(c, f);
    else of_matmul(c, f);
    f->pc.left_scales = tuff_call_has(c, f->left_scale);
    f->pc.right_scales = tuff_call_has(c, f->right_scale);
}

// Binds a scale, or in the place of one that is not there a word of the packed input.
static void bind_scale(const tuff_call *c, tuff_dispatch *d, int scale, int other,
                       tuff_bind_kind kind)
{
    const bool there = tuff_call_has(c, scale);
    tuff_bind(d, TUFF_ROLE_IN, there ? scale : other, kind, TUFF_READ);
    if (!there) d->slot[d->nslot - 1].size = 4;
}

static bool scale_fits(const tuff_call *c, const tuff_caps *k, int scale)
{
    return !tuff_call_has(c, scale) || tuff_fits_texel(k, &c->in[scale], 4);
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool conv)
{
    const uint32_t w = k->subgroup;
    product f;
    describe(c, &f, conv);
    // Eight rows of the left operand are in eight lanes.
    if (!k->cpu_like || !k->subgroup_basic || !k->subgroup_shuffle || !(w == 8 || w == 16))
        return false;
    const bool wide = f.pc.words % 4 == 0;
    const tuff_bind_kind kind = wide ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32;
    const uint64_t steps = (uint64_t)(conv ? f.pc.kh * f.pc.kw : 1) *
                           (f.pc.words / (wide ? 4 : 1) + 2);
    if (k->max_loop && steps + 64 > k->max_loop) return false;
    if (!tuff_fits_texel(k, &c->in[A], wide ? 16 : 4) ||
        !tuff_fits_texel(k, &c->in[B], wide ? 16 : 4) || !scale_fits(c, k, A_SCALE) ||
        !scale_fits(c, k, B_SCALE))
        return false;
    tuff_dispatch *d = tuff_plan_add(p, conv ? TUFF_SHADER_xnor_conv_texel
                                             : TUFF_SHADER_xnor_texel);
    tuff_spec(d, w);
    tuff_spec(d, wide);
    tuff_bind(d, TUFF_ROLE_IN, f.left, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, f.right, kind, TUFF_READ);
    tuff_bind_out(d, 0);
    bind_scale(c, d, f.left_scale, f.left, TUFF_BIND_TEXEL_F32);
    bind_scale(c, d, f.right_scale, f.right, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, (uint64_t)ceil_div(f.pc.m, ROWS) * ceil_div(f.pc.n, 4 * (uint64_t)w), k);
    TUFF_PUSH(d, f.pc);
    return true;
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool conv)
{
    product f;
    describe(c, &f, conv);
    if (!scale_fits(c, k, B_SCALE)) return false;
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, conv ? TUFF_SHADER_xnor_conv_plain
                                             : TUFF_SHADER_xnor_plain);
    tuff_spec(d, wg);
    tuff_bind_in(d, f.left);
    tuff_bind_in(d, f.right);
    tuff_bind_out(d, 0);
    bind_scale(c, d, A_SCALE, A, TUFF_BIND_STORAGE);
    bind_scale(c, d, B_SCALE, B, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, ceil_div((uint64_t)f.pc.m * f.pc.n, wg), k);
    TUFF_PUSH(d, f.pc);
    return true;
}

static bool texel_matmul(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_texel(c, k, p, false);
}

static bool plain_matmul(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_plain(c, k, p, false);
}

static bool texel_conv(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_texel(c, k, p, true);
}

static bool plain_conv(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_plain(c, k, p, true);
}

static bool tile_matmul(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    product f;
    describe(c, &f, false);
    if (k->max_group < TILE_GROUP || k->max_group_size[0] < TILE_GROUP ||
        k->shared < TILE_SHARED || f.pc.m < 4 || f.pc.n < 4)
        return false;
    if (k->max_loop && (uint64_t)f.pc.words * 8 + 1024 > k->max_loop) return false;
    if (!scale_fits(c, k, A_SCALE) || !scale_fits(c, k, B_SCALE)) return false;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_xnor_tile);
    tuff_bind_in(d, A);
    tuff_bind_in(d, B);
    tuff_bind_out(d, 0);
    bind_scale(c, d, A_SCALE, A, TUFF_BIND_TEXEL_F32);
    bind_scale(c, d, B_SCALE, B, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, (uint64_t)ceil_div(f.pc.m, TILE) * ceil_div(f.pc.n, TILE), k);
    TUFF_PUSH(d, f.pc);
    return true;
}

// ---- records -----------------------------------------------------------------------------

// Words of all bits alike, but those past the end of a row 0, as binarize_pack leaves them.
static void spread_bits(const tuff_call *c, void *const in[], int64_t k)
{
    for (int i = A; i <= B; i++) {
        const tuff_desc *d = &c->in[i];
        const int64_t words = d->dim[d->rank - 1];
        uint32_t *v = in[i];
        for (int64_t n = 0; n < tuff_desc_count(d); n++) v[n] *= 2654435761u;
        for (int64_t row = 0; k % 32 && row < tuff_desc_count(d) / words; row++)
            v[(row + 1) * words - 1] &= (1u << k % 32) - 1;
    }
}

static void prepare_matmul(const tuff_call *c, void *const in[])
{
    const tuff_binary_matmul_params *p = c->params;
    spread_bits(c, in, p->k);
}

static void prepare_conv(const tuff_call *c, void *const in[])
{
    const tuff_binary_conv2d_params *p = c->params;
    spread_bits(c, in, p->channels);
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static tuff_cost cost(const tuff_call *c)
{
    const bool conv = c->op->in[A].name[0] == 'x';
    product f;
    describe(c, &f, conv);
    const double taps = conv ? (double)f.pc.kh * f.pc.kw : 1;
    return (tuff_cost){ .flops = 2 * (double)f.pc.m * f.pc.n * f.pc.k * taps,
                        .bytes = tuff_call_bytes(c) };
}

const tuff_op tuff_op_binary_matmul = {
    .name = "binary_matmul",
    .doc = "y = a_scale b_scale (k - 2 bits(a xor b)): the product of rows of k signs, which "
           "binarize_pack has packed",
    .in = { { .name = "a", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "b", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "a_scale", .dtypes = TUFF_F32, .optional = true },
            { .name = "b_scale", .dtypes = TUFF_F32, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_binary_matmul_params),
    .params = { TUFF_POSITIVE(tuff_binary_matmul_params, k) },
    .infer = infer_matmul, .units = units, .ref = ref_matmul, .cost = cost,
    .variants = { TUFF_KERNEL("texel", texel_matmul), TUFF_GPU_KERNEL("tile", tile_matmul),
                  TUFF_KERNEL("plain", plain_matmul) },
    .hosts = { { .name = "wide", .takes = tuff_xnor_wide_matmul_takes,
                 .run = tuff_xnor_wide_matmul_host, .units = tuff_xnor_wide_matmul_units,
                 .keeps = tuff_xnor_wide_keeps, .made_of = 1u << B },
               { .name = "fast", .takes = host_takes, .run = tuff_xnor_matmul_host,
                 .units = tuff_xnor_matmul_units } },
    .tol = { .f32 = 1.2e-7f }, // two products, each within half an ulp
    .prepare = prepare_matmul, .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1 1x1 k=1", "7x2 5x2 7 5 k=33", "2x3x4 33x4 - 33 k=128",
                        "9x7 35x7 9 k=219", "65x33 66x33 65 66 k=1050", "2x2051 3x2051 k=65630")
};

const tuff_op tuff_op_binary_conv2d = {
    .name = "binary_conv2d",
    .doc = "y = w_scale mean(x_scale over taps) sum over taps inside of (channels - 2 bits(x "
           "xor w)): the convolution of signs, which binarize_pack has packed along channels",
    .in = { { .name = "x", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "w", .dtypes = TUFF_U32, .high = INT32_MAX },
            { .name = "x_scale", .dtypes = TUFF_F32, .optional = true },
            { .name = "w_scale", .dtypes = TUFF_F32, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_binary_conv2d_params),
    .params = { TUFF_POSITIVE(tuff_binary_conv2d_params, channels),
                TUFF_POSITIVES(tuff_binary_conv2d_params, stride, "strides"),
                TUFF_INTS(tuff_binary_conv2d_params, pad, "pads"),
                TUFF_POSITIVES(tuff_binary_conv2d_params, dilation, "dilations") },
    .infer = infer_conv, .units = units, .ref = ref_conv, .cost = cost,
    .variants = { TUFF_KERNEL("texel", texel_conv), TUFF_KERNEL("plain", plain_conv) },
    .hosts = { { .name = "wide", .takes = tuff_xnor_wide_conv_takes,
                 .run = tuff_xnor_wide_conv_host, .units = tuff_xnor_wide_conv_units,
                 .keeps = tuff_xnor_wide_keeps, .made_of = 1u << B },
               { .name = "fast", .takes = host_takes, .run = tuff_xnor_conv_host,
                 .units = tuff_xnor_conv_units } },
    .tol = { .f32 = 1e-6f }, // some tens of scales are added before the two products
    .prepare = prepare_conv, .sample = { 0.5f, 1 },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1 channels=1",
                        "2x5x6x2 9x3x3x2 2x5x6 9 channels=35 pad=1",
                        "1x7x9x4 33x3x2x4 - 33 channels=128 stride=2,1 pad=1,0,2,1",
                        "1x6x5x1 3x3x3x1 1x6x5 channels=7 dilation=2 pad=2",
                        "3x9x9x5 17x5x5x5 3x9x9 17 channels=160 pad=2")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_binary_matmul(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                               const tuff_tensor *a_scale, const tuff_tensor *b_scale,
                               tuff_tensor *y, const tuff_binary_matmul_params *p)
{
    return tuff_run(s, &tuff_op_binary_matmul, TUFF_RUN_IN(a, b, a_scale, b_scale),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_binary_conv2d(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                               const tuff_tensor *x_scale, const tuff_tensor *w_scale,
                               tuff_tensor *y, const tuff_binary_conv2d_params *p)
{
    return tuff_run(s, &tuff_op_binary_conv2d, TUFF_RUN_IN(x, w, x_scale, w_scale),
                    TUFF_RUN_OUT(y), p);
}
