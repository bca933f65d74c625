// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// FROM of fold.comp: the pair (value, weight) that element i gives.
#define TUFF_FOLD_PAIRS  0 // (a[2i], a[2i + 1]): what an earlier launch has left
#define TUFF_FOLD_ROWS   1 // (a[i], 1) where b[i] is one of `classes`, else (0, 0)
#define TUFF_FOLD_DIFF   2 // ((a[i] - b[i])^2, 1)
#define TUFF_FOLD_SQUARE 3 // (a[i]^2, 1)

// WRITE of fold.comp: what becomes of the sums.
#define TUFF_FOLD_BOTH 0 // y[2g] = value, y[2g + 1] = weight, of each workgroup g
#define TUFF_FOLD_MEAN 1 // y[0] = value / max(weight, 1)
#define TUFF_FOLD_SUM  2 // y[0] = value
#define TUFF_FOLD_ROOT 3 // y[0] = sqrt(value)

struct tuff_fold_pc {
    uint count;   // elements
    uint span;    // elements of one workgroup
    uint classes;
};

// KIND of rows.comp: the pair that stands for some elements of a row.
#define TUFF_ROWS_SOFTMAX 0 // (m, s): their maximum, the sum of exp(x - m)
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
