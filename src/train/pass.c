#include "train/pass.h"
#include "train/precision.h"
#include "train/settings.h"
#include "train/teach.h"
#include "base/alloc.h"
#include "base/status.h"
#include "nn/model.h"
#include <string.h>

enum {
    SUMS_GAP = 64, // floats: views start at multiples of 256 bytes
    SUMS = 2 * SUMS_GAP,
    // The device sums in f32: after so many runs or examples its sums go to the host, so that
    // counts stay exact and a loss keeps its digits in epochs of any length.
    MOST_RUNS = 1024,
    MOST_EXAMPLES = 1 << 23
};

struct tuff_pass {
    int64_t count;
    tuff_pass_spec spec;
    tuff_program *program;
    tuff_var x, labels, target, hyper, counter, y, said; // id 0: not in this program
    tuff_var *made; // while it is built: what each of the net's parts gives
    size_t x_bytes, target_bytes, y_bytes;
    tuff_tensor *sums, *loss_sum, *correct_sum; // one tensor and its two views
    float *one_hot; // targets made of classes
    int64_t runs;   // since the last reset
};

struct tuff_passes {
    tuff_pass_spec spec;
    tuff_stream *stream;
    tuff_pass **list;
    int count;
    tuff_sums folded; // what was taken from the device before
};

// ---- what fits -----------------------------------------------------------------------------

static tuff_status check_spec(const tuff_pass_spec *s)
{
    const tuff_desc *out = tuff_model_output(s->model);
    char text[96];
    TUFF_REQUIRE(!s->classes || (out->rank == 1 && out->dim[0] >= s->classes), SHAPE,
                 "the net gives %s for a sample, data of %lld classes needs f32 [%lld]",
                 tuff_desc_print(out, text, sizeof text), (long long)s->classes,
                 (long long)s->classes);
    const int last = tuff_model_layer_count(s->model) - 1;
    tuff_layer_info info;
    if (s->loss == TUFF_LOSS_CROSS_ENTROPY && tuff_model_layer(s->model, last, &info))
        TUFF_REQUIRE(strcmp(info.text, "softmax") != 0, ARG,
                     "layer %d (softmax): cross entropy takes logits, leave the last softmax "
                     "out of the net",
                     last);
    bool trains = false;
    tuff_param_info p;
    for (int i = 0; tuff_model_param(s->model, i, &p); i++) trains |= !p.buffer;
    TUFF_REQUIRE(!s->state || trains, ARG, "the net has no parameters to train%s",
                 tuff_model_stored(s->model));
    return TUFF_OK;
}

// ---- building ------------------------------------------------------------------------------

static tuff_desc batch_of(const tuff_desc *sample, int64_t count)
{
    tuff_desc d = { .dtype = sample->dtype, .rank = sample->rank + 1, .dim = { count } };
    memcpy(d.dim + 1, sample->dim, (size_t)sample->rank * sizeof *d.dim);
    return d;
}

static tuff_status make_sums(tuff_pass *p)
{
    tuff_device *device = tuff_model_device(p->spec.model);
    TUFF_TRY(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, SUMS), &p->sums));
    TUFF_TRY(tuff_tensor_view(p->sums, 0, TUFF_SCALAR(TUFF_F32), &p->loss_sum));
    return tuff_tensor_view(p->sums, SUMS_GAP, TUFF_SCALAR(TUFF_F32), &p->correct_sum);
}

static void add_to(tuff_graph *g, tuff_tensor *sum, tuff_var v)
{
    const tuff_var in[] = { tuff_graph_bind(g, NULL, sum), v };
    tuff_graph_store(g, tuff_graph_op(g, "add", in, 2, NULL), sum);
}

// The mean loss of the batch, and the sums on the device.
static tuff_status emit_loss(tuff_graph *g, tuff_pass *p, tuff_var *loss)
{
    const int64_t classes = p->spec.classes;
    if (classes) {
        p->labels = tuff_graph_input(g, "labels", TUFF_SHAPE(TUFF_I32, p->count));
        const tuff_var in[] = { p->y, p->labels };
        add_to(g, p->correct_sum, tuff_graph_op(g, "count_correct", in, 2, NULL));
    }
    const bool mse = p->spec.loss == TUFF_LOSS_MSE;
    if (mse) {
        const tuff_desc desc = batch_of(tuff_model_output(p->spec.model), p->count);
        p->target = tuff_graph_input(g, "target", desc);
        p->target_bytes = tuff_desc_bytes(&desc);
    }
    const tuff_var in[] = { p->y, mse ? p->target : p->labels };
    *loss = tuff_graph_op(g, mse ? "mse" : "cross_entropy", in, 2, NULL);
    tuff_lesson *lesson = p->spec.state ? p->spec.state->lesson : NULL;
    if (lesson && lesson->said)
        p->said = tuff_graph_input(g, "said", batch_of(tuff_model_output(p->spec.model),
                                                       p->count));
    const tuff_student student = { p->spec.model, p->x, p->y, p->made, p->said };
    if (lesson) TUFF_TRY(tuff_emit_taught(g, &student, lesson, loss));
    add_to(g, p->loss_sum, *loss);
    return tuff_graph_status(g);
}

// A net that the step trains: the pass's, or a projection of features.
typedef struct learner {
    const tuff_model *model;
    const tuff_update_state *state;
    const tuff_var *params;
    tuff_rounding *rounding; // plain for a projection, which is f32
} learner;

// The gradient of a batch norm's scale with its own penalty: dw + slim sign(w).
static tuff_var slimmed(tuff_graph *g, const learner *l, int param, tuff_var dw, tuff_var w)
{
    const float slim = l->state->slim;
    if (!(slim > 0) || !dw.id || !tuff_model_is_scale(l->model, param)) return dw;
    tuff_var factor = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, 1), &slim);
    factor = tuff_rounded_scale(l->rounding, g, factor);
    const tuff_var sign = tuff_graph_op(g, "sign", &w, 1, NULL);
    const tuff_var pull = tuff_graph_op(g, "mul", (tuff_var[]){ sign, factor }, 2, NULL);
    return tuff_graph_op(g, "add", (tuff_var[]){ dw, pull }, 2, NULL);
}

// The gradient of every parameter into its place in the flat tensor.
static tuff_status emit_gradients(tuff_graph *g, const learner *l, tuff_var loss)
{
    const int n = tuff_model_param_count(l->model);
    int trained = 0;
    tuff_tensor **groups = l->state->groups;
    int *index = tuff_alloc((size_t)n, sizeof *index);
    tuff_var *grads = tuff_alloc((size_t)n, sizeof *grads);
    tuff_var *wrt = tuff_alloc((size_t)n, sizeof *wrt);
    for (int i = 0; index && grads && wrt && i < n; i++) {
        if (!l->state->grad_views[i]) continue; // a buffer
        index[trained] = i;
        wrt[trained++] = l->params[i];
    }
    const bool whole = index && grads && wrt;
    if (whole) tuff_rounded_backward(l->rounding, g, loss, wrt, trained, grads);
    for (int i = 0; whole && i < trained && tuff_graph_status(g) == TUFF_OK; i++) {
        tuff_var dw = slimmed(g, l, index[i], grads[i], wrt[i]);
        dw = tuff_rounded_slope(l->rounding, g, index[i], dw);
        if (groups) dw = tuff_emit_shared(g, groups[index[i]], dw);
        if (dw.id) tuff_graph_store(g, dw, l->state->grad_views[index[i]]);
    }
    tuff_free(index);
    tuff_free(grads);
    tuff_free(wrt);
    return whole ? tuff_graph_status(g) : TUFF_ERR_MEMORY;
}

// One update of all weights at once.
static void emit_update(tuff_graph *g, const learner *l, tuff_var hyper)
{
    const tuff_update_state *s = l->state;
    const tuff_optimizer *o = &s->optimizer;
    tuff_tensor *weights = tuff_model_trained(l->model);
    tuff_var grads = tuff_rounded_gradients(l->rounding, g, s->grads, &hyper, o);
    tuff_var mask = { 0 };
    if (s->mask) {
        // Weights that are masked have no part in lengths of gradients either.
        mask = tuff_graph_bind(g, "mask", s->mask);
        grads = tuff_graph_op(g, "mul", (tuff_var[]){ grads, mask }, 2, NULL);
        tuff_graph_store(g, grads, s->grads);
    }
    if (o->clip_norm > 0) {
        const tuff_clip_norm_params clip = { o->clip_norm };
        tuff_var clipped[2];
        tuff_graph_op_n(g, "clip_norm", &grads, 1, &clip, clipped, 2);
        tuff_graph_store(g, clipped[0], s->grads);
        grads = clipped[0];
    }
    const tuff_update_params update = tuff_optimizer_update(o);
    tuff_var in[7] = { tuff_graph_bind(g, "weights", weights), grads, hyper }, out[4];
    tuff_tensor *into[4] = { weights };
    int nin = 3, nout = 1;
    static const char *const names[] = { "m", "v", "x" };
    tuff_tensor *const states[] = { s->m, s->v, s->x };
    for (int i = 0; i < 3; i++) {
        if (!states[i]) continue;
        in[nin++] = tuff_graph_bind(g, names[i], states[i]);
        into[nout++] = states[i];
    }
    if (s->starts) in[nin++] = tuff_graph_bind(g, "starts", s->starts);
    tuff_graph_op_n(g, tuff_optimizer_name(o->kind), in, nin, &update, out, nout);
    out[0] = tuff_rounded_update(l->rounding, g, out[0]);
    if (s->m && !s->v) out[1] = tuff_rounded_update(l->rounding, g, out[1]);
    if (s->mask) out[0] = tuff_graph_op(g, "mul", (tuff_var[]){ out[0], mask }, 2, NULL);
    for (int i = 0; i < nout; i++) tuff_graph_store(g, out[i], into[i]);
}

// Weights of which signs are made stay where a sign can still change.
static void emit_clips(tuff_graph *g, const tuff_model *m)
{
    for (int i = 0; i < m->params; i++) {
        const float c = m->param[i].clip;
        if (!(c > 0)) continue;
        const tuff_clip_params within = { .min = -c, .max = c };
        const tuff_var w = tuff_graph_bind(g, NULL, m->param[i].view);
        tuff_graph_store(g, tuff_graph_op(g, "clip", &w, 1, &within), m->param[i].view);
    }
}

// What trains a projection of features.
static learner projection_of(const tuff_match *m, tuff_rounding *plain)
{
    *plain = (tuff_rounding){ .model = m->projection };
    return (learner){ m->projection, &m->state, m->param, plain };
}

// Gradients of all before anything is updated.
static tuff_status emit_training(tuff_graph *g, tuff_pass *p, tuff_rounding *r, tuff_var loss,
                                 const tuff_var *params)
{
    tuff_lesson *lesson = p->spec.state->lesson;
    const int matches = lesson ? lesson->matches : 0;
    const learner net = { p->spec.model, p->spec.state, params, r };
    tuff_rounding plain;
    TUFF_TRY(emit_gradients(g, &net, loss));
    for (int i = 0; i < matches; i++) {
        if (!lesson->match[i].projection) continue;
        const learner l = projection_of(&lesson->match[i], &plain);
        TUFF_TRY(emit_gradients(g, &l, loss));
    }
    p->hyper = tuff_graph_input(g, "hyper", TUFF_SHAPE(TUFF_F32, 8));
    emit_update(g, &net, p->hyper);
    for (int i = 0; i < matches; i++) {
        if (!lesson->match[i].projection) continue;
        const learner l = projection_of(&lesson->match[i], &plain);
        emit_update(g, &l, p->hyper);
    }
    return tuff_graph_status(g);
}

static tuff_rounding rounding_of(const tuff_pass *p)
{
    const tuff_update_state *s = p->spec.state;
    tuff_rounding r = { .model = p->spec.model, .count = p->count, .counter = p->counter };
    if (!s) return r;
    r.gradients = s->gradients;
    r.precision = s->precision;
    r.scaler = s->scaler;
    return r;
}

static bool draws(const tuff_pass *p)
{
    const tuff_update_state *s = p->spec.state;
    return s && (tuff_model_random(p->spec.model) ||
                 tuff_rounding_draws(&s->gradients, &s->precision));
}

static tuff_status emit(tuff_graph *g, tuff_pass *p)
{
    tuff_rounding r = { 0 };
    tuff_model *model = p->spec.model;
    const tuff_desc in = batch_of(tuff_model_input(model), p->count);
    const tuff_desc out = batch_of(tuff_model_output(model), p->count);
    p->x_bytes = tuff_desc_bytes(&in);
    p->y_bytes = tuff_desc_bytes(&out);
    tuff_var *params = tuff_alloc((size_t)tuff_model_param_count(model) + 1, sizeof *params);
    p->made = tuff_alloc((size_t)model->parts, sizeof *p->made);
    tuff_status status = params && p->made ? TUFF_OK : TUFF_ERR_MEMORY;
    TUFF_GO(status);
    p->x = tuff_graph_input(g, "x", in);
    if (draws(p))
        p->counter = tuff_graph_input(g, "counter", TUFF_SHAPE(TUFF_I32, 2));
    r = rounding_of(p);
    p->y = p->spec.state
               ? tuff_rounded_forward(&r, g, p->x, params, p->made)
               : tuff_model_forward(g, model, p->x, params);
    TUFF_GO(tuff_graph_status(g));
    if (p->spec.loss != TUFF_LOSS_AUTO) {
        tuff_var loss = { 0 };
        TUFF_GO(emit_loss(g, p, &loss));
        if (p->spec.state) TUFF_GO(emit_training(g, p, &r, loss, params));
        if (p->spec.state) emit_clips(g, model);
    }
    if (!p->spec.state) tuff_graph_output(g, "y", p->y);
    status = tuff_graph_status(g);
exit:
    tuff_free(r.seen);
    tuff_free(params);
    tuff_free(p->made);
    p->made = NULL;
    return status;
}

static void pass_destroy(tuff_pass **pass)
{
    if (!*pass) return;
    tuff_pass *p = *pass;
    tuff_program_destroy(&p->program);
    tuff_tensor_destroy(&p->loss_sum);
    tuff_tensor_destroy(&p->correct_sum);
    tuff_tensor_destroy(&p->sums);
    tuff_free(p->one_hot);
    tuff_free(p);
    *pass = NULL;
}

static tuff_status set_zero(tuff_passes *s, tuff_pass *p)
{
    static const float zeros[SUMS];
    p->runs = 0;
    TUFF_TRY(tuff_tensor_write(s->stream, p->sums, zeros, sizeof zeros));
    return tuff_stream_flush(s->stream); // before the program's next run
}

static tuff_status pass_create(tuff_passes *s, int64_t count, tuff_pass **pass)
{
    *pass = NULL;
    tuff_pass *p = tuff_alloc(1, sizeof *p);
    if (!p) return TUFF_ERR_MEMORY;
    tuff_graph *g = NULL;
    tuff_status status = TUFF_OK;
    p->count = count;
    p->spec = s->spec;
    TUFF_GO(make_sums(p));
    TUFF_GO(set_zero(s, p));
    TUFF_GO(tuff_graph_create(&g));
    TUFF_GO(emit(g, p));
    if (p->spec.classes && p->target.id) {
        p->one_hot = tuff_alloc(p->target_bytes, 1);
        if (!p->one_hot) TUFF_GO(TUFF_ERR_MEMORY);
    }
    TUFF_GO(tuff_program_create(tuff_model_device(p->spec.model), g, NULL, &p->program));
    *pass = p;
    p = NULL;
exit:
    tuff_graph_destroy(&g);
    pass_destroy(&p);
    return status;
}

// ---- the set -------------------------------------------------------------------------------

tuff_status tuff_passes_create(const tuff_pass_spec *spec, tuff_passes **passes)
{
    *passes = NULL;
    TUFF_TRY(check_spec(spec));
    tuff_passes *s = tuff_alloc(1, sizeof *s);
    if (!s) return TUFF_ERR_MEMORY;
    s->spec = *spec;
    const tuff_status status = tuff_stream_create(tuff_model_device(spec->model), &s->stream);
    if (status != TUFF_OK) tuff_passes_destroy(&s);
    *passes = s;
    return status;
}

void tuff_passes_destroy(tuff_passes **passes)
{
    if (!passes || !*passes) return;
    tuff_passes *s = *passes;
    for (int i = 0; i < s->count; i++) pass_destroy(&s->list[i]);
    tuff_stream_destroy(&s->stream);
    tuff_free(s->list);
    tuff_free(s);
    *passes = NULL;
}

// Adds what the device has summed in one pass; `reset` sets the device's sums to zero.
static tuff_status add_sums(tuff_passes *s, tuff_pass *p, bool reset, tuff_sums *sums)
{
    float values[SUMS];
    if (!p->runs) return TUFF_OK;
    TUFF_TRY(tuff_tensor_read(s->stream, p->sums, values, sizeof values));
    sums->loss += (double)values[0] * (double)p->count;
    sums->correct += (int64_t)values[SUMS_GAP];
    sums->examples += p->runs * p->count;
    return reset ? set_zero(s, p) : TUFF_OK;
}

tuff_status tuff_passes_get(tuff_passes *s, int64_t count, tuff_pass **pass)
{
    for (int i = 0; i < s->count; i++) {
        tuff_pass *p = s->list[i];
        if (p->count != count) continue;
        *pass = p;
        const bool full = p->runs >= MOST_RUNS || p->runs * p->count >= MOST_EXAMPLES;
        return full ? add_sums(s, p, true, &s->folded) : TUFF_OK;
    }
    tuff_pass **grown = tuff_realloc(s->list, (size_t)s->count + 1, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    s->list = grown;
    TUFF_TRY(pass_create(s, count, &s->list[s->count]));
    *pass = s->list[s->count++];
    return TUFF_OK;
}

tuff_status tuff_passes_read(tuff_passes *s, bool reset, tuff_sums *sums)
{
    *sums = s->folded;
    for (int i = 0; i < s->count; i++) TUFF_TRY(add_sums(s, s->list[i], reset, sums));
    if (reset) s->folded = (tuff_sums){ 0 };
    return TUFF_OK;
}

int64_t tuff_passes_width(const tuff_passes *s)
{
    return tuff_desc_count(tuff_model_output(s->spec.model));
}

// ---- running -------------------------------------------------------------------------------

static tuff_status write_classes(tuff_pass *p, const int32_t *labels)
{
    for (int64_t i = 0; i < p->count; i++)
        TUFF_REQUIRE(labels[i] >= 0 && labels[i] < p->spec.classes, ARG,
                     "example %lld of the batch is of class %d, expected 0 to %lld",
                     (long long)i, (int)labels[i], (long long)p->spec.classes - 1);
    if (p->target.id) {
        const int64_t width = tuff_model_output(p->spec.model)->dim[0];
        memset(p->one_hot, 0, p->target_bytes);
        for (int64_t i = 0; i < p->count; i++) p->one_hot[i * width + labels[i]] = 1;
        TUFF_TRY(tuff_program_write(p->program, p->target, p->one_hot, p->target_bytes));
    }
    return tuff_program_write(p->program, p->labels, labels,
                              (size_t)p->count * sizeof *labels);
}

tuff_status tuff_pass_run(tuff_pass *p, const float *x, const void *y, const float *hyper,
                          uint64_t counter)
{
    const int32_t words[2] = { (int32_t)(uint32_t)counter, (int32_t)(uint32_t)(counter >> 32) };
    if (p->counter.id)
        TUFF_TRY(tuff_program_write(p->program, p->counter, words, sizeof words));

    TUFF_TRY(tuff_program_write(p->program, p->x, x, p->x_bytes));
    if (p->labels.id)
        TUFF_TRY(write_classes(p, y));
    else if (p->target.id)
        TUFF_TRY(tuff_program_write(p->program, p->target, y, p->target_bytes));
    if (p->hyper.id)
        TUFF_TRY(tuff_program_write(p->program, p->hyper, hyper, 8 * sizeof *hyper));
    TUFF_TRY(tuff_program_run(p->program));
    p->runs++;
    return TUFF_OK;
}

tuff_status tuff_pass_say(tuff_pass *p, const float *logits)
{
    return p->said.id ? tuff_program_write(p->program, p->said, logits, p->y_bytes) : TUFF_OK;
}

tuff_status tuff_pass_scores(tuff_pass *p, float *scores)
{
    return tuff_program_read(p->program, p->y, scores, p->y_bytes);
}

tuff_program *tuff_pass_program(tuff_pass *pass) { return pass->program; }

void tuff_metrics_fill(tuff_metrics *m, const tuff_sums *sums, bool classes, double seconds)
{
    const double n = (double)sums->examples;
    *m = (tuff_metrics){ .examples = sums->examples, .correct = sums->correct,
                         .accuracy = -1, .seconds = seconds };
    if (n > 0) m->loss = sums->loss / n;
    if (n > 0 && classes) m->accuracy = (double)sums->correct / n;
    if (seconds > 0) m->images_per_second = n / seconds;
}
