// The reports of `tuff check`: JSON, and a page that can be sent to a driver's vendor.
#include "check_report.h"
#include "page.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

check_row check_total(const check_table *t)
{
    check_row sum = { .grad_error = -1 };
    for (int i = 0; i < t->count; i++) {
        sum.passed += t->rows[i].passed;
        sum.failed += t->rows[i].failed;
        sum.skipped += t->rows[i].skipped;
        sum.refused += t->rows[i].refused;
    }
    return sum;
}

// ---- JSON ----------------------------------------------------------------------------------

static void add_error(cJSON *o, const char *name, double v)
{
    // JSON has no infinity; a result that is no number at all is larger than any tolerance.
    cJSON_AddNumberToObject(o, name, isfinite(v) ? v : 1e300);
}

static cJSON *rows_json(const check_table *t)
{
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; i < t->count; i++) {
        const check_row *r = &t->rows[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "op", r->op);
        cJSON_AddStringToObject(o, "variant", r->variant);
        cJSON_AddStringToObject(o, "type", r->type);
        cJSON_AddNumberToObject(o, "passed", r->passed);
        cJSON_AddNumberToObject(o, "failed", r->failed);
        cJSON_AddNumberToObject(o, "skipped", r->skipped);
        if (t->fuzz) cJSON_AddNumberToObject(o, "refused", r->refused);
        add_error(o, "error", r->error);
        cJSON_AddNumberToObject(o, "tolerance", r->tolerance);
        if (r->grad_error >= 0) {
            add_error(o, "grad_error", r->grad_error);
            cJSON_AddNumberToObject(o, "grad_tolerance", r->grad_tolerance);
        }
        cJSON_AddItemToArray(array, o);
    }
    return array;
}

cJSON *check_json(check_table *t)
{
    const check_row sum = check_total(t);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "tuff", TUFF_VERSION);
    cJSON_AddStringToObject(json, "device", t->info->id);
    cJSON_AddStringToObject(json, "name", t->info->name);
    cJSON_AddStringToObject(json, "vendor", t->info->vendor);
    cJSON_AddStringToObject(json, "driver", t->info->driver);
    cJSON_AddStringToObject(json, "api", t->info->api);
    cJSON_AddStringToObject(json, "features", t->info->features);
    cJSON_AddStringToObject(json, "kind", t->kind);
    cJSON_AddNumberToObject(json, "seed", (double)t->seed);
    cJSON_AddNumberToObject(json, "seconds", t->seconds);
    cJSON_AddNumberToObject(json, "passed", sum.passed);
    cJSON_AddNumberToObject(json, "failed", sum.failed);
    cJSON_AddNumberToObject(json, "skipped", sum.skipped);
    if (t->fuzz) cJSON_AddNumberToObject(json, "refused", sum.refused);
    cJSON_AddItemToObject(json, "operators", rows_json(t));
    cJSON_AddItemToObject(json, "failures", t->failures);
    t->failures = NULL;
    return json;
}

// ---- a page --------------------------------------------------------------------------------

static void write_head(page *p, const check_table *t)
{
    const check_row sum = check_total(t);
    char text[128];
    fprintf(p->out, ": <span class=\"%s\">", sum.failed ? "bad" : "good");
    if (sum.failed) fprintf(p->out, "%d of %d results are wrong", sum.failed,
                            sum.failed + sum.passed);
    else fprintf(p->out, "all %d results are right", sum.passed);
    fputs("</span>", p->out);
    page_facts(p, t->info);
    snprintf(text, sizeof text, "Tuff %s, %s, seed %lld, %.0f s", TUFF_VERSION, t->kind,
             (long long)t->seed, t->seconds);
    page_fact(p, "Check", text);
    if (t->fuzz) {
        snprintf(text, sizeof text, "%d, each with a sentence that says why", sum.refused);
        page_fact(p, "Cases refused", text);
    }
    page_date(p);
    fputs("<p>Each result of the device is held against the same operator in plain C "
          "with sums in 64-bit floating point. An error is |got &minus; want| / (|want| + "
          "rms(want)); a tolerance of 0 asks for the same bits. Every case runs at least twice "
          "for the same bits, with outputs that start as NaN and guard words round them.</p>\n",
          p->out);
}

static const char *member(const cJSON *o, const char *name)
{
    const cJSON *m = cJSON_GetObjectItem(o, name);
    return m && m->valuestring ? m->valuestring : "";
}

static void write_failures(page *p, const check_table *t)
{
    FILE *f = p->out;
    const cJSON *o;
    if (!cJSON_GetArraySize(t->failures)) return;
    fputs("<h2>What is wrong</h2>\n", f);
    cJSON_ArrayForEach(o, t->failures) {
        fputs("<p><strong>", f);
        page_text(p, member(o, "op"));
        fputs("</strong>, kernel ", f);
        page_text(p, member(o, "variant"));
        fputs(", case <code>", f);
        page_text(p, member(o, "case"));
        fputs("</code><br><span class=\"bad\">", f);
        page_text(p, member(o, "problem"));
        fputs("</span></p>\n<pre>", f);
        page_text(p, member(o, "again"));
        fputs("</pre>\n", f);
    }
}

static void write_number(FILE *f, int n) { fprintf(f, "<td class=\"n\">%d</td>", n); }

static void write_rows(page *p, const check_table *t)
{
    FILE *f = p->out;
    fputs("<h2>Every operator</h2>\n<table><tr><th>operator</th><th>kernel</th><th>type</th>"
          "<th class=\"n\">right</th><th class=\"n\">wrong</th><th class=\"n\">not run</th>",
          f);
    if (t->fuzz) fputs("<th class=\"n\">refused</th>", f);
    fputs("<th class=\"n\">largest error</th><th class=\"n\">tolerance</th><th class=\"n\">"
          "gradient</th><th class=\"n\">tolerance</th></tr>\n", f);
    for (int i = 0; i < t->count; i++) {
        const check_row *r = &t->rows[i];
        fprintf(f, "<tr%s><td>", r->failed ? " class=\"bad\"" : "");
        page_text(p, r->op);
        fputs("</td><td>", f);
        page_text(p, r->variant);
        fprintf(f, "</td><td>%s</td>", r->type);
        write_number(f, r->passed);
        write_number(f, r->failed);
        write_number(f, r->skipped);
        if (t->fuzz) write_number(f, r->refused);
        fprintf(f, "<td class=\"n\">%.1e</td><td class=\"n\">%.1e</td>", r->error,
                r->tolerance);
        if (r->grad_error >= 0)
            fprintf(f, "<td class=\"n\">%.1e</td><td class=\"n\">%.1e</td>", r->grad_error,
                    r->grad_tolerance);
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
}

bool check_html(const check_table *t, const char *file, char *problem, size_t size)
{
    page p;
    page_open(&p, file, "Tuff check", t->info);
    if (p.out) {
        write_head(&p, t);
        write_failures(&p, t);
        write_rows(&p, t);
    }
    return page_close(&p, problem, size);
}
