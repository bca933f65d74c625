// The optimizers' updates on the CPU path, in f32; the formulas are those of update.glsl.
#include "base/convert.h"
#include "ops/host.h"
#include "ops/host_math.h"
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
    e.w = e.w * (1 - n->lr * n->pc.decoupled) - n->lr * a / b;
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

void tuff_update_host(const tuff_ref *r)
{
    const tuff_rule *rule = tuff_rule_of(r->call->op->name);
    const float *h = r->in[TUFF_UPDATE_IN_HYPER];
    const numbers how = { tuff_update_pc_of(r->call, rule), h[TUFF_HYPER_LR],
                          h[TUFF_HYPER_BIAS1], h[TUFF_HYPER_BIAS2], h[TUFF_HYPER_SCALE],
                          h[TUFF_HYPER_FIRST] };
    const size_t begin = r->begin, count = r->end - begin;
    const float *const w = r->in[TUFF_UPDATE_IN_W] + begin;
    const float *in[STREAMS] = { w, r->in[TUFF_UPDATE_IN_G] + begin, NULL, NULL, NULL };
    float *out[STREAMS] = { r->out[0] + begin, NULL, NULL, NULL, NULL };
    const bool has[STREAMS] = { [M] = rule->m, [V] = rule->v, [X] = rule->x };
    int next = 0;
    for (int k = M; k <= X; k++) {
        if (!has[k]) continue;
        in[k] = r->in[TUFF_UPDATE_IN_STATE + next] + begin;
        out[k] = r->out[1 + next++] + begin;
    }
    if (h[TUFF_HYPER_SKIP] >= 1) {
        for (int k = 0; k < STREAMS; k++)
            if (out[k] && out[k] != in[k]) memmove(out[k], in[k], count * sizeof(float));
    } else {
        update_all(rule, &how, in, out, count);
    }
    const tuff_dtype copy = tuff_update_copy(r->call);
    if (copy)
        tuff_convert_fast(TUFF_F32, r->out[0], copy, r->out[1 + next], false, begin,
                          r->end);
}
