#version 450
#extension GL_GOOGLE_include_directive : require
// Of each piece of each set of x (see abi/norm.h): (mean, sum of squared differences from it),
// or with another KIND (0, sum of squares) or (0, sum of absolute values).
//
//   binding 0  x      float[], or with -DTEXEL a texel buffer    read
//   binding 1  parts  float[segments * count * 2]                write
//   spec 0     WG     workgroup size, a power of two
//   spec 1     KIND   TUFF_NORM_...
//   spec 2     EVEN   see abi/norm.h
//   spec 3     WIDE   TEXEL only: the texels are vec4; runs and spans are multiples of 4
//   grid       a piece an invocation; with -DGROUP a workgroup. Folded.
//
// The mean is found first and then what differs from it, so that nothing cancels; what the
// rounded mean leaves is put right with the sum of the differences.
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_NORM_MOMENTS;
layout(constant_id = 2) const bool EVEN = false;
layout(push_constant) uniform Push { tuff_norm_pieces_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Parts { float parts[]; };

float weight(float v) { return KIND == TUFF_NORM_L1 ? abs(v) : v * v; }

// Of the elements first, first + step, ... below `end` of a set that begins at `base`.
vec3 moments(uint base, uint first, uint end, uint step)
{
    if (first >= end) return vec3(0.0);
    float sum = 0.0, squares = 0.0;
    if (KIND != TUFF_NORM_MOMENTS) {
        for (uint j = first; j < end; j += step)
            squares += weight(load(base + norm_step(pc.sets, j, EVEN)));
        return vec3(0.0, 0.0, squares);
    }
    const float n = float((end - first + step - 1) / step);
    for (uint j = first; j < end; j += step) sum += load(base + norm_step(pc.sets, j, EVEN));
    const float mean = sum / n;
    float rest = 0.0;
    for (uint j = first; j < end; j += step) {
        const float d = load(base + norm_step(pc.sets, j, EVEN)) - mean;
        rest += d;
        squares += d * d;
    }
    return vec3(n, mean + rest / n, squares - rest * (rest / n));
}

void write(uint piece, vec3 v)
{
    piece += pc.first * pc.sets.count;
    parts[2 * piece] = v.y;
    parts[2 * piece + 1] = v.z;
}

#ifdef GROUP
shared vec3 part[WG];

void main()
{
    const uint piece = group_index(), t = gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return; // the whole workgroup leaves together
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span;
    const uint end = min(begin + pc.span, pc.sets.terms);
    part[t] = moments(norm_base(pc.sets, q), begin + t, end, WG);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = norm_join(part[t], part[t + half_n]);
    }
    if (t == 0) write(piece, part[0]);
}
#else
#ifdef TEXEL
float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

vec3 moments_wide(uint base, uint begin, uint end)
{
    vec4 sum = vec4(0.0), rest = sum, squares = sum;
    if (KIND != TUFF_NORM_MOMENTS) {
        for (uint j = begin; j < end; j += 4) {
            const vec4 v = texelFetch(x, int((base + norm_step(pc.sets, j, EVEN)) / 4));
            squares += KIND == TUFF_NORM_L1 ? abs(v) : v * v;
        }
        return vec3(0.0, 0.0, total(squares));
    }
    const float n = float(end - begin);
    for (uint j = begin; j < end; j += 4)
        sum += texelFetch(x, int((base + norm_step(pc.sets, j, EVEN)) / 4));
    const float mean = total(sum) / n;
    for (uint j = begin; j < end; j += 4) {
        const vec4 d = texelFetch(x, int((base + norm_step(pc.sets, j, EVEN)) / 4)) - mean;
        rest += d;
        squares += d * d;
    }
    const float left = total(rest);
    return vec3(n, mean + left / n, total(squares) - left * (left / n));
}
#endif

void main()
{
    const uint piece = group_index() * WG + gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return;
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span;
    const uint end = min(begin + pc.span, pc.sets.terms);
    const uint base = norm_base(pc.sets, q);
#ifdef TEXEL
    if (WIDE) {
        write(piece, moments_wide(base, begin, end));
        return;
    }
#endif
    write(piece, moments(base, begin, end, 1));
}
#endif
