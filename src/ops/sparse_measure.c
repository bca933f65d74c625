// How long products take in each form beside their dense twin.
#include "base/alloc.h"
#include "base/rng.h"
#include "ops/sparse.h"
#include "ops/timing.h"
#include "tensor/tensor.h"

enum { RUNS = 9, MOST_RUNS = 999, SIDE = 16 };

typedef struct setting {
    tuff_device *dev;
    tuff_stream *stream;
    tuff_sparse_shape shape;
    int runs;
    float *x; // host memory for A or b
    tuff_tensor *b, *y;
} setting;

typedef struct candidate {
    tuff_sparse_matrix a;
    tuff_timing timing;
    double density, seconds[MOST_RUNS];
} candidate;

// Numbers in [-1, 1), of which blocks of size x size are there with the probability given.
static void draw(float *x, int64_t rows, int64_t cols, int size, double density)
{
    for (int64_t i = 0; i < rows * cols; i++) {
        const int64_t block = i / cols / size * (cols / size) + i % cols / size;
        const bool there = (double)tuff_rng_uniform_at(1, (uint64_t)block) < density;
        // An odd word is no 0.
        const int32_t word = (int32_t)(tuff_rng_word_at(2, (uint64_t)i) | 1);
        x[i] = there ? (float)word / 2147483648.0f : 0;
    }
}

// Makes the matrix and records its product.
static tuff_status prepare(const setting *m, tuff_sparse_form form, double density,
                           candidate *c)
{
    const tuff_sparse_shape *s = &m->shape;
    const int64_t all = s->rows * s->cols;
    c->a = (tuff_sparse_matrix){ .form = form, .rows = s->rows, .cols = s->cols,
                                 .linear = s->linear };
    if (form == TUFF_SPARSE_NM) {
        const int keep = (int)(density * SIDE + 0.5);
        c->a.keep = keep < 1 ? 1 : keep < SIDE ? keep : SIDE - 1;
        c->a.of = SIDE;
        for (; c->a.of > 4 && c->a.keep % 2 == 0; c->a.of /= 2) c->a.keep /= 2;
    }
    const bool sparse = form == TUFF_SPARSE_CSR || form == TUFF_SPARSE_BSR;
    draw(m->x, s->rows, s->cols, form == TUFF_SPARSE_BSR ? TUFF_SPARSE_BLOCK : 1,
         sparse ? density : 1);
    TUFF_TRY(tuff_sparse_matrix_fill(m->stream, m->x, &c->a));
    c->density = (double)tuff_desc_count(tuff_tensor_desc(c->a.part[0])) / (double)all;

    tuff_sparse_product p;
    tuff_sparse_product_of(&c->a, m->b, &p);
    tuff_call call = { .op = p.op, .nin = p.nin, .params = &p.params };
    tuff_range in[4];
    const tuff_range out = tuff_tensor_range(m->y);
    for (int i = 0; i < p.nin; i++) {
        call.in[i] = *tuff_tensor_desc(p.in[i]);
        in[i] = tuff_tensor_range(p.in[i]);
    }
    TUFF_TRY(tuff_call_infer(&call));
    TUFF_TRY(tuff_stream_wait(m->stream));
    return tuff_timing_record(&c->timing, m->dev, &call, false, in, &out);
}

// All forms at one density, run in turns, so that a machine that gets slower does so for all.
static tuff_status measure_density(const setting *m, double density, candidate c[])
{
    double first;
    for (tuff_sparse_form f = TUFF_SPARSE_DENSE; f < TUFF_SPARSE_FORMS; f++) {
        TUFF_TRY(prepare(m, f, density, &c[f]));
        TUFF_TRY(tuff_timing_run(&c[f].timing, m->dev, &first)); // compiles
    }
    for (int run = 0; run < m->runs; run++)
        for (tuff_sparse_form f = TUFF_SPARSE_DENSE; f < TUFF_SPARSE_FORMS; f++)
            TUFF_TRY(tuff_timing_run(&c[f].timing, m->dev, &c[f].seconds[run]));
    return TUFF_OK;
}

static void add_point(tuff_sparse_curve *curve, double density, double ratio)
{
    // Of densities that became the same N:M the first counts.
    int at = curve->count;
    for (int i = 0; i < curve->count; i++)
        if (curve->density[i] == density) return;
    for (; at > 0 && curve->density[at - 1] > density; at--) {
        curve->density[at] = curve->density[at - 1];
        curve->ratio[at] = curve->ratio[at - 1];
    }
    curve->density[at] = density;
    curve->ratio[at] = ratio;
    curve->count++;
}

static tuff_status measure(const setting *m, const float densities[], int count,
                           tuff_sparse_times *times)
{
    tuff_sparse_curves curves = { 0 };
    tuff_status status = TUFF_OK;
    candidate *c = tuff_alloc(TUFF_SPARSE_FORMS, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    times->count = count * (TUFF_SPARSE_FORMS - TUFF_SPARSE_CSR);
    for (int i = 0; i < count && status == TUFF_OK; i++) {
        status = measure_density(m, (double)densities[i], c);
        double median[TUFF_SPARSE_FORMS] = { 0 };
        for (tuff_sparse_form f = TUFF_SPARSE_DENSE; f < TUFF_SPARSE_FORMS; f++)
            median[f] = tuff_timing_median(c[f].seconds, m->runs);
        for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++) {
            times->point[(f - TUFF_SPARSE_CSR) * count + i] = (tuff_sparse_point){
                .form = f, .density = c[f].density, .seconds = median[f],
                .dense = median[TUFF_SPARSE_DENSE]
            };
            add_point(&curves.of[f], c[f].density, median[f] / median[TUFF_SPARSE_DENSE]);
        }
        for (int f = 0; f < TUFF_SPARSE_FORMS; f++) {
            tuff_timing_free(&c[f].timing);
            tuff_sparse_matrix_clear(&c[f].a);
        }
    }
    tuff_free(c);
    TUFF_TRY(status);
    for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++) {
        tuff_sparse_curve_level(&curves.of[f]);
        times->break_even[f] = tuff_sparse_curve_even(&curves.of[f]);
    }
    tuff_sparse_remember(m->dev, &m->shape, &curves);
    return TUFF_OK;
}

static tuff_status make_operands(setting *m)
{
    const tuff_sparse_shape *s = &m->shape;
    const int64_t k = s->cols, n = s->batch, most = s->rows > n ? s->rows : n;
    m->x = tuff_alloc((size_t)(most * k), sizeof *m->x);
    if (!m->x) return TUFF_ERR_MEMORY;
    TUFF_TRY(tuff_stream_create(m->dev, &m->stream));
    TUFF_TRY(tuff_tensor_create(m->dev, s->linear ? TUFF_SHAPE(TUFF_F32, n, k)
                                                  : TUFF_SHAPE(TUFF_F32, k, n), &m->b));
    TUFF_TRY(tuff_tensor_create(m->dev, s->linear ? TUFF_SHAPE(TUFF_F32, n, s->rows)
                                                  : TUFF_SHAPE(TUFF_F32, s->rows, n), &m->y));
    draw(m->x, n, k, 1, 1);
    return tuff_tensor_write(m->stream, m->b, m->x, (size_t)(n * k) * sizeof *m->x);
}

tuff_status tuff_sparse_measure(tuff_device *dev, const tuff_sparse_shape *shape,
                                const tuff_sparse_measure_params *p, tuff_sparse_times *times)
{
    static const tuff_sparse_measure_params usual = {
        .density = { 0.5f, 0.3f, 0.2f, 0.1f, 0.05f, 0.02f }
    };
    const float *density = p && p->density[0] != 0 ? p->density : usual.density;
    int count = 0;
    tuff_sparse_times own = { 0 };
    TUFF_REQUIRE(dev && shape, ARG, "sparse: a pointer is NULL");
    TUFF_REQUIRE(shape->rows >= SIDE && shape->rows % SIDE == 0 && shape->cols >= SIDE &&
                     shape->cols % SIDE == 0 && shape->batch >= 0,
                 ARG, "sparse: rows is %lld, cols is %lld, expected multiples of %d",
                 (long long)shape->rows, (long long)shape->cols, SIDE);
    for (; count < TUFF_SPARSE_DENSITIES && density[count] != 0; count++)
        TUFF_REQUIRE(density[count] > 0 && density[count] < 1, ARG,
                     "sparse: a density is %g, expected to be within 0 and 1",
                     (double)density[count]);
    setting m = { .dev = dev, .shape = *shape, .runs = p && p->runs ? p->runs : RUNS };
    TUFF_REQUIRE(m.runs >= 3 && m.runs <= MOST_RUNS, ARG,
                 "sparse: runs is %d, expected 3 to %d", m.runs, MOST_RUNS);
    if (m.shape.batch < 1) m.shape.batch = 1;
    tuff_status status = make_operands(&m);
    if (status == TUFF_OK) status = measure(&m, density, count, &own);
    if (status == TUFF_OK && times) *times = own;
    tuff_stream_destroy(&m.stream);
    tuff_tensor_destroy(&m.b);
    tuff_tensor_destroy(&m.y);
    tuff_free(m.x);
    return status;
}
