// The codes within a block: which bits of it are a number's own, beside those of scales. They
// are found by the format's decoder: a bit that changes one number alone is that number's.
#ifndef TUFF_COMPRESS_BLOCK_CODES_H
#define TUFF_COMPRESS_BLOCK_CODES_H
#include <tuff/ops/block.h>

enum { TUFF_BLOCK_MOST = 256, TUFF_BLOCK_CODES = 256 }; // numbers of a block, codes of a number

typedef struct tuff_block_codes {
    tuff_block_format format;
    int count, bits; // numbers of a block, and bits of a code
    size_t bytes;
    int place[TUFF_BLOCK_MOST][8]; // of a number: the bits of its code, counted in the block
} tuff_block_codes;

void tuff_block_codes_of(tuff_block_format format, tuff_block_codes *c);
// Scales for these numbers into a block; value[code][k] is what number k then is with a code.
void tuff_block_codes_open(const tuff_block_codes *c, const float *number, uint8_t *block,
                           float value[][TUFF_BLOCK_MOST]);
void tuff_block_codes_put(const tuff_block_codes *c, uint8_t *block, int k, int code);
#endif
