// Models; declared in <tuff/nn.h>. A model is laid out once, on a throw-away graph whose ops
// infer every shape; the flat tensor of weights is then made and filled.
#include "nn/model.h"
#include "nn/forms.h"
#include "base/alloc.h"
#include "graph/graph.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- layout --------------------------------------------------------------------------------

static tuff_desc batched(const tuff_desc *sample, int64_t n)
{
    tuff_desc d = { .dtype = sample->dtype, .rank = sample->rank + 1, .dim = { n } };
    memcpy(d.dim + 1, sample->dim, (size_t)sample->rank * sizeof *d.dim);
    return d;
}

static tuff_desc unbatched(const tuff_desc *batch)
{
    tuff_desc d = { .dtype = batch->dtype, .rank = batch->rank - 1 };
    memcpy(d.dim, batch->dim + 1, (size_t)d.rank * sizeof *d.dim);
    return d;
}

static tuff_status name_layer(tuff_status status, const tuff_model_part *part)
{
    return tuff_fail(status, "layer %s (%s): %s", part->item.name, part->text,
                     tuff_last_error());
}

// Floats of the flat tensor that it takes, with the gap behind it.
static int64_t room(const tuff_param *p)
{
    const int64_t floats = (int64_t)((tuff_desc_bytes(&p->desc) + 3) / 4);
    return (floats + TUFF_PARAM_ALIGN - 1) / TUFF_PARAM_ALIGN * TUFF_PARAM_ALIGN;
}

static tuff_status add_param(tuff_model *m, const tuff_model_part *part,
                             const tuff_layer_params *params, int i)
{
    TUFF_TRY(tuff_desc_check(&params->desc[i]));
    tuff_param *p = &m->param[m->params++];
    snprintf(p->name, sizeof p->name, "%.240s.%.40s", part->item.name, params->name[i]);
    p->desc = params->desc[i];
    p->count = tuff_desc_count(&p->desc);
    p->role = params->role[i];
    p->stands = params->stands[i];
    p->clip = params->clip[i];
    m->parameters += p->stands;
    m->elements += p->count;
    m->flat += room(p);
    TUFF_REQUIRE(m->flat <= INT32_MAX, LIMIT,
                 "the net has %lld parameters up to here, one tensor holds 2^31 - 1",
                 (long long)m->parameters);
    return TUFF_OK;
}

// What is trained comes first, so that an update sees nothing else.
static void place_params(tuff_model *m)
{
    int64_t at = 0;
    for (int buffers = 0; buffers < 2; buffers++) {
        for (int i = 0; i < m->params; i++) {
            if (tuff_is_buffer(m->param[i].role) != (bool)buffers) continue;
            m->param[i].offset = at;
            at += room(&m->param[i]);
        }
        // A net without parameters keeps one gap, so that the flat tensor is always there.
        if (!buffers && !at) at = TUFF_PARAM_ALIGN;
        if (!buffers) m->trained_flat = at;
    }
    m->flat = at;
}

// The values that an item takes, of those that the net has made so far.
static void gather_inputs(const tuff_net_item *item, tuff_var input, const tuff_var made[],
                          tuff_var x[])
{
    for (int i = 0; i < item->nin; i++)
        x[i] = item->in[i] == TUFF_NET_INPUT ? input : made[item->in[i]];
}

// Gives a layer its parameters and finds the shape of what it makes of its inputs.
static tuff_status lay_out(tuff_model *m, int index, tuff_graph *g, tuff_var input,
                           tuff_var made[])
{
    tuff_model_part *part = &m->part[index];
    const tuff_layer *l = &part->item.layer;
    const tuff_emit e = { .g = g, .index = index };
    tuff_layer_params params = { 0 };
    tuff_var var[TUFF_LAYER_PARAMS] = { { 0 } }, x[TUFF_NET_BRANCHES];
    tuff_layer_print(l, part->text);
    gather_inputs(&part->item, input, made, x);
    part->input = unbatched(tuff_graph_desc(g, x[0]));
    part->param = m->params;
    m->random |= l->kind->random;
    TUFF_TRY(tuff_layer_stored(l, &part->input, &params));
    for (int i = 0; i < params.count; i++) {
        TUFF_TRY(add_param(m, part, &params, i));
        var[i] = tuff_graph_input(g, NULL, params.desc[i]);
    }
    part->params = params.count;
    made[index] = tuff_layer_emit(&e, l, &part->input, x, part->item.nin, var);
    TUFF_TRY(tuff_graph_status(g));
    const tuff_desc *d = tuff_graph_desc(g, made[index]);
    TUFF_REQUIRE(d->rank >= 1, SHAPE, "it gives nothing for a sample");
    part->output = unbatched(d);
    return TUFF_OK;
}

static tuff_status lay_out_all(tuff_model *m)
{
    tuff_graph *g = NULL;
    tuff_status status = TUFF_OK;
    tuff_var *made = tuff_alloc((size_t)m->parts, sizeof *made);
    if (!made) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_graph_create(&g));
    const tuff_var input = tuff_graph_input(g, NULL, batched(&m->input, 1));
    status = tuff_graph_status(g);
    for (int i = 0; i < m->parts && status == TUFF_OK; i++) {
        status = lay_out(m, i, g, input, made);
        if (status != TUFF_OK) status = name_layer(status, &m->part[i]);
    }
    if (status == TUFF_OK) m->output = m->part[m->parts - 1].output;
    place_params(m);
exit:
    tuff_graph_destroy(&g);
    tuff_free(made);
    return status;
}

static tuff_status read_net(tuff_model *m, const char *net, bool text)
{
    tuff_net *tree;
    tuff_net_item *items = NULL;
    tuff_status status = TUFF_OK;
    TUFF_TRY((text ? tuff_net_parse : tuff_net_open)(net, &tree));
    TUFF_GO(tuff_net_flatten(tree, &items, &m->parts));
    TUFF_GO(tuff_net_print(tree, &m->text));
    m->part = tuff_alloc((size_t)m->parts, sizeof *m->part);
    m->param = tuff_alloc((size_t)m->parts * TUFF_LAYER_PARAMS, sizeof *m->param);
    if (!m->part || !m->param) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0; i < m->parts; i++) m->part[i].item = items[i];
exit:
    tuff_free(items);
    tuff_net_free(&tree);
    return status;
}

// ---- weights -------------------------------------------------------------------------------

static tuff_status write_piece(tuff_model *m, int64_t first, int64_t n, const float *data)
{
    tuff_tensor *view;
    TUFF_TRY(tuff_tensor_view(m->weights, first, TUFF_SHAPE(TUFF_F32, n), &view));
    const tuff_status status = tuff_tensor_write(m->stream, view, data,
                                                 (size_t)n * sizeof *data);
    tuff_tensor_destroy(&view);
    return status;
}

// By pieces: a model that is decoded from a file is never whole in host memory.
static tuff_status start_weights(tuff_model *m, const tuff_init *init, uint64_t seed)
{
    enum { PIECE = 1 << 18 };
    tuff_status status = TUFF_OK;
    const int64_t most = m->flat < PIECE ? m->flat : PIECE;
    float *data = tuff_alloc((size_t)most, sizeof *data);
    if (!data) return TUFF_ERR_MEMORY;
    for (int64_t at = 0; at < m->flat && status == TUFF_OK; at += PIECE) {
        const int64_t n = m->flat - at < PIECE ? m->flat - at : PIECE;
        tuff_init_fill(init, seed, m->param, m->params, at, n, data);
        status = write_piece(m, at, n, data);
    }
    tuff_free(data);
    return status == TUFF_OK ? tuff_stream_wait(m->stream) : status;
}

static tuff_status make_weights(tuff_model *m, const tuff_init *init, uint64_t seed)
{
    TUFF_TRY(tuff_tensor_create(m->device, TUFF_SHAPE(TUFF_F32, m->flat), &m->weights));
    TUFF_TRY(tuff_tensor_view(m->weights, 0, TUFF_SHAPE(TUFF_F32, m->trained_flat),
                              &m->trained));
    for (int i = 0; i < m->params; i++) {
        tuff_param *p = &m->param[i];
        TUFF_TRY(tuff_tensor_view(m->weights, p->offset, p->desc, &p->view));
    }
    return start_weights(m, init, seed);
}

static tuff_status check_params(const tuff_model_params *p)
{
    char text[96];
    TUFF_REQUIRE(p && p->net, ARG, "model: no net was given");
    TUFF_REQUIRE(p->input.dtype == TUFF_F32 && p->input.rank >= 1 &&
                     p->input.rank < TUFF_MAX_DIMS,
                 ARG, "model: a sample is %s, expected f32 of 1 to %d dims",
                 tuff_desc_print(&p->input, text, sizeof text), TUFF_MAX_DIMS - 1);
    TUFF_TRY(tuff_desc_check(&p->input));
    return tuff_init_check(&p->init);
}

tuff_status tuff_model_build(tuff_device *device, const tuff_model_params *p, int64_t most,
                             tuff_model **model)
{
    *model = NULL;
    TUFF_TRY(check_params(p));
    tuff_model *m = tuff_alloc(1, sizeof *m);
    if (!m) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    m->device = device;
    m->input = p->input;
    TUFF_GO(read_net(m, p->net, most >= 0));
    TUFF_GO(lay_out_all(m));
    if (most >= 0 && m->elements > most)
        TUFF_GO(tuff_fail(TUFF_ERR_FORMAT,
                          "the net has %lld parameters, the file holds %lld numbers",
                          (long long)m->elements, (long long)most));
    TUFF_GO(tuff_stream_create(device, &m->stream));
    TUFF_GO(make_weights(m, &p->init, p->seed));
    *model = m;
    m = NULL;
exit:
    tuff_model_destroy(&m);
    return status;
}

tuff_status tuff_model_create(tuff_device *device, const tuff_model_params *p,
                              tuff_model **model)
{
    return tuff_model_build(device, p, -1, model);
}

void tuff_model_destroy(tuff_model **model)
{
    if (!model || !*model) return;
    tuff_model *m = *model;
    for (int i = 0; i < m->params; i++) tuff_tensor_destroy(&m->param[i].view);
    tuff_tensor_destroy(&m->trained);
    tuff_tensor_destroy(&m->weights);
    tuff_stream_destroy(&m->stream);
    tuff_free(m->data_memory);
    tuff_free(m->param);
    tuff_free(m->part);
    tuff_free(m->text);
    tuff_free(m);
    *model = NULL;
}

// ---- what there is -------------------------------------------------------------------------

tuff_device *tuff_model_device(const tuff_model *m) { return m->device; }
const char *tuff_model_net(const tuff_model *m) { return m->text; }
const tuff_desc *tuff_model_input(const tuff_model *m) { return &m->input; }
const tuff_desc *tuff_model_output(const tuff_model *m) { return &m->output; }
int tuff_model_layer_count(const tuff_model *m) { return m->parts; }
int tuff_model_param_count(const tuff_model *m) { return m->params; }
int64_t tuff_model_parameters(const tuff_model *m) { return m->parameters; }
tuff_tensor *tuff_model_weights(const tuff_model *m) { return m->weights; }
tuff_tensor *tuff_model_trained(const tuff_model *m) { return m->trained; }
bool tuff_model_random(const tuff_model *m) { return m->random; }

bool tuff_model_layer(const tuff_model *m, int index, tuff_layer_info *info)
{
    if (index < 0 || index >= m->parts) return false;
    const tuff_model_part *part = &m->part[index];
    *info = (tuff_layer_info){ .text = part->text, .name = part->item.name,
                               .input = part->input,
                               .output = part->output, .param = part->param,
                               .params = part->params };
    for (int i = 0; i < part->params; i++)
        info->parameters += m->param[part->param + i].stands;
    return true;
}

bool tuff_model_param(const tuff_model *m, int index, tuff_param_info *info)
{
    if (index < 0 || index >= m->params) return false;
    const tuff_param *p = &m->param[index];
    *info = (tuff_param_info){ p->name, p->desc, p->offset, p->view, tuff_is_buffer(p->role) };
    return true;
}

const char *tuff_model_stored(const tuff_model *m)
{
    for (int i = 0; i < m->params; i++)
        if (m->param[i].role == TUFF_BUFFER_STORED)
            return ": its weights lie in a form that is run, take the net that it was made of, "
                   "or floats of it (tuff_dequantize, tuff quantize --scheme float)";
    return "";
}

bool tuff_model_is_scale(const tuff_model *m, int param)
{
    bool norm = false;
    for (int i = 0; i < m->parts; i++) {
        const tuff_model_part *part = &m->part[i];
        if (param < part->param || param >= part->param + part->params) continue;
        norm = tuff_mixing_of(&part->item.layer) == TUFF_MIX_NONE;
    }
    return norm && m->param[param].role == TUFF_PARAM_ONES;
}

static tuff_status find_param(const tuff_model *m, const char *name, int64_t count,
                              const tuff_param **param)
{
    for (int i = 0; i < m->params; i++) {
        if (strcmp(m->param[i].name, name) != 0) continue;
        *param = &m->param[i];
        TUFF_REQUIRE(count == (*param)->count, ARG,
                     "model: %s has %lld elements, %lld were asked for", name,
                     (long long)(*param)->count, (long long)count);
        TUFF_REQUIRE((*param)->desc.dtype == TUFF_F32, ARG, "model: %s is %s, expected f32",
                     name, tuff_dtype_name((*param)->desc.dtype));
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_ARG, "model: there is no parameter '%.64s'", name);
}

tuff_status tuff_model_get(tuff_model *m, const char *name, float *data, int64_t count)
{
    const tuff_param *p;
    TUFF_TRY(find_param(m, name, count, &p));
    return tuff_tensor_read(m->stream, p->view, data, (size_t)count * sizeof *data);
}

tuff_status tuff_model_set(tuff_model *m, const char *name, const float *data, int64_t count)
{
    const tuff_param *p;
    TUFF_TRY(find_param(m, name, count, &p));
    TUFF_TRY(tuff_tensor_write(m->stream, p->view, data, (size_t)count * sizeof *data));
    return tuff_stream_wait(m->stream);
}

// ---- what it knows of its data -------------------------------------------------------------

static tuff_status check_data(const tuff_model *m, const tuff_model_data *d)
{
    TUFF_REQUIRE(d->channels >= 0 && d->classes >= 0, ARG, "model: %d channels, %d classes",
                 d->channels, d->classes);
    TUFF_REQUIRE(!d->channels || d->channels == m->input.dim[0], ARG,
                 "model: numbers for %d channels were given, a sample has %lld", d->channels,
                 (long long)m->input.dim[0]);
    for (int i = 0; i < d->channels; i++)
        TUFF_REQUIRE(isfinite(d->scale[i]) && isfinite(d->shift[i]), ARG,
                     "model: channel %d is normalised by %g and %g, expected finite numbers", i,
                     (double)d->scale[i], (double)d->shift[i]);
    return TUFF_OK;
}

// One block: pointers to the names, the numbers, the names.
tuff_status tuff_model_set_data(tuff_model *m, const tuff_model_data *d)
{
    TUFF_TRY(check_data(m, d));
    const size_t names = d->class_names ? (size_t)d->classes : 0;
    const size_t channels = (size_t)d->channels;
    size_t bytes = names * sizeof(char *) + 2 * channels * sizeof(float);
    for (size_t i = 0; i < names; i++) bytes += strlen(d->class_names[i]) + 1;
    char *memory = tuff_alloc(bytes, 1);
    if (!memory) return TUFF_ERR_MEMORY;
    const char **name = (const char **)(void *)memory;
    float *scale = (float *)(void *)(memory + names * sizeof *name), *shift = scale + channels;
    char *text = (char *)(shift + channels);
    if (channels) memcpy(scale, d->scale, channels * sizeof *scale);
    if (channels) memcpy(shift, d->shift, channels * sizeof *shift);
    for (size_t i = 0; i < names; i++) {
        name[i] = strcpy(text, d->class_names[i]);
        text += strlen(text) + 1;
    }
    m->data = (tuff_model_data){ d->channels, scale, shift, d->classes, names ? name : NULL };
    tuff_free(m->data_memory);
    m->data_memory = memory;
    return TUFF_OK;
}

const tuff_model_data *tuff_model_get_data(const tuff_model *m) { return &m->data; }

// ---- on a graph ----------------------------------------------------------------------------

static tuff_status check_batch(const tuff_model *m, const tuff_desc *x)
{
    char got[96], want[96];
    const tuff_desc sample = x->rank > 0 ? unbatched(x) : *x;
    TUFF_REQUIRE(x->rank > 0 && tuff_desc_equal(&sample, &m->input), SHAPE,
                 "model: its input is %s, expected a batch of samples of %s",
                 tuff_desc_print(x, got, sizeof got),
                 tuff_desc_print(&m->input, want, sizeof want));
    return TUFF_OK;
}

// One item: its parameters are bound, and its op or ops emitted.
static tuff_var emit_part(tuff_emit *e, const tuff_model *m, const tuff_var x[],
                          tuff_var *params, const tuff_between *b)
{
    const tuff_model_part *part = &m->part[e->index];
    tuff_var var[TUFF_LAYER_PARAMS] = { { 0 } };
    tuff_tensor *tensor[TUFF_LAYER_PARAMS] = { NULL };
    for (int k = 0; k < part->params; k++) {
        const tuff_param *p = &m->param[part->param + k];
        tensor[k] = p->view;
        var[k] = tuff_graph_bind(e->g, p->name, p->view);
        if (params) params[part->param + k] = var[k];
        if (b && b->param) var[k] = b->param(b->user, e->g, e->index, part->param + k, var[k]);
    }
    e->tensor = tensor;
    const tuff_var y = tuff_layer_emit(e, &part->item.layer, &part->input, x, part->item.nin,
                                       var);
    if (tuff_graph_status(e->g) != TUFF_OK)
        e->g->tape.status = name_layer(tuff_graph_status(e->g), part);
    return y;
}

static tuff_var forward(tuff_emit *e, const tuff_model *m, tuff_var input, tuff_var *params,
                        tuff_var *made, const tuff_between *b)
{
    tuff_graph *g = e->g;
    tuff_var y = { 0 };
    for (int i = 0; params && i < m->params; i++) params[i] = (tuff_var){ 0 };
    if (tuff_graph_status(g) != TUFF_OK) return (tuff_var){ 0 };
    const tuff_desc *given = tuff_graph_desc(g, input);
    g->tape.status = given ? check_batch(m, given)
                           : tuff_fail(TUFF_ERR_ARG, "model: its input is no value");
    for (int i = 0; i < m->parts && tuff_graph_status(g) == TUFF_OK; i++) {
        tuff_var x[TUFF_NET_BRANCHES];
        e->index = i;
        gather_inputs(&m->part[i].item, input, made, x);
        for (int k = 0; b && b->take && k < m->part[i].item.nin; k++)
            x[k] = b->take(b->user, g, i, x[k]);
        y = emit_part(e, m, x, params, b);
        if (b && b->give) y = b->give(b->user, g, i, y);
        made[i] = y;
    }
    return tuff_graph_status(g) == TUFF_OK ? y : (tuff_var){ 0 };
}

static tuff_var forward_only(tuff_emit *e, const tuff_model *m, tuff_var x, tuff_var *params)
{
    tuff_var *made = tuff_alloc((size_t)m->parts, sizeof *made);
    if (!made && tuff_graph_status(e->g) == TUFF_OK) e->g->tape.status = TUFF_ERR_MEMORY;
    const tuff_var y = made ? forward(e, m, x, params, made, NULL) : (tuff_var){ 0 };
    tuff_free(made);
    return y;
}

tuff_var tuff_model_forward(tuff_graph *g, const tuff_model *m, tuff_var x, tuff_var *params)
{
    tuff_emit e = { .g = g };
    return forward_only(&e, m, x, params);
}

tuff_var tuff_model_forward_parts(tuff_graph *g, const tuff_model *m, tuff_var x,
                                  tuff_var made[])
{
    tuff_emit e = { .g = g };
    return forward(&e, m, x, NULL, made, NULL);
}

tuff_var tuff_model_forward_train(tuff_graph *g, const tuff_model *m, tuff_var x,
                                  tuff_var counter, tuff_var *params)
{
    tuff_emit e = { .g = g, .training = true, .counter = counter };
    return forward_only(&e, m, x, params);
}

tuff_var tuff_model_forward_taught(tuff_graph *g, const tuff_model *m, tuff_var x,
                                   tuff_var counter, tuff_var *params, tuff_var made[],
                                   const tuff_between *between)
{
    tuff_emit e = { .g = g, .training = true, .counter = counter };
    return forward(&e, m, x, params, made, between);
}
