// Which of many scores are the lowest; see prune.h.
#include "compress/prune.h"
#include "base/alloc.h"
#include "base/status.h"
#include <math.h>

// Puts the k-th smallest (from 0) at its place: Hoare's selection, the middle of three first.
static float nth(float *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const float a = x[low], b = x[low + (high - low) / 2], c = x[high];
        const float pivot = fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i > j) break;
            const float swap = x[i];
            x[i++] = x[j];
            x[j--] = swap;
        }
        if (k <= j) high = j;
        else if (k >= i) low = i;
        else break;
    }
    return x[k];
}

tuff_status tuff_prune_lowest(const float *score, bool *gone, int64_t n, int64_t goes)
{
    float *left = tuff_alloc((size_t)n + 1, sizeof *left);
    int64_t count = 0, below = 0;
    if (!left) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        if (!gone[i]) left[count++] = isnan(score[i]) ? HUGE_VALF : score[i];
    if (goes > count) goes = count;
    if (goes > 0) {
        const float limit = nth(left, count, goes - 1);
        for (int64_t i = 0; i < n; i++) {
            if (gone[i] || !(score[i] < limit)) continue;
            gone[i] = true;
            below++;
        }
        for (int64_t i = 0; i < n && below < goes; i++) {
            if (gone[i] || (score[i] > limit)) continue;
            if (isnan(score[i]) && limit < HUGE_VALF) continue;
            gone[i] = true;
            below++;
        }
    }
    tuff_free(left);
    return TUFF_OK;
}
