// What losses ask of a row of logits, an element after the other.
#include "math.glsl"

// A NaN wins, as in PyTorch.
float larger(float a, float b) { return b > a || is_nan(b) ? b : a; }

// True when element j keeps element `label` from being the first maximum.
bool keeps(float v, uint j, float of_label, uint label)
{
    return !(j < label ? v < of_label : v <= of_label);
}
