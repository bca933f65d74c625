// What the elementwise ops share. Such an op is a function of a family and little else: its
// record points to the function (tuff_op.family), and the family's reference and planners
// find it there. So a new function of one element is
//
//   shaders/abi/elementwise.h   its number
//   shaders/unary.comp          its formula
//   activation.c, unary.c       its formula again, for the reference, and its record
//   op_list.h and the header    its name
#ifndef TUFF_OPS_ELEMENTWISE_H
#define TUFF_OPS_ELEMENTWISE_H
#include "ops/broadcast.h"
#include "ops/compose.h"
#include <math.h>

// ---- one element ----------------------------------------------------------------------------

// y = f(x) by unary.comp, or dx = dy f'(x) by unary_grad.comp. `p` holds two numbers of the
// function, made of the op's params. Whole numbers are those of i32 and u32, computed modulo
// 2^32.
typedef struct tuff_unary {
    uint32_t function; // TUFF_UNARY_...
    double (*real)(double x, const float p[2]);
    int64_t (*whole)(int64_t x);
    void (*numbers)(const tuff_call *c, float p[2]); // NULL: it has none
    const tuff_op *grad; // the op that gives dx from (x, dy), or with by_y from (y, dy)
    bool by_y;
} tuff_unary;

tuff_status tuff_unary_infer(const tuff_call *c, tuff_desc out[]);
size_t tuff_elements(const tuff_call *c); // of the first output: units of a reference
void tuff_unary_ref(const tuff_ref *r);
bool tuff_unary_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_unary_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
void tuff_unary_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[]);
// One dispatch of unary.comp over in[0] with the numbers' bits; false where it cannot be.
bool tuff_unary_launch(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                       uint32_t function, const uint32_t bits[2]);

// Of the CPU path, in f32; _as: of any function and its numbers (unary_host.c).
bool tuff_unary_host_takes(const tuff_call *c);
void tuff_unary_host(const tuff_ref *r);
void tuff_unary_host_as(const tuff_ref *r, uint32_t function, float a, float b);

tuff_status tuff_slope_infer(const tuff_call *c, tuff_desc out[]);
void tuff_slope_ref(const tuff_ref *r);
bool tuff_slope_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_slope_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
void tuff_slope_host(const tuff_ref *r);

// ---- two elements ---------------------------------------------------------------------------

// y = f(a, b) by binary.comp, with broadcasting; of bool whole numbers are 0 and 1.
typedef struct tuff_binary {
    uint32_t function; // TUFF_BINARY_...
    double (*real)(double a, double b);
    int64_t (*whole)(int64_t a, int64_t b); // modulo 2^32; of i32 and u32 without remainder
    double n; // of TUFF_BINARY_MEAN
    // Where the params choose between functions; NULL: this one it is.
    const struct tuff_binary *(*pick)(const tuff_call *c);
} tuff_binary;

// A call's function: the record's, or the one of those that its params choose.
const tuff_binary *tuff_binary_function(const tuff_call *c);
tuff_status tuff_binary_infer(const tuff_call *c, tuff_desc out[]);
void tuff_binary_ref(const tuff_ref *r);
bool tuff_binary_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_binary_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
// Of the CPU path (binary_host.c): two operands, up to six, and where.
bool tuff_binary_host_takes(const tuff_call *c);
void tuff_binary_host(const tuff_ref *r);
bool tuff_many_host_takes(const tuff_call *c);
void tuff_many_host(const tuff_ref *r);
bool tuff_where_host_takes(const tuff_call *c);
void tuff_where_host(const tuff_ref *r);
// One dispatch of binary.comp. The operands are inputs, or the output for an index below 0.
bool tuff_binary_launch(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                        const tuff_binary *f, int a, int b);

// The element type as the shaders know it.
uint32_t tuff_element_type(tuff_dtype type);

#define TUFF_INTEGERS (TUFF_I32 | TUFF_U32 | TUFF_I8 | TUFF_U8)

// Variants that read and write 16-bit floats themselves, two a word, on every device: for
// functions that nets are full of. Others are cast before and behind.
#define TUFF_HALVES (TUFF_F16 | TUFF_BF16)
#define TUFF_HOT(kind)                                                          \
    .variants = { { .name = "texel", .plan = tuff_##kind##_texel, .types = TUFF_HALVES }, \
                  { .name = "plain", .plan = tuff_##kind##_plain, .types = TUFF_HALVES } }
#define TUFF_COLD(kind)                                                         \
    .variants = { TUFF_KERNEL("texel", tuff_##kind##_texel),                    \
                  TUFF_KERNEL("plain", tuff_##kind##_plain) }
// The records' members; `name_` is a tuff_unary or tuff_binary, `temperature` HOT or COLD.
#define TUFF_UNARY_OP(name_, temperature)                                       \
    .family = &(name_), .infer = tuff_unary_infer, .units = tuff_elements,      \
    .ref = tuff_unary_ref, .special = TUFF_SPECIAL_EACH, TUFF_##temperature(unary), \
    TUFF_FAST_OF(TUFF_HALVES, tuff_unary_host_takes, tuff_unary_host)
#define TUFF_SLOPE_OP(name_, temperature)                                       \
    .family = &(name_), .infer = tuff_slope_infer, .units = tuff_elements,      \
    .ref = tuff_slope_ref, .special = TUFF_SPECIAL_EACH, TUFF_##temperature(slope), \
    TUFF_FAST_OF(TUFF_HALVES, tuff_unary_host_takes, tuff_slope_host)
#define TUFF_BINARY_OP(name_, temperature)                                      \
    .family = &(name_), .infer = tuff_binary_infer, .units = tuff_elements,     \
    .ref = tuff_binary_ref, .special = TUFF_SPECIAL_EACH, TUFF_##temperature(binary), \
    TUFF_FAST_OF(TUFF_HALVES, tuff_binary_host_takes, tuff_binary_host)
// A function's row, and the references made of its formulas.
#define TUFF_BINARY_FUNCTION(name, NUMBER, formula, whole_formula)              \
    static double name##_real(double a, double b)                               \
    {                                                                           \
        (void)a, (void)b;                                                       \
        return formula;                                                         \
    }                                                                           \
    static int64_t name##_whole(int64_t a, int64_t b)                           \
    {                                                                           \
        (void)a, (void)b;                                                       \
        return whole_formula;                                                   \
    }                                                                           \
    static const tuff_binary name##_f = { .function = TUFF_BINARY_##NUMBER,     \
                                          .real = name##_real, .whole = name##_whole };
// One element, ends of every kind for groups of four, a multiple of four.
#define TUFF_UNARY_CASES TUFF_CASES("1", "7", "5x64", "257x13", "3x1x1031")
#endif
