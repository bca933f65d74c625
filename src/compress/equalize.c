// Cross-layer equalisation (Nagel et al. 2019, 1906.04721): between two products whose numbers
// pass through nothing but layers with f(s x) = s f(x), s > 0, each channel may be made s times
// smaller in the first and larger in the second. With s = sqrt(r1 / r2), r the largest weight
// of a channel on either side, both have the same range.
#include "compress/quantize.h"
#include "base/alloc.h"
#include "base/status.h"
#include "train/model_file.h"
#include <math.h>

enum { ROUNDS = 10 };

// A product's weights as rows, one for each of its outputs.
typedef struct product {
    float *w, *bias; // bias NULL: none
    int64_t out, in, taps; // in: input channels of a group
    int64_t groups;
} product;

static product product_of(const tuff_model *m, int part, float *flat)
{
    const tuff_param *w = tuff_part_param(m, part, "weight");
    const tuff_param *b = tuff_part_param(m, part, "bias");
    const int64_t channels = m->part[part].input.dim[m->part[part].input.rank == 3 ? 0
                                                     : m->part[part].input.rank - 1];
    product p = { .w = tuff_param_at(flat, w), .bias = b ? tuff_param_at(flat, b) : NULL,
                  .out = w->desc.dim[0], .in = w->desc.dim[1] };
    p.taps = w->count / p.out / p.in;
    p.groups = channels / p.in;
    return p;
}

// The product that a product's numbers go to, or -1.
static int next_product(const tuff_model *m, int part)
{
    int user;
    while (tuff_part_users(m, part, &user) == 1) {
        const tuff_layer_kind *kind = m->part[user].item.layer.kind;
        const bool own = kind->mixing == TUFF_MIX_NONE || kind->mixing == TUFF_MIX_FLATTEN;
        if (tuff_part_is_product(m, user)) return user;
        if (!kind->scales || !own) return -1;
        part = user;
    }
    return -1;
}

// Calls for each weight of `b` that channel c of `each` channels of a meets: its largest, or
// times `by`.
static double channel(const product *b, int64_t c, int64_t each, double by)
{
    double largest = 0;
    for (int64_t i = c * each; i < (c + 1) * each; i++) { // inputs of b
        const int64_t g = i / b->in, rows = b->out / b->groups;
        for (int64_t o = g * rows; o < (g + 1) * rows; o++)
            for (int64_t t = 0; t < b->taps; t++) {
                float *w = b->w + (o * b->in + i % b->in) * b->taps + t;
                largest = fmax(largest, fabs((double)*w));
                *w = (float)(*w * by);
            }
    }
    return largest;
}

static void equalize_pair(const product *a, const product *b)
{
    const int64_t row = a->in * a->taps, inputs = b->in * b->groups, each = inputs / a->out;
    for (int64_t c = 0; c < a->out; c++) {
        double r1 = 0;
        for (int64_t i = 0; i < row; i++) r1 = fmax(r1, fabs((double)a->w[c * row + i]));
        const double r2 = channel(b, c, each, 1);
        const double s = r1 > 0 && r2 > 0 ? sqrt(r1 / r2) : 1;
        for (int64_t i = 0; i < row; i++) a->w[c * row + i] = (float)(a->w[c * row + i] / s);
        if (a->bias) a->bias[c] = (float)(a->bias[c] / s);
        (void)channel(b, c, each, s);
    }
}

tuff_status tuff_equalize(tuff_model *m)
{
    float *flat = tuff_alloc((size_t)m->flat, sizeof *flat);
    if (!flat) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_move_weights(m, flat, true);
    for (int round = 0; status == TUFF_OK && round < ROUNDS; round++)
        for (int i = 0; i < m->parts; i++) {
            const int next = tuff_part_is_product(m, i) ? next_product(m, i) : -1;
            if (next < 0 || m->part[i].output.rank == 2) continue;
            const product a = product_of(m, i, flat), b = product_of(m, next, flat);
            if (b.in * b.groups % a.out == 0) equalize_pair(&a, &b);
        }
    if (status == TUFF_OK) status = tuff_move_weights(m, flat, false);
    tuff_free(flat);
    return status;
}
