// Quantization aware training: where fake quantizers go, that the net of integers gives what
// the net with them gives, that training them helps, and what is refused.
#include "harness.h"
#include "compress/quantize.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 48 };

static tuff_device *device;
static tuff_dataset *data;

// The largest distance of two models' outputs, in the steps of the last `dequantize` of b, and
// how many samples have another class.
static double steps_apart(tuff_model *a, tuff_model *b, int *others)
{
    const int64_t width = tuff_desc_count(tuff_model_output(a));
    float *ya = tiny_outputs(a, data, SAMPLES), *yb = tiny_outputs(b, data, SAMPLES);
    float step = 1;
    for (int i = b->parts - 1; i >= 0; i--)
        if (tuff_part_is(b, i, "dequantize")) {
            EXPECT_OK(tuff_model_get(b, tuff_part_param(b, i, "scale")->name, &step, 1));
            break;
        }
    double most = 0;
    *others = 0;
    for (int64_t s = 0; s < SAMPLES; s++) {
        int64_t best_a = 0, best_b = 0;
        for (int64_t k = 0; k < width; k++) {
            const float *va = ya + s * width, *vb = yb + s * width;
            most = fmax(most, fabs((double)va[k] - vb[k]) / (double)step);
            best_a = va[k] > va[best_a] ? k : best_a;
            best_b = vb[k] > vb[best_b] ? k : best_b;
        }
        *others += best_a != best_b;
    }
    free(ya);
    free(yb);
    return most;
}

// Numbers that are clipped are rounded behind their relu; those that go two ways where they
// are made; those that a concatenation joins on one grid, which is not trained.
static const struct {
    const char *net, *aware, *integer;
} nets[] = {
    { TINY_NET,
      "fake_quantize | conv 4 3 fake=4 | relu | fake_quantize | maxpool 2 | flatten | "
      "dense 16 fake=4 | relu | fake_quantize | dense 5 fake=4 | fake_quantize",
      "quantize | conv 4 3 bits=4 | maxpool 2 | flatten | dense 16 bits=4 | dense 5 bits=4 | "
      "dequantize" },
    { "conv 4 3 bias=no | bn | maxpool 2 | relu | avgpool 2 | gap | dense 5",
      "fake_quantize | conv 4 3 fake=4 | maxpool 2 | relu | fake_quantize | avgpool 2 | "
      "fake_quantize | gap | fake_quantize | dense 5 fake=4 | fake_quantize",
      "quantize | conv 4 3 bits=4 | maxpool 2 | avgpool 2 | gap | dense 5 bits=4 | "
      "dequantize" },
    { "conv 2 3 pad=1 | relu | residual(conv 4 3 pad=1 ; channelpad 1 1) | relu | dwconv 3 | "
      "flatten | dense 5",
      "fake_quantize | conv 2 3 pad=1 fake=4 | relu | fake_quantize | "
      "residual(conv 4 3 pad=1 fake=4 | fake_quantize ; channelpad 1 1) | relu | fake_quantize "
      "| dwconv 3 fake=4 | fake_quantize | flatten | dense 5 fake=4 | fake_quantize",
      "quantize | conv 2 3 pad=1 bits=4 | residual(conv 4 3 pad=1 bits=4 ; channelpad 1 1) | "
      "dwconv 3 bits=4 | flatten | dense 5 bits=4 | dequantize" },
    { "conv 4 3 | residual(relu | conv 4 1) | concat(conv 2 1 ; conv 3 1 | relu) | flatten | "
      "dense 5",
      "fake_quantize | conv 4 3 fake=4 | fake_quantize | residual(relu | conv 4 1 fake=4 | "
      "fake_quantize) | fake_quantize | concat(conv 2 1 fake=4 | fake_quantize learn=no ; "
      "conv 3 1 fake=4 | relu | fake_quantize learn=no) | flatten | dense 5 fake=4 | "
      "fake_quantize",
      "quantize | conv 4 3 bits=4 | residual(relu | conv 4 1 bits=4) | concat(conv 2 1 bits=4 "
      "; conv 3 1 bits=4 | relu) | flatten | dense 5 bits=4 | dequantize" },
    { "conv 2 3 | residual(conv 2 3 pad=1 | sigmoid ; conv 2 1) | flatten | dense 8 | gelu | "
      "dense 5",
      "fake_quantize | conv 2 3 fake=4 | fake_quantize | residual(conv 2 3 pad=1 fake=4 | "
      "fake_quantize | sigmoid | fake_quantize ; conv 2 1 fake=4 | fake_quantize) | "
      "fake_quantize | flatten | dense 8 fake=4 | fake_quantize | gelu | fake_quantize | "
      "dense 5 fake=4 | fake_quantize",
      "quantize | conv 2 3 bits=4 | residual(conv 2 3 pad=1 bits=4 | dequantize | sigmoid | "
      "quantize ; conv 2 1 bits=4) | flatten | dense 8 bits=4 | dequantize | gelu | quantize | "
      "dense 5 bits=4 | dequantize" },
};

static void integers_give_the_same(void)
{
    for (size_t i = 0; i < COUNT(nets); i++) {
        tuff_model *m = tiny_model(device, data, nets[i].net), *aware = NULL, *q = NULL;
        const tuff_ptq_params p = { .bits = 4, .affine = i % 2, .per_tensor = i % 3 == 2 };
        const tuff_train_params train = { .epochs = 2, .batch = 32 };
        int others = 0;
        if (!EXPECT_OK(tuff_aware_prepare(m, data, &p, &aware))) continue;
        char want[640], *per = want;
        snprintf(want, sizeof want, "%s", nets[i].aware);
        // The text of a net whose weights have one step a layer.
        for (; p.per_tensor && (per = strstr(per, "fake=4")); per += 6) {
            memmove(per + 22, per + 6, strlen(per + 6) + 1);
            memcpy(per + 6, " fake_per=tensor", 16);
        }
        EXPECT_STR(tuff_model_net(aware), want);
        EXPECT_OK(tuff_train(aware, data, &train, NULL));
        if (EXPECT_OK(tuff_aware_convert(aware, &q))) {
            EXPECT_STR(tuff_model_net(q), nets[i].integer);
            const double apart = steps_apart(aware, q, &others);
            if (apart > 2.01 || others > 1)
                FAIL("%s: %.2f steps apart, %d of another class", nets[i].net, apart, others);
        }
        tuff_model_destroy(&q);
        tuff_model_destroy(&aware);
        tuff_model_destroy(&m);
    }
}

// Without training it is the net of quantization after training, with steps of the least
// squared error and corrected biases.
static void begins_where_rounding_ends(void)
{
    for (int i = 0; i < 2; i++) {
        const char *net = i ? "conv 4 3 bias=no | bn | relu | flatten | dense 5" : NULL;
        tuff_model *m = tiny_model(device, data, net), *aware, *a = NULL, *b = NULL, *c = NULL;
        tuff_ptq_params p = { .bits = 2, .affine = true, .per_tensor = i };
        int others = 0;
        if (!EXPECT_OK(tuff_train(m, data, &(tuff_train_params){ .epochs = 1 }, NULL))) return;
        EXPECT_OK(tuff_aware_prepare(m, data, &p, &aware));
        EXPECT_OK(tuff_aware_convert(aware, &a));
        p.mse_weights = true;
        EXPECT_OK(tuff_quantize(m, data, &p, &b));
        p.correct_bias = true;
        EXPECT_OK(tuff_quantize(m, data, &p, &c));
        const double apart = steps_apart(a, c, &others);
        if (apart > 1.01) FAIL("%.2f steps apart", apart);
        EXPECT(steps_apart(a, b, &others) > 3);
        tuff_model_destroy(&c);
        tuff_model_destroy(&b);
        tuff_model_destroy(&a);
        tuff_model_destroy(&aware);
        tuff_model_destroy(&m);
    }
}

// At few bits a net that was trained so is nearer to the labels than one that was rounded.
static void training_helps(void)
{
    tuff_model *m = tiny_model(device, data, TINY_NET), *q = NULL, *aware = NULL;
    const tuff_ptq_params p = { .bits = 2 };
    const tuff_train_params train = { .epochs = 8, .batch = 32, .optimizer = { .lr = 0.001f } };
    tuff_metrics whole, after, trained;
    EXPECT_OK(tuff_train(m, data, &train, NULL));
    EXPECT_OK(tuff_test(m, data, NULL, &whole));
    EXPECT_OK(tuff_quantize(m, data, &p, &q));
    EXPECT_OK(tuff_test(q, data, NULL, &after));
    tuff_model_destroy(&q);
    if (EXPECT_OK(tuff_quantize_aware(m, data, &p, &train, &aware)))
        EXPECT_OK(tuff_test(aware, data, NULL, &trained));
    if (!(trained.loss < 0.8 * after.loss))
        FAIL("loss %.3f, after training %.3f, aware %.3f", whole.loss, after.loss,
             trained.loss);
    tuff_model_destroy(&aware);
    tuff_model_destroy(&m);
}

// Of one step for each row: LSQ's formula, summed by hand, through a graph.
static void gradients_of_steps(void)
{
    enum { ROWS = 2, COLS = 3 };
    const float x[] = { 0.2f, -0.8f, 3, 0.1f, 0.4f, -9 }, s[] = { 0.5f, 0.25f };
    const int32_t zero[] = { 0, -1 };
    const float dy[] = { 1, 2, 3, 4, 5, 6 };
    // Steps of 3 bits: row 0 has -4 to 3, row 1 -3 to 4.
    const double want_s[] = { 1 * (0 - 0.4) + 2 * (-2 + 1.6) + 3 * 3,
                              4 * (0 - 0.4) + 5 * (2 - 1.6) + 6 * -3 };
    const float want_x[] = { 1, 2, 0, 4, 5, 0 };
    const tuff_fake_quantize_params p = { .axis = 1, .bits = 3 };
    tuff_graph *g;
    tuff_program *program = NULL;
    tuff_var dx[2];
    float got_x[ROWS * COLS], got_s[ROWS];
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in[] = { tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, ROWS, COLS)),
                            tuff_graph_input(g, "scale", TUFF_SHAPE(TUFF_F32, ROWS)),
                            tuff_graph_constant(g, TUFF_SHAPE(TUFF_I32, ROWS), zero) };
    const tuff_var weight = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, ROWS, COLS), dy);
    const tuff_var y = tuff_graph_op(g, "fake_quantize", in, 3, &p);
    const tuff_var product = tuff_graph_op(g, "mul", (tuff_var[]){ y, weight }, 2, NULL);
    const tuff_reduce_params both = { .axes = 3 };
    const tuff_var loss = tuff_graph_op(g, "reduce_sum", &product, 1, &both);
    tuff_graph_backward(g, loss, in, 2, dx);
    tuff_graph_output(g, "dx", dx[0]);
    tuff_graph_output(g, "ds", dx[1]);
    if (EXPECT_OK(tuff_program_create(device, g, NULL, &program))) {
        EXPECT_OK(tuff_program_write(program, in[0], x, sizeof x));
        EXPECT_OK(tuff_program_write(program, in[1], s, sizeof s));
        EXPECT_OK(tuff_program_run(program));
        EXPECT_OK(tuff_program_read(program, dx[0], got_x, sizeof got_x));
        EXPECT_OK(tuff_program_read(program, dx[1], got_s, sizeof got_s));
        for (int i = 0; i < ROWS * COLS; i++) EXPECT_NEAR(got_x[i], want_x[i], 1e-6);
        for (int i = 0; i < ROWS; i++) EXPECT_NEAR(got_s[i], want_s[i], 1e-5);
    }
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
}

static void layers_have_bits_of_their_own(void)
{
    const char *net = "conv 4 3 bias=no | bn | relu | flatten | dense 5";
    tuff_model *m = tiny_model(device, data, net);
    const int bits[] = { 8, 0, 0, 0, 3 };
    const tuff_ptq_params p = { .bits = 4, .layer_bits = bits };
    tuff_model *aware;
    if (EXPECT_OK(tuff_aware_prepare(m, data, &p, &aware)))
        EXPECT_STR(tuff_model_net(aware), "fake_quantize | conv 4 3 fake=8 | relu | "
                   "fake_quantize | flatten | dense 5 fake=3 | fake_quantize");
    tuff_model_destroy(&aware);
    tuff_model_destroy(&m);
}

static void files_keep_steps(void)
{
    const char *path = temp_path("aware.safetensors");
    tuff_model *m = tiny_model(device, data, TINY_NET), *aware, *back = NULL, *q;
    EXPECT_OK(tuff_aware_prepare(m, data, NULL, &aware));
    EXPECT_EQ(tuff_model_parameters(aware), tuff_model_parameters(m));
    EXPECT_OK(tuff_model_save(aware, path));
    EXPECT_OK(tuff_model_load(device, path, &back));
    EXPECT(tiny_same(aware, back));
    EXPECT_STATUS(tuff_quantize(back, data, NULL, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "fake quantizers");
    EXPECT_STATUS(tuff_prune(back, NULL, &(tuff_prune_params){ .sparsity = 0.5f,
                                 .target = TUFF_PRUNE_CHANNELS }, &q), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "fake");
    tuff_model_destroy(&back);
    tuff_model_destroy(&aware);
    tuff_model_destroy(&m);
}

static void what_is_refused(void)
{
    static const struct {
        const char *net, *says;
    } wrong[] = {
        { "fake_quantize | conv 4 3 | fake_quantize | flatten | dense 5 fake=4 | fake_quantize",
          "no fake=BITS" },
        { "fake_quantize | conv 4 3 fake=4 | flatten | dense 5 fake=4 | fake_quantize",
          "no fake_quantize" },
        { "conv 4 3 fake=4 | fake_quantize | flatten | dense 5 fake=4 | fake_quantize",
          "no fake_quantize" },
        { "fake_quantize 4 | flatten | dense 5 fake=4 | fake_quantize", "rounds to 4" },
        { "fake_quantize | fake_quantize learn=no | flatten | dense 5 fake=4 | fake_quantize",
          NULL }, // both begin with a step of 1
    };
    tuff_model *q, *m = tiny_model(device, data, TINY_NET);
    const tuff_ptq_params biases = { .correct_bias = true };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        tuff_model *aware = tiny_model(device, data, wrong[i].net);
        if (wrong[i].says) {
            EXPECT_STATUS(tuff_aware_convert(aware, &q), TUFF_ERR_ARG);
            EXPECT_HAS(tuff_last_error(), wrong[i].says);
        } else {
            EXPECT_OK(tuff_aware_convert(aware, &q));
            tuff_model_destroy(&q);
            EXPECT_OK(tuff_model_set(aware, "0.log_gain", (float[]){ 1 }, 1));
            EXPECT_STATUS(tuff_aware_convert(aware, &q), TUFF_ERR_ARG);
            EXPECT_HAS(tuff_last_error(), "otherwise");
            EXPECT_OK(tuff_model_set(aware, "0.log_gain", (float[]){ INFINITY }, 1));
            EXPECT_STATUS(tuff_aware_convert(aware, &q), TUFF_ERR_ARG);
            EXPECT_HAS(tuff_last_error(), "step of layer 0");
        }
        tuff_model_destroy(&aware);
    }
    EXPECT_STATUS(tuff_aware_prepare(m, data, &biases, &q), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_aware_prepare(m, data, &(tuff_ptq_params){ .bits = 1 }, &q),
                  TUFF_ERR_ARG);
    EXPECT(q == NULL);
    tuff_model_destroy(&m);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 256, .test = 96 });
    CASE(integers_give_the_same);
    CASE(begins_where_rounding_ends);
    CASE(training_helps);
    CASE(gradients_of_steps);
    CASE(layers_have_bits_of_their_own);
    CASE(files_keep_steps);
    CASE(what_is_refused);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
