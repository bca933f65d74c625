// The reports of `tuff bench`: tables, JSON, and a page with a drawing of the roof.
#include "bench_report.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

// ---- the roof ------------------------------------------------------------------------------

#define PEAK(field, name, unit, key) { name, unit, key, offsetof(tuff_bench_roof, field) }
static const bench_peak peaks[] = {
    PEAK(f32, "f32", "GFLOP/s", "f32_gflops"),
    PEAK(f16, "f16", "GFLOP/s", "f16_gflops"),
    PEAK(bf16, "bf16", "GFLOP/s", "bf16_gflops"),
    PEAK(i32, "i32", "GOP/s", "i32_gops"),
    PEAK(i8, "i8 dot products", "GOP/s", "i8_gops"),
    PEAK(matrix_f16, "f16 matrix unit", "GFLOP/s", "matrix_f16_gflops"),
    PEAK(matrix_bf16, "bf16 matrix unit", "GFLOP/s", "matrix_bf16_gflops"),
    PEAK(matrix_i8, "i8 matrix unit", "GOP/s", "matrix_i8_gops"),
    PEAK(copy, "copy", "GB/s", "copy_gbps"),
};

const bench_peak *bench_peak_at(int index)
{
    return index < (int)(sizeof peaks / sizeof *peaks) ? &peaks[index] : NULL;
}

double bench_peak_of(const tuff_bench_roof *roof, const bench_peak *peak)
{
    return *(const double *)(const void *)((const char *)roof + peak->offset);
}

// "187.2 GFLOP/s" or "none" into text; returns text.
static const char *rate(const tuff_bench_roof *roof, const bench_peak *peak, char text[32])
{
    const double per_second = bench_peak_of(roof, peak);
    if (per_second > 0) snprintf(text, 32, "%.1f %s", per_second * 1e-9, peak->unit);
    else strcpy(text, "none");
    return text;
}

// ---- figures -------------------------------------------------------------------------------

// What is not known is NaN: "-" in a table, null in JSON.
static double known(double v) { return v > 0 ? v : (double)NAN; }
static double milli(double seconds) { return known(seconds) * 1e3; }

static double wall(const bench_entry *e) { return milli(e->r.wall.median); }
static double wall_min(const bench_entry *e) { return milli(e->r.wall.min); }
static double wall_low(const bench_entry *e) { return milli(e->r.wall.low); }
static double wall_high(const bench_entry *e) { return milli(e->r.wall.high); }
static double wall_max(const bench_entry *e) { return milli(e->r.wall.max); }
static double device(const bench_entry *e) { return milli(e->r.device.median); }
static double device_min(const bench_entry *e) { return milli(e->r.device.min); }
static double device_low(const bench_entry *e) { return milli(e->r.device.low); }
static double device_high(const bench_entry *e) { return milli(e->r.device.high); }
static double device_max(const bench_entry *e) { return milli(e->r.device.max); }
static double driver(const bench_entry *e) { return milli(e->r.driver.median); }
static double driver_min(const bench_entry *e) { return milli(e->r.driver.min); }
static double driver_max(const bench_entry *e) { return milli(e->r.driver.max); }

static double gflops(const bench_entry *e)
{
    return e->kind == BENCH_OP || e->r.flops > 0 ? e->r.flops / e->r.wall.median * 1e-9
                                                 : (double)NAN;
}

static double gbps(const bench_entry *e) { return known(e->r.bytes) / e->r.wall.median * 1e-9; }
static double of_roof(const bench_entry *e) { return known(e->r.of_roof) * 100; }
static double launches(const bench_entry *e) { return known(e->r.launches); }
static double images(const bench_entry *e)
{
    return known((double)e->r.examples) / e->r.wall.median;
}

// A replay's cost of one dispatch, in microseconds.
static double each(const bench_entry *e)
{
    return e->kind == BENCH_REPLAY ? e->r.wall.median / e->r.launches * 1e6 : (double)NAN;
}
static double driver_each(const bench_entry *e)
{
    return known(e->r.driver.median) / e->r.launches * 1e6;
}
static double of_driver(const bench_entry *e)
{
    return known(e->r.of_driver);
}
static double open_time(const bench_entry *e) { return milli(e->open); }
static double build_time(const bench_entry *e) { return milli(e->build); }
static double step_time(const bench_entry *e) { return milli(e->step); }

// ---- tables --------------------------------------------------------------------------------

typedef struct column {
    const char *title;
    int width, digits;
    double (*value)(const bench_entry *e);
} column;

enum { COLUMNS = 11 }; // at most, one of them the end

static const struct {
    const char *first; // the title of the column of kernels
    column column[COLUMNS];
} tables[BENCH_KINDS] = {
    [BENCH_OP] = { "kernel",
                   { { "median ms", 9, 3, wall }, { "min", 8, 3, wall_min },
                     { "max", 8, 3, wall_max }, { "device ms", 9, 3, device },
                     { "min", 8, 3, device_min }, { "max", 8, 3, device_max },
                     { "GFLOP/s", 9, 2, gflops }, { "GB/s", 7, 2, gbps },
                     { "% roof", 6, 1, of_roof } } },
    [BENCH_NET] = { "net",
                    { { "median ms", 9, 3, wall }, { "min", 8, 3, wall_min },
                      { "max", 8, 3, wall_max }, { "device ms", 9, 3, device },
                      { "min", 8, 3, device_min }, { "max", 8, 3, device_max },
                      { "images/s", 9, 1, images }, { "GFLOP/s", 8, 2, gflops },
                      { "% roof", 6, 1, of_roof }, { "launches", 8, 0, launches } } },
    [BENCH_REPLAY] = { "replay",
                       { { "median ms", 9, 3, wall }, { "min", 8, 3, wall_min },
                         { "max", 8, 3, wall_max }, { "driver ms", 9, 3, driver },
                         { "min", 8, 3, driver_min }, { "max", 8, 3, driver_max },
                         { "us each", 8, 2, each }, { "driver's", 8, 2, driver_each },
                         { "ratio", 6, 2, of_driver }, { "device ms", 9, 3, device } } },
    [BENCH_STARTUP] = { "cache",
                        { { "median ms", 9, 1, wall }, { "min", 8, 1, wall_min },
                          { "max", 8, 1, wall_max }, { "open", 8, 1, open_time },
                          { "build", 8, 1, build_time }, { "step", 8, 1, step_time } } },
};

static int entries_of(const bench_table *t, bench_kind kind)
{
    int n = 0;
    for (int i = 0; i < t->count; i++) n += t->entry[i].kind == kind;
    return n;
}

static void print_entry(const bench_entry *e, const column *c)
{
    printf("%-12s", e->r.variant);
    for (; c->title; c++) {
        const double v = c->value(e);
        if (isnan(v)) printf(" %*s", c->width, "-");
        else printf(" %*.*f", c->width, c->digits, v);
    }
    printf("  %s\n", e->r.text);
}

static void print_table(const bench_table *t, bench_kind kind)
{
    if (!entries_of(t, kind)) return;
    printf("\n%-12s", tables[kind].first);
    for (const column *c = tables[kind].column; c->title; c++)
        printf(" %*s", c->width, c->title);
    printf("  case\n");
    for (int i = 0; i < t->count; i++)
        if (t->entry[i].kind == kind) print_entry(&t->entry[i], tables[kind].column);
}

void bench_print(const bench_table *t)
{
    char text[32];
    const bench_peak *p;
    printf("%s (%s)\n", t->info->name, t->info->driver);
    for (int i = 0; t->roof.f32 > 0 && (p = bench_peak_at(i)); i++)
        printf("%s%s %s%s", i ? ", " : "roof: ", p->name, rate(&t->roof, p, text),
               bench_peak_at(i + 1) ? "" : "\n");
    for (int kind = 0; kind < BENCH_KINDS; kind++) print_table(t, (bench_kind)kind);
}

// ---- JSON ----------------------------------------------------------------------------------

static void add_number(cJSON *o, const char *name, double v)
{
    if (isfinite(v)) cJSON_AddNumberToObject(o, name, v);
    else cJSON_AddNullToObject(o, name);
}

typedef struct field {
    const char *name;
    double (*value)(const bench_entry *e);
} field;

// Those that every result has, and those of a kind.
static const field fields[] = {
    { "median_ms", wall }, { "min_ms", wall_min }, { "low_ms", wall_low },
    { "high_ms", wall_high }, { "max_ms", wall_max }, { "device_median_ms", device },
    { "device_min_ms", device_min }, { "device_low_ms", device_low },
    { "device_high_ms", device_high }, { "device_max_ms", device_max },
    { "launches", launches }, { "gflops", gflops }, { "gbps", gbps },
    { "percent_of_roof", of_roof }, { NULL, NULL },
};
static const field own_fields[BENCH_KINDS][8] = {
    [BENCH_NET] = { { "images_per_second", images } },
    [BENCH_REPLAY] = { { "driver_median_ms", driver }, { "driver_min_ms", driver_min },
                       { "driver_max_ms", driver_max }, { "launch_us", each },
                       { "driver_launch_us", driver_each }, { "of_driver", of_driver } },
    [BENCH_STARTUP] = { { "open_ms", open_time }, { "build_ms", build_time },
                        { "step_ms", step_time } },
};

static void add_fields(cJSON *o, const bench_entry *e, const field *f)
{
    for (; f->name; f++) add_number(o, f->name, f->value(e));
}

cJSON *bench_json(const bench_table *t)
{
    cJSON *json = cJSON_CreateObject();
    const bench_peak *p;
    cJSON_AddStringToObject(json, "tuff", TUFF_VERSION);
    cJSON_AddStringToObject(json, "device", t->info->id);
    cJSON_AddStringToObject(json, "name", t->info->name);
    cJSON_AddStringToObject(json, "driver", t->info->driver);
    cJSON *roof = cJSON_AddObjectToObject(json, "roof");
    for (int i = 0; (p = bench_peak_at(i)); i++)
        add_number(roof, p->key, known(bench_peak_of(&t->roof, p)) * 1e-9);
    cJSON *results = cJSON_AddArrayToObject(json, "results");
    for (int i = 0; i < t->count; i++) {
        const bench_entry *e = &t->entry[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "case", e->r.text);
        cJSON_AddStringToObject(o, "variant", e->r.variant);
        cJSON_AddNumberToObject(o, "runs", e->r.runs);
        add_fields(o, e, fields);
        add_fields(o, e, own_fields[e->kind]);
        cJSON_AddItemToArray(results, o);
    }
    return json;
}

// ---- a page --------------------------------------------------------------------------------

static void write_row(page *p, const bench_entry *e, int number, const column *c)
{
    fprintf(p->out, "<tr><td class=\"n\">%d</td><td><code>", number);
    page_text(p, e->r.text);
    fputs("</code></td><td>", p->out);
    page_text(p, e->r.variant);
    fputs("</td>", p->out);
    for (; c->title; c++) {
        const double v = c->value(e);
        if (isnan(v)) fputs("<td class=\"n\">-</td>", p->out);
        else fprintf(p->out, "<td class=\"n\">%.*f</td>", c->digits, v);
    }
    fputs("</tr>\n", p->out);
}

static void write_table(page *p, const bench_table *t, bench_kind kind)
{
    if (!entries_of(t, kind)) return;
    fprintf(p->out, "<table><tr><th class=\"n\"></th><th>case</th><th>%s</th>",
            tables[kind].first);
    for (const column *c = tables[kind].column; c->title; c++) {
        fputs("<th class=\"n\">", p->out);
        page_text(p, c->title);
        fputs("</th>", p->out);
    }
    fputs("</tr>\n", p->out);
    for (int i = 0; i < t->count; i++)
        if (t->entry[i].kind == kind) write_row(p, &t->entry[i], i + 1, tables[kind].column);
    fputs("</table>\n", p->out);
}

bool bench_html(const bench_table *t, const char *file, char *problem, size_t size)
{
    char text[32];
    page p;
    const bench_peak *peak;
    page_open(&p, file, "Tuff bench", t->info);
    if (p.out) {
        page_facts(&p, t->info);
        for (int i = 0; (peak = bench_peak_at(i)); i++)
            page_fact(&p, peak->name, rate(&t->roof, peak, text));
        page_fact(&p, "Tuff", TUFF_VERSION);
        page_date(&p);
        fputs("<p>Lines are what this device can do at most, measured on it: multiply-adds in "
              "registers, and copies of memory. A dot is a case of the tables below: its "
              "operations for each byte of its tensors, and how many it makes a second of "
              "wall-clock time. Device times are by the device's own clock, without what "
              "submitting costs.</p>\n", p.out);
        bench_plot(&p, t);
        for (int kind = 0; kind < BENCH_KINDS; kind++) write_table(&p, t, (bench_kind)kind);
    }
    return page_close(&p, problem, size);
}
