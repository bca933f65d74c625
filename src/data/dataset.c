// Examples in memory, which of them are in which part, and how they are normalised.
#include "data/dataset.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include "data/array.h"
#include "data/parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 1 << 20, MOST_TABLED = 64 };
// Purposes of numbers of the split seed.
enum { FORK_TEST = 1, FORK_HELD = 2 };

struct tuff_dataset {
    tuff_dataset_info info;
    tuff_parts parts;
    uint32_t *rows[TUFF_SPLITS]; // [info.count]: examples of each part
    tuff_desc source;            // an example before padding: [C, H, W] or [F]
    size_t pixels;               // elements of a channel of `source`
    size_t top, left;            // zeros laid round an image
    float *scale, *shift;        // [info.channels]
    float (*table)[256];         // [info.channels] the value of each byte; NULL: many channels
};

static const tuff_array *examples(const tuff_dataset *d, tuff_split split)
{
    return split == TUFF_TEST && d->parts.test_x.data ? &d->parts.test_x : &d->parts.x;
}

static const tuff_array *answers(const tuff_dataset *d, tuff_split split)
{
    return split == TUFF_TEST && d->parts.test_y.data ? &d->parts.test_y : &d->parts.y;
}

// ---- parts ----------------------------------------------------------------------------------

static uint32_t *count_up(int64_t n)
{
    uint32_t *rows = tuff_alloc((size_t)n, sizeof *rows);
    for (int64_t i = 0; rows && i < n; i++) rows[i] = (uint32_t)i;
    return rows;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Moves k rows of TRAIN, drawn by `seed`, to another part. Both keep the file's order.
static tuff_status put_aside(tuff_dataset *d, tuff_split to, int64_t k, uint64_t seed)
{
    int64_t *n = &d->info.count[TUFF_TRAIN];
    uint32_t *rows = d->rows[TUFF_TRAIN];
    tuff_rng rng = { .seed = seed };
    TUFF_REQUIRE(k >= 1 && k < *n, ARG,
                 "%lld of %lld examples are to be put aside, expected 1 at least, and not all",
                 (long long)k, (long long)*n);
    d->rows[to] = tuff_alloc((size_t)k, sizeof *rows);
    if (!d->rows[to]) return TUFF_ERR_MEMORY;
    tuff_rng_shuffle(&rng, rows, (size_t)*n);
    *n -= k;
    memcpy(d->rows[to], rows + *n, (size_t)k * sizeof *rows);
    qsort(rows, (size_t)*n, sizeof *rows, ascending);
    qsort(d->rows[to], (size_t)k, sizeof *rows, ascending);
    d->info.count[to] = k;
    return TUFF_OK;
}

// One of `without`, n bytes long, as a class.
static tuff_status find_class(const tuff_dataset *d, const char *word, size_t n, int *class)
{
    char *end = NULL;
    for (int i = 0; d->info.class_names && i < d->info.classes; i++) {
        *class = i;
        if (strlen(d->info.class_names[i]) == n && memcmp(d->info.class_names[i], word, n) == 0)
            return TUFF_OK;
    }
    const long value = strtol(word, &end, 10);
    TUFF_REQUIRE(n && end == word + n && value >= 0 && value < d->info.classes, ARG,
                 "without: '%.*s' is no class, expected numbers from 0 to %d, or names",
                 n < 60 ? (int)n : 60, word, d->info.classes - 1);
    *class = (int)value;
    return TUFF_OK;
}

static tuff_status leave_out(tuff_dataset *d, const char *without)
{
    if (!without) return TUFF_OK;
    TUFF_REQUIRE(d->info.classes, ARG, "without: classes are named, the data have targets");
    uint32_t *rows = d->rows[TUFF_TRAIN];
    const int32_t *label = d->parts.y.data;
    for (const char *word = without, *next; word; word = next) {
        int class = 0;
        int64_t kept = 0;
        const size_t n = strcspn(word, ",");
        next = word[n] ? word + n + 1 : NULL;
        TUFF_TRY(find_class(d, word, n, &class));
        for (int64_t i = 0; i < d->info.count[TUFF_TRAIN]; i++)
            if (label[rows[i]] != class) rows[kept++] = rows[i];
        d->info.count[TUFF_TRAIN] = kept;
    }
    TUFF_REQUIRE(d->info.count[TUFF_TRAIN] > 0, ARG,
                 "without: no training example is left without '%.60s'", without);
    return TUFF_OK;
}

static void limit(int64_t *count, int64_t most)
{
    if (most > 0 && *count > most) *count = most;
}

static tuff_status make_splits(tuff_dataset *d, const tuff_dataset_params *p)
{
    int64_t *count = d->info.count;
    count[TUFF_TRAIN] = d->parts.x.desc.dim[0];
    d->rows[TUFF_TRAIN] = count_up(count[TUFF_TRAIN]);
    if (!d->rows[TUFF_TRAIN]) return TUFF_ERR_MEMORY;
    if (d->parts.test_x.data) {
        count[TUFF_TEST] = d->parts.test_x.desc.dim[0];
        d->rows[TUFF_TEST] = count_up(count[TUFF_TEST]);
        if (!d->rows[TUFF_TEST]) return TUFF_ERR_MEMORY;
    } else {
        const int64_t fifth = (count[TUFF_TRAIN] + 4) / 5;
        TUFF_TRY(put_aside(d, TUFF_TEST, fifth, tuff_rng_fork(p->split_seed, FORK_TEST)));
    }
    TUFF_TRY(leave_out(d, p->without));
    limit(&count[TUFF_TRAIN], p->limit_train);
    limit(&count[TUFF_TEST], p->limit_test);
    if (p->held_out == 0) return TUFF_OK;
    const int64_t k = (int64_t)((double)p->held_out * (double)count[TUFF_TRAIN] + 0.5);
    return put_aside(d, TUFF_HELD, k, tuff_rng_fork(p->split_seed, FORK_HELD));
}

// ---- what the examples are ------------------------------------------------------------------

static tuff_status check_labels(const tuff_array *y, int *classes)
{
    const int32_t *label = y->data;
    for (int64_t i = 0; i < y->desc.dim[0]; i++) {
        TUFF_REQUIRE(label[i] >= 0 && label[i] < MOST_CLASSES, FORMAT,
                     "label %lld is %d, expected 0 to %d", (long long)i, label[i],
                     MOST_CLASSES - 1);
        if (label[i] >= *classes) *classes = label[i] + 1;
    }
    return TUFF_OK;
}

static tuff_status check_answers(tuff_dataset *d)
{
    const tuff_array *y = &d->parts.y, *test = &d->parts.test_y;
    TUFF_REQUIRE(!test->data || y->desc.dtype == test->desc.dtype, DTYPE,
                 "the training examples have %s, the test examples %s",
                 y->desc.dtype == TUFF_F32 ? "targets" : "classes",
                 test->desc.dtype == TUFF_F32 ? "targets" : "classes");
    if (y->desc.dtype == TUFF_F32) {
        TUFF_REQUIRE(!test->data || y->desc.dim[1] == test->desc.dim[1], SHAPE,
                     "a training target has %lld numbers, a test target %lld",
                     (long long)y->desc.dim[1], (long long)test->desc.dim[1]);
        d->info.targets = (int)y->desc.dim[1];
        return TUFF_OK;
    }
    TUFF_TRY(check_labels(y, &d->info.classes));
    if (test->data) TUFF_TRY(check_labels(test, &d->info.classes));
    if (d->parts.names) {
        TUFF_REQUIRE(d->info.classes <= d->parts.name_count, FORMAT,
                     "label %d has no name, there are %d", d->info.classes - 1,
                     d->parts.name_count);
        d->info.classes = d->parts.name_count;
        d->info.class_names = (const char *const *)d->parts.names;
    }
    return TUFF_OK;
}

static tuff_status check_examples(tuff_dataset *d)
{
    const tuff_desc *x = &d->parts.x.desc, *test = &d->parts.test_x.desc;
    char a[128], b[128];
    TUFF_REQUIRE(!d->parts.test_x.data ||
                     (x->dtype == test->dtype && x->rank == test->rank &&
                      memcmp(x->dim + 1, test->dim + 1, sizeof x->dim - sizeof *x->dim) == 0),
                 SHAPE, "the training examples are %s, the test examples %s",
                 tuff_desc_print(x, a, sizeof a), tuff_desc_print(test, b, sizeof b));
    TUFF_REQUIRE(x->dim[0] <= INT32_MAX && (!d->parts.test_x.data || test->dim[0] <= INT32_MAX),
                 SHAPE, "there are over 2^31 - 1 examples");
    d->source = (tuff_desc){ .dtype = TUFF_F32, .rank = x->rank - 1 };
    memcpy(d->source.dim, x->dim + 1, (size_t)d->source.rank * sizeof *x->dim);
    TUFF_REQUIRE(tuff_desc_count(&d->source) <= INT32_MAX, SHAPE,
                 "an example has over 2^31 - 1 numbers");
    d->pixels = (size_t)(tuff_desc_count(&d->source) / d->source.dim[0]);
    return TUFF_OK;
}

// The sample's shape after padding and repeating.
static tuff_status transform(tuff_dataset *d, const tuff_dataset_params *p)
{
    const tuff_desc *s = &d->source;
    tuff_desc *out = &d->info.sample;
    *out = *s;
    TUFF_REQUIRE(s->rank == 3 || (p->pad_to == 0 && p->channels == 0), SHAPE,
                 "padding and repeated channels are for images, the examples are not");
    if (p->pad_to) {
        TUFF_REQUIRE(p->pad_to >= s->dim[1] && p->pad_to >= s->dim[2] && p->pad_to <= 32768,
                     ARG, "pad_to is %d, the images are %lld x %lld", p->pad_to,
                     (long long)s->dim[1], (long long)s->dim[2]);
        out->dim[1] = out->dim[2] = p->pad_to;
        d->top = (size_t)(p->pad_to - s->dim[1]) / 2;
        d->left = (size_t)(p->pad_to - s->dim[2]) / 2;
    }
    if (p->channels) {
        TUFF_REQUIRE(p->channels == s->dim[0] ||
                         (s->dim[0] == 1 && p->channels > 0 && p->channels <= 1024),
                     ARG, "channels is %d, the images have %lld", p->channels,
                     (long long)s->dim[0]);
        out->dim[0] = p->channels;
    }
    d->info.channels = (int)out->dim[0];
    return TUFF_OK;
}

// ---- normalisation --------------------------------------------------------------------------

// Sums over a channel: of v - around, and of its square. Sums of bytes are exact.
struct moments {
    double around, sum, squares;
};

static void add_bytes(const uint8_t *v, size_t n, struct moments *m)
{
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        squares += (uint32_t)v[i] * v[i];
    }
    m->sum += (double)sum;
    m->squares += (double)squares;
}

static void add_floats(const float *v, size_t n, struct moments *m)
{
    for (size_t i = 0; i < n; i++) {
        const double x = v[i] - m->around;
        m->sum += x;
        m->squares += x * x;
    }
}

// Sums every channel of the source over TRAIN and HELD.
static void add_up(const tuff_dataset *d, struct moments *m)
{
    const size_t channels = (size_t)d->source.dim[0];
    const tuff_array *a = &d->parts.x;
    for (size_t c = 0; c < channels; c++) m[c].sum = m[c].squares = 0;
    for (int k = 0; k < 2; k++) {
        const tuff_split split = k ? TUFF_HELD : TUFF_TRAIN;
        for (int64_t i = 0; i < d->info.count[split]; i++) {
            size_t at = d->rows[split][i] * channels * d->pixels;
            for (size_t c = 0; c < channels; c++, at += d->pixels) {
                if (a->desc.dtype == TUFF_U8)
                    add_bytes((const uint8_t *)a->data + at, d->pixels, &m[c]);
                else add_floats((const float *)a->data + at, d->pixels, &m[c]);
            }
        }
    }
}

// The scale and shift that make the mean 0 and the deviation 1.
static tuff_status measure(tuff_dataset *d)
{
    const size_t from = (size_t)d->source.dim[0];
    const bool bytes = d->parts.x.desc.dtype == TUFF_U8;
    const double n = (double)(d->info.count[TUFF_TRAIN] + d->info.count[TUFF_HELD]) *
                     (double)d->pixels;
    struct moments *m = tuff_alloc(from, sizeof *m);
    if (!m) return TUFF_ERR_MEMORY;
    add_up(d, m);
    if (!bytes) { // once more, around the mean, so that nothing cancels
        for (size_t c = 0; c < from; c++) m[c].around = m[c].sum / n;
        add_up(d, m);
    }
    for (int c = 0; c < d->info.channels; c++) {
        const struct moments *k = &m[(size_t)c % from];
        const double rest = k->sum / n, mean = (k->around + rest) / (bytes ? 255 : 1);
        const double variance = k->squares / n - rest * rest;
        const double deviation = (variance > 0 ? sqrt(variance) : 0) / (bytes ? 255 : 1);
        // What rounding leaves in a constant channel is no deviation.
        const double scale = deviation > 1e-6 * fabs(mean) ? 1 / deviation : 1;
        d->scale[c] = (float)scale;
        d->shift[c] = (float)(-mean * scale);
    }
    tuff_free(m);
    return TUFF_OK;
}

static void fill_table(tuff_dataset *d)
{
    for (int c = 0; d->table && c < d->info.channels; c++)
        for (int v = 0; v < 256; v++)
            d->table[c][v] = d->scale[c] * ((float)v / 255) + d->shift[c];
}

tuff_status tuff_dataset_set_norm(tuff_dataset *d, const float *scale, const float *shift,
                                  int n)
{
    const int channels = d->info.channels;
    TUFF_REQUIRE(n == 1 || n == channels, ARG,
                 "%d numbers are given to normalise by, the examples have %d channels", n,
                 channels);
    for (int c = 0; c < n; c++)
        TUFF_REQUIRE(isfinite(scale[c]) && isfinite(shift[c]), ARG,
                     "channel %d would be normalised by %g and %g", c, scale[c], shift[c]);
    for (int c = 0; c < channels; c++) {
        d->scale[c] = scale[n == 1 ? 0 : c];
        d->shift[c] = shift[n == 1 ? 0 : c];
    }
    fill_table(d);
    return TUFF_OK;
}

static tuff_status normalise(tuff_dataset *d)
{
    const size_t n = (size_t)d->info.channels;
    d->scale = tuff_alloc(n, sizeof *d->scale);
    d->shift = tuff_alloc(n, sizeof *d->shift);
    if (!d->scale || !d->shift) return TUFF_ERR_MEMORY;
    if (d->parts.x.desc.dtype == TUFF_U8 && n <= MOST_TABLED) {
        d->table = tuff_alloc(n, sizeof *d->table);
        if (!d->table) return TUFF_ERR_MEMORY;
    }
    d->info.scale = d->scale;
    d->info.shift = d->shift;
    TUFF_TRY(measure(d));
    fill_table(d);
    return TUFF_OK;
}

// ---- reading --------------------------------------------------------------------------------

const uint32_t *tuff_dataset_rows(const tuff_dataset *d, tuff_split split)
{
    return d->rows[split];
}

// Normalises n elements that lie in a row, of which the first is number `at` of the array.
static void convert(const tuff_dataset *d, const tuff_array *a, size_t at, size_t n, int c,
                    float *x)
{
    if (d->table) {
        const uint8_t *v = (const uint8_t *)a->data + at;
        for (size_t i = 0; i < n; i++) x[i] = d->table[c][v[i]];
    } else if (a->desc.dtype == TUFF_U8) {
        const uint8_t *v = (const uint8_t *)a->data + at;
        for (size_t i = 0; i < n; i++) x[i] = d->scale[c] * ((float)v[i] / 255) + d->shift[c];
    } else {
        const float *v = (const float *)a->data + at;
        for (size_t i = 0; i < n; i++) x[i] = d->scale[c] * v[i] + d->shift[c];
    }
}

// One channel of an image in the middle of zeros.
static void convert_padded(const tuff_dataset *d, const tuff_array *a, size_t at, int c,
                           float *x)
{
    const size_t width = (size_t)d->info.sample.dim[2];
    const size_t w = (size_t)d->source.dim[2], h = (size_t)d->source.dim[1];
    const float zero = d->table ? d->table[c][0] : d->shift[c];
    for (size_t i = 0; i < width * (size_t)d->info.sample.dim[1]; i++) x[i] = zero;
    for (size_t row = 0; row < h; row++)
        convert(d, a, at + row * w, w, c, x + (d->top + row) * width + d->left);
}

void tuff_dataset_example(const tuff_dataset *d, tuff_split split, uint32_t row, float *x,
                          int32_t *label, float *target)
{
    const tuff_array *a = examples(d, split), *y = answers(d, split);
    const size_t from = (size_t)d->source.dim[0], start = row * from * d->pixels;
    const size_t size = (size_t)tuff_desc_count(&d->info.sample) / (size_t)d->info.channels;
    for (int c = 0; x && c < d->info.channels; c++) {
        const size_t at = start + (size_t)c % from * d->pixels;
        if (size == d->pixels) convert(d, a, at, size, c, x + (size_t)c * size);
        else convert_padded(d, a, at, c, x + (size_t)c * size);
    }
    const size_t targets = (size_t)d->info.targets;
    if (label) *label = ((const int32_t *)y->data)[row];
    if (target)
        memcpy(target, (const float *)y->data + row * targets, targets * sizeof *target);
}

uint64_t tuff_dataset_digest(const tuff_dataset *d, tuff_split split)
{
    const tuff_array *a = examples(d, split);
    const size_t each = tuff_desc_bytes(&a->desc) / (size_t)a->desc.dim[0];
    const int64_t shape[] = { (int64_t)a->desc.dtype, d->info.sample.dim[0],
                              d->info.sample.rank > 1 ? d->info.sample.dim[1] : 0 };
    uint64_t h = tuff_digest(TUFF_DIGEST_START, shape, sizeof shape);
    for (int64_t i = 0; i < d->info.count[split]; i++)
        h = tuff_digest(h, (const char *)a->data + d->rows[split][i] * each, each);
    return h;
}

tuff_status tuff_dataset_read(const tuff_dataset *d, tuff_split split, int64_t first,
                              int64_t count, float *x, int32_t *labels, float *targets)
{
    TUFF_REQUIRE((unsigned)split < TUFF_SPLITS, ARG, "part %d of a dataset is asked for",
                 (int)split);
    const int64_t n = d->info.count[split];
    TUFF_REQUIRE(first >= 0 && count >= 0 && first <= n && count <= n - first, ARG,
                 "%lld examples from number %lld on are asked for, there are %lld",
                 (long long)count, (long long)first, (long long)n);
    TUFF_REQUIRE(!labels || d->info.classes, ARG, "labels are asked for, there are targets");
    TUFF_REQUIRE(!targets || d->info.targets, ARG, "targets are asked for, there are labels");
    const size_t size = (size_t)tuff_desc_count(&d->info.sample);
    for (int64_t i = 0; i < count; i++)
        tuff_dataset_example(d, split, d->rows[split][first + i],
                             x ? x + (size_t)i * size : NULL, labels ? labels + i : NULL,
                             targets ? targets + i * d->info.targets : NULL);
    return TUFF_OK;
}

const tuff_dataset_info *tuff_dataset_get_info(const tuff_dataset *d) { return &d->info; }

// ---- opening --------------------------------------------------------------------------------

void tuff_dataset_destroy(tuff_dataset **dataset)
{
    tuff_dataset *d = *dataset;
    if (!d) return;
    for (int i = 0; i < TUFF_SPLITS; i++) tuff_free(d->rows[i]);
    tuff_free(d->scale);
    tuff_free(d->shift);
    tuff_free(d->table);
    tuff_parts_clear(&d->parts);
    tuff_free(d);
    *dataset = NULL;
}

static tuff_status check_params(const tuff_dataset_params *p)
{
    TUFF_REQUIRE(p->held_out >= 0 && p->held_out <= 0.9f, ARG,
                 "held_out is %g, expected 0 to 0.9", p->held_out);
    TUFF_REQUIRE(p->limit_train >= 0 && p->limit_test >= 0 && p->pad_to >= 0 &&
                     p->channels >= 0,
                 ARG, "limit_train, limit_test, pad_to and channels must not be negative");
    return TUFF_OK;
}

// Takes the parts over, and empties them.
static tuff_status build(tuff_parts *parts, const tuff_dataset_params *params,
                         tuff_dataset **dataset)
{
    static const tuff_dataset_params none;
    const tuff_dataset_params *p = params ? params : &none;
    tuff_status status = TUFF_OK;
    tuff_dataset *d = tuff_alloc(1, sizeof *d);
    if (!d) return TUFF_ERR_MEMORY;
    d->parts = *parts;
    *parts = (tuff_parts){ 0 };
    TUFF_GO(check_params(p));
    TUFF_GO(check_answers(d));
    TUFF_GO(check_examples(d));
    TUFF_GO(transform(d, p));
    TUFF_GO(make_splits(d, p));
    TUFF_GO(normalise(d));
    *dataset = d;
    d = NULL;
exit:
    tuff_dataset_destroy(&d);
    return status;
}

static const struct source {
    const char *name;
    bool rest; // takes what follows a colon
    tuff_status (*read)(const char *, tuff_parts *);
} sources[] = {
    { "fashion", false, tuff_parts_fashion }, { "default", false, tuff_parts_fashion },
    { "idx", true, tuff_parts_idx },          { "cifar10", true, tuff_parts_cifar10 },
    { "csv", true, tuff_parts_csv },          { "npy", true, tuff_parts_npy },
};
enum { SOURCES = sizeof sources / sizeof *sources };

static tuff_status unknown(const char *spec)
{
    const char *names[SOURCES];
    char word[32] = "";
    const size_t n = strcspn(spec, ":");
    for (int i = 0; i < SOURCES; i++) names[i] = sources[i].name;
    if (n < sizeof word) memcpy(word, spec, n);
    const char *near = tuff_nearest(word, names, SOURCES);
    return tuff_fail(TUFF_ERR_ARG,
                     "data '%.200s' is unknown%s%s%s; expected fashion, idx:FOLDER, "
                     "cifar10:FOLDER, csv:FILE[,label=COLUMN] or npy:X,Y",
                     spec, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

tuff_status tuff_dataset_open(const char *spec, const tuff_dataset_params *p,
                              tuff_dataset **dataset)
{
    tuff_status status = TUFF_OK;
    tuff_parts parts = { 0 };
    const struct source *s = NULL;
    const size_t n = strcspn(spec, ":");
    *dataset = NULL;
    for (int i = 0; i < SOURCES; i++)
        if (strlen(sources[i].name) == n && memcmp(sources[i].name, spec, n) == 0)
            s = &sources[i];
    if (!s || s->rest != (spec[n] == ':')) return unknown(spec);
    TUFF_REQUIRE(!s->rest || spec[n + 1], ARG, "data '%s' names no file or folder", spec);
    TUFF_GO(s->read(s->rest ? spec + n + 1 : "", &parts));
    status = build(&parts, p, dataset);
    if (status != TUFF_OK) tuff_fail_prefix(spec);
exit:
    tuff_parts_clear(&parts);
    return status;
}

static tuff_status copy(const tuff_array *x, const tuff_array *y, tuff_array *to_x,
                        tuff_array *to_y)
{
    TUFF_TRY(tuff_array_convert(x, x->desc.dtype, to_x));
    TUFF_TRY(tuff_array_convert(y, y->desc.dtype, to_y));
    return tuff_parts_arrange(to_x, to_y);
}

tuff_status tuff_dataset_from_arrays(const tuff_array *x, const tuff_array *y,
                                     const tuff_array *test_x, const tuff_array *test_y,
                                     const tuff_dataset_params *p, tuff_dataset **dataset)
{
    tuff_status status = TUFF_OK;
    tuff_parts parts = { 0 };
    *dataset = NULL;
    TUFF_REQUIRE(!test_x == !test_y, ARG, "test_x and test_y must be given together");
    TUFF_GO(copy(x, y, &parts.x, &parts.y));
    if (test_x) TUFF_GO(copy(test_x, test_y, &parts.test_x, &parts.test_y));
    status = build(&parts, p, dataset);
exit:
    tuff_parts_clear(&parts);
    return status;
}
