// A gradient rule run eagerly: a tape whose variables are tensors, and on which emitting an
// op runs it. No graph is needed, which the ops room may not see.
#include "base/alloc.h"
#include "ops/check.h"
#include <string.h>

enum { VALUES = 512 };

typedef struct eager {
    tuff_tape tape; // first: the interface is cast back
    tuff_stream *stream;
    const tuff_op *oracle, *subject; // emitting the first runs the second
    tuff_tensor *value[VALUES];      // of variable id - 1
    int count;
    double tolerance; // of all ops run
    double most_work; // steps of one op's reference
} eager;

static tuff_var keep(eager *e, tuff_tensor *tensor)
{
    e->value[e->count++] = tensor;
    return (tuff_var){ e->count };
}

static tuff_tensor *tensor_of(eager *e, tuff_var v)
{
    return tuff_var_null(v) ? NULL : e->value[v.id - 1];
}

static tuff_status new_value(eager *e, const tuff_desc *d, tuff_var *v)
{
    tuff_tensor *tensor;
    TUFF_REQUIRE(e->count < VALUES, LIMIT, "a gradient rule with over %d values", VALUES);
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(e->stream), *d, &tensor));
    *v = keep(e, tensor);
    return TUFF_OK;
}

static tuff_status run_op(eager *e, const tuff_op *op, const tuff_var in[], int nin,
                          const void *params, tuff_var out[])
{
    tuff_call c = { .op = op, .nin = nin, .params = params };
    const tuff_tensor *x[TUFF_OP_IN] = { 0 };
    tuff_tensor *y[TUFF_OP_OUT] = { 0 };
    TUFF_REQUIRE(op->in[0].name, UNSUPPORTED, "%s has no input to take a shape from on a tape",
                 op->name);
    TUFF_REQUIRE(nin <= TUFF_OP_IN, ARG, "%s: %d inputs", op->name, nin);
    for (int i = 0; i < nin; i++) {
        x[i] = tensor_of(e, in[i]);
        if (x[i]) c.in[i] = *tuff_tensor_desc(x[i]);
    }
    TUFF_TRY(tuff_call_infer(&c));
    TUFF_REQUIRE(tuff_call_work(&c) <= e->most_work, LIMIT, "%s takes %.2g steps on the "
                 "CPU path, too many to be judged", op->name, tuff_call_work(&c));
    for (int o = 0; o < c.nout; o++) {
        TUFF_TRY(new_value(e, &c.out[o], &out[o]));
        y[o] = tensor_of(e, out[o]);
    }
    e->tolerance += tuff_select_tolerance(&c, tuff_device_caps(tuff_stream_device(e->stream)));
    return tuff_run(e->stream, op == e->oracle ? e->subject : op, x, nin, y, c.nout, params);
}

static void emit(tuff_tape *t, const tuff_op *op, const tuff_var in[], int nin,
                 const void *params, tuff_var out[])
{
    tuff_var made[TUFF_OP_OUT] = { { 0 } };
    if (t->status == TUFF_OK) t->status = run_op((eager *)t, op, in, nin, params, made);
    for (int o = 0; o < TUFF_OP_OUT && op->out[o].name; o++)
        out[o] = t->status == TUFF_OK ? made[o] : (tuff_var){ 0 };
}

static const tuff_desc *desc(tuff_tape *t, tuff_var v)
{
    static const tuff_desc none = { .dtype = TUFF_F32 };
    tuff_tensor *tensor = tensor_of((eager *)t, v);
    return tensor ? tuff_tensor_desc(tensor) : &none;
}

static tuff_var reshape(tuff_tape *t, tuff_var v, const tuff_desc *shape)
{
    eager *e = (eager *)t;
    tuff_tensor *from = tensor_of(e, v), *view = NULL;
    if (t->status != TUFF_OK || !from) return (tuff_var){ 0 };
    if (e->count == VALUES)
        t->status = tuff_fail(TUFF_ERR_LIMIT, "a gradient rule with over %d values", VALUES);
    else if (tuff_desc_count(tuff_tensor_desc(from)) != tuff_desc_count(shape))
        t->status = tuff_fail(TUFF_ERR_SHAPE, "reshape: %lld elements become %lld",
                              (long long)tuff_desc_count(tuff_tensor_desc(from)),
                              (long long)tuff_desc_count(shape));
    else
        t->status = tuff_tensor_view(from, 0, *shape, &view);
    return t->status == TUFF_OK ? keep(e, view) : (tuff_var){ 0 };
}

static tuff_status leaf(eager *e, const tuff_desc *d, const void *data, tuff_var *v)
{
    TUFF_TRY(new_value(e, d, v));
    return tuff_tensor_write(e->stream, tensor_of(e, *v), data, tuff_desc_bytes(d));
}

// Brings one input's gradient to the host; a null one stays NULL.
static tuff_status bring(eager *e, const tuff_call *c, int i, tuff_var dx, float **to)
{
    tuff_tensor *from = tensor_of(e, dx);
    if (!from || c->op->in[i].no_grad || !tuff_call_has(c, i)) return TUFF_OK;
    char got[96], want[96];
    const tuff_desc *d = tuff_tensor_desc(from);
    const bool fits = tuff_desc_count(d) == tuff_desc_count(&c->in[i]);
    TUFF_REQUIRE(d->dtype == TUFF_F32 && fits, CHECK,
                 "the gradient of %s is %s, expected the shape of %s", c->op->in[i].name,
                 tuff_desc_print(d, got, sizeof got),
                 tuff_desc_print(&c->in[i], want, sizeof want));
    *to = tuff_alloc(tuff_desc_bytes(d), 1);
    if (!*to) return TUFF_ERR_MEMORY;
    return tuff_tensor_read(e->stream, from, *to, tuff_desc_bytes(d));
}

static tuff_status backward(eager *e, const tuff_trial *t, float *const dy[], float *dx[])
{
    const tuff_call *c = &t->c.call;
    tuff_node node = { .call = *c };
    tuff_var g[TUFF_OP_OUT] = { { 0 } }, d[TUFF_OP_IN] = { { 0 } };
    for (int i = 0; i < c->nin; i++)
        if (t->in[i]) TUFF_TRY(leaf(e, &c->in[i], t->in[i], &node.in[i]));
    // The reference's outputs on every device: the op itself was judged apart, and a rule that
    // takes 1 - y would make much of a last bit of y.
    e->tolerance += (double)c->op->tol.f32;
    for (int o = 0; o < c->nout; o++)
        TUFF_TRY(leaf(e, &c->out[o], t->want[o], &node.out[o]));
    for (int o = 0; o < c->nout; o++)
        if (dy[o]) TUFF_TRY(leaf(e, &c->out[o], dy[o], &g[o]));
    e->subject->grad(&e->tape, &node, g, d);
    TUFF_TRY(e->tape.status);
    for (int i = 0; i < c->nin; i++) TUFF_TRY(bring(e, c, i, d[i], &dx[i]));
    return TUFF_OK;
}

tuff_status tuff_eager_grad(const tuff_trial *t, const tuff_op *subject, tuff_stream *stream,
                            double most_work, float *const dy[], float *dx[],
                            double *tolerance)
{
    memset(dx, 0, TUFF_OP_IN * sizeof *dx);
    eager *e = tuff_alloc(1, sizeof *e);
    if (!e) return TUFF_ERR_MEMORY;
    e->tape = (tuff_tape){ .emit = emit, .desc = desc, .reshape = reshape };
    e->stream = stream;
    e->oracle = t->c.call.op;
    e->subject = subject;
    e->most_work = most_work;
    const tuff_status status = backward(e, t, dy, dx);
    *tolerance = e->tolerance;
    for (int i = e->count - 1; i >= 0; i--) tuff_tensor_destroy(&e->value[i]);
    tuff_free(e);
    if (status == TUFF_OK) return TUFF_OK;
    for (int i = 0; i < TUFF_OP_IN; i++) {
        tuff_free(dx[i]);
        dx[i] = NULL;
    }
    tuff_fail_prefix("gradient");
    return status;
}
