// Launches of the losses of rows of class scores; see class_loss.h. The shaders are
// class_rows.comp, fold.comp, class_state.comp and class_grad.comp.
#include "ops/class_loss.h"
#include "ops/divide.h"

// Scratches: 0 as in abi/loss.h, 1 and 2 for fold.comp.
enum { ROWS, FOLDS };

// Parts that a row is cut into: about as many as each then has elements.
static uint32_t parts_of(size_t cols)
{
    if (cols <= 256) return 1;
    size_t parts = 16;
    while (parts * parts < cols) parts++;
    return (uint32_t)parts;
}

static bool softmax(const tuff_class_loss *g)
{
    return g->kind != TUFF_CLASS_NLL && g->kind != TUFF_CLASS_MARGIN;
}

// Whether a stage walks through rows, or looks at the label's element alone.
static bool walks(const tuff_class_loss *g, uint32_t stage)
{
    if (g->kind == TUFF_CLASS_NLL) return false;
    if (g->kind == TUFF_CLASS_KL) return stage == TUFF_STAGE_LOSS;
    if (g->kind != TUFF_CLASS_CROSS_ENTROPY) return true;
    return g->smoothing > 0 && (stage == TUFF_STAGE_LOSS || g->weight >= 0);
}

static struct tuff_class_pc pc_of(const tuff_class_loss *g, uint32_t parts)
{
    // Parts of a stage that walks are as many as those of STATS, so that `stats` is one place.
    const uint32_t most = parts_of(g->cols);
    const uint32_t stats = 2 * (uint32_t)g->rows * most;
    return (struct tuff_class_pc){
        .rows = (uint32_t)g->rows, .cols = (uint32_t)g->cols, .parts = parts,
        .ignored = g->ignored < 0 ? TUFF_NO_LABEL : (uint32_t)g->ignored,
        .stats = stats, .more = stats + 4 * (uint32_t)g->rows,
        .scale = (float)(1 / g->temperature), .smoothing = (float)g->smoothing,
        .margin = (float)g->margin, .total = g->labels ? 0 : (float)g->rows,
        .step = tuff_divide_by(g->step), .by = tuff_divide_by(g->step > 1 ? g->rows : parts),
    };
}

static void need_scratch(const tuff_class_loss *g, tuff_plan *p)
{
    const size_t most = parts_of(g->cols), more = 2 * most > TUFF_CLASS_STATE
                                                ? 2 * most : TUFF_CLASS_STATE;
    p->scratch[ROWS] = (2 * most + 4 + more) * g->rows * sizeof(float);
}

// Binds scratch 0, which the first launch of a plan cannot read.
static void bind_rows(tuff_dispatch *d, const tuff_plan *p)
{
    tuff_bind(d, TUFF_ROLE_SCRATCH, ROWS, TUFF_BIND_STORAGE,
              p->count > 1 ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
}

static void add_rows(const tuff_class_loss *g, int x, uint32_t stage, uint32_t parts,
                     const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    const bool whole = stage == TUFF_STAGE_JOIN || stage == TUFF_STAGE_WRITE;
    const bool weighted = g->weight >= 0 && stage >= TUFF_STAGE_LOSS && !whole;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_class_rows);
    tuff_bind_in(d, x);
    tuff_bind_in(d, 1);
    bind_rows(d, p);
    if (stage == TUFF_STAGE_WRITE) tuff_bind_out(d, 0);
    else tuff_bind_in(d, weighted ? g->weight : 0);
    tuff_spec(d, wg);
    tuff_spec(d, g->kind);
    tuff_spec(d, stage);
    tuff_spec(d, weighted);
    tuff_spec(d, walks(g, stage));
    struct tuff_class_pc pc = pc_of(g, parts);
    if (x == 1) pc.stats += 2 * pc.rows; // a teacher's
    TUFF_PUSH(d, pc);
    const uint64_t invocations = (uint64_t)g->rows * (whole ? 1 : parts);
    tuff_grid(d, (invocations + wg - 1) / wg, k);
}

// Of x, or of a teacher: in[x].
static void add_stats(const tuff_class_loss *g, int x, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t parts = parts_of(g->cols);
    add_rows(g, x, TUFF_STAGE_STATS, parts, k, p);
    if (parts > 1) add_rows(g, x, TUFF_STAGE_JOIN, parts, k, p);
}

static void add_all_stats(const tuff_class_loss *g, const tuff_caps *k, tuff_plan *p)
{
    if (softmax(g)) add_stats(g, 0, k, p);
    if (g->kind == TUFF_CLASS_KL) add_stats(g, 1, k, p);
}

static int add_fold(const tuff_class_loss *g, uint32_t parts, uint32_t write,
                    const tuff_caps *k, tuff_plan *p)
{
    const tuff_place rows = { TUFF_ROLE_SCRATCH, ROWS };
    const tuff_fold fold = { .from = TUFF_FOLD_PAIRS, .write = write, .a = rows, .b = rows,
                             .count = g->rows * parts, .out = { TUFF_ROLE_OUT, 0 },
                             .scratch = FOLDS };
    return tuff_fold_add(&fold, k, p);
}

static void add_elements(const tuff_class_loss *g, uint32_t kind, const int in[2],
                         bool weighted, tuff_slot out, const tuff_caps *k, tuff_plan *p)
{
    const struct tuff_class_pc rows = pc_of(g, 1);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_class_grad);
    tuff_bind_in(d, in[0]);
    tuff_bind_in(d, in[1]);
    tuff_bind(d, TUFF_ROLE_SCRATCH, ROWS, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_OUT, out.index, TUFF_BIND_STORAGE, out.access);
    tuff_spec(d, wg);
    tuff_spec(d, kind);
    tuff_spec(d, weighted);
    const struct tuff_class_grad_pc pc = {
        .count = (uint32_t)(g->rows * g->cols), .stats = rows.stats, .more = rows.more,
        .scale = rows.scale, .smoothing = rows.smoothing, .margin = rows.margin,
        .step = tuff_divide_by(g->step), .cols = tuff_divide_by(g->cols),
    };
    TUFF_PUSH(d, pc);
    tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
}

bool tuff_class_loss_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    const uint32_t parts = walks(&g, TUFF_STAGE_LOSS) ? parts_of(g.cols) : 1;
    need_scratch(&g, p);
    add_all_stats(&g, k, p);
    if (c->nout > 1) {
        const tuff_slot log_prob = { .index = 1, .access = TUFF_WRITE };
        add_elements(&g, TUFF_CLASS_LOG_PROB, (int[]){ 0, 0 }, false, log_prob, k, p);
    }
    add_rows(&g, 0, TUFF_STAGE_LOSS, parts, k, p);
    if (g.reduction == TUFF_LOSS_NONE) add_rows(&g, 0, TUFF_STAGE_WRITE, parts, k, p);
    else
        add_fold(&g, parts, g.reduction == TUFF_LOSS_SUM ? TUFF_FOLD_SUM : TUFF_FOLD_WEIGHTED,
                 k, p);
    return true;
}

// `total`: the scratch that holds the weight of all rows, -1 where it is known.
static void add_state(const tuff_class_loss *g, uint32_t parts, int total, const tuff_caps *k,
                      tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_class_state);
    tuff_bind_in(d, 2);
    tuff_bind_in(d, 1);
    bind_rows(d, p);
    if (total >= 0) tuff_bind(d, TUFF_ROLE_SCRATCH, total, TUFF_BIND_STORAGE, TUFF_READ);
    else tuff_bind_in(d, 2);
    tuff_spec(d, wg);
    tuff_spec(d, g->kind);
    tuff_spec(d, g->reduction == TUFF_LOSS_MEAN);
    tuff_spec(d, g->reduction == TUFF_LOSS_NONE);
    const struct tuff_class_pc pc = pc_of(g, parts);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (g->rows + wg - 1) / wg, k);
}

bool tuff_class_grad_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    const uint32_t parts = walks(&g, TUFF_STAGE_SHARE) ? parts_of(g.cols) : 1;
    const bool heavy = g.weight >= 0, soft = g.kind == TUFF_CLASS_SOFT;
    tuff_slot dx = { .index = 0, .access = TUFF_WRITE };
    need_scratch(&g, p);
    add_all_stats(&g, k, p);
    int total = -1;
    if (g.kind != TUFF_CLASS_KL) add_rows(&g, 0, TUFF_STAGE_SHARE, parts, k, p);
    if (g.labels && g.reduction == TUFF_LOSS_MEAN)
        total = add_fold(&g, parts, TUFF_FOLD_BOTH, k, p);
    add_state(&g, parts, total, k, p);
    if (soft && heavy) {
        add_elements(&g, TUFF_CLASS_SHARES, (int[]){ g.weight, 1 }, false, dx, k, p);
        dx.access = TUFF_READ | TUFF_WRITE;
    }
    const bool even = g.kind == TUFF_CLASS_CROSS_ENTROPY && heavy && g.smoothing > 0;
    const int second = even ? g.weight : g.labels ? 0 : 1;
    add_elements(&g, g.kind, (int[]){ 0, second }, even || (soft && heavy), dx, k, p);
    return true;
}
