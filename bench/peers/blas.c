// OpenBLAS's side of run.py: a product of two matrices, or of a matrix and a vector.
//
//   blas M K N TRANS_B A B Y     files of f32; y [M, N] = a [M, K] b [K, N], or b [N, K]
//
// Computes once, writes y, says "ready" and what it is; then for each line N on stdin prints
// the seconds of N runs.
#include "serve.h"
#include <cblas.h>

typedef struct work {
    int m, k, n, trans_b;
    float *a, *b, *y;
} work;

static void run(void *arg)
{
    const work *w = arg;
    if (w->m == 1 && w->trans_b)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, w->n, w->k, 1, w->b, w->k, w->a, 1, 0, w->y,
                    1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, w->trans_b ? CblasTrans : CblasNoTrans, w->m,
                    w->n, w->k, 1, w->a, w->k, w->b, w->trans_b ? w->k : w->n, 0, w->y, w->n);
}

int main(int argc, char **argv)
{
    if (argc != 8) return fprintf(stderr, "usage: blas M K N TRANS_B A B Y\n"), 2;
    work w = { atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), 0, 0, 0 };
    w.a = read_floats(argv[5], (size_t)w.m * (size_t)w.k);
    w.b = read_floats(argv[6], (size_t)w.k * (size_t)w.n);
    w.y = floats((size_t)w.m * (size_t)w.n);
    run(&w);
    write_floats(argv[7], w.y, (size_t)w.m * (size_t)w.n);
    char about[256];
    snprintf(about, sizeof about, "%s, %d threads", openblas_get_config(),
             openblas_get_num_threads());
    serve(run, &w, about);
    return 0;
}
