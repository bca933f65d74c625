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

void write(uint piece, vec3 v)
{
    piece += pc.first * pc.sets.count;
    parts[2 * piece] = v.y;
    parts[2 * piece + 1] = v.z;
}

// (n, mean, M2) of n elements with that sum, and of what differs from sum / n the sum and the
// sum of squares.
vec3 moments_of(float n, float sum, float rest, float squares)
{
    return vec3(n, sum / n + rest / n, squares - rest * (rest / n));
}

#ifdef GROUP
shared vec3 part[WG];

// Of the elements first, first + WG, ... below `end` of a set that begins at `base`.
vec3 moments(uint base, uint first, uint end)
{
    if (first >= end) return vec3(0.0);
    float sum = 0.0, rest = 0.0, squares = 0.0;
    if (KIND != TUFF_NORM_MOMENTS) {
        for (uint j = first; j < end; j += WG)
            squares += weight(load(base + norm_step(pc.sets, j, EVEN)));
        return vec3(0.0, 0.0, squares);
    }
    const float n = float((end - first + WG - 1) / WG);
    for (uint j = first; j < end; j += WG) sum += load(base + norm_step(pc.sets, j, EVEN));
    for (uint j = first; j < end; j += WG) {
        const float d = load(base + norm_step(pc.sets, j, EVEN)) - sum / n;
        rest += d;
        squares += d * d;
    }
    return moments_of(n, sum, rest, squares);
}

void main()
{
    const uint piece = group_index(), t = gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return; // the whole workgroup leaves together
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span;
    const uint end = min(begin + pc.span, pc.sets.terms);
    part[t] = moments(norm_base(pc.sets, q), begin + t, end);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = norm_join(part[t], part[t + half_n]);
    }
    if (t == 0) write(piece, part[0]);
}
#else
// (sum of x) in one pass, (sum of x - mean, sum of its square) in the next; the others' sums in
// `squares`.
struct Sums {
    vec4 sum, rest, squares;
};

// Sums of 32 are added up: few additions to large sums lose little.
void take(inout Sums s, Run r, float mean, bool again)
{
    float part = 0.0;
    for (uint k = 0, i = r.at; k < r.n; k++, i += r.step) {
        const float v = load(i), d = v - mean;
        if (KIND != TUFF_NORM_MOMENTS) part += weight(v);
        else if (!again) s.sum.x += v;
        else s.rest.x += d, part += d * d;
        if (k % 32 != 31) continue;
        s.squares.y += part;
        part = 0.0;
    }
    s.squares.x += part;
}

#ifdef TEXEL
void take_wide(inout Sums s, Run r, float mean, bool again)
{
    for (uint i = r.at / 4; i < (r.at + r.n) / 4; i++) {
        const vec4 v = texelFetch(x, int(i)), d = v - mean;
        if (KIND != TUFF_NORM_MOMENTS) s.squares += KIND == TUFF_NORM_L1 ? abs(v) : v * v;
        else if (!again) s.sum += v;
        else s.rest += d, s.squares += d * d;
    }
}
#endif

void pass(inout Sums s, uint base, uint begin, uint end, float mean, bool again)
{
    for (uint j = begin; j < end;) {
        const Run r = norm_run(pc.sets, base, j, end, EVEN);
        j += r.n;
#ifdef TEXEL
        if (WIDE) {
            take_wide(s, r, mean, again);
            continue;
        }
#endif
        take(s, r, mean, again);
    }
}

float total(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

void main()
{
    const uint piece = group_index() * WG + gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return;
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span;
    const uint end = min(begin + pc.span, pc.sets.terms), base = norm_base(pc.sets, q);
    const float n = float(end - begin);
    Sums s = Sums(vec4(0.0), vec4(0.0), vec4(0.0));
    pass(s, base, begin, end, 0.0, false);
    const float sum = total(s.sum);
    if (KIND == TUFF_NORM_MOMENTS) pass(s, base, begin, end, sum / n, true);
    write(piece, moments_of(n, sum, total(s.rest), total(s.squares)));
}
#endif
