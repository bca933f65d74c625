// tile, roll and trilu. The shader is shaders/remap.comp.
#include "ops/move.h"
#include "ops/ops.h"
#include "ops/walk.h"
#include <string.h>

// ---- tile ----------------------------------------------------------------------------------

static int64_t repeats_of(const tuff_call *c, int d)
{
    const tuff_tile_params *p = c->params;
    return p->repeats[d] ? p->repeats[d] : 1;
}

static tuff_status tile_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_tile_params *p = c->params;
    out[0] = c->in[0];
    for (int d = 0; d < TUFF_MAX_DIMS; d++) {
        TUFF_REQUIRE(p->repeats[d] >= 0, ARG, "repeats[%d] is %d, it must be at least 1", d,
                     p->repeats[d]);
        TUFF_REQUIRE(d < out[0].rank || !p->repeats[d], ARG,
                     "repeats has a number %d, x has %d dims", d, out[0].rank);
        if (d < out[0].rank) out[0].dim[d] *= repeats_of(c, d);
    }
    return TUFF_OK;
}

static void tile_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0, step = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            const size_t n = (size_t)x->dim[d];
            at += left % (size_t)y->dim[d] % n * step;
            step *= n;
            left /= (size_t)y->dim[d];
        }
        tuff_put(r, 0, i, 0, (int64_t)at);
    }
}

static tuff_remap tile_remap(const tuff_call *c)
{
    tuff_remap m = { .rank = c->in[0].rank, .mode = TUFF_MODE_WRAP };
    memcpy(m.dim, c->out[0].dim, sizeof m.dim);
    memcpy(m.size, c->in[0].dim, sizeof m.size);
    return m;
}
TUFF_ONE_REMAP(tile)
TUFF_ONE_REMAP_HOST(tile)

// The repeats of one dim after the other are added up.
static void tile_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_desc *x = &n->call.in[0];
    const tuff_reduce_params repeats = { .axes = 2 };
    int64_t outer = 1, inner = tuff_desc_count(&n->call.out[0]);
    tuff_var g = dy[0];
    for (int d = 0; d < x->rank; d++) {
        const int64_t times = repeats_of(&n->call, d);
        inner /= times * x->dim[d];
        if (times > 1) {
            g = t->reshape(t, g, &TUFF_SHAPE(x->dtype, outer, times, x->dim[d] * inner));
            g = TUFF_V(t, &tuff_op_reduce_sum, &repeats, g);
        }
        outer *= x->dim[d];
    }
    dx[0] = t->reshape(t, g, x);
}

const tuff_op tuff_op_tile = {
    .name = "tile", .onnx = "Tile", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "y = x repeated `repeats` times along each dim",
    .params_size = sizeof(tuff_tile_params),
    .params = { { .name = "repeats", .type = TUFF_FIELD_INTS, .count = TUFF_MAX_DIMS,
                  .offset = offsetof(tuff_tile_params, repeats), .range = TUFF_AT_LEAST_1,
                  .length = TUFF_PER_DIM } },
    .infer = tile_infer, .ref = tile_ref, .grad = tile_grad,
    .variants = { TUFF_KERNEL("texel", tile_texel), TUFF_KERNEL("plain", tile_plain) },
    TUFF_MOVE_FAST(tile),
    .cases = TUFF_CASES("1 repeats=7", "5x7", "3x5 repeats=2,3", "2x3x4x5 repeats=1,2,1,3",
                        "13x8 repeats=3,1", "2x3x1x2x2x1x3x2 repeats=2,1,3,1,2,1,1,2")
};

tuff_status tuff_tile(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                      const tuff_tile_params *p)
{
    return tuff_run(s, &tuff_op_tile, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- roll ----------------------------------------------------------------------------------

static tuff_status roll_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_roll_params *p = c->params;
    int which[TUFF_MAX_DIMS], n;
    TUFF_TRY(tuff_dims_of(p->axes, c->in[0].rank, which, &n));
    for (int i = n; i < TUFF_MAX_DIMS; i++)
        TUFF_REQUIRE(!p->shifts[i], ARG, "shifts has a number %d for %d dims", i, n);
    out[0] = c->in[0];
    return TUFF_OK;
}

// How far each dim moves, from the outermost: 0 <= shift < its size.
static void shifts_of(const tuff_call *c, int64_t shift[TUFF_MAX_DIMS])
{
    const tuff_roll_params *p = c->params;
    int which[TUFF_MAX_DIMS], n = 0;
    memset(shift, 0, TUFF_MAX_DIMS * sizeof *shift);
    const tuff_status status = tuff_dims_of(p->axes, c->in[0].rank, which, &n);
    (void)status; // infer has accepted it
    for (int i = 0; i < n; i++) {
        const int64_t size = c->in[0].dim[which[i]];
        shift[which[i]] = (p->shifts[i] % size + size) % size;
    }
}

// An element of x looks where it goes.
static void roll_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0];
    int64_t shift[TUFF_MAX_DIMS];
    shifts_of(r->call, shift);
    for (size_t i = r->begin; i < r->end; i++) {
        int64_t left = (int64_t)i, to = 0, step = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            to += (left + shift[d]) % x->dim[d] * step;
            step *= x->dim[d];
            left /= x->dim[d];
        }
        tuff_put(r, 0, (size_t)to, 0, (int64_t)i);
    }
}

static tuff_remap roll_remap(const tuff_call *c)
{
    tuff_remap m = { .rank = c->in[0].rank, .mode = TUFF_MODE_WRAP };
    memcpy(m.dim, c->in[0].dim, sizeof m.dim);
    memcpy(m.size, c->in[0].dim, sizeof m.size);
    shifts_of(c, m.before);
    return m;
}
TUFF_ONE_REMAP(roll)
TUFF_ONE_REMAP_HOST(roll)

static void roll_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_roll_params p = *(const tuff_roll_params *)n->call.params;
    for (int i = 0; i < TUFF_MAX_DIMS; i++) p.shifts[i] = -p.shifts[i];
    dx[0] = TUFF_V(t, &tuff_op_roll, &p, dy[0]);
}

const tuff_op tuff_op_roll = {
    .name = "roll", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "y = x moved on by `shifts` along dims; what leaves one end enters at the other",
    .params_size = sizeof(tuff_roll_params),
    .params = { TUFF_INTS(tuff_roll_params, shifts, NULL),
                TUFF_DIMS(tuff_roll_params, axes) },
    .infer = roll_infer, .ref = roll_ref, .grad = roll_grad,
    .variants = { TUFF_KERNEL("texel", roll_texel), TUFF_KERNEL("plain", roll_plain) },
    TUFF_MOVE_FAST(roll),
    .cases = TUFF_CASES("1 shifts=3", "257 shifts=-100", "13x5 shifts=2,1",
                        "3x5x7 shifts=-9,4 axes=0,2", "5x3x4x2 shifts=8 axes=2",
                        "2x3x2x1x2x3x2x3 shifts=1,0,1,0,1,2,0,1")
};

tuff_status tuff_roll(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                      const tuff_roll_params *p)
{
    return tuff_run(s, &tuff_op_roll, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- trilu ---------------------------------------------------------------------------------

static tuff_status trilu_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(c->in[0].rank >= 2, SHAPE, "x has %d dims, it must have 2 or more",
                 c->in[0].rank);
    out[0] = c->in[0];
    return TUFF_OK;
}

static void trilu_ref(const tuff_ref *r)
{
    const tuff_trilu_params *p = r->call->params;
    const tuff_desc *x = &r->call->in[0];
    const int64_t rows = x->dim[x->rank - 2], cols = x->dim[x->rank - 1];
    for (size_t i = r->begin; i < r->end; i++) {
        const int64_t row = (int64_t)i / cols % rows, col = (int64_t)i % cols;
        const bool kept = p->lower ? col <= row + p->k : col >= row + p->k;
        tuff_put(r, 0, i, 0, kept ? (int64_t)i : -1);
    }
}

static tuff_remap trilu_remap(const tuff_call *c)
{
    const tuff_trilu_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    const int64_t rows = x->dim[x->rank - 2], cols = x->dim[x->rank - 1];
    tuff_remap m = { .rank = x->rank, .mode = p->lower ? TUFF_MODE_LOWER : TUFF_MODE_UPPER };
    memcpy(m.dim, x->dim, sizeof m.dim);
    // Beyond the matrix every k is alike.
    m.before[x->rank - 1] = p->k < -rows ? -rows : p->k > cols ? cols : p->k;
    return m;
}
TUFF_ONE_REMAP(trilu)

static void trilu_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_trilu, n->call.params, dy[0]);
}

// ONNX's `upper` is 1 unless it is given.
static const char *const upper[] = { "1", "0", NULL };

const tuff_op tuff_op_trilu = {
    .name = "trilu", .onnx = "Trilu", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "y = x where column >= row + k (upper=0: where column <= row + k), else 0",
    .params_size = sizeof(tuff_trilu_params),
    .params = { { .name = "upper", .type = TUFF_FIELD_ENUM, .names = upper,
                  .offset = offsetof(tuff_trilu_params, lower) },
                TUFF_INT(tuff_trilu_params, k) },
    .infer = trilu_infer, .ref = trilu_ref, .grad = trilu_grad,
    .variants = { TUFF_KERNEL("texel", trilu_texel), TUFF_KERNEL("plain", trilu_plain) },
    .cases = TUFF_CASES("1x1", "5x7", "7x5 upper=0", "13x8 k=-3", "3x13x16 upper=0 k=2",
                        "2x3x5x4 k=1000 upper=0")
};

tuff_status tuff_trilu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                       const tuff_trilu_params *p)
{
    return tuff_run(s, &tuff_op_trilu, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
