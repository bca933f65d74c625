// Every op, every case, every variant of the device that TUFF_DEVICE names, judged by the op's
// own reference; and proof that the judge notices what is wrong.
//
//   test_ops                              all of it
//   test_ops 'softmax f32 3x257 axis=1'   one case, all variants: paste what a failure printed
//   test_ops 'softmax *'                  one op
//   test_ops 'proof*'                     the proof alone
#include "harness.h"
#include "base/glob.h"
#include "base/time.h"
#include "ops/check.h"
#include "ops/ops.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// What may fail, and why: `never` is a limit of the device, the rest is debt (harness.h).
// Names are "device op variant f32 case".
static const struct known known[] = {
    { .match = "no device is like this one *", .why = "the list is empty", .never = true },
};

typedef struct tally {
    bool grad_judged[512];
} tally;

static void on_result(void *user, const tuff_check_result *r)
{
    tally *t = user;
    for (int i = 0; i < tuff_op_count() && r->grad_error >= 0; i++)
        if (strcmp(tuff_op_at(i)->name, r->op) == 0) t->grad_judged[i] = true;
    if (!case_begin("%s %s %s %s", r->device, r->op, r->variant, r->text)) return;
    if (r->skipped)
        case_skip("%s", r->problem);
    else if (!r->passed)
        FAIL("%s\n    error %.3g, tolerance %.3g; gradient %.3g, tolerance %.3g; "
             "repeat with: test_ops '%s %s'", r->problem, r->error, r->tolerance, r->grad_error,
             r->grad_tolerance, r->op, r->text);
    case_end();
}

// Looking at all cases must have judged every rule at least once.
static void every_gradient_is_judged(const tally *t)
{
    if (!case_begin("every gradient is judged")) return;
    for (int i = 0; i < tuff_op_count(); i++)
        if (tuff_op_at(i)->grad && !t->grad_judged[i])
            FAIL("no case of %s judges its gradient", tuff_op_at(i)->name);
    case_end();
}

// ---- proof -------------------------------------------------------------------------------

// An op of the test's own, y = a b + a, and records that pretend to be it.
enum { PLACE = 77777 };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t count(const tuff_ref *r) { return (size_t)tuff_desc_count(&r->call->in[0]); }

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[0]); }

static void ref_good(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)((double)r->in[0][i] * r->in[1][i] + (double)r->in[0][i]);
}

static void ref_formula(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = r->in[0][i] * r->in[1][i];
}

static void ref_nothing(const tuff_ref *r) { (void)r; }

static void ref_last_missing(const tuff_ref *r)
{
    tuff_ref less = *r;
    if (less.end == count(r)) less.end--;
    ref_good(&less);
}

static void ref_behind(const tuff_ref *r)
{
    ref_good(r);
    if (r->end == count(r)) r->out[0][r->end] = 0;
}

static void ref_before(const tuff_ref *r)
{
    ref_good(r);
    if (r->begin == 0) *(r->out[0] - 1) = 0;
}

static void ref_input(const tuff_ref *r)
{
    ref_good(r);
    if (r->begin == 0) memset((void *)(uintptr_t)r->in[1], 0, sizeof(float));
}

static void ref_reads_behind(const tuff_ref *r)
{
    ref_good(r);
    if (r->end == count(r)) r->out[0][r->end - 1] = r->in[0][r->end];
}

static int calls;

// Within the tolerance, but a millionth further with each call.
static void ref_restless(const tuff_ref *r)
{
    ref_good(r);
    if (r->begin == 0) r->out[0][0] += 1e-6f * (float)(calls++ % 4);
}

static void ref_thousandth(const tuff_ref *r)
{
    ref_good(r);
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] *= 1.001f;
}

static void ref_one_element(const tuff_ref *r)
{
    ref_good(r);
    if (r->begin <= PLACE && PLACE < r->end) r->out[0][PLACE] += 0.01f;
}

// Right unless y lies where a does.
static void ref_reversed(const tuff_ref *r)
{
    if (r->begin > 0) return;
    for (size_t i = 0; i < count(r); i++)
        r->out[0][i] = r->in[0][i] * (1 + r->in[1][i]);
    if (r->out[0] == r->in[0]) r->out[0][0] += 1;
}

static void ref_zero(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = 0;
}

// A reference whose units depend on each other.
static void ref_pieces(const tuff_ref *r)
{
    ref_good(r);
    r->out[0][r->begin] += 1;
}

// da = dy b + dy, db = dy a; and three wrong ones.
static void grad_good(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var part = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[1]);
    dx[0] = TUFF_V(t, &tuff_op_add, NULL, part, dy[0]);
    dx[1] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[0]);
}

static void grad_term(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[1]);
    dx[1] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[0]);
}

static void grad_null(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    grad_good(t, n, dy, dx);
    dx[1] = (tuff_var){ 0 };
}

static void grad_hundredth(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                           tuff_var dx[])
{
    const tuff_affine_params p = { .scale = 1.01f };
    grad_good(t, n, dy, dx);
    dx[0] = TUFF_V(t, &tuff_op_affine, &p, dx[0]);
}

static const char *const cases[] = { "100003 100003", "7x3 7x3", NULL };

static tuff_op make_op(void (*ref)(const tuff_ref *))
{
    return (tuff_op){ .name = "good",
                      .in = { { .name = "a", .dtypes = TUFF_F32 },
                              { .name = "b", .dtypes = TUFF_F32 } },
                      .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true } },
                      .infer = infer, .ref = ref, .units = units, .grad = grad_good,
                      .tol = { .f32 = 1e-5f }, .sample = { -2, 2 },
                      .special = TUFF_SPECIAL_NONE, .cases = cases };
}

typedef struct verdict {
    int failed;
    char problem[512];
} verdict;

static void on_verdict(void *user, const tuff_check_result *r)
{
    verdict *v = user;
    if (r->passed || v->failed++) return;
    snprintf(v->problem, sizeof v->problem, "%s", r->problem);
}

static verdict judge(tuff_device *dev, const tuff_op *op, const tuff_op *subject,
                     const char *filter)
{
    verdict v = { 0 };
    tuff_check_count n = { 0 };
    const tuff_check_params p = { .filter = filter };
    EXPECT_OK(tuff_check_op(dev, op, subject, &p, 0, on_verdict, &v, &n));
    EXPECT(n.run > 0 && n.failed == v.failed);
    return v;
}

// `subject` must fail, with a sentence that holds `problem`.
static void must_fail(tuff_device *dev, const char *what, const tuff_op *op,
                      const tuff_op *subject, const char *filter, const char *problem)
{
    if (!case_begin("proof: %s is noticed", what)) return;
    const verdict v = judge(dev, op, subject, filter);
    EXPECT(v.failed > 0);
    EXPECT_HAS(v.problem, problem);
    case_end();
}

static void must_pass(tuff_device *dev, const char *what, const tuff_op *op,
                      const tuff_op *subject)
{
    if (!case_begin("proof: %s passes", what)) return;
    const verdict v = judge(dev, op, subject, NULL);
    if (v.failed) FAIL("%s", v.problem);
    case_end();
}

static bool takes_all(const tuff_call *c) { return c->nin == 2; }

// A kernel in two stages, one unit for four elements, by way of scratch memory.
static size_t staged_units(const tuff_call *c, int stage)
{
    return stage < 2 ? (units(c) + 3) / 4 : 0;
}

static size_t staged_scratch(const tuff_call *c) { return tuff_desc_bytes(&c->in[0]); }

static void run_staged(const tuff_ref *r)
{
    float *product = r->scratch;
    for (size_t i = 4 * r->begin; i < 4 * r->end && i < count(r); i++) {
        if (r->stage == 0) product[i] = r->in[0][i] * r->in[1][i];
        else r->out[0][i] = product[i] + r->in[0][i];
    }
}

// The second stage alone: what it reads was never written.
static void run_unstaged(const tuff_ref *r)
{
    if (r->stage > 0) run_staged(r);
}

// Kernels of the CPU path are judged beside the reference, which they do not hide.
static void proof_of_hosts(tuff_device *dev, const tuff_op *good)
{
    tuff_op op = *good;
    op.hosts[0] = (tuff_host){ .name = "fast", .takes = takes_all, .run = ref_good };
    must_pass(dev, "a right kernel of the CPU path", &op, &op);
    op.hosts[0].run = ref_formula;
    must_fail(dev, "a wrong kernel of the CPU path", &op, &op, "* fast *", "expected");
    op.hosts[0].run = ref_pieces;
    must_fail(dev, "units of a kernel that are not apart", &op, &op, "* fast * 7x3*",
              "of fast are computed in two pieces");
    op.hosts[0] = (tuff_host){ .name = "fast", .takes = takes_all, .run = run_staged,
                               .units = staged_units, .scratch = staged_scratch };
    must_pass(dev, "a kernel in stages", &op, &op);
    op.hosts[0].run = run_unstaged;
    must_fail(dev, "a kernel that reads scratch nobody wrote", &op, &op, "* fast *", "");
}

static void proof_on_cpu(tuff_device *dev)
{
    static const struct {
        const char *what, *problem;
        void (*ref)(const tuff_ref *);
    } broken[] = {
        { "a wrong formula", "expected", ref_formula },
        { "an output not written", "expected", ref_nothing },
        { "a last element not written", "is nan, expected", ref_last_missing },
        { "a write behind the output", "0 bytes after y something was written", ref_behind },
        { "a write before the output", "4 bytes before y something was written", ref_before },
        { "a changed input", "input b was changed", ref_input },
        { "a read behind the input", "is nan, expected", ref_reads_behind },
        { "other bits the second time", "run 2 gave other bits in y", ref_restless },
        { "a thousandth too much", "expected", ref_thousandth },
        { "one wrong element in 100,003", "y[77777] is", ref_one_element },
        { "a wrong result in place", "when it takes the place of its input", ref_reversed },
    };
    const tuff_op good = make_op(ref_good);
    tuff_op other = good;
    other.name = "twin";
    must_pass(dev, "a right op", &good, &good);
    must_pass(dev, "a right twin", &good, &other);
    for (size_t i = 0; i < COUNT(broken); i++) {
        tuff_op bad = make_op(broken[i].ref);
        must_fail(dev, broken[i].what, &good, &bad, NULL, broken[i].problem);
    }
    const tuff_op zero = make_op(ref_zero), pieces = make_op(ref_pieces);
    const tuff_op nothing = make_op(ref_nothing);
    must_fail(dev, "a case that zeros would pass", &zero, &zero, NULL, "proves nothing");
    must_fail(dev, "a reference that leaves NaN", &nothing, &nothing, NULL, "not finite");
    must_fail(dev, "units that are not apart", &pieces, &pieces, "* 7x3*", "in two pieces");
    proof_of_hosts(dev, &good);
}

// Subnormal numbers of f16 are whole multiples of 2^-24: their neighbours are as good, those
// beyond are not, nor is anything but the same bits where that is asked for.
static void proof_of_small_halves(void)
{
    const tuff_desc half = { .dtype = TUFF_F16, .rank = 1, .dim = { 4 } };
    const tuff_desc brain = { .dtype = TUFF_BF16, .rank = 1, .dim = { 4 } };
    const uint16_t want[] = { 1, 3, 0x8002, 5 }, near[] = { 2, 2, 0x8001, 5 };
    const uint16_t far[] = { 1, 3, 0x8002, 7 }, nan[] = { 1, 3, 0x8002, 0x7e00 };
    if (!case_begin("proof: small numbers of f16 may be their neighbours")) return;
    EXPECT(tuff_trial_error(&half, near, want, 0, 1e-6) == 0);
    EXPECT(tuff_trial_error(&half, near, want, 0, 0) > 0);
    EXPECT(tuff_trial_error(&half, far, want, 0, 1e-6) > 0.1);
    EXPECT(isinf(tuff_trial_error(&half, nan, want, 0, 1e-6)));
    EXPECT(tuff_trial_error(&brain, near, want, 0, 1e-6) > 0.1);
    case_end();
}

static void proof_of_gradients(tuff_device *dev)
{
    static const struct {
        const char *what;
        void (*grad)(tuff_tape *, const tuff_node *, const tuff_var *, tuff_var *);
    } broken[] = {
        { "a gradient without a term", grad_term },
        { "a gradient that is missing", grad_null },
        { "a gradient a hundredth too large", grad_hundredth },
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        tuff_op bad = make_op(ref_good);
        bad.grad = broken[i].grad;
        must_fail(dev, broken[i].what, &bad, &bad, NULL, "the gradient differs by");
    }
}

// The rules of the library's own ops with one gradient of theirs a hundredth too large: the
// central differences must be sharp enough to see it for every op and every input.
static const tuff_op *spoiled;
static int spoiled_input;
static bool spoiled_any;

static void grad_spoiled(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_affine_params p = { .scale = 1.01f };
    spoiled->grad(t, n, dy, dx);
    if (tuff_var_null(dx[spoiled_input])) return;
    spoiled_any = true;
    dx[spoiled_input] = TUFF_V(t, &tuff_op_affine, &p, dx[spoiled_input]);
}

static void every_spoiled_gradient_is_noticed(tuff_device *dev)
{
    if (!case_begin("proof: every op's gradient a hundredth too large is noticed")) return;
    for (int o = 0; o < tuff_op_count(); o++) {
        spoiled = tuff_op_at(o);
        tuff_op bad = *spoiled;
        bad.grad = grad_spoiled;
        // No derivatives by design (straight through a step that is flat); test_quant.c has
        // their numbers.
        if (spoiled->surrogate) continue;
        for (spoiled_input = 0; spoiled->grad && spoiled->in[spoiled_input].name;
             spoiled_input++) {
            if (spoiled->in[spoiled_input].no_grad) continue;
            spoiled_any = false;
            const verdict v = judge(dev, spoiled, &bad, NULL);
            if (spoiled_any && !v.failed)
                FAIL("%s: the gradient of %s is not judged sharply", spoiled->name,
                     spoiled->in[spoiled_input].name);
        }
    }
    case_end();
}

// A rule of softmax that forgets the sum: right on no device.
static void grad_softmax(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->out[0]);
}

// A string that is on no list is a case all the same.
static void proof_of_other_cases(tuff_device *dev)
{
    if (!case_begin("proof: a case of no list is judged")) return;
    EXPECT_EQ(judge(dev, &tuff_op_softmax, &tuff_op_softmax, "softmax f32 5x7 axis=1").failed,
              0);
    EXPECT_EQ(judge(dev, &tuff_op_max_pool2d, &tuff_op_max_pool2d,
                    "max_pool2d f32 1x2x7x9 kernel_shape=3,2 strides=2,2").failed, 0);
    // Of a type that is only cast to another, few cases of the list are judged, unless asked.
    const char *last = tuff_op_ceil.cases[0];
    for (int i = 0; tuff_op_ceil.cases[i]; i++) last = tuff_op_ceil.cases[i];
    char filter[TUFF_CASE_TEXT];
    snprintf(filter, sizeof filter, "ceil bf16 %s", last);
    EXPECT_EQ(judge(dev, &tuff_op_ceil, &tuff_op_ceil, filter).failed, 0);
    case_end();
}

// What is no case says nothing of a device.
static void proof_of_wrong_cases(tuff_device *dev)
{
    static const struct { const char *filter, *part; } rows[] = {
        { "softmax f32 5x7 axis=2", "softmax: axis is 2, x has 2 dims" },
        { "softmax f32 5x7 axes=1", "'axes'" },
        { "softmax f32 5x0", "'5x0' is no shape" },
        { "softmax f32 5x7 5x7", "softmax takes 1 shape" },
        { "softmax i32 5x7", "no case matches" },
    };
    if (!case_begin("proof: what is no case is the caller's mistake")) return;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const tuff_check_params p = { .filter = rows[i].filter };
        verdict v = { 0 };
        const tuff_status status = tuff_check_device(dev, &p, on_verdict, &v);
        EXPECT(status != TUFF_OK && status != TUFF_ERR_CHECK);
        EXPECT_HAS(tuff_last_error(), rows[i].part);
        EXPECT_EQ(v.failed, 0);
    }
    case_end();
}

// On a device with kernels: the kernels of one op in the place of another's, and a rule that
// the CPU path does not have.
static void proof_on_gpu(tuff_device *dev)
{
    tuff_op none = tuff_op_softmax, rule = tuff_op_softmax;
    memset(none.variants, 0, sizeof none.variants);
    rule.grad = grad_softmax;
    must_pass(dev, "add", &tuff_op_add, &tuff_op_add);
    must_fail(dev, "a kernel of another op", &tuff_op_add, &tuff_op_sub, NULL, "expected");
    must_fail(dev, "an op without a kernel", &tuff_op_softmax, &none, NULL,
              "there is no kernel");
    must_fail(dev, "a gradient unlike the CPU path's", &tuff_op_softmax, &rule, NULL,
              "the gradient differs by");
}

// ---- random cases --------------------------------------------------------------------------

static tuff_status infer_equal(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(tuff_desc_equal(&c->in[0], &c->in[1]) && c->in[0].rank, SHAPE,
                 "a and b must be of one shape");
    out[0] = c->in[0];
    return TUFF_OK;
}

static void ref_five(const tuff_ref *r)
{
    const tuff_desc *a = &r->call->in[0];
    ref_good(r);
    if (r->begin == 0 && a->dim[a->rank - 1] >= 5) r->out[0][0] += 1;
}

static void ref_tanh_like(const tuff_ref *r)
{
    ref_good(r);
    for (size_t i = r->begin; i < r->end; i++)
        if (r->in[0][i] > 1000) r->out[0][i] = NAN;
}

// An op that is wrong where the last size is 5 or more is found, and the case made that small.
static void a_failure_is_shrunk(tuff_device *dev)
{
    tuff_op good = make_op(ref_good), bad = make_op(ref_five);
    static const char *const start[] = { "7x3 7x3", NULL };
    good.infer = bad.infer = infer_equal;
    good.cases = bad.cases = start;
    good.grad = bad.grad = NULL;
    if (!case_begin("proof: a random case that fails is shrunk")) return;
    tuff_fuzz_result r;
    EXPECT_OK(tuff_fuzz_op(dev, &good, &bad, tuff_time_now() + 60, NULL, NULL, NULL, &r));
    EXPECT_EQ(r.failed, 1);
    EXPECT_HAS(r.first, "5");
    EXPECT(strlen(r.first) <= strlen("good f32 1x5 1x5"));
    case_end();
}

// A refusal that says nothing, or of a kind that is not the caller's to mend.
static tuff_status infer_silent(const tuff_call *c, tuff_desc out[])
{
    if (c->in[0].rank == 2 && c->in[0].dim[0] == 7) return infer(c, out);
    return tuff_fail(TUFF_ERR_SHAPE, "%s", "");
}

static tuff_status infer_alarmed(const tuff_call *c, tuff_desc out[])
{
    if (c->in[0].rank == 2 && c->in[0].dim[0] == 7) return infer(c, out);
    return tuff_fail(TUFF_ERR_IO, "the disk is full");
}

static void a_wordless_refusal_is_found(tuff_device *dev)
{
    static const char *const start[] = { "7x3 7x3", NULL };
    tuff_status (*const infers[])(const tuff_call *, tuff_desc *) = { infer_silent,
                                                                      infer_alarmed };
    if (!case_begin("proof: a refusal without a reason is found")) return;
    for (size_t i = 0; i < COUNT(infers); i++) {
        tuff_op bad = make_op(ref_good);
        bad.infer = infers[i];
        bad.cases = start;
        bad.grad = NULL;
        tuff_fuzz_result r;
        EXPECT_OK(tuff_fuzz_op(dev, &bad, &bad, tuff_time_now() + 60, NULL, NULL, NULL, &r));
        EXPECT_EQ(r.failed, 1);
        EXPECT_HAS(r.problem, "refused without a sentence");
    }
    case_end();
}

// A reference that takes its time, so that its gradient would be judged for half a minute.
static void ref_slow(const tuff_ref *r)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    ref_good(r);
}

static void random_cases_end_in_time(tuff_device *dev)
{
    static const char *const start[] = { "7x3 7x3", NULL };
    tuff_op slow = make_op(ref_slow);
    tuff_fuzz_result r;
    slow.infer = infer_equal;
    slow.cases = start;
    if (!case_begin("proof: random cases end in time")) return;
    const double begin = tuff_time_now();
    EXPECT_OK(tuff_fuzz_op(dev, &slow, &slow, begin + 0.5, NULL, NULL, NULL, &r));
    EXPECT(tuff_time_now() - begin < 3);
    EXPECT_EQ(r.failed, 0);
    case_end();
}

static void special_numbers_are_tried(tuff_device *dev)
{
    static const char *const start[] = { "400 400", NULL };
    tuff_op good = make_op(ref_good), bad = make_op(ref_tanh_like);
    good.special = TUFF_SPECIAL_EACH;
    good.cases = start;
    must_fail(dev, "NaN for large numbers", &good, &bad, NULL, "with special numbers");
}

typedef struct turns {
    int of[512], judged, refused;
} turns;

static void on_turn(void *user, const tuff_check_result *r)
{
    turns *t = user;
    t->judged += !r->skipped && !r->refused;
    t->refused += r->refused;
    EXPECT(r->passed || r->problem[0]);
    for (int i = 0; i < tuff_op_count(); i++)
        if (strcmp(tuff_op_at(i)->name, r->op) == 0) t->of[i]++;
}

// A round of them: each operator has its turn.
static void random_cases(tuff_device *dev)
{
    const tuff_check_params p = { .seed = 3, .cases = tuff_op_count() };
    tuff_fuzz_result r;
    turns t = { .judged = 0 };
    if (!case_begin("random cases")) return;
    const tuff_status status = tuff_check_fuzz(dev, 300, &p, on_turn, &t, &r);
    if (status != TUFF_OK) FAIL("%s: %s", tuff_last_error(), r.problem);
    EXPECT(r.run > 50 && r.refused > 0);
    EXPECT(t.judged == r.run && t.refused == r.refused);
    for (int i = 0; i < tuff_op_count(); i++)
        if (t.of[i] == 0) FAIL("%s had no turn", tuff_op_at(i)->name);
    case_end();
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : NULL;
    tally t = { { false } };
    // Where the same is judged on another device or in another build too (tests/run).
    const bool quick = getenv("TUFF_TEST_QUICK") != NULL && !filter;
    const bool no_grad = getenv("TUFF_TEST_NO_GRADIENTS") != NULL && !filter;
    // What is chosen is chosen by the check; the harness sees what comes of it.
    harness_init(1, argv, known, COUNT(known));
    tuff_device *dev = open_device();
    if (!filter || strncmp(filter, "proof", 5) == 0) {
        if (tuff_device_get_info(dev)->type == TUFF_DEVICE_CPU) {
            proof_on_cpu(dev);
            proof_of_other_cases(dev);
            proof_of_wrong_cases(dev);
            proof_of_small_halves();
            proof_of_gradients(dev);
            if (!quick) every_spoiled_gradient_is_noticed(dev);
            a_failure_is_shrunk(dev);
            a_wordless_refusal_is_found(dev);
            random_cases_end_in_time(dev);
            special_numbers_are_tried(dev);
        } else {
            proof_on_gpu(dev);
            proof_of_other_cases(dev);
        }
    }
    if (!filter || strncmp(filter, "proof", 5) != 0) {
        const tuff_check_params p = { .filter = filter, .quick = quick,
                                      .no_grad = no_grad };
        const tuff_status status = tuff_check_device(dev, &p, on_result, &t);
        if (status != TUFF_OK && status != TUFF_ERR_CHECK) FAIL("%s", tuff_last_error());
        if (!filter && !quick && !no_grad) every_gradient_is_judged(&t);
    }
    if (!filter || strcmp(filter, "random*") == 0) random_cases(dev);
    tuff_device_close(&dev);
    return report();
}
