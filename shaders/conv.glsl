// conv2d and its input gradient as one product (a: w, b: the tensor read): rows are channels
// written, columns images x pixels written, the sum runs over channels read x kernel taps.
layout(push_constant) uniform Push { tuff_conv_pc pc; };
#include "gemm.glsl"

struct Row { uint a; };
struct Col { uint b; ivec2 at; }; // at: x, y
struct Inner { uint a, b; ivec2 at; };
uint group;

void gemm_batch(uint z) { group = z; }

Row row_of(uint row) { return Row(group * pc.g.m * pc.g.k + row * pc.w_row); }

Col col_of(uint col)
{
    const uint image = col / (pc.to_h * pc.to_w), pixel = col % (pc.to_h * pc.to_w);
    const uint ch = image * pc.from_c + group * (pc.g.k / (pc.kh * pc.kw));
    return Col(ch * pc.from_h * pc.from_w,
               ivec2(int(pixel % pc.to_w) * pc.mul_x + pc.off_x,
                     int(pixel / pc.to_w) * pc.mul_y + pc.off_y));
}

Inner inner_of(uint k)
{
    const uint ch = k / (pc.kh * pc.kw), tap = k % (pc.kh * pc.kw);
    return Inner(ch * pc.w_ch + tap, ch * pc.from_h * pc.from_w,
                 ivec2(int(tap % pc.kw) * pc.step_x, int(tap / pc.kw) * pc.step_y));
}

float load_a(Row r, Inner k) { return a[r.a + k.a]; }

float load_b(Inner k, Col c)
{
    const ivec2 at = c.at + k.at;
    const ivec2 from = at / ivec2(pc.div_x, pc.div_y);
    // A negative position may round to pixel 0: the product with div tells it apart.
    const bool inside = from * ivec2(pc.div_x, pc.div_y) == at && from.x >= 0 && from.y >= 0 &&
                        from.x < int(pc.from_w) && from.y < int(pc.from_h);
    return inside ? b[c.b + k.b + uint(from.y) * pc.from_w + uint(from.x)] : 0.0;
}

void gemm_store(uint row, uint col, uint split, float v)
{
    const uint plane = pc.to_h * pc.to_w;
    const uint ch = group * pc.g.m + row;
    gemm_write((col / plane * pc.to_c + ch) * plane + col % plane, ch, split, v);
}
