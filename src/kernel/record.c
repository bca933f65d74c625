// The functions of a user's record; see kernel.h.
#include "kernel/kernel.h"
#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const tuff_kernel *kernel_of(const tuff_call *c)
{
    return (const tuff_kernel *)(const void *)c->op;
}

static tuff_kernel_call call_of(const tuff_call *c)
{
    const tuff_kernel *k = kernel_of(c);
    return (tuff_kernel_call){ c->in, c->out, k->nin, k->nout, c->params };
}

// ---- infer -------------------------------------------------------------------------------

tuff_status tuff_kernel_fail(tuff_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tuff_fail(status, "%s", text);
}

static tuff_status like_first(const tuff_call *c, tuff_desc out[])
{
    const tuff_kernel *k = kernel_of(c);
    char got[96], want[96];
    for (int i = 1; i < k->nin; i++) {
        tuff_desc like = c->in[0];
        like.dtype = c->in[i].dtype;
        TUFF_REQUIRE(tuff_desc_equal(&c->in[i], &like), SHAPE, "%s must be %s, as %s is, it is "
                     "%s", c->op->in[i].name, tuff_desc_print(&like, want, sizeof want),
                     c->op->in[0].name, tuff_desc_print(&c->in[i], got, sizeof got));
    }
    for (int i = 0; i < k->nout; i++) out[i] = c->in[0];
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_kernel *k = kernel_of(c);
    if (!k->p.shape) TUFF_TRY(like_first(c, out));
    const tuff_kernel_call call = call_of(c);
    if (k->p.shape) TUFF_TRY(k->p.shape(k->p.user, &call, out));
    for (int i = 0; i < k->nout; i++) {
        // An output of one type alone need not be told it.
        const uint32_t types = c->op->out[i].dtypes;
        if (!(out[i].dtype & types) && !(types & (types - 1)))
            out[i].dtype = (tuff_dtype)types;
        TUFF_REQUIRE(out[i].dtype & types, DTYPE, "%s is %s, which its description does not "
                     "have", c->op->out[i].name, tuff_dtype_name(out[i].dtype));
    }
    return TUFF_OK;
}

// ---- reference ---------------------------------------------------------------------------

static void ref(const tuff_ref *r)
{
    const tuff_kernel *k = kernel_of(r->call);
    const tuff_kernel_call call = call_of(r->call);
    const void *in[TUFF_OP_IN];
    void *out[TUFF_OP_OUT];
    for (int i = 0; i < k->nin; i++) in[i] = r->in[i];
    for (int i = 0; i < k->nout; i++) out[i] = r->out[i];
    k->p.reference(k->p.user, &call, in, out);
}

// ---- plan --------------------------------------------------------------------------------

static tuff_bind_kind kind_of(tuff_kernel_view view, uint32_t types)
{
    const bool real = types & TUFF_FLOATS;
    if (view == TUFF_VIEW_TEXEL) return real ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_TEXEL_U32;
    if (view == TUFF_VIEW_TEXEL4) return real ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_U32X4;
    return TUFF_BIND_STORAGE;
}

// Appends the bindings; false where the device has not as many, or an input is too large for
// its view.
static bool bind_all(const tuff_call *c, const tuff_caps *caps, tuff_dispatch *d)
{
    const tuff_kernel *k = kernel_of(c);
    uint32_t storage = (uint32_t)k->nout;
    for (int i = 0; i < k->nin; i++) {
        const tuff_kernel_view view = k->p.in[i].view;
        const tuff_bind_kind kind = kind_of(view, c->op->in[i].dtypes);
        const size_t texel = view == TUFF_VIEW_TEXEL4 ? 16 : 4;
        storage += kind == TUFF_BIND_STORAGE;
        if (kind != TUFF_BIND_STORAGE && !tuff_fits_texel(caps, &c->in[i], texel)) return false;
        tuff_bind(d, TUFF_ROLE_IN, i, kind, TUFF_READ);
    }
    for (int i = 0; i < k->nout; i++) tuff_bind_out(d, i);
    return storage <= caps->storage_buffers;
}

static bool has_subgroups(const tuff_reflect *r, const tuff_caps *caps)
{
    return (!r->subgroup_basic || caps->subgroup_basic) &&
           (!r->subgroup_arithmetic || caps->subgroup_arithmetic) &&
           (!r->subgroup_shuffle || caps->subgroup_shuffle);
}

// The usual launch; see <tuff/kernel.h>.
static tuff_kernel_launch usual(const tuff_call *c, const tuff_caps *caps, uint32_t group)
{
    tuff_kernel_launch l = { .push_size = sizeof(uint32_t) };
    const uint32_t count = (uint32_t)tuff_desc_count(&c->out[0]);
    const size_t params = c->op->params_size;
    memcpy(l.push, &count, sizeof count);
    if (params && params <= sizeof l.push - sizeof count) {
        memcpy(l.push + sizeof count, c->params, params);
        l.push_size += (uint32_t)(params + 3) / 4 * 4;
    }
    if (kernel_of(c)->reflect.sized_by_spec) {
        group = tuff_group_size(caps);
        l.spec[0] = group;
        l.nspec = 1;
    }
    l.groups = ((uint64_t)count + group - 1) / group;
    return l;
}

// What a launch function made of it, when that is possible on the device.
static bool take_launch(const tuff_kernel_launch *l, const tuff_caps *caps, tuff_dispatch *d)
{
    if (l->nspec < 0 || l->nspec > TUFF_MAX_SPEC || l->push_size > TUFF_MAX_PUSH ||
        l->push_size % 4)
        return false;
    for (int i = 0; i < l->nspec; i++) tuff_spec(d, l->spec[i]);
    tuff_push(d, l->push, l->push_size);
    if (!l->grid[0]) tuff_grid(d, l->groups, caps);
    else memcpy(d->launch.grid, l->grid, sizeof l->grid);
    for (int i = 0; i < 3; i++)
        if (d->launch.grid[i] < 1 || d->launch.grid[i] > caps->max_groups[i]) return false;
    return true;
}

static bool plan(const tuff_call *c, const tuff_caps *caps, tuff_plan *p)
{
    const tuff_kernel *k = kernel_of(c);
    const uint32_t *size = k->reflect.group;
    const bool sized = !k->reflect.sized_by_spec;
    const uint32_t group = sized ? size[0] * size[1] * size[2] : 1;
    if (group > caps->max_group || !has_subgroups(&k->reflect, caps)) return false;
    for (int i = 0; i < 3; i++)
        if (size[i] > caps->max_group_size[i]) return false;
    tuff_dispatch *d = tuff_plan_add(p, k->shader);
    if (!bind_all(c, caps, d)) return false;
    tuff_kernel_launch l = usual(c, caps, group);
    const tuff_kernel_call call = call_of(c);
    const tuff_kernel_device device = {
        .max_group = caps->max_group, .subgroup = caps->subgroup, .shared = caps->shared,
        .max_groups = { caps->max_groups[0], caps->max_groups[1], caps->max_groups[2] },
        .max_loop = caps->max_loop, .software = caps->cpu_like,
    };
    if (k->p.launch && !k->p.launch(k->p.user, &call, &device, &l)) return false;
    return take_launch(&l, caps, d);
}

// ---- gradient ----------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_kernel *k = kernel_of(&n->call);
    const tuff_kernel_node node = { .call = call_of(&n->call), .in = n->in, .out = n->out,
                                    .dy = dy, .dx = dx };
    // A tape is what a graph begins with; graph.c refuses what a mere tape cannot do.
    k->p.gradient(k->p.user, (tuff_graph *)(void *)t, &node);
}

void tuff_kernel_fill(tuff_kernel *k)
{
    k->op.infer = infer;
    if (k->p.reference) k->op.ref = ref;
    if (k->p.gradient) k->op.grad = grad;
    if (k->shader >= 0) k->op.variants[0] = (tuff_variant)TUFF_KERNEL("own", plan);
}
