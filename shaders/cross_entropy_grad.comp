#version 450
#extension GL_GOOGLE_include_directive : require
// dx = dloss (softmax(x) - onehot(label)) / rows that count: one invocation an element.
//
//   binding 0  x       float[rows * cols]    read
//   binding 1  labels  uint[rows]            read
//   binding 2  pairs   float[rows * 2]       read; of each row, see rows.glsl
//   binding 3  dx      float[rows * cols]    write
//   binding 4  counted float[2]              read, a texel buffer; [1]: rows that count
//   binding 5  dloss   float[1]              read, a texel buffer
//   spec 0     WG      workgroup size
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "rows.glsl"
#include "divide.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_softmax_grad_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Labels { uint labels[]; };
layout(binding = 2) readonly buffer Pairs { float pairs[]; };
layout(binding = 3) writeonly buffer DX { float dx[]; };
layout(binding = 4) uniform samplerBuffer counted;
layout(binding = 5) uniform samplerBuffer dloss;

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row = divide(i, pc.cols), j = i - row * pc.cols.by, label = labels[row];
    const float d = x[i] - pairs[2 * row], r = pairs[2 * row + 1];
    const float p = j == label ? less_one(d, r) : probability(d, r);
    const float scale = texelFetch(dloss, 0).x / max(texelFetch(counted, 1).x, 1.0);
    dx[i] = label < pc.cols.by ? p * scale : 0.0;
}
