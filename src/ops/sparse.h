// Sparse matrices as numbers: what sparse.c, sparse_nm.c and sparse_plan.c share.
#ifndef TUFF_OPS_SPARSE_H
#define TUFF_OPS_SPARSE_H
#include "ops/op.h"
#include "abi/sparse.h"
#include <tuff/ops/matrix.h>
#include <tuff/ops/sparse.h>

// A [m, k] of either kind, and n, the other dim of b and y.
typedef struct tuff_sparse {
    int64_t m, k, n;
    int64_t height, width; // of a block; 1, 1 in CSR and N:M
    int64_t count;         // blocks that there are
    int keep, of, bits;    // N:M; of is 0 for blocks
    int64_t words, length; // N:M: words and numbers of a row
    bool linear;
} tuff_sparse;

// A matrix of N:M without its sizes, with what is not given being 2 of 4. False where there is
// no such kind.
bool tuff_sparse_nm(const tuff_nm_params *p, tuff_sparse *a);

// A matrix in host memory, for references.
typedef struct tuff_sparse_data {
    const float *values;
    const int32_t *cols, *rows; // blocks
    const uint32_t *indices;    // N:M
} tuff_sparse_data;

// References, of one row of A; `values` of the last are written.
void tuff_sparse_ref_matmul(const tuff_sparse *a, const tuff_sparse_data *d, const float *b,
                            float *y, int64_t m);
void tuff_sparse_ref_dense(const tuff_sparse *a, const tuff_sparse_data *d, float *y,
                           int64_t m);
void tuff_sparse_ref_values(const tuff_sparse *a, const tuff_sparse_data *d, const float *dy,
                            const float *b, float *dvalues, int64_t m);

// Which inputs a plan binds; rows is -1 for N:M.
typedef struct tuff_sparse_inputs {
    int values, cols, rows, b, dy;
} tuff_sparse_inputs;
typedef struct tuff_sparse_plan {
    const tuff_call *call;
    tuff_sparse a;
    tuff_sparse_inputs in;
} tuff_sparse_plan;
bool tuff_sparse_plan_texel(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p);
bool tuff_sparse_plan_group(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p);
bool tuff_sparse_plan_plain(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p);
bool tuff_sparse_plan_dense(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p);
bool tuff_sparse_plan_values(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p);

// ---- the form a matrix takes (sparse_form.c, sparse_matrix.c, sparse_measure.c) ------------

enum { TUFF_SPARSE_BLOCK = 4 }; // height and width of the blocks of TUFF_SPARSE_BSR

struct tuff_sparse_matrix {
    tuff_sparse_form form;
    int64_t rows, cols;
    bool linear;
    int keep, of;         // N:M
    tuff_tensor *part[3]; // the first inputs of its op; the dense matrix alone
};

// The op that multiplies by a matrix, and what it is called with.
typedef struct tuff_sparse_product {
    const tuff_op *op;
    const tuff_tensor *in[4];
    int nin;
    union {
        tuff_matmul_params dense;
        tuff_sparse_matmul_params blocks;
        tuff_nm_params nm;
    } params;
} tuff_sparse_product;
void tuff_sparse_product_of(const tuff_sparse_matrix *a, const tuff_tensor *b,
                            tuff_sparse_product *p);

// Encodes x in the form that *a names, with its keep and of; x need not be N:M before.
tuff_status tuff_sparse_matrix_fill(tuff_stream *s, const float *x, tuff_sparse_matrix *a);
void tuff_sparse_matrix_clear(tuff_sparse_matrix *a);

// Time in a form over that of dense, at densities that rise; never falls.
typedef struct tuff_sparse_curve {
    int count;
    double density[TUFF_SPARSE_DENSITIES], ratio[TUFF_SPARSE_DENSITIES];
} tuff_sparse_curve;
// Makes ratios rise: those that fall are levelled to their mean.
void tuff_sparse_curve_level(tuff_sparse_curve *c);
// Below the first density the ratio is the first; beyond the last it grows as the density.
double tuff_sparse_curve_at(const tuff_sparse_curve *c, double density);
double tuff_sparse_curve_even(const tuff_sparse_curve *c);

typedef struct tuff_sparse_curves {
    tuff_sparse_curve of[TUFF_SPARSE_FORMS];
} tuff_sparse_curves;
void tuff_sparse_remember(const tuff_device *dev, const tuff_sparse_shape *shape,
                          const tuff_sparse_curves *curves);

// A product's shapes, made of the file's own `static tuff_status sparse_of(call, a)` and its
// input B.
#define TUFF_SPARSE_SHAPES                                                      \
    static tuff_sparse known(const tuff_call *c)                                \
    {                                                                           \
        tuff_sparse a;                                                          \
        (void)(sparse_of(c, &a) == TUFF_OK); /* infer has seen it */            \
        return a;                                                               \
    }                                                                           \
    static tuff_status infer(const tuff_call *c, tuff_desc out[])               \
    {                                                                           \
        tuff_sparse a;                                                          \
        TUFF_TRY(sparse_of(c, &a));                                             \
        out[0] = tuff_sparse_y(&a, c->in[B].dtype);                             \
        return TUFF_OK;                                                         \
    }                                                                           \
    static size_t units(const tuff_call *c) { return (size_t)known(c).m; }      \
    static tuff_cost cost(const tuff_call *c)                                   \
    {                                                                           \
        const tuff_sparse a = known(c);                                         \
        return tuff_sparse_cost(c, &a);                                         \
    }

// The planners of a product, made of the file's own plan_of(const tuff_call *).
#define TUFF_SPARSE_PLAN(name)                                                  \
    static bool name(const tuff_call *c, const tuff_caps *k, tuff_plan *p)      \
    {                                                                           \
        const tuff_sparse_plan s = plan_of(c);                                  \
        return tuff_sparse_plan_##name(&s, k, p);                               \
    }
#define TUFF_SPARSE_PLANS                                                       \
    TUFF_SPARSE_PLAN(texel)                                                     \
    TUFF_SPARSE_PLAN(group)                                                     \
    TUFF_SPARSE_PLAN(plain)
#define TUFF_SPARSE_VARIANTS                                                    \
    { TUFF_KERNEL("texel", texel), TUFF_GPU_KERNEL("group", group),             \
      TUFF_KERNEL("plain", plain) }

// Products on the CPU path (sparse_product_host.c), and as functions of a record, for a file
// that has the above, B, and `data` as what gives A's numbers of a tuff_ref *r.
size_t tuff_sparse_host_units(const tuff_sparse *a, int stage);
size_t tuff_sparse_host_scratch(const tuff_sparse *a);
void tuff_sparse_host_run(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                          const float *b);
#define TUFF_SPARSE_HOST(data)                                                  \
    static bool host_takes(const tuff_call *c) { return c->nin > 0; }           \
    static size_t host_units(const tuff_call *c, int stage)                     \
    {                                                                           \
        const tuff_sparse a = known(c);                                         \
        return tuff_sparse_host_units(&a, stage);                               \
    }                                                                           \
    static size_t host_scratch(const tuff_call *c)                              \
    {                                                                           \
        const tuff_sparse a = known(c);                                         \
        return tuff_sparse_host_scratch(&a);                                    \
    }                                                                           \
    static void host_run(const tuff_ref *r)                                     \
    {                                                                           \
        const tuff_sparse a = known(r->call);                                   \
        const tuff_sparse_data d = (data);                                      \
        tuff_sparse_host_run(r, &a, &d, r->in[B]);                              \
    }
#define TUFF_SPARSE_HOSTS                                                       \
    { { .name = "fast", .takes = host_takes, .run = host_run, .units = host_units, \
        .scratch = host_scratch } }

// y of a product, and what one costs whose first input is A's numbers.
tuff_desc tuff_sparse_y(const tuff_sparse *a, tuff_dtype type);
tuff_cost tuff_sparse_cost(const tuff_call *c, const tuff_sparse *a);
// db: A is written out (`dense`) and multiplied.
tuff_var tuff_sparse_grad_b(tuff_tape *t, tuff_var dense, tuff_var dy, bool linear);
#endif
