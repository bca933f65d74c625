// Values that are pieces of others: what a concat reads is written into its output's memory at
// once, and a part that a split or a slice gives is read where it lies.
//
//   a   b   c                  a = conv(x)    +-------+
//    \  |  /     u = concat    b = conv(x)    | a |   |   all of them in u's memory, which
//      u                       u = a, b, c    | a | b |   lives from the first one on; the
//    /   \      d = slice      d = u[..]      | d |   |   concat and the slice do nothing
//   d     e
//
// A value is made once and never changes, so that whatever shares a byte agrees on it. What has
// a place of its own (inputs of a concat twice over, tensors that are bound or stored into,
// constants) keeps it and is copied as before.
#include "graph/program.h"

enum { IN, OUT };

static int root_of(const tuff_program *p, int s, int side, int i)
{
    const tuff_step *step = &p->graph->steps[s];
    const int v = side == IN ? step->in[i] : step->out[i];
    return v ? tuff_value_root(p->graph, v) : 0;
}

static size_t bytes_of(const tuff_program *p, int v)
{
    return tuff_desc_bytes(&p->graph->values[v].desc);
}

tuff_piece tuff_program_home(const tuff_program *p, int v)
{
    tuff_piece h = { v, 0 };
    for (; p->piece[h.of].of; h.of = p->piece[h.of].of) h.at += p->piece[h.of].at;
    return h;
}

// Where input i and output o of a step meet, the smaller in the larger; false: nowhere.
static bool meets(const tuff_program *p, int s, int i, int o, int *small, tuff_piece *in)
{
    const tuff_call c = tuff_program_call(p, s);
    const int x = root_of(p, s, IN, i), y = root_of(p, s, OUT, o);
    const int64_t at = x && y && c.op->piece ? c.op->piece(&c, i, o) : -1;
    if (at < 0) return false;
    const bool grows = bytes_of(p, y) > bytes_of(p, x);
    *small = grows ? x : y;
    *in = (tuff_piece){ grows ? y : x, (size_t)at };
    return true;
}

bool tuff_program_shares(const tuff_program *p, int step, int i, int o)
{
    int small;
    tuff_piece in;
    if (!meets(p, step, i, o, &small, &in)) return false;
    const tuff_piece a = tuff_program_home(p, small), b = tuff_program_home(p, in.of);
    return a.of == b.of && a.at == b.at + in.at;
}

bool tuff_program_moved(const tuff_program *p, int step)
{
    const tuff_step *s = &p->graph->steps[step];
    uint32_t in = 0, out = 0;
    if (!s->op || !s->op->piece || p->steps[step].once) return false;
    for (int i = 0; i < s->nin; i++)
        for (int o = 0; o < s->nout; o++)
            if (tuff_program_shares(p, step, i, o)) {
                in |= UINT32_C(1) << i;
                out |= UINT32_C(1) << o;
            }
    for (int i = 0; i < s->nin; i++)
        if (s->in[i] && !(in >> i & 1)) return false;
    return out == (UINT32_C(1) << s->nout) - 1;
}

// Whether a value's memory is the program's to choose.
static bool is_free(const tuff_program *p, int v)
{
    const tuff_value_kind kind = p->graph->values[v].kind;
    return (kind == TUFF_VALUE_NODE || kind == TUFF_VALUE_INPUT) && !p->where[v].buffer &&
           !p->constant[v];
}

// Bytes of the pieces that the steps which read x take of it, or of those that y is made of.
static size_t bytes_shared(const tuff_program *p, int v)
{
    const tuff_graph *g = p->graph;
    size_t bytes = 0;
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; i < g->steps[s].nin; i++)
            for (int o = 0; g->steps[s].op && o < g->steps[s].nout; o++) {
                int small;
                tuff_piece in;
                if (g->steps[s].op->piece && meets(p, s, i, o, &small, &in) && in.of == v)
                    bytes += bytes_of(p, small);
            }
    return bytes;
}

static void join(tuff_program *p, tuff_life *lives, int small, tuff_piece in)
{
    // What fills another value's memory goes where that one does.
    while (p->piece[small].of && bytes_of(p, p->piece[small].of) == bytes_of(p, small))
        small = p->piece[small].of;
    const tuff_piece home = tuff_program_home(p, in.of);
    if (p->piece[small].of || home.of == small || in.at % TUFF_BUFFER_ALIGN) return;
    if (p->graph->values[small].kind != TUFF_VALUE_NODE) return;
    if (!is_free(p, small) || !is_free(p, home.of)) return;
    tuff_life *all = &lives[home.of], one = lives[small];
    const bool longer = one.last > all->last || one.first < all->first;
    if (longer && 2 * bytes_shared(p, in.of) < bytes_of(p, in.of)) return;
    p->piece[small] = in;
    if (one.first < all->first) all->first = one.first;
    if (one.last > all->last) all->last = one.last;
}

void tuff_program_pieces(tuff_program *p, tuff_life *lives)
{
    const tuff_graph *g = p->graph;
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_step *step = &g->steps[s];
        if (!step->op || !step->op->piece || p->steps[s].once) continue;
        for (int i = 0; i < step->nin; i++)
            for (int o = 0; o < step->nout; o++) {
                int small;
                tuff_piece in;
                if (meets(p, s, i, o, &small, &in)) join(p, lives, small, in);
            }
    }
}
