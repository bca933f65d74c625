#version 450
#extension GL_GOOGLE_include_directive : require
// cells: what an LSTM or GRU cell does once its products are there, and the gradients of that,
// in steps that each bind four buffers at most. An invocation has one number of a state.
//
//   STEP           0 a      1 b    2 c     3 d
//   LSTM           gates    c      -       h1
//   LSTM_C         gates    c      -       c1
//   LSTM_TANH      gates    c      -       tanh(c1)
//   LSTM_DC        gates    tanh   dh1     dh1 o (1 - tanh^2)
//   LSTM_DO        gates    tanh   dh1     dgates' o: dh1 tanh o (1 - o)
//   ADD            dc1      -      -       d + dc1
//   LSTM_DGATES    gates    c      dc      dgates' i, f and g
//   LSTM_BACK      gates    -      dc      dc f
//   GRU            gx       gh     h       h1
//   GRU_GATES      gx       gh     -       r, z and n, in the order of the gates
//   GRU_DZ_DN      r z n    h      dh1     dgx' z and n
//   GRU_DR         r z n    gh     -       dgx' r, from its n
//   GRU_DGH        r z n    dgx    -       dgh
//   GRU_DH         r z n    -      dh1     dh1 z
//
//   spec 0, 1  WG, STEP
//   grid       n * h / WG, folded
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "abi/sequence.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint STEP = TUFF_CELL_LSTM;
layout(push_constant) uniform Push { tuff_cell_pc pc; };
layout(binding = 0) readonly buffer A { float a[]; };
layout(binding = 1) readonly buffer B { float b[]; };
layout(binding = 2) readonly buffer C { float c[]; };
layout(binding = 3) buffer D { float d[]; };

// dy y (1 - y) for y = sigmoid(x), from x: without cancellation where y is next to 1.
float sigmoid_slope(float x) { return sigmoid_f32(x) * sigmoid_f32(-x); }

float tanh_slope(float t) { return (1.0 - t) * (1.0 + t); }

// i: the state's number; g: where its row of four gates begins, with its place in a block.
void lstm(uint i, uint g)
{
    const float in_gate = a[g + pc.at0], out_gate = a[g + pc.at1];
    const float forget = a[g + pc.at2], cell = a[g + pc.at3];
    if (STEP == TUFF_CELL_LSTM_DC) {
        d[i] = c[i] * sigmoid_f32(out_gate) * tanh_slope(b[i]);
        return;
    }
    if (STEP == TUFF_CELL_LSTM_DO) {
        d[g + pc.at1] = c[i] * b[i] * sigmoid_slope(out_gate);
        return;
    }
    if (STEP == TUFF_CELL_LSTM_BACK) {
        d[i] = c[i] * sigmoid_f32(forget);
        return;
    }
    const float new = tanh_f32(cell);
    if (STEP == TUFF_CELL_LSTM_DGATES) {
        d[g + pc.at0] = c[i] * new * sigmoid_slope(in_gate);
        d[g + pc.at2] = c[i] * b[i] * sigmoid_slope(forget);
        d[g + pc.at3] = c[i] * sigmoid_f32(in_gate) * tanh_slope(new);
        return;
    }
    const float next = sigmoid_f32(forget) * b[i] + sigmoid_f32(in_gate) * new;
    if (STEP == TUFF_CELL_LSTM_C) d[i] = next;
    else if (STEP == TUFF_CELL_LSTM_TANH) d[i] = tanh_f32(next);
    else d[i] = sigmoid_f32(out_gate) * tanh_f32(next);
}

// at0, at1, at2: z, r, n.
void gru(uint i, uint g)
{
    if (STEP == TUFF_CELL_GRU || STEP == TUFF_CELL_GRU_GATES) {
        const float z = sigmoid_f32(a[g + pc.at0] + b[g + pc.at0]);
        const float r = sigmoid_f32(a[g + pc.at1] + b[g + pc.at1]);
        const float n = tanh_f32(a[g + pc.at2] + r * b[g + pc.at2]);
        if (STEP == TUFF_CELL_GRU) {
            d[i] = (1.0 - z) * n + z * c[i];
            return;
        }
        d[g + pc.at0] = z;
        d[g + pc.at1] = r;
        d[g + pc.at2] = n;
        return;
    }
    const float z = a[g + pc.at0], r = a[g + pc.at1], n = a[g + pc.at2];
    if (STEP == TUFF_CELL_GRU_DZ_DN) {
        d[g + pc.at0] = c[i] * (b[i] - n) * z * (1.0 - z);
        d[g + pc.at2] = c[i] * (1.0 - z) * tanh_slope(n);
    } else if (STEP == TUFF_CELL_GRU_DR) {
        d[g + pc.at1] = d[g + pc.at2] * b[g + pc.at2] * r * (1.0 - r);
    } else if (STEP == TUFF_CELL_GRU_DGH) {
        d[g + pc.at0] = b[g + pc.at0];
        d[g + pc.at1] = b[g + pc.at1];
        d[g + pc.at2] = b[g + pc.at2] * r;
    } else {
        d[i] = c[i] * z;
    }
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.n * pc.h) return;
    const uint row = quotient(i, pc.h), j = i - row * pc.h;
    if (STEP == TUFF_CELL_ADD) d[i] += a[i];
    else if (STEP < TUFF_CELL_GRU) lstm(i, row * 4u * pc.h + j);
    else gru(i, row * 3u * pc.h + j);
}
