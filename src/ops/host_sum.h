// Sums in f64 for the CPU path's kernels, in lanes beside one another: how they are cut depends
// on a run's length alone.
#ifndef TUFF_OPS_HOST_SUM_H
#define TUFF_OPS_HOST_SUM_H
#include "base/processor.h"
#include <stddef.h>

enum { TUFF_SUM_LANES = 64 };

// Adds what `term` makes of each number i of a run of n to the lanes.
#define TUFF_ADD_TERMS(lane, i, n, term)                                        \
    do {                                                                        \
        size_t i##_of = 0;                                                      \
        for (; i##_of + TUFF_SUM_LANES <= (n); i##_of += TUFF_SUM_LANES) {      \
            TUFF_INDEPENDENT                                                    \
            for (size_t i##_lane = 0; i##_lane < TUFF_SUM_LANES; i##_lane++) {  \
                const size_t i = i##_of + i##_lane;                             \
                lane[i##_lane] += term;                                         \
            }                                                                   \
        }                                                                       \
        for (size_t i##_lane = 0; i##_of + i##_lane < (n); i##_lane++) {        \
            const size_t i = i##_of + i##_lane;                                 \
            lane[i##_lane] += term;                                             \
        }                                                                       \
    } while (0)

TUFF_EACH_PROCESSOR double tuff_lanes_sum(double *lane)
{
    for (int half = TUFF_SUM_LANES / 2; half >= 8; half /= 2) {
        TUFF_INDEPENDENT
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    }
    double sum = 0;
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}
#endif
