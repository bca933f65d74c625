// oneDNN's side of run.py: a convolution, or one of its gradients, in the layouts that oneDNN
// likes best; bringing tensors into them is not timed.
//
//   dnn KIND N C H W O K PAD GROUPS FIRST SECOND RESULT     files of f32, NCHW and OIHW
//
//   forward       x w -> y      input_grad    dy w -> dx      weight_grad   x dy -> dw
//
// Speaks as blas.c does.
#include "serve.h"
#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#define DNN(...)                                                                \
    do {                                                                        \
        const dnnl_status_t status_ = (__VA_ARGS__);                            \
        if (status_ != dnnl_success) {                                          \
            fprintf(stderr, "%s gave %d\n", #__VA_ARGS__, (int)status_);        \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

enum { X, W, Y, TENSORS };

static dnnl_engine_t engine;
static dnnl_stream_t stream;

typedef struct work {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arg[TENSORS];
} work;

static void run(void *arg)
{
    work *w = arg;
    DNN(dnnl_primitive_execute(w->primitive, stream, TENSORS, w->arg));
    DNN(dnnl_stream_wait(stream));
}

static void reorder(dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t pd;
    work w = { 0 };
    DNN(dnnl_memory_get_memory_desc(from, &a));
    DNN(dnnl_memory_get_memory_desc(to, &b));
    DNN(dnnl_reorder_primitive_desc_create(&pd, a, engine, b, engine, NULL));
    DNN(dnnl_primitive_create(&w.primitive, pd));
    dnnl_exec_arg_t arg[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    DNN(dnnl_primitive_execute(w.primitive, stream, 2, arg));
    DNN(dnnl_stream_wait(stream));
    dnnl_primitive_destroy(w.primitive);
    dnnl_primitive_desc_destroy(pd);
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = { "forward", "input_grad", "weight_grad" };
    static const int reads[3][3] = { { X, W, Y }, { Y, W, X }, { X, Y, W } }; // and writes
    if (argc != 13) return fprintf(stderr, "usage: dnn KIND SIZES... FILES...\n"), 2;
    int kind = 0;
    while (kind < 2 && strcmp(argv[1], kinds[kind]) != 0) kind++;
    int64_t v[8];
    for (int i = 0; i < 8; i++) v[i] = atoll(argv[2 + i]);
    const int64_t n = v[0], c = v[1], h = v[2], wd = v[3], o = v[4], k = v[5], pad = v[6];
    const int64_t groups = v[7], oh = h + 2 * pad - k + 1, ow = wd + 2 * pad - k + 1;
    const dnnl_dims_t dims[TENSORS] = { { n, c, h, wd },
                                        { groups, o / groups, c / groups, k, k },
                                        { n, o, oh, ow } };
    const dnnl_dims_t dense = { o, c, k, k }, strides = { 1, 1 }, pads = { pad, pad };
    const int rank = groups > 1 ? 5 : 4;
    const dnnl_format_tag_t tag[TENSORS] = { dnnl_nchw, groups > 1 ? dnnl_goihw : dnnl_oihw,
                                             dnnl_nchw };
    dnnl_memory_desc_t plain[TENSORS], any[TENSORS];
    DNN(dnnl_engine_create(&engine, dnnl_cpu, 0));
    DNN(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    for (int i = 0; i < TENSORS; i++) {
        const int r = i == W ? rank : 4;
        const dnnl_dim_t *d = i == W && groups == 1 ? dense : dims[i];
        DNN(dnnl_memory_desc_init_by_tag(&plain[i], r, d, dnnl_f32, tag[i]));
        DNN(dnnl_memory_desc_init_by_tag(&any[i], r, d, dnnl_f32, dnnl_format_tag_any));
    }

    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t forward, pd;
    const dnnl_alg_kind_t alg = dnnl_convolution_auto;
    DNN(dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, alg, &any[X], &any[W],
                                           NULL, &any[Y], strides, pads, pads));
    DNN(dnnl_primitive_desc_create(&forward, &d, NULL, engine, NULL));
    pd = forward;
    if (kind == 1)
        DNN(dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &any[X],
                                                     &any[W], &any[Y], strides, pads, pads));
    if (kind == 2)
        DNN(dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &any[X],
                                                        &any[W], NULL, &any[Y], strides, pads,
                                                        pads));
    if (kind) DNN(dnnl_primitive_desc_create(&pd, &d, NULL, engine, forward));

    static const dnnl_query_t query[3][TENSORS] = {
        { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md },
        { dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md },
        { dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md },
    };
    static const int name[3][TENSORS] = {
        { DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST },
        { DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST },
        { DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST },
    };
    work w;
    dnnl_memory_t memory[TENSORS], user[TENSORS];
    float *data[TENSORS];
    size_t count[TENSORS];
    DNN(dnnl_primitive_create(&w.primitive, pd));
    for (int i = 0; i < TENSORS; i++) {
        const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, query[kind][i], 0);
        DNN(dnnl_memory_create(&memory[i], md, engine, DNNL_MEMORY_ALLOCATE));
        w.arg[i] = (dnnl_exec_arg_t){ name[kind][i], memory[i] };
        count[i] = 1;
        for (int r = 0; r < plain[i].ndims; r++) count[i] *= (size_t)plain[i].dims[r];
    }
    for (int j = 0; j < TENSORS; j++) {
        const int i = reads[kind][j];
        data[i] = j < 2 ? read_floats(argv[10 + j], count[i]) : floats(count[i]);
        DNN(dnnl_memory_create(&user[i], &plain[i], engine, data[i]));
        if (j < 2) reorder(user[i], memory[i]);
    }
    run(&w);
    const int y = reads[kind][2];
    reorder(memory[y], user[y]);
    write_floats(argv[12], data[y], count[y]);
    const char *how;
    char about[400];
    DNN(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&how));
    const dnnl_version_t *version = dnnl_version();
    snprintf(about, sizeof about, "oneDNN %d.%d.%d, %s", version->major, version->minor,
             version->patch, how);
    serve(run, &w, about);
    return 0;
}
