#version 450
#extension GL_GOOGLE_include_directive : require
// codebook_grad, its first half: the sums of a part of dw by index, one part an invocation, in
// an array of its own; or with -DGROUP one part a workgroup, whose invocations own two numbers
// of the codebook each and look at every element, 128 at a time out of shared memory.
//
//   binding 0  dw       f32[count]  read
//   binding 1  indices  words       read
//   binding 2  sums     f32[parts][1 << BITS]  write
//   spec 0     WG    workgroup size
//   spec 1     BITS  of an index
//   grid       parts invocations, or workgroups, folded
#include "common.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BITS = 4;
layout(push_constant) uniform Push { tuff_codebook_pc pc; };
layout(binding = 0) readonly buffer Dw { float dw[]; };
layout(binding = 1) readonly buffer Indices { uint indices[]; };
layout(binding = 2) writeonly buffer Sums { float sums[]; };
uint index_word(uint i) { return indices[i]; }
#include "codebook.glsl"

const uint NUMBERS = 1 << BITS;

#ifdef GROUP
shared float values[128];
shared uint owners[128];

void main()
{
    const uint part = group_index(), t = gl_LocalInvocationIndex;
    if (part >= pc.parts) return; // the whole workgroup leaves together
    const uint begin = part * pc.span, end = min(pc.count, begin + pc.span);
    float low = 0.0, high = 0.0;
    for (uint from = begin; from < end; from += 128) {
        const uint i = min(from + t, end - 1), row = i / pc.cols;
        values[t] = from + t < end ? dw[i] : 0.0;
        owners[t] = index_at(row * pc.words, i - row * pc.cols);
        barrier();
        for (uint k = 0; k < 128; k++) {
            low += owners[k] == t ? values[k] : 0.0;
            high += owners[k] == t + 128 ? values[k] : 0.0;
        }
        barrier();
    }
    if (t < NUMBERS) sums[part * NUMBERS + t] = low;
    if (t + 128 < NUMBERS) sums[part * NUMBERS + t + 128] = high;
}
#else
void main()
{
    const uint part = group_index() * WG + gl_LocalInvocationIndex;
    if (part >= pc.parts) return;
    float sum[NUMBERS];
    for (uint n = 0; n < NUMBERS; n++) sum[n] = 0.0;
    const uint begin = part * pc.span, end = min(pc.count, begin + pc.span);
    uint row = begin / pc.cols, k = begin - row * pc.cols;
    for (uint i = begin; i < end; i++) {
        sum[index_at(row * pc.words, k)] += dw[i];
        k++;
        const bool next = k == pc.cols;
        row += next ? 1 : 0;
        k = next ? 0 : k;
    }
    for (uint n = 0; n < NUMBERS; n++) sums[part * NUMBERS + n] = sum[n];
}
#endif
