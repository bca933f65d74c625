// A tile of 64 or 128 rows x 64 columns by 256 invocations, for GPUs: both operands pass
// through shared memory, 16 products of every sum at a time.
//
//                64 columns
//             +-------------+ 16      Invocation (tx, ty) of 16 x 16 sums the columns
//             |      sb     |         4 tx .. 4 tx + 3 of the rows 4 ty .. 4 ty + 3 (and 64
//             +-------------+         further down): 4 + 4 values from shared memory give 16
//    16                               products (4 + 8 give 32). What the next 16 need is on
//   +---+ 64  +-------------+         its way from memory meanwhile, in registers.
//   |sa | or  |             |
//   +---+ 128 +-------------+
//
//   spec 0  TALL      128 rows
//   spec 1  A_LONG_K  neighbours along k lie side by side in a (else those along the rows)
//   spec 2  B_LONG_K  the same of b and its columns
//   grid    column tiles x row tiles x batches x splits, folded
layout(local_size_x = 256) in;
layout(constant_id = 0) const bool TALL = false;
layout(constant_id = 1) const bool A_LONG_K = true;
layout(constant_id = 2) const bool B_LONG_K = false;

const uint ROWS = TALL ? 128 : 64, COLS = 64, STEP = 16;
const uint ROW_LOADS = TALL ? 8 : 4, COL_LOADS = 4; // of one invocation in one step
// Four rows (columns) an element; one more than needed, against bank conflicts.
shared REAL4 sa[STEP][33];
shared REAL4 sb[STEP][17];

// Which row (column) and which of the 16 products this invocation loads as its i-th.
uint load_row(uint t, uint i) { return A_LONG_K ? t / STEP + STEP * i : t % ROWS; }
uint load_row_k(uint t, uint i) { return A_LONG_K ? t % STEP : t / ROWS + 256 / ROWS * i; }
uint load_col(uint t, uint i) { return B_LONG_K ? t / STEP + STEP * i : t % COLS; }
uint load_col_k(uint t, uint i) { return B_LONG_K ? t % STEP : t / COLS + 256 / COLS * i; }

// With -DHALF f16 sums of 16 products each, which then go to the f32 ones.
#define DECLARE_ROW(r) vec4 s##r = vec4(0.0);
#ifdef HALF
#define DECLARE_PART(r) REAL4 p##r = REAL4(0.0);
#define ADD_ROW(r, x) p##r += (x) * b;
#define ADD_PART(r) s##r += vec4(p##r);
#else
#define DECLARE_PART(r)
#define ADD_ROW(r, x) s##r += (x) * b;
#define ADD_PART(r)
#endif
#define EACH_ROW(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
#define STORE_ROW(r, row)                                                       \
    if ((row) < pc.g.m) {                                                       \
        if (col < pc.g.n) gemm_store(row, col, split, s##r.x);                  \
        if (col + 1 < pc.g.n) gemm_store(row, col + 1, split, s##r.y);          \
        if (col + 2 < pc.g.n) gemm_store(row, col + 2, split, s##r.z);          \
        if (col + 3 < pc.g.n) gemm_store(row, col + 3, split, s##r.w);          \
    }

void main()
{
    const uint cols = (pc.g.n + COLS - 1) / COLS, rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint g = group_index();
    const uint split = g / cols / rows / pc.g.batches;
    if (split >= pc.g.splits) return; // the whole workgroup leaves together
    gemm_batch(g / cols / rows % pc.g.batches);
    const uint row0 = g / cols % rows * ROWS, col0 = g % cols * COLS;
    const uint t = gl_LocalInvocationIndex, tx = t % 16, ty = t / 16;
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);

    // What is past an end is read from the last element and set to 0.
    Row row_at[8];
    Col col_at[4];
    for (uint i = 0; i < ROW_LOADS; i++)
        row_at[i] = row_of(min(row0 + load_row(t, i), pc.g.m - 1));
    for (uint i = 0; i < COL_LOADS; i++)
        col_at[i] = col_of(min(col0 + load_col(t, i), pc.g.n - 1));

    EACH_ROW(DECLARE_ROW)
    REAL next_a[8], next_b[4];
    for (uint k0 = begin; k0 < end + STEP; k0 += STEP) {
        if (k0 > begin) {
            for (uint i = 0; i < ROW_LOADS; i++) {
                const uint row = load_row(t, i);
                sa[load_row_k(t, i)][row / 4][row % 4] = next_a[i];
            }
            for (uint i = 0; i < COL_LOADS; i++) {
                const uint col = load_col(t, i);
                sb[load_col_k(t, i)][col / 4][col % 4] = next_b[i];
            }
        }
        barrier();
        if (k0 < end) {
            for (uint i = 0; i < ROW_LOADS; i++) {
                const uint k = k0 + load_row_k(t, i);
                const REAL v = load_a(row_at[i], inner_of(min(k, end - 1)));
                next_a[i] = k < end ? v : REAL(0.0);
            }
            for (uint i = 0; i < COL_LOADS; i++) {
                const uint k = k0 + load_col_k(t, i);
                const REAL v = load_b(inner_of(min(k, end - 1)), col_at[i]);
                next_b[i] = k < end ? v : REAL(0.0);
            }
        }
        if (k0 > begin) {
            EACH_ROW(DECLARE_PART)
            for (uint k = 0; k < STEP; k++) {
                const REAL4 b = sb[k][tx], x = sa[k][ty];
                ADD_ROW(0, x.x) ADD_ROW(1, x.y) ADD_ROW(2, x.z) ADD_ROW(3, x.w)
                if (TALL) {
                    const REAL4 z = sa[k][16 + ty];
                    ADD_ROW(4, z.x) ADD_ROW(5, z.y) ADD_ROW(6, z.z) ADD_ROW(7, z.w)
                }
            }
            EACH_ROW(ADD_PART)
        }
        barrier();
    }

    const uint row = row0 + ty * 4, col = col0 + tx * 4;
    STORE_ROW(0, row) STORE_ROW(1, row + 1) STORE_ROW(2, row + 2) STORE_ROW(3, row + 3)
    if (TALL) {
        STORE_ROW(4, row + 64) STORE_ROW(5, row + 65)
        STORE_ROW(6, row + 66) STORE_ROW(7, row + 67)
    }
}
