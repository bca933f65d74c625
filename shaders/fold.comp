#version 450
#extension GL_GOOGLE_include_directive : require
// Sums of pairs (value, weight): one workgroup sums `span` elements, always in one order.
//
//   binding 0  a  float[count], or pairs      read
//   binding 1  b  uint[count] (or floats' bits), where FROM needs it; else a    read
//              TUFF_FOLD_PRODUCT: [period]
//   binding 2  y  float                       write
//   spec 0     WG     workgroup size, a power of two
//   spec 1     FROM   TUFF_FOLD_PAIRS ...
//   spec 2     WRITE  TUFF_FOLD_BOTH ...
//   grid       ceil(count / span), folded
#include "common.glsl"
#include "abi/loss.h"
#ifdef LOSS
#include "loss.glsl"
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FROM = TUFF_FOLD_PAIRS;
layout(constant_id = 2) const uint WRITE = TUFF_FOLD_BOTH;
layout(push_constant) uniform Push { tuff_fold_pc pc; };
layout(binding = 0) readonly buffer A { float a[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

shared vec2 part[WG];

vec2 pair(uint i)
{
    if (FROM == TUFF_FOLD_PAIRS) return vec2(a[2 * i], a[2 * i + 1]);
    if (FROM == TUFF_FOLD_VALUE) return vec2(a[i], 1.0);
    if (FROM == TUFF_FOLD_ROWS) return b[i] < pc.classes ? vec2(a[i], 1.0) : vec2(0.0);
#ifdef LOSS
    if (FROM == TUFF_FOLD_PRODUCT)
        return vec2(a[i] * uintBitsToFloat(b[pc.period == pc.count ? i : i % pc.period]), 1.0);
    if (FROM >= TUFF_FOLD_LOSS)
        return vec2(loss_of(FROM - TUFF_FOLD_LOSS, a[i], uintBitsToFloat(b[i]), 1.0, pc.delta),
                    1.0);
#endif
    const float d = FROM == TUFF_FOLD_DIFF ? a[i] - uintBitsToFloat(b[i]) : a[i];
    return vec2(d * d, 1.0);
}

void main()
{
    const uint group = group_index(), t = gl_LocalInvocationIndex;
    if (group * pc.span >= pc.count) return; // the whole workgroup leaves together
    const uint end = min(group * pc.span + pc.span, pc.count);
    vec2 sum = vec2(0.0);
    for (uint i = group * pc.span + t; i < end; i += WG) sum += pair(i);
    part[t] = sum;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    if (t != 0) return;
    sum = part[0];
    if (WRITE == TUFF_FOLD_BOTH) {
        y[2 * group] = sum.x;
        y[2 * group + 1] = sum.y;
    } else {
        y[0] = WRITE == TUFF_FOLD_MEAN ? sum.x / max(sum.y, 1.0)
             : WRITE == TUFF_FOLD_WEIGHTED ? (sum.y == 0.0 ? 0.0 : sum.x / sum.y)
             : WRITE == TUFF_FOLD_ROOT ? sqrt(sum.x) : sum.x;
    }
}
