// A trainer: the flat tensors of gradients and of the optimizer, and the programs of a step.
#include "train/trainer.h"
#include "train/precision.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "nn/model.h"
#include "ops/update.h"
#include "base/time.h"
#include "train/settings.h"

// Separates these numbers from others that are drawn from the same seed.
enum { PURPOSE_STEP = 5 };

// A tensor of zeros in the layout of a model's weights.
static tuff_status flat_zeros(tuff_trainer *t, const tuff_model *model, tuff_tensor **tensor)
{
    const tuff_desc desc = *tuff_tensor_desc(tuff_model_trained(model));
    TUFF_TRY(tuff_tensor_create(tuff_model_device(model), desc, tensor));
    float *zeros = tuff_alloc((size_t)desc.dim[0], sizeof *zeros);
    if (!zeros) return TUFF_ERR_MEMORY;
    const tuff_status status = tuff_tensor_write(t->stream, *tensor, zeros,
                                                 tuff_desc_bytes(&desc));
    tuff_free(zeros);
    return status;
}

// Where the parameters begin in the flat tensor.
static tuff_status make_starts(tuff_trainer *t, const tuff_model *model, tuff_tensor **starts)
{
    const int n = tuff_model_param_count(model);
    if (n == 0) return TUFF_OK; // refused where the passes are made
    int count = 0; // in the order of the layers, which is that of the flat tensor
    int32_t *host = tuff_alloc((size_t)n, sizeof *host);
    if (!host) return TUFF_ERR_MEMORY;
    for (int i = 0; i < n; i++) {
        tuff_param_info info;
        (void)tuff_model_param(model, i, &info);
        if (!info.buffer) host[count++] = (int32_t)info.offset;
    }
    tuff_status status = tuff_tensor_create(tuff_model_device(model),
                                            TUFF_SHAPE(TUFF_I32, count), starts);
    if (status == TUFF_OK)
        status = tuff_tensor_write(t->stream, *starts, host, (size_t)count * sizeof *host);
    tuff_free(host);
    return status;
}

// Ones, but for weights that are zero.
static void fill_mask(const tuff_model *m, const float *weights, float *mask)
{
    for (int64_t i = 0; i < m->trained_flat; i++) mask[i] = 1;
    for (int i = 0; i < m->params; i++) {
        const tuff_param *p = &m->param[i];
        for (int64_t k = 0; p->role == TUFF_PARAM_WEIGHT && k < p->count; k++)
            mask[p->offset + k] = weights[p->offset + k] != 0;
    }
}

tuff_status tuff_trainer_keep_zeros(tuff_trainer *t)
{
    if (!t->own_mask) return TUFF_OK;
    tuff_tensor *trained = tuff_model_trained(t->model);
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(trained));
    float *weights = tuff_alloc(bytes, 1), *mask = tuff_alloc(bytes, 1);
    tuff_status status = weights && mask ? TUFF_OK : TUFF_ERR_MEMORY;
    if (status == TUFF_OK) status = tuff_tensor_read(t->stream, trained, weights, bytes);
    if (status == TUFF_OK) fill_mask(t->model, weights, mask);
    if (status == TUFF_OK) status = tuff_tensor_write(t->stream, t->own_mask, mask, bytes);
    if (status == TUFF_OK) status = tuff_stream_wait(t->stream);
    tuff_free(weights);
    tuff_free(mask);
    return status;
}

static tuff_status make_mask(tuff_trainer *t)
{
    const tuff_desc *want = tuff_tensor_desc(tuff_model_trained(t->model));
    char got[96], text[96];
    t->state.mask = t->p.mask;
    if (t->p.mask) {
        const tuff_desc *d = tuff_tensor_desc(t->p.mask);
        TUFF_REQUIRE(tuff_desc_equal(d, want), SHAPE,
                     "train: the mask is %s, expected %s like what is trained",
                     tuff_desc_print(d, got, sizeof got),
                     tuff_desc_print(want, text, sizeof text));
    } else if (t->p.keep_zeros) {
        TUFF_TRY(tuff_tensor_create(tuff_model_device(t->model), *want, &t->own_mask));
        t->state.mask = t->own_mask;
    }
    return tuff_trainer_keep_zeros(t);
}

// What the optimizer keeps of a model that the steps train.
static tuff_status make_state(tuff_trainer *t, const tuff_model *model, tuff_update_state *s)
{
    const int n = tuff_model_param_count(model);
    const tuff_rule *rule = tuff_rule_of(tuff_optimizer_name(t->p.optimizer.kind));
    s->optimizer = t->p.optimizer;
    TUFF_TRY(flat_zeros(t, model, &s->grads));
    if (rule->m) TUFF_TRY(flat_zeros(t, model, &s->m));
    if (rule->v) TUFF_TRY(flat_zeros(t, model, &s->v));
    if (rule->x) TUFF_TRY(flat_zeros(t, model, &s->x));
    if (rule->op == TUFF_UPDATE_LAMB) TUFF_TRY(make_starts(t, model, &s->starts));
    TUFF_TRY(tuff_stream_wait(t->stream));
    s->grad_views = tuff_alloc((size_t)n + 1, sizeof(tuff_tensor *));
    if (!s->grad_views) return TUFF_ERR_MEMORY;
    for (int i = 0; i < n; i++) {
        tuff_param_info info;
        (void)tuff_model_param(model, i, &info);
        if (info.buffer) continue;
        TUFF_TRY(tuff_tensor_view(s->grads, info.offset, info.desc, &s->grad_views[i]));
    }
    return TUFF_OK;
}

static void clear_state(const tuff_model *model, tuff_update_state *s)
{
    const int n = tuff_model_param_count(model);
    for (int i = 0; s->grad_views && i < n; i++) tuff_tensor_destroy(&s->grad_views[i]);
    tuff_free(s->grad_views);
    tuff_tensor_destroy(&s->grads);
    tuff_tensor_destroy(&s->m);
    tuff_tensor_destroy(&s->v);
    tuff_tensor_destroy(&s->x);
    tuff_tensor_destroy(&s->starts);
}

static tuff_status make_scaler(tuff_trainer *t)
{
    float start[4];
    if (!tuff_precision_scales(&t->p.precision)) return TUFF_OK;
    tuff_scaler_start(&t->p.precision, start);
    TUFF_TRY(tuff_tensor_create(tuff_model_device(t->model), TUFF_SHAPE(TUFF_F32, 4),
                                &t->state.scaler));
    TUFF_TRY(tuff_tensor_write(t->stream, t->state.scaler, start, sizeof start));
    return tuff_stream_wait(t->stream);
}

static tuff_status make_states(tuff_trainer *t)
{
    t->state.slim = t->p.slim;
    t->state.gradients = t->p.gradients;
    t->state.precision = t->p.precision;
    TUFF_TRY(make_scaler(t));
    TUFF_TRY(tuff_round_start(t->stream, &t->p.precision, tuff_model_trained(t->model)));
    TUFF_TRY(make_mask(t));
    TUFF_TRY(tuff_trainer_keep_shared(t));
    TUFF_TRY(make_state(t, t->model, &t->state));
    for (int i = 0; i < t->lesson.matches; i++) {
        tuff_match *m = &t->lesson.match[i];
        if (m->projection) TUFF_TRY(make_state(t, m->projection, &m->state));
    }
    return TUFF_OK;
}

static void clear_states(tuff_trainer *t)
{
    clear_state(t->model, &t->state);
    for (int i = 0; i < t->lesson.matches; i++) {
        tuff_match *m = &t->lesson.match[i];
        if (m->projection) clear_state(m->projection, &m->state);
    }
}

// Schedules count in steps of an epoch; without its length only a constant rate (after a
// warm-up, which counts steps) has a meaning.
static tuff_status count_steps(tuff_trainer *t, int64_t examples)
{
    TUFF_REQUIRE(examples >= 0, ARG, "train: an epoch has %lld examples", (long long)examples);
    TUFF_REQUIRE(examples > 0 || t->p.schedule.kind == TUFF_CONSTANT, ARG,
                 "train: this schedule needs to know how many examples an epoch has");
    t->steps_per_epoch = (examples + t->p.batch - 1) / t->p.batch;
    t->steps = t->steps_per_epoch * t->p.epochs;
    return TUFF_OK;
}

tuff_status tuff_trainer_create(tuff_model *model, const tuff_train_params *p, int64_t classes,
                                int64_t examples, tuff_trainer **trainer)
{
    static const tuff_train_params defaults;
    *trainer = NULL;
    TUFF_REQUIRE(classes >= 0 && classes <= INT32_MAX, ARG, "train: %lld classes",
                 (long long)classes);
    tuff_trainer *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    t->model = model;
    t->classes = classes;
    t->p = p ? *p : defaults;
    TUFF_GO(tuff_train_fill(&t->p, classes > 0));
    if (t->p.teach) {
        t->state.lesson = &t->lesson;
        TUFF_GO(tuff_lesson_open(model, &t->p, &t->lesson));
    }
    TUFF_GO(count_steps(t, examples));
    TUFF_GO(tuff_stream_create(tuff_model_device(model), &t->stream));
    TUFF_GO(make_states(t));
    const tuff_pass_spec spec = { .model = model, .loss = t->p.loss, .classes = classes,
                                  .state = &t->state };
    TUFF_GO(tuff_passes_create(&spec, &t->passes));
    t->began = tuff_time_now();
    *trainer = t;
    t = NULL;
exit:
    tuff_trainer_destroy(&t);
    return status;
}

void tuff_trainer_destroy(tuff_trainer **trainer)
{
    if (!trainer || !*trainer) return;
    tuff_trainer *t = *trainer;
    tuff_passes_destroy(&t->passes);
    clear_states(t);
    tuff_lesson_close(&t->lesson);
    tuff_tensor_destroy(&t->state.scaler);
    tuff_tensor_destroy(&t->own_mask);
    tuff_trainer_free_shared(t);
    tuff_stream_destroy(&t->stream);
    tuff_free(t);
    *trainer = NULL;
}

tuff_status tuff_trainer_step(tuff_trainer *t, const float *x, const void *y, int64_t count)
{
    TUFF_REQUIRE(count >= 1, ARG, "train: a batch of %lld examples", (long long)count);
    TUFF_REQUIRE(!t->lesson.said || t->fed, ARG,
                 "distill: a cache is of a dataset's examples, single steps run the teachers");
    tuff_pass *pass;
    float hyper[8];
    t->fed = false;
    TUFF_TRY(tuff_passes_get(t->passes, count, &pass));
    t->lr = tuff_schedule_lr(&t->p.schedule, (double)t->p.optimizer.lr, t->step,
                             t->steps_per_epoch, t->steps);
    const tuff_update_params update = tuff_optimizer_update(&t->p.optimizer);
    tuff_update_hyper(tuff_optimizer_name(t->p.optimizer.kind), &update, t->lr, t->step, hyper);
    // The upper word alone counts: a step's numbers are 2^32 places apart from the next one's.
    const uint64_t draw = tuff_rng_fork(t->p.seed, PURPOSE_STEP) + (uint64_t)t->step;
    TUFF_TRY(tuff_pass_run(pass, x, y, hyper, draw << 32));
    t->step++;
    return TUFF_OK;
}

tuff_status tuff_trainer_say(tuff_trainer *t, const float *logits, int64_t count)
{
    tuff_pass *pass;
    TUFF_TRY(tuff_passes_get(t->passes, count, &pass));
    t->fed = true;
    return tuff_pass_say(pass, logits);
}

tuff_status tuff_trainer_read(tuff_trainer *t, tuff_metrics *m)
{
    tuff_sums sums;
    TUFF_TRY(tuff_passes_read(t->passes, true, &sums));
    const double now = tuff_time_now();
    tuff_metrics_fill(m, &sums, t->classes > 0, now - t->began);
    t->began = now;
    return TUFF_OK;
}

tuff_status tuff_trainer_program(tuff_trainer *t, int64_t count, tuff_program **program)
{
    tuff_pass *pass;
    TUFF_TRY(tuff_passes_get(t->passes, count ? count : t->p.batch, &pass));
    *program = tuff_pass_program(pass);
    return TUFF_OK;
}
