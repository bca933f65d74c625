// The reports of `tuff bench`: a table, JSON, and a page with a drawing of the roof.
#include "bench_report.h"
#include "page.h"
#include <math.h>
#include <string.h>

static double gflops(const tuff_bench_result *r) { return r->flops / r->median * 1e-9; }
static double gbps(const tuff_bench_result *r) { return r->bytes / r->median * 1e-9; }

// ---- a table -----------------------------------------------------------------------------

// "187.2 GFLOP/s" or "none" into text; returns text.
static const char *rate(double per_second, const char *unit, char text[32])
{
    if (per_second > 0) snprintf(text, 32, "%.1f %s", per_second * 1e-9, unit);
    else strcpy(text, "none");
    return text;
}

void bench_print(const bench_table *t)
{
    char f32[32], f16[32], i8[32], copy[32];
    printf("%s (%s)\nroof: f32 %s, f16 %s, whole numbers %s, copy %s\n\n", t->info->name,
           t->info->driver, rate(t->roof.f32, "GFLOP/s", f32),
           rate(t->roof.f16, "GFLOP/s", f16), rate(t->roof.i8, "GOP/s", i8),
           rate(t->roof.copy, "GB/s", copy));
    printf("%-12s %9s %9s %9s %9s %8s %6s  %s\n", "kernel", "median ms", "min", "max",
           "GFLOP/s", "GB/s", "% roof", "case");
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->result[i];
        printf("%-12s %9.3f %9.3f %9.3f %9.2f %8.2f %6.1f  %s\n", r->variant, r->median * 1e3,
               r->min * 1e3, r->max * 1e3, gflops(r), gbps(r), r->of_roof * 100, r->text);
    }
}

// ---- JSON ----------------------------------------------------------------------------------

static void add_roof(cJSON *o, const char *name, double per_second)
{
    if (per_second > 0) cJSON_AddNumberToObject(o, name, per_second * 1e-9);
    else cJSON_AddNullToObject(o, name);
}

cJSON *bench_json(const bench_table *t)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "tuff", TUFF_VERSION);
    cJSON_AddStringToObject(json, "device", t->info->id);
    cJSON_AddStringToObject(json, "name", t->info->name);
    cJSON_AddStringToObject(json, "driver", t->info->driver);
    cJSON *roof = cJSON_AddObjectToObject(json, "roof");
    add_roof(roof, "f32_gflops", t->roof.f32);
    add_roof(roof, "f16_gflops", t->roof.f16);
    add_roof(roof, "i8_gops", t->roof.i8);
    add_roof(roof, "copy_gbps", t->roof.copy);
    cJSON *results = cJSON_AddArrayToObject(json, "results");
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->result[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "case", r->text);
        cJSON_AddStringToObject(o, "variant", r->variant);
        cJSON_AddNumberToObject(o, "runs", r->runs);
        cJSON_AddNumberToObject(o, "median_ms", r->median * 1e3);
        cJSON_AddNumberToObject(o, "min_ms", r->min * 1e3);
        cJSON_AddNumberToObject(o, "max_ms", r->max * 1e3);
        cJSON_AddNumberToObject(o, "gflops", gflops(r));
        cJSON_AddNumberToObject(o, "gbps", gbps(r));
        cJSON_AddNumberToObject(o, "percent_of_roof", r->of_roof * 100);
        cJSON_AddItemToArray(results, o);
    }
    return json;
}

// ---- a drawing -----------------------------------------------------------------------------

// Both axes are logarithmic, in whole decades: operations a byte to the right, GFLOP/s up.
typedef struct plot {
    FILE *f;
    double low_x, high_x, low_y, high_y; // powers of ten
} plot;
enum { LEFT = 60, RIGHT = 860, TOP = 20, BOTTOM = 440 };

static double at_x(const plot *p, double v)
{
    return LEFT + (RIGHT - LEFT) * (log10(v) - p->low_x) / (p->high_x - p->low_x);
}

static double at_y(const plot *p, double v)
{
    return BOTTOM - (BOTTOM - TOP) * (log10(v) - p->low_y) / (p->high_y - p->low_y);
}

// A case without arithmetic has no place here.
static bool has_place(const tuff_bench_result *r) { return r->flops > 0 && r->bytes > 0; }

static void choose_axes(plot *p, const bench_table *t)
{
    double low_x = 0.1, high_x = 100, low_y = t->roof.f32 * 1e-9, high_y = low_y;
    high_y = fmax(high_y, fmax(t->roof.f16, t->roof.i8) * 1e-9);
    low_y = fmin(low_y, t->roof.copy * 1e-10);
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->result[i];
        if (!has_place(r)) continue;
        low_x = fmin(low_x, r->flops / r->bytes);
        high_x = fmax(high_x, r->flops / r->bytes);
        low_y = fmin(low_y, gflops(r));
        high_y = fmax(high_y, gflops(r));
    }
    p->low_x = floor(log10(low_x)), p->high_x = ceil(log10(high_x) + 0.01);
    p->low_y = floor(log10(low_y)), p->high_y = ceil(log10(high_y) + 0.01);
}

static void draw_grid(const plot *p)
{
    for (double d = p->low_x; d <= p->high_x; d++) {
        const double x = at_x(p, pow(10, d));
        fprintf(p->f, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                      "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                x, TOP, x, BOTTOM, x, BOTTOM + 16, pow(10, d));
    }
    for (double d = p->low_y; d <= p->high_y; d++) {
        const double y = at_y(p, pow(10, d));
        fprintf(p->f, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, y, RIGHT, y, LEFT - 6, y + 4, pow(10, d));
    }
    fprintf(p->f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations a byte</text>\n"
                  "<text x=\"6\" y=\"12\">GFLOP/s</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 36);
}

// From where memory's line meets the edge, up to the peak, and level from there.
static void draw_roof(const plot *p, double copy, double peak, const char *name)
{
    if (!(peak > 0)) return;
    double from = pow(10, p->low_x);
    const double knee = peak / copy, to = pow(10, p->high_x);
    const double level = at_y(p, peak * 1e-9);
    if (from * copy * 1e-9 < pow(10, p->low_y)) from = pow(10, p->low_y) / (copy * 1e-9);
    fprintf(p->f, "<polyline class=\"roof\" points=\"");
    if (knee > from) fprintf(p->f, "%.1f,%.1f %.1f,%.1f ", at_x(p, from),
                             at_y(p, from * copy * 1e-9), at_x(p, fmin(knee, to)),
                             at_y(p, fmin(knee, to) * copy * 1e-9));
    if (knee < to) fprintf(p->f, "%.1f,%.1f", (double)RIGHT, level);
    fprintf(p->f, "\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s, %.4g</text>\n",
            RIGHT, level - 5, name, peak * 1e-9);
}

static void draw_dots(page *page, const plot *p, const bench_table *t)
{
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->result[i];
        if (!has_place(r)) continue;
        const double x = at_x(p, r->flops / r->bytes), y = at_y(p, gflops(r));
        fprintf(p->f, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", x, y);
        page_text(page, r->text);
        fprintf(p->f, "</title></circle><text x=\"%.1f\" y=\"%.1f\">%d</text>\n", x + 6, y + 4,
                i + 1);
    }
}

static void write_plot(page *page, const bench_table *t)
{
    plot p = { .f = page->out };
    choose_axes(&p, t);
    fprintf(p.f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 490\" "
                 "role=\"img\" aria-label=\"Roofline\">\n");
    draw_grid(&p);
    draw_roof(&p, t->roof.copy, t->roof.f32, "f32");
    draw_roof(&p, t->roof.copy, t->roof.f16, "f16");
    draw_roof(&p, t->roof.copy, t->roof.i8, "whole numbers");
    draw_dots(page, &p, t);
    fputs("</svg>\n", p.f);
}

// ---- a page --------------------------------------------------------------------------------

static void write_rows(page *p, const bench_table *t)
{
    fputs("<table><tr><th class=\"n\"></th><th>case</th><th>kernel</th><th class=\"n\">median "
          "ms</th><th class=\"n\">min</th><th class=\"n\">max</th><th class=\"n\">GFLOP/s</th>"
          "<th class=\"n\">GB/s</th><th class=\"n\">% of roof</th></tr>\n", p->out);
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->result[i];
        fprintf(p->out, "<tr><td class=\"n\">%d</td><td><code>", i + 1);
        page_text(p, r->text);
        fputs("</code></td><td>", p->out);
        page_text(p, r->variant);
        fputs("</td>", p->out);
        const double v[] = { r->median * 1e3, r->min * 1e3, r->max * 1e3 };
        for (int k = 0; k < 3; k++) fprintf(p->out, "<td class=\"n\">%.3f</td>", v[k]);
        fprintf(p->out, "<td class=\"n\">%.2f</td><td class=\"n\">%.2f</td><td class=\"n\">"
                        "%.1f</td></tr>\n", gflops(r), gbps(r), r->of_roof * 100);
    }
    fputs("</table>\n", p->out);
}

bool bench_html(const bench_table *t, const char *file, char *problem, size_t size)
{
    char text[64];
    page p;
    page_open(&p, file, "Tuff bench", t->info);
    if (p.out) {
        page_facts(&p, t->info);
        page_fact(&p, "f32", rate(t->roof.f32, "GFLOP/s", text));
        page_fact(&p, "f16", rate(t->roof.f16, "GFLOP/s", text));
        page_fact(&p, "Whole numbers", rate(t->roof.i8, "GOP/s", text));
        page_fact(&p, "Copy", rate(t->roof.copy, "GB/s", text));
        page_fact(&p, "Tuff", TUFF_VERSION);
        page_date(&p);
        fputs("<p>Lines are what this device can do at most, measured on it: multiply-adds in "
              "registers, and copies of memory. A dot is a case of the table below: its "
              "operations for each byte of its tensors, and how many it makes a second of "
              "wall-clock time.</p>\n", p.out);
        write_plot(&p, t);
        write_rows(&p, t);
    }
    return page_close(&p, problem, size);
}
