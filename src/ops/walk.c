#include "ops/walk.h"

tuff_walk tuff_walk_make(int rank, const int64_t dim[], const int64_t step0[],
                         const int64_t step1[])
{
    tuff_walk w = { 0 };
    for (int d = rank - 1; d >= 0; d--) {
        if (dim[d] == 1) continue;
        const uint32_t n = (uint32_t)dim[d], s0 = (uint32_t)step0[d], s1 = (uint32_t)step1[d];
        const int last = w.rank - 1;
        if (last >= 0 && s0 == w.step[0][last] * w.dim[last] &&
            s1 == w.step[1][last] * w.dim[last]) {
            w.dim[last] *= n;
            continue;
        }
        w.dim[w.rank] = n;
        w.step[0][w.rank] = s0;
        w.step[1][w.rank++] = s1;
    }
    return w;
}

void tuff_steps(const tuff_desc *d, int64_t step[])
{
    int64_t next = 1;
    for (int i = d->rank - 1; i >= 0; i--) {
        step[i] = next;
        next *= d->dim[i];
    }
}

void tuff_steps_as(const tuff_desc *x, const tuff_desc *y, int64_t step[])
{
    int64_t own[TUFF_MAX_DIMS] = { 0 };
    tuff_steps(x, own);
    const int missing = y->rank - x->rank;
    for (int i = 0; i < y->rank; i++)
        step[i] = i < missing || x->dim[i - missing] == 1 ? 0 : own[i - missing];
}

size_t tuff_walk_at(const tuff_walk *w, int tensor, size_t i)
{
    size_t at = 0;
    for (int d = 0; d < w->rank; d++) {
        at += i % w->dim[d] * w->step[tensor][d];
        i /= w->dim[d];
    }
    return at;
}
