// Kernels compiled ahead of use; declared in <tuff/train.h>.
//
// Drivers compile when a pipeline is created, or when it first runs (software ones), so that
// each program is made and run once. What they compiled is kept by the device's cache and the
// driver's own when the device is closed.
#include "base/alloc.h"
#include "base/status.h"
#include "base/time.h"
#include "train/trainer.h"

typedef struct warmer {
    tuff_model *model;
    int64_t batch;
    float *x;        // zeros: a batch of samples,
    void *y;         // of classes or of outputs,
    float *scores;   // and of what the net gives
    float *weights;  // what the model had
    size_t bytes;    // of them
    int programs;
} warmer;

static tuff_status allocate(warmer *w)
{
    const size_t batch = (size_t)w->batch;
    const size_t out = (size_t)tuff_desc_count(tuff_model_output(w->model));
    w->bytes = tuff_desc_bytes(tuff_tensor_desc(tuff_model_weights(w->model)));
    w->x = tuff_alloc(batch * (size_t)tuff_desc_count(tuff_model_input(w->model)), 4);
    w->y = tuff_alloc(batch * out, 4);
    w->scores = tuff_alloc(batch * out, 4);
    w->weights = tuff_alloc(w->bytes, 1);
    return w->x && w->y && w->scores && w->weights ? TUFF_OK : TUFF_ERR_MEMORY;
}

static int64_t classes_of(const warmer *w)
{
    const tuff_desc *y = tuff_model_output(w->model);
    return y->rank == 1 ? y->dim[0] : 0;
}

// A batch, and one sample alone where a batch is more.
static tuff_status run_passes(warmer *w, const tuff_pass_spec *spec)
{
    tuff_passes *passes;
    TUFF_TRY(tuff_passes_create(spec, &passes));
    tuff_status status = TUFF_OK;
    for (int64_t count = w->batch; count > 0; count = count > 1 ? 1 : 0) {
        tuff_pass *pass;
        TUFF_GO(tuff_passes_get(passes, count, &pass));
        TUFF_GO(tuff_pass_run(pass, w->x, w->y, NULL, 0));
        TUFF_GO(tuff_pass_scores(pass, w->scores));
        w->programs++;
        if (spec->loss != TUFF_LOSS_AUTO) break; // nobody tests with one sample
    }
exit:
    tuff_passes_destroy(&passes);
    return status;
}

static tuff_status run_training(warmer *w, const tuff_train_params *train)
{
    tuff_train_params p = *train;
    tuff_trainer *trainer;
    tuff_metrics m;
    p.batch = (int)w->batch;
    TUFF_TRY(tuff_trainer_create(w->model, &p, classes_of(w), w->batch, &trainer));
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_trainer_step(trainer, w->x, w->y, w->batch));
    TUFF_GO(tuff_trainer_read(trainer, &m));
    w->programs++;
exit:
    tuff_trainer_destroy(&trainer);
    return status;
}

// A step changes weights and running means: they are put back, also after a failure.
static tuff_status train_and_restore(warmer *w, const tuff_train_params *train)
{
    tuff_tensor *weights = tuff_model_weights(w->model);
    tuff_stream *stream;
    TUFF_TRY(tuff_stream_create(tuff_model_device(w->model), &stream));
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_tensor_read(stream, weights, w->weights, w->bytes));
    status = run_training(w, train);
    if (status == TUFF_OK) {
        TUFF_GO(tuff_tensor_write(stream, weights, w->weights, w->bytes));
        TUFF_GO(tuff_stream_wait(stream));
    } else if (tuff_tensor_write(stream, weights, w->weights, w->bytes) == TUFF_OK) {
        (void)!tuff_stream_wait(stream); // the first failure is the one to tell
    }
exit:
    tuff_stream_destroy(&stream);
    return status;
}

tuff_status tuff_warm(tuff_model *model, const tuff_warm_params *p, tuff_warm_result *result)
{
    static const tuff_warm_params defaults;
    const double began = tuff_time_now();
    tuff_memory_stats before, after;
    tuff_status status = TUFF_OK;
    if (!p) p = &defaults;
    TUFF_REQUIRE(p->batch >= 0 && p->batch <= 1 << 20, ARG,
                 "warm: batch is %d, expected 1 to 1048576", p->batch);
    warmer w = { .model = model, .batch = p->batch ? p->batch : 64 };
    tuff_device_get_stats(tuff_model_device(model), &before);
    TUFF_GO(allocate(&w));
    TUFF_GO(run_passes(&w, &(tuff_pass_spec){ .model = model }));
    if (classes_of(&w))
        TUFF_GO(run_passes(&w, &(tuff_pass_spec){ .model = model, .classes = classes_of(&w),
                                                  .loss = TUFF_LOSS_CROSS_ENTROPY }));
    if (p->train) TUFF_GO(train_and_restore(&w, p->train));
    tuff_device_get_stats(tuff_model_device(model), &after);
    if (result)
        *result = (tuff_warm_result){ w.programs, after.pipelines - before.pipelines,
                                      tuff_time_now() - began };
exit:
    tuff_free(w.x);
    tuff_free(w.y);
    tuff_free(w.scores);
    tuff_free(w.weights);
    return status;
}
