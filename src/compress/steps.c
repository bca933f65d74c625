#include "compress/steps.h"
#include <math.h>

int tuff_steps_round(const tuff_steps *s, double w)
{
    if (s->sign) return w < 0 ? -1 : 1;
    const double q = rint(w / s->scale) + s->zero;
    return (int)fmax(s->low, fmin(s->high, q));
}

// Of 1 bit: the mean of |w|, which has the least squared error.
static tuff_steps signs(const float *w, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += fabs(w[i]);
    return (tuff_steps){ .scale = (float)(sum / (double)n), .low = -1, .high = 1,
                         .sign = true };
}

// Steps for a part of the range.
static tuff_steps of_part(const float *w, int64_t n, int bits, bool affine, double part)
{
    const int most = (1 << (bits - 1)) - 1;
    double low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, w[i]);
        high = fmax(high, w[i]);
    }
    tuff_steps s = { .scale = fmax(-low, high) * part / most, .low = -most, .high = most };
    if (affine) {
        s.low = -most - 1;
        s.scale = (high - low) * part / (2 * most + 1);
        const double zero = s.scale > 0 ? rint(s.low - low * part / s.scale) : 0;
        s.zero = (int)fmax(s.low, fmin(s.high, zero));
    }
    s.scale = (float)s.scale;
    if (!(s.scale > 1e-30)) s = (tuff_steps){ .scale = 1, .low = s.low, .high = s.high };
    return s;
}

static double error_of(const float *w, int64_t n, const tuff_steps *s)
{
    double error = 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = w[i] - tuff_steps_value(s, tuff_steps_round(s, w[i]));
        error += d * d;
    }
    return error;
}

tuff_steps tuff_steps_of(const float *w, int64_t n, int bits, bool affine, bool mse)
{
    if (bits == 1 && !affine) return signs(w, n);
    tuff_steps best = of_part(w, n, bits, affine, 1);
    double least = error_of(w, n, &best);
    for (int i = 99; mse && i >= 30; i--) {
        const tuff_steps tried = of_part(w, n, bits, affine, i / 100.0);
        const double error = error_of(w, n, &tried);
        if (error >= least) continue;
        least = error;
        best = tried;
    }
    return best;
}
