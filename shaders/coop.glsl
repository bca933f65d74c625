// What every product by cooperative matrices begins with (gemm_coop.glsl): f16 factors, with
// -DBF16 bf16.
//
//   spec 8  FROM_F32  a, b, y, bias and residual are f32 in memory, and rounded when read
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#ifdef BF16
#extension GL_EXT_bfloat16 : require
#endif
#ifdef PER_ELEMENT // what the second version has
#extension GL_NV_cooperative_matrix2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int32 : require
#endif
#define COOP
#define ACTS
layout(constant_id = 8) const bool FROM_F32 = false;
