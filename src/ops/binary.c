// y = f(a, b) with NumPy's broadcasting, for any function of two elements: references and
// planners. The shader is shaders/binary.comp; the records are in arithmetic.c and compare.c.
#include "ops/elementwise.h"

const tuff_binary *tuff_binary_function(const tuff_call *c)
{
    const tuff_binary *f = c->op->family;
    return f->pick ? f->pick(c) : f;
}

static bool compares(const tuff_binary *f)
{
    return f->function >= TUFF_BINARY_EQUAL && f->function <= TUFF_BINARY_LESS_OR_EQUAL;
}

tuff_status tuff_binary_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_broadcast_infer(c, &out[0]));
    if (compares(tuff_binary_function(c))) out[0].dtype = TUFF_BOOL;
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

static int64_t whole_at(tuff_dtype type, const void *x, size_t i)
{
    if (type == TUFF_BOOL) return ((const uint8_t *)x)[i] != 0;
    return type == TUFF_U32 ? (int64_t)((const uint32_t *)x)[i] : ((const int32_t *)x)[i];
}

static void put_whole(tuff_dtype type, void *y, size_t i, int64_t v)
{
    if (type == TUFF_BOOL) ((uint8_t *)y)[i] = v != 0;
    else ((uint32_t *)y)[i] = (uint32_t)v;
}

void tuff_binary_ref(const tuff_ref *r)
{
    const tuff_binary *f = tuff_binary_function(r->call);
    const tuff_desc *a = &r->call->in[0], *b = &r->call->in[1], *y = &r->call->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        const size_t u = tuff_broadcast_at(a, y, i), v = tuff_broadcast_at(b, y, i);
        if (a->dtype != TUFF_F32) {
            put_whole(y->dtype, r->out[0], i, f->whole(whole_at(a->dtype, r->in[0], u),
                                                       whole_at(b->dtype, r->in[1], v)));
            continue;
        }
        const double value = f->real((double)r->in[0][u], (double)r->in[1][v]);
        if (y->dtype == TUFF_BOOL) put_whole(TUFF_BOOL, r->out[0], i, value != 0);
        else r->out[0][i] = (float)value;
    }
}

// ---- plans ---------------------------------------------------------------------------------

static bool is_packed(const tuff_desc *d) { return tuff_dtype_size(d->dtype) < 4; }

static uint64_t words_of(const tuff_desc *d) { return (tuff_desc_bytes(d) + 3) / 4; }

// Four neighbours at once: one fetch brings all four of an operand of y's shape or of a row
// of fours, and the one that all four share of an operand repeated that often.
static void read_four(tuff_spread *s, int k)
{
    if (s->mode[k] == TUFF_READ_SAME && s->pc.count % 4 != 0) s->mode[k] = TUFF_READ_PERIODIC;
    if (s->mode[k] != TUFF_READ_PERIODIC) return;
    if (s->pc.mod[k] == 1 || s->pc.div[k] % 4 == 0) s->mode[k] = TUFF_READ_BLOCK;
    else if (s->pc.div[k] == 1 && s->pc.mod[k] % 4 == 0) s->mode[k] = TUFF_READ_ROW;
}

static bool reads_fours(uint32_t mode)
{
    return mode == TUFF_READ_SAME || mode == TUFF_READ_ROW;
}

// Whether texel buffers serve, and then how each operand is read.
static bool four_at_once(const tuff_caps *k, const tuff_desc *const x[2], tuff_spread *s)
{
    if (!k->cpu_like) return false;
    for (int i = 0; i < 2; i++) {
        // Several elements a word are taken whole words at a time.
        const bool whole = s->mode[i] == TUFF_READ_SAME && words_of(x[i]) % 4 == 0;
        if (is_packed(x[i]) && !whole) return false;
        if (!is_packed(x[i])) read_four(s, i);
    }
    return true;
}

static bool fits(const tuff_caps *k, const tuff_desc *x, uint32_t mode)
{
    return tuff_fits_texel(k, x, reads_fours(mode) ? 16 : 4);
}

// Elements of y that one dispatch takes: all, or no more than texel buffers show of operands of
// y's shape. 0: texels do not serve, or the plan would be too long.
static uint64_t piece_of(const tuff_caps *k, const tuff_plan *p, const tuff_desc *const x[2],
                         const tuff_spread *s)
{
    const uint64_t count = s->pc.count, left = (uint64_t)(TUFF_PLAN_MAX - p->count);
    if (fits(k, x[0], s->mode[0]) && fits(k, x[1], s->mode[1])) return count;
    if (s->rank) return 0; // what is read ND is not cut
    for (int i = 0; i < 2; i++) {
        if ((uint64_t)tuff_desc_count(x[i]) == count) continue;
        if (count % 4 != 0 || !fits(k, x[i], s->mode[i])) return 0;
    }
    const size_t size = tuff_dtype_size(x[0]->dtype) * (count % 4 == 0 ? 1 : 4);
    const uint64_t piece = tuff_texel_piece(k, size);
    return piece && (count + piece - 1) / piece <= left ? piece : 0;
}

// One of pieces begins at element `first` of y.
typedef struct piece {
    uint64_t first, some;
} piece;

static void cut_to(tuff_dispatch *d, const tuff_desc *x, const tuff_desc *y, piece at)
{
    const size_t size = tuff_dtype_size(x->dtype);
    if (tuff_desc_count(x) != tuff_desc_count(y)) return;
    if (at.some < (uint64_t)tuff_desc_count(y))
        tuff_bind_range(d, (size_t)at.first * size, (size_t)at.some * size);
}

static void bind_operand(tuff_dispatch *d, int x, bool texel, uint32_t mode)
{
    const tuff_bind_kind kind = !texel            ? TUFF_BIND_STORAGE
                              : reads_fours(mode) ? TUFF_BIND_TEXEL_U32X4
                                                  : TUFF_BIND_TEXEL_U32;
    tuff_bind(d, x < 0 ? TUFF_ROLE_OUT : TUFF_ROLE_IN, x < 0 ? 0 : x, kind, TUFF_READ);
}

static void add_piece(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                      const tuff_binary *f, const int which[2], tuff_spread s, piece at)
{
    const tuff_desc *y = &c->out[0], *x = which[0] < 0 ? y : &c->in[which[0]];
    const uint32_t wg = tuff_group_size_flat(k);
    const uint64_t work = texel && !is_packed(x) ? at.some
                        : (at.some * tuff_dtype_size(y->dtype) + 3) / 4;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_binary_texel : TUFF_SHADER_binary);
    s.pc.count = (uint32_t)at.some;
    tuff_spec(d, wg);
    tuff_spec(d, f->function);
    tuff_spec(d, tuff_element_type(x->dtype));
    tuff_spec(d, s.mode[0]);
    tuff_spec(d, s.mode[1]);
    tuff_spec(d, s.rank);
    if (texel) tuff_spec(d, words_of(y) % 4 == 0);
    for (int i = 0; i < 2; i++) {
        bind_operand(d, which[i], texel, s.mode[i]);
        cut_to(d, which[i] < 0 ? y : &c->in[which[i]], y, at);
    }
    tuff_bind_out(d, 0);
    cut_to(d, y, y, at);
    tuff_grid(d, (work + 4 * wg - 1) / (4 * wg), k);
    // By itself an operand of y's shape is read from its cut's begin, one by one or by fours.
    const bool fours = s.mode[0] == TUFF_READ_SAME || s.mode[1] == TUFF_READ_SAME;
    TUFF_PUSH(d, (struct tuff_binary_pc){ s.pc, (float)f->n, fours ? (uint32_t)at.first : 0 });
}

bool tuff_binary_launch(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                        const tuff_binary *f, int a, int b)
{
    const tuff_desc *y = &c->out[0];
    const tuff_desc *const x[2] = { a < 0 ? y : &c->in[a], b < 0 ? y : &c->in[b] };
    tuff_spread s = tuff_spread_of(x, 2, y);
    if (texel && !four_at_once(k, x, &s)) return false;
    const uint64_t count = s.pc.count, piece_size = texel ? piece_of(k, p, x, &s) : count;
    if (!piece_size) return false;
    for (uint64_t first = 0; first < count; first += piece_size) {
        const uint64_t left = count - first;
        add_piece(c, k, p, texel, f, (const int[]){ a, b }, s,
                  (piece){ first, left < piece_size ? left : piece_size });
    }
    return true;
}

bool tuff_binary_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return tuff_binary_launch(c, k, p, true, tuff_binary_function(c), 0, 1);
}

bool tuff_binary_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return tuff_binary_launch(c, k, p, false, tuff_binary_function(c), 0, 1);
}
