#version 450
#extension GL_GOOGLE_include_directive : require
// What gradients of normalisation add up: of each piece of each set (see abi/norm.h) the pair
// (sum of w dy, sum of w dy x'), x' = (x - mean) inv, w the scale or 1.
//
//   binding 0  x      float[], or with -DTEXEL a texel buffer         read
//   binding 1  dy     the same                                        read
//   binding 2  parts  float[segments * count * 2]                     write
//   binding 3  scale  a texel buffer; parameter params.first on        read
//   binding 4  stats  float[rows * 2]; mean, inv                      read
// or with -DTEXEL
//   binding 4  mean   a texel buffer                                  read
//   binding 5  inv    a texel buffer                                  read
//   spec 0     WG     workgroup size, a power of two
//   spec 1     OWN    sets are those with one mean and inv; else a row's, element by element
//   spec 2     SCALE  there is a scale
//   spec 3     EVEN   see abi/norm.h
//   spec 4     MEAN   there is a mean; else it is 0
//   spec 5     PAIRS  TEXEL only: mean and inv are the same buffer of pairs (mean, inv)
//   spec 6     WIDE   TEXEL only: x and dy have vec4 texels whose elements share mean, inv
//                     and, if there is one, scale; runs and spans are multiples of 4
//   grid       a piece an invocation; with -DGROUP a workgroup. Folded.
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool OWN = false;
layout(constant_id = 2) const bool SCALE = false;
layout(constant_id = 3) const bool EVEN = false;
layout(constant_id = 4) const bool MEAN = true;
layout(push_constant) uniform Push { tuff_norm_pieces_pc pc; };
layout(binding = 2) writeonly buffer Parts { float parts[]; };
layout(binding = 3) uniform samplerBuffer scale;
#ifdef TEXEL
layout(constant_id = 5) const bool PAIRS = false;
layout(constant_id = 6) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer dy;
layout(binding = 4) uniform samplerBuffer means;
layout(binding = 5) uniform samplerBuffer invs;
float load_x(uint i) { return texelFetch(x, int(i)).x; }
float load_dy(uint i) { return texelFetch(dy, int(i)).x; }
float load_mean(uint i) { return texelFetch(means, int(PAIRS ? 2 * i : i)).x; }
float load_inv(uint i) { return texelFetch(invs, int(PAIRS ? 2 * i + 1 : i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Dy { float dy[]; };
layout(binding = 4) readonly buffer Stats { float stats[]; };
float load_x(uint i) { return x[i]; }
float load_dy(uint i) { return dy[i]; }
float load_mean(uint i) { return stats[2 * i]; }
float load_inv(uint i) { return stats[2 * i + 1]; }
#endif

vec2 stats_of(uint row) { return vec2(MEAN ? load_mean(row) : 0.0, load_inv(row)); }

float scale_of(uint i)
{
    return texelFetch(scale, int(norm_param(pc.params, i) - pc.params.first)).x;
}

// (w dy, w dy x') of element i; `own` are its set's mean and inv.
vec2 pair_of(uint i, vec2 own)
{
    const vec2 of = OWN ? own : stats_of(divide(i, pc.terms));
    const float g = SCALE ? load_dy(i) * scale_of(i) : load_dy(i);
    return vec2(g, g * ((load_x(i) - of.x) * of.y));
}

void write(uint piece, vec2 v)
{
    piece += pc.first * pc.sets.count;
    parts[2 * piece] = v.x;
    parts[2 * piece + 1] = v.y;
}

#ifdef GROUP
shared vec2 part[WG];

void main()
{
    const uint piece = group_index(), t = gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return; // the whole workgroup leaves together
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span, base = norm_base(pc.sets, q);
    const uint end = min(begin + pc.span, pc.sets.terms);
    const vec2 own = OWN ? stats_of(q) : vec2(0.0);
    vec2 sum = vec2(0.0);
    for (uint j = begin + t; j < end; j += WG)
        sum += pair_of(base + norm_step(pc.sets, j, EVEN), own);
    part[t] = sum;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    if (t == 0) write(piece, part[0]);
}
#else
#ifdef TEXEL
void take_wide(inout vec4 a, inout vec4 b, Run r, vec2 own)
{
    for (uint i = r.at / 4; i < (r.at + r.n) / 4; i++) {
        const vec2 of = OWN ? own : stats_of(divide(4 * i, pc.terms));
        vec4 g = texelFetch(dy, int(i));
        if (SCALE) g *= scale_of(4 * i);
        a += g;
        b += g * ((texelFetch(x, int(i)) - of.x) * of.y);
    }
}
#endif

void main()
{
    const uint piece = group_index() * WG + gl_LocalInvocationIndex;
    if (piece >= pc.sets.count * pc.segments) return;
    const uint segment = piece / pc.sets.count, q = piece - segment * pc.sets.count;
    const uint begin = (pc.first + segment) * pc.span, base = norm_base(pc.sets, q);
    const uint end = min(begin + pc.span, pc.sets.terms);
    const vec2 own = OWN ? stats_of(q) : vec2(0.0);
    vec2 sum = vec2(0.0);
    vec4 a = vec4(0.0), b = a;
    for (uint j = begin; j < end;) {
        const Run r = norm_run(pc.sets, base, j, end, EVEN);
        j += r.n;
#ifdef TEXEL
        if (WIDE) {
            take_wide(a, b, r, own);
            continue;
        }
#endif
        for (uint k = 0, i = r.at; k < r.n; k++, i += r.step) sum += pair_of(i, own);
    }
    write(piece, sum + vec2((a.x + a.y) + (a.z + a.w), (b.x + b.y) + (b.z + b.w)));
}
#endif
