// transpose, expand, flip, depth_to_space and space_to_depth: even loops over x.
#include "ops/compose.h"
#include "ops/move.h"
#include "ops/walk.h"
#include <string.h>

// ---- transpose -----------------------------------------------------------------------------

// y's dim i is x's dim perm[i]; all zero means reversed.
static void perm_of(const tuff_call *c, int perm[])
{
    const tuff_transpose_params *p = c->params;
    bool given = false;
    for (int i = 0; i < TUFF_MAX_DIMS; i++) given |= p->perm[i] != 0;
    for (int i = 0; i < c->in[0].rank; i++)
        perm[i] = given ? p->perm[i] : c->in[0].rank - 1 - i;
}

static tuff_status transpose_infer(const tuff_call *c, tuff_desc out[])
{
    const int rank = c->in[0].rank;
    int perm[TUFF_MAX_DIMS];
    unsigned seen = 0;
    perm_of(c, perm);
    out[0] = c->in[0];
    for (int i = 0; i < rank; i++) {
        TUFF_REQUIRE(perm[i] >= 0 && perm[i] < rank && !(seen >> perm[i] & 1), ARG,
                     "perm[%d] is %d: perm must hold each of 0 to %d once", i, perm[i],
                     rank - 1);
        seen |= 1u << perm[i];
        out[0].dim[i] = c->in[0].dim[perm[i]];
    }
    return TUFF_OK;
}

static void transpose_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    int perm[TUFF_MAX_DIMS];
    size_t step[TUFF_MAX_DIMS], next = 1;
    perm_of(r->call, perm);
    for (int i = x->rank - 1; i >= 0; i--) {
        step[i] = next;
        next *= (size_t)x->dim[i];
    }
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0;
        for (int d = y->rank - 1; d >= 0; d--) {
            at += left % (size_t)y->dim[d] * step[perm[d]];
            left /= (size_t)y->dim[d];
        }
        tuff_put(r, 0, i, 0, (int64_t)at);
    }
}

static tuff_move transpose_move(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    int perm[TUFF_MAX_DIMS];
    int64_t step[TUFF_MAX_DIMS];
    perm_of(c, perm);
    tuff_steps(&c->in[0], step);
    tuff_move m = { .rank = y->rank };
    memcpy(m.dim, y->dim, sizeof m.dim);
    tuff_steps(y, m.out_step);
    for (int i = 0; i < y->rank; i++) m.in_step[i] = step[perm[i]];
    return m;
}

TUFF_ONE_MOVE(transpose)

static bool transpose_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return transpose_plan(c, k, p, tuff_move_tile);
}

static bool transpose_block(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return transpose_plan(c, k, p, tuff_move_block);
}

static void transpose_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                           tuff_var dx[])
{
    int perm[TUFF_MAX_DIMS];
    tuff_transpose_params back = { { 0 } };
    perm_of(&n->call, perm);
    for (int i = 0; i < n->call.in[0].rank; i++) back.perm[perm[i]] = i;
    dx[0] = n->call.in[0].rank < 2 ? dy[0] : TUFF_V(t, &tuff_op_transpose, &back, dy[0]);
}

const tuff_op tuff_op_transpose = {
    .name = "transpose", .onnx = "Transpose", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "y's dim i is x's dim perm[i]",
    .params_size = sizeof(tuff_transpose_params),
    .params = { { .name = "perm", .type = TUFF_FIELD_INTS, .count = TUFF_MAX_DIMS,
                  .offset = offsetof(tuff_transpose_params, perm), .range = TUFF_EACH_DIM } },
    .infer = transpose_infer, .ref = transpose_ref, .grad = transpose_grad,
    .variants = { TUFF_KERNEL("block", transpose_block),
                  TUFF_KERNEL("texel", transpose_texel),
                  TUFF_GPU_KERNEL("tile", transpose_tile),
                  TUFF_KERNEL("plain", transpose_plain) },
    TUFF_MOVE_FAST(transpose),
    .cases = TUFF_CASES("1", "257", "13x5", "64x32", "257x131", "3x5x7 perm=0,2,1",
                        "3x33x5x65 perm=2,3,0,1", "5x20x3x44 perm=3,0,2,1",
                        "2x4x3x8 perm=0,2,1,3", "5x2x3x7 perm=2,0,3,1",
                        "2x1x3x2x1x2x3x2 perm=7,0,6,1,5,2,4,3")
};

tuff_status tuff_transpose(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                           const tuff_transpose_params *p)
{
    return tuff_run(s, &tuff_op_transpose, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- expand --------------------------------------------------------------------------------

// The shape that x is repeated against: that of `like`, or else the one in the params.
static tuff_desc wanted(const tuff_call *c)
{
    const tuff_expand_params *p = c->params;
    if (tuff_call_has(c, 1)) return c->in[1];
    tuff_desc d = { .dtype = c->in[0].dtype };
    while (d.rank < TUFF_MAX_DIMS && p->shape[d.rank]) {
        d.dim[d.rank] = p->shape[d.rank];
        d.rank++;
    }
    return d;
}

static tuff_status expand_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0], like = wanted(c);
    const bool given = tuff_call_has(c, 1);
    bool fits = !given || x->rank <= like.rank;
    tuff_desc y = { .dtype = x->dtype, .rank = x->rank > like.rank ? x->rank : like.rank };
    for (int i = 0; fits && i < y.rank; i++) {
        const int64_t n = i < x->rank ? x->dim[x->rank - 1 - i] : 1;
        const int64_t m = i < like.rank ? like.dim[like.rank - 1 - i] : 1;
        fits = m > 0 && (n == 1 || n == m || (!given && m == 1)); // ONNX repeats both ways
        y.dim[y.rank - 1 - i] = n == 1 ? m : n;
    }
    char tx[96], tl[96];
    TUFF_REQUIRE(fits, SHAPE, "x is %s, it cannot be repeated to %s",
                 tuff_desc_print(x, tx, sizeof tx), tuff_desc_print(&like, tl, sizeof tl));
    out[0] = y;
    return TUFF_OK;
}

static void expand_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0, step = 1;
        for (int d = y->rank - 1, e = x->rank - 1; e >= 0; d--, e--) {
            if (x->dim[e] > 1) at += left % (size_t)y->dim[d] * step;
            step *= (size_t)x->dim[e];
            left /= (size_t)y->dim[d];
        }
        tuff_put(r, 0, i, 0, (int64_t)at);
    }
}

static tuff_move expand_move(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    tuff_move m = { .rank = y->rank };
    memcpy(m.dim, y->dim, sizeof m.dim);
    tuff_steps_as(&c->in[0], y, m.in_step);
    tuff_steps(y, m.out_step);
    return m;
}
TUFF_ONE_MOVE(expand)

static void expand_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
}

const tuff_op tuff_op_expand = {
    .name = "expand", .onnx = "Expand", TUFF_MOVE_COMMON,
    .doc = "x repeated to the shape of `like`, whose elements are not read, or to `shape`",
    .in = { { .name = "x", .dtypes = TUFF_MOVED },
            { .name = "like", .dtypes = TUFF_MOVED, .optional = true, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_MOVED, .alias = true, .alias_in = 1 } },
    .params_size = sizeof(tuff_expand_params),
    .params = { TUFF_POSITIVES(tuff_expand_params, shape, NULL) },
    .infer = expand_infer, .ref = expand_ref, .grad = expand_grad,
    .variants = TUFF_MOVE_KERNELS(expand), TUFF_MOVE_FAST(expand),
    .cases = TUFF_CASES("[] 7", "1 257x13", "11 3x7x11", "13x1 13x8", "6x1x1 2x6x4x8",
                        "5x1x7 5x3x7", "3x1x2x1x2x1x1 2x3x3x2x1x2x3x2", "5x1x7 shape=3,1",
                        "7 shape=2,3,1")
};

tuff_status tuff_expand(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_expand, TUFF_RUN_IN(x, y), TUFF_RUN_OUT(y), NULL);
}

// ---- flip ----------------------------------------------------------------------------------

static bool flips(const tuff_call *c, int d)
{
    const tuff_flip_params *p = c->params;
    return !p->axes || p->axes >> (c->in[0].rank - 1 - d) & 1;
}

static tuff_status flip_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_flip_params *p = c->params;
    TUFF_REQUIRE(p->axes >> c->in[0].rank == 0, ARG, "axes is 0x%x, x has only %d dims",
                 p->axes, c->in[0].rank);
    out[0] = c->in[0];
    return TUFF_OK;
}

static void flip_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0];
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0, step = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            const size_t n = (size_t)x->dim[d], at_d = left % n;
            at += (flips(r->call, d) ? n - 1 - at_d : at_d) * step;
            step *= n;
            left /= n;
        }
        tuff_put(r, 0, i, 0, (int64_t)at);
    }
}

static tuff_move flip_move(const tuff_call *c)
{
    const tuff_desc *x = &c->in[0];
    tuff_move m = { .rank = x->rank };
    memcpy(m.dim, x->dim, sizeof m.dim);
    tuff_steps(x, m.out_step);
    tuff_steps(x, m.in_step);
    for (int d = 0; d < x->rank; d++) {
        if (!flips(c, d)) continue;
        m.in_base += (x->dim[d] - 1) * m.in_step[d];
        m.in_step[d] = -m.in_step[d];
    }
    return m;
}
TUFF_ONE_MOVE(flip)

static void flip_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_flip, n->call.params, dy[0]);
}

const tuff_op tuff_op_flip = {
    .name = "flip", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "y = x with the order of its elements turned round along some dims, or all",
    .params_size = sizeof(tuff_flip_params),
    .params = { TUFF_AXES(tuff_flip_params, axes) },
    .infer = flip_infer, .ref = flip_ref, .grad = flip_grad,
    .variants = TUFF_MOVE_KERNELS(flip), TUFF_MOVE_FAST(flip),
    .cases = TUFF_CASES("1", "257", "13x16", "13x16 axes=1", "5x8x7 axes=0,2",
                        "2x3x2x3x2x3x2x3 axes=0,2,4,6")
};

tuff_status tuff_flip(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                      const tuff_flip_params *p)
{
    return tuff_run(s, &tuff_op_flip, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- depth_to_space, space_to_depth --------------------------------------------------------

static const char *const modes[] = { "DCR", "CRD", NULL };

// The image of small blocks: N, C, H, W of the space side, with the steps (of the depth side)
// of a channel, a row and a column, and of a block's rows and columns.
typedef struct blocks {
    int64_t n, c, h, w, size; // h, w: blocks
    int64_t step_c, step_i, step_j;
} blocks;

static blocks blocks_of(const tuff_call *c, const tuff_desc *depth)
{
    const tuff_block_params *p = c->params;
    const int64_t s = p->blocksize ? p->blocksize : 2;
    blocks b = { .n = depth->dim[0], .c = depth->dim[1] / (s * s), .h = depth->dim[2],
                 .w = depth->dim[3], .size = s };
    const int64_t plane = b.h * b.w;
    // DCR: a block's place is the outer part of the channel; CRD: the inner one.
    b.step_j = p->mode ? plane : b.c * plane;
    b.step_i = s * b.step_j;
    b.step_c = p->mode ? s * s * plane : plane;
    return b;
}

static tuff_status block_size(const tuff_call *c, int64_t *s)
{
    const tuff_block_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(x->rank == 4, SHAPE, "x has %d dims, it must have 4 (N C H W)", x->rank);
    TUFF_REQUIRE(p->blocksize >= 0, ARG, "blocksize is %d, it must be at least 1",
                 p->blocksize);
    TUFF_REQUIRE(p->mode == 0 || p->mode == 1, ARG, "mode is %d, expected 0 or 1", p->mode);
    *s = p->blocksize ? p->blocksize : 2;
    return TUFF_OK;
}

static tuff_status to_space_infer(const tuff_call *c, tuff_desc out[])
{
    int64_t s;
    TUFF_TRY(block_size(c, &s));
    out[0] = c->in[0];
    int64_t *d = out[0].dim;
    TUFF_REQUIRE(d[1] % (s * s) == 0, SHAPE, "x has %lld channels, no multiple of %lld",
                 (long long)d[1], (long long)(s * s));
    d[1] /= s * s;
    d[2] *= s;
    d[3] *= s;
    return TUFF_OK;
}

static tuff_status to_depth_infer(const tuff_call *c, tuff_desc out[])
{
    int64_t s;
    TUFF_TRY(block_size(c, &s));
    out[0] = c->in[0];
    int64_t *d = out[0].dim;
    TUFF_REQUIRE(d[2] % s == 0 && d[3] % s == 0, SHAPE,
                 "x has %lld rows and %lld columns, no multiples of %lld", (long long)d[2],
                 (long long)d[3], (long long)s);
    d[1] *= s * s;
    d[2] /= s;
    d[3] /= s;
    return TUFF_OK;
}

// Pixel i of the space side, as an index of the depth side.
static size_t depth_at(const blocks *b, size_t i)
{
    const size_t s = (size_t)b->size, w = (size_t)b->w * s, h = (size_t)b->h * s;
    const size_t col = i % w, row = i / w % h, ch = i / w / h % (size_t)b->c;
    const size_t n = i / w / h / (size_t)b->c;
    const size_t image = (size_t)(b->c * b->h * b->w) * s * s;
    return n * image + ch * (size_t)b->step_c + row % s * (size_t)b->step_i +
           col % s * (size_t)b->step_j + row / s * (size_t)b->w + col / s;
}

static void to_space_ref(const tuff_ref *r)
{
    const blocks b = blocks_of(r->call, &r->call->in[0]);
    for (size_t i = r->begin; i < r->end; i++)
        tuff_put(r, 0, i, 0, (int64_t)depth_at(&b, i));
}

static void to_depth_ref(const tuff_ref *r)
{
    const blocks b = blocks_of(r->call, &r->call->out[0]);
    for (size_t i = r->begin; i < r->end; i++)
        tuff_put(r, 0, depth_at(&b, i), 0, (int64_t)i);
}

// The loop over the space side's dims [n, c, h, i, w, j].
static tuff_move block_move(const tuff_call *c, const tuff_desc *depth, bool to_depth)
{
    const blocks b = blocks_of(c, depth);
    const int64_t s = b.size, row = b.w * s, plane = b.h * s * row;
    const int64_t dim[] = { b.n, b.c, b.h, s, b.w, s };
    const int64_t space[] = { b.c * plane, plane, s * row, row, s, 1 };
    const int64_t deep[] = { b.c * plane, b.step_c, b.w, b.step_i, 1, b.step_j };
    tuff_move m = { .rank = 6 };
    memcpy(m.dim, dim, sizeof dim);
    memcpy(to_depth ? m.in_step : m.out_step, space, sizeof space);
    memcpy(to_depth ? m.out_step : m.in_step, deep, sizeof deep);
    return m;
}

static tuff_move to_space_move(const tuff_call *c) { return block_move(c, &c->in[0], false); }
static tuff_move to_depth_move(const tuff_call *c) { return block_move(c, &c->out[0], true); }
TUFF_ONE_MOVE(to_space)
TUFF_ONE_MOVE(to_depth)

static void to_space_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                          tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_space_to_depth, n->call.params, dy[0]);
}

static void to_depth_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                          tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_depth_to_space, n->call.params, dy[0]);
}

#define BLOCK_PARAMS                                                            \
    .params_size = sizeof(tuff_block_params),                                   \
    .params = { TUFF_POSITIVE(tuff_block_params, blocksize),                    \
                TUFF_ENUM(tuff_block_params, mode, modes) }

const tuff_op tuff_op_depth_to_space = {
    .name = "depth_to_space", .onnx = "DepthToSpace", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "channels become blocks of pixels: y[n, c, h s + i, w s + j] = x[n, d, h, w] with "
           "d = (i s + j) C + c, or c s^2 + i s + j with mode=CRD",
    BLOCK_PARAMS, .infer = to_space_infer, .ref = to_space_ref, .grad = to_space_grad,
    .variants = TUFF_MOVE_KERNELS(to_space), TUFF_MOVE_FAST(to_space),
    .cases = TUFF_CASES("1x4x1x1", "2x12x3x5", "1x18x5x7 blocksize=3 mode=CRD",
                        "3x8x4x8 mode=CRD", "1x5x3x4 blocksize=1")
};

const tuff_op tuff_op_space_to_depth = {
    .name = "space_to_depth", .onnx = "SpaceToDepth", TUFF_MOVE_XY, TUFF_MOVE_COMMON,
    .doc = "blocks of pixels become channels: what depth_to_space undoes",
    BLOCK_PARAMS, .infer = to_depth_infer, .ref = to_depth_ref, .grad = to_depth_grad,
    .variants = TUFF_MOVE_KERNELS(to_depth), TUFF_MOVE_FAST(to_depth),
    .cases = TUFF_CASES("1x1x2x2", "2x3x6x10", "1x2x15x21 blocksize=3 mode=CRD",
                        "3x2x8x16 mode=CRD")
};

tuff_status tuff_depth_to_space(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                const tuff_block_params *p)
{
    return tuff_run(s, &tuff_op_depth_to_space, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_space_to_depth(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                const tuff_block_params *p)
{
    return tuff_run(s, &tuff_op_space_to_depth, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
