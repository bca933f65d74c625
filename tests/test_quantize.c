// Quantization after training: what is folded and equalised computes the same, what comes out
// has the same bits on every device and is near to the float net, and what is refused.
#include "harness.h"
#include "base/rng.h"
#include "compress/latent.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 24 };

static tuff_device *device;
static tuff_dataset *data;

static tuff_model *model_of(const char *net) { return tiny_model(device, data, net); }

// Running statistics and norms' weights that are not what they start as.
static void stir(tuff_model *m)
{
    for (int i = 0; i < m->params; i++) {
        const tuff_param *p = &m->param[i];
        if (strstr(p->name, "running") == NULL && p->role != TUFF_PARAM_ONES &&
            p->role != TUFF_PARAM_ZEROS)
            continue;
        float *v = malloc((size_t)p->count * sizeof *v);
        for (int64_t k = 0; k < p->count; k++)
            v[k] = 0.5f + tuff_rng_uniform_at(7, (uint64_t)(p->offset + k));
        EXPECT_OK(tuff_model_set(m, p->name, v, p->count));
        free(v);
    }
}

// The root of the mean square of a - b, by that of a.
static double distance(tuff_model *a, tuff_model *b)
{
    float *ya = tiny_outputs(a, data, SAMPLES), *yb = tiny_outputs(b, data, SAMPLES);
    const int64_t n = SAMPLES * tuff_desc_count(tuff_model_output(a));
    double apart = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        apart += ((double)ya[i] - yb[i]) * ((double)ya[i] - yb[i]);
        all += (double)ya[i] * ya[i];
    }
    free(ya);
    free(yb);
    return all > 0 ? sqrt(apart / all) : INFINITY;
}

static bool same_outputs(tuff_model *a, tuff_model *b)
{
    float *ya = tiny_outputs(a, data, SAMPLES), *yb = tiny_outputs(b, data, SAMPLES);
    const int64_t n = SAMPLES * tuff_desc_count(tuff_model_output(a));
    const bool same = memcmp(ya, yb, (size_t)n * sizeof *ya) == 0;
    free(ya);
    free(yb);
    return same;
}

static void norms_are_folded(void)
{
    static const struct {
        const char *net, *want;
    } cases[] = {
        { "conv 4 3 bias=no | bn | relu | flatten | dense 5 | bn",
          "conv 4 3 | relu | flatten | dense 5" },
        { "conv 6 3 | bn | dwconv 3 multiplier=2 bias=no | bn | relu | flatten | dense 5",
          "conv 6 3 | dwconv 3 multiplier=2 | relu | flatten | dense 5" },
        { "residual(conv 1 3 pad=1 bias=no | bn) | relu | bn | flatten | dense 5",
          "residual(conv 1 3 pad=1) | relu | bn | flatten | dense 5" },
        { "conv 3 3 | residual(bn ; relu) | flatten | dense 5",
          "conv 3 3 | residual(bn ; relu) | flatten | dense 5" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *m = model_of(cases[i].net), *folded;
        stir(m);
        if (EXPECT_OK(tuff_fold_batch_norms(m, &folded))) {
            EXPECT_STR(tuff_model_net(folded), cases[i].want);
            EXPECT(distance(m, folded) < 2e-6);
            EXPECT(tuff_model_get_data(folded)->channels == tuff_model_get_data(m)->channels);
        }
        tuff_model_destroy(&folded);
        tuff_model_destroy(&m);
    }
}

static double largest(const tuff_model *m, const float *flat, int part, int64_t channel)
{
    const tuff_param *p = tuff_part_param(m, part, "weight");
    const int64_t row = p->count / p->desc.dim[0];
    double most = 0;
    for (int64_t i = 0; i < row; i++)
        most = fmax(most, fabs((double)flat[p->offset + channel * row + i]));
    return most;
}

static void equalised_nets_compute_the_same(void)
{
    tuff_model *m = model_of("conv 4 3 | relu | maxpool 2 | conv 6 3 group=2 | leaky_relu | "
                             "flatten | dense 16 | relu | dense 5");
    tuff_model *before;
    size_t count;
    EXPECT_OK(tuff_model_copy(m, device, &before));
    float *w = tiny_weights(before, &count);
    for (int k = 0; k < 9; k++) w[k] *= 50; // of the first channel of the first layer
    EXPECT_OK(tuff_model_set(m, "0.weight", w, 36));
    EXPECT_OK(tuff_model_set(before, "0.weight", w, 36));
    free(w);
    EXPECT_OK(tuff_equalize(m));
    EXPECT(distance(before, m) < 1e-5);
    float *a = tiny_weights(before, &count), *b = tiny_weights(m, &count);
    EXPECT(largest(before, a, 0, 0) > 20 * largest(before, a, 0, 1));
    EXPECT(largest(m, b, 0, 0) < 10 * largest(m, b, 0, 1));
    free(a);
    free(b);
    tuff_model_destroy(&before);
    tuff_model_destroy(&m);
}

// Each layer that can be an integer, edges between the two kinds, and what must share a grid.
static const struct {
    const char *net, *want;
    double near;
} nets[] = {
    { TINY_NET, "quantize | conv 4 3 | maxpool 2 | flatten | dense 16 | dense 5 | dequantize",
      0.05 },
    { "conv 4 3 bias=no | bn | relu | avgpool 2 | dwconv 3 | relu | gap | dense 5",
      "quantize | conv 4 3 | avgpool 2 | dwconv 3 | gap | dense 5 | dequantize", 0.1 },
    { "conv 4 3 pad=1 | relu | residual(conv 4 3 pad=1 | relu | conv 4 3 pad=1) | relu | "
      "flatten | dense 5",
      "quantize | conv 4 3 pad=1 | residual(conv 4 3 pad=1 | conv 4 3 pad=1) | flatten | "
      "dense 5 | dequantize", 0.1 },
    { "conv 4 3 | concat(conv 2 1 ; conv 3 1 | relu) | flatten | dense 5",
      "quantize | conv 4 3 | concat(conv 2 1 ; conv 3 1 | relu) | flatten | dense 5 | "
      "dequantize", 0.1 },
    { "conv 4 3 stride=2 | gelu | flatten | dense 8 | tanh | dense 5 | softmax",
      "quantize | conv 4 3 stride=2 | dequantize | gelu | flatten | quantize | dense 8 | "
      "dequantize | tanh | quantize | dense 5 | dequantize | softmax", 0.05 },
    { "residual(conv 1 3 pad=1) | relu | flatten | dense 5",
      "residual(quantize | conv 1 3 pad=1 | dequantize) | relu | flatten | quantize | dense 5 "
      "| dequantize", 0.1 },
    { "conv 2 3 | residual(conv 2 3 pad=1 | sigmoid ; conv 2 1) | flatten | dense 5",
      "quantize | conv 2 3 | residual(conv 2 3 pad=1 | dequantize | sigmoid | quantize ; "
      "conv 2 1) | flatten | dense 5 | dequantize", 0.1 },
    { "conv 2 3 | relu | residual(conv 4 3 pad=1 ; channelpad 1 1) | relu | gmp | dense 5",
      "quantize | conv 2 3 | residual(conv 4 3 pad=1 ; channelpad 1 1) | gmp | dense 5 | "
      "dequantize", 0.15 },
    { "conv 2 3 | dropout 0.5 | flatten | dense 5 | concat(relu ; tanh)",
      "quantize | conv 2 3 | dropout 0.5 | flatten | dense 5 | concat(relu ; dequantize | tanh "
      "| quantize) | dequantize", 0.05 },
};

static void nets_of_integers(void)
{
    tuff_device *cpu;
    EXPECT_OK(tuff_device_open("cpu", &cpu));
    for (size_t i = 0; i < COUNT(nets); i++) {
        tuff_model *m = model_of(nets[i].net), *q = NULL, *there = NULL;
        const tuff_ptq_params p = { .examples = 64, .batch = 48, .affine = i % 2 };
        stir(m);
        if (!EXPECT_OK(tuff_quantize(m, data, &p, &q))) continue;
        EXPECT_STR(tuff_model_net(q), nets[i].want);
        const double apart = distance(m, q);
        if (!(apart < nets[i].near)) FAIL("%s is %.3f off", nets[i].net, apart);
        EXPECT(apart > 0); // or nothing was rounded
        EXPECT_OK(tuff_model_copy(q, cpu, &there));
        // Floats in between have another last bit on another device, which may be a step.
        const char *first = strstr(nets[i].want, "dequantize");
        if (first[strlen("dequantize")]) EXPECT(distance(q, there) < 0.01);
        else EXPECT(same_outputs(q, there));
        tuff_model_destroy(&there);
        tuff_model_destroy(&q);
        tuff_model_destroy(&m);
    }
    tuff_device_close(&cpu);
}

// All of the numbers of the trained net that are left: those of weights, biases too.
static void files_keep_integers(void)
{
    const char *path = temp_path("q.safetensors");
    tuff_model *m = model_of(TINY_NET), *q, *back;
    const tuff_ptq_params p = { .examples = 32 };
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    EXPECT_EQ(tuff_model_parameters(q), tuff_model_parameters(m));
    EXPECT_OK(tuff_model_save(q, path));
    EXPECT_OK(tuff_model_load(device, path, &back));
    EXPECT(tiny_same(q, back));
    tuff_measure a, b;
    const tuff_measure_params sizes = { .path = path, .runs = -1 };
    EXPECT_OK(tuff_model_measure(back, data, &sizes, &b));
    EXPECT_OK(tuff_model_save(m, path));
    EXPECT_OK(tuff_model_measure(m, data, &sizes, &a));
    EXPECT(b.file_bytes < a.file_bytes);
    EXPECT(b.nonzeros <= a.nonzeros && b.nonzeros > a.nonzeros * 9 / 10);
    // It cannot be trained, nor quantized again.
    EXPECT_STATUS(tuff_train(q, data, &(tuff_train_params){ .epochs = 1 }, NULL), TUFF_ERR_ARG);
    tuff_model *again;
    EXPECT_STATUS(tuff_quantize(q, data, &p, &again), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "quantized already");
    // Nor made smaller.
    for (int target = TUFF_PRUNE_WEIGHTS; target <= TUFF_PRUNE_LAYERS; target++) {
        const tuff_prune_params half = { .target = (tuff_prune_target)target, .sparsity = 0.5 };
        EXPECT_STATUS(tuff_prune(q, NULL, &half, &again), TUFF_ERR_ARG);
    }
    EXPECT_STATUS(tuff_sparsify(q, NULL, &again), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "quantized already");
    tuff_model_destroy(&back);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

// Fewer bits are farther off; better ways of the same number of bits are nearer.
static void options_do_what_they_say(void)
{
    tuff_model *m = model_of("conv 4 3 | relu | maxpool 2 | flatten | dense 32 | relu | "
                             "dense 5");
    tuff_ptq_params p = { .examples = 96 };
    double apart[9] = { 0 };
    tuff_model *q;
    EXPECT_OK(tuff_train(m, data, &(tuff_train_params){ .epochs = 2 }, NULL));
    for (int bits = 2; bits <= 8; bits += 2) {
        p.bits = bits;
        EXPECT_OK(tuff_quantize(m, data, &p, &q));
        apart[bits] = distance(m, q);
        tuff_model_destroy(&q);
    }
    EXPECT(apart[8] < apart[4] && apart[4] < apart[2]);
    p.bits = 3;
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    const double plain = distance(m, q);
    tuff_model_destroy(&q);
    p.per_tensor = true;
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    EXPECT(plain < distance(m, q));
    tuff_model_destroy(&q);
    p.per_tensor = false;
    p.mse_weights = p.correct_bias = true;
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    EXPECT(distance(m, q) < plain);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

// A net of integers with each weight in a byte, as they all were once.
static tuff_model *in_bytes(tuff_model *q)
{
    tuff_rewrite *w;
    tuff_model *bytes = NULL;
    EXPECT_OK(tuff_rewrite_open(q, &w));
    for (int i = 0; i < q->parts; i++) {
        char text[TUFF_LAYER_TEXT];
        tuff_layer l = q->part[i].item.layer;
        if (!l.store.bits) continue;
        l.store.bits = 0;
        tuff_layer_print(&l, text);
        tuff_rewrite_set(w, i, "%s", text);
    }
    EXPECT_OK(tuff_rewrite_build(w));
    tuff_rewrite_keep(w);
    for (int i = 0; i < q->parts; i++) EXPECT_OK(tuff_integers_move(w, i));
    EXPECT_OK(tuff_rewrite_close(&w, &bytes));
    return bytes;
}

// Files and memory fall with the bits, and numbers stay what they are in bytes.
static void fewer_bits_are_smaller(void)
{
    const char *path = temp_path("few.safetensors");
    const int64_t weights = 4 * 9 + 64 * 400 + 5 * 64;
    tuff_model *m = model_of("conv 4 3 | relu | flatten | dense 64 | relu | dense 5"), *q;
    tuff_measure last = { .file_bytes = INT64_MAX, .memory = INT64_MAX };
    for (int bits = 8; bits >= 2; bits -= bits == 8 ? 4 : 1) {
        const tuff_ptq_params p = { .examples = 32, .bits = bits };
        const tuff_measure_params sizes = { .path = path, .runs = -1 };
        tuff_measure now;
        EXPECT_OK(tuff_quantize(m, data, &p, &q));
        EXPECT_OK(tuff_model_save(q, path));
        EXPECT_OK(tuff_model_measure(q, NULL, &sizes, &now));
        EXPECT(now.file_bytes < last.file_bytes);
        EXPECT(now.memory <= last.memory - (bits < 4 ? weights / 8 - 512 : 0));
        EXPECT(now.parameters == weights + 4 + 64 + 5 && now.nonzeros > weights / 4);
        if (bits < 8) {
            tuff_model *bytes = in_bytes(q), *back;
            tuff_measure whole;
            EXPECT(!strstr(tuff_model_net(bytes), "bits="));
            EXPECT(same_outputs(q, bytes));
            EXPECT_OK(tuff_model_save(bytes, path));
            EXPECT_OK(tuff_model_load(device, path, &back));
            EXPECT_OK(tuff_model_measure(back, NULL, &sizes, &whole));
            EXPECT(whole.nonzeros == now.nonzeros);
            EXPECT(whole.file_bytes - now.file_bytes > weights * (8 - bits) / 8 - 256);
            EXPECT(whole.memory - now.memory >= weights * (8 - bits) / 8 - 1024);
            tuff_model_destroy(&back);
            tuff_model_destroy(&bytes);
        }
        last = now;
        tuff_model_destroy(&q);
    }
    tuff_model_destroy(&m);
}

// How many different numbers a layer's weights are.
static int levels(tuff_model *q, int part)
{
    bool seen[256] = { false };
    int n = 0;
    size_t count;
    float *flat = tiny_weights(q, &count);
    const tuff_param *p = tuff_part_param(q, part, "weight");
    int32_t *w = malloc((size_t)p->stands * sizeof *w);
    EXPECT_OK(tuff_integer_read(&q->part[part].item.layer, tuff_param_at(flat, p), p->stands,
                                w));
    for (int64_t i = 0; i < p->stands; i++) {
        n += !seen[w[i] + 128];
        seen[w[i] + 128] = true;
    }
    free(w);
    free(flat);
    return n;
}

// By the places of the net as it is given, with norms that are folded.
static void layers_have_bits_of_their_own(void)
{
    tuff_model *m = model_of("conv 4 3 | bn | relu | flatten | dense 32 | relu | dense 5"), *q;
    int bits[7];
    tuff_ptq_params p = { .examples = 32, .bits = 6, .layer_bits = bits };
    EXPECT_OK(tuff_layer_bits_parse(m, "4=2, 6=8", bits));
    EXPECT(bits[0] == 0 && bits[4] == 2 && bits[6] == 8);
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    EXPECT_STR(tuff_model_net(q), "quantize | conv 4 3 bits=6 | flatten | dense 32 bits=2 | "
                                  "dense 5 | dequantize");
    const int conv = levels(q, 1), dense = levels(q, 3), last = levels(q, 4);
    EXPECT(conv > 16 && conv <= 63);
    EXPECT_EQ(dense, 3);
    EXPECT(last > 64);
    tuff_model_destroy(&q);
    static const struct {
        const char *text, *says;
    } wrong[] = { { "4=17", "in '4=17' bits are 17" }, { "4", "'4' is no number of bits" },
                  { "5=4", "at the place '5'" }, { "4=2.5", "whole number" } };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_layer_bits_parse(m, wrong[i].text, bits), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].says);
    }
    memset(bits, 0, sizeof bits);
    bits[1] = 4;
    EXPECT_STATUS(tuff_quantize(m, data, &p, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "layer 1 (bn)");
    bits[1] = 0, bits[0] = 1;
    EXPECT_STATUS(tuff_quantize(m, data, &p, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "bits of layer 0 is 1");
    tuff_model_destroy(&m);
}

// A bell with a few numbers far outside.
static void fill_bell(double bin[TUFF_BINS])
{
    for (int i = 0; i < TUFF_BINS; i++) {
        const double x = (i + 0.5) / TUFF_BINS * 20 - 10;
        bin[i] = 1e5 * exp(-x * x * 2);
    }
    bin[TUFF_BINS - 1] = 1;
}

static void ranges_are_cut(void)
{
    static double bin[TUFF_BINS];
    fill_bell(bin);
    for (int method = TUFF_CALIBRATE_PERCENTILE; method <= TUFF_CALIBRATE_MSE; method++) {
        const tuff_ptq_params p = { .method = (tuff_calibration)method };
        float low = -10, high = 10;
        tuff_range_cut(bin, &p, &low, &high);
        // The bell ends near 2; none of the ways keeps the far number, none cuts into it.
        if (!(low < -1 && low > -6 && high > 1 && high < 6))
            FAIL("%s keeps %g to %g", tuff_calibration_name(p.method), low, high);
    }
    float low = -10, high = 10;
    const tuff_ptq_params half = { .method = TUFF_CALIBRATE_PERCENTILE, .percentile = 50 };
    tuff_range_cut(bin, &half, &low, &high);
    EXPECT(low > -0.6 && low < -0.2 && high > 0.2 && high < 0.6); // 0.5 x 0.674
    tuff_calibration method;
    for (int i = 0; i <= TUFF_CALIBRATE_MSE; i++) {
        EXPECT_OK(tuff_calibration_parse(tuff_calibration_name((tuff_calibration)i), &method));
        EXPECT_EQ((int)method, i);
    }
    EXPECT_STATUS(tuff_calibration_parse("kl", &method), TUFF_ERR_FORMAT);
}

static void what_is_refused(void)
{
    tuff_model *m = model_of(TINY_NET), *none = model_of("flatten | tanh"), *q;
    static const struct {
        tuff_ptq_params p;
        const char *says;
    } wrong[] = {
        { { .bits = 1 }, "bits is 1" }, { { .bits = 9 }, "bits is 9" },
        { { .percentile = 40 }, "percentile is 40" }, { { .examples = -1 }, "-1 examples" },
        { { .method = (tuff_calibration)9 }, "9 is no method" },
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_quantize(m, data, &wrong[i].p, &q), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].says);
        EXPECT(q == NULL);
    }
    EXPECT_STATUS(tuff_quantize(none, data, NULL, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no convolution");
    EXPECT_STATUS(tuff_model_like(m, device, "flatten | dense 5 bits=4", 1 << 20, &q),
                  TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "bits without weights= is of layers between quantize");
    EXPECT_STATUS(tuff_model_like(m, device, "flatten | quantize | dense 5 bits=8 | dequantize",
                                  1 << 20, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "bits is 8, expected 2 to 7");
    float nan[36];
    for (int i = 0; i < 36; i++) nan[i] = NAN;
    EXPECT_OK(tuff_model_set(m, "0.weight", nan, 36));
    EXPECT_STATUS(tuff_quantize(m, data, NULL, &q), TUFF_ERR_CHECK);
    EXPECT_HAS(tuff_last_error(), "layer 0");
    tuff_model_destroy(&none);
    tuff_model_destroy(&m);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 128, .test = 48 });
    CASE(norms_are_folded);
    CASE(equalised_nets_compute_the_same);
    CASE(nets_of_integers);
    CASE(files_keep_integers);
    CASE(options_do_what_they_say);
    CASE(layers_have_bits_of_their_own);
    CASE(fewer_bits_are_smaller);
    CASE(ranges_are_cut);
    CASE(what_is_refused);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
