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

tuff_status tuff_model_copy(tuff_model *model, tuff_device *device, tuff_model **copy)
{
    const tuff_model_params p = { .net = model->text, .input = model->input,
                                  .init = { .kind = TUFF_INIT_ZEROS } };
    TUFF_TRY(tuff_model_build(device, &p, model->elements, copy));
    (*copy)->loss = model->loss;
    tuff_status status = tuff_model_set_data(*copy, &model->data);
    if (status == TUFF_OK) status = copy_weights(model, *copy);
    if (status != TUFF_OK) tuff_model_destroy(copy);
    return status;
}
