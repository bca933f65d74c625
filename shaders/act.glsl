// The activations of tuff_act (include/tuff/ops.h), by number. A NaN stays one.
#include "math.glsl"

float act(float x, uint kind)
{
    if (kind == 1u) return x < 0.0 ? 0.0 : x;
    if (kind == 2u) return sigmoid_f32(x);
    if (kind == 3u) return tanh_f32(x);
    return x;
}
