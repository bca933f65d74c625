// GLSL to SPIR-V at run time: glslang, then the validator and the optimizer of SPIRV-Tools.
#ifndef TUFF_GLSL_COMPILE_H
#define TUFF_GLSL_COMPILE_H
#include "base/status.h"

bool tuff_compiler_there(void);
// *words is freed by the caller (tuff_free). `file` is what errors call the source.
// Fails: TUFF_ERR_FORMAT ("file:4: 'floot' : undeclared identifier"), TUFF_ERR_UNSUPPORTED
// (this build has no compiler), TUFF_ERR_MEMORY.
tuff_status tuff_compile_glsl(const char *file, const char *source, uint32_t **words,
                              size_t *bytes);
// Whether SPIR-V is valid for Vulkan 1.1; without the validator in this build, all passes.
// Fails: TUFF_ERR_FORMAT.
tuff_status tuff_validate_spirv(const uint32_t *words, size_t bytes);
#endif
