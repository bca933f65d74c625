// The whole numbers that weights are rounded to.
#ifndef TUFF_COMPRESS_STEPS_H
#define TUFF_COMPRESS_STEPS_H
#include <stdbool.h>
#include <stdint.h>

// q = clamp(round(w / scale) + zero, low, high) stands for (q - zero) scale.
typedef struct tuff_steps {
    double scale;
    int zero, low, high;
    bool sign; // of 1 bit without zero point: q is -1 or 1
} tuff_steps;

// Steps of 1 to 16 bits for n weights: symmetric round 0, or affine over their range with 0 in
// it; with `mse` for the part of the range that gives the least squared error.
tuff_steps tuff_steps_of(const float *w, int64_t n, int bits, bool affine, bool mse);
int tuff_steps_round(const tuff_steps *s, double w);
static inline double tuff_steps_value(const tuff_steps *s, int q)
{
    return (q - s->zero) * s->scale;
}
#endif
