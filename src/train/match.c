// Features in distillation: a student's layers learn what a teacher's layers give, not only
// what the teacher says in the end (FitNets; Romero et al., 1412.6550). Where a student's layer
// is narrower or wider, a projection stands between, a net of one layer of its own that the
// step trains with the student: a 1x1 convolution of images, a dense layer of rows.
#include "train/teach.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include "nn/model.h"
#include <stdio.h>
#include <string.h>

enum { MOST = 64 }; // pairs

// ---- which layers --------------------------------------------------------------------------

static int find_part(const tuff_model *m, const char *name, size_t n)
{
    for (int i = 0; i < m->parts; i++)
        if (strlen(m->part[i].item.name) == n && memcmp(m->part[i].item.name, name, n) == 0)
            return i;
    return -1;
}

// "3=2" or "3=2:0.5", n bytes of text.
static tuff_status read_pair(const tuff_model *student, const tuff_model *teacher,
                             const char *text, size_t n, tuff_match *m)
{
    const char *equals = memchr(text, '=', n), *colon = memchr(text, ':', n);
    const char *end = colon ? colon : text + n;
    const int shown = n > 64 ? 64 : (int)n;
    double weight = 1;
    TUFF_REQUIRE(equals && equals < end, FORMAT,
                 "distill: match '%.*s' is no pair, expected TEACHER=STUDENT or "
                 "TEACHER=STUDENT:WEIGHT, layers by their places", shown, text);
    TUFF_REQUIRE(!colon || tuff_parse_f64(colon + 1, (size_t)(text + n - colon - 1), &weight),
                 FORMAT, "distill: match '%.*s' has no number behind the colon", shown, text);
    TUFF_REQUIRE(weight > 0 && weight <= 1e9, ARG,
                 "distill: match '%.*s' weighs %g, expected a number above 0", shown, text,
                 weight);
    m->weight = (float)weight;
    m->teacher = find_part(teacher, text, (size_t)(equals - text));
    m->student = find_part(student, equals + 1, (size_t)(end - equals - 1));
    TUFF_REQUIRE(m->teacher >= 0, ARG, "distill: match '%.*s': the teacher has no layer %.*s",
                 shown, text, (int)(equals - text), text);
    TUFF_REQUIRE(m->student >= 0, ARG, "distill: match '%.*s': the student has no layer %.*s",
                 shown, text, (int)(end - equals - 1), equals + 1);
    return TUFF_OK;
}

// ---- projections ---------------------------------------------------------------------------

// The dim that counts features: channels of an image, else the last one.
static int feature_dim(const tuff_desc *d) { return d->rank == 3 ? 0 : d->rank - 1; }

// The net that makes features of one shape of those of another: "" where they are the same.
static tuff_status plan_projection(const tuff_desc *from, const tuff_desc *to, const char *pair,
                                   char net[64])
{
    char a[96], b[96];
    tuff_desc wide = *from;
    const int dim = from->rank > 0 ? feature_dim(from) : 0;
    if (from->rank == to->rank) wide.dim[dim] = to->dim[dim];
    TUFF_REQUIRE(from->dtype == TUFF_F32 && tuff_desc_equal(&wide, to), SHAPE,
                 "distill: match %s: the teacher's layer gives %s, the student's %s, expected "
                 "the same but for the number of features", pair,
                 tuff_desc_print(to, a, sizeof a), tuff_desc_print(from, b, sizeof b));
    net[0] = 0;
    if (tuff_desc_equal(from, to)) return TUFF_OK;
    TUFF_REQUIRE(from->rank <= 3, SHAPE,
                 "distill: match %s: features of %s cannot be projected, expected images, rows "
                 "or sequences", pair, tuff_desc_print(from, b, sizeof b));
    snprintf(net, 64, from->rank == 3 ? "conv %lld 1" : "dense %lld", (long long)to->dim[dim]);
    return TUFF_OK;
}

static tuff_status make_projection(const tuff_model *student, const tuff_model *teacher,
                                   uint64_t seed, tuff_match *m)
{
    const tuff_model_part *from = &student->part[m->student], *to = &teacher->part[m->teacher];
    char net[64], pair[2 * TUFF_LAYER_NAME + 2];
    snprintf(pair, sizeof pair, "%s=%s", to->item.name, from->item.name);
    TUFF_TRY(plan_projection(&from->output, &to->output, pair, net));
    if (!net[0]) return TUFF_OK;
    const tuff_model_params p = { .net = net, .input = from->output, .seed = seed };
    return tuff_model_create(student->device, &p, &m->projection);
}

tuff_status tuff_match_open(const tuff_model *student, uint64_t seed, tuff_lesson *lesson)
{
    const char *text = lesson->teach.match;
    if (!text) return TUFF_OK;
    const tuff_model *teacher = lesson->teach.teacher[0];
    lesson->match = tuff_alloc(MOST, sizeof *lesson->match);
    if (!lesson->match) return TUFF_ERR_MEMORY;
    for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
        const size_t n = strcspn(text, " \t");
        tuff_match *m = &lesson->match[lesson->matches];
        TUFF_REQUIRE(lesson->matches < MOST, ARG, "distill: match has over %d pairs", MOST);
        TUFF_TRY(read_pair(student, teacher, text, n, m));
        TUFF_TRY(make_projection(student, teacher, seed + (uint64_t)lesson->matches, m));
        lesson->matches++;
        text += n;
    }
    TUFF_REQUIRE(lesson->matches > 0, FORMAT,
                 "distill: match is empty, expected pairs as in \"3=2 5=4:0.5\"");
    return TUFF_OK;
}

// ---- the loss ------------------------------------------------------------------------------

tuff_status tuff_emit_matches(tuff_graph *g, const tuff_student *s, tuff_lesson *lesson,
                              const tuff_var *made, tuff_var *loss)
{
    for (int i = 0; i < lesson->matches; i++) {
        tuff_match *m = &lesson->match[i];
        const tuff_affine_params weight = { .scale = m->weight };
        tuff_var seen = s->made[m->student];
        if (m->projection)
            seen = tuff_model_forward_train(g, m->projection, seen, (tuff_var){ 0 }, m->param);
        const tuff_var pair[] = { seen, made[m->teacher] };
        const tuff_var apart = tuff_graph_op(g, "mse", pair, 2, NULL);
        const tuff_var part = tuff_graph_op(g, "affine", &apart, 1, &weight);
        *loss = tuff_graph_op(g, "add", (tuff_var[]){ *loss, part }, 2, NULL);
        TUFF_TRY(tuff_graph_status(g));
    }
    return TUFF_OK;
}
