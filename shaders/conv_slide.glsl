// What the kernels share that slide along rows: for depthwise convolutions on CPU-like drivers,
// where a fetch costs more than a product. A lane walks four rows of an output from left to
// right and keeps the columns under the kernel, each with all rows that the four outputs need:
// a fetch gives up to K * K products.
//
//      c0  c1  c2           K = 3, S = 1: six rows, of which output row r takes r .. r + 2.
//    +---+---+---+          Going to the right c0 is dropped and one column is fetched; with
//    |   |   |   | x 6      S = 2 there are nine rows, and two columns are fetched.
//    +---+---+---+
//
//   spec 1  K  rows and columns of the kernel: 3 or 5
//   spec 2  S  stride: 1 or 2
// Variables have names of their own: arrays would live in memory on some drivers.
layout(constant_id = 1) const int K = 3;
layout(constant_id = 2) const int S = 1;
const int ROWS = 3 * S + K;

bvec4 both(bvec4 a, bvec4 b) { return bvec4(uvec4(a) & uvec4(b)); }

// Twelve rows of a plane: where each begins, and whether it is inside. Those outside are row 0.
struct Strip {
    ivec4 at0, at1, at2;
    bvec4 ok0, ok1, ok2;
    int width;
};

Strip strip_of(int plane, int top, int height, int width)
{
    const ivec4 row = top + ivec4(0, 1, 2, 3);
    Strip s;
    s.ok0 = lessThan(uvec4(row), uvec4(height));
    s.ok1 = lessThan(uvec4(row + 4), uvec4(height));
    s.ok2 = lessThan(uvec4(row + 8), uvec4(height));
    s.at0 = plane + mix(ivec4(0), row, s.ok0) * width;
    s.at1 = plane + mix(ivec4(0), row + 4, s.ok1) * width;
    s.at2 = plane + mix(ivec4(0), row + 8, s.ok2) * width;
    s.width = width;
    return s;
}

struct Column {
    vec4 a, b, c;
};

// For each operand that is slid over, what column(operand, strip, x) calls.
#define SLIDES(name)                                                            \
    vec4 four_of_##name(ivec4 at, bvec4 ok)                                     \
    {                                                                           \
        const vec4 v = vec4(FETCH(name, at.x), FETCH(name, at.y),               \
                            FETCH(name, at.z), FETCH(name, at.w));              \
        return mix(vec4(0.0), v, ok);                                           \
    }                                                                           \
    Column column_of_##name(Strip s, int x)                                     \
    {                                                                           \
        const bool inside = uint(x) < uint(s.width);                            \
        const int at = inside ? x : 0;                                          \
        Column col;                                                             \
        col.a = four_of_##name(s.at0 + at, both(s.ok0, bvec4(inside)));         \
        col.b = four_of_##name(s.at1 + at, both(s.ok1, bvec4(inside)));         \
        col.c = vec4(0.0);                                                      \
        if (ROWS > 8)                                                           \
            col.c = four_of_##name(s.at2 + at, both(s.ok2, bvec4(inside)));     \
        return col;                                                             \
    }
#define column(name, s, x) column_of_##name(s, x)

// For each of the four outputs, what row u of the kernel lies over.
vec4 rows(Column x, int u)
{
    if (S == 1)
        return u == 0 ? x.a
             : u == 1 ? vec4(x.a.yzw, x.b.x)
             : u == 2 ? vec4(x.a.zw, x.b.xy)
             : u == 3 ? vec4(x.a.w, x.b.xyz) : x.b;
    return u == 0 ? vec4(x.a.xz, x.b.xz)
         : u == 1 ? vec4(x.a.yw, x.b.yw)
         : u == 2 ? vec4(x.a.z, x.b.xz, x.c.x)
         : u == 3 ? vec4(x.a.w, x.b.yw, x.c.y) : vec4(x.b.xz, x.c.xz);
}

// A column of the kernel, or of its sums.
struct Taps {
    float t0, t1, t2, t3, t4;
};
