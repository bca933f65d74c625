// What the functions of unary.comp and their derivatives in unary_grad.comp share.
#include "math.glsl"

// y with x's sign where it is 0.
float signed_as(float y, float x)
{
    const uint bits = floatBitsToUint(y);
    return y == 0.0 ? uintBitsToFloat(floatBitsToUint(x) & 0x80000000u) : uintBitsToFloat(bits);
}

float sign_f32(float x)
{
    const uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) == 0u) return x;
    return uintBitsToFloat((bits & 0x80000000u) | 0x3f800000u);
}

// x s for 0 <= s <= 1, where s is 0 for x = -infinity.
float times(float x, float s) { return max(x, -3.40282347e38) * s; }

// The integral of the normal density from -infinity to x. What lies above |x| is half of
// erfc(|x| / sqrt(2)).
float normal_below(float x)
{
    const float z = abs(x);
    const float above = 0.5 * exp_square(z, 0.5) * erfcx_f32(z * 0.707106781);
    return x < 0.0 ? above : 1.0 - above;
}

// gelu's other form is x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
float gelu_tanh_inner(float x) { return 1.59576912 * (x + 0.044715 * (x * x * x)); }

// tanh(ln(1 + e^x)) = (w^2 + 2w) / (w^2 + 2w + 2), w = e^x; over w^2 where w would overflow.
float tanh_softplus(float x)
{
    const float e = exp_f32(-abs(x)), n = x > 0.0 ? 1.0 + 2.0 * e : e * (e + 2.0);
    return n / (n + 2.0 * (x > 0.0 ? e * e : 1.0));
}
