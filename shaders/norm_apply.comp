#version 450
#extension GL_GOOGLE_include_directive : require
// y = (x - mean) inv scale + bias, four elements an invocation, or 4 QUADS.
//
//   binding 0  x      float[count]                              read
//   binding 1  mean   float[]                                   read
//   binding 2  inv    float[]                                   read
//   binding 3  y      float[count]; may be x's memory           write
//   binding 4  scale  a texel buffer; parameter `first` on      read
//   binding 5  bias   the same                                  read
//   With -DTEXEL x, mean and inv are texel buffers too.
//   spec 0     WG        workgroup size
//   spec 1     ROWS      TUFF_NORM_ROWS_...: whose mean and inv
//   spec 2     MEAN      there is a mean
//   spec 3     VARIANCE  inv is a variance: 1 / sqrt(inv + epsilon) is meant
//   spec 4     PAIRS     mean and inv are the same buffer of pairs (mean, inv)
//   spec 5, 6  SCALE, BIAS    there is one
//   spec 7     WIDE      TEXEL only: x has vec4 texels, whose elements share mean and inv
//   spec 8     PARAMS    TEXEL only: TUFF_NORM_PARAMS_...
//   spec 9     QUADS     WIDE, PARAMS_ONE: as many vec4s share everything
//   grid       count / (4 QUADS WG), folded
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint ROWS = TUFF_NORM_ROWS_WHOLE;
layout(constant_id = 2) const bool MEAN = true;
layout(constant_id = 3) const bool VARIANCE = false;
layout(constant_id = 4) const bool PAIRS = false;
layout(constant_id = 5) const bool SCALE = false;
layout(constant_id = 6) const bool BIAS = false;
layout(push_constant) uniform Push { tuff_norm_apply_pc pc; };
#ifdef TEXEL
layout(constant_id = 7) const bool WIDE = false;
layout(constant_id = 8) const uint PARAMS = TUFF_NORM_PARAMS_EACH;
layout(constant_id = 9) const uint QUADS = 1;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer means;
layout(binding = 2) uniform samplerBuffer invs;
layout(binding = 3) writeonly buffer Y4 { vec4 y4[]; };
float load_x(uint i) { return texelFetch(x, int(i)).x; }
float load_mean(uint i) { return texelFetch(means, int(i)).x; }
float load_inv(uint i) { return texelFetch(invs, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Means { float means[]; };
layout(binding = 2) readonly buffer Invs { float invs[]; };
float load_x(uint i) { return x[i]; }
float load_mean(uint i) { return means[i]; }
float load_inv(uint i) { return invs[i]; }
#endif
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 4) uniform samplerBuffer scales;
layout(binding = 5) uniform samplerBuffer biases;

// (mean, inv) of element i, whose parameters are number p.
vec2 stats_of(uint i, uint p)
{
    uint row = p;
    if (ROWS == TUFF_NORM_ROWS_WHOLE) row = divide(i, pc.terms);
    if (ROWS == TUFF_NORM_ROWS_LINES) {
        const uint a = divide(i, pc.terms), q = divide(i, pc.sets.run);
        row = a * pc.sets.beside.by + q - divide(q, pc.sets.beside) * pc.sets.beside.by;
    }
    const float m = MEAN ? load_mean(PAIRS ? 2 * row : row) : 0.0;
    const float v = load_inv(PAIRS ? 2 * row + 1 : row);
    return vec2(m, VARIANCE ? 1.0 / sqrt(v + pc.epsilon) : v);
}

// Element i of x, whose parameters are number p.
float normal(float v, uint i, uint p)
{
    const vec2 of = stats_of(i, p);
    float r = (v - of.x) * of.y;
    if (SCALE) r *= texelFetch(scales, int(p - pc.params.first)).x;
    if (BIAS) r += texelFetch(biases, int(p - pc.params.first)).x;
    return r;
}

#ifdef TEXEL
vec4 four(samplerBuffer b, uint i, uint p)
{
    if (PARAMS == TUFF_NORM_PARAMS_ONE) return texelFetch(b, int(p)).xxxx;
    if (PARAMS == TUFF_NORM_PARAMS_FOUR) return texelFetch(b, int(p / 4));
    vec4 v;
    for (uint k = 0; k < 4; k++) v[k] = texelFetch(b, int(norm_param(pc.params, i + k))).x;
    return v;
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4 * QUADS;
    if (i >= pc.count) return;
    if (!WIDE) {
        for (uint k = i; k < min(i + 4, pc.count); k++)
            y[k] = normal(load_x(k), k, norm_param(pc.params, k));
        return;
    }
    const uint p = norm_param(pc.params, i);
    const vec2 of = stats_of(i, p);
    const vec4 scale = SCALE ? four(scales, i, p) : vec4(1.0);
    const vec4 bias = BIAS ? four(biases, i, p) : vec4(0.0);
    for (uint k = i / 4; k < i / 4 + QUADS; k++)
        y4[k] = (texelFetch(x, int(k)) - of.x) * of.y * scale + bias;
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i >= pc.count) return;
        const uint p = norm_param(pc.params, i);
        if (p - pc.params.first < pc.params.some) y[i] = normal(load_x(i), i, p);
    }
}
#endif
