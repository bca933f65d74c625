// Named cases and recorded expectations; see harness.h.
#include "harness.h"
#include "base/glob.h"
#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS = 4, PATH_SIZE = 1024, SHOWN = 8 };

static struct {
    const char *only;
    const struct known *known;
    size_t nknown;
    int passed, failed, skipped, debts;
    char name[512];
    bool open, skip;
    const struct known *debt;
    atomic_int wrong; // expectations of the open case that did not hold
    atomic_int stray; // likewise outside of every case
    char temp[PATH_SIZE];
    char path[PATHS][PATH_SIZE];
    int next_path;
} h;

void harness_init(int argc, char **argv, const struct known *known, size_t count)
{
    memset(&h, 0, sizeof h);
    h.only = argc > 1 ? argv[1] : NULL;
    h.known = known;
    h.nknown = count;
}

static const struct known *find_known(const char *name)
{
    for (size_t i = 0; i < h.nknown; i++)
        if (tuff_glob(h.known[i].match, name)) return &h.known[i];
    return NULL;
}

bool case_begin(const char *name, ...)
{
    va_list args;
    va_start(args, name);
    vsnprintf(h.name, sizeof h.name, name, args);
    va_end(args);
    if (!tuff_glob(h.only, h.name)) return false;
    h.debt = find_known(h.name);
    if (h.debt && h.debt->never) {
        printf("never: %s (%s)\n", h.name, h.debt->why);
        h.skipped++;
        return false;
    }
    h.open = true;
    h.skip = false;
    atomic_store(&h.wrong, 0);
    return true;
}

void case_end(void)
{
    const bool wrong = atomic_load(&h.wrong) > 0;
    h.open = false;
    if (h.skip && !wrong) {
        h.skipped++;
    } else if (h.debt && wrong) {
        printf("known: %s (%s)\n", h.name, h.debt->why);
        h.debts++;
    } else if (h.debt) {
        printf("FAILED: %s passed; remove its line '%s' from the list of debts\n", h.name,
               h.debt->match);
        h.failed++;
    } else if (wrong) {
        printf("FAILED: %s\n", h.name);
        h.failed++;
    } else {
        h.passed++;
    }
    fflush(stdout);
}

void case_skip(const char *why, ...)
{
    va_list args;
    printf("skipped: %s (", h.name);
    va_start(args, why);
    vprintf(why, args);
    va_end(args);
    printf(")\n");
    h.skip = true;
}

bool case_failed(void) { return atomic_load(&h.wrong) > 0; }

bool expect_fail(const char *file, int line, const char *why, ...)
{
    const char *base = strrchr(file, '/'), *where = h.open ? h.name : "outside of a case";
    char text[1024];
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    const int n = atomic_fetch_add(h.open ? &h.wrong : &h.stray, 1);
    // A loop may fail a million times; the first few say it all.
    if (n < SHOWN)
        printf("%s:%d: %s: %s\n", base ? base + 1 : file, line, where, text);
    else if (n == SHOWN)
        printf("%s: more failures are not shown\n", where);
    return false;
}

bool expect_true(bool held, const char *file, int line, const char *text)
{
    return held || expect_fail(file, line, "%s does not hold", text);
}

bool expect_status(tuff_status got, tuff_status want, const char *file, int line,
                   const char *text)
{
    return got == want ||
           expect_fail(file, line, "%s gave '%s' (%s), expected '%s'", text,
                       tuff_status_text(got), got == TUFF_OK ? "" : tuff_last_error(),
                       tuff_status_text(want));
}

bool expect_int(int64_t got, int64_t want, const char *file, int line, const char *text)
{
    return got == want || expect_fail(file, line, "%s: got %lld, expected %lld", text,
                                      (long long)got, (long long)want);
}

bool expect_text(const char *got, const char *want, const char *file, int line,
                 const char *text)
{
    if (!got) got = "(null)";
    if (!want) want = "(null)";
    return strcmp(got, want) == 0 ||
           expect_fail(file, line, "%s is '%s', expected '%s'", text, got, want);
}

bool expect_part(const char *whole, const char *part, const char *file, int line,
                 const char *text)
{
    if (!whole) whole = "(null)";
    return strstr(whole, part) ||
           expect_fail(file, line, "%s is '%s', expected '%s' in it", text, whole, part);
}

bool expect_near(double got, double want, double tolerance, const char *file, int line,
                 const char *text)
{
    return fabs(got - want) <= tolerance ||
           expect_fail(file, line, "%s is %.9g, expected %.9g within %.3g", text, got, want,
                       tolerance);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int report(void)
{
    if (h.temp[0]) nftw(h.temp, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (atomic_load(&h.stray)) h.failed++; // expectations outside of every case count as one
    printf("%d passed, %d failed, %d skipped, %d known\n", h.passed, h.failed, h.skipped,
           h.debts);
    fflush(stdout);
    return h.failed ? 1 : 0;
}

// ---- paths -------------------------------------------------------------------------------

static char *new_path(const char *folder, const char *name)
{
    char *path = h.path[h.next_path++ % PATHS];
    if (snprintf(path, PATH_SIZE, "%s/%s", folder, name) >= PATH_SIZE) {
        FAIL("the path %s/%s is too long", folder, name);
        path[0] = '\0';
    }
    return path;
}

static const char *existing(const char *path) { return access(path, R_OK) ? NULL : path; }

const char *shared_path(const char *name)
{
    const char *folder = getenv("TUFF_SHARED");
    if (!folder || !*folder) folder = TUFF_SOURCE_DIR "/../shared";
    return existing(new_path(folder, name));
}

const char *source_path(const char *name) { return existing(new_path(TUFF_SOURCE_DIR, name)); }

const char *temp_path(const char *name)
{
    if (!h.temp[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(h.temp, sizeof h.temp, "%s/tuff-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(h.temp)) {
            printf("no folder for temporary files in %s\n0 passed, 1 failed, 0 skipped, "
                   "0 known\n", base ? base : "/tmp");
            exit(1);
        }
    }
    return new_path(h.temp, name);
}
