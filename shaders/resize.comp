#version 450
#extension GL_GOOGLE_include_directive : require
// Resize along one or two neighbouring dims: one invocation an element of y.
//
//   binding 0  x  uint (bits)[outer, h, w, inner], or with -DTEXEL a texel buffer    read
//   binding 1  y  uint (bits)[outer, rows, cols, inner]                              write
//   spec 0     WG       workgroup size
//   spec 1, 2  TH, TW   taps along either dim: 1, 2 or 4
//   spec 3     EXCLUDE  taps outside of x have no weight; else they are its nearest element
//   spec 4     WIDE     places need 64 bits
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "resize.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint TH = 1;
layout(constant_id = 2) const uint TW = 1;
layout(constant_id = 3) const bool EXCLUDE = false;
layout(constant_id = 4) const bool WIDE = false;
layout(push_constant) uniform Push { tuff_resize_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
#define X(i) floatBitsToUint(texelFetch(x, int(i)).x)
#else
layout(binding = 0) readonly buffer X_ { uint x[]; };
#define X(i) x[i]
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint pixel = divide(i, pc.inner), row_of_all = divide(pixel, pc.cols);
    const uint plane = divide(row_of_all, pc.rows), lane = i - pixel * pc.inner.by;
    uint rest_h, rest_w;
    const uint qh = place_of(pc.h, row_of_all - plane * pc.rows.by, WIDE, rest_h);
    const uint qw = place_of(pc.w, pixel - row_of_all * pc.cols.by, WIDE, rest_w);
    vec4 wh = weights_of(TH, float(rest_h) / float(pc.h.den.by), pc.a);
    vec4 ww = weights_of(TW, float(rest_w) / float(pc.w.den.by), pc.a);
    if (EXCLUDE && TH == 4) wh = inside_only(wh, pc.h, qh);
    if (EXCLUDE && TW == 4) ww = inside_only(ww, pc.w, qw);

    float sum = 0.0;
    uint chosen = 0;
    for (uint r = 0; r < TH; r++) {
        const uint row = (plane * pc.h.size + tap_of(pc.h, qh, r)) * pc.w.size;
        float of_row = 0.0;
        for (uint c = 0; c < TW; c++) {
            chosen = X((row + tap_of(pc.w, qw, c)) * pc.inner.by + lane);
            of_row += ww[c] * uintBitsToFloat(chosen);
        }
        sum += wh[r] * of_row;
    }
    // A single tap is moved as it is.
    y[i] = TH == 1 && TW == 1 ? chosen : floatBitsToUint(sum);
}
