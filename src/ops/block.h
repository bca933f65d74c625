// Block formats on the host: what the references and tuff_block_encode/_decode share.
#ifndef TUFF_OPS_BLOCK_H
#define TUFF_OPS_BLOCK_H
#include "ops/product_host.h"
#include <tuff/ops/block.h>

typedef struct tuff_block_kind {
    const char *name;
    int count;    // numbers in a block
    size_t bytes; // of a block, even
    void (*encode)(const float *x, uint8_t *block);
    void (*decode)(const uint8_t *block, float *y);
} tuff_block_kind;
extern const tuff_block_kind tuff_block_kinds[TUFF_BLOCK_FORMATS];
extern const char *const tuff_block_names[]; // for TUFF_ENUM

// Encoders and decoders, one block a call.
#define TUFF_BLOCK_CODERS(name)                                                 \
    void tuff_encode_##name(const float *x, uint8_t *block);                    \
    void tuff_decode_##name(const uint8_t *block, float *y);
TUFF_BLOCK_CODERS(q4_0)
TUFF_BLOCK_CODERS(q4_1)
TUFF_BLOCK_CODERS(q5_0)
TUFF_BLOCK_CODERS(q5_1)
TUFF_BLOCK_CODERS(q8_0)
TUFF_BLOCK_CODERS(q2_k)
TUFF_BLOCK_CODERS(q3_k)
TUFF_BLOCK_CODERS(q4_k)
TUFF_BLOCK_CODERS(q5_k)
TUFF_BLOCK_CODERS(q6_k)
TUFF_BLOCK_CODERS(iq4_nl)
TUFF_BLOCK_CODERS(nf4)
TUFF_BLOCK_CODERS(nf4_f16)

// Tables of values, rising: of iq4_nl (whole numbers) and nf4.
extern const int8_t tuff_iq4_table[16];
extern const float tuff_nf4_table[16];

// For an op's infer: the format, and blocks [.., bytes] <-> numbers [.., K].
tuff_status tuff_block_check(int format);
// Bytes of a row of `cols` numbers; cols is a multiple of the count.
size_t tuff_block_row(int format, int64_t cols);
// Fails with a sentence when the last dim of `d` (called `name`) holds no whole blocks; *out
// receives its count of numbers. The other way round for tuff_block_to_bytes.
tuff_status tuff_block_to_numbers(int format, const char *name, const tuff_desc *d,
                                  int64_t *out);
tuff_status tuff_block_to_bytes(int format, const char *name, const tuff_desc *d, int64_t *out);
// Makes random bytes into blocks whose scales are f16 or f32 numbers of moderate size.
void tuff_block_make_valid(int format, uint8_t *blocks, size_t bytes);

// The CPU path's product of x [rows][k] and w, n rows of blocks (block_host.c).
typedef struct tuff_block_host {
    int format;
    int64_t rows, n, k;
    const float *x;
    const uint8_t *w;
    float *y;
    tuff_finish finish; // `plus` is a bias along y's columns
} tuff_block_host;
size_t tuff_block_host_units(int64_t rows, int64_t n, int64_t k);
// The numbers of whole blocks.
void tuff_block_host_decode(int format, const uint8_t *blocks, int64_t count, float *y);
void tuff_block_host_run(const tuff_block_host *h, size_t begin, size_t end);

// Rows of w in registers (block_row_host.c): whether this processor has it for a format; the
// sums of some rows times x, k numbers each.
enum { TUFF_BLOCK_HOST_ROWS = 4 };
bool tuff_block_rows_takes(int format);
void tuff_block_rows(int format, const uint8_t *const w[TUFF_BLOCK_HOST_ROWS], const float *x,
                     int64_t k, float sum[TUFF_BLOCK_HOST_ROWS]);

// f32 arithmetic, one rounding an operation, whatever a compiler likes to contract.
static inline float tuff_f32_mul(float a, float b) { return (float)((double)a * b); }
static inline float tuff_f32_add(float a, float b) { return (float)((double)a + b); }
static inline float tuff_f32_sub(float a, float b) { return (float)((double)a - b); }
static inline float tuff_f32_div(float a, float b) { return (float)((double)a / b); }

// Little-endian f16 and f32 in bytes.
float tuff_load_f16(const uint8_t *p);
void tuff_store_f16(uint8_t *p, float v);
float tuff_load_f32(const uint8_t *p);
void tuff_store_f32(uint8_t *p, float v);
#endif
