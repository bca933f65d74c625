// A program inside the library.
#ifndef TUFF_GRAPH_PROGRAM_H
#define TUFF_GRAPH_PROGRAM_H
#include "graph/graph.h"
#include "graph/memplan.h"

enum { TUFF_PROGRAM_BINS = 64, TUFF_PROGRAM_SLOTS = 8 };

// When a value is needed.
typedef struct tuff_life {
    int first, last; // producing step (-1: before all), last reading step (nsteps: for ever)
} tuff_life;

// A value that lies in another one's memory.
typedef struct tuff_piece {
    int of;    // the other one, by root value; 0: none
    size_t at; // bytes into it
} tuff_piece;

// What the plan says of one step.
typedef struct tuff_step_plan {
    const char *variant; // "ref" on the CPU path; "copy" for a store; "in place" where nothing
                         // is done at all
    tuff_candidate candidate; // so that what is recorded is what was scheduled, also where
                              // another thread tunes the device in between
    bool tuned;               // the candidate was measured to be the fastest
    int launches, prepares; // at every run, and once
    size_t scratch_bytes;
    int scratch[TUFF_PLAN_SCRATCH]; // spans, -1: none
    bool stored;                    // store: the value was written into its place at once
    bool once;                      // the whole step is a preparation
    bool placed;                    // its outputs and inputs are pieces of each other
    uint64_t idle;                  // else the dispatches whose ones are
    uint64_t prepared;              // dispatches or stages that are, see tuff_plan_once
    uint32_t reads;                 // inputs, a bit each, that are read at every run
} tuff_step_plan;

// A bound tensor's memory that preparations read, and what it held when they were last done.
typedef struct tuff_program_watch {
    const tuff_buffer *buffer; // kept by the graph
    uint64_t version;
} tuff_program_watch;

typedef struct tuff_program_input {
    int value;
    size_t offset, size;                   // in each slot's staging
    uint64_t version;                      // writes so far
    uint64_t staged[TUFF_PROGRAM_SLOTS];   // version that lies in each slot
} tuff_program_input;

// One run in flight: its list of commands and the host memory its inputs are copied from.
typedef struct tuff_program_slot {
    tuff_cmd *cmd;
    tuff_buffer *staging;
    tuff_ticket ticket;
} tuff_program_slot;

struct tuff_program {
    tuff_device *device;
    const tuff_caps *caps;
    tuff_stream *stream; // for reading outputs
    tuff_graph *graph;   // its own copy, dropped and fused
    tuff_range *where;   // by root value
    int *span_of;        // by root value: its span, -1 when it lies elsewhere
    bool *constant;      // by root value: the same in every run (constant.c)
    tuff_piece *piece;   // by root value (pieces.c)
    tuff_step_plan *steps;
    tuff_span *spans;
    int nspans;
    tuff_buffer *bins[TUFF_PROGRAM_BINS];
    tuff_buffer *constants;
    tuff_program_input *inputs;
    int ninputs;
    tuff_program_slot slot[TUFF_PROGRAM_SLOTS];
    int slots, current; // the slot of the next run
    int ran;            // and that of the last one
    tuff_cmd *prepare;  // what is done once; NULL: nothing
    tuff_program_watch *watch;
    int nwatch;
    bool ready;         // prepared
    tuff_ticket last;
    tuff_program_stats stats;
};

// schedule.c: decides where every value lies (p->spans, p->where, p->steps[].stored); no
// memory is allocated on the device yet.
tuff_status tuff_program_schedule(tuff_program *p, const tuff_program_params *params);
// pieces.c: values that are runs of others' elements, as an op's record says, are given their
// memory (p->piece) and its life (`lives`, by root value).
void tuff_program_pieces(tuff_program *p, tuff_life *lives);
// The value whose memory v lies in, and where; v itself, at 0, where it is no piece.
tuff_piece tuff_program_home(const tuff_program *p, int v);
// Whether a step's input i and output o share their bytes; and whether all do.
bool tuff_program_shares(const tuff_program *p, int step, int i, int o);
bool tuff_program_moved(const tuff_program *p, int step);
// A step's call, with the inputs named that are constant.
tuff_call tuff_program_call(const tuff_program *p, int step);
// The range of a value's elements.
tuff_range tuff_program_range(const tuff_program *p, int value);
#endif
