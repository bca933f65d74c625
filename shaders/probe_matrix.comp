#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#ifdef BF16
#extension GL_EXT_bfloat16 : require
#endif
// The most multiply-adds of a matrix unit: a subgroup's products of [TM, TK] and [TK, TN]
// matrices in registers, added to four sums, none of which waits for another.
//
// f16 to f32; -DBF16: bf16 to f32; -DI8: i8 to i32.
//
//   binding 0       x u32[]             the factors' bits, whatever they are
//   binding 1       y u32[1]            never written (see abi/probe.h)
//   constant_id 0   invocations of a workgroup, subgroups of them
//   constant_id 1 to 3   TM, TN, TK: one of the shapes that the device lists
//   grid            any
// Factors come out of memory, are others for each sum, and one side changes from round to
// round: a compiler that knows of any product what it knows of another would compute it once.
#include "common.glsl"
#include "abi/probe.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TM = 16;
layout(constant_id = 2) const uint TN = 16;
layout(constant_id = 3) const uint TK = 16;
layout(push_constant) uniform Push { tuff_probe_pc pc; };
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 1) writeonly buffer Y { uint y[]; };

#if defined(I8)
#define FACTOR int8_t
#define SUM int
#elif defined(BF16)
#define FACTOR bfloat16_t
#define SUM float
#else
#define FACTOR float16_t
#define SUM float
#endif
#define SUM_MATRIX coopmat<SUM, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>

const uint ROW = 64; // words from row to row, enough for any shape
#define A_MATRIX coopmat<FACTOR, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA>
#define B_MATRIX coopmat<FACTOR, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB>
#ifdef BF16
#define CHANGED(a) A_MATRIX(bfloat16_t(pc.m * float(r & 3u))) // it has no sums of its own
#else
#define CHANGED(a) a + step
#endif

void main()
{
    const SUM first = SUM(pc.m);
    A_MATRIX a0;
    A_MATRIX a1;
    A_MATRIX step;
    B_MATRIX b0;
    B_MATRIX b1;
    coopMatLoad(a0, x, 0, ROW, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(a1, x, 1024, ROW, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(step, x, 2048, ROW, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(b0, x, 3072, ROW, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(b1, x, 4096, ROW, gl_CooperativeMatrixLayoutRowMajor);
    SUM_MATRIX s0 = SUM_MATRIX(first);
    SUM_MATRIX s1 = SUM_MATRIX(first + SUM(1));
    SUM_MATRIX s2 = SUM_MATRIX(first + SUM(2));
    SUM_MATRIX s3 = SUM_MATRIX(first + SUM(3));
    for (uint r = 0; r < pc.rounds; r++) {
        s0 = coopMatMulAdd(a0, b0, s0);
        s1 = coopMatMulAdd(a0, b1, s1);
        s2 = coopMatMulAdd(a1, b0, s2);
        s3 = coopMatMulAdd(a1, b1, s3);
        a0 = CHANGED(a0);
        a1 = CHANGED(a1);
    }
    const SUM_MATRIX s = s0 + s1 + s2 + s3;
    if (float(s[0]) == pc.never) y[0] = gl_GlobalInvocationID.x;
}
