#version 450
#extension GL_GOOGLE_include_directive : require
// A convolution or its input gradient, one output per invocation.
// Bindings: gemm.glsl. Spec constants and grid: gemm_plain.glsl.
#include "common.glsl"
#include "abi/gemm.h"
#include "conv.glsl"
#include "gemm_plain.glsl"
