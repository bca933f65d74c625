// What products of 8-bit integers have in common: matmul_integer, qlinear_matmul, conv_integer
// and qlinear_conv. Sums are i32 and wrap round, so that the order of additions is free and
// every kernel gives the same bits.
//
//   x, w bytes --> [pack] --> product, i32 --> y of the ..._integer ops
//                                          \-> requant.comp --> bytes y of the qlinear_... ops
//
//   slide   CPU-like drivers: convolutions from bytes to bytes in one launch
//   rows    likewise dense layers
//   packed  CPU-like drivers: operands become floats less their zero points, which multiply
//           twice as fast as integers do there and are exact
//   coop    GPUs with matrix units for bytes
//   dot8    GPUs that multiply four pairs of bytes in one instruction
//   tile    other GPUs: floats again, in shared memory
//   texel   small products on CPU-like drivers, straight from the bytes
//   plain   the same from storage buffers
//
// Columns are packed and multiplied in chunks, so that scratch memory stays small.
#ifndef TUFF_OPS_QGEMM_H
#define TUFF_OPS_QGEMM_H
#include "ops/op.h"
#include "abi/qgemm.h"

// An operand of a product as a matrix of rows of k elements.
typedef struct tuff_qoperand {
    int input, zero; // of the call; zero: -1 or absent for none
    int bits;        // of signed numbers that lie packed; 0: bytes
    uint32_t layout; // TUFF_QPACK_...
    struct tuff_qpack_pc pc; // the planner fills in what depends on the kernel
} tuff_qoperand;

// What becomes of the sums; requant.comp's fields but for counts.
typedef struct tuff_requant {
    int left_scale, right_scale, y_scale, y_zero; // inputs of the call
    int bias;                                     // -1 or absent: none
    struct tuff_requant_pc pc;
    bool shared; // four neighbours have the same scales
} tuff_requant;
// To the type of the call's output, by these inputs; without a bias, and not yet for any shape.
tuff_requant tuff_requant_of(const tuff_call *c, int left_scale, int right_scale, int y_scale,
                             int y_zero, bool relu);

// Adds `splits` parts of sums in scratch[sums], or with `r` turns sums to bytes: into y.
void tuff_requant_add(const tuff_call *c, const tuff_requant *r, int sums, uint32_t splits,
                      const tuff_caps *k, tuff_plan *plan);
// A convolution in one launch on CPU-like drivers; r NULL: y is sums (qslide.c).
bool tuff_qslide(const tuff_call *c, const tuff_requant *r, const tuff_caps *k,
                 tuff_plan *plan);
// Likewise one that is a dense layer (tuff_qconv_is_row), to bytes.
bool tuff_qrows(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);

typedef struct tuff_qproduct {
    const tuff_call *call;
    tuff_qoperand left, right; // M rows, N columns
    uint32_t m, n, k;
    uint32_t plane, image_step; // see tuff_qgemm_pc
    bool batches;               // more than one product: no packed operands
    const tuff_requant *requant; // NULL: y is the sums
    // The plain kernel; `plain` begins anywhere, the planner sets the fields named here.
    int shader, shader_texel;
    const void *pc;
    size_t pc_bytes;
    uint32_t *splits, *k_step; // in *pc
} tuff_qproduct;

bool tuff_qproduct_packed(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan);
bool tuff_qproduct_tile(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan, bool dot8);
bool tuff_qproduct_coop(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan);
bool tuff_qproduct_plain(tuff_qproduct *p, const tuff_caps *k, tuff_plan *plan, bool texel);

// The planners of an op's variants, made of its own type `product`, whose member p is a
// tuff_qproduct, and describe(product *, const tuff_call *).
#define TUFF_QPRODUCT_PLAN(name, call)                                          \
    static bool name(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)   \
    {                                                                           \
        product f;                                                              \
        describe(&f, c);                                                        \
        return call;                                                            \
    }
#define TUFF_QPRODUCT_PLANS                                                     \
    TUFF_QPRODUCT_PLAN(packed, tuff_qproduct_packed(&f.p, k, plan))             \
    TUFF_QPRODUCT_PLAN(coop, tuff_qproduct_coop(&f.p, k, plan))                 \
    TUFF_QPRODUCT_PLAN(dot8, tuff_qproduct_tile(&f.p, k, plan, true))           \
    TUFF_QPRODUCT_PLAN(tile, tuff_qproduct_tile(&f.p, k, plan, false))          \
    TUFF_QPRODUCT_PLAN(texel, tuff_qproduct_plain(&f.p, k, plan, true))         \
    TUFF_QPRODUCT_PLAN(plain, tuff_qproduct_plain(&f.p, k, plan, false))
#define TUFF_QPRODUCT_VARIANTS(...)                                             \
    { __VA_ARGS__ TUFF_KERNEL("packed", packed), TUFF_GPU_KERNEL("coop", coop),             \
      TUFF_GPU_KERNEL("dot8", dot8), TUFF_GPU_KERNEL("tile", tile),             \
      TUFF_KERNEL("texel", texel), TUFF_KERNEL("plain", plain) }

// The sign that the kernels take for numbers of a type, packed ones (u32) being signed, and how
// many zero points there are.
static inline uint32_t tuff_qsign(const tuff_desc *d)
{
    return d->dtype == TUFF_I8 || d->dtype == TUFF_U32 ? 0x80 : 0;
}
static inline uint32_t tuff_qzeros(const tuff_call *c, int zero)
{
    return tuff_call_has(c, zero) ? (uint32_t)tuff_desc_count(&c->in[zero]) : 0;
}

// saturate(round(acc m) + zero) as requant.comp has it, m = a b / s; the reference.
double tuff_qfactor(float a, float b, float s);
int64_t tuff_requant_ref(int32_t acc, double factor, int64_t zero, tuff_dtype to, bool relu);
#endif
