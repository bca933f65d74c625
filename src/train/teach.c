// Teachers in a step of training: their outputs for the batch, and the loss that a student has
// of them. A teacher's weights are bound like any tensor, and nothing here is asked for their
// gradients, so that the step runs its net forward alone.
#include "train/teach.h"
#include "base/alloc.h"
#include "base/status.h"
#include "data/augment.h"
#include "nn/model.h"
#include "ops/op.h"
#include <math.h>
#include <string.h>

// ---- what is refused -----------------------------------------------------------------------

// Names of classes that are known to both and differ.
static tuff_status same_classes(const tuff_model *student, const tuff_model *teacher, int k)
{
    const tuff_model_data *a = tuff_model_get_data(student), *b = tuff_model_get_data(teacher);
    if (!a->class_names || !b->class_names || a->classes != b->classes) return TUFF_OK;
    for (int i = 0; i < a->classes; i++)
        TUFF_REQUIRE(strcmp(a->class_names[i], b->class_names[i]) == 0, ARG,
                     "distill: class %d is '%.60s' for the student and '%.60s' for teacher %d",
                     i, a->class_names[i], b->class_names[i], k + 1);
    return TUFF_OK;
}

static tuff_status check_teacher(const tuff_model *student, const tuff_model *teacher, int k)
{
    TUFF_REQUIRE(teacher, ARG, "distill: teacher %d is NULL", k + 1);
    TUFF_REQUIRE(teacher != student, ARG, "distill: teacher %d is the student itself", k + 1);
    TUFF_REQUIRE(tuff_model_device(teacher) == tuff_model_device(student), ARG,
                 "distill: teacher %d is on another device than the student", k + 1);
    const tuff_desc *in = tuff_model_input(student), *taken = tuff_model_input(teacher);
    const tuff_desc *out = tuff_model_output(student), *given = tuff_model_output(teacher);
    char a[96], b[96];
    TUFF_REQUIRE(tuff_desc_equal(taken, in), SHAPE,
                 "distill: teacher %d takes samples of %s, the student of %s", k + 1,
                 tuff_desc_print(taken, a, sizeof a), tuff_desc_print(in, b, sizeof b));
    TUFF_REQUIRE(tuff_desc_equal(given, out), SHAPE,
                 "distill: teacher %d gives %s, the student %s: expected the same classes",
                 k + 1, tuff_desc_print(given, a, sizeof a), tuff_desc_print(out, b, sizeof b));
    tuff_layer_info last;
    if (tuff_model_layer(teacher, tuff_model_layer_count(teacher) - 1, &last))
        TUFF_REQUIRE(strcmp(last.text, "softmax") != 0, ARG,
                     "distill: teacher %d ends with softmax, expected logits", k + 1);
    return same_classes(student, teacher, k);
}

static tuff_status fill(const tuff_model *student, const tuff_train_params *p,
                        tuff_teach *teach)
{
    *teach = *p->teach;
    teach->temperature = tuff_or_zero(tuff_number(teach->temperature, 4));
    teach->alpha = tuff_or_zero(tuff_number(teach->alpha, 0.9));
    TUFF_REQUIRE(teach->teachers >= 1 && teach->teacher, ARG, "distill: there is no teacher");
    TUFF_REQUIRE(teach->temperature > 0 && isfinite(teach->temperature), ARG,
                 "distill: temperature is %g, expected a number above 0",
                 (double)teach->temperature + 0);
    TUFF_REQUIRE(teach->alpha >= 0 && teach->alpha <= 1, ARG,
                 "distill: alpha is %g, expected 0 to 1", (double)teach->alpha);
    TUFF_REQUIRE(p->loss == TUFF_LOSS_CROSS_ENTROPY, ARG,
                 "distill: the loss is %s, expected cross_entropy, of data with classes",
                 tuff_loss_name(p->loss));
    TUFF_REQUIRE(!teach->match || !teach->cache, ARG,
                 "distill: a cache holds logits, it has no features to match");
    TUFF_REQUIRE(!teach->cache || !tuff_augments(&p->augment), ARG,
                 "distill: a cache holds what is said of images as they are, not augmented: "
                 "leave out the one or the other");
    for (int k = 0; k < teach->teachers; k++)
        TUFF_TRY(check_teacher(student, teach->teacher[k], k));
    return TUFF_OK;
}

tuff_status tuff_lesson_open(const tuff_model *student, const tuff_train_params *p,
                             tuff_lesson *lesson)
{
    TUFF_TRY(fill(student, p, &lesson->teach));
    lesson->said = lesson->teach.cache && lesson->teach.alpha > 0;
    return tuff_match_open(student, p->seed, lesson);
}

void tuff_lesson_close(tuff_lesson *lesson)
{
    for (int i = 0; i < lesson->matches; i++)
        tuff_model_destroy(&lesson->match[i].projection);
    tuff_free(lesson->match);
}

// ---- the batch as a teacher knows it -------------------------------------------------------

// The student's x = s v + t, the teacher's S v + T: that is (S / s) x + (T - t S / s).
static tuff_status emit_seen(tuff_graph *g, const tuff_model *student,
                             const tuff_model *teacher, tuff_var *x)
{
    const tuff_model_data *a = tuff_model_get_data(student), *b = tuff_model_get_data(teacher);
    const int n = a->channels;
    if (!n || b->channels != n) return TUFF_OK;
    const size_t bytes = (size_t)n * sizeof(float);
    if (memcmp(a->scale, b->scale, bytes) == 0 && memcmp(a->shift, b->shift, bytes) == 0)
        return TUFF_OK;
    float *scale = tuff_alloc((size_t)n, sizeof *scale);
    float *shift = tuff_alloc((size_t)n, sizeof *shift);
    tuff_status status = scale && shift ? TUFF_OK : TUFF_ERR_MEMORY;
    for (int c = 0; status == TUFF_OK && c < n; c++) {
        const double ratio = (double)b->scale[c] / (double)a->scale[c];
        scale[c] = (float)ratio;
        shift[c] = (float)((double)b->shift[c] - (double)a->shift[c] * ratio);
        if (!isfinite(scale[c]) || !isfinite(shift[c]))
            status = tuff_fail(TUFF_ERR_ARG, "distill: channel %d of the student is scaled by "
                               "%g, which no teacher's samples can be made of", c,
                               (double)a->scale[c]);
    }
    // Channels are the outermost dim of a sample: [channels, 1, ...] spreads over the rest.
    tuff_desc each = { .dtype = TUFF_F32, .rank = tuff_model_input(student)->rank };
    for (int d = 0; d < each.rank; d++) each.dim[d] = d ? 1 : n;
    if (status == TUFF_OK) {
        const tuff_var s = tuff_graph_constant(g, each, scale);
        const tuff_var t = tuff_graph_constant(g, each, shift);
        *x = tuff_graph_op(g, "mul", (tuff_var[]){ *x, s }, 2, NULL);
        *x = tuff_graph_op(g, "add", (tuff_var[]){ *x, t }, 2, NULL);
        status = tuff_graph_status(g);
    }
    tuff_free(scale);
    tuff_free(shift);
    return status;
}

// ---- the loss ------------------------------------------------------------------------------

static tuff_var scaled(tuff_graph *g, tuff_var x, double factor)
{
    const tuff_affine_params p = { .scale = (float)factor };
    return tuff_graph_op(g, "affine", &x, 1, &p);
}

// The teachers' logits; of several teachers those whose softened probabilities are the mean of
// theirs: T log(mean softmax(logits / T)).
tuff_status tuff_emit_teachers(tuff_graph *g, const tuff_model *student,
                               const tuff_teach *teach, tuff_var x, tuff_var *made,
                               tuff_var *logits)
{
    tuff_var sum = { 0 };
    const double heat = (double)teach->temperature;
    for (int k = 0; k < teach->teachers; k++) {
        const tuff_model *teacher = teach->teacher[k];
        tuff_var seen = x;
        TUFF_TRY(emit_seen(g, student, teacher, &seen));
        *logits = made && k == 0 ? tuff_model_forward_parts(g, teacher, seen, made)
                                 : tuff_model_forward(g, teacher, seen, NULL);
        if (teach->teachers == 1) return tuff_graph_status(g);
        const tuff_var cool = scaled(g, *logits, 1 / heat);
        const tuff_var p = tuff_graph_op(g, "softmax", &cool, 1, NULL);
        sum = k ? tuff_graph_op(g, "add", (tuff_var[]){ sum, p }, 2, NULL) : p;
        TUFF_TRY(tuff_graph_status(g));
    }
    const tuff_var mean = scaled(g, sum, 1.0 / teach->teachers);
    // The logarithm of a probability that f32 has no number for is finite all the same.
    const tuff_clip_params least = { .min = 1e-30f };
    const tuff_var some = tuff_graph_op(g, "clip", &mean, 1, &least);
    const tuff_var log = tuff_graph_op(g, "log", &some, 1, NULL);
    *logits = scaled(g, log, heat);
    return tuff_graph_status(g);
}

// Of the loss of labels the one of labels and logits.
static tuff_var emit_softened(tuff_graph *g, const tuff_teach *teach, tuff_var y,
                              tuff_var logits, tuff_var hard)
{
    const tuff_class_loss_params p = { .temperature = teach->temperature };
    const tuff_var kl = tuff_graph_op(g, "kl_div", (tuff_var[]){ y, logits }, 2, &p);
    const double alpha = (double)teach->alpha;
    if (alpha == 1) return kl;
    const tuff_var sum[] = { scaled(g, kl, alpha), scaled(g, hard, 1 - alpha) };
    return tuff_graph_op(g, "add", sum, 2, NULL);
}

tuff_status tuff_emit_taught(tuff_graph *g, const tuff_student *s, tuff_lesson *lesson,
                             tuff_var *loss)
{
    const tuff_teach *teach = &lesson->teach;
    tuff_var logits = s->said, *made = NULL;
    // Without weight the step is that of labels alone, bit by bit.
    if (teach->alpha == 0 && !lesson->matches) return TUFF_OK;
    tuff_status status = TUFF_OK;
    if (lesson->matches) {
        made = tuff_alloc((size_t)teach->teacher[0]->parts, sizeof *made);
        if (!made) return TUFF_ERR_MEMORY;
    }
    if (!logits.id) TUFF_GO(tuff_emit_teachers(g, s->model, teach, s->x, made, &logits));
    if (teach->alpha > 0) *loss = emit_softened(g, teach, s->y, logits, *loss);
    TUFF_GO(tuff_graph_status(g));
    TUFF_GO(tuff_emit_matches(g, s, lesson, made, loss));
exit:
    tuff_free(made);
    return status;
}
