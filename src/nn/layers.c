// The kinds of layers: one record each. What a layer takes and does is in its record; that
// its sizes fit is the business of the ops that it emits. layers_row.c has those that work on
// sequences, and layers_op.c those that are one op without parameters.
#include "nn/forms.h"
#include "base/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tuff_sample_print(const tuff_desc *d, char *text, size_t size)
{
    *text = 0;
    for (size_t i = 0, used = 0; i < (size_t)d->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? "x%lld" : "%lld",
                                 (long long)d->dim[i]);
    return text;
}

tuff_status tuff_want_image(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 3, SHAPE,
                 "%s takes samples of channels x rows x columns, it is given %s", l->kind->name,
                 tuff_sample_print(x, text, sizeof text));
    return TUFF_OK;
}

tuff_status tuff_want_row(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 1, SHAPE,
                 "%s takes samples of one dimension, it is given %s: put flatten before it",
                 l->kind->name, tuff_sample_print(x, text, sizeof text));
    return TUFF_OK;
}

tuff_status tuff_want_rows(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 1 || x->rank == 2, SHAPE,
                 "%s takes samples of one dimension, it is given %s: put flatten before it",
                 l->kind->name, tuff_sample_print(x, text, sizeof text));
    return TUFF_OK;
}

void tuff_add_param(tuff_layer_params *p, const char *name, tuff_role_of role, tuff_desc desc)
{
    p->name[p->count] = name;
    p->role[p->count] = role;
    p->stands[p->count] = role < TUFF_BUFFER_ZEROS ? tuff_desc_count(&desc) : 0;
    p->desc[p->count++] = desc;
}

void tuff_add_stored(tuff_layer_params *p, const char *name, tuff_desc desc, int64_t stands)
{
    tuff_add_param(p, name, TUFF_BUFFER_STORED, desc);
    p->stands[p->count - 1] = stands;
}

static bool is_integer(const tuff_emit *e, tuff_var x)
{
    return x.id && tuff_is_integer(tuff_graph_desc(e->g, x));
}

// ---- weights and bias ----------------------------------------------------------------------

// `fake` is the place of FAKE_ARGS.
static tuff_status add_weights(const tuff_layer *l, const tuff_desc *x, tuff_desc weight,
                               bool bias, int fake, tuff_layer_params *p)
{
    if (tuff_is_integer(x)) return tuff_integer_weights(l, weight, bias, p);
    TUFF_REQUIRE(!l->store.bits || l->store.form, ARG, "bits without weights= is of layers "
                 "between quantize and dequantize");
    TUFF_REQUIRE(!l->arg[fake][0] || !l->store.form, ARG,
                 "fake is for weights in f32, not for weights=");
    tuff_add_param(p, "weight", TUFF_PARAM_WEIGHT, weight);
    if (bias) tuff_add_param(p, "bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, weight.dim[0]));
    if (l->arg[fake][0] > 1) tuff_fake_weights(p, weight.dim[0], l->arg[fake + 1][0]);
    return TUFF_OK;
}

static tuff_var weight_of(const tuff_emit *e, const tuff_layer *l, const tuff_var param[],
                          bool bias, int fake)
{
    if (!l->arg[fake][0]) return param[0];
    if (l->arg[fake][0] == 1) return tuff_fake_sign(e, param[0], l->arg[fake + 1][0]);
    return tuff_fake_weight(e, param[0], param + 1 + bias, l->arg[fake][0]);
}

// ---- conv --------------------------------------------------------------------------------

enum {
    CONV_OUT, CONV_KERNEL, CONV_STRIDE, CONV_PAD, CONV_DILATION, CONV_GROUP, CONV_BIAS,
    CONV_FAKE // and what has a step of its own
};
_Static_assert((int)CONV_GROUP == (int)TUFF_ARG_GROUP, "who leaves channels out sets it");

static tuff_status conv_weights(const tuff_layer *l, const tuff_desc *x, int64_t out,
                                int64_t in, tuff_layer_params *p)
{
    const tuff_desc weight = TUFF_SHAPE(TUFF_F32, out, in, l->arg[CONV_KERNEL][0],
                                        l->arg[CONV_KERNEL][1]);
    return add_weights(l, x, weight, l->arg[CONV_BIAS][0], CONV_FAKE, p);
}

static tuff_status conv_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_image(l, x));
    const int64_t out = l->arg[CONV_OUT][0], group = l->arg[CONV_GROUP][0];
    TUFF_REQUIRE(out % group == 0 && x->dim[0] % group == 0, SHAPE,
                 "group=%lld divides not both its %lld input and %lld output channels",
                 (long long)group, (long long)x->dim[0], (long long)out);
    return conv_weights(l, x, out, x->dim[0] / group, p);
}

static tuff_var conv_emit(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                          const tuff_var param[], int group)
{
    const int *pad = l->arg[CONV_PAD];
    tuff_conv_params p = {
        .stride = { l->arg[CONV_STRIDE][0], l->arg[CONV_STRIDE][1] },
        .pad = { pad[0], pad[1], pad[0], pad[1] },
        .dilation = { l->arg[CONV_DILATION][0], l->arg[CONV_DILATION][1] },
        .group = group,
    };
    const bool bias = l->arg[CONV_BIAS][0];
    if (is_integer(e, x)) {
        memcpy(p.kernel, l->arg[CONV_KERNEL], sizeof l->arg[CONV_KERNEL]);
        return tuff_integer_conv(e, l, x, param, &p, bias);
    }
    const tuff_var in[] = { x, weight_of(e, l, param, bias, CONV_FAKE), param[1] };
    return tuff_graph_op(e->g, "conv2d", in, bias ? 3 : 2, &p);
}

static tuff_var conv_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                             const tuff_var param[])
{
    (void)n;
    return conv_emit(e, l, x[0], param, l->arg[CONV_GROUP][0]);
}

// Its arguments have the places of conv's, with a multiplier instead of the channels.
static tuff_status dwconv_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_image(l, x));
    return conv_weights(l, x, x->dim[0] * l->arg[CONV_OUT][0], 1, p);
}

static tuff_var dwconv_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                               int n, const tuff_var param[])
{
    (void)n;
    if (!x[0].id) return x[0];
    return conv_emit(e, l, x[0], param, (int)tuff_graph_desc(e->g, x[0])->dim[1]);
}

// ---- dense -------------------------------------------------------------------------------

enum { DENSE_OUT, DENSE_BIAS, DENSE_FAKE };

static tuff_status dense_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_rows(l, x));
    const int64_t out = l->arg[DENSE_OUT][0];
    const tuff_desc weight = TUFF_SHAPE(TUFF_F32, out, x->dim[x->rank - 1]);
    return add_weights(l, x, weight, l->arg[DENSE_BIAS][0], DENSE_FAKE, p);
}

// By the weights as they are stored, where there are kernels for it.
static tuff_var stored_dense(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                             const tuff_var param[], bool bias)
{
    if (!l->store.form || !x.id) return (tuff_var){ 0 };
    const tuff_desc *d = tuff_graph_desc(e->g, x);
    const tuff_desc w = TUFF_SHAPE(TUFF_F32, l->arg[DENSE_OUT][0], d->dim[d->rank - 1]);
    return tuff_stored_product(e, l, x, &w, bias ? param[1] : (tuff_var){ 0 });
}

static tuff_var dense_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                              int n, const tuff_var param[])
{
    (void)n;
    const bool bias = l->arg[DENSE_BIAS][0];
    if (is_integer(e, x[0])) return tuff_integer_dense(e, l, x[0], param, bias);
    const tuff_var y = stored_dense(e, l, x[0], param, bias);
    if (y.id) return y;
    const tuff_var in[] = { x[0], weight_of(e, l, param, bias, DENSE_FAKE), param[1] };
    return tuff_graph_op(e->g, "matmul", in, bias ? 3 : 2,
                         &(tuff_matmul_params){ .trans_b = true });
}

// ---- pooling -----------------------------------------------------------------------------

enum { POOL_KERNEL, POOL_STRIDE, POOL_PAD };

static tuff_status pool_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)p;
    return tuff_want_image(l, x);
}

// A mean of 8-bit numbers has a scale of its own.
static tuff_status mean_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    if (tuff_is_integer(x)) tuff_integer_ends(p);
    return tuff_want_image(l, x);
}

static tuff_pool2d_params pool_of(const tuff_layer *l)
{
    const int *pad = l->arg[POOL_PAD];
    return (tuff_pool2d_params){
        .kernel = { l->arg[POOL_KERNEL][0], l->arg[POOL_KERNEL][1] },
        .stride = { l->arg[POOL_STRIDE][0], l->arg[POOL_STRIDE][1] },
        .pad = { pad[0], pad[1], pad[0], pad[1] },
        .count_include_pad = true, // as PyTorch's AvgPool2d
    };
}

static tuff_var maxpool_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                int n, const tuff_var param[])
{
    const tuff_pool2d_params p = pool_of(l);
    (void)n, (void)param;
    if (is_integer(e, x[0])) return tuff_integer_max(e, x[0], &p);
    return tuff_graph_op(e->g, "max_pool2d", x, 1, &p);
}

static tuff_var avgpool_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                int n, const tuff_var param[])
{
    const tuff_pool2d_params p = pool_of(l);
    (void)n;
    if (is_integer(e, x[0])) return tuff_integer_mean(e, x[0], param, &p);
    return tuff_graph_op(e->g, "average_pool2d", x, 1, &p);
}

// A number a channel: its mean, or its largest, over rows and columns.
static tuff_var over_image(const tuff_emit *e, tuff_var x, const char *op)
{
    const tuff_reduce_params p = { .axes = 1u << 0 | 1u << 1 };
    return tuff_graph_op(e->g, op, &x, 1, &p);
}

static tuff_var gap_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                            const tuff_var param[])
{
    (void)l, (void)n;
    if (is_integer(e, x[0])) return tuff_integer_gap(e, x[0], param);
    return over_image(e, x[0], "reduce_mean");
}

static tuff_var gmp_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                            const tuff_var param[])
{
    (void)l, (void)n, (void)param;
    return over_image(e, x[0], "reduce_max");
}

// ---- batch norm ----------------------------------------------------------------------------

enum { BN_EPS, BN_MOMENTUM };

static tuff_status bn_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    const tuff_desc channels = TUFF_SHAPE(TUFF_F32, x->dim[0]);
    tuff_add_param(p, "weight", TUFF_PARAM_ONES, channels);
    tuff_add_param(p, "bias", TUFF_PARAM_ZEROS, channels);
    tuff_add_param(p, "running_mean", TUFF_BUFFER_ZEROS, channels);
    tuff_add_param(p, "running_var", TUFF_BUFFER_ONES, channels);
    return TUFF_OK;
}

// momentum as PyTorch has it: the part of the new statistics.
static tuff_var bn_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                           const tuff_var param[])
{
    (void)n;
    const double kept = 1 - (double)l->real[BN_MOMENTUM];
    const tuff_batch_norm_params p = { .epsilon = tuff_or_zero((double)l->real[BN_EPS]),
                                       .momentum = tuff_or_zero(kept), .unbiased = true };
    const tuff_var in[] = { x[0], param[0], param[1], param[2], param[3] };
    if (!e->training) return tuff_graph_op(e->g, "batch_norm", in, 5, &p);
    tuff_var out[4];
    tuff_graph_op_n(e->g, "batch_norm_train", in, 5, &p, out, 4);
    for (int i = 0; e->tensor && i < 2; i++)
        tuff_graph_store(e->g, out[1 + i], e->tensor[2 + i]);
    return out[0];
}

// ---- group norm ----------------------------------------------------------------------------

static tuff_status gn_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    const tuff_desc channels = TUFF_SHAPE(TUFF_F32, x->dim[0]);
    tuff_add_param(p, "weight", TUFF_PARAM_ONES, channels);
    tuff_add_param(p, "bias", TUFF_PARAM_ZEROS, channels);
    return TUFF_OK;
}

static tuff_var gn_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                           const tuff_var param[])
{
    (void)n;
    const tuff_group_norm_params p = { .epsilon = tuff_or_zero((double)l->real[1]),
                                       .num_groups = l->arg[0][0] };
    const tuff_var in[] = { x[0], param[0], param[1] };
    tuff_var out[3];
    tuff_graph_op_n(e->g, "group_norm", in, 3, &p, out, 3);
    return out[0];
}

// ---- shape -------------------------------------------------------------------------------

static tuff_var flatten_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                int n, const tuff_var param[])
{
    (void)l, (void)n, (void)param;
    if (!x[0].id) return x[0];
    tuff_desc d = *tuff_graph_desc(e->g, x[0]);
    d.dim[1] = tuff_desc_count(&d) / d.dim[0];
    d.rank = 2;
    return tuff_graph_reshape(e->g, x[0], d);
}

// Channels of zeros, as the shortcuts without weights of He et al. (1512.03385) have them.
static tuff_status channelpad_params(const tuff_layer *l, const tuff_desc *x,
                                     tuff_layer_params *p)
{
    if (tuff_is_integer(x)) tuff_add_stored(p, "zero_point", TUFF_SCALAR(TUFF_I8), 0);
    return tuff_want_image(l, x);
}

static tuff_var channelpad_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                   int n, const tuff_var param[])
{
    (void)n;
    if (is_integer(e, x[0]))
        return tuff_integer_channelpad(e, x[0], param[0], l->arg[0][0], l->arg[1][0]);
    const tuff_pad_params p = { .pads = { 0, l->arg[0][0], 0, 0, 0, l->arg[1][0] } };
    return tuff_graph_op(e->g, "pad", x, 1, &p);
}

// ---- joins ---------------------------------------------------------------------------------

static tuff_status add_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    if (tuff_is_integer(x)) tuff_integer_sum_ends(p);
    return TUFF_OK;
}

static tuff_var add_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                            const tuff_var param[])
{
    (void)l, (void)n;
    const tuff_desc *a = tuff_graph_desc(e->g, x[0]), *b = tuff_graph_desc(e->g, x[1]);
    // A sum that repeats one of them would be legal for the op, and a mistake here.
    if (a && b && !tuff_desc_equal(a, b)) {
        char ta[96], tb[96];
        e->g->tape.status = tuff_fail(TUFF_ERR_SHAPE, "residual: its chain gives %s and its "
                                      "shortcut %s, they must be equal",
                                      tuff_desc_print(a, ta, sizeof ta),
                                      tuff_desc_print(b, tb, sizeof tb));
        return (tuff_var){ 0 };
    }
    if (is_integer(e, x[0])) return tuff_integer_sum(e, x, param);
    return tuff_graph_op(e->g, "add", x, 2, NULL);
}

// Along the first dimension of a sample: the channels of an image.
static tuff_var concat_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                               int n, const tuff_var param[])
{
    (void)l, (void)param;
    const tuff_desc *d = tuff_graph_desc(e->g, x[0]);
    const tuff_concat_params p = { .axis = d ? d->rank - 2 : 0 };
    return tuff_graph_op(e->g, "concat", x, n, &p);
}

const tuff_layer_kind tuff_join_add = { .name = "add", .usage = "", .doc = "",
                                        .params = add_params, .scales = true,
                                        .forward = add_forward };
const tuff_layer_kind tuff_join_concat = { .name = "concat", .usage = "", .doc = "",
                                           .scales = true, .selects = true,
                                           .forward = concat_forward };

// ---- the records ---------------------------------------------------------------------------

#define POOL_ARGS                                                               \
    { PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),                                  \
      ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 0),                        \
      ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0) }

const tuff_layer_kind tuff_layers_image[] = {
    { .name = "conv", .mixing = TUFF_MIX_CONV,
      .usage = "conv CHANNELS KERNEL [stride=1] [pad=0] [dilation=1] [group=1] [bias=yes] "
               "[fake=BITS] [fake_per=channel]",
      .doc = "Convolution into CHANNELS channels with a KERNEL x KERNEL (or ROWSxCOLUMNS) "
             "window. fake: trains as if weights had so many bits.",
      .arg = { PLACE("CHANNELS", TUFF_ARG_INT, WIDEST),
               PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),
               ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0),
               ATTRIBUTE("dilation", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("group", TUFF_ARG_INT, 1, WIDEST, 1), SWITCH("bias", 1), FAKE_ARGS },
      .params = conv_params, .forward = conv_forward, .zeros = tuff_integer_zeros },
    { .name = "dwconv", .mixing = TUFF_MIX_DEPTH,
      .usage = "dwconv KERNEL [multiplier=1] [stride=1] [pad=0] [dilation=1] [bias=yes] "
               "[fake=BITS] [fake_per=channel]",
      .doc = "Depthwise convolution: each channel with a window of its own.",
      .arg = { ATTRIBUTE("multiplier", TUFF_ARG_INT, 1, LONGEST, 1),
               PLACE("KERNEL", TUFF_ARG_PAIR, LONGEST),
               ATTRIBUTE("stride", TUFF_ARG_PAIR, 1, LONGEST, 1),
               ATTRIBUTE("pad", TUFF_ARG_PAIR, 0, LONGEST, 0),
               ATTRIBUTE("dilation", TUFF_ARG_PAIR, 1, LONGEST, 1),
               HIDDEN, SWITCH("bias", 1), FAKE_ARGS },
      .params = dwconv_params, .forward = dwconv_forward, .zeros = tuff_integer_zeros },
    { .name = "dense", .mixing = TUFF_MIX_DENSE,
      .usage = "dense UNITS [bias=yes] [fake=BITS] [fake_per=channel]",
      .doc = "UNITS outputs, each a weighted sum of all inputs; after images it needs flatten.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), SWITCH("bias", 1), FAKE_ARGS },
      .params = dense_params, .forward = dense_forward, .zeros = tuff_integer_zeros },
    { .name = "maxpool", .mixing = TUFF_MIX_NONE, .scales = true, .selects = true,
      .usage = "maxpool KERNEL [stride=KERNEL] [pad=0]",
      .doc = "The largest value in each KERNEL x KERNEL window.",
      .arg = POOL_ARGS, .params = pool_params, .forward = maxpool_forward },
    { .name = "avgpool", .mixing = TUFF_MIX_NONE, .scales = true,
      .usage = "avgpool KERNEL [stride=KERNEL] [pad=0]",
      .doc = "The mean of each KERNEL x KERNEL window; zeros of the padding count.",
      .arg = POOL_ARGS, .params = mean_params, .forward = avgpool_forward },
    { .name = "gap", .mixing = TUFF_MIX_NONE, .scales = true,
      .usage = "gap",
      .doc = "Global average pooling: the mean of each channel, as one row.",
      .params = mean_params, .forward = gap_forward },
    { .name = "gmp", .mixing = TUFF_MIX_NONE, .scales = true, .selects = true,
      .usage = "gmp",
      .doc = "Global maximum pooling: the largest value of each channel, as one row.",
      .params = pool_params, .forward = gmp_forward },
    { .name = "bn", .mixing = TUFF_MIX_NONE,
      .usage = "bn [eps=1e-05] [momentum=0.1]",
      .doc = "Batch norm of each channel, with running statistics for testing.",
      .arg = { REAL("eps", 1e-12f, 1, 1e-5f), REAL("momentum", 0, 1, 0.1f) },
      .params = bn_params, .forward = bn_forward },
    { .name = "gn",
      .usage = "gn GROUPS [eps=1e-05]",
      .doc = "Group norm: channels in GROUPS groups, each normalised in its image.",
      .arg = { PLACE("GROUPS", TUFF_ARG_INT, WIDEST), REAL("eps", 1e-12f, 1, 1e-5f) },
      .params = gn_params, .forward = gn_forward },
    { .name = "channelpad", .mixing = TUFF_MIX_PAD, .scales = true, .selects = true,
      .usage = "channelpad BEFORE BEHIND",
      .doc = "So many channels of zeros before and behind those of an image.",
      .arg = { { .name = "BEFORE", .place = true, .type = TUFF_ARG_INT, .max = WIDEST },
               { .name = "BEHIND", .place = true, .type = TUFF_ARG_INT, .max = WIDEST } },
      .params = channelpad_params, .forward = channelpad_forward },
    { .name = "flatten", .mixing = TUFF_MIX_FLATTEN, .scales = true, .selects = true,
      .usage = "flatten",
      .doc = "The same values as one row.",
      .forward = flatten_forward },
    { .name = NULL }
};

// ---- all of them ---------------------------------------------------------------------------

static const tuff_layer_kind *const groups[] = { tuff_layers_image, tuff_layers_row,
                                                 tuff_layers_op, tuff_layers_sparse,
                                                 tuff_layers_integer, tuff_layers_aware,
                                                 tuff_layers_binary };

const tuff_layer_kind *tuff_layer_kind_at(int index)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (const tuff_layer_kind *k = groups[i]; k->name; k++)
            if (index-- == 0) return k;
    return NULL;
}

int tuff_layer_kind_count(void)
{
    int n = 0;
    while (tuff_layer_kind_at(n)) n++;
    return n;
}

int tuff_layer_doc_count(void) { return tuff_layer_kind_count(); }

bool tuff_layer_doc_at(int index, tuff_layer_doc *doc)
{
    const tuff_layer_kind *k = index >= 0 ? tuff_layer_kind_at(index) : NULL;
    if (k) *doc = (tuff_layer_doc){ k->name, k->usage, k->doc };
    return k != NULL;
}

// The shortest decimal number that reads back as the same float.
static size_t print_real(float v, char *text, size_t size)
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, size, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    return strlen(text);
}

static size_t print_value(const tuff_arg_spec *a, const int value[2], float real, char *text,
                          size_t size)
{
    if (a->type == TUFF_ARG_REAL) return print_real(real, text, size);
    if (a->type == TUFF_ARG_SWITCH)
        return (size_t)snprintf(text, size, "%s", value[0] ? "yes" : "no");
    if (a->type == TUFF_ARG_CHOICE || a->type == TUFF_ARG_FORM)
        return (size_t)snprintf(text, size, "%s", tuff_choice_at(a, value[0]));
    if (value[0] == value[1]) return (size_t)snprintf(text, size, "%d", value[0]);
    return (size_t)snprintf(text, size, "%dx%d", value[0], value[1]);
}

const char *tuff_choice_at(const tuff_arg_spec *a, int index)
{
    const tuff_form *f = a->type == TUFF_ARG_FORM ? tuff_form_at(index) : NULL;
    return a->type == TUFF_ARG_FORM ? (f ? f->name : NULL) : a->choices[index];
}

static bool is_standard(const tuff_arg_spec *a, const int v[2], float real)
{
    if (a->place && !a->optional) return false;
    if (a->type == TUFF_ARG_REAL) return real == a->usual;
    return v[0] == a->standard && (a->type != TUFF_ARG_PAIR || v[1] == a->standard);
}

void tuff_layer_print(const tuff_layer *l, char *text)
{
    const size_t size = TUFF_LAYER_TEXT;
    size_t used = (size_t)snprintf(text, size, "%s", l->kind->name);
    // Those in their places first.
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; l->kind->arg[i].name; i++) {
            const tuff_arg_spec *a = &l->kind->arg[i];
            if (!*a->name || a->place == (bool)pass || is_standard(a, l->arg[i], l->real[i]))
                continue;
            used += (size_t)snprintf(text + used, size - used, " %s%s", a->place ? "" : a->name,
                                     a->place ? "" : "=");
            used += print_value(a, l->arg[i], l->real[i], text + used, size - used);
        }
    tuff_storage store = l->store;
    for (int i = 0; tuff_storage_args[i].name; i++) {
        const tuff_arg_spec *a = &tuff_storage_args[i];
        const int v = *tuff_storage_value(&store, i), value[2] = { v, v };
        if (v == a->standard) continue;
        used += (size_t)snprintf(text + used, size - used, " %s=", a->name);
        used += print_value(a, value, 0, text + used, size - used);
    }
}
