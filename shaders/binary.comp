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
//                     vec4 texels (count is a multiple of 4), the others float texels.
//                     Both are ND, or neither
//   spec 4     RANK   ND: dims
//   spec 5     WIDE   TEXEL only: count is a multiple of 4
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/elementwise.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_BINARY_ADD;
layout(constant_id = 2) const uint A = TUFF_READ_SAME;
layout(constant_id = 3) const uint B = TUFF_READ_SAME;
layout(constant_id = 4) const uint RANK = 0;
layout(push_constant) uniform Push { tuff_binary_pc pc; };
#ifdef TEXEL
layout(constant_id = 5) const bool WIDE = false;
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
    default: return u;
    }
}

// Offsets in a and b of element i, dimension by dimension. The loop is of constant length, so
// that it is unrolled and the push constants are not indexed, which a software driver does
// lane by lane.
uvec2 walk(uint i)
{
    uvec2 at = uvec2(0);
    for (uint d = 0; d < RANK; d++) {
        const uint q = quotient(i, pc.dim[d]), c = i - q * pc.dim[d];
        at += c * uvec2(pc.a_step[d], pc.b_step[d]);
        i = q;
    }
    return at;
}

// i / div % mod.
uint periodic(uint i, uint div, uint mod)
{
    const uint q = quotient(i, div);
    return q - quotient(q, mod) * mod;
}

#ifdef TEXEL
// The same for i and the three elements after it, with one division for all.
uvec4 periodic_four(uint i, uint div, uint mod)
{
    const uint q = quotient(i, div);
    uint rest = i - q * div, at = q - quotient(q, mod) * mod;
    uvec4 four = uvec4(at);
    for (uint k = 1; k < 4; k++) {
        rest = rest + 1 == div ? 0 : rest + 1;
        at = rest > 0 ? at : at + 1 == mod ? 0 : at + 1;
        four[k] = at;
    }
    return four;
}

vec4 fetch_four(samplerBuffer x, uvec4 at)
{
    return vec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.y)).x,
                texelFetch(x, int(at.z)).x, texelFetch(x, int(at.w)).x);
}

vec4 four_a(uint i)
{
    if (A == TUFF_READ_SAME) return texelFetch(a, int(i / 4));
    if (A == TUFF_READ_BLOCK) return texelFetch(a, int(periodic(i, pc.a_div, pc.a_mod))).xxxx;
    return fetch_four(a, periodic_four(i, pc.a_div, pc.a_mod));
}

vec4 four_b(uint i)
{
    if (B == TUFF_READ_SAME) return texelFetch(b, int(i / 4));
    if (B == TUFF_READ_BLOCK) return texelFetch(b, int(periodic(i, pc.b_div, pc.b_mod))).xxxx;
    return fetch_four(b, periodic_four(i, pc.b_div, pc.b_mod));
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    if (A == TUFF_READ_ND) {
        for (uint k = i; k < min(i + 4, pc.count); k++) {
            const uvec2 at = walk(k);
            y[k] = f(texelFetch(a, int(at.x)).x, texelFetch(b, int(at.y)).x);
        }
        return;
    }
    const vec4 u = four_a(i), v = four_b(i);
    const vec4 r = vec4(f(u.x, v.x), f(u.y, v.y), f(u.z, v.z), f(u.w, v.w));
    if (WIDE) {
        y4[i / 4] = r;
        return;
    }
    y[i] = r.x;
    if (i + 1 < pc.count) y[i + 1] = r.y;
    if (i + 2 < pc.count) y[i + 2] = r.z;
    if (i + 3 < pc.count) y[i + 3] = r.w;
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i >= pc.count) return;
        uvec2 at = uvec2(i);
        if (A == TUFF_READ_ND) at = walk(i);
        if (A == TUFF_READ_PERIODIC) at.x = periodic(i, pc.a_div, pc.a_mod);
        if (B == TUFF_READ_PERIODIC) at.y = periodic(i, pc.b_div, pc.b_mod);
        y[i] = f(a[at.x], b[at.y]);
    }
}
#endif
