// Canonical Huffman codes of up to 256 symbols: only the lengths of the codes are stored. Codes
// of one length follow each other by symbol, shorter ones come first (as in RFC 1951, 3.2.2).
#ifndef TUFF_FORMAT_HUFFMAN_H
#define TUFF_FORMAT_HUFFMAN_H
#include <tuff/base.h>

enum { TUFF_HUFFMAN_SYMBOLS = 256, TUFF_HUFFMAN_BITS = 15 };

// Lengths of a code for n symbols that are met count[i] times; 0 where that is never. A symbol
// that is alone gets one bit. Where the best code is longer than 15 bits, a slightly worse one.
void tuff_huffman_lengths(const int64_t count[], int n, uint8_t length[]);
void tuff_huffman_codes(const uint8_t length[], int n, uint16_t code[]);

// A table for decoding: of the next `bits` bits, first bit uppermost, the symbol that they
// begin with and the length of its code in its upper byte (0: no code begins so).
typedef struct tuff_huffman {
    int bits;
    uint16_t table[1 << TUFF_HUFFMAN_BITS];
} tuff_huffman;
// Fails: TUFF_ERR_FORMAT (lengths that are no code, or one that leaves bits without a meaning;
// `what` names it).
TUFF_CHECK tuff_status tuff_huffman_build(tuff_huffman *h, const uint8_t length[], int n,
                                          const char *what);
#endif
