// One matrix product on the best device, compared with three loops on the host.
//
//   matmul [N]     N x N matrices; 256 by default
#include "example.h"
#include <math.h>

static tuff_tensor *matrix(tuff_stream *s, int n, const float *data)
{
    tuff_tensor *t;
    DO(tuff_tensor_create(tuff_stream_device(s), TUFF_SHAPE(TUFF_F32, n, n), &t));
    if (data) DO(tuff_tensor_write(s, t, data, (size_t)n * n * sizeof *data));
    return t;
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : 256;
    if (n < 1 || n > 4096) return fprintf(stderr, "usage: matmul [N], N from 1 to 4096\n"), 2;
    const size_t bytes = (size_t)n * n * sizeof(float);
    float *a = malloc(bytes), *b = malloc(bytes), *y = malloc(bytes);
    if (!a || !b || !y) return fprintf(stderr, "out of memory\n"), 2;
    for (int i = 0; i < n * n; i++) {
        a[i] = (float)(i % 17 - 8) / 8;
        b[i] = (float)(i % 23 - 11) / 11;
    }

    tuff_device *device;
    tuff_stream *s;
    DO(tuff_device_open(NULL, &device));
    DO(tuff_stream_create(device, &s));
    tuff_tensor *ta = matrix(s, n, a), *tb = matrix(s, n, b), *ty = matrix(s, n, NULL);
    DO(tuff_matmul(s, ta, tb, NULL, NULL, ty, NULL));
    DO(tuff_tensor_read(s, ty, y, bytes));

    double largest = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double want = 0;
            for (int k = 0; k < n; k++) want += (double)a[i * n + k] * b[k * n + j];
            largest = fmax(largest, fabs(y[i * n + j] - want));
        }
    printf("%d x %d on %s: largest difference from the host %.1e\n", n, n,
           tuff_device_get_info(device)->name, largest);

    tuff_tensor_destroy(&ta);
    tuff_tensor_destroy(&tb);
    tuff_tensor_destroy(&ty);
    tuff_stream_destroy(&s);
    tuff_device_close(&device);
    free(a), free(b), free(y);
    return largest < 1e-3 ? 0 : 1;
}
