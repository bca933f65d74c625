#ifndef TUFF_FAMILY_BLOCK_H
#define TUFF_FAMILY_BLOCK_H
#include <tuff/tensor.h>
// Numbers in blocks, packed whole numbers, and codebooks.
// What <tuff/ops.h> says of all ops holds for these.

// ---- numbers in blocks -------------------------------------------------------------------
//
// A row of K numbers is cut into blocks, each with a scale of its own. The bytes are those of
// GGUF files (ggml's block_q4_0, block_q4_K, ...), and of QLoRA's NF4:
//
//   format            numbers  bytes  a number is
//   q4_0              32       18     d (q - 8)                          d: f16
//   q4_1              32       20     d q + m                            d, m: f16
//   q5_0              32       22     d (q - 16)
//   q5_1              32       24     d q + m
//   q8_0              32       34     d q
//   q2_k q4_k q5_k    256      84 144 176    d sc q - dmin m             sc, m: 4 or 6 bits
//   q3_k q6_k         256      110 210       d sc q                      sc: 6 or 8 bits
//   iq4_nl            32       18     d table[q], 16 values that lie denser round 0
//   nf4               64       36     absmax code[q]                     absmax: f32
//   nf4_f16           64       34     absmax code[q]                     absmax: f16
//
// An nf4 block is the absmax and then 32 bytes; byte i holds number 2 i in its upper and
// number 2 i + 1 in its lower half, as bitsandbytes packs them, and `code` is the table of
// Dettmers et al., "QLoRA" (arXiv:2305.14314), appendix E. The names and layouts of the others
// are ggml's (ggml-common.h).
//
// A tensor of blocks is u8 [.., bytes of a row]. A number that comes of a block is one
// rounding of the exact value that the bytes stand for, so it has the same bits everywhere.
typedef enum tuff_block_format {
    TUFF_BLOCK_Q4_0,
    TUFF_BLOCK_Q4_1,
    TUFF_BLOCK_Q5_0,
    TUFF_BLOCK_Q5_1,
    TUFF_BLOCK_Q8_0,
    TUFF_BLOCK_Q2_K,
    TUFF_BLOCK_Q3_K,
    TUFF_BLOCK_Q4_K,
    TUFF_BLOCK_Q5_K,
    TUFF_BLOCK_Q6_K,
    TUFF_BLOCK_IQ4_NL,
    TUFF_BLOCK_NF4,
    TUFF_BLOCK_NF4_F16,
    TUFF_BLOCK_FORMATS // how many there are
} tuff_block_format;

// "q4_0", ...; "?" for a value that is none of them.
TUFF_API const char *tuff_block_name(tuff_block_format format);
// Numbers in one block; 0 for a value that is no format.
TUFF_API int tuff_block_count(tuff_block_format format);
// Bytes of one block; 0 for a value that is no format.
TUFF_API size_t tuff_block_bytes(tuff_block_format format);

// On the host: `rows` x `cols` numbers to blocks and back. `cols` is a multiple of
// tuff_block_count, and `blocks` holds rows * (cols / count) * bytes bytes.
// q4_0 to q8_0 give the bytes of ggml's reference; the others choose scales that make the
// squared error small. A scale above 65504 becomes infinite, as f16 has it.
// Threads  any; a call shares its rows among threads.
// Fails: TUFF_ERR_ARG (a NULL, the format, or cols).
TUFF_API TUFF_CHECK tuff_status tuff_block_encode(tuff_block_format format, const float *x,
                                                  int64_t rows, int64_t cols, void *blocks);
TUFF_API TUFF_CHECK tuff_status tuff_block_decode(tuff_block_format format,
                                                  const void *blocks, int64_t rows,
                                                  int64_t cols, float *y);

typedef struct tuff_blocks_params {
    int format; // tuff_block_format
} tuff_blocks_params;
// blocks = x [.., K] in blocks, the same bytes as tuff_block_encode gives. K is a multiple of
// the format's count.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_blocks(tuff_stream *s, const tuff_tensor *x,
                                                     tuff_tensor *blocks,
                                                     const tuff_blocks_params *p);
// y [.., K] = the numbers of blocks [.., bytes].
TUFF_API TUFF_CHECK tuff_status tuff_dequantize_blocks(tuff_stream *s,
                                                       const tuff_tensor *blocks,
                                                       tuff_tensor *y,
                                                       const tuff_blocks_params *p);

typedef struct tuff_block_matmul_params {
    int format; // tuff_block_format, of w
    int act;    // tuff_act
} tuff_block_matmul_params;
// y [.., N] = act(x [.., K] W^T + bias + residual), where w [N, bytes] holds the rows of W
// [N, K] in blocks. `bias` [N] and `residual` (of y's shape) may be NULL; y may be residual.
// W is never written out: kernels read the blocks themselves, unless x has so many rows that
// this is faster.
TUFF_API TUFF_CHECK tuff_status tuff_block_matmul(tuff_stream *s, const tuff_tensor *x,
                                                  const tuff_tensor *w,
                                                  const tuff_tensor *bias,
                                                  const tuff_tensor *residual, tuff_tensor *y,
                                                  const tuff_block_matmul_params *p);

// ---- packed numbers ----------------------------------------------------------------------
//
// Whole numbers of 1 to 16 bits, one behind the other in 32-bit words, lowest bit first: number
// k begins at bit k bits of all. With zero points numbers are unsigned; without, they are
// signed, of two's complement, and those of 1 bit are -1 and 1.

// Words of n numbers; 0 where bits is not within 1 to 16.
TUFF_API int64_t tuff_packed_words(int bits, int64_t n);
// On the host: n numbers to words and back. `zero` says which kind they are.
// Fails: TUFF_ERR_ARG (a NULL, bits, a negative n, or a number that bits do not hold).
TUFF_API TUFF_CHECK tuff_status tuff_packed_write(int bits, bool zero, const int32_t *q,
                                                  int64_t n, uint32_t *words);
TUFF_API TUFF_CHECK tuff_status tuff_packed_read(int bits, bool zero, const uint32_t *words,
                                                 int64_t n, int32_t *q);

typedef struct tuff_packed_params {
    int bits; // of a number, 1 to 16; 0: 4
    int64_t rows, cols; // of y; 0: 1 row, and as many numbers as the words hold
} tuff_packed_params;
// y [rows, cols] = (q - zero_point) scale, q being rows cols numbers in words [words]; scale is
// f32 [1] or [rows]; zero_point u32 [words of so many numbers], packed likewise, or NULL.
TUFF_API TUFF_CHECK tuff_status tuff_dequantize_packed(tuff_stream *s,
                                                       const tuff_tensor *words,
                                                       const tuff_tensor *scale,
                                                       const tuff_tensor *zero_point,
                                                       tuff_tensor *y,
                                                       const tuff_packed_params *p);

// ---- codebooks ---------------------------------------------------------------------------
//
// Weights that share values (Han et al., "Deep Compression", arXiv:1510.00149): a codebook
// holds 2^bits numbers, and each weight is an index into it, of 1 to 8 bits. The indices of a
// row are a stream of bits in 32-bit words, lowest bit first: index k begins at bit k bits of
// the row, and a row ends with its last word.

// Words of a row of `cols` indices; 0 where bits is not within 1 to 8.
TUFF_API int64_t tuff_codebook_words(int bits, int64_t cols);
// On the host: rows x cols indices to words and back.
// Fails: TUFF_ERR_ARG (a NULL, bits, a negative size, or an index of 2^bits or more).
TUFF_API TUFF_CHECK tuff_status tuff_codebook_pack(int bits, const uint8_t *indices,
                                                   int64_t rows, int64_t cols,
                                                   uint32_t *words);
TUFF_API TUFF_CHECK tuff_status tuff_codebook_unpack(int bits, const uint32_t *words,
                                                     int64_t rows, int64_t cols,
                                                     uint8_t *indices);

typedef struct tuff_codebook_params {
    int64_t cols; // indices in a row; 0: as many as the words hold
} tuff_codebook_params;
// y [.., cols] = codebook[indices]. indices: u32 [.., words]; codebook: f32 [2^bits].
TUFF_API TUFF_CHECK tuff_status tuff_codebook_dequantize(tuff_stream *s,
                                                         const tuff_tensor *indices,
                                                         const tuff_tensor *codebook,
                                                         tuff_tensor *y,
                                                         const tuff_codebook_params *p);

typedef struct tuff_codebook_matmul_params {
    int act; // tuff_act
} tuff_codebook_matmul_params;
// y [.., N] = act(x [.., K] W^T + bias + residual), W [N, K] = codebook[indices [N, words]].
// `bias` [N] and `residual` (of y's shape) may be NULL; y may be residual.
TUFF_API TUFF_CHECK tuff_status tuff_codebook_matmul(tuff_stream *s, const tuff_tensor *x,
                                                     const tuff_tensor *indices,
                                                     const tuff_tensor *codebook,
                                                     const tuff_tensor *bias,
                                                     const tuff_tensor *residual,
                                                     tuff_tensor *y,
                                                     const tuff_codebook_matmul_params *p);

typedef struct tuff_codebook_grad_params {
    int bits; // of the codebook: 1 to 8; 0: 4
} tuff_codebook_grad_params;
// dcodebook [2^bits], each the sum of the elements of dw [.., cols] that have its index: what
// fine-tuning a codebook needs. The sums are added in an order fixed by the shapes.
TUFF_API TUFF_CHECK tuff_status tuff_codebook_grad(tuff_stream *s, const tuff_tensor *dw,
                                                   const tuff_tensor *indices,
                                                   tuff_tensor *dcodebook,
                                                   const tuff_codebook_grad_params *p);
#endif
