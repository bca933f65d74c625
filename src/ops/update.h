// The optimizers: what tells them apart, for update.c (checks, plans), update_ref.c (formulas),
// update_ops.c (records) and lamb.c. The formulas are in <tuff/ops/optimizer.h>; the shaders
// are update.comp and, for devices that bind few buffers, update_split.comp.
#ifndef TUFF_OPS_UPDATE_H
#define TUFF_OPS_UPDATE_H
#include "ops/op.h"
#include "abi/update.h"

// Inputs; the states that an optimizer has follow, in the order m, v, x, and Lamb's starts
// after them. The outputs are w and the states.
enum { TUFF_UPDATE_IN_W, TUFF_UPDATE_IN_G, TUFF_UPDATE_IN_HYPER, TUFF_UPDATE_IN_STATE };

// An optimizer and the defaults of its numbers.
typedef struct tuff_rule {
    const char *name;
    uint32_t op;       // TUFF_UPDATE_SGD ...
    bool m, v, x;      // states that it has
    bool decoupled;    // its weight decay always is
    double momentum, beta2, eps;
} tuff_rule;

// By the op's name, or NULL.
const tuff_rule *tuff_rule_of(const char *name);
static inline int tuff_rule_states(const tuff_rule *r) { return r->m + r->v + r->x; }

// The params with their defaults, in f64: 0.999 is not what 0.999f is.
typedef struct tuff_rule_numbers {
    double momentum, dampening, alpha, beta1, beta2, momentum_decay, eps;
    double weight_decay, decoupled; // one of the two is 0
    double l1, clip_value;
} tuff_rule_numbers;
tuff_rule_numbers tuff_rule_numbers_of(const tuff_rule *r, const tuff_update_params *p);

// g' of the formulas, for the references.
double tuff_rule_slope(const tuff_rule_numbers *n, double w, double g);

// The type of the copy that is asked for, or 0. It is the last output then.
tuff_dtype tuff_update_copy(const tuff_call *c);
// Appends what writes it from the w that is written before.
bool tuff_update_add_copy(const tuff_call *c, const tuff_caps *k, tuff_plan *p);

tuff_status tuff_update_infer(const tuff_call *c, tuff_desc out[]);
void tuff_update_ref(const tuff_ref *r);
size_t tuff_update_elements(const tuff_call *c);
tuff_cost tuff_update_cost(const tuff_call *c);

// Planners. Where w goes: an output, or scratch 2 of Lamb's direction.
bool tuff_update_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_update_fused(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_update_split(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
enum { TUFF_UPDATE_DIRECTION = 2 }; // scratch

// The numbers of a rule as the kernels take them.
struct tuff_update_pc tuff_update_pc_of(const tuff_call *c, const tuff_rule *rule);

// Of the CPU path (update_host.c): all but Lamb, and Lamb.
bool tuff_update_host_takes(const tuff_call *c);
void tuff_update_host(const tuff_ref *r);
bool tuff_lamb_host_takes(const tuff_call *c);
size_t tuff_lamb_host_units(const tuff_call *c, int stage);
size_t tuff_lamb_host_scratch(const tuff_call *c);
void tuff_lamb_host(const tuff_ref *r);

// The reference of Lamb (lamb.c), whose elements are not independent.
void tuff_lamb_ref(const tuff_ref *r);

#define TUFF_UPDATE_FLOAT(name) TUFF_FLOAT(tuff_update_params, name)
#define TUFF_UPDATE_PART(name)  TUFF_FLOAT_ZERO(tuff_update_params, name)
#define TUFF_UPDATE_PENALTIES                                                   \
    TUFF_UPDATE_FLOAT(weight_decay), TUFF_UPDATE_FLOAT(l1), TUFF_UPDATE_FLOAT(clip_value), \
        TUFF_DTYPE(tuff_update_params, copy)
#define TUFF_UPDATE_PORTS                                                       \
    { .name = "w", .dtypes = TUFF_F32, .no_grad = true },                       \
        { .name = "g", .dtypes = TUFF_F32, .no_grad = true },                   \
    { .name = "hyper", .dtypes = TUFF_F32, .no_grad = true, .positive = true, .ordinary = true }
#define TUFF_UPDATE_READ_M { .name = "m", .dtypes = TUFF_F32, .no_grad = true }
#define TUFF_UPDATE_READ_V                                                      \
    { .name = "v", .dtypes = TUFF_F32, .no_grad = true, .positive = true }
#define TUFF_UPDATE_WRITE_W { .name = "w", .dtypes = TUFF_F32, .alias = true }
#define TUFF_UPDATE_COPY { .name = "copy", .dtypes = TUFF_F16 | TUFF_BF16, .optional = true }
#define TUFF_UPDATE_WRITE(text, i)                                              \
    { .name = text, .dtypes = TUFF_F32, .alias = true,                          \
      .alias_in = TUFF_UPDATE_IN_STATE + (i) }
// Each state and w are a few operations away from what is read, none of them a difference of
// near numbers: about ten roundings of 6e-8 and a division and a root of 1.5e-7 each.
#define TUFF_UPDATE_JUDGED                                                      \
    .native = TUFF_WORDS | TUFF_F16 | TUFF_BF16, .tol = { .f32 = 2e-6f }, .sample = { -1, 1 }
#endif
