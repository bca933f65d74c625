// Compiled GLSL that is kept in the cache folder, so that the next process need not compile it.
#ifndef TUFF_GLSL_KEPT_H
#define TUFF_GLSL_KEPT_H
#include "base/status.h"

// As tuff_compile_glsl, and the SPIR-V is valid: from the file that an earlier call left, or
// compiled, and then left there. A file that is damaged, or of other source, is ignored and
// replaced; where none can be written, it is compiled each time.
tuff_status tuff_compile_kept(const char *file, const char *source, uint32_t **words,
                              size_t *bytes);
#endif
