#version 450
#extension GL_GOOGLE_include_directive : require
// The weight gradient of a convolution, one output per invocation.
// Bindings: gemm.glsl. Spec constants and grid: gemm_plain.glsl.
#include "common.glsl"
#include "abi/gemm.h"
#include "conv_dw.glsl"
#include "gemm_plain.glsl"
