// What normalises on the CPU path, in f64 from loads to stores: what is added up is as exact as
// the reference's, and no mean is rounded before it is taken off. A set that has one mean is
// `runs` runs of neighbours; so that it is read again from a cache, a set is gone through as
// often as it takes before the next one.
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/host_sum.h"
#include "ops/norm_host.h"

enum { LANES = TUFF_SUM_LANES, STRIP = 512 };

// ---- of a run ------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void moments(const float *x, const tuff_runs *s, bool rms, double *mean,
                                 double *squares)
{
    double lane[LANES] = { 0 };
    const double n = (double)s->runs * (double)s->run;
    *mean = 0;
    if (!rms) {
        for (size_t r = 0; r < s->runs; r++) {
            const float *v = x + r * s->stride;
            TUFF_ADD_TERMS(lane, i, s->run, (double)v[i]);
        }
        *mean = tuff_lanes_sum(lane) / n;
        memset(lane, 0, sizeof lane);
    }
    const double m = *mean;
    for (size_t r = 0; r < s->runs; r++) {
        const float *v = x + r * s->stride;
        TUFF_ADD_TERMS(lane, i, s->run, ((double)v[i] - m) * ((double)v[i] - m));
    }
    *squares = tuff_lanes_sum(lane) / n;
}
TUFF_FOR_PROCESSORS(moments, (const float *x, const tuff_runs *s, bool rms, double *mean,
                              double *squares), (x, s, rms, mean, squares))

// y = (x - mean) inv scale + b, where scale and b are one for all or, with `each`, one each.
TUFF_EACH_PROCESSOR void apply(const float *x, size_t n, double mean, double inv,
                               const float *scale, const float *b, bool each, float *y)
{
    if (each && scale && b) {
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++)
            y[i] = (float)(((double)x[i] - mean) * inv * (double)scale[i] + (double)b[i]);
    } else if (each && scale) {
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++)
            y[i] = (float)(((double)x[i] - mean) * inv * (double)scale[i]);
    } else {
        const double a = inv * (scale ? (double)*scale : 1), c = b ? (double)*b : 0;
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) y[i] = (float)(((double)x[i] - mean) * a + c);
    }
}
TUFF_FOR_PROCESSORS(apply, (const float *x, size_t n, double mean, double inv,
                            const float *scale, const float *b, bool each, float *y),
                    (x, n, mean, inv, scale, b, each, y))

// Sums of w dy and of w dy (x - mean) inv over a run, w as above.
TUFF_INLINE void add_sums(const float *x, const float *dy, size_t n, double mean, double inv,
                          const float *w, bool each, double *of_dy, double *of_both)
{
    if (each && w) {
        TUFF_ADD_TERMS(of_dy, i, n, (double)w[i] * (double)dy[i]);
        TUFF_ADD_TERMS(of_both, i, n,
                       (double)w[i] * (double)dy[i] * (((double)x[i] - mean) * inv));
        return;
    }
    const double a = w ? (double)*w : 1, b = a * inv;
    TUFF_ADD_TERMS(of_dy, i, n, a * (double)dy[i]);
    TUFF_ADD_TERMS(of_both, i, n, b * (double)dy[i] * ((double)x[i] - mean));
}

// dx = times inv (w dy - m - (x - mean) inv mx).
TUFF_INLINE void put_dx(const float *x, const float *dy, size_t n, const tuff_norm_slope *s,
                        const float *w, bool each, float *dx)
{
    const double inv = s->inv * s->times, a = inv * s->inv * s->mx, c = inv * s->m;
    const double mean = s->mean;
    if (each && w) {
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++)
            dx[i] = (float)(inv * (double)w[i] * (double)dy[i] - c - ((double)x[i] - mean) * a);
        return;
    }
    const double one = inv * (w ? (double)*w : 1);
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        dx[i] = (float)(one * (double)dy[i] - c - ((double)x[i] - mean) * a);
}

// ---- of a set ------------------------------------------------------------------------------

// Within a set the weights are one for all (span 0), one each (span 1), or each of a span.
TUFF_EACH_PROCESSOR void slopes(const float *x, const float *dy, const tuff_runs *s,
                                const float *w, size_t span, bool has_mean,
                                tuff_norm_slope *out, float *dx)
{
    double of_dy[LANES] = { 0 }, of_both[LANES] = { 0 };
    const size_t step = span > 1 ? span : s->run;
    const double n = (double)s->runs * (double)s->run;
    for (size_t r = 0; r < s->runs; r++)
        for (size_t i = 0; i < s->run; i += step)
            add_sums(x + r * s->stride + i, dy + r * s->stride + i, step, out->mean, out->inv,
                     w ? w + (span > 1 ? i / span : 0) : NULL, span == 1, of_dy, of_both);
    out->sum = tuff_lanes_sum(of_dy);
    out->sum_x = tuff_lanes_sum(of_both);
    out->m = has_mean ? out->sum / n : 0;
    out->mx = out->sum_x / n;
    for (size_t r = 0; r < s->runs; r++)
        for (size_t i = 0; i < s->run; i += step)
            put_dx(x + r * s->stride + i, dy + r * s->stride + i, step, out,
                   w ? w + (span > 1 ? i / span : 0) : NULL, span == 1,
                   dx + r * s->stride + i);
}
TUFF_FOR_PROCESSORS(slopes, (const float *x, const float *dy, const tuff_runs *s,
                             const float *w, size_t span, bool has_mean, tuff_norm_slope *out,
                             float *dx), (x, dy, s, w, span, has_mean, out, dx))

void tuff_norm_host_moments(const float *x, const tuff_runs *s, bool rms, double *mean,
                            double *squares)
{
    moments_best()(x, s, rms, mean, squares);
}

void tuff_norm_host_apply(const float *x, const tuff_runs *s, double mean, double inv,
                          const float *scale, const float *b, size_t span, float *y)
{
    const size_t step = span > 1 ? span : s->run;
    apply_fn *best = apply_best();
    for (size_t r = 0; r < s->runs; r++)
        for (size_t i = 0; i < s->run; i += step) {
            const size_t at = r * s->stride + i, p = span > 1 ? i / span : 0;
            best(x + at, step, mean, inv, scale ? scale + p : NULL, b ? b + p : NULL,
                 span == 1, y + at);
        }
}

void tuff_norm_host_slopes(const float *x, const float *dy, const tuff_runs *s, const float *w,
                           size_t span, bool has_mean, tuff_norm_slope *out, float *dx)
{
    slopes_best()(x, dy, s, w, span, has_mean, out, dx);
}

// ---- of parameters -------------------------------------------------------------------------

// A strip of n <= STRIP columns of `rows` rows, each with its own mean and inv.
TUFF_EACH_PROCESSOR void columns(const float *x, const float *dy, size_t rows, size_t cols,
                                 const float *mean, const float *inv, size_t n, float *dscale,
                                 float *dbias)
{
    double a[STRIP] = { 0 }, b[STRIP] = { 0 };
    for (size_t r = 0; r < rows; r++, x += cols, dy += cols) {
        const double m = mean ? (double)mean[r] : 0, v = (double)inv[r];
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) {
            const double d = (double)dy[i];
            b[i] += d;
            a[i] += d * (((double)x[i] - m) * v);
        }
    }
    for (size_t i = 0; i < n; i++) dscale[i] = (float)a[i];
    for (size_t i = 0; i < n; i++) dbias[i] = (float)b[i];
}
TUFF_FOR_PROCESSORS(columns, (const float *x, const float *dy, size_t rows, size_t cols,
                              const float *mean, const float *inv, size_t n, float *dscale,
                              float *dbias),
                    (x, dy, rows, cols, mean, inv, n, dscale, dbias))

void tuff_norm_host_columns(const float *x, const float *dy, size_t rows, size_t cols,
                            const float *mean, const float *inv, size_t begin, size_t end,
                            float *dscale, float *dbias)
{
    for (size_t at = begin; at < end; at += STRIP)
        columns_best()(x + at, dy + at, rows, cols, mean, inv,
                       end - at < STRIP ? end - at : STRIP, dscale + at, dbias + at);
}

TUFF_EACH_PROCESSOR void sums(const float *x, const float *dy, size_t n, double mean,
                              double inv, double *of_dy, double *of_both)
{
    double a[LANES] = { 0 }, b[LANES] = { 0 };
    add_sums(x, dy, n, mean, inv, NULL, false, a, b);
    *of_dy += tuff_lanes_sum(a);
    *of_both += tuff_lanes_sum(b);
}
TUFF_FOR_PROCESSORS(sums, (const float *x, const float *dy, size_t n, double mean, double inv,
                           double *of_dy, double *of_both),
                    (x, dy, n, mean, inv, of_dy, of_both))

void tuff_norm_host_sums(const float *x, const float *dy, size_t n, double mean, double inv,
                         double *of_dy, double *of_both)
{
    sums_best()(x, dy, n, mean, inv, of_dy, of_both);
}
