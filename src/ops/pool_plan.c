// Geometry of pooling over one, two or three dims, and its launches; see pool.h.
#include "ops/pool.h"
#include "ops/divide.h"

const char *const tuff_auto_pads[] = { "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", NULL };

// ---- geometry ------------------------------------------------------------------------------

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

bool tuff_pool_is_adaptive(const tuff_pool_params *p)
{
    return p->output_size[0] || p->output_size[1] || p->output_size[2];
}

void tuff_pool_window(const tuff_pool *g, int axis, int64_t o, int64_t *start, int64_t *taps)
{
    const tuff_pool_axis *a = &g->axis[axis];
    *start = g->adaptive ? o * a->size / a->out : o * a->stride - a->before;
    *taps = g->adaptive ? ((o + 1) * a->size + a->out - 1) / a->out - *start : a->kernel;
}

static tuff_status adapt_axis(tuff_pool_axis *a, int size)
{
    TUFF_REQUIRE(size >= 0, ARG, "output_size is %d, it must be at least 1 (0 means 1)", size);
    a->out = size ? size : 1;
    // Numbers of windows are multiplied with sizes in 31 bits.
    TUFF_REQUIRE(a->size < INT32_MAX && (a->size + 1) * (a->out + 1) < INT32_MAX, SHAPE,
                 "%lld elements are too many for %lld windows: their product must stay below "
                 "2^31", (long long)a->size, (long long)a->out);
    // Below size / out + 2; what a launch provides for, and it looks at a window's own end.
    const int64_t most = a->size % a->out ? a->size / a->out + 2 : a->size / a->out;
    a->kernel = at_most(most, a->size);
    return TUFF_OK;
}

// Cells from a window's first tap to its last.
static int64_t span(const tuff_pool_axis *a) { return (a->kernel - 1) * a->dilation + 1; }

static tuff_status read_axis(const tuff_pool_params *p, int i, int dims, tuff_pool_axis *a)
{
    TUFF_REQUIRE(p->kernel[i] >= 0, ARG, "kernel is %d, it must be at least 1 (0 means 2)",
                 p->kernel[i]);
    TUFF_REQUIRE(p->stride[i] >= 0, ARG,
                 "stride is %d, it must be at least 1 (0 means the kernel)", p->stride[i]);
    TUFF_REQUIRE(p->dilation[i] >= 0, ARG, "dilation is %d, it must be at least 1 (0 means 1)",
                 p->dilation[i]);
    a->kernel = p->kernel[i] ? p->kernel[i] : 2;
    a->stride = p->stride[i] ? p->stride[i] : a->kernel;
    a->dilation = p->dilation[i] ? p->dilation[i] : 1;
    a->before = p->pad[i];
    a->after = p->pad[i + dims];
    const int pads[] = { p->pad[i], p->pad[i + dims] };
    for (int side = 0; side < 2; side++) {
        TUFF_REQUIRE(!pads[side] || !p->auto_pad, ARG,
                     "pad is %d, with auto_pad it must be 0", pads[side]);
        TUFF_REQUIRE(pads[side] >= 0 && pads[side] < span(a), ARG,
                     "pad is %d, it must be at least 0 and below the window, which spans %lld",
                     pads[side], (long long)span(a));
    }
    return TUFF_OK;
}

// As many windows as strides fit, and padding for the last of them.
static void pad_same(const tuff_pool_params *p, tuff_pool_axis *a)
{
    a->out = (a->size + a->stride - 1) / a->stride;
    const int64_t need = (a->out - 1) * a->stride + span(a) - a->size;
    const int64_t all = need > 0 ? need : 0;
    a->before = p->auto_pad == TUFF_AUTO_PAD_UPPER ? all / 2 : all - all / 2;
    a->after = all - a->before;
}

static tuff_status slide_axis(const tuff_pool_params *p, int i, int dims, const char *name,
                              tuff_pool_axis *a)
{
    TUFF_TRY(read_axis(p, i, dims, a));
    const bool same = p->auto_pad > TUFF_AUTO_PAD_VALID;
    if (same) pad_same(p, a);
    const int64_t padded = a->size + a->before + a->after, left = padded - span(a);
    TUFF_REQUIRE(padded <= INT32_MAX, SHAPE,
                 "%s with its padding has %lld elements in a dim, at most 2^31 - 1 go",
                 name, (long long)padded);
    TUFF_REQUIRE(left >= 0, SHAPE, "a window spans %lld, more than %s with its padding, which "
                 "is %lld", (long long)span(a), name, (long long)padded);
    if (same) return TUFF_OK;
    a->out = (left + (p->ceil_mode ? a->stride - 1 : 0)) / a->stride + 1;
    // A window that would begin in the padding behind is none.
    if (p->ceil_mode && (a->out - 1) * a->stride >= a->size + a->before) a->out--;
    return TUFF_OK;
}

tuff_status tuff_pool_of(const tuff_pool_params *p, bool adaptive, const tuff_desc *x,
                         const char *name, tuff_pool *g)
{
    TUFF_REQUIRE(x->rank >= 3 && x->rank <= 5, SHAPE,
                 "%s has %d dims, it must have 3, 4 or 5 (N C and one to three more)", name,
                 x->rank);
    TUFF_REQUIRE(p->auto_pad >= 0 && p->auto_pad <= TUFF_AUTO_PAD_LOWER, ARG,
                 "auto_pad is %d, expected 0 to 3", p->auto_pad);
    *g = (tuff_pool){ .planes = x->dim[0] * x->dim[1], .dims = x->rank - 2,
                      .adaptive = adaptive || tuff_pool_is_adaptive(p),
                      .include_pad = p->count_include_pad };
    const int skip = TUFF_POOL_AXES - g->dims;
    for (int i = 0; i < TUFF_POOL_AXES; i++) {
        tuff_pool_axis *a = &g->axis[i];
        *a = (tuff_pool_axis){ 1, 1, 1, 1, 1, 0, 0 };
        if (i < skip) continue;
        a->size = x->dim[2 + i - skip];
        TUFF_TRY(g->adaptive ? adapt_axis(a, p->output_size[i - skip])
                             : slide_axis(p, i - skip, g->dims, name, a));
    }
    return TUFF_OK;
}

tuff_pool tuff_pool_good(const tuff_pool_params *p, bool adaptive, const tuff_desc *x)
{
    tuff_pool g = { 0 };
    const tuff_status status = tuff_pool_of(p, adaptive, x, "x", &g);
    (void)status; // infer has found it good
    return g;
}

tuff_desc tuff_pool_y(const tuff_pool *g, const tuff_desc *x)
{
    tuff_desc y = *x;
    for (int i = 0; i < g->dims; i++)
        y.dim[2 + i] = g->axis[TUFF_POOL_AXES - g->dims + i].out;
    return y;
}

// ---- images --------------------------------------------------------------------------------

bool tuff_pool_as_image(const tuff_pool *g, bool mean, tuff_pool2d *g2)
{
    if (g->adaptive || g->dims > 2) return false;
    const tuff_pool_axis *h = &g->axis[1], *w = &g->axis[2];
    *g2 = (tuff_pool2d){ .n = g->planes, .c = 1, .h = h->size, .w = w->size, .oh = h->out,
                         .ow = w->out, .kernel = { (int)h->kernel, (int)w->kernel },
                         .stride = { (int)h->stride, (int)w->stride },
                         .top = (int)h->before, .left = (int)w->before,
                         .bottom = (int)h->after, .right = (int)w->after,
                         .include_pad = g->include_pad };
    for (int i = 1; i < TUFF_POOL_AXES; i++) {
        const tuff_pool_axis *a = &g->axis[i];
        if (a->dilation > 1 && a->kernel > 1) return false;
        // With ceil_mode the last window may reach over the padding's edge, to cells that no
        // mean counts: there they are more padding, which must not count either.
        const int64_t over = (a->out - 1) * a->stride + a->kernel - a->size - a->before;
        if (over <= a->after) continue;
        if (mean && g->include_pad) return false;
        *(i == 1 ? &g2->bottom : &g2->right) = (int)over;
    }
    return true;
}

// ---- launches ------------------------------------------------------------------------------

tuff_boxes tuff_boxes_of(const uint32_t size[TUFF_POOL_AXES], const tuff_caps *k)
{
    // Three nested loops make at most three times as many iterations as the innermost.
    int64_t room = k->max_loop ? k->max_loop / 3 : 1 << 20;
    tuff_boxes b = { .count = 1 };
    for (int i = TUFF_POOL_AXES - 1; i >= 0; i--) {
        b.size[i] = size[i];
        b.part[i] = (uint32_t)at_most(size[i], room);
        room /= b.part[i];
        b.count *= (size[i] - 1) / b.part[i] + 1;
    }
    return b;
}

// Part number `part`: its corner and size.
static void put_box(const tuff_boxes *b, uint32_t part, struct tuff_window_pc *pc)
{
    for (int i = TUFF_POOL_AXES - 1; i >= 0; i--) {
        const uint32_t n = (b->size[i] - 1) / b->part[i] + 1;
        pc->corner[i] = part % n * b->part[i];
        pc->box[i] = (uint32_t)at_most(b->part[i], b->size[i] - pc->corner[i]);
        part /= n;
    }
}

// Of a launch that writes x (the gradient's) or y.
static struct tuff_window_pc window_pc(const tuff_pool *g, bool writes_x)
{
    struct tuff_window_pc pc = { .count = (uint32_t)g->planes,
                                 .flags = g->include_pad ? TUFF_WINDOW_PADDING : 0 };
    for (int i = 0; i < TUFF_POOL_AXES; i++) {
        const tuff_pool_axis *a = &g->axis[i];
        const int64_t written = writes_x ? a->size : a->out;
        pc.count *= (uint32_t)written;
        pc.dims[i] = tuff_divide_by((size_t)written);
        pc.other[i] = (uint32_t)(writes_x ? a->out : a->size);
        pc.kernel[i] = (uint32_t)a->kernel;
        pc.before[i] = (uint32_t)a->before;
        pc.high[i] = (uint32_t)(a->size + a->before + (g->include_pad ? a->after : 0));
    }
    return pc;
}

static void spec_windows(tuff_dispatch *d, const tuff_pool *g, uint32_t wg, uint32_t mode)
{
    tuff_spec(d, wg);
    tuff_spec(d, mode);
    tuff_spec(d, g->adaptive);
    for (int i = 0; i < TUFF_POOL_AXES; i++) tuff_spec(d, (uint32_t)g->axis[i].stride);
    for (int i = 0; i < TUFF_POOL_AXES; i++) tuff_spec(d, (uint32_t)g->axis[i].dilation);
}

static uint32_t part_flags(uint32_t part, uint64_t count)
{
    return (part ? 0 : TUFF_WINDOW_FIRST) | (part + 1 < count ? 0 : TUFF_WINDOW_LAST);
}

bool tuff_windows_add(const tuff_pool *g, const tuff_windows *w, const tuff_caps *k,
                      tuff_plan *p)
{
    uint32_t size[TUFF_POOL_AXES];
    for (int i = 0; i < TUFF_POOL_AXES; i++) size[i] = (uint32_t)g->axis[i].kernel;
    const tuff_boxes boxes = tuff_boxes_of(size, k);
    if (boxes.count > (uint64_t)(TUFF_PLAN_MAX - p->count)) return false;
    const int shader = w->indices ? TUFF_SHADER_pool_indices
                     : w->texel ? TUFF_SHADER_pool_texel : TUFF_SHADER_pool;
    const uint32_t wg = tuff_group_size_flat(k);
    for (uint32_t i = 0; i < boxes.count; i++) {
        struct tuff_window_pc pc = window_pc(g, false);
        pc.flags |= part_flags(i, boxes.count);
        pc.power = w->power;
        put_box(&boxes, i, &pc);
        const int access = i ? TUFF_READ | TUFF_WRITE : TUFF_WRITE;
        tuff_dispatch *d = tuff_plan_add(p, shader);
        tuff_bind(d, TUFF_ROLE_IN, 0, w->texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE,
                  TUFF_READ);
        tuff_bind(d, w->role, 0, TUFF_BIND_STORAGE, access);
        if (w->indices) tuff_bind(d, TUFF_ROLE_OUT, 1, TUFF_BIND_STORAGE, access);
        spec_windows(d, g, wg, w->mode);
        tuff_spec(d, w->form);
        TUFF_PUSH(d, pc);
        tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
    }
    return true;
}

// Windows that may cover one cell.
static uint32_t covering(const tuff_pool *g, const tuff_pool_axis *a)
{
    // Windows of an adaptive pool are as many to a cell as cells would be to a window were
    // their numbers exchanged.
    const int64_t n = g->adaptive ? (a->out + a->size - 1) / a->size + 1
                                  : (span(a) - 1) / a->stride + 1;
    return (uint32_t)at_most(n, a->out);
}

bool tuff_pool_gather_add(const tuff_pool *g, int dy, bool max, bool texel, const tuff_caps *k,
                          tuff_plan *p)
{
    uint32_t size[TUFF_POOL_AXES];
    for (int i = 0; i < TUFF_POOL_AXES; i++) size[i] = covering(g, &g->axis[i]);
    const tuff_boxes boxes = tuff_boxes_of(size, k);
    if (boxes.count > (uint64_t)(TUFF_PLAN_MAX - p->count)) return false;
    const int shader = max ? texel ? TUFF_SHADER_max_pool_gather_texel
                                   : TUFF_SHADER_max_pool_gather
                     : texel ? TUFF_SHADER_average_pool_gather_texel
                             : TUFF_SHADER_average_pool_gather;
    const uint32_t wg = tuff_group_size_flat(k);
    for (uint32_t i = 0; i < boxes.count; i++) {
        struct tuff_window_pc pc = window_pc(g, true);
        pc.flags |= part_flags(i, boxes.count);
        put_box(&boxes, i, &pc);
        tuff_dispatch *d = tuff_plan_add(p, shader);
        tuff_bind(d, TUFF_ROLE_IN, dy, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE,
                  TUFF_READ);
        tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
                  i ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
        if (max)
            tuff_bind(d, TUFF_ROLE_SCRATCH, 0, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
                      TUFF_READ);
        spec_windows(d, g, wg, max ? TUFF_WINDOW_MAX : TUFF_WINDOW_MEAN);
        TUFF_PUSH(d, pc);
        tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
    }
    return true;
}
