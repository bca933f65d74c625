#version 450
#extension GL_GOOGLE_include_directive : require
// A copy, 16 bytes at a time; neighbours copy neighbours. With -DTEXEL x is read as a texel
// buffer, which software drivers like better.
//
//   binding 0       x f32x4[count]   read
//   binding 1       y f32x4[count]   write
//   constant_id 0   invocations of a workgroup
//   grid            pc.stride invocations
#include "common.glsl"
#include "abi/probe.h"
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Push { tuff_probe_copy_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
#define X(i) texelFetch(x, int(i))
#else
layout(binding = 0) readonly buffer X { vec4 x[]; };
#define X(i) x[i]
#endif
layout(binding = 1) writeonly buffer Y { vec4 y[]; };

void main()
{
    for (uint i = gl_GlobalInvocationID.x; i < pc.count; i += pc.stride) y[i] = X(i);
}
