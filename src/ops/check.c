// tuff_check_device: every op, every case, every variant that the device can run.
#include "base/glob.h"
#include "base/thread.h"
#include "base/time.h"
#include "ops/check.h"
#include "ops/lower.h"
#include "base/alloc.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct checker {
    const tuff_op *op, *subject;
    const tuff_caps *caps;
    const tuff_check_params *p;
    tuff_check_fn fn;
    void *user;
    tuff_check_count *count;
    const char *device_id;
    double end;                   // what is not begun by then is left out; 0: nothing is
    tuff_device *cpu_device;      // NULL when the device judged is the CPU path
    tuff_stream *stream, *cpu;
    tuff_dtype type;              // that the ports have which take it
    bool main_type;               // the first of the op's types
    bool special_done;            // a case was judged with special numbers
} checker;

// A filter names "op variant f32 case" or, for whatever variant, "op f32 case".
static bool wanted(const checker *k, const char *variant, const char *text)
{
    const char *type = tuff_dtype_name(k->type);
    char name[TUFF_CASE_TEXT + 128];
    snprintf(name, sizeof name, "%s %s %s %s", k->op->name, variant, type, text);
    if (tuff_glob(k->p->filter, name)) return true;
    snprintf(name, sizeof name, "%s %s %s", k->op->name, type, text);
    return tuff_glob(k->p->filter, name);
}

// Variant number `index` in the order in which they are judged, or NULL.
static const char *variant_at(const checker *k, int index)
{
    const tuff_host *hosts = k->subject->hosts;
    if (k->caps->cpu) {
        if (index < TUFF_OP_HOSTS && hosts[index].name) return hosts[index].name;
        return index == 0 || (index <= TUFF_OP_HOSTS && hosts[index - 1].name) ? "ref" : NULL;
    }
    return index < TUFF_OP_VARIANTS ? k->subject->variants[index].name : NULL;
}

static void tell(checker *k, tuff_check_result *r, const char *text, tuff_status status)
{
    char named[TUFF_CASE_TEXT + 8];
    snprintf(named, sizeof named, "%s %s", tuff_dtype_name(k->type), text);
    r->device = k->device_id;
    r->op = k->op->name;
    r->text = named;
    r->passed = status == TUFF_OK;
    r->skipped |= status == TUFF_ERR_LIMIT;
    r->problem = status == TUFF_OK ? "" : tuff_last_error();
    k->count->run++;
    k->count->skipped += r->skipped;
    if (!r->passed && !r->skipped && k->count->failed++ == 0)
        snprintf(k->count->first, sizeof k->count->first, "%s %s", k->op->name, named);
    if (k->fn) k->fn(k->user, r);
}

// The threads that share a reference (or a host kernel) cut its units anywhere: pieces computed
// last to first must give the same bits.
static tuff_status check_pieces(const tuff_trial *t, const tuff_host *host)
{
    const tuff_call *c = &t->c.call;
    void *out[2][TUFF_OP_OUT] = { 0 };
    tuff_status status = TUFF_OK;
    for (int o = 0; o < 2 * c->nout && status == TUFF_OK; o++) {
        void **to = &out[o % 2][o / 2];
        *to = tuff_alloc(tuff_desc_bytes(&c->out[o / 2]), 1);
        if (!*to) status = TUFF_ERR_MEMORY;
    }
    if (status == TUFF_OK) status = tuff_trial_units_by(c, host, t->in, out[0], false);
    if (status == TUFF_OK) status = tuff_trial_units_by(c, host, t->in, out[1], true);
    for (int o = 0; o < c->nout && status == TUFF_OK; o++)
        if (memcmp(out[0][o], out[1][o], tuff_desc_bytes(&c->out[o])) != 0)
            status = tuff_fail(TUFF_ERR_CHECK, "%s has other bits when the %zu units of %s are "
                               "computed in two pieces", c->op->out[o].name,
                               tuff_host_units(host, c, 0),
                               host ? host->name : "the reference");
    for (int o = 0; o < 2 * c->nout; o++) tuff_free(out[o % 2][o / 2]);
    return status;
}

// The host kernel of that name, or NULL: it is "ref".
static const tuff_host *host_at(const checker *k, const char *variant)
{
    for (int i = 0; i < TUFF_OP_HOSTS && k->subject->hosts[i].name; i++)
        if (strcmp(k->subject->hosts[i].name, variant) == 0) return &k->subject->hosts[i];
    return NULL;
}

// Whether the device can run this variant; the last one must.
static tuff_status plans(const checker *k, const tuff_call *call, int index, bool *can)
{
    *can = true;
    tuff_plan *plan = tuff_alloc(1, sizeof *plan);
    if (!plan) return TUFF_ERR_MEMORY;
    tuff_call c = *call;
    c.op = k->subject;
    const tuff_status status = tuff_select(&c, k->caps, plan);
    tuff_free(plan);
    *can = status == TUFF_OK;
    return status == TUFF_ERR_UNSUPPORTED && variant_at(k, index + 1) ? TUFF_OK : status;
}

static tuff_status judge(checker *k, const tuff_trial *t, tuff_check_result *r)
{
    // On the CPU path the reference judges itself: the same bits whatever threads share it.
    const tuff_host *host = k->caps->cpu ? host_at(k, r->variant) : NULL;
    const bool itself = k->caps->cpu && k->op == k->subject && !host;
    const bool native = !tuff_call_foreign(&t->c.call, 0);
    tuff_call c = t->c.call;
    c.op = k->subject;
    const double tolerance = itself ? 0 : tuff_select_tolerance(&c, k->caps);
    r->tolerance = tuff_trial_tolerance(&t->c.call.out[0], tolerance);
    if ((itself || host) && native) TUFF_TRY(check_pieces(t, host));
    return tuff_trial_run(t, k->subject, k->stream, tolerance, k->p->repeat, &r->error);
}

enum { SPECIAL_LEAST = 32 }; // elements of an output that hold some of most special numbers

static bool wants_special(const checker *k, const tuff_trial *t)
{
    const tuff_call *c = &t->c.call;
    bool real = false;
    for (int i = 0; i < c->nin; i++) real |= c->in[i].dtype == TUFF_F32;
    return real && k->op->special != TUFF_SPECIAL_NONE && k->main_type && k->type == TUFF_F32 &&
           tuff_desc_count(&c->out[0]) >= SPECIAL_LEAST &&
           (k->p->thorough || !k->special_done);
}

// The same case with infinities, NaNs, huge and tiny numbers.
static tuff_status judge_special(checker *k, const tuff_trial *t, const char *text,
                                 tuff_check_result *r)
{
    tuff_trial *special = NULL;
    double error = 0;
    tuff_status status = tuff_trial_special(t, text, k->p->seed, &special);
    if (status == TUFF_OK)
        status = tuff_trial_run(special, k->subject, k->stream,
                                tuff_select_tolerance(&t->c.call, k->caps), k->p->repeat,
                                &error);
    if (status != TUFF_OK) tuff_fail_prefix("with special numbers");
    if (error > r->error) r->error = error;
    tuff_trial_destroy(&special);
    return status;
}

// Of a string that is in no list, it says nothing when its results are all zeros.
static bool listed(const checker *k, const char *text)
{
    for (const char *const *c = k->op->cases; c && *c; c++)
        if (strcmp(*c, text) == 0) return true;
    return false;
}

static bool is_lowered(const checker *k, const tuff_call *c, int index)
{
    return tuff_call_foreign(c, k->subject->variants[index].types) != 0;
}

static bool late(const checker *k) { return k->end > 0 && tuff_time_now() >= k->end; }

static void check_case(checker *k, const char *text)
{
    tuff_trial *t = NULL;
    bool grad = k->op->grad && k->subject->grad && !k->p->no_grad && k->main_type;
    bool lowered = false, special = false;
    for (int i = 0; variant_at(k, i); i++) {
        tuff_check_result r = { .variant = variant_at(k, i), .grad_error = -1 };
        if (!wanted(k, r.variant, text)) continue;
        if (late(k)) break;
        bool can = true;
        tuff_status status = TUFF_OK;
        if (!t)
            status = tuff_trial_create(k->op, k->type, text, k->p->seed, TUFF_DRAW_ANY, &t);
        // What lies between the casts of a lowered call is judged with native types.
        if (status == TUFF_OK && !k->caps->cpu && is_lowered(k, &t->c.call, i)) {
            if (lowered) continue;
            lowered = true;
        }
        tuff_variant_force(r.variant);
        if (status == TUFF_OK) status = plans(k, &t->c.call, i, &can);
        if (status == TUFF_OK && can) status = judge(k, t, &r);
        if (status == TUFF_OK && can && (special || wants_special(k, t))) {
            special = k->special_done = true;
            status = judge_special(k, t, text, &r);
        }
        tuff_variant_force(NULL);
        if (status == TUFF_OK && !can) {
            lowered = false;
            continue;
        }
        if (status == TUFF_OK && grad && !late(k)) {
            status = tuff_check_grad(k->op, k->subject, text, k->p->seed, k->stream, k->cpu,
                                     k->end, &r.grad_error, &r.grad_tolerance);
            grad = false; // a rule is composed of ops, whatever the variant of this one
        }
        r.skipped = !t && status == TUFF_ERR_CHECK && !listed(k, text);
        tell(k, &r, text, status);
        if (!t) break; // a case that cannot be drawn fails once
    }
    tuff_trial_destroy(&t);
}

static bool spelled_out(const char *filter) { return filter && !strpbrk(filter, "*?"); }

// The case that a filter without wildcards spells out, when the op's list has no such case: any
// string is one. NULL for none.
static const char *case_of_filter(const checker *k)
{
    char type[16];
    snprintf(type, sizeof type, " %s ", tuff_dtype_name(k->type));
    const char *filter = k->p->filter, *text = filter ? strstr(filter, type) : NULL;
    const size_t n = strlen(k->op->name);
    if (!text || !spelled_out(filter) || strncmp(filter, k->op->name, n) != 0 ||
        filter[n] != ' ' || strlen(text += strlen(type)) >= TUFF_CASE_TEXT)
        return NULL;
    return listed(k, text) ? NULL : text;
}

// A filter that spells out what is no case at all is the caller's mistake, not the device's.
static tuff_status check_filter(const checker *k)
{
    tuff_case c;
    const char *text = case_of_filter(k);
    return text ? tuff_case_parse(k->op, k->type, text, &c) : TUFF_OK;
}

enum {
    FOREIGN_CASES = 2, // of a type that an op is lowered from
    QUICK_CASES = 4
};

// An op without a kernel cannot run on this device; that is said once.
static void check_cases(checker *k)
{
    const char *const none[] = { NULL };
    bool all = k->main_type || k->p->thorough || tuff_is_native(k->op, k->type);
    for (int i = 0; i < TUFF_OP_VARIANTS; i++) all |= (k->op->variants[i].types & k->type) != 0;
    int left = all ? INT_MAX : FOREIGN_CASES;
    if (k->p->quick) left = k->main_type ? QUICK_CASES : 0;
    if (spelled_out(k->p->filter)) left = INT_MAX;
    for (const char *const *text = k->op->cases ? k->op->cases : none; *text && left--;
         text++) {
        if (variant_at(k, 0)) {
            check_case(k, *text);
        } else if (wanted(k, "none", *text)) {
            tuff_check_result r = { .variant = "none", .grad_error = -1 };
            tell(k, &r, *text, tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: there is no kernel",
                                         k->op->name));
            return;
        }
    }
    const char *text = case_of_filter(k);
    if (text && variant_at(k, 0)) check_case(k, text);
}

static uint32_t lowest(uint32_t types) { return types & (~types + 1); }

// Every type that a port takes besides others; the lowest comes first. Ports that do not take
// a type have the lowest of their own.
static tuff_status check_types(checker *k)
{
    const tuff_port *first = k->op->in[0].name ? k->op->in : k->op->out;
    if (first->dtypes == TUFF_BOOL && first[1].name) first++; // a condition comes before data
    // The main type comes first: with it every port has the lowest of its own.
    k->type = (tuff_dtype)(first->dtypes ? lowest(first->dtypes) : TUFF_F32);
    k->main_type = true;
    TUFF_TRY(check_filter(k));
    check_cases(k);
    const tuff_dtype main_type = k->type;
    k->main_type = false;
    for (uint32_t t = 1; t <= TUFF_I64; t <<= 1) {
        bool new = false;
        for (const tuff_port *p = first; p->name; p++)
            new |= (p->dtypes & t) && lowest(p->dtypes) != t;
        if (!new || t == main_type) continue;
        k->type = (tuff_dtype)t;
        TUFF_TRY(check_filter(k));
        check_cases(k);
    }
    return TUFF_OK;
}

tuff_status tuff_check_op(tuff_device *device, const tuff_op *op, const tuff_op *subject,
                          const tuff_check_params *p, double end, tuff_check_fn fn, void *user,
                          tuff_check_count *count)
{
    static const tuff_check_params defaults;
    checker k = { .op = op, .subject = subject, .caps = tuff_device_caps(device),
                  .p = p ? p : &defaults, .fn = fn, .user = user, .count = count,
                  .device_id = tuff_device_get_info(device)->id, .end = end };
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_stream_create(device, &k.stream));
    if (!k.caps->cpu && op->grad && !k.p->no_grad) {
        TUFF_GO(tuff_device_open("cpu", &k.cpu_device));
        TUFF_GO(tuff_stream_create(k.cpu_device, &k.cpu));
    }
    TUFF_GO(check_types(&k));
exit:
    tuff_stream_destroy(&k.cpu);
    tuff_device_close(&k.cpu_device);
    tuff_stream_destroy(&k.stream);
    return status;
}

tuff_status tuff_check_device(tuff_device *device, const tuff_check_params *p, tuff_check_fn fn,
                              void *user)
{
    TUFF_REQUIRE(device, ARG, "check: the device is NULL");
    tuff_check_count count = { 0 };
    for (int i = 0; i < tuff_op_count(); i++)
        TUFF_TRY(tuff_check_op(device, tuff_op_at(i), tuff_op_at(i), p, 0, fn, user, &count));
    TUFF_REQUIRE(count.run, ARG, "check: no case matches '%s'",
                 p && p->filter ? p->filter : "*");
    TUFF_REQUIRE(!count.failed, CHECK, "%d of %d checks failed on %s, the first is '%s'",
                 count.failed, count.run, tuff_device_get_info(device)->id, count.first);
    return TUFF_OK;
}
