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
float load_a(Row r, Inner k) { return a[r.a + k.a]; }
float load_b(Inner k, Col c) { return b[c.b + k.b]; }

void gemm_store(uint row, uint col, uint split, float v)
{
    const uint image = col / pc.plane, ch = group * pc.g.m + row;
    const uint of_all = image * pc.g.batches * pc.g.m + ch;
    gemm_write(of_all * pc.plane + col % pc.plane, ch, split, v);
}
