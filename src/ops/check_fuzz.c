// Random cases; declared in <tuff/check.h>. Every case starts as one of a record's list:
//
//   parse -> change sizes and params -> infer -> refused:   a sentence must say why
//                                             -> too large: it has a plan, or a sentence
//                                                           says what limit it is over
//                                             -> taken:     judged as any case
//
// Operators take turns, in a new order each round. A tensor without elements, or with more
// than 2^31 - 1, is none of the library's: whatever op is asked about one must refuse it.
//
// Sizes of a case belong together (the K of two matrices), so a size is changed wherever it
// stands, in params too; now and then in one place alone, which mostly is refused. What fails
// is made smaller by the same kinds of change as long as it fails.
#include "base/alloc.h"
#include "base/glob.h"
#include "base/rng.h"
#include "base/time.h"
#include "ops/check.h"
#include "tensor/tensor.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    ELEMENTS = 1 << 17,  // of all tensors of a case
    REDRAWS = 4,         // of a case that is refused or too large, in one turn
    SHRINKS = 400        // tries at making a failure smaller
};
static const double budget = 5e7;        // FLOPs of a case, steps of its reference
static const double shrink_seconds = 5;  // for all tries at one failure

typedef struct fuzzer {
    tuff_device *device;
    const tuff_check_params *p;
    tuff_check_fn fn;
    void *user;
    tuff_fuzz_result *result;
    const tuff_op *op, *subject;
    tuff_rng rng;
    double end; // as tuff_time_now tells it
} fuzzer;

static uint32_t below(fuzzer *f, uint32_t n) { return tuff_rng_below(&f->rng, n); }

// ---- a case and its sizes ------------------------------------------------------------------

static int tensors(const tuff_case *c) { return c->call.op->in[0].name ? c->call.nin : 1; }

static tuff_desc *tensor_at(tuff_case *c, int i)
{
    return c->call.op->in[0].name ? &c->call.in[i] : &c->call.out[0];
}

static int field_ints(const tuff_field *f)
{
    switch (f->type) {
    case TUFF_FIELD_INT:
    case TUFF_FIELD_AXIS:
    case TUFF_FIELD_AXES:
    case TUFF_FIELD_ENUM: return 1;
    case TUFF_FIELD_INTS: return f->count;
    default: return 0;
    }
}

static int *int_at(tuff_case *c, const tuff_field *f, int i)
{
    return (int *)(void *)((char *)c->params + f->offset) + i;
}

// Replaces a size wherever it stands.
static void replace_size(tuff_case *c, int64_t from, int64_t to, bool params)
{
    for (int i = 0; i < tensors(c); i++)
        for (int d = 0; d < tensor_at(c, i)->rank; d++)
            if (tensor_at(c, i)->dim[d] == from) tensor_at(c, i)->dim[d] = to;
    for (const tuff_field *f = c->call.op->params; params && f->name; f++)
        for (int i = 0; f->type <= TUFF_FIELD_INTS && i < field_ints(f); i++)
            if (*int_at(c, f, i) == from) *int_at(c, f, i) = (int)to;
}

static int64_t pick_size(fuzzer *f, tuff_case *c)
{
    for (int n = 0; n < 8; n++) {
        tuff_desc *d = tensor_at(c, (int)below(f, (uint32_t)tensors(c)));
        if (d->dtype && d->rank) return d->dim[below(f, (uint32_t)d->rank)];
    }
    return 1;
}

static int64_t new_size(fuzzer *f)
{
    static const int64_t sizes[] = { 0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 15, 16, 17, 23, 31,
                                     32, 33, 37, 63, 64, 65, 97, 127, 128, 129, 255, 256, 257,
                                     1009, 4099, 65537, 33554467, 2000000011 };
    return sizes[below(f, sizeof sizes / sizeof *sizes)];
}

static void change_field(fuzzer *f, tuff_case *c)
{
    static const int ints[] = { 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 7, -1, -2, 17, 1000000,
                                INT32_MAX, INT32_MIN };
    static const float reals[] = { 0, 0.5f, 1, 2, -1, 0.1f, 1e-5f, 3 };
    int n = 0;
    while (c->call.op->params[n].name) n++;
    if (!n) return;
    const tuff_field *field = &c->call.op->params[below(f, (uint32_t)n)];
    char *at = (char *)c->params + field->offset;
    const int count = field_ints(field);
    int names = 0;
    switch (field->type) {
    case TUFF_FIELD_BOOL: *(bool *)at = !*(bool *)at; break;
    case TUFF_FIELD_FLOAT:
        memcpy(at, &reals[below(f, sizeof reals / sizeof *reals)], sizeof(float));
        break;
    case TUFF_FIELD_ENUM:
        while (field->names[names]) names++;
        *int_at(c, field, 0) = (int)below(f, (uint32_t)names);
        break;
    case TUFF_FIELD_AXIS: *int_at(c, field, 0) = (int)below(f, TUFF_MAX_DIMS); break;
    case TUFF_FIELD_AXES: *int_at(c, field, 0) = (int)below(f, 16); break;
    default:
        if (count)
            *int_at(c, field, (int)below(f, (uint32_t)count)) =
                ints[below(f, sizeof ints / sizeof *ints)];
        break;
    }
}

static void change_rank(fuzzer *f, tuff_case *c)
{
    const bool more = below(f, 2);
    for (int i = 0; i < tensors(c); i++) {
        tuff_desc *d = tensor_at(c, i);
        if (!d->dtype || (more ? d->rank == TUFF_MAX_DIMS : d->rank == 0)) continue;
        const size_t n = (size_t)d->rank * sizeof *d->dim;
        if (more) {
            memmove(d->dim + 1, d->dim, n);
            d->dim[0] = 2;
        } else {
            memmove(d->dim, d->dim + 1, n - sizeof *d->dim);
        }
        d->rank += more ? 1 : -1;
    }
}

static void change(fuzzer *f, tuff_case *c)
{
    const uint32_t kind = below(f, 10);
    if (kind < 5) {
        replace_size(c, pick_size(f, c), new_size(f), below(f, 2));
    } else if (kind < 6) {
        tuff_desc *d = tensor_at(c, (int)below(f, (uint32_t)tensors(c)));
        if (d->dtype && d->rank) d->dim[below(f, (uint32_t)d->rank)] = new_size(f);
    } else if (kind < 9) {
        change_field(f, c);
    } else {
        change_rank(f, c);
    }
}

// ---- judging -------------------------------------------------------------------------------

// Of the results of a case's variants the first that failed, or the one nearest to failing.
typedef struct verdict {
    bool failed, ran;
    double how_near;
    char problem[512];
    tuff_check_result result;
    char variant[32];
} verdict;

static double relative(double error, double tolerance)
{
    return error <= 0 ? 0 : tolerance > 0 ? error / tolerance : INFINITY;
}

static void on_result(void *user, const tuff_check_result *r)
{
    verdict *v = user;
    const double near = fmax(relative(r->error, r->tolerance),
                             relative(r->grad_error, r->grad_tolerance));
    const bool failed = !r->passed && !r->skipped;
    if (v->failed || (v->ran && !failed && (r->skipped || near <= v->how_near))) return;
    v->ran |= !r->skipped;
    v->failed = failed;
    v->how_near = near;
    v->result = *r;
    snprintf(v->problem, sizeof v->problem, "%s", r->problem);
    snprintf(v->variant, sizeof v->variant, "%s", r->variant);
}

static tuff_status judge(fuzzer *f, const char *type, const char *text, double end, verdict *v)
{
    char filter[TUFF_CASE_TEXT + 80];
    snprintf(filter, sizeof filter, "%s %s %s", f->op->name, type, text);
    tuff_check_params p = *f->p;
    p.filter = filter;
    tuff_check_count count = { 0 };
    *v = (verdict){ .result = { .grad_error = -1 } };
    return tuff_check_op(f->device, f->op, f->subject, &p, end, on_result, v, &count);
}

// Whether all of a case's tensors can be.
static bool can_be(tuff_case *c)
{
    for (int i = 0; i < tensors(c); i++)
        if (tensor_at(c, i)->dtype && tuff_desc_check(tensor_at(c, i)) != TUFF_OK) return false;
    return true;
}

static bool affordable(const tuff_call *c)
{
    int64_t elements = 0;
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) elements += tuff_desc_count(&c->in[i]);
    for (int o = 0; o < c->nout; o++) elements += tuff_desc_count(&c->out[o]);
    return elements <= ELEMENTS && tuff_call_work(c) <= budget;
}

typedef enum outcome {
    TAKEN,
    REFUSED,
    TOO_LARGE, // to be run
    WORDLESS,  // refused in a way that no refusal should have
    GARBAGE,   // taken, though one of its tensors cannot be
    NO_TEXT    // it has no string
} outcome;

// A refusal names the op and the reason, and its status says whose fault it is.
static bool is_worded(const tuff_call *c, tuff_status status)
{
    const char *name = c->op->name, *sentence = tuff_last_error();
    return (status == TUFF_ERR_SHAPE || status == TUFF_ERR_ARG || status == TUFF_ERR_LIMIT ||
            status == TUFF_ERR_DTYPE) &&
           strncmp(sentence, name, strlen(name)) == 0 &&
           strlen(sentence) > strlen(name) + strlen(": ");
}

// Infers a changed case again, and prints it. Text that cannot be read back, a list that may
// hold no 0 with one beside other numbers, is no case.
static outcome retake(tuff_case *c, tuff_dtype type, char *text, size_t size)
{
    tuff_case read;
    c->call.params = c->params;
    if (tuff_case_print(&c->call, text, size) >= size) return NO_TEXT;
    const bool possible = can_be(c);
    const tuff_status status = tuff_call_infer(&c->call);
    if (status != TUFF_OK) return is_worded(&c->call, status) ? REFUSED : WORDLESS;
    if (!possible) return GARBAGE;
    if (!affordable(&c->call)) return TOO_LARGE;
    return tuff_case_parse(c->call.op, type, text, &read) == TUFF_OK ? TAKEN : NO_TEXT;
}

// ---- shrinking -----------------------------------------------------------------------------

// Reads the text and applies change number `n` of those that make a case smaller; false past
// the last one.
static bool smaller(const tuff_op *op, tuff_dtype type, const char *text, int n, tuff_case *c)
{
    if (tuff_case_parse(op, type, text, c) != TUFF_OK) return false;
    for (int i = 0; i < tensors(c); i++)
        for (int d = 0; d < tensor_at(c, i)->rank; d++) {
            const int64_t v = tensor_at(c, i)->dim[d];
            const int64_t to[] = { 1, v / 2, v - 1 };
            for (int k = 0; k < 3; k++) {
                if (to[k] < 1 || to[k] >= v) continue;
                if (n-- == 0) return replace_size(c, v, to[k], true), true;
                if (n-- == 0) return tensor_at(c, i)->dim[d] = to[k], true;
            }
        }
    for (const tuff_field *f = op->params; f->name; f++)
        if (n-- == 0) {
            const int count = field_ints(f);
            for (int i = 0; i < count; i++) *int_at(c, f, i) = 0;
            if (f->type == TUFF_FIELD_BOOL) *(bool *)((char *)c->params + f->offset) = false;
            return true;
        }
    return false;
}

static tuff_status shrink(fuzzer *f, tuff_dtype type, char *text, verdict *v)
{
    char next[TUFF_CASE_TEXT];
    tuff_case c;
    int tries = 0;
    const double end = tuff_time_now() + shrink_seconds;
    for (int n = 0; tries < SHRINKS && smaller(f->op, type, text, n, &c); n++) {
        verdict w;
        if (tuff_time_now() >= end) break;
        if (retake(&c, type, next, sizeof next) != TAKEN || strcmp(next, text) == 0) continue;
        tries++;
        TUFF_TRY(judge(f, tuff_dtype_name(type), next, end, &w));
        if (!w.failed) continue;
        strcpy(text, next);
        *v = w;
        n = -1;
    }
    return TUFF_OK;
}

static void tell(fuzzer *f, tuff_dtype type, const char *text, verdict *v)
{
    char named[TUFF_CASE_TEXT + 16];
    snprintf(named, sizeof named, "%s %s", tuff_dtype_name(type), text);
    v->result.device = tuff_device_get_info(f->device)->id;
    v->result.op = f->op->name;
    v->result.text = named;
    v->result.variant = v->variant[0] ? v->variant : "none";
    v->result.problem = v->problem;
    v->result.passed = !v->failed && !v->result.skipped;
    f->result->run += v->ran;
    f->result->refused += v->result.refused;
    if (v->failed && f->result->failed++ == 0) {
        snprintf(f->result->first, sizeof f->result->first, "%s %s", f->op->name, named);
        snprintf(f->result->problem, sizeof f->result->problem, "%s", v->problem);
    }
    if (f->fn) f->fn(f->user, &v->result);
}

// ---- the loop ------------------------------------------------------------------------------

// A type that the op's first port takes; most often the main one.
static tuff_dtype pick_type(fuzzer *f, const tuff_op *op)
{
    const uint32_t types = op->in[0].name ? op->in[0].dtypes : op->out[0].dtypes;
    uint32_t t = types & (~types + 1);
    for (int n = (int)below(f, 4) ? 0 : (int)below(f, 4); n > 0; n--) {
        const uint32_t rest = types & ~(2 * t - 1);
        if (rest) t = rest & (~rest + 1);
    }
    return t ? (tuff_dtype)t : TUFF_F32;
}

// A call too large to run: it has a plan, or a sentence says what limit it is over.
static void judge_plan(fuzzer *f, const tuff_call *c, verdict *v)
{
    tuff_plan *plan = tuff_alloc(1, sizeof *plan);
    const tuff_status status = plan ? tuff_select(c, tuff_device_caps(f->device), plan)
                                    : TUFF_ERR_MEMORY;
    tuff_free(plan);
    v->result.refused = status == TUFF_ERR_LIMIT && is_worded(c, status);
    v->result.skipped = status == TUFF_OK;
    v->failed = !v->result.skipped && !v->result.refused;
    if (v->result.skipped)
        snprintf(v->problem, sizeof v->problem, "too large to be run here; it has a plan");
    else if (v->result.refused)
        snprintf(v->problem, sizeof v->problem, "%s", tuff_last_error());
    else
        snprintf(v->problem, sizeof v->problem, "it has no plan, and no limit is named: "
                 "'%.300s'", tuff_last_error());
}

static tuff_status one_case(fuzzer *f)
{
    const tuff_op *op = f->op;
    char text[TUFF_CASE_TEXT];
    tuff_case c;
    int cases = 0;
    while (op->cases && op->cases[cases]) cases++;
    if (!cases) return TUFF_OK;
    const tuff_dtype type = pick_type(f, op);
    if (tuff_case_parse(op, type, op->cases[below(f, (uint32_t)cases)], &c) != TUFF_OK)
        return TUFF_OK;
    for (int n = 1 + (int)below(f, 4); n > 0; n--) change(f, &c);
    const outcome how = retake(&c, type, text, sizeof text);
    verdict v = { .result = { .grad_error = -1, .refused = how == REFUSED },
                  .failed = how == WORDLESS || how == GARBAGE };
    switch (how) {
    case TAKEN:
        TUFF_TRY(judge(f, tuff_dtype_name(type), text, f->end, &v));
        if (v.failed) TUFF_TRY(shrink(f, type, text, &v));
        if (!v.ran) v.result.skipped = true; // the time was over, or it proves nothing
        break;
    case TOO_LARGE: judge_plan(f, &c.call, &v); break;
    case REFUSED: snprintf(v.problem, sizeof v.problem, "%s", tuff_last_error()); break;
    case WORDLESS:
        snprintf(v.problem, sizeof v.problem, "it is refused without a sentence that names "
                 "the operator and the reason: '%.300s'", tuff_last_error());
        break;
    case GARBAGE:
        snprintf(v.problem, sizeof v.problem, "it is taken, though no tensor has such dims");
        break;
    case NO_TEXT: return TUFF_OK;
    }
    tell(f, type, text, &v);
    return TUFF_OK;
}

static bool wanted(const tuff_check_params *p, const tuff_op *op)
{
    char name[96];
    snprintf(name, sizeof name, "%s f32", op->name);
    return tuff_glob(p->filter, name) || (p->filter && strcmp(p->filter, op->name) == 0);
}

static fuzzer make(tuff_device *device, const tuff_check_params *p, tuff_check_fn fn,
                   void *user, tuff_fuzz_result *result)
{
    static const tuff_check_params defaults;
    fuzzer f = { .device = device, .p = p ? p : &defaults, .fn = fn, .user = user,
                 .result = result };
    f.rng.seed = tuff_rng_fork(f.p->seed, 11);
    *result = (tuff_fuzz_result){ .run = 0 };
    return f;
}

tuff_status tuff_fuzz_op(tuff_device *device, const tuff_op *op, const tuff_op *subject,
                         double end, const tuff_check_params *p, tuff_check_fn fn, void *user,
                         tuff_fuzz_result *result)
{
    fuzzer f = make(device, p, fn, user, result);
    f.op = op;
    f.subject = subject;
    do {
        TUFF_TRY(one_case(&f));
    } while (tuff_time_now() < end && !result->failed);
    return TUFF_OK;
}

enum { OPS = 1024 };

// The ops that the filter names take turns, in another order each round.
static tuff_status take_turns(fuzzer *f)
{
    uint32_t order[OPS];
    uint32_t count = 0;
    for (int i = 0; i < tuff_op_count() && count < OPS; i++)
        if (wanted(f->p, tuff_op_at(i))) order[count++] = (uint32_t)i;
    TUFF_REQUIRE(count, ARG, "check: no operator matches '%s'", f->p->filter);
    for (int64_t n = 0; tuff_time_now() < f->end && (!f->p->cases || n < f->p->cases); n++) {
        if (n % count == 0) tuff_rng_shuffle(&f->rng, order, count);
        f->op = f->subject = tuff_op_at((int)order[n % count]);
        const int64_t before = f->result->run;
        for (int k = 0; k < REDRAWS && f->result->run == before; k++) TUFF_TRY(one_case(f));
    }
    return TUFF_OK;
}

tuff_status tuff_check_fuzz(tuff_device *device, double seconds, const tuff_check_params *p,
                            tuff_check_fn fn, void *user, tuff_fuzz_result *result)
{
    TUFF_REQUIRE(device && result, ARG, "check: the device or the result is NULL");
    fuzzer f = make(device, p, fn, user, result);
    f.end = tuff_time_now() + seconds;
    TUFF_TRY(take_turns(&f));
    TUFF_REQUIRE(!result->failed, CHECK, "%d of %lld random cases failed on %s, the first is "
                 "'%s'", result->failed, (long long)(result->run + result->refused),
                 tuff_device_get_info(device)->id, result->first);
    return TUFF_OK;
}
