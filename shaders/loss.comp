#version 450
#extension GL_GOOGLE_include_directive : require
// Losses element by element, or their slopes by x: one invocation an element.
//
//   binding 0  x      float[count], or with -DTEXEL a texel buffer              read
//   binding 1  t      float[period], or a texel buffer                          read
//   binding 2  third  float[third_period], or a texel buffer; else x            read
//   binding 3  y      float[count]                                              write
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_LOSS_...
//   spec 2     SLOPE  the slope, not the loss
//   spec 3     THIRD  TUFF_THIRD_...
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "abi/loss.h"
#include "loss.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_LOSS_MSE;
layout(constant_id = 2) const bool SLOPE = false;
layout(constant_id = 3) const uint THIRD = TUFF_THIRD_NONE;
layout(push_constant) uniform Push { tuff_loss_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer t;
layout(binding = 2) uniform samplerBuffer third;
#define AT(buffer_, i) texelFetch(buffer_, int(i)).x
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer T { float t[]; };
layout(binding = 2) readonly buffer Third { float third[]; };
#define AT(buffer_, i) buffer_[i]
#endif
layout(binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint at = pc.period == pc.count ? i : i % pc.period;
    float c = 1.0;
    if (THIRD != TUFF_THIRD_NONE)
        c = AT(third, pc.third_period == pc.count ? i : i % pc.third_period);
    const float p = THIRD == TUFF_THIRD_POS ? c : 1.0;
    const float a = AT(x, i), b = AT(t, at);
    const float v = SLOPE ? slope_of(OP, a, b, p, pc.delta) : loss_of(OP, a, b, p, pc.delta);
    y[i] = v * pc.scale * (THIRD == TUFF_THIRD_FACTOR ? c : 1.0);
}
