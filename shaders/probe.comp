#version 450
#extension GL_GOOGLE_include_directive : require
// The most multiply-adds a device makes: eight sums an invocation, none of which waits for
// another, in registers alone. A round is STEPS of them for each sum.
//
// f32; -DHALF: pairs of f16; -DINT: 32-bit whole numbers; -DDOT: four i8 a word, whose products
// one instruction adds up.
//
//   binding 0       y u32[1]            never written (see abi/probe.h)
//   constant_id 0   invocations of a workgroup
//   constant_id 1   1: fma(), which one driver has as an instruction and another calls;
//                   0: a * m + c
//   grid            any
// The factors come at run time, and each sum begins with another number, so that nothing can
// be computed before or shared.
#include "common.glsl"
#include "abi/probe.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint FUSED = 0;
layout(push_constant) uniform Push { tuff_probe_pc pc; };
layout(binding = 0) writeonly buffer Y { uint y[]; };

#if defined(HALF)
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define T f16vec2
#define FACTORS T m = T(pc.m), c = T(pc.c)
#define STEP(a, next) a = FUSED == 1 ? fma(a, m, c) : a * m + c
#define RESULT(s) float(s.x + s.y)
#elif defined(INT)
#define T uint
#define FACTORS uint m = pc.whole
#define STEP(a, next) a = a * m + next
#define RESULT(s) float(s)
#elif defined(DOT)
#extension GL_EXT_spirv_intrinsics : require
// OpSDot, as in qgemm_tile.comp.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019],
                  id = 4450)
int dot_4x8(uint a, uint b, spirv_literal int packed_format);
#define T uint
#define FACTORS uint m = pc.whole
#define STEP(a, next) a = uint(dot_4x8(a, m, 0)) + next
#define RESULT(s) float(s)
#else
#define T float
#define FACTORS float m = pc.m, c = pc.c
#define STEP(a, next) a = FUSED == 1 ? fma(a, m, c) : a * m + c
#define RESULT(s) s
#endif

#define ONE                                                                     \
    STEP(a0, a1); STEP(a1, a2); STEP(a2, a3); STEP(a3, a4);                      \
    STEP(a4, a5); STEP(a5, a6); STEP(a6, a7); STEP(a7, a0);
#define FOUR ONE ONE ONE ONE

void main()
{
    const uint i = gl_GlobalInvocationID.x & 63u;
    T a0 = T(i), a1 = T(i + 1u), a2 = T(i + 2u), a3 = T(i + 3u);
    T a4 = T(i + 4u), a5 = T(i + 5u), a6 = T(i + 6u), a7 = T(i + 7u);
    FACTORS;
    for (uint r = 0; r < pc.rounds; r++) {
        FOUR FOUR FOUR FOUR
    }
    const T s = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7;
    if (RESULT(s) == pc.never) y[0] = i;
}
