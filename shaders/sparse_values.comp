#version 450
#extension GL_GOOGLE_include_directive : require
// sparse_values_grad and, with -DNM, nm_values_grad: the slope by each number of A, the sum
// over n of dy times b, a number an invocation.
//
//   binding 0  dy       f32[]  read
//   binding 1  cols     words  read
//   binding 2  b        f32[]  read
//   binding 3  dvalues  f32[]  write, and read where pc.begin > 0
//   binding 4  starts   texels, words; not with -DNM
//   spec 0     WG      workgroup size
//   spec 1     BITS    of a place in N:M
//   spec 2     LINEAR  dy [n, m] and b [n, k], else [m, n] and [k, n]
//   grid       numbers invocations, folded
// Without -DNM a launch sees some rows and leaves the numbers of others alone; the first and
// the last take the numbers that belong to no row, whose slope is 0.
#include "common.glsl"
#include "abi/sparse.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 2) const bool LINEAR = false;
layout(push_constant) uniform Push { tuff_sparse_pc pc; };
layout(binding = 0) readonly buffer Dy { float dy[]; };
layout(binding = 1) readonly buffer Cols { uint cols[]; };
layout(binding = 2) readonly buffer B { float b[]; };
layout(binding = 3) buffer Values { float dvalues[]; };
uint word(uint i) { return cols[i]; }
#ifndef NM
layout(binding = 4) uniform usamplerBuffer starts;
uint start(uint i) { return texelFetch(starts, int(i)).x; }
#endif
#include "sparse.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex, size = pc.height * pc.width;
    if (i >= pc.count * size) return;
    const uint e = i / size;
#ifdef NM
    const uint row = e / pc.kept;
#else
    const bool before = e < start(0), behind = e >= start(pc.rows);
    if (before || behind) {
        const bool last = (pc.first + pc.rows) * pc.height == pc.m;
        if (before ? pc.first == 0 : last) dvalues[i] = 0.0;
        return;
    }
    // The last row that starts at e or before it.
    uint low = 0, high = pc.rows;
    while (high - low > 1) {
        const uint middle = (low + high) / 2;
        if (start(middle) <= e) low = middle;
        else high = middle;
    }
    const uint row = pc.first + low;
#endif
    const uint m = row * pc.height + i % size / pc.width, k = col_of(row, e) + i % pc.width;
    const uint from = LINEAR ? m : m * pc.n, step = LINEAR ? pc.m : 1;
    const uint b_from = LINEAR ? k : k * pc.n, b_step = LINEAR ? pc.k : 1;
    const uint end = min(pc.begin + pc.span, pc.n);
    float sum = pc.begin > 0 ? dvalues[i] : 0.0;
    for (uint n = pc.begin; n < end; n++) sum += dy[from + n * step] * b[b_from + n * b_step];
    dvalues[i] = sum;
}
