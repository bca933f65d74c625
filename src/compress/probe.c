#include "compress/probe.h"
#include "base/alloc.h"
#include "base/status.h"
#include <string.h>

static tuff_status emit(tuff_probe *p, tuff_graph *g, tuff_desc x, tuff_var *made)
{
    p->x = tuff_graph_input(g, "x", x);
    (void)tuff_model_forward_parts(g, p->model, p->x, made);
    for (int i = 0; i < p->model->parts && tuff_graph_status(g) == TUFF_OK; i++) {
        p->seen[i] = p->look(p->user, g, i, p->x, made);
        if (p->seen[i].id) tuff_graph_output(g, p->model->part[i].item.name, p->seen[i]);
    }
    return tuff_graph_status(g);
}

static tuff_status make_program(tuff_probe *p, int64_t count)
{
    const size_t parts = (size_t)p->model->parts;
    tuff_graph *g = NULL;
    tuff_var *made = NULL;
    tuff_status status = TUFF_ERR_MEMORY;
    tuff_desc d = p->model->input;
    if (p->count == count) return TUFF_OK;
    tuff_program_destroy(&p->program);
    p->count = 0;
    memmove(d.dim + 1, d.dim, (size_t)d.rank * sizeof *d.dim);
    d.dim[0] = count;
    d.rank++;
    if (!p->seen) p->seen = tuff_alloc(parts, sizeof *p->seen);
    made = tuff_alloc(parts, sizeof *made);
    if (!p->seen || !made) goto exit;
    TUFF_GO(tuff_graph_create(&g));
    TUFF_GO(emit(p, g, d, made));
    TUFF_GO(tuff_program_create(p->model->device, g, NULL, &p->program));
    p->count = count;
exit:
    tuff_graph_destroy(&g);
    tuff_free(made);
    return status;
}

tuff_status tuff_probe_run(tuff_probe *p, const float *x, int64_t count)
{
    const size_t bytes = (size_t)(count * tuff_desc_count(&p->model->input)) * sizeof *x;
    TUFF_TRY(make_program(p, count));
    TUFF_TRY(tuff_program_write(p->program, p->x, x, bytes));
    return tuff_program_run(p->program);
}

tuff_status tuff_probe_read(tuff_probe *p, int part, float *value, int64_t n)
{
    return tuff_program_read(p->program, p->seen[part], value, (size_t)n * sizeof *value);
}

void tuff_probe_close(tuff_probe *p)
{
    tuff_program_destroy(&p->program);
    tuff_free(p->seen);
    p->seen = NULL;
    p->count = 0;
}

tuff_status tuff_each_batch(const tuff_dataset *data, const tuff_examples *e, tuff_batch_fn fn,
                            void *user)
{
    const int64_t all = tuff_dataset_get_info(data)->count[TUFF_TRAIN];
    const int64_t most = e->count < all ? e->count : all;
    const tuff_loader_params lp = { .split = TUFF_TRAIN, .batch = e->batch, .epochs = 1,
                                    .shuffle = true, .seed = e->seed };
    tuff_loader *loader;
    tuff_batch b;
    tuff_status status = TUFF_OK;
    int64_t done = 0;
    TUFF_TRY(tuff_loader_create(data, &lp, &loader));
    for (tuff_loader_next(loader, &b); b.count && done < most; tuff_loader_next(loader, &b)) {
        const int64_t n = b.count < most - done ? b.count : most - done;
        TUFF_GO(fn(user, b.x, n));
        done += n;
    }
exit:
    tuff_loader_destroy(&loader);
    return status;
}
