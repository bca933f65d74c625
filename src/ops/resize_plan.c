// Geometry of resize, and its launches. The shaders are resize.comp and resize_grad.comp.
//
// Two neighbouring dims are resized at once, others one after the other, first those that
// shrink most; gradients go dim by dim, which takes the sum of what each adds, not the product.
#include "ops/resize.h"
#include "ops/divide.h"
#include "ops/move.h"
#include <math.h>

// ---- geometry ------------------------------------------------------------------------------

enum { MOST = 1 << 30 }; // sizes, and terms of fractions, stay below

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// The first continued fraction of x that rounds to it. False when its terms are too large.
static bool fraction_of(float x, int64_t *numerator, int64_t *denominator)
{
    int64_t p[2] = { 0, 1 }, q[2] = { 1, 0 };
    double rest = (double)x;
    for (int i = 0; i < 40; i++) {
        const double whole = floor(rest);
        if (whole >= MOST) return false;
        const int64_t a = (int64_t)whole;
        const int64_t next_p = a * p[1] + p[0], next_q = a * q[1] + q[0];
        if (next_p >= MOST || next_q >= MOST) return false;
        p[0] = p[1], p[1] = next_p;
        q[0] = q[1], q[1] = next_q;
        if (p[1] > 0 && (float)((double)p[1] / (double)q[1]) == x) break;
        if (rest == whole) return false;
        rest = 1 / (rest - whole);
    }
    *numerator = p[1];
    *denominator = q[1];
    return true;
}

// To smallest terms, and where these are too large to the nearest fraction that is not.
static void shorten(tuff_resize_dim *d)
{
    const int64_t shared = greatest_divisor(d->mul, d->den);
    d->mul /= shared;
    d->den /= shared;
    while (d->mul >= MOST || d->den >= MOST) {
        d->mul /= 2;
        d->den /= 2;
    }
}

// Elements of x to one of y: up / down.
static void place(const tuff_resize_params *p, int64_t up, int64_t down, tuff_resize_dim *d)
{
    const int64_t shared = greatest_divisor(up, down);
    up /= shared;
    down /= shared;
    // (2o + 1) up / (2 down) - 1/2
    *d = (tuff_resize_dim){ .in = d->in, .out = d->out, .mul = 2 * up, .add = up - down,
                            .den = 2 * down };
    switch ((tuff_resize_place)p->place) {
    case TUFF_PLACE_HALF_PIXEL: break;
    case TUFF_PLACE_SYMMETRIC: d->add += d->in * down - d->out * up; break;
    case TUFF_PLACE_PYTORCH:
        if (d->out == 1) d->mul = d->add = 0;
        break;
    case TUFF_PLACE_ALIGN_CORNERS:
        // o (in - 1) / (in down / up - 1): what a scale makes of x's size is not rounded here.
        *d = (tuff_resize_dim){ .in = d->in, .out = d->out, .mul = (d->in - 1) * up,
                                .den = d->in * down - up };
        if (d->out == 1) d->mul = 0, d->den = 1;
        shorten(d);
        break;
    case TUFF_PLACE_ASYMMETRIC:
        d->mul = up;
        d->add = 0;
        d->den = down;
        break;
    case TUFF_PLACE_TF_HALF: d->add = up; break;
    }
}

// Dim `d` of x with entry i of the lists.
static tuff_status resize_dim(const tuff_resize_params *p, int i, tuff_resize_dim *d)
{
    int64_t up = 1, down = 1;
    TUFF_REQUIRE(p->sizes[i] >= 0, ARG, "sizes[%d] is %d, it must be at least 1 (0: as it is)",
                 i, p->sizes[i]);
    TUFF_REQUIRE(!p->sizes[i] || p->scales[i] == 0, ARG,
                 "sizes[%d] and scales[%d] are both given", i, i);
    if (p->sizes[i]) {
        d->out = p->sizes[i];
        up = d->in;
        down = d->out;
    } else if (p->scales[i] != 0) {
        TUFF_REQUIRE(p->scales[i] > 0 && fraction_of(p->scales[i], &down, &up), ARG,
                     "scales[%d] is %g, it must lie between 1e-6 and 1e6", i,
                     (double)p->scales[i]);
        TUFF_REQUIRE(d->in < MOST, SHAPE, "x has %lld elements in a dim, 2^30 are too many",
                     (long long)d->in);
        d->out = d->in * down / up;
        TUFF_REQUIRE(d->out > 0, SHAPE, "scales[%d] is %g, which leaves none of %lld elements",
                     i, (double)p->scales[i], (long long)d->in);
    }
    d->same = d->out == d->in && up == down;
    TUFF_REQUIRE(d->same || (d->in < MOST && d->out < MOST), SHAPE,
                 "%lld elements become %lld, 2^30 are too many", (long long)d->in,
                 (long long)d->out);
    if (!d->same) place(p, up, down, d);
    return TUFF_OK;
}

tuff_status tuff_resize_of(const tuff_resize_params *p, const tuff_desc *x, tuff_resizing *g)
{
    int which[TUFF_MAX_DIMS], n;
    TUFF_REQUIRE(p->mode >= 0 && p->mode <= TUFF_RESIZE_CUBIC, ARG,
                 "mode is %d, expected 0 to 2", p->mode);
    TUFF_REQUIRE(p->place >= 0 && p->place <= TUFF_PLACE_TF_HALF, ARG,
                 "place is %d, expected 0 to 5", p->place);
    TUFF_REQUIRE(p->nearest >= 0 && p->nearest <= TUFF_NEAREST_CEIL, ARG,
                 "nearest is %d, expected 0 to 3", p->nearest);
    TUFF_REQUIRE(p->cubic_coeff_a >= -8 && p->cubic_coeff_a <= 8, ARG,
                 "cubic_coeff_a is %g, it must lie between -8 and 8", (double)p->cubic_coeff_a);
    TUFF_TRY(tuff_dims_of(p->axes, x->rank, which, &n));
    *g = (tuff_resizing){ .rank = x->rank };
    for (int i = 0; i < x->rank; i++)
        g->dim[i] = (tuff_resize_dim){ .in = x->dim[i], .out = x->dim[i], .mul = 1, .den = 1,
                                       .same = true };
    for (int i = n; i < TUFF_MAX_DIMS; i++)
        TUFF_REQUIRE(!p->sizes[i] && p->scales[i] == 0, ARG,
                     "there is a number %d in the list, for %d dims", i, n);
    for (int i = 0; i < n; i++) TUFF_TRY(resize_dim(p, i, &g->dim[which[i]]));
    return TUFF_OK;
}

tuff_resizing tuff_resize_good(const tuff_resize_params *p, const tuff_desc *x)
{
    tuff_resizing g = { 0 };
    const tuff_status status = tuff_resize_of(p, x, &g);
    (void)status; // infer has found it good
    return g;
}

float tuff_resize_cubic(const tuff_resize_params *p)
{
    return (float)tuff_number(p->cubic_coeff_a, -0.75);
}

// ---- one axis as a shader sees it ----------------------------------------------------------

typedef struct axis {
    tuff_resize_axis pc;
    uint32_t taps;
    bool wide; // numbers need more than 31 bits
} axis;

// Adds to the place so that its whole part is the nearest element.
static void round_place(int nearest, int64_t *mul, int64_t *add, int64_t *den)
{
    const bool prefer = nearest <= TUFF_NEAREST_PREFER_CEIL;
    if (prefer && *den % 2) {
        *mul *= 2;
        *add *= 2;
        *den *= 2;
    }
    if (nearest == TUFF_NEAREST_PREFER_FLOOR) *add += *den / 2 - 1;
    if (nearest == TUFF_NEAREST_PREFER_CEIL) *add += *den / 2;
    if (nearest == TUFF_NEAREST_CEIL) *add += *den - 1;
}

static axis axis_of(const tuff_resize_params *p, const tuff_resize_dim *d)
{
    int64_t mul = d->mul, add = d->add, den = d->den, shift = 0;
    axis a = { .taps = 1 };
    if (!d->same && p->mode) a.taps = p->mode == TUFF_RESIZE_LINEAR ? 2 : 4;
    if (!d->same && !p->mode) round_place(p->nearest, &mul, &add, &den);
    if (add < 0) {
        shift = (-add + den - 1) / den;
        add += shift * den;
    }
    shift += a.taps == 4; // its taps begin one before the place
    a.wide = mul * d->out + add >= INT32_MAX || (d->in + shift + 2) * den + mul >= INT32_MAX;
    a.pc = (tuff_resize_axis){ (uint32_t)d->in, (uint32_t)mul, (uint32_t)add, (uint32_t)shift,
                               tuff_divide_by((size_t)den) };
    return a;
}

// ---- passes --------------------------------------------------------------------------------

// A pass resizes dims [first, first + n) from what the passes before have left.
typedef struct pass {
    int first, n;
    double growth;
} pass;

static int passes_of(const tuff_resizing *g, int longest, pass list[])
{
    int count = 0;
    for (int d = 0; d < g->rank;) {
        pass s = { .first = d, .growth = 1 };
        while (d < g->rank && s.n < longest && !g->dim[d].same) {
            s.growth *= (double)g->dim[d].out / (double)g->dim[d].in;
            s.n++;
            d++;
        }
        if (!s.n) {
            d++;
            continue;
        }
        int at = count++;
        for (; at > 0 && list[at - 1].growth > s.growth; at--) list[at] = list[at - 1];
        list[at] = s;
    }
    return count;
}

static size_t product(const int64_t dim[], int begin, int end)
{
    size_t n = 1;
    for (int i = begin; i < end; i++) n *= (size_t)dim[i];
    return n;
}

// Where a pass reads and writes: scratches in turns, but first the input and last the output.
static void bind_pass(tuff_dispatch *d, int number, int count, bool texel, int write)
{
    const bool first = number == 0, last = number + 1 == count;
    tuff_bind(d, first ? TUFF_ROLE_IN : TUFF_ROLE_SCRATCH, first ? 0 : (number + 1) % 2,
              texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH, last ? 0 : number % 2,
              TUFF_BIND_STORAGE, write);
}

static void note_scratch(tuff_plan *p, int number, int count, size_t elements)
{
    const size_t bytes = elements * sizeof(float);
    if (number + 1 < count && p->scratch[number % 2] < bytes) p->scratch[number % 2] = bytes;
}

bool tuff_resize_plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_resize_params *params = c->params;
    const tuff_resizing g = tuff_resize_good(params, &c->in[0]);
    pass list[TUFF_MAX_DIMS + 1] = { { .n = 0 } }; // with nothing to resize: a copy
    int count = passes_of(&g, 2, list);
    if (!count) count = 1;
    int64_t now[TUFF_MAX_DIMS];
    for (int i = 0; i < g.rank; i++) now[i] = g.dim[i].in;
    const tuff_resize_dim none = { .in = 1, .out = 1, .mul = 1, .den = 1, .same = true };
    const uint32_t wg = tuff_group_size_flat(k);
    for (int i = 0; i < count; i++) {
        const pass *s = &list[i];
        const int end = s->first + s->n;
        const tuff_resize_dim *dh = s->n > 1 ? &g.dim[s->first] : &none;
        const tuff_resize_dim *dw = s->n > 0 ? &g.dim[end - 1] : &none;
        const axis h = axis_of(params, dh), w = axis_of(params, dw);
        if (texel && product(now, 0, g.rank) > k->max_texels) return false;
        for (int d = s->first; d < end; d++) now[d] = g.dim[d].out;
        const size_t elements = product(now, 0, g.rank), inner = product(now, end, g.rank);
        note_scratch(p, i, count, elements);
        tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_resize_texel
                                                  : TUFF_SHADER_resize);
        bind_pass(d, i, count, texel, TUFF_WRITE);
        tuff_spec(d, wg);
        tuff_spec(d, h.taps);
        tuff_spec(d, w.taps);
        tuff_spec(d, params->exclude_outside);
        tuff_spec(d, h.wide || w.wide);
        TUFF_PUSH(d, (struct tuff_resize_pc){ (uint32_t)elements, tuff_resize_cubic(params),
                                              h.pc, w.pc, tuff_divide_by((size_t)dh->out),
                                              tuff_divide_by((size_t)dw->out),
                                              tuff_divide_by(inner) });
        tuff_grid(d, (elements + wg - 1) / wg, k);
    }
    return true;
}

// The most elements of y that read one of x.
static int64_t readers(const tuff_resize_dim *d, const axis *a)
{
    // Those whose first tap is one of `taps` places, and at either end those beyond it.
    if (!d->mul) return d->out;
    const int64_t inside = (int64_t)(a->taps + 1) * a->pc.den.by / a->pc.mul + 2;
    const int64_t beyond = ((int64_t)a->pc.shift + 1) * a->pc.den.by / a->pc.mul + 1;
    return inside + beyond < d->out ? inside + beyond : d->out;
}

// Appends the launches of one pass over dim d, whose sums may have to be cut.
static bool add_grad_pass(const tuff_resize_params *params, const tuff_resize_dim *d,
                          size_t outer, size_t inner, int number, int count, bool texel,
                          const tuff_caps *k, tuff_plan *p)
{
    const axis a = axis_of(params, d);
    const int64_t most = readers(d, &a), turns = k->max_loop ? k->max_loop / 8 : 1 << 16;
    const size_t elements = outer * (size_t)d->in * inner;
    const uint32_t wg = tuff_group_size_flat(k);
    note_scratch(p, number, count, elements);
    for (int64_t from = 0; from < most; from += turns) {
        if (p->count == TUFF_PLAN_MAX) return false;
        tuff_dispatch *l = tuff_plan_add(p, texel ? TUFF_SHADER_resize_grad_texel
                                                  : TUFF_SHADER_resize_grad);
        bind_pass(l, number, count, texel, from ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
        tuff_spec(l, wg);
        tuff_spec(l, a.taps);
        tuff_spec(l, params->exclude_outside);
        tuff_spec(l, a.wide);
        TUFF_PUSH(l, (struct tuff_resize_grad_pc){
                         .count = (uint32_t)elements, .a = tuff_resize_cubic(params),
                         .outs = (uint32_t)d->out, .from = (uint32_t)from,
                         .turns = (uint32_t)turns, .step_q = a.pc.mul / a.pc.den.by,
                         .step_r = a.pc.mul % a.pc.den.by, .axis = a.pc,
                         .size = tuff_divide_by((size_t)d->in),
                         .inner = tuff_divide_by(inner) });
        tuff_grid(l, (elements + wg - 1) / wg, k);
    }
    return true;
}

bool tuff_resize_grad_plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_resize_params *params = c->params;
    const tuff_resizing g = tuff_resize_good(params, &c->out[0]);
    pass list[TUFF_MAX_DIMS + 1] = { { .n = 0 } };
    int count = passes_of(&g, 1, list);
    int64_t now[TUFF_MAX_DIMS];
    for (int i = 0; i < g.rank; i++) now[i] = g.dim[i].out;
    if (!count) { // a copy
        const tuff_resize_dim none = { .in = 1, .out = 1, .mul = 1, .den = 1, .same = true };
        return (!texel || product(now, 0, g.rank) <= k->max_texels) &&
               add_grad_pass(params, &none, 1, product(now, 0, g.rank), 0, 1, texel, k, p);
    }
    // What grew most comes first: the gradient shrinks there.
    for (int i = 0; i < count; i++) {
        const int dim = list[count - 1 - i].first;
        if (texel && product(now, 0, g.rank) > k->max_texels) return false;
        now[dim] = g.dim[dim].in;
        if (!add_grad_pass(params, &g.dim[dim], product(now, 0, dim),
                           product(now, dim + 1, g.rank), i, count, texel, k, p))
            return false;
    }
    return true;
}
