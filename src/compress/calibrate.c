#include "compress/calibrate.h"
#include "base/alloc.h"
#include "base/status.h"
#include "compress/probe.h"
#include "train/evaluate.h"
#include <math.h>
#include <string.h>

enum { LEVELS = 256, TRIES = 100 };

static const char *const names[] = { "minmax", "average", "percentile", "entropy", "mse" };
enum { METHODS = sizeof names / sizeof *names };

tuff_status tuff_calibration_parse(const char *name, tuff_calibration *method)
{
    for (int i = 0; i < METHODS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *method = (tuff_calibration)i;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_FORMAT, "calibration: '%.64s' is not known, expected minmax, "
                     "average, percentile, entropy or mse", name);
}

const char *tuff_calibration_name(tuff_calibration method)
{
    return (int)method >= 0 && (int)method < METHODS ? names[method] : "?";
}

// ---- cutting a range ----------------------------------------------------------------------

// Leaves out half of what is too much at either end.
static void cut_percentile(const double bin[], double kept, float *low, float *high)
{
    const double width = ((double)*high - *low) / TUFF_BINS;
    double all = 0, gone;
    int first = 0, last = TUFF_BINS - 1;
    for (int i = 0; i < TUFF_BINS; i++) all += bin[i];
    const double most = all * (1 - kept / 100) / 2;
    for (gone = bin[0]; gone <= most && first < last; gone += bin[++first]) {}
    for (gone = bin[last]; gone <= most && last > first; gone += bin[--last]) {}
    const double from = *low;
    *low = (float)fmin(0, from + width * first);
    *high = (float)fmax(0, from + width * (last + 1));
}

// What a cut at `part` of the range leaves, in bins: [*first, *end).
static void bins_of(double low, double high, double part, int *first, int *end)
{
    const double width = (high - low) / TUFF_BINS;
    *first = (int)fmax(0, floor((low * part - low) / width + 0.5));
    *end = (int)fmin(TUFF_BINS, ceil((high * part - low) / width - 0.5));
    if (*end <= *first) *end = *first + 1 < TUFF_BINS ? *first + 1 : TUFF_BINS;
}

// The divergence of the cut distribution (what is outside lies on its ends) from the same in
// LEVELS steps, each of whose mass is spread over those of its bins that had any (Migacz 2017).
static double divergence(const double bin[], int first, int end)
{
    const int n = end - first;
    double sum = 0, lost = 0, kl = 0;
    double p[TUFF_BINS];
    memcpy(p, bin + first, (size_t)n * sizeof *p);
    for (int i = 0; i < first; i++) p[0] += bin[i];
    for (int i = end; i < TUFF_BINS; i++) p[n - 1] += bin[i];
    for (int i = 0; i < n; i++) sum += p[i];
    for (int step = 0; step < LEVELS; step++) {
        const int from = (int)((int64_t)step * n / LEVELS);
        const int to = (int)((int64_t)(step + 1) * n / LEVELS);
        double mass = 0;
        int filled = 0;
        for (int i = from; i < to; i++) {
            mass += bin[first + i];
            filled += bin[first + i] > 0;
        }
        for (int i = from; i < to; i++) {
            if (p[i] <= 0) continue;
            const double q = bin[first + i] > 0 ? mass / filled : 0;
            if (q > 0) kl += p[i] / sum * log(p[i] / q);
            else lost += p[i] / sum;
        }
    }
    // Mass that the steps have none for would be infinitely far: it counts as very far.
    return kl + lost * 20;
}

// Squared error of LEVELS steps over part of the range; what is outside lies on its ends.
static double squared_error(const double bin[], double low, double high, double part)
{
    const double width = (high - low) / TUFF_BINS, from = low * part, to = high * part;
    const double step = (to - from) / (LEVELS - 1);
    double error = 0;
    for (int i = 0; i < TUFF_BINS; i++) {
        const double x = low + width * (i + 0.5);
        const double near = from + rint((x - from) / step) * step;
        const double q = x <= from ? from : x >= to ? to : near;
        error += bin[i] * (x - q) * (x - q);
        // Inside of a step all places are as likely: that is more than the bin's middle tells.
        if (x > from && x < to) error += bin[i] * fmin(width, step) * fmin(width, step) / 12;
    }
    return error;
}

// A relu's zeros, which any steps describe, would outweigh the rest: theirs is a bin as its
// neighbours are.
static void even_out_zero(double bin[], double low, double high)
{
    const int at = (int)fmin(TUFF_BINS - 1, -low * TUFF_BINS / (high - low));
    const double left = at > 0 ? bin[at - 1] : bin[at + 1];
    const double right = at + 1 < TUFF_BINS ? bin[at + 1] : bin[at - 1];
    bin[at] = fmin(bin[at], (left + right) / 2);
}

void tuff_range_cut(const double bin[TUFF_BINS], const tuff_ptq_params *p, float *low,
                    float *high)
{
    const double a = *low, b = *high;
    double best = INFINITY, part = 1;
    if (p->method == TUFF_CALIBRATE_PERCENTILE) {
        cut_percentile(bin, p->percentile ? p->percentile : 99.99, low, high);
        return;
    }
    double even[TUFF_BINS];
    memcpy(even, bin, sizeof even);
    even_out_zero(even, a, b);
    for (int i = TRIES; i >= 10; i--) {
        const double tried = (double)i / TRIES;
        int first, end;
        bins_of(a, b, tried, &first, &end);
        if (end - first < LEVELS) break;
        const double loss = p->method == TUFF_CALIBRATE_ENTROPY
                                ? divergence(even, first, end)
                                : squared_error(bin, a, b, tried);
        if (loss >= best) continue;
        best = loss;
        part = tried;
    }
    *low = (float)(a * part);
    *high = (float)(b * part);
}

// ---- running ------------------------------------------------------------------------------

typedef struct run {
    tuff_model *model;
    const tuff_ptq_params *p;
    tuff_observed *o;        // 1 + parts
    double (*bin)[TUFF_BINS]; // likewise; NULL while ranges are found
    double *sum;             // of channels, all parts' one after the other
    int64_t *place;          // of a part's in it
    int64_t examples;
    int batches;
    tuff_probe probe;
    float *value;            // of the largest output
} run;

static int tensors(const run *r) { return r->model->parts + 1; }

static const tuff_desc *sample_of(const run *r, int i)
{
    return i ? &r->model->part[i - 1].output : &r->model->input;
}

// Of a part: what it gives.
static tuff_var output_of(void *user, tuff_graph *g, int part, tuff_var x,
                          const tuff_var made[])
{
    (void)user, (void)g, (void)x;
    return made[part];
}

// ---- looking ------------------------------------------------------------------------------

static tuff_status look_range(run *r, int i, const float *v, int64_t n)
{
    float low = 0, high = 0;
    for (int64_t k = 0; k < n; k++) {
        TUFF_REQUIRE(isfinite(v[k]), CHECK, "calibrate: %s%s gives %g",
                     i ? "layer " : "the data", i ? r->model->part[i - 1].item.name : "",
                     (double)v[k]);
        low = fminf(low, v[k]);
        high = fmaxf(high, v[k]);
    }
    tuff_observed *o = &r->o[i];
    if (r->p->method == TUFF_CALIBRATE_AVERAGE && r->batches) {
        o->low += 0.1f * (low - o->low);
        o->high += 0.1f * (high - o->high);
    } else {
        o->low = fminf(o->low, low);
        o->high = fmaxf(o->high, high);
    }
    return TUFF_OK;
}

static void look_means(run *r, int i, const float *v, int64_t n)
{
    const int64_t channels = r->o[i].channels;
    const int64_t inner = tuff_desc_count(sample_of(r, i)) / channels;
    double *sum = r->sum + r->place[i];
    for (int64_t k = 0; k < n; k += inner) {
        double of = 0;
        for (int64_t m = 0; m < inner; m++) of += v[k + m];
        sum[k / inner % channels] += of / (double)inner;
    }
}

static void look_bins(run *r, int i, const float *v, int64_t n)
{
    const tuff_observed *o = &r->o[i];
    const double by = TUFF_BINS / ((double)o->high - o->low);
    for (int64_t k = 0; o->high > o->low && k < n; k++) {
        const int at = (int)(((double)v[k] - o->low) * by);
        r->bin[i][at < 0 ? 0 : at >= TUFF_BINS ? TUFF_BINS - 1 : at]++;
    }
}

static tuff_status look(run *r, int i, const float *v, int64_t count)
{
    const int64_t n = count * tuff_desc_count(sample_of(r, i));
    if (r->bin) {
        look_bins(r, i, v, n);
        return TUFF_OK;
    }
    look_means(r, i, v, n);
    return look_range(r, i, v, n);
}

static tuff_status look_batch(void *user, const float *x, int64_t count)
{
    run *r = user;
    TUFF_TRY(tuff_probe_run(&r->probe, x, count));
    TUFF_TRY(look(r, 0, x, count));
    for (int i = 1; i < tensors(r); i++) {
        const int64_t n = count * tuff_desc_count(sample_of(r, i));
        TUFF_TRY(tuff_probe_read(&r->probe, i - 1, r->value, n));
        TUFF_TRY(look(r, i, r->value, count));
    }
    r->batches++;
    r->examples += count;
    return TUFF_OK;
}

static tuff_status go_through(run *r, const tuff_dataset *data)
{
    const tuff_examples e = { .count = r->p->examples ? r->p->examples : 512,
                              .batch = r->p->batch ? r->p->batch : 64, .seed = r->p->seed };
    r->examples = r->batches = 0;
    return tuff_each_batch(data, &e, look_batch, r);
}

static tuff_status open_run(run *r)
{
    const int n = tensors(r);
    int64_t largest = 1, channels = 0;
    r->o = tuff_alloc((size_t)n, sizeof *r->o);
    r->place = tuff_alloc((size_t)n, sizeof *r->place);
    if (!r->o || !r->place) return TUFF_ERR_MEMORY;
    for (int i = 0; i < n; i++) {
        const int64_t size = tuff_desc_count(sample_of(r, i));
        largest = size > largest ? size : largest;
        r->place[i] = channels;
        channels += r->o[i].channels = sample_of(r, i)->dim[0];
        r->o[i].mean = tuff_alloc((size_t)r->o[i].channels, sizeof(float));
        if (!r->o[i].mean) return TUFF_ERR_MEMORY;
    }
    r->sum = tuff_alloc((size_t)channels, sizeof *r->sum);
    r->value = tuff_alloc((size_t)(largest * (r->p->batch ? r->p->batch : 64)), sizeof(float));
    return r->sum && r->value ? TUFF_OK : TUFF_ERR_MEMORY;
}

static tuff_status cut_ranges(run *r, const tuff_dataset *data)
{
    if (r->p->method < TUFF_CALIBRATE_PERCENTILE) return TUFF_OK;
    r->bin = tuff_alloc((size_t)tensors(r), sizeof *r->bin);
    if (!r->bin) return TUFF_ERR_MEMORY;
    TUFF_TRY(go_through(r, data));
    for (int i = 0; i < tensors(r); i++)
        if (r->o[i].high > r->o[i].low)
            tuff_range_cut(r->bin[i], r->p, &r->o[i].low, &r->o[i].high);
    return TUFF_OK;
}

tuff_status tuff_calibrate(tuff_model *model, tuff_dataset *data, const tuff_ptq_params *p,
                           tuff_observed **observed)
{
    run r = { .model = model, .p = p, .probe = { .model = model, .look = output_of } };
    tuff_status status = TUFF_OK;
    *observed = NULL;
    TUFF_GO(tuff_agree(model, data, true));
    TUFF_GO(open_run(&r));
    TUFF_GO(go_through(&r, data));
    for (int i = 0; i < tensors(&r); i++)
        for (int64_t c = 0; c < r.o[i].channels; c++)
            r.o[i].mean[c] = (float)(r.sum[r.place[i] + c] / (double)r.examples);
    TUFF_GO(cut_ranges(&r, data));
    *observed = r.o;
    r.o = NULL;
exit:
    tuff_probe_close(&r.probe);
    tuff_observed_free(&r.o, model);
    tuff_free(r.place);
    tuff_free(r.sum);
    tuff_free(r.value);
    tuff_free(r.bin);
    return status;
}

void tuff_observed_free(tuff_observed **observed, const tuff_model *model)
{
    tuff_observed *o = *observed;
    for (int i = 0; o && i <= model->parts; i++) tuff_free(o[i].mean);
    tuff_free(o);
    *observed = NULL;
}
