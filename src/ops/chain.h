// Chains: elementwise steps that run as one kernel. What passes from step to step stays in
// registers; memory is read once for each input and written once for each output.
//
//   y = relu(batch_norm(x) + r)         x  scale ...  r
//                                       |   |         |        inputs
//   t0 = batch_norm(x, scale, ...)      +- t0 ---+    |
//   t1 = add(t0, r)                              t1 --+        steps
//   t2 = relu(t1)                                t2 ---> y     an output
//
// A chain is a record like any op's, made at run time by the program compiler
// (graph/chain.c) and owned by its graph. The steps are calls of other records:
//
//   reference  element by element through the steps' own references; what passes from one to
//              the next is rounded to f32, as it is where the steps run one by one
//   CPU path   a few KB at a time through the steps' own kernels, so that it stays in cache
//   GPU        one dispatch, made of the formulas of the elementwise shaders (chain_plan.c)
//
// All steps have as many elements. An operand is an earlier step, or an input: of as many
// elements, or repeated evenly (a scalar, a row, a channel's value). Everything is f32; what a
// comparison gives is a step that only other steps read.
#ifndef TUFF_OPS_CHAIN_H
#define TUFF_OPS_CHAIN_H
#include "ops/elementwise.h"
#include "abi/chain.h"

enum {
    TUFF_CHAIN_STEPS = 12,
    TUFF_CHAIN_MICRO = 20,   // steps as kernels have them (tuff_chain_code)
    TUFF_CHAIN_IN = 8,
    TUFF_CHAIN_OUT = 3,
    TUFF_CHAIN_ARGS = 5,     // operands of a step
};

// An operand: an input's number, TUFF_CHAIN_STEP_0 + a step's, or -1 where it is absent.
typedef struct tuff_chain_step {
    const tuff_op *op;
    const void *params; // the graph's; NULL: zeros
    int in[TUFF_CHAIN_ARGS], nin;
    tuff_desc y;        // what it gives; where its inputs are repeated to
} tuff_chain_step;

typedef struct tuff_chain {
    tuff_op op; // first: a record is its chain
    tuff_chain_step step[TUFF_CHAIN_STEPS];
    tuff_desc x[TUFF_CHAIN_IN];
    tuff_desc over[TUFF_CHAIN_IN]; // what input i is repeated to
    int out[TUFF_CHAIN_OUT];       // steps
    int nsteps, nin, nout;
    char doc[160];
} tuff_chain;

// What may be a step of a chain on a device: a call of f32 (or with bool between its steps)
// whose operands are read evenly.
bool tuff_chain_takes(const tuff_call *c, const tuff_caps *k);
// Whether a kernel of such a device takes a chain whose steps, inputs and outputs are set.
bool tuff_chain_fits(const tuff_chain *c, const tuff_caps *k);
// Fills the record of a chain whose steps, inputs and outputs are set. alias[o] is the input
// that output o may be written over, or -1.
void tuff_chain_finish(tuff_chain *c, const int alias[]);

// The chain that a record is, or NULL.
const tuff_chain *tuff_chain_of(const tuff_op *op);

// Whether chains have a kernel of that name.
bool tuff_chain_variant(const char *name);

// ---- as kernels have it -----------------------------------------------------------------

// A step as abi/chain.h describes it; a record makes none to four of them.
typedef struct tuff_chain_micro {
    uint32_t function;
    int a, b, c; // operands; those not used are 0
    float p, q;
} tuff_chain_micro;

typedef struct tuff_chain_code {
    tuff_chain_micro micro[TUFF_CHAIN_MICRO];
    int count;
    int out[TUFF_CHAIN_OUT];      // operands that are the outputs
    uint32_t mode[TUFF_CHAIN_IN]; // TUFF_CHAIN_SAME, ...
    uint32_t div[TUFF_CHAIN_IN], mod[TUFF_CHAIN_IN];
} tuff_chain_code;

// False where the steps are more than TUFF_CHAIN_MICRO.
bool tuff_chain_encode(const tuff_chain *c, tuff_chain_code *code);
// Whether chain.comp has a function, too.
bool tuff_chain_common(uint32_t function);
bool tuff_chain_plan_generated(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
bool tuff_chain_plan_steps(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
#endif
