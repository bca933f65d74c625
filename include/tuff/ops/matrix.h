#ifndef TUFF_FAMILY_MATRIX_H
#define TUFF_FAMILY_MATRIX_H
#include <tuff/tensor.h>
// Products of matrices, and rows picked out of them.
// What <tuff/ops.h> says of all ops holds for these.

// An activation fused behind a matmul or a convolution.
typedef enum tuff_act {
    TUFF_ACT_NONE,
    TUFF_ACT_RELU,
    TUFF_ACT_SIGMOID,
    TUFF_ACT_TANH
} tuff_act;

typedef struct tuff_matmul_params {
    bool trans_a; // a is [..., K, M]
    bool trans_b; // b is [..., N, K]
    int act;      // tuff_act, applied last
    bool fast;    // f16 operands may be multiplied and summed in f16, 16 products at a time:
                  // within 4e-3 of (|y| + rms(y)), and infinite where such a sum is past 65504;
                  // f32 operands may be rounded to f16, within 2e-3, and are infinite there
                  // past 65504
} tuff_matmul_params;

// y = act(a b + bias + residual), a [..., M, K], b [..., K, N], y [..., M, N].
// Leading dims are batches and broadcast; a vector is a matrix of one row on the left and of
// one column on the right, and y goes without that dim (ONNX MatMul; numpy.matmul). bias (along
// y's last dim) and residual (y's shape) may be NULL. residual may be y itself.
TUFF_API TUFF_CHECK tuff_status tuff_matmul(tuff_stream *s, const tuff_tensor *a,
                                            const tuff_tensor *b, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_matmul_params *p);

typedef struct tuff_gemm_params {
    bool trans_a;      // a is [K, M]
    bool trans_b;      // b is [N, K]
    float alpha, beta; // 0 = 1
    bool fast;         // as matmul's
} tuff_gemm_params;
// y [M, N] = alpha a b + beta c, a [M, K], b [K, N]; c [M, N], or dims of it that are repeated,
// or NULL (ONNX Gemm).
TUFF_API TUFF_CHECK tuff_status tuff_general_matmul(tuff_stream *s, const tuff_tensor *a,
                                                    const tuff_tensor *b,
                                                    const tuff_tensor *c, tuff_tensor *y,
                                                    const tuff_gemm_params *p);

// y[i, j] = a[i] b[j], a [M], b [N] (torch.outer).
TUFF_API TUFF_CHECK tuff_status tuff_outer(tuff_stream *s, const tuff_tensor *a,
                                           const tuff_tensor *b, tuff_tensor *y);
#endif
