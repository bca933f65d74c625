// A device's table of choices, its file, and <tuff/tune.h>.
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/text.h"
#include "device/impl.h"
#include "ops/timing.h"
#include "ops/tune.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tune.h>
#include <unistd.h>

static const double QUICK_SECONDS = 3;

// ---- the file ----------------------------------------------------------------------------

void tuff_tune_place(const tuff_device_info *info, char *path, size_t size, bool *own)
{
    const char *named = getenv("TUFF_TUNE");
    *own = !named || !*named;
    if (*own) tuff_tuning_path(info, path, size);
    else snprintf(path, size, "%s", strcmp(named, "none") == 0 ? "" : named);
}

tuff_status tuff_tuning_attach(tuff_device *dev)
{
    char path[1024];
    bool own;
    int count;
    tuff_tuning *t;
    tuff_tune_place(&dev->info, path, sizeof path, &own);
    TUFF_TRY(tuff_tuning_create(&dev->info, path, own, &t));
    const tuff_status status = path[0] && access(path, F_OK) == 0
                             ? tuff_tuning_load(t, path, &count) : TUFF_OK;
    if (status == TUFF_OK) tuff_device_set_tuning(dev, t, tuff_tuning_destroy);
    else tuff_tuning_destroy(&t);
    return status;
}

static tuff_status keep(tuff_tuning *t)
{
    char folder[1024];
    tuff_cache_path("", folder, sizeof folder);
    if (t->own) TUFF_TRY(tuff_folder_make(folder));
    return tuff_tuning_save(t, t->path);
}

void tuff_tune_keep(tuff_tuning *t)
{
    pthread_mutex_lock(&t->lock);
    const bool new = t->dirty && t->path[0];
    t->dirty = false;
    pthread_mutex_unlock(&t->lock);
    if (new && keep(t) != TUFF_OK)
        tuff_log(1, "choices of kernels could not be kept: %s", tuff_last_error());
}

// ---- the front ---------------------------------------------------------------------------

static const char *const modes[] = { "off", "quick", "full" };

tuff_status tuff_tune_parse(const char *text, tuff_tune_mode *mode)
{
    TUFF_REQUIRE(text && mode, ARG, "tune: the text or the mode is NULL");
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, modes[i]) != 0) continue;
        *mode = (tuff_tune_mode)i;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_ARG, "'%s' is no way to tune, expected off, quick or full",
                     tuff_show(text, strlen(text)));
}

tuff_status tuff_tune_set(tuff_device *device, const tuff_tune_params *p)
{
    TUFF_REQUIRE(device && p, ARG, "tune: the device or the params are NULL");
    TUFF_REQUIRE(p->mode >= TUFF_TUNE_OFF && p->mode <= TUFF_TUNE_FULL && p->seconds >= 0, ARG,
                 "tune: mode is %d and seconds is %g, expected 0 to 2 and at least 0",
                 (int)p->mode, p->seconds);
    tuff_tuning *t = device->caps.tuning;
    pthread_mutex_lock(&t->lock);
    t->params = *p;
    t->left = p->mode == TUFF_TUNE_FULL ? INFINITY : QUICK_SECONDS;
    if (p->seconds > 0) t->left = p->seconds;
    pthread_mutex_unlock(&t->lock);
    return TUFF_OK;
}

tuff_status tuff_tune_case(tuff_device *device, const char *text)
{
    TUFF_REQUIRE(device, ARG, "tune: the device is NULL");
    tuff_case *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_bench_parse(text, c, NULL, 0);
    if (status == TUFF_OK) status = tuff_tune_calls(device, &c->call, 1);
    tuff_free(c);
    return status;
}

tuff_status tuff_tune_load(tuff_device *device, const char *path, int *choices)
{
    int count;
    TUFF_REQUIRE(device && path, ARG, "tune: the device or the path is NULL");
    return tuff_tuning_load(device->caps.tuning, path, choices ? choices : &count);
}

tuff_status tuff_tune_save(tuff_device *device, const char *path)
{
    TUFF_REQUIRE(device && path, ARG, "tune: the device or the path is NULL");
    return tuff_tuning_save(device->caps.tuning, path);
}

void tuff_tune_get_stats(tuff_device *device, tuff_tune_stats *stats)
{
    tuff_tuned line;
    tuff_tuning *t = device->caps.tuning;
    pthread_mutex_lock(&t->lock);
    *stats = t->stats;
    pthread_mutex_unlock(&t->lock);
    stats->choices = stats->wrong = 0;
    for (int i = 0; tuff_tuning_at(t, i, &line); i++) {
        stats->wrong += line.wrong;
        stats->choices += !line.wrong;
    }
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_line(const tuff_tuned *l, char *text, size_t size)
{
    char group[24] = "", time[32] = "wrong results";
    if (l->group) snprintf(group, sizeof group, " group=%u", l->group);
    if (!l->wrong) snprintf(time, sizeof time, "%.1f us", l->us);
    snprintf(text, size, "%s %s: %s%s%s%s, %s", l->op, l->class, l->variant,
             l->way[0] ? " " : "", l->way, group, time);
}

void tuff_tune_describe(tuff_device *device, void (*line)(void *user, const char *text),
                        void *user)
{
    tuff_tuning *t = device->caps.tuning;
    tuff_tuned one;
    int count = 0;
    while (tuff_tuning_at(t, count, &one)) count++;
    char **list = tuff_alloc((size_t)count + 1, sizeof *list);
    for (int i = 0; list && i < count && tuff_tuning_at(t, i, &one); i++) {
        char text[TUFF_CLASS_TEXT + 256];
        print_line(&one, text, sizeof text);
        list[i] = tuff_strdup(text);
        if (!list[i]) count = i;
    }
    if (list && count) qsort(list, (size_t)count, sizeof *list, by_line);
    for (int i = 0; list && i < count; i++) {
        line(user, list[i]);
        tuff_free(list[i]);
    }
    tuff_free(list);
}
