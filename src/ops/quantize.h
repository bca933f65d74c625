// What the ops on affine 8-bit numbers share: y = saturate(round(x / scale) + zero), with one
// scale (and zero point) for a tensor or one for each place along an axis.
#ifndef TUFF_OPS_QUANTIZE_H
#define TUFF_OPS_QUANTIZE_H
#include "ops/op.h"
#include "abi/quant.h"

#define TUFF_BYTES (TUFF_I8 | TUFF_U8)

// Element i of a tensor of x's shape has the scale i / inner % scales.
typedef struct tuff_quant_axis {
    size_t inner, scales;
} tuff_quant_axis;

// Of input `scale` beside input 0, an axis counted from the innermost. A single scale is the
// tensor's whatever the axis. Fails with the sentence of infer; `zero` may be absent.
tuff_status tuff_quant_axis_of(const tuff_call *c, int scale, int zero, int axis,
                               tuff_quant_axis *a);

// Checks of infer. A scale or a zero point, if it is there: one element, or with `n` not 0 one
// for each of the n rows (columns, channels: `of` says what they are). `input` may be -1.
tuff_status tuff_quant_vector(const tuff_call *c, int input, int64_t n, const char *of);
// A zero point, if it is there, is of its input's type.
tuff_status tuff_quant_same_type(const tuff_call *c, int input, int zero);

// Element i of i8, u8 or i32 numbers.
static inline int64_t tuff_whole_at(tuff_dtype type, const void *v, size_t i)
{
    return type == TUFF_I8 ? ((const int8_t *)v)[i]
         : type == TUFF_U8 ? ((const uint8_t *)v)[i] : ((const int32_t *)v)[i];
}

// round(x / s) + zero within the range of i8 or u8: x / s as f32 has it, ties to even; a NaN
// counts as 0.
int64_t tuff_quant_ref(float x, float s, int64_t zero, tuff_dtype to);

// Elements begin .. end of quantize_linear and dequantize_linear on the CPU path
// (quantize_host.c).
void tuff_quantize_host(const tuff_ref *r, tuff_quant_axis a, size_t begin, size_t end);
void tuff_dequantize_host(const tuff_ref *r, tuff_quant_axis a, size_t begin, size_t end);

// The ends of what fake_quantize's bits say.
typedef struct tuff_steps8 {
    int32_t low, high;
} tuff_steps8;
tuff_steps8 tuff_fake_steps(const tuff_call *c);
// Elements r->begin .. r->end of fake_quantize and its gradient on the CPU path (likewise).
void tuff_fake_quantize_host(const tuff_ref *r, tuff_quant_axis a);
void tuff_fake_grad_host(const tuff_ref *r, tuff_quant_axis a);

// Appends the dispatch of quantize.comp that makes `count` numbers of input 0. Inputs or
// outputs that hold scale and zero point are bound as they are given; an absent zero point has
// the slot of the scale.
void tuff_quantize_add(const tuff_caps *k, tuff_plan *p, bool texel, uint32_t op,
                       tuff_slot scale, tuff_slot zero, const struct tuff_quantize_pc *pc);
// The same for dequantize.comp; tensors that pc says are not there have any slot.
void tuff_dequantize_add(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                         tuff_slot scale, tuff_slot zero,
                         const struct tuff_dequantize_pc *pc);
// Whether a kernel on a CPU-like driver may read this input as texels of 4 bytes.
bool tuff_quant_texel(const tuff_caps *k, const tuff_desc *d);

// The two planners of an op, made of the file's own plan_<name>.
#define TUFF_QUANT_PLANS(name)                                                  \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, k, p, true);                                      \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, k, p, false);                                     \
    }

// ---- round_levels (round_levels.c, and round_levels_host.c of the CPU path) ----------------

enum { TUFF_ROUND_X, TUFF_ROUND_SCALE, TUFF_ROUND_ZERO, TUFF_ROUND_COUNTER };
tuff_quant_axis tuff_round_axis(const tuff_call *c);
// The ends of the levels' numbers.
static inline int tuff_round_bits(const tuff_round_levels_params *p)
{
    return p->bits ? p->bits : 8;
}
static inline float tuff_round_low(const tuff_round_levels_params *p)
{
    return p->is_signed ? -ldexpf(1, tuff_round_bits(p) - 1) : 0;
}
static inline float tuff_round_high(const tuff_round_levels_params *p)
{
    return ldexpf(1, tuff_round_bits(p) - p->is_signed) - 1;
}
// The place of element 0 in the seed's sequence.
uint64_t tuff_round_first(const tuff_ref *r);
// Whether a number counts as 0.
static inline bool tuff_round_tiny(float x) { return !(fabsf(x) >= 0x1p-126f) && !isnan(x); }
void tuff_round_levels_host(const tuff_ref *r);
#endif
