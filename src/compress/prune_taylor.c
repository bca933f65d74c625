// Scores that need gradients: first-order Taylor importance; see prune.h.
//
// A step of training whose learning rate is 0 gives the gradients of a batch and leaves the
// weights as they are. (Batch norms go on with their running statistics, which is why a copy
// of the model takes these steps.)
#include "compress/prune.h"
#include "base/alloc.h"
#include "base/status.h"
#include "train/evaluate.h"
#include "train/trainer.h"

enum { EXAMPLES = 1024, BATCH = 64 };

tuff_status tuff_prune_gradients(tuff_pruning *job, tuff_gradient_fn take, void *user)
{
    const float still[8] = { 0 };
    const int most = job->p.examples ? job->p.examples : EXAMPLES;
    tuff_model *copy = NULL;
    tuff_trainer *t = NULL;
    tuff_loader *loader = NULL;
    tuff_batch b;
    tuff_status status = TUFF_OK;
    const size_t bytes = (size_t)job->model->trained_flat * sizeof(float);
    float *grads = tuff_alloc(bytes, 1);
    if (!grads) return TUFF_ERR_MEMORY;
    const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD },
                                  .loss = job->p.tune ? job->p.tune->loss : TUFF_LOSS_AUTO };
    TUFF_GO(tuff_model_copy(job->model, job->model->device, &copy));
    TUFF_GO(tuff_agree(copy, job->data, true));
    const tuff_dataset_info *info = tuff_dataset_get_info(job->data);
    const int64_t classes = info->classes;
    if (!info->count[TUFF_TRAIN])
        TUFF_GO(tuff_fail(TUFF_ERR_ARG, "prune: the data has no training examples"));
    TUFF_GO(tuff_trainer_create(copy, &p, classes, 0, &t));
    const tuff_loader_params lp = { .split = TUFF_TRAIN, .batch = BATCH, .shuffle = true,
                                    .seed = job->p.seed, .epochs = 1 };
    TUFF_GO(tuff_loader_create(job->data, &lp, &loader));
    int64_t seen = 0;
    for (tuff_loader_next(loader, &b); b.count && seen < most; tuff_loader_next(loader, &b)) {
        tuff_pass *pass;
        const void *y = b.labels ? (const void *)b.labels : (const void *)b.targets;
        TUFF_GO(tuff_passes_get(t->passes, b.count, &pass));
        TUFF_GO(tuff_pass_run(pass, b.x, y, still, (uint64_t)seen << 32));
        TUFF_GO(tuff_tensor_read(t->stream, t->state.grads, grads, bytes));
        take(user, grads);
        seen += b.count;
    }
exit:
    tuff_loader_destroy(&loader);
    tuff_trainer_destroy(&t);
    tuff_model_destroy(&copy);
    tuff_free(grads);
    return status;
}

static void add_squares(void *user, const float *grads)
{
    tuff_pruning *job = user;
    for (int64_t i = 0; i < job->model->trained_flat; i++) {
        const float part = grads[i] * job->flat[i];
        job->score[i] += part * part;
    }
}

tuff_status tuff_prune_taylor(tuff_pruning *job)
{
    for (int64_t i = 0; i < job->model->flat; i++) job->score[i] = 0;
    return tuff_prune_gradients(job, add_squares, job);
}
