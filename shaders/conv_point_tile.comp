#version 450
#extension GL_GOOGLE_include_directive : require
// A convolution with a kernel of one tap on GPUs, a tile by a workgroup.
// Bindings: gemm.glsl. Spec constants and grid: gemm_tile.glsl.
#define ACTS
#include "common.glsl"
#include "abi/gemm.h"
#include "conv_point.glsl"
#include "gemm_tile.glsl"
