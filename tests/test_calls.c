// Each op by its own public function, on values that can be checked by hand and that come out
// otherwise where two arguments change places; on the device that TUFF_DEVICE names. What
// test_front.c and the tests of families call is not called again: tests/test_house.py sees to
// it that every exported function is called by some test, example or tool.
#include "harness.h"
#include "base/convert.h"
#include <math.h>

static tuff_device *dev;
static tuff_stream *stream;

enum { MOST = 64 }; // tensors of a case, and elements of one
static tuff_tensor *made[MOST];
static int count;

// A tensor that lives until its case ends.
static tuff_tensor *given(tuff_desc d, const void *data)
{
    tuff_tensor *t = new_tensor(dev, stream, d, data);
    if (!EXPECT(count < MOST)) return t;
    return made[count++] = t;
}

static void clear(void)
{
    while (count) tuff_tensor_destroy(&made[--count]);
}

// The first n elements, of any type.
static void holds(const tuff_tensor *t, const float *want, size_t n, const char *what)
{
    const tuff_desc *d = tuff_tensor_desc(t);
    uint64_t bytes[MOST] = { 0 };
    float got[MOST] = { 0 };
    if (!EXPECT(n <= (size_t)tuff_desc_count(d) && tuff_desc_count(d) <= MOST)) return;
    EXPECT_OK(tuff_tensor_read(stream, t, bytes, tuff_desc_bytes(d)));
    tuff_convert(d->dtype, bytes, TUFF_F32, got, false, 0, n);
    for (size_t i = 0; i < n; i++)
        if (!EXPECT_NEAR(got[i], want[i], 2e-6 * (1 + fabs((double)want[i]))))
            FAIL("%s: element %zu", what, i);
}

#define NUMBERS(type, ...) (const type[]){ __VA_ARGS__ }
#define OF(T, ...)         TUFF_SHAPE(TUFF_##T, __VA_ARGS__)
#define F(...)             OF(F32, __VA_ARGS__) // a shape
#define ONE                TUFF_SCALAR(TUFF_F32)
// Tensors: of a shape; vectors; one number without dims.
#define LENGTH(type, ...) COUNT((NUMBERS(type, __VA_ARGS__)))
#define X(shape, ...) given(shape, NUMBERS(float, __VA_ARGS__))
#define V(...) X(F(LENGTH(float, __VA_ARGS__)), __VA_ARGS__)
#define I(...)                                                                  \
    given(OF(I32, LENGTH(int32_t, __VA_ARGS__)), NUMBERS(int32_t, __VA_ARGS__))
#define N(x) X(ONE, x)

// Makes y, of a shape, makes the call, and compares y's first numbers.
#define GIVES(shape, call, ...)                                                 \
    do {                                                                        \
        const float want_[] = { __VA_ARGS__ };                                  \
        tuff_tensor *y = given(shape, NULL);                                    \
        EXPECT_OK(call);                                                        \
        holds(y, want_, COUNT(want_), #call);                                   \
    } while (0)
#define HOLDS(t, ...)                                                           \
    do {                                                                        \
        const float want_[] = { __VA_ARGS__ };                                  \
        holds(t, want_, COUNT(want_), #t);                                      \
    } while (0)

static void functions_of_one(void)
{
    tuff_tensor *x = V(-1, 2), *bits = given(OF(BOOL, 2), NUMBERS(uint8_t, 0, 1));
    GIVES(F(2), tuff_neg(stream, x, y), 1, -2);
    GIVES(F(1), tuff_rsqrt(stream, V(4), y), 0.5f);
    GIVES(F(2), tuff_reciprocal(stream, x, y), -1, 0.5f);
    GIVES(F(1), tuff_sin(stream, V(0.5f), y), 0.47942554f);
    GIVES(F(1), tuff_cos(stream, V(0.5f), y), 0.87758256f);
    GIVES(F(2), tuff_floor(stream, V(-1.5f, 2.5f), y), -2, 2);
    GIVES(F(2), tuff_ceil(stream, V(-1.5f, 2.5f), y), -1, 3);
    GIVES(F(2), tuff_round(stream, V(-1.5f, 2.5f), y), -2, 2);
    GIVES(F(1), tuff_silu(stream, V(1), y), 0.73105858f);
    GIVES(F(1), tuff_hardswish(stream, V(1), y), 0.66666667f);
    GIVES(F(1), tuff_softplus(stream, V(0), y), 0.69314718f);
    GIVES(F(1), tuff_mish(stream, V(1), y), 0.86509839f);
    GIVES(F(2), tuff_softsign(stream, x, y), -0.5f, 0.66666667f);
    GIVES(F(2), tuff_identity(stream, x, y), -1, 2);
    GIVES(OF(BOOL, 2), tuff_not(stream, bits, y), 1, 0);
    GIVES(OF(I32, 2), tuff_bitwise_not(stream, I(6, -1), y), -7, 0);
    const tuff_alpha_params tenth = { .alpha = 0.1f }, two = { .alpha = 2 }, one = { 1 };
    GIVES(F(2), tuff_leaky_relu(stream, x, y, &tenth), -0.1f, 2);
    GIVES(F(2), tuff_elu(stream, x, y, &two), -1.2642411f, 2);
    GIVES(F(2), tuff_celu(stream, x, y, &two), -0.78693868f, 2);
    GIVES(F(2), tuff_thresholded_relu(stream, V(0.5f, 2), y, &one), 0, 2);
    GIVES(F(2), tuff_selu(stream, x, y, NULL), -1.1113307f, 2.1014020f);
    GIVES(F(1), tuff_gelu(stream, V(1), y, NULL), 0.84134475f);
    GIVES(F(2), tuff_hardsigmoid(stream, x, y, NULL), 0.3f, 0.9f);
    GIVES(F(3), tuff_clip(stream, V(-3, 3, 1), N(-1), N(2), y, NULL), -1, 2, 1);
    const tuff_dropout_params half = { .ratio = 0.5f, .seed = 3 };
    tuff_tensor *mask = given(OF(BOOL, 8), NULL);
    uint8_t stays[8];
    float want[8];
    tuff_tensor *ones = V(1, 1, 1, 1, 1, 1, 1, 1), *y = given(F(8), NULL);
    EXPECT_OK(tuff_dropout(stream, ones, NULL, y, mask, &half));
    EXPECT_OK(tuff_tensor_read(stream, mask, stays, sizeof stays));
    for (int i = 0; i < 8; i++) want[i] = stays[i] ? 2 : 0;
    holds(y, want, 8, "dropout");
}

static void functions_of_several(void)
{
    tuff_tensor *a = V(1, 2, 3), *b = V(2, 2, 2);
    const tuff_tensor *const both[] = { V(1, 5), V(3, 2) };
    tuff_tensor *p = given(OF(BOOL, 3), NUMBERS(uint8_t, 0, 1, 1));
    tuff_tensor *q = given(OF(BOOL, 3), NUMBERS(uint8_t, 0, 0, 1));
    const tuff_bit_shift_params right = { .direction = TUFF_SHIFT_RIGHT };
    GIVES(F(1), tuff_pow(stream, V(2), V(3), y), 8);
    GIVES(F(1), tuff_mod(stream, V(7), V(3), y, NULL), 1);
    GIVES(F(1), tuff_xlogy(stream, V(2), V(3), y), 2.1972246f);
    GIVES(F(2), tuff_min(stream, both, 2, y), 1, 2);
    GIVES(F(2), tuff_max(stream, both, 2, y), 3, 5);
    GIVES(F(2), tuff_mean(stream, both, 2, y), 2, 3.5f);
    GIVES(OF(BOOL, 3), tuff_equal(stream, a, b, y), 0, 1, 0);
    GIVES(OF(BOOL, 3), tuff_greater(stream, a, b, y), 0, 0, 1);
    GIVES(OF(BOOL, 3), tuff_greater_or_equal(stream, a, b, y), 0, 1, 1);
    GIVES(OF(BOOL, 3), tuff_less_or_equal(stream, a, b, y), 1, 1, 0);
    GIVES(OF(BOOL, 3), tuff_or(stream, p, q, y), 0, 1, 1);
    GIVES(OF(BOOL, 3), tuff_xor(stream, p, q, y), 0, 1, 0);
    GIVES(OF(I32, 1), tuff_bitwise_and(stream, I(6), I(3), y), 2);
    GIVES(OF(I32, 1), tuff_bitwise_or(stream, I(6), I(3), y), 7);
    GIVES(OF(I32, 1), tuff_bitwise_xor(stream, I(6), I(3), y), 5);
    GIVES(OF(U32, 1), tuff_bit_shift(stream, given(OF(U32, 1), NUMBERS(uint32_t, 20)),
                                     given(OF(U32, 1), NUMBERS(uint32_t, 2)), y, &right), 5);
}

static void rows(void)
{
    tuff_tensor *x = V(0, 1.0986123f), *three = V(1, 5, 2); // 0 and log 3
    GIVES(F(2), tuff_softmax(stream, x, y, NULL), 0.25f, 0.75f);
    GIVES(F(2), tuff_softmin(stream, x, y, NULL), 0.75f, 0.25f);
    GIVES(F(3), tuff_hardmax(stream, three, y, NULL), 0, 1, 0);
    GIVES(ONE, tuff_reduce_prod(stream, V(2, 3, 4), y, NULL), 24);
    GIVES(ONE, tuff_reduce_l1(stream, V(3, -4), y, NULL), 7);
    GIVES(ONE, tuff_reduce_l2(stream, V(3, -4), y, NULL), 5);
    GIVES(ONE, tuff_reduce_sum_square(stream, V(3, -4), y, NULL), 25);
    GIVES(ONE, tuff_reduce_log_sum(stream, V(1, 2), y, NULL), 1.0986123f);
    GIVES(TUFF_SCALAR(TUFF_I32), tuff_argmax(stream, three, y, NULL), 1);
    GIVES(TUFF_SCALAR(TUFF_I32), tuff_argmin(stream, three, y, NULL), 0);
    GIVES(F(3), tuff_cumsum(stream, three, y, NULL), 1, 6, 8);
}

static void movements(void)
{
    tuff_tensor *square = X(F(2, 2), 1, 2, 3, 4), *channels = X(F(1, 4, 1, 1), 1, 2, 3, 4);
    const tuff_tile_params twice = { .repeats = { 2 } };
    const tuff_pad_params around = { .pads = { 1, 1 } };
    const tuff_trilu_params lower = { .lower = 1 };
    const tuff_im2col_params pair = { .kernel = { 1, 2 }, .size = { 1, 3 } };
    GIVES(F(2), tuff_squeeze(stream, X(F(1, 2), 1, 2), y, NULL), 1, 2);
    GIVES(F(2, 1), tuff_unsqueeze(stream, V(1, 2), y, NULL), 1, 2);
    GIVES(F(2, 2), tuff_flatten(stream, X(F(2, 1, 2), 1, 2, 3, 4), y, NULL), 1, 2, 3, 4);
    GIVES(F(4), tuff_tile(stream, V(1, 2), y, &twice), 1, 2, 1, 2);
    GIVES(F(2), tuff_pad_grad(stream, V(1, 2, 3, 4), y, &around), 2, 3);
    GIVES(F(2, 2), tuff_trilu(stream, square, y, &lower), 1, 0, 3, 4);
    GIVES(F(1, 1, 2, 2), tuff_depth_to_space(stream, channels, y, NULL), 1, 2, 3, 4);
    GIVES(F(1, 4, 1, 1), tuff_space_to_depth(stream, X(F(1, 1, 2, 2), 1, 2, 3, 4), y, NULL),
          1, 2, 3, 4);
    GIVES(F(1, 2, 2), tuff_im2col(stream, X(F(1, 1, 1, 3), 1, 2, 3), y, &pair), 1, 2, 2, 3);
    GIVES(F(1, 1, 1, 3), tuff_col2im(stream, X(F(1, 2, 2), 1, 2, 3, 4), y, &pair), 1, 5, 4);
}

static void indices(void)
{
    tuff_tensor *square = X(F(2, 2), 1, 2, 3, 4);
    tuff_tensor *at = given(OF(I32, 1, 2), NUMBERS(int32_t, 1, 0));
    tuff_tensor *each = given(OF(I32, 2, 2), NUMBERS(int32_t, 1, 0, 0, 0));
    const tuff_gather_params to2x2 = { .size = { 2, 2 } };
    const tuff_gather_params row = { .axis = 1, .size = { 2, 2 } };
    const tuff_one_hot_params three = { .depth = 3 };
    GIVES(F(1), tuff_gather_nd(stream, square, at, y, NULL), 3);
    GIVES(F(2, 2), tuff_gather_elements(stream, square, each, y, NULL), 2, 1, 3, 3);
    GIVES(F(2, 2), tuff_gather_grad(stream, square, I(1, 1), y, &row), 0, 0, 4, 6);
    GIVES(F(2, 2), tuff_gather_nd_grad(stream, V(5), at, y, &to2x2), 0, 0, 5, 0);
    GIVES(F(2, 2), tuff_gather_elements_grad(stream, square, each, y, &to2x2), 2, 1, 7, 0);
    GIVES(F(3), tuff_scatter_nd(stream, V(1, 2, 3), given(OF(I32, 1, 1), NUMBERS(int32_t, 1)),
                                V(9), y, NULL), 1, 9, 3);
    GIVES(F(1, 3), tuff_one_hot(stream, I(1), V(3, 7), y, &three), 3, 7, 3);
}

static void products(void)
{
    const tuff_gemm_params factors = { .alpha = 2, .beta = 3 };
    const tuff_conv_params x3 = { .size = { 3 } }, w2 = { .size = { 2 } };
    const tuff_conv_params x113 = { .size = { 1, 1, 3 } }, w112 = { .size = { 1, 1, 2 } };
    tuff_tensor *x = X(F(1, 1, 3), 1, 2, 3), *w = X(F(1, 1, 2), 1, 10);
    tuff_tensor *dy = X(F(1, 1, 2), 1, 2), *bias = V(0.5f), *add = X(F(1, 1, 2), 100, 200);
    tuff_tensor *x3d = X(F(1, 1, 1, 1, 3), 1, 2, 3), *w3d = X(F(1, 1, 1, 1, 2), 1, 10);
    tuff_tensor *dy3d = X(F(1, 1, 1, 1, 2), 1, 2), *add3d = X(F(1, 1, 1, 1, 2), 100, 200);
    tuff_tensor *more = X(F(1, 1, 3), 100, 200, 300);
    tuff_tensor *more2d = X(F(1, 1, 1, 3), 100, 200, 300);
    tuff_tensor *more3d = X(F(1, 1, 1, 1, 3), 100, 200, 300);
    GIVES(F(1, 1), tuff_general_matmul(stream, X(F(1, 2), 1, 2), X(F(2, 1), 3, 4), V(10), y,
                                       &factors), 52);
    GIVES(F(2, 2), tuff_outer(stream, V(1, 2), V(3, 4), y), 3, 4, 6, 8);
    GIVES(F(1, 1, 2), tuff_conv1d(stream, x, w, bias, add, y, NULL), 121.5f, 232.5f);
    GIVES(F(1, 1, 3), tuff_conv1d_input_grad(stream, dy, w, y, &x3), 1, 12, 20);
    GIVES(F(1, 1, 2), tuff_conv1d_weight_grad(stream, x, dy, y, &w2), 5, 8);
    GIVES(F(1, 1, 1, 1, 2), tuff_conv3d(stream, x3d, w3d, bias, add3d, y, NULL), 121.5f,
          232.5f);
    GIVES(F(1, 1, 1, 1, 3), tuff_conv3d_input_grad(stream, dy3d, w3d, y, &x113), 1, 12, 20);
    GIVES(F(1, 1, 1, 1, 2), tuff_conv3d_weight_grad(stream, x3d, dy3d, y, &w112), 5, 8);
    const tuff_conv_blocked_params planes = { .planes = true };
    tuff_tensor *quads = X(F(1, 1, 1, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8);
    GIVES(F(1, 1, 1, 2), tuff_conv2d_blocked(stream, quads, X(F(1, 4, 1, 1), 1, 0, 0, 10),
                                             bias, y, &planes), 41.5f, 85.5f);
    GIVES(F(1, 1, 3), tuff_conv_transpose1d(stream, dy, w, bias, more, y, NULL), 101.5f,
          212.5f, 320.5f);
    GIVES(F(1, 1, 1, 3), tuff_conv_transpose2d(stream, X(F(1, 1, 1, 2), 1, 2),
                                               X(F(1, 1, 1, 2), 1, 10), bias, more2d, y, NULL),
          101.5f, 212.5f, 320.5f);
    GIVES(F(1, 1, 1, 1, 3), tuff_conv_transpose3d(stream, dy3d, w3d, bias, more3d, y, NULL),
          101.5f, 212.5f, 320.5f);
}

static void windows(void)
{
    const tuff_pool_params places = { .indices = true }, one = { .output_size = { 1 } };
    const tuff_resize_params to4 = { .sizes = { 4 }, .size = { 2 } };
    tuff_tensor *x = X(F(1, 1, 4), 1, 3, 2, 0), *at = given(OF(I32, 1, 1, 2), NULL);
    GIVES(F(1, 1, 2), tuff_max_pool(stream, x, y, at, &places), 3, 2);
    HOLDS(at, 1, 2);
    GIVES(F(1, 1, 2), tuff_average_pool(stream, x, y, NULL), 2, 1);
    GIVES(F(1, 1, 1), tuff_lp_pool(stream, X(F(1, 1, 2), 3, 4), y, NULL), 5);
    GIVES(F(1, 1, 1), tuff_adaptive_max_pool(stream, x, y, NULL, &one), 3);
    GIVES(F(1, 1, 1), tuff_adaptive_average_pool(stream, x, y, &one), 1.5f);
    GIVES(F(1, 1, 4), tuff_max_pool_grad(stream, x, X(F(1, 1, 2), 5, 6), y, NULL), 0, 5, 6, 0);
    GIVES(F(1, 1, 4), tuff_average_pool_grad(stream, X(F(1, 1, 2), 4, 6), y, NULL), 2, 2, 3,
          3);
    GIVES(F(1, 1, 1), tuff_global_max_pool(stream, x, y), 3);
    GIVES(F(1, 1, 1), tuff_global_average_pool(stream, x, y), 1.5f);
    GIVES(F(4), tuff_resize(stream, V(1, 2), y, &to4), 1, 1, 2, 2);
    GIVES(F(2), tuff_resize_grad(stream, V(1, 2, 3, 4), y, &to4), 3, 7);
}

static void sequences(void)
{
    const float log3 = 1.0986123f;
    tuff_tensor *q = X(F(1, 1, 1, 1), 1), *k = X(F(1, 1, 2, 1), 0, log3);
    float cos[4], sin[4];
    GIVES(F(1, 1, 1, 1), tuff_attention(stream, q, k, X(F(1, 1, 2, 1), 4, 8), NULL, y, NULL),
          7);
    GIVES(F(1, 1, 1, 2), tuff_attention_probs(stream, q, k, X(F(1, 2), 2 * log3, 0), y, NULL),
          0.75f, 0.25f);
    GIVES(F(1, 1, 3, 1), tuff_kv_append(stream, X(F(1, 1, 3, 1), 1, 2, 3),
                                        X(F(1, 1, 1, 1), 9), I(1), y), 1, 9, 3);
    GIVES(F(1, 2), tuff_rotary(stream, X(F(1, 2), 1, 2), X(F(2, 1), 1, 0), X(F(2, 1), 0, 1),
                               I(1), y, NULL), -2, 1);
    tuff_rotary_table(2, 2, 0, cos, sin);
    const float c[] = { 1, 1, 0.54030231f, 0.99995f };
    const float s[] = { 0, 0, 0.84147098f, 0.0099998333f };
    for (int i = 0; i < 4; i++) {
        EXPECT_NEAR(cos[i], c[i], 1e-7);
        EXPECT_NEAR(sin[i], s[i], 1e-7);
    }
}

// Gates that are wide open (100) or half (0), so that their numbers are seen through.
static void recurrent_cells(void)
{
    tuff_tensor *gates = X(F(1, 4), 0, 0, 100, 100), *c = X(F(1, 1), 2); // i o f g
    tuff_tensor *c1 = given(F(1, 1), NULL), *dc = given(F(1, 1), NULL);
    GIVES(F(1, 1), tuff_lstm_cell(stream, gates, c, y, c1, NULL), 0.49330715f);
    HOLDS(c1, 2.5f);
    // do = tanh(c1) o (1 - o); into c1 flow 3 and, through h1, o (1 - tanh(c1)^2).
    GIVES(F(1, 4), tuff_lstm_cell_grad(stream, gates, c, X(F(1, 1), 1), X(F(1, 1), 3), y, dc,
                                       NULL), 0.75332401f, 0.24665357f, 0, 0);
    HOLDS(dc, 3.0132961f);

    tuff_tensor *gx = X(F(1, 3), 0, 100, 0), *gh = X(F(1, 3), 0, 0, 0.5f); // z r n
    tuff_tensor *h = X(F(1, 1), 2), *dgh = given(F(1, 3), NULL), *dh = given(F(1, 1), NULL);
    GIVES(F(1, 1), tuff_gru_cell(stream, gx, gh, h, y, NULL), 1.2310586f);
    // n = tanh(0.5): dn = (1 - z) (1 - n^2), dz = (h - n) z (1 - z), dh = z, twice each.
    GIVES(F(1, 3), tuff_gru_cell_grad(stream, gx, gh, h, X(F(1, 1), 2), y, dgh, dh, NULL),
          0.76894142f, 0, 0.78644773f);
    HOLDS(dgh, 0.76894142f, 0, 0.78644773f);
    HOLDS(dh, 1);
}

static void norms_of_a_batch(void)
{
    const tuff_batch_norm_params p = { .epsilon = TUFF_ZERO, .momentum = 0.5f };
    tuff_tensor *x = X(F(2, 1), 1, 3), *scale = V(2), *b = V(10), *mean = V(1), *var = V(4);
    tuff_tensor *new_mean = given(F(1), NULL), *new_var = given(F(1), NULL);
    tuff_tensor *saved = given(F(1, 2), NULL);
    GIVES(F(2, 1), tuff_batch_norm(stream, x, scale, b, mean, var, y, &p), 10, 12);
    GIVES(F(2, 1), tuff_batch_norm_train(stream, x, scale, b, mean, var, y, new_mean, new_var,
                                         saved, &p), 8, 12);
    HOLDS(new_mean, 1.5f);
    HOLDS(new_var, 2.5f);
    HOLDS(saved, 2, 1);
    tuff_tensor *dscale = given(F(1), NULL), *dbias = given(F(1), NULL);
    GIVES(F(4, 1), tuff_batch_norm_grad(stream, X(F(4, 1), 1, 3, 1, 3), X(F(4, 1), 1, 0, 0, 0),
                                        scale, saved, y, dscale, dbias), 1, 0, -1, 0);
    HOLDS(dscale, -1);
    HOLDS(dbias, 1);
}

static void norms_of_rows(void)
{
    const tuff_layer_norm_params exact = { .epsilon = TUFF_ZERO };
    const tuff_group_norm_params group = { .epsilon = TUFF_ZERO };
    const tuff_instance_norm_params instance = { .epsilon = TUFF_ZERO };
    const tuff_lrn_params lrn = { .size = 1, .alpha = 1, .beta = 1 };
    tuff_tensor *scale = V(2, 3), *b = V(10, 20);
    tuff_tensor *mean = given(F(1, 1), NULL), *inv = given(F(1, 1), NULL);
    tuff_tensor *means = given(F(1, 2), NULL), *invs = given(F(1, 2), NULL);
    GIVES(F(1, 2), tuff_layer_norm(stream, X(F(1, 2), 1, 5), scale, b, y, mean, inv, &exact),
          8, 23);
    HOLDS(mean, 3);
    HOLDS(inv, 0.5f);
    GIVES(F(1, 2), tuff_rms_norm(stream, X(F(1, 2), 4, 4), scale, y, inv, &exact), 2, 3);
    HOLDS(inv, 0.25f);
    GIVES(F(1, 2, 2), tuff_group_norm(stream, X(F(1, 2, 2), 1, 5, 1, 5), scale, b, y, mean, inv,
                                      &group), 8, 12, 17, 23);
    HOLDS(mean, 3);
    HOLDS(inv, 0.5f);
    GIVES(F(1, 2, 2), tuff_instance_norm(stream, X(F(1, 2, 2), 1, 5, 0, 0.5f), scale, b, y,
                                         means, invs, &instance), 8, 12, 17, 23);
    HOLDS(means, 3, 0.25f);
    HOLDS(invs, 0.5f, 4);
    tuff_tensor *x = X(F(1, 4), 1, 3, 1, 3), *dy = X(F(1, 4), 1, 0, 0, 0);
    tuff_tensor *two = X(F(1, 1), 2), *one = X(F(1, 1), 1), *twos = V(2, 2, 2, 2);
    tuff_tensor *dbias = given(F(4), NULL);
    GIVES(F(1, 4), tuff_norm_grad(stream, x, dy, one, two, twos, y, NULL), 1, 0, -1, 0);
    GIVES(F(4), tuff_norm_param_grad(stream, x, dy, one, twos, two, y, dbias, NULL), -1, 0, 0,
          0);
    HOLDS(dbias, 1, 0, 0, 0);
    GIVES(F(2), tuff_lp_norm(stream, V(3, 4), y, NULL), 0.6f, 0.8f);
    GIVES(F(1, 1, 1), tuff_lrn(stream, X(F(1, 1, 1), 2), y, &lrn), 0.4f);
    GIVES(F(1, 1, 1), tuff_lrn_grad(stream, X(F(1, 1, 1), 2), X(F(1, 1, 1), 5), y, &lrn),
          -0.6f);
}

static void losses_of_classes(void)
{
    const float log3 = 1.0986123f;
    const tuff_class_loss_params sum = { .reduction = TUFF_LOSS_SUM };
    const tuff_class_loss_params both = { .reduction = TUFF_LOSS_SUM, .log_prob = true };
    tuff_tensor *x = X(F(1, 2), 0, log3); // softmax: 1/4, 3/4
    tuff_tensor *weight = V(2, 5), *first = I(0), *second = I(1), *three = N(3);
    tuff_tensor *half = X(F(1, 2), 0.5f, 0.5f), *even = X(F(1, 2), 0, 0);
    tuff_tensor *log_prob = given(F(1, 2), NULL);
    GIVES(ONE, tuff_cross_entropy_loss(stream, x, first, weight, y, log_prob, &both),
          2.7725887f);
    HOLDS(log_prob, -1.3862944f, -0.28768207f);
    GIVES(F(1, 2), tuff_cross_entropy_loss_grad(stream, x, first, three, weight, y, &sum),
          -4.5f, 4.5f);
    GIVES(ONE, tuff_nll_loss(stream, X(F(1, 2), -1, -2), second, weight, y, &sum), 10);
    GIVES(F(1, 2), tuff_nll_loss_grad(stream, X(F(1, 2), -1, -2), second, three, weight, y,
                                      &sum), 0, -15);
    GIVES(ONE, tuff_multi_margin_loss(stream, X(F(1, 2), 1, 3), first, weight, y, &sum), 3);
    GIVES(F(1, 2), tuff_multi_margin_loss_grad(stream, X(F(1, 2), 1, 3), first, three, weight,
                                               y, &sum), -3, 3);
    GIVES(ONE, tuff_soft_cross_entropy(stream, x, half, weight, y, &sum), 2.1054996f);
    GIVES(F(1, 2), tuff_soft_cross_entropy_grad(stream, x, half, three, weight, y, &sum),
          -0.375f, 0.375f);
    // Of 1/2, 1/2 from 1/4, 3/4.
    GIVES(ONE, tuff_kl_div(stream, x, even, y, &sum), 0.14384104f);
    GIVES(F(1, 2), tuff_kl_div_grad(stream, x, even, three, y, &sum), -0.75f, 0.75f);
}

static void losses_of_elements(void)
{
    const tuff_pointwise_params half = { .delta = 0.5f }, kind = { .kind = TUFF_HUBER };
    const tuff_pointwise_params logits = { .kind = TUFF_BCE_WITH_LOGITS };
    tuff_tensor *x = V(3), *t = V(1), *quarter = V(0.25f), *five = N(5);
    GIVES(ONE, tuff_mse_loss(stream, x, t, y, NULL), 4);
    GIVES(ONE, tuff_l1_loss(stream, x, t, y, NULL), 2);
    GIVES(ONE, tuff_huber_loss(stream, x, t, y, &half), 0.875f);
    GIVES(ONE, tuff_smooth_l1_loss(stream, x, t, y, &half), 1.75f);
    GIVES(ONE, tuff_hinge_loss(stream, quarter, t, y, NULL), 0.75f);
    GIVES(ONE, tuff_bce(stream, quarter, t, V(2), y, NULL), 2.7725887f);
    GIVES(ONE, tuff_bce_with_logits(stream, V(0), V(0.25f), V(2), V(3), y, NULL), 2.0794415f);
    GIVES(F(1), tuff_pointwise_loss_grad(stream, V(1.5f), t, five, NULL, NULL, y, &kind), 2.5f);
    // 2 (3 t (s - 1) + (1 - t) s), s = 1/2, times 5
    GIVES(F(1), tuff_pointwise_loss_grad(stream, V(0), V(0.25f), five, V(2), V(3), y, &logits),
          0);
    GIVES(F(1), tuff_pointwise_loss_grad(stream, V(0), t, five, V(2), V(3), y, &logits), -15);
    GIVES(F(1), tuff_pointwise_loss_grad(stream, V(0), V(0), five, V(2), V(3), y, &logits), 5);
}

static void quantized(void)
{
    const tuff_binary_matmul_params bits = { .k = 3 };
    const tuff_blocks_params q8 = { .format = TUFF_BLOCK_Q8_0 };
    tuff_tensor *a = given(OF(U8, 1, 2), NUMBERS(uint8_t, 3, 4));
    tuff_tensor *b = given(OF(U8, 2, 1), NUMBERS(uint8_t, 5, 6));
    tuff_tensor *a0 = given(OF(U8, 1), NUMBERS(uint8_t, 1));
    tuff_tensor *b0 = given(OF(U8, 1), NUMBERS(uint8_t, 2));
    tuff_tensor *signs = given(OF(U32, 1, 1), NUMBERS(uint32_t, 5));
    tuff_tensor *others = given(OF(U32, 2, 1), NUMBERS(uint32_t, 3, 5));
    GIVES(OF(I32, 1, 1), tuff_matmul_integer(stream, a, b, a0, b0, y), 18);
    GIVES(F(2), tuff_sign_ste_grad(stream, V(0.5f, 2), V(3, 4), y), 3, 0);
    GIVES(F(1, 2), tuff_binarize(stream, X(F(1, 2), 1, -3), y, NULL), 2, -2);
    GIVES(F(1, 2), tuff_binary_matmul(stream, signs, others, V(2), V(5, 7), y, &bits), -10,
          42);
    // Steps of a half from -2 to 1: a tie goes to the even one, and the largest is clamped.
    const tuff_fake_quantize_params two = { .bits = 2 };
    tuff_tensor *zero = given(OF(I32, 1), NUMBERS(int32_t, 0)), *parts = given(F(3), NULL);
    GIVES(F(3), tuff_fake_quantize(stream, V(0.25f, -0.8f, 2), V(0.5f), zero, y, &two), 0, -1,
          0.5f);
    GIVES(F(3), tuff_fake_quantize_grad(stream, V(0.25f, -0.75f, 2), V(0.5f), zero,
                                        V(2, 4, 8), y, parts, &two), 2, 4, 0);
    HOLDS(parts, -1, -2, 8);
    float x[32] = { 127, 1, -2 };
    GIVES(OF(U8, 34), tuff_quantize_blocks(stream, given(F(32), x), y, &q8), 0, 0x3c, 127, 1,
          254, 0); // a scale of 1 in f16, and the numbers
}

static void codebooks_and_sparse(void)
{
    const tuff_codebook_params three = { .cols = 3 };
    const tuff_codebook_grad_params one = { .bits = 1 };
    const tuff_sparse_grad_params csr = { .height = 0 };
    tuff_tensor *book = V(3, 7), *word = given(OF(U32, 1, 1), NUMBERS(uint32_t, 5));
    tuff_tensor *row = given(OF(U32, 1, 1), NUMBERS(uint32_t, 2)); // places 0, 1
    GIVES(F(1, 3), tuff_codebook_dequantize(stream, word, book, y, &three), 7, 3, 7);
    GIVES(F(1, 1), tuff_codebook_matmul(stream, X(F(1, 2), 1, 2), row, book, V(0.5f),
                                        X(F(1, 1), 100), y, NULL), 117.5f);
    GIVES(F(2), tuff_codebook_grad(stream, X(F(1, 3), 1, 2, 4), word, y, &one), 2, 5);
    // A keeps (0, 1) and (1, 0).
    GIVES(F(2), tuff_sparse_values_grad(stream, X(F(2, 1), 10, 100), X(F(2, 1), 3, 5), I(1, 0),
                                        I(0, 1, 2), y, &csr), 50, 300);
    // Of four, numbers 1 and 3 are kept: their places are two bits each.
    GIVES(F(1, 2), tuff_nm_values_grad(stream, X(F(1, 1), 10), X(F(4, 1), 1, 2, 3, 4),
                                       given(OF(U32, 1, 1), NUMBERS(uint32_t, 13)), y, NULL),
          20, 40);
}

// What is not an op.
static void models(void)
{
    const tuff_model_params drops = { .net = "dense 2 | dropout 0.5", .input = F(3) };
    const tuff_model_params norms = { .net = "conv 2 1 | bn", .input = F(1, 2, 2) };
    tuff_model *m = NULL;
    EXPECT_STR(tuff_loss_name(TUFF_LOSS_MSE), "mse");
    if (EXPECT_OK(tuff_model_create(dev, &drops, &m))) {
        EXPECT(tuff_model_random(m));
        EXPECT_EQ(tuff_desc_count(tuff_tensor_desc(tuff_model_trained(m))),
                  tuff_desc_count(tuff_tensor_desc(tuff_model_weights(m))));
    }
    tuff_model_destroy(&m);
    if (EXPECT_OK(tuff_model_create(dev, &norms, &m))) {
        EXPECT(!tuff_model_random(m));
        EXPECT(tuff_desc_count(tuff_tensor_desc(tuff_model_trained(m))) <
               tuff_desc_count(tuff_tensor_desc(tuff_model_weights(m)))); // not the buffers
    }
    tuff_model_destroy(&m);
}

// In training a net drops what it keeps otherwise.
static void forward_in_training(void)
{
    const tuff_model_params mp = { .net = "dense 8 | dropout 0.5", .input = F(1) };
    tuff_model *m = NULL;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 }, zeros[8] = { 0 }, x = 3;
    float kept[8], dropped[8];
    if (!EXPECT_OK(tuff_model_create(dev, &mp, &m))) return;
    EXPECT_OK(tuff_model_set(m, "0.weight", ones, 8));
    EXPECT_OK(tuff_model_set(m, "0.bias", zeros, 8));
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in = tuff_graph_input(g, "x", F(1, 1));
    const tuff_var plain = tuff_model_forward(g, m, in, NULL);
    const tuff_var train = tuff_model_forward_train(g, m, in, (tuff_var){ 0 }, NULL);
    tuff_graph_output(g, "plain", plain);
    tuff_graph_output(g, "train", train);
    if (EXPECT_OK(tuff_program_create(dev, g, NULL, &program))) {
        int zero = 0;
        EXPECT_OK(tuff_program_write(program, in, &x, sizeof x));
        EXPECT_OK(tuff_program_run(program));
        EXPECT_OK(tuff_program_read(program, plain, kept, sizeof kept));
        EXPECT_OK(tuff_program_read(program, train, dropped, sizeof dropped));
        for (int i = 0; i < 8; i++) {
            EXPECT_NEAR(kept[i], 3, 1e-6);
            EXPECT(dropped[i] == 0 || fabsf(dropped[i] - 6) < 1e-5f);
            zero += dropped[i] == 0;
        }
        EXPECT(zero > 0 && zero < 8);
    }
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
    tuff_model_destroy(&m);
}

#define EACH(function)                                                          \
    do {                                                                        \
        CASE(function);                                                         \
        clear();                                                                \
    } while (0)

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    EACH(functions_of_one);
    EACH(functions_of_several);
    EACH(rows);
    EACH(movements);
    EACH(indices);
    EACH(products);
    EACH(windows);
    EACH(sequences);
    EACH(recurrent_cells);
    EACH(norms_of_a_batch);
    EACH(norms_of_rows);
    EACH(losses_of_classes);
    EACH(losses_of_elements);
    EACH(quantized);
    EACH(codebooks_and_sparse);
    EACH(models);
    EACH(forward_in_training);
    EXPECT_OK(tuff_stream_flush(stream));
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
