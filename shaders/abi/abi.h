// Lets one struct be read by C and by GLSL: `uint` and 4-byte members only, so that the
// layouts agree without padding.
#ifndef TUFF_ABI_H
#define TUFF_ABI_H
#ifndef GL_core_profile
#include <stdint.h>
#define uint uint32_t
#endif
#endif
