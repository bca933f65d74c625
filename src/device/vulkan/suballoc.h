// Cuts one range of offsets into pieces and puts them together again. Pure: it sees numbers,
// not memory. The smallest free piece that is large enough is cut; neighbours that are free
// are always joined, so that freeing everything leaves the one piece there was at first.
//
//   | a     | free | b | c            | free        |     pieces, in order of offset
//
//   Threads  one at a time.
#ifndef TUFF_VULKAN_SUBALLOC_H
#define TUFF_VULKAN_SUBALLOC_H
#include <tuff/base.h>

typedef struct tuff_suballoc tuff_suballoc;
enum { TUFF_NO_PIECE = -1 };

// A range of `size` bytes cut at multiples of `granule` only. Fails: TUFF_ERR_MEMORY.
TUFF_CHECK tuff_status tuff_suballoc_create(uint64_t size, uint64_t granule,
                                            tuff_suballoc **space);
void tuff_suballoc_destroy(tuff_suballoc **space);
// Takes `bytes` (at least 1): *piece names what was taken and *offset is its place, or
// *piece is TUFF_NO_PIECE when nothing free is large enough. Fails: TUFF_ERR_MEMORY.
TUFF_CHECK tuff_status tuff_suballoc_take(tuff_suballoc *space, uint64_t bytes, int *piece,
                                          uint64_t *offset);
void tuff_suballoc_give(tuff_suballoc *space, int piece);
bool tuff_suballoc_empty(const tuff_suballoc *space); // nothing is taken
int tuff_suballoc_free_count(const tuff_suballoc *space); // free pieces
#endif
