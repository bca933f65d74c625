// What the peers' programs share: files of floats, and answering run.py.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 63) / 64 * 64);
    if (!p) exit(1);
    return p;
}

static inline float *read_floats(const char *path, size_t n)
{
    float *p = floats(n);
    FILE *f = fopen(path, "rb");
    if (!f || fread(p, sizeof *p, n, f) != n) {
        fprintf(stderr, "%s does not hold %zu floats\n", path, n);
        exit(1);
    }
    fclose(f);
    return p;
}

static inline void write_floats(const char *path, const float *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, sizeof *p, n, f) != n || fclose(f) != 0) {
        fprintf(stderr, "%s cannot be written\n", path);
        exit(1);
    }
}

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void serve(void (*run)(void *arg), void *arg, const char *about)
{
    int runs;
    printf("ready %s\n", about);
    fflush(stdout);
    while (scanf("%d", &runs) == 1) {
        for (int i = 0; i < runs; i++) {
            const double start = seconds();
            run(arg);
            printf("%s%.9f", i ? " " : "", seconds() - start);
        }
        printf("\n");
        fflush(stdout);
    }
}
