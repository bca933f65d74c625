#ifndef TUFF_FAMILY_SPARSE_H
#define TUFF_FAMILY_SPARSE_H
#include <tuff/tensor.h>
// Sparse matrices, and which form a matrix with zeros takes.
// What <tuff/ops.h> says of all ops holds for these.

// ---- products ----------------------------------------------------------------------------
//
// A [M, K] beside a dense b. Two layouts of b and y:
//
//   y [M, N] = A b        b [K, N]
//   y [N, M] = b A^T      b [N, K], `linear`: A are the weights of a linear layer
//
// Blocked (BSR): A is cut into blocks of height x width numbers. values [blocks, height, width]
// holds those that are not 0, row of blocks after row of blocks; cols (i32) [blocks] says in
// which column of blocks each stands, and rows (i32) [M / height + 1] where each row begins:
// blocks rows[r] <= e < rows[r + 1] belong to row r. CSR is the same with blocks of one number
// and values [numbers]. Blocks that belong to no row are ignored, columns out of range are
// taken as the last one, and a row has at most K / width blocks.
//
// N:M: of every m neighbours in a row of A, n are kept (2:4 for short). values [M, K n / m]
// holds them in order, and indices (u32) [M, words] their places among the m, a stream of bits
// like a codebook's: 2 bits for 4, 3 for 8, 4 for 16.

// On the host: how many blocks of rows x cols numbers are not all 0, at least 1; 0 where
// height or width does not divide.
TUFF_API int64_t tuff_sparse_count(const float *x, int64_t rows, int64_t cols, int height,
                                   int width);
// Writes those: values, `starts` [rows / height + 1] and `columns`. Where there is none, one of
// zeros that belongs to no row. Fails: TUFF_ERR_ARG (a NULL, sizes that do not divide).
TUFF_API TUFF_CHECK tuff_status tuff_sparse_encode(const float *x, int64_t rows, int64_t cols,
                                                   int height, int width, float *values,
                                                   int32_t *columns, int32_t *starts);

// N:M: n of m, which is 4, 8 or 16, and below it. 0, 0: 2:4.
typedef struct tuff_nm_params {
    int keep, of;
    bool linear; // of nm_matmul and nm_values_grad
} tuff_nm_params;
// Keeps the largest in size, of equal ones the first. Words of a row: tuff_nm_words.
// Fails: TUFF_ERR_ARG (a NULL, keep and of, or cols that is no multiple of `of`).
TUFF_API TUFF_CHECK tuff_status tuff_nm_encode(const float *x, int64_t rows, int64_t cols,
                                               const tuff_nm_params *p, float *values,
                                               uint32_t *indices);
// Words of a row of `cols` numbers; 0 where the params or cols do not fit.
TUFF_API int64_t tuff_nm_words(int64_t cols, const tuff_nm_params *p);

typedef struct tuff_sparse_matmul_params {
    bool linear;
} tuff_sparse_matmul_params;
TUFF_API TUFF_CHECK tuff_status tuff_csr_matmul(tuff_stream *s, const tuff_tensor *values,
                                                const tuff_tensor *cols,
                                                const tuff_tensor *rows, const tuff_tensor *b,
                                                tuff_tensor *y,
                                                const tuff_sparse_matmul_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_bsr_matmul(tuff_stream *s, const tuff_tensor *values,
                                                const tuff_tensor *cols,
                                                const tuff_tensor *rows, const tuff_tensor *b,
                                                tuff_tensor *y,
                                                const tuff_sparse_matmul_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_nm_matmul(tuff_stream *s, const tuff_tensor *values,
                                               const tuff_tensor *indices,
                                               const tuff_tensor *b, tuff_tensor *y,
                                               const tuff_nm_params *p);

typedef struct tuff_sparse_dense_params {
    int64_t cols; // K; 0: as many as there are rows
} tuff_sparse_dense_params;
// y [M, K] = A, of values [numbers] or [blocks, height, width]; blocks at one place are added.
TUFF_API TUFF_CHECK tuff_status tuff_sparse_to_dense(tuff_stream *s, const tuff_tensor *values,
                                                     const tuff_tensor *cols,
                                                     const tuff_tensor *rows, tuff_tensor *y,
                                                     const tuff_sparse_dense_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_nm_to_dense(tuff_stream *s, const tuff_tensor *values,
                                                 const tuff_tensor *indices, tuff_tensor *y,
                                                 const tuff_nm_params *p);

typedef struct tuff_sparse_grad_params {
    int height, width; // of a block; 0, 0: CSR, with dvalues [numbers]
    bool linear;
} tuff_sparse_grad_params;
// dvalues: the gradient of the products above by each number that A keeps, dy being of y's
// shape.
TUFF_API TUFF_CHECK tuff_status tuff_sparse_values_grad(tuff_stream *s, const tuff_tensor *dy,
                                                        const tuff_tensor *b,
                                                        const tuff_tensor *cols,
                                                        const tuff_tensor *rows,
                                                        tuff_tensor *dvalues,
                                                        const tuff_sparse_grad_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_nm_values_grad(tuff_stream *s, const tuff_tensor *dy,
                                                    const tuff_tensor *b,
                                                    const tuff_tensor *indices,
                                                    tuff_tensor *dvalues,
                                                    const tuff_nm_params *p);

// ---- the form a matrix takes -------------------------------------------------------------
//
// Whether a sparse form is worth having depends on what part of A it keeps (its density), on
// the product's sizes and on the device: a sparse product does less, but reads where it is told
// to, and a dense one runs at many times the rate. The break-even density is where both take
// the same time.
//
// It is measured on demand (tuff_sparse_measure, `tuff sparse`) and then known for the rest of
// the process. Where nothing was measured, ratios of time that were measured elsewhere stand in
// on the CPU path and on software drivers, and an estimate on GPUs (src/ops/sparse_form.c).
//
//   Threads  these functions may be called from several threads; a matrix belongs to one.

typedef enum tuff_sparse_form {
    TUFF_SPARSE_ANY,   // the fastest, as tuff_sparse_choose says
    TUFF_SPARSE_DENSE, // A as it is: tuff_matmul
    TUFF_SPARSE_CSR,
    TUFF_SPARSE_BSR,   // blocks of 4 x 4
    TUFF_SPARSE_NM,
    TUFF_SPARSE_FORMS  // how many there are
} tuff_sparse_form;

// "dense", "csr", "bsr", "nm", "any"; "?" for a value that is none.
TUFF_API const char *tuff_sparse_form_name(tuff_sparse_form form);

// A product with A [rows, cols], as above.
typedef struct tuff_sparse_shape {
    int64_t rows, cols; // M, K
    int64_t batch;      // N: columns of b, or its rows where linear; 0: 1
    bool linear;
} tuff_sparse_shape;

// What part of A's numbers each form keeps, over 0 to 1; 0 where A cannot have the form
// (blocks do not divide it; in some group of every N:M too many numbers are not 0).
typedef struct tuff_sparse_kept {
    double csr, bsr, nm;
    int keep, of; // the N:M that keeps least
} tuff_sparse_kept;

// On the host: what there is to keep of x [rows, cols]. Fails: TUFF_ERR_ARG (a NULL, sizes).
TUFF_API TUFF_CHECK tuff_status tuff_sparse_inspect(const float *x, int64_t rows, int64_t cols,
                                                    tuff_sparse_kept *kept);

enum { TUFF_SPARSE_DENSITIES = 8, TUFF_SPARSE_POINTS = 24 };

typedef struct tuff_sparse_measure_params {
    float density[TUFF_SPARSE_DENSITIES]; // up to a 0; none: 0.5 0.3 0.2 0.1 0.05 0.02
    int runs;                             // of which the median counts, at least 3; 0: 9
} tuff_sparse_measure_params;

// A form at one density: seconds of a product, and of its dense twin, in turns with it.
typedef struct tuff_sparse_point {
    tuff_sparse_form form;
    double density, seconds, dense;
} tuff_sparse_point;

typedef struct tuff_sparse_times {
    int count; // points, form by form, each from the largest density on
    tuff_sparse_point point[TUFF_SPARSE_POINTS];
    double break_even[TUFF_SPARSE_FORMS]; // as tuff_sparse_break_even
} tuff_sparse_times;

// Times random matrices in every form and at every density on the device, and keeps what it
// found for tuff_sparse_choose until the process ends (of 32 shapes; then the oldest goes). N:M
// takes the nearest n of 16, so it has no density below 1/16. `times` may be NULL. Needs memory
// for A a few times over, and seconds; a busy device makes wrong measurements.
// Fails: TUFF_ERR_ARG (a NULL, rows or cols that are no multiple of 16, a density that is not
// in (0, 1), runs), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_sparse_measure(tuff_device *device,
                                                    const tuff_sparse_shape *shape,
                                                    const tuff_sparse_measure_params *p,
                                                    tuff_sparse_times *times);

// The density below which the form is faster than dense, 0 (never) to 1: between measured
// densities by interpolation, where this device was measured with this shape, or with one whose
// sizes are each within a factor of two; otherwise by the ratios that stand in. 0 for other
// forms, and for a NULL.
TUFF_API double tuff_sparse_break_even(const tuff_device *device,
                                       const tuff_sparse_shape *shape, tuff_sparse_form form);

// The form in which the product is expected to take the least time. A form that keeps all of A
// is never taken, so that a full matrix stays dense. TUFF_SPARSE_DENSE for a NULL.
TUFF_API tuff_sparse_form tuff_sparse_choose(const tuff_device *device,
                                             const tuff_sparse_shape *shape,
                                             const tuff_sparse_kept *kept);

// A matrix of f32 on a device, in one of the forms.
typedef struct tuff_sparse_matrix tuff_sparse_matrix;

typedef struct tuff_sparse_matrix_params {
    int64_t batch; // that products will have, for the choice; 0: 1
    bool linear;
    tuff_sparse_form form; // 0: the fastest
} tuff_sparse_matrix_params;

// Puts x [rows, cols] of host memory on the stream's device; products read it there. The caller
// destroys it. Every form gives the numbers of the dense product, up to the order of its sums.
// Fails: TUFF_ERR_ARG (a NULL, sizes, a form that A cannot have), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_sparse_matrix_create(tuff_stream *s, const float *x,
                                                          int64_t rows, int64_t cols,
                                                          const tuff_sparse_matrix_params *p,
                                                          tuff_sparse_matrix **a);
TUFF_API void tuff_sparse_matrix_destroy(tuff_sparse_matrix **a);
TUFF_API tuff_sparse_form tuff_sparse_matrix_form(const tuff_sparse_matrix *a);
// y = A b, or b A^T where linear; shapes as above. b may have another batch than was said.
TUFF_API TUFF_CHECK tuff_status tuff_sparse_multiply(tuff_stream *s,
                                                     const tuff_sparse_matrix *a,
                                                     const tuff_tensor *b, tuff_tensor *y);
#endif
