// Convolutions of bytes on the CPU path, with dot products of four bytes (dots_host.h). A
// group's planes of x become planes of quads, of which an output's window reads one after the
// other:
//
//   few taps, many channels   x[4c .. 4c + 3, p]       a quad is of four channels
//   many taps, few channels   x[c, p .. p + 3]         or of four taps of a row
//
// whichever makes fewer. A plane's pixels that a stride passes by lie in planes (phases) of
// their own, so that 16 neighbours of y always read 16 neighbours of x. Neighbours are counted
// along the rows of a plane with its pads, as if it were one row: what is computed between the
// rows of y is left out when they are written.
//
//   y (4 x 10), planes 14 wide:  |0123456789....|0123456789....|0123456789....|0123456789
//   sums, 16 at a time:          |---------------|---------------|---------------|-------...
//
// Packed weights are kept packed, in the order of quads, and unpacked for the outputs that are
// computed side by side.
#include "ops/dots_host.h"
#include "ops/packed.h"

enum {
    LANES = TUFF_DOTS_LANES,
    ROWS = 8,          // outputs at a time
    BLOCK = 128,       // outputs that share planes of quads
    LENGTH = 1536,     // sums of an output at a time
    SLACK = 4 * LANES, // what is read behind the last quad
    MOST_UNITS = 32    // each with planes of its own
};

typedef struct dots {
    tuff_conv v;
    const tuff_qconv_inputs *in;
    bool taps;               // quads are of taps
    int bits;                // of a weight as it is kept
    int64_t planes, quads;   // of a group; of a sum
    int64_t phases[2];       // of rows and columns
    int64_t high, wide;      // of a phase of a plane
    int64_t rows, chunks;    // of y; a chunk has so many rows
    int64_t length;          // sums of a chunk
    int64_t block, blocks;   // outputs of a group
    int64_t size;            // bytes of an element of y
} dots;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static int64_t reach(const tuff_conv *v, int axis)
{
    return (v->k[axis] - 1) * v->dilation[axis] + 1;
}

static void choose_quads(dots *f)
{
    const tuff_conv *v = &f->v;
    const int64_t by_channels = ceil_div(v->cg, 4) * v->k[2];
    const int64_t by_taps = v->cg * ceil_div(v->k[2], 4);
    f->taps = by_taps < by_channels;
    f->planes = f->taps ? v->cg : ceil_div(v->cg, 4);
    f->quads = v->k[1] * (f->taps ? by_taps : by_channels);
}

static void describe(dots *f, const tuff_call *c)
{
    f->v = tuff_qconv_of(c);
    f->in = tuff_qconv_inputs_of(c);
    const tuff_conv *v = &f->v;
    choose_quads(f);
    f->bits = tuff_qconv_bits(c);
    for (int i = 0; i < 2; i++) f->phases[i] = least(v->stride[1 + i], reach(v, 1 + i));
    f->wide = ceil_div((v->y[2] - 1) * v->stride[2] + reach(v, 2), v->stride[2]);
    const int64_t fit = LENGTH / f->wide;
    f->chunks = ceil_div(v->y[1], fit < 1 ? 1 : fit);
    f->rows = ceil_div(v->y[1], f->chunks);
    f->high = ceil_div((f->rows - 1) * v->stride[1] + reach(v, 1), v->stride[1]);
    f->length = (f->rows - 1) * f->wide + v->y[2];
    f->block = least(v->og, BLOCK);
    f->blocks = ceil_div(v->og, f->block);
    f->size = f->in->y_zero < 0 ? 4 : 1;
}

// ---- where things lie ----------------------------------------------------------------------
//
//   kept     where each quad of a sum lies from the first, rows, weights [group][og + 1][quads]
//   scratch  for each unit: planes, sums of x, rows of y, lines, unpacked weights

static int64_t plane_words(const dots *f)
{
    return f->phases[0] * f->phases[1] * f->high * f->wide;
}

static int64_t line_bytes(const dots *f)
{
    return tuff_dots_up(f->wide * f->v.stride[2] + 3 * f->v.dilation[2], 64) + 64;
}

// A row of y, with what is computed behind it.
static int64_t row_bytes(const dots *f)
{
    return tuff_dots_up(f->length + 2 * LANES, 64) * f->size;
}

static int64_t planes_bytes(const dots *f)
{
    return tuff_dots_up((f->planes * plane_words(f) + SLACK) * 4, 64);
}

static int64_t ones_bytes(const dots *f)
{
    return tuff_dots_up((f->length + 2 * LANES) * 4, 64);
}

// Weights of ROWS outputs, unpacked.
static int64_t weights_bytes(const dots *f)
{
    return f->bits < 8 ? tuff_dots_up(ROWS * f->quads * 4, 64) : 0;
}

static int64_t unit_bytes(const dots *f)
{
    return planes_bytes(f) + ones_bytes(f) + ROWS * row_bytes(f) + 4 * line_bytes(f) +
           weights_bytes(f);
}

static int64_t places_bytes(const dots *f) { return tuff_dots_up(f->quads * 4, 64); }

static int64_t known_bytes(const dots *f)
{
    return tuff_dots_up(f->v.o * (int64_t)sizeof(tuff_dots_row), 64);
}

static int32_t *places_of(const tuff_ref *r) { return r->kept; }

static tuff_dots_row *known_of(const dots *f, const tuff_ref *r)
{
    return (tuff_dots_row *)(void *)((char *)r->kept + places_bytes(f));
}

// Words of an output's weights as they are kept.
static int64_t kept_words(const dots *f) { return ceil_div(f->quads * f->bits, 8); }

// Those of output i of a group; behind the last one, a 1 for each weight.
static uint32_t *weights_of(const dots *f, const tuff_ref *r, int64_t group, int64_t i)
{
    return (uint32_t *)(void *)((char *)r->kept + places_bytes(f) + known_bytes(f)) +
           (group * (f->v.og + 1) + i) * kept_words(f);
}

// ---- weights -------------------------------------------------------------------------------

static int64_t columns(const dots *f)
{
    return f->taps ? ceil_div(f->v.k[2], 4) : f->v.k[2];
}

// Which number of an output's quads weight i of it is.
static int64_t number_of(const dots *f, int64_t i)
{
    const tuff_conv *v = &f->v;
    const int64_t b = i % v->k[2], a = i / v->k[2] % v->k[1], channel = i / v->k[2] / v->k[1];
    const int64_t line = (f->taps ? channel : channel / 4) * v->k[1] + a;
    return f->taps ? line * columns(f) * 4 + b : (line * columns(f) + b) * 4 + channel % 4;
}

static void put_places(const dots *f, int32_t *to)
{
    const tuff_conv *v = &f->v;
    for (int64_t q = 0; q < f->quads; q++) {
        const int64_t plane = q / columns(f) / v->k[1];
        const int64_t a = q / columns(f) % v->k[1] * v->dilation[1];
        const int64_t b = q % columns(f) * (f->taps ? 4 : 1) * v->dilation[2];
        const int64_t phase = a % v->stride[1] * f->phases[1] + b % v->stride[2];
        to[q] = (int32_t)(plane * plane_words(f) + phase * f->high * f->wide +
                          a / v->stride[1] * f->wide + b / v->stride[2]);
    }
}

// Puts number i of a row that was 0.
static void put_number(const dots *f, uint32_t *row, int64_t i, uint8_t q)
{
    const int64_t bit = i * f->bits, at = bit / 32, shift = bit % 32;
    const uint32_t v = q & ((1u << f->bits) - 1);
    row[at] |= v << shift;
    if (shift + f->bits > 32) row[at + 1] |= v >> (32 - shift);
}

static void pack_weights(const dots *f, const tuff_ref *r, int64_t o)
{
    const int64_t group = o / f->v.og, i = o % f->v.og;
    const int64_t count = f->v.cg * f->v.k[1] * f->v.k[2];
    const uint8_t flip = tuff_dots_flip_w(r);
    uint8_t room[TUFF_QCONV_SOME];
    uint32_t *to = weights_of(f, r, group, i), *ones = weights_of(f, r, group, f->v.og);
    known_of(f, r)[o] = tuff_dots_row_of(r, &f->v, o);
    memset(to, 0, (size_t)kept_words(f) * sizeof *to);
    if (i == 0) memset(ones, 0, (size_t)kept_words(f) * sizeof *ones);
    for (int64_t first = 0; first < count; first += TUFF_QCONV_SOME) {
        const int64_t n = least(count - first, TUFF_QCONV_SOME);
        const uint8_t *w = tuff_qconv_weights(r, o * count + first, n, room);
        for (int64_t k = 0; k < n; k++) {
            const int64_t at = number_of(f, first + k);
            put_number(f, to, at, w[k] ^ flip);
            if (i == 0) put_number(f, ones, at, 1);
        }
    }
    if (o == 0) put_places(f, places_of(r));
}

#if defined __x86_64__
// ---- planes of quads -----------------------------------------------------------------------

// What is made of x: a row of a phase at a time.
typedef struct quads {
    const dots *f;
    uint32_t flip, pad; // of four bytes at once
    uint8_t *line;      // four lines
} quads;

static void fill_words(uint32_t *to, int64_t n, uint32_t word)
{
    for (int64_t i = 0; i < n; i++) to[i] = word;
}

// n quads of four rows, and what is behind them up to 16.
TUFF_TARGET_DOTS static void zip(const uint8_t *const row[4], int64_t n, uint32_t flip,
                                 uint32_t *to)
{
    const __m512i turn = _mm512_set1_epi32((int)flip);
    for (int64_t i = 0; i < n; i += LANES) {
        const __mmask16 some = (__mmask16)(n - i < LANES ? (1u << (n - i)) - 1 : 0xffff);
        __m128i x[4];
        for (int k = 0; k < 4; k++) x[k] = _mm_maskz_loadu_epi8(some, row[k] + i);
        const __m512i low = _mm512_or_si512(
            _mm512_cvtepu8_epi32(x[0]), _mm512_slli_epi32(_mm512_cvtepu8_epi32(x[1]), 8));
        const __m512i high = _mm512_or_si512(
            _mm512_cvtepu8_epi32(x[2]), _mm512_slli_epi32(_mm512_cvtepu8_epi32(x[3]), 8));
        const __m512i all = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
        _mm512_storeu_si512(to + i, _mm512_xor_si512(all, turn));
    }
}

// Row `row` of each of the four planes of x, which are quads as they lie.
static void put_row(const quads *q, const uint8_t *const x[4], int64_t row, uint32_t *to)
{
    const dots *f = q->f;
    const tuff_conv *v = &f->v;
    const int64_t from = least(v->pad[2], f->wide);
    const int64_t n = least(v->x[2], f->wide - from);
    const uint8_t *at[4];
    for (int k = 0; k < 4; k++) at[k] = x[k] + row * v->x[2];
    fill_words(to, from, q->pad);
    zip(at, n, q->flip, to + from);
    fill_words(to + from + n, f->wide - from - n, q->pad);
}

// A row with its pads, turned over, and as long as taps behind the last one reach.
static void put_line(const quads *q, const uint8_t *x, int64_t row, uint8_t *line)
{
    const tuff_conv *v = &q->f->v;
    const int64_t all = line_bytes(q->f), n = least(v->x[2], all - v->pad[2]);
    memset(line, (int)(q->pad & 0xff), (size_t)all);
    const uint8_t *from = x + row * v->x[2];
    for (int64_t i = 0; i < n; i++) line[v->pad[2] + i] = from[i] ^ (uint8_t)q->flip;
}

// A row of each phase of columns.
static void put_phases(const quads *q, const uint8_t *const x[4], int64_t row, uint32_t *to)
{
    const dots *f = q->f;
    const int64_t step = f->v.stride[2];
    const uint8_t *line[4];
    for (int k = 0; k < 4; k++) {
        uint8_t *at = q->line + (f->taps ? 0 : k * line_bytes(f));
        if (!f->taps || k == 0) put_line(q, x[k], row, at);
        line[k] = at + (f->taps ? k * f->v.dilation[2] : 0);
    }
    if (step == 1) {
        zip(line, f->wide, 0, to);
        return;
    }
    for (int64_t phase = 0; phase < f->phases[1]; phase++, to += f->high * f->wide)
        for (int64_t i = 0; i < f->wide; i++) {
            const int64_t at = i * step + phase;
            to[i] = (uint32_t)line[0][at] | (uint32_t)line[1][at] << 8 |
                    (uint32_t)line[2][at] << 16 | (uint32_t)line[3][at] << 24;
        }
}

// Row i of a phase of rows, where a chunk begins at row `first` of y.
static void put_quads(const quads *q, const uint8_t *const x[4], int64_t first, int64_t phase,
                      int64_t i, uint32_t *to)
{
    const dots *f = q->f;
    const tuff_conv *v = &f->v;
    const int64_t row = (first + i) * v->stride[1] + phase - v->pad[1];
    if (row < 0 || row >= v->x[1])
        for (int64_t k = 0; k < f->phases[1]; k++)
            fill_words(to + k * f->high * f->wide, f->wide, q->pad);
    else if (v->stride[2] == 1 && !f->taps) put_row(q, x, row, to);
    else put_phases(q, x, row, to);
}

// What rows `first` and on of y of a group read. Channels that a last quad has not are any.
static void pack_planes(const quads *q, const tuff_ref *r, int64_t image, int64_t group,
                        int64_t first, uint32_t *to)
{
    const dots *f = q->f;
    const tuff_conv *v = &f->v;
    const uint8_t *x = (const uint8_t *)(const void *)r->in[f->in->x] +
                       (image * v->c + group * v->cg) * v->x[1] * v->x[2];
    for (int64_t plane = 0; plane < f->planes; plane++) {
        const uint8_t *at[4];
        for (int k = 0; k < 4; k++) {
            const int64_t channel = f->taps ? plane : least(4 * plane + k, v->cg - 1);
            at[k] = x + channel * v->x[1] * v->x[2];
        }
        for (int64_t phase = 0; phase < f->phases[0]; phase++)
            for (int64_t i = 0; i < f->high; i++)
                put_quads(q, at, first, phase, i,
                          to + plane * plane_words(f) +
                              (phase * f->phases[1] * f->high + i) * f->wide);
    }
}

// ---- sums ----------------------------------------------------------------------------------

// Some outputs of a chunk.
typedef struct tile {
    const int32_t *weights, *places;
    const uint32_t *x;
    const int32_t *ones;      // sums of x; NULL where no weight's zero point asks for them
    const tuff_dots_end *end;
    tuff_dots_range to;
    int64_t quads, length, step; // step: bytes between rows of y
    bool words;
    uint8_t *y;
} tile;

TUFF_TARGET_DOTS static void finish(const tile *t, __m512i sum, int64_t at,
                                    const tuff_dots_end *end, uint8_t *y)
{
    sum = _mm512_add_epi32(sum, _mm512_set1_epi32(end->plus));
    if (t->ones)
        sum = _mm512_sub_epi32(sum, _mm512_mullo_epi32(_mm512_set1_epi32(end->zero),
                                                       _mm512_loadu_si512(t->ones + at)));
    const __m512d factor = _mm512_set1_pd(end->factor);
    if (t->words) {
        _mm512_storeu_si512(y + 4 * at, sum);
    } else if (!end->far) {
        const __m128i bytes = tuff_dots_bytes(sum, factor, factor, &t->to);
        _mm_storeu_si128((__m128i *)(void *)(y + at), bytes);
    } else {
        int32_t each[LANES];
        _mm512_storeu_si512(each, sum);
        tuff_dots_far(each, &end->factor, true, &t->to, LANES, y + at);
    }
}

// `rows` outputs, `vecs` times 16 sums of each; both constants where this is inlined.
TUFF_TARGET_DOTS static inline __attribute__((always_inline)) void
add_tile(const tile *t, int64_t at, const int rows, const int vecs)
{
    __m512i s[ROWS][2];
    const int32_t *w = t->weights;
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < vecs; k++) s[i][k] = _mm512_setzero_si512();
    for (int64_t q = 0; q < t->quads; q++) {
        __m512i x[2];
        for (int k = 0; k < vecs; k++)
            x[k] = _mm512_loadu_si512(t->x + at + t->places[q] + k * LANES);
        for (int i = 0; i < rows; i++) {
            const __m512i one = _mm512_set1_epi32(w[i * t->quads + q]);
            for (int k = 0; k < vecs; k++) s[i][k] = _mm512_dpbusd_epi32(s[i][k], x[k], one);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < vecs; k++)
            finish(t, s[i][k], at + k * LANES, t->end + i, t->y + i * t->step);
}

TUFF_TARGET_DOTS static inline __attribute__((always_inline)) void
add_rows(const tile *t, const int rows)
{
    int64_t at = 0;
    for (; at + LANES < t->length; at += 2 * LANES) add_tile(t, at, rows, 2);
    if (at < t->length) add_tile(t, at, rows, 1);
}

#define ROWS_OF(n) case n: add_rows(t, n); break;
TUFF_TARGET_DOTS static void add_some(const tile *t, int64_t rows)
{
    switch (rows) {
        ROWS_OF(1) ROWS_OF(2) ROWS_OF(3) ROWS_OF(4)
        ROWS_OF(5) ROWS_OF(6) ROWS_OF(7)
    default: add_rows(t, ROWS); break;
    }
}

// Rows of y out of what was computed with what lies between them. Short ones are written 16
// bytes at a time, where what is too much is written over by the next ones.
static void put_rows(const uint8_t *from, int64_t step, int64_t rows, int64_t bytes, uint8_t *y)
{
    enum { SHORT = 16 };
    if (step == bytes) {
        memcpy(y, from, (size_t)(rows * bytes));
        return;
    }
    const int64_t end = rows * bytes;
    for (int64_t i = 0; i < rows; i++, from += step)
        if (bytes <= SHORT && i * bytes + SHORT <= end) memcpy(y + i * bytes, from, SHORT);
        else memcpy(y + i * bytes, from, (size_t)bytes);
}

// ---- a chunk -------------------------------------------------------------------------------

// What a unit holds.
typedef struct room {
    uint32_t *planes;
    int32_t *ones;
    uint8_t *rows, *lines;
    int32_t *weights;
} room;

static room room_of(const dots *f, const tuff_ref *r)
{
    char *at = (char *)r->scratch + (int64_t)r->begin * unit_bytes(f);
    room m = { .planes = (uint32_t *)(void *)at };
    m.ones = (int32_t *)(void *)(at += planes_bytes(f));
    m.rows = (uint8_t *)(at += ones_bytes(f));
    m.lines = (uint8_t *)(at += ROWS * row_bytes(f));
    m.weights = (int32_t *)(void *)(at + 4 * line_bytes(f));
    return m;
}

// The quads of `rows` outputs from output i of a group on.
static const int32_t *quads_of(const dots *f, const tuff_ref *r, const room *m, int64_t group,
                               int64_t i, int64_t rows)
{
    const uint32_t *kept = weights_of(f, r, group, i);
    const int64_t words = kept_words(f);
    if (f->bits == 8) return (const int32_t *)kept;
    for (int64_t k = 0; k < rows; k++) {
        const tuff_packed p = { .words = kept + k * words, .count = words, .bits = f->bits };
        tuff_packed_bytes(&p, 0, 4 * f->quads, (int8_t *)(m->weights + k * f->quads));
    }
    return m->weights;
}

// The sums of x beside each of y.
static void add_ones(const dots *f, const tuff_ref *r, const room *m, tile t, int64_t group)
{
    const tuff_dots_end nothing = { 0 };
    t.weights = quads_of(f, r, m, group, f->v.og, 1);
    t.end = &nothing;
    t.words = true;
    t.y = (uint8_t *)m->ones;
    add_some(&t, 1);
}

// Rows `first` and on of y, outputs begin .. end of a group of an image.
static void run_block(const dots *f, const tuff_ref *r, const room *m, int64_t image,
                      int64_t group, int64_t first, int64_t begin, int64_t end)
{
    const tuff_conv *v = &f->v;
    const int64_t rows = least(f->rows, v->y[1] - first), plane = v->y[1] * v->y[2];
    tuff_dots_end ends[BLOCK];
    tile t = { .places = places_of(r), .x = m->planes, .quads = f->quads,
               .length = (rows - 1) * f->wide + v->y[2], .step = row_bytes(f),
               .words = f->in->y_zero < 0, .y = m->rows };
    const tuff_dots_call call = tuff_dots_call_of(r, v);
    bool any = false;
    for (int64_t i = begin; i < end; i++) {
        const int64_t o = group * v->og + i;
        ends[i - begin] = tuff_dots_end_of(&call, known_of(f, r) + o, o);
        any |= ends[i - begin].zero != 0;
    }
    if (any) add_ones(f, r, m, t, group);
    if (any) t.ones = m->ones;
    if (!t.words) t.to = tuff_dots_range_of(r);
    for (int64_t i = begin; i < end; i += ROWS) {
        const int64_t some = least(ROWS, end - i), o = group * v->og + i;
        t.weights = quads_of(f, r, m, group, i, some);
        t.end = ends + (i - begin);
        add_some(&t, some);
        for (int64_t k = 0; k < some; k++)
            put_rows(m->rows + k * t.step, f->wide * f->size, rows, v->y[2] * f->size,
                     (uint8_t *)(void *)r->out[0] +
                         ((image * v->o + o + k) * plane + first * v->y[2]) * f->size);
    }
}

static void run_item(const dots *f, const tuff_ref *r, int64_t item)
{
    const tuff_conv *v = &f->v;
    const room m = room_of(f, r);
    const uint32_t pad = (uint32_t)(tuff_dots_zero_x(r) & 0xff);
    const quads q = { f, 0x1010101u * tuff_dots_flip_x(r), 0x1010101u * pad, m.lines };
    const int64_t chunk = item % f->chunks, block = item / f->chunks % f->blocks;
    const int64_t image = item / f->chunks / f->blocks, first = chunk * f->rows;
    const int64_t begin = block * f->block;
    if (first >= v->y[1]) return;
    for (int64_t group = 0; group < v->group; group++) {
        pack_planes(&q, r, image, group, first, m.planes);
        run_block(f, r, &m, image, group, first, begin, least(begin + f->block, v->og));
    }
}
#else
static void run_item(const dots *f, const tuff_ref *r, int64_t item)
{
    (void)f, (void)r, (void)item;
}
#endif

// ---- stages --------------------------------------------------------------------------------

static int64_t items_of(const dots *f) { return f->v.n * f->chunks * f->blocks; }

static size_t units_of(const dots *f, int stage)
{
    const double bytes = 4.0 * (double)f->quads * (double)f->v.o;
    if (stage == 0) return tuff_host_share(f->v.o, 4 * bytes);
    if (stage > 1) return 0;
    const double sums = (double)(f->v.n * f->v.y[1] * f->wide);
    const size_t units = tuff_host_share(items_of(f), bytes * sums / 2);
    return units < MOST_UNITS ? units : MOST_UNITS;
}

bool tuff_conv_dots_takes(const tuff_call *c)
{
    dots f;
    if (!tuff_dots_takes()) return false;
    describe(&f, c);
    // Places are numbers of 31 bits.
    return f.planes * plane_words(&f) < (int64_t)1 << 28;
}

size_t tuff_conv_dots_units(const tuff_call *c, int stage)
{
    dots f;
    if (stage > 1) return 0;
    describe(&f, c);
    return units_of(&f, stage);
}

size_t tuff_conv_dots_scratch(const tuff_call *c)
{
    dots f;
    describe(&f, c);
    return units_of(&f, 1) * (size_t)unit_bytes(&f);
}

size_t tuff_conv_dots_keeps(const tuff_call *c)
{
    dots f;
    describe(&f, c);
    return (size_t)(places_bytes(&f) + known_bytes(&f) +
                    f.v.group * (f.v.og + 1) * kept_words(&f) * 4);
}

void tuff_conv_dots_run(const tuff_ref *r)
{
    dots f;
    describe(&f, r->call);
    const size_t units = units_of(&f, r->stage);
    const int64_t items = r->stage ? items_of(&f) : f.v.o;
    const int64_t end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++)
        if (r->stage) run_item(&f, r, i);
        else pack_weights(&f, r, i);
}
