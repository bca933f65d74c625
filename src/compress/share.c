// Weights that share few numbers; declared in <tuff/compress/deep.h>.
#include "base/alloc.h"
#include "base/distinct.h"
#include "base/status.h"
#include "compress/share.h"
#include "nn/model.h"
#include "train/model_file.h"
#include <math.h>
#include <string.h>
#include <tuff/compress.h>

static const char *const inits[] = { "linear", "density", "random" };
enum { INITS = sizeof inits / sizeof *inits, LEAST_BITS = 2, MOST_BITS = 8 };

tuff_status tuff_share_init_parse(const char *name, tuff_share_init *init)
{
    for (int i = 0; i < INITS; i++) {
        if (strcmp(name, inits[i]) != 0) continue;
        *init = (tuff_share_init)i;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_FORMAT, "share: the init '%.32s' is not known, expected linear, "
                     "density or random", name);
}

static tuff_status check(const tuff_model *model, const tuff_dataset *data,
                         const tuff_share_params *p)
{
    static const char *const of[] = { "convolutions", "dense layers", "biases" };
    const int bits[] = { p->bits_conv, p->bits_dense, p->bits_bias };
    bool weights = false;
    for (int i = 0; i < 3; i++)
        TUFF_REQUIRE(!bits[i] || (bits[i] >= LEAST_BITS && bits[i] <= MOST_BITS), ARG,
                     "share: %d bits for %s, expected %d to %d", bits[i],
                     of[i], LEAST_BITS, MOST_BITS);
    TUFF_REQUIRE((int)p->init >= 0 && (int)p->init < INITS, ARG, "share: %d is no init",
                 (int)p->init);
    TUFF_REQUIRE(!p->tune || data, ARG, "share: training the shared numbers needs data");
    for (int i = 0; i < model->params; i++)
        weights |= model->param[i].role == TUFF_PARAM_WEIGHT;
    TUFF_REQUIRE(weights, ARG, "share: the net has no weights that could share numbers%s",
                 tuff_model_stored(model));
    return TUFF_OK;
}

// The nearest of k sorted centroids.
static float nearest(const float *centroid, int k, float x)
{
    int low = 0, high = k - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        const double limit = ((double)centroid[middle] + (double)centroid[middle + 1]) / 2;
        if ((double)x > limit) low = middle + 1;
        else high = middle;
    }
    return centroid[low];
}

static int bits_of(const tuff_param *p, const tuff_share_params *s)
{
    if (p->role == TUFF_PARAM_BIAS) return s->bits_bias;
    if (p->desc.rank >= 3) return s->bits_conv ? s->bits_conv : 8;
    return s->bits_dense ? s->bits_dense : 5;
}

tuff_status tuff_share_numbers(float *w, int64_t n, const tuff_kmeans_params *p)
{
    float centroid[1 << MOST_BITS];
    tuff_distinct now;
    int count = 0;
    int64_t some = 0;
    for (int64_t i = 0; i < n; i++)
        if (w[i] == 0) w[i] = 0; // what was -0
    if (tuff_distinct_find(&now, w, n) && now.count <= p->clusters) return TUFF_OK;
    float *x = tuff_alloc((size_t)n, sizeof *x);
    if (!x) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++)
        if (w[i] != 0) x[some++] = w[i];
    const tuff_status status = tuff_kmeans(x, some, p, centroid, &count, NULL);
    for (int i = 0; i < count; i++)
        if (centroid[i] == 0) centroid[i] = nextafterf(0, 1);
    for (int64_t i = 0; status == TUFF_OK && i < n; i++)
        if (w[i] != 0) w[i] = nearest(centroid, count, w[i]);
    tuff_free(x);
    return status;
}

static tuff_status share_param(const tuff_param *p, const tuff_share_params *s, float *w)
{
    const tuff_kmeans_params how = { .clusters = (1 << bits_of(p, s)) - 1, .init = s->init,
                                     .seed = s->seed };
    const tuff_status status = tuff_share_numbers(w, p->count, &how);
    if (status == TUFF_ERR_ARG) tuff_fail_prefix(p->name);
    return status;
}

static tuff_status share_all(tuff_model *model, const tuff_share_params *p, tuff_role_of role)
{
    const size_t count = (size_t)tuff_desc_count(tuff_tensor_desc(model->weights));
    float *flat = tuff_alloc(count, sizeof *flat);
    if (!flat) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_move_weights(model, flat, true);
    for (int i = 0; i < model->params && status == TUFF_OK; i++)
        if (model->param[i].role == role)
            status = share_param(&model->param[i], p, flat + model->param[i].offset);
    if (status == TUFF_OK) status = tuff_move_weights(model, flat, false);
    tuff_free(flat);
    return status;
}

tuff_status tuff_share(tuff_model *model, tuff_dataset *data, const tuff_share_params *p,
                       tuff_model **shared)
{
    static const tuff_share_params defaults;
    tuff_model *copy = NULL;
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(model && shared, ARG, "share: the model or the result is NULL");
    if (!p) p = &defaults;
    *shared = NULL;
    TUFF_TRY(check(model, data, p));
    TUFF_GO(tuff_model_copy(model, model->device, &copy));
    TUFF_GO(share_all(copy, p, TUFF_PARAM_WEIGHT));
    if (p->tune) {
        tuff_train_params tune = *p->tune;
        tune.keep_shared = true;
        TUFF_GO(tuff_train(copy, data, &tune, NULL));
    }
    if (p->bits_bias) TUFF_GO(share_all(copy, p, TUFF_PARAM_BIAS));
    *shared = copy;
    copy = NULL;
exit:
    tuff_model_destroy(&copy);
    return status;
}
