// What the kernels of matmul and the convolutions share (src/ops/gemm.h).
#ifndef TUFF_ABI_GEMM_H
#define TUFF_ABI_GEMM_H
#include "abi.h"

struct tuff_gemm {
    uint m, n, k;  // rows, columns, products of one sum
    uint batches;  // independent products
    uint count;    // elements of y: m * n * batches
    uint splits;   // parts of the sum, written at distances of `count`
    uint k_step;   // products in one part; the last may be shorter
    uint after;    // TUFF_AFTER bits, and the tuff_act in the lowest two
};
#ifndef GL_core_profile
typedef struct tuff_gemm tuff_gemm;
#endif
#define TUFF_AFTER_ACT      3u
#define TUFF_AFTER_BIAS     4u
#define TUFF_AFTER_RESIDUAL 8u
#define TUFF_AFTER_MATRIX_B 16u // of matvec.glsl
#define TUFF_AFTER_16 32u // of gemm_coop.glsl: y has 16 bits an element

// gemm_sum.comp: y[i] = act(alpha (sum of parts[i + j * count]) + beta (bias + residual)).
struct tuff_gemm_sum_pc {
    uint count, splits, after;
    uint bias_step, bias_n; // element i takes bias[i / bias_step % bias_n]
    float alpha, beta;
};

// The place that pixel p written reads for kernel tap t is p * mul + off + t * step along each
// dim, where it is a multiple of div; that multiple is the pixel read, when it is inside. The
// dims are x (columns), y (rows) and z (slices).
struct tuff_conv_pc {
    tuff_gemm g;                   // m: channels written in a group, n: images * pixels
    uint from_x, from_y, from_z;   // the tensor read; its channels: g.k / taps in a group
    uint to_x, to_y, to_z;         // the tensor written
    uint k_x, k_y, k_z;            // the kernel
    int mul_x, mul_y, mul_z, off_x, off_y, off_z;
    int step_x, step_y, step_z, div_x, div_y, div_z;
    uint w_row, w_ch;              // distances in w of channels written and channels read
};

// The same where the kernel is one tap, without strides and pads; and the products of a
// Winograd convolution, one a group.
struct tuff_point_pc {
    tuff_gemm g;
    uint plane;       // pixels of an image
    uint w_row, w_ch;
};

struct tuff_conv_dw_pc {
    tuff_gemm g;                // m: channels of dy in a group, n: channels of x in it * taps
    uint from_x, from_y, from_z; // x
    uint to_x, to_y, to_z;       // dy
    uint k_x, k_y, k_z;
    int mul_x, mul_y, mul_z, off_x, off_y, off_z, step_x, step_y, step_z;
};

// gemm_packed.comp: element (row, col) of y lies at
// col / plane * image_step + row * plane + col % plane.
struct tuff_packed_pc {
    tuff_gemm g;
    uint plane, image_step;
    uint bias_col; // 1: the bias runs along the columns, 0: along the rows
};

// How matmul_wide.comp reads an operand.
#define TUFF_WIDE_SINGLE  0u // one by one
#define TUFF_WIDE_ALONG_K 1u // four products that lie side by side
#define TUFF_WIDE_ACROSS  2u // four rows, or columns, that do

// pack.comp and pack_wide.comp
#define TUFF_PACK_PIECE 32u // vec4s of a row that an invocation of the latter takes
struct tuff_pack_pc {
    uint rows, k;
    uint row_step, outer_step, inner_step, inner;
};

// Elements of matvec_group.comp's operands.
#define TUFF_ELEMENT_F32  0u
#define TUFF_ELEMENT_F16  1u
#define TUFF_ELEMENT_BF16 2u
#define TUFF_MATMUL_DIMS 6
// Leading dims that broadcast alike are merged, the innermost is last.
struct tuff_matmul_pc {
    tuff_gemm g;
    uint a_m, a_k, b_k, b_n; // distances of neighbours, in elements
    uint dim[TUFF_MATMUL_DIMS], a_step[TUFF_MATMUL_DIMS], b_step[TUFF_MATMUL_DIMS];
};
#endif
