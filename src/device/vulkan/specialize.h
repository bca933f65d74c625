// Specialization before a driver sees the module: constants get their values, branches that
// they decide lose the ways not taken, and blocks that nothing leads to are dropped.
//
//   %op = OpSpecConstant 0                    %op = OpConstant 3
//   OpSelectionMerge %end                     OpSelectionMerge %end
//   OpSwitch %op %f0 1 %f1 2 %f2 3 %f3  ->    OpSwitch %op %f3
//   %f0 .. %f3, each to %end                  %f3, to %end
//   %y = OpPhi %y0 %f0 .. %y3 %f3             %y = OpPhi %y3 %f3
//
// A compiler for GPUs does the same, and better. One that turns control flow into masks and
// leaves the rest to a code generator runs every function of a family for each element, and
// compiles it: on SwiftShader relu took 400 times as long, among 33 other functions.
//
// SPIRV-Tools' own passes (set-spec-const-default-value, fold-spec-const-op-composite, ccp,
// dead-branch-elim) do the same, but it is a C++ library: a build has it only where kernels are
// given as GLSL at run time, and the library does without.
//
// Done in one pass over the blocks in the order in which they lie, which is fine as long as
// only the way back of a loop leads backwards; modules of another kind are left alone. Pure.
#ifndef TUFF_VULKAN_SPECIALIZE_H
#define TUFF_VULKAN_SPECIALIZE_H
#include "base/status.h"

// `spec[i]` is constant number i. *out receives a module to be freed with tuff_free, or NULL
// where the given one is to be used (with the constants given to the driver). Fails:
// TUFF_ERR_MEMORY.
tuff_status tuff_vk_specialize(const uint32_t *code, size_t words, const uint32_t spec[],
                               int nspec, uint32_t **out, size_t *out_words);
#endif
