// Rows picked out of a tensor by a list of indices, and put into one: what the ops of gather.c
// and scatter.c have in common. Each sees the tensor x that rows are picked of (or put into)
// and the tensor y of picked rows (or updates) as
//
//             x                       indices                  y
//   AXIS      [outer, rows, inner]    [picks]                  [outer, picks, inner]
//   ND        [outer, rows, inner]    [outer, picks, coords]   [outer, picks, inner]
//   ELEMENTS  any                     y's shape                x's rank, at most x's dims
//
// A negative index counts from the end. One that names no row reads as zeros, and what goes
// there is dropped, on every device alike: a kernel cannot refuse it.
#ifndef TUFF_OPS_INDEX_H
#define TUFF_OPS_INDEX_H
#include "ops/op.h"
#include "abi/index.h"

typedef struct tuff_index {
    uint32_t kind; // TUFF_INDEX_...
    int64_t outer, picks, rows, inner;
    int coords, first; // of ND: x's dims that a tuple names
    int axis;          // of ELEMENTS, counted from the outermost
    tuff_desc x, y;
} tuff_index;

// How a call of a given kind picks from `x` by `indices`, y's shape included. The params are
// tuff_gather_params. Fails: TUFF_ERR_ARG, TUFF_ERR_SHAPE; sentences call x by `name`.
tuff_status tuff_index_of(uint32_t kind, const tuff_gather_params *p, const tuff_desc *x,
                          const char *name, const tuff_desc *indices, tuff_index *s);
// Of a call that infer has accepted.
tuff_index tuff_index_good(uint32_t kind, const tuff_gather_params *p, const tuff_desc *x,
                           const tuff_desc *indices);
// For the shaders; y counted in fours where `wide`.
struct tuff_index_pc tuff_index_layout(const tuff_index *s, bool wide);

// ---- references --------------------------------------------------------------------------

// Where x has the element (outer, picked row, inner) or element i of y; -1: nowhere.
int64_t tuff_index_source(const tuff_index *s, const int32_t *indices, size_t i);
// The row of pick `j` in block `outer` (AXIS and ND), or -1.
int64_t tuff_index_row(const tuff_index *s, const int32_t *indices, int64_t outer, int64_t j);

// ---- the CPU path (index_host.c): AXIS and ND ---------------------------------------------

// Elements of any type, indices of i32 or i64.
size_t tuff_gather_host_units(const tuff_index *s);
void tuff_gather_host(const tuff_ref *r, const tuff_index *s);
// The gradient, of f32: dy = in[0], indices = in[1].
size_t tuff_gather_grad_host_units(const tuff_index *s, int stage);
size_t tuff_gather_grad_host_scratch(const tuff_index *s);
void tuff_gather_grad_host(const tuff_ref *r, const tuff_index *s);

// ---- samples -----------------------------------------------------------------------------

// Makes drawn indices ones that fit: most of rows that are there, some from the end, some out
// of range.
void tuff_index_prepare(const tuff_index *s, const tuff_desc *indices, void *data);
#endif
