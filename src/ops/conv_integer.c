// conv_integer, qlinear_conv and qlinear_conv_packed: records and references. Kernels: qgemm.c.
#include "ops/conv_integer.h"
#include "ops/divide.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/qgemm_host.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>
#include <tuff/ops/conv.h>

typedef tuff_qconv_inputs inputs;

static const inputs integer = { .x = 0, .w = 1, .x_zero = 2, .w_zero = 3, .x_scale = -1,
                                .w_scale = -1, .y_scale = -1, .y_zero = -1, .bias = -1 };
static const inputs qlinear = { .x = 0, .x_scale = 1, .x_zero = 2, .w = 3, .w_scale = 4,
                                .w_zero = 5, .y_scale = 6, .y_zero = 7, .bias = 8 };

const inputs *tuff_qconv_inputs_of(const tuff_call *c)
{
    return c->op->in[1].dtypes & TUFF_F32 ? &qlinear : &integer;
}

// ---- packed weights ------------------------------------------------------------------------

static bool is_packed(const tuff_call *c) { return c->op == &tuff_op_qlinear_conv_packed; }

int tuff_qconv_bits(const tuff_call *c)
{
    const tuff_packed_conv_params *p = c->params;
    return !is_packed(c) ? 8 : p->bits ? p->bits : 4;
}

// Packed weights have the sizes that params say; those of the same call with bytes.
static tuff_desc weights_of(const tuff_call *c)
{
    const tuff_packed_conv_params *p = c->params;
    const int64_t group = p->conv.group ? p->conv.group : 1, kh = p->conv.kernel[0],
                  kw = p->conv.kernel[1];
    return TUFF_SHAPE(TUFF_I8, p->channels, c->in[qlinear.x].dim[1] / group, kh ? kh : 1,
                      kw ? kw : 1);
}

tuff_conv tuff_qconv_of(const tuff_call *c)
{
    const inputs *in = tuff_qconv_inputs_of(c);
    tuff_conv v;
    if (is_packed(c)) {
        tuff_call bytes = *c;
        bytes.in[in->w] = weights_of(c);
        tuff_conv_good(&bytes, in->x, in->w, -1, &v);
    } else {
        tuff_conv_good(c, in->x, in->w, -1, &v);
    }
    return v;
}

const uint8_t *tuff_qconv_weights(const tuff_ref *r, int64_t first, int64_t n,
                                  uint8_t room[TUFF_QCONV_SOME])
{
    const tuff_call *c = r->call;
    const int w = tuff_qconv_inputs_of(c)->w;
    const void *at = r->in[w];
    if (!is_packed(c)) return (const uint8_t *)at + first;
    const tuff_packed p = { .words = at, .count = c->in[w].dim[0], .bits = tuff_qconv_bits(c) };
    tuff_packed_bytes(&p, first, n, (int8_t *)room);
    return room;
}

// ---- shapes ------------------------------------------------------------------------------

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const inputs *in = tuff_qconv_inputs_of(c);
    const tuff_conv_params *p = c->params;
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, in->x, in->w, -1, &v));
    if (!is_packed(c)) TUFF_TRY(tuff_quant_same_type(c, in->w, in->w_zero));
    TUFF_REQUIRE(p->act == TUFF_ACT_NONE || (p->act == TUFF_ACT_RELU && in->y_zero >= 0), ARG,
                 "act is %s, expected %s", tuff_act_names[p->act],
                 in->y_zero >= 0 ? "none or relu" : "none");
    TUFF_TRY(tuff_quant_same_type(c, in->x, in->x_zero));
    TUFF_TRY(tuff_quant_vector(c, in->x_scale, 0, ""));
    TUFF_TRY(tuff_quant_vector(c, in->x_zero, 0, ""));
    TUFF_TRY(tuff_quant_vector(c, in->w_scale, v.o, "channels"));
    TUFF_TRY(tuff_quant_vector(c, in->w_zero, v.o, "channels"));
    TUFF_TRY(tuff_quant_vector(c, in->y_scale, 0, ""));
    TUFF_TRY(tuff_quant_vector(c, in->y_zero, 0, ""));
    if (tuff_call_has(c, in->bias))
        TUFF_REQUIRE(c->in[in->bias].rank == 1 && c->in[in->bias].dim[0] == v.o, SHAPE,
                     "bias has %lld elements in %d dims, expected [%lld]",
                     (long long)tuff_desc_count(&c->in[in->bias]), c->in[in->bias].rank,
                     (long long)v.o);
    out[0] = TUFF_SHAPE(TUFF_I32, v.n, v.o, v.y[1], v.y[2]);
    if (in->y_zero >= 0) out[0].dtype = c->in[in->y_zero].dtype;
    return TUFF_OK;
}

static tuff_status packed_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_packed_conv_params *p = c->params;
    const int bits = tuff_qconv_bits(c), group = p->conv.group ? p->conv.group : 1;
    const tuff_desc *x = &c->in[qlinear.x], *words = &c->in[qlinear.w];
    tuff_call bytes = *c;
    TUFF_REQUIRE(bits >= 2 && bits <= 7, ARG, "bits is %d, expected 2 to 7", bits);
    TUFF_REQUIRE(p->channels >= 1, ARG, "channels is %d, expected at least 1", p->channels);
    TUFF_REQUIRE(x->rank == 4 && group > 0 && x->dim[1] % group == 0, SHAPE,
                 "x has %d dims and %lld channels, expected 4 dims and a multiple of %d",
                 x->rank, (long long)(x->rank > 1 ? x->dim[1] : 1), group);
    bytes.in[qlinear.w] = weights_of(c);
    const int64_t want = tuff_packed_words(bits, tuff_desc_count(&bytes.in[qlinear.w]));
    TUFF_REQUIRE(words->rank == 1 && words->dim[0] == want, SHAPE,
                 "w has %d dims and %lld words, expected 1 dim of %lld", words->rank,
                 (long long)tuff_desc_count(words), (long long)want);
    return infer(&bytes, out);
}

// ---- reference ---------------------------------------------------------------------------

static int64_t number_at(const tuff_ref *r, int input, int64_t i)
{
    if (input < 0 || !r->in[input]) return 0;
    const tuff_desc *d = &r->call->in[input];
    return tuff_whole_at(d->dtype, r->in[input], tuff_desc_count(d) == 1 ? 0 : (size_t)i);
}

static int64_t weight_at(const tuff_ref *r, int64_t i)
{
    const inputs *in = tuff_qconv_inputs_of(r->call);
    const void *w = r->in[in->w];
    return is_packed(r->call) ? tuff_packed_number(tuff_qconv_bits(r->call), false, w, i)
                              : tuff_whole_at(r->call->in[in->w].dtype, w, (size_t)i);
}

// The sum of element i of y. What lies outside of x is x's zero point: it adds nothing.
static int64_t sum_of(const tuff_ref *r, const tuff_conv *v, int64_t i)
{
    const inputs *in = tuff_qconv_inputs_of(r->call);
    const tuff_dtype tx = r->call->in[in->x].dtype;
    const int64_t col = i % v->y[2], row = i / v->y[2] % v->y[1];
    const int64_t o = i / v->y[2] / v->y[1] % v->o, n = i / v->y[2] / v->y[1] / v->o;
    const int64_t zx = number_at(r, in->x_zero, 0), zw = number_at(r, in->w_zero, o);
    int64_t sum = 0;
    for (int64_t c = 0; c < v->cg; c++)
        for (int64_t a = 0; a < v->k[1]; a++)
            for (int64_t b = 0; b < v->k[2]; b++) {
                const int64_t h = row * v->stride[1] - v->pad[1] + a * v->dilation[1];
                const int64_t w = col * v->stride[2] - v->pad[2] + b * v->dilation[2];
                if (h < 0 || h >= v->x[1] || w < 0 || w >= v->x[2]) continue;
                const int64_t ch = n * v->c + o / v->og * v->cg + c;
                sum += (tuff_whole_at(tx, r->in[in->x],
                                      (size_t)((ch * v->x[1] + h) * v->x[2] + w)) - zx) *
                       (weight_at(r, ((o * v->cg + c) * v->k[1] + a) * v->k[2] + b) - zw);
            }
    return sum;
}

// One unit is four elements of y, a whole word when they are bytes.
static size_t units(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->out[0]) + 3) / 4;
}

static void ref(const tuff_ref *r)
{
    const inputs *in = tuff_qconv_inputs_of(r->call);
    const tuff_conv_params *p = r->call->params;
    const tuff_conv v = tuff_qconv_of(r->call);
    const tuff_desc *y = &r->call->out[0];
    const size_t count = (size_t)tuff_desc_count(y);
    for (size_t i = 4 * r->begin; i < 4 * r->end && i < count; i++) {
        const int64_t o = (int64_t)i / (v.y[1] * v.y[2]) % v.o;
        const int64_t sum = sum_of(r, &v, (int64_t)i) + number_at(r, in->bias, o);
        const int32_t acc = (int32_t)(uint32_t)sum; // wraps round
        if (in->y_zero < 0) {
            ((int32_t *)(void *)r->out[0])[i] = acc;
            continue;
        }
        const int64_t s = tuff_desc_count(&r->call->in[in->w_scale]) == 1 ? 0 : o;
        const double m = tuff_qfactor(r->in[in->w_scale][s], r->in[in->x_scale][0],
                                      r->in[in->y_scale][0]);
        ((uint8_t *)(void *)r->out[0])[i] = (uint8_t)tuff_requant_ref(
            acc, m, number_at(r, in->y_zero, 0), y->dtype, p->act == TUFF_ACT_RELU);
    }
}

static tuff_cost cost(const tuff_call *c)
{
    const tuff_conv v = tuff_qconv_of(c);
    return tuff_conv_cost(c, &v);
}

// ---- on the CPU path -----------------------------------------------------------------------

// A copy of x has its zero point round it, as far as the kernel reads.
typedef struct host {
    tuff_qhost h;
    tuff_conv v;
    int64_t rows, cols, plane; // of a plane of the copy
} host;

static int64_t host_first_row(const tuff_qhost *h, int64_t z)
{
    const host *f = h->own;
    return z % f->v.group * f->v.og;
}

static void host_prepare(const tuff_qhost *h, const tuff_ref *r, int64_t i, void *extra)
{
    const host *f = h->own;
    const tuff_conv *v = &f->v;
    const uint8_t *x = (const uint8_t *)(const void *)r->in[h->right] + i * v->x[1] * v->x[2];
    uint8_t *to = (uint8_t *)extra + i * f->plane;
    memset(to, tuff_qhost_zero(r, h->right_zero, 0) & 0xff, (size_t)f->plane);
    const tuff_span s = tuff_span_of(f->cols, 1, -v->pad[2], 0, v->x[2]);
    for (int64_t row = 0; row < f->rows; row++) {
        const int64_t from = row - v->pad[1];
        if (from < 0 || from >= v->x[1]) continue;
        memcpy(to + row * f->cols + s.begin, x + from * v->x[2] + s.begin - v->pad[2],
               (size_t)(s.end - s.begin));
    }
}

// Columns of one row of y: where they begin among 16, and in the copy.
typedef struct run {
    int64_t at, from, count;
} run;

static int runs_of(const host *f, int64_t col, int64_t cols, run runs[TUFF_PANEL])
{
    const tuff_conv *v = &f->v;
    int n = 0;
    for (int64_t j = 0; j < cols; j += runs[n++].count) {
        const int64_t row = (col + j) / v->y[2], first = (col + j) % v->y[2];
        const int64_t left = v->y[2] - first;
        runs[n] = (run){ j, row * v->stride[1] * f->cols + first * v->stride[2],
                         left < cols - j ? left : cols - j };
    }
    return n;
}

// A run is copied 16 wide: what is too much is written over by what follows.
static void host_columns(const tuff_qhost *h, const tuff_ref *r, const void *extra, int64_t z,
                         int64_t col, int64_t cols, int64_t k, int64_t depth,
                         uint8_t to[][TUFF_PANEL])
{
    const host *f = h->own;
    const tuff_conv *v = &f->v;
    const int64_t step = v->stride[2];
    int64_t b = k % v->k[2], a = k / v->k[2] % v->k[1], c = k / v->k[2] / v->k[1];
    run runs[TUFF_PANEL];
    const int n = runs_of(f, col, cols, runs);
    (void)r;
    for (int64_t i = 0; i < depth; i++) {
        const uint8_t *x = (const uint8_t *)extra + (z * v->cg + c) * f->plane +
                           a * v->dilation[1] * f->cols + b * v->dilation[2];
        for (int j = 0; j < n; j++) {
            uint8_t *at = to[i] + runs[j].at;
            const uint8_t *from = x + runs[j].from;
            if (step == 1) memcpy(at, from, TUFF_PANEL);
            else for (int64_t m = 0; m < runs[j].count; m++) at[m] = from[m * step];
        }
        if (++b < v->k[2]) continue;
        b = 0;
        if (++a < v->k[1]) continue;
        a = 0;
        c++;
    }
}

bool tuff_qconv_is_row(const tuff_conv *v)
{
    const bool pixel = v->x[1] == 1 && v->x[2] == 1 && v->k[1] == 1 && v->k[2] == 1;
    return pixel && v->y[1] == 1 && v->y[2] == 1 && v->group == 1 && !v->pad[1] && !v->pad[2];
}

static int64_t no_first_row(const tuff_qhost *h, int64_t z)
{
    (void)h;
    return z;
}

static void weight_columns(const tuff_qhost *h, const tuff_ref *r, const void *extra, int64_t z,
                           int64_t col, int64_t cols, int64_t k, int64_t depth,
                           uint8_t to[][TUFF_PANEL])
{
    uint8_t room[TUFF_QCONV_SOME];
    (void)extra, (void)z;
    for (int64_t j = 0; j < cols; j++) {
        const uint8_t *w = tuff_qconv_weights(r, (col + j) * h->k + k, depth, room);
        for (int64_t i = 0; i < depth; i++) to[i][j] = w[i];
    }
}

static void describe_rows(host *f, const inputs *in, bool relu)
{
    const tuff_conv *v = &f->v;
    f->h = (tuff_qhost){
        .m = v->n, .n = v->o, .k = v->c, .products = 1, .left_rows = v->n, .period = v->n,
        .left = in->x, .left_zero = in->x_zero, .left_scale = in->x_scale, .right = in->w,
        .right_zero = in->w_zero, .right_scale = in->w_scale, .y_scale = in->y_scale,
        .y_zero = in->y_zero, .bias = in->bias, .relu = relu, .own = f,
        .kept = TUFF_QKEPT_RIGHT, .column_bias = true, .first_row = no_first_row,
        .columns = weight_columns };
}

static void describe_host(host *f, const tuff_call *c)
{
    const inputs *in = tuff_qconv_inputs_of(c);
    const tuff_conv_params *p = c->params;
    const tuff_conv v = f->v = tuff_qconv_of(c);
    if (tuff_qconv_is_row(&v)) {
        describe_rows(f, in, p->act == TUFF_ACT_RELU);
        return;
    }
    f->rows = (v.y[1] - 1) * v.stride[1] + (v.k[1] - 1) * v.dilation[1] + 1;
    f->cols = (v.y[2] - 1) * v.stride[2] + (v.k[2] - 1) * v.dilation[2] + 1;
    f->plane = f->rows * f->cols;
    f->h = (tuff_qhost){
        .m = v.og, .n = v.y[1] * v.y[2], .k = v.cg * v.k[1] * v.k[2],
        .products = v.n * v.group, .left_rows = v.o, .period = v.o, .left = in->w,
        .left_zero = in->w_zero, .left_scale = in->w_scale, .right = in->x,
        .right_zero = in->x_zero, .right_scale = in->x_scale, .y_scale = in->y_scale,
        .y_zero = in->y_zero, .bias = in->bias, .relu = p->act == TUFF_ACT_RELU, .own = f,
        .kept = TUFF_QKEPT_LEFT, .first_row = host_first_row, .columns = host_columns,
        .numbers = is_packed(c) ? tuff_qconv_weights : NULL,
        .prepare = host_prepare,
        .items = v.n * v.c, .extra = (size_t)(v.n * v.c * f->plane) };
}

TUFF_QHOST

// ---- plans -------------------------------------------------------------------------------

typedef struct product {
    tuff_qproduct p;
    tuff_requant requant;
    struct tuff_qconv_pc pc;
} product;

static void describe_plain(product *f, const tuff_call *c, const inputs *in,
                           const tuff_conv *v)
{
    f->pc = (struct tuff_qconv_pc){
        .k = f->p.k, .og = (uint32_t)v->og, .cg = (uint32_t)v->cg, .from_c = (uint32_t)v->c,
        .from_h = (uint32_t)v->x[1], .from_w = (uint32_t)v->x[2], .to_c = (uint32_t)v->o,
        .to_h = (uint32_t)v->y[1], .to_w = (uint32_t)v->y[2], .kh = (uint32_t)v->k[1],
        .kw = (uint32_t)v->k[2], .stride_y = (uint32_t)v->stride[1],
        .stride_x = (uint32_t)v->stride[2], .pad_y = (int)v->pad[1], .pad_x = (int)v->pad[2],
        .dilation_y = (uint32_t)v->dilation[1], .dilation_x = (uint32_t)v->dilation[2],
        .count = (uint32_t)tuff_desc_count(&c->out[0]),
        .signs = tuff_qsign(&c->in[in->w]) | tuff_qsign(&c->in[in->x]) << 8,
        .a_zeros = tuff_qzeros(c, in->w_zero), .b_zeros = tuff_qzeros(c, in->x_zero),
    };
    f->p.shader = TUFF_SHADER_qconv_plain;
    f->p.shader_texel = TUFF_SHADER_qconv_texel;
    f->p.pc = &f->pc;
    f->p.pc_bytes = sizeof f->pc;
    f->p.splits = &f->pc.splits;
    f->p.k_step = &f->pc.k_step;
}

static void describe_requant(product *f, const tuff_call *c, const inputs *in,
                             const tuff_conv *v)
{
    const tuff_conv_params *p = c->params;
    const size_t plane = (size_t)(v->y[1] * v->y[2]);
    f->requant = tuff_requant_of(c, in->w_scale, in->x_scale, in->y_scale, in->y_zero,
                                 p->act == TUFF_ACT_RELU);
    f->requant.bias = in->bias;
    f->requant.pc.row_step = tuff_divide_by(plane);
    f->requant.pc.rows = tuff_divide_by((size_t)v->o);
    f->requant.pc.cols = tuff_divide_by(1);
    f->requant.shared = f->requant.pc.left_scales == 1 || plane % 4 == 0;
    f->p.requant = &f->requant;
}

static void describe(product *f, const tuff_call *c)
{
    const inputs *in = tuff_qconv_inputs_of(c);
    const tuff_conv v = tuff_qconv_of(c);
    const uint32_t plane = (uint32_t)(v.y[1] * v.y[2]), taps = (uint32_t)(v.k[1] * v.k[2]);
    const tuff_divide one = tuff_divide_by(1);
    memset(f, 0, sizeof *f);
    f->p = (tuff_qproduct){
        .call = c, .m = (uint32_t)v.o, .n = (uint32_t)v.n * plane,
        .k = (uint32_t)v.cg * taps, .plane = plane, .image_step = (uint32_t)v.o * plane,
        .batches = v.group > 1,
        .left = { .input = in->w, .zero = in->w_zero, .bits = tuff_qconv_bits(c),
                  .layout = TUFF_QPACK_CONTIGUOUS,
                  .pc = { .row_step = (uint32_t)v.cg * taps, .k_step = 1, .plane = one,
                          .to_w = one, .taps = one, .kw = one } },
        .right = { .input = in->x, .zero = in->x_zero, .layout = TUFF_QPACK_CONV,
                   .pc = { .from_c = (uint32_t)v.c, .from_h = (uint32_t)v.x[1],
                           .from_w = (uint32_t)v.x[2], .stride_y = (uint32_t)v.stride[1],
                           .stride_x = (uint32_t)v.stride[2], .pad_y = (int)v.pad[1],
                           .pad_x = (int)v.pad[2], .dilation_y = (uint32_t)v.dilation[1],
                           .dilation_x = (uint32_t)v.dilation[2],
                           .plane = tuff_divide_by(plane),
                           .to_w = tuff_divide_by((size_t)v.y[2]),
                           .taps = tuff_divide_by(taps),
                           .kw = tuff_divide_by((size_t)v.k[2]) } },
    };
    describe_plain(f, c, in, &v);
    if (in->y_zero >= 0) describe_requant(f, c, in, &v);
}

TUFF_QPRODUCT_PLANS
TUFF_QPRODUCT_PLAN(slide, tuff_qslide(c, f.p.requant, k, plan))
TUFF_QPRODUCT_PLAN(rows, tuff_qrows(c, k, plan))

// A y_scale with which most of y neither saturates nor is the zero point.
static void make_scales_fit(const tuff_call *c, void *const in[])
{
    const inputs *at = tuff_qconv_inputs_of(c);
    const float *x = in[at->x_scale], *w = in[at->w_scale];
    const tuff_conv v = tuff_qconv_of(c);
    ((float *)in[at->y_scale])[0] *=
        x[0] * w[0] * 300 * sqrtf((float)(v.cg * v.k[1] * v.k[2]));
}

// ---- records -----------------------------------------------------------------------------

// made_of: the inputs that what is kept of weights depends on.
#define DOTS(name_, kind, made_of_)                                             \
    { .name = (name_), .takes = tuff_##kind##_dots_takes,                       \
      .run = tuff_##kind##_dots_run, .units = tuff_##kind##_dots_units,         \
      .scratch = tuff_##kind##_dots_scratch, .keeps = tuff_##kind##_dots_keeps, \
      .made_of = (made_of_) }
#define HOSTS(made_of, ...)                                                     \
    { __VA_ARGS__ DOTS("row_dots", row, made_of), DOTS("dots", conv, made_of),  \
      TUFF_QHOST_FAST(made_of) }

#define COMMON                                                                  \
    .native = TUFF_WORDS | TUFF_BYTES, .out = { { .name = "y" } },              \
    .ref = ref, .units = units, .cost = cost
#define CONV_PARAMS                                                             \
    .params_size = sizeof(tuff_conv_params), .params = { TUFF_CONV_FIELDS(2) }, \
    .infer = infer

const tuff_op tuff_op_conv_integer = {
    .name = "conv_integer", .onnx = "ConvInteger", COMMON, CONV_PARAMS,
    .variants = TUFF_QPRODUCT_VARIANTS(TUFF_KERNEL("slide", slide),),
    .hosts = HOSTS(1u << 1 | 1u << 3,),
    .doc = "y = cross-correlation of x - x_zero_point with w - w_zero_point, sums in i32 that "
           "wrap round",
    .in = { { .name = "x", .dtypes = TUFF_BYTES },
            { .name = "w", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "x_zero_point", .dtypes = TUFF_BYTES, .optional = true },
            { .name = "w_zero_point", .dtypes = TUFF_BYTES, .optional = true, .mixed = true } },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1", "2x3x7x9 5x3x3x3 [] 5 pad=1,0,2,1 stride=2,1",
                        "2x6x9x9 4x3x3x3 1 pad=1 dilation=2 group=2",
                        "1x7x8x9 i8:7x1x3x3 1 i8:7 pad=1 group=7",
                        "2x5x11x13 i8:9x5x3x3 1 i8:9 pad=1",
                        "1x37x9x10 66x37x3x3 [] [] pad=1", "1x24x33x33 17x24x1x1 1",
                        "2x9x13x21 4x9x3x3 1 4 pad=1 stride=2,3",
                        "1x2x43x67 i8:3x2x1x7 [] i8:3 pad=0,9 dilation=1,3 stride=1,2")
};

#define QLINEAR                                                                 \
    .variants = TUFF_QPRODUCT_VARIANTS(TUFF_KERNEL("rows", rows),               \
                                       TUFF_KERNEL("slide", slide),)
#define QLINEAR_MADE_OF (1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6)
#define QLINEAR_PORTS(w_, w_zero_)                                              \
    { { .name = "x", .dtypes = TUFF_BYTES },                                    \
      { .name = "x_scale", .dtypes = TUFF_F32, .positive = true },              \
      { .name = "x_zero_point", .dtypes = TUFF_BYTES },                         \
      { .name = "w", .dtypes = (w_), .mixed = true },                           \
      { .name = "w_scale", .dtypes = TUFF_F32, .positive = true },              \
      { .name = "w_zero_point", .dtypes = (w_zero_), .mixed = true },           \
      { .name = "y_scale", .dtypes = TUFF_F32, .positive = true },              \
      { .name = "y_zero_point", .dtypes = TUFF_BYTES, .mixed = true },          \
      { .name = "bias", .dtypes = TUFF_I32, .optional = true, .low = -30000,    \
        .high = 30000 } }

const tuff_op tuff_op_qlinear_conv = {
    .name = "qlinear_conv", .onnx = "QLinearConv", COMMON, CONV_PARAMS, QLINEAR,
    .hosts = HOSTS(QLINEAR_MADE_OF,),
    .doc = "y = saturate(round(acc x_scale w_scale / y_scale) + y_zero_point), ties to even, "
           "acc = conv_integer(x, w) + bias; relu: y is y_zero_point or more",
    .in = QLINEAR_PORTS(TUFF_BYTES, TUFF_BYTES),
    .prepare = make_scales_fit,
    .cases = TUFF_CASES("1x1x1x1 [] [] 1x1x1x1 [] [] [] []",
                        "2x3x7x9 [] [] 5x3x3x3 5 5 [] [] 5 pad=1,0,2,1 stride=2,1",
                        "1x7x8x9 1 1 i8:7x1x3x3 7 i8:7 1 u8:1 7 pad=1 group=7 act=relu",
                        "2x5x11x12 1 1 i8:9x5x3x3 9 i8:1 1 i8:1 pad=1 act=relu",
                        "1x37x9x10 [] [] 66x37x3x3 [] [] [] [] 66 pad=1 act=relu",
                        "1x129x5x6 [] [] 35x129x3x3 [] [] [] [] 35 pad=1",
                        "1x1x29x61 1 1 i8:131x1x5x5 1 i8:[] 1 1 131 pad=2",
                        "13x131x1x1 [] [] i8:36x131x1x1 36 i8:36 [] i8:[] 36 act=relu",
                        "1x1500x1x1 1 1 17x1500x1x1 1 17 1 1",
                        "1x20011x1x1 1 1 i8:3x20011x1x1 1 i8:1 1 1")
};

// Any bits are weights; what is drawn has few. Zero points are of their range.
static void prepare_packed(const tuff_call *c, void *const in[])
{
    const int half = 1 << (tuff_qconv_bits(c) - 1);
    uint32_t *words = in[qlinear.w];
    int8_t *zero = in[qlinear.w_zero];
    for (int64_t i = 0; i < tuff_desc_count(&c->in[qlinear.w]); i++)
        words[i] = (words[i] + (uint32_t)i + 1) * 2654435761u ^ (uint32_t)i * 40503u << 7;
    for (int64_t i = 0; i < tuff_desc_count(&c->in[qlinear.w_zero]); i++)
        zero[i] = (int8_t)((zero[i] & (2 * half - 1)) - half);
    make_scales_fit(c, in);
    ((float *)in[qlinear.y_scale])[0] *= (float)half / 128;
}

const tuff_op tuff_op_qlinear_conv_packed = {
    .name = "qlinear_conv_packed", COMMON, QLINEAR,
    .hosts = HOSTS(QLINEAR_MADE_OF, DOTS("row_bits", bits, QLINEAR_MADE_OF),),
    .doc = "qlinear_conv, where the weights lie packed in words: signed numbers of 2 to 7 bits",
    .in = QLINEAR_PORTS(TUFF_U32, TUFF_I8),
    .params_size = sizeof(tuff_packed_conv_params),
    .params = { TUFF_CONV_FIELDS(2), TUFF_POSITIVE(tuff_packed_conv_params, bits),
                TUFF_POSITIVE(tuff_packed_conv_params, channels) },
    .infer = packed_infer,
    .prepare = prepare_packed,
    // Every width; rows that begin within words, a last word that is not full, groups, strides.
    .cases = TUFF_CASES("1x1x1x1 [] [] 1 [] [] [] [] channels=1",
                        "2x3x7x9 [] [] 13 5 5 [] [] 5 bits=3 channels=5 kernel=3 pad=1,0,2,1 "
                        "stride=2,1",
                        "1x7x8x9 1 1 4 7 i8:7 1 u8:1 7 bits=2 channels=7 kernel=3 pad=1 "
                        "group=7 act=relu",
                        "2x5x11x12 1 1 64 9 i8:1 1 i8:1 bits=5 channels=9 kernel=3 pad=1",
                        "1x37x9x10 [] [] 2748 [] [] [] [] 66 channels=66 kernel=3 pad=1 "
                        "act=relu",
                        "1x1x29x61 1 1 717 1 i8:[] 1 1 131 bits=7 channels=131 kernel=5 pad=2",
                        "13x131x1x1 [] [] 443 36 i8:36 [] i8:[] 36 bits=3 channels=36 act=relu",
                        "1x131x1x1 1 1 1474 1 60 1 1 60 bits=6 channels=60",
                        "5x784x1x1 [] [] 833 17 17 [] [] 17 bits=2 channels=17",
                        "1x1500x1x1 1 1 3985 1 17 1 1 bits=5 channels=17",
                        "1x20011x1x1 1 1 7505 1 i8:1 1 1 channels=3")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_conv_integer(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                              const tuff_tensor *x_zero_point, const tuff_tensor *w_zero_point,
                              tuff_tensor *y, const tuff_conv_params *p)
{
    return tuff_run(s, &tuff_op_conv_integer, TUFF_RUN_IN(x, w, x_zero_point, w_zero_point),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_qlinear_conv(tuff_stream *s, const tuff_quantized *x, const tuff_quantized *w,
                              const tuff_tensor *bias, const tuff_quantized *y,
                              const tuff_conv_params *p)
{
    return tuff_run(s, &tuff_op_qlinear_conv,
                    TUFF_RUN_IN(x->q, x->scale, x->zero_point, w->q, w->scale, w->zero_point,
                                y->scale, y->zero_point, bias),
                    TUFF_RUN_OUT(y->q), p);
}

tuff_status tuff_qlinear_conv_packed(tuff_stream *s, const tuff_quantized *x,
                                     const tuff_quantized *w, const tuff_tensor *bias,
                                     const tuff_quantized *y, const tuff_packed_conv_params *p)
{
    return tuff_run(s, &tuff_op_qlinear_conv_packed,
                    TUFF_RUN_IN(x->q, x->scale, x->zero_point, w->q, w->scale, w->zero_point,
                                y->scale, y->zero_point, bias),
                    TUFF_RUN_OUT(y->q), p);
}
