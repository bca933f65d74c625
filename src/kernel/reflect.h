// What a SPIR-V module says of itself: bindings, workgroup size, what it needs. Pure.
#ifndef TUFF_KERNEL_REFLECT_H
#define TUFF_KERNEL_REFLECT_H
#include "device/backend.h"

typedef enum tuff_reflect_kind {
    TUFF_REFLECT_NONE,        // no variable there
    TUFF_REFLECT_STORAGE,
    TUFF_REFLECT_TEXEL_F32,   // samplerBuffer
    TUFF_REFLECT_TEXEL_U32,   // usamplerBuffer
    TUFF_REFLECT_TEXEL_I32,   // isamplerBuffer, for which there is no view
    TUFF_REFLECT_OTHER        // a uniform block, an image, ...
} tuff_reflect_kind;

typedef struct tuff_reflect {
    tuff_reflect_kind binding[TUFF_MAX_BINDINGS];
    int beyond;         // a binding number that is too large; -1: none
    bool other_set;     // a variable is in a set other than 0
    bool sized_by_spec; // the workgroup's size is a specialization constant
    uint32_t group[3];  // else it is this
    bool subgroup_basic, subgroup_arithmetic, subgroup_shuffle; // needed
    int capability;     // one that not every device has; -1: none
} tuff_reflect;

// Fails: TUFF_ERR_FORMAT (no SPIR-V, or one that is cut; no compute shader "main").
tuff_status tuff_reflect_spirv(const uint32_t *words, size_t bytes, tuff_reflect *r);
// "Int64" for capability 11, or "?".
const char *tuff_capability_name(int capability);
#endif
