// Training in few bits: what a pass puts between layers, on gradients and round the update.
//
//   x -> take -> layer -> give -> next layer        take   casts (half)
//           params ^        \                       give   rounds (fixed16), and remembers y
//                            dy <- slope <-         slope  rounds the gradient by y
//
#ifndef TUFF_TRAIN_PRECISION_H
#define TUFF_TRAIN_PRECISION_H
#include "nn/model.h"
#include <tuff/train.h>

// While one program is emitted.
typedef struct tuff_rounding {
    const tuff_model *model;
    tuff_gradients gradients;
    tuff_precision precision;
    tuff_tensor *scaler; // of the loss, f32 [4]; NULL: it has none
    tuff_var counter;    // of the step's random numbers
    int64_t count;       // examples of the batch
    uint64_t draws;      // roundings so far: each has a seed of its own
    int *seen, seens;    // values whose gradients are rounded; NULL: none
} tuff_rounding;

// Defaults filled in, ranges checked. Fails: TUFF_ERR_ARG.
tuff_status tuff_rounding_fill(tuff_gradients *g, tuff_precision *p);
// Text that the parsers read back; returns text.
const char *tuff_gradients_print(const tuff_gradients *g, char *text, size_t size);
const char *tuff_precision_print(const tuff_precision *p, char *text, size_t size);
// Whether a step takes random numbers / scales its loss.
bool tuff_rounding_draws(const tuff_gradients *g, const tuff_precision *p);
bool tuff_precision_scales(const tuff_precision *p);
// What a scaler begins with.
void tuff_scaler_start(const tuff_precision *p, float scaler[4]);

// tuff_model_forward_taught in few bits; y, and what the parts give, f32. The caller frees
// r->seen.
tuff_var tuff_rounded_forward(tuff_rounding *r, tuff_graph *g, tuff_var x, tuff_var *params,
                              tuff_var made[]);
// The loss that is differentiated, and the gradients of wrt[] by it (tuff_graph_backward).
void tuff_rounded_backward(tuff_rounding *r, tuff_graph *g, tuff_var loss, const tuff_var *wrt,
                           int n, tuff_var *grads);
// A number that is added to gradients of the scaled loss.
tuff_var tuff_rounded_scale(tuff_rounding *r, tuff_graph *g, tuff_var v);
// The gradient of one parameter, as the optimizer is to see it.
tuff_var tuff_rounded_slope(tuff_rounding *r, tuff_graph *g, int param, tuff_var dw);
// All gradients at once, in `grads`, as the update takes them; hyper becomes that of the step.
tuff_var tuff_rounded_gradients(tuff_rounding *r, tuff_graph *g, tuff_tensor *grads,
                                tuff_var *hyper, const tuff_optimizer *o);
// What an update leaves: weights, or momentum.
tuff_var tuff_rounded_update(tuff_rounding *r, tuff_graph *g, tuff_var w);
// Weights into fixed point, before the first step.
tuff_status tuff_round_start(tuff_stream *s, const tuff_precision *p, tuff_tensor *weights);
#endif
