// What the matrix x vector kernels share: a matrix of many rows, of which each is multiplied by
// one to eight vectors.
//
//   y[row, v] = sum over k of matrix[row, k] vector[v, k]
//
// The push constants are those of matmul with the matrix in the place of a and the vectors in
// that of b (a_m, b_n: from row to row, from vector to vector), but for m and n. Where the
// matrix is a, its rows are rows of y; else (TUFF_AFTER_MATRIX_B) columns.
//
//   spec 1  LONG_K  the products of a row lie side by side, else neighbouring rows do
//   spec 2  WIDE    four neighbours of the matrix at once, at a multiple of four
//   spec 3  V_WIDE  likewise of a vector, along k
//   spec 4  VECS    at least as many as there are
layout(constant_id = 1) const bool LONG_K = false;
layout(constant_id = 2) const bool WIDE = false;
layout(constant_id = 3) const bool V_WIDE = false;
layout(constant_id = 4) const uint VECS = 1;
layout(push_constant) uniform Push { tuff_matmul_pc pc; };

// Where the batch's operands begin.
void bases_of(uint z, out uint matrix, out uint vector)
{
    matrix = vector = 0;
    for (int i = TUFF_MATMUL_DIMS - 1; i >= 0 && z > 0; i--) {
        const uint next = quotient(z, pc.dim[i]), at = z - next * pc.dim[i];
        z = next;
        matrix += at * pc.a_step[i];
        vector += at * pc.b_step[i];
    }
}

bool is_b() { return (pc.g.after & TUFF_AFTER_MATRIX_B) != 0; }
uint rows() { return is_b() ? pc.g.n : pc.g.m; }
uint vectors() { return is_b() ? pc.g.m : pc.g.n; }
// Of y within its batch; the bias runs along the columns.
uint y_at(uint row, uint v) { return is_b() ? v * pc.g.n + row : row * pc.g.n + v; }
uint column(uint row, uint v) { return is_b() ? row : v; }
