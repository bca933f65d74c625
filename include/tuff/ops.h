#ifndef TUFF_OPS_H
#define TUFF_OPS_H
#include <tuff/ops/block.h>
#include <tuff/ops/conv.h>
#include <tuff/ops/elementwise.h>
#include <tuff/ops/fill.h>
#include <tuff/ops/loss.h>
#include <tuff/ops/matrix.h>
#include <tuff/ops/move.h>
#include <tuff/ops/norm.h>
#include <tuff/ops/optimizer.h>
#include <tuff/ops/pool.h>
#include <tuff/ops/quant.h>
#include <tuff/ops/reduce.h>
#include <tuff/ops/sequence.h>
#include <tuff/ops/sparse.h>
// Every operation the library has, by family in <tuff/ops/...>. One call records one op on a
// stream.
//
//   Shapes   [outer, ..., inner], row-major. `...` is any number of leading dims. Images are
//            N C H W. Letters as in the field: x y dy dx w; M N K; N C H W.
//   Axes     counted from the innermost: 0 = last. Sets of axes are bit masks so counted.
//   Params   a zeroed struct is valid and is the default; NULL means zeroed.
//   Owning   the caller owns tensors; a stream keeps what it uses until it is done.
//   Aliasing an output is distinct from every input unless its comment says otherwise.
//   Errors   on failure nothing is recorded and no output is touched; tuff_last_error() names
//            the op, what was expected and what was given. Every op fails with
//            TUFF_ERR_SHAPE, TUFF_ERR_DTYPE or TUFF_ERR_ARG when its inputs do not fit,
//            TUFF_ERR_MEMORY, and TUFF_ERR_UNSUPPORTED when no kernel runs on the device.
//   Sums     in f32 on a GPU, in f64 on the CPU path.
//   Threads  a stream belongs to one thread at a time; streams are independent.

// ---- by name -------------------------------------------------------------------------------

// Any op by its name, as the functions above call it: absent inputs are NULL.
TUFF_API TUFF_CHECK tuff_status tuff_op_run(tuff_stream *s, const char *op,
                                            const tuff_tensor *const in[], int nin,
                                            tuff_tensor *const out[], int nout,
                                            const void *params);

// Any op by its name with its attributes as text, "key=value" in ONNX's names and with
// ONNX's axes; creates the outputs, which the caller destroys. *nout receives their number
// (at most 8). For ops without inputs (fill, random_uniform) `shape` is the output's
// description; otherwise it may be NULL.
// Fails: TUFF_ERR_FORMAT (an attribute; the sentence lists what there is), and as the op.
TUFF_API TUFF_CHECK tuff_status tuff_op_apply(tuff_stream *s, const char *op,
                                              const tuff_tensor *const in[], int nin,
                                              const char *const attributes[], int count,
                                              const tuff_desc *shape, tuff_tensor *out[8],
                                              int *nout);

// One node of an ONNX graph: an operator of ONNX by its op_type, with attributes as text in
// ONNX's names ("axes=[0,1]", "mode=linear"). Inputs that ONNX has where this library has
// attributes (ReduceSum's axes, Reshape's shape) are given as tensors, and read back. `opset`
// is the version of ONNX's operators that the node was written for, 1 to TUFF_ONNX_LATEST; 0
// means TUFF_ONNX_OPSET. Outputs as in tuff_op_apply, those that ONNX has in i64 are i64.
// *nout holds how many outputs the node has, or 0 (Split needs to know), and receives how many
// were made.
// Fails: TUFF_ERR_UNSUPPORTED (no op does that), and as tuff_op_apply.
#define TUFF_ONNX_OPSET 22
#define TUFF_ONNX_LATEST 24
TUFF_API TUFF_CHECK tuff_status tuff_onnx_apply(tuff_stream *s, const char *op_type, int opset,
                                                const tuff_tensor *const in[], int nin,
                                                const char *const attributes[], int count,
                                                const tuff_desc *shape, tuff_tensor *out[8],
                                                int *nout);
// Whether an op does what ONNX's operator does.
TUFF_API bool tuff_onnx_has(const char *op_type);

// What there is to know of an op, for help texts: NULL past the last.
typedef struct tuff_op_info {
    const char *name, *doc, *onnx; // onnx: NULL when ONNX has none
    int inputs, outputs;
    const char *input[10], *output[8];
    uint32_t input_dtypes[10];      // sets of tuff_dtype
    bool optional[10];             // inputs that may be left out
    const char *attribute[24];     // ONNX's name where it differs
    const char *attribute_type[24]; // "int", "list of int", "real", "axis", ...
    const char *const *choices[24]; // of an attribute that is one of some words, else NULL
    int attributes;
    const char *variant[16];       // kernels, best first; the last runs everywhere
    int variants;
    const char *host[4];           // the CPU path's own, best first; then its reference
    int hosts;
    bool gradient;                 // it is differentiable
    float tolerance;               // of f32: |got - want| <= tolerance (|want| + rms(want));
                                   // 0: the same bits
} tuff_op_info;
// False when index is past the last op.
TUFF_API bool tuff_op_get_info(int index, tuff_op_info *info);
#endif
