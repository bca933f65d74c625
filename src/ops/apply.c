// Ops by name with attributes as text, and what a record tells of itself: `tuff op`.
#include "ops/fields.h"
#include "ops/op.h"
#include "tensor/tensor.h"
#include <string.h>

_Static_assert(sizeof((tuff_op_info *)0)->variant / sizeof(char *) == TUFF_OP_VARIANTS,
               "every variant has a place");
_Static_assert(sizeof((tuff_op_info *)0)->host / sizeof(char *) == TUFF_OP_HOSTS,
               "every kernel of the CPU path has a place");

// A switch without a default, so that the compiler names a type that is missing.
static const char *type_text(const tuff_field *f)
{
    switch (f->type) {
    case TUFF_FIELD_INT: return f->counted ? "int, none where it is below 0 or absent" : "int";
    case TUFF_FIELD_INT64:
    case TUFF_FIELD_UINT64: return "int";
    case TUFF_FIELD_BOOL: return "0 or 1";
    case TUFF_FIELD_FLOAT: return "real";
    case TUFF_FIELD_FLOATS: return "list of real";
    case TUFF_FIELD_INTS: return "list of int";
    case TUFF_FIELD_AXIS: return "axis";
    case TUFF_FIELD_AXES: return "list of axes";
    case TUFF_FIELD_DIMS: return f->count == 1 ? "axis" : "list of axes";
    case TUFF_FIELD_ENUM: return "one of";
    case TUFF_FIELD_DTYPE: return "type of element";
    }
    return "";
}

bool tuff_op_get_info(int index, tuff_op_info *info)
{
    if (index < 0 || index >= tuff_op_count()) return false;
    const tuff_op *op = tuff_op_at(index);
    *info = (tuff_op_info){ .name = op->name, .doc = op->doc, .onnx = op->onnx };
    for (const tuff_port *p = op->in; p->name; p++) {
        info->input_dtypes[info->inputs] = p->dtypes;
        info->optional[info->inputs] = p->optional;
        info->input[info->inputs++] = p->name;
    }
    for (const tuff_port *p = op->out; p->name; p++) info->output[info->outputs++] = p->name;
    for (const tuff_field *f = op->params; f < op->params + TUFF_OP_PARAMS && f->name; f++) {
        info->choices[info->attributes] = f->names;
        info->attribute_type[info->attributes] = type_text(f);
        info->attribute[info->attributes++] = f->onnx ? f->onnx : f->name;
    }
    for (const tuff_variant *v = op->variants; v < op->variants + TUFF_OP_VARIANTS && v->name;
         v++)
        info->variant[info->variants++] = v->name;
    for (const tuff_host *h = op->hosts; h < op->hosts + TUFF_OP_HOSTS && h->name; h++)
        info->host[info->hosts++] = h->name;
    info->gradient = op->grad != NULL;
    info->tolerance = op->tol.f32;
    return true;
}

static tuff_status create_outputs(tuff_device *dev, const tuff_call *c, tuff_tensor *out[])
{
    for (int i = 0; i < c->nout; i++)
        TUFF_TRY(tuff_tensor_create(dev, c->out[i], &out[i]));
    return TUFF_OK;
}

static tuff_status apply(tuff_stream *s, tuff_call *c, const tuff_tensor *const in[],
                         const char *const attributes[], int count, void *params,
                         tuff_tensor *out[])
{
    const int rank = c->nin && in[0] ? in[0]->desc.rank : c->out[0].rank;
    for (int i = 0; i < c->nin; i++)
        if (in[i]) c->in[i] = in[i]->desc;
    for (int i = 0; i < count; i++)
        TUFF_TRY(tuff_field_parse(c->op, TUFF_DIALECT_ONNX, rank, attributes[i], params,
                                  NULL));
    TUFF_TRY(tuff_call_infer(c));
    TUFF_TRY(create_outputs(tuff_stream_device(s), c, out));
    return tuff_run(s, c->op, in, c->nin, out, c->nout, params);
}

tuff_status tuff_op_apply(tuff_stream *s, const char *name, const tuff_tensor *const in[],
                          int nin, const char *const attributes[], int count,
                          const tuff_desc *shape, tuff_tensor *out[8], int *nout)
{
    uint64_t params[512 / 8] = { 0 };
    memset(out, 0, TUFF_OP_OUT * sizeof *out);
    *nout = 0;
    const tuff_op *op = tuff_op_find(name);
    TUFF_REQUIRE(op, ARG, "there is no op named '%s'", name);
    TUFF_REQUIRE(nin <= TUFF_OP_IN, ARG, "%s: %d inputs were given", name, nin);
    tuff_call c = { .op = op, .nin = nin, .params = params };
    if (!nin && (!op->in[0].name || op->in[0].optional)) {
        TUFF_REQUIRE(shape, ARG, "%s: without an input, a shape must be given", name);
        c.out[0] = *shape;
    }
    const tuff_status status = apply(s, &c, in, attributes, count, params, out);
    for (int i = 0; status != TUFF_OK && i < TUFF_OP_OUT; i++) tuff_tensor_destroy(&out[i]);
    if (status == TUFF_OK) *nout = c.nout;
    else tuff_fail_prefix(name);
    return status;
}
