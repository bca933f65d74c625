// The startup cases of `tuff bench`: a child process that opens the device, builds a net and
// makes its first step, with caches of its own in a new folder.
//
//   cache=empty   a new folder for each run
//   cache=warm    one folder, which a first run that is not counted has filled
//
// The folder is that of Tuff's cache and of the drivers' own ones. The child is a copy of this
// process, which has opened no device and loaded no driver.
#include "bench_report.h"
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 15, LEAST_RUNS = 3, LONGEST = 400 };
static const double SECONDS = 10; // of a case, unless three runs take longer

typedef struct startup {
    char train[LONGEST + 8]; // the case as one of training
    bool warm;
} startup;

// What a child tells.
typedef struct phases {
    bool ok;
    double open, build, step;
    char problem[600];
} phases;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// ---- the string --------------------------------------------------------------------------

static bool parse(const char *text, startup *s, char *problem, size_t size)
{
    char whole[LONGEST], *rest = whole;
    bool said = false;
    if (snprintf(whole, sizeof whole, "%s", text) >= (int)sizeof whole) {
        snprintf(problem, size, "a case is longer than %d characters", LONGEST - 1);
        return false;
    }
    *s = (startup){ .train = "train" };
    (void)strtok_r(whole, " ", &rest);
    for (const char *word; (word = strtok_r(NULL, " ", &rest));) {
        const size_t n = strlen(s->train);
        const bool empty = strcmp(word, "cache=empty") == 0;
        if (empty || strcmp(word, "cache=warm") == 0) s->warm = !empty, said = true;
        else snprintf(s->train + n, sizeof s->train - n, " %s", word);
    }
    if (tuff_bench_net_check(s->train) != TUFF_OK) {
        snprintf(problem, size, "%s", tuff_last_error());
        return false;
    }
    if (!said) snprintf(problem, size, "'%s' lacks cache=empty or cache=warm", text);
    return said;
}

bool bench_startup_check(const char *text, char *problem, size_t size)
{
    startup s;
    return parse(text, &s, problem, size);
}

// ---- folders -----------------------------------------------------------------------------

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st, (void)type, (void)place;
    return remove(path);
}

static void remove_folder(const char *folder)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool make_folder(char folder[4096], char *problem, size_t size)
{
    const char *place = getenv("TMPDIR");
    snprintf(folder, 4096, "%.4000s/tuff-startup-XXXXXX", place && *place ? place : "/tmp");
    if (mkdtemp(folder)) return true;
    snprintf(problem, size, "%.4000s: %s", folder, strerror(errno));
    return false;
}

static void use_folder(const char *folder)
{
    static const char *const names[] = { "XDG_CACHE_HOME", "TUFF_CACHE_DIR",
                                         "MESA_SHADER_CACHE_DIR", "MESA_GLSL_CACHE_DIR",
                                         "__GL_SHADER_DISK_CACHE_PATH" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) setenv(names[i], folder, 1);
}

// ---- a run -------------------------------------------------------------------------------

static void first_step(const startup *s, const char *which, phases *p)
{
    tuff_device *device = NULL;
    const double start = now();
    tuff_status status = tuff_device_open(which, &device);
    p->open = now() - start;
    if (status == TUFF_OK)
        status = tuff_bench_first_step(device, s->train, &p->build, &p->step);
    p->ok = status == TUFF_OK;
    if (!p->ok) snprintf(p->problem, sizeof p->problem, "%s", tuff_last_error());
    tuff_device_close(&device); // writes the caches
}

static bool run_child(const startup *s, const char *which, const char *folder, phases *p,
                      char *problem, size_t size)
{
    int end[2], status = 0;
    *p = (phases){ .problem = "the child process gave no answer" };
    fflush(NULL);
    if (pipe(end) != 0) {
        snprintf(problem, size, "no pipe to a child process: %s", strerror(errno));
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        use_folder(folder);
        first_step(s, which, p);
        _exit(write(end[1], p, sizeof *p) == (ssize_t)sizeof *p ? 0 : 1);
    }
    close(end[1]);
    const bool whole = child > 0 && read(end[0], p, sizeof *p) == (ssize_t)sizeof *p;
    close(end[0]);
    if (child > 0) (void)waitpid(child, &status, 0);
    if (!whole || !p->ok) snprintf(problem, size, "%s", p->problem);
    return whole && p->ok;
}

static bool run_once(const startup *s, const char *which, const char *warm, phases *p,
                     char *problem, size_t size)
{
    char folder[4096];
    if (s->warm) return run_child(s, which, warm, p, problem, size);
    if (!make_folder(folder, problem, size)) return false;
    const bool ok = run_child(s, which, folder, p, problem, size);
    remove_folder(folder);
    return ok;
}

// ---- all of them -------------------------------------------------------------------------

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

bool bench_startup_run(const char *text, const char *device, const tuff_bench_params *params,
                       bench_entry *e, char *problem, size_t size)
{
    enum { MOST = 64 };
    double total[MOST], open[MOST], build[MOST], step[MOST];
    char warm[4096] = "";
    startup s;
    phases p;
    const int most = params->runs <= 0 ? RUNS : params->runs < MOST ? params->runs : MOST;
    *e = (bench_entry){ .kind = BENCH_STARTUP };
    if (!parse(text, &s, problem, size)) return false;
    if (s.warm && !make_folder(warm, problem, size)) return false;
    bool ok = !s.warm || run_once(&s, device, warm, &p, problem, size);
    const double start = now();
    int n = 0;
    for (; ok && n < most && (n < LEAST_RUNS || now() - start < SECONDS); n++) {
        ok = run_once(&s, device, warm, &p, problem, size);
        open[n] = p.open, build[n] = p.build, step[n] = p.step;
        total[n] = p.open + p.build + p.step;
    }
    if (s.warm) remove_folder(warm);
    if (!ok) return false;
    snprintf(e->r.text, sizeof e->r.text, "startup%s cache=%s", s.train + strlen("train"),
             s.warm ? "warm" : "empty");
    e->r.variant = s.warm ? "warm" : "empty";
    e->r.runs = n;
    e->open = median(open, n), e->build = median(build, n), e->step = median(step, n);
    e->r.wall.median = median(total, n);
    e->r.wall.min = total[0], e->r.wall.max = total[n - 1];
    e->r.wall.low = total[n / 4], e->r.wall.high = total[n - 1 - n / 4];
    return true;
}
