// resize and its gradient on the CPU path. Along each dim that changes, an element of the
// result is a sum of weighted elements of the source: a first stage writes down which, and a
// second makes the result's rows, each from the weighted sum of some of the source's.
#include "ops/host.h"
#include "ops/resize.h"
#include <math.h>
#include <string.h>

enum {
    UNIT = 1 << 12, // elements of a unit
    ROOM = 1 << 12  // of a source's row that others are added to
};

// Of one dim: element i of the result is of from[start[i] .. start[i + 1]].
typedef struct table {
    uint32_t *start, *from;
    float *weight;
} table;

typedef struct job {
    tuff_resizing g;
    int64_t in[TUFF_MAX_DIMS], out[TUFF_MAX_DIMS]; // of the source and of the result
    table of[TUFF_MAX_DIMS]; // start NULL: nothing happens along this dim
    size_t words;     // of all tables
    int rank;
    size_t rows, n;   // of the result; elements of one
    bool sums;        // rows are added up
} job;

static job job_of(const tuff_call *c, bool grad, void *scratch)
{
    job j = { .g = tuff_resize_good(c->params, grad ? &c->out[0] : &c->in[0]), .rows = 1,
              .n = 1 };
    uint32_t *at = scratch;
    j.rank = j.g.rank;
    for (int i = 0; i < j.rank; i++) {
        const tuff_resize_dim *d = &j.g.dim[i];
        j.in[i] = grad ? d->out : d->in;
        j.out[i] = grad ? d->in : d->out;
        if (i + 1 < j.rank) j.rows *= (size_t)j.out[i];
        else j.n = (size_t)j.out[i];
        if (d->same) continue;
        const size_t first = j.words, places = (size_t)j.out[i] + 1, most = 4 * (size_t)d->out;
        j.words += places + 2 * most;
        if (i + 1 < j.rank) j.sums = true;
        if (!at) continue;
        uint32_t *from = at + first + places;
        j.of[i] = (table){ at + first, from, (float *)(void *)(from + most) };
    }
    return j;
}

// ---- tables ---------------------------------------------------------------------------------

static double cubic(double a, double t)
{
    t = fabs(t);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

// Whether the nearest element is the one above a place that lies rest / den behind another.
static bool is_above(const tuff_resize_params *p, int64_t rest, int64_t den)
{
    switch ((tuff_resize_nearest)p->nearest) {
    case TUFF_NEAREST_FLOOR: return false;
    case TUFF_NEAREST_CEIL: return rest > 0;
    case TUFF_NEAREST_PREFER_FLOOR: return 2 * rest > den;
    default: return 2 * rest >= den;
    }
}

// The elements of x that element o of y is made of, and their weights; returns how many.
static int taps_of(const tuff_resize_params *p, const tuff_resize_dim *d, int64_t o,
                   int64_t at[4], double weight[4])
{
    const int64_t n = d->mul * o + d->add, below = n / d->den - (n % d->den < 0);
    const int64_t rest = n - below * d->den;
    const double t = (double)rest / (double)d->den, a = (double)tuff_resize_cubic(p);
    const int count = p->mode == TUFF_RESIZE_NEAREST ? 1
                    : p->mode == TUFF_RESIZE_LINEAR ? 2 : 4;
    double sum = 0;
    for (int k = 0; k < count; k++) {
        at[k] = count == 1 ? below + is_above(p, rest, d->den)
              : count == 2 ? below + k : below - 1 + k;
        weight[k] = count == 1 ? 1 : count == 2 ? (k ? t : 1 - t) : cubic(a, t + 1 - k);
        const bool outside = at[k] < 0 || at[k] >= d->in;
        if (outside && count == 4 && p->exclude_outside) weight[k] = 0;
        at[k] = at[k] < 0 ? 0 : at[k] < d->in ? at[k] : d->in - 1;
        sum += weight[k];
    }
    for (int k = 0; k < count && p->exclude_outside; k++) weight[k] /= sum;
    return count;
}

// Of a gradient: each element once, and not at all where its weights sum to nothing, so that an
// infinity in dy reaches only what made that element of y.
static int readers_of(int64_t at[4], double weight[4], int count)
{
    int n = 0;
    for (int k = 0; k < count; k++) {
        if (n && at[n - 1] == at[k]) weight[n - 1] += weight[k];
        else at[n] = at[k], weight[n++] = weight[k];
        const bool last = k + 1 == count || at[k + 1] != at[k];
        if (last && weight[n - 1] == 0) n--;
    }
    return n;
}

static void fill(const tuff_resize_params *p, const tuff_resize_dim *d, bool grad,
                 const table *t)
{
    const size_t places = (size_t)(grad ? d->in : d->out);
    int64_t at[4];
    double weight[4];
    memset(t->start, 0, (places + 1) * sizeof *t->start);
    for (int64_t o = 0; o < d->out; o++) {
        int n = taps_of(p, d, o, at, weight);
        if (grad) n = readers_of(at, weight, n);
        for (int k = 0; k < n; k++) t->start[grad ? at[k] : o]++;
    }
    // Ends, which become beginnings as elements are put down from the last one on.
    uint32_t sum = 0;
    for (size_t i = 0; i <= places; i++) t->start[i] = sum += t->start[i];
    for (int64_t o = d->out - 1; o >= 0; o--) {
        int n = taps_of(p, d, o, at, weight);
        if (grad) n = readers_of(at, weight, n);
        for (int k = n - 1; k >= 0; k--) {
            const uint32_t place = --t->start[grad ? at[k] : o];
            t->from[place] = (uint32_t)(grad ? o : at[k]);
            t->weight[place] = (float)weight[k];
        }
    }
}

// ---- rows -----------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void add_row(const float *x, double weight, double *sum, size_t n)
{
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) sum[i] += weight * (double)x[i];
}
TUFF_FOR_PROCESSORS(add_row, (const float *x, double weight, double *sum, size_t n),
                    (x, weight, sum, n))

// Adds the rows that dims from `dim` on ask for; `place` is of the result.
static void add_rows(const job *j, const float *x, const size_t place[], int dim, size_t base,
                     double weight, double *sum)
{
    if (dim + 1 == j->rank) {
        const size_t n = (size_t)j->in[dim];
        add_row_best()(x + base * n, weight, sum, n);
        return;
    }
    const table *t = &j->of[dim];
    base *= (size_t)j->in[dim];
    if (!t->start) {
        add_rows(j, x, place, dim + 1, base + place[dim], weight, sum);
        return;
    }
    for (uint32_t k = t->start[place[dim]]; k < t->start[place[dim] + 1]; k++)
        add_rows(j, x, place, dim + 1, base + t->from[k], weight * (double)t->weight[k], sum);
}

// The result's row of a sum of rows, or of one of the source.
static void put_sum(const job *j, const double *sum, float *y)
{
    const table *t = &j->of[j->rank - 1];
    for (size_t i = 0; i < j->n; i++) {
        double v = 0;
        if (!t->start) v = sum[i];
        else
            for (uint32_t k = t->start[i]; k < t->start[i + 1]; k++)
                v += (double)t->weight[k] * sum[t->from[k]];
        y[i] = (float)v;
    }
}

static void put_row(const job *j, const float *x, float *y)
{
    const table *t = &j->of[j->rank - 1];
    if (!t->start) memcpy(y, x, j->n * sizeof *y);
    for (size_t i = 0; i < j->n && t->start; i++) {
        double v = 0;
        for (uint32_t k = t->start[i]; k < t->start[i + 1]; k++)
            v += (double)t->weight[k] * (double)x[t->from[k]];
        y[i] = (float)v;
    }
}

static void one_row(const tuff_ref *r, const job *j, size_t row)
{
    double sum[ROOM];
    size_t place[TUFF_MAX_DIMS] = { 0 };
    const size_t n = (size_t)j->in[j->rank - 1];
    float *y = r->out[0] + row * j->n;
    if (!j->sums) {
        put_row(j, r->in[0] + row * n, y);
        return;
    }
    for (int d = j->rank - 2; d >= 0; row /= (size_t)j->out[d--])
        place[d] = row % (size_t)j->out[d];
    memset(sum, 0, n * sizeof *sum);
    add_rows(j, r->in[0], place, 0, 0, 1, sum);
    put_sum(j, sum, y);
}

// ---- units ----------------------------------------------------------------------------------

static size_t group_of(const job *j) { return j->n < UNIT ? UNIT / j->n : 1; }

bool tuff_resize_host_takes(const tuff_call *c, bool grad)
{
    const job j = job_of(c, grad, NULL);
    return j.rank > 0 && (!j.sums || j.in[j.rank - 1] <= ROOM);
}

size_t tuff_resize_host_units(const tuff_call *c, bool grad, int stage)
{
    const job j = job_of(c, grad, NULL);
    return stage == 0 ? 1 : stage == 1 ? (j.rows + group_of(&j) - 1) / group_of(&j) : 0;
}

size_t tuff_resize_host_scratch(const tuff_call *c, bool grad)
{
    return job_of(c, grad, NULL).words * sizeof(uint32_t);
}

void tuff_resize_host(const tuff_ref *r, bool grad)
{
    const job j = job_of(r->call, grad, r->scratch);
    if (r->stage == 0) {
        for (int d = 0; d < j.rank; d++)
            if (j.of[d].start) fill(r->call->params, &j.g.dim[d], grad, &j.of[d]);
        return;
    }
    const size_t group = group_of(&j);
    const size_t end = r->end * group < j.rows ? r->end * group : j.rows;
    for (size_t row = r->begin * group; row < end; row++) one_row(r, &j, row);
}
