// Dense layers in sparse forms; declared in <tuff/compress/sparsify.h>.
#include <tuff/compress.h>
#include "base/alloc.h"
#include "base/status.h"
#include "compress/rewrite.h"
#include "train/model_file.h"
#include <stdio.h>
#include <string.h>

enum { SIDE = 4, MEASURED = 16 };

typedef struct layer_form {
    tuff_sparse_form form; // dense: it stays
    int64_t rows, cols, count;
    tuff_nm_params nm;
} layer_form;

typedef struct sparsify_job {
    tuff_model *model;
    const tuff_sparsify_params *p;
    float *flat;
    layer_form *layer; // of each part
} sparsify_job;

static const tuff_param *weight_of(const tuff_model *m, int part)
{
    return &m->param[m->part[part].param];
}

static double kept_by(const tuff_sparse_kept *kept, tuff_sparse_form form)
{
    return form == TUFF_SPARSE_CSR   ? kept->csr
           : form == TUFF_SPARSE_BSR ? kept->bsr
           : form == TUFF_SPARSE_NM  ? kept->nm
                                     : 0;
}

static tuff_status choose(const sparsify_job *job, int part, layer_form *f)
{
    const tuff_model *m = job->model;
    const tuff_model_part *q = &m->part[part];
    f->form = TUFF_SPARSE_DENSE;
    if (tuff_mixing_of(&q->item.layer) != TUFF_MIX_DENSE || q->input.rank != 1) return TUFF_OK;
    const tuff_param *w = weight_of(m, part);
    const tuff_sparse_shape shape = { .rows = w->desc.dim[0], .cols = w->desc.dim[1],
                                      .batch = job->p->batch, .linear = true };
    const bool measured = shape.rows % MEASURED == 0 && shape.cols % MEASURED == 0;
    tuff_sparse_kept kept;
    f->rows = shape.rows;
    f->cols = shape.cols;
    TUFF_TRY(tuff_sparse_inspect(job->flat + w->offset, f->rows, f->cols, &kept));
    f->form = job->p->form;
    if (f->form == TUFF_SPARSE_ANY) {
        if (job->p->measure && measured && kept.csr < 1)
            TUFF_TRY(tuff_sparse_measure(m->device, &shape, NULL, NULL));
        f->form = tuff_sparse_choose(m->device, &shape, &kept);
    }
    if (!(kept_by(&kept, f->form) > 0)) f->form = TUFF_SPARSE_DENSE;
    f->nm = (tuff_nm_params){ .keep = kept.keep, .of = kept.of, .linear = true };
    const int side = f->form == TUFF_SPARSE_BSR ? SIDE : 1;
    f->count = tuff_sparse_count(job->flat + w->offset, f->rows, f->cols, side, side);
    return TUFF_OK;
}

static void write_layer(void *user, int item, const tuff_layer *l, char *text)
{
    const layer_form *f = &((const sparsify_job *)user)->layer[item];
    const char *bias = l->arg[1][0] ? "" : " bias=no";
    if (tuff_is_join(l->kind)) return; // nothing follows it
    if (f->form == TUFF_SPARSE_DENSE)
        tuff_layer_print(l, text);
    else if (f->form == TUFF_SPARSE_NM)
        sprintf(text, "nm %lld %d %d%s", (long long)f->rows, f->nm.keep, f->nm.of, bias);
    else
        sprintf(text, "%s %lld %lld%s", tuff_sparse_form_name(f->form), (long long)f->rows,
                (long long)f->count, bias);
}

static void *at(float *out, const tuff_model *new, int part, int k)
{
    return out + new->param[new->part[part].param + k].offset;
}

// One part's parameters, in their new form.
static tuff_status convert(const sparsify_job *job, int part, const tuff_model *new, float *out)
{
    const tuff_model *m = job->model;
    const tuff_model_part *q = &m->part[part];
    const layer_form *f = &job->layer[part];
    const int stored = f->form == TUFF_SPARSE_DENSE ? 0 : f->form == TUFF_SPARSE_NM ? 1 : 2;
    for (int k = stored ? 1 : 0; k < q->params; k++) {
        const tuff_param *p = &m->param[q->param + k];
        memcpy(at(out, new, part, k + stored), job->flat + p->offset,
               tuff_desc_bytes(&p->desc));
    }
    if (!stored) return TUFF_OK;
    const float *w = job->flat + weight_of(m, part)->offset;
    if (f->form == TUFF_SPARSE_NM)
        return tuff_nm_encode(w, f->rows, f->cols, &f->nm, at(out, new, part, 0),
                              at(out, new, part, 1));
    const int side = f->form == TUFF_SPARSE_BSR ? SIDE : 1;
    return tuff_sparse_encode(w, f->rows, f->cols, side, side, at(out, new, part, 0),
                              at(out, new, part, 1), at(out, new, part, 2));
}

static tuff_status build(sparsify_job *job, tuff_model **sparse)
{
    const tuff_model *m = job->model;
    float *out = NULL;
    tuff_model *new = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_model_rewritten(m, write_layer, job, &new));
    out = tuff_alloc((size_t)new->flat, sizeof *out);
    if (!out) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0; i < m->parts; i++) TUFF_GO(convert(job, i, new, out));
    TUFF_GO(tuff_move_weights(new, out, false));
    *sparse = new;
    new = NULL;
exit:
    tuff_model_destroy(&new);
    tuff_free(out);
    return status;
}

tuff_status tuff_sparsify(tuff_model *model, const tuff_sparsify_params *p,
                          tuff_model **sparse)
{
    static const tuff_sparsify_params defaults;
    TUFF_REQUIRE(model && sparse, ARG, "sparsify: the model or the result is NULL");
    *sparse = NULL;
    sparsify_job job = { .model = model, .p = p ? p : &defaults };
    TUFF_REQUIRE((unsigned)job.p->form < TUFF_SPARSE_FORMS, ARG, "sparsify: %d is no form",
                 (int)job.p->form);
    TUFF_REQUIRE(job.p->batch >= 0, ARG, "sparsify: a batch of %lld samples",
                 (long long)job.p->batch);
    TUFF_TRY(tuff_want_floats(model, "sparsify"));
    tuff_status status = TUFF_OK;
    job.flat = tuff_alloc((size_t)model->flat, sizeof *job.flat);
    job.layer = tuff_alloc((size_t)model->parts, sizeof *job.layer);
    if (!job.flat || !job.layer) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_move_weights(model, job.flat, true));
    for (int i = 0; i < model->parts; i++) TUFF_GO(choose(&job, i, &job.layer[i]));
    TUFF_GO(build(&job, sparse));
exit:
    tuff_free(job.flat);
    tuff_free(job.layer);
    return status;
}
