// Trying candidates: results first, then times; see tune.h.
//
//   the call, cut ---- each candidate --- guards, reference, twice the same bits? --- wrong
//                              | right                                     (check_run.c)
//   the call itself -- in turns with the best so far --- clearly faster? --- the new best
//                              |
//                      results as the first right one's? --- wrong
#include "ops/tune.h"
#include "base/alloc.h"
#include "base/time.h"
#include "ops/check.h"
#include "ops/timing.h"
#include "tensor/tensor.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tensor.h>

enum {
    MOST_CALLS = 16,
    HOPELESS_RUNS = 4, // after which a candidate twice as slow is left
    LEAST_RUNS = 5,
    QUICK_RUNS = 7,
    STABLE_RUNS = 9,
    MOST_RUNS = 41, // and once more to confirm a win
    SHARES = 4      // of the turns, a win needs all but one
};

static const double QUICK_STEPS = 4e6, FULL_STEPS = 4e7; // of a reference
static const double LIST_SECONDS = 2e-3;
static const double CLEARLY = 0.95; // of the best one's time
static const double SURELY = 0.7;   // of it: no luck
static const double HOPELESS = 6;   // times as slow on the small call: not run on the large one
static const double SMALL_SHARE = 0.01; // of a program's time that is not worth a quick look

typedef struct subject {
    tuff_candidate as;
    tuff_timing timing;
    bool open;           // the timing is
    double small;        // seconds of the cut call, 0: not measured
    double seconds[2 * MOST_RUNS], median;
} subject;

typedef struct tuner {
    tuff_device *dev;
    const tuff_caps *caps;
    tuff_tuning *table;
    const tuff_call *call;
    const char *class;
    tuff_case cut;
    bool whole;             // the cut call is the call
    tuff_trial *trial;
    tuff_stream *stream;
    tuff_operands operands, small; // of the call, and of the cut one
    bool has_small;
    void *want[TUFF_OP_OUT], *got[TUFF_OP_OUT]; // outputs of the call
    bool has_want;
    double want_tolerance;
    subject best, next;
    bool full;
    bool details;           // a second, quick look: at the ways of the choice
    double end;             // by tuff_time_now; 0: whenever
    int compared;           // candidates that were right
} tuner;

// ---- results -----------------------------------------------------------------------------

static const char *name_of(const tuff_candidate *as, char *text, size_t size)
{
    char group[24] = "";
    if (as->group) snprintf(group, sizeof group, " group=%u", as->group);
    snprintf(text, size, "%s%s%s%s", as->variant, as->way ? " " : "", as->way ? as->way : "",
             group);
    return text;
}

static tuff_status remember(tuner *t, const tuff_candidate *as, double seconds, bool wrong)
{
    tuff_tuned line = { .group = as->group, .us = seconds * 1e6, .full = t->full,
                        .wrong = wrong };
    snprintf(line.op, sizeof line.op, "%s", t->call->op->name);
    snprintf(line.class, sizeof line.class, "%s", t->class);
    snprintf(line.variant, sizeof line.variant, "%s", as->variant);
    snprintf(line.way, sizeof line.way, "%s", as->way ? as->way : "");
    return tuff_tuning_put(t->table, &line);
}

static tuff_status refuse(tuner *t, const tuff_candidate *as)
{
    char name[128];
    tuff_log(0, "%s of %s gives wrong results on %s and is not used for %s: %s",
             name_of(as, name, sizeof name), t->call->op->name, t->table->info.name, t->class,
             tuff_last_error());
    return remember(t, as, 0, true);
}

// The outputs of the call as the subject leaves them, in t->got.
static tuff_status run_once(tuner *t, subject *s)
{
    double seconds;
    tuff_cmd *cmd;
    TUFF_TRY(tuff_stream_cmd(t->stream, &cmd));
    for (int o = 0; o < t->call->nout; o++) { // what is not written shows
        tuff_range r = t->operands.out_range[o];
        r.size = r.size / 4 * 4;
        if (r.buffer && r.size) TUFF_TRY(tuff_cmd_fill(cmd, r, 0x7fe5a5a5));
    }
    TUFF_TRY(tuff_stream_wait(t->stream));
    TUFF_TRY(tuff_timing_run(&s->timing, t->dev, &seconds));
    for (int o = 0; o < t->call->nout; o++)
        TUFF_TRY(tuff_tensor_read(t->stream, t->operands.out[o], t->got[o],
                                  tuff_desc_bytes(&t->call->out[o])));
    return TUFF_OK;
}

// Holds the results of the whole call against those of the first candidate that was right.
static tuff_status compare(tuner *t, double tolerance)
{
    for (int o = 0; o < t->call->nout; o++) {
        const tuff_desc *d = &t->call->out[o];
        const double both = tolerance + t->want_tolerance;
        const double e = tuff_trial_error(d, t->got[o], t->want[o], 0, both);
        const double most = tuff_trial_tolerance(d, both);
        TUFF_REQUIRE(e <= most, CHECK, "%s is off by %.3g from what the reference led to, "
                     "%.3g is allowed", t->call->op->out[o].name, e, most);
    }
    return TUFF_OK;
}

// ---- times -------------------------------------------------------------------------------

static double median_of(const double seconds[], int n)
{
    double sorted[2 * MOST_RUNS];
    memcpy(sorted, seconds, (size_t)n * sizeof *sorted);
    return tuff_timing_median(sorted, n);
}

static double least_of(const double seconds[], int n)
{
    double least = seconds[0];
    for (int i = 1; i < n; i++) least = fmin(least, seconds[i]);
    return least;
}

// The median of all runs is that of their last half.
static bool is_stable(const double seconds[], int n)
{
    const double all = median_of(seconds, n), last = median_of(seconds + n / 2, n - n / 2);
    return fabs(all - last) < 0.02 * all;
}

static bool is_over(const tuner *t) { return t->end > 0 && tuff_time_now() > t->end; }

static bool enough(const tuner *t, int n, double began)
{
    if (is_over(t)) return true;
    if (n < LEAST_RUNS) return false;
    if (!t->full) return n >= QUICK_RUNS || tuff_time_now() - began > 0.05;
    return n >= MOST_RUNS || (n >= STABLE_RUNS && is_stable(t->next.seconds, n) &&
                              (!t->best.open || is_stable(t->best.seconds, n)));
}

// One turn of each, the other first than in the turn before.
static tuff_status take_turns(tuner *t, subject *a, subject *b, int turn)
{
    subject *const order[2] = { turn % 2 ? b : a, turn % 2 ? a : b };
    for (int i = 0; i < 2; i++)
        if (order[i])
            TUFF_TRY(tuff_timing_run(&order[i]->timing, t->dev, &order[i]->seconds[turn]));
    return TUFF_OK;
}

// What disturbs a run only ever makes it longer, so on a busy machine the least says most; but
// where it says little it may be luck. The middle, and nearly each turn by itself, have to say
// the same then.
static bool beats(const double a[], const double b[], int n, bool *surely)
{
    const double least = least_of(a, n) / least_of(b, n);
    const double middle = median_of(a, n) / median_of(b, n);
    int turns = 0;
    for (int i = 0; i < n; i++) turns += a[i] < b[i];
    *surely = least < SURELY && middle < 1;
    return *surely || (least < CLEARLY && middle < CLEARLY && n - turns <= n / SHARES);
}

// Runs the new subject in turns with the best one, so that a machine that gets slower does so
// for both; by itself where there is none yet. A win that is not large is measured again, and
// lost where there is no time for it.
static tuff_status race(tuner *t, bool *wins)
{
    subject *a = &t->next, *b = t->best.open ? &t->best : NULL;
    const double began = tuff_time_now();
    bool surely;
    int n = 0;
    do {
        TUFF_TRY(take_turns(t, a, b, n));
        n++;
        if (b && n >= HOPELESS_RUNS && least_of(a->seconds, n) > 2 * least_of(b->seconds, n))
            break;
    } while (!enough(t, n, began));
    a->median = median_of(a->seconds, n);
    if (b) b->median = median_of(b->seconds, n);
    *wins = !b || (n >= LEAST_RUNS && beats(a->seconds, b->seconds, n, &surely));
    if (!b || !*wins || surely) return TUFF_OK;
    for (int i = n; i < 2 * n && *wins; i++) {
        TUFF_TRY(take_turns(t, a, b, i));
        *wins = !is_over(t);
    }
    if (!*wins) return TUFF_OK;
    *wins = beats(a->seconds + n, b->seconds + n, n, &surely);
    a->median = median_of(a->seconds, 2 * n);
    return TUFF_OK;
}

// Seconds of the cut call, for a first guess of how slow a candidate is.
static tuff_status time_small(tuner *t, subject *s)
{
    tuff_timing timing = { 0 };
    double first;
    tuff_status status = TUFF_OK;
    if (!t->has_small) {
        tuff_operands_free(&t->small); // of a trial that failed
        TUFF_TRY(tuff_operands_create(t->dev, &t->cut.call, &t->small));
        t->has_small = true;
    }
    tuff_candidate_pin(&s->as);
    TUFF_GO(tuff_timing_record_calls(&timing, t->dev, &t->cut.call, t->small.in_range,
                                     t->small.out_range, 1));
    TUFF_GO(tuff_timing_run(&timing, t->dev, &first));
    TUFF_GO(tuff_timing_run(&timing, t->dev, &s->small));
exit:
    tuff_candidate_pin(NULL);
    tuff_timing_free(&timing);
    return status;
}

static tuff_status record(tuner *t, subject *s, const tuff_call *c, int calls)
{
    if (s->open) tuff_timing_free(&s->timing);
    tuff_candidate_pin(&s->as);
    const tuff_status status = tuff_timing_record_calls(&s->timing, t->dev, c,
                                                        t->operands.in_range,
                                                        t->operands.out_range, calls);
    tuff_candidate_pin(NULL);
    s->open = true;
    return status;
}

// The results of the first candidate that the reference found right, by the plan that it was
// judged in: one that a program does parts of once may be another.
static tuff_status set_want(tuner *t, subject *s, double tolerance)
{
    tuff_call c = *t->call;
    c.constant = 0;
    if (t->has_want) return TUFF_OK;
    TUFF_TRY(record(t, s, &c, 1));
    TUFF_TRY(run_once(t, s));
    for (int o = 0; o < c.nout; o++)
        memcpy(t->want[o], t->got[o], tuff_desc_bytes(&c.out[o]));
    t->want_tolerance = tolerance;
    t->has_want = true;
    return TUFF_OK;
}

// Several calls in a list where one is so short that its submission would be measured.
static tuff_status lengthen(tuner *t, subject *s)
{
    double seconds;
    TUFF_TRY(tuff_timing_run(&s->timing, t->dev, &seconds));
    const double calls = LIST_SECONDS / fmax(seconds, 1e-6);
    if (calls < 2) return TUFF_OK;
    return record(t, s, t->call, calls < MOST_CALLS ? (int)calls : MOST_CALLS);
}

// ---- one candidate -----------------------------------------------------------------------

// Results and times of t->next; it takes the place of the best one where it wins.
static tuff_status try_next(tuner *t)
{
    subject *s = &t->next;
    double error;
    bool wins;
    tuff_candidate_pin(&s->as);
    const double tolerance = tuff_select_tolerance(&t->trial->c.call, t->caps);
    const tuff_status status = tuff_trial_run(t->trial, t->call->op, t->stream, tolerance, 2,
                                              &error);
    tuff_candidate_pin(NULL);
    TUFF_TRY(status);
    if (is_over(t)) return TUFF_OK;
    if (!t->whole) TUFF_TRY(time_small(t, s));
    if (!t->whole && t->best.open && s->small > HOPELESS * t->best.small) {
        t->compared++;
        return TUFF_OK;
    }
    TUFF_TRY(set_want(t, s, tolerance));
    if (is_over(t)) return TUFF_OK;
    TUFF_TRY(record(t, s, t->call, 1));
    TUFF_TRY(run_once(t, s));
    TUFF_TRY(compare(t, tolerance));
    if (is_over(t)) return TUFF_OK;
    TUFF_TRY(lengthen(t, s));
    TUFF_TRY(race(t, &wins));
    t->compared++;
    if (!wins) return TUFF_OK;
    if (t->best.open) tuff_timing_free(&t->best.timing);
    t->best = *s;
    s->open = false;
    return TUFF_OK;
}

static tuff_status try_candidate(tuner *t, const tuff_candidate *as)
{
    char text[TUFF_CLASS_TEXT + 256], name[128];
    const double began = tuff_time_now();
    t->next = (subject){ .as = *as };
    if (t->table->params.on_candidate) {
        snprintf(text, sizeof text, "%s %s: %s", t->call->op->name, t->class,
                 name_of(as, name, sizeof name));
        t->table->params.on_candidate(t->table->params.user, text);
    }
    tuff_status status = try_next(t);
    if (t->next.open) tuff_timing_free(&t->next.timing);
    if (status == TUFF_ERR_CHECK) status = refuse(t, as);
    const double spent = tuff_time_now() - began;
    pthread_mutex_lock(&t->table->lock);
    t->table->stats.candidates++;
    if (spent > t->table->slowest) t->table->slowest = spent;
    pthread_mutex_unlock(&t->table->lock);
    return status == TUFF_ERR_MEMORY || status == TUFF_ERR_LOST ? status : TUFF_OK;
}

// ---- one call ----------------------------------------------------------------------------

static bool is_late(const tuner *t, double more)
{
    // The next one may take somewhat longer than any before.
    return t->end > 0 && tuff_time_now() + 1.5 * t->table->slowest + more > t->end;
}

static tuff_status prepare(tuner *t)
{
    char text[TUFF_CASE_TEXT];
    const tuff_call *c = &t->cut.call;
    const tuff_dtype type = c->op->in[0].name ? c->in[0].dtype : c->out[0].dtype;
    TUFF_REQUIRE(tuff_case_print(c, text, sizeof text) < sizeof text, LIMIT,
                 "%s: a long case", c->op->name);
    TUFF_TRY(tuff_stream_create(t->dev, &t->stream));
    TUFF_TRY(tuff_trial_create(c->op, type, text, 1, TUFF_DRAW_ANY, &t->trial));
    for (int o = 0; o < t->call->nout; o++) {
        t->want[o] = tuff_alloc(tuff_desc_bytes(&t->call->out[o]), 1);
        t->got[o] = tuff_alloc(tuff_desc_bytes(&t->call->out[o]), 1);
        if (!t->want[o] || !t->got[o]) return TUFF_ERR_MEMORY;
    }
    return tuff_operands_create(t->dev, t->call, &t->operands);
}

static void clean_up(tuner *t)
{
    if (t->best.open) tuff_timing_free(&t->best.timing);
    tuff_operands_free(&t->operands);
    tuff_operands_free(&t->small);
    tuff_trial_destroy(&t->trial);
    tuff_stream_destroy(&t->stream);
    for (int o = 0; o < TUFF_OP_OUT; o++) {
        tuff_free(t->want[o]);
        tuff_free(t->got[o]);
    }
}

// A quick look goes through the variants first, and then through the ways of the choice: time
// is better spent on the variants of another operator.
static bool is_asked_for(const tuner *t, const tuff_candidate *as)
{
    tuff_tuned choice;
    const bool detail = as->way || as->group;
    if (t->full || !t->details) return t->full || !detail;
    return tuff_tuning_find(t->table, t->call->op->name, t->class, &choice) &&
           strcmp(choice.variant, as->variant) == 0;
}

static bool was_wrong(const tuner *t, const tuff_candidate *as)
{
    return tuff_tuning_is_wrong(t->table, t->call->op->name, t->class, as->variant,
                                as->way ? as->way : "", as->group);
}

static tuff_status try_all(tuner *t, const tuff_candidates *list)
{
    TUFF_TRY(prepare(t));
    for (int i = 0; i < list->count && !is_late(t, 0); i++) {
        const tuff_candidate *as = &list->at[i];
        if (!is_asked_for(t, as) || was_wrong(t, as)) continue;
        TUFF_TRY(try_candidate(t, as));
        // The first is what the others have to beat: without its time nothing is a win.
        if (!t->best.open && !was_wrong(t, as)) return TUFF_OK;
    }
    // One alone is no choice.
    if (!t->best.open || t->compared < 2) return TUFF_OK;
    pthread_mutex_lock(&t->table->lock);
    t->table->stats.measured += !t->details;
    pthread_mutex_unlock(&t->table->lock);
    return remember(t, &t->best.as, t->best.median, false);
}

// What drawing inputs and running the reference takes, about.
static double preparation(const tuner *t)
{
    return tuff_call_bytes(t->call) * 1e-8 + tuff_call_work(&t->cut.call) * 3e-9;
}

static bool is_known(const tuner *t)
{
    tuff_tuned found;
    return !t->table->params.again &&
           tuff_tuning_find(t->table, t->call->op->name, t->class, &found) &&
           (found.full || !t->full);
}

// Measures a call, or (`details`) has another look at one. *done receives whether there is a
// choice that was not there before.
static tuff_status tune_call(tuff_device *dev, const tuff_call *c, double end, bool details,
                             bool *done)
{
    char class[TUFF_CLASS_TEXT];
    tuner *t = tuff_alloc(1, sizeof *t);
    tuff_candidates *list = tuff_alloc(1, sizeof *list);
    tuff_status status = t && list ? TUFF_OK : TUFF_ERR_MEMORY;
    if (status != TUFF_OK) goto exit;
    t->dev = dev;
    t->caps = tuff_device_caps(dev);
    t->table = t->caps->tuning;
    t->call = c;
    t->class = class;
    t->end = end;
    t->full = t->table->params.mode == TUFF_TUNE_FULL;
    t->details = details;
    if (strlen(c->op->name) >= TUFF_TUNED_NAME || !c->op->ref ||
        tuff_tuning_class(c, class, sizeof class) >= sizeof class ||
        (!details && is_known(t)))
        goto exit;
    const double most = t->full ? FULL_STEPS : QUICK_STEPS;
    t->whole = tuff_call_work(c) <= most;
    if (!tuff_tune_cut(c, most, &t->cut) || is_late(t, preparation(t))) goto exit;
    TUFF_GO(tuff_tune_candidates(c, t->caps, t->full, list));
    if (list->count > 1) status = try_all(t, list);
    *done = t->compared > 1;
    clean_up(t);
exit:
    tuff_free(t);
    tuff_free(list);
    // What cannot be judged is run as ever.
    return status == TUFF_ERR_MEMORY || status == TUFF_ERR_LOST ? status : TUFF_OK;
}

// ---- many --------------------------------------------------------------------------------

bool tuff_tune_wanted(tuff_device *dev)
{
    const tuff_tuning *t = tuff_device_caps(dev)->tuning;
    const char *variant = getenv("TUFF_VARIANT");
    return t && t->params.mode != TUFF_TUNE_OFF && t->left > 0 && (!variant || !*variant);
}

typedef struct share {
    const tuff_call *call;
    double seconds; // a guess that serves to compare
    bool done;      // measured just now
} share;

static int by_share(const void *a, const void *b)
{
    const double x = ((const share *)a)->seconds, y = ((const share *)b)->seconds;
    return (x < y) - (x > y);
}

// Calls by what they take of a program's time, largest first. Returns the time of all.
static double sort_calls(const tuff_call calls[], int count, share *list)
{
    double all = 0;
    for (int i = 0; i < count; i++) {
        const tuff_cost cost = tuff_call_cost(&calls[i]);
        list[i] = (share){ .call = &calls[i],
                           .seconds = cost.flops * 1e-10 + cost.bytes * 2e-10 + 2e-5 };
        all += list[i].seconds;
    }
    if (count) qsort(list, (size_t)count, sizeof *list, by_share);
    return all;
}

tuff_status tuff_tune_calls(tuff_device *dev, const tuff_call calls[], int count)
{
    if (!tuff_tune_wanted(dev)) return TUFF_OK;
    tuff_tuning *t = tuff_device_caps(dev)->tuning;
    share *list = tuff_alloc((size_t)count + 1, sizeof *list);
    if (!list) return TUFF_ERR_MEMORY;
    const bool full = t->params.mode == TUFF_TUNE_FULL;
    const double began = tuff_time_now(), end = isinf(t->left) ? 0 : began + t->left;
    const double all = sort_calls(calls, count, list);
    tuff_status status = TUFF_OK;
    if (t->slowest == 0) t->slowest = tuff_device_caps(dev)->slow_compile ? 1 : 0.2;
    for (int i = 0; i < count && status == TUFF_OK; i++) {
        if (!full && list[i].seconds < SMALL_SHARE * all) continue;
        status = tune_call(dev, list[i].call, end, false, &list[i].done);
        if (full) tuff_tune_keep(t); // whoever loses patience loses little
    }
    for (int i = 0; i < count && status == TUFF_OK; i++)
        if (!full && list[i].done)
            status = tune_call(dev, list[i].call, end, true, &list[i].done);
    tuff_free(list);
    const double spent = tuff_time_now() - began;
    pthread_mutex_lock(&t->lock);
    t->left -= spent;
    t->stats.seconds += spent;
    pthread_mutex_unlock(&t->lock);
    tuff_tune_keep(t);
    return status;
}
