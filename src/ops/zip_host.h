// Vectors of the CPU path's kernels that go through rows by twos: 32 numbers side by side are
// 16 at even places and 16 at odd ones.
#ifndef TUFF_OPS_ZIP_HOST_H
#define TUFF_OPS_ZIP_HOST_H
#include "base/processor.h"
#include <string.h>

enum { TUFF_ZIP = 16 };

// 16 numbers at a time.
typedef float tuff_vec __attribute__((vector_size(TUFF_ZIP * sizeof(float))));

// 32 numbers as those at even and those at odd places. `wide`, a constant: registers hold 16.
TUFF_EACH_PROCESSOR void tuff_unzip(const float *from, const bool wide, tuff_vec *even,
                                    tuff_vec *odd)
{
    typedef float four __attribute__((vector_size(16)));
    tuff_vec a, b;
    if (wide) {
        memcpy(&a, from, sizeof a);
        memcpy(&b, from + TUFF_ZIP, sizeof b);
        *even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26,
                                        28, 30);
        *odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27,
                                       29, 31);
        return;
    }
    for (int i = 0; i < TUFF_ZIP / 4; i++) {
        four x[2];
        memcpy(x, from + 8 * i, sizeof x);
        const four e = __builtin_shufflevector(x[0], x[1], 0, 2, 4, 6);
        const four o = __builtin_shufflevector(x[0], x[1], 1, 3, 5, 7);
        memcpy((float *)even + 4 * i, &e, sizeof e);
        memcpy((float *)odd + 4 * i, &o, sizeof o);
    }
}

// The other way round.
TUFF_EACH_PROCESSOR void tuff_zip(const tuff_vec *even, const tuff_vec *odd, const bool wide,
                                  float *to)
{
    typedef float four __attribute__((vector_size(16)));
    if (wide) {
        const tuff_vec a = __builtin_shufflevector(*even, *odd, 0, 16, 1, 17, 2, 18, 3, 19, 4,
                                                   20, 5, 21, 6, 22, 7, 23);
        const tuff_vec b = __builtin_shufflevector(*even, *odd, 8, 24, 9, 25, 10, 26, 11, 27,
                                                   12, 28, 13, 29, 14, 30, 15, 31);
        memcpy(to, &a, sizeof a);
        memcpy(to + TUFF_ZIP, &b, sizeof b);
        return;
    }
    for (int i = 0; i < TUFF_ZIP / 4; i++) {
        four e, o;
        memcpy(&e, (const float *)even + 4 * i, sizeof e);
        memcpy(&o, (const float *)odd + 4 * i, sizeof o);
        const four x[2] = { __builtin_shufflevector(e, o, 0, 4, 1, 5),
                            __builtin_shufflevector(e, o, 2, 6, 3, 7) };
        memcpy(to + 8 * i, x, sizeof x);
    }
}
#endif
