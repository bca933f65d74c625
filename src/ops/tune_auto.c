// What `auto` takes where there is no GPU: the CPU path, or a Vulkan driver that runs on the
// same processor. Which is faster depends on both, so it is measured, on a few calls of the
// kinds that nets are made of, and the answer is kept in the driver's tuning file.
#include "base/alloc.h"
#include "base/file.h"
#include "base/time.h"
#include "device/impl.h"
#include "ops/timing.h"
#include "ops/tune.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 5 };
static const double SECONDS = 2.5; // after which what was measured has to do
static const double CLEARLY = 1.1; // times faster: less is not worth another device

static const char *const cases[] = {
    "conv2d f32 16x6x14x14 16x6x5x5 16 act=relu",
    "matmul f32 64x400 400x120 120 act=relu",
    "conv2d f32 4x32x28x28 32x32x3x3 32 pad=1 act=relu",
    "add f32 64x6x28x28 64x6x28x28",
};

// Seconds of a call, the median of a few; 0 where the device cannot run it.
static double time_case(tuff_device *dev, const char *text)
{
    double seconds[RUNS], first, result = 0;
    tuff_case *c = tuff_alloc(1, sizeof *c);
    tuff_operands o = { 0 };
    tuff_timing t = { 0 };
    tuff_status status = c ? tuff_bench_parse(text, c, NULL, 0) : TUFF_ERR_MEMORY;
    TUFF_GO(status);
    TUFF_GO(tuff_operands_create(dev, &c->call, &o));
    TUFF_GO(tuff_timing_record(&t, dev, &c->call, false, o.in_range, o.out_range));
    TUFF_GO(tuff_timing_run(&t, dev, &first));
    for (int i = 0; i < RUNS; i++) TUFF_GO(tuff_timing_run(&t, dev, &seconds[i]));
    result = tuff_timing_median(seconds, RUNS);
exit:
    tuff_timing_free(&t);
    tuff_operands_free(&o);
    tuff_free(c);
    return result;
}

// By how many times `cpu` is the faster: the geometric mean over the cases; 0: nothing could be
// measured.
static double compare(tuff_device *software, tuff_device *cpu)
{
    const double end = tuff_time_now() + SECONDS;
    double sum = 0;
    int count = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && tuff_time_now() < end; i++) {
        const double a = time_case(software, cases[i]), b = time_case(cpu, cases[i]);
        if (a <= 0 || b <= 0) continue;
        sum += log(a / b);
        count++;
    }
    return count ? exp(sum / count) : 0;
}

static double measure(const tuff_device_info *software)
{
    tuff_device *a = NULL, *b = NULL;
    double faster = 0;
    tuff_log(1, "auto compares the CPU path with %s, which takes some seconds once",
             software->name);
    if (tuff_device_open(software->id, &a) == TUFF_OK &&
        tuff_device_open("cpu", &b) == TUFF_OK)
        faster = compare(a, b);
    tuff_device_close(&b);
    tuff_device_close(&a);
    return faster;
}

// Reads the table without a note: whoever opens the device in the end makes it.
static void read_quietly(tuff_tuning *t)
{
    void *text;
    size_t size;
    int count;
    if (!t->path[0] || access(t->path, R_OK) != 0) return;
    if (tuff_file_read(t->path, 16 << 20, &text, &size) != TUFF_OK) return;
    (void)tuff_tuning_read(t, text, size, &count);
    tuff_free(text);
}

bool tuff_auto_takes_cpu(const tuff_device_info *software, const tuff_device_info *cpu,
                         double *faster)
{
    char path[1024], key[320];
    const char *named = getenv("TUFF_TUNE");
    tuff_tuning *t;
    *faster = 0;
    if (named && strcmp(named, "none") == 0) return false;
    // A file that an app brought along is not where this belongs.
    tuff_tuning_path(software, path, sizeof path);
    if (!path[0] || tuff_tuning_create(software, path, true, &t) != TUFF_OK) return false;
    snprintf(key, sizeof key, "%s, %u threads, %s", cpu->name, cpu->max_group, TUFF_VERSION);
    for (char *c = key; *c; c++)
        if ((unsigned char)*c < ' ') *c = '?';
    read_quietly(t);
    *faster = tuff_tuning_auto(t, key);
    if (*faster <= 0) {
        *faster = measure(software);
        if (*faster > 0 && tuff_tuning_put_auto(t, key, *faster) == TUFF_OK) tuff_tune_keep(t);
    }
    tuff_tuning_destroy(&t);
    return *faster > CLEARLY;
}
