// Batch norms that become part of the layer before them; declared in
// <tuff/compress/quantize.h>.
#include "base/status.h"
#include "compress/quantize.h"
#include <math.h>
#include <string.h>

// The product that a norm can be folded into, or -1.
static int folds_into(const tuff_model *m, int part)
{
    if (!tuff_part_is(m, part, "bn")) return -1;
    const int at = m->part[part].item.in[0];
    if (at < 0 || !tuff_part_is_product(m, at) || tuff_part_users(m, at, NULL) != 1) return -1;
    const bool floats = m->part[at].input.dtype == TUFF_F32;
    return floats && m->part[at].output.rank != 2 ? at : -1;
}

static const float *read(const tuff_rewrite *w, int part, const char *name)
{
    const tuff_param *p = tuff_part_param(w->from, part, name);
    return p ? tuff_param_at(w->from_flat, p) : NULL;
}

// w' = w s, b' = (b - mean) s + shift, s = weight / sqrt(var + eps), for each output channel.
static void fold(tuff_rewrite *w, int norm, int part)
{
    const tuff_model *to = w->to;
    const tuff_param *weight = tuff_part_param(to, w->first[part], "weight");
    float *wt = tuff_param_at(w->to_flat, weight);
    float *bias = tuff_param_at(w->to_flat, tuff_part_param(to, w->first[part], "bias"));
    const float *had = read(w, part, "bias");
    const float *gain = read(w, norm, "weight"), *shift = read(w, norm, "bias");
    const float *mean = read(w, norm, "running_mean"), *var = read(w, norm, "running_var");
    const double eps = (double)w->from->part[norm].item.layer.real[0];
    const int64_t out = weight->desc.dim[0], row = weight->count / out;
    for (int64_t o = 0; o < out; o++) {
        const double s = gain[o] / sqrt(var[o] + eps);
        for (int64_t i = 0; i < row; i++) wt[o * row + i] = (float)(wt[o * row + i] * s);
        bias[o] = (float)(((had ? had[o] : 0) - (double)mean[o]) * s + shift[o]);
    }
}

tuff_status tuff_fold(tuff_model *model, tuff_model **folded, int place[])
{
    tuff_rewrite *w;
    tuff_status status = TUFF_OK;
    *folded = NULL;
    TUFF_TRY(tuff_rewrite_open(model, &w));
    for (int i = 0; i < model->parts; i++) {
        const int at = folds_into(model, i);
        if (at < 0) continue;
        tuff_rewrite_give_bias(w, at);
        tuff_rewrite_set(w, i, "%s", "");
    }
    TUFF_GO(tuff_rewrite_build(w));
    tuff_rewrite_keep(w);
    for (int i = 0; i < model->parts; i++) {
        const int at = folds_into(model, i);
        if (at >= 0) fold(w, i, at);
        if (place) place[i] = w->count[i] ? w->first[i] : -1;
    }
exit:
    if (status != TUFF_OK) {
        (void)tuff_rewrite_close(&w, NULL);
        return status;
    }
    return tuff_rewrite_close(&w, folded);
}

tuff_status tuff_fold_batch_norms(tuff_model *model, tuff_model **folded)
{
    TUFF_REQUIRE(model && folded, ARG, "fold: the model or the result is NULL");
    return tuff_fold(model, folded, NULL);
}
