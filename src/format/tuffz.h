// .tuffz: what its reader and its writer share. docs/tuffz.md has the format.
#ifndef TUFF_FORMAT_TUFFZ_H
#define TUFF_FORMAT_TUFFZ_H
#include "base/file.h"
#include "format/huffman.h"
#include <tuff/format.h>

#define TUFF_TUFFZ_MAGIC "\x89TUFFZ\r\n"
enum {
    TUFF_TUFFZ_VERSION = 1,
    TUFF_TUFFZ_NAME = 400,  // bytes of a tensor's name that a reader takes
    TUFF_TUFFZ_GAPS = 8,    // bits of a gap at most
    TUFF_TUFFZ_BOOK = 255,  // numbers of a codebook at most
    TUFF_TUFFZ_FRAME = 16   // bytes of a chunk besides its body
};

typedef struct tuff_tuffz_entry {
    char name[TUFF_TUFFZ_NAME + 1];
    tuff_tuffz_tensor tensor;
    uint64_t at, end; // of what its coding has, in the file
} tuff_tuffz_entry;

struct tuff_tuffz {
    tuff_file_in *in;     // one of the two
    const uint8_t *bytes;
    uint64_t size;
    tuff_tuffz_entry *entry;
    int entries;
    tuff_pair *pair;
    int pairs;
    char *text; // of the pairs
};

// The same of a file in memory, which must outlive *file.
TUFF_CHECK tuff_status tuff_tuffz_parse(const void *bytes, size_t size, tuff_tuffz **file);
TUFF_CHECK tuff_status tuff_tuffz_bytes(const tuff_tuffz *f, uint64_t at, void *data,
                                        size_t size);

// Numbers that stand for types of elements in the file; 0 for none.
int tuff_tuffz_code_of(tuff_dtype dtype);
tuff_dtype tuff_tuffz_dtype_of(int code);
// Bits of an index into zero and n numbers.
int tuff_tuffz_index_bits(int n);
#endif
