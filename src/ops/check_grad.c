// Gradients: the device's against the CPU path's, and those of the CPU path's reference
// against central differences; see check.h.
//
// With L(x) = sum(dy y(x)), a gradient dx is right when, for a small step h of one element,
//
//     D(h) = (L(x + h) - L(x - h)) / 2h  =  dx + h^2 L'''/6 + ...
//
// and for steps h_e of all elements at once, of random signs, L(x + h) - L(x - h) is the sum
// of 2 h_e dx_e, which sees every element with two calls. Two things blur D:
//
//   the bend      of two steps the h^2 term is known, and taken away (Richardson):
//                 D = D(h/4) + (D(h/4) - D(h)) / 15, whose error is of order h^4
//   the rounding  of y to f32, in every element that has moved: half a unit of its last place
//                 at either end. Its sum is known too (`noise`), and grows as h shrinks
//
// A kink (relu, max) is no bend: there the slopes to both sides differ however small h is,
// where those of a bend close with it. So a step starts large and is divided by four until
// both sides agree, or come to, and D agrees with that of the step before; where they never
// do, the function has a kink there and the place is not judged. That decision never looks at
// the gradient that is being judged.
//
// The tolerance of 1e-4. Two steps agree when they differ by less than a quarter of it, beside
// their rounding. Of a bend Richardson leaves a fifteenth of that or less; a kink K just inside
// the step, at h/8, moves D(h/4) by K/4 and tells itself by 3K/16, so one that hides moves D
// by a third of the tolerance at most. The rest is left to the rounding of dx, that of the ops
// that it is composed of, of which most keep to 1e-6 and none but Winograd's, which no rule
// asks for, to more than 1e-5. An rms of D stands beside |D| in the quotient, so that a
// gradient wrong by 2e-4 of itself is one beyond 1e-4.
#include "base/alloc.h"
#include "base/rng.h"
#include "base/time.h"
#include "ops/check.h"
#include "ops/lower.h"
#include <math.h>
#include <string.h>

enum {
    ELEMENTS = 16,            // judged one by one, of each input
    DIRECTIONS = 2,
    STEPS = 5,                // tried at a place, each a quarter of the one before
    LARGEST = 1 << 18         // elements of a case whose gradient is looked at
};
static const double budget = 3e7;      // steps that one input's differences may take
static const double work_in_haste = 3e8; // steps of an op of a rule, where time is short
static const double first_step = 0.02; // of |x|, or of 0.5 where that is more
static const double floor_of_dy = 1e-6;
static const double tolerance_of_most = 1e-4;

typedef struct judge {
    tuff_trial *t;
    const tuff_call *call;
    float *dy[TUFF_OP_OUT], *dx[TUFF_OP_IN], *cpu_dx[TUFF_OP_IN];
    void *high[TUFF_OP_OUT], *low[TUFF_OP_OUT]; // outputs of the points to both sides
    double *slope[TUFF_OP_OUT];                 // dy dy/dx by the last step
    void *scratch; // of a lowered call
    double dy_max;
    double tolerance, error;      // error: the largest by central differences, -1: none yet
    double end;                   // differences not begun by then are left out; 0: none are
    int input;
    float *saved; // the input's elements where nothing is moved
    double scale; // rms of the differences judged so far in this input
} judge;

// Gradients of the outputs: of both signs, none near 0.
static tuff_status draw_dy(judge *j, uint64_t seed)
{
    const size_t lowered = tuff_lower_bytes(j->call, NULL);
    j->scratch = lowered ? tuff_alloc(lowered, 1) : NULL;
    if (lowered && !j->scratch) return TUFF_ERR_MEMORY;
    for (int o = 0; o < j->call->nout; o++) {
        const tuff_desc *d = &j->call->out[o];
        j->high[o] = tuff_alloc(tuff_desc_bytes(d), 1);
        j->low[o] = tuff_alloc(tuff_desc_bytes(d), 1);
        if (!j->high[o] || !j->low[o]) return TUFF_ERR_MEMORY;
        if (d->dtype != TUFF_F32 || j->call->op->out[o].no_grad) continue;
        const size_t n = (size_t)tuff_desc_count(d);
        j->dy[o] = tuff_alloc(n, sizeof **j->dy);
        j->slope[o] = tuff_alloc(n, sizeof **j->slope);
        if (!j->dy[o] || !j->slope[o]) return TUFF_ERR_MEMORY;
        tuff_rng rng = { .seed = tuff_rng_fork(seed, 100 + (uint64_t)o) };
        for (size_t i = 0; i < n; i++) {
            const float v = 0.5f + tuff_rng_uniform(&rng);
            j->dy[o][i] = tuff_rng_word(&rng) & 1 ? v : -v;
            j->dy_max = fmax(j->dy_max, (double)v);
        }
    }
    return TUFF_OK;
}

// ---- central differences -------------------------------------------------------------------

static double step_of(const judge *j, double x, double factor)
{
    float low, high;
    tuff_trial_range(j->call->op, j->input, &low, &high);
    return first_step * factor * fmax(fabs(x), 0.5) * fmin(1, ((double)high - low) / 2);
}

static double gradient_at(const judge *j, size_t e)
{
    return j->dx[j->input] ? (double)j->dx[j->input][e] : 0;
}

// The reference, with the casts around a call of types that are not its own.
static void run(const judge *j, void *const y[])
{
    tuff_call low;
    tuff_ref r;
    tuff_lower_begin(j->call, j->t->in, y, j->scratch, NULL, &low, &r);
    r.end = tuff_trial_units(&low);
    low.op->ref(&r);
    tuff_lower_end(j->call, &r, y, NULL);
}

// One step to both sides of the middle. Sizes are roots of sums of squares over the elements
// of y, so that what one does to L does not hide what another does, nor is lost among many.
// Of each, what its rounding may make of it is taken off.
typedef struct probe {
    double quotient;  // D(h)
    double noise;     // of the quotient
    double size;      // of dy dy/dx
    double asymmetry; // of the differences between the slopes to both sides
    double change;    // of the differences from the step before
} probe;

// The distance from |v| to the next larger number of f32.
static double spacing(float v)
{
    int exponent;
    frexp((double)v, &exponent);
    return ldexp(1, exponent - 24 > -149 ? exponent - 24 : -149);
}

// Of j->high and j->low, the outputs `width` apart. An element's rounding moves the difference
// by a unit of its last place at most; those of many add up as random numbers do, which five
// standard deviations (a unit's is 0.41) bound. An element that stays may have moved by less
// than its rounding shows. Were there many such, some would have shown: four units of the
// largest stand for all of them.
static probe probe_of(const judge *j, double width)
{
    probe p = { 0 };
    double most = 0, squares = 0, hidden = 0;
    int still = 0;
    for (int o = 0; o < j->call->nout; o++) {
        const size_t n = j->dy[o] ? (size_t)tuff_desc_count(&j->call->out[o]) : 0;
        const float *high = j->high[o], *low = j->low[o], *middle = j->t->want[o];
        for (size_t i = 0; i < n; i++) {
            const double dy = (double)j->dy[o][i];
            const double unit = fabs(dy) * spacing(fmaxf(fabsf(high[i]), fabsf(low[i])));
            const double up = dy * ((double)high[i] - (double)middle[i]);
            const double down = dy * ((double)middle[i] - (double)low[i]);
            const double slope = (up + down) / width, before = j->slope[o][i];
            j->slope[o][i] = slope;
            p.quotient += slope;
            const double aside = fmax(0, 2 * fabs(up - down) - 4 * unit) / width;
            // The step before was four times as wide, or there was none.
            const double change = fmax(0, fabs(slope - before) - 1.25 * unit / width);
            p.size += slope * slope;
            p.asymmetry += aside * aside;
            p.change += change * change;
            if (up != 0 || down != 0) {
                most += unit;
                squares += unit * unit;
            } else {
                hidden = fmax(hidden, unit);
                still += still < 4;
            }
        }
    }
    p.size = sqrt(p.size);
    p.asymmetry = sqrt(p.asymmetry);
    p.change = sqrt(p.change);
    p.noise = fmin(most + still * hidden, 2 * sqrt(squares + 4 * hidden * hidden)) / width;
    return p;
}

// No kink between the two sides: their slopes agree, or close as the step shrinks.
static bool is_straight(const judge *j, probe wide, probe narrow)
{
    return narrow.asymmetry <= 0.25 * j->tolerance * narrow.size ||
           narrow.asymmetry <= 0.5 * wide.asymmetry;
}

static bool agree(const judge *j, probe wide, probe narrow)
{
    return is_straight(j, wide, narrow) && narrow.change <= 0.25 * j->tolerance * narrow.size;
}

// What two steps that agree make of the derivative, and its noise: that of both, and what a
// kink hidden in theirs may do to them (see above).
static double extrapolated(probe wide, probe narrow, double *noise)
{
    *noise = (16 * narrow.noise + wide.noise) / 15 + 4 * (narrow.noise + wide.noise) / 3;
    return narrow.quotient + (narrow.quotient - wide.quotient) / 15;
}

static void note(judge *j, double difference, double want, double noise, double scale)
{
    const double e = fmax(0, fabs(difference - want) - noise);
    const double r = e == 0 ? 0 : e / (fabs(difference) + scale);
    if (!(r <= j->error)) j->error = isnan(r) ? INFINITY : r;
}

// The derivative by one element, or false where there is none.
static bool derivative(judge *j, size_t e, double *difference, double *noise)
{
    float *x = j->t->in[j->input];
    const double middle = (double)x[e];
    probe wide = { 0 };
    double factor = 1;
    for (int n = 0; n < STEPS; n++, factor /= 4) {
        const double h = step_of(j, middle, factor);
        const float up = (float)(middle + h), down = (float)(middle - h);
        x[e] = up;
        run(j, j->high);
        x[e] = down;
        run(j, j->low);
        x[e] = j->saved[e];
        const probe narrow = probe_of(j, (double)up - (double)down);
        *difference = extrapolated(wide, narrow, noise);
        if (n > 0 && agree(j, wide, narrow)) return true;
        wide = narrow;
    }
    return false;
}

static bool late(const judge *j) { return j->end > 0 && tuff_time_now() >= j->end; }

// All elements of a small input, some of a large one.
static void judge_elements(judge *j, int most, tuff_rng *rng)
{
    const size_t n = (size_t)tuff_desc_count(&j->call->in[j->input]);
    const int count = n < (size_t)most ? (int)n : most;
    double difference[ELEMENTS], noise[ELEMENTS], sum = 0;
    size_t at[ELEMENTS];
    int judged = 0;
    for (int k = 0; k < count && !late(j); k++) {
        const size_t e = n <= (size_t)most ? (size_t)k : tuff_rng_below(rng, (uint32_t)n);
        if (!derivative(j, e, &difference[judged], &noise[judged])) continue;
        sum += difference[judged] * difference[judged];
        at[judged++] = e;
    }
    if (judged) j->scale = sqrt(sum / judged);
    for (int k = 0; k < judged; k++)
        note(j, difference[k], gradient_at(j, at[k]), noise[k] + floor_of_dy * j->dy_max,
             j->scale);
}

// Moves every element along its sign; the expected change of L, and that of one element.
static double move(judge *j, uint64_t seed, double factor, int way, double *one)
{
    float *x = j->t->in[j->input];
    const size_t n = (size_t)tuff_desc_count(&j->call->in[j->input]);
    double sum = 0, squares = 0;
    for (size_t e = 0; e < n; e++) {
        const double h = step_of(j, (double)j->saved[e], factor);
        const double u = tuff_rng_word_at(seed, e) & 1 ? h : -h;
        const float up = (float)((double)j->saved[e] + u);
        const float down = (float)((double)j->saved[e] - u);
        const double change = gradient_at(j, e) * ((double)up - (double)down);
        x[e] = way > 0 ? up : down;
        sum += change;
        squares += change * change;
    }
    *one = sqrt(squares);
    return sum;
}

static void judge_direction(judge *j, uint64_t seed)
{
    const size_t bytes = tuff_desc_bytes(&j->call->in[j->input]);
    const double floor = floor_of_dy * j->dy_max * first_step *
                         sqrt((double)bytes / sizeof(float));
    probe wide = { 0 };
    double factor = 0.25, one, noise;
    for (int n = 0; n < STEPS; n++, factor /= 4) {
        const double want = move(j, seed, factor, 1, &one);
        run(j, j->high);
        move(j, seed, factor, -1, &one);
        run(j, j->low);
        memcpy(j->t->in[j->input], j->saved, bytes);
        const probe narrow = probe_of(j, factor);
        const double difference = extrapolated(wide, narrow, &noise);
        if (n > 0 && agree(j, wide, narrow)) {
            note(j, difference, want / factor, noise + floor, one / factor);
            return;
        }
        wide = narrow;
    }
}

static tuff_status judge_input(judge *j, int input, double work, uint64_t seed)
{
    const size_t bytes = tuff_desc_bytes(&j->call->in[input]);
    const double calls = budget / work;
    if (calls < 4 * STEPS) return TUFF_OK;
    const int most = calls / (2 * STEPS) < ELEMENTS ? (int)(calls / (2 * STEPS)) : ELEMENTS;
    tuff_rng rng = { .seed = tuff_rng_fork(seed, 200 + (uint64_t)input) };
    j->input = input;
    j->saved = tuff_alloc(bytes, 1);
    if (!j->saved) return TUFF_ERR_MEMORY;
    memcpy(j->saved, j->t->in[input], bytes);
    judge_elements(j, most, &rng);
    for (int n = 0; n < DIRECTIONS && !late(j); n++)
        judge_direction(j, tuff_rng_fork(rng.seed, (uint64_t)n));
    tuff_free(j->saved);
    j->saved = NULL;
    return TUFF_OK;
}

static bool differentiable(const tuff_call *c, int input)
{
    return tuff_call_has(c, input) && c->in[input].dtype == TUFF_F32 &&
           !c->op->in[input].no_grad;
}

static tuff_status judge_differences(judge *j, uint64_t seed)
{
    const tuff_call *c = j->call;
    const double work = tuff_call_work(c);
    for (int i = 0; i < c->nin; i++)
        if (differentiable(c, i)) TUFF_TRY(judge_input(j, i, work, seed));
    return TUFF_OK;
}

// ---- against the CPU path -----------------------------------------------------------------

static tuff_status judge_device(const judge *j, double *error, double tolerance)
{
    for (int i = 0; i < j->call->nin; i++) {
        if (!j->dx[i] && !j->cpu_dx[i]) continue;
        TUFF_REQUIRE(j->dx[i] && j->cpu_dx[i], CHECK, "the gradient of %s is there on one "
                     "device alone", j->call->op->in[i].name);
        const double e = tuff_trial_error(&j->call->in[i], j->dx[i], j->cpu_dx[i],
                                          floor_of_dy * j->dy_max, tolerance);
        if (e > *error) *error = e;
    }
    return TUFF_OK;
}

static void tear_down(judge *j)
{
    for (int o = 0; o < TUFF_OP_OUT; o++) {
        tuff_free(j->dy[o]);
        tuff_free(j->high[o]);
        tuff_free(j->low[o]);
        tuff_free(j->slope[o]);
    }
    for (int i = 0; i < TUFF_OP_IN; i++) {
        tuff_free(j->dx[i]);
        tuff_free(j->cpu_dx[i]);
    }
    tuff_free(j->scratch);
    tuff_trial_destroy(&j->t);
}

static tuff_status check_both(judge *j, const tuff_op *subject, uint64_t seed,
                              tuff_stream *stream, tuff_stream *cpu, double *error,
                              double *tolerance)
{
    double sum, device = -1;
    const double most = j->end > 0 ? work_in_haste : INFINITY;
    TUFF_TRY(draw_dy(j, seed));
    TUFF_TRY(tuff_eager_grad(j->t, subject, stream, most, j->dy, j->dx, &sum));
    const double tight = 2 * sum + 1e-6;
    if (cpu) {
        TUFF_TRY(tuff_eager_grad(j->t, j->call->op, cpu, most, j->dy, j->cpu_dx, &sum));
        device = 0;
        TUFF_TRY(judge_device(j, &device, tight));
    }
    if (!j->call->op->surrogate) TUFF_TRY(judge_differences(j, seed));
    else if (!cpu) j->error = 0; // nothing to hold it against
    const bool worse = device / tight > j->error / j->tolerance;
    *error = worse ? device : j->error;
    *tolerance = worse ? tight : j->tolerance;
    TUFF_REQUIRE(*error <= *tolerance, CHECK, "the gradient differs by %.3g from %s, expected "
                 "at most %.3g", *error, worse ? "the CPU path's" : "central differences",
                 *tolerance);
    return TUFF_OK;
}

tuff_status tuff_check_grad(const tuff_op *op, const tuff_op *subject, const char *text,
                            uint64_t seed, tuff_stream *stream, tuff_stream *cpu, double end,
                            double *error, double *tolerance)
{
    judge j = { .error = -1, .end = end,
                .tolerance = op->grad_tol > 0 ? (double)op->grad_tol : tolerance_of_most };
    tuff_case c;
    *error = -1;
    *tolerance = j.tolerance;
    TUFF_TRY(tuff_case_parse(op, TUFF_F32, text, &c));
    int64_t size = 0;
    for (int i = 0; i < c.call.nin; i++)
        size += tuff_call_has(&c.call, i) ? tuff_desc_count(&c.call.in[i]) : 0;
    bool real = false; // a derivative is taken of outputs of f32 alone
    for (int o = 0; o < c.call.nout; o++) real |= c.call.out[o].dtype == TUFF_F32;
    if (size > LARGEST || !real) return TUFF_OK;
    TUFF_TRY(tuff_trial_create(op, TUFF_F32, text, seed, TUFF_DRAW_SPACED, &j.t));
    j.call = &j.t->c.call;
    const bool before = tuff_select_oracle(true);
    const tuff_status status = check_both(&j, subject, seed, stream, cpu, error, tolerance);
    tuff_select_oracle(before);
    tear_down(&j);
    return status;
}
