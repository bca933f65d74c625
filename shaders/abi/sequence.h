// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// rotary.comp: x [outer, t, d], a row of the table a position.
struct tuff_rotary_pc {
    uint rows, t, d, half_n;    // rows: outer * t; half_n: pairs that are turned
    uint rows_per_n;            // rows that share a row of positions [N, T], a multiple of t
    uint limit;                 // rows of the table
};

// kv_append.comp: cache [g, l, d], x [g, t, d].
struct tuff_kv_append_pc {
    uint count, l, t, d; // elements of cache
};

// cells.comp
struct tuff_cell_pc {
    uint n, h;           // rows, numbers of a state
    uint at0, at1, at2, at3; // where each gate's block of h lies: LSTM i o f g; GRU z r n
};

// What a launch of cells.comp computes, its constant STEP; see there.
#define TUFF_CELL_LSTM        0
#define TUFF_CELL_LSTM_C      1
#define TUFF_CELL_LSTM_TANH   2
#define TUFF_CELL_LSTM_DC     3
#define TUFF_CELL_LSTM_DO     4
#define TUFF_CELL_ADD         5
#define TUFF_CELL_LSTM_DGATES 6
#define TUFF_CELL_LSTM_BACK   7
#define TUFF_CELL_GRU         8
#define TUFF_CELL_GRU_GATES   9
#define TUFF_CELL_GRU_DZ_DN   10
#define TUFF_CELL_GRU_DR      11
#define TUFF_CELL_GRU_DGH     12
#define TUFF_CELL_GRU_DH      13
