// The net without the units that are gone; see units.h.
#include "compress/units.h"
#include "base/alloc.h"
#include "base/status.h"
#include "train/model_file.h"
#include <string.h>

static bool stays(const tuff_units *u, const tuff_features *f, int i)
{
    return !u->gone[tuff_unit_of(u, f->unit[i])];
}

static int left_between(const tuff_units *u, const tuff_features *f, int from, int to)
{
    int n = 0;
    for (int i = from; i < to; i++) n += stays(u, f, i);
    return n;
}

// ---- the text ------------------------------------------------------------------------------

static void set(tuff_layer *l, int arg, int value) { l->arg[arg][0] = l->arg[arg][1] = value; }

static void write_layer(void *user, int item, const tuff_layer *layer, char *text)
{
    const tuff_units *u = user;
    const tuff_features *out = tuff_units_out(u, item), *in = tuff_units_in(u, item);
    tuff_layer l = *layer;
    if (tuff_is_join(layer->kind)) return; // nothing follows it
    if (tuff_part_makes(u->model, item)) set(&l, 0, left_between(u, out, 0, out->count));
    if (tuff_mixing_of(&l) == TUFF_MIX_CONV) {
        const int groups = layer->arg[TUFF_ARG_GROUP][0];
        if (groups > 1) set(&l, TUFF_ARG_GROUP, groups * l.arg[0][0] / out->count);
    }
    if (tuff_mixing_of(&l) == TUFF_MIX_PAD) {
        const int before = layer->arg[0][0];
        set(&l, 0, left_between(u, out, 0, before));
        set(&l, 1, left_between(u, out, before + in->count, out->count));
    }
    tuff_layer_print(&l, text);
}

// ---- the weights ---------------------------------------------------------------------------

// Rows are features that the part gives, columns those that it takes; NULL: all stay.
static void carry(const tuff_units *u, const tuff_param *p, const tuff_features *rows,
                  const tuff_features *columns, const float *from, float *to)
{
    const int64_t high = p->desc.dim[0], wide = columns ? columns->count : 1;
    const int64_t window = p->count / (high * wide);
    for (int64_t r = 0; r < high; r++) {
        if (rows && !stays(u, rows, (int)r)) continue;
        for (int64_t c = 0; c < wide; c++) {
            if (columns && !stays(u, columns, (int)c)) continue;
            for (int64_t k = 0; k < window; k++) *to++ = from[(r * wide + c) * window + k];
        }
    }
}

static void carry_part(const tuff_units *u, int part, const float *flat, const tuff_model *new,
                       float *out)
{
    const tuff_model *m = u->model;
    const tuff_model_part *p = &m->part[part];
    const tuff_layer *l = &p->item.layer;
    const bool columns = tuff_mixing_of(l) == TUFF_MIX_DENSE ||
                         (tuff_mixing_of(l) == TUFF_MIX_CONV && l->arg[TUFF_ARG_GROUP][0] == 1);
    for (int k = 0; k < p->params; k++) {
        const tuff_param *q = &m->param[p->param + k];
        const bool weight = columns && q->role == TUFF_PARAM_WEIGHT;
        float *to = out + new->param[new->part[part].param + k].offset;
        if (q->desc.dtype != TUFF_F32) {
            memcpy(to, flat + q->offset, tuff_desc_bytes(&q->desc));
            continue;
        }
        carry(u, q, tuff_param_by_feature(m, part, k) ? tuff_units_out(u, part) : NULL,
              weight ? tuff_units_in(u, part) : NULL, flat + q->offset, to);
    }
}

tuff_status tuff_units_build(const tuff_units *u, const float *flat, tuff_model **model)
{
    tuff_model *new = NULL;
    tuff_status status = TUFF_OK;
    float *out = NULL;
    *model = NULL;
    TUFF_GO(tuff_model_rewritten(u->model, write_layer, (void *)(uintptr_t)u, &new));
    out = tuff_alloc((size_t)new->flat, sizeof *out);
    if (!out) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0; i < new->parts; i++) carry_part(u, i, flat, new, out);
    TUFF_GO(tuff_move_weights(new, out, false));
    *model = new;
    new = NULL;
exit:
    tuff_free(out);
    tuff_model_destroy(&new);
    return status;
}
