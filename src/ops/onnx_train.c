// ONNX's optimizers (ai.onnx.preview.training: Adagrad, Adam, Momentum) by ours. Theirs take
//
//   R, T, X1 .. Xn, G1 .. Gn, then each state of all n  ->  X1 .. Xn, then each state
//
// with the rate R and the count T of steps before this one as tensors, which are read back and
// become hyper; ours work on one tensor.
#include "ops/onnx.h"
#include "abi/update.h"
#include "base/convert.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <math.h>
#include <string.h>

typedef struct step {
    const char *op;  // ours
    int states;
    float hyper[8];
    float keep;      // what the new weights are multiplied by
    tuff_update_params p;
} step;

// One element of any type.
static tuff_status read_scalar(tuff_stream *s, const tuff_onnx_call *c, int input, double *v)
{
    const tuff_tensor *t = c->in[input];
    uint64_t bits = 0;
    float wide;
    TUFF_REQUIRE(t && tuff_desc_count(&t->desc) == 1, SHAPE, "%s must have one element",
                 input ? "T" : "R");
    TUFF_TRY(tuff_tensor_read(s, t, &bits, tuff_desc_bytes(&t->desc)));
    tuff_convert(t->desc.dtype, &bits, TUFF_F32, &wide, false, 0, 1);
    *v = (double)wide;
    return TUFF_OK;
}

static tuff_status adagrad(const tuff_onnx_call *c, double rate, double t, step *s)
{
    double decay, eps;
    TUFF_TRY(tuff_onnx_float(c, "decay_factor", 0, &decay));
    TUFF_TRY(tuff_onnx_float(c, "epsilon", 1e-6, &eps));
    s->op = "adagrad";
    s->states = 1;
    s->hyper[TUFF_HYPER_LR] = (float)(rate / (1 + t * decay));
    s->p.eps = tuff_or_zero(eps);
    return TUFF_OK;
}

// R' = R sqrt(1 - beta^T) / (1 - alpha^T), R where T is 0: eps stands beside a root that is
// not corrected.
static tuff_status adam(const tuff_onnx_call *c, double rate, double t, step *s)
{
    double alpha, beta, eps, post;
    TUFF_TRY(tuff_onnx_float(c, "alpha", 0.9, &alpha));
    TUFF_TRY(tuff_onnx_float(c, "beta", 0.999, &beta));
    TUFF_TRY(tuff_onnx_float(c, "epsilon", 1e-6, &eps));
    TUFF_TRY(tuff_onnx_float(c, "norm_coefficient_post", 0, &post));
    const double corrected = rate * sqrt(1 - pow(beta, t)) / (1 - pow(alpha, t));
    s->op = "adam";
    s->states = 2;
    s->hyper[TUFF_HYPER_LR] = (float)(t > 0 ? corrected : rate);
    s->keep = (float)(1 - post);
    s->p.beta1 = tuff_or_zero(alpha);
    s->p.beta2 = tuff_or_zero(beta);
    s->p.eps = tuff_or_zero(eps);
    return TUFF_OK;
}

static tuff_status momentum(const tuff_onnx_call *c, double rate, double t, step *s)
{
    double alpha, beta;
    const char *mode = tuff_onnx_get(&c->attrs, "mode");
    const bool nesterov = mode && strcmp(mode, "nesterov") == 0;
    TUFF_TRY(tuff_onnx_float(c, "alpha", 0, &alpha));
    TUFF_TRY(tuff_onnx_float(c, "beta", 0, &beta));
    TUFF_REQUIRE(nesterov || (mode && strcmp(mode, "standard") == 0), FORMAT,
                 "mode is '%.40s', expected standard or nesterov", mode ? mode : "");
    s->op = nesterov ? "nesterov" : "momentum";
    s->states = 1;
    s->hyper[TUFF_HYPER_LR] = (float)rate;
    s->hyper[TUFF_HYPER_FIRST] = t == 0;
    s->p.momentum = tuff_or_zero(alpha);
    s->p.dampening = (float)(1 - beta);
    return TUFF_OK;
}

static tuff_status describe(tuff_stream *stream, const tuff_onnx_call *c, step *s)
{
    double rate, t, norm;
    *s = (step){ .hyper = { 0, 1, 1, 1 }, .keep = 1 };
    TUFF_TRY(read_scalar(stream, c, 0, &rate));
    TUFF_TRY(read_scalar(stream, c, 1, &t));
    TUFF_TRY(tuff_onnx_float(c, "norm_coefficient", 0, &norm));
    s->p.weight_decay = (float)norm;
    if (strcmp(c->op, "Adagrad") == 0) return adagrad(c, rate, t, s);
    if (strcmp(c->op, "Adam") == 0) return adam(c, rate, t, s);
    return momentum(c, rate, t, s);
}

// Tensor i of n.
static tuff_status run_one(tuff_stream *stream, const tuff_onnx_call *c, const step *s, int i,
                           int n, const tuff_tensor *hyper, tuff_tensor *out[])
{
    const tuff_tensor *in[5] = { c->in[2 + i], c->in[2 + n + i], hyper };
    tuff_tensor *made[3];
    for (int k = 0; k <= s->states; k++) {
        TUFF_TRY(tuff_tensor_create(tuff_stream_device(stream), c->in[2 + i]->desc,
                                    &out[k * n + i]));
        made[k] = out[k * n + i];
        if (k) in[2 + k] = c->in[2 + (1 + k) * n + i];
    }
    TUFF_TRY(tuff_op_run(stream, s->op, in, 3 + s->states, made, 1 + s->states, &s->p));
    const tuff_affine_params keep = { .scale = s->keep };
    return s->keep == 1 ? TUFF_OK : tuff_affine(stream, made[0], made[0], &keep);
}

tuff_status tuff_onnx_update(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    tuff_stream *stream = c->stream;
    step s;
    tuff_tensor *hyper = NULL;
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(c->nin >= 2, ARG, "inputs R and T are missing");
    for (int i = 0; i < c->nin; i++)
        TUFF_REQUIRE(c->in[i], ARG, "input %d is missing", i);
    TUFF_GO(describe(stream, c, &s));
    const int each = 2 + s.states, n = (c->nin - 2) / each;
    TUFF_REQUIRE(n >= 1 && c->nin == 2 + n * each && n * (1 + s.states) <= TUFF_OP_OUT, ARG,
                 "%d inputs, expected R, T and %d for each tensor", c->nin, each);
    TUFF_GO(tuff_tensor_upload(stream, TUFF_SHAPE(TUFF_F32, 8), s.hyper, &hyper));
    for (int i = 0; i < n; i++) TUFF_GO(run_one(stream, c, &s, i, n, hyper, out));
    *nout = n * (1 + s.states);
exit:
    tuff_tensor_destroy(&hyper);
    return status;
}
