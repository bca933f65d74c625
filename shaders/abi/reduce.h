// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// The functions of reduce.comp, its constant OP.
#define TUFF_REDUCE_SUM 0
#define TUFF_REDUCE_MAX 1
#define TUFF_REDUCE_MIN 2
#define TUFF_REDUCE_PROD 3
#define TUFF_REDUCE_LSE 4 // log of the sum of exp

// MAP: what an element is before; FINISH: what becomes of the result.
#define TUFF_REDUCE_ASIS   0
#define TUFF_REDUCE_ABS    1
#define TUFF_REDUCE_SQUARE 2
#define TUFF_REDUCE_ROOT   1
#define TUFF_REDUCE_LOG    2

// WIDE: along which dims the texels of a texel buffer are vec4s.
#define TUFF_REDUCE_NARROW 0 // none
#define TUFF_REDUCE_GOES   1 // one that goes
#define TUFF_REDUCE_STAYS  2 // one that stays

// Element (row, col) of x lies at the sum of two walks, each given innermost first: row over
// the dims that stay, col over those that go. A row is cut into `segments` pieces of `span`
// columns, the last one shorter; the piece's result goes to y[segment * rows + row].
struct tuff_reduce_pc {
    uint rows, cols, segments, span;
    float scale; // the result is multiplied by it
    uint kept_rank, gone_rank;
    uint kept_dim[4], kept_step[4], gone_dim[4], gone_step[4];
};
