#version 450
#extension GL_GOOGLE_include_directive : require
// dx = inv (w dy - m - x' m'), x' = (x - mean) inv, w the scale or 1, m and m' the means of
// w dy and of w dy x' over the elements that share mean and inv. Four elements an invocation,
// or 4 QUADS.
//
//   binding 0  x      float[count], or with -DTEXEL a texel buffer      read
//   binding 1  dy     the same                                          read
//   binding 2  rows   float[rows * 4]: mean, inv, m, m'; CHANNEL: float[rows * 2]: mean, inv.
//                     TEXEL: as texels, vec4 ones unless CHANNEL        read
//   binding 3  dx     float[count]; may be dy's memory                  write
//   binding 4  scale  a texel buffer; parameter `first` on              read
//   binding 5  dscale the same; CHANNEL only                            read
//   binding 6  dbias  the same; CHANNEL only                            read
//   spec 0     WG       workgroup size
//   spec 1     CHANNEL  mean and inv belong to the parameters, so that m = w dbias share and
//                       m' = w dscale share
//   spec 2     SCALE    there is a scale
//   spec 3     WIDE     TEXEL only: x and dy have vec4 texels, whose elements share all of rows
//   spec 4     PARAMS   TEXEL only: TUFF_NORM_PARAMS_...
//   spec 5     QUADS    WIDE, PARAMS_ONE: as many vec4s share everything
//   grid       count / (4 QUADS WG), folded
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool CHANNEL = false;
layout(constant_id = 2) const bool SCALE = false;
layout(push_constant) uniform Push { tuff_norm_apply_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
layout(constant_id = 4) const uint PARAMS = TUFF_NORM_PARAMS_EACH;
layout(constant_id = 5) const uint QUADS = 1;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer dy;
layout(binding = 2) uniform samplerBuffer rows;
layout(binding = 3) writeonly buffer Dx4 { vec4 dx4[]; };
float load_x(uint i) { return texelFetch(x, int(i)).x; }
float load_dy(uint i) { return texelFetch(dy, int(i)).x; }
vec2 load_pair(uint i)
{
    return vec2(texelFetch(rows, int(2 * i)).x, texelFetch(rows, int(2 * i + 1)).x);
}
vec4 load_row(uint i) { return texelFetch(rows, int(i)); }
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Dy { float dy[]; };
layout(binding = 2) readonly buffer Rows { float rows[]; };
float load_x(uint i) { return x[i]; }
float load_dy(uint i) { return dy[i]; }
vec2 load_pair(uint i) { return vec2(rows[2 * i], rows[2 * i + 1]); }
vec4 load_row(uint i)
{
    return vec4(rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]);
}
#endif
layout(binding = 3) writeonly buffer Dx { float dx[]; };
layout(binding = 4) uniform samplerBuffer scale;
layout(binding = 5) uniform samplerBuffer dscale;
layout(binding = 6) uniform samplerBuffer dbias;

// (mean, inv, m, m') of element i with parameters p; with CHANNEL m and m' without w.
vec4 row_of(uint i, uint p)
{
    if (!CHANNEL) return load_row(divide(i, pc.terms));
    const int at = int(p - pc.params.first);
    return vec4(load_pair(p), texelFetch(dbias, at).x * pc.share,
                texelFetch(dscale, at).x * pc.share);
}

float gradient(uint i, uint p)
{
    const vec4 of = row_of(i, p);
    const float w = SCALE ? texelFetch(scale, int(p - pc.params.first)).x : 1.0;
    const float of_x = (load_x(i) - of.x) * of.y, g = load_dy(i);
    return CHANNEL ? of.y * w * (g - of.z - of_x * of.w) : of.y * (w * g - of.z - of_x * of.w);
}

#ifdef TEXEL
vec4 four(uint i, uint p)
{
    if (PARAMS == TUFF_NORM_PARAMS_ONE) return texelFetch(scale, int(p)).xxxx;
    if (PARAMS == TUFF_NORM_PARAMS_FOUR) return texelFetch(scale, int(p / 4));
    vec4 v;
    for (uint k = 0; k < 4; k++)
        v[k] = texelFetch(scale, int(norm_param(pc.params, i + k))).x;
    return v;
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4 * QUADS;
    if (i >= pc.count) return;
    if (!WIDE) {
        for (uint k = i; k < min(i + 4, pc.count); k++)
            dx[k] = gradient(k, norm_param(pc.params, k));
        return;
    }
    const uint p = norm_param(pc.params, i);
    const vec4 of = row_of(i, p), w = SCALE ? four(i, p) : vec4(1.0);
    for (uint k = i / 4; k < i / 4 + QUADS; k++) {
        const vec4 of_x = (texelFetch(x, int(k)) - of.x) * of.y, g = texelFetch(dy, int(k));
        dx4[k] = CHANNEL ? of.y * w * (g - of.z - of_x * of.w)
                         : of.y * (w * g - of.z - of_x * of.w);
    }
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i >= pc.count) return;
        const uint p = norm_param(pc.params, i);
        if (p - pc.params.first < pc.params.some) dx[i] = gradient(i, p);
    }
}
#endif
