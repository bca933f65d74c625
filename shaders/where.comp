#version 450
#extension GL_GOOGLE_include_directive : require
// where: y = a where c, else b, with NumPy's broadcasting; four words of y an invocation.
//
//   binding 0  c  uint[], bool: four a word           read
//   binding 1  a  uint[], or anything where absent    read
//   binding 2  b  the same                            read
//   binding 3  y  uint[]                              write; may be a's or b's memory where
//                                                     that one is read SAME
//   spec 0     WG       workgroup size
//   spec 1     SIZE     bytes of an element of a, b and y: 1, 2, 4 or 8
//   spec 2-4   C, A, B  TUFF_READ_...; NONE stands for zeros
//   spec 5     RANK     ND: dims
//   grid       words of y / (4 WG), folded
// Elements are moved as bits, whatever their type.
#include "common.glsl"
#include "abi/elementwise.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint SIZE = 4;
layout(constant_id = 2) const uint C = TUFF_READ_SAME;
layout(constant_id = 3) const uint A = TUFF_READ_SAME;
layout(constant_id = 4) const uint B = TUFF_READ_SAME;
layout(constant_id = 5) const uint RANK = 0;
layout(push_constant) uniform Push { tuff_where_pc pc; };
layout(binding = 0) readonly buffer XC { uint c[]; };
layout(binding = 1) readonly buffer XA { uint a[]; };
layout(binding = 2) readonly buffer XB { uint b[]; };
layout(binding = 3) writeonly buffer Y { uint y[]; };
#define SPREAD pc.at
#include "broadcast.glsl"

const uint PER = SIZE < 4 ? 4 / SIZE : 1; // elements in a word

// The word of an operand that holds element i, or of one of 8 bytes the half that `word` is.
uint word_of(uint i, uint word) { return SIZE == 8 ? i * 2 + word % 2 : i / PER; }

// Element i % PER of a word, moved to where element `to` lies.
uint moved(uint word, uint i, uint to)
{
    if (PER == 1) return word;
    const uint bits = 32 / PER;
    return (word >> i % PER * bits & ((1u << bits) - 1u)) << to * bits;
}

void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex, last = pc.at.count - 1;
    for (uint k = 0; k < 4; k++) {
        const uint word = first + k * WG, start = SIZE == 8 ? word / 2 : word * PER;
        if (start > last) return;
        uint r = 0;
        for (uint e = 0; e < PER; e++) {
            const uint i = min(start + e, last);
            uvec3 at = uvec3(i);
            if (RANK > 0) at = walk(i);
            at.x = operand_at(C, i, at.x, pc.at.div[0], pc.at.mod[0]);
            at.y = operand_at(A, i, at.y, pc.at.div[1], pc.at.mod[1]);
            at.z = operand_at(B, i, at.z, pc.at.div[2], pc.at.mod[2]);
            if ((c[at.x / 4] >> at.x % 4 * 8 & 0xffu) != 0u) {
                if (A != TUFF_READ_NONE) r |= moved(a[word_of(at.y, word)], at.y, e);
            } else {
                if (B != TUFF_READ_NONE) r |= moved(b[word_of(at.z, word)], at.z, e);
            }
        }
        y[word] = r;
    }
}
