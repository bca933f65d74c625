// ggml's Vulkan side of run.py.
//
//   ggml matmul M K N A B Y          y [M, N] = a [M, K] times the transpose of b [N, K]
//   ggml conv C SIZE O KERNEL PAD GROUPS X W Y      GROUPS: 1, or C for a depthwise one
//
// The folder of libggml-vulkan.so stands in GGML_VULKAN. Speaks as blas.c does; a run is a
// graph of the one operator, as ggml computes it.
#include "serve.h"
#include <ggml-backend.h>
#include <ggml.h>
#include <stdbool.h>
#include <string.h>

typedef struct work {
    ggml_backend_t backend;
    struct ggml_cgraph *graph;
} work;

static void run(void *arg)
{
    const work *w = arg;
    if (ggml_backend_graph_compute(w->backend, w->graph) != GGML_STATUS_SUCCESS) exit(1);
}

static struct ggml_tensor *matmul(struct ggml_context *c, const int *v,
                                  struct ggml_tensor *in[2])
{
    in[0] = ggml_new_tensor_2d(c, GGML_TYPE_F32, v[1], v[0]);
    in[1] = ggml_new_tensor_2d(c, GGML_TYPE_F32, v[1], v[2]);
    struct ggml_tensor *y = ggml_mul_mat(c, in[1], in[0]);
    if (!ggml_prec_set_acc(y, GGML_PREC_F32)) exit(1);
    return y;
}

static struct ggml_tensor *conv(struct ggml_context *c, const int *v,
                                struct ggml_tensor *in[2])
{
    in[0] = ggml_new_tensor_4d(c, GGML_TYPE_F32, v[1], v[1], v[0], 1);
    in[1] = ggml_new_tensor_4d(c, GGML_TYPE_F32, v[3], v[3], v[0] / v[5], v[2]);
    return v[5] > 1 ? ggml_conv_2d_dw_direct(c, in[1], in[0], 1, 1, v[4], v[4], 1, 1)
                    : ggml_conv_2d_direct(c, in[1], in[0], 1, 1, v[4], v[4], 1, 1);
}

int main(int argc, char **argv)
{
    const bool product = argc > 1 && strcmp(argv[1], "matmul") == 0;
    const int sizes = product ? 3 : 6;
    int v[6] = { 0 };
    if (argc != 2 + sizes + 3) return fprintf(stderr, "usage: ggml matmul|conv ...\n"), 2;
    for (int i = 0; i < sizes; i++) v[i] = atoi(argv[2 + i]);
    char path[4096];
    snprintf(path, sizeof path, "%s/libggml-vulkan.so", getenv("GGML_VULKAN"));
    if (!ggml_backend_load(path) || ggml_backend_dev_count() == 0)
        return fprintf(stderr, "ggml finds no Vulkan device\n"), 1;
    ggml_backend_dev_t device = ggml_backend_dev_get(0);
    work w = { .backend = ggml_backend_dev_init(device, NULL) };
    struct ggml_context *c = ggml_init((struct ggml_init_params){ 1 << 20, NULL, true });
    if (!w.backend || !c) return fprintf(stderr, "ggml opens no device\n"), 1;
    struct ggml_tensor *in[2], *y = product ? matmul(c, v, in) : conv(c, v, in);
    w.graph = ggml_new_graph(c);
    ggml_build_forward_expand(w.graph, y);
    if (!ggml_backend_supports_op(w.backend, y) ||
        !ggml_backend_alloc_ctx_tensors(c, w.backend))
        return fprintf(stderr, "ggml does not run it on this device\n"), 1;
    for (int i = 0; i < 2; i++) {
        float *x = read_floats(argv[2 + sizes + i], (size_t)ggml_nelements(in[i]));
        ggml_backend_tensor_set(in[i], x, 0, ggml_nbytes(in[i]));
        free(x);
    }
    run(&w);
    float *out = floats((size_t)ggml_nelements(y));
    ggml_backend_tensor_get(y, out, 0, ggml_nbytes(y));
    write_floats(argv[2 + sizes + 2], out, (size_t)ggml_nelements(y));
    char about[256];
    snprintf(about, sizeof about, "ggml %s, %s", ggml_version(),
             ggml_backend_dev_description(device));
    serve(run, &w, about);
    return 0;
}
