// Rows of whole numbers or halves as they lie, multiplied while they are unpacked in registers:
// kernels of the CPU path for processors that shift bytes there (levels_row_host.c).
//
//   64 bits in each of 8 words    .. 6 6 5 5 5 4 4 4 3 3 3 2 2 2 1 1 1 0 0 0
//   each lane takes its number     a shift that each byte has for itself
//   its level                      a table of 16, or and, or into a float, subtract
//
// Sixteen numbers are whole bytes, so that one pattern serves all of a row. Two words hold 16
// numbers of at most 8 bits; one, those of at most 4, where they begin with a byte.
#ifndef TUFF_OPS_LEVELS_ROW_H
#define TUFF_OPS_LEVELS_ROW_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { TUFF_LEVEL_ROWS = 4, TUFF_LEVEL_VECTORS = 4 }; // of w, of x: at a time

typedef enum tuff_level_kind {
    TUFF_LEVEL_WORD,  // packed, of at most 4 bits: 16 of them are within 64
    TUFF_LEVEL_TABLE, // likewise, but for that
    TUFF_LEVEL_WHOLE, // of 5 to 8
    TUFF_LEVEL_LONG,  // of more
    TUFF_LEVEL_BYTES, // bytes
    TUFF_LEVEL_HALF,  // f16
    TUFF_LEVEL_BOOK,  // indices of 1 to 4 bits into `book`
    TUFF_LEVEL_BOOK_OF_32, // of 5
    TUFF_LEVEL_BOOK_IN_MEMORY // of 6 to 8
} tuff_level_kind;

// A matrix of them, k to a row.
typedef struct tuff_level_matrix {
    tuff_level_kind kind;
    int bits;         // of a number
    uint32_t flip;    // a number's level is by (q ^ flip) - less
    float by;
    const uint8_t *w, *end; // nothing at `end` or behind it is read
    int64_t k;
    int64_t row_bytes;      // a row's; 0: rows lie one behind the other
    const float *book;      // 2^bits numbers
} tuff_level_matrix;

// What is at w, with zeros for what of `reach` bytes lies behind the end, in `room`.
static inline const uint8_t *tuff_level_near_end(const tuff_level_matrix *m, const uint8_t *w,
                                                 int64_t reach, uint8_t *room)
{
    const int64_t left = m->end - w;
    if (left >= reach) return w;
    memset(room, 0, (size_t)reach);
    if (left > 0) memcpy(room, w, (size_t)left);
    return room;
}

// How many of `n` reads of `reach` bytes, `step` apart, can be made as they lie, from w on.
static inline int64_t tuff_level_safe(const tuff_level_matrix *m, const uint8_t *w,
                                      int64_t step, int64_t reach, int64_t n)
{
    const int64_t left = m->end - w - reach, most = left < 0 ? 0 : left / step + 1;
    return most < n ? most : n;
}

// Row j, and what its levels are less by.
typedef struct tuff_level_row {
    int64_t j;
    float less;
} tuff_level_row;

// Whether this processor has the two below, and for indices into books, too.
bool tuff_level_rows_here(void);
bool tuff_level_books_here(void);
// Sums of TUFF_LEVEL_ROWS rows times `vectors` rows of x, k numbers each, at most
// TUFF_LEVEL_VECTORS.
void tuff_level_dots(const tuff_level_matrix *w, const tuff_level_row row[TUFF_LEVEL_ROWS],
                     const float *x, int vectors,
                     float sum[TUFF_LEVEL_VECTORS][TUFF_LEVEL_ROWS]);
// Numbers at .. at + n of a row; `at` is a multiple of 16, and there is room for a multiple.
void tuff_level_numbers(const tuff_level_matrix *w, const tuff_level_row *row, int64_t at,
                        int64_t n, float *to);

// The same in registers of AVX2 (levels_narrow_host.c), to which the above leave what they can
// not do here.
bool tuff_level_narrow_here(void);
void tuff_level_narrow_dots(const tuff_level_matrix *w,
                            const tuff_level_row row[TUFF_LEVEL_ROWS], const float *x,
                            int vectors, float sum[TUFF_LEVEL_VECTORS][TUFF_LEVEL_ROWS]);
void tuff_level_narrow_numbers(const tuff_level_matrix *w, const tuff_level_row *row,
                               int64_t at, int64_t n, float *to);
#endif
