// Concats, splits, slices and reshapes of which a program moves nothing: which of them, and
// that the numbers are those of a program in which every value has memory of its own.
#include "graph/program.h"
#include "harness.h"
#include <stdlib.h>
#include <string.h>

static tuff_device *device;

enum { RUN = TUFF_BUFFER_ALIGN / 4, RUNS = 2, MOST = 64 * RUN }; // floats that can be cut at

static tuff_graph *g;
static tuff_var x; // [1, 4, 4, RUN / 4], so that a channel is RUN floats

static tuff_var unary(const char *op, tuff_var v) { return tuff_graph_op(g, op, &v, 1, NULL); }

static tuff_var concat(const tuff_var *v, int n, int axis)
{
    return tuff_graph_op(g, "concat", v, n, &(tuff_concat_params){ .axis = axis });
}

static tuff_var conv(tuff_var v, int channels)
{
    static float w[64 * 64];
    for (int i = 0; i < 64 * 64; i++) w[i] = (float)(i * 7 % 13 - 6) / 16;
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, channels, tuff_graph_desc(g, v)->dim[1], 1, 1);
    return tuff_graph_op(g, "conv2d", (tuff_var[]){ v, tuff_graph_constant(g, d, w) }, 2, NULL);
}

static tuff_var slice(tuff_var v, int from, int to, int dim)
{
    const int rank = tuff_graph_desc(g, v)->rank;
    tuff_slice_params p = { .axes = { rank - dim }, .starts = { from }, .ends = { to } };
    return tuff_graph_op(g, "slice", &v, 1, &p);
}

static void keep(tuff_var v) { tuff_graph_output(g, NULL, v); }

// ---- graphs --------------------------------------------------------------------------------

// As SqueezeNet has it: two convolutions, one behind the other.
static void fire(void)
{
    const tuff_var both[2] = { conv(x, 4), unary("tanh", conv(x, 8)) };
    keep(conv(concat(both, 2, 2), 5));
}

// As DenseNet has it: what was put together is put together with more.
static void dense(void)
{
    tuff_var v = conv(x, 2);
    for (int i = 0; i < 4; i++) v = concat((tuff_var[]){ v, conv(v, 1 + i) }, 2, 2);
    keep(unary("exp", v));
}

// One input three times is one input and copies of it.
static void twice(void)
{
    const tuff_var v = conv(x, 4);
    keep(concat((tuff_var[]){ v, v, v }, 3, 2));
}

// Inputs and bound tensors have a place of their own.
static void outside(void) { keep(concat((tuff_var[]){ x, conv(x, 4) }, 2, 2)); }

// Not along rows, which are cut into each other.
static void inner(void)
{
    keep(concat((tuff_var[]){ conv(x, 4), unary("tanh", conv(x, 4)) }, 2, 0));
}

// What is shared is an output, read later, and what it went into is not.
static void kept(void)
{
    const tuff_var a = conv(x, 4), b = conv(x, 4), u = concat((tuff_var[]){ a, b }, 2, 2);
    keep(a);
    keep(unary("relu", unary("exp", u)));
    keep(tuff_graph_op(g, "add", (tuff_var[]){ a, b }, 2, NULL));
}

// Parts are read where they are, and put together again.
static void parts(void)
{
    tuff_var part[2];
    const tuff_var v = conv(x, 6);
    tuff_graph_op_n(g, "split", &v, 1, &(tuff_split_params){ .axis = 2 }, part, 2);
    const tuff_var p = unary("exp", part[0]), q = unary("tanh", part[1]);
    keep(concat((tuff_var[]){ q, p }, 2, 2));
}

// An input's parts, and those of what has another shape.
static void slices(void)
{
    const tuff_var flat = tuff_graph_op(g, "flatten", (tuff_var[]){ conv(x, 4) }, 1, NULL);
    keep(unary("exp", slice(x, 1, 3, 1)));
    keep(unary("exp", slice(flat, RUN, 3 * RUN, 1)));
}

// A slice that would hold on to much more, and ones that begin where nothing can be cut.
static void not_worth(void)
{
    const tuff_var v = conv(x, 16), part = slice(v, 3, 4, 1), odd = slice(v, 1, 3, 2);
    const tuff_var next = conv(unary("exp", v), 1);
    keep(tuff_graph_op(g, "add", (tuff_var[]){ part, next }, 2, NULL));
    keep(unary("exp", odd));
}

// 16-bit numbers are moved by way of f32, but not where they need not be moved.
static void half(void)
{
    const tuff_cast_params to = { .to = TUFF_F16 };
    const tuff_var v = conv(x, 8), a = tuff_graph_op(g, "cast", &v, 1, &to);
    const tuff_var e = unary("exp", v), b = tuff_graph_op(g, "cast", &e, 1, &to);
    const tuff_var u = concat((tuff_var[]){ a, b, a }, 3, 2), w = concat(&u, 1, 2);
    keep(tuff_graph_op(g, "cast", &w, 1, &(tuff_cast_params){ .to = TUFF_F32 }));
}

// ---- programs ------------------------------------------------------------------------------

static void input_of(int run, float *data)
{
    for (int i = 0; i < 4 * RUN; i++) data[i] = (float)((i * 31 + run * 17) % 101 - 50) / 64;
}

// The numbers of all outputs, all runs; how many dispatches, and how many in place.
static size_t run(const tuff_program_params *params, unsigned char *to, size_t room,
                  tuff_program_stats *stats, int *placed)
{
    tuff_program *p = NULL;
    float data[4 * RUN];
    size_t n = 0;
    if (!EXPECT_OK(tuff_program_create(device, g, params, &p))) return 0;
    *placed = 0;
    for (int s = 0; s < p->graph->nsteps; s++) *placed += p->steps[s].placed;
    for (int r = 0; r < RUNS; r++) {
        input_of(r, data);
        EXPECT_OK(tuff_program_write(p, x, data, sizeof data));
        EXPECT_OK(tuff_program_run(p));
        for (int v = 1; v < p->graph->nvalues; v++) {
            if (!p->graph->values[v].output) continue;
            const size_t bytes = tuff_desc_bytes(&p->graph->values[v].desc);
            if (!EXPECT(n + bytes <= room)) break;
            EXPECT_OK(tuff_program_read(p, (tuff_var){ v }, to + n, bytes));
            n += bytes;
        }
    }
    tuff_program_get_stats(p, stats);
    tuff_program_destroy(&p);
    return n;
}

// `fewer`: dispatches of a GPU that are left out.
static void look(const char *name, void (*build)(void), int placed, int fewer)
{
    static unsigned char got[4 * MOST], want[4 * MOST];
    tuff_program_stats shared, apart;
    int here, none;
    EXPECT_OK(tuff_graph_create(&g));
    x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 1, 4, 4, RUN / 4));
    build();
    const size_t n = run(&(tuff_program_params){ 0 }, got, sizeof got, &shared, &here);
    const size_t m = run(&(tuff_program_params){ .no_reuse = true }, want, sizeof want, &apart,
                         &none);
    if (n != m || memcmp(got, want, n) != 0) FAIL("%s: other numbers", name);
    if (here != placed || none != 0)
        FAIL("%s: %d steps in place and %d, expected %d and 0", name, here, none, placed);
    const bool gpu = tuff_device_get_info(device)->type != TUFF_DEVICE_CPU;
    if (gpu && apart.launches - shared.launches != fewer)
        FAIL("%s: %d kernels of %d, expected %d fewer", name, shared.launches, apart.launches,
             fewer);
    if (shared.planned > apart.planned) FAIL("%s: takes more memory", name);
    tuff_graph_destroy(&g);
}

static void moves_nothing(void)
{
    look("fire", fire, 1, 2);
    look("dense", dense, 4, 8);
    look("twice", twice, 0, 1);
    look("outside", outside, 0, 1);
    look("inner", inner, 0, 0);
    look("kept", kept, 1, 2);
    look("parts", parts, 2, 4);
    look("slices", slices, 3, 3);
    look("not_worth", not_worth, 0, 0);
    look("half", half, 1, 3);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(moves_nothing);
    tuff_device_close(&device);
    return report();
}
