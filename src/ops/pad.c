// pad and its gradient. The shaders are remap.comp and pad_grad.comp.
#include "ops/move.h"
#include "ops/ops.h"
#include "ops/walk.h"
#include "abi/pad_grad.h"
#include <math.h>
#include <string.h>

static const char *const modes[] = { "constant", "reflect", "edge", "wrap", NULL };

_Static_assert(TUFF_PAD_REFLECT == TUFF_MODE_REFLECT && TUFF_PAD_EDGE == TUFF_MODE_EDGE &&
                   TUFF_PAD_WRAP == TUFF_MODE_WRAP, "a pad's mode is the shaders' mode");

// Elements before and behind each dim, from the outermost; below 0 where it is cut.
typedef struct frame {
    int64_t before[TUFF_MAX_DIMS], after[TUFF_MAX_DIMS];
} frame;

static tuff_status frame_of(const tuff_pad_params *p, int rank, frame *f)
{
    int which[TUFF_MAX_DIMS], n;
    TUFF_TRY(tuff_dims_of(p->axes, rank, which, &n));
    TUFF_REQUIRE(p->mode >= TUFF_PAD_CONSTANT && p->mode <= TUFF_PAD_WRAP, ARG,
                 "mode is %d, expected 0 to %d", p->mode, TUFF_PAD_WRAP);
    for (int i = 2 * n; i < 2 * TUFF_MAX_DIMS; i++)
        TUFF_REQUIRE(!p->pads[i], ARG, "pads has a number %d, %d dims have %d", i, n, 2 * n);
    *f = (frame){ .before = { 0 } };
    for (int i = 0; i < n; i++) {
        f->before[which[i]] = p->pads[i];
        f->after[which[i]] = p->pads[n + i];
    }
    return TUFF_OK;
}

// Of a call that infer has accepted.
static frame accepted(const tuff_call *c)
{
    frame f = { .before = { 0 } };
    const tuff_status status = frame_of(c->params, c->in[0].rank, &f);
    (void)status;
    return f;
}

// The shape of in[0] with the frame added (sign 1) or taken away (sign -1).
static tuff_status framed(const tuff_call *c, int sign, tuff_desc *to)
{
    frame f;
    TUFF_TRY(frame_of(c->params, c->in[0].rank, &f));
    *to = c->in[0];
    for (int d = 0; d < to->rank; d++) {
        to->dim[d] += sign * (f.before[d] + f.after[d]);
        TUFF_REQUIRE(to->dim[d] >= 1, SHAPE, "nothing is left of dim %d: it has %lld elements, "
                     "pads are %lld and %lld", d, (long long)c->in[0].dim[d],
                     (long long)f.before[d], (long long)f.after[d]);
    }
    return TUFF_OK;
}

// The coordinate of x, which has n, for `at` beside it; -1: none.
static int64_t inside(int64_t at, int64_t n, int mode)
{
    if (at >= 0 && at < n) return at;
    if (mode == TUFF_PAD_CONSTANT) return -1;
    if (mode == TUFF_PAD_EDGE) return at < 0 ? 0 : n - 1;
    const int64_t period = mode == TUFF_PAD_WRAP ? n : n > 1 ? 2 * n - 2 : 1;
    at %= period;
    if (at < 0) at += period;
    return at < n ? at : period - at;
}

// ---- pad -----------------------------------------------------------------------------------

static tuff_status pad_infer(const tuff_call *c, tuff_desc out[])
{
    return framed(c, 1, &out[0]);
}

// Of a whole number, the low word; the high one of an i64 is its sign.
static uint32_t value_word(const tuff_call *c)
{
    const tuff_pad_params *p = c->params;
    const bool is_signed = c->in[0].dtype != TUFF_U32;
    const double value = (double)p->value;
    uint32_t word;
    memcpy(&word, &p->value, sizeof word);
    if (c->in[0].dtype == TUFF_F32) return word;
    return is_signed ? (uint32_t)(int32_t)fmin(fmax(value, -0x1p31), 0x1p31 - 1)
                     : (uint32_t)fmin(fmax(value, 0), 0x1p32 - 1);
}

static void pad_ref(const tuff_ref *r)
{
    const tuff_pad_params *p = r->call->params;
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    const frame f = accepted(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        int64_t left = (int64_t)i, at = 0, step = 1;
        bool there = true;
        for (int d = y->rank - 1; d >= 0; d--) {
            const int64_t n = x->dim[d];
            const int64_t c = inside(left % y->dim[d] - f.before[d], n, p->mode);
            there = there && c >= 0;
            at += c * step;
            step *= n;
            left /= y->dim[d];
        }
        tuff_put(r, 0, i, 0, there ? at : -1);
        if (there) continue;
        const uint32_t value = value_word(r->call);
        if (x->dtype == TUFF_I64) ((int64_t *)(void *)r->out[0])[i] = (int32_t)value;
        else tuff_words_out(r, 0)[i] = value;
    }
}

static tuff_remap pad_remap(const tuff_call *c)
{
    const tuff_pad_params *p = c->params;
    const frame f = accepted(c);
    tuff_remap m = { .rank = c->out[0].rank, .mode = (uint32_t)p->mode,
                     .value = value_word(c) };
    memcpy(m.dim, c->out[0].dim, sizeof m.dim);
    memcpy(m.size, c->in[0].dim, sizeof m.size);
    memcpy(m.before, f.before, sizeof m.before);
    return m;
}
TUFF_ONE_REMAP(pad)
TUFF_ONE_REMAP_HOST(pad)

// With constants, what was added is cut off again and what was cut off gets zeros.
static void pad_backward(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_pad_params p = *(const tuff_pad_params *)n->call.params;
    if (p.mode != TUFF_PAD_CONSTANT) {
        dx[0] = TUFF_V(t, &tuff_op_pad_grad, &p, dy[0]);
        return;
    }
    p.value = 0;
    for (int i = 0; i < 2 * TUFF_MAX_DIMS; i++) p.pads[i] = -p.pads[i];
    dx[0] = TUFF_V(t, &tuff_op_pad, &p, dy[0]);
}

#define PARAMS                                                                  \
    .params_size = sizeof(tuff_pad_params),                                     \
    .params = { TUFF_INTS(tuff_pad_params, pads, NULL),                         \
                { .name = "value", .type = TUFF_FIELD_FLOAT, .onnx = "constant_value", \
                  .offset = offsetof(tuff_pad_params, value) },                 \
                TUFF_ENUM(tuff_pad_params, mode, modes),                        \
                TUFF_DIMS(tuff_pad_params, axes) }

const tuff_op tuff_op_pad = {
    .name = "pad", .onnx = "Pad", TUFF_MOVE_XY, TUFF_MOVE_COMMON, PARAMS,
    .doc = "y = x with elements added before and behind its dims, or cut off there",
    .infer = pad_infer, .ref = pad_ref, .grad = pad_backward,
    .variants = { TUFF_KERNEL("texel", pad_texel), TUFF_KERNEL("plain", pad_plain) },
    TUFF_MOVE_FAST(pad),
    .cases = TUFF_CASES("1 pads=1,0", "5x7 pads=0,2,3,0 value=1.5", "13x8 pads=-1,4,2,-3",
                        "2x3x5x7 pads=0,0,1,2,0,0,2,1 mode=reflect",
                        "3x5x4 pads=2,0,-1,9,0,9 mode=wrap", "257x3 pads=3,2 axes=1 mode=edge",
                        "3x1x2 pads=1,2,2,1 axes=0,1 mode=reflect",
                        "2x3x2x1x2x3x2x3 pads=1,0,1,2,0,1,0,1,1,1,0,0,2,0,1,0")
};

tuff_status tuff_pad(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                     const tuff_pad_params *p)
{
    return tuff_run(s, &tuff_op_pad, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- pad_grad ------------------------------------------------------------------------------

static tuff_status pad_grad_infer(const tuff_call *c, tuff_desc out[])
{
    return framed(c, -1, &out[0]);
}

// The sum over the elements of dy from `at` on whose coordinates, from dim d on, are padding of
// (or are) those of dx whose index has `left` behind dim d; `rest` elements of dx lie there.
static double gather(const tuff_ref *r, const frame *f, int d, size_t at, size_t left,
                     size_t rest)
{
    const tuff_pad_params *p = r->call->params;
    const tuff_desc *dy = &r->call->in[0], *dx = &r->call->out[0];
    if (d == dx->rank) return r->in[0][at];
    const int64_t n = dx->dim[d];
    double sum = 0;
    rest /= (size_t)n;
    for (int64_t i = 0; i < dy->dim[d]; i++)
        if (inside(i - f->before[d], n, p->mode) == (int64_t)(left / rest))
            sum += gather(r, f, d + 1, at * (size_t)dy->dim[d] + (size_t)i, left % rest, rest);
    return sum;
}

// Each element goes over the places along every dim that it is found in.
static double pad_grad_work(const tuff_call *c)
{
    double places = 0, found = 1;
    for (int d = 0; d < c->in[0].rank; d++) {
        places += found * (double)c->in[0].dim[d];
        found *= fmax(1, (double)c->in[0].dim[d] / (double)c->out[0].dim[d]);
    }
    return (double)tuff_desc_count(&c->out[0]) * places;
}

static void pad_grad_ref(const tuff_ref *r)
{
    const frame f = accepted(r->call);
    const size_t count = (size_t)tuff_desc_count(&r->call->out[0]);
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)gather(r, &f, 0, 0, i, count);
}

// One axis on its way through the plan.
typedef struct axis {
    struct tuff_pad_grad_pc pc;
    uint32_t turns; // that the longest sum takes; see the shader
    tuff_slot from, to;
} axis;

static uint32_t turns_of(const struct tuff_pad_grad_pc *pc, int mode, int64_t before,
                         int64_t after)
{
    if (mode == TUFF_PAD_CONSTANT) return 1;
    if (mode == TUFF_PAD_EDGE) {
        const int64_t most = pc->n == 1 ? pc->m : (before > after ? before : after) + 1;
        return most < 1 ? 1 : (uint32_t)most;
    }
    return (pc->m + pc->period - 1) / pc->period;
}

// Dim d of dy, whose dims before it are dx's already; makes dim[d] that of dx.
static void set_axis(axis *a, int mode, int rank, int64_t dim[], int d, const frame *f)
{
    struct tuff_pad_grad_pc pc = { .outer = 1, .inner = 1, .n = 1, .m = 1, .period = 1 };
    if (rank) {
        for (int i = 0; i < d; i++) pc.outer *= (uint32_t)dim[i];
        for (int i = d + 1; i < rank; i++) pc.inner *= (uint32_t)dim[i];
        pc.m = (uint32_t)dim[d];
        dim[d] -= f->before[d] + f->after[d];
        pc.n = (uint32_t)dim[d];
    }
    const bool turns = mode == TUFF_PAD_REFLECT || mode == TUFF_PAD_WRAP;
    if (mode == TUFF_PAD_WRAP) pc.period = pc.n;
    if (mode == TUFF_PAD_REFLECT && pc.n > 1) pc.period = 2 * pc.n - 2;
    const int64_t rest = f->before[d] % pc.period;
    pc.before = (uint32_t)(!turns ? f->before[d] : rest < 0 ? rest + pc.period : rest);
    a->pc = pc;
    a->turns = turns_of(&pc, mode, f->before[d], f->after[d]);
}

static bool add_axis(const tuff_caps *k, tuff_plan *p, int mode, axis *a)
{
    const uint32_t wg = tuff_group_size_flat(k), count = a->pc.outer * a->pc.n * a->pc.inner;
    const uint32_t most = k->max_loop ? k->max_loop / 4 : 1 << 20; // two sums a turn
    for (uint32_t done = 0; done < a->turns; done += most) {
        if (p->count == TUFF_PLAN_MAX) return false;
        a->pc.first = done;
        a->pc.turns = a->turns - done < most ? a->turns - done : most;
        tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_pad_grad);
        tuff_spec(d, wg);
        tuff_spec(d, (uint32_t)mode);
        tuff_bind(d, a->from.role, a->from.index, TUFF_BIND_STORAGE, TUFF_READ);
        tuff_bind(d, a->to.role, a->to.index, TUFF_BIND_STORAGE,
                  done ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
        tuff_grid(d, ((uint64_t)count + wg - 1) / wg, k);
        TUFF_PUSH(d, a->pc);
    }
    return true;
}

// Axis by axis, the results between in scratch 0 and 1.
static bool pad_grad_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pad_params *params = c->params;
    const frame f = accepted(c);
    const int rank = c->in[0].rank;
    int64_t dim[TUFF_MAX_DIMS];
    int last = 0, pass = 0;
    memcpy(dim, c->in[0].dim, sizeof dim);
    for (int d = 0; d < rank; d++)
        if (f.before[d] || f.after[d]) last = d;
    axis a = { .from = { .role = TUFF_ROLE_IN } };
    for (int d = 0; d <= last; d++) {
        if (d < last && !f.before[d] && !f.after[d]) continue;
        set_axis(&a, params->mode, rank, dim, d, &f);
        const size_t bytes = (size_t)a.pc.outer * a.pc.n * a.pc.inner * sizeof(float);
        a.to = (tuff_slot){ .role = TUFF_ROLE_OUT };
        if (d < last) {
            a.to = (tuff_slot){ .role = TUFF_ROLE_SCRATCH, .index = (uint8_t)(pass % 2) };
            if (p->scratch[pass % 2] < bytes) p->scratch[pass % 2] = bytes;
        }
        if (!tuff_fits(k, bytes) || !add_axis(k, p, params->mode, &a)) return false;
        a.from = a.to;
        pass++;
    }
    return true;
}

static void pad_grad_backward(tuff_tape *t, const tuff_node *n, const tuff_var g[],
                              tuff_var dx[])
{
    tuff_pad_params p = *(const tuff_pad_params *)n->call.params;
    p.value = 0;
    dx[0] = TUFF_V(t, &tuff_op_pad, &p, g[0]);
}

const tuff_op tuff_op_pad_grad = {
    .name = "pad_grad", .units = tuff_move_units, .cost = tuff_move_cost, PARAMS,
    .doc = "dx = the sums of dy over the elements that pad made of each of x's",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .infer = pad_grad_infer, .ref = pad_grad_ref, .work = pad_grad_work,
    .grad = pad_grad_backward,
    .variants = { TUFF_KERNEL("plain", pad_grad_plain) },
    // Sums carry what they lose; a cut one is added to once more a part, and an axis.
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1", "5x9 pads=0,2,3,0", "7 pads=3,2 mode=edge",
                        "2x3x8x10 pads=0,0,1,2,0,0,2,1 mode=reflect",
                        "16x5x23 pads=2,0,-1,9,0,9 axes=2,1,0 mode=wrap",
                        "3x40007 pads=40000,4 axes=0 mode=edge", "33001 pads=33000,0 mode=wrap",
                        "3x4x5 pads=1,2,2,1 axes=0,1 mode=reflect")
};

tuff_status tuff_pad_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                          const tuff_pad_params *p)
{
    return tuff_run(s, &tuff_op_pad_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}
