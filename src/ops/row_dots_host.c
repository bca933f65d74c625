// Dense layers of bytes on the CPU path: convolutions of images of one pixel, with dot products
// of four bytes (dots_host.h). 16 outputs side by side read four numbers of a row of x at a
// time; weights lie as [n / 16][k / 4][16][4].
//
// Packed weights (row_bits) stay where they are: 64 neighbours of an output's are unpacked
// into a register, and multiplied by 64 numbers of x. What is summed by lanes is added up at
// the end.
#include "ops/dots_host.h"
#include "ops/packed_host.h"

enum { LANES = TUFF_DOTS_LANES, ROWS = 4, PANELS = 4, MOST_ROWS = 64 };

typedef struct dots {
    tuff_conv v;
    const tuff_qconv_inputs *in;
    int64_t m, n, k, quads, panels;
    bool stream; // weights are read as they lie, and none is kept
} dots;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void describe(dots *f, const tuff_call *c, bool stream)
{
    f->stream = stream;
    f->v = tuff_qconv_of(c);
    f->in = tuff_qconv_inputs_of(c);
    f->m = f->v.n;
    f->n = f->v.o;
    f->k = f->v.c;
    f->quads = (f->k + 3) / 4;
    f->panels = (f->n + LANES - 1) / LANES;
}

// ---- what is kept: panels, and what is known of their outputs -------------------------------

// tuff_dots_row of 16 outputs.
typedef struct known {
    double factor[LANES];
    int32_t sum[LANES], zero[LANES];
    int32_t any, far; // a zero point that is not 0; sums that may be too large for doubles
    int64_t unused[7]; // up to a whole line
} known;

static int64_t panel_bytes(const dots *f) { return f->stream ? 0 : f->quads * LANES * 4; }

static int8_t *panel_of(const dots *f, const tuff_ref *r, int64_t panel)
{
    return (int8_t *)r->kept + panel * panel_bytes(f);
}

static known *known_of(const dots *f, const tuff_ref *r, int64_t panel)
{
    return (known *)(void *)panel_of(f, r, f->panels) + panel;
}

// Output j of a panel.
static void pack_row(const dots *f, const tuff_ref *r, int64_t o, int64_t j, uint8_t *to)
{
    uint8_t room[TUFF_QCONV_SOME];
    const uint8_t flip = tuff_dots_flip_w(r);
    for (int64_t first = 0; first < f->k; first += TUFF_QCONV_SOME) {
        const int64_t n = least(f->k - first, TUFF_QCONV_SOME);
        const uint8_t *w = tuff_qconv_weights(r, o * f->k + first, n, room);
        for (int64_t i = first; i < first + n; i++)
            to[(i / 4 * LANES + j) * 4 + i % 4] = w[i - first] ^ flip;
    }
}

static void pack_panel(const dots *f, const tuff_ref *r, int64_t panel)
{
    uint8_t *to = (uint8_t *)panel_of(f, r, panel);
    known *of = known_of(f, r, panel);
    memset(to, 0, (size_t)panel_bytes(f));
    *of = (known){ 0 };
    for (int64_t j = 0; j < LANES && panel * LANES + j < f->n; j++) {
        const int64_t o = panel * LANES + j;
        const tuff_dots_row row = tuff_dots_row_of(r, &f->v, o);
        of->factor[j] = row.factor;
        of->sum[j] = row.sum;
        of->zero[j] = row.zero;
        of->any |= row.zero != 0;
        of->far |= row.reach >= TUFF_DOTS_FAR;
        if (!f->stream) pack_row(f, r, o, j, to);
    }
}

#if defined __x86_64__
// ---- sums ----------------------------------------------------------------------------------

typedef int32_t sums[PANELS * LANES];

// Adds a quad of each row times that of each panel.
TUFF_TARGET_DOTS static inline __attribute__((always_inline)) void
add_quads(const int32_t quad[ROWS], __m512i turn, const int8_t *w, int64_t step,
          const int rows, const int panels, __m512i s[ROWS][PANELS])
{
    for (int i = 0; i < rows; i++) {
        const __m512i a = _mm512_xor_si512(_mm512_set1_epi32(quad[i]), turn);
        for (int j = 0; j < panels; j++)
            s[i][j] = _mm512_dpbusd_epi32(s[i][j], a, _mm512_loadu_si512(w + j * step));
    }
}

// `rows` rows of x times `panels` panels; both constants where this is inlined.
TUFF_TARGET_DOTS static inline __attribute__((always_inline)) void
add_tile(const dots *f, const uint8_t *x, int32_t flip, const int8_t *w, const int rows,
         const int panels, sums *to)
{
    __m512i s[ROWS][PANELS];
    const int64_t step = f->quads * LANES * 4, whole = f->k / 4;
    const __m512i turn = _mm512_set1_epi32(flip);
    int32_t quad[ROWS] = { 0 };
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < panels; j++) s[i][j] = _mm512_setzero_si512();
    for (int64_t q = 0; q < whole; q++) {
        for (int i = 0; i < rows; i++) memcpy(&quad[i], x + i * f->k + 4 * q, sizeof *quad);
        add_quads(quad, turn, w + q * LANES * 4, step, rows, panels, s);
    }
    // A last one that is not whole.
    for (int i = 0; whole < f->quads && i < rows; i++)
        memcpy(&quad[i], x + i * f->k + 4 * whole, (size_t)(f->k % 4));
    if (whole < f->quads)
        add_quads(quad, turn, w + whole * LANES * 4, step, rows, panels, s);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < panels; j++) _mm512_storeu_si512(to[i] + j * LANES, s[i][j]);
}

TUFF_TARGET_DOTS static void add_sums(const dots *f, const uint8_t *x, int32_t flip,
                                      const int8_t *w, int64_t rows, int64_t panels, sums *to)
{
    const bool all = panels == PANELS;
    if (rows == ROWS && all) add_tile(f, x, flip, w, ROWS, PANELS, to);
    else if (rows == ROWS) add_tile(f, x, flip, w, ROWS, 1, to);
    else if (all) add_tile(f, x, flip, w, 1, PANELS, to);
    else add_tile(f, x, flip, w, 1, 1, to);
}

// ---- sums of packed weights ----------------------------------------------------------------

#define TARGET_BITS                                                             \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi")))

// Where outputs' weights, and rows of x, are read.
typedef struct stream {
    const tuff_bits64 *bits;
    tuff_bits64_at at[ROWS];
    const uint8_t *x;
    int64_t step; // from row to row
    __m512i turn; // turns x over
} stream;

// Adds up to 64 products of each sum; what is constant where this is inlined.
TARGET_BITS static inline __attribute__((always_inline)) void
add_64(stream *t, int64_t k, __mmask64 some, const bool inside, const int rows, const int outs,
       __m512i s[ROWS][ROWS])
{
    __m512i w[ROWS];
    for (int j = 0; j < outs; j++) w[j] = tuff_bits64_next(t->bits, &t->at[j], inside);
    for (int i = 0; i < rows; i++) {
        const uint8_t *x = t->x + i * t->step + k;
        const __m512i a = inside ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8(some, x);
        __m512i u = _mm512_xor_si512(a, t->turn);
        if (!inside) u = _mm512_maskz_mov_epi8(some, u);
        for (int j = 0; j < outs; j++) s[i][j] = _mm512_dpbusd_epi32(s[i][j], u, w[j]);
    }
}

// `rows` rows of x times `outs` outputs from `first` on; both constants where this is inlined.
TARGET_BITS static inline __attribute__((always_inline)) void
add_stream(const dots *f, const tuff_bits64 *bits, const uint8_t *x, int32_t flip,
           int64_t first, const int rows, const int outs, int64_t at, sums *to)
{
    __m512i s[ROWS][ROWS];
    stream t = { .bits = bits, .x = x, .step = f->k, .turn = _mm512_set1_epi32(flip) };
    int64_t k = 0;
    for (int j = 0; j < outs; j++) t.at[j] = tuff_bits64_from(bits, (first + j) * f->k);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < outs; j++) s[i][j] = _mm512_setzero_si512();
    // The last output's are nearest to the end.
    for (; k + 64 <= f->k && t.at[outs - 1].left >= 64; k += 64)
        add_64(&t, k, 0, true, rows, outs, s);
    for (; k < f->k; k += 64) {
        const int64_t n = f->k - k;
        const __mmask64 some = n < 64 ? ((__mmask64)1 << n) - 1 : ~(__mmask64)0;
        add_64(&t, k, some, false, rows, outs, s);
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < outs; j++) to[i][at + j] = _mm512_reduce_add_epi32(s[i][j]);
}

// A panel's sums for 1 or ROWS rows of x.
TARGET_BITS static void add_packed(const dots *f, const tuff_ref *r, const uint8_t *x,
                                   int32_t flip, int64_t panel, int64_t rows, sums *to)
{
    const tuff_packed p = { .words = (const uint32_t *)(const void *)r->in[f->in->w],
                            .count = r->call->in[f->in->w].dim[0],
                            .bits = tuff_qconv_bits(r->call) };
    const tuff_bits64 b = tuff_bits64_of(&p);
    const int64_t first = panel * LANES, n = least(LANES, f->n - first);
    int64_t j = 0;
    for (; j + ROWS <= n && rows == ROWS; j += ROWS)
        add_stream(f, &b, x, flip, first + j, ROWS, ROWS, j, to);
    for (; j + ROWS <= n; j += ROWS) add_stream(f, &b, x, flip, first + j, 1, ROWS, j, to);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = j; k < n; k++)
            add_stream(f, &b, x + i * f->k, flip, first + k, 1, 1, k, to + i);
}

// ---- what becomes of them ------------------------------------------------------------------

// 16 outputs.
typedef struct target {
    const known *of;
    int32_t plus[LANES];
    int64_t count;
    bool far;
} target;

static void target_of(const dots *f, const tuff_ref *r, const tuff_dots_call *c, int64_t panel,
                      target *t)
{
    const known *of = t->of = known_of(f, r, panel);
    t->far = of->far != 0;
    t->count = least(LANES, f->n - panel * LANES);
    for (int64_t j = 0; j < LANES; j++)
        t->plus[j] = (int32_t)((uint32_t)c->zero * ((uint32_t)c->k * (uint32_t)of->zero[j] -
                                                    (uint32_t)of->sum[j]));
    for (int64_t j = 0; c->bias && j < t->count; j++) {
        const int32_t bias = c->bias[panel * LANES + j];
        t->plus[j] = (int32_t)((uint32_t)t->plus[j] + (uint32_t)bias);
        t->far |= bias >= TUFF_DOTS_FAR || bias <= -TUFF_DOTS_FAR;
    }
}

static int32_t sum_of_x(const dots *f, const uint8_t *x, uint8_t flip)
{
    int32_t sum = 0;
    for (int64_t i = 0; i < f->k; i++) sum += x[i] ^ flip;
    return sum;
}

// 16 sums of a row of x, `at` elements into y.
TUFF_TARGET_DOTS static void put(const dots *f, const tuff_ref *r, const target *t,
                                 const tuff_dots_range *range, const int32_t *sum, int32_t of_x,
                                 int64_t at)
{
    uint8_t *y = (uint8_t *)(void *)r->out[0];
    const __mmask16 some = (__mmask16)((1u << t->count) - 1);
    __m512i s = _mm512_add_epi32(_mm512_loadu_si512(sum), _mm512_loadu_si512(t->plus));
    if (t->of->any)
        s = _mm512_sub_epi32(s, _mm512_mullo_epi32(_mm512_loadu_si512(t->of->zero),
                                                   _mm512_set1_epi32(of_x)));
    if (f->in->y_zero < 0) {
        _mm512_mask_storeu_epi32(y + 4 * at, some, s);
    } else if (!t->far) {
        const __m128i bytes = tuff_dots_bytes(s, _mm512_loadu_pd(t->of->factor),
                                              _mm512_loadu_pd(t->of->factor + 8), range);
        _mm_mask_storeu_epi8(y + at, some, bytes);
    } else {
        int32_t each[LANES];
        _mm512_storeu_si512(each, s);
        tuff_dots_far(each, t->of->factor, false, range, t->count, y + at);
    }
}

static void run_item(const dots *f, const tuff_ref *r, int64_t item)
{
    const int64_t across = (f->panels + PANELS - 1) / PANELS;
    const int64_t first = item % across * PANELS, panels = least(PANELS, f->panels - first);
    const int64_t begin = item / across * MOST_ROWS, end = least(begin + MOST_ROWS, f->m);
    const uint8_t *x = (const uint8_t *)(const void *)r->in[f->in->x];
    const uint8_t flip = tuff_dots_flip_x(r);
    target t[PANELS];
    tuff_dots_range range = { 0 };
    if (f->in->y_zero >= 0) range = tuff_dots_range_of(r);
    const tuff_dots_call call = tuff_dots_call_of(r, &f->v);
    for (int64_t j = 0; j < panels; j++) target_of(f, r, &call, first + j, &t[j]);
    const int64_t some = panels == PANELS && !f->stream ? PANELS : 1;
    for (int64_t row = begin, n; row < end; row += n) {
        sums sum[ROWS];
        n = end - row >= ROWS ? ROWS : 1;
        const int32_t turn = (int32_t)(0x1010101u * flip);
        for (int64_t j = 0; j < panels; j += some) {
            if (f->stream) add_packed(f, r, x + row * f->k, turn, first + j, n, sum);
            else add_sums(f, x + row * f->k, turn, panel_of(f, r, first + j), n, some, sum);
            for (int64_t i = 0; i < n; i++)
                for (int64_t k = j; k < j + some; k++)
                    put(f, r, &t[k], &range, sum[i] + (k - j) * LANES,
                        t[k].of->any ? sum_of_x(f, x + (row + i) * f->k, flip) : 0,
                        (row + i) * f->n + (first + k) * LANES);
        }
    }
}
#else
static void run_item(const dots *f, const tuff_ref *r, int64_t item)
{
    (void)f, (void)r, (void)item;
}
#endif

// ---- stages --------------------------------------------------------------------------------

static int64_t items_of(const dots *f, int stage)
{
    if (stage == 0) return f->panels;
    return (f->panels + PANELS - 1) / PANELS * ((f->m + MOST_ROWS - 1) / MOST_ROWS);
}

static size_t units_of(const dots *f, int stage)
{
    const double bytes = 64.0 * (double)f->quads * (double)f->panels;
    return tuff_host_share(items_of(f, stage), stage ? bytes * (double)f->m / 2 : 4 * bytes);
}

bool tuff_row_dots_takes(const tuff_call *c)
{
    const tuff_conv v = tuff_qconv_of(c);
    return tuff_dots_takes() && tuff_qconv_is_row(&v);
}

size_t tuff_row_dots_units(const tuff_call *c, int stage)
{
    dots f;
    if (stage > 1) return 0;
    describe(&f, c, false);
    return units_of(&f, stage);
}

size_t tuff_row_dots_scratch(const tuff_call *c)
{
    (void)c;
    return 0;
}

size_t tuff_row_dots_keeps(const tuff_call *c)
{
    dots f;
    describe(&f, c, false);
    return (size_t)f.panels * ((size_t)panel_bytes(&f) + sizeof(known));
}

static void run(const tuff_ref *r, bool stream)
{
    dots f;
    describe(&f, r->call, stream);
    const size_t units = units_of(&f, r->stage);
    const int64_t items = items_of(&f, r->stage);
    const int64_t end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++)
        if (r->stage) run_item(&f, r, i);
        else pack_panel(&f, r, i);
}

void tuff_row_dots_run(const tuff_ref *r) { run(r, false); }

// ---- the same of packed weights ------------------------------------------------------------

// More rows are worth panels: unpacking takes as long as the products of four.
bool tuff_bits_dots_takes(const tuff_call *c)
{
    enum { FEW_ROWS = 16 };
    return tuff_row_dots_takes(c) && tuff_qconv_bits(c) < 8 && c->in[0].dim[0] <= FEW_ROWS &&
           tuff_processor_shuffles();
}

size_t tuff_bits_dots_units(const tuff_call *c, int stage)
{
    return tuff_row_dots_units(c, stage);
}

size_t tuff_bits_dots_scratch(const tuff_call *c) { return tuff_row_dots_scratch(c); }

size_t tuff_bits_dots_keeps(const tuff_call *c)
{
    dots f;
    describe(&f, c, true);
    return (size_t)f.panels * sizeof(known);
}

void tuff_bits_dots_run(const tuff_ref *r) { run(r, true); }
