// The optimizers' updates on the CPU path, in f32 but for the lengths that Lamb takes; the
// formulas are those of update.glsl.
#include "base/convert.h"
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/norm_host.h"
#include "ops/update.h"

typedef struct numbers {
    struct tuff_update_pc pc;
    float lr, bias1, bias2, scale, first;
} numbers;

typedef struct element {
    float w, g, m, v, x;
} element;

TUFF_INLINE float penalised(const numbers *n, float g, float w)
{
    const float clip = n->pc.clip_value > 0 ? n->pc.clip_value : INFINITY;
    float v = g * n->scale;
    v = v > clip ? clip : v < -clip ? -clip : v;
    v += n->pc.weight_decay * w;
    return v + (w > 0 ? n->pc.l1 : w < 0 ? -n->pc.l1 : 0);
}

TUFF_INLINE float next_v(uint32_t op, const numbers *n, float v, float g)
{
    const float size = tuff_abs_f32(g) + n->pc.eps, kept = n->pc.keep_v * v;
    if (op == TUFF_UPDATE_ADAGRAD) return v + g * g;
    if (op == TUFF_UPDATE_ADAMAX) return ((kept > size) | (kept != kept)) ? kept : size;
    return kept + n->pc.add_v * g * g;
}

// `a` is the new v of AMSGrad, g' of centred RMSprop.
TUFF_INLINE float next_x(uint32_t op, const numbers *n, float x, float a)
{
    if (op == TUFF_UPDATE_AMSGRAD) return ((x > a) | (x != x)) ? x : a;
    return n->pc.keep_v * x + n->pc.add_v * a;
}

TUFF_INLINE float next_m(uint32_t op, const numbers *n, const element *e)
{
    const bool whole = (op == TUFF_UPDATE_MOMENTUM || op == TUFF_UPDATE_NESTEROV) &&
                       n->first >= 1;
    const float variance = e->v - e->x * e->x, least = variance > 0 ? variance : 0;
    float g = e->g;
    if (op == TUFF_UPDATE_RMSPROP_MOMENTUM) g = g / (sqrtf(e->v) + n->pc.eps);
    if (op == TUFF_UPDATE_RMSPROP_CENTERED) g = g / (sqrtf(least) + n->pc.eps);
    return n->pc.keep_m * e->m + (whole ? 1 : n->pc.add_m) * g;
}

// The step is lr numerator / denominator. `m` is the new one, but Lion's is the old.
TUFF_INLINE float numerator(uint32_t op, const numbers *n, float g, float m)
{
    const float mixed = n->pc.keep_v * m + n->pc.add_v * g;
    switch (op) {
    case TUFF_UPDATE_SGD:
    case TUFF_UPDATE_ADAGRAD:
    case TUFF_UPDATE_RMSPROP: return g;
    case TUFF_UPDATE_MOMENTUM:
    case TUFF_UPDATE_RMSPROP_MOMENTUM:
    case TUFF_UPDATE_RMSPROP_CENTERED: return m;
    case TUFF_UPDATE_NESTEROV: return g + n->pc.keep_m * m;
    case TUFF_UPDATE_NADAM: return n->first * g + m / n->bias1;
    case TUFF_UPDATE_LION: return mixed > 0 ? 1 : mixed < 0 ? -1 : mixed;
    default: return m / n->bias1;
    }
}

TUFF_INLINE float denominator(uint32_t op, const numbers *n, float v)
{
    switch (op) {
    case TUFF_UPDATE_ADAGRAD:
    case TUFF_UPDATE_RMSPROP: return sqrtf(v) + n->pc.eps;
    case TUFF_UPDATE_ADAM:
    case TUFF_UPDATE_AMSGRAD:
    case TUFF_UPDATE_LAMB:
    case TUFF_UPDATE_NADAM: return sqrtf(v / n->bias2) + n->pc.eps;
    case TUFF_UPDATE_ADAMAX: return v;
    default: return 1;
    }
}

TUFF_INLINE element stepped(uint32_t op, const numbers *n, element e)
{
    const float m = e.m;
    e.g = penalised(n, e.g, e.w);
    e.v = next_v(op, n, e.v, e.g);
    e.x = next_x(op, n, e.x, op == TUFF_UPDATE_AMSGRAD ? e.v : e.g);
    e.m = next_m(op, n, &e);
    const float a = numerator(op, n, e.g, op == TUFF_UPDATE_LION ? m : e.m);
    const float b = denominator(op, n, op == TUFF_UPDATE_AMSGRAD ? e.x : e.v);
    if (op == TUFF_UPDATE_LAMB) e.w = a / b + n->pc.decoupled * e.w; // its direction
    else e.w = e.w * (1 - n->lr * n->pc.decoupled) - n->lr * a / b;
    return e;
}

enum { W, G, M, V, X, STREAMS };

// What an optimizer lacks of m, v and x is NULL, neither read nor written.
#define STEP(OP, m_, v_, x_)                                                    \
    case TUFF_UPDATE_##OP:                                                      \
        TUFF_EACH(i, count, const element e = stepped(TUFF_UPDATE_##OP, n, (element){ \
                      from[W][i], from[G][i], m_ ? from[M][i] : 0,              \
                      v_ ? from[V][i] : 0, x_ ? from[X][i] : 0 });              \
                  to[W][i] = e.w; if (m_) to[M][i] = e.m; if (v_) to[V][i] = e.v; \
                  if (x_) to[X][i] = e.x)                                       \
        break;

TUFF_EACH_PROCESSOR void update_block(uint32_t op, const numbers *numbers_,
                                      const float *const from_[STREAMS],
                                      float *const to_[STREAMS], size_t count)
{
    // Copies, which nothing that is written can be taken to change.
    const numbers own = *numbers_, *n = &own;
    const float *const from[STREAMS] = { from_[W], from_[G], from_[M], from_[V], from_[X] };
    float *const to[STREAMS] = { to_[W], NULL, to_[M], to_[V], to_[X] };
    switch (op) {
    STEP(SGD, 0, 0, 0)
    STEP(MOMENTUM, 1, 0, 0)
    STEP(NESTEROV, 1, 0, 0)
    STEP(ADAGRAD, 0, 1, 0)
    STEP(RMSPROP, 0, 1, 0)
    STEP(RMSPROP_MOMENTUM, 1, 1, 0)
    STEP(RMSPROP_CENTERED, 1, 1, 1)
    STEP(ADAM, 1, 1, 0)
    STEP(AMSGRAD, 1, 1, 1)
    STEP(ADAMAX, 1, 1, 0)
    STEP(NADAM, 1, 1, 0)
    STEP(LION, 1, 0, 0)
    STEP(LAMB, 1, 1, 0)
    default: break;
    }
}
TUFF_FOR_PROCESSORS(update_block, (uint32_t op, const numbers *numbers_,
                                   const float *const from_[STREAMS],
                                   float *const to_[STREAMS], size_t count),
                    (op, numbers_, from_, to_, count))

static void update_all(const tuff_rule *rule, const numbers *how,
                       const float *const in[STREAMS], float *const out[STREAMS], size_t count)
{
    _Alignas(64) float room[STREAMS][TUFF_BLOCK];
    const size_t whole = count / TUFF_LANES * TUFF_LANES, rest = count - whole;
    update_block_fn *update = update_block_best();
    update(rule->op, how, in, out, whole);
    if (!rest) return;
    const float *from[STREAMS] = { NULL };
    float *to[STREAMS] = { NULL };
    memset(room, 0, sizeof room);
    for (int k = 0; k < STREAMS; k++) {
        if (in[k]) from[k] = memcpy(room[k], in[k] + whole, rest * sizeof(float));
        if (out[k]) to[k] = room[k];
    }
    update(rule->op, how, from, to, TUFF_LANES);
    for (int k = 0; k < STREAMS; k++)
        if (out[k]) memcpy(out[k] + whole, room[k], rest * sizeof(float));
}

bool tuff_update_host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

// Numbers of the call, and what is read and written from element `begin` on.
typedef struct streams {
    const tuff_rule *rule;
    numbers how;
    const float *in[STREAMS];
    float *out[STREAMS];
    int copy; // output
} streams;

static streams streams_of(const tuff_ref *r, size_t begin)
{
    const tuff_rule *rule = tuff_rule_of(r->call->op->name);
    const float *h = r->in[TUFF_UPDATE_IN_HYPER];
    streams s = { .rule = rule,
                  .how = { tuff_update_pc_of(r->call, rule), h[TUFF_HYPER_LR],
                           h[TUFF_HYPER_BIAS1], h[TUFF_HYPER_BIAS2], h[TUFF_HYPER_SCALE],
                           h[TUFF_HYPER_FIRST] },
                  .in = { r->in[TUFF_UPDATE_IN_W] + begin, r->in[TUFF_UPDATE_IN_G] + begin },
                  .out = { r->out[0] + begin }, .copy = 1 };
    const bool has[STREAMS] = { [M] = rule->m, [V] = rule->v, [X] = rule->x };
    for (int k = M; k <= X; k++) {
        if (!has[k]) continue;
        s.in[k] = r->in[TUFF_UPDATE_IN_STATE + s.copy - 1] + begin;
        s.out[k] = r->out[s.copy++] + begin;
    }
    return s;
}

static bool skips(const tuff_ref *r)
{
    return r->in[TUFF_UPDATE_IN_HYPER][TUFF_HYPER_SKIP] >= 1;
}

static void leave_all(const streams *s, size_t count)
{
    for (int k = 0; k < STREAMS; k++)
        if (s->out[k] && s->out[k] != s->in[k])
            memmove(s->out[k], s->in[k], count * sizeof(float));
}

static void write_copy(const tuff_ref *r, const streams *s, size_t begin, size_t end)
{
    const tuff_dtype copy = tuff_update_copy(r->call);
    if (copy)
        tuff_convert_fast(TUFF_F32, r->out[0], copy, r->out[s->copy], false, begin, end);
}

void tuff_update_host(const tuff_ref *r)
{
    const streams s = streams_of(r, r->begin);
    if (skips(r)) leave_all(&s, r->end - r->begin);
    else update_all(s.rule, &s.how, s.in, s.out, r->end - r->begin);
    write_copy(r, &s, r->begin, r->end);
}

// ---- Lamb -----------------------------------------------------------------------------------

// Elements are gone through in spans. Where a span and a parameter meet lies a piece, whose
// number is theirs added up: both go up along the elements.
//
//   stage 0  spans        the direction, and the squares of each piece of it and of w
//   stage 1  one unit     the trust of each parameter, of its pieces
//   stage 2  spans        the step
enum { SPAN = 1 << 14 };

typedef struct lamb {
    size_t count, segments, spans;
    const int32_t *starts;
    float *direction; // [count]
    double *pieces;   // [spans + segments][2]
    float *trust;     // [segments]
} lamb;

static size_t spans_of(size_t count) { return (count + SPAN - 1) / SPAN; }

static lamb lamb_of(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    lamb l = { .count = tuff_update_elements(c), .pieces = r->scratch,
               .segments = (size_t)c->in[TUFF_UPDATE_IN_STATE + 2].dim[0],
               .starts = (const int32_t *)(const void *)r->in[TUFF_UPDATE_IN_STATE + 2] };
    l.spans = spans_of(l.count);
    l.trust = (float *)(l.pieces + 2 * (l.spans + l.segments));
    l.direction = l.trust + l.segments;
    return l;
}

bool tuff_lamb_host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

size_t tuff_lamb_host_units(const tuff_call *c, int stage)
{
    return stage > 2 ? 0 : stage == 1 ? 1 : spans_of(tuff_update_elements(c));
}

size_t tuff_lamb_host_scratch(const tuff_call *c)
{
    const size_t count = tuff_update_elements(c);
    const size_t segments = (size_t)c->in[TUFF_UPDATE_IN_STATE + 2].dim[0];
    return (spans_of(count) + segments) * 2 * sizeof(double) +
           (segments + count) * sizeof(float);
}

// The elements of a parameter that lie in a span.
static bool piece_of(const lamb *l, size_t span, size_t s, size_t *begin, size_t *end)
{
    const size_t from = s ? (size_t)l->starts[s] : 0;
    const size_t to = s + 1 < l->segments ? (size_t)l->starts[s + 1] : l->count;
    *begin = from > span * SPAN ? from : span * SPAN;
    *end = to < (span + 1) * SPAN ? to : (span + 1) * SPAN;
    if (*end > l->count) *end = l->count;
    return *begin < *end;
}

static double squares(const float *x, size_t n)
{
    double mean, square;
    tuff_norm_host_moments(x, &(tuff_runs){ .runs = 1, .run = n }, true, &mean, &square);
    return square * (double)n;
}

static void direct(const tuff_ref *r, const lamb *l, size_t span)
{
    const size_t at = span * SPAN, left = l->count - at, n = left < SPAN ? left : SPAN;
    streams s = streams_of(r, at);
    if (skips(r)) {
        leave_all(&s, n);
        return;
    }
    s.out[W] = l->direction + at;
    update_all(s.rule, &s.how, s.in, s.out, n);
    for (size_t k = 0, begin, end; k < l->segments; k++) {
        if (!piece_of(l, span, k, &begin, &end)) continue;
        double *piece = l->pieces + 2 * (span + k);
        piece[0] = squares(r->in[TUFF_UPDATE_IN_W] + begin, end - begin);
        piece[1] = squares(l->direction + begin, end - begin);
    }
}

static void trust_all(const lamb *l)
{
    for (size_t k = 0; k < l->segments; k++) {
        const size_t first = (k ? (size_t)l->starts[k] : 0) / SPAN;
        double ww = 0, dd = 0;
        for (size_t span = first, begin, end; span < l->spans; span++) {
            if (!piece_of(l, span, k, &begin, &end)) break;
            ww += l->pieces[2 * (span + k)];
            dd += l->pieces[2 * (span + k) + 1];
        }
        l->trust[k] = (float)(ww > 0 && dd > 0 ? sqrt(ww / dd) : 1);
    }
}

TUFF_EACH_PROCESSOR void step_block(const float *w, const float *d, float rate, float *y,
                                    size_t n)
{
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) y[i] = w[i] - rate * d[i];
}
TUFF_FOR_PROCESSORS(step_block, (const float *w, const float *d, float rate, float *y,
                                 size_t n), (w, d, rate, y, n))

static void step_all(const tuff_ref *r, const lamb *l, size_t span)
{
    const streams s = streams_of(r, 0);
    for (size_t k = 0, begin, end; k < l->segments; k++) {
        if (!piece_of(l, span, k, &begin, &end)) continue;
        if (!skips(r))
            step_block_best()(s.in[W] + begin, l->direction + begin, s.how.lr * l->trust[k],
                              s.out[W] + begin, end - begin);
        write_copy(r, &s, begin, end);
    }
}

void tuff_lamb_host(const tuff_ref *r)
{
    const lamb l = lamb_of(r);
    if (r->stage == 1) {
        if (!skips(r)) trust_all(&l);
        return;
    }
    for (size_t span = r->begin; span < r->end; span++) {
        if (r->stage) step_all(r, &l, span);
        else direct(r, &l, span);
    }
}
