// A convolution with a kernel of one tap, without strides and pads, as one product on the same
// memory (a: w, b: the tensor read): rows are channels written, columns images x pixels, the
// sum runs over channels read. Nothing is divided but a column.
layout(push_constant) uniform Push { tuff_point_pc pc; };
#include "gemm.glsl"

struct Row { uint a; };
struct Col { uint b; };
struct Inner { uint a, b; };
uint group;

void gemm_batch(uint z) { group = z; }

Row row_of(uint row) { return Row(group * pc.g.m * pc.g.k + row * pc.w_row); }

Col col_of(uint col)
{
    const uint image = col / pc.plane, ch = (image * pc.g.batches + group) * pc.g.k;
    return Col(ch * pc.plane + col % pc.plane);
}

Inner inner_of(uint k) { return Inner(k * pc.w_ch, k * pc.plane); }
REAL load_a(Row r, Inner k) { return a_at(r.a + k.a); }
REAL load_b(Inner k, Col c) { return b_at(c.b + k.b); }
#define HAS_A_QUAD
REAL4 load_a4(Row r, Inner k) { return a_quad(r.a + k.a); }
#define HAS_B_QUAD
REAL4 load_b4(Inner k, Col c) { return b_quad(c.b + k.b); }

uint place_of(uint row, uint col, out uint ch)
{
    const uint image = col / pc.plane;
    ch = group * pc.g.m + row;
    return (image * pc.g.batches * pc.g.m + ch) * pc.plane + col % pc.plane;
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
