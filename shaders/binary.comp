#version 450
#extension GL_GOOGLE_include_directive : require
// binary: y = f(a, b) with NumPy's broadcasting; four elements an invocation.
//
//   binding 0  a  float[], or with -DTEXEL a texel buffer   read
//   binding 1  b  the same                                  read
//   binding 2  y  float[count]                              write; may be a's or b's memory
//                                                           where that one is read SAME
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_BINARY_...
//   spec 2, 3  A, B   TUFF_READ_...: where an operand's element lies. With TEXEL, SAME means
//                     vec4 texels (count is a multiple of 4), the others float texels
//   spec 4     WIDE   TEXEL only: count is a multiple of 4
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "abi/elementwise.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_BINARY_ADD;
layout(constant_id = 2) const uint A = TUFF_READ_SAME;
layout(constant_id = 3) const uint B = TUFF_READ_SAME;
layout(push_constant) uniform Push { tuff_binary_pc pc; };
#ifdef TEXEL
layout(constant_id = 4) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer a;
layout(binding = 1) uniform samplerBuffer b;
layout(binding = 2) writeonly buffer Y4 { vec4 y4[]; };
#else
layout(binding = 0) readonly buffer XA { float a[]; };
layout(binding = 1) readonly buffer XB { float b[]; };
#endif
layout(binding = 2) writeonly buffer Y { float y[]; };

float f(float u, float v)
{
    switch (OP) {
    case TUFF_BINARY_ADD: return u + v;
    case TUFF_BINARY_SUB: return u - v;
    case TUFF_BINARY_MUL: return u * v;
    case TUFF_BINARY_DIV: return u / v;
    case TUFF_BINARY_EQUAL: return u == v ? 1.0 : 0.0;
    case TUFF_BINARY_RELU_GRAD: return u > 0.0 ? v : 0.0;
    case TUFF_BINARY_SIGMOID_GRAD: return v * (u * (1.0 - u));
    default: return v * ((1.0 - u) * (1.0 + u)); // tanh_grad; 1 - u^2 without cancellation
    }
}

// Offsets in a and b of element i, dimension by dimension.
uvec2 walk(uint i)
{
    uvec2 at = uvec2(0);
    for (uint d = 0; d < pc.rank; d++) {
        const uint q = i / pc.dim[d], c = i - q * pc.dim[d];
        at += c * uvec2(pc.a_step[d], pc.b_step[d]);
        i = q;
    }
    return at;
}

uvec2 place(uint i)
{
    uvec2 at = uvec2(i);
    if (A == TUFF_READ_ND || B == TUFF_READ_ND) at = walk(i);
    if (A == TUFF_READ_SAME) at.x = i;
    if (B == TUFF_READ_SAME) at.y = i;
    if (A == TUFF_READ_PERIODIC) at.x = i / pc.a_div % pc.a_mod;
    if (B == TUFF_READ_PERIODIC) at.y = i / pc.b_div % pc.b_mod;
    return at;
}

#ifdef TEXEL
vec4 four_a(uint i, const uvec2 at[4])
{
    if (A == TUFF_READ_SAME) return texelFetch(a, int(i / 4));
    if (A == TUFF_READ_BLOCK) return texelFetch(a, int(i / pc.a_div % pc.a_mod)).xxxx;
    return vec4(texelFetch(a, int(at[0].x)).x, texelFetch(a, int(at[1].x)).x,
                texelFetch(a, int(at[2].x)).x, texelFetch(a, int(at[3].x)).x);
}

vec4 four_b(uint i, const uvec2 at[4])
{
    if (B == TUFF_READ_SAME) return texelFetch(b, int(i / 4));
    if (B == TUFF_READ_BLOCK) return texelFetch(b, int(i / pc.b_div % pc.b_mod)).xxxx;
    return vec4(texelFetch(b, int(at[0].y)).x, texelFetch(b, int(at[1].y)).x,
                texelFetch(b, int(at[2].y)).x, texelFetch(b, int(at[3].y)).x);
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    const uint last = pc.count - 1;
    const uvec2 at[4] = uvec2[4](place(i), place(min(i + 1, last)), place(min(i + 2, last)),
                                 place(min(i + 3, last)));
    const vec4 u = four_a(i, at), v = four_b(i, at);
    const vec4 r = vec4(f(u.x, v.x), f(u.y, v.y), f(u.z, v.z), f(u.w, v.w));
    if (WIDE) {
        y4[i / 4] = r;
        return;
    }
    y[i] = r.x;
    if (i < last) y[i + 1] = r.y;
    if (i + 1 < last) y[i + 2] = r.z;
    if (i + 2 < last) y[i + 3] = r.w;
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i >= pc.count) return;
        const uvec2 at = place(i);
        y[i] = f(a[at.x], b[at.y]);
    }
}
#endif
