// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// Types of elements, as cast.comp's constants FROM and TO.
#define TUFF_CAST_F32  0
#define TUFF_CAST_F16  1
#define TUFF_CAST_BF16 2
#define TUFF_CAST_I32  3
#define TUFF_CAST_U32  4
#define TUFF_CAST_I8   5
#define TUFF_CAST_U8   6
#define TUFF_CAST_BOOL 7
#define TUFF_CAST_I64  8

struct tuff_cast_pc {
    uint count; // elements
};
