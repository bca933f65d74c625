#ifndef TUFF_FAMILY_OPTIMIZER_H
#define TUFF_FAMILY_OPTIMIZER_H
#include <tuff/tensor.h>
// Optimizer updates.
// What <tuff/ops.h> says of all ops holds for these.

// All work in place on w and the state (any shape, all equal), elementwise. The gradient is
//
//   g' = clip(scale * g, clip_value) + weight_decay * w + l1 * sign(w)
//
// and with `decoupled` (adamw, lion and lamb: always) g' is without weight_decay, and w is
// first scaled by 1 - lr weight_decay (Loshchilov & Hutter 2019). Then
//
//   sgd       w -= lr g'
//   momentum  m = momentum m + (1 - dampening) g'; in the first step m = g'
//             w -= lr m                            (torch.optim.SGD)
//   nesterov  m likewise; w -= lr (g' + momentum m)
//                                                  (torch.optim.SGD, nesterov, undamped)
//   adagrad   v += g'^2
//             w -= lr g' / (sqrt(v) + eps)         (Duchi et al. 2011; torch.optim.Adagrad)
//   rmsprop   v = alpha v + (1 - alpha) g'^2
//             w -= lr g' / (sqrt(v) + eps)         (Hinton 2012; torch.optim.RMSprop)
//   rmsprop_momentum   v likewise; m = momentum m + g' / (sqrt(v) + eps)
//             w -= lr m                            (torch.optim.RMSprop, momentum)
//   rmsprop_centered   v likewise; x = alpha x + (1 - alpha) g'
//             m = momentum m + g' / (sqrt(v - x^2) + eps)
//             w -= lr m                            (Graves 2013; torch.optim.RMSprop, centered)
//   adam      m = beta1 m + (1 - beta1) g'         v = beta2 v + (1 - beta2) g'^2
//             w -= lr (m / bias1) / (sqrt(v / bias2) + eps)
//                                                  (Kingma & Ba 2015; torch.optim.Adam)
//   adamw     adam, decoupled                      (torch.optim.AdamW)
//   amsgrad   m, v as adam; x = max(x, v)
//             w -= lr (m / bias1) / (sqrt(x / bias2) + eps)
//                                                  (Reddi et al. 2018; Adam, amsgrad)
//   adamax    m as adam; v = max(beta2 v, |g'| + eps)
//             w -= lr (m / bias1) / v              (Kingma & Ba 2015; torch.optim.Adamax)
//   nadam     m, v as adam
//             w -= lr (first g' + m / bias1) / (sqrt(v / bias2) + eps)
//                                                  (Dozat 2016; torch.optim.NAdam)
//   lion      w -= lr sign(beta1 m + (1 - beta1) g'); then m = beta2 m + (1 - beta2) g'
//                                                  (Chen et al. 2023)
//   lamb      m, v as adam; d = (m / bias1) / (sqrt(v / bias2) + eps) + weight_decay w
//             w -= lr (|w| / |d|) d, where the lengths are those of each parameter in the
//             flat tensor, and their ratio is 1 where one of them is 0
//                                                  (You et al. 2020)
//
// What changes from step to step is read from the device, so that a recorded program can be
// replayed: hyper f32 [8] = lr, bias1, bias2, scale, skip, first, 0, 0.
//
//   bias1, bias2  1 - beta1^t and 1 - beta2^t in step t, counted from 1. nadam, with
//                 mu(t) = beta1 (1 - 0.96^(momentum_decay t) / 2) and P(t) the product of
//                 mu(1) to mu(t): bias1 = (1 - P(t + 1)) / mu(t + 1)
//   skip          1 or more: w and the states stay as they are (a gradient has overflowed,
//                 see tuff_loss_scale)
//   first         momentum: 1 in the first step, else 0. nadam: (1 - mu(t)) / (1 - P(t))
typedef struct tuff_update_params {
    float momentum;     // 0 = 0.9; rmsprop_centered: 0 = none
    float dampening;    // of momentum and nesterov
    float alpha;        // 0 = 0.99
    float beta1, beta2; // 0 = 0.9, 0.999; lion: 0.9, 0.99
    float momentum_decay; // of nadam, in hyper; 0 = 0.004
    float eps;          // 0 = 1e-8; adagrad: 1e-10; lamb: 1e-6
    float weight_decay; // L2 penalty
    bool decoupled;     // weight_decay is taken from w
    float l1;           // L1 penalty
    float clip_value;   // 0 = none; else scale * g is clipped to [-clip_value, clip_value]
    int copy;           // 0, or TUFF_F16 or TUFF_BF16: the new w is also written so rounded
} tuff_update_params;

// hyper of step `step`, counted from 0, of the optimizer `op` (NULL params: zeroed ones).
TUFF_API void tuff_update_hyper(const char *op, const tuff_update_params *p, double lr,
                                int64_t step, float hyper[8]);

// What an update has beside w; what its optimizer lacks is not looked at.
typedef struct tuff_update_tensors {
    tuff_tensor *m, *v, *x; // states, zero before the first step
    // lamb: i32 [parameters], the elements of w at which each parameter begins, in order and
    // from 0; the last one goes to w's end.
    const tuff_tensor *starts;
    tuff_tensor *copy; // with the param of that name: the weights that a net in 16 bits reads
} tuff_update_tensors;

// The ops take w, g, hyper and the states that their formulas name, in the order m, v, x;
// lamb then takes starts. They write w, the states, and copy.
TUFF_API TUFF_CHECK tuff_status tuff_update(tuff_stream *s, const char *op, tuff_tensor *w,
                                            const tuff_tensor *g, const tuff_tensor *hyper,
                                            const tuff_update_tensors *t,
                                            const tuff_update_params *p);

typedef struct tuff_clip_norm_params {
    float max_norm; // 0 = 1
} tuff_clip_norm_params;
// y = x * min(1, max_norm / (|x|_2 + 1e-6)) over all elements (PyTorch clip_grad_norm_).
// y may be x. norm [] receives |x|_2.
TUFF_API TUFF_CHECK tuff_status tuff_clip_norm(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y, tuff_tensor *norm,
                                               const tuff_clip_norm_params *p);

// ---- losses that are scaled -----------------------------------------------------------------

// Gradients in 16 bits vanish where they are small and overflow where they are large. A step
// that keeps them between, without the host ever looking (Micikevicius et al. 2018;
// torch.cuda.amp.GradScaler):
//
//   loss * scale -> backward -> g -> unscale -> g / scale, found
//                                     |            found, scaler, hyper
//                                     |                   |
//                               clip_norm            loss_scale -> scaler, hyper
//                                     |                              |
//                                     +----------> update <----------+   skips when found
//
// scaler f32 [4] = scale, growth tracker, steps taken, a product of nadam's; it begins as
// { 65536, 0, 0, 0 }. Multiply the loss by a view of its first element.

// y = g / scale, where a g that is infinite or NaN becomes 0; found [] is then 1, else 0.
// y may be g.
TUFF_API TUFF_CHECK tuff_status tuff_unscale(tuff_stream *s, const tuff_tensor *g,
                                             const tuff_tensor *scaler, tuff_tensor *y,
                                             tuff_tensor *found);

typedef struct tuff_loss_scale_params {
    float growth_factor;  // 0 = 2
    float backoff_factor; // 0 = 0.5
    int growth_interval;  // 0 = 2000
    float beta1, beta2;   // of the optimizer; 0 = 0.9, 0.999
    float momentum_decay; // of nadam, which has 0.004; 0 = another optimizer
} tuff_loss_scale_params;
// After a step whose gradients overflowed the scale is multiplied by the backoff factor; after
// growth_interval steps in a row without, by the growth factor. hyper's skip, bias1, bias2 and
// first are those of the step that is about to be made, counted by steps that were not
// skipped (see tuff_update_params); lr and scale stay. after may be before, and the same for
// hyper: f32 [4] and f32 [8].
TUFF_API TUFF_CHECK tuff_status tuff_loss_scale(tuff_stream *s, const tuff_tensor *found,
                                                const tuff_tensor *before,
                                                const tuff_tensor *hyper, tuff_tensor *after,
                                                tuff_tensor *hyper_after,
                                                const tuff_loss_scale_params *p);
#endif
