#include "compress/rewrite.h"
#include "base/alloc.h"
#include "base/status.h"
#include "train/model_file.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char *text_of(const tuff_rewrite *w, int part)
{
    return w->text + (size_t)part * TUFF_REWRITE_TEXT;
}

static bool is_join(const tuff_model *m, int part)
{
    return tuff_is_join(m->part[part].item.layer.kind);
}

static float *read_flat(tuff_model *model, tuff_status *status)
{
    float *flat = tuff_alloc((size_t)model->flat, sizeof *flat);
    *status = flat ? tuff_move_weights(model, flat, true) : TUFF_ERR_MEMORY;
    return flat;
}

tuff_status tuff_rewrite_open(tuff_model *model, tuff_rewrite **rewrite)
{
    tuff_status status = TUFF_OK;
    *rewrite = NULL;
    tuff_rewrite *w = tuff_alloc(1, sizeof *w);
    if (!w) return TUFF_ERR_MEMORY;
    w->from = model;
    w->text = tuff_alloc((size_t)model->parts, TUFF_REWRITE_TEXT);
    w->first = tuff_alloc((size_t)model->parts, sizeof *w->first);
    w->count = tuff_alloc((size_t)model->parts, sizeof *w->count);
    if (!w->text || !w->first || !w->count) TUFF_GO(TUFF_ERR_MEMORY);
    w->from_flat = read_flat(model, &status);
    if (status != TUFF_OK) goto exit;
    for (int i = 0; i < model->parts; i++)
        tuff_rewrite_set(w, i, "%s", is_join(model, i) ? "" : model->part[i].text);
    *rewrite = w;
    w = NULL;
exit:
    if (w) (void)tuff_rewrite_close(&w, NULL);
    return status;
}

void tuff_rewrite_set(tuff_rewrite *w, int part, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text_of(w, part), TUFF_REWRITE_TEXT, format, args);
    va_end(args);
}

void tuff_rewrite_give_bias(tuff_rewrite *w, int part)
{
    tuff_model_part with = w->from->part[part];
    char text[TUFF_LAYER_TEXT];
    int *bias = tuff_part_arg(&with, "bias");
    bias[0] = bias[1] = 1;
    tuff_layer_print(&with.item.layer, text);
    tuff_rewrite_set(w, part, "%s", text);
}

static void put(tuff_rewrite *w, int part, const char *left, const char *right)
{
    char whole[TUFF_REWRITE_TEXT];
    snprintf(whole, sizeof whole, "%.*s%s%.*s", TUFF_REWRITE_TEXT / 2, left,
             *left && *right ? " | " : "", TUFF_REWRITE_TEXT / 2 - 4, right);
    tuff_rewrite_set(w, part, "%s", whole);
}

void tuff_rewrite_before(tuff_rewrite *w, int part, const char *text)
{
    put(w, part, text, text_of(w, part));
}

void tuff_rewrite_behind(tuff_rewrite *w, int part, const char *text)
{
    put(w, part, text_of(w, part), text);
}

static void write_layer(void *user, int item, const tuff_layer *l, char *text)
{
    const tuff_rewrite *w = user;
    (void)l;
    snprintf(text, TUFF_REWRITE_TEXT, "%s", text_of(w, item));
}

static int layers_in(const char *text)
{
    int n = *text != 0;
    for (const char *c = text; *c; c++) n += *c == '|';
    return n;
}

static void place_parts(tuff_rewrite *w)
{
    for (int i = 0, at = 0; i < w->from->parts; i++) {
        w->first[i] = at;
        w->count[i] = is_join(w->from, i) + layers_in(text_of(w, i));
        at += w->count[i];
    }
}

tuff_status tuff_rewrite_build(tuff_rewrite *w)
{
    tuff_status status;
    TUFF_TRY(tuff_model_rewritten(w->from, write_layer, w, &w->to));
    place_parts(w);
    w->to_flat = read_flat(w->to, &status);
    return status;
}

static const char *name_in(const tuff_model *m, int part, const tuff_param *p)
{
    return p->name + strlen(m->part[part].item.name) + 1;
}

void tuff_rewrite_copy(tuff_rewrite *w, int part, int to)
{
    const tuff_model_part *a = &w->from->part[part];
    for (int k = 0; k < a->params; k++) {
        const tuff_param *p = &w->from->param[a->param + k];
        const tuff_param *q = tuff_part_param(w->to, to, name_in(w->from, part, p));
        if (q && tuff_desc_equal(&p->desc, &q->desc))
            memcpy(tuff_param_at(w->to_flat, q), tuff_param_at(w->from_flat, p),
                   tuff_desc_bytes(&p->desc));
    }
}

void tuff_rewrite_keep(tuff_rewrite *w)
{
    for (int i = 0; i < w->from->parts; i++)
        if (w->count[i] == 1) tuff_rewrite_copy(w, i, w->first[i]);
}

tuff_status tuff_rewrite_close(tuff_rewrite **rewrite, tuff_model **model)
{
    tuff_rewrite *w = *rewrite;
    tuff_status status = TUFF_OK;
    if (model) *model = NULL;
    if (!w) return TUFF_OK;
    if (model && w->to) status = tuff_move_weights(w->to, w->to_flat, false);
    if (model && w->to && status == TUFF_OK) {
        *model = w->to;
        w->to = NULL;
    }
    tuff_model_destroy(&w->to);
    tuff_free(w->from_flat);
    tuff_free(w->to_flat);
    tuff_free(w->text);
    tuff_free(w->first);
    tuff_free(w->count);
    tuff_free(w);
    *rewrite = NULL;
    return status;
}

// ---- parts --------------------------------------------------------------------------------

const tuff_param *tuff_part_param(const tuff_model *m, int part, const char *name)
{
    const tuff_model_part *p = &m->part[part];
    const size_t place = strlen(p->item.name) + 1;
    for (int i = 0; i < p->params; i++)
        if (strcmp(m->param[p->param + i].name + place, name) == 0)
            return &m->param[p->param + i];
    return NULL;
}

bool tuff_part_is(const tuff_model *m, int part, const char *kind)
{
    return strcmp(m->part[part].item.layer.kind->name, kind) == 0;
}

tuff_status tuff_want_floats(const tuff_model *m, const char *what)
{
    for (int i = 0; i < m->parts; i++) {
        const tuff_model_part *part = &m->part[i];
        TUFF_REQUIRE(part->output.dtype == TUFF_F32, ARG,
                     "%s: layer %s (%s) gives %s: the net is quantized already", what,
                     part->item.name, part->text, tuff_dtype_name(part->output.dtype));
        TUFF_REQUIRE(!part->item.layer.store.form, ARG,
                     "%s: layer %s (%s) has its weights in another form already", what,
                     part->item.name, part->text);
    }
    return TUFF_OK;
}

bool tuff_part_is_product(const tuff_model *m, int part)
{
    return !m->part[part].item.layer.store.form &&
           (tuff_part_is(m, part, "conv") || tuff_part_is(m, part, "dwconv") ||
            tuff_part_is(m, part, "dense"));
}

int *tuff_part_arg(tuff_model_part *part, const char *name)
{
    tuff_layer *l = &part->item.layer;
    for (int i = 0; i < TUFF_NET_ARGS && l->kind->arg[i].name; i++)
        if (strcmp(l->kind->arg[i].name, name) == 0) return l->arg[i];
    return NULL;
}

int tuff_part_users(const tuff_model *m, int part, int *user)
{
    int n = 0;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].item.nin; k++) {
            if (m->part[i].item.in[k] != part) continue;
            if (user) *user = i;
            n++;
        }
    return n;
}
