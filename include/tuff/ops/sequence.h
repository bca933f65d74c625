#ifndef TUFF_FAMILY_SEQUENCE_H
#define TUFF_FAMILY_SEQUENCE_H
#include <tuff/tensor.h>
// Sequences: attention, rotary embedding, recurrent cells.
// What <tuff/ops.h> says of all ops holds for these.

// ---- attention ------------------------------------------------------------------------------

typedef struct tuff_attention_params {
    float scale; // 0 = 1 / sqrt(D)
    bool causal; // position t of T asks positions s <= t + S - T of S alone
} tuff_attention_params;
// y = softmax(scale q k^T + mask) v (Vaswani et al., 1706.03762). q [N, H, T, D], k [N, G, S,
// D], v [N, G, S, E], y [N, H, T, E]. G divides H: H / G heads of q share one of k and v
// (grouped queries; Ainslie et al., 2305.13245). mask, which may be NULL, is repeated as NumPy
// does to [N, H, T, S]: floats are added to the scores; of bool, true is a position that may be
// asked, and false one that may not (as in ONNX). A position that may ask nothing gets zeros.
// The kernel "flash" keeps running sums instead of the scores (Dao et al., 2205.14135), so that
// its memory does not grow with S; "plain" writes the scores out.
TUFF_API TUFF_CHECK tuff_status tuff_attention(tuff_stream *s, const tuff_tensor *q,
                                               const tuff_tensor *k, const tuff_tensor *v,
                                               const tuff_tensor *mask, tuff_tensor *y,
                                               const tuff_attention_params *p);
// p [N, H, T, S] = softmax(scale q k^T + mask): the part of each position in the answer.
TUFF_API TUFF_CHECK tuff_status tuff_attention_probs(tuff_stream *s, const tuff_tensor *q,
                                                     const tuff_tensor *k,
                                                     const tuff_tensor *mask, tuff_tensor *p,
                                                     const tuff_attention_params *params);

// y = cache with x in the place of its positions position[0] to position[0] + T - 1; what falls
// outside of the L there are is dropped. cache and y [N, G, L, D], x [N, G, T, D], position i32
// [1]. y may be cache. position is read on the device, so that a recorded program can go on
// from run to run.
TUFF_API TUFF_CHECK tuff_status tuff_kv_append(tuff_stream *s, const tuff_tensor *cache,
                                               const tuff_tensor *x,
                                               const tuff_tensor *position, tuff_tensor *y);

// ---- rotary embedding -----------------------------------------------------------------------

typedef struct tuff_rotary_params {
    bool interleaved; // pairs are neighbours (0, 1), (2, 3); else (0, R/2), (1, R/2 + 1)
    bool inverse;     // turns back: the gradient
} tuff_rotary_params;
// Turns pairs of numbers by angles that grow with the position (Su et al., 2104.09864; ONNX
// RotaryEmbedding): y0 = x0 cos - x1 sin, y1 = x1 cos + x0 sin. x and y [..., T, D]; cos and
// sin [P, R / 2], a row a position, R <= D: the numbers from R on stay. positions i32 [T], or
// [N, T] with N the first dim of x, or NULL for 0 to T - 1; each is below P.
TUFF_API TUFF_CHECK tuff_status tuff_rotary(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *cos, const tuff_tensor *sin,
                                            const tuff_tensor *positions, tuff_tensor *y,
                                            const tuff_rotary_params *p);
// Fills cos and sin [positions, half] on the host, computed in f64: the angle of pair i at
// position t is t base^(-i / half); base 0 = 10000.
TUFF_API void tuff_rotary_table(int64_t positions, int64_t half, double base, float *cos,
                                float *sin);

// ---- recurrent cells ------------------------------------------------------------------------

typedef struct tuff_lstm_params {
    bool torch; // gates stand as PyTorch has them: i f g o; else as ONNX has: i o f g
} tuff_lstm_params;
// The rest of an LSTM cell (Hochreiter and Schmidhuber 1997) once its gates [N, 4 H] = x W^T +
// h R^T + b are there: c1 = sigmoid(f) c + sigmoid(i) tanh(g), h1 = sigmoid(o) tanh(c1).
// c, h1, c1 [N, H].
TUFF_API TUFF_CHECK tuff_status tuff_lstm_cell(tuff_stream *s, const tuff_tensor *gates,
                                               const tuff_tensor *c, tuff_tensor *h1,
                                               tuff_tensor *c1, const tuff_lstm_params *p);
// Its gradients: dgates [N, 4 H] and dc [N, H] from dh1 and dc1 [N, H].
TUFF_API TUFF_CHECK tuff_status tuff_lstm_cell_grad(tuff_stream *s, const tuff_tensor *gates,
                                                    const tuff_tensor *c,
                                                    const tuff_tensor *dh1,
                                                    const tuff_tensor *dc1, tuff_tensor *dgates,
                                                    tuff_tensor *dc,
                                                    const tuff_lstm_params *p);
typedef struct tuff_gru_params {
    bool torch; // gates stand as PyTorch has them: r z n; else as ONNX has: z r h
} tuff_gru_params;
// The rest of a GRU cell (Cho et al., 1406.1078, as PyTorch and ONNX with linear_before_reset)
// once gx = x W^T + bw and gh = h R^T + br, both [N, 3 H], are there: n = tanh(gx_n +
// sigmoid(gx_r + gh_r) gh_n), h1 = (1 - z) n + z h with z = sigmoid(gx_z + gh_z).
TUFF_API TUFF_CHECK tuff_status tuff_gru_cell(tuff_stream *s, const tuff_tensor *gx,
                                              const tuff_tensor *gh, const tuff_tensor *h,
                                              tuff_tensor *h1, const tuff_gru_params *p);
// Its gradients dgx, dgh [N, 3 H] and dh [N, H] from dh1 [N, H].
TUFF_API TUFF_CHECK tuff_status tuff_gru_cell_grad(tuff_stream *s, const tuff_tensor *gx,
                                                   const tuff_tensor *gh, const tuff_tensor *h,
                                                   const tuff_tensor *dh1, tuff_tensor *dgx,
                                                   tuff_tensor *dgh, tuff_tensor *dh,
                                                   const tuff_gru_params *p);
#endif
