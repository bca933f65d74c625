// A tile of y by a workgroup, for GPUs with cooperative matrices: a subgroup multiplies whole
// blocks of TM x TK and TK x TN at a time, and sums them in f32.
//
//                    COLS                        one subgroup
//             +------+------+ STEP               +----+----+
//             |      sb     |                    |TMxTN    |
//             +------+------+                    +----+----+ RM blocks
//   STEP                                         |    |    |
//   +---+     +------+------+                    +----+----+
//   |sa |     |      |      |                     RN blocks
//   |   | ROWS+------+------+ subgroups
//   +---+     +------+------+
//
// Shared memory holds STEP products of every sum as they lie in memory, along k or along the
// rows, since a block can be read either way; twice, as in gemm_tile.glsl. Lines are 16 bytes
// longer than they need be, against bank conflicts. What is past an edge is 0, or a copy of the
// last row, so that ragged edges are multiplied like the rest; results pass through shared
// memory, where each invocation finds its own and does what follows the product.
//
// With -DPER_ELEMENT (GL_NV_cooperative_matrix2) results do without shared memory: a function
// is called for each element of a block, wherever that is.
// With -DBYTES factors are i8 and sums i32: one product, whole (qgemm_coop.comp), for which
// sums over the factors of each row and each column are made, too.
//
//   spec 0 to 7  gemm_load.glsl
//   spec 8       FROM_F32, coop.glsl
//   spec 9       LANES: invocations in a subgroup
//   spec 10 to 12  TM, TN, TK: a block, one of those that the device lists
//   spec 13, 14  RM, RN: blocks of a subgroup
//   grid         column tiles x row tiles x batches x splits, folded
#include "gemm_load.glsl"
layout(constant_id = 9) const uint LANES = 32;
layout(constant_id = 10) const uint TM = 16;
layout(constant_id = 11) const uint TN = 16;
layout(constant_id = 12) const uint TK = 16;
layout(constant_id = 13) const uint RM = 2;
layout(constant_id = 14) const uint RN = 2;

#ifdef BYTES
#define NUMBER int
const uint PAD = 4; // units of 16 bytes in all
#else
#define NUMBER float
const uint PAD = 2;
#endif
const uint A_PITCH = A_ACROSS + PAD, B_PITCH = B_ACROSS + PAD; // of four elements each
const uint A_SIZE = A_PITCH * (A_LONG_K ? ROWS : STEP);
const uint B_SIZE = B_PITCH * (B_LONG_K ? COLS : STEP);
shared REAL4 sa[2 * A_SIZE], sb[2 * B_SIZE];
const uint BLOCK = TM * TN;
#ifdef PER_ELEMENT
float store_element(const in uint32_t row, const in uint32_t col, const in float v,
                    const in uint row0, const in uint col0, const in uint split)
{
    if (row0 + row < pc.g.m && col0 + col < pc.g.n)
        gemm_store(row0 + row, col0 + col, split, v);
    return v;
}
#else
shared NUMBER sy[GROUP / LANES * BLOCK];
#endif

#ifdef BYTES
int sum_a[A_UNITS], sum_b[B_UNITS];
int sum_of(i8vec4 v) { return int(v.x) + int(v.y) + int(v.z) + int(v.w); }
#endif

void store_units(uint t, uint half_at)
{
#ifdef BYTES
    for (uint i = 0; i < A_UNITS; i++) sum_a[i] += sum_of(next_a[i]);
    for (uint i = 0; i < B_UNITS; i++) sum_b[i] += sum_of(next_b[i]);
#endif
    for (uint i = 0; i < A_UNITS; i++) {
        const uint u = unit_of(t, i);
        sa[half_at * A_SIZE + u / A_ACROSS * A_PITCH + u % A_ACROSS] = next_a[i];
    }
    for (uint i = 0; i < B_UNITS; i++) {
        const uint u = unit_of(t, i);
        sb[half_at * B_SIZE + u / B_ACROSS * B_PITCH + u % B_ACROSS] = next_b[i];
    }
}

#define FACTOR_A coopmat<REAL, gl_ScopeSubgroup, TM, TK, gl_MatrixUseA>
#define FACTOR_B coopmat<REAL, gl_ScopeSubgroup, TK, TN, gl_MatrixUseB>
#define SUM coopmat<NUMBER, gl_ScopeSubgroup, TM, TN, gl_MatrixUseAccumulator>

void main()
{
    const uint cols = (pc.g.n + COLS - 1) / COLS, rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint g = group_index();
#ifdef BYTES
    const uint split = g / cols / rows, all = 4 * pc.g.quads;
    if (split >= pc.r.splits) return; // the whole workgroup leaves together
    const uint each = (all + pc.r.splits * STEP - 1) / (pc.r.splits * STEP) * STEP;
    const uint begin = min(split * each, all), end = min(begin + each, all);
    of_sum = end - begin; // the last part may be empty
#else
    const uint split = g / cols / rows / pc.g.batches;
    if (split >= pc.g.splits) return; // the whole workgroup leaves together
    gemm_batch(g / cols / rows % pc.g.batches);
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
#endif
    const uvec2 tile = tile_of(g % (cols * rows), rows, cols);
    const uint row0 = tile.x * ROWS, col0 = tile.y * COLS;

    // The rows and columns of the tile that are this subgroup's.
    const uint t = gl_LocalInvocationIndex, across = COLS / (TN * RN);
    const uint sub_row = gl_SubgroupID / across * (TM * RM);
    const uint sub_col = gl_SubgroupID % across * (TN * RN);
    SUM sum[RM * RN];
    for (uint i = 0; i < RM * RN; i++) sum[i] = SUM(0);
#ifdef BYTES
    for (uint i = t; i < EDGE; i += GROUP) all_a[i] = all_b[i] = 0;
    for (uint i = 0; i < A_UNITS; i++) sum_a[i] = 0;
    for (uint i = 0; i < B_UNITS; i++) sum_b[i] = 0;
#endif
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
        for (uint k = 0; k < STEP; k += TK) {
            FACTOR_A x[RM];
            for (uint i = 0; i < RM; i++) {
                const uint row = sub_row + i * TM, at = half_at * A_SIZE;
                if (A_LONG_K)
                    coopMatLoad(x[i], sa, at + row * A_PITCH + k / 4, A_PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                else
                    coopMatLoad(x[i], sa, at + k * A_PITCH + row / 4, A_PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
            }
            for (uint j = 0; j < RN; j++) {
                const uint col = sub_col + j * TN, at = half_at * B_SIZE;
                FACTOR_B z;
                if (B_LONG_K)
                    coopMatLoad(z, sb, at + col * B_PITCH + k / 4, B_PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
                else
                    coopMatLoad(z, sb, at + k * B_PITCH + col / 4, B_PITCH,
                                gl_CooperativeMatrixLayoutRowMajor);
                for (uint i = 0; i < RM; i++)
                    sum[i * RN + j] = coopMatMulAdd(x[i], z, sum[i * RN + j]);
            }
        }
        half_at = 1 - half_at;
        if (more) store_units(t, half_at);
        barrier();
    }

#ifdef BYTES
    for (uint i = 0; i < A_UNITS; i++) {
        const uint at = (row0 + unit_of(t, i) / A_ACROSS) % EDGE;
        atomicAdd(all_a[at], sum_a[i], gl_ScopeWorkgroup, 0, gl_SemanticsRelaxed);
    }
    for (uint i = 0; i < B_UNITS; i++) {
        const uint at = (col0 + unit_of(t, i) / B_ACROSS) % EDGE;
        atomicAdd(all_b[at], sum_b[i], gl_ScopeWorkgroup, 0, gl_SemanticsRelaxed);
    }
    barrier();
#endif
    const uint own = gl_SubgroupID * BLOCK;
    for (uint i = 0; i < RM; i++)
        for (uint j = 0; j < RN; j++) {
#ifdef PER_ELEMENT
            coopMatPerElementNV(sum[i * RN + j], sum[i * RN + j], store_element,
                                row0 + sub_row + i * TM, col0 + sub_col + j * TN, split);
#else
            coopMatStore(sum[i * RN + j], sy, own, TN, gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            for (uint e = gl_SubgroupInvocationID; e < BLOCK; e += LANES) {
                const uint row = row0 + sub_row + i * TM + e / TN;
                const uint col = col0 + sub_col + j * TN + e % TN;
                if (row < pc.g.m && col < pc.g.n) gemm_store(row, col, split, sy[own + e]);
            }
            subgroupBarrier();
#endif
        }
}
