// Units whose weights are nearly parallel: one takes over what goes out of the other (Srinivas
// & Babu, "Data-free parameter pruning for deep neural networks", 1507.06149).
//
// Of a unit with incoming weights and bias v and outgoing weights a, let unit j be nearly c
// times unit i, v_j ~ c v_i. Where what lies between keeps factors above 0 (relu, pooling),
// c h_i stands for h_j, so that a_i + c a_j replaces both a_i and a_j; elsewhere c is 1. It
// costs |a_j|^2 |v_j - c v_i|^2, and the cheapest pair goes first.
//
// A batch norm right behind the layer is counted in: its scale and shift make other v of the
// same weights. Units that several layers make (in sums) are left alone.
#include "compress/prune.h"
#include "compress/units.h"
#include "base/alloc.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

typedef struct layer_job {
    tuff_pruning *job;
    tuff_units *u;
    int part, norm; // the layer, and the batch norm behind it or -1
    int count;
    int64_t wide;   // incoming weights of a unit, and its bias
    bool scales;    // factors other than 1 go through
    float *v;       // [count, wide]
    double *gram;   // [count, count]: products of rows of v
    double *out;    // [count]: |a|^2
    double *cost;   // [count]: of letting j go into mate[j]
    int *mate;
    int *local;     // [units]: the layer's number of a unit, or -1
    bool *may;      // [count]: still there, and made by this layer alone
} layer_job;

// ---- what lies behind a layer --------------------------------------------------------------

static int own_number(const layer_job *s, const tuff_features *f, int i)
{
    return s->local[tuff_unit_of(s->u, f->unit[i])];
}

static bool takes_any(const layer_job *s, const tuff_features *f)
{
    for (int i = 0; i < f->count; i++)
        if (own_number(s, f, i) >= 0) return true;
    return false;
}

static int takers(const tuff_model *m, int part)
{
    int n = 0;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].item.nin; k++) n += m->part[i].item.in[k] == part;
    return n;
}

// Whether merging is right for all that takes the layer's units; finds the norm and whether
// factors go through.
static bool can_merge(layer_job *s)
{
    const tuff_model *m = s->u->model;
    s->norm = -1;
    s->scales = true;
    for (int i = s->part + 1; i < m->parts; i++) {
        const tuff_model_part *p = &m->part[i];
        const tuff_layer_kind *kind = p->item.layer.kind;
        if (tuff_part_makes(m, i) || !takes_any(s, tuff_units_out(s->u, i))) continue;
        if (kind->mixing == TUFF_MIX_DEPTH) return false;
        const bool norm = p->params > 0 && tuff_param_by_feature(m, i, 0);
        if (norm && (p->item.in[0] != s->part || takers(m, s->part) != 1)) return false;
        if (norm) s->norm = i;
        else s->scales &= kind->scales;
    }
    return true;
}

// ---- weights -------------------------------------------------------------------------------

static const float *norm_row(const layer_job *s, int k)
{
    const tuff_model *m = s->u->model;
    return s->job->flat + m->param[m->part[s->norm].param + k].offset;
}

// The rows v: weights and bias, through the norm.
static void fill_rows(layer_job *s)
{
    const tuff_model *m = s->u->model;
    const tuff_model_part *p = &m->part[s->part];
    const float *w = s->job->flat + m->param[p->param].offset;
    const float *bias = p->params > 1 ? s->job->flat + m->param[p->param + 1].offset : NULL;
    for (int r = 0; r < s->count; r++) {
        float *v = s->v + r * s->wide, *last = v + s->wide - 1;
        memcpy(v, w + r * (s->wide - 1), (size_t)(s->wide - 1) * sizeof *v);
        *last = bias ? bias[r] : 0;
        if (s->norm < 0) continue;
        const double eps = (double)m->part[s->norm].item.layer.real[0];
        const double scale = (double)norm_row(s, 0)[r] /
                             sqrt((double)norm_row(s, 3)[r] + eps);
        *last -= norm_row(s, 2)[r];
        for (int64_t c = 0; c < s->wide; c++) v[c] = (float)((double)v[c] * scale);
        *last += norm_row(s, 1)[r];
    }
}

static void fill_gram(layer_job *s)
{
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j <= i; j++) {
            const float *a = s->v + i * s->wide, *b = s->v + j * s->wide;
            double sum = 0;
            for (int64_t c = 0; c < s->wide; c++) sum += (double)a[c] * (double)b[c];
            s->gram[(int64_t)i * s->count + j] = s->gram[(int64_t)j * s->count + i] = sum;
        }
}

// Goes through the columns of those who take the units: adds to |a|^2 of each (into -1), or
// adds `factor` times the columns of unit `from` to those of unit `into`.
static void go_out(layer_job *s, int from, int into, double factor)
{
    const tuff_model *m = s->u->model;
    for (int q = 0; q < m->parts; q++) {
        const tuff_features *in = tuff_units_in(s->u, q);
        if (!tuff_part_makes(m, q)) continue;
        const tuff_param *p = &m->param[m->part[q].param];
        const int64_t rows = p->desc.dim[0], window = p->count / (rows * in->count);
        float *w = s->job->flat + p->offset;
        for (int f = 0, to = -1; window > 0 && f < in->count; f++) {
            const int n = own_number(s, in, f);
            if (n < 0 || (into >= 0 && n != from)) continue;
            // Both stand in the same order: the next of the other.
            for (to++; into >= 0 && own_number(s, in, to) != into;) to++;
            for (int64_t r = 0; r < rows; r++)
                for (int64_t k = 0; k < window; k++) {
                    const double a = (double)w[(r * in->count + f) * window + k];
                    if (into < 0) s->out[n] += a * a;
                    else w[(r * in->count + to) * window + k] += (float)(factor * a);
                }
        }
    }
}

// ---- pairs ---------------------------------------------------------------------------------

static double factor_of(const layer_job *s, int j, int i)
{
    const double both = s->gram[(int64_t)i * s->count + j];
    const double own = s->gram[(int64_t)i * s->count + i];
    if (!s->scales) return 1;
    return own > 0 && both > 0 ? both / own : 0;
}

// |v_j - c v_i|^2
static double distance(const layer_job *s, int j, int i)
{
    const int64_t n = s->count;
    const double c = factor_of(s, j, i);
    const double *g = s->gram;
    const double d = g[j * n + j] - 2 * c * g[i * n + j] + c * c * g[i * n + i];
    return d > 0 ? d : 0;
}

static void find_mate(layer_job *s, int j)
{
    s->mate[j] = -1;
    for (int i = 0; i < s->count; i++) {
        if (i == j || !s->may[i]) continue;
        const double cost = s->out[j] * distance(s, j, i);
        if (s->mate[j] >= 0 && cost >= s->cost[j]) continue;
        s->mate[j] = i;
        s->cost[j] = cost;
    }
}

// Merges the cheapest pair; false where there is none.
static bool merge_one(layer_job *s)
{
    int j = -1;
    for (int k = 0; k < s->count; k++)
        if (s->may[k] && s->mate[k] >= 0 && (j < 0 || s->cost[k] < s->cost[j])) j = k;
    if (j < 0) return false;
    const int i = s->mate[j];
    const tuff_features *out = tuff_units_out(s->u, s->part);
    s->may[j] = false;
    if (!tuff_unit_go(s->u, tuff_unit_of(s->u, out->unit[j]))) return true;
    go_out(s, j, i, factor_of(s, j, i));
    memset(s->out, 0, (size_t)s->count * sizeof *s->out);
    go_out(s, 0, -1, 0);
    for (int k = 0; k < s->count; k++)
        if (s->may[k] && (k == i || s->mate[k] == j)) find_mate(s, k);
    return true;
}

// ---- one layer -----------------------------------------------------------------------------

static tuff_status open_layer(layer_job *s, int part)
{
    const size_t n = (size_t)tuff_units_out(s->u, part)->count;
    const tuff_model *m = s->u->model;
    s->part = part;
    s->count = (int)n;
    s->wide = m->param[m->part[part].param].count / (int64_t)n + 1;
    s->v = tuff_alloc(n * (size_t)s->wide, sizeof *s->v);
    s->gram = tuff_alloc(n * n, sizeof *s->gram);
    s->out = tuff_alloc(n, sizeof *s->out);
    s->cost = tuff_alloc(n, sizeof *s->cost);
    s->mate = tuff_alloc(n, sizeof *s->mate);
    s->may = tuff_alloc(n, sizeof *s->may);
    s->local = tuff_alloc((size_t)s->u->count, sizeof *s->local);
    return s->v && s->gram && s->out && s->cost && s->mate && s->may && s->local
               ? TUFF_OK : TUFF_ERR_MEMORY;
}

static void close_layer(layer_job *s)
{
    tuff_free(s->v);
    tuff_free(s->gram);
    tuff_free(s->out);
    tuff_free(s->cost);
    tuff_free(s->mate);
    tuff_free(s->may);
    tuff_free(s->local);
}

// Numbers the units that this layer alone makes; false where none may go.
static bool number_units(layer_job *s)
{
    const tuff_features *out = tuff_units_out(s->u, s->part);
    bool any = false;
    for (int i = 0; i < s->u->count; i++) s->local[i] = -1;
    for (int k = 0; k < s->count; k++) {
        const int unit = tuff_unit_of(s->u, out->unit[k]);
        s->may[k] = s->u->made[unit] == 1 && !tuff_unit_fixed(s->u, unit);
        if (s->may[k]) s->local[unit] = k;
        any |= s->may[k];
    }
    return any;
}

static tuff_status merge_layer(tuff_pruning *job, tuff_units *u, int part, int64_t goes)
{
    layer_job s = { .job = job, .u = u };
    const tuff_status status = open_layer(&s, part);
    if (status == TUFF_OK && number_units(&s) && can_merge(&s)) {
        fill_rows(&s);
        fill_gram(&s);
        go_out(&s, 0, -1, 0);
        for (int k = 0; k < s.count; k++) find_mate(&s, k);
        while (u->left[part] > s.count - goes && merge_one(&s)) continue;
    }
    close_layer(&s);
    return status;
}

tuff_status tuff_prune_similar(tuff_pruning *job, tuff_units *u, double grown)
{
    for (int i = 0; i < u->model->parts; i++) {
        if (!tuff_prune_is_target(job, i)) continue;
        const int64_t first = job->size[i];
        const int64_t goes = tuff_rate_goes(&job->rate[i], first, grown) -
                             (first - u->left[i]);
        if (goes > 0) TUFF_TRY(merge_layer(job, u, i, goes));
    }
    return TUFF_OK;
}
