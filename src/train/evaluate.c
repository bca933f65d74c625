// Testing and predicting; declared in <tuff/train.h>.
#include "train/evaluate.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/time.h"
#include "nn/model.h"

tuff_status tuff_evaluate(tuff_passes *passes, const tuff_dataset *data, tuff_split split,
                          int batch, float *scores, tuff_metrics *metrics)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(data);
    const int64_t width = tuff_passes_width(passes);
    tuff_loader *loader = NULL;
    tuff_pass *pass;
    tuff_batch b;
    tuff_sums sums;
    tuff_status status = TUFF_OK;
    // The usual program is made first, so that it does not count as time of testing.
    if (info->count[split] >= batch) TUFF_GO(tuff_passes_get(passes, batch, &pass));
    TUFF_GO(tuff_loader_create(data, &(tuff_loader_params){ .split = split, .batch = batch,
                                                            .epochs = 1 },
                               &loader));
    const double began = tuff_time_now();
    for (tuff_loader_next(loader, &b); b.count; tuff_loader_next(loader, &b)) {
        TUFF_GO(tuff_passes_get(passes, b.count, &pass));
        const void *y = b.labels ? (const void *)b.labels : (const void *)b.targets;
        TUFF_GO(tuff_pass_run(pass, b.x, y, NULL, 0));
        if (scores) TUFF_GO(tuff_pass_scores(pass, scores));
        if (scores) scores += b.count * width;
    }
    TUFF_GO(tuff_passes_read(passes, true, &sums));
    tuff_metrics_fill(metrics, &sums, info->classes > 0, tuff_time_now() - began);
exit:
    tuff_loader_destroy(&loader);
    return status;
}

tuff_status tuff_test(tuff_model *model, tuff_dataset *data, const tuff_test_params *p,
                      tuff_metrics *metrics)
{
    static const tuff_test_params defaults;
    if (!p) p = &defaults;
    const tuff_dataset_info *info = tuff_dataset_get_info(data);
    const tuff_split split = p->held ? TUFF_HELD : TUFF_TEST;
    tuff_loss loss = p->loss;
    *metrics = (tuff_metrics){ .accuracy = -1 };
    if (loss == TUFF_LOSS_AUTO && info->classes) loss = (tuff_loss)model->loss;
    if (loss == TUFF_LOSS_AUTO) loss = info->classes ? TUFF_LOSS_CROSS_ENTROPY : TUFF_LOSS_MSE;
    TUFF_REQUIRE(loss == TUFF_LOSS_CROSS_ENTROPY || loss == TUFF_LOSS_MSE, ARG,
                 "test: %d is no loss", (int)loss);
    TUFF_REQUIRE(info->classes || loss == TUFF_LOSS_MSE, ARG,
                 "test: cross_entropy needs data with classes, this data has targets");
    TUFF_REQUIRE(p->batch >= 0 && p->batch <= 1 << 20, ARG,
                 "test: batch is %d, expected 1 to 1048576", p->batch);
    TUFF_REQUIRE(info->count[split] > 0, ARG, "test: the data has no %s part",
                 p->held ? "held-out" : "test");
    TUFF_TRY(tuff_agree(model, data, false));
    tuff_passes *passes;
    TUFF_TRY(tuff_passes_create(&(tuff_pass_spec){ model, loss, info->classes, NULL },
                                &passes));
    const tuff_status status = tuff_evaluate(passes, data, split, p->batch ? p->batch : 64,
                                             p->scores, metrics);
    tuff_passes_destroy(&passes);
    return status;
}

// ---- predicting ----------------------------------------------------------------------------

struct tuff_predictor {
    tuff_passes *passes;
    int64_t sample, width; // elements of one sample, and of what the net gives for it
};

tuff_status tuff_predictor_create(tuff_model *model, tuff_predictor **predictor)
{
    *predictor = NULL;
    tuff_predictor *p = tuff_alloc(1, sizeof *p);
    if (!p) return TUFF_ERR_MEMORY;
    p->sample = tuff_desc_count(tuff_model_input(model));
    p->width = tuff_desc_count(tuff_model_output(model));
    const tuff_status status = tuff_passes_create(&(tuff_pass_spec){ .model = model },
                                                  &p->passes);
    if (status != TUFF_OK) tuff_predictor_destroy(&p);
    *predictor = p;
    return status;
}

void tuff_predictor_destroy(tuff_predictor **predictor)
{
    if (!predictor || !*predictor) return;
    tuff_passes_destroy(&(*predictor)->passes);
    tuff_free(*predictor);
    *predictor = NULL;
}

tuff_status tuff_predictor_run(tuff_predictor *p, const float *x, int64_t count, float *scores)
{
    enum { BATCH = 64 };
    TUFF_REQUIRE(count >= 1, ARG, "predict: %lld samples", (long long)count);
    for (int64_t done = 0; done < count;) {
        tuff_pass *pass;
        const int64_t n = count - done < BATCH ? count - done : BATCH;
        TUFF_TRY(tuff_passes_get(p->passes, n, &pass));
        TUFF_TRY(tuff_pass_run(pass, x + done * p->sample, NULL, NULL, 0));
        TUFF_TRY(tuff_pass_scores(pass, scores + done * p->width));
        done += n;
    }
    return TUFF_OK;
}

tuff_status tuff_predict(tuff_model *model, const float *x, int64_t count, float *scores)
{
    tuff_predictor *p;
    TUFF_TRY(tuff_predictor_create(model, &p));
    const tuff_status status = tuff_predictor_run(p, x, count, scores);
    tuff_predictor_destroy(&p);
    return status;
}
