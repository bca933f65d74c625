// Weights in other forms: numbers of 1 to 16 bits packed and read again, and layers of every
// form, which compute what their stored numbers stand for.
#include "harness.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "nn/forms.h"
#include "nn/model.h"
#include "ops/block.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        at += !s.form ? 1 : tuff_form_of(&s)->zero ? 3 : tuff_form_of(&s)->bits ? 2 : 1;
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
        for (int bits = 1; f->bits && bits <= TUFF_FORM_BITS; bits += bits < 8 ? 7 : 4) {
            snprintf(with, sizeof with, "weights=%s bits=%d%s bias_bits=%d", f->name, bits,
                     bits == 12 ? " per=tensor" : "", 17 - bits);
            computes_what_it_holds(with);
        }
    }
    EXPECT_EQ(tuff_form_find("q3_0"), -1);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 128, .test = 48 });
    CASE(numbers_come_back);
    CASE(forms_compute_what_they_hold);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
