// A tile of y by a workgroup, for GPUs: both operands pass through shared memory, STEP products
// of every sum at a time. Shared memory holds them twice: while what is in one half is
// multiplied the other is filled, so that there is one barrier a step.
//
//                    COLS
//             +------+------+ STEP    Invocation (tx, ty) sums the columns 4 tx .. 4 tx + 3,
//             |      sb     |         and with BROAD those COLS / 2 further on, of the rows
//             +------+------+         4 ty .. 4 ty + 3, and with TALL those ROWS / 2 further
//   STEP                              down: 8 + 8 values from shared memory give 64 products,
//   +---+     +------+------+         4 + 4 give 16. Neighbours in a subgroup are 8 wide and
//   |sa |     |             |         4 high.
//   +---+ ROWS+ - - -+- - - +
//   |   |     |             |
//   +---+     +------+------+
//
//   spec 0 to 7  gemm_load.glsl
//   spec 8   Y_QUAD  rows of y are multiples of four elements
//   spec 9   TALL, spec 10  BROAD
//   grid     column tiles x row tiles x batches x splits, folded
// A shader has its own from 11 on, and defines ACTS.
#include "gemm_load.glsl"
layout(constant_id = 8) const bool Y_QUAD = false;
layout(constant_id = 9) const bool TALL = false;
layout(constant_id = 10) const bool BROAD = false;

// Four rows (columns) an element; one more than needed, against bank conflicts.
const uint A_PITCH = ROWS / 4 + 1, B_PITCH = COLS / 4 + 1;
shared REAL4 sa[2 * STEP * A_PITCH], sb[2 * STEP * B_PITCH];

void store_units(uint t, uint half_at)
{
    for (uint i = 0; i < A_UNITS; i++) {
        const uint u = unit_of(t, i), line = u / A_ACROSS, k = half_at * STEP;
        if (A_LONG_K)
            for (uint j = 0; j < 4; j++)
                sa[(k + 4 * (u % A_ACROSS) + j) * A_PITCH + line / 4][line % 4] = next_a[i][j];
        else sa[(k + line) * A_PITCH + u % A_ACROSS] = next_a[i];
    }
    for (uint i = 0; i < B_UNITS; i++) {
        const uint u = unit_of(t, i), line = u / B_ACROSS, k = half_at * STEP;
        if (B_LONG_K)
            for (uint j = 0; j < 4; j++)
                sb[(k + 4 * (u % B_ACROSS) + j) * B_PITCH + line / 4][line % 4] = next_b[i][j];
        else sb[(k + line) * B_PITCH + u % B_ACROSS] = next_b[i];
    }
}

// With -DHALF f16 sums of STEP products each, which then go to the f32 ones.
#define EACH_ROW(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
#define DECLARE_ROW(r) vec4 s##r = vec4(0.0), w##r = vec4(0.0);
#ifdef HALF
#define DECLARE_PART(r) REAL4 p##r = REAL4(0.0), q##r = REAL4(0.0);
#define ADD_ROW(r, x) p##r += (x) * b; if (BROAD) q##r += (x) * c;
#define ADD_PART(r) s##r += vec4(p##r); w##r += vec4(q##r);
#else
#define DECLARE_PART(r)
#define ADD_ROW(r, x) s##r += (x) * b; if (BROAD) w##r += (x) * c;
#define ADD_PART(r)
#endif

// One row of four columns to y.
void store_row(uint row, uint col, uint split, vec4 v)
{
    if (row >= pc.g.m || col >= pc.g.n) return;
#ifdef HAS_Y_QUAD
    if (Y_QUAD) {
        gemm_store4(row, col, split, v);
        return;
    }
#endif
    for (uint i = 0; i < 4 && col + i < pc.g.n; i++) gemm_store(row, col + i, split, v[i]);
}
#define STORE_ROW(r, row)                                                       \
    store_row(row, col, split, s##r);                                           \
    if (BROAD) store_row(row, col + COLS / 2, split, w##r);

void main()
{
    const uint cols = (pc.g.n + COLS - 1) / COLS, rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint g = group_index();
    const uint split = g / cols / rows / pc.g.batches;
    if (split >= pc.g.splits) return; // the whole workgroup leaves together
    gemm_batch(g / cols / rows % pc.g.batches);
    const uvec2 tile = tile_of(g % (cols * rows), rows, cols);
    const uint row0 = tile.x * ROWS, col0 = tile.y * COLS;
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);

    const uint t = gl_LocalInvocationIndex, across = COLS / (BROAD ? 64 : 32);
    const uint tx = t / 32 % across * 8 + t % 8, ty = t / 32 / across * 4 + t / 8 % 4;
    EACH_ROW(DECLARE_ROW)
    find_lines(t, row0, col0);
    load_a_units(t, begin, end);
    load_b_units(t, begin, end);
    store_units(t, 0);
    barrier();
    uint half_at = 0;
    for (uint k0 = begin; k0 < end; k0 += STEP) {
        const bool more = k0 + STEP < end;
        if (more) {
            load_a_units(t, k0 + STEP, end);
            load_b_units(t, k0 + STEP, end);
        }
        EACH_ROW(DECLARE_PART)
        uint a_at = half_at * STEP * A_PITCH + ty, b_at = half_at * STEP * B_PITCH + tx;
        for (uint k = 0; k < STEP; k++) {
            const REAL4 b = sb[b_at], x = sa[a_at];
            REAL4 c = b;
            if (BROAD) c = sb[b_at + COLS / 8];
            ADD_ROW(0, x.x) ADD_ROW(1, x.y) ADD_ROW(2, x.z) ADD_ROW(3, x.w)
            if (TALL) {
                const REAL4 z = sa[a_at + ROWS / 8];
                ADD_ROW(4, z.x) ADD_ROW(5, z.y) ADD_ROW(6, z.z) ADD_ROW(7, z.w)
            }
            a_at += A_PITCH;
            b_at += B_PITCH;
        }
        EACH_ROW(ADD_PART)
        half_at = 1 - half_at;
        if (more) store_units(t, half_at);
        barrier();
    }

    const uint row = row0 + ty * 4, col = col0 + tx * 4;
    STORE_ROW(0, row) STORE_ROW(1, row + 1) STORE_ROW(2, row + 2) STORE_ROW(3, row + 3)
    if (TALL) {
        const uint down = row + ROWS / 2;
        STORE_ROW(4, down) STORE_ROW(5, down + 1) STORE_ROW(6, down + 2) STORE_ROW(7, down + 3)
    }
}
