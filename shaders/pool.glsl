// What pooling over one, two or three dims and its gradient share.
//
//   cells of x     . . 0 1 2 3 4 .      two of padding before, one behind; kernel 3, stride 2,
//   window 1           ^   ^   ^        dilation 2: taps k = 0, 1, 2 at start + k dilation
//
// Windows of an adaptive pool have no such regularity: number o of `out` goes from the cell
// o size / out, rounded down, to (o + 1) size / out, rounded up.
#include "divide.glsl"
#include "abi/pool.h"

layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint MODE = TUFF_WINDOW_MAX;
layout(constant_id = 2) const bool ADAPTIVE = false;
layout(constant_id = 3) const uint S0 = 1;
layout(constant_id = 4) const uint S1 = 1;
layout(constant_id = 5) const uint S2 = 1;
layout(constant_id = 6) const uint D0 = 1;
layout(constant_id = 7) const uint D1 = 1;
layout(constant_id = 8) const uint D2 = 1;
layout(push_constant) uniform Push { tuff_window_pc pc; };

uint stride_of(uint a) { return a == 0 ? S0 : a == 1 ? S1 : S2; }
uint dilation_of(uint a) { return a == 0 ? D0 : a == 1 ? D1 : D2; }

// Taps k of `kernel` with low <= start + k step < high, as a range.
uvec2 taps_between(int start, uint step, uint kernel, int low, int high)
{
    const uint first = start < low ? (uint(low - start) + step - 1) / step : 0;
    const uint end = start < high ? (uint(high - start) + step - 1) / step : 0;
    return uvec2(first, min(end, kernel));
}

uint length_of(uvec2 range) { return range.y > range.x ? range.y - range.x : 0; }
