// The file of a tuning table; see tuning.h for what it looks like.
#include "ops/tuning.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MOST_BYTES = 16 << 20, LINE = 1024, WORDS = 9 };

static const char TITLE[] = "Tuff tuning 1";

// ---- what a file is of -------------------------------------------------------------------

enum { FACTS = 5 };

typedef struct facts {
    char name[FACTS][16], value[FACTS][LINE / 2];
} facts;

// Everything that a choice depends on beside the shapes: a fact is a word and its value, in
// which nothing ends a word or a line.
static void facts_of(const tuff_device_info *info, facts *f)
{
    static const char *const name[FACTS] = { "device", "driver", "features", "lanes",
                                             "version" };
    for (int i = 0; i < FACTS; i++) snprintf(f->name[i], sizeof f->name[i], "%s", name[i]);
    const size_t size = sizeof f->value[0];
    snprintf(f->value[0], size, "%s, %s", info->vendor, info->name);
    snprintf(f->value[1], size, "%s%s%s", info->driver, info->api[0] ? ", Vulkan " : "",
             info->api);
    snprintf(f->value[2], size, "%s", info->features);
    snprintf(f->value[3], size, "%u of %u, %u bytes", info->subgroup, info->max_group,
             info->shared);
    snprintf(f->value[4], size, "%s", TUFF_VERSION);
    for (int i = 0; i < FACTS; i++)
        for (char *c = f->value[i]; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
}

void tuff_tuning_path(const tuff_device_info *info, char *path, size_t size)
{
    facts f;
    uint64_t h = 14695981039346656037u;
    facts_of(info, &f);
    for (int i = 0; i < FACTS - 1; i++) // of another version is to be replaced
        for (const char *c = f.value[i]; *c; c++)
            h = (h ^ (unsigned char)*c) * 1099511628211u;
    char name[64];
    snprintf(name, sizeof name, "tuning-%016llx.txt", (unsigned long long)h);
    tuff_cache_path(name, path, size);
}

// ---- reading -----------------------------------------------------------------------------

typedef struct reader {
    const char *at, *end;
    int number;             // of the line
    char line[LINE];
    const char *word[WORDS];
    int words;
} reader;

static tuff_status damaged(const reader *r, const char *why)
{
    return tuff_fail(TUFF_ERR_FORMAT, "line %d %s", r->number, why);
}

// The next line, cut at its tabs; a file that ends without one is cut.
static tuff_status next_line(reader *r)
{
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->number++;
    if (!end) return damaged(r, "is not there, or not whole: the file is cut");
    const size_t n = (size_t)(end - r->at);
    if (n >= sizeof r->line) return damaged(r, "is too long");
    memcpy(r->line, r->at, n);
    r->line[n] = '\0';
    r->at = end + 1;
    r->words = 0;
    if (strlen(r->line) != n) return damaged(r, "has a zero byte in it");
    for (char *c = r->line; ;) {
        if (r->words == WORDS) return damaged(r, "has too many words");
        r->word[r->words++] = c;
        c += strcspn(c, "\t");
        if (!*c) return TUFF_OK;
        *c++ = '\0';
    }
}

static tuff_status read_head(reader *r, const tuff_device_info *info)
{
    facts f;
    facts_of(info, &f);
    TUFF_TRY(next_line(r));
    if (strcmp(r->line, TITLE) != 0) {
        const bool other = strncmp(r->line, TITLE, sizeof TITLE - 2) == 0;
        return tuff_fail(other ? TUFF_ERR_STATE : TUFF_ERR_FORMAT, "%s",
                         other ? "it is of another format" : "it is no tuning file");
    }
    for (int i = 0; i < FACTS; i++) {
        TUFF_TRY(next_line(r));
        if (r->words != 2 || strcmp(r->word[0], f.name[i]) != 0)
            return damaged(r, "is damaged");
        TUFF_REQUIRE(strcmp(r->word[1], f.value[i]) == 0, STATE,
                     "it is of another %s: '%s', here it is '%s'", f.name[i],
                     tuff_show(r->word[1], strlen(r->word[1])),
                     tuff_show(f.value[i], strlen(f.value[i])));
    }
    return TUFF_OK;
}

// A name as operators and kernels have them; "-" is none.
static bool read_name(const char *word, char *name)
{
    const size_t n = strlen(word);
    if (!n || n >= TUFF_TUNED_NAME) return false;
    for (const char *c = word; *c && strcmp(word, "-") != 0; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') return false;
    strcpy(name, strcmp(word, "-") == 0 ? "" : word);
    return true;
}

static bool read_class(const char *word, char *class)
{
    for (const char *c = word; *c; c++)
        if (*c < ' ' || *c > '~') return false;
    if (!*word || strlen(word) >= TUFF_CLASS_TEXT) return false;
    strcpy(class, word);
    return true;
}

// "choice" op class variant way group us how, or "wrong" op class variant way group.
static bool read_tuned(const reader *r, tuff_tuned *l)
{
    int64_t group;
    *l = (tuff_tuned){ .wrong = strcmp(r->word[0], "wrong") == 0 };
    if (r->words != (l->wrong ? 6 : 8)) return false;
    if (!read_name(r->word[1], l->op) || !l->op[0] || !read_class(r->word[2], l->class) ||
        !read_name(r->word[3], l->variant) || !l->variant[0] || !read_name(r->word[4], l->way))
        return false;
    if (!tuff_parse_int(r->word[5], &group) || group < 0 || group > 65536) return false;
    l->group = (uint32_t)group;
    if (l->wrong) return true;
    l->full = strcmp(r->word[7], "full") == 0;
    return tuff_parse_f64(r->word[6], strlen(r->word[6]), &l->us) && l->us >= 0 &&
           (l->full || strcmp(r->word[7], "quick") == 0);
}

static bool read_auto(tuff_tuning *to, const reader *r)
{
    double faster;
    if (r->words != 3 || strlen(r->word[1]) >= sizeof to->cpu ||
        !tuff_parse_f64(r->word[2], strlen(r->word[2]), &faster) || !(faster > 0))
        return false;
    return tuff_tuning_put_auto(to, r->word[1], faster) == TUFF_OK;
}

static tuff_status read_body(tuff_tuning *to, reader *r, int *count)
{
    int64_t lines = 0, said;
    for (;; lines++) {
        TUFF_TRY(next_line(r));
        tuff_tuned l;
        if (strcmp(r->word[0], "end") == 0) break;
        if (strcmp(r->word[0], "auto") == 0) {
            if (!read_auto(to, r)) return damaged(r, "is damaged");
            continue;
        }
        const bool known = strcmp(r->word[0], "choice") == 0 ||
                           strcmp(r->word[0], "wrong") == 0;
        if (!known || !read_tuned(r, &l)) return damaged(r, "is damaged");
        TUFF_TRY(tuff_tuning_merge(to, &l));
        *count += !l.wrong;
    }
    if (r->words != 2 || !tuff_parse_int(r->word[1], &said) || said != lines)
        return damaged(r, "says another number of lines: the file is damaged");
    return r->at == r->end ? TUFF_OK : damaged(r, "is not the last");
}

static tuff_status take_in(tuff_tuning *t, tuff_tuning *from)
{
    tuff_tuned line;
    if (from->cpu[0] && !t->cpu[0]) {
        strcpy(t->cpu, from->cpu);
        t->faster = from->faster;
    }
    for (int i = 0; tuff_tuning_at(from, i, &line); i++) TUFF_TRY(tuff_tuning_merge(t, &line));
    return TUFF_OK;
}

tuff_status tuff_tuning_read(tuff_tuning *t, const char *text, size_t size, int *count)
{
    tuff_tuning *all;
    reader r = { .at = text, .end = text + size };
    *count = 0;
    TUFF_TRY(tuff_tuning_create(&t->info, NULL, false, &all));
    tuff_status status = read_head(&r, &t->info);
    if (status == TUFF_OK) status = read_body(all, &r, count);
    if (status == TUFF_OK) status = take_in(t, all);
    if (status != TUFF_OK) *count = 0;
    tuff_tuning_destroy(&all);
    return status;
}

tuff_status tuff_tuning_load(tuff_tuning *t, const char *path, int *count)
{
    void *text;
    size_t size;
    *count = 0;
    tuff_status status = tuff_file_read(path, MOST_BYTES, &text, &size);
    if (status == TUFF_OK) status = tuff_tuning_read(t, text, size, count);
    tuff_free(text);
    if (status == TUFF_OK || status == TUFF_ERR_MEMORY) return status;
    tuff_log(1, "choices of kernels in %s are not used: %s", path, tuff_last_error());
    return TUFF_OK;
}

// ---- writing -----------------------------------------------------------------------------

typedef struct writer {
    char *text;
    size_t used, size;
    bool failed;
} writer;

static void put(writer *w, const char *format, ...) TUFF_PRINTF(2, 3);
static void put(writer *w, const char *format, ...)
{
    char line[2 * LINE];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (w->failed || n < 0 || (size_t)n >= sizeof line) {
        w->failed = true;
        return;
    }
    if (w->used + (size_t)n + 1 > w->size) {
        const size_t size = 2 * w->size + 2 * sizeof line;
        char *grown = tuff_realloc(w->text, size, 1);
        if (!grown) {
            w->failed = true;
            return;
        }
        w->text = grown;
        w->size = size;
    }
    memcpy(w->text + w->used, line, (size_t)n + 1);
    w->used += (size_t)n;
}

static int by_name(const void *a, const void *b)
{
    const tuff_tuned *x = &(*(struct tuff_tuned_entry *const *)a)->line;
    const tuff_tuned *y = &(*(struct tuff_tuned_entry *const *)b)->line;
    int order = strcmp(x->op, y->op);
    if (!order) order = strcmp(x->class, y->class);
    if (!order) order = x->wrong - y->wrong;
    if (!order) order = strcmp(x->variant, y->variant);
    if (!order) order = strcmp(x->way, y->way);
    return order ? order : (x->group > y->group) - (x->group < y->group);
}

static void put_line(writer *w, const tuff_tuned *l)
{
    put(w, "%s\t%s\t%s\t%s\t%s\t%u", l->wrong ? "wrong" : "choice", l->op, l->class,
        l->variant, l->way[0] ? l->way : "-", l->group);
    if (!l->wrong) put(w, "\t%.1f\t%s", l->us, l->full ? "full" : "quick");
    put(w, "\n");
}

char *tuff_tuning_print(tuff_tuning *t, size_t *size)
{
    facts f;
    writer w = { 0 };
    facts_of(&t->info, &f);
    put(&w, "%s\n", TITLE);
    for (int i = 0; i < FACTS; i++) put(&w, "%s\t%s\n", f.name[i], f.value[i]);
    pthread_mutex_lock(&t->lock);
    if (t->count) qsort(t->entry, (size_t)t->count, sizeof *t->entry, by_name);
    for (int i = 0; i < t->count; i++) put_line(&w, &t->entry[i]->line);
    if (t->cpu[0]) put(&w, "auto\t%s\t%.3f\n", t->cpu, t->faster);
    put(&w, "end\t%d\n", t->count + (t->cpu[0] != '\0'));
    pthread_mutex_unlock(&t->lock);
    if (w.failed) {
        tuff_free(w.text);
        w.text = NULL;
    }
    *size = w.used;
    return w.text;
}

// Makes another process wait that saves into the same folder; -1 where that cannot be.
static int lock_folder(const char *path)
{
    char folder[1024];
    const char *slash = strrchr(path, '/');
    if ((slash ? (size_t)(slash - path) : 1) >= sizeof folder) return -1;
    snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1,
             slash ? path : ".");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) (void)flock(fd, LOCK_EX);
    return fd;
}

static tuff_status take_in_file(tuff_tuning *t, const char *path)
{
    void *text;
    size_t size;
    int count;
    if (access(path, R_OK) != 0) return TUFF_OK;
    tuff_status status = tuff_file_read(path, MOST_BYTES, &text, &size);
    if (status == TUFF_OK) status = tuff_tuning_read(t, text, size, &count);
    tuff_free(text);
    // A user's file that is damaged, or of another device, is left alone.
    const bool ours = t->own && strcmp(path, t->path) == 0;
    return status == TUFF_ERR_MEMORY || !ours ? status : TUFF_OK;
}

tuff_status tuff_tuning_save(tuff_tuning *t, const char *path)
{
    const int lock = lock_folder(path);
    char *text = NULL;
    size_t size;
    tuff_status status = take_in_file(t, path);
    if (status == TUFF_OK) {
        text = tuff_tuning_print(t, &size);
        status = text ? tuff_file_write(path, text, size) : TUFF_ERR_MEMORY;
    } else {
        tuff_fail_prefix(path);
    }
    tuff_free(text);
    if (lock >= 0) close(lock);
    return status;
}
