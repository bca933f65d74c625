// An operator of one's own: swish with a beta that is learned, y = x / (1 + exp(-beta x))
// (Ramachandran et al. 2017). It is written as GLSL and, to judge it by, in plain C; its
// gradient is composed of the library's ops. Once the check has found it right on this device
// it is registered, and a small net with it learns to tell two spirals apart.
#include "example.h"
#include <math.h>
#include <string.h>

// ---- the operator --------------------------------------------------------------------------

static const char shader[] =
    "#version 450\n"
    "layout(local_size_x_id = 0) in;\n"
    "layout(push_constant) uniform Push { uint count; };\n"
    "layout(binding = 0) readonly buffer X { float x[]; };\n"
    "layout(binding = 1) readonly buffer Beta { float beta; };\n"
    "layout(binding = 2) writeonly buffer Y { float y[]; };\n"
    "void main()\n"
    "{\n"
    "    const uint i = TUFF_INDEX;\n"
    "    if (i < count) y[i] = x[i] / (1.0 + exp(-beta * x[i]));\n"
    "}\n";

static tuff_status shape(void *user, const tuff_kernel_call *c, tuff_desc out[])
{
    (void)user;
    if (tuff_desc_count(&c->in[1]) != 1)
        return tuff_kernel_fail(TUFF_ERR_SHAPE, "beta has %lld elements, it must have one",
                                (long long)tuff_desc_count(&c->in[1]));
    out[0] = c->in[0];
    return TUFF_OK;
}

static void reference(void *user, const tuff_kernel_call *c, const void *const in[],
                      void *const out[])
{
    (void)user;
    const float *x = in[0], *beta = in[1];
    float *y = out[0];
    for (int64_t i = 0; i < tuff_desc_count(&c->in[0]); i++)
        y[i] = (float)(x[i] / (1 + exp(-(double)*beta * x[i])));
}

// With s = 1 / (1 + exp(-beta x)):
// dx = dy (s + beta x s (1 - s)), dbeta = sum of dy x^2 s (1 - s).
static void gradient(void *user, tuff_graph *g, const tuff_kernel_node *n)
{
    (void)user;
#define MUL(a, b) tuff_graph_op(g, "mul", (tuff_var[]){ a, b }, 2, NULL)
    const tuff_affine_params one_minus = { .scale = -1, .shift = 1 };
    const tuff_var x = n->in[0], beta = n->in[1], dy = n->dy[0], bx = MUL(x, beta);
    const tuff_var s = tuff_graph_op(g, "sigmoid", &bx, 1, NULL);
    const tuff_var slope = MUL(s, tuff_graph_op(g, "affine", &s, 1, &one_minus));
    const tuff_var by_x[] = { s, MUL(bx, slope) }, by_beta = MUL(MUL(dy, slope), MUL(x, x));
    n->dx[0] = MUL(dy, tuff_graph_op(g, "add", by_x, 2, NULL));
    const tuff_var sum = tuff_graph_op(g, "reduce_sum", &by_beta, 1, NULL);
    n->dx[1] = tuff_graph_reshape(g, sum, n->call.in[1]);
#undef MUL
}

static void add_operator(tuff_device *device)
{
    tuff_kernel *kernel;
    DO(tuff_kernel_create(&(tuff_kernel_params){
        .name = "swish_beta", .doc = "y = x / (1 + exp(-beta x))", .glsl = shader,
        .file = "swish_beta.comp", .in = { { .name = "x" }, { .name = "beta" } },
        .out = { { .name = "y" } }, .shape = shape, .reference = reference,
        .gradient = gradient, .cases = (const char *const[]){ "1 1", "7x5 1", "1031 1", NULL },
        .tolerance = 1e-5f, // the driver's exp is as good as that
    }, &kernel));
    DO(tuff_kernel_check(device, kernel, NULL, NULL, NULL));
    DO(tuff_kernel_register(&kernel));
}

// ---- a net that has it ---------------------------------------------------------------------

enum { POINTS = 200, HIDDEN = 24, STEPS = 400 };
// Places of the parameters in one flat tensor; a view begins at a multiple of 64 elements.
enum { W1 = 0, B1 = 64, BETA1 = 128, W2 = 192, B2 = W2 + HIDDEN * HIDDEN, BETA2 = B2 + 64,
       W3 = BETA2 + 64, B3 = W3 + 64, FLAT = B3 + 64, PARAMS = 8 };

static void spirals(float x[POINTS][2], int32_t label[POINTS])
{
    for (int i = 0; i < POINTS; i++) {
        const float r = 0.1f + 0.9f * (float)(i / 2) / (POINTS / 2);
        const float a = 7 * r + (float)(i % 2) * 3.14159265f;
        x[i][0] = 2 * r * cosf(a);
        x[i][1] = 2 * r * sinf(a);
        label[i] = i % 2;
    }
}

static tuff_var dense(tuff_graph *g, tuff_var x, const tuff_var *p)
{
    const tuff_var product = tuff_graph_op(g, "matmul", (tuff_var[]){ x, p[0] }, 2, NULL);
    return tuff_graph_op(g, "add", (tuff_var[]){ product, p[1] }, 2, NULL);
}

static tuff_var swish(tuff_graph *g, tuff_var x, tuff_var beta)
{
    return tuff_graph_op(g, "swish_beta", (tuff_var[]){ x, beta }, 2, NULL);
}

typedef struct net {
    tuff_tensor *flat, *grads, *m, *v, *w[PARAMS], *dw[PARAMS];
    tuff_var hyper, loss, right;
    tuff_program *program;
} net;

static void make_tensors(net *n, tuff_device *device, tuff_stream *s)
{
    static const struct { int at, rows, cols; } place[PARAMS] = {
        { W1, 2, HIDDEN }, { B1, 1, HIDDEN }, { BETA1, 1, 1 }, { W2, HIDDEN, HIDDEN },
        { B2, 1, HIDDEN }, { BETA2, 1, 1 }, { W3, HIDDEN, 2 }, { B3, 1, 2 },
    };
    tuff_tensor **const flat[] = { &n->flat, &n->grads, &n->m, &n->v };
    static const float zeros[FLAT];
    float w[FLAT];
    for (int i = 0; i < 4; i++) {
        DO(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, FLAT), flat[i]));
        DO(tuff_tensor_write(s, *flat[i], zeros, sizeof zeros));
    }
    normals(s, 7, FLAT, w);
    for (int i = 0; i < FLAT; i++) {
        const float scale = i < B1 ? 0.7f : i < W2 ? 0 : i < B2 || i >= W3 ? 0.3f : 0;
        w[i] = i == BETA1 || i == BETA2 ? 1 : i >= B3 ? 0 : w[i] * scale;
    }
    DO(tuff_tensor_write(s, n->flat, w, sizeof w));
    for (int i = 0; i < PARAMS; i++) {
        const tuff_desc d = TUFF_SHAPE(TUFF_F32, place[i].rows, place[i].cols);
        DO(tuff_tensor_view(n->flat, place[i].at, d, &n->w[i]));
        DO(tuff_tensor_view(n->grads, place[i].at, d, &n->dw[i]));
    }
    DO(tuff_stream_wait(s));
}

// One step: forward, loss, gradients into their flat tensor, Adam over all of it at once.
static void record(net *n, tuff_device *device)
{
    float x[POINTS][2];
    int32_t label[POINTS];
    tuff_graph *g;
    tuff_var p[PARAMS], d[PARAMS];
    DO(tuff_graph_create(&g));
    spirals(x, label);
    const tuff_var in = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, POINTS, 2), x);
    const tuff_var labels = tuff_graph_constant(g, TUFF_SHAPE(TUFF_I32, POINTS), label);
    for (int i = 0; i < PARAMS; i++) p[i] = tuff_graph_bind(g, NULL, n->w[i]);
    const tuff_var a = swish(g, dense(g, in, &p[0]), p[2]);
    const tuff_var b = swish(g, dense(g, a, &p[3]), p[5]);
    const tuff_var judged[] = { dense(g, b, &p[6]), labels };
    n->loss = tuff_graph_op(g, "cross_entropy", judged, 2, NULL);
    n->right = tuff_graph_op(g, "count_correct", judged, 2, NULL);
    tuff_graph_backward(g, n->loss, p, PARAMS, d);
    for (int i = 0; i < PARAMS; i++) tuff_graph_store(g, d[i], n->dw[i]);
    n->hyper = tuff_graph_input(g, "hyper", TUFF_SHAPE(TUFF_F32, 8));
    const tuff_var adam[] = { tuff_graph_bind(g, "w", n->flat),
                              tuff_graph_bind(g, "g", n->grads), n->hyper,
                              tuff_graph_bind(g, "m", n->m), tuff_graph_bind(g, "v", n->v) };
    tuff_var next[3];
    tuff_graph_op_n(g, "adam", adam, 5, NULL, next, 3);
    tuff_graph_store(g, next[0], n->flat);
    tuff_graph_store(g, next[1], n->m);
    tuff_graph_store(g, next[2], n->v);
    tuff_graph_output(g, "loss", n->loss);
    tuff_graph_output(g, "right", n->right);
    DO(tuff_program_create(device, g, NULL, &n->program));
    tuff_graph_destroy(&g);
}

int main(void)
{
    if (!tuff_kernel_can_compile()) {
        printf("this build has no run-time compiler\n");
        return 0;
    }
    tuff_device *device;
    tuff_stream *s;
    net n = { 0 };
    float first = 0, loss = 0, right = 0, w[FLAT];
    DO(tuff_device_open(NULL, &device));
    DO(tuff_stream_create(device, &s));
    add_operator(device);
    make_tensors(&n, device, s);
    record(&n, device);
    for (int t = 0; t < STEPS; t++) {
        float hyper[8];
        tuff_update_hyper("adam", NULL, 0.01, t, hyper);
        DO(tuff_program_write(n.program, n.hyper, hyper, sizeof hyper));
        DO(tuff_program_run(n.program));
        if (t == 0) DO(tuff_program_read(n.program, n.loss, &first, sizeof first));
    }
    DO(tuff_program_read(n.program, n.loss, &loss, sizeof loss));
    DO(tuff_program_read(n.program, n.right, &right, sizeof right));
    DO(tuff_tensor_read(s, n.flat, w, sizeof w));
    printf("loss %.4f (at first %.4f), %.0f of %d points right\n", loss, first, right, POINTS);
    printf("beta %.3f and %.3f (at first 1)\n", w[BETA1], w[BETA2]);

    tuff_program_destroy(&n.program);
    for (int i = 0; i < PARAMS; i++) {
        tuff_tensor_destroy(&n.w[i]);
        tuff_tensor_destroy(&n.dw[i]);
    }
    tuff_tensor_destroy(&n.flat), tuff_tensor_destroy(&n.grads);
    tuff_tensor_destroy(&n.m), tuff_tensor_destroy(&n.v);
    tuff_stream_destroy(&s);
    tuff_device_close(&device);
    return loss < first / 4 ? 0 : 1;
}
