#version 450
#extension GL_GOOGLE_include_directive : require
// dequantize_packed: y = (q - zero_point) scale, q out of a stream of bits.
//
//   binding 0  words        u32[]                     read
//   binding 1  scale        f32[1 or count / cols]    read
//   binding 2  zero_point   u32[], packed as q is     read
//   binding 3  y            f32[count]                write
//   spec 0     WG    workgroup size
//   spec 1     BITS  of a number
//   spec 2     ZERO  0: there is no zero point, q is signed
//   grid       count invocations, folded
#include "common.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BITS = 4;
layout(constant_id = 2) const uint ZERO = 0;
layout(push_constant) uniform Push { tuff_unpack_pc pc; };
layout(binding = 0) readonly buffer Words { uint words[]; };
layout(binding = 1) readonly buffer Scale { float scale[]; };
layout(binding = 2) readonly buffer Zeros { uint zeros[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

// The word in which number k begins, and the bit of it; k BITS may be more than 32 bits hold.
uint word_of(uint k) { return (k >> 5) * BITS + ((k & 31) * BITS >> 5); }
uint shift_of(uint k) { return (k & 31) * BITS & 31; }
uint cut(uint low, uint high, uint shift)
{
    const uint v = shift + BITS > 32 ? low >> shift | high << (32 - shift) : low >> shift;
    return v & ((1u << BITS) - 1);
}

uint number(uint k)
{
    const uint at = word_of(k), shift = shift_of(k);
    return cut(words[at], shift + BITS > 32 ? words[at + 1] : 0, shift);
}

uint zero_of(uint k)
{
    const uint at = word_of(k), shift = shift_of(k);
    return cut(zeros[at], shift + BITS > 32 ? zeros[at + 1] : 0, shift);
}

int whole(uint q, uint row)
{
    if (ZERO != 0) return int(q) - int(zero_of(row));
    if (BITS == 1) return 2 * int(q) - 1;
    return int(q << (32 - BITS)) >> (32 - BITS);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row = pc.scales > 1 ? i / pc.cols : 0;
    y[i] = float(whole(number(i), row)) * scale[row];
}
