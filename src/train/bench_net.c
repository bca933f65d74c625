// tuff_bench_net: whole nets, trained a step at a time or asked for their outputs.
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include "base/time.h"
#include "ops/timing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/bench.h>
#include <tuff/train.h>

enum { NET_TEXT = 256, MOST_STEPS = 16 };
static const double LEAST = 50e-3; // seconds of a run: few enough steps, many enough

// A case, read.
typedef struct net_case {
    bool train;
    char net[NET_TEXT];
    int64_t batch;
    tuff_desc sample;
    tuff_optimizer_kind optimizer;
} net_case;

typedef struct net_work {
    net_case c;
    tuff_model *model;
    float *x, *y;    // samples; infer: outputs
    int32_t *labels; // train
    size_t x_bytes, y_bytes;
    tuff_trainer *trainer[TUFF_TWINS];
    tuff_program *program[TUFF_TWINS]; // the trainer's, or our own
    tuff_var input, output;
    int steps; // in a run
} net_work;

// ---- the string --------------------------------------------------------------------------

// The next word of *text, which moves behind it.
static size_t next_word(const char **text, const char **word)
{
    *word = *text += strspn(*text, " ");
    const size_t n = strcspn(*text, " ");
    *text += n;
    return n;
}

static bool is_word(const char *word, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(word, want, n) == 0;
}

bool tuff_bench_is_net(const char *text)
{
    const char *word;
    if (!text) return false;
    const size_t n = next_word(&text, &word);
    return is_word(word, n, "train") || is_word(word, n, "infer");
}

// "64x1x28x28": the batch, and a sample.
static tuff_status parse_shape(const char *word, size_t n, net_case *c)
{
    int64_t dim[TUFF_MAX_DIMS];
    int rank = 0;
    size_t i = 0; // of the next number; one past the end behind the last
    for (; i <= n && rank < TUFF_MAX_DIMS; rank++) {
        size_t k = 0;
        while (i + k < n && word[i + k] != 'x') k++;
        if (!tuff_parse_i64(word + i, k, &dim[rank]) || dim[rank] < 1) break;
        i += k + 1;
    }
    TUFF_REQUIRE(i == n + 1 && rank >= 2, ARG, "'%s' is no shape of a batch, expected one such "
                 "as 64x1x28x28", tuff_show(word, n));
    c->sample.rank = rank - 1;
    c->batch = dim[0];
    c->sample.dtype = TUFF_F32;
    memcpy(c->sample.dim, dim + 1, (size_t)c->sample.rank * sizeof *dim);
    return TUFF_OK;
}

static tuff_status parse_option(const char *word, size_t n, net_case *c)
{
    static const char key[] = "optimizer=";
    char name[32];
    TUFF_REQUIRE(c->train && n > strlen(key) && !strncmp(word, key, strlen(key)), ARG,
                 "'%s' is too much, expected %s", tuff_show(word, n),
                 c->train ? "optimizer=NAME" : "a net and a shape");
    snprintf(name, sizeof name, "%.*s", (int)fmin((double)n, 63) - (int)strlen(key),
             word + strlen(key));
    return tuff_optimizer_parse(name, &c->optimizer);
}

static tuff_status parse(const char *text, net_case *c)
{
    const char *word;
    TUFF_REQUIRE(text && tuff_bench_is_net(text), ARG, "'%s' is no case of a net, expected "
                 "train NET SHAPE or infer NET SHAPE",
                 text ? tuff_show(text, strlen(text)) : "");
    *c = (net_case){ .optimizer = TUFF_ADAM };
    c->train = is_word(word, next_word(&text, &word), "train");
    size_t n = next_word(&text, &word);
    TUFF_REQUIRE(n > 0 && n < NET_TEXT, ARG, "'%s' is no net's name", tuff_show(word, n));
    snprintf(c->net, sizeof c->net, "%.*s", (int)n, word);
    TUFF_TRY(tuff_net_text(c->net, NULL, 0));
    n = next_word(&text, &word);
    TUFF_TRY(parse_shape(word, n, c));
    while ((n = next_word(&text, &word)) > 0) TUFF_TRY(parse_option(word, n, c));
    return TUFF_OK;
}

tuff_status tuff_bench_net_check(const char *text)
{
    net_case c;
    return parse(text, &c);
}

// As it was, with one space between words and what was left to a default.
static void print(const net_case *c, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "%s %s %lld", c->train ? "train" : "infer", c->net,
                                (long long)c->batch);
    for (int i = 0; i < c->sample.rank; i++)
        n += (size_t)snprintf(text + n, size - n, "x%lld", (long long)c->sample.dim[i]);
    if (c->train)
        snprintf(text + n, size - n, " optimizer=%s", tuff_optimizer_name(c->optimizer));
}

// ---- what is timed -----------------------------------------------------------------------

static tuff_status draw(net_work *w)
{
    const tuff_desc *out = tuff_model_output(w->model);
    const size_t count = (size_t)(w->c.batch * tuff_desc_count(&w->c.sample));
    const uint32_t classes = (uint32_t)out->dim[0];
    tuff_rng rng = { .seed = 7 };
    w->x_bytes = count * sizeof *w->x;
    w->y_bytes = (size_t)(w->c.batch * tuff_desc_count(out)) * sizeof *w->y;
    w->x = tuff_alloc(count, sizeof *w->x);
    w->y = tuff_alloc(w->y_bytes, 1);
    w->labels = tuff_alloc((size_t)w->c.batch, sizeof *w->labels);
    if (!w->x || !w->y || !w->labels) return TUFF_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) w->x[i] = tuff_rng_normal(&rng);
    for (int64_t i = 0; i < w->c.batch; i++)
        w->labels[i] = (int32_t)tuff_rng_below(&rng, classes);
    return TUFF_OK;
}

static tuff_status make_trainer(net_work *w, int twin)
{
    const tuff_desc *out = tuff_model_output(w->model);
    const tuff_train_params p = { .optimizer = { .kind = w->c.optimizer },
                                  .batch = (int)w->c.batch };
    TUFF_REQUIRE(out->rank == 1, SHAPE, "%s gives no classes to train for", w->c.net);
    TUFF_TRY(tuff_trainer_create(w->model, &p, out->dim[0], 0, &w->trainer[twin]));
    return tuff_trainer_program(w->trainer[twin], w->c.batch, &w->program[twin]);
}

static tuff_status make_program(net_work *w, int twin)
{
    tuff_desc batch = { .dtype = TUFF_F32, .rank = w->c.sample.rank + 1,
                        .dim = { w->c.batch } };
    tuff_graph *g = NULL;
    tuff_status status = TUFF_OK;
    memcpy(batch.dim + 1, w->c.sample.dim, (size_t)w->c.sample.rank * sizeof *batch.dim);
    TUFF_GO(tuff_graph_create(&g));
    w->input = tuff_graph_input(g, "x", batch);
    w->output = tuff_model_forward(g, w->model, w->input, NULL);
    tuff_graph_output(g, "y", w->output);
    TUFF_GO(tuff_program_create(tuff_model_device(w->model), g, NULL, &w->program[twin]));
exit:
    tuff_graph_destroy(&g);
    return status;
}

static tuff_status run_steps(net_work *w, int twin, int steps)
{
    for (int i = 0; i < steps; i++) {
        if (w->c.train) {
            TUFF_TRY(tuff_trainer_step(w->trainer[twin], w->x, w->labels, w->c.batch));
            continue;
        }
        TUFF_TRY(tuff_program_write(w->program[twin], w->input, w->x, w->x_bytes));
        TUFF_TRY(tuff_program_run(w->program[twin]));
        TUFF_TRY(tuff_program_read(w->program[twin], w->output, w->y, w->y_bytes));
    }
    return tuff_program_wait(w->program[twin]);
}

static tuff_status run_once(void *arg, tuff_run_seconds *s)
{
    net_work *w = arg;
    const double start = tuff_time_now();
    TUFF_TRY(run_steps(w, 0, w->steps));
    s->wall = (tuff_time_now() - start) / w->steps;
    const int stamped = w->program[TUFF_STAMPED] ? TUFF_STAMPED : 0;
    if (stamped) TUFF_TRY(run_steps(w, stamped, 1));
    if (!tuff_program_seconds(w->program[stamped], &s->device)) s->device = 0;
    return TUFF_OK;
}

// A batch at a time is asked for its outputs; steps of training overlap.
static tuff_status choose_steps(net_work *w)
{
    w->steps = 1;
    TUFF_TRY(run_steps(w, 0, 1)); // kernels are compiled in it
    if (!w->c.train) return TUFF_OK;
    const double start = tuff_time_now();
    TUFF_TRY(run_steps(w, 0, 1));
    const double steps = ceil(LEAST / fmax(tuff_time_now() - start, 1e-6));
    w->steps = steps < MOST_STEPS ? (int)steps : MOST_STEPS;
    return TUFF_OK;
}

// What was timed must have been arithmetic on numbers.
static tuff_status check_numbers(net_work *w)
{
    tuff_metrics m = { 0 };
    if (w->c.train) {
        TUFF_TRY(tuff_trainer_read(w->trainer[0], &m));
        TUFF_REQUIRE(isfinite(m.loss), CHECK, "%s: the loss is no number", w->c.net);
        return TUFF_OK;
    }
    for (size_t i = 0; i < w->y_bytes / sizeof *w->y; i++)
        TUFF_REQUIRE(isfinite(w->y[i]), CHECK, "%s: output %zu is no number", w->c.net, i);
    return TUFF_OK;
}

static void work_free(net_work *w)
{
    for (int i = 0; i < TUFF_TWINS; i++) {
        if (!w->trainer[i]) tuff_program_destroy(&w->program[i]);
        tuff_trainer_destroy(&w->trainer[i]);
    }
    tuff_model_destroy(&w->model);
    tuff_free(w->x);
    tuff_free(w->y);
    tuff_free(w->labels);
    tuff_free(w);
}

static void take_cost(const net_work *w, const tuff_bench_roof *roof, tuff_bench_result *r)
{
    tuff_program_stats stats;
    tuff_program_get_stats(w->program[0], &stats);
    r->variant = "program";
    r->launches = stats.launches;
    r->examples = w->c.batch;
    r->flops = stats.flops;
    r->peak = roof->f32;
    if (r->peak > 0) r->of_roof = stats.flops / r->peak / r->wall.median;
}

static tuff_status make(net_work *w, tuff_device *device)
{
    const tuff_model_params mp = { .net = w->c.net, .input = w->c.sample, .seed = 1 };
    TUFF_TRY(tuff_model_create(device, &mp, &w->model));
    TUFF_TRY(draw(w));
    return w->c.train ? make_trainer(w, 0) : make_program(w, 0);
}

// The twin that the device's clock is read with trains the same weights.
static tuff_status make_timed(net_work *w, tuff_device *device)
{
    const bool twin = tuff_timing_needs_twin(device);
    tuff_device_set_timed(device, !twin);
    tuff_status status = make(w, device);
    if (twin && status == TUFF_OK) {
        tuff_device_set_timed(device, true);
        status = w->c.train ? make_trainer(w, TUFF_STAMPED) : make_program(w, TUFF_STAMPED);
    }
    tuff_device_set_timed(device, false);
    return status;
}

tuff_status tuff_bench_first_step(tuff_device *device, const char *text, double *build,
                                  double *step)
{
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(device && build && step, ARG, "the device, or where a time goes, is NULL");
    net_work *w = tuff_alloc(1, sizeof *w);
    if (!w) return TUFF_ERR_MEMORY;
    TUFF_GO(parse(text, &w->c));
    if (!w->c.train) {
        status = tuff_fail(TUFF_ERR_ARG, "'%s' trains nothing", text);
        goto exit;
    }
    const double start = tuff_time_now();
    TUFF_GO(make(w, device));
    const double made = tuff_time_now();
    TUFF_GO(run_steps(w, 0, 1));
    TUFF_GO(check_numbers(w));
    *build = made - start;
    *step = tuff_time_now() - made;
exit:
    work_free(w);
    return status;
}

tuff_status tuff_bench_net(tuff_device *device, const char *text, const tuff_bench_roof *roof,
                           const tuff_bench_params *p, tuff_bench_result *r)
{
    static const tuff_bench_params defaults = { 0 };
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(device && roof && r, ARG, "the device, the roof or the result is NULL");
    net_work *w = tuff_alloc(1, sizeof *w);
    if (!w) return TUFF_ERR_MEMORY;
    *r = (tuff_bench_result){ 0 };
    TUFF_GO(parse(text, &w->c));
    print(&w->c, r->text, sizeof r->text);
    TUFF_GO(make_timed(w, device));
    TUFF_GO(choose_steps(w));
    TUFF_GO(tuff_timing_repeat(run_once, w, p ? p : &defaults, r));
    TUFF_GO(check_numbers(w));
    take_cost(w, roof, r);
exit:
    work_free(w);
    return status;
}
