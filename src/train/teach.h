// Teachers in a step of training.
#ifndef TUFF_TRAIN_TEACH_H
#define TUFF_TRAIN_TEACH_H
#include "train/pass.h"

// Two layers whose outputs are to become alike (FitNets; Romero et al., 1412.6550).
typedef struct tuff_match {
    int teacher, student;    // parts of the first teacher, and of the student
    float weight;
    tuff_model *projection;  // makes of the student's features as many as the teacher has;
                             // NULL: they are as many
    tuff_update_state state; // of its training
    tuff_var param[2];       // while a pass is built: those of the projection
} tuff_match;

// What a run has of its teachers.
typedef struct tuff_lesson {
    tuff_teach teach; // with defaults filled in
    bool said;        // what they say comes with the batch (train/said.h)
    tuff_match *match;
    int matches;
} tuff_lesson;

// A student in a step: its batch, its logits, and what each of its parts gives.
typedef struct tuff_student {
    const tuff_model *model;
    tuff_var x, y;
    const tuff_var *made;
    tuff_var said; // the teachers' logits, where they come with the batch
} tuff_student;

// Takes p->teach, with defaults filled in, when it fits the student and the rest of p (which is
// filled in). What it makes is tuff_lesson_close's, also after a failure.
// Fails: TUFF_ERR_ARG, TUFF_ERR_SHAPE, TUFF_ERR_FORMAT (match), TUFF_ERR_MEMORY.
tuff_status tuff_lesson_open(const tuff_model *student, const tuff_train_params *p,
                             tuff_lesson *lesson);
void tuff_lesson_close(tuff_lesson *lesson);
// Makes of the loss that labels give the one that teachers and labels give.
tuff_status tuff_emit_taught(tuff_graph *g, const tuff_student *s, tuff_lesson *lesson,
                             tuff_var *loss);
// What the teachers say of a batch that the student takes: logits. `made` is NULL, or receives
// what each part of the first teacher gives.
tuff_status tuff_emit_teachers(tuff_graph *g, const tuff_model *student,
                               const tuff_teach *teach, tuff_var x, tuff_var *made,
                               tuff_var *logits);

// ---- features (train/match.c) --------------------------------------------------------------

// Reads teach->match into lesson->match.
tuff_status tuff_match_open(const tuff_model *student, uint64_t seed, tuff_lesson *lesson);
// Adds to a loss how unlike features are; `made` is what each part of the teacher gives.
tuff_status tuff_emit_matches(tuff_graph *g, const tuff_student *s, tuff_lesson *lesson,
                              const tuff_var *made, tuff_var *loss);
#endif
