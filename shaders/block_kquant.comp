#version 450
#extension GL_GOOGLE_include_directive : require
// quantize_blocks for the formats with blocks of 256: the bytes of src/ops/block_kquant.c,
// which tells what is searched for. Every operation is one f32 rounding, in the same order.
//
//   binding 0  x       f32[blocks * 256]         read
//   binding 1  packed  bytes in 32-bit words     write   whole words, the last one too
//   spec 0     WG      workgroup size
//   spec 1     FORMAT  TUFF_FORMAT_...
//   grid       blocks, folded; pairs of them where a block is no whole number of words
#include "common.glsl"
#include "packed.glsl"
#include "exact.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_K;
layout(push_constant) uniform Push { tuff_block_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Packed { uint packed[]; };
#include "block_size.glsl"

const bool Q2 = FORMAT == TUFF_FORMAT_Q2_K, Q3 = FORMAT == TUFF_FORMAT_Q3_K;
const bool Q5 = FORMAT == TUFF_FORMAT_Q5_K, Q6 = FORMAT == TUFF_FORMAT_Q6_K;
const bool HAS_MIN = !Q3 && !Q6;
const uint PART = FORMAT == TUFF_FORMAT_Q4_K || Q5 ? 32 : 16; // numbers with one scale
const uint PARTS = 256 / PART;
// Levels are in [LEAST, MOST], a part's whole numbers in [LOW, TOP]; constants are no floats.
const int MOST_LEVEL = Q2 || Q3 ? 3 : Q5 || Q6 ? 31 : 15;
const int LEAST_LEVEL = HAS_MIN ? 0 : -MOST_LEVEL - 1;
const int TOP_WHOLE = Q2 ? 15 : Q3 ? 31 : Q6 ? 127 : 63;
const int LOW_WHOLE = HAS_MIN ? 0 : -TOP_WHOLE - 1;
#define MOST float(MOST_LEVEL)
#define LEAST float(LEAST_LEVEL)
#define TOP float(TOP_WHOLE)
#define LOW float(LOW_WHOLE)
const int TRIALS = 21;

// What is stored: the scales as f16 has them, and the whole numbers of each part.
float d, d_min;
float part_scale[16], part_min[16];
float part_inverse[16]; // 1 / the scale that is stored
uint first; // number of x where the block begins

float nearest(float v, float least, float most)
{
    precise const float shifted = v + 0.5;
    const float whole = floor(shifted);
    return whole >= most ? most : whole > least ? whole : least;
}

float as_f16(float v) { return f16_to_f32(f32_to_f16(v)); }

// ---- the best scale of a part --------------------------------------------------------------

// A part is scale q - min; without a minimum that is 0.
struct Line { float scale, min; };

float level_of(float v, Line l, float inverse)
{
    precise const float above = v + l.min;
    precise const float scaled = above * inverse;
    return nearest(scaled, LEAST, MOST);
}

float error_of(uint at, Line l)
{
    const float inverse = exact_inverse(l.scale);
    precise float error = 0.0;
    for (uint i = 0; i < PART; i++) {
        const float v = x[at + i], q = level_of(v, l, inverse);
        precise const float product = q * l.scale;
        precise const float number = product - l.min;
        precise const float left = v - number;
        precise const float square = left * left;
        error = error + square;
    }
    return error;
}

// Least squares through the levels that `inverse` gives.
Line line_of(uint at, float low, float inverse)
{
    float q1 = 0.0, q2 = 0.0;
    precise float x1 = 0.0, xq = 0.0;
    const Line shifted = Line(0.0, -low);
    for (uint i = 0; i < PART; i++) {
        const float v = x[at + i], q = level_of(v, shifted, inverse);
        q1 += q;
        q2 += q * q;
        precise const float product = v * q;
        x1 = x1 + v;
        xq = xq + product;
    }
    const float n = float(PART), det = n * q2 - q1 * q1;
    Line l = Line(0.0, 0.0);
    if (det > 0.0) {
        precise const float a = n * xq, b = x1 * q1, c = q1 * xq, e = q2 * x1;
        precise const float scale = a - b, min = c - e;
        l = Line(exact_div(scale, det), exact_div(min, det));
    }
    if (!(l.min > 0.0)) l = Line(q2 > 0.0 ? exact_div(xq, q2) : 0.0, 0.0);
    return l;
}

Line fit_above(uint at)
{
    float low = 0.0, high = x[at], best_error = 0.0;
    for (uint i = 0; i < PART; i++) {
        const float v = x[at + i];
        if (v < low) low = v;
        if (v > high) high = v;
    }
    precise const float range = high - low;
    const float per = exact_inverse(range);
    Line best = Line(0.0, -low);
    for (int t = 0; t < TRIALS; t++) {
        precise const float levels = float(10 * MOST_LEVEL - 10 + t) * 0.1;
        precise const float inverse = levels * per;
        const Line l = line_of(at, low, inverse);
        const float error = error_of(at, l);
        if (t == 0 || error < best_error) {
            best_error = error;
            best = l;
        }
    }
    return best;
}

Line fit_round(uint at)
{
    float extreme = x[at], best_gain = -1.0, best = 0.0;
    for (uint i = 1; i < PART; i++)
        if (abs(x[at + i]) > abs(extreme)) extreme = x[at + i];
    const float per = exact_inverse(extreme);
    const int least = -LEAST_LEVEL;
    for (int t = 0; t < 2 * TRIALS; t++) {
        const int end = t < TRIALS ? 10 - t - 10 * least : 10 * least - 20 + t - TRIALS;
        precise const float level = float(end) * 0.1;
        precise const float inverse = level * per;
        precise float xq = 0.0;
        float qq = 0.0;
        for (uint i = 0; i < PART; i++) {
            const float v = x[at + i], q = level_of(v, Line(0.0, 0.0), inverse);
            precise const float product = v * q;
            qq += q * q;
            xq = xq + product;
        }
        precise const float square = xq * xq;
        const float gain = qq > 0.0 ? exact_div(square, qq) : 0.0;
        if (gain > best_gain) {
            best_gain = gain;
            best = qq > 0.0 ? exact_div(xq, qq) : 0.0;
        }
    }
    return Line(best, 0.0);
}

// ---- whole blocks --------------------------------------------------------------------------

Line stored_line(float scale, float min) { return Line(d * scale, d_min * min); }

// Chooses the whole numbers of a part: the nearest to what is wanted, or their neighbours.
void settle(uint part)
{
    precise const float scaled = part_scale[part] * exact_inverse(d);
    precise const float lifted = part_min[part] * exact_inverse(d_min);
    const float scale = nearest(scaled, LOW, TOP), min = nearest(lifted, LOW, TOP);
    float best = 0.0;
    for (int t = 0; t < (HAS_MIN ? 9 : 3); t++) {
        const float a = nearest(scale + float((t + 1) % 3 - 1), LOW, TOP);
        const float b = HAS_MIN ? nearest(min + float((t / 3 + 1) % 3 - 1), LOW, TOP) : 0.0;
        const float error = error_of(first + part * PART, stored_line(a, b));
        if (t > 0 && !(error < best)) continue;
        best = error;
        part_scale[part] = a;
        part_min[part] = b;
    }
    part_inverse[part] = exact_inverse(d * part_scale[part]);
}

void fit_block()
{
    float scale = 0.0, min = 0.0;
    for (uint p = 0; p < PARTS; p++) {
        Line l;
        if (HAS_MIN) l = fit_above(first + p * PART);
        else l = fit_round(first + p * PART);
        part_scale[p] = l.scale;
        part_min[p] = l.min;
        if (HAS_MIN ? l.scale > scale : abs(l.scale) > abs(scale)) scale = l.scale;
        if (l.min > min) min = l.min;
    }
    d = as_f16(exact_div(scale, HAS_MIN ? TOP : LOW));
    d_min = HAS_MIN ? as_f16(exact_div(min, TOP)) : 0.0;
    for (uint p = 0; p < PARTS; p++) settle(p);
}

// ---- bytes ---------------------------------------------------------------------------------

// The level of number i, from 0 on.
uint level(uint i)
{
    const uint p = i / PART;
    const Line l = Line(0.0, d_min * part_min[p]);
    return uint(level_of(x[first + i], l, part_inverse[p]) - LEAST);
}

// Two bits, at `shift`, of the four numbers that share byte i of 64; four bits of the two that
// share byte i of 128; bit `shift` of the eight that share byte i of 32.
uint two_bits(uint i, uint shift)
{
    uint byte = 0;
    for (uint j = 0; j < 4; j++)
        byte |= (level(i / 32 * 128 + 32 * j + i % 32) >> shift & 3) << 2 * j;
    return byte;
}

uint four_bits(uint i)
{
    const uint step = Q6 ? 64 : 32, at = i / step * step * 2 + i % step;
    return (level(at) & 15) | (level(at + step) & 15) << 4;
}

uint one_bit(uint i, uint shift)
{
    uint byte = 0;
    for (uint j = 0; j < 8; j++) byte |= (level(32 * j + i) >> shift & 1) << j;
    return byte;
}

uint scale_of(uint j) { return uint(int(part_scale[j])); }
uint min_of(uint j) { return uint(int(part_min[j])); }

// Byte i of the 12 that hold scales: q4_k's and q5_k's, and q3_k's.
uint scale_byte(uint i)
{
    if (Q3) {
        if (i < 8) return ((scale_of(i) + 32) & 15) | ((scale_of(i + 8) + 32) & 15) << 4;
        uint byte = 0;
        for (uint j = 0; j < 4; j++) byte |= (scale_of(i - 8 + 4 * j) + 32) >> 4 << 2 * j;
        return byte;
    }
    if (i < 4) return scale_of(i) | scale_of(i + 4) >> 4 << 6;
    if (i < 8) return min_of(i - 4) | min_of(i) >> 4 << 6;
    return (scale_of(i - 4) & 15) | (min_of(i - 4) & 15) << 4;
}

uint byte_of(uint i)
{
    if (Q2) return i < 16 ? scale_of(i) | min_of(i) << 4 : two_bits(i - 16, 0);
    if (Q3) return i < 32 ? one_bit(i, 2) : i < 96 ? two_bits(i - 32, 0) : scale_byte(i - 96);
    if (Q6) return i < 128 ? four_bits(i) : i < 192 ? two_bits(i - 128, 4) : scale_of(i - 192);
    if (i < 16) return scale_byte(i - 4);
    if (Q5 && i < 48) return one_bit(i - 16, 4);
    return four_bits(i - (Q5 ? 48 : 16));
}

const uint D_AT = Q2 ? 80 : Q3 ? 108 : Q6 ? 208 : 0; // d, and d_min behind it

uint half_of(uint h)
{
    if (2 * h == D_AT) return f32_to_f16(d);
    if (HAS_MIN && 2 * h == D_AT + 2) return f32_to_f16(d_min);
    uint bits = 0;
    for (uint k = 0; k < 2; k++) bits |= (byte_of(2 * h + k) & 0xffu) << 8 * k;
    return bits;
}

void main()
{
    const uint count = BLOCK_ALIGNED ? 1 : 2, halves = BLOCK_BYTES / 2;
    const uint begin = (group_index() * WG + gl_LocalInvocationIndex) * count;
    if (begin >= pc.blocks) return;
    const uint end = min(begin + count, pc.blocks);
    uint to = begin * halves / 2, low = 0;
    bool pending = false;
    for (uint block = begin; block < end; block++) {
        first = block * 256;
        fit_block();
        for (uint h = 0; h < halves; h++) {
            const uint bits = half_of(h);
            if (pending) packed[to++] = low | bits << 16;
            low = bits;
            pending = !pending;
        }
    }
    if (pending) packed[to] = low;
}
