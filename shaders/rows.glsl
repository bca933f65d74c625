// What losses ask of a row of logits, an element after the other.
//
// Of some elements a softmax is kept as a pair (m, r): their maximum, and the sum of exp(x - m)
// over all but the first that is the maximum, which would add 1. Where a class is nearly
// certain that 1 would swallow the rest, which is all there is to its loss and gradient:
//
//   -log(p) = m - x + log1p(r)      p = exp(x - m) / (1 + r), of the maximum 1 - r / (1 + r)
#include "math.glsl"

// Of d = x - m.
float probability(float d, float r) { return exp_f32(d) / (1.0 + r); }

// When p - 1 says more of it than p.
bool is_likely(float d, float r) { return d == 0.0 && r < 1.0; }

// p - 1
float less_one(float d, float r)
{
    return is_likely(d, r) ? -r / (1.0 + r) : probability(d, r) - 1.0;
}

// A NaN wins, as in PyTorch.
bool is_larger(float x, float than) { return x > than || is_nan(x); }

// True when element j keeps element `label` from being the first maximum.
bool keeps(float v, uint j, float of_label, uint label)
{
    return !(j < label ? v < of_label : v <= of_label);
}
