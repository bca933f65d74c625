// Losses of one element x for the target t, and their slopes by x. d = x - t.
//
//   mse          d^2
//   l1           |d|
//   huber        d^2 / 2 up to |d| = delta, then delta (|d| - delta / 2)
//   smooth_l1    huber / delta
//   hinge        max(0, delta - t x), t being 1 or -1
//   bce          -(t log x + (1 - t) log(1 - x)), the logs cut off at -100
//   bce_logits   the same of sigmoid(x), with t's first term p times as much:
//                (1 - t) x + (1 + (p - 1) t) log(1 + e^-x), where -log(sigmoid(x)) is
//                max(-x, 0) + log1p(e^-|x|), which never overflows
#include "math.glsl"

// log(1 - x)
float log_of_rest(float x) { return x < 0.25 ? log1p_f32(-x) : log_f32(1.0 - x); }

float loss_of(uint op, float x, float t, float p, float delta)
{
    const float d = x - t, size = abs(d);
    switch (op) {
    case TUFF_LOSS_MSE: return d * d;
    case TUFF_LOSS_L1: return size;
    case TUFF_LOSS_HUBER:
        return size <= delta ? 0.5 * d * d : delta * (size - 0.5 * delta);
    case TUFF_LOSS_SMOOTH_L1:
        return size <= delta ? 0.5 * d * d / delta : size - 0.5 * delta;
    case TUFF_LOSS_HINGE: return delta - t * x <= 0.0 ? 0.0 : delta - t * x;
    case TUFF_LOSS_BCE:
        return -(t * max(log_f32(x), -100.0) + (1.0 - t) * max(log_of_rest(x), -100.0));
    case TUFF_LOSS_BCE_LOGITS:
        return (1.0 - t) * x +
               (1.0 + (p - 1.0) * t) * (max(-x, 0.0) + log1p_f32(exp_f32(-abs(x))));
    }
    return x * t;
}

float slope_of(uint op, float x, float t, float p, float delta)
{
    const float d = x - t;
    switch (op) {
    case TUFF_LOSS_MSE: return 2.0 * d;
    case TUFF_LOSS_L1: return is_nan(d) ? d : d > 0.0 ? 1.0 : d < 0.0 ? -1.0 : 0.0;
    case TUFF_LOSS_HUBER: return is_nan(d) ? d : clamp(d, -delta, delta);
    case TUFF_LOSS_SMOOTH_L1: return is_nan(d) ? d : clamp(d / delta, -1.0, 1.0);
    case TUFF_LOSS_HINGE: return delta - t * x > 0.0 ? -t : 0.0;
    case TUFF_LOSS_BCE: return d / max(x * (1.0 - x), 1e-12);
    case TUFF_LOSS_BCE_LOGITS:
        return (1.0 - t) * sigmoid_f32(x) - p * t * sigmoid_f32(-x);
    }
    return t;
}
