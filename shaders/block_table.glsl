// The values of iq4_nl and nf4, in order, and the place of the one that is nearest to a number:
// how many of the middles of neighbours are below it. nf4's middles are bitsandbytes'.

// iq4_nl's values plus 127, four a word.
float iq4_value(uint i)
{
    const uint low = mix(0x75695c4eu, 0x3e2c1700u, i < 4);
    const uint high = mix(0xf0d8c4b4u, 0xa5988c80u, i < 12);
    const uint w = mix(high, low, i < 8);
    return float(int(w >> (i & 3) * 8 & 0xffu) - 127);
}

// A tree of choices, by the lowest bit first; of i only four bits count.
float nf4_value(uint i)
{
    const bvec4 odd = bvec4((i & 1) != 0), two = bvec4((i & 2) != 0);
    const vec4 even_low = vec4(-1.0, -0.5250730514526367, -0.28444138169288635,
                               -0.09105003625154495);
    const vec4 odd_low = vec4(-0.6961928009986877, -0.39491748809814453,
                              -0.18477343022823334, 0.0);
    const vec4 even_high = vec4(0.07958029955625534, 0.24611230194568634, 0.44070982933044434,
                                0.7229568362236023);
    const vec4 odd_high = vec4(0.16093020141124725, 0.33791524171829224, 0.5626170039176941,
                               1.0);
    const vec4 a = mix(even_low, odd_low, odd), b = mix(even_high, odd_high, odd);
    const vec4 pairs = mix(vec4(a.xz, b.xz), vec4(a.yw, b.yw), two);
    const vec2 fours = mix(pairs.xz, pairs.yw, bvec2((i & 4) != 0));
    return mix(fours.x, fours.y, (i & 8) != 0);
}

uint iq4_nearest(float v)
{
    uint i = 0;
    i += uint(v > -115.5);
    i += uint(v > -93.5);
    i += uint(v > -74.0);
    i += uint(v > -57.0);
    i += uint(v > -42.0);
    i += uint(v > -28.5);
    i += uint(v > -16.0);
    i += uint(v > -4.5);
    i += uint(v > 7.0);
    i += uint(v > 19.0);
    i += uint(v > 31.5);
    i += uint(v > 45.5);
    i += uint(v > 61.0);
    i += uint(v > 79.0);
    i += uint(v > 101.0);
    return i;
}

uint nf4_nearest(float v)
{
    uint i = 0;
    i += uint(v > -0.84809643);
    i += uint(v > -0.610632896);
    i += uint(v > -0.45999527);
    i += uint(v > -0.33967942);
    i += uint(v > -0.234607399);
    i += uint(v > -0.137911737);
    i += uint(v > -0.0455250181);
    i += uint(v > 0.0397901498);
    i += uint(v > 0.120255254);
    i += uint(v > 0.203521252);
    i += uint(v > 0.292013764);
    i += uint(v > 0.389312536);
    i += uint(v > 0.501663387);
    i += uint(v > 0.64278692);
    i += uint(v > 0.861478388);
    return i;
}
