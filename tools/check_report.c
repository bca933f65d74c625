// The reports of `tuff check`: JSON, and a page that can be sent to a driver's vendor.
#include "check_report.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;"
    "color:#222;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
    "table{border-collapse:collapse;font-size:13px}th,td{text-align:left;padding:2px 12px 2px "
    "0;border-bottom:1px solid #ddd;vertical-align:top}td.n,th.n{text-align:right}"
    ".bad{color:#b00020;font-weight:600}.good{color:#1b6e3c}code,pre{font:13px ui-monospace,"
    "monospace}pre{background:#f4f4f4;padding:.6em;overflow-x:auto}"
    "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:"
    "#444}pre{background:#262626}.bad{color:#ff6f7d}.good{color:#6fce93}}";

static void escaped(FILE *f, const char *text)
{
    for (const char *s = text; *s; s++) {
        if (*s == '&') fputs("&amp;", f);
        else if (*s == '<') fputs("&lt;", f);
        else if (*s == '>') fputs("&gt;", f);
        else if (*s == '"') fputs("&quot;", f);
        else fputc(*s, f);
    }
}

static void fact(FILE *f, const char *name, const char *value)
{
    fprintf(f, "<tr><th>%s</th><td>", name);
    escaped(f, value);
    fputs("</td></tr>\n", f);
}

static void write_head(FILE *f, const check_table *t)
{
    const check_row sum = check_total(t);
    char when[64], text[128];
    const time_t now = time(NULL);
    struct tm parts;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &parts));
    fprintf(f, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width\"><title>Tuff check: ");
    escaped(f, t->info->name);
    fprintf(f, "</title><style>%s</style>\n<h1>", style);
    escaped(f, t->info->name);
    fprintf(f, ": <span class=\"%s\">", sum.failed ? "bad" : "good");
    if (sum.failed) fprintf(f, "%d of %d results are wrong", sum.failed,
                            sum.failed + sum.passed);
    else fprintf(f, "all %d results are right", sum.passed);
    fputs("</span></h1>\n<table>\n", f);
    fact(f, "Device", t->info->name);
    fact(f, "Vendor", t->info->vendor);
    fact(f, "Driver", t->info->driver);
    if (t->info->api[0]) fact(f, "Vulkan", t->info->api);
    if (t->info->features[0]) fact(f, "Features used", t->info->features);
    snprintf(text, sizeof text, "Tuff %s, %s, seed %lld, %.0f s", TUFF_VERSION, t->kind,
             (long long)t->seed, t->seconds);
    fact(f, "Check", text);
    if (t->fuzz) {
        snprintf(text, sizeof text, "%d, each with a sentence that says why", sum.refused);
        fact(f, "Cases refused", text);
    }
    fact(f, "Date", when);
    fputs("</table>\n<p>Each result of the device is held against the same operator in plain C "
          "with sums in 64-bit floating point. An error is |got &minus; want| / (|want| + "
          "rms(want)); a tolerance of 0 asks for the same bits. Every case runs at least twice "
          "for the same bits, with outputs that start as NaN and guard words round them.</p>\n",
          f);
}

static const char *member(const cJSON *o, const char *name)
{
    const cJSON *m = cJSON_GetObjectItem(o, name);
    return m && m->valuestring ? m->valuestring : "";
}

static void write_failures(FILE *f, const check_table *t)
{
    const cJSON *o;
    if (!cJSON_GetArraySize(t->failures)) return;
    fputs("<h2>What is wrong</h2>\n", f);
    cJSON_ArrayForEach(o, t->failures) {
        fputs("<p><strong>", f);
        escaped(f, member(o, "op"));
        fputs("</strong>, kernel ", f);
        escaped(f, member(o, "variant"));
        fputs(", case <code>", f);
        escaped(f, member(o, "case"));
        fputs("</code><br><span class=\"bad\">", f);
        escaped(f, member(o, "problem"));
        fputs("</span></p>\n<pre>", f);
        escaped(f, member(o, "again"));
        fputs("</pre>\n", f);
    }
}

static void write_number(FILE *f, int n) { fprintf(f, "<td class=\"n\">%d</td>", n); }

static void write_rows(FILE *f, const check_table *t)
{
    fputs("<h2>Every operator</h2>\n<table><tr><th>operator</th><th>kernel</th><th>type</th>"
          "<th class=\"n\">right</th><th class=\"n\">wrong</th><th class=\"n\">not run</th>",
          f);
    if (t->fuzz) fputs("<th class=\"n\">refused</th>", f);
    fputs("<th class=\"n\">largest error</th><th class=\"n\">tolerance</th><th class=\"n\">"
          "gradient</th><th class=\"n\">tolerance</th></tr>\n", f);
    for (int i = 0; i < t->count; i++) {
        const check_row *r = &t->rows[i];
        fprintf(f, "<tr%s><td>", r->failed ? " class=\"bad\"" : "");
        escaped(f, r->op);
        fputs("</td><td>", f);
        escaped(f, r->variant);
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
    char part[4096];
    FILE *f = NULL;
    if (snprintf(part, sizeof part, "%s.part", file) < (int)sizeof part) f = fopen(part, "w");
    bool ok = f != NULL;
    if (ok) {
        write_head(f, t);
        write_failures(f, t);
        write_rows(f, t);
        ok = fflush(f) == 0 && !ferror(f) && fsync(fileno(f)) == 0;
    }
    const int error = errno;
    if (f && fclose(f) != 0) ok = false;
    if (ok && rename(part, file) != 0) ok = false;
    if (ok) return true;
    snprintf(problem, size, "%s cannot be written: %s", file, strerror(error ? error : errno));
    if (f) remove(part);
    return false;
}
