// Images in blocks of channels: which of a program's values go into them, how many copies in
// planes are made, and that the numbers are those of a program that leaves all in planes.
#include "graph/program.h"
#include "harness.h"
#include <math.h>
#include <string.h>

static tuff_device *device;

enum { SIDE = 29, FROM = 16, FLOATS = FROM * SIDE * SIDE, MOST = 64 * SIDE * SIDE };

static tuff_graph *g;
static tuff_var x, y;

static void fill(float *to, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static tuff_var conv(tuff_var v, int channels, int side)
{
    static float w[64 * 64 * 9], b[64];
    const int from = (int)tuff_graph_desc(g, v)->dim[1];
    const tuff_conv_params p = { .pad = { side / 2, side / 2, side / 2, side / 2 },
                                 .act = TUFF_ACT_RELU };
    fill(w, channels * from * side * side, (uint32_t)(channels + side));
    fill(b, channels, 3);
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, channels, from, side, side);
    const tuff_var in[3] = { v, tuff_graph_constant(g, d, w),
                             tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, channels), b) };
    return tuff_graph_op(g, "conv2d", in, 3, &p);
}

static tuff_var concat(tuff_var a, tuff_var b)
{
    return tuff_graph_op(g, "concat", (tuff_var[]){ a, b }, 2,
                         &(tuff_concat_params){ .axis = 2 });
}

// As SqueezeNet has it: s, both that read it and what joins them, and the next s.
static void fires(void)
{
    tuff_var s = conv(x, 16, 1);
    s = conv(concat(conv(s, 32, 1), conv(s, 32, 3)), 16, 1);
    y = conv(s, 48, 1);
}

// One that something else reads, too: its copy costs less than packing it three times.
static void shared(void)
{
    const tuff_var s = conv(x, 32, 1);
    tuff_var sum = tuff_graph_op(g, "add", (tuff_var[]){ conv(s, 32, 1), conv(s, 32, 3) }, 2,
                                 NULL);
    sum = tuff_graph_op(g, "add", (tuff_var[]){ sum, conv(s, 32, 1) }, 2, NULL);
    y = tuff_graph_op(g, "mul", (tuff_var[]){ sum, s }, 2, NULL);
}

// Outputs, what has another shape somewhere, and channels in odd numbers stay as they are.
static void apart(void)
{
    const tuff_var a = conv(x, 30, 1), b = conv(a, 32, 1);
    const tuff_var flat = tuff_graph_reshape(g, b, TUFF_SHAPE(TUFF_F32, 32 * SIDE * SIDE));
    const tuff_var c = conv(b, 16, 1);
    tuff_graph_output(g, "flat", flat);
    tuff_graph_output(g, "c", c);
    y = conv(c, 8, 1);
}

static void run(const tuff_program_params *params, float *to, tuff_program_stats *stats)
{
    static float data[FLOATS];
    tuff_program *p = NULL;
    fill(data, FLOATS, 7);
    if (!EXPECT_OK(tuff_program_create(device, g, params, &p))) return;
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tuff_program_write(p, x, data, sizeof data));
        EXPECT_OK(tuff_program_run(p));
    }
    EXPECT_OK(tuff_program_read(p, y, to, tuff_desc_bytes(tuff_graph_desc(g, y))));
    tuff_program_get_stats(p, stats);
    tuff_program_destroy(&p);
}

static void look(const char *name, void (*build)(void), int blocked, int copies)
{
    static float got[MOST], want[MOST];
    tuff_program_stats here, plain;
    EXPECT_OK(tuff_graph_create(&g));
    x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 1, FROM, SIDE, SIDE));
    build();
    tuff_graph_output(g, "y", y);
    run(&(tuff_program_params){ 0 }, got, &here);
    run(&(tuff_program_params){ .no_blocks = true }, want, &plain);
    const size_t n = (size_t)tuff_desc_count(tuff_graph_desc(g, y));
    double size = 0;
    for (size_t i = 0; i < n; i++) size += (double)want[i] * (double)want[i];
    size = sqrt(size / (double)n);
    for (size_t i = 0; i < n && !case_failed(); i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= 2e-5 * (fabs((double)want[i]) + size)))
            FAIL("%s: element %zu is %g, expected %g", name, i, (double)got[i],
                 (double)want[i]);
    const tuff_caps *k = tuff_device_caps(device);
    const bool packs = k->cpu_like && !k->cpu && k->subgroup_shuffle;
    if (here.blocked != (packs ? blocked : 0) || here.conversions != (packs ? copies : 0))
        FAIL("%s: %d in blocks, %d copies, expected %d, %d", name, here.blocked,
             here.conversions, packs ? blocked : 0, packs ? copies : 0);
    EXPECT(plain.blocked == 0 && plain.conversions == 0);
    EXPECT(here.launches <= plain.launches);
    tuff_graph_destroy(&g);
}

static void fewest_conversions(void)
{
    look("fires", fires, 5, 0);
    look("shared", shared, 1, 1);
    look("apart", apart, 0, 0);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(fewest_conversions);
    tuff_device_close(&device);
    return report();
}
