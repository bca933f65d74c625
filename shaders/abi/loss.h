// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// FROM of fold.comp: the pair (value, weight) that element i gives.
#define TUFF_FOLD_PAIRS  0 // (a[2i], a[2i + 1]): what an earlier launch has left
#define TUFF_FOLD_ROWS   1 // (a[i], 1) where b[i] is one of `classes`, else (0, 0)
#define TUFF_FOLD_DIFF   2 // ((a[i] - b[i])^2, 1)
#define TUFF_FOLD_SQUARE 3 // (a[i]^2, 1)
#define TUFF_FOLD_VALUE  4 // (a[i], 1)
// Of the module that knows losses:
#define TUFF_FOLD_PRODUCT 5 // (a[i] b[i % period], 1)
#define TUFF_FOLD_LOSS    8 // (loss number FROM - 8 of a[i] and b[i], 1)

// WRITE of fold.comp: what becomes of the sums.
#define TUFF_FOLD_BOTH 0 // y[2g] = value, y[2g + 1] = weight, of each workgroup g
#define TUFF_FOLD_MEAN 1 // y[0] = value / max(weight, 1)
#define TUFF_FOLD_SUM  2 // y[0] = value
#define TUFF_FOLD_ROOT 3 // y[0] = sqrt(value)
#define TUFF_FOLD_WEIGHTED 4 // y[0] = value / weight, 0 where there is no weight

struct tuff_fold_pc {
    uint count;   // elements
    uint span;    // elements of one workgroup
    uint classes;
    uint period;
    float delta;  // of losses that have one
};

// Losses of an element of x and one of the target: OP of loss.comp.
#define TUFF_LOSS_MSE        0
#define TUFF_LOSS_L1         1
#define TUFF_LOSS_HUBER      2
#define TUFF_LOSS_SMOOTH_L1  3
#define TUFF_LOSS_HINGE      4
#define TUFF_LOSS_BCE        5
#define TUFF_LOSS_BCE_LOGITS 6
#define TUFF_LOSS_PRODUCT    7 // x target

// THIRD of loss.comp: what its third operand is.
#define TUFF_THIRD_NONE   0
#define TUFF_THIRD_POS    1 // weight of the positive class
#define TUFF_THIRD_FACTOR 2 // the result is multiplied by it

struct tuff_loss_pc {
    uint count;
    uint period, third_period; // of the target and the third operand: element i % period
    float delta, scale;        // the result is multiplied by scale
};

// KIND of rows.comp: the pair that stands for some elements of a row.
#define TUFF_ROWS_SOFTMAX 0 // (m, r) as in rows.glsl
#define TUFF_ROWS_RIGHT   1 // (1, 0) if none of them keeps the label's from winning, else 0

struct tuff_rows_pc {
    uint rows, cols;
    tuff_divide parts; // parts that a row is cut into: part p has elements p, p + parts, ...
};

struct tuff_softmax_grad_pc {
    uint count;       // rows * cols
    uint rows;
    tuff_divide cols;
};

// KIND of class_rows.comp, class_state.comp and class_grad.comp.
#define TUFF_CLASS_CROSS_ENTROPY 0
#define TUFF_CLASS_SOFT          1 // cross-entropy of a row of probabilities
#define TUFF_CLASS_KL            2
#define TUFF_CLASS_NLL           3
#define TUFF_CLASS_MARGIN        4
// class_grad.comp alone:
#define TUFF_CLASS_LOG_PROB      5 // y = log(softmax(x))
#define TUFF_CLASS_SHARES        6 // y = the weights of a row's elements

// STAGE of class_rows.comp.
#define TUFF_STAGE_STATS 0 // (m, r) of a part of a row, as in rows.glsl
#define TUFF_STAGE_JOIN  1 // the same of a row, from its parts
#define TUFF_STAGE_LOSS  2 // (loss, weight) of a part; the row's weight is its first part's
#define TUFF_STAGE_SHARE 3 // what the gradient asks of all of a row; its weight
#define TUFF_STAGE_WRITE 4 // y[row] = the loss of its parts

#define TUFF_NO_LABEL 0xffffffffu

// x [n, cols, step] has rows = n step rows. Scratch memory, in floats:
//   0        pairs of LOSS and SHARE, `parts` a row
//   stats    pairs of STATS (part > 1: of JOIN), two a row: those of x, and those of a teacher
//   more     pairs of parts, until JOIN; then what class_state.comp leaves of a row
struct tuff_class_pc {
    uint rows, cols, parts;
    uint ignored; // a label that does not count, or TUFF_NO_LABEL
    uint stats, more;
    float scale;  // x is multiplied by it (1 / temperature)
    float smoothing, margin;
    float total;  // class_state.comp: weight of all rows, 0: as counted
    tuff_divide step, by; // by: parts, or rows where step > 1, as neighbours then are rows
};

#define TUFF_CLASS_STATE 6 // floats a row

struct tuff_class_grad_pc {
    uint count;
    uint stats, more;
    float scale, smoothing, margin;
    tuff_divide step, cols;
};
