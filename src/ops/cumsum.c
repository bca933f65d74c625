// cumsum: running sums along an axis. The shader is scan.comp: pieces of a row are summed, what
// lies before each is summed, and each piece is gone through from there.
#include "ops/compose.h"
#include "ops/order.h"

static const tuff_cumsum_params *params_of(const tuff_call *c) { return c->params; }

static tuff_axis axis_of(const tuff_call *c)
{
    return tuff_axis_of(&c->in[0], params_of(c)->axis);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_order_check_axis(c, params_of(c)->axis));
    out[0] = c->in[0];
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const tuff_cumsum_params *p = r->call->params;
    const tuff_axis a = axis_of(r->call);
    const bool ints = r->call->in[0].dtype != TUFF_F32;
    for (size_t row = r->begin; row < r->end; row++) {
        double sum = 0;
        uint32_t whole = 0; // keeps its low bits
        for (size_t n = 0; n < a.cols; n++) {
            const size_t j = p->reverse ? a.cols - 1 - n : n;
            const size_t i = tuff_axis_base(a, row) + j * a.step;
            const double x = ints ? 0 : (double)r->in[0][i];
            const uint32_t bits = ((const uint32_t *)(const void *)r->in[0])[i];
            if (ints) ((uint32_t *)(void *)r->out[0])[i] = whole + (p->exclusive ? 0 : bits);
            else r->out[0][i] = (float)(sum + (p->exclusive ? 0 : x));
            sum += x;
            whole += bits;
        }
    }
}

static size_t units(const tuff_call *c) { return axis_of(c).rows; }

static tuff_dispatch *add(const tuff_call *c, uint32_t pass, bool texel,
                          const struct tuff_scan_pc *pc, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    const uint64_t count = (uint64_t)pc->rows * (pass == TUFF_SCAN_BEFORE ? 1 : pc->segments);
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_scan_texel : TUFF_SHADER_scan);
    tuff_spec(d, wg);
    tuff_spec(d, pass);
    tuff_spec(d, params_of(c)->exclusive);
    tuff_spec(d, params_of(c)->reverse);
    tuff_spec(d, c->in[0].dtype != TUFF_F32);
    tuff_grid(d, (count + wg - 1) / wg, k);
    TUFF_PUSH(d, *pc);
    return d;
}

static void bind_scratch(tuff_dispatch *d, int index, int access)
{
    tuff_bind(d, TUFF_ROLE_SCRATCH, index, TUFF_BIND_STORAGE, access);
}

// scratch[0]: sums of pieces; scratch[1]: what lies before each.
static bool plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = axis_of(c);
    const tuff_order_how how = texel ? TUFF_ORDER_TEXEL : TUFF_ORDER_PLAIN;
    if (texel && !(k->cpu_like && tuff_fits_texel(k, &c->in[0], 4))) return false;
    const tuff_order_pieces cut = tuff_order_cut(a, 1, k);
    const struct tuff_scan_pc pc = { (uint32_t)a.rows, (uint32_t)a.cols, (uint32_t)a.step,
                                     cut.segments, cut.span };
    tuff_dispatch *d;
    if (cut.segments > 1) {
        p->scratch[0] = p->scratch[1] = a.rows * cut.segments * sizeof(float);
        d = add(c, TUFF_SCAN_TOTALS, texel, &pc, k, p);
        tuff_order_bind_x(d, how);
        bind_scratch(d, 0, TUFF_WRITE);
        tuff_order_bind_x(d, TUFF_ORDER_PLAIN); // not read
        d = add(c, TUFF_SCAN_BEFORE, false, &pc, k, p);
        bind_scratch(d, 0, TUFF_READ);
        bind_scratch(d, 1, TUFF_WRITE);
        bind_scratch(d, 0, TUFF_READ); // not read
    }
    d = add(c, TUFF_SCAN_WRITE, texel, &pc, k, p);
    tuff_order_bind_x(d, how);
    tuff_bind_out(d, 0);
    if (cut.segments > 1) bind_scratch(d, 1, TUFF_READ);
    else tuff_order_bind_x(d, TUFF_ORDER_PLAIN); // not read
    return true;
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, true, k, p);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, false, k, p);
}

// What an element adds to all sums behind it comes back from there.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_cumsum_params p = *params_of(&n->call);
    p.reverse = !p.reverse;
    dx[0] = TUFF_V(t, &tuff_op_cumsum, &p, dy[0]);
}

const tuff_op tuff_op_cumsum = {
    .name = "cumsum", .onnx = "CumSum",
    .doc = "y = sum of x up to each element along one axis, with or without it",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS | TUFF_I32 } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS | TUFF_I32, .alias = true } },
    .params_size = sizeof(tuff_cumsum_params),
    .params = { TUFF_AXIS(tuff_cumsum_params, axis),
                TUFF_BOOLEAN(tuff_cumsum_params, exclusive),
                TUFF_BOOLEAN(tuff_cumsum_params, reverse) },
    .infer = infer, .ref = ref, .units = units, .grad = grad,
    .variants = { TUFF_KERNEL("texel", plan_texel), TUFF_KERNEL("plain", plan_plain) },
    // Sums carry what they lose.
    .tol = { .f32 = 1e-6f }, .sample = { -2, 4 },
    .cases = TUFF_CASES("5", "3x257 exclusive=1", "5x7x11 axis=1 reverse=1",
                        "13x31 axis=1 exclusive=1 reverse=1", "1x70001", "7001x2 axis=1")
};

tuff_status tuff_cumsum(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_cumsum_params *p)
{
    return tuff_run(s, &tuff_op_cumsum, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
