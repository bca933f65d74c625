// Convolutions on the CPU path, their gradients by x and transposed ones, as products: rows of
// weights times columns of pixels. The columns are gathered, a few panels at a time, from a
// copy of x with pads round it; nobody writes down the whole matrix.
//
//                   pixels written      A gradient by x with a stride is made of phases: pixels
//                 +----------------+    with one remainder by the stride are read by the same
//   channels read |                |    taps, and so are a convolution of their own without a
//   x taps        |    gathered    |    stride. What is gathered for y there is dy.
//                 +----------------+
//   +-----------+ +----------------+
//   |  weights  | |       y        | channels written
//   +-----------+ +----------------+
//
// Kernels of one tap without stride and pads gather nothing: they are matmul's.
#include "ops/conv_host.h"
#include "base/processor.h"
#include "base/thread.h"
#include "ops/gemm.h"
#include "ops/matmul.h"
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    BLOCK = 6 * PANEL, // columns gathered at a time
    ROWS_LEAST = 48,   // rows of weights that are worth gathering for
    W = 1              // the input of all these ops
};

typedef struct gather {
    tuff_conv v;
    bool back;           // a gradient, or a transposed convolution
    int64_t read, write; // channels of a group
    int64_t to[3];       // what is written
    int64_t step[3];     // of what is read, for a step of what is written
    int64_t phases[3];
    tuff_window window;
    int64_t k;           // weights of a row, those of all phases together
} gather;

// A phase along an axis. Written is first + i phases, for i < count; tap number t of `taps` has
// the weight tap + t tap_step, and reads the window at i step + off + t off_step.
typedef struct axis {
    int64_t first, count, tap, tap_step, taps, off, off_step;
} axis;

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static void describe_back(gather *g)
{
    const tuff_conv *v = &g->v;
    for (int i = 0; i < 3; i++) {
        g->to[i] = v->x[i];
        g->step[i] = 1;
        g->phases[i] = v->stride[i];
        g->window.from[i] = v->y[i];
        g->window.lo[i] = floor_div(v->pad[i] - (v->k[i] - 1) * v->dilation[i], v->stride[i]);
        g->window.size[i] = floor_div(v->x[i] - 1 + v->pad[i], v->stride[i]) + 1 -
                            g->window.lo[i];
    }
    g->read = v->og, g->write = v->cg;
}

typedef enum kind { FORWARD, BY_X, TRANSPOSED } kind;

static gather gather_of(const tuff_call *c, kind of)
{
    gather g = { .back = of != FORWARD };
    if (of == FORWARD) tuff_conv_good(c, 0, W, -1, &g.v);
    else if (of == BY_X) tuff_conv_good(c, -1, W, 0, &g.v);
    else tuff_conv_transpose_good(c, &g.v);
    if (g.back) {
        describe_back(&g);
    } else {
        g.window = tuff_window_of(&g.v);
        for (int i = 0; i < 3; i++) {
            g.to[i] = g.v.y[i];
            g.step[i] = g.v.stride[i];
            g.phases[i] = 1;
        }
        g.read = g.v.cg, g.write = g.v.og;
    }
    g.k = g.read * tuff_volume(g.v.k);
    return g;
}

static axis axis_of(const gather *g, int i, int64_t phase)
{
    const int64_t s = g->v.stride[i], d = g->v.dilation[i], k = g->v.k[i], pad = g->v.pad[i];
    if (!g->back)
        return (axis){ .count = g->to[i], .tap_step = 1, .taps = k, .off_step = d };
    axis a = { .first = phase, .count = (g->to[i] - phase + s - 1) / s, .tap_step = 1 };
    while (a.tap_step * d % s != 0) a.tap_step++;
    if (phase >= g->to[i]) a.count = 0;
    while (a.tap < k && a.tap < a.tap_step && floor_div(phase + pad - a.tap * d, s) * s !=
                                                  phase + pad - a.tap * d) a.tap++;
    if (a.tap >= k || a.tap >= a.tap_step) return a;
    a.taps = (k - a.tap + a.tap_step - 1) / a.tap_step;
    a.off = floor_div(phase + pad - a.tap * d, s) - g->window.lo[i];
    a.off_step = -(a.tap_step * d / s);
    return a;
}

// A phase of all axes: a convolution of its own.
typedef struct part {
    axis a[3];
    int64_t taps, pixels; // pixels: of an image
    int64_t k;            // weights of a row
    int64_t weights;      // where its weights begin among those of a group's row
    bool across;          // columns go on from image to image
    bool plain;           // the pixels of an image are written side by side
    int64_t blocks;       // of columns
    int64_t rows;         // of a block
    int64_t items;
} part;

static int64_t rounded(int64_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

static void cut(const gather *g, part *p)
{
    const int64_t columns = p->pixels * g->v.n;
    p->across = g->v.n > 1 && 5 * rounded(p->pixels) > 6 * p->pixels;
    p->blocks = p->across ? (columns + BLOCK - 1) / BLOCK
                          : (p->pixels + BLOCK - 1) / BLOCK * g->v.n;
    // Each item gathers its columns: there are no more than threads need.
    const double flops = 2.0 * (double)(columns * g->write) * (double)(p->k * g->v.group);
    const double most = 2 * tuff_thread_count(), want = flops / 1e6 < most ? flops / 1e6 : most;
    p->rows = g->write;
    while ((double)(p->blocks * ((g->write + p->rows - 1) / p->rows) * g->v.group) < want &&
           p->rows > ROWS_LEAST)
        p->rows = (p->rows / 2 + TUFF_PANEL_ROWS - 1) / TUFF_PANEL_ROWS * TUFF_PANEL_ROWS;
    p->items = p->blocks * ((g->write + p->rows - 1) / p->rows) * g->v.group;
}

static int64_t part_count(const gather *g) { return tuff_volume(g->phases); }

// The phase of a number; `weights` is what those before it took of a row, and grows.
static void part_of(const gather *g, int64_t number, int64_t *weights, part *p)
{
    const int64_t phase[3] = { number / g->phases[2] / g->phases[1],
                               number / g->phases[2] % g->phases[1], number % g->phases[2] };
    *p = (part){ .taps = 1, .pixels = 1 };
    for (int i = 0; i < 3; i++) {
        p->a[i] = axis_of(g, i, phase[i]);
        p->taps *= p->a[i].taps;
        p->pixels *= p->a[i].count;
    }
    p->k = p->taps * g->read;
    p->weights = *weights;
    p->plain = part_count(g) == 1;
    *weights += p->k;
    if (p->pixels) cut(g, p);
}

// ---- where things lie in scratch -----------------------------------------------------------

static int64_t plane_of(const gather *g) { return tuff_volume(g->window.size); }
static int64_t planes_of(const gather *g) { return g->v.n * g->v.group * g->read; }
static int64_t weight_rows(const gather *g) { return g->back ? g->v.group * g->write : 0; }

static size_t floats_of(const gather *g)
{
    return (size_t)(planes_of(g) * plane_of(g) + TUFF_WINDOW_MORE + weight_rows(g) * g->k);
}

static float *weights_in(const gather *g, float *scratch)
{
    return scratch + planes_of(g) * plane_of(g) + TUFF_WINDOW_MORE;
}

// ---- the first stage -----------------------------------------------------------------------

// The weights of one written channel, phase by phase: [channels read][taps of the phase].
static void pack_weights(const gather *g, const float *w, int64_t row, float *to)
{
    const tuff_conv *v = &g->v;
    const int64_t taps = tuff_volume(v->k), group = row / v->cg, c = row % v->cg;
    int64_t weights = 0;
    for (int64_t n = 0; n < part_count(g); n++) {
        part p;
        part_of(g, n, &weights, &p);
        float *at = to + row * g->k + p.weights;
        for (int64_t o = 0; o < g->read; o++) {
            const float *from = w + ((group * v->og + o) * v->cg + c) * taps;
            for (int64_t i = 0; i < p.a[0].taps; i++)
                for (int64_t j = 0; j < p.a[1].taps; j++)
                    for (int64_t k = 0; k < p.a[2].taps; k++)
                        *at++ = from[((p.a[0].tap + i * p.a[0].tap_step) * v->k[1] +
                                      p.a[1].tap + j * p.a[1].tap_step) * v->k[2] +
                                     p.a[2].tap + k * p.a[2].tap_step];
        }
    }
}

static void prepare(const gather *g, const tuff_ref *r, int64_t i)
{
    const int64_t plane = tuff_volume(g->window.from);
    float *to = r->scratch;
    if (i < planes_of(g))
        tuff_window_copy(&g->window, r->in[0] + i * plane, to + i * plane_of(g));
    else
        pack_weights(g, r->in[W], i - planes_of(g), weights_in(g, to));
}

// ---- gathering -----------------------------------------------------------------------------

// A run of columns of a panel that lie `step` apart in the window.
typedef struct run {
    int64_t at, from, count;
} run;

// The runs of columns col .. col + count.
static int runs_of(const gather *g, const part *p, int64_t col, int64_t count, run runs[PANEL])
{
    const int64_t *size = g->window.size, image = planes_of(g) / g->v.n * plane_of(g);
    int n = 0;
    for (int64_t j = 0; j < count;) {
        const int64_t at = (col + j) % p->pixels, x = at % p->a[2].count;
        const int64_t y = at / p->a[2].count % p->a[1].count;
        const int64_t z = at / p->a[2].count / p->a[1].count;
        int64_t length = p->a[2].count - x;
        if (length > count - j) length = count - j;
        runs[n++] = (run){ j, (col + j) / p->pixels * image +
                              (z * g->step[0] * size[1] + y * g->step[1]) * size[2] +
                              x * g->step[2], length };
        j += length;
    }
    return n;
}

// What the taps k .. k + depth of a row of weights add to where a column begins.
static void offsets_of(const gather *g, const part *p, int64_t k, int64_t depth, int64_t off[])
{
    const int64_t *size = g->window.size, plane = plane_of(g);
    for (int64_t i = 0; i < depth; i++, k++) {
        const int64_t x = k % p->a[2].taps, y = k / p->a[2].taps % p->a[1].taps;
        const int64_t z = k / p->a[2].taps / p->a[1].taps % p->a[0].taps;
        off[i] = k / p->taps * plane +
                 ((p->a[0].off + z * p->a[0].off_step) * size[1] +
                  p->a[1].off + y * p->a[1].off_step) * size[2] +
                 p->a[2].off + x * p->a[2].off_step;
    }
}

// A run is written 16 wide: what is too much is written over by the run behind it.
TUFF_EACH_PROCESSOR void fill_panel(const float *x, const run *runs, int count, int64_t step,
                                    const int64_t *off, int64_t depth, float *panel)
{
    for (int64_t k = 0; k < depth; k++, panel += PANEL)
        for (int i = 0; i < count; i++) {
            const float *from = x + runs[i].from + off[k];
            float *to = panel + runs[i].at;
            if (step == 1) memcpy(to, from, PANEL * sizeof *to);
            else if (step == 2) for (int j = 0; j < PANEL; j++) to[j] = from[2 * j];
            else for (int64_t j = 0; j < runs[i].count; j++) to[j] = from[step * j];
        }
}
TUFF_FOR_PROCESSORS(fill_panel,
                    (const float *x, const run *runs, int count, int64_t step,
                     const int64_t *off, int64_t depth, float *panel),
                    (x, runs, count, step, off, depth, panel))

// Columns col .. col + cols as panels of `depth` rows from the k-th on.
static void fill(const gather *g, const part *p, const float *x, int64_t col, int64_t cols,
                 int64_t k, int64_t depth, float *panels)
{
    fill_panel_fn *best = fill_panel_best();
    int64_t off[TUFF_PART];
    run runs[PANEL];
    offsets_of(g, p, k, depth, off);
    for (int64_t j = 0; j < cols; j += PANEL) {
        const int n = runs_of(g, p, col + j, cols - j < PANEL ? cols - j : PANEL, runs);
        best(x, runs, n, g->step[2], off, depth, panels + j * depth);
    }
}

// ---- the second stage ----------------------------------------------------------------------

// Where columns are written, from the first channel of the first image on.
static void places_of(const gather *g, const part *p, int64_t col, int64_t cols, int64_t at[])
{
    const int64_t image = g->v.group * g->write * tuff_volume(g->to);
    for (int64_t j = 0; j < cols; j++) {
        const int64_t i = (col + j) % p->pixels, x = i % p->a[2].count;
        const int64_t y = i / p->a[2].count % p->a[1].count;
        const int64_t z = i / p->a[2].count / p->a[1].count;
        at[j] = (col + j) / p->pixels * image +
                ((p->a[0].first + z * g->phases[0]) * g->to[1] +
                 p->a[1].first + y * g->phases[1]) * g->to[2] +
                p->a[2].first + x * g->phases[2];
    }
}

// Columns of a block: the first one, and how many.
static int64_t columns_of(const gather *g, const part *p, int64_t block, int64_t *cols)
{
    const int64_t all = p->across ? p->pixels * g->v.n : p->pixels;
    const int64_t blocks = p->across ? p->blocks : p->blocks / g->v.n, i = block % blocks;
    const int64_t panels = rounded(all) / PANEL;
    const int64_t begin = i * panels / blocks * PANEL, end = (i + 1) * panels / blocks * PANEL;
    *cols = (end < all ? end : all) - begin;
    return begin + block / blocks * p->pixels;
}

static void run_item(const gather *g, const part *p, const tuff_ref *r, const tuff_finish *f,
                     int64_t i)
{
    float panels[TUFF_PART * BLOCK + PANEL];
    int64_t at[BLOCK], cols;
    float *scratch = r->scratch;
    const int64_t down = (g->write + p->rows - 1) / p->rows, group = i % g->v.group;
    const int64_t row = i / g->v.group % down * p->rows, volume = tuff_volume(g->to);
    const int64_t col = columns_of(g, p, i / g->v.group / down, &cols);
    const float *x = scratch + group * g->read * plane_of(g);
    const float *w = (g->back ? weights_in(g, scratch) + p->weights : r->in[W]) +
                     (group * g->write + row) * g->k;
    const bool apart = p->across || !p->plain;
    const int64_t channel = group * g->write + row;
    const int64_t to = channel * volume +
                       (apart ? 0 : col / p->pixels * g->v.group * g->write * volume +
                                        col % p->pixels);
    tuff_finish finish = *f;
    tuff_tiles t = { .a_six = TUFF_PANEL_ROWS * g->k, .a_m = g->k, .a_k = 1, .b = panels,
                     .b_k = PANEL, .cols = cols, .y = r->out[0] + to, .y_m = volume,
                     .rows = g->write - row < p->rows ? g->write - row : p->rows,
                     .at = apart ? at : NULL, .finish = &finish };
    if (apart) places_of(g, p, col, cols, at);
    if (finish.plus) finish.plus += channel;
    if (finish.residual) finish.residual += to;
    const int64_t count = p->k ? tuff_sum_parts(p->k) : 1;
    for (int64_t n = 0; n < count; n++) {
        const int64_t k = p->k ? tuff_sum_part(p->k, n) : 0;
        t.depth = p->k ? tuff_sum_part(p->k, n + 1) - k : 0;
        t.first = n == 0;
        t.last = n == count - 1;
        t.a = w + k;
        t.b_panel = t.depth * PANEL;
        fill(g, p, x, col, cols, k, t.depth, panels);
        tuff_tiles_add(&t);
    }
}

static int64_t items_of(const gather *g)
{
    int64_t items = 0, weights = 0;
    for (int64_t n = 0; n < part_count(g); n++) {
        part p;
        part_of(g, n, &weights, &p);
        items += p.items;
    }
    return items;
}

static double flops_of(const tuff_conv *v)
{
    return 2.0 * (double)(v->n * tuff_volume(v->y)) * (double)(v->o * v->cg) *
           (double)tuff_volume(v->k);
}

static size_t units_of(const gather *g, int stage)
{
    const int64_t planes = planes_of(g), rows = weight_rows(g);
    if (stage == 0)
        return tuff_host_share(planes + rows, 16.0 * (double)(planes * plane_of(g) +
                                                              rows * g->k));
    return stage == 1 ? tuff_host_share(items_of(g), flops_of(&g->v)) : 0;
}

static void run_items(const gather *g, const tuff_ref *r, const tuff_finish *f)
{
    const size_t units = units_of(g, 1);
    const int64_t items = items_of(g), begin = tuff_host_item(items, units, r->begin);
    const int64_t end = tuff_host_item(items, units, r->end);
    int64_t weights = 0, first = 0;
    for (int64_t n = 0; n < part_count(g) && first < end; n++) {
        part p;
        part_of(g, n, &weights, &p);
        for (int64_t i = begin > first ? begin - first : 0; i < p.items && first + i < end; i++)
            run_item(g, &p, r, f, i);
        first += p.items;
    }
}

static void run_gather(const gather *g, const tuff_ref *r, const tuff_finish *f)
{
    if (r->stage == 1) {
        run_items(g, r, f);
        return;
    }
    const size_t units = units_of(g, 0);
    const int64_t n = planes_of(g) + weight_rows(g);
    for (int64_t i = tuff_host_item(n, units, r->begin), end = tuff_host_item(n, units, r->end);
         i < end; i++)
        prepare(g, r, i);
}

// ---- kernels of one tap --------------------------------------------------------------------

static bool is_point(const gather *g)
{
    if (g->v.group != 1 || tuff_volume(g->v.k) != 1) return false;
    for (int i = 0; i < 3; i++)
        if (g->v.stride[i] != 1 || g->window.lo[i] || g->v.x[i] != g->v.y[i]) return false;
    return true;
}

static tuff_matmul_shape point_shape(const gather *g)
{
    const int64_t plane = tuff_volume(g->to);
    return (tuff_matmul_shape){ .a = W, .b = 0, .m = g->write, .n = plane, .k = g->read,
                                .batches = g->v.n, .a_m = g->back ? 1 : g->read,
                                .a_k = g->back ? g->write : 1, .b_k = plane, .b_n = 1,
                                .dims = 1, .dim = { g->v.n },
                                .b_step = { g->read * plane } };
}

// ---- what the records call -----------------------------------------------------------------

static tuff_finish finish_of(const tuff_ref *r, kind of)
{
    enum { BIAS = 2, RESIDUAL };
    const tuff_conv_params *p = r->call->params;
    tuff_finish f = { .alpha = 1, .beta = 1, .plus_m = 1 };
    if (of == BY_X) return f; // it has neither, nor an activation
    f.plus = r->in[BIAS];
    f.residual = r->in[RESIDUAL];
    f.act = p->act;
    return f;
}

static size_t units(const tuff_call *c, kind of, int stage)
{
    const gather g = gather_of(c, of);
    if (!is_point(&g)) return units_of(&g, stage);
    const tuff_matmul_shape s = point_shape(&g);
    return tuff_matmul_host_units(&s, stage);
}

static size_t scratch(const tuff_call *c, kind of)
{
    const gather g = gather_of(c, of);
    if (!is_point(&g)) return floats_of(&g) * sizeof(float);
    const tuff_matmul_shape s = point_shape(&g);
    return tuff_matmul_host_scratch(&s);
}

static void run_kind(const tuff_ref *r, kind of)
{
    const gather g = gather_of(r->call, of);
    const tuff_finish f = finish_of(r, of);
    if (!is_point(&g)) {
        run_gather(&g, r, &f);
        return;
    }
    const tuff_matmul_shape s = point_shape(&g);
    tuff_matmul_host_run(r, &s, &f);
}

#define HOST(name, kind_)                                                       \
    bool tuff_conv_##name##host_takes(const tuff_call *c)                       \
    {                                                                           \
        (void)c;                                                                \
        return true;                                                            \
    }                                                                           \
    size_t tuff_conv_##name##host_units(const tuff_call *c, int stage)          \
    {                                                                           \
        return units(c, kind_, stage);                                          \
    }                                                                           \
    size_t tuff_conv_##name##host_scratch(const tuff_call *c)                   \
    {                                                                           \
        return scratch(c, kind_);                                               \
    }                                                                           \
    void tuff_conv_##name##host_run(const tuff_ref *r) { run_kind(r, kind_); }
HOST(, FORWARD)
HOST(dx_, BY_X)
HOST(transpose_, TRANSPOSED)
