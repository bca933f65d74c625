// Training on a dataset: epochs of steps, tests after each, early stop, checkpoints.
#include "base/alloc.h"
#include "base/status.h"
#include "base/time.h"
#include "nn/model.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/model_file.h"
#include "train/said.h"
#include "abi/update.h"
#include <math.h>
#include <string.h>

typedef struct run {
    tuff_trainer *t;
    tuff_dataset *data;
    tuff_model *model;
    tuff_train_params p; // t->p, with the caller's files and functions
    tuff_passes *tests;
    tuff_loader *loader;
    tuff_said *said; // of teachers with a cache; else NULL
    tuff_place place;
    tuff_train_result *result;
    int64_t examples;    // of this epoch, done in this call
    double began, looked; // seconds: this epoch, the last look at the loss
    double loss;          // as looked at
    bool asked;
} run;

// ---- files ---------------------------------------------------------------------------------

// The net that is tested and written.
static tuff_model *written(const run *r)
{
    return r->p.stored ? r->p.stored->model : r->model;
}

// Gives it what was trained.
static tuff_status store(run *r)
{
    const tuff_stored_as *s = r->p.stored;
    return s ? s->store(s->user, r->model, s->model) : TUFF_OK;
}

static tuff_status save(run *r, float *last)
{
    return r->p.out ? tuff_checkpoint_write(r->p.out, r->t, &r->place, last) : TUFF_OK;
}

// Moves the sums of the device to the host, so that a checkpoint has them.
static tuff_status collect(run *r)
{
    tuff_sums sums;
    TUFF_TRY(tuff_passes_read(r->t->passes, true, &sums));
    r->place.sums.loss += sums.loss;
    r->place.sums.correct += sums.correct;
    r->place.sums.examples += sums.examples;
    TUFF_REQUIRE(isfinite(r->place.sums.loss), CHECK,
                 "train: the loss is no longer a number in epoch %d (lr %g): a smaller "
                 "learning rate, or clipping, may help",
                 r->place.epoch + 1, r->t->lr);
    return TUFF_OK;
}

static tuff_status save_inside(run *r)
{
    TUFF_TRY(collect(r));
    TUFF_TRY(store(r));
    return save(r, NULL);
}

// ---- one epoch -----------------------------------------------------------------------------

static tuff_status tell_step(run *r)
{
    if (!r->p.on_step) return TUFF_OK;
    const double now = tuff_time_now();
    if (now - r->looked >= 1) {
        tuff_sums sums;
        TUFF_TRY(tuff_passes_read(r->t->passes, false, &sums));
        const double examples = (double)(sums.examples + r->place.sums.examples);
        r->loss = (sums.loss + r->place.sums.loss) / examples;
        r->looked = now;
    }
    const tuff_progress progress = {
        .epoch = r->place.epoch + 1, .epochs = r->p.epochs, .step = r->place.index,
        .steps = r->t->steps_per_epoch, .examples = r->examples, .seconds = now - r->began,
        .loss = r->loss,
    };
    r->asked = !r->p.on_step(r->p.user, &progress);
    return TUFF_OK;
}

static tuff_status step(run *r)
{
    tuff_batch b;
    tuff_loader_next(r->loader, &b);
    const void *y = b.labels ? (const void *)b.labels : (const void *)b.targets;
    if (r->said) TUFF_TRY(tuff_said_give(r->said, r->t, &b));
    TUFF_TRY(tuff_trainer_step(r->t, b.x, y, b.count));
    r->place.index++;
    r->examples += b.count;
    TUFF_TRY(tell_step(r));
    const bool due = r->p.save_every && r->t->step % r->p.save_every == 0;
    return due || r->asked ? save_inside(r) : TUFF_OK;
}

static tuff_status test_parts(run *r, tuff_epoch *e)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(r->data);
    if (info->count[TUFF_TEST])
        TUFF_TRY(tuff_evaluate(r->tests, r->data, TUFF_TEST, r->p.batch, NULL, &e->test));
    if (info->count[TUFF_HELD])
        TUFF_TRY(tuff_evaluate(r->tests, r->data, TUFF_HELD, r->p.batch, NULL, &e->held));
    return TUFF_OK;
}

static tuff_status read_weights(run *r, float *data)
{
    tuff_tensor *w = tuff_model_weights(r->model);
    return tuff_tensor_read(r->t->stream, w, data, tuff_desc_bytes(tuff_tensor_desc(w)));
}

static tuff_status judge(run *r, const tuff_epoch *e)
{
    tuff_place *place = &r->place;
    if (!r->p.patience) return TUFF_OK;
    if (!place->best_epoch || e->held.loss < place->best_loss) {
        place->best_epoch = e->epoch;
        place->best_loss = e->held.loss;
        TUFF_TRY(read_weights(r, place->best));
    }
    r->result->best_epoch = place->best_epoch;
    r->result->early = e->epoch - place->best_epoch >= r->p.patience;
    return TUFF_OK;
}

static tuff_status tell_scale(run *r, tuff_epoch *e)
{
    float scaler[4];
    if (!r->t->state.scaler) return TUFF_OK;
    TUFF_TRY(tuff_tensor_read(r->t->stream, r->t->state.scaler, scaler, sizeof scaler));
    e->loss_scale = (double)scaler[TUFF_SCALER_SCALE];
    e->skipped = r->t->step - (int64_t)scaler[TUFF_SCALER_STEPS];
    return TUFF_OK;
}

static tuff_status end_epoch(run *r)
{
    tuff_epoch *e = &r->result->last;
    TUFF_TRY(collect(r));
    const double seconds = tuff_time_now() - r->began;
    *e = (tuff_epoch){ .epoch = r->place.epoch + 1, .epochs = r->p.epochs, .lr = r->t->lr };
    tuff_metrics_fill(&e->train, &r->place.sums, r->t->classes > 0, seconds);
    if (seconds > 0) e->train.images_per_second = (double)r->examples / seconds;
    TUFF_TRY(tell_scale(r, e));
    TUFF_TRY(store(r));
    TUFF_TRY(test_parts(r, e));
    TUFF_TRY(judge(r, e));
    r->place.sums = (tuff_sums){ 0 };
    r->place.epoch++;
    r->place.index = 0;
    TUFF_TRY(save(r, NULL));
    if (r->p.on_epoch && !r->p.on_epoch(r->p.user, e)) r->asked = true;
    return TUFF_OK;
}

static tuff_status one_epoch(run *r)
{
    r->examples = 0;
    r->began = r->looked = tuff_time_now();
    r->loss = -1;
    while (r->place.index < r->t->steps_per_epoch && !r->asked) TUFF_TRY(step(r));
    return r->place.index == r->t->steps_per_epoch && !r->asked ? end_epoch(r) : TUFF_OK;
}

// ---- the whole -----------------------------------------------------------------------------

// A model that knows how its samples are normalised has the dataset do so; else it learns it.
tuff_status tuff_agree(tuff_model *model, tuff_dataset *data, bool learn)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(data);
    const tuff_desc *input = tuff_model_input(model), *output = tuff_model_output(model);
    char given[96], taken[96];
    TUFF_REQUIRE(tuff_desc_equal(&info->sample, input), SHAPE,
                 "the data's samples are %s, the net takes %s",
                 tuff_desc_print(&info->sample, given, sizeof given),
                 tuff_desc_print(input, taken, sizeof taken));
    TUFF_REQUIRE(info->classes || tuff_desc_count(output) == info->targets, SHAPE,
                 "the data has %d targets an example, the net gives %lld numbers",
                 info->targets, (long long)tuff_desc_count(output));
    const tuff_model_data *known = tuff_model_get_data(model);
    if (known->channels)
        return tuff_dataset_set_norm(data, known->scale, known->shift, known->channels);
    const tuff_model_data all = { info->channels, info->scale, info->shift, info->classes,
                                  info->class_names };
    return learn ? tuff_model_set_data(model, &all) : TUFF_OK;
}

// Makes the programs of a whole and of the last batch before the clock starts.
static tuff_status make_programs(run *r)
{
    const int64_t all = tuff_dataset_get_info(r->data)->count[TUFF_TRAIN];
    const int64_t sizes[] = { all >= r->p.batch ? r->p.batch : 0, all % r->p.batch };
    tuff_program *program;
    for (int i = 0; i < 2; i++)
        if (sizes[i]) TUFF_TRY(tuff_trainer_program(r->t, sizes[i], &program));
    return TUFF_OK;
}

static tuff_status open_run(run *r, const tuff_safetensors *file)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(r->data);
    TUFF_TRY(tuff_agree(r->model, r->data, true));
    TUFF_TRY(tuff_agree(written(r), r->data, true));
    TUFF_REQUIRE(info->count[TUFF_TRAIN] > 0, ARG, "train: the data has no training examples");
    TUFF_TRY(tuff_trainer_create(r->model, &r->p, info->classes, info->count[TUFF_TRAIN],
                                 &r->t));
    r->p = r->t->p; // with defaults
    r->model->loss = written(r)->loss = (int)r->p.loss;
    TUFF_REQUIRE(!r->p.patience || info->count[TUFF_HELD] > 0, ARG,
                 "train: early stop needs a held-out part of the data");
    if (r->p.patience) {
        r->place.best = tuff_alloc((size_t)tuff_desc_count(tuff_tensor_desc(
                                       tuff_model_weights(r->model))),
                                   sizeof(float));
        if (!r->place.best) return TUFF_ERR_MEMORY;
    }
    if (r->t->lesson.said)
        TUFF_TRY(tuff_said_open(r->model, &r->t->lesson.teach, r->data, r->p.batch, &r->said));
    if (file) TUFF_TRY(tuff_checkpoint_restore(file, r->t, &r->place));
    TUFF_TRY(make_programs(r));
    const tuff_pass_spec tests = { written(r), r->p.loss, info->classes, NULL };
    return tuff_passes_create(&tests, &r->tests);
}

static tuff_status open_loader(run *r)
{
    const int64_t start = r->place.epoch * r->t->steps_per_epoch + r->place.index;
    const tuff_loader_params p = { .split = TUFF_TRAIN, .batch = r->p.batch, .shuffle = true,
                                   .seed = r->p.seed, .start = start,
                                   .augment = r->p.augment };
    return tuff_loader_create(r->data, &p, &r->loader);
}

// With early stop the model gets its best weights back, and its file too.
static tuff_status keep_best(run *r)
{
    const tuff_place *place = &r->place;
    if (!r->p.patience || !place->best_epoch || place->best_epoch == place->epoch)
        return TUFF_OK;
    tuff_tensor *w = tuff_model_weights(r->model);
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(w));
    float *last = tuff_alloc(bytes, 1);
    if (!last) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    TUFF_GO(read_weights(r, last));
    TUFF_GO(tuff_tensor_write(r->t->stream, w, place->best, bytes));
    TUFF_GO(tuff_stream_wait(r->t->stream));
    TUFF_GO(store(r));
    TUFF_GO(save(r, last));
exit:
    tuff_free(last);
    return status;
}

// At the end of a run: a net that is small by its form or by numbers that are shared is left
// alone in its file, without a training part.
static tuff_status finish(run *r)
{
    TUFF_TRY(keep_best(r));
    TUFF_TRY(store(r));
    if (!r->p.out) return TUFF_OK;
    const bool shared = r->p.keep_shared && tuff_is_packed_name(r->p.out);
    return r->p.stored || shared ? tuff_model_save(written(r), r->p.out) : TUFF_OK;
}

static tuff_status go(run *r)
{
    // A run that early stop has ended stays ended.
    r->result->early = r->p.patience && r->place.best_epoch &&
                       r->place.epoch - r->place.best_epoch >= r->p.patience;
    if (r->place.epoch < r->p.epochs) TUFF_TRY(open_loader(r));
    while (r->place.epoch < r->p.epochs && !r->asked && !r->result->early)
        TUFF_TRY(one_epoch(r));
    r->result->steps = r->t->step;
    r->result->asked = r->asked;
    r->result->best_epoch = r->place.best_epoch;
    return r->asked && !r->result->early ? TUFF_OK : finish(r);
}

tuff_status tuff_train(tuff_model *model, tuff_dataset *data, const tuff_train_params *p,
                       tuff_train_result *result)
{
    tuff_train_result ignored;
    run r = { .model = model, .data = data, .result = result ? result : &ignored };
    tuff_safetensors *file = NULL;
    tuff_status status = TUFF_OK;
    *r.result = (tuff_train_result){ 0 };
    if (p) r.p = *p;
    if (r.p.resume) {
        if (tuff_tuffz_is(r.p.resume))
            TUFF_GO(tuff_fail(TUFF_ERR_FORMAT, "resume: %s: it is a .tuffz file, expected "
                              "safetensors with a run in it; a run that has ended leaves a "
                              "net alone, and --net trains that on", r.p.resume));
        TUFF_GO(tuff_safetensors_read(r.p.resume, &file));
        TUFF_GO(tuff_checkpoint_settings(file, model, &r.p));
    }
    TUFF_GO(open_run(&r, file));
    TUFF_GO(go(&r));
exit:
    tuff_loader_destroy(&r.loader);
    tuff_said_destroy(&r.said);
    tuff_passes_destroy(&r.tests);
    tuff_trainer_destroy(&r.t);
    tuff_free(r.place.best);
    tuff_safetensors_destroy(&file);
    return status;
}
