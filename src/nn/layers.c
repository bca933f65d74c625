// The kinds of layers: one record each. What a layer takes and does is in its record; that
// its sizes fit is the business of the ops that it emits.
#include "nn/net.h"
#include "base/status.h"
#include <stdio.h>
#include <string.h>

enum { WIDEST = 1000000, LONGEST = 1000 }; // channels and units; kernels, strides and pads
#define PLACE(name_, type_, max_) \
    { .name = name_, .place = true, .type = type_, .min = 1, .max = max_ }
#define ATTRIBUTE(name_, type_, min_, max_, standard_) \
    { .name = name_, .type = type_, .min = min_, .max = max_, .standard = standard_ }
#define SWITCH(name_, standard_) \
    { .name = name_, .type = TUFF_ARG_SWITCH, .max = 1, .standard = standard_ }

// "16x5x5"
static const char *print_sample(const tuff_desc *d, char *text, size_t size)
{
    *text = 0;
    for (size_t i = 0, used = 0; i < (size_t)d->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? "x%lld" : "%lld",
                                 (long long)d->dim[i]);
    return text;
}

static tuff_status want_image(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 3, SHAPE,
                 "%s takes samples of channels x rows x columns, it is given %s", l->kind->name,
                 print_sample(x, text, sizeof text));
    return TUFF_OK;
}

static tuff_status want_row(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 1, SHAPE,
                 "%s takes samples of one dimension, it is given %s: put flatten before it",
                 l->kind->name, print_sample(x, text, sizeof text));
    return TUFF_OK;
}

static void add_param(tuff_layer_params *p, const char *name, tuff_desc desc)
{
    p->name[p->count] = name;
    p->desc[p->count++] = desc;
}

// ---- conv --------------------------------------------------------------------------------

enum { CONV_OUT, CONV_KERNEL, CONV_STRIDE, CONV_PAD, CONV_DILATION, CONV_GROUP, CONV_BIAS };

static tuff_status conv_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(want_image(l, x));
    const int64_t out = l->arg[CONV_OUT][0], group = l->arg[CONV_GROUP][0];
    TUFF_REQUIRE(out % group == 0 && x->dim[0] % group == 0, SHAPE,
                 "group=%lld divides not both its %lld input and %lld output channels",
                 (long long)group, (long long)x->dim[0], (long long)out);
    add_param(p, "weight", TUFF_SHAPE(TUFF_F32, out, x->dim[0] / group, l->arg[CONV_KERNEL][0],
                                      l->arg[CONV_KERNEL][1]));
    if (l->arg[CONV_BIAS][0]) add_param(p, "bias", TUFF_SHAPE(TUFF_F32, out));
    return TUFF_OK;
}

static tuff_var conv_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                             const tuff_var param[])
{
    const int *pad = l->arg[CONV_PAD];
    const tuff_conv2d_params p = {
        .stride = { l->arg[CONV_STRIDE][0], l->arg[CONV_STRIDE][1] },
        .pad = { pad[0], pad[1], pad[0], pad[1] },
        .dilation = { l->arg[CONV_DILATION][0], l->arg[CONV_DILATION][1] },
        .group = l->arg[CONV_GROUP][0],
    };
    const tuff_var in[] = { x, param[0], param[1] };
    return tuff_graph_op(g, "conv2d", in, l->arg[CONV_BIAS][0] ? 3 : 2, &p);
}

// ---- dense -------------------------------------------------------------------------------

enum { DENSE_OUT, DENSE_BIAS };

static tuff_status dense_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(want_row(l, x));
    const int64_t out = l->arg[DENSE_OUT][0];
    add_param(p, "weight", TUFF_SHAPE(TUFF_F32, out, x->dim[0]));
    if (l->arg[DENSE_BIAS][0]) add_param(p, "bias", TUFF_SHAPE(TUFF_F32, out));
    return TUFF_OK;
}

static tuff_var dense_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                              const tuff_var param[])
{
    const tuff_var in[] = { x, param[0], param[1] };
    return tuff_graph_op(g, "matmul", in, l->arg[DENSE_BIAS][0] ? 3 : 2,
                         &(tuff_matmul_params){ .trans_b = true });
}

// ---- pooling -----------------------------------------------------------------------------

enum { POOL_KERNEL, POOL_STRIDE, POOL_PAD };

static tuff_status pool_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)p;
    return want_image(l, x);
}

static tuff_var pool_forward(tuff_graph *g, const tuff_layer *l, tuff_var x, const char *op)
{
    const int *pad = l->arg[POOL_PAD];
    const tuff_pool2d_params p = {
        .kernel = { l->arg[POOL_KERNEL][0], l->arg[POOL_KERNEL][1] },
        .stride = { l->arg[POOL_STRIDE][0], l->arg[POOL_STRIDE][1] },
        .pad = { pad[0], pad[1], pad[0], pad[1] },
        .count_include_pad = true, // as PyTorch's AvgPool2d
    };
    return tuff_graph_op(g, op, &x, 1, &p);
}

static tuff_var maxpool_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                                const tuff_var param[])
{
    (void)param;
    return pool_forward(g, l, x, "max_pool2d");
}

static tuff_var avgpool_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                                const tuff_var param[])
{
    (void)param;
    return pool_forward(g, l, x, "average_pool2d");
}

// ---- layers without arguments --------------------------------------------------------------

// An activation is the op of the same name.
static tuff_var op_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                           const tuff_var param[])
{
    (void)param;
    return tuff_graph_op(g, l->kind->name, &x, 1, NULL);
}

static tuff_status softmax_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)p;
    return want_row(l, x);
}

static tuff_var flatten_forward(tuff_graph *g, const tuff_layer *l, tuff_var x,
                                const tuff_var param[])
{
    (void)l, (void)param;
    if (!x.id) return x;
    tuff_desc d = *tuff_graph_desc(g, x);
    d.dim[1] = tuff_desc_count(&d) / d.dim[0];
    d.rank = 2;
    return tuff_graph_reshape(g, x, d);
}

// ---- the records ---------------------------------------------------------------------------

#define POOL_ARGS                                                               \
    { PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),                                  \
      ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 0),                        \
      ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0) }

static const tuff_layer_kind kinds[] = {
    { .name = "conv",
      .usage = "conv CHANNELS KERNEL [stride=1] [pad=0] [dilation=1] [group=1] [bias=yes]",
      .doc = "Convolution into CHANNELS channels with a KERNEL x KERNEL (or ROWSxCOLUMNS) "
             "window.",
      .arg = { PLACE("CHANNELS", TUFF_ARG_INT, WIDEST),
               PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),
               ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0),
               ATTRIBUTE("dilation", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("group", TUFF_ARG_INT, 1, WIDEST, 1), SWITCH("bias", 1) },
      .params = conv_params, .forward = conv_forward },
    { .name = "dense",
      .usage = "dense UNITS [bias=yes]",
      .doc = "UNITS outputs, each a weighted sum of all inputs; after images it needs flatten.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), SWITCH("bias", 1) },
      .params = dense_params, .forward = dense_forward },
    { .name = "maxpool",
      .usage = "maxpool KERNEL [stride=KERNEL] [pad=0]",
      .doc = "The largest value in each KERNEL x KERNEL window.",
      .arg = POOL_ARGS, .params = pool_params, .forward = maxpool_forward },
    { .name = "avgpool",
      .usage = "avgpool KERNEL [stride=KERNEL] [pad=0]",
      .doc = "The mean of each KERNEL x KERNEL window; zeros of the padding count.",
      .arg = POOL_ARGS, .params = pool_params, .forward = avgpool_forward },
    { .name = "flatten",
      .usage = "flatten",
      .doc = "The same values as one row.",
      .forward = flatten_forward },
    { .name = "relu",
      .usage = "relu",
      .doc = "max(x, 0).",
      .forward = op_forward },
    { .name = "sigmoid",
      .usage = "sigmoid",
      .doc = "1 / (1 + exp(-x)).",
      .forward = op_forward },
    { .name = "tanh",
      .usage = "tanh",
      .doc = "The hyperbolic tangent.",
      .forward = op_forward },
    { .name = "softmax",
      .usage = "softmax",
      .doc = "exp(x) / sum(exp(x)) of one row; not before a cross entropy, which takes logits.",
      .params = softmax_params, .forward = op_forward },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

int tuff_layer_kind_count(void) { return KINDS; }

const tuff_layer_kind *tuff_layer_kind_at(int index) { return &kinds[index]; }

int tuff_layer_doc_count(void) { return KINDS; }

bool tuff_layer_doc_at(int index, tuff_layer_doc *doc)
{
    if (index < 0 || index >= KINDS) return false;
    *doc = (tuff_layer_doc){ kinds[index].name, kinds[index].usage, kinds[index].doc };
    return true;
}

static size_t print_value(tuff_arg_type type, const int value[2], char *text, size_t size)
{
    if (type == TUFF_ARG_SWITCH)
        return (size_t)snprintf(text, size, "%s", value[0] ? "yes" : "no");
    if (value[0] == value[1]) return (size_t)snprintf(text, size, "%d", value[0]);
    return (size_t)snprintf(text, size, "%dx%d", value[0], value[1]);
}

void tuff_layer_print(const tuff_layer *l, char *text)
{
    const size_t size = TUFF_LAYER_TEXT;
    size_t used = (size_t)snprintf(text, size, "%s", l->kind->name);
    for (int i = 0; l->kind->arg[i].name; i++) {
        const tuff_arg_spec *a = &l->kind->arg[i];
        const int *v = l->arg[i];
        const bool pair = a->type == TUFF_ARG_PAIR;
        if (!a->place && v[0] == a->standard && (!pair || v[1] == a->standard)) continue;
        used += (size_t)snprintf(text + used, size - used, " %s%s", a->place ? "" : a->name,
                                 a->place ? "" : "=");
        used += print_value(a->type, v, text + used, size - used);
    }
}
