// Kernels and operators of one's own, on the device that TUFF_DEVICE names: what comes of them
// on streams and in programs, how they are judged, and every way in which making one fails.
// Where the build has no run-time compiler, that it says so.
#include "harness.h"
#include "base/alloc.h"
#include "device/backend.h"
#include <math.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;
static bool gpu;

#define HEAD "#version 450\nlayout(local_size_x_id = 0) in;\n"
#define NO_COMPILER() \
    if (!tuff_kernel_can_compile()) SKIP("this build has no run-time compiler")

// ---- swish: y = x / (1 + exp(-beta x)) ------------------------------------------------------

typedef struct swish_params {
    float beta;
    int power; // y to this power, to have a second field; 0 = 1
} swish_params;

static const char swish_glsl[] =
    HEAD
    "layout(push_constant) uniform Push { uint count; float beta; int power; };\n"
    "layout(binding = 0) readonly buffer X { float x[]; };\n"
    "layout(binding = 1) writeonly buffer Y { float y[]; };\n"
    "void main()\n"
    "{\n"
    "    const uint i = TUFF_INDEX;\n"
    "    if (i >= count) return;\n"
    "    const float v = x[i] / (1.0 + exp(-beta * x[i]));\n"
    "    y[i] = power == 2 ? v * v : v;\n"
    "}\n";

static void swish_reference(void *user, const tuff_kernel_call *c, const void *const in[],
                            void *const out[])
{
    const swish_params *p = c->params;
    const float *x = in[0];
    float *y = out[0];
    if (user) ++*(int *)user;
    for (int64_t i = 0; i < tuff_desc_count(&c->in[0]); i++) {
        const double v = x[i] / (1 + exp(-(double)p->beta * x[i]));
        y[i] = (float)(p->power == 2 ? v * v : v);
    }
}

// dy (s + beta x s (1 - s)), s = sigmoid(beta x), of power 1.
static void swish_gradient(void *user, tuff_graph *g, const tuff_kernel_node *n)
{
    (void)user;
    const swish_params *p = n->call.params;
    const tuff_affine_params times = { .scale = p->beta }, minus = { .scale = -1, .shift = 1 };
    const tuff_var bx = tuff_graph_op(g, "affine", n->in, 1, &times);
    const tuff_var s = tuff_graph_op(g, "sigmoid", &bx, 1, NULL);
    const tuff_var rest = tuff_graph_op(g, "affine", &s, 1, &minus);
    tuff_var slope = tuff_graph_op(g, "mul", (tuff_var[]){ bx, rest }, 2, NULL);
    slope = tuff_graph_op(g, "mul", (tuff_var[]){ slope, s }, 2, NULL);
    slope = tuff_graph_op(g, "add", (tuff_var[]){ slope, s }, 2, NULL);
    n->dx[0] = tuff_graph_op(g, "mul", (tuff_var[]){ slope, n->dy[0] }, 2, NULL);
}

static const char *const swish_cases[] = { "1 beta=1", "7x5 beta=2", "1031 beta=0.5", NULL };

static tuff_kernel_params swish(const char *name)
{
    return (tuff_kernel_params){
        .name = name, .doc = "y = x / (1 + exp(-beta x))", .glsl = swish_glsl,
        .file = "swish.comp", .in = { { .name = "x" } },
        .out = { { .name = "y", .in_place = true } },
        .params_size = sizeof(swish_params),
        .fields = { { "beta", TUFF_PARAM_FLOAT, offsetof(swish_params, beta) },
                    { "power", TUFF_PARAM_INT, offsetof(swish_params, power) } },
        .reference = swish_reference, .gradient = swish_gradient,
        .cases = swish_cases, .tolerance = 1e-5f, // exp of the driver's
        .sample_min = -3, .sample_max = 3,
    };
}

static tuff_kernel *create(const tuff_kernel_params *p)
{
    tuff_kernel *kernel = NULL;
    if (tuff_kernel_create(p, &kernel) != TUFF_OK) FAIL("%s", tuff_last_error());
    return kernel;
}

static tuff_tensor *tensor(tuff_desc d, const void *data)
{
    return new_tensor(dev, stream, d, data);
}

enum { N = 300 };

static void values(float x[N])
{
    for (int i = 0; i < N; i++) x[i] = (float)(i - 140) / 32;
}

static void expect_swish(const tuff_tensor *t, const float x[N], double beta)
{
    float y[N];
    EXPECT_OK(tuff_tensor_read(stream, t, y, sizeof y));
    for (int i = 0; i < N; i++)
        if (!EXPECT_NEAR(y[i], x[i] / (1 + exp(-beta * x[i])), 5e-5)) return;
}

// ---- running --------------------------------------------------------------------------------

static void on_a_stream(void)
{
    NO_COMPILER();
    float x[N];
    values(x);
    int called = 0;
    tuff_kernel_params p = swish("swish");
    p.user = &called;
    tuff_kernel *kernel = create(&p);
    tuff_tensor *a = tensor(TUFF_SHAPE(TUFF_F32, N), x);
    tuff_tensor *b = tensor(TUFF_SHAPE(TUFF_F32, N), NULL);
    const swish_params one = { .beta = 1.5f };
    const tuff_tensor *const in[] = { a };
    EXPECT_OK(tuff_kernel_run(stream, kernel, in, 1, &b, 1, &one));
    expect_swish(b, x, 1.5);
    EXPECT_OK(tuff_kernel_run(stream, kernel, in, 1, &a, 1, &one)); // in place
    expect_swish(a, x, 1.5);
    EXPECT(called == (gpu ? 0 : 2));
    tuff_tensor_destroy(&a);
    tuff_tensor_destroy(&b);
    tuff_kernel_destroy(&kernel);
}

// In a program, with its gradient: y and dx beside the host's.
static void in_a_program(void)
{
    NO_COMPILER();
    const tuff_kernel_params p = swish("swish");
    const swish_params two = { .beta = 2 };
    float x[N], dx[N];
    values(x);
    tuff_kernel *kernel = create(&p);
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, N));
    tuff_var y, grad;
    tuff_graph_kernel(g, kernel, &in, 1, &two, &y, 1);
    const tuff_reduce_params all = { 0 };
    tuff_graph_backward(g, tuff_graph_op(g, "reduce_sum", &y, 1, &all), &in, 1, &grad);
    tuff_graph_output(g, "dx", grad);
    if (!EXPECT_OK(tuff_program_create(dev, g, NULL, &program))) FAIL("%s", tuff_last_error());
    EXPECT_OK(tuff_program_write(program, in, x, sizeof x));
    EXPECT_OK(tuff_program_run(program));
    EXPECT_OK(tuff_program_read(program, grad, dx, sizeof dx));
    for (int i = 0; i < N; i++) {
        const double s = 1 / (1 + exp(-2.0 * x[i]));
        if (!EXPECT_NEAR(dx[i], s + 2.0 * x[i] * s * (1 - s), 5e-5)) break;
    }
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
    tuff_kernel_destroy(&kernel);
}

// ---- launches, texels, several outputs ------------------------------------------------------

// Row sums and row maxima of x [rows, cols], added to b [rows]; a workgroup a row.
static tuff_status rows_shape(void *user, const tuff_kernel_call *c, tuff_desc out[])
{
    (void)user;
    if (c->in[0].rank != 2 || c->in[1].rank != 1 || c->in[1].dim[0] != c->in[0].dim[0])
        return tuff_kernel_fail(TUFF_ERR_SHAPE, "b has %lld elements, x has rank %d",
                                (long long)tuff_desc_count(&c->in[1]), c->in[0].rank);
    out[0] = out[1] = TUFF_SHAPE(0, c->in[0].dim[0]);
    return TUFF_OK;
}

static bool rows_launch(void *user, const tuff_kernel_call *c, const tuff_kernel_device *d,
                        tuff_kernel_launch *l)
{
    (void)user;
    const uint32_t cols = (uint32_t)c->in[0].dim[1];
    memcpy(l->push, &cols, sizeof cols);
    l->push_size = sizeof cols;
    l->grid[0] = (uint32_t)c->in[0].dim[0];
    l->grid[1] = l->grid[2] = 1;
    return d->max_group >= 16 && c->in[0].dim[0] <= 1000;
}

static void rows_reference(void *user, const tuff_kernel_call *c, const void *const in[],
                           void *const out[])
{
    (void)user;
    const int64_t cols = c->in[0].dim[1];
    const float *x = in[0];
    const int32_t *b = in[1];
    float *sum = out[0];
    int32_t *most = out[1];
    for (int64_t r = 0; r < c->in[0].dim[0]; r++, x += cols) {
        double s = b[r];
        int32_t at = 0;
        for (int64_t k = 0; k < cols; k++) {
            s += x[k];
            if (x[k] > x[at]) at = (int32_t)k;
        }
        sum[r] = (float)s;
        most[r] = at;
    }
}

static const char rows_glsl[] =
    "#version 450\n"
    "layout(local_size_x = 16) in;\n"
    "layout(push_constant) uniform Push { uint cols; };\n"
    "layout(binding = 0) uniform samplerBuffer x;\n"
    "layout(binding = 1) uniform usamplerBuffer b;\n"
    "layout(binding = 2) writeonly buffer Sum { float sum[]; };\n"
    "layout(binding = 3) writeonly buffer At { int at[]; };\n"
    "shared float part[16];\n"
    "void main()\n"
    "{\n"
    "    const uint row = gl_WorkGroupID.x, t = gl_LocalInvocationIndex;\n"
    "    float s = 0.0;\n"
    "    for (uint k = t; k < cols; k += 16) s += texelFetch(x, int(row * cols + k)).x;\n"
    "    part[t] = s;\n"
    "    barrier();\n"
    "    if (t != 0) return;\n"
    "    for (uint k = 1; k < 16; k++) s += part[k];\n"
    "    sum[row] = s + float(int(texelFetch(b, int(row)).x));\n"
    "    int best = 0;\n"
    "    const int first = int(row * cols);\n"
    "    for (int k = 1; k < int(cols); k++)\n"
    "        if (texelFetch(x, first + k).x > texelFetch(x, first + best).x) best = k;\n"
    "    at[row] = best;\n"
    "}\n";

static const char *const rows_cases[] = { "3x7 3", "17x33 17", "5x100 5", NULL };

static tuff_kernel_params rows(void)
{
    return (tuff_kernel_params){
        .name = "rows", .glsl = rows_glsl, .shape = rows_shape, .launch = rows_launch,
        .in = { { .name = "x", .view = TUFF_VIEW_TEXEL },
                { .name = "b", .dtypes = TUFF_I32, .view = TUFF_VIEW_TEXEL } },
        .out = { { .name = "sum" }, { .name = "at", .dtypes = TUFF_I32 } },
        .reference = rows_reference,
        .cases = rows_cases,
    };
}

static void workgroups_and_texels(void)
{
    NO_COMPILER();
    const tuff_kernel_params p = rows();
    tuff_kernel *kernel = create(&p);
    if (!kernel) return;
    if (!EXPECT_OK(tuff_kernel_check(dev, kernel, NULL, NULL, NULL)))
        FAIL("%s", tuff_last_error());
    tuff_tensor *x = tensor(TUFF_SHAPE(TUFF_F32, 1001, 2), NULL);
    tuff_tensor *b = tensor(TUFF_SHAPE(TUFF_I32, 1001), NULL);
    tuff_tensor *out[] = { tensor(TUFF_SHAPE(TUFF_F32, 1001), NULL),
                           tensor(TUFF_SHAPE(TUFF_I32, 1001), NULL) };
    const tuff_tensor *in[] = { x, b };
    // What `launch` refuses.
    if (gpu) {
        EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 2, out, 2, NULL),
                      TUFF_ERR_UNSUPPORTED);
        EXPECT_HAS(tuff_last_error(), "rows: its kernel is not for f32 [1001, 2] on this");
    }
    // And what `shape` does: the same sentence on every device.
    in[0] = b;
    EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 2, out, 2, NULL), TUFF_ERR_DTYPE);
    in[0] = out[0];
    EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 2, out, 2, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "rows: b has 1001 elements, x has rank 1");
    in[0] = x;
    EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 1, out, 2, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "rows: input b is missing");
    EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 2, out, 1, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "rows: 1 outputs given, it has 2");
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&b);
    tuff_tensor_destroy(&out[0]);
    tuff_tensor_destroy(&out[1]);
    tuff_kernel_destroy(&kernel);
}

// ---- judging --------------------------------------------------------------------------------

static void note_error(void *user, const tuff_check_result *r)
{
    if (r->grad_error >= 0) ++*(int *)user;
}

static void the_check_judges(void)
{
    NO_COMPILER();
    int graded = 0;
    tuff_kernel_params p = swish("swish");
    tuff_kernel *kernel = create(&p);
    if (!EXPECT_OK(tuff_kernel_check(dev, kernel, NULL, note_error, &graded)))
        FAIL("%s", tuff_last_error());
    EXPECT(graded == 3);
    tuff_kernel_destroy(&kernel);

    // A shader that computes something else, and one that leaves the last element out.
    static const char *const wrong[] = { "exp(-beta * x[i]))", "exp(beta * x[i]))",
                                         "if (i >= count) return;",
                                         "if (i + 1 >= count) return;" };
    for (int k = 0; gpu && k < 4; k += 2) {
        char text[sizeof swish_glsl + 16];
        const char *at = strstr(swish_glsl, wrong[k]);
        const size_t before = (size_t)(at - swish_glsl);
        memcpy(text, swish_glsl, before);
        strcpy(text + before, wrong[k + 1]);
        strcat(text, at + strlen(wrong[k]));
        p.glsl = text;
        kernel = create(&p);
        EXPECT_STATUS(tuff_kernel_check(dev, kernel, NULL, NULL, NULL), TUFF_ERR_CHECK);
        EXPECT_HAS(tuff_last_error(), "swish: 3 of 3 cases failed, the first is \"swish f32 1");
        tuff_kernel_destroy(&kernel);
    }
    p = swish("swish");
    p.cases = NULL;
    kernel = create(&p);
    EXPECT_STATUS(tuff_kernel_check(dev, kernel, NULL, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "swish: it has no cases");
    tuff_kernel_destroy(&kernel);
}

// A gradient that is wrong is found; one that does what no rule may says so.
static void wrong_gradient(void *user, tuff_graph *g, const tuff_kernel_node *n)
{
    if (user) n->dx[0] = tuff_graph_input(g, "x", n->call.in[0]);
    else n->dx[0] = tuff_graph_op(g, "mul", (tuff_var[]){ n->in[0], n->dy[0] }, 2, NULL);
}

static void wrong_gradients(void)
{
    NO_COMPILER();
    for (int k = 0; k < 2; k++) {
        int user = 0;
        tuff_kernel_params p = swish("swish");
        p.gradient = wrong_gradient;
        p.user = k ? &user : NULL;
        tuff_kernel *kernel = create(&p);
        EXPECT_STATUS(tuff_kernel_check(dev, kernel, NULL, NULL, NULL), TUFF_ERR_CHECK);
        tuff_kernel_destroy(&kernel);
    }
}

// ---- without a kernel, without a reference --------------------------------------------------

static void halves_of_a_kernel(void)
{
    tuff_kernel_params p = swish("swish");
    tuff_tensor *x = tensor(TUFF_SHAPE(TUFF_F32, 3), NULL);
    tuff_tensor *y = tensor(TUFF_SHAPE(TUFF_F32, 3), NULL);
    const tuff_tensor *const in[] = { x };
    p.glsl = NULL;
    tuff_kernel *kernel = create(&p);
    EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 1, &y, 1, NULL),
                  gpu ? TUFF_ERR_UNSUPPORTED : TUFF_OK);
    if (gpu)
        EXPECT_STR(tuff_last_error(),
                   "swish: it has no kernel, only a reference in C that the CPU path runs");
    EXPECT_STATUS(tuff_kernel_check(dev, kernel, NULL, NULL, NULL),
                  gpu ? TUFF_ERR_UNSUPPORTED : TUFF_OK);
    tuff_kernel_destroy(&kernel);

    p.reference = NULL;
    EXPECT_STATUS(tuff_kernel_create(&p, &kernel), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "swish: it has neither a shader nor a reference");
    EXPECT(!kernel);
    if (tuff_kernel_can_compile()) {
        p.glsl = swish_glsl;
        kernel = create(&p);
        EXPECT_STATUS(tuff_kernel_run(stream, kernel, in, 1, &y, 1, NULL),
                      gpu ? TUFF_OK : TUFF_ERR_UNSUPPORTED);
        if (!gpu)
            EXPECT_STR(tuff_last_error(), "swish: it has no reference in C, and the CPU path "
                                          "runs nothing else");
        EXPECT_STATUS(tuff_kernel_check(dev, kernel, NULL, NULL, NULL), TUFF_ERR_ARG);
        EXPECT_STR(tuff_last_error(), "swish: it has no reference to be judged by");
        EXPECT_STATUS(tuff_kernel_register(&kernel), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), "it has no reference, which an operator needs");
        EXPECT(kernel != NULL);
        tuff_kernel_destroy(&kernel);
    }
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&y);
}

// ---- mistakes -------------------------------------------------------------------------------

static void refused(const char *glsl, tuff_status status, const char *why)
{
    tuff_kernel_params p = swish("swish");
    tuff_kernel *kernel;
    p.glsl = glsl;
    EXPECT_STATUS(tuff_kernel_create(&p, &kernel), status);
    if (!EXPECT_HAS(tuff_last_error(), why)) FAIL("%s", tuff_last_error());
    EXPECT(!kernel);
}

#define X_IN  "layout(binding = 0) readonly buffer X { float x[]; };\n"
#define Y_OUT "layout(binding = 1) writeonly buffer Y { float y[]; };\n"

static void mistakes_in_the_shader(void)
{
    if (!tuff_kernel_can_compile()) {
        refused(swish_glsl, TUFF_ERR_UNSUPPORTED,
                "swish.comp: this build of Tuff was made without its run-time compiler");
        return;
    }
    refused(HEAD X_IN Y_OUT "void main()\n{\n    floot v = x[0];\n    y[0] = v;\n}\n",
            TUFF_ERR_FORMAT, "swish.comp:7: 'floot' : undeclared identifier");
    refused(HEAD X_IN Y_OUT "void main() { y[0] = x[0]\n}\n", TUFF_ERR_FORMAT,
            "swish.comp:6: ");
    refused("#version 450\n" X_IN Y_OUT "void other() { y[0] = x[0]; }\n", TUFF_ERR_FORMAT,
            "Missing entry point");
    refused("", TUFF_ERR_FORMAT, "swish.comp");
    refused(HEAD X_IN "layout(binding = 2) buffer Y { float y[]; };\n"
                      "void main() { y[0] = x[0]; }\n", TUFF_ERR_ARG,
            "swish: the shader has a binding 2, the description ends with 1 (y)");
    refused(HEAD X_IN "layout(binding = 99) buffer Y { float y[]; };\n"
                      "void main() { y[0] = x[0]; }\n", TUFF_ERR_ARG,
            "swish: the shader has a binding 99, the description ends with 1 (y)");
    refused(HEAD X_IN "void main() { }\n", TUFF_ERR_ARG,
            "swish: the shader has no binding 1, which is to be the output y");
    refused(HEAD "layout(binding = 0) uniform samplerBuffer x;\n" Y_OUT
            "void main() { y[0] = texelFetch(x, 0).x; }\n", TUFF_ERR_ARG,
            "swish: binding 0 (x) is a samplerBuffer in the shader and a storage buffer in the "
            "description");
    refused(HEAD "layout(binding = 0) uniform isamplerBuffer x;\n" Y_OUT
            "void main() { y[0] = float(texelFetch(x, 0).x); }\n", TUFF_ERR_ARG,
            "swish: binding 0 (x) is an isamplerBuffer in the shader");
    refused(HEAD "layout(binding = 0) uniform X { float x; };\n" Y_OUT
            "void main() { y[0] = x; }\n", TUFF_ERR_ARG,
            "swish: binding 0 (x) is neither a buffer nor a samplerBuffer in the shader");
    refused(HEAD "layout(set = 1, binding = 0) buffer X { float x[]; };\n" Y_OUT
            "void main() { y[0] = x[0]; }\n", TUFF_ERR_ARG, "outside of set 0");
    refused(HEAD X_IN Y_OUT "void main() { y[0] = float(double(x[0]) * 1.1lf); }\n",
            TUFF_ERR_UNSUPPORTED, "swish: the shader needs Float64 (capability 10)");
}

static void mistakes_in_the_description(void)
{
    tuff_kernel *kernel;
#define WRONG(why, ...)                                                         \
    do {                                                                        \
        tuff_kernel_params p = swish("swish");                                  \
        p.glsl = NULL;                                                          \
        __VA_ARGS__;                                                            \
        EXPECT_STATUS(tuff_kernel_create(&p, &kernel), TUFF_ERR_ARG);           \
        if (!EXPECT_HAS(tuff_last_error(), why)) FAIL("%s", tuff_last_error()); \
    } while (0)
    WRONG("a kernel is named 'Swish', expected", p.name = "Swish");
    WRONG("a kernel is named ''", p.name = NULL);
    WRONG("a port is named 'an x'", p.in[0].name = "an x");
    WRONG("x takes types that do not exist", p.in[0].dtypes = 1u << 20);
    WRONG("y: an output is a storage buffer", p.out[0].view = TUFF_VIEW_TEXEL);
    WRONG("it has 1 inputs and 0 outputs", p.out[0].name = NULL);
    WRONG("it has over 10 inputs", for (int i = 0; i < 11; i++) p.in[i].name = "x");
    WRONG("it has 13 bindings, at most 12", for (int i = 0; i < 10; i++) p.in[i].name = "x";
          for (int i = 0; i < 3; i++) p.out[i].name = "y");
    WRONG("its params have 513 bytes", p.params_size = 513);
    WRONG("power lies beyond the params' 4 bytes", p.params_size = 4);
    WRONG("tolerance is -2", p.tolerance = -2);
    WRONG("samples are from 3 to -3", p.sample_min = 3; p.sample_max = -3);
    WRONG("both as GLSL and as SPIR-V", p.glsl = ""; p.spirv = (const uint32_t[]){ 0 });
#undef WRONG
    // SPIR-V that is none, is cut, or has nothing to run in it.
    static const uint32_t none[] = { 1, 2, 3, 4, 5 };
    static const uint32_t empty[] = { 0x07230203, 0x10300, 0, 9, 0 };
    static const uint32_t cut[] = { 0x07230203, 0x10300, 0, 9, 0, 9 << 16 };
    static const struct { const uint32_t *words; size_t bytes; const char *why; } bad[] = {
        { none, sizeof none, "does not begin as SPIR-V does" },
        { cut, 7, "does not begin as SPIR-V does" },
        { cut, sizeof cut, "its SPIR-V is cut at word 5 of 6" },
        { empty, sizeof empty, "no compute shader named main" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        tuff_kernel_params p = swish("swish");
        p.glsl = NULL;
        p.spirv = bad[i].words;
        p.spirv_bytes = bad[i].bytes;
        EXPECT_STATUS(tuff_kernel_create(&p, &kernel), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), bad[i].why);
    }
}

// ---- operators ------------------------------------------------------------------------------

static void an_operator_by_its_name(void)
{
    NO_COMPILER();
    float x[N];
    values(x);
    const tuff_kernel_params p = swish("own_swish");
    tuff_kernel *kernel = create(&p);
    EXPECT_OK(tuff_kernel_register(&kernel));
    EXPECT(!kernel);
    kernel = create(&p);
    EXPECT_STATUS(tuff_kernel_register(&kernel), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "there is an op named 'own_swish' already");
    tuff_kernel_destroy(&kernel);

    tuff_tensor *a = tensor(TUFF_SHAPE(TUFF_F32, N), x), *out[8] = { NULL };
    const tuff_tensor *const in[] = { a };
    const char *const attributes[] = { "beta=3" };
    int nout = 0;
    EXPECT_OK(tuff_op_apply(stream, "own_swish", in, 1, attributes, 1, NULL, out, &nout));
    if (EXPECT_EQ(nout, 1)) expect_swish(out[0], x, 3);
    tuff_tensor_destroy(&out[0]);
    const char *const unknown[] = { "gamma=3" };
    EXPECT_STATUS(tuff_op_apply(stream, "own_swish", in, 1, unknown, 1, NULL, out, &nout),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "expected beta, power");
    tuff_tensor_destroy(&a);

    // The check of the device finds it, and judges it with the others.
    const tuff_check_params only = { .filter = "own_swish *" };
    EXPECT_OK(tuff_check_device(dev, &only, NULL, NULL));
    // In a graph it is an op like any other.
    tuff_graph *g = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var v = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 3));
    EXPECT(tuff_graph_op(g, "own_swish", &v, 1, NULL).id);
    EXPECT_OK(tuff_graph_status(g));
    tuff_graph_destroy(&g);
}

// The same source is the same shader: no table grows by making a kernel again.
static void the_same_source_is_the_same_shader(void)
{
    NO_COMPILER();
    const tuff_kernel_params p = swish("again");
    tuff_kernel *first = create(&p);
    const int count = tuff_shader_count();
    tuff_kernel *second = create(&p);
    EXPECT_EQ(tuff_shader_count(), count);
    tuff_kernel_destroy(&first);
    tuff_kernel_destroy(&second);
    EXPECT_EQ(tuff_shader_count(), count);
    tuff_kernel_destroy(&second);
    tuff_kernel_destroy(NULL);
}

// A port that takes f16 too is cast in front of the kernel and behind it.
static void other_types_are_lowered(void)
{
    NO_COMPILER();
    tuff_kernel_params p = swish("swish");
    p.in[0].dtypes = p.out[0].dtypes = TUFF_F32 | TUFF_F16;
    tuff_kernel *kernel = create(&p);
    static const uint16_t x[] = { 0x3c00, 0xc000, 0x0000, 0x4400 }; // 1, -2, 0, 4
    static const double want[] = { 0.7310586, -0.2384058, 0, 3.9280552 };
    tuff_tensor *a = tensor(TUFF_SHAPE(TUFF_F16, 4), x);
    tuff_tensor *b = tensor(TUFF_SHAPE(TUFF_F16, 4), NULL);
    tuff_tensor *wide = tensor(TUFF_SHAPE(TUFF_F32, 4), NULL);
    float y[4];
    const tuff_tensor *const in[] = { a };
    EXPECT_OK(tuff_kernel_run(stream, kernel, in, 1, &b, 1, &(swish_params){ .beta = 1 }));
    EXPECT_OK(tuff_cast(stream, b, wide, NULL));
    EXPECT_OK(tuff_tensor_read(stream, wide, y, sizeof y));
    for (int i = 0; i < 4; i++) EXPECT_NEAR(y[i], want[i], 2e-3);
    tuff_tensor_destroy(&a);
    tuff_tensor_destroy(&b);
    tuff_tensor_destroy(&wide);
    tuff_kernel_destroy(&kernel);
}

// Whichever allocation fails, the failure is told and nothing is kept of the kernel.
static void out_of_memory(void)
{
    tuff_kernel_params p = swish("poor_swish");
    if (!tuff_kernel_can_compile()) p.glsl = NULL;
    tuff_status status = TUFF_ERR_MEMORY;
    for (int64_t n = 1; status != TUFF_OK && n < 100; n++) {
        tuff_kernel *kernel;
        tuff_alloc_fail_at(n);
        status = tuff_kernel_create(&p, &kernel);
        tuff_alloc_fail_at(0);
        if (status != TUFF_OK) EXPECT_STATUS(status, TUFF_ERR_MEMORY);
        EXPECT((kernel != NULL) == (status == TUFF_OK));
        tuff_kernel_destroy(&kernel);
    }
    EXPECT_OK(status);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    gpu = !tuff_device_caps(dev)->cpu;
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    CASE(on_a_stream);
    CASE(in_a_program);
    CASE(workgroups_and_texels);
    CASE(the_check_judges);
    CASE(wrong_gradients);
    CASE(halves_of_a_kernel);
    CASE(mistakes_in_the_shader);
    CASE(mistakes_in_the_description);
    CASE(an_operator_by_its_name);
    CASE(the_same_source_is_the_same_shader);
    CASE(other_types_are_lowered);
    CASE(out_of_memory);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
