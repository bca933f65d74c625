#version 450
#extension GL_GOOGLE_include_directive : require
// unary_grad: dx = dy f'(x), element by element, of functions of unary.comp; four words an
// invocation. RELU, SIGMOID and TANH are given f's output in the place of x.
//
//   binding 0  x   uint[words], or with -DTEXEL a texel buffer   read
//   binding 1  dy  the same                                      read
//   binding 2  dx  uint[words]                                   write; may be dy's memory
//   spec 0     WG    workgroup size
//   spec 1     OP    TUFF_UNARY_...
//   spec 2     TYPE  TUFF_TYPE_..., a float
//   spec 3     WIDE  TEXEL only: the texels are uvec4 (words is a multiple of 4)
//   grid       words / (4 WG), folded
#include "common.glsl"
#include "elements.glsl"
#include "slope.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UNARY_RELU;
layout(constant_id = 2) const uint TYPE = TUFF_TYPE_F32;
layout(push_constant) uniform Push { tuff_unary_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) uniform usamplerBuffer dy;
layout(binding = 2) writeonly buffer DX4 { uvec4 dx4[]; };
#else
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 1) readonly buffer DY { uint dy[]; };
#endif
layout(binding = 2) writeonly buffer DX { uint dx[]; };

#define FUNCTION(NAME, dx) case TUFF_UNARY_##NAME: return dx;

float real(float v, float dy)
{
    const float a = uintBitsToFloat(pc.a), b = uintBitsToFloat(pc.b);
    switch (OP) {
    SLOPE_COMMON(FUNCTION)
    SLOPE_RARE(FUNCTION)
    default: return dy;
    }
}

// One place calls for all types: what a driver compiles is the whole switch for every call.
uint f(uint word, uint g)
{
    const bool halves = is_half(TYPE);
    uint y = 0;
    for (uint shift = 0; shift < 32; shift += halves ? 16 : 32) {
        const uint v = halves ? widened(TYPE, word >> shift & 0xffffu) : word;
        const uint d = halves ? widened(TYPE, g >> shift & 0xffffu) : g;
        const uint r = is_nan(uintBitsToFloat(v))
                           ? v : floatBitsToUint(real(uintBitsToFloat(v), uintBitsToFloat(d)));
        y |= halves ? narrowed(TYPE, r) << shift : r;
    }
    return y;
}

#ifdef TEXEL
uvec4 fetch_four(usamplerBuffer t, uint i)
{
    if (WIDE) return texelFetch(t, int(i / 4));
    const ivec4 at = ivec4(min(i + uvec4(0, 1, 2, 3), pc.words - 1));
    return uvec4(texelFetch(t, at.x).x, texelFetch(t, at.y).x, texelFetch(t, at.z).x,
                 texelFetch(t, at.w).x);
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.words) return;
    uvec4 v = fetch_four(x, i), g = fetch_four(dy, i);
    // Each result takes the place of its argument at the end of the row.
    for (uint k = 0; k < 4; k++, g = g.yzwx) v = uvec4(v.yzw, f(v.x, g.x));
    if (WIDE) {
        dx4[i / 4] = v;
        return;
    }
    dx[i] = v.x;
    if (i + 1 < pc.words) dx[i + 1] = v.y;
    if (i + 2 < pc.words) dx[i + 2] = v.z;
    if (i + 3 < pc.words) dx[i + 3] = v.w;
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i < pc.words) dx[i] = f(x[i], dy[i]);
    }
}
#endif
