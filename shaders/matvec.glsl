// What the matrix x vector kernels share: a matrix of many rows, of which each is multiplied by
// one to eight vectors. Which operand is the matrix, and how it lies, are spec constants.
//
//   y[row, v] = sum over k of matrix[row, k] vector[v, k]
//
//   spec 1  MATRIX_A  the matrix is a (its rows y's rows), else b (its columns y's columns)
//   spec 2  LONG_K    the products of a row lie side by side, else neighbouring rows do
//   spec 3  WIDE      four neighbours of the matrix at once, at a multiple of four
//   spec 4  V_WIDE    likewise of a vector, along k
//   spec 5  VECS      1, 2, 4 or 8, at least as many as there are
layout(constant_id = 1) const bool MATRIX_A = false;
layout(constant_id = 2) const bool LONG_K = false;
layout(constant_id = 3) const bool WIDE = false;
layout(constant_id = 4) const bool V_WIDE = false;
layout(constant_id = 5) const uint VECS = 1;
layout(push_constant) uniform Push { tuff_matmul_pc pc; };

// Where the batch's operands begin.
void bases_of(uint z, out uint matrix, out uint vector)
{
    uint a = 0, b = 0;
    for (int i = TUFF_MATMUL_DIMS - 1; i >= 0 && z > 0; i--) {
        const uint next = quotient(z, pc.dim[i]), at = z - next * pc.dim[i];
        z = next;
        a += at * pc.a_step[i];
        b += at * pc.b_step[i];
    }
    matrix = MATRIX_A ? a : b;
    vector = MATRIX_A ? b : a;
}

uint rows() { return MATRIX_A ? pc.g.m : pc.g.n; }
uint vectors() { return MATRIX_A ? pc.g.n : pc.g.m; }
uint row_step() { return MATRIX_A ? pc.a_m : pc.b_n; }
uint row_k() { return MATRIX_A ? pc.a_k : pc.b_k; }
uint vector_step() { return MATRIX_A ? pc.b_n : pc.a_m; }
uint vector_k() { return MATRIX_A ? pc.b_k : pc.a_k; }
// Of y within its batch; the bias runs along the columns.
uint y_at(uint row, uint v) { return MATRIX_A ? row * pc.g.n + v : v * pc.g.n + row; }
uint column(uint row, uint v) { return MATRIX_A ? v : row; }
