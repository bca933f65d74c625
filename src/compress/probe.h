// A model that is run on batches of examples, for those who look at what flows through it.
#ifndef TUFF_COMPRESS_PROBE_H
#define TUFF_COMPRESS_PROBE_H
#include "graph/graph.h"
#include "nn/model.h"
#include <tuff/compress.h>

// What is looked at of one part, of which made[] has all outputs and x is the net's input; a
// null var: nothing.
typedef tuff_var (*tuff_probe_fn)(void *user, tuff_graph *g, int part, tuff_var x,
                                  const tuff_var made[]);

// Begins as zeros but for the first three.
typedef struct tuff_probe {
    tuff_model *model;
    tuff_probe_fn look;
    void *user;
    tuff_program *program;
    int64_t count;  // of samples in a run of it
    tuff_var x, *seen;
} tuff_probe;

// Runs a batch [count, sample]; what was looked at can then be read, where probe->seen[part]
// is not null.
tuff_status tuff_probe_run(tuff_probe *p, const float *x, int64_t count);
tuff_status tuff_probe_read(tuff_probe *p, int part, float *value, int64_t n);
void tuff_probe_close(tuff_probe *p);

// Training examples, at most `count`, each once: the same ones in the same order each time.
typedef struct tuff_examples {
    int64_t count;
    int batch;
    uint64_t seed;
} tuff_examples;
typedef tuff_status (*tuff_batch_fn)(void *user, const float *x, int64_t count);
tuff_status tuff_each_batch(const tuff_dataset *data, const tuff_examples *e, tuff_batch_fn fn,
                            void *user);
#endif
