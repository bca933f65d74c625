#ifndef TUFF_GRAPH_H
#define TUFF_GRAPH_H
#include <tuff/ops.h>
// Graphs and programs. A graph describes a computation; a program is a graph compiled for
// one device: recorded once, replayed with one submission a run.
//
//   tuff_graph *g;                      x ---- matmul -- add -- relu -- y
//   tuff_graph_create(&g);                    /        /
//   x = tuff_graph_input(...)            w --      b -
//   w = tuff_graph_bind(...)
//   y = tuff_graph_op(g, "matmul", (tuff_var[]){ x, w }, 2, NULL);
//   ...
//   tuff_program_create(device, g, NULL, &program);
//   tuff_program_write(program, x, data, bytes); tuff_program_run(program);
//   tuff_program_read(program, y, data, bytes);
//
//   Errors   building calls return a null variable (id 0) on failure; the graph remembers the
//            first failure, every later call does nothing, and tuff_graph_status (and
//            tuff_program_create) report it: a net can be built without a check a line.
//   Threads  a graph, and a program, belong to one thread at a time.

typedef struct tuff_graph tuff_graph;
typedef struct tuff_program tuff_program;
typedef struct tuff_var { int id; } tuff_var; // a value in a graph; id 0 is none

// The caller destroys it. Fails: TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_graph_create(tuff_graph **graph);
TUFF_API void tuff_graph_destroy(tuff_graph **graph);
// The first failure of a building call; TUFF_OK so far.
TUFF_API TUFF_CHECK tuff_status tuff_graph_status(const tuff_graph *graph);
// A value's type and shape, or NULL where there is no such value.
TUFF_API const tuff_desc *tuff_graph_desc(const tuff_graph *graph, tuff_var v);

// A value that is written before each run by tuff_program_write (the last written stays).
TUFF_API tuff_var tuff_graph_input(tuff_graph *g, const char *name, tuff_desc desc);
// A value that lives in a tensor of the device, which must outlive the graph's programs.
// Programs read it where it is and see what earlier work left there.
TUFF_API tuff_var tuff_graph_bind(tuff_graph *g, const char *name, tuff_tensor *tensor);
// A value set once from host memory when a program is created.
TUFF_API tuff_var tuff_graph_constant(tuff_graph *g, tuff_desc desc, const void *data);
// Appends an op with one output / with all its outputs.
TUFF_API tuff_var tuff_graph_op(tuff_graph *g, const char *op, const tuff_var *in, int nin,
                                const void *params);
TUFF_API void tuff_graph_op_n(tuff_graph *g, const char *op, const tuff_var *in, int nin,
                              const void *params, tuff_var *out, int nout);
// The same elements under another shape; nothing is computed.
TUFF_API tuff_var tuff_graph_reshape(tuff_graph *g, tuff_var v, tuff_desc shape);
// Marks a value to be kept for tuff_program_read.
TUFF_API void tuff_graph_output(tuff_graph *g, const char *name, tuff_var v);
// Makes a value be written into a bound tensor (same element count): gradients into one flat
// tensor, an updated weight into its own place. It happens in program order: later ops that
// read the bound tensor see it. `into` may be a tensor that the value's own op reads, where
// the op allows that aliasing; a bound value may not lie over a part of `into`.
TUFF_API void tuff_graph_store(tuff_graph *g, tuff_var v, tuff_tensor *into);
// Reverse-mode gradients of the scalar `loss` by each of wrt[]: grads[i] has wrt[i]'s shape
// (null where the loss does not depend on it).
TUFF_API void tuff_graph_backward(tuff_graph *g, tuff_var loss, const tuff_var *wrt, int n,
                                  tuff_var *grads);

typedef struct tuff_program_params {
    bool no_fuse;  // leave every op as it was written
    bool no_chains; // run elementwise ops one by one
    bool no_blocks; // leave all images in planes of channels
    bool no_reuse; // give every value memory of its own, parts of others too
    bool no_prepare; // compute everything at every run
    int slots;     // runs that may be in flight, each with its own input staging; 0 = 2
} tuff_program_params;
// Compiles: drops what no output needs, fuses epilogues, makes one kernel of elementwise ops
// that follow each other, keeps images between convolutions in blocks of channels where that
// saves conversions, measures kernels where the device was asked to (tuff_tune_set), plans
// lifetimes, reuses memory, lets what a concat reads be written into its output at once and
// what a split gives be read where it lies, builds pipelines in parallel, records. The graph
// may be destroyed afterwards. The environment's TUFF_CHAINS=off stands for no_chains.
// What depends only on constants and on bound tensors that the graph does not store into is
// computed at the first run and kept; and again at a run before which such a tensor was
// written, by whatever was submitted before it.
// Fails: the graph's own failure; TUFF_ERR_ARG (slots; a tensor of another device),
// TUFF_ERR_LIMIT (a value is larger than the device can bind), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_program_create(tuff_device *device, const tuff_graph *g,
                                                    const tuff_program_params *p,
                                                    tuff_program **program);
// Waits for its runs first.
TUFF_API void tuff_program_destroy(tuff_program **program);
// Sets an input for the next run. Copies; may wait for the run `slots` runs ago, never for
// the one in flight, so that the next batch is uploaded beside the current step.
TUFF_API TUFF_CHECK tuff_status tuff_program_write(tuff_program *p, tuff_var input,
                                                   const void *data, size_t bytes);
// Starts one run and returns; runs of one device are done in order. Fails: TUFF_ERR_LOST,
// TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_program_run(tuff_program *p);
// Waits for the last run and copies an output. Fails: TUFF_ERR_ARG (no output, or its size).
TUFF_API TUFF_CHECK tuff_status tuff_program_read(tuff_program *p, tuff_var output, void *data,
                                                  size_t bytes);
// Waits for the last run. Fails: TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_program_wait(tuff_program *p);

// Waits for the last run: the seconds it took by the device's own clock, or on the CPU path
// from its first call to its last. False where they are not known: the program was made before
// tuff_device_set_timed, nothing has run, or the device has no clock.
TUFF_API bool tuff_program_seconds(tuff_program *p, double *seconds);

typedef struct tuff_program_stats {
    int ops;          // ops in the graph after dropping and fusing
    int fused;        // ops that went into a producer
    int blocked;      // values that lie in blocks of channels, [N, C / 4, H, W, 4]
    int conversions;  // copies that are made of those in planes
    int launches;     // dispatches or host calls of one run
    int prepared;     // those done once, and again when what they read was written
    uint64_t planned; // bytes of the plan's memory with reuse (its peak)
    uint64_t unshared; // bytes if every value had memory of its own
    double flops;     // of one run
    uint64_t preparations; // how often they were done so far
} tuff_program_stats;
TUFF_API void tuff_program_get_stats(const tuff_program *p, tuff_program_stats *stats);
// One line a kernel: op, shapes, variant ("*" behind one that was measured to be the fastest,
// <tuff/tune.h>), bytes, FLOPs; then totals. Calls `line` for each.
TUFF_API void tuff_program_describe(const tuff_program *p,
                                    void (*line)(void *user, const char *text), void *user);
#endif
