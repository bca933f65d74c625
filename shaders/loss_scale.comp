#version 450
#extension GL_GOOGLE_include_directive : require
// The scale of the next losses, and hyper of the step that is about to be made or skipped: one
// invocation.
//
//   binding 0  found   float[1]    read
//   binding 1  before  float[4]    read, a texel buffer: the scaler
//   binding 2  hyper   float[8]    read, a texel buffer
//   binding 3  after   float[4]    write; may be the memory of binding 1
//   binding 4  result  float[8]    write; may be the memory of binding 2
//   grid       1
#include "math.glsl"
#include "abi/update.h"

layout(local_size_x = 1) in;
layout(push_constant) uniform Push { tuff_loss_scale_pc pc; };
layout(binding = 0) readonly buffer Found { float found; };
layout(binding = 1) uniform samplerBuffer before;
layout(binding = 2) uniform samplerBuffer hyper;
layout(binding = 3) writeonly buffer After { float after[]; };
layout(binding = 4) writeonly buffer Result { float result[]; };

float mu(float t) { return pc.beta1 * (1.0 - 0.5 * exp_f32(t * pc.log_decay)); }

void main()
{
    const bool skip = found >= 1.0;
    float scale = texelFetch(before, TUFF_SCALER_SCALE).x;
    float tracker = texelFetch(before, TUFF_SCALER_TRACKER).x;
    const float steps = texelFetch(before, TUFF_SCALER_STEPS).x, t = steps + 1.0;
    const float old = steps > 0.0 ? texelFetch(before, TUFF_SCALER_PRODUCT).x : 1.0;
    const float product = pc.nadam != 0 ? old * mu(t) : old;
    float h[8];
    for (int i = 0; i < 8; i++) h[i] = texelFetch(hyper, i).x;

    if (skip) {
        scale *= pc.backoff;
        tracker = 0.0;
    } else if (tracker + 1.0 >= pc.interval) {
        const float grown = scale * pc.growth;
        if (grown <= 3.4028234e38) scale = grown;
        tracker = 0.0;
    } else {
        tracker += 1.0;
    }

    h[TUFF_HYPER_SKIP] = skip ? 1.0 : 0.0;
    if (pc.nadam != 0) {
        const float next = mu(t + 1.0);
        h[TUFF_HYPER_BIAS1] = next > 0.0 ? (1.0 - product * next) / next : 3.4028234e38;
        h[TUFF_HYPER_FIRST] = (1.0 - mu(t)) / (1.0 - product);
    } else {
        h[TUFF_HYPER_BIAS1] = -expm1_f32(t * pc.log_beta1);
        h[TUFF_HYPER_FIRST] = steps < 1.0 ? 1.0 : 0.0;
    }
    h[TUFF_HYPER_BIAS2] = -expm1_f32(t * pc.log_beta2);

    after[TUFF_SCALER_SCALE] = scale;
    after[TUFF_SCALER_TRACKER] = tracker;
    after[TUFF_SCALER_STEPS] = skip ? steps : t;
    after[TUFF_SCALER_PRODUCT] = skip ? old : product;
    for (int i = 0; i < 8; i++) result[i] = h[i];
}
