// Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011): block number `counter` of the sequence of `key`. The same bits on every
// device, as there is nothing but integer arithmetic; base/rng.h says how words become
// numbers.
uvec4 philox(uvec4 counter, uvec2 key)
{
    for (uint i = 0; i < 10; i++) {
        uint high0, low0, high1, low1;
        umulExtended(0xD2511F53u, counter.x, high0, low0);
        umulExtended(0xCD9E8D57u, counter.z, high1, low1);
        counter = uvec4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// Uniform in [0, 1), a multiple of 2^-24: exact.
vec4 philox_uniform(uvec4 word) { return vec4(word >> 8) * 5.9604644775390625e-8; }
