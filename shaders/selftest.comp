#version 450
#extension GL_GOOGLE_include_directive : require
// y[i] = x[i] after `loops` steps of v -> v * mul + add: what tests of the device room run, and
// how the limit on loops of a driver is measured. No op uses it.
//
//   binding 0  x  n words, seen as KIND says (tuff_bind_kind)
//   binding 1  y  n words, read and written: y[i] ^= the result when `blend` is set
//   constants  0 invocations in a workgroup   1 loops   2 blend
//   grid       n rounded up to whole groups, folded
#include "common.glsl"
#include "abi/selftest.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint loops = 1;
layout(constant_id = 2) const uint blend = 0;
layout(push_constant) uniform Push { selftest_pc pc; };

#if KIND == 0
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
#elif KIND == 1
layout(binding = 0) uniform samplerBuffer x;
uint load(uint i) { return floatBitsToUint(texelFetch(x, int(i)).x); }
#elif KIND == 2
layout(binding = 0) uniform samplerBuffer x;
uint load(uint i) { return floatBitsToUint(texelFetch(x, int(i / 4))[i % 4]); }
#elif KIND == 3
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i / 4))[i % 4]; }
#endif
layout(binding = 1) buffer Y { uint y[]; };

void main()
{
    const uint i = group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i >= pc.n) return;
    uint v = load(i);
    const uint steps = loops + i * pc.skew;
    for (uint k = 0; k < steps; k++) v = v * pc.mul + pc.add;
    y[i] = blend != 0 ? y[i] ^ v : v;
}
