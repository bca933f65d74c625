#ifndef TUFF_FAMILY_MOVE_H
#define TUFF_FAMILY_MOVE_H
#include <tuff/tensor.h>
// The same elements at other places. f32, i32 and u32; gradients of f32 alone.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_transpose_params {
    int perm[TUFF_MAX_DIMS]; // y's dim i is x's dim perm[i] (ONNX); all zero = reversed
} tuff_transpose_params;
// y = x with its dims in another order (ONNX Transpose).
TUFF_API TUFF_CHECK tuff_status tuff_transpose(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y,
                                               const tuff_transpose_params *p);

typedef struct tuff_reshape_params {
    int shape[TUFF_MAX_DIMS]; // ONNX: -1 once = what is left, 0 = x's dim there
    int rank;                 // dims of y; 0 = up to the last in shape that is not 0, and one
                              // dim of all elements when there is none
} tuff_reshape_params;
// The same elements in the same order (a copy; tuff_tensor_view shares instead).
TUFF_API TUFF_CHECK tuff_status tuff_reshape(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_reshape_params *p);

typedef struct tuff_squeeze_params {
    uint32_t axes; // squeeze: dims of x, 0 = all dims of 1; unsqueeze: dims of y, 0 = the last
} tuff_squeeze_params;
// y = x without dims of 1 / with dims of 1 in addition (ONNX Squeeze, Unsqueeze; a copy).
TUFF_API TUFF_CHECK tuff_status tuff_squeeze(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_squeeze_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_unsqueeze(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y, const tuff_squeeze_params *p);

typedef struct tuff_flatten_params {
    int inner; // the last dims of x that make y's columns; 0 = all but the first
} tuff_flatten_params;
// y = x as a matrix (ONNX Flatten; a copy).
TUFF_API TUFF_CHECK tuff_status tuff_flatten(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_flatten_params *p);
// y = x (ONNX Identity; a copy).
TUFF_API TUFF_CHECK tuff_status tuff_identity(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y);

typedef struct tuff_expand_params {
    int shape[TUFF_MAX_DIMS]; // where no tensor tells: as far as it is not 0 (ONNX: either of
                              // x and the shape is repeated where it has 1)
} tuff_expand_params;
// x repeated along dims of 1, and along new outer dims, to y's shape (ONNX Expand).
TUFF_API TUFF_CHECK tuff_status tuff_expand(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y);

typedef struct tuff_tile_params {
    int repeats[TUFF_MAX_DIMS]; // one per dim from the outermost; 0 = 1
} tuff_tile_params;
// y = x repeated along each dim (ONNX Tile).
TUFF_API TUFF_CHECK tuff_status tuff_tile(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_tile_params *p);

// Lists below belong to all dims, from the outermost, or to those of `axes`: each entry is 1 +
// a dim counted from the innermost, and 0 ends the list.

typedef struct tuff_slice_params {
    int starts[TUFF_MAX_DIMS]; // negative: from the end
    int ends[TUFF_MAX_DIMS];   // exclusive; negative: from the end. 0 = to the end; with a
                               // negative step it is 0, and less than -dim is before element 0
    int steps[TUFF_MAX_DIMS];  // 0 = 1; negative: backwards
    int size[TUFF_MAX_DIMS];   // slice_grad: dims of dx
    int axes[TUFF_MAX_DIMS];   // of starts, ends and steps
} tuff_slice_params;
// y = x[starts : ends : steps] along each dim (ONNX Slice). Nothing left of a dim is refused.
TUFF_API TUFF_CHECK tuff_status tuff_slice(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y, const tuff_slice_params *p);
// dx: dy at the places that slice reads, 0 elsewhere.
TUFF_API TUFF_CHECK tuff_status tuff_slice_grad(tuff_stream *s, const tuff_tensor *dy,
                                                tuff_tensor *dx, const tuff_slice_params *p);

typedef enum tuff_pad_mode { // x = a b c, two elements on either side
    TUFF_PAD_CONSTANT,       // . . a b c . .
    TUFF_PAD_REFLECT,        // c b a b c b a
    TUFF_PAD_EDGE,           // a a a b c c c
    TUFF_PAD_WRAP            // b c a b c a b
} tuff_pad_mode;
typedef struct tuff_pad_params {
    int pads[2 * TUFF_MAX_DIMS]; // of n dims: n numbers of elements before, n behind (ONNX);
                                 // negative: cut off
    float value;                 // of TUFF_PAD_CONSTANT
    int mode;                    // tuff_pad_mode
    int axes[TUFF_MAX_DIMS];     // of pads
} tuff_pad_params;
// y = x with elements added before and behind its dims, or cut off (ONNX Pad; numpy.pad, whose
// reflection goes on to and fro where it is longer than x).
TUFF_API TUFF_CHECK tuff_status tuff_pad(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                         const tuff_pad_params *p);
// dx: for each element of x the sum of dy over those that pad made of it.
TUFF_API TUFF_CHECK tuff_status tuff_pad_grad(tuff_stream *s, const tuff_tensor *dy,
                                              tuff_tensor *dx, const tuff_pad_params *p);

typedef struct tuff_roll_params {
    int shifts[TUFF_MAX_DIMS];
    int axes[TUFF_MAX_DIMS]; // of shifts; without any: all (PyTorch rolls a flat x then)
} tuff_roll_params;
// y[(i + shift) mod n] = x[i] along each dim (torch.roll).
TUFF_API TUFF_CHECK tuff_status tuff_roll(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_roll_params *p);

typedef struct tuff_flip_params {
    uint32_t axes; // 0 = all
} tuff_flip_params;
// y = x with its elements in the opposite order along some dims (torch.flip).
TUFF_API TUFF_CHECK tuff_status tuff_flip(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_flip_params *p);

typedef struct tuff_trilu_params {
    int lower; // 1: columns up to row + k; 0: those from there on
    int k;
} tuff_trilu_params;
// y = a triangle of the last two dims of x, 0 elsewhere (ONNX Trilu).
TUFF_API TUFF_CHECK tuff_status tuff_trilu(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y, const tuff_trilu_params *p);

typedef struct tuff_concat_params {
    int axis; // counted from the innermost
} tuff_concat_params;
// y = x[0], x[1], ... one after the other along `axis`; 1 <= count <= 10 (ONNX Concat).
TUFF_API TUFF_CHECK tuff_status tuff_concat(tuff_stream *s, const tuff_tensor *const x[],
                                            int count, tuff_tensor *y,
                                            const tuff_concat_params *p);

typedef struct tuff_split_params {
    int axis;                // counted from the innermost
    int split[8];            // sizes of the parts, as far as they are not 0
    int num_outputs;         // without sizes: equal parts, the last may be smaller; 0 = 2
} tuff_split_params;
// y[0], y[1], ... = the parts of x along `axis`; 1 <= count <= 8 (ONNX Split).
TUFF_API TUFF_CHECK tuff_status tuff_split_parts(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *const y[], int count,
                                                 const tuff_split_params *p);

typedef struct tuff_block_params {
    int blocksize; // 0 = 2
    int mode;      // 0 = DCR: a channel's outer part is the place in the block; 1 = CRD: its
                   // inner part is (torch.nn.PixelShuffle)
} tuff_block_params;
// x [N, C b^2, H, W], y [N, C, H b, W b] (ONNX DepthToSpace), and back (ONNX SpaceToDepth,
// which has DCR alone).
TUFF_API TUFF_CHECK tuff_status tuff_depth_to_space(tuff_stream *s, const tuff_tensor *x,
                                                    tuff_tensor *y,
                                                    const tuff_block_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_space_to_depth(tuff_stream *s, const tuff_tensor *x,
                                                    tuff_tensor *y,
                                                    const tuff_block_params *p);
typedef struct tuff_im2col_params {
    int kernel[2];   // rows, columns; 0 = 2
    int stride[2];   // 0 = 1
    int pad[4];      // top, left, bottom, right: zeros
    int dilation[2]; // 0 = 1
    int size[2];     // col2im: H, W of y
} tuff_im2col_params;
// x [N, C, H, W], y [N, C kh kw, OH OW]: each column is a window (torch.nn.Unfold).
TUFF_API TUFF_CHECK tuff_status tuff_im2col(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_im2col_params *p);
// x [N, C kh kw, OH OW], y [N, C, H, W]: the sums of the columns' elements at the places that
// im2col would read them from (ONNX Col2Im of images; torch.nn.Fold).
TUFF_API TUFF_CHECK tuff_status tuff_col2im(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_im2col_params *p);

// ---- rows by their indices -----------------------------------------------------------------
// Indices are i32 or i64. A negative one counts from the end; one that names nothing reads as
// zeros, and what it would write is dropped, on every device alike.

typedef struct tuff_gather_params {
    int axis;                // gather, gather_elements; counted from the innermost
    int batch_dims;          // gather_nd: leading dims that x and indices share
    int size[TUFF_MAX_DIMS]; // gradients: dims of dx
} tuff_gather_params;
// y = x with `axis` replaced by the dims of indices: y[.., j.., ..] = x[.., indices[j..], ..]
// (ONNX Gather; torch.nn.Embedding is x [V, D], axis 1).
TUFF_API TUFF_CHECK tuff_status tuff_gather(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *indices, tuff_tensor *y,
                                            const tuff_gather_params *p);
// indices [B.., J.., K] name slices x[b.., i0, .., iK-1], y [B.., J.., ..] (ONNX GatherND).
TUFF_API TUFF_CHECK tuff_status tuff_gather_nd(tuff_stream *s, const tuff_tensor *x,
                                               const tuff_tensor *indices, tuff_tensor *y,
                                               const tuff_gather_params *p);
// y has the shape of indices, each of which names an element of x along `axis`, at the same
// place of the other dims (ONNX GatherElements; torch.gather).
TUFF_API TUFF_CHECK tuff_status tuff_gather_elements(tuff_stream *s, const tuff_tensor *x,
                                                     const tuff_tensor *indices,
                                                     tuff_tensor *y,
                                                     const tuff_gather_params *p);
// dx: the sums of dy over the indices that name each row, in their order: the same bits every
// time, however many there are for one row.
TUFF_API TUFF_CHECK tuff_status tuff_gather_grad(tuff_stream *s, const tuff_tensor *dy,
                                                 const tuff_tensor *indices, tuff_tensor *dx,
                                                 const tuff_gather_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_gather_nd_grad(tuff_stream *s, const tuff_tensor *dy,
                                                    const tuff_tensor *indices,
                                                    tuff_tensor *dx,
                                                    const tuff_gather_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_gather_elements_grad(tuff_stream *s,
                                                          const tuff_tensor *dy,
                                                          const tuff_tensor *indices,
                                                          tuff_tensor *dx,
                                                          const tuff_gather_params *p);

typedef enum tuff_reduction { // what becomes of an element that updates name
    TUFF_REDUCTION_NONE,      // the last update
    TUFF_REDUCTION_ADD,
    TUFF_REDUCTION_MUL,
    TUFF_REDUCTION_MAX,
    TUFF_REDUCTION_MIN
} tuff_reduction;
typedef struct tuff_scatter_params {
    int axis;      // scatter_elements; counted from the innermost
    int reduction; // tuff_reduction
} tuff_scatter_params;
// y = x with updates at the places that tuff_gather_elements / tuff_gather_nd would read
// (ONNX ScatterElements, ScatterND). With TUFF_REDUCTION_NONE an update that was
// written over has no gradient; that of TUFF_REDUCTION_MUL takes it that nothing is 0.
TUFF_API TUFF_CHECK tuff_status tuff_scatter_elements(tuff_stream *s, const tuff_tensor *x,
                                                      const tuff_tensor *indices,
                                                      const tuff_tensor *updates,
                                                      tuff_tensor *y,
                                                      const tuff_scatter_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_scatter_nd(tuff_stream *s, const tuff_tensor *x,
                                                const tuff_tensor *indices,
                                                const tuff_tensor *updates, tuff_tensor *y,
                                                const tuff_scatter_params *p);

typedef struct tuff_one_hot_params {
    int axis;  // of y, counted from the innermost
    int depth; // y's size along it; 0 = 2
} tuff_one_hot_params;
// y = values[1] where the place along `axis` is the index, else values[0]; without values 1 and
// 0 (ONNX OneHot). An index that names nothing is off everywhere.
TUFF_API TUFF_CHECK tuff_status tuff_one_hot(tuff_stream *s, const tuff_tensor *indices,
                                             const tuff_tensor *values, tuff_tensor *y,
                                             const tuff_one_hot_params *p);
#endif
