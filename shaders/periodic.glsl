// Where operands that are repeated evenly find their elements; see ops/broadcast.h.
#include "quotient.glsl"

// i / div % mod.
uint periodic(uint i, uint div, uint mod)
{
    const uint q = quotient(i, div);
    return q - quotient(q, mod) * mod;
}

// The same for i and the three elements after it, with one division.
uvec4 periodic_four(uint i, uint div, uint mod)
{
    const uint q = quotient(i, div);
    uint rest = i - q * div, at = q - quotient(q, mod) * mod;
    uvec4 four = uvec4(at);
    for (uint k = 1; k < 4; k++) {
        rest = rest + 1 == div ? 0 : rest + 1;
        at = rest > 0 ? at : at + 1 == mod ? 0 : at + 1;
        four[k] = at;
    }
    return four;
}
