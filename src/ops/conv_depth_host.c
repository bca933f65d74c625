// Depthwise convolutions on the CPU path, and their gradients: a plane at a time, in bands of
// rows that are copied with pads round them. Columns a stride apart lie side by side in the
// copy, so that 16 outputs read 16 numbers in a row whatever the stride:
//
//   stride 2    x   0 1 2 3 4 5 6 7    copied as   0 2 4 6 | 1 3 5 7
//
// A gradient by x goes through dy with zeros between its numbers, without a stride.
//
// The usual kernels (3 x 3 and 5 x 5, strides of 1 and 2) are loops of constant lengths, of
// four rows of outputs at a time: what a row of the copy says to 16 columns is read once for
// all rows that need it.
#include "base/processor.h"
#include "ops/conv_host.h"
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    WIDE = 4,            // panels of outputs at a time
    MORE = WIDE * PANEL, // what a row of the copy has for reads past its end
    BAND = 12288,        // numbers of a band: 48 KiB
    TAPS = 49,
    ROWS = 4,            // of outputs, at a time,
    WIDTH = 128          // and columns
};

typedef tuff_vec vec;
typedef int32_t mask __attribute__((vector_size(PANEL * sizeof(int32_t))));

// One plane's work along rows [0] and columns [1]. Element i of the source, its numbers `up`
// apart and zeros between them, is read from `lo` on.
typedef struct slide {
    int64_t from[2], to[2], k[2], dilation[2], step[2], lo[2], up[2];
    bool back;
    int64_t pitch;     // of one of step[1] parts of a row of the copy
    int64_t rows;      // outputs of a band
} slide;

static bool is_usual(const slide *s)
{
    return s->k[0] == s->k[1] && (s->k[0] == 3 || s->k[0] == 5) && s->step[0] == s->step[1] &&
           s->step[0] <= 2 && s->dilation[0] == 1 && s->dilation[1] == 1 && s->up[1] == 1;
}

static void finish_slide(slide *s)
{
    const int64_t reach = (s->to[1] - 1) * s->step[1] + (s->k[1] - 1) * s->dilation[1] + 1;
    s->pitch = (reach + s->step[1] - 1) / s->step[1] + MORE;
    const int64_t row = s->pitch * s->step[1];
    const int64_t most = BAND / row - ((s->k[0] - 1) * s->dilation[0] + 1) -
                         (is_usual(s) ? (ROWS - 1) * s->step[0] : 0);
    s->rows = most < 0 ? 0 : most / s->step[0] + 1;
}

static slide forward_of(const tuff_conv *v)
{
    slide s = { .back = false };
    for (int i = 0; i < 2; i++) {
        s.from[i] = v->x[i + 1], s.to[i] = v->y[i + 1], s.k[i] = v->k[i + 1];
        s.dilation[i] = v->dilation[i + 1], s.step[i] = v->stride[i + 1];
        s.lo[i] = -v->pad[i + 1], s.up[i] = 1;
    }
    finish_slide(&s);
    return s;
}

static slide back_of(const tuff_conv *v)
{
    slide s = { .back = true };
    for (int i = 0; i < 2; i++) {
        s.from[i] = v->y[i + 1], s.to[i] = v->x[i + 1], s.k[i] = v->k[i + 1];
        s.dilation[i] = v->dilation[i + 1], s.step[i] = 1;
        s.lo[i] = v->pad[i + 1] - (v->k[i + 1] - 1) * v->dilation[i + 1];
        s.up[i] = v->stride[i + 1];
    }
    finish_slide(&s);
    return s;
}

static bool fits(const tuff_conv *v, const slide *s)
{
    return v->cg == 1 && v->og == 1 && v->k[0] == 1 && v->x[0] == 1 && v->y[0] == 1 &&
           s->k[0] * s->k[1] <= TAPS && s->rows > 0 && s->to[1] >= PANEL / 2;
}

// ---- a band --------------------------------------------------------------------------------

// Row `row` of the source, zeros between its numbers counted.
static void copy_row(const slide *s, const float *x, int64_t row, float *to)
{
    memset(to, 0, (size_t)(s->pitch * s->step[1]) * sizeof *to);
    if (row < 0 || row % s->up[0] || row / s->up[0] >= s->from[0]) return;
    x += row / s->up[0] * s->from[1];
    const int64_t reach = (s->pitch - MORE) * s->step[1];
    for (int64_t part = 0; part < s->step[1]; part++) {
        float *at = to + part * s->pitch;
        if (s->up[1] == 1) {
            const int64_t off = s->lo[1] + part;
            const tuff_span n = tuff_span_of(s->pitch - MORE, s->step[1], off, 0, s->from[1]);
            if (s->step[1] == 1)
                memcpy(at + n.begin, x + off + n.begin, (size_t)(n.end - n.begin) * sizeof *x);
            else
                for (int64_t i = n.begin; i < n.end; i++) at[i] = x[i * s->step[1] + off];
        } else {
            const tuff_span n = tuff_span_of(s->from[1], s->up[1], -s->lo[1], 0, reach);
            for (int64_t i = n.begin; i < n.end; i++) at[i * s->up[1] - s->lo[1]] = x[i];
        }
    }
}

// Rows of the source that outputs first .. first + rows read.
static void copy_band(const slide *s, const float *x, int64_t first, int64_t rows, float *band)
{
    const int64_t n = (rows - 1) * s->step[0] + (s->k[0] - 1) * s->dilation[0] + 1;
    for (int64_t i = 0; i < n; i++)
        copy_row(s, x, first * s->step[0] + s->lo[0] + i, band + i * s->pitch * s->step[1]);
}

// Where the taps of output row `row` of the band begin.
static void tap_rows(const slide *s, const float *band, int64_t row, const float *at[TAPS])
{
    for (int64_t a = 0; a < s->k[0]; a++)
        for (int64_t b = 0; b < s->k[1]; b++) {
            const int64_t col = b * s->dilation[1];
            at[a * s->k[1] + b] = band + (row * s->step[0] + a * s->dilation[0]) * s->pitch *
                                             s->step[1] +
                                  col % s->step[1] * s->pitch + col / s->step[1];
        }
}

// ---- forward, and by x ---------------------------------------------------------------------

// y[j] for `wide` panels, constant where inlined.
TUFF_EACH_PROCESSOR void slide_panels(const float *const at[], const float *w, int taps,
                                      int64_t j, const int wide, float *y)
{
    vec sum[WIDE];
    for (int i = 0; i < wide; i++) sum[i] = (vec){ 0 };
    for (int t = 0; t < taps; t++)
        for (int i = 0; i < wide; i++) {
            vec x;
            memcpy(&x, at[t] + j + i * PANEL, sizeof x);
            sum[i] += w[t] * x;
        }
    memcpy(y, sum, (size_t)wide * sizeof *sum);
}

// The next `n` numbers of a row, at most WIDE panels, and what is beyond them in whole panels.
TUFF_EACH_PROCESSOR void slide_row(const float *const at[], const float *w, int taps, int64_t j,
                                   int64_t n, float *y)
{
    if (n > 2 * PANEL) slide_panels(at, w, taps, j, WIDE, y);
    else if (n > PANEL) slide_panels(at, w, taps, j, 2, y);
    else slide_panels(at, w, taps, j, 1, y);
}
TUFF_FOR_PROCESSORS(slide_row,
                    (const float *const at[], const float *w, int taps, int64_t j, int64_t n,
                     float *y),
                    (at, w, taps, j, n, y))

// A loop for each step, so that each becomes vectors.
static void put_row(const tuff_finish *f, float *sum, int64_t n, int64_t at, int64_t ch,
                    float *y)
{
    const float bias = f->plus ? f->plus[ch] : 0;
    if (f->plus) for (int64_t j = 0; j < n; j++) sum[j] += bias;
    if (f->residual) for (int64_t j = 0; j < n; j++) sum[j] += f->residual[at + j];
    if (f->act == TUFF_ACT_RELU)
        for (int64_t j = 0; j < n; j++) sum[j] = sum[j] <= 0 ? 0 : sum[j];
    else if (f->act != TUFF_ACT_NONE)
        for (int64_t j = 0; j < n; j++) sum[j] = tuff_act_host(sum[j], f->act);
    memcpy(y + at, sum, (size_t)n * sizeof *sum);
}

// ---- the usual ones ------------------------------------------------------------------------

// The `n` numbers that a row of the copy has, which may be few.
TUFF_EACH_PROCESSOR void copy_numbers(const float *from, int64_t n, float *to)
{
    int64_t j = 0;
    for (; j + PANEL <= n; j += PANEL) memcpy(to + j, from + j, sizeof(vec));
    if (n >= PANEL) memcpy(to + n - PANEL, from + n - PANEL, sizeof(vec));
    else for (; j < n; j++) to[j] = from[j];
}

TUFF_EACH_PROCESSOR void copy_usual_row(const slide *s, const float *x, int64_t row,
                                        const int step, const bool wide, float *to)
{
    float side[BAND / 3 + 2 * PANEL]; // as x has it
    const int64_t reach = (s->pitch - MORE) * step;
    if (row < 0 || row % s->up[0] || row / s->up[0] >= s->from[0]) {
        memset(to, 0, (size_t)(s->pitch * step) * sizeof *to);
        return;
    }
    const tuff_span n = tuff_span_of(reach, 1, s->lo[1], 0, s->from[1]);
    float *at = step == 1 ? to : side;
    for (int64_t j = 0; j < n.begin; j++) at[j] = 0;
    copy_numbers(x + row / s->up[0] * s->from[1] + s->lo[1] + n.begin, n.end - n.begin,
                 at + n.begin);
    for (int64_t j = n.end; j < reach; j++) at[j] = 0;
    for (int64_t j = 0; step == 2 && j < s->pitch - MORE; j += PANEL) {
        vec part[2];
        tuff_unzip(side + 2 * j, wide, &part[0], &part[1]);
        for (int i = 0; i < 2; i++) memcpy(to + i * s->pitch + j, &part[i], sizeof *part);
    }
}

// ROWS rows of sums of 16 columns, of which the first begins at `band`, to rows of WIDTH.
TUFF_EACH_PROCESSOR void sum_usual(const slide *s, const float *band, const float *w,
                                   const int k, const int step, float *to)
{
    vec sum[ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++) sum[r] = (vec){ 0 };
#pragma GCC unroll 16
    for (int i = 0; i < (ROWS - 1) * step + k; i++) {
        const float *row = band + i * s->pitch * step;
#pragma GCC unroll 8
        for (int b = 0; b < k; b++) {
            vec x;
            memcpy(&x, row + b % step * s->pitch + b / step, sizeof x);
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; r++)
                if (i >= r * step && i - r * step < k) sum[r] += w[(i - r * step) * k + b] * x;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++) memcpy(to + r * WIDTH, &sum[r], sizeof *sum);
}

// A plane, whose rows of outputs begin at element `at`.
TUFF_EACH_PROCESSOR void usual_plane(const slide *s, const tuff_finish *f, const float *x,
                                     const float *w, float bias, int64_t at, float *y,
                                     const int k, const int step, const bool wide)
{
    float band[BAND + TUFF_WINDOW_MORE], sum[ROWS][WIDTH];
    const int64_t pitch = s->pitch * step;
    for (int64_t first = 0; first < s->to[0]; first += s->rows) {
        const int64_t left = s->to[0] - first, rows = left < s->rows ? left : s->rows;
        for (int64_t i = 0; i < (rows - 1) * step + k; i++)
            copy_usual_row(s, x, first * step + s->lo[0] + i, step, wide, band + i * pitch);
        for (int64_t i = 0; i < rows; i += ROWS)
            for (int64_t j = 0; j < s->to[1]; j += WIDTH) {
                const int64_t n = s->to[1] - j < WIDTH ? s->to[1] - j : WIDTH;
                for (int64_t c = 0; c < n; c += PANEL)
                    sum_usual(s, band + i * step * pitch + j + c, w, k, step, sum[0] + c);
                for (int64_t r = 0; r < ROWS && i + r < rows; r++) {
                    const int64_t to = at + (first + i + r) * s->to[1] + j;
                    tuff_conv_put(sum[r], n, bias, f->residual ? f->residual + to : NULL,
                                  f->act, y + to);
                }
            }
    }
}

TUFF_EACH_PROCESSOR void usual(const slide *s, const tuff_finish *f, const float *x,
                               const float *w, float bias, int64_t at, float *y,
                               const bool wide)
{
    if (s->k[0] == 3 && s->step[0] == 1) usual_plane(s, f, x, w, bias, at, y, 3, 1, wide);
    else if (s->k[0] == 3) usual_plane(s, f, x, w, bias, at, y, 3, 2, wide);
    else if (s->step[0] == 1) usual_plane(s, f, x, w, bias, at, y, 5, 1, wide);
    else usual_plane(s, f, x, w, bias, at, y, 5, 2, wide);
}
TUFF_FOR_PROCESSORS_WIDE(usual,
                         (const slide *s, const tuff_finish *f, const float *x, const float *w,
                          float bias, int64_t at, float *y),
                         s, f, x, w, bias, at, y)

static void run_plane(const slide *s, const tuff_finish *f, const float *x, const float *w_of,
                      int64_t plane, int64_t ch, float *y)
{
    float band[BAND + TUFF_WINDOW_MORE], w[TAPS], sum[WIDE * PANEL];
    const float *at[TAPS];
    const int taps = (int)(s->k[0] * s->k[1]);
    slide_row_fn *best = slide_row_best();
    for (int t = 0; t < taps; t++) w[t] = w_of[ch * taps + (s->back ? taps - 1 - t : t)];
    if (is_usual(s)) {
        usual_best()(s, f, x + plane * s->from[0] * s->from[1], w, f->plus ? f->plus[ch] : 0,
                     plane * s->to[0] * s->to[1], y);
        return;
    }
    for (int64_t first = 0; first < s->to[0]; first += s->rows) {
        const int64_t left = s->to[0] - first, rows = left < s->rows ? left : s->rows;
        copy_band(s, x + plane * s->from[0] * s->from[1], first, rows, band);
        for (int64_t i = 0; i < rows; i++) {
            tap_rows(s, band, i, at);
            for (int64_t j = 0; j < s->to[1]; j += MORE) {
                const int64_t n = s->to[1] - j < MORE ? s->to[1] - j : MORE;
                best(at, w, taps, j, n, sum);
                put_row(f, sum, n, ((plane * s->to[0]) + first + i) * s->to[1] + j, ch, y);
            }
        }
    }
}

// ---- by w ----------------------------------------------------------------------------------

// sum[t] += dy times what tap t reads, over a row of n outputs. What lies beyond them is no
// zero times a NaN: it is masked.
TUFF_EACH_PROCESSOR void weigh_row(const float *const at[], const float *dy, int taps,
                                   int64_t n, vec *sum)
{
    for (int64_t j = 0; j < n; j += PANEL) {
        const int64_t left = n - j < PANEL ? n - j : PANEL;
        vec d = { 0 };
        mask in;
        for (int i = 0; i < PANEL; i++) in[i] = i < left ? -1 : 0;
        memcpy(&d, dy + j, (size_t)left * sizeof(float));
        for (int t = 0; t < taps; t++) {
            vec x;
            memcpy(&x, at[t] + j, sizeof x);
            if (left < PANEL) x = (vec)((mask)x & in);
            sum[t] += d * x;
        }
    }
}
TUFF_FOR_PROCESSORS(weigh_row,
                    (const float *const at[], const float *dy, int taps, int64_t n, vec *sum),
                    (at, dy, taps, n, sum))

static void run_weights(const slide *s, const tuff_conv *v, const float *x, const float *dy,
                        int64_t ch, float *dw)
{
    float band[BAND + TUFF_WINDOW_MORE];
    const float *at[TAPS];
    vec sum[TAPS], all[TAPS];
    const int taps = (int)(s->k[0] * s->k[1]);
    weigh_row_fn *best = weigh_row_best();
    memset(all, 0, sizeof all);
    for (int64_t n = 0; n < v->n; n++) {
        const int64_t plane = n * v->c + ch;
        for (int64_t first = 0; first < s->to[0]; first += s->rows) {
            const int64_t left = s->to[0] - first, rows = left < s->rows ? left : s->rows;
            copy_band(s, x + plane * s->from[0] * s->from[1], first, rows, band);
            memset(sum, 0, sizeof sum);
            for (int64_t i = 0; i < rows; i++) {
                tap_rows(s, band, i, at);
                best(at, dy + ((plane * s->to[0]) + first + i) * s->to[1], taps, s->to[1], sum);
            }
            for (int t = 0; t < taps; t++) all[t] += sum[t];
        }
    }
    for (int t = 0; t < taps; t++) {
        dw[ch * taps + t] = 0;
        for (int i = 0; i < PANEL; i++) dw[ch * taps + t] += all[t][i];
    }
}

// ---- what the records call -----------------------------------------------------------------

typedef enum kind { FORWARD, BY_X, BY_W } kind;

static slide slide_of(const tuff_call *c, kind of, tuff_conv *v)
{
    if (of == FORWARD) tuff_conv_good(c, 0, 1, -1, v);
    else if (of == BY_X) tuff_conv_good(c, -1, 1, 0, v);
    else tuff_conv_good(c, 0, -1, 1, v);
    return of == BY_X ? back_of(v) : forward_of(v);
}

static bool takes(const tuff_call *c, kind of)
{
    tuff_conv v;
    const slide s = slide_of(c, of, &v);
    return fits(&v, &s);
}

static int64_t items_of(const tuff_conv *v, kind of) { return of == BY_W ? v->c : v->n * v->c; }

static size_t units(const tuff_call *c, kind of, int stage)
{
    tuff_conv v;
    const slide s = slide_of(c, of, &v);
    const double outputs = (double)(v.n * v.c * s.to[0]) * (double)s.to[1];
    return stage ? 0 : tuff_host_share(items_of(&v, of),
                                       outputs * (double)(2 * s.k[0] * s.k[1] + 8) * 4);
}

static void run(const tuff_ref *r, kind of)
{
    const tuff_conv_params *p = r->call->params;
    tuff_finish f = { .act = TUFF_ACT_NONE };
    if (of == FORWARD)
        f = (tuff_finish){ .plus = r->in[2], .residual = r->in[3], .act = p->act };
    tuff_conv v;
    const slide s = slide_of(r->call, of, &v);
    const size_t n = units(r->call, of, 0);
    const int64_t items = items_of(&v, of), end = tuff_host_item(items, n, r->end);
    for (int64_t i = tuff_host_item(items, n, r->begin); i < end; i++) {
        if (of == BY_W) run_weights(&s, &v, r->in[0], r->in[1], i, r->out[0]);
        else run_plane(&s, &f, r->in[0], r->in[1], i, i % v.c, r->out[0]);
    }
}

#define HOST(name, kind_)                                                       \
    bool tuff_conv_##name##depth_takes(const tuff_call *c)                      \
    {                                                                           \
        return takes(c, kind_);                                                 \
    }                                                                           \
    size_t tuff_conv_##name##depth_units(const tuff_call *c, int stage)         \
    {                                                                           \
        return units(c, kind_, stage);                                          \
    }                                                                           \
    void tuff_conv_##name##depth_run(const tuff_ref *r) { run(r, kind_); }
HOST(, FORWARD)
HOST(dx_, BY_X)
HOST(dw_, BY_W)
