// Convolution with 3 x 3 kernels by Winograd's minimal filtering: F(M x M, 3 x 3) makes M x M
// outputs from N x N inputs, N = M + 2, by N * N products where the sum over kernel taps has
// 9 M * M: 2.25 times fewer for M = 2, four times for M = 4 (Lavin and Gray, Fast Algorithms
// for Convolutional Neural Networks, 2015).
//
//     Y = At [ (G w Gt) * (Bt x B) ] A          * element by element, summed over channels
//
//   winograd_w    U[t] = G w Gt   of every pair of channels    t: one of N * N places
//   winograd_in   V[t] = Bt x B   of every channel and tile
//   a product     M[t] = U[t] V[t], N * N of them             channels written x tiles
//   winograd_out  Y = At M A, bias, activation
//
// The matrices evaluate polynomials at N - 1 points and at infinity (Toom and Cook): 0, 1, -1
// for M = 2 and 0, a, -a, b, -b for M = 4. How much of a relative error of the products reaches
// Y is
//
//     max over i, j of the root of sum over s, t of (A_is A_jt |B_s| |B_t| |G_s| |G_t|)^2, / 3
//
// times what it would be in a plain sum of 9 terms: 1.67 for M = 2. For M = 4 the points 0, 1,
// -1, 2, -2 that are mostly used make it 31; a = 5/8 and b = 3/2, all of whose products here
// f32 holds, make it 8.2. Rounding has two sources. Sums over channels are a ninth as long as
// those over taps too, and so a third as far off: M = 2 is better than a plain sum, M = 4
// has 2.7 times its error. And elements of U and V are themselves rounded, which with M = 4 is
// the larger part up to some 100 channels. In all, largest errors of 200,000 outputs relative
// to |y| + rms(y):
//
//     channels   plain    M = 2    M = 4
//         16     8.5e-7   8.2e-7   4.2e-6
//         64     1.5e-6   1.4e-6   5.9e-6
//        240     3.1e-6   2.1e-6   1.0e-5
//
// With M = 4 sums are cut at 240 channels, so that it stays there. It is still no plain sum's
// precision: M = 4 is a variant with a tolerance of its own, twice that, and is taken where the
// call allows it. Both let an outlier's rounding (or an infinity) reach its whole tile.
//
// The weight gradient is such a filter too: F(3 x 3, 2 x 2), the kernel being a tile of 2 x 2
// of dy and the input the 4 x 4 of x over which it lies. Its points are those of M = 2, so Bt
// is the same, and the products of all tiles are added before they are transformed back:
//
//     dw = Ct [ sum over tiles of (H dy Ht) * (Bt x B) ] C
//
//   winograd_panel   H dy Ht and Bt x B, as operands of a product   channels x tiles
//   gemm_packed      N * N of them, summed over tiles               channels of dy x of x
//   winograd_dw      dw = Ct M C
//
//   spec 0  WG  invocations in a workgroup
//   spec 1  M   2 or 4
//   spec 2  W   U is the left operand of conv_point.comp, in panels of W rows and with channels
//               up to a multiple of four; 0: its matrices are [channel][row]. V's are in any
//               case [channel][pitch], with tiles side by side.
#ifndef T
#define T float
#endif
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(constant_id = 1) const int M = 4;
layout(constant_id = 2) const uint W = 8;
const int N = M + 2;
const float A1 = 0.625, A2 = A1 * A1, A3 = A2 * A1;
const float B1 = 1.5, B2 = B1 * B1, B3 = B2 * B1;

// Variables have names of their own: arrays would live in memory on some drivers. With M = 2
// the last two are not used.
struct Line {
    T v0, v1, v2, v3, v4, v5;
};

// Bt x
Line of_input(Line x)
{
    if (M == 2)
        return Line(x.v0 - x.v2, x.v1 + x.v2, x.v2 - x.v1, x.v3 - x.v1, T(0.0), T(0.0));
    const T even_a = x.v4 - B2 * x.v2, odd_a = A1 * (x.v3 - B2 * x.v1);
    const T even_b = x.v4 - A2 * x.v2, odd_b = B1 * (x.v3 - A2 * x.v1);
    return Line(A2 * B2 * x.v0 - (A2 + B2) * x.v2 + x.v4, even_a + odd_a, even_a - odd_a,
                even_b + odd_b, even_b - odd_b, A2 * B2 * x.v1 - (A2 + B2) * x.v3 + x.v5);
}

// G w
Line of_kernel(T w0, T w1, T w2)
{
    if (M == 2) {
        const T even = 0.5 * (w0 + w2), odd = 0.5 * w1;
        return Line(w0, even + odd, even - odd, w2, T(0.0), T(0.0));
    }
    const float na = 1.0 / (2.0 * A2 * (A2 - B2)), nb = 1.0 / (2.0 * B2 * (B2 - A2));
    const T even_a = w0 + A2 * w2, odd_a = A1 * w1, even_b = w0 + B2 * w2, odd_b = B1 * w1;
    return Line(w0 * (1.0 / (A2 * B2)), na * (even_a + odd_a), na * (even_a - odd_a),
                nb * (even_b + odd_b), nb * (even_b - odd_b), w2);
}

// H dy
Line of_gradient(T dy0, T dy1)
{
    return Line(dy0, 0.5 * (dy0 + dy1), 0.5 * (dy0 - dy1), dy1, T(0.0), T(0.0));
}

// Ct m
struct Weights {
    T w0, w1, w2;
};

Weights of_weights(Line m)
{
    return Weights(m.v0 + m.v1 + m.v2, m.v1 - m.v2, m.v1 + m.v2 + m.v3);
}

// At m
struct Output {
    T v0, v1, v2, v3;
};

Output of_product(Line m)
{
    if (M == 2) return Output(m.v0 + m.v1 + m.v2, m.v1 - m.v2 + m.v3, T(0.0), T(0.0));
    const T even_a = m.v1 + m.v2, odd_a = m.v1 - m.v2;
    const T even_b = m.v3 + m.v4, odd_b = m.v3 - m.v4;
    return Output(m.v0 + even_a + even_b, A1 * odd_a + B1 * odd_b, A2 * even_a + B2 * even_b,
                  A3 * odd_a + B3 * odd_b + m.v5);
}
