#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef LANES
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define TEXEL
#endif
// softmax: y = exp(x - max) / sum(exp(x - max)) along an axis, or its logarithm; with MIN of
// -x.
//
//   binding 0  x  float[rows * cols], or with -DTEXEL or -DLANES a texel buffer   read
//   binding 1  y  float[rows * cols]                                   write; may be x's
//   spec 0     WG    workgroup size, a power of two
//   spec 1     LOG   write the logarithm
//   spec 2     MIN   x is taken with the other sign
//   spec 3     WIDE  TEXEL only: the texels are vec4, along rows of neighbours. With -DLANES
//                    they always are
//   spec 4     KEPT  LANES only: vec4s of a row that an invocation keeps; 0: it may be any
//                    number, and rows are read twice
//   spec 5     ROWS  LANES only: rows of a workgroup
//   grid       rows workgroups, with -DLANES rows / ROWS, each one subgroup; with -DTEXEL rows
//              invocations. Folded.
#include "common.glsl"
#include "math.glsl"
#include "sum.glsl"
#include "abi/softmax.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool LOG = false;
layout(constant_id = 2) const bool MIN = false;
layout(push_constant) uniform Push { tuff_softmax_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
#ifdef LANES
layout(constant_id = 4) const uint KEPT = 0;
layout(constant_id = 5) const uint ROWS = 1;
#endif
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { vec4 y4[]; };
float load_x(uint i) { return texelFetch(x, int(i)).x; }
const uint STRIDE = 1; // every invocation has a row of its own
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load_x(uint i) { return x[i]; }
#define STRIDE WG
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };

float load(uint i) { return MIN ? -load_x(i) : load_x(i); }

// A NaN wins.
float larger(float a, float b) { return b > a || is_nan(b) ? b : a; }

#ifdef TEXEL
float group_max(float v) { return v; }
float group_sum(float v) { return v; }
#else
// One value in per invocation, the same value out to all.
shared float part[WG];

float group_max(float v)
{
    const uint t = gl_LocalInvocationIndex;
    part[t] = v;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = larger(part[t], part[t + half_n]);
    }
    barrier();
    v = part[0];
    barrier();
    return v;
}

float group_sum(float v)
{
    const uint t = gl_LocalInvocationIndex;
    part[t] = v;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    barrier();
    return part[0];
}
#endif

#ifdef TEXEL
vec4 four(uint i) { return MIN ? -texelFetch(x, int(i)) : texelFetch(x, int(i)); }

vec4 exp_four(vec4 v)
{
    return vec4(exp_below(v.x), exp_below(v.y), exp_below(v.z), exp_below(v.w));
}

// A NaN is passed over: it makes the sum one, and with it the row.
float larger_number(float a, float b) { return b > a ? b : a; }

float most_of(vec4 v)
{
    return larger_number(larger_number(v.x, v.y), larger_number(v.z, v.w));
}

float sum_of(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

// Of a row's vec4s an invocation takes every STEPth, and then a subgroup has the row together:
// what one reads there lies side by side, where rows apart share sets of the cache.
#ifdef LANES
#define STEP WG
float row_max(float v)
{
    for (uint n = WG / 2; n > 0; n /= 2) v = larger_number(v, subgroupShuffleXor(v, n));
    return v;
}
float row_sum(float v)
{
    for (uint n = WG / 2; n > 0; n /= 2) v += subgroupShuffleXor(v, n);
    return v;
}
#else
const uint STEP = 1;
float row_max(float v) { return v; }
float row_sum(float v) { return v; }
#endif

// The sum of exp(x - most) of what was read so far. It begins with the lowest number that is
// finite, so that -inf - most is none of -inf - -inf.
struct Seen {
    float most;
    Sum sum;
};

// What four vec4s with the maximum `most` add.
void see(inout Seen s, float most, vec4 a, vec4 b, vec4 c, vec4 d)
{
    const float m = larger_number(s.most, most), kept = exp_below(s.most - m);
    s.sum.s *= kept;
    s.sum.e *= kept;
    sum_add(s.sum, sum_of((exp_four(a - m) + exp_four(b - m)) +
                          (exp_four(c - m) + exp_four(d - m))));
    s.most = m;
}

// A row of vec4s, read twice: once for maximum and sum, and again to be written.
void wide_row(uint begin, uint end)
{
    Seen seen = Seen(-3.40282347e38, Sum(0.0, 0.0));
    for (uint i = begin; i < end; i += 4 * STEP) {
        // Past the end: nothing is exp(-inf).
        const vec4 a = four(i), b = i + STEP < end ? four(i + STEP) : vec4(NEG_INF);
        const vec4 c = i + 2 * STEP < end ? four(i + 2 * STEP) : vec4(NEG_INF);
        const vec4 d = i + 3 * STEP < end ? four(i + 3 * STEP) : vec4(NEG_INF);
        see(seen, larger_number(larger_number(most_of(a), most_of(b)),
                                larger_number(most_of(c), most_of(d))), a, b, c, d);
    }
    const float m = row_max(seen.most);
    const float sum = row_sum(sum_value(seen.sum) * exp_below(seen.most - m));
    const float factor = LOG ? log_f32(sum) : 1.0 / sum;
    for (uint i = begin; i < end; i += STEP) {
        const vec4 d = four(i) - m;
        y4[i] = LOG ? d - factor : exp_four(d) * factor;
    }
}

#ifdef LANES
// A row that the subgroup keeps in registers.
void kept_row(uint begin, uint end)
{
    vec4 v[KEPT == 0 ? 1 : KEPT];
    float most = NEG_INF, sum = 0.0;
    for (uint k = 0; k < KEPT; k++) {
        const uint i = begin + k * WG;
        v[k] = i < end ? four(i) : vec4(NEG_INF);
        most = larger_number(most, most_of(v[k]));
    }
    most = row_max(most);
    for (uint k = 0; k < KEPT; k++) {
        v[k] -= most;
        const vec4 e = exp_four(v[k]);
        sum += sum_of(e);
        if (!LOG) v[k] = e;
    }
    sum = row_sum(sum);
    const float factor = LOG ? log_f32(sum) : 1.0 / sum;
    for (uint k = 0; k < KEPT; k++) {
        const uint i = begin + k * WG;
        if (i < end) y4[i] = LOG ? v[k] - factor : v[k] * factor;
    }
}
#endif
#endif

void main()
{
#ifdef LANES
    const uint cols = pc.cols / 4, last = min((group_index() + 1) * ROWS, pc.rows);
    for (uint row = group_index() * ROWS; row < last; row++) {
        const uint begin = row * cols + gl_SubgroupInvocationID, end = (row + 1) * cols;
        if (KEPT == 0) wide_row(begin, end);
        else kept_row(begin, end);
    }
#else
#ifdef TEXEL
    const uint row = group_index() * WG + gl_LocalInvocationIndex, t = 0;
#else
    const uint row = group_index(), t = gl_LocalInvocationIndex;
#endif
    if (row >= pc.rows) return; // with a row a workgroup, all of it leaves together
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;
#ifdef TEXEL
    if (WIDE) {
        wide_row(base / 4, (base + pc.cols) / 4);
        return;
    }
#endif

    float m = NEG_INF;
    for (uint j = t; j < pc.cols; j += STRIDE) m = larger(m, load(base + j * pc.step));
    m = group_max(m);

    Sum part_sum = Sum(0.0, 0.0);
    for (uint j = t; j < pc.cols; j += STRIDE)
        sum_add(part_sum, exp_f32(load(base + j * pc.step) - m));
    const float sum = group_sum(sum_value(part_sum));

    const float factor = LOG ? log_f32(sum) : 1.0 / sum;
    for (uint j = t; j < pc.cols; j += STRIDE) {
        const float d = load(base + j * pc.step) - m;
        y[base + j * pc.step] = LOG ? d - factor : exp_f32(d) * factor;
    }
#endif
}
