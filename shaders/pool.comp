#version 450
#extension GL_GOOGLE_include_directive : require
// Pooling over up to three dims: one invocation an element of y.
//
//   binding 0  x   uint (bits)[planes * size], or with -DTEXEL a texel buffer of f32   read
//   binding 1  y   uint (bits)[planes * out]; TUFF_WINDOW_ARGMAX: the cell    read, write
//   binding 2  at  uint[planes * out], with -DINDICES: where each maximum lies  read, write
//   spec 0-8   see pool.glsl
//   spec 9     FORM    TUFF_CELLS_..., of `at`
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "math.glsl"
#include "pool.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 9) const uint FORM = TUFF_CELLS_ROWS;
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
#define X(i) floatBitsToUint(texelFetch(x, int(i)).x)
#else
layout(binding = 0) readonly buffer X_ { uint x[]; };
#define X(i) x[i]
#endif
layout(binding = 1) buffer Y { uint y[]; };
#ifdef INDICES
layout(binding = 2) buffer At { uint at[]; };
#endif

const bool MAX = MODE != TUFF_WINDOW_MEAN && MODE != TUFF_WINDOW_LP;
const uint NONE = 0xffffffffu;

bool larger(uint v, uint best)
{
    if (MODE == TUFF_WINDOW_MAX_INT) return int(v) > int(best);
    const float f = uintBitsToFloat(v);
    return f > uintBitsToFloat(best) || is_nan(f);
}

// |v|^power, a few products.
float raised(float v)
{
    float p = v = abs(v);
    for (uint i = 1; i < pc.power; i++) p *= v;
    return p;
}

float root(float v)
{
    return pc.power == 1 ? v : pc.power == 2 ? sqrt(v) : exp_f32(log_f32(v) / float(pc.power));
}

// Taps of this window along dim a that lie on cells, and where the window starts.
uvec2 taps_of(uint a, uint o, out int start)
{
    if (ADAPTIVE) {
        const uint first = divide(o * pc.other[a], pc.dims[a]);
        const uint end = divide((o + 1) * pc.other[a] + pc.dims[a].by - 1, pc.dims[a]);
        start = int(first);
        return uvec2(0, end - first);
    }
    start = int(o * stride_of(a)) - int(pc.before[a]);
    return taps_between(start, dilation_of(a), pc.kernel[a], 0, int(pc.other[a]));
}

// Taps of this window that count in its mean.
uint counted(uint a, int start, uvec2 real)
{
    if (ADAPTIVE || (pc.flags & TUFF_WINDOW_PADDING) == 0) return length_of(real);
    const int pad = int(pc.before[a]);
    return length_of(taps_between(start + pad, dilation_of(a), pc.kernel[a], 0,
                                  int(pc.high[a])));
}

uvec2 part_of(uint a, uvec2 taps)
{
    return uvec2(max(taps.x, pc.corner[a]), min(taps.y, pc.corner[a] + pc.box[a]));
}

uint index_of(uint plane, uint cell)
{
    const uint w = pc.other[2], h = pc.other[1], d = pc.other[0], base = plane * d * h * w;
    if (FORM == TUFF_CELLS_ROWS || cell == NONE) return base + cell;
    return base + cell / w / h + cell / w % h * d + cell % w * d * h;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint rows = divide(i, pc.dims[2]), slices = divide(rows, pc.dims[1]);
    const uint plane = divide(slices, pc.dims[0]);
    const uint base = plane * pc.other[0] * pc.other[1] * pc.other[2];
    int s0, s1, s2;
    const uvec2 real0 = taps_of(0, slices - plane * pc.dims[0].by, s0);
    const uvec2 real1 = taps_of(1, rows - slices * pc.dims[1].by, s1);
    const uvec2 real2 = taps_of(2, i - rows * pc.dims[2].by, s2);
    const uvec2 t0 = part_of(0, real0), t1 = part_of(1, real1), t2 = part_of(2, real2);
    const bool first = (pc.flags & TUFF_WINDOW_FIRST) != 0;
    const bool last = (pc.flags & TUFF_WINDOW_LAST) != 0;

    uint best = floatBitsToUint(NEG_INF), cell = NONE;
    float sum = 0.0;
    if (!first) {
        sum = uintBitsToFloat(y[i]);
        best = y[i];
        cell = 0; // any: not the first
#ifdef INDICES
        cell = at[i];
#endif
        if (MODE == TUFF_WINDOW_ARGMAX) {
            cell = y[i];
            best = cell == NONE ? floatBitsToUint(NEG_INF) : X(base + cell);
        }
    }
    for (uint k0 = t0.x; k0 < t0.y; k0++) {
        const uint z = uint(s0) + k0 * D0;
        float of_slice = 0.0; // rows and slices are summed apart: short sums lose less
        for (uint k1 = t1.x; k1 < t1.y; k1++) {
            const uint row = (z * pc.other[1] + uint(s1) + k1 * D1) * pc.other[2] + uint(s2);
            float of_row = 0.0;
            for (uint k2 = t2.x; k2 < t2.y; k2++) {
                const uint c = row + k2 * D2, v = X(base + c);
                if (!MAX) {
                    const float f = uintBitsToFloat(v);
                    of_row += MODE == TUFF_WINDOW_LP ? raised(f) : f;
                } else if (cell == NONE || larger(v, best)) {
                    best = v;
                    cell = c;
                }
            }
            of_slice += of_row;
        }
        sum += of_slice;
    }
    if (MODE == TUFF_WINDOW_ARGMAX) {
        y[i] = cell;
    } else if (MAX) {
        y[i] = best;
    } else if (!last) {
        y[i] = floatBitsToUint(sum);
    } else if (MODE == TUFF_WINDOW_LP) {
        y[i] = floatBitsToUint(root(sum));
    } else {
        const uint n = counted(0, s0, real0) * counted(1, s1, real1) * counted(2, s2, real2);
        y[i] = floatBitsToUint(sum / float(max(n, 1)));
    }
#ifdef INDICES
    at[i] = last ? index_of(plane, cell) : cell;
#endif
}
