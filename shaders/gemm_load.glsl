// How tiles of both operands get from memory into shared memory, for gemm_tile.glsl and
// gemm_coop.glsl. An invocation carries units of four elements that are neighbours along k
// (A_LONG_K, B_LONG_K) or along the rows (columns); what the next STEP products need is on its
// way, in registers, while those before are computed.
//
//      a, A_LONG_K             a, else
//      k ->                    rows ->
//    r +----+----+           k +----+----+      units of the invocations t = 0, 1, ... in
//    o |t=0 | 1  |             |t=0 | 1  |      rows of ACROSS units; the second of an
//    w +----+----+             +----+----+      invocation is GROUP units further on
//    s | 2  | 3  |             | 2  | 3  |
//
// What is past an end is read from the last place (a unit past the rows: the last unit) and,
// along k, set to 0.
//
//   spec 0  GROUP     invocations; a multiple of every ACROSS
//   spec 1  ROWS      of y, spec 2  COLS, spec 3  STEP: of k, that are loaded at a time
//   spec 4  A_LONG_K  neighbours along k lie side by side in a (else those along the rows)
//   spec 5  B_LONG_K  the same of b and its columns
//   spec 6  A_QUAD    units of a are whole and lie at multiples of four elements
//   spec 7  B_QUAD    the same of b
// Loaders that have them define HAS_A_QUAD with load_a4(Row, Inner), and HAS_B_QUAD.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint GROUP = 64;
layout(constant_id = 1) const uint ROWS = 64;
layout(constant_id = 2) const uint COLS = 64;
layout(constant_id = 3) const uint STEP = 16;
layout(constant_id = 4) const bool A_LONG_K = true;
layout(constant_id = 5) const bool B_LONG_K = false;
layout(constant_id = 6) const bool A_QUAD = false;
layout(constant_id = 7) const bool B_QUAD = false;

const uint A_ACROSS = A_LONG_K ? STEP / 4 : ROWS / 4, A_UNITS = ROWS * STEP / 4 / GROUP;
const uint B_ACROSS = B_LONG_K ? STEP / 4 : COLS / 4, B_UNITS = COLS * STEP / 4 / GROUP;
const uint A_LINES = A_LONG_K ? A_UNITS : 4, B_LINES = B_LONG_K ? B_UNITS : 4;

Row row_at[A_LINES];
Col col_at[B_LINES];
REAL4 next_a[A_UNITS], next_b[B_UNITS];

// Which unit of the tile is the invocation's i-th.
uint unit_of(uint t, uint i) { return t + i * GROUP; }

// Which group of tiles this workgroup is in: tiles in bands of eight rows, so that those at
// work together share what they read.
uvec2 tile_of(uint g, uint rows, uint cols)
{
    const uint BAND = 8, band = g / (BAND * cols), first = band * BAND;
    const uint high = min(rows - first, BAND), at = g - band * BAND * cols;
    return uvec2(first + at % high, at / high);
}

void find_lines(uint t, uint row0, uint col0)
{
    for (uint i = 0; i < A_LINES; i++) {
        const uint row = A_LONG_K ? unit_of(t, i) / A_ACROSS : 4 * (t % A_ACROSS) + i;
        row_at[i] = row_of(min(row0 + row, pc.g.m - 1));
    }
    for (uint i = 0; i < B_LINES; i++) {
        const uint col = B_LONG_K ? unit_of(t, i) / B_ACROSS : 4 * (t % B_ACROSS) + i;
        col_at[i] = col_of(min(col0 + col, pc.g.n - 1));
    }
}

void load_a_units(uint t, uint k0, uint end)
{
    const uint k = A_LONG_K ? k0 + 4 * (t % A_ACROSS) : k0 + t / A_ACROSS;
#ifdef HAS_A_QUAD
    if (A_QUAD) {
        for (uint i = 0; i < A_UNITS; i++) {
            const uint at = A_LONG_K ? k : k + i * (GROUP / A_ACROSS);
            next_a[i] = REAL4(0.0);
            if (at < end) next_a[i] = load_a4(row_at[A_LONG_K ? i : 0], inner_of(at));
        }
        return;
    }
#endif
    for (uint i = 0; i < (A_LONG_K ? 4 : A_UNITS); i++) {
        const uint at = A_LONG_K ? k + i : k + i * (GROUP / A_ACROSS);
        const Inner inner = inner_of(min(at, end - 1));
        for (uint j = 0; j < A_LINES; j++) {
            REAL v = load_a(row_at[j], inner);
            if (at >= end) v = REAL(0.0);
            if (A_LONG_K) next_a[j][i] = v;
            else next_a[i][j] = v;
        }
    }
}

void load_b_units(uint t, uint k0, uint end)
{
    const uint k = B_LONG_K ? k0 + 4 * (t % B_ACROSS) : k0 + t / B_ACROSS;
#ifdef HAS_B_QUAD
    if (B_QUAD) {
        for (uint i = 0; i < B_UNITS; i++) {
            const uint at = B_LONG_K ? k : k + i * (GROUP / B_ACROSS);
            next_b[i] = REAL4(0.0);
            if (at < end) next_b[i] = load_b4(inner_of(at), col_at[B_LONG_K ? i : 0]);
        }
        return;
    }
#endif
    for (uint i = 0; i < (B_LONG_K ? 4 : B_UNITS); i++) {
        const uint at = B_LONG_K ? k + i : k + i * (GROUP / B_ACROSS);
        const Inner inner = inner_of(min(at, end - 1));
        for (uint j = 0; j < B_LINES; j++) {
            REAL v = load_b(inner, col_at[j]);
            if (at >= end) v = REAL(0.0);
            if (B_LONG_K) next_b[j][i] = v;
            else next_b[i][j] = v;
        }
    }
}
