#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef HALF // products and sums of f16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
// The weight gradient of a convolution on GPUs, a tile by a workgroup.
// Bindings: gemm.glsl. Spec constants and grid: gemm_tile.glsl.
#define ACTS
#include "common.glsl"
#include "abi/gemm.h"
#include "conv_dw.glsl"
#include "gemm_tile.glsl"
