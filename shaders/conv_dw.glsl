// The weight gradient of a convolution as a product (a: dy, b: x): rows are channels of dy,
// columns channels of x x kernel taps, the sum runs over images x pixels of dy.
layout(push_constant) uniform Push { tuff_conv_dw_pc pc; };
#include "gemm.glsl"
#include "conv_dims.glsl"

struct Row { uint a; };
struct Col { uint b; PLACE at; };
struct Inner { uint a, b; PLACE at; };
uint group;

void gemm_batch(uint z) { group = z; }

Row row_of(uint row) { return Row((group * pc.g.m + row) * volume(EACH(to))); }

Col col_of(uint col)
{
    const uint taps = volume(EACH(k)), ch = group * (pc.g.n / taps) + col / taps;
    return Col(ch * volume(EACH(from)), unfold(col % taps, EACH(k)) * EACH(step) + EACH(off));
}

Inner inner_of(uint k)
{
    const uint plane = volume(EACH(to)), image = k / plane, pixel = k % plane;
    const uint x_chs = pc.g.batches * (pc.g.n / volume(EACH(k)));
    return Inner(image * pc.g.batches * pc.g.m * plane + pixel,
                 image * x_chs * volume(EACH(from)), unfold(pixel, EACH(to)) * EACH(mul));
}

REAL load_a(Row r, Inner k) { return a_at(r.a + k.a); }
#define HAS_A_QUAD
REAL4 load_a4(Row r, Inner k) { return a_quad(r.a + k.a); }

REAL load_b(Inner k, Col c)
{
    const PLACE at = c.at + k.at;
    return is_inside(at, EACH(from)) ? b_at(c.b + k.b + fold(at, EACH(from))) : REAL(0.0);
}

void gemm_store(uint row, uint col, uint split, float v)
{
    gemm_write((group * pc.g.m + row) * pc.g.n + col, 0, split, v);
}
