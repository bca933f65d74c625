// Dense matrices to sparse ones, on the host.
#include "base/status.h"
#include "ops/codebook.h"
#include "ops/sparse.h"
#include <math.h>

static bool divides(int64_t rows, int64_t cols, int height, int width)
{
    return height >= 1 && width >= 1 && rows >= 1 && cols >= 1 && rows % height == 0 &&
           cols % width == 0;
}

// Whether the block whose first number is *x is all 0.
static bool is_zero(const float *x, int64_t cols, int height, int width)
{
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            if (x[i * cols + j] != 0) return false;
    return true;
}

int64_t tuff_sparse_count(const float *x, int64_t rows, int64_t cols, int height, int width)
{
    int64_t count = 0;
    if (!x || !divides(rows, cols, height, width)) return 0;
    for (int64_t r = 0; r < rows; r += height)
        for (int64_t c = 0; c < cols; c += width)
            count += !is_zero(x + r * cols + c, cols, height, width);
    return count ? count : 1;
}

tuff_status tuff_sparse_encode(const float *x, int64_t rows, int64_t cols, int height,
                               int width, float *values, int32_t *columns, int32_t *starts)
{
    TUFF_REQUIRE(x && values && columns && starts, ARG, "sparse: a pointer is NULL");
    TUFF_REQUIRE(divides(rows, cols, height, width), ARG, "sparse: blocks of %d x %d do not "
                 "divide %lld x %lld numbers", height, width, (long long)rows, (long long)cols);
    int32_t count = 0;
    *starts++ = 0;
    for (int64_t r = 0; r < rows; r += height) {
        for (int64_t c = 0; c < cols; c += width) {
            const float *from = x + r * cols + c;
            if (is_zero(from, cols, height, width)) continue;
            for (int i = 0; i < height; i++)
                for (int j = 0; j < width; j++) *values++ = from[i * cols + j];
            columns[count++] = (int32_t)(c / width);
        }
        *starts++ = count;
    }
    if (count) return TUFF_OK;
    for (int i = 0; i < height * width; i++) values[i] = 0;
    columns[0] = 0;
    return TUFF_OK;
}

// Writes the places of the `keep` largest of `of` numbers, in order.
static void largest(const float *x, int keep, int of, int place[])
{
    uint32_t taken = 0;
    for (int i = 0; i < keep; i++) {
        int best = -1;
        for (int k = 0; k < of; k++)
            if (!(taken >> k & 1) && (best < 0 || fabsf(x[k]) > fabsf(x[best]))) best = k;
        taken |= 1u << best;
    }
    for (int k = 0, i = 0; k < of; k++)
        if (taken >> k & 1) place[i++] = k;
}

tuff_status tuff_nm_encode(const float *x, int64_t rows, int64_t cols, const tuff_nm_params *p,
                           float *values, uint32_t *indices)
{
    const int64_t words = tuff_nm_words(cols, p);
    TUFF_REQUIRE(x && values && indices, ARG, "N:M: a pointer is NULL");
    TUFF_REQUIRE(words > 0, ARG, "N:M: keep, of or cols, which is %lld, do not fit",
                 (long long)cols);
    static const tuff_nm_params two_of_four;
    tuff_sparse a;
    (void)tuff_sparse_nm(p ? p : &two_of_four, &a); // as tuff_nm_words has seen
    for (int64_t row = 0; row < rows; row++) {
        uint32_t *to = indices + row * words;
        for (int64_t w = 0; w < words; w++) to[w] = 0;
        int64_t next = 0;
        for (int64_t c = 0; c < cols; c += a.of) {
            int place[16];
            const float *from = x + row * cols + c;
            largest(from, a.keep, a.of, place);
            for (int i = 0; i < a.keep; i++) {
                *values++ = from[place[i]];
                tuff_codebook_put(a.bits, to, next++, (uint32_t)place[i]);
            }
        }
    }
    return TUFF_OK;
}
