// Where values lie in a program's memory. Pure: numbers in, offsets out.
//
// Two spans may share bytes when their lifetimes do not meet. The largest is placed first, at
// the lowest offset that is free during its whole life:
//
//   offset ^   +-------+
//          |   |   C   |  +------+       A and B live at once, so they lie above each
//          |   +-------+  |  D   |       other; C is alive after B is dead and takes
//          |   +--+-------+------+       its place.
//          |   |B |       A      |
//          +---+--+--------------+--> step
#ifndef TUFF_GRAPH_MEMPLAN_H
#define TUFF_GRAPH_MEMPLAN_H
#include "base/status.h"

typedef struct tuff_span {
    size_t size;     // bytes; 0: takes no room
    int first, last; // steps at which it is alive, both included
    int bin;         // out: which buffer
    size_t offset;   // out: a multiple of `align`
} tuff_span;

typedef struct tuff_memplan {
    size_t bin_limit; // in: bytes of the largest buffer
    size_t align;     // in: a power of two
    int max_bins;     // in: entries of bin_size
    int bins;         // out
    size_t *bin_size; // out: bytes of each buffer
} tuff_memplan;

// Fails: TUFF_ERR_LIMIT (a span larger than bin_limit, or more than max_bins are needed),
// TUFF_ERR_MEMORY.
tuff_status tuff_memplan_place(tuff_memplan *plan, tuff_span *spans, int count);
#endif
