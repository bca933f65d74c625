// The sums and loops of normalising on the CPU path, for batch_norm.c and row_norm*.c.
#ifndef TUFF_OPS_NORM_HOST_H
#define TUFF_OPS_NORM_HOST_H
#include <stdbool.h>
#include <stddef.h>

// Runs of `run` neighbours, `stride` apart: the elements that have one mean.
typedef struct tuff_runs {
    size_t runs, run, stride;
} tuff_runs;

// The mean (with `rms` 0) and the mean square of what is left.
void tuff_norm_host_moments(const float *x, const tuff_runs *s, bool rms, double *mean,
                            double *squares);
// y = (x - mean) inv scale + b; NULL: 1, and 0. One of each for all of the set (span 0), one
// for each place of a run (1), or one for each `span` places.
void tuff_norm_host_apply(const float *x, const tuff_runs *s, double mean, double inv,
                          const float *scale, const float *b, size_t span, float *y);

// With x' = (x - mean) inv and w as scale above: dx = times inv (w dy - m - x' mx), where m
// (0 without a mean) and mx are the means of w dy and w dy x' over the set. Sums are theirs.
typedef struct tuff_norm_slope {
    double mean, inv, times; // given
    double sum, sum_x, m, mx;
} tuff_norm_slope;
void tuff_norm_host_slopes(const float *x, const float *dy, const tuff_runs *s, const float *w,
                           size_t span, bool has_mean, tuff_norm_slope *out, float *dx);

// dscale and dbias of columns begin .. end of rows that each have a mean (NULL: 0) and an inv.
void tuff_norm_host_columns(const float *x, const float *dy, size_t rows, size_t cols,
                            const float *mean, const float *inv, size_t begin, size_t end,
                            float *dscale, float *dbias);
// Adds a run's dy, and dy x'.
void tuff_norm_host_sums(const float *x, const float *dy, size_t n, double mean, double inv,
                         double *of_dy, double *of_both);
#endif
