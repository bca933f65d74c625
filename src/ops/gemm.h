// What matmul and the convolutions have in common: each is a matrix product
//
//            N columns                     matmul        conv2d, its input gradient
//         +-------------+                  M  rows of a  channels written
//   K rows|      b      |                  N  columns    images x pixels written
//         +-------------+                  K  inner      channels read x kernel taps
//   K     |             |
// +---+   +-------------+                  and the weight gradient: M channels of dy,
// | a | M |      y      |                  N channels of x x kernel taps, K images x pixels
// +---+   +-------------+
//
// done for `batches` of them (matmul: the leading dims; convolutions: the groups).
//
// Long sums are cut: `splits` parts of at most k_step products each are summed apart, written
// to scratch as [splits][elements of y], and added by gemm_sum.comp in the order of the
// parts. It bounds three things: the iterations of one invocation (caps.max_loop), the error
// of an f32 sum (it grows with the root of its length), and the time of a product with few
// outputs and a long sum. It also takes what the first kernel has no binding for.
#ifndef TUFF_OPS_GEMM_H
#define TUFF_OPS_GEMM_H
#include "ops/op.h"
#include "abi/gemm.h"

enum { TUFF_GEMM_SUM = 16384 }; // products that one f32 sum takes at most

// One product of a call, and what follows it. Filled by matmul_plan.c and conv_plan.c.
typedef struct tuff_product {
    const tuff_call *call;
    tuff_gemm g;            // the plan fills in count, splits, k_step and after
    int a, b;               // inputs of the call that the kernel knows by these names
    int bias, residual;     // likewise; -1: it never has one
    int act;                // tuff_act
    uint32_t bias_step;     // element i of y takes bias[i / bias_step % bias_n]
    uint32_t bias_n;
    bool apart;             // ... which is not how the first kernel would index it
    float alpha, beta;      // factors of the product, and of bias and residual; 0 = 1
    bool fast;              // the call allows sums of f16
    bool acts;              // the kernel knows all activations
    bool words;             // ... and reads its bias by words, of elements of any type
    uint32_t loops;         // iterations of all of its loops for a product; 0 = 1
    uint32_t first, a_row;  // where only the rows from `first` on are made (g.m of them): the
                            // elements of a row of a
} tuff_product;

static inline uint32_t tuff_ceil_div(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

// ---- parts of a plan, for kernels with tiles of their own ----------------------------------

// Whether a kernel that reads its bias as texels, and knows of activations only relu (or all:
// `acts`), can do all that follows the product.
bool tuff_product_direct(const tuff_product *p, const tuff_caps *k);
// The same of a kernel that reads a residual as well, as texels of so many bytes.
bool tuff_product_texels(const tuff_product *p, const tuff_caps *k, size_t texel);
// Cuts the sums for a kernel, into `parts` parts or more, at multiples of `unit`: fills in what
// p->g leaves open. `direct` tells whether the kernel can do what follows the product itself.
// False when no cut fits the device.
bool tuff_product_cut(tuff_product *p, const tuff_caps *k, uint32_t parts, uint32_t unit,
                      bool direct);
// Where the kernel writes: y, or the parts in scratch 0.
void tuff_product_bind_y(const tuff_product *p, tuff_dispatch *d);
void tuff_product_bind_bias(const tuff_product *p, tuff_dispatch *d); // as texels
// As texels, too; returns whether there is one for this kernel to add.
bool tuff_product_bind_residual(const tuff_product *p, tuff_dispatch *d, tuff_bind_kind kind);
// A dispatch with the bindings of gemm.glsl.
tuff_dispatch *tuff_product_add(const tuff_product *p, int shader, tuff_plan *plan);
// Appends the dispatch that adds the parts, when there are any.
void tuff_product_finish(const tuff_product *p, const tuff_caps *k, tuff_plan *plan);
// Whether subgroups are the SIMD registers that the kernels of CPU-like drivers are made for.
bool tuff_takes_texels(const tuff_caps *k);

// ---- variants ------------------------------------------------------------------------------

// The plain variant, whole: `pc` begins with a tuff_gemm, which this fills.
bool tuff_product_plain(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                        const tuff_caps *k, tuff_plan *plan);

// Of a planner whose ways (tuff_plan_way) are in how many parts a sum is cut: what it does, of
// the number that is best as far as is known and the most that are of use.
uint32_t tuff_product_parts(tuff_plan *plan, uint32_t parts, uint32_t useful);

// The variant of CPU-like drivers, whole; see texel.glsl. Sums are cut at multiples of `unit`.
bool tuff_product_texel(tuff_product *p, int shader, void *pc, size_t pc_bytes, uint32_t unit,
                        const tuff_caps *k, tuff_plan *plan);

// An operand packed for gemm_packed.comp: by which shader, from which input, its rows (or
// columns), and the shader's push constants.
typedef struct tuff_panels {
    int shader, input;
    uint32_t rows;
    const void *pc;
    size_t pc_bytes;
    bool words;   // the input is u8, read as texels of four words
    bool flagged; // the shader has a second spec constant: `flag`
    uint32_t flag;
} tuff_panels;

// The twin of a kernel of CPU-like drivers that reads from storage buffers what may be more
// texels than the device can bind (shaders/operand.glsl); -1 where there is none.
int tuff_shader_stored(int shader);
// Rows of a tile of gemm_packed.comp and conv_point.comp for a product of m rows, which is cut
// in so many pieces otherwise.
uint32_t tuff_packed_rows(uint32_t m, uint64_t pieces, const tuff_caps *k);
// Whether a panel of so many rows can be read as texels.
bool tuff_panel_fits_texel(const tuff_product *p, uint32_t rows, const tuff_caps *k);
// Appends the dispatch that packs an operand into a scratch; false when it does not fit.
bool tuff_product_pack(const tuff_product *p, const tuff_panels *from, int scratch,
                       const tuff_caps *k, tuff_plan *plan);

// The variant of CPU-like drivers for large products without batches, whole: both operands are
// packed into scratch 1 and 2 first. Element (row, col) of y lies at
// col / plane * image_step + row * plane + col % plane, where an image_step of 0 says that y is
// a matrix, with its bias along the columns; else the bias runs along the rows.
bool tuff_product_packed(tuff_product *p, const tuff_panels *left, const tuff_panels *right,
                         uint32_t plane, uint32_t image_step, const tuff_caps *k,
                         tuff_plan *plan);

// ---- tiles in shared memory (gemm_tile.c; shaders: gemm_tile.glsl) -------------------------

// How operands lie in memory; see gemm_load.glsl. Where rows of y lie one after another, a_row
// is the distance of those of a, and the product may be cut into rows; else it is 0.
typedef struct tuff_gemm_form {
    bool a_long_k, b_long_k, a_quad, b_quad, y_quad;
    uint32_t a_row;
} tuff_gemm_form;

// How a product is shared by the cores of a GPU. With `rows` the sums of so many rows of y are
// whole, and those behind them, which would leave most cores idle, are made in `parts` parts by
// a launch of their own beside it: what stream-k does, but in an order that is always the same.
typedef struct tuff_gemm_cut {
    uint32_t parts, rows;
} tuff_gemm_cut;
// Its i-th launch, 0 or 1, and in how many parts that makes its sums; false: there is none.
bool tuff_product_piece(const tuff_product *p, const tuff_gemm_cut *cut, int i,
                        const tuff_gemm_form *form, tuff_product *piece, uint32_t *parts);
// The form of a product that can be cut into rows; else the same without a_row.
tuff_gemm_form tuff_product_form(const tuff_product *p, const tuff_gemm_form *form,
                                 const tuff_caps *k);

// What the choice of a size knows: a tile, and how long it takes, in products of a core.
typedef struct tuff_gemm_time {
    uint32_t rows, cols, group;
    double tile;   // for each of its k products
    double number; // one number of y, written to memory and read again
    uint32_t busy;   // invocations that keep a core busy, and twice as many are the most
    uint32_t cores, useful; // parts that a sum may be made in, at most
} tuff_gemm_time;
// The fastest way to share a product, and its time. Pure.
double tuff_gemm_share(const tuff_gemm *g, const tuff_gemm_time *t, bool by_rows,
                       tuff_gemm_cut *cut);

// A tile of y by a workgroup of `group` invocations, each of 8 rows (`tall`) or 4, and 8
// columns (`broad`) or 4.
typedef struct tuff_gemm_tile {
    uint32_t rows, cols, step, group;
    bool tall, broad;
} tuff_gemm_tile;

// The tile that a product of elements of so many bytes is likely to be fastest in, and how it
// is shared (NULL: sums are whole). Of size number `wanted`, 1 ... as the planner's
// ways (tuff_plan_way) have them; 0: of any. Pure. False when the device has no room for one.
bool tuff_gemm_tile_choose(const tuff_gemm *g, uint32_t element, const tuff_gemm_form *form,
                           int wanted, const tuff_caps *k, tuff_gemm_tile *tile,
                           tuff_gemm_cut *cut);
uint32_t tuff_gemm_tile_shared(const tuff_gemm_tile *t, uint32_t element); // bytes
uint64_t tuff_gemm_tile_count(const tuff_gemm_tile *t, uint32_t m, uint32_t n); // of one batch
// Appends the constants of gemm_tile.glsl; a kernel's own begin behind them.
void tuff_gemm_tile_spec(tuff_dispatch *d, const tuff_gemm_tile *t, const tuff_gemm_form *form);

// The variant of GPUs, whole.
bool tuff_product_tile(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                       const tuff_gemm_form *form, const tuff_caps *k, tuff_plan *plan);

// The same of f16 operands, which are multiplied and summed as such, 16 products at a time;
// what such a sum is off by, see TUFF_HALF_SUMS. For calls that say `fast`.
bool tuff_product_half(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                       const tuff_gemm_form *form, const tuff_caps *k, tuff_plan *plan);

// ---- cooperative matrices (gemm_coop.c; shaders: gemm_coop.glsl) ----------------------------

enum { TUFF_COOP_EDGE = 128 }; // of the largest tile

// A tile of y by a workgroup, and the blocks of it that a subgroup of `lanes` has.
typedef struct tuff_coop_tile {
    uint32_t rows, cols, step, group, lanes;
    tuff_coop block;
    uint32_t row_blocks, col_blocks;
} tuff_coop_tile;

// A product's modules, for factors of f16 and bf16, and of f16 with NV's second version (-1:
// there is none).
typedef struct tuff_coop_shaders {
    int f16, bf16, each;
} tuff_coop_shaders;

// Calls that are all f16 or all bf16; those that are all f32, whose factors are rounded to f16,
// where the call says `fast`; those that are all f16, with NV's second version.
typedef enum tuff_coop_kind { TUFF_COOP_16, TUFF_COOP_FROM_F32, TUFF_COOP_EACH } tuff_coop_kind;

// Of the blocks that a device lists for a type the one that is used. Pure. False: none fits.
bool tuff_coop_pick(const tuff_caps *k, tuff_coop_type type, tuff_coop *block);
// As tuff_gemm_tile_choose.
bool tuff_coop_choose(const tuff_gemm *g, tuff_coop_type type, const tuff_gemm_form *form,
                      int wanted, const tuff_caps *k, tuff_coop_tile *tile,
                      tuff_gemm_cut *cut);
uint32_t tuff_coop_shared(const tuff_coop_tile *t, const tuff_gemm_form *form,
                          uint32_t element); // bytes
// Asks for the subgroup, and appends the constants of gemm_coop.glsl; `flag` is number 8.
void tuff_coop_spec(tuff_dispatch *d, const tuff_coop_tile *t, const tuff_gemm_form *form,
                    bool flag, const tuff_caps *k);

// The variant of one kind of call, whole.
bool tuff_product_coop(tuff_product *p, const tuff_coop_shaders *shaders, void *pc,
                       size_t pc_bytes, const tuff_gemm_form *form, tuff_coop_kind kind,
                       const tuff_caps *k, tuff_plan *plan);
#define TUFF_COOP_KERNEL(plan_)                                                 \
    { .name = "coop", .plan = (plan_), .gpu = true, .types = TUFF_F16 | TUFF_BF16 }
// Factors of f16 are off by 2^-11 at most and by 2^-12.3 of the mean square, so that a product
// of two is by 2^-11.8, and a sum of mixed signs by as much of its own rms, 3e-4; the largest
// of a million is five times as far off.
#define TUFF_COOP_ROUNDED 2e-3f
#define TUFF_COOP_FAST_KERNEL(plan_)                                            \
    TUFF_COARSE_GPU_KERNEL("coop_fast", plan_, TUFF_COOP_ROUNDED)

// Rounding j products of a sum costs 2^-12 of its size there, which is that of the root of j
// products, if it has their mixed signs: over K / 16 sums of 16 it is 2^-12 sqrt(K / 16 * 136)
// of one product, or 7e-4 of the rms of the result. The largest of a million is five times as
// far off.
#define TUFF_HALF_SUMS 4e-3f
#define TUFF_HALF_KERNEL(plan_)                                                 \
    { .name = "half_tile", .plan = (plan_), .gpu = true, .types = TUFF_F16, .kept = 3, \
      .tol = TUFF_HALF_SUMS } /* inputs 0 and 1 are the operands */

// A variant of GPUs for few outputs and long sums, whole: `shader` sums one element of y (of a
// part of it) by a workgroup; its spec constant 0 is the number of invocations.
bool tuff_product_element(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                          const tuff_caps *k, tuff_plan *plan);

// The inner loops of the references, by fours: a compiler makes these into SIMD without being
// asked to, and of four sums none waits for another.
// sum[i] += w x[i]
static inline void tuff_add_scaled(double *restrict sum, const float *restrict x, double w,
                                   int64_t n)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) sum[i + j] += w * x[i + j];
    for (; i < n; i++) sum[i] += w * x[i];
}

// sum of a[i] b[i * step]
static inline double tuff_dot(const float *a, const float *b, int64_t step, int64_t n)
{
    double s[4] = { 0 };
    int64_t i = 0;
    if (step == 1)
        for (; i + 4 <= n; i += 4)
            for (int j = 0; j < 4; j++) s[j] += (double)a[i + j] * b[i + j];
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += (double)a[i + j] * b[(i + j) * step];
    for (; i < n; i++) s[0] += (double)a[i] * b[i * step];
    return s[0] + s[1] + (s[2] + s[3]);
}

// The activation of a reference.
double tuff_act_ref(double x, int act);
extern const char *const tuff_act_names[];
// dy times the slope of a fused activation, written by its output y; dy itself without one.
tuff_var tuff_act_grad(tuff_tape *t, int act, tuff_var y, tuff_var dy);
#endif
