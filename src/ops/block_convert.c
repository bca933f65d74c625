// dequantize_blocks and quantize_blocks. The shaders are block_dequantize.comp and
// block_quantize.comp.
#include "ops/block.h"
#include "ops/ops.h"
#include "abi/block.h"

_Static_assert((int)TUFF_BLOCK_Q2_K == TUFF_FORMAT_Q2_K &&
               (int)TUFF_BLOCK_IQ4_NL == TUFF_FORMAT_IQ4_NL &&
               (int)TUFF_BLOCK_NF4_F16 == TUFF_FORMAT_NF4_F16 &&
               (int)TUFF_BLOCK_FORMATS == TUFF_FORMAT_NF4_F16 + 1, "abi/block.h has its order");

static const tuff_block_kind *kind_of(const tuff_call *c)
{
    const tuff_blocks_params *p = c->params;
    return &tuff_block_kinds[p->format];
}

// ---- dequantize_blocks ---------------------------------------------------------------------

static tuff_status infer_decode(const tuff_call *c, tuff_desc out[])
{
    const tuff_blocks_params *p = c->params;
    TUFF_TRY(tuff_block_check(p->format));
    out[0] = c->in[0];
    out[0].dtype = TUFF_F32;
    return tuff_block_to_numbers(p->format, "blocks", &c->in[0],
                                 &out[0].dim[c->in[0].rank - 1]);
}

static size_t blocks_of(const tuff_call *c)
{
    const tuff_desc *numbers = c->in[0].dtype == TUFF_U8 ? &c->out[0] : &c->in[0];
    return (size_t)(tuff_desc_count(numbers) / kind_of(c)->count);
}

static void ref_decode(const tuff_ref *r)
{
    const tuff_block_kind *kind = kind_of(r->call);
    const uint8_t *blocks = (const uint8_t *)(const void *)r->in[0];
    for (size_t i = r->begin; i < r->end; i++)
        kind->decode(blocks + i * kind->bytes, r->out[0] + i * (size_t)kind->count);
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static void host_decode(const tuff_ref *r)
{
    const tuff_blocks_params *p = r->call->params;
    const tuff_block_kind *kind = kind_of(r->call);
    const uint8_t *blocks = (const uint8_t *)(const void *)r->in[0] + r->begin * kind->bytes;
    tuff_block_host_decode(p->format, blocks, (int64_t)(r->end - r->begin) * kind->count,
                           r->out[0] + r->begin * (size_t)kind->count);
}

static bool decode(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_blocks_params *params = c->params;
    const uint32_t wg = tuff_group_size_flat(k);
    const uint64_t quads = (uint64_t)tuff_desc_count(&c->out[0]) / 4;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_block_dequantize_texel
                                              : TUFF_SHADER_block_dequantize);
    tuff_bind(d, TUFF_ROLE_IN, 0, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)params->format);
    TUFF_PUSH(d, (struct tuff_block_pc){ (uint32_t)blocks_of(c) });
    tuff_grid(d, (quads + wg - 1) / wg, k);
    return true;
}

static bool decode_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return k->cpu_like && tuff_fits_words(k, &c->in[0]) && decode(c, k, p, true);
}

static bool decode_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return decode(c, k, p, false);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)blocks_of(c) * kind_of(c)->count;
    return (tuff_cost){ n, (double)(tuff_desc_bytes(&c->in[0]) + tuff_desc_bytes(&c->out[0])) };
}

static void prepare_decode(const tuff_call *c, void *const in[])
{
    const tuff_blocks_params *p = c->params;
    tuff_block_make_valid(p->format, in[0], tuff_desc_bytes(&c->in[0]));
}

const tuff_op tuff_op_dequantize_blocks = {
    .name = "dequantize_blocks",
    .doc = "y = the numbers that blocks of `format` hold",
    .in = { { .name = "blocks", .dtypes = TUFF_U8, .no_grad = true } },
    .out = { { .name = "y" } },
    .native = TUFF_F32 | TUFF_U8,
    .params_size = sizeof(tuff_blocks_params),
    .params = { TUFF_ENUM(tuff_blocks_params, format, tuff_block_names) },
    .infer = infer_decode, .ref = ref_decode, .units = blocks_of, .cost = cost,
    .variants = { TUFF_KERNEL("texel", decode_texel), TUFF_KERNEL("plain", decode_plain) },
    TUFF_FAST(host_takes, host_decode),
    .tol = { .f32 = 0 }, // one rounding, of a number that f32 arithmetic has exactly
    .prepare = prepare_decode,
    // Odd numbers of blocks, so that rows begin within words; every format.
    .cases = TUFF_CASES("18", "7x54", "3x5x60 format=q4_1", "3x22 format=q5_0",
                        "5x72 format=q5_1", "37x34 format=q8_0", "3x252 format=q2_k",
                        "5x110 format=q3_k", "3x144 format=q4_k", "5x176 format=q5_k",
                        "3x210 format=q6_k", "11x54 format=iq4_nl", "5x108 format=nf4",
                        "7x34 format=nf4_f16")
};

tuff_status tuff_dequantize_blocks(tuff_stream *s, const tuff_tensor *blocks, tuff_tensor *y,
                                   const tuff_blocks_params *p)
{
    return tuff_run(s, &tuff_op_dequantize_blocks, TUFF_RUN_IN(blocks), TUFF_RUN_OUT(y), p);
}

// ---- quantize_blocks -----------------------------------------------------------------------

static tuff_status infer_encode(const tuff_call *c, tuff_desc out[])
{
    const tuff_blocks_params *p = c->params;
    TUFF_TRY(tuff_block_check(p->format));
    out[0] = c->in[0];
    out[0].dtype = TUFF_U8;
    return tuff_block_to_bytes(p->format, "x", &c->in[0], &out[0].dim[c->in[0].rank - 1]);
}

static void ref_encode(const tuff_ref *r)
{
    const tuff_block_kind *kind = kind_of(r->call);
    uint8_t *blocks = (uint8_t *)(void *)r->out[0];
    for (size_t i = r->begin; i < r->end; i++)
        kind->encode(r->in[0] + i * (size_t)kind->count, blocks + i * kind->bytes);
}

// An invocation packs one block, or two where only a pair is a whole number of words. Those of
// 256 take 15,000 iterations each.
static bool encode_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_blocks_params *params = c->params;
    const tuff_block_kind *kind = kind_of(c);
    const bool large = kind->count == 256;
    const uint32_t wg = tuff_group_size(k), blocks = (uint32_t)blocks_of(c);
    const uint32_t each = large && kind->bytes % 4 == 0 ? 1 : 2;
    tuff_dispatch *d = tuff_plan_add(p, large ? TUFF_SHADER_block_kquant
                                              : TUFF_SHADER_block_quantize);
    tuff_bind_in(d, 0);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)params->format);
    TUFF_PUSH(d, (struct tuff_block_pc){ blocks });
    tuff_grid(d, ((blocks + each - 1) / each + wg - 1) / wg, k);
    return true;
}

const tuff_op tuff_op_quantize_blocks = {
    .name = "quantize_blocks", .special = TUFF_SPECIAL_TINY,
    .doc = "blocks of `format` that hold numbers near x",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "blocks" } },
    .native = TUFF_F32 | TUFF_U8,
    .params_size = sizeof(tuff_blocks_params),
    .params = { TUFF_ENUM(tuff_blocks_params, format, tuff_block_names) },
    .infer = infer_encode, .ref = ref_encode, .units = blocks_of, .cost = cost,
    .variants = { TUFF_KERNEL("plain", encode_plain) },
    .sample = { -2, 2 },
    .cases = TUFF_CASES("32", "7x96", "3x5x96 format=q4_1", "3x32 format=q5_0",
                        "5x96 format=q5_1", "37x32 format=q8_0", "11x96 format=iq4_nl",
                        "5x192 format=nf4", "7x64 format=nf4_f16", "3x256 format=q2_k",
                        "3x256 format=q3_k", "9x256 format=q4_k", "1x256 format=q5_k",
                        "5x512 format=q6_k")
};

tuff_status tuff_quantize_blocks(tuff_stream *s, const tuff_tensor *x, tuff_tensor *blocks,
                                 const tuff_blocks_params *p)
{
    return tuff_run(s, &tuff_op_quantize_blocks, TUFF_RUN_IN(x), TUFF_RUN_OUT(blocks), p);
}
