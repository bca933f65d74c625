// Copies of models; declared in <tuff/nn.h>.
#include "nn/model.h"
#include "base/alloc.h"
#include "base/status.h"

static tuff_status copy_weights(tuff_model *from, tuff_model *to)
{
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(from->weights));
    float *flat = tuff_alloc(bytes, 1);
    if (!flat) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_tensor_read(from->stream, from->weights, flat, bytes);
    if (status == TUFF_OK) status = tuff_tensor_write(to->stream, to->weights, flat, bytes);
    if (status == TUFF_OK) status = tuff_stream_wait(to->stream);
    tuff_free(flat);
    return status;
}

tuff_status tuff_model_like(const tuff_model *m, tuff_device *device, const char *net,
                            int64_t most, tuff_model **model)
{
    const tuff_model_params p = { .net = net, .input = m->input,
                                  .init = { .kind = TUFF_INIT_ZEROS } };
    TUFF_TRY(tuff_model_build(device, &p, most, model));
    (*model)->loss = m->loss;
    const tuff_status status = tuff_model_set_data(*model, &m->data);
    if (status != TUFF_OK) tuff_model_destroy(model);
    return status;
}

tuff_status tuff_model_copy(tuff_model *model, tuff_device *device, tuff_model **copy)
{
    TUFF_TRY(tuff_model_like(model, device, model->text, model->elements, copy));
    const tuff_status status = copy_weights(model, *copy);
    if (status != TUFF_OK) tuff_model_destroy(copy);
    return status;
}

tuff_status tuff_model_rewritten(const tuff_model *m, tuff_rewrite_fn rewrite, void *user,
                                 tuff_model **rewritten)
{
    tuff_net *tree;
    char *text = NULL;
    tuff_status status;
    *rewritten = NULL;
    TUFF_TRY(tuff_net_parse(m->text, &tree));
    TUFF_GO(tuff_net_rewrite(tree, rewrite, user, &text));
    TUFF_GO(tuff_model_like(m, m->device, text, INT64_MAX, rewritten));
exit:
    tuff_free(text);
    tuff_net_free(&tree);
    return status;
}
