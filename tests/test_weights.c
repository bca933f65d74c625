// Weights in other forms: numbers of 1 to 16 bits packed and read again, and layers of every
// form, which compute what their stored numbers stand for.
#include "harness.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "compress/block_codes.h"
#include "compress/hessian.h"
#include "nn/forms.h"
#include "nn/model.h"
#include "ops/block.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/compress.h>

enum { SAMPLES = 8, SIDE = TINY_SIDE * TINY_SIDE };

static tuff_device *device;
static tuff_dataset *data;

// ---- packing -------------------------------------------------------------------------------

static int32_t drawn(int bits, bool zero, uint64_t i)
{
    const uint32_t v = (uint32_t)(tuff_rng_uniform_at(5, i) * (float)(1 << bits));
    if (zero) return (int32_t)v;
    return bits == 1 ? (v ? 1 : -1) : (int32_t)v - (1 << (bits - 1));
}

// The same numbers by the device.
static void unpacked_alike(int bits, bool zero, const int32_t q[], int64_t n,
                           const uint32_t words[])
{
    const float scale = 0.5f;
    uint32_t one[2] = { 1 };
    float y[131];
    tuff_stream *s;
    tuff_tensor *tw, *ts, *tz, *ty;
    const tuff_packed_params p = { .bits = bits, .cols = n };
    const tuff_desc dw = TUFF_SHAPE(TUFF_U32, tuff_packed_words(bits, n));
    EXPECT_OK(tuff_stream_create(device, &s));
    EXPECT_OK(tuff_tensor_create(device, dw, &tw));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, 1), &ts));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_U32, 1), &tz));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, 1, n), &ty));
    EXPECT_OK(tuff_tensor_write(s, tw, words, tuff_desc_bytes(&dw)));
    EXPECT_OK(tuff_tensor_write(s, ts, &scale, sizeof scale));
    EXPECT_OK(tuff_tensor_write(s, tz, one, sizeof *one));
    EXPECT_OK(tuff_dequantize_packed(s, tw, ts, zero ? tz : NULL, ty, &p));
    EXPECT_OK(tuff_tensor_read(s, ty, y, (size_t)n * sizeof *y));
    for (int64_t i = 0; i < n; i++) EXPECT_EQ((int)(2 * y[i]), q[i] - zero);
    tuff_tensor_destroy(&tw);
    tuff_tensor_destroy(&ts);
    tuff_tensor_destroy(&tz);
    tuff_tensor_destroy(&ty);
    tuff_stream_destroy(&s);
}

static void numbers_come_back(void)
{
    enum { N = 131 };
    for (int bits = 1; bits <= 16; bits++)
        for (int zero = 0; zero < 2; zero++) {
            int32_t q[N], back[N];
            uint32_t words[N];
            for (int i = 0; i < N; i++) q[i] = drawn(bits, zero, (uint64_t)(bits * N + i));
            memset(words, 0xa5, sizeof words);
            EXPECT_EQ(tuff_packed_words(bits, N), (N * bits + 31) / 32);
            EXPECT_OK(tuff_packed_write(bits, zero, q, N, words));
            EXPECT(words[tuff_packed_words(bits, N)] == 0xa5a5a5a5); // no word more
            EXPECT_OK(tuff_packed_read(bits, zero, words, N, back));
            EXPECT(memcmp(q, back, sizeof q) == 0);
            unpacked_alike(bits, zero, q, N, words);
        }
    uint32_t word[2];
    int32_t none;
    EXPECT_STATUS(tuff_packed_write(0, true, &(int32_t){ 0 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_write(17, true, &(int32_t){ 0 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_write(3, true, &(int32_t){ 8 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_write(3, false, &(int32_t){ 4 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_write(3, false, &(int32_t){ -5 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_write(1, false, &(int32_t){ 0 }, 1, word), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_packed_read(4, false, NULL, 1, &none), TUFF_ERR_ARG);
}

// ---- layers --------------------------------------------------------------------------------

// Bits that any form makes numbers of moderate size of.
static void fill(const tuff_param *p, const tuff_storage *s, float *flat)
{
    uint8_t *bytes = (uint8_t *)(flat + p->offset);
    const size_t n = tuff_desc_bytes(&p->desc);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(256 * tuff_rng_uniform_at(11, (uint64_t)p->offset * 64 + i));
    for (int64_t i = 0; p->desc.dtype == TUFF_F32 && i < p->count; i++)
        flat[p->offset + i] = 0.02f * tuff_rng_uniform_at(12, (uint64_t)(p->offset + i));
    for (size_t i = 1; p->desc.dtype == TUFF_F16 && i < n; i += 2)
        bytes[i] = (uint8_t)((bytes[i] & 0x83) | 0x34); // of about 1/4
    const tuff_form *f = tuff_form_of(s);
    if (p->desc.dtype == TUFF_U8 && !f->bits) tuff_block_make_valid(f->block, bytes, n);
}

// A layer's parameters in f32, one behind the other.
static void read_part(const tuff_model *m, int part, const float *flat, float *to,
                      const tuff_model *plain)
{
    const tuff_model_part *a = &m->part[part], *b = &plain->part[part];
    for (int i = 0, at = 0; i < b->params; i++) {
        const tuff_param *w = &plain->param[b->param + i];
        const tuff_storage s = tuff_storage_of(&a->item.layer, w->role);
        const void *stored[TUFF_FORM_TENSORS] = { NULL };
        for (int k = 0; k < TUFF_FORM_TENSORS && at + k < a->params; k++)
            stored[k] = flat + m->param[a->param + at + k].offset;
        if (s.form) tuff_form_of(&s)->read(&s, &w->desc, stored, to + w->offset);
        else memcpy(to + w->offset, stored[0], (size_t)w->count * sizeof *to);
        at += tuff_form_tensors(&s, &w->desc);
    }
}

static void set_all(tuff_model *m, const float *flat)
{
    EXPECT_OK(tuff_tensor_write(m->stream, m->weights, flat, (size_t)m->flat * sizeof *flat));
    EXPECT_OK(tuff_stream_wait(m->stream));
}

static double apart(tuff_model *a, tuff_model *b)
{
    static float x[SAMPLES * SIDE], ya[SAMPLES * TINY_CLASSES], yb[SAMPLES * TINY_CLASSES];
    double d = 0, all = 0;
    EXPECT_OK(tuff_dataset_read(data, TUFF_TEST, 0, SAMPLES, x, NULL, NULL));
    EXPECT_OK(tuff_predict(a, x, SAMPLES, ya));
    EXPECT_OK(tuff_predict(b, x, SAMPLES, yb));
    for (int i = 0; i < SAMPLES * TINY_CLASSES; i++) {
        d += ((double)ya[i] - yb[i]) * ((double)ya[i] - yb[i]);
        all += (double)yb[i] * yb[i];
    }
    return all > 0 ? sqrt(d / all) : INFINITY;
}

#define PLAIN_NET                                                               \
    "conv 6 3 | relu | conv 4 3 group=2 | dwconv 3 bias=no | relu | flatten | dense 64 | " \
    "relu | dense 5"

// A net with the same attributes at each layer that has weights, and its f32 twin.
static void computes_what_it_holds(const char *with)
{
    char net[1024];
    snprintf(net, sizeof net, "conv 6 3 %s | relu | conv 4 3 group=2 %s | dwconv 3 bias=no %s |"
             " relu | flatten | dense 64 %s | relu | dense 5 %s", with, with, with, with, with);
    tuff_model *m = tiny_model(device, data, net), *plain = tiny_model(device, data, PLAIN_NET);
    float *flat = calloc((size_t)m->flat, sizeof *flat);
    float *to = calloc((size_t)plain->flat, sizeof *to);
    for (int i = 0; i < m->params; i++)
        for (int k = 0; k < m->parts; k++) {
            const tuff_model_part *p = &m->part[k];
            if (i >= p->param && i < p->param + p->params)
                fill(&m->param[i], &p->item.layer.store, flat);
        }
    for (int i = 0; i < m->parts; i++)
        if (m->part[i].params) read_part(m, i, flat, to, plain);
    set_all(m, flat);
    set_all(plain, to);
    const double d = apart(m, plain);
    if (!(d < 2e-5)) FAIL("%s: %g apart from what it holds", with, d);
    EXPECT_EQ(tuff_model_parameters(m), tuff_model_parameters(plain));
    free(flat);
    free(to);
    tuff_model_destroy(&m);
    tuff_model_destroy(&plain);
}

static void forms_compute_what_they_hold(void)
{
    char with[128];
    for (int i = 1; tuff_form_at(i); i++) {
        const tuff_form *f = tuff_form_at(i);
        EXPECT_EQ(tuff_form_find(f->name), i);
        if (!f->bits) {
            snprintf(with, sizeof with, "weights=%s", f->name);
            computes_what_it_holds(with);
        }
        for (int bits = 1; f->bits && bits <= f->most; bits += bits < 8 ? 7 : 8) {
            snprintf(with, sizeof with, "weights=%s bits=%d%s bias_bits=%d", f->name, bits,
                     f->per && bits == 16 ? " per=tensor" : "", 17 - bits);
            computes_what_it_holds(with);
        }
    }
    EXPECT_EQ(tuff_form_find("q3_0"), -1);
}

// ---- nets ----------------------------------------------------------------------------------

#define NET                                                                     \
    "conv 6 3 bias=no | bn | relu | maxpool 2 | conv 4 3 group=2 | relu | flatten | "    \
    "dense 64 | relu | dense 5"

typedef struct told {
    int64_t saturated, count;
    int point, parameters;
    double output; // the sum of the errors of outputs
} told;

static void tell(void *user, const tuff_stored_weights *w)
{
    told *t = user;
    t->saturated += w->saturated;
    t->count += w->count;
    t->parameters++;
    t->output += w->output_error;
    if (strcmp(w->name, "weight") == 0) t->point = w->point;
    EXPECT(w->error >= 0);
}

// How far the net is that has its weights in a form.
static double stored_apart(tuff_model *m, tuff_weights_params p, told *t)
{
    tuff_model *q;
    told none;
    t = t ? t : &none;
    *t = (told){ 0 };
    p.on_weights = tell;
    p.user = t;
    p.examples = 128;
    if (!EXPECT_OK(tuff_store_weights(m, data, &p, &q))) return INFINITY;
    const double d = apart(q, m);
    tuff_model_destroy(&q);
    return d;
}

static tuff_model *trained(void)
{
    tuff_model *m = tiny_model(device, data, NET);
    EXPECT_OK(tuff_train(m, data, &(tuff_train_params){ .epochs = 3 }, NULL));
    return m;
}

static void fewer_bits_are_farther(void)
{
    tuff_model *m = trained();
    double last = 1e-4;
    for (int bits = 16; bits >= 1; bits--) {
        const double a = stored_apart(m, (tuff_weights_params){ .bits = bits }, NULL);
        const tuff_weights_params fixed = { .scheme = "fixed", .bits = bits };
        const double f = bits > 1 ? stored_apart(m, fixed, NULL) : 0;
        if (!(a < 4 * ldexp(1, -bits) * 1.5)) FAIL("affine, %d bits: %g", bits, a);
        if (!(f < 16 * ldexp(1, -bits))) // of 1 bit all are as large as the largest
            FAIL("fixed, %d bits: %g", bits, f);
        if (bits % 3 == 0) EXPECT(a > last / 4);
        last = a;
    }
    for (int i = 0; tuff_weights_scheme(i, NULL); i++) {
        bool bits;
        const tuff_weights_params p = { .scheme = tuff_weights_scheme(i, &bits) };
        const double d = stored_apart(m, p, NULL);
        const bool two = strcmp(p.scheme, "q2_k") == 0;
        if (!(d > 0 && d < (two ? 0.6 : 0.25))) FAIL("%s: %g", p.scheme, d);
    }
    tuff_model_destroy(&m);
}

static void files_are_smaller_and_tell_all(void)
{
    const char *path = temp_path("weights.safetensors");
    tuff_model *m = trained(), *q, *back;
    tuff_measure a, b;
    const tuff_weights_params p = { .bits = 3, .bias_bits = 5 };
    const tuff_measure_params sizes = { .path = path, .runs = -1 };
    EXPECT_OK(tuff_store_weights(m, NULL, &p, &q));
    EXPECT_STR(tuff_model_net(q),
               "conv 6 3 weights=affine bits=3 bias_bits=5 | relu | maxpool 2 | "
               "conv 4 3 group=2 weights=affine bits=3 bias_bits=5 | relu | flatten | "
               "dense 64 weights=affine bits=3 bias_bits=5 | relu | "
               "dense 5 weights=affine bits=3 bias_bits=5");
    EXPECT_OK(tuff_model_save(m, path));
    EXPECT_OK(tuff_model_measure(m, data, &sizes, &a));
    EXPECT_OK(tuff_model_save(q, path));
    EXPECT_OK(tuff_model_load(device, path, &back));
    EXPECT(tiny_same(q, back));
    EXPECT_OK(tuff_model_measure(back, data, &sizes, &b));
    EXPECT(b.file_bytes < a.file_bytes / 2); // scales and the file's head are most of it
    EXPECT(b.nonzeros < b.parameters && b.nonzeros > b.parameters / 3);
    // Neither again, nor as integers.
    tuff_model *again;
    EXPECT_STATUS(tuff_store_weights(q, NULL, NULL, &again), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "in another form already");
    EXPECT_STATUS(tuff_quantize(q, data, NULL, &again), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "in another form already");
    EXPECT_STATUS(tuff_quantize_levels(q, NULL, &again), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "in another form already");
    tuff_model_destroy(&back);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

// Dense layers read the numbers as they lie: nothing in f32 is held beside them.
static void memory_is_what_the_bits_are(void)
{
    static const struct {
        tuff_weights_params p;
        int bits;
    } rows[] = { { { .bits = 4 }, 4 }, { { .scheme = "symmetric", .bits = 3 }, 3 },
                 { { .scheme = "fixed", .bits = 8 }, 8 }, { { .bits = 13 }, 13 },
                 { { .scheme = "half" }, 16 }, { { .scheme = "codebook", .bits = 5 }, 5 } };
    enum { OTHERS = 64 << 10 }; // scales, biases and what flows
    const char *net = "flatten | dense 512 | relu | dense 512 | dense 5";
    tuff_model *m = tiny_model(device, data, net);
    const tuff_measure_params sizes = { .runs = -1 };
    tuff_measure is;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_model *q;
        if (!EXPECT_OK(tuff_store_weights(m, NULL, &rows[i].p, &q))) continue;
        EXPECT_OK(tuff_model_measure(q, NULL, &sizes, &is));
        if (is.memory > is.parameters * rows[i].bits / 8 + OTHERS)
            FAIL("row %zu: %lld bytes of memory for %lld parameters", i, (long long)is.memory,
                 (long long)is.parameters);
        tuff_model_destroy(&q);
    }
    tuff_model_destroy(&m);
}

// What shares few numbers already lies in as many bits as these need, and is the same net.
static void a_codebook_takes_what_is_shared(void)
{
    tuff_model *m = trained(), *pruned, *shared, *q, *floats;
    bool same;
    const tuff_prune_params half = { .sparsity = 0.5 };
    const tuff_share_params few = { .bits_conv = 4, .bits_dense = 3 };
    EXPECT_OK(tuff_prune(m, NULL, &half, &pruned));
    EXPECT_OK(tuff_share(pruned, NULL, &few, &shared));
    EXPECT_OK(tuff_store_weights(shared, NULL, &(tuff_weights_params){ .scheme = "codebook" },
                                 &q));
    EXPECT_STR(tuff_model_net(q), "conv 6 3 bias=no weights=codebook bits=4 | bn | relu | "
                                  "maxpool 2 | conv 4 3 group=2 weights=codebook bits=4 | "
                                  "relu | flatten | dense 64 weights=codebook bits=3 | relu | "
                                  "dense 5 weights=codebook bits=3");
    EXPECT_OK(tuff_dequantize(q, &floats));
    size_t n, k;
    float *a = tiny_weights(shared, &n), *b = tiny_weights(floats, &k);
    same = n == k && memcmp(a, b, n * sizeof *a) == 0;
    EXPECT(same);
    free(a);
    free(b);
    tuff_model_destroy(&floats);
    tuff_model_destroy(&q);
    tuff_model_destroy(&shared);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&m);
}

// What is stored stays as it is; biases learn, through layers of every kind.
static void the_rest_is_trained(void)
{
    static const char *const schemes[] = { "affine", "q8_0", "half" };
    for (size_t i = 0; i < COUNT(schemes); i++) {
        tuff_model *m = trained(), *q;
        size_t n;
        tuff_metrics before, after;
        EXPECT_OK(tuff_store_weights(m, NULL, &(tuff_weights_params){ .scheme = schemes[i] },
                                     &q));
        float *was = tiny_weights(q, &n);
        EXPECT_OK(tuff_test(q, data, NULL, &before));
        const tuff_train_params p = { .epochs = 1 };
        if (strcmp(schemes[i], "half") == 0) { // nothing is left to be trained
            EXPECT_STATUS(tuff_train(q, data, &p, NULL), TUFF_ERR_ARG);
        } else {
            EXPECT_OK(tuff_train(q, data, &p, NULL));
            float *is = tiny_weights(q, &n);
            const size_t from = (size_t)q->trained_flat;
            EXPECT(memcmp(was, is, from * sizeof *is) != 0);
            EXPECT(memcmp(was + from, is + from, (n - from) * sizeof *is) == 0);
            free(is);
            EXPECT_OK(tuff_test(q, data, NULL, &after));
        }
        free(was);
        tuff_model_destroy(&q);
        tuff_model_destroy(&m);
    }
}

// ---- fixed point ---------------------------------------------------------------------------

static void forced_points_saturate(void)
{
    tuff_model *m = tiny_model(device, data, "flatten | dense 5 bias=no");
    float w[5 * SIDE] = { 0 }, back[5 * SIDE];
    told t;
    tuff_model *q;
    for (int i = 0; i < 5 * SIDE; i++) w[i] = (float)(i % 16 - 8) / 8; // -1 to 0.875
    EXPECT_OK(tuff_model_set(m, "1.weight", w, 5 * SIDE));
    const tuff_weights_params fits = { .scheme = "fixed", .bits = 4 };
    (void)stored_apart(m, fits, &t);
    EXPECT_EQ(t.saturated, 0);
    EXPECT_EQ(t.point, 2); // 1 x 4 <= 7 < 1 x 8
    tuff_weights_params p = { .scheme = "fixed", .bits = 4, .forced = true, .point = 3 };
    (void)stored_apart(m, p, &t);
    EXPECT_EQ(t.saturated, 0); // -1 is -8 of 4 bits
    p.point = 4; // q from -16 to 14 in twos, of which 7 are within -8 and 7 (-8 .. 6)
    (void)stored_apart(m, p, &t);
    EXPECT_EQ(t.saturated, 5 * SIDE / 16 * 8);
    EXPECT_EQ(t.count, 5 * SIDE);
    p.on_weights = NULL;
    EXPECT_OK(tuff_store_weights(m, NULL, &p, &q));
    const tuff_storage *s = &q->part[1].item.layer.store;
    size_t n;
    float *flat = tiny_weights(q, &n);
    const void *stored[] = { flat + q->param[0].offset, flat + q->param[1].offset, NULL };
    tuff_form_of(s)->read(s, &TUFF_SHAPE(TUFF_F32, 5, SIDE), stored, back);
    for (int i = 0; i < 5 * SIDE; i++)
        EXPECT(back[i] == fmaxf(-0.5f, fminf(0.4375f, w[i])));
    free(flat);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

// ---- rounding that makes up for its errors --------------------------------------------------

static void gptq_beats_rounding(void)
{
    static const tuff_weights_params ways[] = {
        { .scheme = "affine", .bits = 3 }, { .scheme = "symmetric", .bits = 4 },
        { .scheme = "affine", .bits = 2, .mse = true },
        { .scheme = "affine", .bits = 4, .per_tensor = true },
        { .scheme = "fixed", .bits = 5 }, { .scheme = "symmetric", .bits = 1 },
        { .scheme = "codebook", .bits = 3 },
        { .scheme = "q4_0" }, { .scheme = "q4_1" }, { .scheme = "q5_0" }, { .scheme = "q2_k" },
        { .scheme = "q3_k" }, { .scheme = "q4_k" }, { .scheme = "iq4_nl" }, { .scheme = "nf4" },
    };
    tuff_model *m = trained(), *q;
    for (size_t i = 0; i < COUNT(ways); i++) {
        tuff_weights_params p = ways[i];
        told t;
        const double plain = stored_apart(m, p, NULL);
        p.gptq = true;
        const double made_up = stored_apart(m, p, &t);
        EXPECT(t.output > 0);
        if (!(made_up < plain))
            FAIL("%s, %d bits: %g apart, %g when rounded", p.scheme, p.bits, made_up, plain);
    }
    // Of integer nets too.
    tuff_ptq_params p = { .bits = 3, .examples = 128 };
    double d[2];
    for (int k = 0; k < 2; k++) {
        p.gptq = k;
        if (!EXPECT_OK(tuff_quantize(m, data, &p, &q))) break;
        d[k] = apart(q, m);
        tuff_model_destroy(&q);
    }
    EXPECT(d[1] < d[0]);
    tuff_model_destroy(&m);
}

// Of H = 1 nothing can be made up for: numbers are rounded to the nearest. Where two inputs are
// always the same, what one loses the other gives.
static double pick_half(void *user, int64_t row, int64_t input, const double *w)
{
    double *to = user;
    return to[2 * row + input] = rint(2 * *w) / 2;
}

static void errors_are_made_up_for(void)
{
    double same[] = { 1, 1, 1, 1 }, to[2];
    double factor[] = { 1 / sqrt(0.01), -1 / sqrt(0.01), 0, 1 }; // of 1, 1; 1, 1.01
    int order[] = { 0, 1 };
    const float w[] = { 0.6f, 0.6f };
    const tuff_hessian h = { .groups = 1, .inputs = 2, .sum = same, .factor = factor,
                             .order = order };
    EXPECT_OK(tuff_hessian_round(&h, 1, w, pick_half, to));
    EXPECT(to[0] == 0.5 && to[1] == 0.5); // 0.6 + 0.1
    const float more[] = { 0.7f, 0.6f };
    EXPECT_OK(tuff_hessian_round(&h, 1, more, pick_half, to));
    EXPECT(to[0] == 0.5 && to[1] == 1); // 0.6 + 0.2
    EXPECT(fabs(tuff_hessian_error(&h, 1, w, (float[]){ 0.5f, 0.5f }) - 0.04) < 1e-6);
}

// A block whose codes are chosen one by one is no farther off than the encoder's.
static void codes_of_blocks(void)
{
    static float value[TUFF_BLOCK_CODES][TUFF_BLOCK_MOST];
    static const int bits[] = { 4, 4, 5, 5, 8, 2, 3, 4, 5, 6, 4, 4, 4 };
    for (int f = 0; f < TUFF_BLOCK_FORMATS; f++) {
        tuff_block_codes c;
        float x[TUFF_BLOCK_MOST], a[TUFF_BLOCK_MOST], b[TUFF_BLOCK_MOST];
        uint8_t block[512], mine[512];
        double far[2] = { 0, 0 };
        tuff_block_codes_of((tuff_block_format)f, &c);
        EXPECT_EQ(c.bits, bits[f]);
        for (int i = 0; i < c.count; i++) x[i] = tuff_rng_normal_at(3, (uint64_t)(f * 999 + i));
        EXPECT_OK(tuff_block_encode((tuff_block_format)f, x, 1, c.count, block));
        EXPECT_OK(tuff_block_decode((tuff_block_format)f, block, 1, c.count, a));
        tuff_block_codes_open(&c, x, mine, value);
        for (int i = 0; i < c.count; i++) {
            int best = 0;
            for (int k = 1; k < 1 << c.bits; k++)
                if (fabsf(value[k][i] - x[i]) < fabsf(value[best][i] - x[i])) best = k;
            tuff_block_codes_put(&c, mine, i, best);
        }
        EXPECT_OK(tuff_block_decode((tuff_block_format)f, mine, 1, c.count, b));
        for (int i = 0; i < c.count; i++) {
            far[0] += (a[i] - x[i]) * (a[i] - x[i]);
            far[1] += (b[i] - x[i]) * (b[i] - x[i]);
        }
        if (!(far[1] <= far[0] * 1.00001)) FAIL("format %d: %g, %g", f, far[1], far[0]);
    }
}

// ---- what is refused -----------------------------------------------------------------------

static void what_is_refused(void)
{
    tuff_model *m = tiny_model(device, data, NET), *none = tiny_model(device, data, "flatten");
    tuff_model *q;
    static const struct {
        tuff_weights_params p;
        const char *says;
    } wrong[] = {
        { { .scheme = "q3_0" }, "'q3_0' is no scheme" }, { { .scheme = "f32" }, "'f32'" },
        { { .scheme = "codebook", .bits = 9 }, "expected 1 to 8 of a codebook" },
        { { .bits = 17 }, "bits is 17" }, { { .bits = -1 }, "bits is -1" },
        { { .bias_bits = 17 }, "biases are 17" }, { { .scheme = "nf4", .bits = 4 }, "no bits" },
        { { .scheme = "half", .per_tensor = true }, "scales of its own" },
        { { .forced = true }, "only fixed has a point" },
        { { .scheme = "fixed", .forced = true, .point = 127 }, "point is 127" },
        { { .gptq = true }, "needs data" }, { { .examples = -1 }, "-1 examples" },
        { { .damping = -1 }, "damping is -1" },
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_store_weights(m, NULL, &wrong[i].p, &q), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].says);
        EXPECT(q == NULL);
    }
    EXPECT_STATUS(tuff_store_weights(m, data, &(tuff_weights_params){ .gptq = true,
                                     .scheme = "half" }, &q), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_store_weights(none, NULL, NULL, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "the net has none");
    EXPECT_OK(tuff_model_set(m, "9.bias", (float[]){ 1, NAN, 1, 1, 1 }, 5));
    EXPECT_STATUS(tuff_store_weights(m, NULL, &(tuff_weights_params){ .bias_bits = 4 }, &q),
                  TUFF_ERR_CHECK);
    EXPECT_HAS(tuff_last_error(), "layer 8 has a bias of nan");
    tuff_model_destroy(&none);
    tuff_model_destroy(&m);
}

// ---- accuracy ------------------------------------------------------------------------------

// LeNet-5 on a part of Fashion-MNIST: what a few bits cost it.
static void lenet5_keeps_its_accuracy(void)
{
    static const struct {
        tuff_weights_params p;
        double lost;
    } rows[] = {
        { { .bits = 8 }, 0.005 }, { { .scheme = "half" }, 0.002 }, { { .bits = 4 }, 0.03 },
        { { .bits = 4, .gptq = true }, 0.015 }, { { .scheme = "q4_0" }, 0.03 },
        { { .scheme = "fixed", .bits = 8, .bias_bits = 12 }, 0.01 },
        { { .bits = 3, .gptq = true }, 0.03 },
    };
    tuff_dataset *fashion;
    const tuff_dataset_params dp = { .limit_train = 4000, .limit_test = 1000 };
    if (tuff_dataset_open("fashion", &dp, &fashion) != TUFF_OK) SKIP("no Fashion-MNIST here");
    tuff_model *m = tiny_model(device, fashion, "lenet5"), *q;
    tuff_metrics whole, is;
    EXPECT_OK(tuff_train(m, fashion, &(tuff_train_params){ .epochs = 3 }, NULL));
    EXPECT_OK(tuff_test(m, fashion, NULL, &whole));
    EXPECT(whole.accuracy > 0.75);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!EXPECT_OK(tuff_store_weights(m, fashion, &rows[i].p, &q))) continue;
        EXPECT_OK(tuff_test(q, fashion, NULL, &is));
        if (!(whole.accuracy - is.accuracy <= rows[i].lost))
            FAIL("row %zu: %g of %g", i, is.accuracy, whole.accuracy);
        tuff_model_destroy(&q);
    }
    tuff_model_destroy(&m);
    tuff_dataset_destroy(&fashion);
}

static void every_small_case(void)
{
    CASE(numbers_come_back);
    CASE(forms_compute_what_they_hold);
    CASE(fewer_bits_are_farther);
    CASE(files_are_smaller_and_tell_all);
    CASE(memory_is_what_the_bits_are);
    CASE(a_codebook_takes_what_is_shared);
    CASE(the_rest_is_trained);
    CASE(forced_points_saturate);
    CASE(gptq_beats_rounding);
    CASE(errors_are_made_up_for);
    CASE(codes_of_blocks);
    CASE(what_is_refused);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 128, .test = 48 });
    if (argc > 1 && strcmp(argv[1], "lenet5_keeps_its_accuracy") == 0) {
        CASE(lenet5_keeps_its_accuracy);
    } else {
        every_small_case();
    }
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
