// Where operands that are repeated evenly find their elements; see ops/broadcast.h. Whoever
// knows that all numbers are below 2^24 defines QUOTIENT as small_quotient.
#ifndef QUOTIENT
#include "quotient.glsl"
#define QUOTIENT quotient
#endif

// i / div % mod.
uint periodic(uint i, uint div, uint mod)
{
    const uint q = QUOTIENT(i, div);
    return q - QUOTIENT(q, mod) * mod;
}

// The same for i and the three elements after it, with one division.
uvec4 periodic_four(uint i, uint div, uint mod)
{
    const uint q = QUOTIENT(i, div);
    uint rest = i - q * div, at = q - QUOTIENT(q, mod) * mod;
    uvec4 four = uvec4(at);
    for (uint k = 1; k < 4; k++) {
        rest = rest + 1 == div ? 0 : rest + 1;
        at = rest > 0 ? at : at + 1 == mod ? 0 : at + 1;
        four[k] = at;
    }
    return four;
}

// Which of n texels of four elements has elements i to i + 3 of a row that is repeated.
uint row_texel(uint i, uint n)
{
    i /= 4;
    return i - QUOTIENT(i, n) * n;
}
