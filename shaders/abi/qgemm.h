// Read by the C compiler and by glslang: the only description of these layouts. The kernels are
// those of src/ops/qgemm.h.
#include "divide.h"

// LAYOUT of qpack.comp: where element k of a row lies.
#define TUFF_QPACK_STRIDED    0
#define TUFF_QPACK_CONTIGUOUS 1 // k_step is 1
#define TUFF_QPACK_CONV       2 // rows are pixels written, k runs over channels, then taps

// Bytes are numbers (byte ^ sign) - sign: sign is 0x80 for i8 and 0 for u8. `zeros` zero points
// of the same type: none, one, or one a row (a column).
struct tuff_qpack_pc {
    uint rows, first;        // rows to pack, from row `first` on
    uint k;
    uint row_step, k_step;   // of a matrix, in elements
    uint sign, zeros;
    uint from_c, from_h, from_w, stride_y, stride_x; // of a convolution
    int pad_y, pad_x;
    uint dilation_y, dilation_x;
    tuff_divide quads;       // words of 4 elements in a row
    tuff_divide plane, to_w; // pixels written, and those of a line
    tuff_divide taps, kw;
};

// A product of packed operands. Element (row, col) of y lies at
// col / plane * image_step + row * plane + col % plane.
struct tuff_qgemm_pc {
    uint m, n;        // rows, columns of this launch
    uint quads;
    uint first;       // its first column
    uint plane, image_step;
    uint left_sign, left_zeros, right_sign, right_zeros; // tile: as above
};

#define TUFF_QMATMUL_DIMS 6
// qgemm_plain.comp: the product of two matrices as they are.
struct tuff_qmatmul_pc {
    uint m, n, k;
    uint a_m, a_k, b_k, b_n; // distances of neighbours, in elements
    uint count, splits, k_step;
    uint signs;              // that of a, and that of b in the next byte
    uint a_zeros, b_zeros;
    uint dim[TUFF_QMATMUL_DIMS], a_step[TUFF_QMATMUL_DIMS], b_step[TUFF_QMATMUL_DIMS];
};

// qgemm_plain.comp built for convolutions: a is w, b is x.
struct tuff_qconv_pc {
    uint k, og, cg; // of a group
    uint from_c, from_h, from_w, to_c, to_h, to_w, kh, kw;
    uint stride_y, stride_x;
    int pad_y, pad_x;
    uint dilation_y, dilation_x;
    uint count, splits, k_step;
    uint signs, a_zeros, b_zeros;
};

// qslide.comp, qslide_pack.comp
struct tuff_qslide_pc {
    uint m, rows, chs, kh;     // outputs, those of a tile; channels; rows of a kernel
    uint from_h, from_w, to_h, to_w, quads; // quads: fours of a row of y
    uint first, count;         // image; fours of this launch
    uint words;                // of x
    uint stride_y;
    int pad_y, pad_x;
    uint x_sign, x_zeros;
    int low, high;             // of the type of y
    uint relu, y_sign;
};

// qrows.comp, qrows_pack.comp
struct tuff_qrows_pc {
    uint m, n, k, quads;       // rows, outputs, products of a sum, and fours of them
    uint words;                // of x
    uint x_sign, x_zeros, w_sign, w_zeros;
    uint y_sign;
    int low, high;
    uint relu;
};

// qslide_pack.comp: weights, and what becomes of sums.
struct tuff_qslide_pack_pc {
    uint m, rows, lines, kw;   // lines: rows of kernels of an output
    uint count;
    uint sign, zeros;
    uint scales, has_bias, bytes;
};

// requant.comp, qgemm_coop.comp
struct tuff_requant_pc {
    uint count, splits;
    int low, high;          // of the type of y; low is never below the zero point with `relu`
    uint relu;
    uint zero_sign;
    uint left_scales, right_scales; // one, or one a row / a column
    uint has_bias;
    tuff_divide row_step, rows, cols;
};

#ifndef GL_core_profile
typedef struct tuff_qgemm_pc tuff_qgemm_pc;
typedef struct tuff_requant_pc tuff_requant_pc;
#endif

// qgemm_coop.comp
struct tuff_qcoop_pc {
    tuff_qgemm_pc g;
    tuff_requant_pc r;
};
