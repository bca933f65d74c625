// The bindings and the end of every product that reads storage buffers (gemm_plain.glsl,
// gemm_tile.glsl, gemm_coop.glsl). Who includes this has declared `pc`, whose member g is a
// tuff_gemm.
//
//   binding 0  a         f32[]  read   with -DHALF f16, two in a word
//   binding 1  b         f32[]  read   or of the type GEMM_B; with -DHALF as a
//   binding 2  y         f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias      texels, one f32 each; anything when TUFF_AFTER_BIAS is not set
//   binding 4  residual  f32[]  read   may be y; anything when TUFF_AFTER_RESIDUAL is not set
//
// With -DCOOP all of them are f32 where FROM_F32, a spec constant, says so; else f16, or with
// -DBF16 bf16, but for parts of y, which are always f32. The bias is one word a texel.
//
// a_quad(i) and b_quad(i) are four neighbours from i on, a multiple of four.
// Without -DACTS relu is the only activation that is done here.
#if defined(COOP)
#ifdef BF16
#define REAL  bfloat16_t
#define REAL4 bf16vec4
vec2 reals_of(uint w) { return uintBitsToFloat(uvec2(w << 16, w & 0xffff0000u)); }
#else
#define REAL  float16_t
#define REAL4 f16vec4
f16vec2 reals_of(uint w) { return unpackFloat2x16(w); }
#endif
layout(binding = 0) readonly buffer A { uint a[]; };
layout(binding = 0) readonly buffer APairs { uvec2 a_pairs[]; };
layout(binding = 0) readonly buffer AQuads { vec4 a_quads[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
layout(binding = 1) readonly buffer BPairs { uvec2 b_pairs[]; };
layout(binding = 1) readonly buffer BQuads { vec4 b_quads[]; };
REAL real_at(uint w, uint i)
{
    return FROM_F32 ? REAL(uintBitsToFloat(w)) : REAL(reals_of(w)[i % 2]);
}
REAL4 quad_of(uvec2 w) { return REAL4(reals_of(w.x), reals_of(w.y)); }
REAL a_at(uint i) { return real_at(a[FROM_F32 ? i : i / 2], i); }
REAL b_at(uint i) { return real_at(b[FROM_F32 ? i : i / 2], i); }
REAL4 a_quad(uint i) { return FROM_F32 ? REAL4(a_quads[i / 4]) : quad_of(a_pairs[i / 4]); }
REAL4 b_quad(uint i) { return FROM_F32 ? REAL4(b_quads[i / 4]) : quad_of(b_pairs[i / 4]); }
#elif defined(HALF)
#define REAL  float16_t
#define REAL4 f16vec4
layout(binding = 0) readonly buffer A { uint a[]; };
layout(binding = 0) readonly buffer APairs { uvec2 a_pairs[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
layout(binding = 1) readonly buffer BPairs { uvec2 b_pairs[]; };
REAL4 quad_of(uvec2 w) { return REAL4(unpackFloat2x16(w.x), unpackFloat2x16(w.y)); }
REAL a_at(uint i) { return unpackFloat2x16(a[i / 2])[i % 2]; }
REAL b_at(uint i) { return unpackFloat2x16(b[i / 2])[i % 2]; }
REAL4 a_quad(uint i) { return quad_of(a_pairs[i / 4]); }
REAL4 b_quad(uint i) { return quad_of(b_pairs[i / 4]); }
#else
#define REAL  float
#define REAL4 vec4
layout(binding = 0) readonly buffer A { float a[]; };
layout(binding = 0) readonly buffer AQuads { vec4 a_quads[]; };
REAL a_at(uint i) { return a[i]; }
REAL4 a_quad(uint i) { return a_quads[i / 4]; }
#ifdef GEMM_B
layout(binding = 1) readonly buffer B { GEMM_B b[]; };
#else
layout(binding = 1) readonly buffer B { float b[]; };
layout(binding = 1) readonly buffer BQuads { vec4 b_quads[]; };
REAL b_at(uint i) { return b[i]; }
REAL4 b_quad(uint i) { return b_quads[i / 4]; }
#endif
#endif

layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 2) writeonly buffer YQuads { vec4 y_quads[]; };
#ifdef COOP
layout(binding = 2) writeonly buffer Y16 { REAL y16[]; };
layout(binding = 3) uniform usamplerBuffer bias;
layout(binding = 4) readonly buffer Residual { uint residual[]; };
float number_at(uint w, uint i)
{
    return FROM_F32 ? uintBitsToFloat(w) : float(reals_of(w)[i % 2]);
}
float bias_at(uint i) { return number_at(texelFetch(bias, int(FROM_F32 ? i : i / 2)).x, i); }
float residual_at(uint i) { return number_at(residual[FROM_F32 ? i : i / 2], i); }
#else
layout(binding = 3) uniform samplerBuffer bias;
layout(binding = 4) readonly buffer Residual { float residual[]; };
layout(binding = 4) readonly buffer ResidualQuads { vec4 residual_quads[]; };
float bias_at(uint i) { return texelFetch(bias, int(i)).x; }
float residual_at(uint i) { return residual[i]; }
#endif

#ifdef ACTS
#include "act.glsl"
#define GEMM_ACT(v) act(v, pc.g.after & TUFF_AFTER_ACT)
#else
#define GEMM_ACT(v) ((pc.g.after & TUFF_AFTER_ACT) != 0 && v < 0.0 ? 0.0 : v)
#endif

// Writes element i of y, or of a part of it; `ch` is its place in the bias.
void gemm_write(uint i, uint ch, uint split, float v)
{
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0) v += bias_at(ch);
    if ((pc.g.after & TUFF_AFTER_RESIDUAL) != 0) v += residual_at(i);
    v = GEMM_ACT(v);
#ifdef COOP
    if ((pc.g.after & TUFF_AFTER_16) != 0) {
        y16[i] = REAL(v);
        return;
    }
#endif
    y[split * pc.g.count + i] = v;
}

#ifndef COOP
// The same of four neighbours along y and, when ch_step is 1, along the bias; i is a multiple
// of four, as is pc.g.count.
void gemm_write4(uint i, uint ch, uint ch_step, uint split, vec4 v)
{
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0)
        v += vec4(bias_at(ch), bias_at(ch + ch_step), bias_at(ch + 2 * ch_step),
                  bias_at(ch + 3 * ch_step));
    if ((pc.g.after & TUFF_AFTER_RESIDUAL) != 0) v += residual_quads[i / 4];
    y_quads[(split * pc.g.count + i) / 4] =
        vec4(GEMM_ACT(v.x), GEMM_ACT(v.y), GEMM_ACT(v.z), GEMM_ACT(v.w));
}
#endif
