// The table of what was measured on a device; see tuning.h. Its file is tuning_file.c.
#include "ops/tuning.h"
#include "base/alloc.h"
#include "base/dtype.h"
#include "ops/fields.h"
#include <stdio.h>
#include <string.h>

enum { MOST_LINES = 1 << 14, EXACT = 16 };

// ---- classes -----------------------------------------------------------------------------

// The nearest, by the ratio, of the powers of two and of one and a half times those: layers of
// 48 and of 64 channels have their own kernels.
static int64_t bucket(int64_t dim)
{
    int64_t power = 1;
    if (dim <= EXACT) return dim;
    while (power <= dim / 2) power *= 2;
    const double square = (double)dim * (double)dim / ((double)power * (double)power);
    return square < 1.5 ? power : square < 3 ? power / 2 * 3 : 2 * power;
}

static size_t add(char *text, size_t size, size_t n, const char *what)
{
    const size_t length = strlen(what);
    if (n + length < size) memcpy(text + n, what, length + 1);
    return n + length;
}

static size_t add_desc(char *text, size_t size, size_t n, const tuff_desc *d)
{
    char word[32];
    if (n) n = add(text, size, n, " ");
    if (!d->dtype) return add(text, size, n, "-");
    n = add(text, size, n, tuff_dtype_name(d->dtype));
    n = add(text, size, n, d->rank ? ":" : ":[]");
    for (int i = 0; i < d->rank; i++) {
        const bool ragged = d->dim[i] > EXACT && d->dim[i] % 4 != 0;
        snprintf(word, sizeof word, "%s%lld%s", i ? "x" : "", (long long)bucket(d->dim[i]),
                 ragged ? "~" : "");
        n = add(text, size, n, word);
    }
    return n;
}

// A stride of 1 may be said, or left at 0.
static void drop_ones(int *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (v[i] == 1) v[i] = 0;
}

// The params that shape a kernel: a rate or a seed does not.
static void copy_params(const tuff_call *c, unsigned char *params)
{
    memcpy(params, c->params, c->op->params_size);
    for (int i = 0; i < TUFF_OP_PARAMS && c->op->params[i].name; i++) {
        const tuff_field *f = &c->op->params[i];
        const size_t count = f->count ? (size_t)f->count : 1;
        if (f->type == TUFF_FIELD_FLOAT || f->type == TUFF_FIELD_FLOATS)
            memset(params + f->offset, 0, count * sizeof(float));
        if (f->type == TUFF_FIELD_UINT64) memset(params + f->offset, 0, sizeof(uint64_t));
        if ((f->type == TUFF_FIELD_INT || f->type == TUFF_FIELD_INTS) &&
            f->range == TUFF_AT_LEAST_1)
            drop_ones((int *)(void *)(params + f->offset), count);
    }
}

size_t tuff_tuning_class(const tuff_call *c, char *text, size_t size)
{
    uint64_t params[512 / 8];
    char words[TUFF_CLASS_TEXT];
    const bool output = !c->op->in[0].name;
    size_t n = 0;
    if (size) text[0] = '\0';
    for (int i = 0; i < (output ? c->nout : c->nin); i++) {
        n = add_desc(text, size, n, output ? &c->out[i] : &c->in[i]);
        if (!output && tuff_call_has(c, i) && tuff_call_constant(c, i))
            n = add(text, size, n, "=");
    }
    if (!c->op->params_size || c->op->params_size > sizeof params) return n;
    copy_params(c, (unsigned char *)params);
    const int rank = output ? c->out[0].rank : c->in[0].rank;
    if (!tuff_field_print(c->op, rank, params, words, sizeof words)) return n;
    n = add(text, size, n, " ");
    return add(text, size, n, words);
}

// ---- the table ---------------------------------------------------------------------------

static uint64_t hash_of(const char *op, const char *class)
{
    uint64_t h = 14695981039346656037u;
    for (; *op; op++) h = (h ^ (unsigned char)*op) * 1099511628211u;
    for (h *= 1099511628211u; *class; class++)
        h = (h ^ (unsigned char)*class) * 1099511628211u;
    return h;
}

tuff_status tuff_tuning_create(const tuff_device_info *info, const char *path, bool own,
                               tuff_tuning **tuning)
{
    tuff_tuning *t = *tuning = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    pthread_mutex_init(&t->lock, NULL);
    t->info = *info;
    t->own = own;
    if (path && strlen(path) < sizeof t->path) strcpy(t->path, path);
    return TUFF_OK;
}

void tuff_tuning_destroy(tuff_tuning **tuning)
{
    if (!tuning || !*tuning) return;
    tuff_tuning *t = *tuning;
    *tuning = NULL;
    for (int i = 0; i < t->count; i++) tuff_free(t->entry[i]);
    tuff_free(t->entry);
    pthread_mutex_destroy(&t->lock);
    tuff_free(t);
}

bool tuff_tuning_empty(tuff_tuning *t)
{
    pthread_mutex_lock(&t->lock);
    const bool empty = t->count == 0;
    pthread_mutex_unlock(&t->lock);
    return empty;
}

static bool is_of(const struct tuff_tuned_entry *e, uint64_t hash, const char *op,
                  const char *class)
{
    return e->hash == hash && strcmp(e->line.op, op) == 0 &&
           strcmp(e->line.class, class) == 0;
}

static bool is_candidate(const tuff_tuned *l, const char *variant, const char *way,
                         uint32_t group)
{
    return strcmp(l->variant, variant) == 0 && strcmp(l->way, way) == 0 && l->group == group;
}

bool tuff_tuning_find(tuff_tuning *t, const char *op, const char *class, tuff_tuned *found)
{
    if (!t) return false;
    const uint64_t hash = hash_of(op, class);
    bool there = false;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < t->count && !there; i++) {
        there = is_of(t->entry[i], hash, op, class) && !t->entry[i]->line.wrong;
        if (there) *found = t->entry[i]->line;
    }
    pthread_mutex_unlock(&t->lock);
    return there;
}

static bool wrong(const tuff_tuning *t, uint64_t hash, const tuff_tuned *l)
{
    for (int i = 0; i < t->count; i++)
        if (t->entry[i]->line.wrong && is_of(t->entry[i], hash, l->op, l->class) &&
            is_candidate(&t->entry[i]->line, l->variant, l->way, l->group))
            return true;
    return false;
}

bool tuff_tuning_is_wrong(tuff_tuning *t, const char *op, const char *class,
                          const char *variant, const char *way, uint32_t group)
{
    const uint64_t hash = hash_of(op, class);
    bool found = false;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < t->count && !found; i++)
        found = t->entry[i]->line.wrong && is_of(t->entry[i], hash, op, class) &&
                is_candidate(&t->entry[i]->line, variant, way, group);
    pthread_mutex_unlock(&t->lock);
    return found;
}

static void drop(tuff_tuning *t, int i)
{
    tuff_free(t->entry[i]);
    t->entry[i] = t->entry[--t->count];
}

static tuff_status append(tuff_tuning *t, uint64_t hash, const tuff_tuned *line, bool fresh)
{
    TUFF_REQUIRE(t->count < MOST_LINES, LIMIT, "tuning: %d choices are the most", MOST_LINES);
    if (t->count == t->capacity) {
        const int capacity = t->capacity ? 2 * t->capacity : 16;
        void *grown = tuff_realloc(t->entry, (size_t)capacity, sizeof *t->entry);
        if (!grown) return TUFF_ERR_MEMORY;
        t->entry = grown;
        t->capacity = capacity;
    }
    struct tuff_tuned_entry *e = tuff_alloc(1, sizeof *e);
    if (!e) return TUFF_ERR_MEMORY;
    *e = (struct tuff_tuned_entry){ .hash = hash, .fresh = fresh, .line = *line };
    t->entry[t->count++] = e;
    return TUFF_OK;
}

// What was measured by this process stays before what a file says; a choice that is measured
// anew is replaced, and one that turns out to be wrong goes.
static tuff_status put(tuff_tuning *t, const tuff_tuned *line, bool fresh)
{
    const uint64_t hash = hash_of(line->op, line->class);
    if (wrong(t, hash, line)) return TUFF_OK;
    for (int i = t->count - 1; i >= 0; i--) {
        const struct tuff_tuned_entry *e = t->entry[i];
        if (e->line.wrong || !is_of(e, hash, line->op, line->class)) continue;
        if (!line->wrong && !fresh && e->fresh) return TUFF_OK;
        if (!line->wrong || is_candidate(&e->line, line->variant, line->way, line->group))
            drop(t, i);
    }
    return append(t, hash, line, fresh);
}

tuff_status tuff_tuning_merge(tuff_tuning *t, const tuff_tuned *line)
{
    pthread_mutex_lock(&t->lock);
    const tuff_status status = put(t, line, false);
    pthread_mutex_unlock(&t->lock);
    return status;
}

tuff_status tuff_tuning_put(tuff_tuning *t, const tuff_tuned *line)
{
    pthread_mutex_lock(&t->lock);
    const tuff_status status = put(t, line, true);
    t->dirty |= status == TUFF_OK;
    pthread_mutex_unlock(&t->lock);
    return status;
}

bool tuff_tuning_at(tuff_tuning *t, int i, tuff_tuned *line)
{
    pthread_mutex_lock(&t->lock);
    const bool there = i >= 0 && i < t->count;
    if (there) *line = t->entry[i]->line;
    pthread_mutex_unlock(&t->lock);
    return there;
}

// ---- auto --------------------------------------------------------------------------------

double tuff_tuning_auto(tuff_tuning *t, const char *cpu)
{
    pthread_mutex_lock(&t->lock);
    const double faster = strcmp(t->cpu, cpu) == 0 ? t->faster : 0;
    pthread_mutex_unlock(&t->lock);
    return faster;
}

tuff_status tuff_tuning_put_auto(tuff_tuning *t, const char *cpu, double faster)
{
    TUFF_REQUIRE(strlen(cpu) < sizeof t->cpu, LIMIT, "tuning: the CPU path has a long name");
    pthread_mutex_lock(&t->lock);
    strcpy(t->cpu, cpu);
    t->faster = faster;
    t->dirty = true;
    pthread_mutex_unlock(&t->lock);
    return TUFF_OK;
}
