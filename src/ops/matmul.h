// matmul as numbers: what its reference and its plans both read from a call.
#ifndef TUFF_OPS_MATMUL_H
#define TUFF_OPS_MATMUL_H
#include "ops/gemm.h"
#include "ops/product_host.h"

// Steps are in elements. Leading dims are counted from the innermost of them, dim[0]; a step
// is 0 along a dim that is broadcast.
//
// A vector is a matrix of one row; behind a matrix, where numpy makes it one of one column,
// both change places here, so that y's last dim runs along the columns either way:
//
//   [.., M, K] [K]  ->  [1, K] [.., K, M]
typedef struct tuff_matmul_shape {
    int a, b; // inputs of the call that are the left and the right operand
    int64_t m, n, k, batches;
    int64_t a_m, a_k, b_k, b_n;
    int dims;
    int64_t dim[TUFF_MAX_DIMS], a_step[TUFF_MAX_DIMS], b_step[TUFF_MAX_DIMS];
} tuff_matmul_shape;

// Of a call of matmul with ports as the record says and ranks of at least 1; the sizes may
// disagree (infer finds out).
void tuff_matmul_shape_of(const tuff_call *c, tuff_matmul_shape *s);

// For references: sum[j] = sum over k of a[k * a_k] * b[k, j], for `cols` columns j, at most
// TUFF_MATMUL_BLOCK.
enum { TUFF_MATMUL_BLOCK = 256 };
void tuff_matmul_sum_row(const tuff_matmul_shape *s, const float *a, const float *b,
                         int64_t cols, double sum[]);

// The CPU path's own kernel (matmul_host.c); the pointers of *f are those of the whole call.
size_t tuff_matmul_host_units(const tuff_matmul_shape *s, int stage);
size_t tuff_matmul_host_scratch(const tuff_matmul_shape *s);
void tuff_matmul_host_run(const tuff_ref *r, const tuff_matmul_shape *s, const tuff_finish *f);

// The tuff_host of an op, made of the file's own `static void name_shape(call, shape)` and
// `static tuff_finish name_finish(ref)`.
#define TUFF_MATMUL_HOST(name)                                                  \
    static bool name##_host_takes(const tuff_call *c)                           \
    {                                                                           \
        (void)c;                                                                \
        return true;                                                            \
    }                                                                           \
    static size_t name##_host_units(const tuff_call *c, int stage)              \
    {                                                                           \
        tuff_matmul_shape s;                                                    \
        name##_shape(c, &s);                                                    \
        return tuff_matmul_host_units(&s, stage);                               \
    }                                                                           \
    static size_t name##_host_scratch(const tuff_call *c)                       \
    {                                                                           \
        tuff_matmul_shape s;                                                    \
        name##_shape(c, &s);                                                    \
        return tuff_matmul_host_scratch(&s);                                    \
    }                                                                           \
    static void name##_host_run(const tuff_ref *r)                              \
    {                                                                           \
        const tuff_finish f = name##_finish(r);                                 \
        tuff_matmul_shape s;                                                    \
        name##_shape(r->call, &s);                                              \
        tuff_matmul_host_run(r, &s, &f);                                        \
    }
#define TUFF_MATMUL_HOSTS(op_)                                                  \
    { { .name = "fast", .takes = op_##_host_takes, .run = op_##_host_run,       \
        .units = op_##_host_units, .scratch = op_##_host_scratch } }

// The product of such a shape, without anything behind it.
void tuff_matmul_product(const tuff_call *c, const tuff_matmul_shape *s, tuff_product *p,
                         struct tuff_matmul_pc *pc);

// Whether matmul_wide.comp takes such a product.
bool tuff_matmul_is_wide(const tuff_product *p, const struct tuff_matmul_pc *pc,
                         const tuff_caps *k);

// The kernels, best first.
typedef bool tuff_matmul_fn(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                            tuff_plan *plan);
tuff_matmul_fn tuff_matmul_few, tuff_matmul_matvec, tuff_matmul_packed, tuff_matmul_wide,
               tuff_matmul_texel, tuff_matmul_matvec_group, tuff_matmul_coop,
               tuff_matmul_coop2,
               tuff_matmul_coop_fast, tuff_matmul_half, tuff_matmul_tile, tuff_matmul_plain;

// The planners of an op, made of the file's own `static void name_product(call, p, pc)`.
#define TUFF_MATMUL_PLAN(name, kernel)                                          \
    static bool name##_##kernel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan) \
    {                                                                           \
        tuff_product p;                                                         \
        struct tuff_matmul_pc pc;                                               \
        name##_product(c, &p, &pc);                                             \
        return tuff_matmul_##kernel(&p, &pc, k, plan);                          \
    }
#define TUFF_MATMUL_PLANS(name)                                                 \
    TUFF_MATMUL_PLAN(name, matvec)                                              \
    TUFF_MATMUL_PLAN(name, packed)                                              \
    TUFF_MATMUL_PLAN(name, few)                                                 \
    TUFF_MATMUL_PLAN(name, wide)                                                \
    TUFF_MATMUL_PLAN(name, texel)                                               \
    TUFF_MATMUL_PLAN(name, matvec_group)                                        \
    TUFF_MATMUL_PLAN(name, coop)                                                \
    TUFF_MATMUL_PLAN(name, coop2)                                               \
    TUFF_MATMUL_PLAN(name, coop_fast)                                           \
    TUFF_MATMUL_PLAN(name, half)                                                \
    TUFF_MATMUL_PLAN(name, tile)                                                \
    TUFF_MATMUL_PLAN(name, plain)
#define TUFF_MATMUL_KERNELS(op_)                                                \
    { TUFF_KERNEL("few", op_##_few), TUFF_KERNEL("matvec", op_##_matvec),       \
      TUFF_KERNEL("packed", op_##_packed),                                      \
      TUFF_KERNEL("wide", op_##_wide), TUFF_KERNEL("texel", op_##_texel),       \
      { .name = "matvec_group", .plan = op_##_matvec_group, .gpu = true,        \
        .types = TUFF_F16 | TUFF_BF16, .kept = 3 }, /* a and b */               \
      TUFF_COOP_KERNEL(op_##_coop),                                             \
      { .name = "coop2", .plan = op_##_coop2, .gpu = true, .types = TUFF_F16 }, \
      TUFF_COOP_FAST_KERNEL(op_##_coop_fast),     \
      TUFF_HALF_KERNEL(op_##_half), TUFF_GPU_KERNEL("tile", op_##_tile),        \
      TUFF_KERNEL("plain", op_##_plain) }
#endif
