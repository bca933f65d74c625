#version 450
#extension GL_GOOGLE_include_directive : require
// matmul on GPUs with cooperative matrices, a tile by a workgroup.
// Bindings: gemm.glsl. Spec constants and grid: gemm_coop.glsl.
#include "coop.glsl"
#include "common.glsl"
#include "abi/gemm.h"
#include "matmul.glsl"
#include "gemm_coop.glsl"
