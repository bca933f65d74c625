// Nets of stored weights that are trained on: that the latent net gives what the stored one
// gives and goes back into the same bits, that training helps and leaves form and size as they
// were, that a run which was broken off goes on to the same bits, and what is refused.
#include "harness.h"
#include "compress/latent.h"
#include "tiny.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SAMPLES = 48 };

static tuff_device *device;
static tuff_dataset *data;

// Root of the mean square of what lies between two models' outputs, by that of a's.
static double apart(tuff_model *a, tuff_model *b)
{
    const int64_t n = SAMPLES * tuff_desc_count(tuff_model_output(a));
    float *ya = tiny_outputs(a, data, SAMPLES), *yb = tiny_outputs(b, data, SAMPLES);
    double far = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        far += ((double)ya[i] - yb[i]) * ((double)ya[i] - yb[i]);
        all += (double)ya[i] * ya[i];
    }
    free(ya);
    free(yb);
    return sqrt(far / all);
}

// ---- into a form ---------------------------------------------------------------------------

// The words of `tuff quantize`, in short.
typedef struct form {
    const char *scheme; // "integers", "levels", or one of tuff_store_weights
    int bits, bias_bits;
    bool other; // affine (integers), ternary (levels), one scale a tensor (others)
} form;

static tuff_model *stored_as(tuff_model *m, const form *f)
{
    tuff_model *q = NULL;
    const tuff_ptq_params ptq = { .bits = f->bits, .affine = f->other, .examples = 64,
                                  .per_tensor = f->bits == 5 };
    const tuff_weights_params w = { .scheme = f->scheme, .bits = f->bits,
                                    .bias_bits = f->bias_bits, .per_tensor = f->other };
    if (strcmp(f->scheme, "integers") == 0) EXPECT_OK(tuff_quantize(m, data, &ptq, &q));
    else if (strcmp(f->scheme, "levels") == 0)
        EXPECT_OK(tuff_quantize_levels(m, &(tuff_levels_params){ .ternary = f->other }, &q));
    else EXPECT_OK(tuff_store_weights(m, NULL, &w, &q));
    return q;
}

static void set_zero(tuff_model *m)
{
    float *zeros = calloc((size_t)m->flat, sizeof *zeros);
    EXPECT_OK(tuff_move_weights(m, zeros, false));
    free(zeros);
}

// ---- there and back ------------------------------------------------------------------------

static const struct {
    const char *net;
    form form;
    const char *latent;  // NULL: not looked at
    double far, floats;  // of the latent net, of that of floats
} cases[] = {
    { TINY_NET, { .scheme = "integers" },
      "fake_quantize | conv 4 3 fake=8 | fake_quantize | maxpool 2 | flatten | "
      "dense 16 fake=8 | fake_quantize | dense 5 fake=8 | fake_quantize", 0.02, 0.05 },
    { "conv 2 3 pad=1 | relu | residual(conv 4 3 pad=1 ; channelpad 1 1) | relu | dwconv 3 | "
      "flatten | dense 5", { .scheme = "integers", .bits = 4, .other = true },
      "fake_quantize | conv 2 3 pad=1 fake=4 | fake_quantize | "
      "residual(conv 4 3 pad=1 fake=4 | fake_quantize ; channelpad 1 1) | fake_quantize | "
      "dwconv 3 fake=4 | fake_quantize | flatten | dense 5 fake=4 | fake_quantize",
      0.02, 0.05 },
    { "conv 4 3 | residual(relu | conv 4 1) | concat(conv 2 1 ; conv 3 1 | relu) | avgpool 2 | "
      "gap | dense 5", { .scheme = "integers", .bits = 5 },
      "fake_quantize | conv 4 3 fake=5 fake_per=tensor | fake_quantize | residual(relu | "
      "conv 4 1 fake=5 fake_per=tensor | fake_quantize) | fake_quantize | "
      "concat(conv 2 1 fake=5 fake_per=tensor | fake_quantize learn=no ; "
      "conv 3 1 fake=5 fake_per=tensor | fake_quantize learn=no | relu) | avgpool 2 | "
      "fake_quantize | gap | fake_quantize | dense 5 fake=5 fake_per=tensor | fake_quantize",
      0.03, 0.08 },
    { "conv 2 3 | residual(conv 2 3 pad=1 | sigmoid ; conv 2 1) | flatten | dense 8 | gelu | "
      "dense 5", { .scheme = "integers" }, NULL, 0.02, 0.05 },
    { TINY_NET, { .scheme = "affine", .bits = 3, .bias_bits = 6 },
      "conv 4 3 fake=3 | relu | maxpool 2 | flatten | dense 16 fake=3 | relu | dense 5 fake=3",
      1e-5, 1e-5 },
    { TINY_NET, { .scheme = "affine" }, NULL, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "symmetric", .bits = 4, .other = true },
      "conv 4 3 fake=4 fake_per=tensor | relu | maxpool 2 | flatten | "
      "dense 16 fake=4 fake_per=tensor | relu | dense 5 fake=4 fake_per=tensor", 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "symmetric", .bits = 1 },
      "conv 4 3 fake=1 | relu | maxpool 2 | flatten | dense 16 fake=1 | relu | dense 5 fake=1",
      1e-5, 1e-5 },
    { "conv 4 3 | bn | dwconv 3 | bn | conv 6 3 group=2 | gn 2 | prelu | flatten | dense 5",
      { .scheme = "affine", .bits = 11 }, NULL, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "fixed", .bits = 6, .bias_bits = 9 }, TINY_NET, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "half" }, TINY_NET, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "q4_0" }, TINY_NET, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "nf4" }, TINY_NET, 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "levels" },
      "bconv 4 3 levels=xnor | relu | maxpool 2 | flatten | bdense 16 levels=xnor | relu | "
      "bdense 5 levels=xnor", 1e-5, 1e-5 },
    { TINY_NET, { .scheme = "levels", .other = true },
      "bconv 4 3 levels=ternary | relu | maxpool 2 | flatten | bdense 16 levels=ternary | relu "
      "| bdense 5 levels=ternary", 1e-5, 1e-5 },
    { "conv 33 3 | bn | sign | bconv 5 3 pad=1 bias=no | maxpool 2 | bn | sign | "
      "bconv 6 3 levels=xnor inputs=scaled | flatten | bdense 16 bias=no | bn | sign | "
      "bdense 5 bias=no | bn", { .scheme = "levels" },
      "conv 33 3 | bn | bconv 5 3 pad=1 inputs=signs bias=no | maxpool 2 | bn | sign | "
      "bconv 6 3 levels=xnor inputs=scaled | flatten | bdense 16 bias=no | bn | "
      "bdense 5 inputs=signs bias=no | bn", 1e-5, 1e-5 },
};

// What is trained is ops that have tests of their own: a GPU's driver sees every third case.
static size_t stride(void)
{
    return strcmp(tuff_device_get_info(device)->id, "cpu") == 0 ? 1 : 3;
}

static void latent_weights_go_there_and_back(void)
{
    for (size_t i = 0; i < COUNT(cases); i += stride()) {
        tuff_model *m = tiny_model(device, data, cases[i].net), *latent = NULL, *floats = NULL;
        tuff_model *q = stored_as(m, &cases[i].form), *back = NULL;
        EXPECT(q && !tuff_model_is_stored(m) && tuff_model_is_stored(q));
        if (!q || !EXPECT_OK(tuff_latent_make(q, &latent)) ||
            !EXPECT_OK(tuff_model_copy(q, device, &back)) ||
            !EXPECT_OK(tuff_dequantize(q, &floats))) {
            printf("  of %s as %s\n", cases[i].net, cases[i].form.scheme);
            continue;
        }
        EXPECT(!tuff_model_is_stored(latent) && !tuff_model_is_stored(floats));
        if (cases[i].latent) EXPECT_STR(tuff_model_net(latent), cases[i].latent);
        const double far = apart(q, latent), plain = apart(q, floats);
        if (!(far < cases[i].far && plain < cases[i].floats))
            FAIL("%s as %s: %g, floats %g", cases[i].net, cases[i].form.scheme, far, plain);
        // All but the point of fixed numbers comes out of the latent net.
        if (strcmp(cases[i].form.scheme, "fixed") != 0) set_zero(back);
        EXPECT_OK(tuff_latent_store(latent, back));
        if (!tiny_same(q, back)) FAIL("%s as %s", cases[i].net, cases[i].form.scheme);
        tuff_model_destroy(&back);
        tuff_model_destroy(&floats);
        tuff_model_destroy(&latent);
        tuff_model_destroy(&q);
        tuff_model_destroy(&m);
    }
}

// ---- training ------------------------------------------------------------------------------

static int64_t bytes_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (int64_t)s.st_size : -1;
}

// The loss falls, and text and file are what they were.
static void training_keeps_the_form(void)
{
    static const form forms[] = {
        { .scheme = "integers", .bits = 4 }, { .scheme = "affine", .bits = 2 },
        { .scheme = "symmetric", .bits = 1 }, { .scheme = "fixed", .bits = 5 },
        { .scheme = "half" }, { .scheme = "q4_0" }, { .scheme = "levels" },
        { .scheme = "levels", .other = true },
    };
    const char *path = temp_path("latent.safetensors");
    tuff_model *m = tiny_model(device, data, NULL);
    EXPECT_OK(tuff_train(m, data, &(tuff_train_params){ .epochs = 3 }, NULL));
    for (size_t i = 0; i < COUNT(forms); i += stride()) {
        tuff_model *q = stored_as(m, &forms[i]), *back;
        tuff_train_result result;
        tuff_metrics before, after;
        char net[400];
        snprintf(net, sizeof net, "%s", tuff_model_net(q));
        EXPECT_OK(tuff_model_save(q, path));
        const int64_t bytes = bytes_of(path);
        EXPECT_OK(tuff_test(q, data, NULL, &before));
        EXPECT_OK(tuff_train_stored(q, data, &(tuff_train_params){ .epochs = 8, .batch = 32,
                                                          .out = path },
                                    &result));
        EXPECT_OK(tuff_test(q, data, NULL, &after));
        if (!(after.loss < before.loss))
            FAIL("%s %d: %g, was %g", forms[i].scheme, forms[i].bits, after.loss, before.loss);
        // It is the stored net that is tested, in batches of other sizes.
        EXPECT(fabs(result.last.test.loss - after.loss) < 1e-5);
        EXPECT_STR(tuff_model_net(q), net);
        // What the metadata say of the data, which the first file did not know, is more.
        EXPECT(llabs(bytes_of(path) - bytes) <= 256);
        if (EXPECT_OK(tuff_model_load(device, path, &back))) EXPECT(tiny_same(q, back));
        tuff_model_destroy(&back);
        tuff_model_destroy(&q);
    }
    tuff_model_destroy(&m);
}

// ---- files ---------------------------------------------------------------------------------

static bool stop_after_two(void *user, const tuff_epoch *e)
{
    (void)user;
    return e->epoch < 2;
}

// A file of a run that goes on is of the stored net, and holds what is trained.
static void runs_go_on(void)
{
    static const form forms[] = { { .scheme = "integers" }, { .scheme = "q4_0" },
                                  { .scheme = "levels" } };
    const char *path = temp_path("broken.safetensors");
    for (size_t i = 0; i < COUNT(forms); i += stride()) {
        tuff_model *m = tiny_model(device, data, NULL), *whole = stored_as(m, &forms[i]);
        tuff_model *part = stored_as(m, &forms[i]), *back = NULL;
        tuff_train_params p = { .epochs = 3, .patience = 9 };
        EXPECT_OK(tuff_train_stored(whole, data, &p, NULL));
        p.out = path;
        p.on_epoch = stop_after_two;
        EXPECT_OK(tuff_train_stored(part, data, &p, NULL));
        if (EXPECT_OK(tuff_model_load(device, path, &back))) {
            EXPECT(tiny_same(part, back) && !tiny_same(whole, back));
            const tuff_train_params rest = { .resume = path, .out = path };
            EXPECT_OK(tuff_train_stored(back, data, &rest, NULL));
            EXPECT(tiny_same(whole, back));
            EXPECT_STATUS(tuff_train_stored(back, data, &rest, NULL), TUFF_ERR_ARG);
            EXPECT_HAS(tuff_last_error(), "whose run has ended");
        }
        tuff_model_destroy(&back);
        tuff_model_destroy(&part);
        tuff_model_destroy(&whole);
        tuff_model_destroy(&m);
    }
}

// A name that ends in .tuffz is packed at the end of a run of a net that is small so.
static void packed_names_are_packed(void)
{
    const char *path = temp_path("run.tuffz");
    tuff_model *m = tiny_model(device, data, NULL), *q, *back;
    tuff_train_params p = { .epochs = 1, .out = path };
    EXPECT_OK(tuff_train_stored(m, data, &p, NULL)); // nothing is stored: tuff_train
    EXPECT(!tuff_tuffz_is(path));
    p.keep_shared = true;
    EXPECT_OK(tuff_train(m, data, &p, NULL));
    EXPECT(tuff_tuffz_is(path));
    EXPECT_STATUS(tuff_train(m, data, &(tuff_train_params){ .resume = path }, NULL),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "a run that has ended");
    p.keep_shared = false;
    q = stored_as(m, &(form){ .scheme = "affine" });
    EXPECT_OK(tuff_train_stored(q, data, &p, NULL));
    if (EXPECT_OK(tuff_model_load(device, path, &back))) EXPECT(tiny_same(q, back));
    tuff_model_destroy(&back);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

static void what_cannot_be_is_refused(void)
{
    tuff_model *m = tiny_model(device, data, NULL), *other, *made = NULL;
    tuff_model *q = stored_as(m, &(form){ .scheme = "integers" }), *latent;
    EXPECT_STATUS(tuff_dequantize(m, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no weights in a stored form");
    EXPECT_STATUS(tuff_latent_make(m, &made), TUFF_ERR_ARG);
    EXPECT(!made);
    EXPECT_OK(tuff_latent_make(q, &latent));
    other = stored_as(m, &(form){ .scheme = "affine" });
    EXPECT_STATUS(tuff_latent_store(latent, other), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "is not what");
    EXPECT_STATUS(tuff_train(q, data, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "tuff_dequantize");
    tuff_model_destroy(&other);
    other = tiny_model(device, data, "quantize | flatten | dense 5 | dequantize");
    EXPECT_STATUS(tuff_train_stored(other, data, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "layer 0 (quantize) has no step");
    tuff_model_destroy(&other);
    tuff_model_destroy(&latent);
    tuff_model_destroy(&q);
    tuff_model_destroy(&m);
}

// A net of text, whose stored weights get those of a net of floats at its start, learns.
static void nets_of_text_learn(void)
{
    static const char *const forms[] = { "weights=affine bits=4", "weights=fixed bits=7",
                                         "weights=q4_0" };
    for (size_t i = 0; i < COUNT(forms); i += stride()) {
        char net[200];
        snprintf(net, sizeof net, "flatten | dense 16 %s | relu | dense 5 %s", forms[i],
                 forms[i]);
        tuff_model *m = tiny_model(device, data, net), *floats;
        tuff_train_result first, last;
        floats = tiny_model(device, data, "flatten | dense 16 | relu | dense 5");
        EXPECT_OK(tuff_latent_store(floats, m));
        EXPECT(apart(floats, m) < 0.2);
        EXPECT_OK(tuff_train_stored(m, data, &(tuff_train_params){ .epochs = 1 }, &first));
        EXPECT_OK(tuff_train_stored(m, data, &(tuff_train_params){ .epochs = 6 }, &last));
        EXPECT(last.last.test.loss < first.last.test.loss);
        tuff_model_destroy(&floats);
        tuff_model_destroy(&m);
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 256, .test = SAMPLES, .held = 0.2f });
    CASE(latent_weights_go_there_and_back);
    CASE(training_keeps_the_form);
    CASE(runs_go_on);
    CASE(packed_names_are_packed);
    CASE(nets_of_text_learn);
    CASE(what_cannot_be_is_refused);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
