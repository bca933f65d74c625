// Checkpoints: the settings and the place of a run, in the model's own file.
#include "train/checkpoint.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include "data/augment.h"
#include "train/model_file.h"
#include "train/precision.h"
#include "train/settings.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

// The optimizer's numbers, as keys of the metadata. %.9g brings a float back bit by bit.
static const struct {
    const char *key;
    size_t offset;
} numbers[] = {
#define NUMBER(name) { "train." #name, offsetof(tuff_optimizer, name) }
    NUMBER(lr), NUMBER(momentum), NUMBER(dampening), NUMBER(alpha), NUMBER(beta1),
    NUMBER(beta2), NUMBER(momentum_decay), NUMBER(eps), NUMBER(weight_decay), NUMBER(l1),
    NUMBER(clip_value), NUMBER(clip_norm),
#undef NUMBER
};
static const char *const scaler_keys[] = { "train.loss_scale", "train.scale_tracker",
                                           "train.scale_steps", "train.scale_product" };
enum { NUMBERS = sizeof numbers / sizeof *numbers };
#define LATENT "latent." // before the names of what is trained, where another net is written

static float *number_of(tuff_optimizer *o, int i)
{
    return (float *)(void *)((char *)o + numbers[i].offset);
}

// ---- writing -------------------------------------------------------------------------------

static tuff_status write_settings(tuff_model_out *out, tuff_trainer *t)
{
    tuff_train_params p = t->p;
    char schedule[96], text[64];
    tuff_schedule_print(&p.schedule, schedule, sizeof schedule);
    const char *optimizer = tuff_optimizer_name(p.optimizer.kind);
    TUFF_TRY(tuff_out_pair(out, "train.optimizer", "%s", optimizer));
    for (int i = 0; i < NUMBERS; i++)
        TUFF_TRY(tuff_out_pair(out, numbers[i].key, "%.9g",
                               (double)*number_of(&p.optimizer, i)));
    TUFF_TRY(tuff_out_pair(out, "train.decoupled", "%d", p.optimizer.decoupled));
    TUFF_TRY(tuff_out_pair(out, "train.schedule", "%s", schedule));
    TUFF_TRY(tuff_out_pair(out, "train.loss", "%s", tuff_loss_name(p.loss)));
    TUFF_TRY(tuff_out_pair(out, "train.epochs", "%d", p.epochs));
    TUFF_TRY(tuff_out_pair(out, "train.batch", "%d", p.batch));
    TUFF_TRY(tuff_out_pair(out, "train.seed", "%llu", (unsigned long long)p.seed));
    // Who had a mask of his own gets its zeros back as those of the weights.
    TUFF_TRY(tuff_out_pair(out, "train.keep_zeros", "%d", p.keep_zeros || p.mask));
    TUFF_TRY(tuff_out_pair(out, "train.keep_shared", "%d", p.keep_shared));
    TUFF_TRY(tuff_out_pair(out, "train.slim", "%.9g", (double)p.slim));
    TUFF_TRY(tuff_out_pair(out, "train.gradients", "%s",
                           tuff_gradients_print(&p.gradients, text, sizeof text)));
    TUFF_TRY(tuff_out_pair(out, "train.precision", "%s",
                           tuff_precision_print(&p.precision, text, sizeof text)));
    TUFF_TRY(tuff_out_pair(out, "train.growth_interval", "%d", p.precision.growth_interval));
    TUFF_TRY(tuff_out_pair(out, "train.augment", "%s",
                           tuff_augment_print(&p.augment, text, sizeof text)));
    return tuff_out_pair(out, "train.patience", "%d", p.patience);
}

// The loss's scale, steps since it grew, steps made, and nadam's product.
static tuff_status write_scaler(tuff_model_out *out, tuff_trainer *t)
{
    float s[4];
    if (!t->state.scaler) return TUFF_OK;
    TUFF_TRY(tuff_tensor_read(t->stream, t->state.scaler, s, sizeof s));
    for (int i = 0; i < 4; i++)
        TUFF_TRY(tuff_out_pair(out, scaler_keys[i], "%.9g", (double)s[i]));
    return TUFF_OK;
}

static tuff_status write_place(tuff_model_out *out, const tuff_trainer *t,
                               const tuff_place *place)
{
    TUFF_TRY(tuff_out_pair(out, "train.step", "%lld", (long long)t->step));
    TUFF_TRY(tuff_out_pair(out, "train.epoch", "%d", place->epoch));
    TUFF_TRY(tuff_out_pair(out, "train.index", "%lld", (long long)place->index));
    TUFF_TRY(tuff_out_pair(out, "train.sum_loss", "%.17g", place->sums.loss));
    TUFF_TRY(tuff_out_pair(out, "train.sum_correct", "%lld", (long long)place->sums.correct));
    TUFF_TRY(tuff_out_pair(out, "train.sum_examples", "%lld", (long long)place->sums.examples));
    TUFF_TRY(tuff_out_pair(out, "train.best_epoch", "%d", place->best_epoch));
    return tuff_out_pair(out, "train.best_loss", "%.17g", place->best_loss);
}

// The net that is tested and written comes first, what is trained lies beside it.
static tuff_status write_stored(tuff_model_out *out, tuff_trainer *t, float **flat)
{
    tuff_model *model = t->p.stored->model;
    *flat = tuff_alloc(tuff_desc_bytes(tuff_tensor_desc(tuff_model_weights(model))), 1);
    if (!*flat) return TUFF_ERR_MEMORY;
    TUFF_TRY(tuff_move_weights(model, *flat, true));
    TUFF_TRY(tuff_out_params(out, model, "", *flat, true));
    return tuff_out_net(out, "train.net", t->model);
}

// Reads a flat tensor of the device and adds its parameters; *flat is freed by the caller.
static tuff_status write_flat(tuff_model_out *out, tuff_trainer *t, tuff_tensor *tensor,
                              const char *prefix, float **flat)
{
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(tensor));
    *flat = tuff_alloc(bytes, 1);
    if (!*flat) return TUFF_ERR_MEMORY;
    TUFF_TRY(tuff_tensor_read(t->stream, tensor, *flat, bytes));
    return tuff_out_params(out, t->model, prefix, *flat,
                           tensor == tuff_model_weights(t->model));
}

tuff_status tuff_checkpoint_write(const char *path, tuff_trainer *t, const tuff_place *place,
                                  float *last)
{
    tuff_model_out out = { 0 };
    float *flat[5] = { NULL };
    tuff_status status = TUFF_OK;
    const bool stored = t->p.stored != NULL;
    if (stored) TUFF_GO(write_stored(&out, t, &flat[4]));
    TUFF_GO(write_flat(&out, t, tuff_model_weights(t->model), stored ? LATENT : "", &flat[0]));
    if (t->state.m) TUFF_GO(write_flat(&out, t, t->state.m, "optimizer.m.", &flat[1]));
    if (t->state.v) TUFF_GO(write_flat(&out, t, t->state.v, "optimizer.v.", &flat[2]));
    if (t->state.x) TUFF_GO(write_flat(&out, t, t->state.x, "optimizer.x.", &flat[3]));
    if (last)
        TUFF_GO(tuff_out_params(&out, t->model, "last.", last, true));
    else if (place->best && place->best_epoch)
        TUFF_GO(tuff_out_params(&out, t->model, "best.", place->best, true));
    TUFF_GO(tuff_out_model(&out, stored ? t->p.stored->model : t->model));
    TUFF_GO(write_settings(&out, t));
    TUFF_GO(write_scaler(&out, t));
    TUFF_GO(write_place(&out, t, place));
    TUFF_GO(tuff_out_write(&out, path));
exit:
    tuff_out_clear(&out);
    for (int i = 0; i < 5; i++) tuff_free(flat[i]);
    return status;
}

// ---- reading -------------------------------------------------------------------------------

static tuff_status read_seed(const tuff_safetensors *file, uint64_t *seed)
{
    const char *text;
    TUFF_TRY(tuff_in_text(file, "train.seed", &text));
    TUFF_REQUIRE(tuff_parse_u64(text, strlen(text), seed), FORMAT,
                 "model file: train.seed is '%.64s', expected a whole number", text);
    return TUFF_OK;
}

static tuff_status same_net(const tuff_safetensors *file, const tuff_model *model, bool stored)
{
    const char *net;
    TUFF_REQUIRE(tuff_safetensors_meta(file, "train.optimizer"), FORMAT,
                 "model file: it is no checkpoint, there is no train.optimizer in it");
    TUFF_TRY(tuff_in_text(file, stored ? "train.net" : "tuff.net", &net));
    TUFF_REQUIRE(strcmp(net, tuff_model_net(model)) == 0, ARG,
                 "resume: the file is of the net \"%.200s\", the model of \"%.200s\"", net,
                 tuff_model_net(model));
    return TUFF_OK;
}

static tuff_status read_names(const tuff_safetensors *file, tuff_train_params *p)
{
    const char *text;
    TUFF_TRY(tuff_in_text(file, "train.optimizer", &text));
    TUFF_TRY(tuff_optimizer_parse(text, &p->optimizer.kind));
    TUFF_TRY(tuff_in_text(file, "train.schedule", &text));
    TUFF_TRY(tuff_schedule_parse(text, &p->schedule));
    TUFF_TRY(tuff_in_text(file, "train.loss", &text));
    return tuff_loss_parse(text, &p->loss);
}

static tuff_status read_precision(const tuff_safetensors *file, tuff_train_params *p)
{
    const char *text;
    int64_t interval;
    if (tuff_safetensors_meta(file, "train.gradients")) {
        TUFF_TRY(tuff_in_text(file, "train.gradients", &text));
        TUFF_TRY(tuff_gradients_parse(text, &p->gradients));
    }
    if (tuff_safetensors_meta(file, "train.precision")) {
        TUFF_TRY(tuff_in_text(file, "train.precision", &text));
        TUFF_TRY(tuff_precision_parse(text, &p->precision));
        TUFF_TRY(tuff_in_int(file, "train.growth_interval", 1, 1 << 24, &interval));
        p->precision.growth_interval = (int)interval;
    }
    return TUFF_OK;
}

// What older files have not.
static tuff_status read_later(const tuff_safetensors *file, tuff_train_params *p)
{
    int64_t keep = 0, shared = 0;
    double slim = 0;
    if (tuff_safetensors_meta(file, "train.keep_zeros"))
        TUFF_TRY(tuff_in_int(file, "train.keep_zeros", 0, 1, &keep));
    if (tuff_safetensors_meta(file, "train.slim"))
        TUFF_TRY(tuff_in_float(file, "train.slim", &slim));
    if (tuff_safetensors_meta(file, "train.keep_shared"))
        TUFF_TRY(tuff_in_int(file, "train.keep_shared", 0, 1, &shared));
    const char *augment = tuff_safetensors_meta(file, "train.augment");
    if (augment) TUFF_TRY(tuff_augment_parse(augment, &p->augment));
    TUFF_TRY(read_precision(file, p));
    p->keep_zeros = keep;
    p->keep_shared = shared;
    p->slim = (float)slim;
    return TUFF_OK;
}

tuff_status tuff_checkpoint_settings(const tuff_safetensors *file, const tuff_model *model,
                                     tuff_train_params *p)
{
    int64_t epochs, batch, patience, decoupled;
    tuff_train_params all = { .out = p->out, .save_every = p->save_every, .resume = p->resume,
                              .on_step = p->on_step, .on_epoch = p->on_epoch, .user = p->user,
                              .mask = p->mask, .teach = p->teach, .stored = p->stored };
    TUFF_TRY(same_net(file, model, p->stored));
    TUFF_TRY(read_names(file, &all));
    for (int i = 0; i < NUMBERS; i++) {
        double value;
        TUFF_TRY(tuff_in_float(file, numbers[i].key, &value));
        // None is below 0: a -1 in a file asks for 0 too.
        *number_of(&all.optimizer, i) = value == -1 ? TUFF_ZERO : (float)value;
    }
    TUFF_TRY(tuff_in_int(file, "train.decoupled", 0, 1, &decoupled));
    TUFF_TRY(tuff_in_int(file, "train.epochs", 1, 1000000, &epochs));
    TUFF_TRY(tuff_in_int(file, "train.batch", 1, 1 << 20, &batch));
    TUFF_TRY(tuff_in_int(file, "train.patience", 0, 1000000, &patience));
    TUFF_TRY(read_seed(file, &all.seed));
    TUFF_TRY(read_later(file, &all));
    all.optimizer.decoupled = decoupled;
    all.epochs = p->epochs ? p->epochs : (int)epochs;
    all.batch = (int)batch;
    all.patience = (int)patience;
    *p = all;
    return TUFF_OK;
}

static tuff_status read_place(const tuff_safetensors *file, tuff_trainer *t, tuff_place *place)
{
    const int64_t most = INT64_MAX / 4;
    int64_t epoch, best;
    TUFF_TRY(tuff_in_int(file, "train.epoch", 0, 1000000, &epoch));
    TUFF_TRY(tuff_in_int(file, "train.index", 0, t->steps_per_epoch, &place->index));
    TUFF_TRY(tuff_in_int(file, "train.step", 0, most, &t->step));
    TUFF_TRY(tuff_in_float(file, "train.sum_loss", &place->sums.loss));
    TUFF_TRY(tuff_in_int(file, "train.sum_correct", 0, most, &place->sums.correct));
    TUFF_TRY(tuff_in_int(file, "train.sum_examples", 0, most, &place->sums.examples));
    TUFF_TRY(tuff_in_int(file, "train.best_epoch", 0, epoch, &best));
    TUFF_TRY(tuff_in_float(file, "train.best_loss", &place->best_loss));
    TUFF_REQUIRE(t->step == epoch * t->steps_per_epoch + place->index, FORMAT,
                 "resume: the file stands at step %lld of epochs of %lld steps after %lld "
                 "epochs, so it was not made with this data",
                 (long long)t->step, (long long)t->steps_per_epoch, (long long)epoch);
    place->epoch = (int)epoch;
    place->best_epoch = (int)best;
    return TUFF_OK;
}

static size_t flat_count(const tuff_trainer *t)
{
    return (size_t)tuff_desc_count(tuff_tensor_desc(tuff_model_weights(t->model)));
}

static tuff_status read_flat(const tuff_safetensors *file, tuff_trainer *t, const char *prefix,
                             tuff_tensor *tensor)
{
    if (!tensor) return TUFF_OK;
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(tensor));
    float *flat = tuff_alloc(bytes, 1);
    if (!flat) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_in_params(file, t->model, prefix, flat, bytes / sizeof *flat,
                                        tensor == tuff_model_weights(t->model));
    if (status == TUFF_OK) status = tuff_tensor_write(t->stream, tensor, flat, bytes);
    tuff_free(flat);
    return status;
}

static tuff_status read_scaler(const tuff_safetensors *file, tuff_trainer *t)
{
    float s[4];
    if (!t->state.scaler) return TUFF_OK;
    for (int i = 0; i < 4; i++) {
        double value;
        TUFF_TRY(tuff_in_float(file, scaler_keys[i], &value));
        s[i] = (float)value;
    }
    return tuff_tensor_write(t->stream, t->state.scaler, s, sizeof s);
}

tuff_status tuff_checkpoint_restore(const tuff_safetensors *file, tuff_trainer *t,
                                    tuff_place *place)
{
    // Where the model had got its best weights back, the run goes on from the last ones.
    const bool swapped = tuff_in_has(file, "last.");
    const char *own = t->p.stored ? LATENT : "";
    TUFF_TRY(read_place(file, t, place));
    TUFF_TRY(read_flat(file, t, swapped ? "last." : own, tuff_model_weights(t->model)));
    TUFF_TRY(read_flat(file, t, "optimizer.m.", t->state.m));
    TUFF_TRY(read_flat(file, t, "optimizer.v.", t->state.v));
    TUFF_TRY(read_flat(file, t, "optimizer.x.", t->state.x));
    TUFF_TRY(read_scaler(file, t));
    TUFF_TRY(tuff_trainer_keep_zeros(t));
    TUFF_TRY(tuff_trainer_keep_shared(t));
    if (place->best && place->best_epoch)
        TUFF_TRY(tuff_in_params(file, t->model, swapped ? own : "best.", place->best,
                                flat_count(t), true));
    return tuff_stream_wait(t->stream);
}
