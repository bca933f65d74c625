// lamb: Adam's direction, scaled for each parameter. The shaders are those of update.h, which
// leave the direction in scratch, and lamb.comp.
#include "ops/update.h"

enum { W = TUFF_UPDATE_IN_W, STARTS = TUFF_UPDATE_IN_STATE + 2 };
enum { PIECES, TABLE, DIRECTION = TUFF_UPDATE_DIRECTION }; // scratch

static void bind(tuff_dispatch *d, tuff_role role, int index, int access)
{
    tuff_bind(d, role, index, TUFF_BIND_STORAGE, access);
}

static void finish(tuff_dispatch *d, const struct tuff_lamb_pc *pc, uint32_t wg, size_t groups,
                   const tuff_caps *k)
{
    tuff_spec(d, wg);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, groups, k);
}

// The steps after the direction. Scratch that its plan used is free by then.
static void add_steps(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k), flat = tuff_group_size_flat(k);
    const struct tuff_lamb_pc pc = { .count = (uint32_t)tuff_update_elements(c),
                                     .segments = (uint32_t)c->in[STARTS].dim[0],
                                     .span = wg * (k->cpu_like ? 256 : 64) };
    const size_t chunks = ((size_t)pc.count + pc.span - 1) / pc.span;
    const size_t pieces = (chunks + pc.segments) * 2 * sizeof(float);
    const size_t table = (size_t)pc.segments * 2 * sizeof(uint32_t);
    if (p->scratch[PIECES] < pieces) p->scratch[PIECES] = pieces;
    if (p->scratch[TABLE] < table) p->scratch[TABLE] = table;

    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_lamb_pieces);
    tuff_bind_in(d, W);
    bind(d, TUFF_ROLE_SCRATCH, DIRECTION, TUFF_READ);
    tuff_bind_in(d, STARTS);
    bind(d, TUFF_ROLE_SCRATCH, PIECES, TUFF_WRITE);
    finish(d, &pc, wg, chunks, k);

    d = tuff_plan_add(p, TUFF_SHADER_lamb_trust);
    bind(d, TUFF_ROLE_SCRATCH, PIECES, TUFF_READ);
    tuff_bind_in(d, STARTS);
    bind(d, TUFF_ROLE_SCRATCH, TABLE, TUFF_WRITE);
    finish(d, &pc, wg, pc.segments, k);

    d = tuff_plan_add(p, TUFF_SHADER_lamb_apply);
    tuff_bind_in(d, W);
    bind(d, TUFF_ROLE_SCRATCH, DIRECTION, TUFF_READ);
    bind(d, TUFF_ROLE_SCRATCH, TABLE, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_IN, TUFF_UPDATE_IN_HYPER, TUFF_BIND_TEXEL_F32, TUFF_READ);
    finish(d, &pc, flat, (pc.count + (size_t)flat - 1) / flat, k);
}

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!tuff_update_texel(c, k, p)) return false;
    add_steps(c, k, p);
    return tuff_update_add_copy(c, k, p);
}

static bool fused(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!tuff_update_fused(c, k, p)) return false;
    add_steps(c, k, p);
    return tuff_update_add_copy(c, k, p);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!tuff_update_split(c, k, p)) return false;
    add_steps(c, k, p);
    return tuff_update_add_copy(c, k, p);
}

// Starts that are drawn one by one are put in order, from 0.
static void prepare(const tuff_call *c, void *const in[])
{
    int32_t *starts = in[STARTS];
    const int n = (int)c->in[STARTS].dim[0];
    const int32_t count = (int32_t)tuff_update_elements(c);
    for (int i = 0; i < n; i++) starts[i] %= count;
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && starts[j - 1] > starts[j]; j--) {
            const int32_t t = starts[j];
            starts[j] = starts[j - 1];
            starts[j - 1] = t;
        }
    starts[0] = 0;
}

const tuff_op tuff_op_lamb = {
    .name = "lamb", .special = TUFF_SPECIAL_NONE, // norms of tiny numbers are 0 in f32
    .doc = "m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; "
           "d = (m / bias1) / (sqrt(v / bias2) + eps) + weight_decay w; "
           "w -= lr (|w| / |d|) d, where the lengths are those of each parameter",
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_M, TUFF_UPDATE_READ_V,
            { .name = "starts", .dtypes = TUFF_I32, .no_grad = true, .index_below = 1 } },
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("m", 0), TUFF_UPDATE_WRITE("v", 1),
             TUFF_UPDATE_COPY },
    .params_size = sizeof(tuff_update_params),
    .params = { TUFF_UPDATE_PART(beta1), TUFF_UPDATE_PART(beta2), TUFF_UPDATE_PART(eps),
                TUFF_UPDATE_PENALTIES },
    .infer = tuff_update_infer,
    .ref = tuff_lamb_ref,
    .variants = { TUFF_KERNEL("texel", texel), TUFF_KERNEL("fused", fused),
                  TUFF_KERNEL("plain", plain) },
    .hosts = { { .name = "fast", .takes = tuff_lamb_host_takes, .run = tuff_lamb_host,
                 .units = tuff_lamb_host_units, .scratch = tuff_lamb_host_scratch } },
    .cost = tuff_update_cost,
    .prepare = prepare,
    TUFF_UPDATE_JUDGED,
    .cases = TUFF_CASES("1 1 8 1 1 1", "7x11x3 7x11x3 8 7x11x3 7x11x3 4 weight_decay=0.5",
                        "997 997 8 997 997 31 l1=0.25 clip_value=0.125 beta1=0.5 beta2=0.75 "
                        "eps=0.01", "37 37 8 37 37 99 copy=bf16",
                        "70001 70001 8 70001 70001 7"),
};
