// conv2d's weight gradient as a product (a: dy, b: x): rows are channels of dy, columns
// channels of x x kernel taps, the sum runs over images x pixels of dy.
layout(push_constant) uniform Push { tuff_conv_dw_pc pc; };
#include "gemm.glsl"

struct Row { uint a; };
struct Col { uint b; ivec2 at; }; // at: x, y
struct Inner { uint a, b; ivec2 at; };
uint group;

void gemm_batch(uint z) { group = z; }

Row row_of(uint row) { return Row((group * pc.g.m + row) * pc.y_h * pc.y_w); }

Col col_of(uint col)
{
    const uint taps = pc.kh * pc.kw, tap = col % taps;
    const uint ch = group * (pc.g.n / taps) + col / taps;
    return Col(ch * pc.x_h * pc.x_w, ivec2(int(tap % pc.kw) * pc.step_x + pc.off_x,
                                           int(tap / pc.kw) * pc.step_y + pc.off_y));
}

Inner inner_of(uint k)
{
    const uint plane = pc.y_h * pc.y_w, image = k / plane, pixel = k % plane;
    return Inner(image * pc.y_c * plane + pixel, image * pc.x_c * pc.x_h * pc.x_w,
                 ivec2(int(pixel % pc.y_w) * pc.mul_x, int(pixel / pc.y_w) * pc.mul_y));
}

float load_a(Row r, Inner k) { return a[r.a + k.a]; }

float load_b(Inner k, Col c)
{
    const ivec2 at = c.at + k.at;
    const bool inside = at.x >= 0 && at.y >= 0 && at.x < int(pc.x_w) && at.y < int(pc.x_h);
    return inside ? b[c.b + k.b + uint(at.y) * pc.x_w + uint(at.x)] : 0.0;
}

void gemm_store(uint row, uint col, uint split, float v)
{
    gemm_write((group * pc.g.m + row) * pc.g.n + col, 0, split, v);
}
