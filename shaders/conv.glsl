// A convolution or its input gradient as one product (a: w, b: the tensor read): rows are
// channels written, columns images x pixels written, the sum runs over channels read x kernel
// taps.
layout(push_constant) uniform Push { tuff_conv_pc pc; };
#include "gemm.glsl"
#include "conv_dims.glsl"

struct Row { uint a; };
struct Col { uint b; PLACE at; };
struct Inner { uint a, b; PLACE at; };
uint group;

void gemm_batch(uint z) { group = z; }

Row row_of(uint row) { return Row(group * pc.g.m * pc.g.k + row * pc.w_row); }

Col col_of(uint col)
{
    const uint plane = volume(EACH(to)), image = col / plane;
    const uint chs = pc.g.k / volume(EACH(k)), ch = (image * pc.g.batches + group) * chs;
    return Col(ch * volume(EACH(from)),
               unfold(col % plane, EACH(to)) * EACH(mul) + EACH(off));
}

Inner inner_of(uint k)
{
    const uint taps = volume(EACH(k)), ch = k / taps, tap = k % taps;
    return Inner(ch * pc.w_ch + tap, ch * volume(EACH(from)),
                 unfold(tap, EACH(k)) * EACH(step));
}

REAL load_a(Row r, Inner k) { return a_at(r.a + k.a); }
#define HAS_A_QUAD // where taps lie as k runs
REAL4 load_a4(Row r, Inner k) { return a_quad(r.a + k.a); }

REAL load_b(Inner k, Col c)
{
    const PLACE at = c.at + k.at, from = at / EACH(div);
    // A negative place may round to pixel 0: the product with div tells it apart.
    const bool there = from * EACH(div) == at && is_inside(from, EACH(from));
    return there ? b_at(c.b + k.b + fold(from, EACH(from))) : REAL(0.0);
}

uint place_of(uint row, uint col, out uint ch)
{
    const uint plane = volume(EACH(to)), image = col / plane;
    ch = group * pc.g.m + row;
    return (image * pc.g.batches * pc.g.m + ch) * plane + col % plane;
}

void gemm_store(uint row, uint col, uint split, float v)
{
    uint ch;
    const uint at = place_of(row, col, ch);
    gemm_write(at, ch, split, v);
}
#ifndef COOP
#define HAS_Y_QUAD
void gemm_store4(uint row, uint col, uint split, vec4 v)
{
    uint ch;
    const uint at = place_of(row, col, ch);
    gemm_write4(at, ch, 0, split, v);
}
#endif
