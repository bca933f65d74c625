// Binary and ternary nets: they learn, their weights stay where signs can change, what is
// packed computes what was trained, and what is refused.
#include "harness.h"
#include "compress/rewrite.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 24 };

static tuff_device *device;
static tuff_dataset *data;

// The largest difference between two nets' outputs, by the root of the mean square of a's.
static double apart(tuff_model *a, tuff_model *b)
{
    float *ya = tiny_outputs(a, data, SAMPLES), *yb = tiny_outputs(b, data, SAMPLES);
    const int64_t n = SAMPLES * tuff_desc_count(tuff_model_output(a));
    double most = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)ya[i] - (double)yb[i]));
        all += (double)ya[i] * (double)ya[i];
        if (!isfinite(yb[i])) most = INFINITY;
    }
    free(ya);
    free(yb);
    return most / sqrt(all / (double)n);
}

static void what_is_packed_computes_what_was_trained(void)
{
    static const struct {
        const char *net, *want; // the packed one's text
    } cases[] = {
        { "flatten | bdense 65 bias=no | bn | sign | dropout 0.3 | bdense 33 | bn | sign | "
          "bdense 5",
          "flatten | bdense 65 packed=yes bias=no | bn | dropout 0.3 | bdense 33 inputs=signs "
          "packed=yes | bn | bdense 5 inputs=signs packed=yes" },
        { "flatten | bdense 40 xnor | bn | bdense 33 xnor scaled bias=no | bn | "
          "bdense 5 ternary signs",
          "flatten | bdense 40 levels=xnor packed=yes | bn | bdense 33 levels=xnor "
          "inputs=scaled packed=yes bias=no | bn | bdense 5 levels=ternary inputs=signs "
          "packed=yes" },
        { "bconv 35 3 pad=1 bias=no | maxpool 2 | bn | sign | bconv 9 3x2 pad=1x0 stride=1x2 | "
          "bn | sign | flatten | bdense 5",
          "bconv 35 3 pad=1 packed=yes bias=no | maxpool 2 | bn | bconv 9 3x2 stride=1x2 "
          "pad=1x0 inputs=signs packed=yes | bn | flatten | bdense 5 inputs=signs packed=yes" },
        { "bconv 8 3 ternary | bn | bconv 34 3 pad=1 xnor scaled | bn | sign | maxpool 2 | "
          "bconv 4 3 stride=2 ternary scaled bias=no | gap | dense 5",
          "bconv 8 3 levels=ternary packed=yes | bn | bconv 34 3 pad=1 levels=xnor "
          "inputs=scaled packed=yes | bn | sign | maxpool 2 | bconv 4 3 stride=2 "
          "levels=ternary inputs=scaled packed=yes bias=no | gap | dense 5" },
        { "conv 4 3 | bn | sign | residual(bconv 4 3 pad=1 xnor ; bn) | sign | flatten | "
          "bdense 5 xnor",
          "conv 4 3 | bn | sign | residual(bconv 4 3 pad=1 levels=xnor inputs=signs packed=yes"
          " ; bn) | flatten | bdense 5 levels=xnor inputs=signs packed=yes" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *m = tiny_model(device, data, cases[i].net), *packed = NULL, *back = NULL;
        const char *path = temp_path("packed.tuffz");
        if (EXPECT_OK(tuff_quantize_levels(m, NULL, &packed)) &&
            EXPECT_OK(tuff_model_save(packed, path)) &&
            EXPECT_OK(tuff_model_load(device, path, &back))) {
            EXPECT_STR(tuff_model_net(packed), cases[i].want);
            EXPECT(tuff_model_parameters(packed) == tuff_model_parameters(m));
            const double d = apart(m, packed);
            if (!(d < 2e-5)) FAIL("%s: packed it is %g away", cases[i].net, d);
            EXPECT(apart(packed, back) == 0);
        }
        tuff_model_destroy(&back);
        tuff_model_destroy(&packed);
        tuff_model_destroy(&m);
    }
}

// The weights of one output as the papers have them, in place.
static void to_levels(float *w, int64_t n, bool ternary)
{
    double mean = 0, beyond = 0, count = 0;
    for (int64_t i = 0; i < n; i++) mean += fabs((double)w[i]) / (double)n;
    const double limit = ternary ? 0.7 * mean : -1;
    for (int64_t i = 0; i < n; i++) {
        beyond += fabs((double)w[i]) > limit ? fabs((double)w[i]) : 0;
        count += fabs((double)w[i]) > limit;
    }
    for (int64_t i = 0; i < n; i++)
        w[i] = fabs((double)w[i]) > limit ? copysignf((float)(beyond / count), w[i]) : 0;
}

// A net of floats against the same net with weights of few levels in floats.
static void float_nets_get_levels(void)
{
    static const char *const net = "conv 6 3 pad=1 stride=2 | relu | conv 7 3 group=1 | relu | "
                                   "flatten | dense 20 | relu | dense 5";
    static const char *const weights[] = { "0.weight", "2.weight", "5.weight", "7.weight" };
    for (int k = 0; k < 4; k++) {
        const tuff_levels_params p = { .ternary = k % 2, .keep_ends = k / 2 };
        tuff_model *m = tiny_model(device, data, net), *same, *packed = NULL;
        EXPECT_OK(tuff_model_copy(m, device, &same));
        int64_t zeros = 0;
        for (int i = p.keep_ends; i < 4 - p.keep_ends; i++) {
            float w[4096];
            const tuff_param *q = &same->param[2 * i];
            EXPECT_STR(q->name, weights[i]);
            EXPECT_OK(tuff_model_get(same, q->name, w, q->count));
            const int64_t row = q->count / q->desc.dim[0];
            for (int64_t o = 0; o < q->desc.dim[0]; o++)
                to_levels(w + o * row, row, p.ternary);
            for (int64_t j = 0; j < q->count; j++) zeros += w[j] == 0;
            EXPECT_OK(tuff_model_set(same, q->name, w, q->count));
        }
        if (EXPECT_OK(tuff_quantize_levels(m, &p, &packed))) {
            tuff_measure before, after;
            const double d = apart(same, packed);
            if (!(d < 2e-5)) FAIL("%s levels: %g away", p.ternary ? "three" : "two", d);
            const tuff_measure_params quick = { .runs = -1 };
            EXPECT_OK(tuff_model_measure(same, data, &quick, &before));
            EXPECT_OK(tuff_model_measure(packed, data, &quick, &after));
            EXPECT(before.nonzeros == after.nonzeros && before.parameters == after.parameters);
            EXPECT(before.parameters - before.nonzeros == zeros && (zeros > 0) == p.ternary);
        }
        tuff_model_destroy(&packed);
        tuff_model_destroy(&same);
        tuff_model_destroy(&m);
    }
}

static void weights_stay_where_signs_can_change(void)
{
    tuff_model *m = tiny_model(device, data, "bconv 4 3 | bn | sign | flatten | "
                                             "bdense 16 xnor | bn | bdense 5 ternary | bn");
    const tuff_train_params p = { .epochs = 1, .optimizer = { .lr = 1.5f } };
    EXPECT_OK(tuff_train(m, data, &p, NULL));
    for (int i = 0; i < m->params; i++) {
        const tuff_param *q = &m->param[i];
        if (q->role != TUFF_PARAM_WEIGHT) continue;
        float *w = malloc((size_t)q->count * sizeof *w), most = 0;
        EXPECT_OK(tuff_model_get(m, q->name, w, q->count));
        for (int64_t k = 0; k < q->count; k++) most = fmaxf(most, fabsf(w[k]));
        const bool sign = strcmp(q->name, "0.weight") == 0, ternary = q->clip == 0;
        const float want = sign ? sqrtf(1.5f / (9 * 5)) : 1;
        if (ternary ? !(most > 1) : !(fabsf(most - want) < 1e-6f))
            FAIL("%s has %g, its bound is %g", q->name, (double)most, (double)q->clip);
        free(w);
    }
    tuff_model_destroy(&m);
}

// Every way to have weights and inputs learns what is to be learnt.
static void each_kind_learns(void)
{
    static const char *const nets[] = {
        "flatten | bdense 64 bias=no | bn | sign | bdense 64 bias=no | bn | sign | "
        "bdense 5 bias=no | bn",
        "bconv 12 3 xnor bias=no | maxpool 2 | bn | bconv 12 3 xnor scaled bias=no | bn | relu "
        "| flatten | dense 5",
        "flatten | bdense 48 ternary | relu | bdense 5 ternary",
    };
    for (size_t i = 0; i < COUNT(nets); i++) {
        tuff_model *m = tiny_model(device, data, nets[i]);
        const tuff_train_params p = { .epochs = 6, .batch = 50, .optimizer = { .lr = 0.01f },
                                      .schedule = { .kind = TUFF_COSINE } };
        tuff_train_result r = { 0 };
        EXPECT_OK(tuff_train(m, data, &p, &r));
        if (!(r.last.test.accuracy > 0.6))
            FAIL("%s: %g are right", nets[i], r.last.test.accuracy);
        tuff_model_destroy(&m);
    }
}

// The BNN of the paper in short: fewer images, a narrower net, few epochs.
// bench/papers/binary is the whole.
static void the_papers_direction(void)
{
    const char *folder = shared_path("data/mnist");
    char spec[512];
    if (!folder) SKIP("there is no shared MNIST");
    snprintf(spec, sizeof spec, "idx:%s", folder);
    const tuff_dataset_params some = { .limit_train = 4000, .limit_test = 2000 };
    tuff_dataset *mnist;
    if (!EXPECT_OK(tuff_dataset_open(spec, &some, &mnist))) return;
    const tuff_model_params net = {
        .net = "flatten | bdense 128 bias=no | bn | sign | bdense 128 bias=no | bn | sign | "
               "bdense 10 bias=no | bn",
        .seed = 1, .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) };
    const tuff_train_params train = { .epochs = 4, .batch = 100, .optimizer = { .lr = 0.003f },
                                      .schedule = { .kind = TUFF_STEP, .factor = 0.6f } };
    const char *plain = temp_path("bnn.safetensors"), *small = temp_path("bits.safetensors");
    tuff_model *model = NULL, *packed = NULL;
    tuff_measure before, after;
    EXPECT_OK(tuff_model_create(device, &net, &model));
    EXPECT_OK(tuff_train(model, mnist, &train, NULL));
    EXPECT_OK(tuff_quantize_levels(model, NULL, &packed));
    EXPECT_OK(tuff_model_save(model, plain));
    EXPECT_OK(tuff_model_save(packed, small));
    const tuff_measure_params a = { .path = plain, .runs = -1 }, b = { .path = small,
                                                                      .runs = -1 };
    EXPECT_OK(tuff_model_measure(model, mnist, &a, &before));
    EXPECT_OK(tuff_model_measure(packed, mnist, &b, &after));
    EXPECT(before.test.accuracy > 0.85);
    EXPECT(fabs(before.test.accuracy - after.test.accuracy) <= 0.001);
    EXPECT(after.file_bytes * 18 < before.file_bytes);
    printf("a binary net in short: %.2f %% right, packed %.2f %%, %lld -> %lld bytes\n",
           100 * before.test.accuracy, 100 * after.test.accuracy, (long long)before.file_bytes,
           (long long)after.file_bytes);
    tuff_model_destroy(&packed);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&mnist);
}

static void what_is_refused(void)
{
    static const struct {
        const char *net, *why;
    } nets[] = {
        { "bdense 5 levels=signs", "levels is 'signs', expected one of sign, xnor, ternary" },
        { "bdense 5 inputs=binary", "inputs is 'binary', expected one of real, signs, scaled" },
        { "bdense 5", "bdense takes samples of one dimension" },
        { "flatten | bconv 3 3", "bconv takes samples of channels x rows x columns" },
    };
    for (size_t i = 0; i < COUNT(nets); i++) {
        const tuff_model_params p = { .net = nets[i].net,
                                      .input = tuff_dataset_get_info(data)->sample };
        tuff_model *m;
        EXPECT(tuff_model_create(device, &p, &m) != TUFF_OK);
        EXPECT_HAS(tuff_last_error(), nets[i].why);
    }
    tuff_model *m = tiny_model(device, data, "flatten | bdense 8 bias=no | bn | bdense 5"), *n;
    tuff_model *packed = NULL;
    EXPECT_OK(tuff_quantize_levels(m, NULL, &packed));
    EXPECT_STATUS(tuff_quantize_levels(packed, NULL, &n), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "is packed already");
    EXPECT_STATUS(tuff_quantize_levels(NULL, NULL, &n), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "NULL");
    tuff_model_destroy(&packed);
    tuff_model_destroy(&m);
    m = tiny_model(device, data, "conv 4 3 dilation=2 | gap | softmax");
    EXPECT_STATUS(tuff_quantize_levels(m, NULL, &n), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no dense layer");
    tuff_model_destroy(&m);
    m = tiny_model(device, data, "flatten | dense 9 | relu | dense 5");
    const tuff_levels_params inner = { .keep_ends = true };
    EXPECT_STATUS(tuff_quantize_levels(m, &inner, &n), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "between its first");
    tuff_model_destroy(&m);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 500, .test = 200 });
    CASE(what_is_packed_computes_what_was_trained);
    CASE(float_nets_get_levels);
    CASE(weights_stay_where_signs_can_change);
    CASE(each_kind_learns);
    CASE(the_papers_direction);
    CASE(what_is_refused);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
