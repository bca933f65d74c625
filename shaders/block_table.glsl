// The values of iq4_nl and nf4, in order, and the place of the one that is nearest to a number:
// how many of the middles of neighbours are below it. nf4's middles are bitsandbytes'.

// iq4_nl's values plus 127, four a word.
float iq4_value(uint i)
{
    const uint low = i < 4 ? 0x3e2c1700u : 0x75695c4eu;
    const uint high = i < 12 ? 0xa5988c80u : 0xf0d8c4b4u;
    const uint w = i < 8 ? low : high;
    return float(int(w >> (i & 3) * 8 & 0xffu) - 127);
}

float nf4_value(uint i)
{
    const float a = i < 1 ? -1.0 : i < 2 ? -0.6961928009986877 :
                    i < 3 ? -0.5250730514526367 : -0.39491748809814453;
    const float b = i < 5 ? -0.28444138169288635 : i < 6 ? -0.18477343022823334 :
                    i < 7 ? -0.09105003625154495 : 0.0;
    const float c = i < 9 ? 0.07958029955625534 : i < 10 ? 0.16093020141124725 :
                    i < 11 ? 0.24611230194568634 : 0.33791524171829224;
    const float d = i < 13 ? 0.44070982933044434 : i < 14 ? 0.5626170039176941 :
                    i < 15 ? 0.7229568362236023 : 1.0;
    return i < 8 ? (i < 4 ? a : b) : i < 12 ? c : d;
}

uint iq4_nearest(float v)
{
    uint i = 0;
    i += v > -115.5 ? 1 : 0;
    i += v > -93.5 ? 1 : 0;
    i += v > -74.0 ? 1 : 0;
    i += v > -57.0 ? 1 : 0;
    i += v > -42.0 ? 1 : 0;
    i += v > -28.5 ? 1 : 0;
    i += v > -16.0 ? 1 : 0;
    i += v > -4.5 ? 1 : 0;
    i += v > 7.0 ? 1 : 0;
    i += v > 19.0 ? 1 : 0;
    i += v > 31.5 ? 1 : 0;
    i += v > 45.5 ? 1 : 0;
    i += v > 61.0 ? 1 : 0;
    i += v > 79.0 ? 1 : 0;
    i += v > 101.0 ? 1 : 0;
    return i;
}

uint nf4_nearest(float v)
{
    uint i = 0;
    i += v > -0.84809643 ? 1 : 0;
    i += v > -0.610632896 ? 1 : 0;
    i += v > -0.45999527 ? 1 : 0;
    i += v > -0.33967942 ? 1 : 0;
    i += v > -0.234607399 ? 1 : 0;
    i += v > -0.137911737 ? 1 : 0;
    i += v > -0.0455250181 ? 1 : 0;
    i += v > 0.0397901498 ? 1 : 0;
    i += v > 0.120255254 ? 1 : 0;
    i += v > 0.203521252 ? 1 : 0;
    i += v > 0.292013764 ? 1 : 0;
    i += v > 0.389312536 ? 1 : 0;
    i += v > 0.501663387 ? 1 : 0;
    i += v > 0.64278692 ? 1 : 0;
    i += v > 0.861478388 ? 1 : 0;
    return i;
}
