// Random graphs, compiled in every way, against one op after the other with no plan at all:
// what is fused, written in place, reused and reordered must not show. Bound tensors are read
// and stored to, whole, in halves and through views that overlap; runs follow on each other.
#include "harness.h"
#include "base/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 8,
    SMALL = SIDE * SIDE, // floats of most values; a bound tensor has twice as many
    BOUNDS = 4, RUNS = 3, VALUES = 96, STEPS = 64, WAYS = 4
};

typedef struct value {
    tuff_var var;
    tuff_desc desc;
    float *data;   // what it holds in the plain run; a bound or an alias shows another's
    bool ready;    // may be used by a step
    bool kept;     // is an output
    float own[2 * SMALL];
} value;

typedef struct step {
    const char *op; // NULL: a store
    int in[3], nin, out, nout; // outputs are values that follow each other
    union {
        tuff_affine_params affine;
        tuff_slice_params slice;
        tuff_matmul_params matmul;
        tuff_softmax_params softmax;
        tuff_split_params split;
    } params;
    float *into; // store
} step;

typedef struct world {
    tuff_rng rng;
    tuff_device *device, *cpu;
    tuff_stream *stream, *plain;
    tuff_graph *graph;
    tuff_tensor *whole[2], *bound[BOUNDS]; // bound: whole 0, its halves, whole 1
    float memory[2][2 * SMALL], start[2][2 * SMALL];
    value v[VALUES];
    int count, input, bias;
    step s[STEPS];
    int steps;
} world;

static world w;

static int below(int n) { return (int)tuff_rng_below(&w.rng, (uint32_t)n); }

static void random_floats(float *x, int n)
{
    for (int i = 0; i < n; i++) x[i] = (float)below(2001) / 1000 - 1;
}

// ---- building ------------------------------------------------------------------------------

static int add_value(tuff_var var, tuff_desc desc, float *data)
{
    value *v = &w.v[w.count];
    *v = (value){ .var = var, .desc = desc, .ready = true };
    v->data = data ? data : v->own;
    return w.count++;
}

// Some value of this shape that is there already; the later ones more often.
static int pick(const tuff_desc *d)
{
    int found = -1;
    for (int i = 0, seen = 0; i < w.count; i++)
        if (tuff_desc_equal(&w.v[i].desc, d) && below(++seen + 1) != 0) found = i;
    return found;
}

static void emit(const char *op, int nin, const int in[], const step *more)
{
    step *s = &w.s[w.steps];
    tuff_var var[3], y[2];
    *s = more ? *more : (step){ 0 };
    s->op = op;
    s->nin = nin;
    if (!s->nout) s->nout = 1;
    for (int i = 0; i < nin; i++) {
        s->in[i] = in[i];
        var[i] = w.v[in[i]].var;
    }
    if (s->nout == 1) y[0] = tuff_graph_op(w.graph, op, var, nin, &s->params);
    else tuff_graph_op_n(w.graph, op, var, nin, &s->params, y, s->nout);
    if (!EXPECT_OK(tuff_graph_status(w.graph))) return;
    s->out = w.count;
    for (int o = 0; o < s->nout; o++)
        (void)add_value(y[o], *tuff_graph_desc(w.graph, y[o]), NULL);
    w.steps++;
}

static void emit_store(void)
{
    const int b = below(BOUNDS), from = pick(tuff_tensor_desc(w.bound[b]));
    if (from < 0) return;
    tuff_graph_store(w.graph, w.v[from].var, w.bound[b]);
    w.s[w.steps++] = (step){ .in = { from }, .nin = 1, .into = w.v[b].data };
}

static void emit_reshape(int from)
{
    const value *v = &w.v[from];
    tuff_desc d = v->desc;
    const bool flat = d.dim[d.rank - 1] == SIDE;
    d.dim[0] = flat ? d.dim[0] / 2 : d.dim[0] * 2;
    d.dim[1] = flat ? d.dim[1] * 2 : d.dim[1] / 2;
    (void)add_value(tuff_graph_reshape(w.graph, v->var, d), d, v->data);
}

static void emit_any(void)
{
    static const char *const unary[] = { "relu", "tanh", "sigmoid", "softmax", "affine",
                                         "identity" };
    static const char *const binary[] = { "add", "add", "sub", "mul", "relu_grad" };
    const tuff_desc small = TUFF_SHAPE(TUFF_F32, SIDE, SIDE);
    const tuff_desc large = TUFF_SHAPE(TUFF_F32, 2 * SIDE, SIDE);
    const step halve = { .params.affine = { .scale = 0.5f, .shift = 0.125f } };
    const step half = { .params.slice = { .starts = { below(2) * SIDE }, .ends = { 0 } } };
    const int a = pick(&small), b = pick(&small), l = pick(&large), any = below(w.count);
    const step parts = { .nout = 2, .params.split = { .axis = 1 } };
    const int kind = below(14);
    if (kind < 2 && a >= 0 && b >= 0) {
        // An epilogue, perhaps with something between that changes what it adds.
        emit("matmul", 2, (int[]){ a, b }, NULL);
        int y = w.count - 1;
        if (below(3) == 0) emit_store();
        if (below(2)) {
            emit("add", 2, (int[]){ y, below(3) ? 1 + below(2) : w.bias }, NULL);
            y = w.count - 1;
        }
        if (below(2)) emit(unary[below(3)], 1, &y, NULL);
    } else if (kind < 5) {
        const char *op = unary[below(6)];
        emit(op, 1, &any, strcmp(op, "affine") == 0 ? &halve : NULL);
    } else if (kind < 8) {
        const int other = pick(&w.v[any].desc);
        if (other >= 0) emit(binary[below(5)], 2, (int[]){ any, other }, NULL);
    } else if (kind == 8 && a >= 0) {
        emit("transpose", 1, &a, NULL);
    } else if ((kind == 9 || kind == 12) && a >= 0 && b >= 0) {
        emit("concat", 2, (int[]){ a, b }, &(step){ .params.softmax = { .axis = 1 } });
    } else if (kind == 10 && l >= 0) {
        step s = half;
        if (!s.params.slice.starts[0]) s.params.slice.ends[0] = SIDE;
        emit("slice", 1, &l, &s);
    } else if (kind == 11 && l >= 0) {
        emit("split", 1, &l, &parts);
    } else if (w.v[any].desc.rank == 2) {
        emit_reshape(any);
    }
}

static void build(uint32_t seed)
{
    const tuff_desc small = TUFF_SHAPE(TUFF_F32, SIDE, SIDE);
    const tuff_desc large = TUFF_SHAPE(TUFF_F32, 2 * SIDE, SIDE);
    w.rng = (tuff_rng){ .seed = seed };
    w.count = w.steps = 0;
    EXPECT_OK(tuff_graph_create(&w.graph));
    for (int i = 0; i < 2; i++) {
        random_floats(w.start[i], 2 * SMALL);
        EXPECT_OK(tuff_tensor_create(w.device, large, &w.whole[i]));
    }
    w.bound[0] = w.whole[0];
    w.bound[3] = w.whole[1];
    for (int i = 0; i < 2; i++)
        EXPECT_OK(tuff_tensor_view(w.whole[0], i * SMALL, small, &w.bound[1 + i]));
    float *const at[BOUNDS] = { w.memory[0], w.memory[0], w.memory[0] + SMALL, w.memory[1] };
    for (int i = 0; i < BOUNDS; i++)
        (void)add_value(tuff_graph_bind(w.graph, NULL, w.bound[i]),
                        *tuff_tensor_desc(w.bound[i]), at[i]);
    w.input = add_value(tuff_graph_input(w.graph, "x", small), small, NULL);
    const tuff_desc row = TUFF_SHAPE(TUFF_F32, SIDE);
    float numbers[SIDE];
    random_floats(numbers, SIDE);
    w.bias = add_value(tuff_graph_constant(w.graph, row, numbers), row, NULL);
    memcpy(w.v[w.bias].own, numbers, sizeof numbers);
    for (int i = below(30) + 4; i > 0 && w.steps < STEPS - 3 && w.count < VALUES - 4; i--) {
        if (below(4) == 0) emit_store();
        else emit_any();
    }
    for (int i = BOUNDS; i < w.count; i++) w.v[i].kept = below(3) == 0;
    w.v[w.count - 1].kept = true;
}

// ---- the plain run -------------------------------------------------------------------------

static void run_step(step *s)
{
    tuff_tensor *in[3] = { NULL }, *out[2] = { NULL };
    value *y = &w.v[s->out];
    if (!s->op) {
        memmove(s->into, w.v[s->in[0]].data, tuff_desc_bytes(&w.v[s->in[0]].desc));
        return;
    }
    for (int i = 0; i < s->nin; i++) {
        const value *x = &w.v[s->in[i]];
        EXPECT_OK(tuff_tensor_create(w.cpu, x->desc, &in[i]));
        EXPECT_OK(tuff_tensor_write(w.plain, in[i], x->data, tuff_desc_bytes(&x->desc)));
    }
    for (int o = 0; o < s->nout; o++)
        EXPECT_OK(tuff_tensor_create(w.cpu, y[o].desc, &out[o]));
    EXPECT_OK(tuff_op_run(w.plain, s->op, (const tuff_tensor *const *)in, s->nin, out, s->nout,
                          &s->params));
    for (int o = 0; o < s->nout; o++) {
        EXPECT_OK(tuff_tensor_read(w.plain, out[o], y[o].data, tuff_desc_bytes(&y[o].desc)));
        tuff_tensor_destroy(&out[o]);
    }
    for (int i = 0; i < s->nin; i++) tuff_tensor_destroy(&in[i]);
}

static void input_of(int run, float *x)
{
    for (int i = 0; i < SMALL; i++) x[i] = sinf((float)(i * 7 + run * 13));
}

static void run_plainly(void)
{
    memcpy(w.memory, w.start, sizeof w.memory);
    for (int run = 0; run < RUNS; run++) {
        input_of(run, w.v[w.input].own);
        for (int s = 0; s < w.steps; s++) run_step(&w.s[s]);
    }
}

// ---- the program ---------------------------------------------------------------------------

static bool alike(const float *got, const float *want, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *got; i++) {
        const double size = fmax(1, fabs((double)want[i]));
        if (!(fabs((double)got[i] - (double)want[i]) <= 2e-4 * size)) return false;
    }
    return true;
}

static bool small_enough(void)
{
    for (int i = 0; i < w.count; i++)
        for (size_t k = 0; k < tuff_desc_bytes(&w.v[i].desc) / sizeof(float); k++)
            if (!(fabsf(w.v[i].data[k]) < 50)) return false;
    return true;
}

// What differs from the plain run, or NULL.
static const char *differs(const tuff_program_params *way)
{
    static float got[2 * SMALL];
    static char what[64];
    tuff_program *p = NULL;
    const char *problem = NULL;
    for (int i = 0; i < 2; i++)
        EXPECT_OK(tuff_tensor_write(w.stream, w.whole[i], w.start[i], sizeof w.start[i]));
    EXPECT_OK(tuff_stream_wait(w.stream));
    if (!EXPECT_OK(tuff_program_create(w.device, w.graph, way, &p))) return "no program";
    for (int run = 0; run < RUNS; run++) {
        input_of(run, got);
        EXPECT_OK(tuff_program_write(p, w.v[w.input].var, got, SMALL * sizeof *got));
        EXPECT_OK(tuff_program_run(p));
    }
    for (int i = BOUNDS; i < w.count; i++) {
        const size_t bytes = tuff_desc_bytes(&w.v[i].desc);
        // A reshape of a bound tensor shows what is there now; that is compared below.
        const float *at = w.v[i].data;
        const bool mine = at < &w.memory[0][0] || at >= &w.memory[0][0] + 4 * SMALL;
        if (!w.v[i].kept || !mine || problem) continue;
        EXPECT_OK(tuff_program_read(p, w.v[i].var, got, bytes));
        snprintf(what, sizeof what, "value %d", w.v[i].var.id);
        if (!alike(got, at, bytes)) problem = what;
    }
    for (int i = 0; i < 2 && !problem; i++) {
        EXPECT_OK(tuff_tensor_read(w.stream, w.whole[i], got, sizeof got));
        snprintf(what, sizeof what, "bound tensor %d", i);
        if (!alike(got, w.memory[i], sizeof got)) problem = what;
    }
    tuff_program_destroy(&p);
    return problem;
}

static void print_line(void *user, const char *line) { fprintf(user, "    %s\n", line); }

static void print_graph(const tuff_program_params *way)
{
    tuff_program *p = NULL;
    for (int s = 0; s < w.steps; s++)
        fprintf(stderr, "    %s %d %d -> %d\n", w.s[s].op ? w.s[s].op : "store",
                w.v[w.s[s].in[0]].var.id, w.s[s].nin > 1 ? w.v[w.s[s].in[1]].var.id : 0,
                w.s[s].op ? w.v[w.s[s].out].var.id : (int)(w.s[s].into - &w.memory[0][0]));
    if (tuff_program_create(w.device, w.graph, way, &p) != TUFF_OK) return;
    tuff_program_describe(p, print_line, stderr);
    tuff_program_destroy(&p);
}

static bool one_graph(uint32_t seed)
{
    static const tuff_program_params ways[WAYS] = {
        { 0 }, { .no_fuse = true }, { .no_reuse = true, .slots = 3 },
        { .no_fuse = true, .no_reuse = true, .slots = 1 }
    };
    build(seed);
    for (int i = 0; i < w.count; i++)
        if (w.v[i].kept) tuff_graph_output(w.graph, NULL, w.v[i].var);
    run_plainly();
    const bool judged = small_enough();
    for (int i = 0; i < WAYS && judged; i++) {
        const char *problem = differs(&ways[i]);
        if (!problem) continue;
        FAIL("graph %u compiled in way %d: %s differs", seed, i, problem);
        print_graph(&ways[i]);
        break;
    }
    tuff_graph_destroy(&w.graph);
    for (int i = 1; i <= 2; i++) tuff_tensor_destroy(&w.bound[i]);
    for (int i = 0; i < 2; i++) tuff_tensor_destroy(&w.whole[i]);
    return judged;
}

// TUFF_GRAPHS=FIRST:COUNT looks at others.
static void random_graphs(void)
{
    unsigned first = 0, count = tuff_device_get_info(w.device)->type == TUFF_DEVICE_CPU ? 600
                                                                                        : 100;
    const char *text = getenv("TUFF_GRAPHS");
    if (text) (void)sscanf(text, "%u:%u", &first, &count);
    unsigned judged = 0;
    for (unsigned i = 0; i < count && !case_failed(); i++) judged += one_graph(first + i);
    EXPECT(judged * 2 > count); // most stay within numbers that can be compared
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    w.device = open_device();
    EXPECT_OK(tuff_device_open("cpu", &w.cpu));
    EXPECT_OK(tuff_stream_create(w.device, &w.stream));
    EXPECT_OK(tuff_stream_create(w.cpu, &w.plain));
    CASE(random_graphs);
    tuff_stream_destroy(&w.plain);
    tuff_stream_destroy(&w.stream);
    tuff_device_close(&w.cpu);
    tuff_device_close(&w.device);
    return report();
}
