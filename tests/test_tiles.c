// Tiles of every size that a planner of matrix products knows, and products cut into rows and
// into parts, on the device that TUFF_DEVICE names: each is held against plain sums. The check
// judges the size that a planner takes by itself.
#include "harness.h"
#include "device/backend.h"
#include "ops/op.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tuff.h>

static tuff_device *dev;
static tuff_stream *stream;

typedef struct product {
    int m, n, k;
    bool trans_a, trans_b;
} product;

// Ragged, one past a tile; and in units of four, with rows of which the last are made in parts
// where there are some 16 cores. Few, since a software driver takes a second for each size.
static const product products[] = {
    { 130, 131, 67, false, true }, { 2304, 64, 512, false, false },
};

// Multiples of 1/64 between -1 and 1: exact in f16.
static float number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return (float)((int)(*seed >> 16) % 129 - 64) / 64;
}

static float *drawn(int count, uint32_t seed)
{
    float *x = malloc((size_t)count * sizeof *x);
    for (int i = 0; i < count; i++) x[i] = number(&seed);
    return x;
}

// relu(a b + bias)
static float *multiplied(const product *p, const float *a, const float *b, const float *bias)
{
    float *y = malloc((size_t)p->m * (size_t)p->n * sizeof *y);
    double *row = malloc((size_t)p->n * sizeof *row);
    for (int i = 0; i < p->m; i++) {
        for (int j = 0; j < p->n; j++) row[j] = (double)bias[j];
        for (int k = 0; k < p->k; k++) {
            const double x = (double)a[p->trans_a ? k * p->m + i : i * p->k + k];
            for (int j = 0; j < p->n; j++)
                row[j] += x * (double)b[p->trans_b ? j * p->k + k : k * p->n + j];
        }
        for (int j = 0; j < p->n; j++) y[i * p->n + j] = row[j] > 0 ? (float)row[j] : 0;
    }
    free(row);
    return y;
}

static double rms(const float *x, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum / count);
}

// The f32 numbers as a tensor of a type.
static tuff_tensor *tensor_of(tuff_desc d, const float *x)
{
    tuff_desc f32 = d;
    f32.dtype = TUFF_F32;
    tuff_tensor *from = new_tensor(dev, stream, f32, x), *to = NULL;
    if (d.dtype == TUFF_F32) return from;
    to = new_tensor(dev, stream, d, NULL);
    EXPECT_OK(tuff_cast(stream, from, to, &(tuff_cast_params){ .to = d.dtype }));
    tuff_tensor_destroy(&from);
    return to;
}

// One product, its tensors and what is right.
typedef struct setting {
    const product *p;
    tuff_dtype type;
    tuff_tensor *a, *b, *bias, *y, *read;
    tuff_call call;
    tuff_matmul_params params;
    float *want;
} setting;

static void run_as(const setting *s, const tuff_candidate *as, double tolerance)
{
    const int count = s->p->m * s->p->n;
    const double size = rms(s->want, count);
    float *got = malloc((size_t)count * sizeof *got);
    tuff_candidate_pin(as);
    const tuff_status status = tuff_run(stream, &tuff_op_matmul,
                                        TUFF_RUN_IN(s->a, s->b, s->bias), TUFF_RUN_OUT(s->y),
                                        &s->params);
    tuff_candidate_pin(NULL);
    EXPECT_OK(status);
    if (s->read != s->y) EXPECT_OK(tuff_cast(stream, s->y, s->read, NULL));
    EXPECT_OK(tuff_tensor_read(stream, s->read, got, (size_t)count * sizeof *got));
    for (int i = 0; i < count; i++)
        if (!(fabs((double)got[i] - (double)s->want[i]) <=
              tolerance * (fabs((double)s->want[i]) + size))) {
            FAIL("%s %s, %dx%dx%d %s: element %d is %.9g, expected %.9g", as->variant,
                 as->way ? as->way : "usual", s->p->m, s->p->n, s->p->k,
                 tuff_dtype_name(s->type), i, (double)got[i], (double)s->want[i]);
            break;
        }
    free(got);
}

// All ways of one variant; how many there were.
static int every_way(const setting *s, const char *variant, double tolerance)
{
    static tuff_plan plan;
    tuff_candidate as = { .variant = variant, .forced = true };
    int ways = 0;
    if (tuff_select_as(&s->call, tuff_device_caps(dev), &as, &plan) != TUFF_OK) return 0;
    const char *const *names = plan.ways;
    for (; names && names[ways]; ways++) {
        as.way = names[ways];
        // A size may be too large for a device.
        if (tuff_select_as(&s->call, tuff_device_caps(dev), &as, &plan) == TUFF_OK)
            run_as(s, &as, tolerance);
    }
    return ways;
}

static void each_size(const product *p, tuff_dtype type)
{
    setting s = { .p = p, .type = type,
                  .params = { .trans_a = p->trans_a, .trans_b = p->trans_b,
                              .act = TUFF_ACT_RELU } };
    float *a = drawn(p->m * p->k, 1), *b = drawn(p->k * p->n, 2), *bias = drawn(p->n, 3);
    const tuff_desc da = p->trans_a ? TUFF_SHAPE(type, p->k, p->m)
                                    : TUFF_SHAPE(type, p->m, p->k);
    const tuff_desc db = p->trans_b ? TUFF_SHAPE(type, p->n, p->k)
                                    : TUFF_SHAPE(type, p->k, p->n);
    s.want = multiplied(p, a, b, bias);
    s.a = tensor_of(da, a);
    s.b = tensor_of(db, b);
    s.bias = tensor_of(TUFF_SHAPE(type, p->n), bias);
    s.y = new_tensor(dev, stream, TUFF_SHAPE(type, p->m, p->n), NULL);
    s.read = type == TUFF_F32 ? s.y
                              : new_tensor(dev, stream, TUFF_SHAPE(TUFF_F32, p->m, p->n), NULL);
    s.call = (tuff_call){ .op = &tuff_op_matmul, .nin = 3, .nout = 1, .params = &s.params,
                          .in = { da, db, TUFF_SHAPE(type, p->n) } };
    EXPECT_OK(tuff_call_infer(&s.call));
    if (type == TUFF_F32) {
        EXPECT_EQ(every_way(&s, "tile", 1e-5), 5);
    } else {
        const int ways = every_way(&s, "coop", 1e-3);
        EXPECT(ways == 0 || ways == 4); // where there are cooperative matrices
    }
    if (s.read != s.y) tuff_tensor_destroy(&s.read);
    tuff_tensor_destroy(&s.a);
    tuff_tensor_destroy(&s.b);
    tuff_tensor_destroy(&s.bias);
    tuff_tensor_destroy(&s.y);
    free(a);
    free(b);
    free(bias);
    free(s.want);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    for (size_t i = 0; i < COUNT(products); i++)
        for (int half = 0; half < 2; half++)
            if (!tuff_device_caps(dev)->cpu &&
                case_begin("tiles of %dx%dx%d, %s", products[i].m, products[i].n,
                           products[i].k, half ? "f16" : "f32")) {
                each_size(&products[i], half ? TUFF_F16 : TUFF_F32);
                case_end();
            }
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
