// Students that teach each other; declared in <tuff/compress/distill.h>. Each has a trainer
// whose teachers are the others. They take a batch in turns, so that each learns from the
// others as they are after their last step, as in the paper's algorithm 1.
#include <tuff/compress.h>
#include "base/status.h"
#include "base/time.h"
#include "train/evaluate.h"
#include "train/trainer.h"
#include <math.h>
#include <string.h>

enum { MOST = 16 }; // students

typedef struct seat {
    tuff_model *others[MOST];
    tuff_teach teach;
    tuff_trainer *trainer;
    tuff_passes *tests;
} seat;

typedef struct school {
    tuff_dataset *data;
    tuff_train_params tune;
    tuff_model **student;
    int students;
    seat seat[MOST];
    tuff_loader *loader;
    int epochs, batch;
    bool asked;
} school;

// ---- what is refused -----------------------------------------------------------------------

static tuff_status check_params(tuff_model *const *student, int students,
                                const tuff_train_params *tune)
{
    TUFF_REQUIRE(students >= 2 && students <= MOST, ARG,
                 "distill: %d student%s, expected 2 to %d that teach each other", students,
                 students == 1 ? "" : "s", MOST);
    for (int i = 0; i < students; i++)
        TUFF_REQUIRE(student[i], ARG, "distill: student %d is NULL", i + 1);
    TUFF_REQUIRE(!tune->teach, ARG, "distill: the training has teachers of its own");
    TUFF_REQUIRE(!tune->out && !tune->resume && !tune->mask && !tune->patience, ARG,
                 "distill: students that teach each other take no checkpoint (out, resume), no "
                 "mask and no early stop");
    return TUFF_OK;
}

// One batch is for all, so they must know samples normalised alike. Who knows nothing yet takes
// what the others know, or what the data say.
static tuff_status agree(school *r)
{
    for (int known = 1; known >= 0; known--)
        for (int i = 0; i < r->students; i++)
            if (known == (tuff_model_get_data(r->student[i])->channels > 0))
                TUFF_TRY(tuff_agree(r->student[i], r->data, true));
    const tuff_model_data *first = tuff_model_get_data(r->student[0]);
    const size_t bytes = (size_t)first->channels * sizeof(float);
    for (int i = 1; i < r->students; i++) {
        const tuff_model_data *d = tuff_model_get_data(r->student[i]);
        TUFF_REQUIRE(d->channels == first->channels &&
                         memcmp(d->scale, first->scale, bytes) == 0 &&
                         memcmp(d->shift, first->shift, bytes) == 0,
                     ARG, "distill: students 1 and %d know samples normalised in different "
                     "ways", i + 1);
    }
    return TUFF_OK;
}

// ---- the school ----------------------------------------------------------------------------

static tuff_status sit_down(school *r, const tuff_mutual_params *p, int i)
{
    seat *s = &r->seat[i];
    const tuff_dataset_info *info = tuff_dataset_get_info(r->data);
    s->teach = (tuff_teach){ .teacher = s->others,
                             .temperature = p->temperature != 0 ? p->temperature : 1,
                             .alpha = p->alpha != 0 ? p->alpha : 0.5f };
    for (int k = 0; k < r->students; k++)
        if (k != i) s->others[s->teach.teachers++] = r->student[k];
    tuff_train_params own = r->tune;
    own.teach = &s->teach;
    own.seed += (uint64_t)i; // what dropout draws is each one's own
    TUFF_TRY(tuff_trainer_create(r->student[i], &own, info->classes, info->count[TUFF_TRAIN],
                                 &s->trainer));
    r->epochs = s->trainer->p.epochs;
    r->batch = s->trainer->p.batch;
    const tuff_pass_spec tests = { .model = r->student[i], .classes = info->classes,
                                   .loss = TUFF_LOSS_CROSS_ENTROPY };
    return tuff_passes_create(&tests, &s->tests);
}

static tuff_status open_school(school *r, const tuff_mutual_params *p)
{
    TUFF_TRY(agree(r));
    TUFF_REQUIRE(tuff_dataset_get_info(r->data)->count[TUFF_TRAIN] > 0, ARG,
                 "train: the data has no training examples");
    for (int i = 0; i < r->students; i++) TUFF_TRY(sit_down(r, p, i));
    const tuff_loader_params loader = { .split = TUFF_TRAIN, .batch = r->batch, .shuffle = true,
                                        .seed = r->tune.seed, .augment = r->tune.augment };
    return tuff_loader_create(r->data, &loader, &r->loader);
}

static void close_school(school *r)
{
    tuff_loader_destroy(&r->loader);
    for (int i = 0; i < r->students; i++) {
        tuff_passes_destroy(&r->seat[i].tests);
        tuff_trainer_destroy(&r->seat[i].trainer);
    }
}

// ---- training ------------------------------------------------------------------------------

static tuff_status one_batch(school *r, tuff_progress *progress)
{
    tuff_batch b;
    tuff_loader_next(r->loader, &b);
    for (int i = 0; i < r->students; i++)
        TUFF_TRY(tuff_trainer_step(r->seat[i].trainer, b.x, b.labels, b.count));
    progress->step++;
    progress->examples += b.count;
    if (r->tune.on_step) r->asked = !r->tune.on_step(r->tune.user, progress);
    return TUFF_OK;
}

static tuff_status end_epoch(school *r, int i, int epoch)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(r->data);
    seat *s = &r->seat[i];
    tuff_epoch e = { .epoch = epoch, .epochs = r->epochs, .lr = s->trainer->lr };
    TUFF_TRY(tuff_trainer_read(s->trainer, &e.train));
    TUFF_REQUIRE(isfinite(e.train.loss), CHECK,
                 "distill: the loss of student %d is no longer a number in epoch %d (lr %g): a "
                 "smaller learning rate, or clipping, may help", i + 1, epoch, e.lr);
    if (info->count[TUFF_TEST])
        TUFF_TRY(tuff_evaluate(s->tests, r->data, TUFF_TEST, r->batch, NULL, &e.test));
    if (info->count[TUFF_HELD])
        TUFF_TRY(tuff_evaluate(s->tests, r->data, TUFF_HELD, r->batch, NULL, &e.held));
    if (r->tune.on_epoch && !r->tune.on_epoch(r->tune.user, &e)) r->asked = true;
    return TUFF_OK;
}

static tuff_status teach_each_other(school *r)
{
    const int64_t steps = tuff_loader_batches(r->loader);
    for (int epoch = 1; epoch <= r->epochs && !r->asked; epoch++) {
        const double began = tuff_time_now();
        tuff_progress progress = { .epoch = epoch, .epochs = r->epochs, .steps = steps,
                                   .loss = -1 };
        while (progress.step < steps && !r->asked) {
            progress.seconds = tuff_time_now() - began;
            TUFF_TRY(one_batch(r, &progress));
        }
        for (int i = 0; i < r->students && progress.step == steps; i++)
            TUFF_TRY(end_epoch(r, i, epoch));
    }
    return TUFF_OK;
}

tuff_status tuff_distill_mutual(tuff_model *const *student, int students, tuff_dataset *data,
                                const tuff_mutual_params *p, tuff_model **distilled)
{
    static const tuff_mutual_params defaults;
    if (!p) p = &defaults;
    school r = { .data = data, .student = distilled };
    tuff_status status = TUFF_OK;
    for (int i = 0; distilled && i < students; i++) distilled[i] = NULL;
    TUFF_REQUIRE(student && data && distilled, ARG,
                 "distill: students, data and room for the results are needed");
    if (p->tune) r.tune = *p->tune;
    TUFF_TRY(check_params(student, students, &r.tune));
    r.students = students;
    for (int i = 0; i < students; i++)
        TUFF_GO(tuff_model_copy(student[i], tuff_model_device(student[i]), &distilled[i]));
    TUFF_GO(open_school(&r, p));
    TUFF_GO(teach_each_other(&r));
exit:
    close_school(&r);
    for (int i = 0; status != TUFF_OK && i < students; i++) tuff_model_destroy(&distilled[i]);
    return status;
}
