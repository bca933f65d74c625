#version 450
#extension GL_GOOGLE_include_directive : require
// chain: up to six elementwise steps of which only the results that are asked for reach memory
// (ops/chain.h); four elements an invocation. The steps are specialization constants, so that
// a driver's compiler leaves of all functions those that a chain has.
//
//   binding 0-5  x0 .. x5  texel buffers; anything where absent     read
//   binding 6    y0        float[count]; may be the memory of an x read SAME   write
//   binding 7    y1        the same; y0's where there is none       write
//   spec 0       WG     workgroup size
//   spec 1       WIDE   count is a multiple of 4; what is read SAME has vec4 texels, as ROWs do
//   spec 2       MODES  TUFF_CHAIN_..., three bits an input: where its elements lie
//   spec 3       OUTS   five bits each: the steps that y0 and y1 are, as operands; 0: none
//   spec 4-9     the steps, as in abi/chain.h
//   spec 10      SMALL  all elements' numbers are below 2^24
//   grid         count / (4 WG), folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/elementwise.h"
#include "abi/chain.h"
#include "slope.glsl"
#include "binary.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool WIDE = false;
layout(constant_id = 2) const uint MODES = 0;
layout(constant_id = 3) const uint OUTS = 0;
layout(constant_id = 4) const uint STEP_0 = TUFF_CHAIN_NONE;
layout(constant_id = 5) const uint STEP_1 = TUFF_CHAIN_NONE;
layout(constant_id = 6) const uint STEP_2 = TUFF_CHAIN_NONE;
layout(constant_id = 7) const uint STEP_3 = TUFF_CHAIN_NONE;
layout(constant_id = 8) const uint STEP_4 = TUFF_CHAIN_NONE;
layout(constant_id = 9) const uint STEP_5 = TUFF_CHAIN_NONE;
layout(constant_id = 10) const bool SMALL = false;
layout(push_constant) uniform Push { tuff_chain_pc pc; };
layout(binding = 0) uniform samplerBuffer x0;
layout(binding = 1) uniform samplerBuffer x1;
layout(binding = 2) uniform samplerBuffer x2;
layout(binding = 3) uniform samplerBuffer x3;
layout(binding = 4) uniform samplerBuffer x4;
layout(binding = 5) uniform samplerBuffer x5;
layout(binding = 6) writeonly buffer Y0 { float y0[]; };
layout(binding = 6) writeonly buffer Y0W { vec4 y0_wide[]; };
layout(binding = 7) writeonly buffer Y1 { float y1[]; };
layout(binding = 7) writeonly buffer Y1W { vec4 y1_wide[]; };

// ---- functions -----------------------------------------------------------------------------

// Precise, since a compiler that sees several steps makes x - x and x (1 / x) what they are of
// ordinary numbers alone. Mesa 26 does so all the same, where it knows two operands to be one.
#define EXACT(y) { precise const float r = y; return r; }
#define UNARY_CASE(NAME, y) case TUFF_UNARY_##NAME: EXACT(y)
#define GUARDED_CASE(NAME, y) case TUFF_UNARY_##NAME: EXACT(is_nan(v) ? v : y)
#define BINARY_CASE(NAME, y) case TUFF_BINARY_##NAME: EXACT(y)
#define COMPARE_CASE(NAME, y) case TUFF_BINARY_##NAME: return y ? 1.0 : 0.0;

float unary(uint f, float v, float a, float b)
{
    switch (f) {
    UNARY_PLAIN(UNARY_CASE)
    UNARY_COMMON(GUARDED_CASE)
    default: return v;
    }
}

float slope(uint f, float v, float dy, float a, float b)
{
    switch (f) {
    SLOPE_COMMON(GUARDED_CASE)
    default: return dy;
    }
}

float binary(uint f, float u, float v)
{
    v = uintBitsToFloat(floatBitsToUint(v) ^ pc.zero);
    switch (f) {
    BINARY_COMMON(BINARY_CASE)
    COMPARE(COMPARE_CASE)
    default: return u;
    }
}

float special(uint f, float a, float b, float c, float p)
{
    switch (f) {
    case TUFF_CHAIN_SELECT: return a != 0.0 ? b : c;
    case TUFF_CHAIN_INVERSE: EXACT(1.0 / sqrt_f32(a + p))
    case TUFF_CHAIN_NORMAL: EXACT((a - b) * c)
    case TUFF_CHAIN_ADD_TO: EXACT(a * b + c)
    default: return 0.0;
    }
}

float result(uint step, float a, float b, float c, float p, float q)
{
    const uint f = step & 255u;
    if (f < TUFF_CHAIN_SLOPE) return unary(f, a, p, q);
    if (f < TUFF_CHAIN_BINARY) return slope(f - TUFF_CHAIN_SLOPE, a, b, p, q);
    if (f < TUFF_CHAIN_SELECT) return binary(f - TUFF_CHAIN_BINARY, a, b);
    return special(f, a, b, c, p);
}

// ---- elements ------------------------------------------------------------------------------

uint quotient_of(uint a, uint d) { return SMALL ? small_quotient(a, d) : quotient(a, d); }
#define QUOTIENT quotient_of
#include "periodic.glsl"

vec4 fetch_four(samplerBuffer x, uvec4 at)
{
    return vec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.y)).x,
                texelFetch(x, int(at.z)).x, texelFetch(x, int(at.w)).x);
}

// Elements i to i + 3 of the piece.
vec4 four(samplerBuffer x, uint mode, uint i, uint div, uint mod)
{
    if (mode == TUFF_CHAIN_SCALAR) return texelFetch(x, 0).xxxx;
    if (mode == TUFF_CHAIN_BLOCK)
        return texelFetch(x, int(periodic(pc.first + i, div, mod))).xxxx;
    if (mode == TUFF_CHAIN_PERIODIC)
        return fetch_four(x, periodic_four(pc.first + i, div, mod));
    if (mode == TUFF_CHAIN_ROW) return texelFetch(x, int(row_texel(pc.first + i, mod)));
    if (mode == TUFF_CHAIN_ABSENT) return vec4(0.0);
    if (WIDE) return texelFetch(x, int(i / 4));
    return fetch_four(x, min(i + uvec4(0, 1, 2, 3), pc.count - 1));
}

#define FOUR(k) four(x##k, MODES >> 3 * k & 7u, i, pc.div[k], pc.mod[k])
#define INPUT(n) ((n) == 0u ? v0.x : (n) == 1u ? v1.x : (n) == 2u ? v2.x : (n) == 3u ? v3.x \
                : (n) == 4u ? v4.x : v5.x)
#define OPERAND_0(n) INPUT(n)
#define OPERAND_1(n) ((n) == 8u ? s0 : OPERAND_0(n))
#define OPERAND_2(n) ((n) == 9u ? s1 : OPERAND_1(n))
#define OPERAND_3(n) ((n) == 10u ? s2 : OPERAND_2(n))
#define OPERAND_4(n) ((n) == 11u ? s3 : OPERAND_3(n))
#define OPERAND_5(n) ((n) == 12u ? s4 : OPERAND_4(n))
#define STEP(k)                                                                 \
    result(STEP_##k, OPERAND_##k(STEP_##k >> 8 & 31u), OPERAND_##k(STEP_##k >> 13 & 31u), \
           OPERAND_##k(STEP_##k >> 18 & 31u), p##k, q##k)
#define NUMBERS(k) const float p##k = pc.p[k], q##k = pc.q[k];
#define OUTPUT(n) ((n) == 13u ? s5 : (n) == 12u ? s4 : (n) == 11u ? s3 : (n) == 10u ? s2 \
                 : (n) == 9u ? s1 : s0)

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    vec4 v0 = FOUR(0), v1 = FOUR(1), v2 = FOUR(2), v3 = FOUR(3), v4 = FOUR(4), v5 = FOUR(5);
    vec4 u = vec4(0.0), w = vec4(0.0);
    NUMBERS(0) NUMBERS(1) NUMBERS(2) NUMBERS(3) NUMBERS(4) NUMBERS(5)
    // One place calls each step: the rows are turned from element to element.
    for (uint k = 0; k < 4; k++) {
        const float s0 = STEP(0);
        const float s1 = STEP(1);
        const float s2 = STEP(2);
        const float s3 = STEP(3);
        const float s4 = STEP(4);
        const float s5 = STEP(5);
        u = vec4(u.yzw, OUTPUT(OUTS & 31u));
        if (OUTS >> 5 != 0u) w = vec4(w.yzw, OUTPUT(OUTS >> 5));
        v0 = v0.yzwx;
        v1 = v1.yzwx;
        v2 = v2.yzwx;
        v3 = v3.yzwx;
        v4 = v4.yzwx;
        v5 = v5.yzwx;
    }
    if (WIDE) {
        y0_wide[i / 4] = u;
        if (OUTS >> 5 != 0u) y1_wide[i / 4] = w;
        return;
    }
    for (uint k = 0; k < 4 && i + k < pc.count; k++) {
        y0[i + k] = u.x;
        if (OUTS >> 5 != 0u) y1[i + k] = w.x;
        u = u.yzwx;
        w = w.yzwx;
    }
}
