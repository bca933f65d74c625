// What the texel kernels share: a tile of 8 x (4 W) outputs by one subgroup of W invocations,
// for drivers that run on a CPU. Such a driver makes a subgroup one SIMD register and pays for
// every load lane by lane, except for texel fetches; a shuffle from a literal lane is one
// instruction. So: no shared memory, no barrier, lanes along the columns.
//
//            lane 0  1 .. W-1              A lane holds the columns lane, W + lane, 2W + lane
//          +------------------+ x 4        and 3W + lane of the tile (b, a vec4), and of the
//    k  -- | b   b   ..   b   |            left operand the rows lane and W + lane (a0, a1).
//          +------------------+            Row r of it reaches every lane by a shuffle, and
//   a(r)   | s_r += a(r) b    |            s_r += a(r) * b.
//
// Push constants are read before the loops: on these drivers that is a load like any other.
// The sums are variables with names of their own: an array would live in memory.
//
//   binding 0  left      f32[]  operand.glsl
//   binding 1  right     f32[]  operand.glsl
//   binding 2  y         f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias      texels; anything when TUFF_AFTER_BIAS is not set
//   binding 4  residual  texels; anything when RESIDUAL is not set  may be y
//   spec 0     W         invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     RESIDUAL  there is one
//   grid       column tiles x row tiles x batches x splits, folded
// Of activations only relu is done here.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool RESIDUAL = false;
#include "operand.glsl"
OPERAND(0, left)
OPERAND(1, right)
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;
layout(binding = 4) uniform samplerBuffer residual;

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE_ROW(r) vec4 s##r = vec4(0.0);
#define ADD_ROW(r)                                                              \
    {                                                                           \
        const float x = subgroupShuffle((r) / W == 0 ? a0 : a1, (r) % W);       \
        s##r.x += x * b.x;                                                      \
        s##r.y += x * b.y;                                                      \
        s##r.z += x * b.z;                                                      \
        s##r.w += x * b.w;                                                      \
    }

// Where this workgroup stands.
struct Tile {
    uint row;          // its first row
    uint first;        // its first column
    uvec4 col;         // this lane's columns, those past the end set to the last one
    bvec4 ok;          // which of them are not past the end
    uint batch, split;
};

// False when there is nothing for this workgroup.
bool tile_of(tuff_gemm g, out Tile t)
{
    const uint cols = quotient(g.n + 4 * W - 1, 4 * W), rows = (g.m + 7) / 8;
    uint i = group_index();
    uint next = quotient(i, cols);
    t.first = (i - next * cols) * (4 * W);
    const uvec4 col = t.first + gl_SubgroupInvocationID + uvec4(0, W, 2 * W, 3 * W);
    i = next;
    next = quotient(i, rows);
    t.row = (i - next * rows) * 8;
    t.split = quotient(next, g.batches);
    t.batch = next - t.split * g.batches;
    t.ok = lessThan(col, uvec4(g.n));
    t.col = min(col, uvec4(g.n - 1));
    return t.split < g.splits;
}

// This lane's rows of the left operand, those past the end set to the last one.
uvec2 rows_of(tuff_gemm g, Tile t)
{
    return min(t.row + gl_SubgroupInvocationID + uvec2(0, W), uvec2(g.m - 1));
}

// Where W >= 8 nothing uses a1, and compilers drop its fetch; under a condition they do not.
#define LOAD_LEFT(at)                                                           \
    const float a0 = FETCH(left, (at).x);                                       \
    const float a1 = FETCH(left, (at).y);

vec4 fetch_right(uvec4 at)
{
    return vec4(FETCH(right, at.x), FETCH(right, at.y), FETCH(right, at.z),
                FETCH(right, at.w));
}

bvec4 both(bvec4 a, bvec4 b) { return bvec4(uvec4(a) & uvec4(b)); }

// Writes one row of the tile at the elements `at` of y; `add` is its bias, or 0.
void store_row(tuff_gemm g, Tile t, uvec4 at, vec4 add, vec4 v)
{
    v += add;
    if (RESIDUAL)
        v += vec4(texelFetch(residual, int(at.x)).x, texelFetch(residual, int(at.y)).x,
                  texelFetch(residual, int(at.z)).x, texelFetch(residual, int(at.w)).x);
    const bool relu = (g.after & TUFF_AFTER_ACT) != 0;
    v = mix(v, vec4(0.0), both(bvec4(relu), lessThan(v, vec4(0.0))));
    at += t.split * g.count;
    if (t.ok.x) y[at.x] = v.x;
    if (t.ok.y) y[at.y] = v.y;
    if (t.ok.z) y[at.z] = v.z;
    if (t.ok.w) y[at.w] = v.w;
}
