// 3 x 3 convolutions on the CPU path, and their gradients by x, by Winograd's F(2 x 2, 3 x 3):
// 16 products make four outputs that take 36 as a sum (shaders/winograd.glsl says more of it).
//
//   kept   U[16 places][channels written / 6][channels read][6]   G w Gt, made once
//          V[16 places][channels read][tiles]                     Bt x B
//   y      At (U V) A, for a block of tiles and some channels at a time
//
// Tiles are numbered along rows and from row to row, and 16 in a row are a vector's wherever
// the rows end. For this, Bt is applied along rows first, to each row of x once:
//
//     even rows of x   +--------+--------+--     tile t of row r reads its four rows at t and
//     odd rows         +--------+--------+--     at t + across of both: plain vectors
//                       across   across
//
// V of a block is the thread's own; where there are fewer blocks than threads could take, V of
// them all is made first, and blocks are cut by channels, too.
#include "base/processor.h"
#include "base/thread.h"
#include "ops/conv_host.h"
#include "ops/gemm.h"
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    SIX = TUFF_PANEL_ROWS,
    PLACES = 16,
    TILES = 112,       // of a block, at most
    V_FLOATS = 160000, // of a block, where it has more than two panels: most of a cache
    ACROSS = 256,      // tiles of a row, at most
    ROWS = 24,         // channels written at a time
    PRODUCTS = ROWS * TILES + PANEL, // of a place
    LEAST = 8,         // channels that are worth the way
    LEAST_PIXELS = 96, // and pixels, where the weights are not made once
    ROOM = 2 * PANEL,  // behind rows, for what a vector reads or writes too much
    SPLIT = TILES + 3 * ACROSS + ROOM,
    W = 1
};

typedef tuff_vec vec;

typedef struct winograd {
    int64_t n, read, write;    // images, channels
    int64_t from[2], to[2];    // rows and columns read, written
    int64_t off[2];            // what tile 0 begins at
    int64_t down, across;      // tiles of an image
    int64_t w_read, w_write;   // steps of weights
    bool flip;
    int64_t tiles;             // of a block
    int64_t blocks, each;      // in all, of an image
    int64_t rows;              // of an item
    bool shared;               // V of all blocks is made first
} winograd;

typedef enum kind { FORWARD, BY_X } kind;

static int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

static double flops_of(const winograd *g)
{
    return 2.0 * PLACES * (double)(g->n * g->down * g->across) *
           (double)(g->read * g->write);
}

// Blocks of whole rows of tiles, if they are that short: rows of x are gone through once.
static void cut_image(winograd *g)
{
    const int64_t tiles = g->down * g->across;
    int64_t most = V_FLOATS / (PLACES * g->read) / PANEL * PANEL;
    most = most < 2 * PANEL ? 2 * PANEL : most > TILES ? TILES : most;
    if (most >= g->across) {
        const int64_t rows = most / g->across;
        g->each = (g->down + rows - 1) / rows;
        g->tiles = (g->down + g->each - 1) / g->each * g->across;
    } else {
        g->each = (tiles + most - 1) / most;
        g->tiles = up((tiles + g->each - 1) / g->each, PANEL);
    }
    g->each = (tiles + g->tiles - 1) / g->tiles;
}

static void cut(winograd *g)
{
    const int64_t threads = tuff_thread_count();
    cut_image(g);
    g->blocks = g->each * g->n;
    g->rows = g->write;
    g->shared = threads > 1 && g->blocks < 2 * threads;
    if (!g->shared) return;
    const double want = flops_of(g) / 1e6 < 16 ? flops_of(g) / 1e6 : 16;
    while ((double)(g->blocks * ((g->write + g->rows - 1) / g->rows)) < want &&
           g->rows > 2 * SIX)
        g->rows = up(g->rows / 2, SIX);
}

// False where the call is no such convolution.
static bool winograd_of(const tuff_call *c, kind of, winograd *g)
{
    tuff_conv v;
    if (of == FORWARD) tuff_conv_good(c, 0, W, -1, &v);
    else tuff_conv_good(c, -1, W, 0, &v);
    if (v.group != 1 || v.k[0] != 1 || v.x[0] != 1 || v.y[0] != 1) return false;
    *g = (winograd){ .n = v.n, .read = v.c, .write = v.o, .w_read = 9, .w_write = 9 * v.c };
    for (int i = 0; i < 2; i++) {
        if (v.k[i + 1] != 3 || v.stride[i + 1] != 1 || v.dilation[i + 1] != 1) return false;
        g->from[i] = v.x[i + 1], g->to[i] = v.y[i + 1], g->off[i] = -v.pad[i + 1];
    }
    if (of == BY_X) {
        g->read = v.o, g->write = v.c, g->flip = true;
        g->w_read = 9 * v.c, g->w_write = 9;
        for (int i = 0; i < 2; i++) {
            g->from[i] = v.y[i + 1], g->to[i] = v.x[i + 1];
            g->off[i] = v.pad[i + 1] - 2;
        }
    }
    g->down = (g->to[0] + 1) / 2;
    g->across = (g->to[1] + 1) / 2;
    if (g->across > ACROSS || g->read < LEAST || g->write < LEAST) return false;
    cut(g);
    return true;
}

// ---- where things lie ----------------------------------------------------------------------

static int64_t u_place(const winograd *g) { return up(g->write, SIX) * g->read; }
static int64_t pitch(const winograd *g) { return up(g->tiles, PANEL); }
// Places do not lie a power of two apart, which would put them all into one set of a cache.
static int64_t v_place(const winograd *g) { return g->read * pitch(g) + PANEL; }
static int64_t v_block(const winograd *g) { return PLACES * v_place(g) + ROOM; }

static int64_t row_cuts(const winograd *g) { return (g->write + g->rows - 1) / g->rows; }
static int64_t items_of(const winograd *g) { return g->blocks * row_cuts(g); }

// Stages: the weights, V where it is shared, and y.
static size_t units_of(const winograd *g, int stage)
{
    const int64_t sixes = up(g->write, SIX) / SIX;
    if (stage == 0) return tuff_host_share(sixes, 200.0 * (double)(sixes * SIX * g->read));
    if (g->shared && stage == 1)
        return tuff_host_share(g->blocks * g->read, 100.0 * (double)(g->read * g->n) *
                                                        (double)(g->down * g->across));
    if (stage > 1 + g->shared) return 0;
    const size_t n = tuff_host_share(items_of(g), flops_of(g));
    const size_t most = 4 * (size_t)tuff_thread_count(); // each has a V of its own
    return g->shared || n < most ? n : most;
}

// ---- the weights ---------------------------------------------------------------------------

// Gt w G of 16 channels read, each place a vector.
TUFF_EACH_PROCESSOR void transform_weights(float tap[9][PANEL], float u[PLACES][PANEL])
{
    vec w[3][3], half[4][3];
    for (int i = 0; i < 9; i++) memcpy(&w[i / 3][i % 3], tap[i], sizeof(vec));
    for (int j = 0; j < 3; j++) {
        const vec ends = 0.5f * (w[0][j] + w[2][j]), middle = 0.5f * w[1][j];
        half[0][j] = w[0][j];
        half[1][j] = ends + middle;
        half[2][j] = ends - middle;
        half[3][j] = w[2][j];
    }
    for (int i = 0; i < 4; i++) {
        const vec ends = 0.5f * (half[i][0] + half[i][2]), middle = 0.5f * half[i][1];
        const vec to[4] = { half[i][0], ends + middle, ends - middle, half[i][2] };
        memcpy(u[4 * i], to, sizeof to);
    }
}

// U of six channels written; those that are not there become zeros.
TUFF_EACH_PROCESSOR void make_six(const winograd *g, const float *w, int64_t six, float *to)
{
    float tap[9][PANEL], u[SIX][PLACES][PANEL];
    const int64_t rows = g->write - six * SIX < SIX ? g->write - six * SIX : SIX;
    memset(u, 0, sizeof u);
    w += six * SIX * g->w_write;
    to += six * SIX * g->read;
    for (int64_t k = 0; k < g->read; k += PANEL) {
        const int64_t n = g->read - k < PANEL ? g->read - k : PANEL;
        for (int64_t r = 0; r < rows; r++) {
            const float *from = w + r * g->w_write + k * g->w_read;
            memset(tap, 0, sizeof tap);
            for (int64_t j = 0; j < n; j++)
                for (int t = 0; t < 9; t++)
                    tap[g->flip ? 8 - t : t][j] = from[j * g->w_read + t];
            transform_weights(tap, u[r]);
        }
        for (int p = 0; p < PLACES; p++)
            for (int64_t j = 0; j < n; j++)
                for (int r = 0; r < SIX; r++)
                    to[p * u_place(g) + (k + j) * SIX + r] = u[r][p][j];
    }
}
TUFF_FOR_PROCESSORS(make_six, (const winograd *g, const float *w, int64_t six, float *to),
                    (g, w, six, to))

// ---- V -------------------------------------------------------------------------------------

// Bt along a row: for tile t the columns 2 t .. 2 t + 3 of `row`, to four arrays that lie
// SPLIT apart.
TUFF_EACH_PROCESSOR void along_row(const float *row, int64_t across, const bool wide, float *to)
{
    for (int64_t t = 0; t < across; t += PANEL) {
        vec x[2][2]; // of the first two columns, and of the next
        for (int i = 0; i < 2; i++) tuff_unzip(row + 2 * t + 2 * i, wide, &x[i][0], &x[i][1]);
        const vec y[4] = { x[0][0] - x[1][0], x[0][1] + x[1][0], x[1][0] - x[0][1],
                           x[0][1] - x[1][1] };
        for (int j = 0; j < 4; j++) memcpy(to + j * SPLIT + t, &y[j], sizeof y[j]);
    }
}

// Row `i` of a plane, from the column that tile 0 begins at, with zeros where it has none.
static void copy_row(const winograd *g, const float *x, int64_t i, float *row)
{
    const int64_t width = 2 * g->across + 2;
    const bool in = i >= 0 && i < g->from[0];
    const tuff_span s = tuff_span_of(width, 1, g->off[1], 0, in ? g->from[1] : 0);
    const int64_t begin = s.begin < s.end ? s.begin : width;
    memset(row, 0, (size_t)begin * sizeof *row);
    if (begin == width) return;
    memcpy(row + begin, x + i * g->from[1] + g->off[1] + begin,
           (size_t)(s.end - begin) * sizeof *row);
    memset(row + s.end, 0, (size_t)(width - s.end) * sizeof *row);
}

// V of the tiles begin .. end of a plane, a place after the other v_place(g) apart.
TUFF_EACH_PROCESSOR void make_plane(const winograd *g, const float *x, int64_t begin,
                                    int64_t end, float *to, const bool wide)
{
    float row[2 * ACROSS + 2 + 2 * ROOM], part[2][4][SPLIT]; // even and odd rows
    const int64_t across = g->across, first = begin / across, last = (end - 1) / across;
    memset(row + 2 * across + 2, 0, 2 * ROOM * sizeof *row);
    for (int64_t i = 0; i < 2 * (last - first + 1) + 2; i++) {
        copy_row(g, x, 2 * first + g->off[0] + i, row);
        along_row(row, across, wide, part[i % 2][0] + i / 2 * across);
    }
    const int64_t at = begin - first * across, step = v_place(g);
    for (int64_t t = 0; t < end - begin; t += PANEL)
        for (int j = 0; j < 4; j++) {
            vec even, odd, even2, odd2;
            memcpy(&even, &part[0][j][at + t], sizeof even);
            memcpy(&odd, &part[1][j][at + t], sizeof odd);
            memcpy(&even2, &part[0][j][at + t + across], sizeof even2);
            memcpy(&odd2, &part[1][j][at + t + across], sizeof odd2);
            const vec v[4] = { even - even2, odd + even2, even2 - odd, odd - odd2 };
            for (int i = 0; i < 4; i++)
                memcpy(to + (4 * i + j) * step + t, &v[i], sizeof v[i]);
        }
}
TUFF_FOR_PROCESSORS_WIDE(make_plane,
                         (const winograd *g, const float *x, int64_t begin, int64_t end,
                          float *to),
                         g, x, begin, end, to)

// Channel `c` of a block.
static void make_channel(const winograd *g, const float *x, int64_t block, int64_t c, float *v)
{
    const int64_t all = g->down * g->across, begin = block % g->each * g->tiles;
    const int64_t end = begin + g->tiles < all ? begin + g->tiles : all;
    make_plane_best()(g, x + (block / g->each * g->read + c) * g->from[0] * g->from[1], begin,
                      end, v + c * pitch(g));
}

// ---- y -------------------------------------------------------------------------------------

// At m A of a row of `tiles`: two rows of outputs, two for each tile.
TUFF_EACH_PROCESSOR void transform_back(const float *m, int64_t step, int64_t tiles,
                                        const bool wide, float out[2][2 * TILES])
{
    for (int64_t t = 0; t < tiles; t += PANEL) {
        vec half[2][4];
        for (int j = 0; j < 4; j++) {
            vec x[4];
            for (int i = 0; i < 4; i++)
                memcpy(&x[i], m + (4 * i + j) * step + t, sizeof x[i]);
            half[0][j] = x[0] + x[1] + x[2];
            half[1][j] = x[1] - x[2] - x[3];
        }
        for (int i = 0; i < 2; i++) {
            const vec left = half[i][0] + half[i][1] + half[i][2];
            const vec right = half[i][1] - half[i][2] - half[i][3];
            tuff_zip(&left, &right, wide, out[i] + 2 * t);
        }
    }
}

// A plane's tiles begin .. end, of products that lie `step` apart from place to place.
TUFF_EACH_PROCESSOR void put_plane(const winograd *g, const float *m, int64_t step,
                                   int64_t begin, int64_t end, const tuff_finish *f, int64_t ch,
                                   float *y, const bool wide)
{
    float out[2][2 * TILES];
    const float bias = f->plus ? f->plus[ch] : 0;
    transform_back(m, step, end - begin, wide, out);
    for (int64_t t = begin; t < end;) {
        const int64_t row = t / g->across, left = t % g->across;
        const int64_t n = g->across - left < end - t ? g->across - left : end - t;
        const int64_t cols = 2 * (left + n) < g->to[1] ? 2 * n : g->to[1] - 2 * left;
        for (int i = 0; i < 2 && 2 * row + i < g->to[0]; i++) {
            const int64_t at = (2 * row + i) * g->to[1] + 2 * left;
            tuff_conv_put(out[i] + 2 * (t - begin), cols, bias,
                    f->residual ? f->residual + at : NULL, f->act, y + at);
        }
        t += n;
    }
}
TUFF_FOR_PROCESSORS_WIDE(put_plane,
                         (const winograd *g, const float *m, int64_t step, int64_t begin,
                          int64_t end, const tuff_finish *f, int64_t ch, float *y),
                         g, m, step, begin, end, f, ch, y)

// All products of some channels and a block, each summed in parts as any product is.
static void multiply(const winograd *g, const float *u, const float *v, int64_t row,
                     int64_t rows, int64_t tiles, float *m)
{
    const tuff_finish none = { .alpha = 1, .beta = 1 };
    tuff_tiles t = { .a_six = SIX * g->read, .a_m = 1, .a_k = SIX, .b_panel = PANEL,
                     .b_k = pitch(g), .rows = rows, .cols = up(tiles, PANEL / 2),
                     .y_m = TILES, .finish = &none };
    for (int place = 0; place < PLACES; place++)
        for (int64_t i = 0; i < tuff_sum_parts(g->read); i++) {
            const int64_t k = tuff_sum_part(g->read, i);
            t.depth = tuff_sum_part(g->read, i + 1) - k;
            t.first = i == 0;
            t.last = i == tuff_sum_parts(g->read) - 1;
            t.a = u + place * u_place(g) + row * g->read + k * SIX;
            t.b = v + place * v_place(g) + k * t.b_k;
            t.y = m + place * PRODUCTS;
            tuff_tiles_add(&t);
        }
}

static void run_item(const winograd *g, const tuff_ref *r, const tuff_finish *finish,
                     int64_t i, float *own)
{
    float m[PLACES * PRODUCTS];
    const int64_t block = i / row_cuts(g), first = i % row_cuts(g) * g->rows;
    const int64_t last = first + g->rows < g->write ? first + g->rows : g->write;
    const int64_t all = g->down * g->across, begin = block % g->each * g->tiles;
    const int64_t end = begin + g->tiles < all ? begin + g->tiles : all;
    float *v = g->shared ? (float *)r->scratch + block * v_block(g) : own;
    put_plane_fn *put = put_plane_best();
    for (int64_t c = 0; !g->shared && c < g->read; c++) make_channel(g, r->in[0], block, c, v);
    for (int64_t row = first; row < last; row += ROWS) {
        const int64_t rows = last - row < ROWS ? last - row : ROWS;
        multiply(g, r->kept, v, row, rows, end - begin, m);
        for (int64_t j = 0; j < rows; j++) {
            const int64_t at = (block / g->each * g->write + row + j) * g->to[0] * g->to[1];
            tuff_finish f = *finish;
            if (f.residual) f.residual += at;
            put(g, m + j * TILES, PRODUCTS, begin, end, &f, row + j, r->out[0] + at);
        }
    }
}

// ---- what the records call -----------------------------------------------------------------

static bool takes(const tuff_call *c, kind of)
{
    winograd g;
    return winograd_of(c, of, &g) && (tuff_call_constant(c, W) ||
                                      g.n * g.to[0] * g.to[1] >= LEAST_PIXELS);
}

static size_t units(const tuff_call *c, kind of, int stage)
{
    winograd g;
    return winograd_of(c, of, &g) ? units_of(&g, stage) : 0;
}

static size_t scratch(const tuff_call *c, kind of)
{
    winograd g;
    if (!winograd_of(c, of, &g)) return 0;
    const size_t many = g.shared ? (size_t)g.blocks : units_of(&g, 1);
    return many * (size_t)v_block(&g) * sizeof(float);
}

static size_t keeps(const tuff_call *c, kind of)
{
    winograd g;
    return winograd_of(c, of, &g) ? (size_t)(PLACES * u_place(&g)) * sizeof(float) : 0;
}

static tuff_finish finish_of(const tuff_ref *r, kind of)
{
    enum { BIAS = 2, RESIDUAL };
    const tuff_conv_params *p = r->call->params;
    if (of == BY_X) return (tuff_finish){ .act = TUFF_ACT_NONE };
    return (tuff_finish){ .plus = r->in[BIAS], .residual = r->in[RESIDUAL], .act = p->act };
}

static void run(const tuff_ref *r, kind of)
{
    winograd g;
    if (!winograd_of(r->call, of, &g)) return;
    const tuff_finish f = finish_of(r, of);
    const bool shared = g.shared && r->stage == 1;
    const int64_t items = r->stage == 0 ? up(g.write, SIX) / SIX
                        : shared        ? g.blocks * g.read : items_of(&g);
    const size_t n = units_of(&g, r->stage);
    const int64_t end = tuff_host_item(items, n, r->end);
    float *v = r->scratch, *own = v + (g.shared ? 0 : (int64_t)r->begin * v_block(&g));
    for (int64_t i = tuff_host_item(items, n, r->begin); i < end; i++) {
        if (r->stage == 0)
            make_six_best()(&g, r->in[W], i, r->kept);
        else if (shared)
            make_channel(&g, r->in[0], i / g.read, i % g.read, v + i / g.read * v_block(&g));
        else
            run_item(&g, r, &f, i, own);
    }
}

#define HOST(name, kind_)                                                       \
    bool tuff_conv_##name##winograd_takes(const tuff_call *c)                   \
    {                                                                           \
        return takes(c, kind_);                                                 \
    }                                                                           \
    size_t tuff_conv_##name##winograd_units(const tuff_call *c, int stage)      \
    {                                                                           \
        return units(c, kind_, stage);                                          \
    }                                                                           \
    size_t tuff_conv_##name##winograd_scratch(const tuff_call *c)               \
    {                                                                           \
        return scratch(c, kind_);                                               \
    }                                                                           \
    size_t tuff_conv_##name##winograd_keeps(const tuff_call *c)                 \
    {                                                                           \
        return keeps(c, kind_);                                                 \
    }                                                                           \
    void tuff_conv_##name##winograd_run(const tuff_ref *r) { run(r, kind_); }
HOST(, FORWARD)
HOST(dx_, BY_X)
