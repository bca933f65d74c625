// What the ops on signs share: means of |x| over rows, and rows packed into words of bits.
#ifndef TUFF_OPS_BINARIZE_H
#define TUFF_OPS_BINARIZE_H
#include "ops/op.h"
#include "abi/binary_pack.h"

// Means of |x| over rows of input 0.
typedef struct tuff_means {
    tuff_axis rows;
    int limit;    // input with a threshold a row, beyond which elements count; -1: all do
    float factor;
    tuff_slot to; // f32[rows], written
    bool texel;   // x is read as texels
} tuff_means;
// Appends the dispatches, which use scratch 0 and 1. False where those do not fit.
bool tuff_mean_abs_add(const tuff_caps *k, tuff_plan *p, const tuff_means *f);
float tuff_mean_abs_ref(const tuff_ref *r, const tuff_axis *a, int limit, size_t row);

// Appends the dispatch of bits_pack.comp (`shader`) that writes output 0.
void tuff_bits_add(const tuff_caps *k, tuff_plan *p, tuff_axis a, int shader, bool texel,
                   int limit);
// Whether a kernel on a CPU-like driver may read x as texels.
bool tuff_texel_floats(const tuff_caps *k, const tuff_desc *x);

// The CPU path's kernels (xnor_host.c, binarize_host.c).
size_t tuff_xnor_matmul_units(const tuff_call *c, int stage);
void tuff_xnor_matmul_host(const tuff_ref *r);
size_t tuff_xnor_conv_units(const tuff_call *c, int stage);
void tuff_xnor_conv_host(const tuff_ref *r);
bool tuff_xnor_wide_matmul_takes(const tuff_call *c);
size_t tuff_xnor_wide_matmul_units(const tuff_call *c, int stage);
void tuff_xnor_wide_matmul_host(const tuff_ref *r);
bool tuff_xnor_wide_conv_takes(const tuff_call *c);
size_t tuff_xnor_wide_conv_units(const tuff_call *c, int stage);
void tuff_xnor_wide_conv_host(const tuff_ref *r);
size_t tuff_xnor_wide_keeps(const tuff_call *c);
bool tuff_xnor_pack_takes(const tuff_call *c);
size_t tuff_xnor_pack_units(const tuff_call *c, int stage);
void tuff_xnor_pack_host(const tuff_ref *r);

// The two planners of an op, made of the file's own plan_<name>.
#define TUFF_BITS_PLANS(name)                                                   \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, k, p, true);                                      \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, k, p, false);                                     \
    }
#endif
