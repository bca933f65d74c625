// A graph inside the library.
//
// Values are numbered from 1. Steps are what happens, in order: an op, or the store of a
// value into a tensor of the device. Building only appends; a program works on a copy.
//
//   value   input | bound | constant | output of a node | alias (a reshape of another value)
//   step    node (op, params, in, out) | store (value -> tensor)
#ifndef TUFF_GRAPH_GRAPH_H
#define TUFF_GRAPH_GRAPH_H
#include "ops/chain.h"
#include "tensor/tensor.h"

typedef enum tuff_value_kind {
    TUFF_VALUE_INPUT,
    TUFF_VALUE_BOUND,
    TUFF_VALUE_CONSTANT,
    TUFF_VALUE_NODE,
    TUFF_VALUE_ALIAS
} tuff_value_kind;

typedef struct tuff_value {
    tuff_value_kind kind;
    tuff_desc desc;
    int alias_of;     // ALIAS: the value whose elements it shows (never an alias itself)
    tuff_range bound; // BOUND: where it lies; the graph holds a reference to the buffer
    void *data;       // CONSTANT: its elements
    char *name;       // INPUT, BOUND: may be NULL
    bool output;      // kept for tuff_program_read
} tuff_value;

typedef struct tuff_step {
    const tuff_op *op; // NULL: a store
    void *params;      // op: its own copy, NULL when the op has none
    int in[TUFF_OP_IN], out[TUFF_OP_OUT];
    int nin, nout;
    tuff_range store;  // store: where in[0] goes; the graph holds a reference
    bool swept;        // chain.c: it went into a chain, and goes from the list
} tuff_step;

struct tuff_graph {
    tuff_tape tape; // first: a tape is its graph
    tuff_value *values; // values[0] is none
    int nvalues, values_room;
    tuff_step *steps;
    int nsteps, steps_room;
    tuff_chain **chains; // records of its own, with their steps' params
    int nchains, chains_room;
};

// False, with the graph's failure set, where what a gradient rule was handed is only a tape.
bool tuff_graph_whole(tuff_graph *g);
// Appends a record's node, whether or not the table of ops has it.
void tuff_graph_record(tuff_graph *g, const tuff_op *op, const tuff_var *in, int nin,
                       const void *params, tuff_var *out, int nout);
// The call of a node as descriptions; params point into the step.
tuff_call tuff_step_call(const tuff_graph *g, const tuff_step *s);
// The value whose memory holds v's elements: v, or what v is an alias of.
int tuff_value_root(const tuff_graph *g, int v);
// A copy that may be changed (dropped, fused) without touching the graph.
tuff_status tuff_graph_copy(const tuff_graph *g, tuff_graph **copy);

// Makes a chain the graph's, with its steps' params. False, with the graph's failure set, where
// there is no memory.
bool tuff_graph_keep(tuff_graph *g, tuff_chain *c);

static inline bool tuff_range_overlap(tuff_range a, tuff_range b)
{
    return a.buffer == b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

// tuff_graph_backward, where `slope` makes of the gradient by each step's result the one that
// goes on into the step; NULL: it stays as it is. A value is named by its root.
typedef tuff_var (*tuff_slope_fn)(void *user, tuff_graph *g, tuff_var value, tuff_var dy);
void tuff_graph_backward_by(tuff_graph *g, tuff_var loss, const tuff_var *wrt, int n,
                            tuff_var *grads, tuff_slope_fn slope, void *user);

// fuse.c: works on a program's own copy of the graph.
tuff_status tuff_graph_drop(tuff_graph *g); // steps that no output and no store needs
int tuff_graph_fuse(tuff_graph *g);  // epilogues into their producers; how many went
// True when v's elements are the same at step `early` as at step `late`.
bool tuff_value_stands(const tuff_graph *g, int v, int early, int late);
// chain.c: elementwise steps into chains for a device; adds to *fused how many went.
tuff_status tuff_graph_chain(tuff_graph *g, const tuff_caps *caps, int *fused);
// layout.c: images into blocks of channels where that saves conversions; adds how many values
// went, and how many copies in planes are made of them.
tuff_status tuff_graph_layout(tuff_graph *g, const tuff_caps *caps, int *blocked, int *copies);
// Norms of constants into the weights before them; how many went. The status is the graph's.
int tuff_graph_fold(tuff_graph *g);
// constant.c: finds the values and steps of a graph that depend on constants alone. `values` is
// by root value, `steps` (may be NULL) by step.
void tuff_graph_constants(const tuff_graph *g, bool *values, bool *steps);
#endif
