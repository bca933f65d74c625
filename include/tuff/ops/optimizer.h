#ifndef TUFF_FAMILY_OPTIMIZER_H
#define TUFF_FAMILY_OPTIMIZER_H
#include <tuff/tensor.h>
// Optimizer updates.
// What <tuff/ops.h> says of all ops holds for these.

// All work in place on w and the state (any shape, all equal), elementwise:
//
//   g' = clip(scale * g, clip_value) + weight_decay * w + l1 * sign(w)
//   sgd       w -= lr g'
//   momentum  m = momentum m + g'            w -= lr m               (PyTorch SGD)
//   nesterov  m = momentum m + g'            w -= lr (g' + momentum m)
//   rmsprop   v = alpha v + (1 - alpha) g'^2   w -= lr g' / (sqrt(v) + eps)
//   adam      m = beta1 m + (1 - beta1) g'   v = beta2 v + (1 - beta2) g'^2
//             w -= lr (m / bias1) / (sqrt(v / bias2) + eps)          (Kingma & Ba 2015)
//   adamw     as adam with g' without weight_decay; w is first scaled by
//             1 - lr weight_decay                                    (Loshchilov & Hutter)
//
// What changes from step to step is read from the device, so that a recorded program can be
// replayed: hyper f32 [8] = lr, bias1 = 1 - beta1^t, bias2 = 1 - beta2^t, scale, 0, 0, 0, 0.
typedef struct tuff_update_params {
    float momentum;     // 0 = 0.9
    float alpha;        // 0 = 0.99
    float beta1, beta2; // 0 = 0.9, 0.999
    float eps;          // 0 = 1e-8
    float weight_decay; // L2 penalty; adamw: decoupled
    float l1;           // L1 penalty
    float clip_value;   // 0 = none; else scale * g is clipped to [-clip_value, clip_value]
} tuff_update_params;
// The ops are `sgd` (w, g, hyper), `momentum` and `nesterov` (w, g, hyper, m), `rmsprop`
// (w, g, hyper, v), `adam` and `adamw` (w, g, hyper, m, v).
TUFF_API TUFF_CHECK tuff_status tuff_update(tuff_stream *s, const char *op, tuff_tensor *w,
                                            const tuff_tensor *g, const tuff_tensor *hyper,
                                            tuff_tensor *m, tuff_tensor *v,
                                            const tuff_update_params *p);

typedef struct tuff_clip_norm_params {
    float max_norm; // 0 = 1
} tuff_clip_norm_params;
// y = x * min(1, max_norm / (|x|_2 + 1e-6)) over all elements (PyTorch clip_grad_norm_).
// y may be x. norm [] receives |x|_2.
TUFF_API TUFF_CHECK tuff_status tuff_clip_norm(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y, tuff_tensor *norm,
                                               const tuff_clip_norm_params *p);
#endif
