// Which form a matrix with zeros takes: curves of time by density, measured or assumed.
#include "ops/sparse.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

const char *tuff_sparse_form_name(tuff_sparse_form form)
{
    static const char *const names[] = { "any", "dense", "csr", "bsr", "nm" };
    return form >= 0 && form < TUFF_SPARSE_FORMS ? names[form] : "?";
}

// ---- curves --------------------------------------------------------------------------------

void tuff_sparse_curve_level(tuff_sparse_curve *c)
{
    // Pool adjacent violators: runs of points with one mean, each above the run before.
    double mean[TUFF_SPARSE_DENSITIES];
    int size[TUFF_SPARSE_DENSITIES], runs = 0;
    for (int i = 0; i < c->count; i++) {
        mean[runs] = c->ratio[i];
        size[runs++] = 1;
        for (; runs > 1 && mean[runs - 2] > mean[runs - 1]; runs--) {
            const int a = size[runs - 2], b = size[runs - 1];
            mean[runs - 2] = (a * mean[runs - 2] + b * mean[runs - 1]) / (a + b);
            size[runs - 2] += b;
        }
    }
    for (int run = 0, i = 0; run < runs; run++)
        for (int k = 0; k < size[run]; k++) c->ratio[i++] = mean[run];
}

double tuff_sparse_curve_at(const tuff_sparse_curve *c, double density)
{
    const double *d = c->density, *r = c->ratio;
    if (!c->count) return HUGE_VAL;
    if (density <= d[0]) return r[0];
    for (int i = 1; i < c->count; i++)
        if (density <= d[i])
            return r[i - 1] + (r[i] - r[i - 1]) * (density - d[i - 1]) / (d[i] - d[i - 1]);
    return r[c->count - 1] * density / d[c->count - 1];
}

double tuff_sparse_curve_even(const tuff_sparse_curve *c)
{
    const double *d = c->density, *r = c->ratio;
    const int last = c->count - 1;
    if (last < 0 || r[0] >= 1) return 0;
    if (r[last] < 1) return d[last] < r[last] ? d[last] / r[last] : 1;
    int i = last;
    while (r[i - 1] >= 1) i--;
    return d[i - 1] + (1 - r[i - 1]) / (r[i] - r[i - 1]) * (d[i] - d[i - 1]);
}

// ---- what stands in for a measurement ------------------------------------------------------
//
// The model: time in a form over that of dense depends on the density and on whether b is a few
// vectors, which dense products read their matrix once for (matvec.c), or wide, and then on the
// layout; at densities between those of the table it is interpolated. The numbers are those of
// bench/results: the CPU path (2026-11-26-sparse-cpu.md; some shapes gain more), and lavapipe
// (2026-11-25-sparse.md), whose break-evens are the lowest of the software drivers (those of
// SwiftShader are at 0.27 to 0.7). No GPU has been measured. There a vector is as slow as its
// bytes are many, 8 a number in CSR and 4 in N:M and dense, twice that for reading where an
// index says (blocks, which have no kernel of their own there, are taken to be as slow as CSR);
// wide products in registers (gemm.h) are taken to run at 20 times the rate of an invocation an
// output.

enum { CPU_PATH, SOFTWARE, GPU, KINDS };
enum { VECTOR, WIDE, WIDE_LINEAR, WIDTHS };

#define CURVE(a, b, c) { .count = 3, .density = { 0.02, 0.1, 0.5 }, .ratio = { a, b, c } }
#define CURVES(csr, bsr, nm)                                                    \
    { { [TUFF_SPARSE_CSR] = csr, [TUFF_SPARSE_BSR] = bsr, [TUFF_SPARSE_NM] = nm } }
#define ON_GPU_WIDE CURVES(CURVE(0.4, 2.0, 10), CURVE(0.4, 2.0, 10), CURVE(0.4, 2.0, 10))

static const tuff_sparse_curves assumed[KINDS][WIDTHS] = {
    [CPU_PATH] = {
        [VECTOR] = CURVES(CURVE(0.3, 0.8, 3.5), CURVE(0.1, 0.4, 1.5), CURVE(0.9, 2.2, 8)),
        [WIDE] = CURVES(CURVE(0.22, 0.4, 2), CURVE(0.25, 0.8, 3.4), CURVE(0.4, 1, 4)),
        [WIDE_LINEAR] = CURVES(CURVE(0.2, 0.36, 1.2), CURVE(0.24, 0.62, 2.1),
                               CURVE(0.35, 0.75, 2.5)),
    },
    [SOFTWARE] = {
        [VECTOR] = CURVES(CURVE(0.5, 0.8, 1.9), CURVE(0.7, 1.5, 6.5), CURVE(0.8, 1.0, 4.0)),
        [WIDE] = CURVES(CURVE(0.2, 0.6, 2.5), CURVE(0.2, 0.5, 2.7), CURVE(0.3, 0.6, 2.5)),
        [WIDE_LINEAR] = CURVES(CURVE(0.3, 0.6, 2.4), CURVE(0.4, 1.3, 6.1),
                               CURVE(0.6, 0.95, 3.5)),
    },
    [GPU] = {
        [VECTOR] = CURVES(CURVE(0.1, 0.4, 2.0), CURVE(0.1, 0.4, 2.0), CURVE(0.1, 0.25, 1.1)),
        [WIDE] = ON_GPU_WIDE, [WIDE_LINEAR] = ON_GPU_WIDE,
    },
};

// Up to so many vectors; and numbers of a matrix below which launching is what takes time.
enum { FEW = 8, SMALL = 128 * 128 };

// What stands in for a measurement.
static tuff_sparse_curves default_curves(const tuff_caps *k, const tuff_sparse_shape *shape)
{
    tuff_sparse_curves c = { 0 };
    const int kind = k->cpu ? CPU_PATH : k->cpu_like ? SOFTWARE : GPU;
    const int width = shape->batch <= FEW ? VECTOR : shape->linear ? WIDE_LINEAR : WIDE;
    if (shape->rows * shape->cols >= SMALL) c = assumed[kind][width];
    return c;
}

// ---- what was measured ---------------------------------------------------------------------

enum { SHAPES = 32 };

typedef struct measured {
    char device[384]; // a device's name and driver: it may be closed and opened again
    tuff_sparse_shape shape;
    tuff_sparse_curves curves;
} measured;

static measured table[SHAPES]; // a ring
static uint64_t added;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void name_of(const tuff_device *dev, char name[384])
{
    const tuff_device_info *info = tuff_device_get_info(dev);
    memset(name, 0, 384);
    memcpy(name, info->name, strlen(info->name));
    memcpy(name + 256, info->driver, strlen(info->driver));
}

static tuff_sparse_shape shape_of(const tuff_sparse_shape *s)
{
    tuff_sparse_shape shape = *s;
    if (shape.batch < 1) shape.batch = 1;
    return shape;
}

// How far apart two shapes are, in powers of two; beyond 1 in any size they have nothing to
// say of each other.
static double distance(const tuff_sparse_shape *a, const tuff_sparse_shape *b)
{
    const double by[] = { fabs(log2((double)a->rows / (double)b->rows)),
                          fabs(log2((double)a->cols / (double)b->cols)),
                          fabs(log2((double)a->batch / (double)b->batch)) };
    if (a->linear != b->linear || by[0] > 1 || by[1] > 1 || by[2] > 1) return HUGE_VAL;
    return by[0] + by[1] + by[2];
}

static bool find(const tuff_device *dev, const tuff_sparse_shape *shape, tuff_sparse_curves *c)
{
    char name[384];
    double nearest = HUGE_VAL;
    name_of(dev, name);
    pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < SHAPES && i < added; i++) {
        const measured *m = &table[(added - 1 - i) % SHAPES]; // the newest first
        if (memcmp(m->device, name, sizeof name) != 0) continue;
        const double far = distance(&m->shape, shape);
        if (far < nearest) {
            nearest = far;
            *c = m->curves;
        }
    }
    pthread_mutex_unlock(&lock);
    return nearest < HUGE_VAL;
}

void tuff_sparse_remember(const tuff_device *dev, const tuff_sparse_shape *shape,
                          const tuff_sparse_curves *curves)
{
    measured m = { .shape = shape_of(shape), .curves = *curves };
    name_of(dev, m.device);
    pthread_mutex_lock(&lock);
    table[added++ % SHAPES] = m;
    pthread_mutex_unlock(&lock);
}

// ---- the choice ----------------------------------------------------------------------------

static tuff_sparse_curves curves_of(const tuff_device *dev, const tuff_sparse_shape *given)
{
    tuff_sparse_curves c;
    const tuff_sparse_shape shape = shape_of(given);
    if (!find(dev, &shape, &c)) c = default_curves(tuff_device_caps(dev), &shape);
    return c;
}

static bool is_shape(const tuff_sparse_shape *s) { return s && s->rows >= 1 && s->cols >= 1; }

double tuff_sparse_break_even(const tuff_device *dev, const tuff_sparse_shape *shape,
                              tuff_sparse_form form)
{
    if (!dev || !is_shape(shape) || form <= TUFF_SPARSE_DENSE || form >= TUFF_SPARSE_FORMS)
        return 0;
    const tuff_sparse_curves c = curves_of(dev, shape);
    return tuff_sparse_curve_even(&c.of[form]);
}

tuff_sparse_form tuff_sparse_choose(const tuff_device *dev, const tuff_sparse_shape *shape,
                                    const tuff_sparse_kept *kept)
{
    if (!dev || !is_shape(shape) || !kept) return TUFF_SPARSE_DENSE;
    const tuff_sparse_curves c = curves_of(dev, shape);
    const double density[TUFF_SPARSE_FORMS] = { [TUFF_SPARSE_CSR] = kept->csr,
                                                [TUFF_SPARSE_BSR] = kept->bsr,
                                                [TUFF_SPARSE_NM] = kept->nm };
    tuff_sparse_form best = TUFF_SPARSE_DENSE;
    double least = 1; // dense takes as long as dense
    for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++) {
        if (!(density[f] > 0 && density[f] < 1)) continue;
        const double ratio = tuff_sparse_curve_at(&c.of[f], density[f]);
        if (ratio >= least) continue;
        least = ratio;
        best = f;
    }
    return best;
}
