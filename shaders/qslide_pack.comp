#version 450
#extension GL_GOOGLE_include_directive : require
// What qslide.comp reads beside x, made once of weights that stay:
//
//   binding 0  w         bytes in words, or numbers of BITS bits           read
//   binding 1  w_zero    bytes in words; anything when pc.zeros is 0       read
//   binding 2  packed    vec4[tile][line][quad][panel][W]: a weight less its zero point, write
//                        lanes along outputs, components along the taps of a line
//   spec 0     WG        workgroup size
//   spec 1     W         lanes of qslide.comp
//   spec 2     BITS      of a weight, 2 to 8 (narrow.glsl)
//   grid       count / WG, folded
//
// With -DENDS one for each output, the factor of its sums: as m 2^-e (rounding.glsl), as a
// float with its sign, and the bias.
//
//   binding 0  scale     f32[pc.scales], of w                              read
//   binding 1  bias      i32[m]; anything when pc.has_bias is 0            read
//   binding 2  packed    uvec4 (m, e, bias, float)                         write
//   binding 3  x_scale, binding 4  y_scale                                 texels
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "requant.glsl"
#include "abi/qgemm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint W = 8;
layout(constant_id = 2) const uint BITS = 8;
layout(push_constant) uniform Push { tuff_qslide_pack_pc pc; };
#ifdef ENDS
layout(binding = 0) readonly buffer Scale { float scale[]; };
layout(binding = 1) readonly buffer Bias { uint bias[]; };
layout(binding = 2) writeonly buffer Packed { uvec4 packed[]; };
layout(binding = 3) uniform samplerBuffer x_scale;
layout(binding = 4) uniform samplerBuffer y_scale;

// What is too large for bytes however small the sum, and what is too small, need not be exact.
float rough(Factor f)
{
    if (f.m.m == 0u || f.m.e < -140) return 0.0;
    const float all = f.m.e > 0 ? 1048576.0 : exact_float(f.m, false);
    return f.negative ? -all : all;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.m) return;
    const float w = scale[pc.scales == 1u ? 0u : i];
    uint add = 0u;
    if (pc.has_bias != 0u) add = bias[i];
    Factor f = Factor(Real(0u, 0), false);
    if (pc.bytes != 0u)
        f = factor_from(w, texelFetch(x_scale, 0).x, texelFetch(y_scale, 0).x);
    packed[i] = uvec4(f.m.m, uint(-f.m.e), add, floatBitsToUint(rough(f)));
}
#else
layout(binding = 0) readonly buffer Weight { uint weight[]; };
layout(binding = 1) readonly buffer Zero { uint zero[]; };
layout(binding = 2) writeonly buffer Packed { vec4 packed[]; };
#define NARROW_WORD(i) weight[i]
#include "narrow.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint quads = (pc.kw + 3u) / 4u, panels = (pc.rows + W - 1u) / W;
    uint next = i / W;
    const uint lane = i - next * W;
    uint at = next;
    next = quotient(at, panels);
    const uint in_tile = (at - next * panels) * W + lane;
    at = next;
    next = quotient(at, quads);
    const uint quad = at - next * quads;
    const uint tile = quotient(next, pc.lines), line = next - tile * pc.lines;
    const uint row = tile * pc.rows + in_tile;
    vec4 v = vec4(0.0);
    if (in_tile < pc.rows && row < pc.m) {
        const uint z = pc.zeros == 1u ? 0u : row;
        int none = 0;
        if (pc.zeros != 0u) none = byte_at(zero[z >> 2], z, pc.sign);
        const uint first = (row * pc.lines + line) * pc.kw + quad * 4u;
        for (uint k = 0u; k < 4u; k++) {
            const uint tap = first + k;
            if (quad * 4u + k < pc.kw)
                v[k] = float(byte_at(narrow_byte(tap), 0u, pc.sign) - none);
        }
    }
    packed[i] = v;
}
#endif
