// What the normalising ops share: a tensor seen twice as sets of elements (abi/norm.h), those
// that have one mean and deviation and those that have one scale and bias, and the launches
// that plans are made of.
//
//   x [N, C, H, W]     sets with a mean        sets with a scale
//   batch_norm         C channels              C channels
//   instance_norm      N C planes              C channels
//   group_norm         N G rows                C channels
//   layer_norm         N rows (axis 2)         C H W places
//
//   forward   norm_stats -> parts -> norm_merge -> mean, inv -> norm_apply -> y
//   backward  norm_sums -> parts -> norm_sums_merge -> dscale, dbias
//             norm_sums -> parts -> norm_sums_merge -> rows -> norm_dx -> dx
#ifndef TUFF_OPS_NORM_H
#define TUFF_OPS_NORM_H
#include "ops/fold.h"
#include "abi/norm.h"

// Sets as in abi/norm.h.
typedef struct tuff_norm_view {
    size_t count, terms, beside, run;
} tuff_norm_view;

typedef struct tuff_norm {
    size_t count;          // elements
    tuff_norm_view rows;   // sets that have one mean
    size_t params, span;   // element i has the parameters i / span % params
    bool channel;          // rows are the sets that have one scale
    uint32_t kind;         // TUFF_NORM_MOMENTS ...
    double epsilon;
} tuff_norm;

// The sets of elements that have one scale.
tuff_norm_view tuff_norm_of_params(const tuff_norm *g);

typedef enum tuff_norm_how {
    TUFF_NORM_PLAIN, TUFF_NORM_TEXEL, TUFF_NORM_GROUP,
    TUFF_NORM_LANES // whole rows only: texels, and a row a subgroup
} tuff_norm_how;

// A workgroup a piece reads neighbours together, where there are runs of them.
bool tuff_norm_group_pays(const tuff_norm_view *v);
// True when x (and dy) can be read as texels, as can everything else that texel kernels read.
bool tuff_norm_texels(const tuff_norm *g, const tuff_caps *k);

// A cut of each set into pieces.
typedef struct tuff_norm_pieces {
    uint32_t segments, span;
} tuff_norm_pieces;

#define TUFF_PLACE_IN(i)      ((tuff_place){ TUFF_ROLE_IN, i })
#define TUFF_PLACE_OUT(i)     ((tuff_place){ TUFF_ROLE_OUT, i })
#define TUFF_PLACE_SCRATCH(i) ((tuff_place){ TUFF_ROLE_SCRATCH, i })

// x's pieces' pairs to scratch[scratch], whose size is set.
tuff_norm_pieces tuff_norm_add_stats(const tuff_norm *g, tuff_norm_how how, tuff_place x,
                                     int scratch, const tuff_caps *k, tuff_plan *p);
// The pairs put together.
void tuff_norm_add_merge(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                         tuff_place mean, tuff_place inv, const tuff_caps *k, tuff_plan *p);
// The same of channels, with the running statistics: new = keep old + add (batch's).
typedef struct tuff_norm_running {
    tuff_place saved, new_mean, new_var, old_mean, old_var; // saved: pairs (mean, inv)
    int scratch;
    double keep, add, add_var;
} tuff_norm_running;
// False when the channels are more than all launches of a plan see.
bool tuff_norm_add_running(const tuff_norm *g, const tuff_norm_running *r,
                           tuff_norm_pieces pieces, const tuff_caps *k, tuff_plan *p);

// y of x with what normalises it. mean and inv may be one place of pairs.
typedef struct tuff_norm_apply {
    tuff_place x, mean, inv, y, scale, bias;
    bool variance, pairs, has_scale, has_bias;
} tuff_norm_apply;
// False when the parameters are more than all launches of a plan see.
bool tuff_norm_add_apply(const tuff_norm *g, tuff_norm_how how, const tuff_norm_apply *a,
                         const tuff_caps *k, tuff_plan *p);

// Sums over sets: those of params (to dscale and dbias) or, with `rows`, those of one mean,
// weighed by the scale.
typedef struct tuff_norm_sums {
    tuff_place x, dy, mean, inv, scale;
    bool pairs;   // inv has pairs (mean, inv)
    bool rows, has_scale;
    int scratch;  // parts, and behind them what else is kept: three are used
} tuff_norm_sums;
// False when the parameters are more than all launches of a plan see.
bool tuff_norm_add_sums(const tuff_norm *g, tuff_norm_how how, const tuff_norm_sums *s,
                        tuff_norm_pieces *pieces, const tuff_caps *k, tuff_plan *p);
// Of params.
void tuff_norm_add_params(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                          tuff_place dscale, tuff_place dbias, bool has_bias,
                          const tuff_caps *k, tuff_plan *p);

// Of rows, to scratch[scratch + 2] of the sums, four numbers a row. Not with `pairs`, and not
// by texel kernels, which have no use for them.
void tuff_norm_add_rows(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                        const tuff_caps *k, tuff_plan *p);

// dx of x and dy. rows: what norm_sums_merge leaves, four numbers a row; of a channel's (see
// tuff_norm.channel) pairs (mean, inv), beside its dscale and dbias.
typedef struct tuff_norm_dx {
    tuff_place x, dy, rows, dx, scale, dscale, dbias;
    bool has_scale;
} tuff_norm_dx;
bool tuff_norm_add_dx(const tuff_norm *g, tuff_norm_how how, const tuff_norm_dx *s,
                      const tuff_caps *k, tuff_plan *p);

// Whole rows in one launch, where they are neither too long nor too few; else false. With a
// gradient y is dx, mean and inv are read, and there is no bias.
typedef struct tuff_norm_row {
    tuff_place x, dy, y, mean, inv, scale, bias;
    bool has_stats, has_scale, has_bias; // has_stats: mean and inv are outputs
} tuff_norm_row;
bool tuff_norm_add_row(const tuff_norm *g, tuff_norm_how how, const tuff_norm_row *r,
                       const tuff_caps *k, tuff_plan *p);
bool tuff_norm_add_row_grad(const tuff_norm *g, tuff_norm_how how, const tuff_norm_row *r,
                            const tuff_caps *k, tuff_plan *p);

// What is added to a batch norm's variance.
double tuff_batch_norm_epsilon(const tuff_call *c);
#endif
