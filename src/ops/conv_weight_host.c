// Gradients of convolutions by w on the CPU path: rows of x under each tap, as they lie, times
// dy turned so that 16 channels lie side by side.
//
//                          channels of y
//                         +------------+
//          pixels x images|     dy     |    A row of x is where the tap of a channel reads, one
//                         +------------+    pixel after another: in a copy of x with pads round
//   +--------------------+ +----------+     it a row of pixels is a row of numbers.
//   | x under each tap   | |    dw    | channels of x
//   +--------------------+ +----------+ x taps
//
// Where dw is small its long sums are cut into chunks, which are added in their order.
#include "base/processor.h"
#include "ops/conv_host.h"
#include <string.h>

enum { X, DY };

enum {
    PANEL = TUFF_PANEL,
    ROWS = TUFF_PANEL_ROWS,
    BLOCK = 8 * ROWS, // rows of dw at a time
    PAIR = 2,         // panels at a time
    CHUNKS = 8,
    PIECE = 1024      // numbers of dw that a last item adds
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));

typedef struct weights {
    tuff_conv v;
    tuff_window window;
    int64_t rows, k;             // of a group: channels of x times taps; images times pixels
    int64_t panels, pairs;       // of the channels of y of a group
    int64_t blocks, chunks;
    int64_t planes, plane, size; // of the copy of x; numbers of dw
} weights;

static weights weights_of(const tuff_call *c)
{
    weights w;
    tuff_conv_good(c, X, -1, DY, &w.v);
    const tuff_conv *v = &w.v;
    w.window = tuff_window_of(v);
    w.rows = v->cg * tuff_volume(v->k);
    w.k = v->n * tuff_volume(v->y);
    w.panels = (v->og + PANEL - 1) / PANEL;
    w.pairs = (w.panels + PAIR - 1) / PAIR;
    w.blocks = (w.rows + BLOCK - 1) / BLOCK;
    w.planes = v->n * v->c;
    w.plane = tuff_volume(w.window.size);
    w.size = v->o * w.rows;
    const int64_t items = w.blocks * w.pairs * v->group, most = tuff_sum_parts(w.k);
    const double want = 2.0 * (double)w.size * (double)w.k / 1e6;
    w.chunks = 1;
    while (w.chunks < CHUNKS && 2 * w.chunks <= most && items * w.chunks < CHUNKS &&
           (double)(items * w.chunks) < want)
        w.chunks *= 2;
    return w;
}

// ---- where things lie in scratch -----------------------------------------------------------

static int64_t dy_at(const weights *w) { return w->planes * w->plane + TUFF_WINDOW_MORE; }
static int64_t chunks_at(const weights *w)
{
    return dy_at(w) + w->v.group * w->panels * w->k * PANEL;
}

size_t tuff_conv_dw_host_scratch(const tuff_call *c)
{
    const weights w = weights_of(c);
    return (size_t)(chunks_at(&w) + (w.chunks > 1 ? w.chunks * w.size : 0)) * sizeof(float);
}

// ---- the first stage -----------------------------------------------------------------------

// Plane number i of x, or one image of a panel of dy.
static void prepare(const weights *w, const tuff_ref *r, int64_t i)
{
    const tuff_conv *v = &w->v;
    float *scratch = r->scratch;
    if (i < w->planes) {
        tuff_window_copy(&w->window, r->in[X] + i * tuff_volume(v->x), scratch + i * w->plane);
        return;
    }
    i -= w->planes;
    const int64_t pixels = tuff_volume(v->y), image = i % v->n, panel = i / v->n % w->panels;
    const int64_t group = i / v->n / w->panels, o = panel * PANEL;
    const float *dy = r->in[DY] + (image * v->o + group * v->og + o) * pixels;
    float *to = scratch + dy_at(w) +
                ((group * w->panels + panel) * w->k + image * pixels) * PANEL;
    tuff_panel_pack(dy, 1, pixels, pixels, v->og - o < PANEL ? v->og - o : PANEL, to);
}

// ---- the second stage ----------------------------------------------------------------------

// Pixels of one row of y: where they read x, from a tap's own place on.
typedef struct run {
    int64_t from, count;
} run;

// What a part of the sums reads.
typedef struct part {
    run runs[TUFF_PART];
    int count;
    int64_t k, step;
    const float *dy;  // its first panel; the second is `next` further
    int64_t next;
} part;

static void runs_of(const weights *w, int64_t k, int64_t end, part *p)
{
    const tuff_conv *v = &w->v;
    const int64_t *size = w->window.size, pixels = tuff_volume(v->y);
    p->count = 0;
    p->k = k;
    p->step = v->stride[2];
    while (k < end) {
        const int64_t at = k % pixels, x = at % v->y[2], y = at / v->y[2] % v->y[1];
        const int64_t z = at / v->y[2] / v->y[1];
        const int64_t left = v->y[2] - x, count = left < end - k ? left : end - k;
        p->runs[p->count++] = (run){ k / pixels * v->c * w->plane +
                                         (z * v->stride[0] * size[1] + y * v->stride[1]) *
                                             size[2] + x * v->stride[2], count };
        k += count;
    }
}

// Adds a part to the sums of `rows` rows and one or two panels; constants where inlined.
TUFF_EACH_PROCESSOR void add_rows(const part *p, const float *const x[], const int rows,
                                  const int panels, vec sum[][PAIR])
{
    vec s[ROWS][PAIR];
    const float *dy = p->dy;
    const int64_t step = p->step, next = p->next;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < panels; c++) s[r][c] = (vec){ 0 };
    for (int i = 0; i < p->count; i++) {
        const float *from[ROWS];
        for (int r = 0; r < rows; r++) from[r] = x[r] + p->runs[i].from;
        for (int64_t j = 0; j < p->runs[i].count; j++, dy += PANEL) {
            vec v[PAIR];
            for (int c = 0; c < panels; c++) memcpy(&v[c], dy + c * next, sizeof v[c]);
            for (int r = 0; r < rows; r++)
                for (int c = 0; c < panels; c++) s[r][c] += from[r][j * step] * v[c];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < panels; c++) sum[r][c] += s[r][c];
}

TUFF_EACH_PROCESSOR void add_some(const part *p, const float *const x[], int64_t rows,
                                  const int panels, vec sum[][PAIR])
{
    switch (rows) {
    case 1: add_rows(p, x, 1, panels, sum); break;
    case 2: add_rows(p, x, 2, panels, sum); break;
    case 3: add_rows(p, x, 3, panels, sum); break;
    case 4: add_rows(p, x, 4, panels, sum); break;
    case 5: add_rows(p, x, 5, panels, sum); break;
    default: add_rows(p, x, ROWS, panels, sum);
    }
}

// `pair`: whether the registers of a processor have room for two panels.
TUFF_EACH_PROCESSOR void add_block(part *p, const float *const x[], int64_t rows,
                                   int64_t panels, const bool pair, vec sum[][PAIR])
{
    for (int64_t r = 0; r < rows; r += ROWS) {
        if (pair && panels == 2) add_some(p, x + r, rows - r, 2, sum + r);
        else add_some(p, x + r, rows - r, 1, sum + r);
        if (pair || panels == 1) continue;
        part other = *p;
        other.dy += p->next;
        vec apart[ROWS][PAIR];
        for (int i = 0; i < ROWS; i++) apart[i][0] = (vec){ 0 };
        add_some(&other, x + r, rows - r, 1, apart);
        for (int64_t i = 0; i < ROWS && r + i < rows; i++) sum[r + i][1] += apart[i][0];
    }
}

typedef void add_fn(part *p, const float *const x[], int64_t rows, int64_t panels,
                    vec sum[][PAIR]);
static void add_any(part *p, const float *const x[], int64_t rows, int64_t panels,
                    vec sum[][PAIR])
{
    add_block(p, x, rows, panels, false, sum);
}
TUFF_TARGET_AVX2 static void add_avx2(part *p, const float *const x[], int64_t rows,
                                      int64_t panels, vec sum[][PAIR])
{
    add_block(p, x, rows, panels, false, sum);
}
TUFF_TARGET_AVX512 static void add_avx512(part *p, const float *const x[], int64_t rows,
                                          int64_t panels, vec sum[][PAIR])
{
    add_block(p, x, rows, panels, true, sum);
}

static add_fn *add_best(void)
{
    switch (tuff_this_processor()) {
    case TUFF_PROCESSOR_AVX512: return add_avx512;
    case TUFF_PROCESSOR_AVX2: return add_avx2;
    default: return add_any;
    }
}

// Where the row of dw reads x for the first pixel of y.
static const float *reads(const weights *w, const float *x, int64_t group, int64_t row)
{
    const tuff_conv *v = &w->v;
    const int64_t taps = tuff_volume(v->k), t = row % taps;
    const int64_t a = t / v->k[2] / v->k[1], b = t / v->k[2] % v->k[1], c = t % v->k[2];
    return x + (group * v->cg + row / taps) * w->plane +
           (a * v->dilation[0] * w->window.size[1] + b * v->dilation[1]) * w->window.size[2] +
           c * v->dilation[2];
}

static void run_item(const weights *w, const tuff_ref *r, int64_t i)
{
    const tuff_conv *v = &w->v;
    vec sum[BLOCK][PAIR];
    const float *x[BLOCK];
    float *scratch = r->scratch;
    const int64_t chunk = i % w->chunks, pair = i / w->chunks % w->pairs;
    const int64_t block = i / w->chunks / w->pairs % w->blocks;
    const int64_t group = i / w->chunks / w->pairs / w->blocks, first = block * BLOCK;
    const int64_t rows = w->rows - first < BLOCK ? w->rows - first : BLOCK;
    const int64_t panels = w->panels - pair * PAIR < PAIR ? w->panels - pair * PAIR : PAIR;
    const float *dy = scratch + dy_at(w) + (group * w->panels + pair * PAIR) * w->k * PANEL;
    add_fn *add = add_best();
    part p = { .next = w->k * PANEL };
    for (int64_t j = 0; j < rows; j++) x[j] = reads(w, scratch, group, first + j);
    memset(sum, 0, sizeof sum);
    const int64_t parts = tuff_sum_parts(w->k), end = (chunk + 1) * parts / w->chunks;
    for (int64_t n = chunk * parts / w->chunks; n < end; n++) {
        runs_of(w, tuff_sum_part(w->k, n), tuff_sum_part(w->k, n + 1), &p);
        p.dy = dy + p.k * PANEL;
        add(&p, x, rows, panels, sum);
    }
    float *to = w->chunks > 1 ? scratch + chunks_at(w) + chunk * w->size : r->out[0];
    for (int64_t o = pair * PAIR * PANEL; o < v->og && o < (pair + 1) * PAIR * PANEL; o++)
        for (int64_t j = 0; j < rows; j++)
            to[(group * v->og + o) * w->rows + first + j] =
                sum[j][o / PANEL % PAIR][o % PANEL];
}

// ---- the third one -------------------------------------------------------------------------

static void add_chunks(const weights *w, const tuff_ref *r, int64_t piece)
{
    const float *from = (const float *)r->scratch + chunks_at(w);
    const int64_t left = w->size - piece * PIECE, n = left < PIECE ? left : PIECE;
    float *to = r->out[0] + piece * PIECE;
    memcpy(to, from + piece * PIECE, (size_t)n * sizeof *to);
    for (int64_t c = 1; c < w->chunks; c++)
        for (int64_t i = 0; i < n; i++) to[i] += from[c * w->size + piece * PIECE + i];
}

// ---- what the records call -----------------------------------------------------------------

static int64_t items_of(const weights *w, int stage)
{
    if (stage == 0) return w->planes + w->v.group * w->panels * w->v.n;
    if (stage == 1) return w->blocks * w->pairs * w->v.group * w->chunks;
    return stage == 2 && w->chunks > 1 ? (w->size + PIECE - 1) / PIECE : 0;
}

static size_t units_of(const weights *w, int stage)
{
    const double work[] = { 16.0 * (double)chunks_at(w), 2.0 * (double)w->size * (double)w->k,
                            4.0 * (double)(w->size * w->chunks) };
    const int64_t items = items_of(w, stage);
    return items ? tuff_host_share(items, work[stage]) : 0;
}

bool tuff_conv_dw_host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

size_t tuff_conv_dw_host_units(const tuff_call *c, int stage)
{
    const weights w = weights_of(c);
    return units_of(&w, stage);
}

void tuff_conv_dw_host_run(const tuff_ref *r)
{
    const weights w = weights_of(r->call);
    const size_t units = units_of(&w, r->stage);
    const int64_t items = items_of(&w, r->stage), end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++) {
        if (r->stage == 0) prepare(&w, r, i);
        else if (r->stage == 1) run_item(&w, r, i);
        else add_chunks(&w, r, i);
    }
}
