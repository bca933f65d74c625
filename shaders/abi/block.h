// Read by the C compiler and by glslang: the only description of these layouts.
#include "gemm.h"

// Formats of blocks, in the order of tuff_block_format: the constant FORMAT of block*.comp.
#define TUFF_FORMAT_Q4_0    0
#define TUFF_FORMAT_Q4_1    1
#define TUFF_FORMAT_Q5_0    2
#define TUFF_FORMAT_Q5_1    3
#define TUFF_FORMAT_Q8_0    4
#define TUFF_FORMAT_Q2_K    5
#define TUFF_FORMAT_Q3_K    6
#define TUFF_FORMAT_Q4_K    7
#define TUFF_FORMAT_Q5_K    8
#define TUFF_FORMAT_Q6_K    9
#define TUFF_FORMAT_IQ4_NL  10
#define TUFF_FORMAT_NF4     11
#define TUFF_FORMAT_NF4_F16 12

// Blocks that lie one behind the other, whatever rows they belong to.
struct tuff_block_pc {
    uint blocks;
};

// A codebook of that many bits, in those of block*.comp that are built with -DCODEBOOK.
#define TUFF_FORMAT_CODEBOOK 16 // + bits

struct tuff_codebook_pc {
    uint cols, words; // indices and words of a row
    uint count;       // indices in all
    uint span;        // indices of one part, of codebook_grad
    uint parts;
};

struct tuff_unpack_pc {
    uint cols, scales; // numbers of a row, and how many scales there are
    uint count;        // numbers in all
};

struct tuff_codebook_matmul_pc {
    tuff_gemm g;
    uint words; // of a row
};

struct tuff_block_matmul_pc {
    tuff_gemm g;
    uint row_bytes;  // of w
    uint last_texel; // of w, in texels of four words
};
