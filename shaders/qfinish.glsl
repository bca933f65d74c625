// Four sums of an integer product as numbers of 8 bits, with the bits of requant.glsl: a factor
// is m 2^-shift and, as a float with its sign, `rough`.
//
// The product of floats is rounded twice in all: what is further from a tie than that is on the
// right side of it, and what is near one is done in integers. Far out either side will do.
vec4 finished(ivec4 sum, vec4 rough, uvec4 m, uvec4 shift, int zero, int low, int high)
{
    const vec4 v = clamp(vec4(sum) * rough, vec4(-2048.0), vec4(2048.0));
    vec4 q = roundEven(v);
    const bvec4 near = greaterThanEqual(abs(v - q), 0.5 - abs(v) * 2.4e-7);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (bool again = any(near); again; again = false)
        for (int k = 0; k < 4; k++) {
            uint over, under;
            umulExtended(uint(abs(sum[k])), m[k], over, under);
            const uint whole = exact_shift(over, under, int(shift[k]), false);
            const float exact = float(min(whole, 2048u));
            if (near[k]) q[k] = v[k] < 0.0 ? -exact : exact;
        }
    return clamp(q + float(zero), float(low), float(high));
}
