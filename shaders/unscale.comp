#version 450
#extension GL_GOOGLE_include_directive : require
// y = g / scale, and whether some g was no finite number; those become 0. One invocation an
// element.
//
//   binding 0  g       float[count], or with -DTEXEL a texel buffer    read
//   binding 1  y       float[count]    write; may be g's memory
//   binding 2  found   uint[1], the bits of a float    write
//   binding 3  scaler  float[4], a texel buffer    read
//   spec 0     WG      workgroup size
//   spec 1     CLEAR   found becomes 0, and that is all
//   grid       ceil(count / WG), folded; CLEAR: 1
//
// However many invocations find one, they write the same word, by an atomic operation on
// integers whose order does not show.
#include "common.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool CLEAR = false;
layout(push_constant) uniform Push { tuff_unscale_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer g_in;
float read(uint i) { return texelFetch(g_in, int(i)).x; }
#else
layout(binding = 0) readonly buffer G { float g_in[]; };
float read(uint i) { return g_in[i]; }
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) buffer Found { uint found; };
layout(binding = 3) uniform samplerBuffer scaler;

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (CLEAR) {
        if (i == 0) found = 0;
        return;
    }
    if (i >= pc.count) return;
    const float g = read(i);
    // By bits, because a driver may assume that there are no others.
    const bool bad = (floatBitsToUint(g) & 0x7f800000u) == 0x7f800000u;
    y[i] = bad ? 0.0 : g * (1.0 / texelFetch(scaler, TUFF_SCALER_SCALE).x);
    if (bad) atomicOr(found, 0x3f800000u);
}
