// Where operands find their elements; see ops/broadcast.h. Whoever includes this has defined
// SPREAD, a tuff_broadcast, and RANK.
#include "periodic.glsl"

// Offsets of element i in three operands, dimension by dimension. The loop is of constant
// length, so that it is unrolled and the push constants are not indexed, which a software
// driver does lane by lane.
uvec3 walk(uint i)
{
    uvec3 at = uvec3(0), step = uvec3(1);
    for (uint d = 0; d < RANK; d++) {
        const uint n = SPREAD.dim[d], q = quotient(i, n), c = i - q * n;
        const uvec3 moves = (uvec3(SPREAD.repeat) >> (uvec3(0, 8, 16) + d) & 1u) ^ 1u;
        at += c * step * moves;
        step *= moves * (n - 1) + 1;
        i = q;
    }
    return at;
}

// Element i of an operand that is read in `mode`, given where walk(i) leads.
uint operand_at(uint mode, uint i, uint walked, uint div, uint mod)
{
    if (mode == TUFF_READ_ND) return walked;
    return mode == TUFF_READ_PERIODIC ? periodic(i, div, mod) : i;
}
