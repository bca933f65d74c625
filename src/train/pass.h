// A pass: the program that takes one batch of one size through a net, for training, testing
// or predicting. A set of passes has one for every size of batch that was met: the usual one,
// and that of the last partial batch.
//
//   x ---- net ---- y ---- loss ------- + loss sum     (sums stay on the device)
//                    \---- correct ---- + correct sum
//   training adds:   gradients -> flat tensor -> clip -> update of the flat weights
#ifndef TUFF_TRAIN_PASS_H
#define TUFF_TRAIN_PASS_H
#include <tuff/train.h>

// What training adds to a pass: flat tensors in the layout of the model's weights.
typedef struct tuff_update_state {
    tuff_optimizer optimizer;
    tuff_tensor *grads, *m, *v, *x; // m, v and x NULL when the optimizer keeps none
    tuff_tensor *starts;        // of the parameters in them, for lamb; else NULL
    tuff_gradients gradients;   // in few bits, with defaults filled in
    tuff_precision precision;
    tuff_tensor *scaler;        // of the loss (tuff_loss_scale), where it is scaled; else NULL
    tuff_tensor *mask;          // what the weights are multiplied by; else NULL
    float slim;                 // L1 penalty on the scales of batch norms
    struct tuff_lesson *lesson; // of teachers (train/teach.h); else NULL
    tuff_tensor **groups;       // of parameters that share numbers (train/shared.c), else NULL;
                                // one for each parameter, or NULL for all
    tuff_tensor **grad_views;   // of grads, one for each parameter of the model
} tuff_update_state;

typedef struct tuff_pass_spec {
    tuff_model *model;
    tuff_loss loss;                 // TUFF_LOSS_AUTO: none, only the outputs are computed
    int64_t classes;                // 0: targets in the outputs' shape
    const tuff_update_state *state; // NULL: no training
} tuff_pass_spec;

typedef struct tuff_pass tuff_pass;
typedef struct tuff_passes tuff_passes;

// Sums over the batches since the last reset.
typedef struct tuff_sums {
    double loss;     // of examples
    int64_t correct, examples;
} tuff_sums;

// Fails: TUFF_ERR_SHAPE (the net's outputs are not what the loss takes), TUFF_ERR_ARG (nothing
// to train), TUFF_ERR_MEMORY. The spec is copied; what it points to must outlive the set.
tuff_status tuff_passes_create(const tuff_pass_spec *spec, tuff_passes **passes);
void tuff_passes_destroy(tuff_passes **passes);
// The pass for batches of `count`, compiled when it is not there yet.
tuff_status tuff_passes_get(tuff_passes *passes, int64_t count, tuff_pass **pass);
// Waits, and reads the sums of all passes; `reset` sets them to zero afterwards.
tuff_status tuff_passes_read(tuff_passes *passes, bool reset, tuff_sums *sums);

// Numbers that the net gives for one sample.
int64_t tuff_passes_width(const tuff_passes *passes);

// Starts one run: x f32 [count, input...], y i32 [count] or f32 [count, output...] (NULL
// without a loss), hyper f32 [8] (training); `counter` makes a step's random numbers its own.
// Copies, and returns before it is done.
tuff_status tuff_pass_run(tuff_pass *pass, const float *x, const void *y, const float *hyper,
                          uint64_t counter);
// Of a lesson whose teachers' logits come with the batch: those of the next run, f32 [count,
// classes].
tuff_status tuff_pass_say(tuff_pass *pass, const float *logits);
// Waits for the last run and copies the outputs.
tuff_status tuff_pass_scores(tuff_pass *pass, float *scores);
tuff_program *tuff_pass_program(tuff_pass *pass);

// loss and accuracy of sums; seconds as given.
void tuff_metrics_fill(tuff_metrics *m, const tuff_sums *sums, bool classes, double seconds);
// The gradients of weights that share numbers; dw as it is where `groups` is NULL.
tuff_var tuff_emit_shared(tuff_graph *g, tuff_tensor *groups, tuff_var dw);
#endif
