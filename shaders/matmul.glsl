// matmul as a product: how elements are found. Strides cover both transposes.
layout(push_constant) uniform Push { tuff_matmul_pc pc; };
#include "gemm.glsl"

struct Row { uint a; };
struct Col { uint b; };
struct Inner { uint a, b; };
uint a_base, b_base, y_base;

void gemm_batch(uint z)
{
    y_base = z * pc.g.m * pc.g.n;
    a_base = b_base = 0;
    for (int i = TUFF_MATMUL_DIMS - 1; i >= 0; i--) {
        const uint at = z % pc.dim[i];
        z /= pc.dim[i];
        a_base += at * pc.a_step[i];
        b_base += at * pc.b_step[i];
    }
}

Row row_of(uint row) { return Row(a_base + row * pc.a_m); }
Col col_of(uint col) { return Col(b_base + col * pc.b_n); }
Inner inner_of(uint k) { return Inner(k * pc.a_k, k * pc.b_k); }
REAL load_a(Row r, Inner k) { return a_at(r.a + k.a); }
REAL load_b(Inner k, Col c) { return b_at(c.b + k.b); }
#define HAS_A_QUAD
REAL4 load_a4(Row r, Inner k) { return a_quad(r.a + k.a); }
#define HAS_B_QUAD
REAL4 load_b4(Inner k, Col c) { return b_quad(c.b + k.b); }
void gemm_store(uint row, uint col, uint split, float v)
{
    gemm_write(y_base + row * pc.g.n + col, col, split, v);
}
#ifndef COOP
#define HAS_Y_QUAD
void gemm_store4(uint row, uint col, uint split, vec4 v)
{
    gemm_write4(y_base + row * pc.g.n + col, col, 1, split, v);
}
#endif
