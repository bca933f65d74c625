// Which features of a net must go together; see units.h.
#include "compress/units.h"
#include "base/alloc.h"
#include "base/status.h"
#include "compress/rewrite.h"
#include <string.h>

// ---- joining -------------------------------------------------------------------------------

int tuff_unit_of(const tuff_units *u, int unit)
{
    while (u->parent[unit] != unit) unit = u->parent[unit] = u->parent[u->parent[unit]];
    return unit;
}

// The lower number stays, so that 0 is itself.
static void join(tuff_units *u, int a, int b)
{
    a = tuff_unit_of(u, a);
    b = tuff_unit_of(u, b);
    if (a < b) u->parent[b] = a;
    else u->parent[a] = b;
}

static void fix(tuff_units *u, const tuff_features *f)
{
    for (int i = 0; i < f->count; i++) join(u, 0, f->unit[i]);
}

static int features_of(const tuff_desc *d)
{
    return (int)(d->rank == 3 ? d->dim[0] : d->dim[d->rank - 1]);
}

// ---- one layer after the other -------------------------------------------------------------

static tuff_status make_units(tuff_units *u, int count, int *first)
{
    if (u->count + count > u->room) {
        const int room = 2 * (u->count + count);
        int *grown = tuff_realloc(u->parent, (size_t)room, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        u->parent = grown;
        u->room = room;
    }
    *first = u->count;
    for (int i = 0; i < count; i++) u->parent[u->count + i] = u->count + i;
    u->count += count;
    return TUFF_OK;
}

const tuff_features *tuff_units_in(const tuff_units *u, int part)
{
    return &u->value[u->model->part[part].item.in[0] + 1];
}

static const tuff_features *input(const tuff_units *u, const tuff_net_item *item, int i)
{
    return &u->value[item->in[i] + 1];
}

// Features in the same order, those of the other inputs joined with them.
static void go_along(tuff_units *u, const tuff_net_item *item, tuff_features *out)
{
    for (int k = 1; k < item->nin; k++)
        for (int i = 0; i < out->count; i++)
            join(u, input(u, item, 0)->unit[i], input(u, item, k)->unit[i]);
    memcpy(out->unit, input(u, item, 0)->unit, (size_t)out->count * sizeof *out->unit);
}

static void stand_behind(tuff_units *u, const tuff_net_item *item, tuff_features *out)
{
    for (int k = 0, at = 0; k < item->nin; k++) {
        const tuff_features *in = input(u, item, k);
        memcpy(out->unit + at, in->unit, (size_t)in->count * sizeof *in->unit);
        at += in->count;
    }
}

// All channels of a group of a convolution become one.
static void join_groups(tuff_units *u, const tuff_layer *l, const tuff_features *in,
                        const tuff_features *out)
{
    const int groups = tuff_mixing_of(l) == TUFF_MIX_CONV ? l->arg[TUFF_ARG_GROUP][0] : 1;
    if (groups < 2) return;
    for (int g = 0; g < groups; g++) {
        const int *from = in->unit + g * (in->count / groups);
        const int *to = out->unit + g * (out->count / groups);
        for (int i = 0; i < in->count / groups; i++) join(u, from[0], from[i]);
        for (int i = 0; i < out->count / groups; i++) join(u, from[0], to[i]);
    }
}

static void spread(const tuff_desc *d, const tuff_features *in, tuff_features *out)
{
    const int64_t image = d->rank == 3 ? d->dim[1] * d->dim[2] : 1;
    for (int i = 0; i < out->count; i++)
        out->unit[i] = in->unit[(int)(i / image) % in->count];
}

static void pad(const tuff_layer *l, int first, const tuff_features *in, tuff_features *out)
{
    const int before = l->arg[0][0];
    for (int i = 0; i < out->count; i++)
        out->unit[i] = i < before || i >= before + in->count
                           ? first + i
                           : in->unit[i - before];
}

// Whether a layer without mixing is what it says: parameters by position are not.
static bool by_feature(const tuff_model *m, int part)
{
    const tuff_model_part *p = &m->part[part];
    return p->input.rank != 2 || p->params == 0;
}

static tuff_status follow(tuff_units *u, int part)
{
    const tuff_model_part *p = &u->model->part[part];
    const tuff_layer *l = &p->item.layer;
    const tuff_features *in = input(u, &p->item, 0);
    tuff_features *out = &u->value[part + 1];
    int first;
    out->count = features_of(&p->output);
    out->unit = tuff_alloc((size_t)out->count, sizeof *out->unit);
    if (!out->unit) return TUFF_ERR_MEMORY;
    const bool rows = p->output.rank == 2;
    if (l->kind == &tuff_join_add || (l->kind == &tuff_join_concat && rows)) {
        go_along(u, &p->item, out);
    } else if (l->kind == &tuff_join_concat) {
        stand_behind(u, &p->item, out);
    } else if (tuff_part_makes(u->model, part) || tuff_mixing_of(l) == TUFF_MIX_PAD) {
        TUFF_TRY(make_units(u, out->count, &first));
        for (int i = 0; i < out->count; i++) out->unit[i] = first + i;
        if (tuff_mixing_of(l) == TUFF_MIX_PAD) pad(l, first, in, out);
        else join_groups(u, l, in, out);
    } else if (tuff_mixing_of(l) == TUFF_MIX_DEPTH) {
        for (int i = 0; i < out->count; i++) out->unit[i] = in->unit[i / l->arg[0][0]];
    } else if (tuff_mixing_of(l) == TUFF_MIX_FLATTEN) {
        spread(&p->input, in, out);
    } else if (tuff_mixing_of(l) == TUFF_MIX_NONE && by_feature(u->model, part)) {
        go_along(u, &p->item, out);
    } else {
        fix(u, in);
        memset(out->unit, 0, (size_t)out->count * sizeof *out->unit);
    }
    return TUFF_OK;
}

// ---- makers --------------------------------------------------------------------------------

static tuff_status list_makers(tuff_units *u)
{
    const tuff_model *m = u->model;
    int all = 0;
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_makes(m, i)) all += tuff_units_out(u, i)->count;
    u->gone = tuff_alloc((size_t)u->count, sizeof *u->gone);
    u->worth = tuff_alloc((size_t)u->count, sizeof *u->worth);
    u->made = tuff_alloc((size_t)u->count, sizeof *u->made);
    u->first = tuff_alloc((size_t)u->count, sizeof *u->first);
    u->next = tuff_alloc((size_t)all + 1, sizeof *u->next);
    u->maker = tuff_alloc((size_t)all + 1, sizeof *u->maker);
    u->left = tuff_alloc((size_t)m->parts, sizeof *u->left);
    u->least = tuff_alloc((size_t)m->parts, sizeof *u->least);
    if (!u->least) return TUFF_ERR_MEMORY;
    for (int i = 0; i < m->parts; i++) u->least[i] = 1;
    if (!u->gone || !u->worth || !u->made || !u->first || !u->next || !u->maker || !u->left)
        return TUFF_ERR_MEMORY;
    for (int i = 0; i < u->count; i++) u->first[i] = -1;
    for (int i = 0; i < m->parts; i++) {
        const tuff_features *out = tuff_units_out(u, i);
        for (int k = 0; tuff_part_makes(m, i) && k < out->count; k++) {
            const int unit = tuff_unit_of(u, out->unit[k]);
            u->maker[u->entries] = i;
            u->next[u->entries] = u->first[unit];
            u->first[unit] = u->entries++;
            u->made[unit]++;
            u->left[i]++;
        }
    }
    return TUFF_OK;
}

bool tuff_unit_go(tuff_units *u, int unit)
{
    bool last = false;
    for (int e = u->first[unit]; e >= 0; e = u->next[e]) {
        const int part = u->maker[e];
        last |= --u->left[part] < u->least[part];
    }
    for (int e = u->first[unit]; last && e >= 0; e = u->next[e]) u->left[u->maker[e]]++;
    u->gone[unit] = !last;
    return !last;
}

bool tuff_param_by_feature(const tuff_model *m, int part, int param)
{
    const tuff_model_part *p = &m->part[part];
    const tuff_mixing mixing = tuff_mixing_of(&p->item.layer);
    const tuff_param *q = &m->param[p->param + param];
    if (mixing == TUFF_MIX_DENSE || mixing == TUFF_MIX_CONV || mixing == TUFF_MIX_DEPTH)
        return true;
    return mixing == TUFF_MIX_NONE && q->role != TUFF_PARAM_SLOPE && by_feature(m, part);
}

tuff_status tuff_units_create(const tuff_model *model, tuff_units **units)
{
    tuff_units *u = tuff_alloc(1, sizeof *u);
    tuff_status status = TUFF_OK;
    int zero;
    *units = NULL;
    if (!u) return TUFF_ERR_MEMORY;
    for (int i = 0; i < model->parts; i++)
        if (tuff_part_param(model, i, "weight_log_gain"))
            TUFF_GO(tuff_fail(TUFF_ERR_ARG, "layer %s (%s) has weights that are rounded: units "
                              "are left out before a net has fake quantizers",
                              model->part[i].item.name, model->part[i].text));
    u->model = model;
    u->value = tuff_alloc((size_t)model->parts + 1, sizeof *u->value);
    if (!u->value) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(make_units(u, 1, &zero));
    u->value[0].count = features_of(&model->input);
    u->value[0].unit = tuff_alloc((size_t)u->value[0].count, sizeof(int)); // all of unit 0
    if (!u->value[0].unit) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0; i < model->parts; i++) TUFF_GO(follow(u, i));
    fix(u, tuff_units_out(u, model->parts - 1));
    TUFF_GO(list_makers(u));
    *units = u;
    u = NULL;
exit:
    tuff_units_destroy(&u);
    return status;
}

void tuff_units_destroy(tuff_units **units)
{
    tuff_units *u = *units;
    if (!u) return;
    for (int i = 0; u->value && i <= u->model->parts; i++) tuff_free(u->value[i].unit);
    tuff_free(u->value);
    tuff_free(u->parent);
    tuff_free(u->gone);
    tuff_free(u->worth);
    tuff_free(u->made);
    tuff_free(u->first);
    tuff_free(u->next);
    tuff_free(u->maker);
    tuff_free(u->left);
    tuff_free(u->least);
    tuff_free(u);
    *units = NULL;
}
