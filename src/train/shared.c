// Weights that share numbers, in training: those of a layer that are equal stay equal. The
// gradient of a shared number is the sum of those of its weights (Han et al., 1510.00149, 3.1):
// codebook_grad makes it, and codebook_dequantize spreads it over the weights again, so that an
// optimizer, which knows nothing of this, moves all of a group alike. Zeros get none.
#include "base/alloc.h"
#include "base/distinct.h"
#include "base/status.h"
#include "nn/model.h"
#include "train/trainer.h"

enum { BITS = 8, GROUPS = 1 << BITS };

// A tensor of the groups' numbers, one byte for each weight; NULL where there are too many.
static tuff_status make_groups(tuff_trainer *t, const tuff_param *p, float *weights,
                               tuff_tensor **groups)
{
    tuff_distinct numbers;
    for (int64_t i = 0; i < p->count; i++)
        if (weights[i] == 0) weights[i] = 0; // -0, too
    if (!tuff_distinct_find(&numbers, weights, p->count)) return TUFF_OK;
    const int64_t words = (p->count + 3) / 4;
    uint8_t *index = tuff_alloc((size_t)words, 4);
    if (!index) return TUFF_ERR_MEMORY;
    tuff_distinct_index(&numbers, weights, p->count, index);
    tuff_status status = tuff_tensor_create(tuff_model_device(t->model),
                                            TUFF_SHAPE(TUFF_U32, 1, words), groups);
    if (status == TUFF_OK)
        status = tuff_tensor_write(t->stream, *groups, index, (size_t)words * 4);
    if (status == TUFF_OK) status = tuff_stream_wait(t->stream);
    tuff_free(index);
    return status;
}

static tuff_status find_groups(tuff_trainer *t, float *flat)
{
    for (int i = 0; i < t->model->params; i++) {
        const tuff_param *p = &t->model->param[i];
        tuff_tensor_destroy(&t->state.groups[i]);
        if (p->role == TUFF_PARAM_WEIGHT)
            TUFF_TRY(make_groups(t, p, flat + p->offset, &t->state.groups[i]));
    }
    return TUFF_OK;
}

tuff_status tuff_trainer_keep_shared(tuff_trainer *t)
{
    if (!t->p.keep_shared) return TUFF_OK;
    tuff_tensor *trained = tuff_model_trained(t->model);
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(trained));
    if (!t->state.groups)
        t->state.groups = tuff_alloc((size_t)t->model->params + 1, sizeof(tuff_tensor *));
    float *flat = tuff_alloc(bytes, 1);
    tuff_status status = flat && t->state.groups ? TUFF_OK : TUFF_ERR_MEMORY;
    if (status == TUFF_OK) status = tuff_tensor_read(t->stream, trained, flat, bytes);
    if (status == TUFF_OK) status = find_groups(t, flat);
    tuff_free(flat);
    return status;
}

void tuff_trainer_free_shared(tuff_trainer *t)
{
    for (int i = 0; t->state.groups && i < t->model->params; i++)
        tuff_tensor_destroy(&t->state.groups[i]);
    tuff_free(t->state.groups);
}

tuff_var tuff_emit_shared(tuff_graph *g, tuff_tensor *groups, tuff_var dw)
{
    if (!groups || !dw.id || tuff_graph_status(g) != TUFF_OK) return dw;
    static const tuff_codebook_grad_params grad = { .bits = BITS };
    float keep[GROUPS];
    const tuff_desc desc = *tuff_graph_desc(g, dw);
    const int64_t count = tuff_desc_count(&desc);
    const tuff_codebook_params spread = { .cols = count };
    for (int i = 0; i < GROUPS; i++) keep[i] = i > 0;
    const tuff_var index = tuff_graph_bind(g, "groups", groups);
    const tuff_var row = tuff_graph_reshape(g, dw, TUFF_SHAPE(TUFF_F32, 1, count));
    tuff_var sums = tuff_graph_op(g, "codebook_grad", (tuff_var[]){ row, index }, 2, &grad);
    const tuff_var mask = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, GROUPS), keep);
    sums = tuff_graph_op(g, "mul", (tuff_var[]){ sums, mask }, 2, NULL);
    dw = tuff_graph_op(g, "codebook_dequantize", (tuff_var[]){ index, sums }, 2, &spread);
    return tuff_graph_reshape(g, dw, desc);
}
