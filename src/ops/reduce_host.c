// Reductions of f32 on the CPU path, summed in f64. x is seen as terms x outputs by a walk over
// the dims that go and one over those that stay (layout_of in reduce_plan.c); of the two kinds
//
//   the innermost dim goes           it stays
//   . . . . . . -> y                 . . . . . .
//   . . . . . . -> y                 . . . . . .   added row by row to a strip of outputs
//   a run of neighbours, LANES       y y y y y y
//   sums beside one another
//
// the terms of an output are cut into parts where there are many. What a part gives is scratch,
// and a second stage joins it in the parts' order. All cuts depend on shapes alone.
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/reduce.h"

enum {
    UNIT = 1 << 15, // terms of a unit: some 10 us
    STRIP = 2048,   // outputs that are added to at once
    LANES = 64,
    MOST_UNITS = 64, // that terms are cut for
    JOINED = 1024   // outputs of a unit of the second stage
};

static bool is_strip(const struct tuff_reduce_pc *pc)
{
    return pc->kept_rank && pc->kept_step[0] == 1;
}

typedef struct cut {
    size_t terms, outputs; // of x
    size_t parts, span;    // of the terms; the last part may be shorter
    size_t group, groups;  // outputs of a unit; those that are neighbours in strips
    size_t strips;         // strip: of a run of kept neighbours
} cut;

static size_t over(size_t a, size_t b) { return (a + b - 1) / b; }

static cut cut_of(const struct tuff_reduce_pc *pc)
{
    cut k = { .terms = pc->cols, .outputs = pc->rows, .group = 1, .parts = 1, .strips = 1 };
    const bool strip = is_strip(pc);
    if (strip) {
        k.strips = over(pc->kept_dim[0], STRIP);
        k.groups = k.strips * (pc->rows / pc->kept_dim[0]);
    } else {
        if (k.terms < UNIT) k.group = UNIT / k.terms;
        k.groups = over(k.outputs, k.group);
    }
    size_t units = (size_t)((double)pc->rows * pc->cols / UNIT) + 1;
    if (units > MOST_UNITS) units = MOST_UNITS;
    if (units > k.groups) k.parts = over(units, k.groups);
    if (k.parts > over(k.terms, 2 * LANES)) k.parts = over(k.terms, 2 * LANES);
    k.span = over(over(k.terms, k.parts), LANES) * LANES;
    k.parts = over(k.terms, k.span);
    return k;
}

// ---- functions ------------------------------------------------------------------------------

TUFF_INLINE double mapped(uint32_t map, float x)
{
    const double v = (double)x;
    return map == TUFF_REDUCE_ABS ? (v < 0 ? -v : v) : map == TUFF_REDUCE_SQUARE ? v * v : v;
}

TUFF_INLINE double joined(uint32_t op, double a, double v)
{
    switch (op) {
    case TUFF_REDUCE_MAX: return ((v > a) | (v != v)) ? v : a;
    case TUFF_REDUCE_MIN: return ((v < a) | (v != v)) ? v : a;
    case TUFF_REDUCE_PROD: return a * v;
    default: return a + v;
    }
}

static double start_of(uint32_t op)
{
    return op == TUFF_REDUCE_MAX ? (double)-INFINITY : op == TUFF_REDUCE_MIN ? (double)INFINITY
         : op == TUFF_REDUCE_PROD ? 1 : 0;
}

// Joins n neighbours to the lanes.
TUFF_INLINE void run_of(uint32_t op, uint32_t map, const float *x, size_t n, double *lane)
{
    for (; n >= LANES; n -= LANES, x += LANES) {
        TUFF_INDEPENDENT
        for (int k = 0; k < LANES; k++) lane[k] = joined(op, lane[k], mapped(map, x[k]));
    }
    for (size_t k = 0; k < n; k++) lane[k] = joined(op, lane[k], mapped(map, x[k]));
}

// The second half of the lanes joins the first until one is left.
TUFF_INLINE double lanes_of(uint32_t op, double *lane)
{
    for (int half = LANES / 2; half >= 8; half /= 2) {
        TUFF_INDEPENDENT
        for (int k = 0; k < half; k++) lane[k] = joined(op, lane[k], lane[k + half]);
    }
    double all = lane[0];
    for (int k = 1; k < 8; k++) all = joined(op, all, lane[k]);
    return all;
}

// Joins rows to a strip of n outputs: four at once, which reads and writes the strip less.
TUFF_INLINE void rows_of(uint32_t op, uint32_t map, const float *const x[4], int rows, size_t n,
                         double *y)
{
    const float *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    if (rows < 4) {
        for (int k = 0; k < rows; k++) {
            const float *v = x[k];
            TUFF_INDEPENDENT
            for (size_t i = 0; i < n; i++) y[i] = joined(op, y[i], mapped(map, v[i]));
        }
        return;
    }
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        double v = joined(op, y[i], mapped(map, a[i]));
        v = joined(op, v, mapped(map, b[i]));
        v = joined(op, v, mapped(map, c[i]));
        y[i] = joined(op, v, mapped(map, d[i]));
    }
}

#define EACH_FUNCTION(do_)                                                      \
    switch (f->op) {                                                            \
    case TUFF_REDUCE_MAX: do_(TUFF_REDUCE_MAX, TUFF_REDUCE_ASIS) break;         \
    case TUFF_REDUCE_MIN: do_(TUFF_REDUCE_MIN, TUFF_REDUCE_ASIS) break;         \
    case TUFF_REDUCE_PROD: do_(TUFF_REDUCE_PROD, TUFF_REDUCE_ASIS) break;       \
    default:                                                                    \
        if (f->map == TUFF_REDUCE_ABS) do_(TUFF_REDUCE_SUM, TUFF_REDUCE_ABS)    \
        else if (f->map == TUFF_REDUCE_SQUARE) do_(TUFF_REDUCE_SUM, TUFF_REDUCE_SQUARE) \
        else do_(TUFF_REDUCE_SUM, TUFF_REDUCE_ASIS)                             \
        break;                                                                  \
    }

// Offset in x of number i of a walk.
TUFF_INLINE size_t walked(const uint32_t dim[], const uint32_t step[], uint32_t rank, size_t i)
{
    size_t at = 0;
    for (uint32_t d = 0; d + 1 < rank; i /= dim[d++]) at += i % dim[d] * step[d];
    return rank ? at + i * step[rank - 1] : at;
}

// Terms from .. end of one output, the innermost dim going.
TUFF_EACH_PROCESSOR double run_terms(const tuff_reduction_of *f,
                                     const struct tuff_reduce_pc *pc, const float *x,
                                     size_t from, size_t end, double start)
{
    double lane[LANES];
    for (int k = 0; k < LANES; k++) lane[k] = start;
    const size_t length = pc->gone_rank ? pc->gone_dim[0] : 1;
    while (from < end) {
        const size_t to_end = length - from % length;
        const size_t n = to_end < end - from ? to_end : end - from;
        const float *v = x + walked(pc->gone_dim, pc->gone_step, pc->gone_rank, from);
#define RUN(op, map) { run_of(op, map, v, n, lane); }
        EACH_FUNCTION(RUN)
#undef RUN
        from += n;
    }
    double all = start;
#define LANES_OF(op, map) { all = lanes_of(op, lane); }
    EACH_FUNCTION(LANES_OF)
#undef LANES_OF
    return all;
}

// The same of a strip of outputs.
TUFF_EACH_PROCESSOR void strip_terms(const tuff_reduction_of *f,
                                     const struct tuff_reduce_pc *pc, const float *x,
                                     size_t from, size_t end, double *y, size_t n)
{
    for (size_t i = from; i < end; i += 4) {
        const int rows = end - i < 4 ? (int)(end - i) : 4;
        const float *v[4] = { NULL };
        for (int k = 0; k < rows; k++)
            v[k] = x + walked(pc->gone_dim, pc->gone_step, pc->gone_rank, i + (size_t)k);
#define ROWS(op, map) { rows_of(op, map, v, rows, n, y); }
        EACH_FUNCTION(ROWS)
#undef ROWS
    }
}

// One call of each serves any part.
TUFF_EACH_PROCESSOR void terms(const tuff_reduction_of *f, const struct tuff_reduce_pc *pc,
                               const float *x, size_t from, size_t end, double *y, size_t n,
                               bool strip)
{
    const double start = start_of(f->op);
    if (!strip) {
        *y = run_terms(f, pc, x, from, end, start);
        return;
    }
    for (size_t i = 0; i < n; i++) y[i] = start;
    strip_terms(f, pc, x, from, end, y, n);
}
TUFF_FOR_PROCESSORS(terms, (const tuff_reduction_of *f, const struct tuff_reduce_pc *pc,
                            const float *x, size_t from, size_t end, double *y, size_t n,
                            bool strip), (f, pc, x, from, end, y, n, strip))

static float finished(const tuff_reduction_of *f, double v, size_t terms_)
{
    if (f->mean) v /= (double)terms_;
    return (float)(f->finish == TUFF_REDUCE_ROOT ? sqrt(v)
                   : f->finish == TUFF_REDUCE_LOG ? log(v) : v);
}

// ---- units ----------------------------------------------------------------------------------

bool tuff_reduce_host_takes(const tuff_call *c) { return c->in[0].dtype == TUFF_F32; }

size_t tuff_reduce_host_units(const tuff_call *c, int stage)
{
    const struct tuff_reduce_pc pc = tuff_reduce_layout(c);
    const cut k = cut_of(&pc);
    if (stage == 0) return k.groups * k.parts;
    return stage == 1 && k.parts > 1 ? over(k.outputs, JOINED) : 0;
}

size_t tuff_reduce_host_scratch(const tuff_call *c)
{
    const struct tuff_reduce_pc pc = tuff_reduce_layout(c);
    const cut k = cut_of(&pc);
    return k.parts > 1 ? k.parts * k.outputs * sizeof(double) : 0;
}

// One part of `n` neighbouring outputs from number `at` on.
static void one_part(const tuff_ref *r, const tuff_reduction_of *f,
                     const struct tuff_reduce_pc *pc, const cut *k, size_t part, size_t at,
                     size_t n, bool strip)
{
    double room[STRIP];
    double *y = k->parts > 1 ? (double *)r->scratch + part * k->outputs + at : room;
    const float *x = r->in[0] + walked(pc->kept_dim, pc->kept_step, pc->kept_rank, at);
    const size_t from = part * k->span;
    const size_t end = from + k->span < k->terms ? from + k->span : k->terms;
    terms_best()(f, pc, x, from, end, y, n, strip);
    for (size_t i = 0; i < n && k->parts == 1; i++)
        r->out[0][at + i] = finished(f, y[i], k->terms);
}

static void add_up(const tuff_ref *r, const tuff_reduction_of *f, const cut *k)
{
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const size_t at = unit * JOINED;
        const size_t end = at + JOINED < k->outputs ? at + JOINED : k->outputs;
        for (size_t i = at; i < end; i++) {
            const double *v = (const double *)r->scratch + i;
            double all = v[0];
            for (size_t p = 1; p < k->parts; p++) all = joined(f->op, all, v[p * k->outputs]);
            r->out[0][i] = finished(f, all, k->terms);
        }
    }
}

void tuff_reduce_host(const tuff_ref *r, const tuff_reduction_of *f)
{
    const struct tuff_reduce_pc pc = tuff_reduce_layout(r->call);
    const cut k = cut_of(&pc);
    if (r->stage) {
        add_up(r, f, &k);
        return;
    }
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const size_t part = unit % k.parts, group = unit / k.parts;
        if (is_strip(&pc)) {
            const size_t col = group % k.strips * STRIP, left = pc.kept_dim[0] - col;
            one_part(r, f, &pc, &k, part, group / k.strips * pc.kept_dim[0] + col,
                     left < STRIP ? left : STRIP, true);
            continue;
        }
        for (size_t i = group * k.group; i < (group + 1) * k.group && i < k.outputs; i++)
            one_part(r, f, &pc, &k, part, i, 1, false);
    }
}

void tuff_reduce_rows_host(const float *x, size_t rows, size_t cols, const tuff_reduction_of *f,
                           float *y)
{
    const struct tuff_reduce_pc pc = { .rows = 1, .cols = (uint32_t)cols, .gone_rank = 1,
                                       .gone_dim = { (uint32_t)cols }, .gone_step = { 1 } };
    terms_fn *best = terms_best();
    for (size_t i = 0; i < rows; i++) {
        double v;
        best(f, &pc, x + i * cols, 0, cols, &v, 1, false);
        y[i] = finished(f, v, cols);
    }
}
