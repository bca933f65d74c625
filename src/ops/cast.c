// Elements of one type turned into another. The shader is shaders/cast.comp.
#include "ops/cast.h"
#include "abi/cast.h"
#include "base/convert.h"
#include "ops/compose.h"

static tuff_dtype to_type(const tuff_call *c)
{
    const tuff_cast_params *p = c->params;
    return p->to ? (tuff_dtype)p->to : TUFF_F32;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(tuff_dtype_size(to_type(c)), DTYPE, "to is %d, which is no type of element",
                 (int)to_type(c));
    out[0] = c->in[0];
    out[0].dtype = to_type(c);
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static void ref(const tuff_ref *r)
{
    const tuff_cast_params *p = r->call->params;
    tuff_convert(r->call->in[0].dtype, r->in[0], to_type(r->call), r->out[0], p->saturate,
                 r->begin, r->end);
}

static bool host_takes(const tuff_call *c)
{
    const tuff_cast_params *p = c->params;
    return tuff_convert_is_fast(c->in[0].dtype, to_type(c), p->saturate);
}

static void host(const tuff_ref *r)
{
    const tuff_cast_params *p = r->call->params;
    tuff_convert_fast(r->call->in[0].dtype, r->in[0], to_type(r->call), r->out[0], p->saturate,
                      r->begin, r->end);
}

// ---- plan --------------------------------------------------------------------------------

static uint32_t shader_type(tuff_dtype t)
{
    uint32_t n = 0; // the types of abi/cast.h have the order of tuff_dtype
    while (!(t >> n & 1)) n++;
    return n;
}

// Real numbers into others, by eights, which fill a vec4 in every such type.
static bool by_eights(const tuff_caps *k, const tuff_desc *from, const tuff_desc *to)
{
    return k->cpu_like && from->dtype & TUFF_FLOATS && to->dtype & TUFF_FLOATS &&
           tuff_desc_count(from) % 8 == 0 && tuff_fits_texel(k, from, 16);
}

bool tuff_cast_add(const tuff_caps *k, tuff_plan *p, const tuff_desc *from, tuff_slot read,
                   const tuff_desc *to, tuff_slot write, bool saturate)
{
    const uint64_t count = (uint64_t)tuff_desc_count(from);
    const uint32_t wg = tuff_group_size_flat(k);
    const size_t bytes = (tuff_desc_bytes(from) + 3) / 4 * 4;
    if (!tuff_fits(k, bytes) || !tuff_fits(k, tuff_desc_bytes(to))) return false;
    const bool eights = by_eights(k, from, to);
    const bool texel = eights || (k->cpu_like && bytes / 4 <= k->max_texels);
    const uint32_t step = eights ? 8 : 4;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_cast_texel : TUFF_SHADER_cast);
    tuff_spec(d, wg);
    tuff_spec(d, shader_type(from->dtype));
    tuff_spec(d, shader_type(to->dtype));
    tuff_spec(d, saturate);
    if (texel) tuff_spec(d, eights);
    read.kind = eights ? TUFF_BIND_TEXEL_U32X4 : texel ? TUFF_BIND_TEXEL_U32
                                                       : TUFF_BIND_STORAGE;
    read.access = TUFF_READ;
    write.kind = TUFF_BIND_STORAGE;
    write.access = TUFF_WRITE;
    d->slot[d->nslot++] = read;
    d->slot[d->nslot++] = write;
    tuff_grid(d, (count + step * wg - 1) / (step * wg), k);
    TUFF_PUSH(d, (struct tuff_cast_pc){ (uint32_t)count });
    return true;
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_cast_params *params = c->params;
    return tuff_cast_add(k, p, &c->in[0], (tuff_slot){ .role = TUFF_ROLE_IN }, &c->out[0],
                         (tuff_slot){ .role = TUFF_ROLE_OUT }, params->saturate);
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_dtype from = n->call.in[0].dtype;
    if (!(from & TUFF_FLOATS) || !(n->call.out[0].dtype & TUFF_FLOATS)) return;
    const tuff_cast_params back = { .to = (int)from };
    dx[0] = TUFF_V(t, &tuff_op_cast, &back, dy[0]);
}

#define ALL (TUFF_MOVABLE | TUFF_I64)

const tuff_op tuff_op_cast = {
    .name = "cast", .onnx = "Cast", .native = ALL,
    .doc = "y = x as elements of another type",
    .in = { { .name = "x", .dtypes = ALL } },
    .out = { { .name = "y", .dtypes = ALL } },
    .params_size = sizeof(tuff_cast_params),
    .params = { TUFF_DTYPE(tuff_cast_params, to), TUFF_BOOLEAN(tuff_cast_params, saturate) },
    .infer = infer, .ref = ref, .units = units, .grad = grad, TUFF_FAST(host_takes, host),
    .variants = { TUFF_KERNEL("plain", plan) },
    // Values beyond i8's and u8's ranges; a last word that is not full; halves between numbers.
    .sample = { -300, 300 },
    .cases = TUFF_CASES("1031", "5x7 to=f16", "33x40 to=f16", "1031 to=bf16",
                        "1032 to=bf16", "1031 to=i32", "7x5 to=u32",
                        "1030 to=i8", "1029 to=i8 saturate=1", "1031 to=u8", "3 to=bool",
                        "257 to=i64")
};

tuff_status tuff_cast(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                      const tuff_cast_params *p)
{
    return tuff_run(s, &tuff_op_cast, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
