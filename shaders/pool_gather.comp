#version 450
#extension GL_GOOGLE_include_directive : require
// Gradient of pooling over up to three dims by x: one invocation a cell of x, which adds what
// the windows that cover it send there. The same order of additions always: the same bits.
//
//   binding 0  dy  float[planes * out], or with -DTEXEL a texel buffer         read
//   binding 1  dx  float[planes * size]                                        read, write
//   binding 2  at  uint[planes * out], or a texel buffer                       read
//              -DMAX only: the cell of its plane that each window's gradient goes to
//   spec 0-8   see pool.glsl
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "pool.glsl"

layout(local_size_x_id = 0) in;
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer dy;
#define DY(i) texelFetch(dy, int(i)).x
#else
layout(binding = 0) readonly buffer DY_ { float dy[]; };
#define DY(i) dy[i]
#endif
#if defined(MAX) && defined(TEXEL)
layout(binding = 2) uniform usamplerBuffer at;
#define AT(i) texelFetch(at, int(i)).x
#elif defined(MAX)
layout(binding = 2) readonly buffer At { uint at[]; };
#define AT(i) at[i]
#endif
layout(binding = 1) buffer DX { float dx[]; };

// Windows that may cover cell c along dim a, and of these the ones that this launch sees.
uvec2 windows_of(uint a, uint c)
{
    uint first, end;
    if (ADAPTIVE) {
        first = divide(c * pc.other[a], pc.dims[a]);
        end = divide((c + 1) * pc.other[a] + pc.dims[a].by - 1, pc.dims[a]);
    } else {
        const uint place = c + pc.before[a], reach = (pc.kernel[a] - 1) * dilation_of(a);
        first = place <= reach ? 0 : (place - reach + stride_of(a) - 1) / stride_of(a);
        end = min(place / stride_of(a) + 1, pc.other[a]);
    }
    first += pc.corner[a];
    return uvec2(first, min(end, first + pc.box[a]));
}

// Cells along dim a that share the gradient of window o; 0 when cell c is none of them.
uint sharing(uint a, uint o, uint c)
{
    if (ADAPTIVE) {
        const uint size = pc.dims[a].by, out_ = pc.other[a];
        return ((o + 1) * size + out_ - 1) / out_ - o * size / out_;
    }
    const uint start = o * stride_of(a), place = c + pc.before[a]; // both in the padded plane
    if ((place - start) % dilation_of(a) != 0) return 0;
    const int low = (pc.flags & TUFF_WINDOW_PADDING) != 0 ? 0 : int(pc.before[a]);
    return length_of(taps_between(int(start), dilation_of(a), pc.kernel[a], low,
                                  int(pc.high[a])));
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint rows = divide(i, pc.dims[2]), slices = divide(rows, pc.dims[1]);
    const uint plane = divide(slices, pc.dims[0]);
    const uint c0 = slices - plane * pc.dims[0].by, c1 = rows - slices * pc.dims[1].by;
    const uint c2 = i - rows * pc.dims[2].by;
    const uvec2 w0 = windows_of(0, c0), w1 = windows_of(1, c1), w2 = windows_of(2, c2);
    const uint cell = (c0 * pc.dims[1].by + c1) * pc.dims[2].by + c2;

    float sum = (pc.flags & TUFF_WINDOW_FIRST) != 0 ? 0.0 : dx[i];
    for (uint o0 = w0.x; o0 < w0.y; o0++) {
        float of_slice = 0.0; // rows and slices are summed apart: short sums lose less
        for (uint o1 = w1.x; o1 < w1.y; o1++) {
            const uint row = ((plane * pc.other[0] + o0) * pc.other[1] + o1) * pc.other[2];
            float of_row = 0.0;
#ifdef MAX
            for (uint o2 = w2.x; o2 < w2.y; o2++)
                if (AT(row + o2) == cell) of_row += DY(row + o2);
#else
            const uint n = sharing(0, o0, c0) * sharing(1, o1, c1);
            for (uint o2 = w2.x; o2 < w2.y; o2++) {
                const uint all = n * sharing(2, o2, c2);
                of_row += all == 0 ? 0.0 : DY(row + o2) / float(all);
            }
#endif
            of_slice += of_row;
        }
        sum += of_slice;
    }
    dx[i] = sum;
}
