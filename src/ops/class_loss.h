// What the losses of rows of class scores share: x [N, C, d1, ..] seen as rows of `cols`
// scores at distances of `step`, and the launches.
//
//   STATS -> [JOIN ->] maximum and sum of exp(x - m) of each row     cross-entropies, KL
//   loss    LOSS -> (loss, weight) of parts of rows -> fold, or WRITE -> loss
//   grad    SHARE -> what all of a row says -> [fold: weight of all rows ->] STATE ->
//           class_grad.comp -> dx
#ifndef TUFF_OPS_CLASS_LOSS_H
#define TUFF_OPS_CLASS_LOSS_H
#include "ops/fold.h"

// What a record's family points to, and a record's line that says so.
typedef struct tuff_class_kind {
    uint32_t kind; // TUFF_CLASS_...
    bool grad;
} tuff_class_kind;
#define TUFF_CLASS_LOSS(kind_) .family = &(const tuff_class_kind){ .kind = kind_ }
#define TUFF_CLASS_GRAD(kind_)                                                  \
    .family = &(const tuff_class_kind){ .kind = kind_, .grad = true }

typedef struct tuff_class_loss {
    uint32_t kind; // TUFF_CLASS_...
    bool grad;     // in[] is x, second, dloss, weight; else x, second, weight
    bool labels;   // `second` holds labels, not a tensor like x
    int weight;    // input, -1: none
    size_t rows, cols, step;
    int reduction;
    int64_t ignored; // -1: none
    double smoothing, margin, temperature;
} tuff_class_loss;

tuff_class_loss tuff_class_loss_of(const tuff_call *c);
tuff_status tuff_class_loss_infer(const tuff_call *c, tuff_desc out[]);
tuff_status tuff_class_grad_infer(const tuff_call *c, tuff_desc out[]);
void tuff_class_loss_ref(const tuff_ref *r);
void tuff_class_grad_ref(const tuff_ref *r);
size_t tuff_class_rows(const tuff_call *c); // units of the gradient's reference
tuff_cost tuff_class_loss_cost(const tuff_call *c);
void tuff_class_loss_prepare(const tuff_call *c, void *const in[]);
extern const char *const tuff_loss_reductions[];
// Plans that run on every device.
bool tuff_class_loss_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_class_grad_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p);

// Of the CPU path (class_loss_host.c).
bool tuff_class_host_takes(const tuff_call *c);
size_t tuff_class_host_units(const tuff_call *c, int stage);
size_t tuff_class_host_scratch(const tuff_call *c);
void tuff_class_host(const tuff_ref *r);
#define TUFF_CLASS_HOSTS                                                        \
    { { .name = "fast", .takes = tuff_class_host_takes, .run = tuff_class_host, \
        .units = tuff_class_host_units, .scratch = tuff_class_host_scratch } }
#endif
