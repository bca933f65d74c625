// Params and cases as text: both dialects, what is refused, and that printing and reading
// undo each other.
#include "harness.h"
#include "base/rng.h"
#include "ops/case.h"
#include "ops/fields.h"
#include <string.h>

typedef struct all_params {
    int count;
    int64_t big;
    uint64_t seed;
    bool flag;
    float scale;
    int stride[2];
    int perm[TUFF_MAX_DIMS];
    int axis;
    uint32_t axes;
    int kind;
    int pads[2 * TUFF_MAX_DIMS];
    int order[3];
    int label;
    float part; // whose 0 is a default
} all_params;

static const char *const kinds[] = { "none", "relu", "tanh", NULL };
static const char *const other_kinds[] = { "identity", NULL, "bilinear" };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

static const tuff_op op = {
    .name = "every",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "labels", .dtypes = TUFF_I32, .optional = true },
            { .name = "z", .dtypes = TUFF_F32, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(all_params),
    .params = { TUFF_INT(all_params, count), TUFF_INT64(all_params, big),
                TUFF_UINT64(all_params, seed), TUFF_BOOLEAN(all_params, flag),
                TUFF_FLOAT(all_params, scale), TUFF_INTS(all_params, stride, "strides"),
                TUFF_INTS(all_params, perm, NULL), TUFF_AXIS(all_params, axis),
                TUFF_AXES(all_params, axes),
                { .name = "kind", .type = TUFF_FIELD_ENUM, .names = kinds,
                  .also = other_kinds, .offset = offsetof(all_params, kind) },
                TUFF_INTS(all_params, pads, NULL), TUFF_DIMS(all_params, order),
                TUFF_COUNTED(all_params, label, "label_index"),
                TUFF_FLOAT_ZERO(all_params, part) },
    .infer = infer,
};

static tuff_status infer_fill(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(c->out[0].dtype, SHAPE, "no shape was given");
    (void)out;
    return TUFF_OK;
}

static const tuff_op fill = {
    .name = "paint",
    .out = { { .name = "y", .dtypes = TUFF_F32 } },
    .params_size = sizeof(all_params),
    .params = { TUFF_FLOAT(all_params, scale) },
    .infer = infer_fill,
};

static all_params parse(tuff_dialect dialect, int rank, const char *text)
{
    all_params p = { 0 };
    EXPECT_OK(tuff_field_parse(&op, dialect, rank, text, &p, NULL));
    return p;
}

static void zero_is_asked_for(void)
{
    char text[64];
    all_params p = { 0 };
    EXPECT(tuff_number(p.part, 0.5) == 0.5);
    EXPECT_EQ((int)tuff_field_print(&op, 4, &p, text, sizeof text), 0);
    const char *const zeros[] = { "part=0", "part=-0", "part=0.0" };
    for (size_t i = 0; i < COUNT(zeros); i++) {
        p = parse(TUFF_DIALECT_CASE, 4, zeros[i]);
        EXPECT(p.part == 0 && signbit(p.part) && tuff_number(p.part, 0.5) == 0);
        tuff_field_print(&op, 4, &p, text, sizeof text);
        EXPECT(strcmp(text + strspn(text, " "), "part=0") == 0);
    }
    EXPECT(tuff_number(parse(TUFF_DIALECT_CASE, 4, "part=-1").part, 0.5) == -1);
    EXPECT(!signbit(parse(TUFF_DIALECT_CASE, 4, "scale=0").scale));
    EXPECT(signbit(tuff_or_zero(0)) && tuff_or_zero(0.25) == 0.25f);
}

static void reads_case_dialect(void)
{
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "count=-3").count, -3);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "big=-9223372036854775808").big, INT64_MIN);
    EXPECT(parse(TUFF_DIALECT_CASE, 4, "seed=18446744073709551615").seed == UINT64_MAX);
    EXPECT(parse(TUFF_DIALECT_CASE, 4, "flag=true").flag);
    EXPECT(!parse(TUFF_DIALECT_CASE, 4, "flag=0").flag);
    EXPECT(parse(TUFF_DIALECT_CASE, 4, "scale=-1.5e-3").scale == -1.5e-3f);
    const all_params p = parse(TUFF_DIALECT_CASE, 4, "stride=2,1");
    EXPECT(p.stride[0] == 2 && p.stride[1] == 1);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "stride=3").stride[1], 3);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "perm=1").perm[1], 0);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "perm=0,2,1").perm[1], 2);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "axis=1").axis, 1);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "axes=0,3").axes, 9);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "kind=tanh").kind, 2);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "kind=bilinear").kind, 2);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "kind=identity").kind, 0);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 8, "pads=1,2,3,4,5,6,7,8,9,10").pads[9], 10);
    const all_params o = parse(TUFF_DIALECT_CASE, 4, "order=2,0");
    EXPECT(o.order[0] == 3 && o.order[1] == 1 && o.order[2] == 0);
    // ONNX's names where they differ, with ONNX's values.
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "strides=[2, 3]").stride[1], 3);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "label_index=2").label, 3);
}

static void reads_onnx_dialect(void)
{
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "axis=-1").axis, 0);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "axis=1").axis, 2);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "axis=-4").axis, 3);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "axes=[0, -1]").axes, 9);
    const all_params p = parse(TUFF_DIALECT_ONNX, 4, "strides=[2, 3]");
    EXPECT(p.stride[0] == 2 && p.stride[1] == 3);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "strides=5").stride[0], 5);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "axes=[]").axes, 0);
    const all_params o = parse(TUFF_DIALECT_ONNX, 4, "order=[0, -1]");
    EXPECT(o.order[0] == 4 && o.order[1] == 1 && o.order[2] == 0);
    EXPECT_EQ(parse(TUFF_DIALECT_CASE, 4, "label=3").label, 3);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "label_index=0").label, 1);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "label_index=2").label, 3);
    EXPECT_EQ(parse(TUFF_DIALECT_ONNX, 4, "label_index=-100").label, 0);
    const all_params far = parse(TUFF_DIALECT_ONNX, 4,
                                 "perm=9223372036854775807,-9223372036854775808");
    EXPECT(far.perm[0] == INT32_MAX && far.perm[1] == INT32_MIN);
}

// A refusal names the word and leaves the params alone.
static void refuse(tuff_dialect dialect, const char *text, const char *part)
{
    all_params p = { 0 }, zero = { 0 };
    EXPECT_STATUS(tuff_field_parse(&op, dialect, 4, text, &p, NULL), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), part);
    if (!EXPECT(memcmp(&p, &zero, sizeof p) == 0)) FAIL("'%s' changed the params", text);
}

static void refuses(void)
{
    const tuff_dialect here = TUFF_DIALECT_CASE, onnx = TUFF_DIALECT_ONNX;
    refuse(here, "strode=1", "every: there is no parameter 'strode' (did you mean 'stride'?), "
                             "expected count, big, seed, flag, scale, stride, perm, axis, "
                             "axes, kind, pads, order, label");
    refuse(here, "strade=1", "no parameter 'strade'");
    refuse(here, "strides=[1,2", "a list of whole numbers");
    refuse(onnx, "stride=1", "did you mean 'strides'");
    refuse(here, "=1", "no parameter ''");
    refuse(here, "count", "'count' is no parameter: expected key=value");
    refuse(here, "count=", "'count=': '' is not a whole number");
    refuse(here, "count=1x", "'1x' is not a whole number");
    refuse(here, "count=2147483648", "not a whole number that fits here");
    refuse(here, "big=9223372036854775808", "'9223372036854775808' is not");
    refuse(here, "seed=-1", "'-1' is not a whole number from 0");
    refuse(here, "seed=18446744073709551616", "is not a whole number from 0");
    refuse(here, "flag=2", "'2' is not 0 or 1");
    refuse(here, "scale=nan", "'nan' is not a finite number");
    refuse(here, "scale=1e99", "'1e99' is not a finite number");
    refuse(here, "scale=1,5", "'1,5' is not a finite number");
    refuse(here, "stride=1,2,3", "'stride=1,2,3': more than 2 numbers");
    refuse(here, "stride=1,", "a list of whole numbers");
    refuse(here, "stride=", "a list of whole numbers");
    refuse(here, "stride=[1,2]", "a list of whole numbers");
    refuse(onnx, "strides=[1,2", "a list of whole numbers");
    refuse(onnx, "strides=1,2]", "a list of whole numbers");
    refuse(here, "axis=-1", "'axis=-1': there is no axis -1 among 8 dims");
    refuse(here, "axis=8", "no axis 8 among 8 dims");
    refuse(onnx, "label_index=2147483647", "not a whole number that fits here");
    refuse(onnx, "axis=4", "no axis 4 among 4 dims");
    refuse(onnx, "axis=-5", "no axis -5 among 4 dims");
    refuse(here, "axes=0,8", "no axis 8");
    refuse(here, "perm=2147483648", "a list of whole numbers");
    refuse(here, "order=0,1,2,3", "more than 3 numbers");
    refuse(here, "order=8", "no axis 8");
    refuse(here, "kind=gelu", "'gelu' is none of none, relu, tanh");
}

// ---- cases -------------------------------------------------------------------------------

static void reads_cases(void)
{
    tuff_case c;
    if (!EXPECT_OK(tuff_case_parse(&op, TUFF_F32, "3x257 3 [] axis=1 stride=2,1", &c))) return;
    EXPECT_EQ(c.call.nin, 3);
    EXPECT(tuff_desc_equal(&c.call.in[0], &TUFF_SHAPE(TUFF_F32, 3, 257)));
    EXPECT(tuff_desc_equal(&c.call.in[1], &TUFF_SHAPE(TUFF_I32, 3)));
    EXPECT(tuff_desc_equal(&c.call.in[2], &TUFF_SCALAR(TUFF_F32)));
    EXPECT(tuff_desc_equal(&c.call.out[0], &c.call.in[0]));
    EXPECT_EQ(((const all_params *)c.call.params)->axis, 1);
    if (!EXPECT_OK(tuff_case_parse(&op, TUFF_F32, "1 - 7", &c))) return;
    EXPECT(!tuff_call_has(&c.call, 1) && tuff_call_has(&c.call, 2));
    if (!EXPECT_OK(tuff_case_parse(&fill, TUFF_F32, "7x3 scale=2", &c))) return;
    EXPECT_EQ(c.call.nin, 0);
    EXPECT(tuff_desc_equal(&c.call.out[0], &TUFF_SHAPE(TUFF_F32, 7, 3)));
}

static void refuse_case(const tuff_op *o, const char *text, const char *part)
{
    tuff_case c;
    EXPECT(tuff_case_parse(o, TUFF_F32, text, &c) != TUFF_OK);
    EXPECT_HAS(tuff_last_error(), part);
}

static void refuses_cases(void)
{
    refuse_case(&op, "", "every: input x is missing");
    refuse_case(&op, "-", "'-': x of every may not be left out");
    refuse_case(&op, "3x", "'3x' is no shape");
    refuse_case(&op, "x3", "'x3' is no shape");
    refuse_case(&op, "3x-1", "'3x-1' is no shape");
    refuse_case(&op, "3x+1", "'3x+1' is no shape");
    refuse_case(&op, "i64:3", "'i64:3' is no shape"); // x is no i64
    refuse_case(&op, "0", "'0' is no shape");
    refuse_case(&op, "99999999999999999999", "is no shape");
    refuse_case(&op, "1x1x1x1x1x1x1x1x1", "is no shape");
    refuse_case(&op, "65536x65536", "65536x65536: ");
    refuse_case(&op, "1 1 1 1", "'1': every takes 3 shapes");
    refuse_case(&fill, "1 1", "'1': paint takes 1 shape");
    refuse_case(&fill, "", "paint: no shape was given");
    refuse_case(&op, "axis=1 3", "'3': shapes come before parameters");
    refuse_case(&op, "3 axis=1 axis=1", "'axis=1': axis is given twice");
    refuse_case(&op, "3 axes=9", "no axis 9");
    char text[1000];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    refuse_case(&op, text, "a case of 999 bytes");
}

// ---- printing undoes reading ---------------------------------------------------------------

static tuff_desc random_shape(tuff_rng *rng, tuff_dtype dtype)
{
    tuff_desc d = { .dtype = dtype, .rank = (int)tuff_rng_below(rng, TUFF_MAX_DIMS + 1) };
    for (int i = 0; i < d.rank; i++) d.dim[i] = 1 + tuff_rng_below(rng, 9);
    return d;
}

static float random_float(tuff_rng *rng)
{
    const uint32_t bits = tuff_rng_word(rng);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v - v == 0 ? v : 0.1f;
}

// Each field is set half of the time, to values of any size.
static void random_params(tuff_rng *rng, all_params *p)
{
    const uint32_t set = tuff_rng_word(rng);
    if (set & 1) p->count = (int)tuff_rng_word(rng);
    if (set & 2) p->big = (int64_t)tuff_rng_fork(rng->seed, rng->counter);
    if (set & 4) p->seed = tuff_rng_fork(rng->seed, ~rng->counter);
    if (set & 8) p->flag = true;
    if (set & 16) p->scale = random_float(rng);
    if (set & 32) p->stride[0] = (int)tuff_rng_below(rng, 9) - 4;
    if (set & 64) p->stride[1] = set & 4096 ? p->stride[0] : (int)tuff_rng_word(rng);
    for (int i = 0; set & 128 && i < TUFF_MAX_DIMS; i++)
        p->perm[i] = tuff_rng_below(rng, 2) ? (int)tuff_rng_below(rng, 8) : 0;
    if (set & 256) p->axis = (int)tuff_rng_below(rng, TUFF_MAX_DIMS);
    if (set & 512) p->axes = tuff_rng_below(rng, 256);
    if (set & 1024) p->kind = (int)tuff_rng_below(rng, 3);
    for (int i = 0; set & 2048 && i < 2 * TUFF_MAX_DIMS; i++)
        p->pads[i] = tuff_rng_below(rng, 3) ? 0 : (int)tuff_rng_word(rng);
    for (int i = 0; set & 8192 && i < (int)tuff_rng_below(rng, 4); i++)
        p->order[i] = 1 + (int)tuff_rng_below(rng, TUFF_MAX_DIMS);
    if (set & 16384) p->label = (int)tuff_rng_word(rng);
}

static bool same_call(const tuff_call *a, const tuff_call *b)
{
    bool same = a->nin == b->nin && a->nout == b->nout;
    for (int i = 0; same && i < a->nin; i++)
        same = a->in[i].dtype == b->in[i].dtype &&
               (!a->in[i].dtype || tuff_desc_equal(&a->in[i], &b->in[i]));
    for (int i = 0; same && i < a->nout; i++) same = tuff_desc_equal(&a->out[i], &b->out[i]);
    return same && memcmp(a->params, b->params, a->op->params_size) == 0;
}

static void printing_undoes_reading(void)
{
    tuff_rng rng = { .seed = 7 };
    for (int n = 0; n < 3000; n++) {
        all_params p;
        memset(&p, 0, sizeof p);
        random_params(&rng, &p);
        tuff_call call = { .op = &op, .params = &p, .nin = 1 + (int)tuff_rng_below(&rng, 3) };
        call.in[0] = random_shape(&rng, TUFF_F32);
        if (call.nin == 3 && tuff_rng_below(&rng, 2)) call.in[1] = random_shape(&rng, TUFF_I32);
        if (call.nin == 2) call.in[1] = random_shape(&rng, TUFF_I32);
        if (call.nin == 3) call.in[2] = random_shape(&rng, TUFF_F32);
        if (!EXPECT_OK(tuff_call_infer(&call))) return;
        char text[TUFF_CASE_TEXT], again[TUFF_CASE_TEXT];
        tuff_case back;
        if (!EXPECT(tuff_case_print(&call, text, sizeof text) < sizeof text)) return;
        if (!EXPECT_OK(tuff_case_parse(&op, TUFF_F32, text, &back))) return;
        if (!EXPECT(same_call(&call, &back.call))) FAIL("the case is '%s'", text);
        tuff_case_print(&back.call, again, sizeof again);
        EXPECT_STR(again, text);
    }
}

static void every_case_of_every_op(void)
{
    for (int o = 0; o < tuff_op_count(); o++)
        for (const char *const *t = tuff_op_at(o)->cases; t && *t; t++) {
            tuff_case a, b;
            char text[TUFF_CASE_TEXT];
            if (!EXPECT_OK(tuff_case_parse(tuff_op_at(o), TUFF_F32, *t, &a))) continue;
            tuff_case_print(&a.call, text, sizeof text);
            if (!EXPECT_OK(tuff_case_parse(tuff_op_at(o), TUFF_F32, text, &b))) continue;
            if (!EXPECT(same_call(&a.call, &b.call)))
                FAIL("%s '%s' is printed as '%s'", tuff_op_at(o)->name, *t, text);
        }
}

static void cut_to_what_fits(void)
{
    tuff_case c;
    if (!EXPECT_OK(tuff_case_parse(&op, TUFF_F32, "30x257 - 7 axis=1 kind=relu", &c))) return;
    char whole[64], part[64];
    const size_t n = tuff_case_print(&c.call, whole, sizeof whole);
    EXPECT_STR(whole, "30x257 - 7 axis=1 kind=relu");
    EXPECT_EQ(n, strlen(whole));
    for (size_t size = 0; size <= n; size++) {
        memset(part, '#', sizeof part);
        EXPECT_EQ(tuff_case_print(&c.call, part, size), n);
        EXPECT(part[size] == '#');
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(zero_is_asked_for);
    CASE(reads_case_dialect);
    CASE(reads_onnx_dialect);
    CASE(refuses);
    CASE(reads_cases);
    CASE(refuses_cases);
    CASE(printing_undoes_reading);
    CASE(every_case_of_every_op);
    CASE(cut_to_what_fits);
    return report();
}
