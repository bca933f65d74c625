// softmax, its logarithm and softmin of f32 on the CPU path: a row along the innermost axis at
// a time, else up to COLUMNS rows beside one another, which lie across vectors.
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/host_sum.h"
#include "ops/softmax.h"

enum { LANES = TUFF_SUM_LANES, COLUMNS = 512, UNIT = 1 << 14 };

// ---- a row ---------------------------------------------------------------------------------

TUFF_INLINE float largest(const float *x, size_t n, float sign)
{
    float lane[LANES], m = -INFINITY;
    if (n < LANES) {
        for (size_t k = 0; k < n; k++) m = tuff_most(sign * x[k], m);
        return m;
    }
    for (int k = 0; k < LANES; k++) lane[k] = m;
    for (; n >= LANES; n -= LANES, x += LANES) {
        TUFF_INDEPENDENT
        for (int k = 0; k < LANES; k++) {
            const float v = sign * x[k], m = lane[k];
            lane[k] = v > m ? v : m;
        }
    }
    for (size_t k = 0; k < n; k++) lane[k] = tuff_most(sign * x[k], lane[k]);
    for (int k = 0; k < LANES; k++) m = tuff_most(lane[k], m);
    return m;
}

TUFF_INLINE void add_powers(const float *x, float sign, float most, double *lane, float *y)
{
    TUFF_EACH(k, LANES, y[k] = tuff_exp_below(sign * x[k] - most))
    TUFF_INDEPENDENT
    for (int k = 0; k < LANES; k++) lane[k] += (double)y[k];
}

// e^(x - most) to y where it is given; returns their sum.
TUFF_INLINE double powers(const float *x, size_t n, float sign, float most, float *y)
{
    double lane[LANES] = { 0 };
    float v[LANES], e[LANES];
    for (; n >= LANES; n -= LANES, x += LANES) {
        add_powers(x, sign, most, lane, y ? y : e);
        if (y) y += LANES;
    }
    if (n) {
        for (int k = 0; k < LANES; k++) v[k] = sign * -INFINITY;
        memcpy(v, x, n * sizeof *v);
        add_powers(v, sign, most, lane, e);
        if (y) memcpy(y, e, n * sizeof *e);
    }
    return tuff_lanes_sum(lane);
}

TUFF_EACH_PROCESSOR void row_powers(const float *x, size_t n, float scale, float *y,
                                    float *most, double *sum)
{
    *most = largest(x, n, scale);
    *sum = powers(x, n, scale, *most, y);
}
TUFF_FOR_PROCESSORS(row_powers, (const float *x, size_t n, float scale, float *y, float *most,
                                 double *sum), (x, n, scale, y, most, sum))

double tuff_softmax_host_powers(const float *x, size_t n, float scale, float *y, float *most)
{
    double sum;
    row_powers_best()(x, n, scale, y, most, &sum);
    return sum;
}

TUFF_EACH_PROCESSOR void softmax_row(const float *x, size_t n, bool log_, bool min, float *y)
{
    const float sign = min ? -1 : 1, most = largest(x, n, sign);
    const double sum = powers(x, n, sign, most, log_ ? NULL : y);
    const float share = (float)(1 / sum), log_sum = (float)log(sum);
    if (log_)
        TUFF_INDEPENDENT
        for (size_t j = 0; j < n; j++) y[j] = (sign * x[j] - most) - log_sum;
    else
        TUFF_INDEPENDENT
        for (size_t j = 0; j < n; j++) y[j] = y[j] * share;
}
TUFF_FOR_PROCESSORS(softmax_row, (const float *x, size_t n, bool log_, bool min, float *y),
                    (x, n, log_, min, y))

// ---- rows beside one another ---------------------------------------------------------------

// `across` rows, whose elements lie `step` apart.
TUFF_EACH_PROCESSOR void softmax_columns(const float *x, size_t n, size_t step, size_t across,
                                         bool log_, bool min, float *y)
{
    float v[COLUMNS] = { 0 }, most[COLUMNS], sum[COLUMNS] = { 0 }, lost[COLUMNS] = { 0 };
    const float sign = min ? -1 : 1;
    const size_t bytes = across * sizeof *v, whole = tuff_whole_lanes(across);
    for (size_t k = 0; k < COLUMNS; k++) most[k] = -INFINITY;
    for (size_t j = 0; j < n; j++) {
        memcpy(v, x + j * step, bytes);
        TUFF_EACH(k, whole, const float s = sign * v[k]; const float m = most[k];
                  most[k] = s > m ? s : m)
    }
    // What rounding takes from a sum is taken from the next term (Kahan).
    for (size_t j = 0; j < n; j++) {
        memcpy(v, x + j * step, bytes);
        TUFF_EACH(k, whole, const float e = tuff_exp_below(sign * v[k] - most[k]);
                  const float term = e - lost[k]; const float s = sum[k] + term;
                  lost[k] = (s - sum[k]) - term; sum[k] = s; v[k] = e)
        if (!log_) memcpy(y + j * step, v, bytes);
    }
    TUFF_EACH(k, whole, lost[k] = tuff_log_f32(sum[k]); sum[k] = 1 / sum[k])
    for (size_t j = 0; j < n; j++) {
        memcpy(v, (log_ ? x : y) + j * step, bytes);
        if (log_) TUFF_EACH(k, whole, v[k] = (sign * v[k] - most[k]) - lost[k])
        else TUFF_EACH(k, whole, v[k] = v[k] * sum[k])
        memcpy(y + j * step, v, bytes);
    }
}
TUFF_FOR_PROCESSORS(softmax_columns, (const float *x, size_t n, size_t step, size_t across,
                                      bool log_, bool min, float *y),
                    (x, n, step, across, log_, min, y))

bool tuff_softmax_host_takes(const tuff_call *c) { return c->in[0].dtype == TUFF_F32; }

// Rows of a unit, of which all lie in one block of a.step where they lie beside one another.
static size_t group_of(tuff_axis a)
{
    if (a.step > 1) return a.step < COLUMNS ? a.step : COLUMNS;
    return a.cols < UNIT ? UNIT / a.cols : 1;
}

static size_t over(size_t a, size_t b) { return (a + b - 1) / b; }

size_t tuff_softmax_host_units(tuff_axis a)
{
    if (a.step > 1) return a.rows / a.step * over(a.step, group_of(a));
    return over(a.rows, group_of(a));
}

void tuff_softmax_host(const tuff_ref *r, tuff_axis a, bool log_, bool min)
{
    const size_t group = group_of(a), blocks = over(a.step, group);
    softmax_row_fn *one = softmax_row_best();
    softmax_columns_fn *many = softmax_columns_best();
    for (size_t unit = r->begin; unit < r->end; unit++) {
        if (a.step > 1) {
            const size_t col = unit % blocks * group, left = a.step - col;
            const size_t at = tuff_axis_base(a, unit / blocks * a.step + col);
            many(r->in[0] + at, a.cols, a.step, left < group ? left : group, log_, min,
                 r->out[0] + at);
            continue;
        }
        for (size_t i = unit * group; i < (unit + 1) * group && i < a.rows; i++)
            one(r->in[0] + i * a.cols, a.cols, log_, min, r->out[0] + i * a.cols);
    }
}
