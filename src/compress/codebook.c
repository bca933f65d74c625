// Weights as indices into a codebook; see share.h.
#include "base/alloc.h"
#include "base/distinct.h"
#include "base/status.h"
#include "compress/share.h"
#include <math.h>
#include <string.h>
#include <tuff/ops/block.h>

enum { MOST_BITS = 8 };

static bool has_zero(const float *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (w[i] == 0) return true;
    return false;
}

int tuff_book_bits(const float *w, int64_t n)
{
    tuff_distinct d;
    int bits = 1;
    if (!tuff_distinct_find(&d, w, n)) return 0;
    while (1 << bits < d.count + has_zero(w, n)) bits++;
    return bits;
}

// What there is to choose from: sorted but for a zero, which comes first.
typedef struct picker {
    const float *book;
    int count;
    int64_t inputs;
    float *w; // what was picked
} picker;

static double pick(void *user, int64_t row, int64_t input, const double *w)
{
    const picker *p = user;
    int best = 0;
    for (int i = 1; i < p->count; i++)
        if (fabs(p->book[i] - *w) < fabs(p->book[best] - *w)) best = i;
    p->w[row * p->inputs + input] = p->book[best];
    return p->book[best];
}

// The numbers that w has now; without a zero among them the first of `d` is left out.
static int take_numbers(const tuff_distinct *d, bool zero, int bits, float *book)
{
    const int count = d->count + zero;
    memcpy(book, d->number + !zero, (size_t)count * sizeof *book);
    for (int i = count; i < 1 << bits; i++) book[i] = 0;
    return count;
}

static tuff_status pack(const tuff_distinct *d, bool zero, int bits, const float *w,
                        int64_t rows, int64_t cols, uint32_t *words)
{
    const int64_t n = rows * cols;
    uint8_t *index = tuff_alloc((size_t)n, sizeof *index);
    if (!index) return TUFF_ERR_MEMORY;
    tuff_distinct_index(d, w, n, index);
    for (int64_t i = 0; i < n && !zero; i++) index[i]--;
    const tuff_status status = tuff_codebook_pack(bits, index, rows, cols, words);
    tuff_free(index);
    return status;
}

tuff_status tuff_book_encode(const tuff_hessian *h, int bits, const float *w, int64_t rows,
                             int64_t cols, uint32_t *words, float *book)
{
    const int64_t n = rows * cols;
    const bool zero = has_zero(w, n), all = bits == MOST_BITS;
    const tuff_kmeans_params how = { .clusters = (1 << bits) - (zero || all) };
    tuff_status status = TUFF_OK;
    tuff_distinct d;
    float *is = tuff_alloc((size_t)n, sizeof *is);
    if (!is) return TUFF_ERR_MEMORY;
    memcpy(is, w, (size_t)n * sizeof *is);
    TUFF_GO(tuff_share_numbers(is, n, &how));
    (void)tuff_distinct_find(&d, is, n);
    picker p = { .book = book, .count = take_numbers(&d, zero, bits, book), .w = is };
    if (h && h->sum) {
        p.inputs = h->inputs;
        TUFF_GO(tuff_hessian_round(h, n / h->inputs, w, pick, &p));
    }
    TUFF_GO(pack(&d, zero, bits, is, rows, cols, words));
exit:
    tuff_free(is);
    return status;
}
