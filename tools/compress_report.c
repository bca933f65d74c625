#include "compress_report.h"
#include <stdio.h>

int compress_measure(const cli_command *self, tuff_dataset *data, tuff_model *before,
                     const char *path, tuff_model *after, const char *out,
                     const tuff_measure_params *p, compress_row rows[2])
{
    tuff_measure_params first = *p, second = *p;
    first.path = path;
    second.path = out;
    if (tuff_model_measure(before, data, &first, &rows[0].m) != TUFF_OK ||
        tuff_model_save(after, out) != TUFF_OK ||
        tuff_model_measure(after, data, &second, &rows[1].m) != TUFF_OK)
        return cli_error(self);
    return EXIT_OK;
}

enum { LAST = 8 };
static compress_row last_row[LAST];
static int last_rows;

static void keep_rows(const compress_row rows[], int count)
{
    last_rows = count < LAST ? count : LAST;
    for (int i = 0; i < last_rows; i++) last_row[i] = rows[i];
}

int compress_last(const compress_row **rows)
{
    *rows = last_row;
    return last_rows;
}

static bool has_classes(const tuff_measure *m) { return m->test.accuracy >= 0; }

static void print_row(const compress_row *row)
{
    const tuff_measure *m = &row->m;
    printf("%-12s", row->name);
    if (m->test.examples == 0) printf(" %10s %8s", "-", "-");
    else if (has_classes(m))
        printf(" %8.2f %% %8lld", m->test.accuracy * 100,
               (long long)(m->test.examples - m->test.correct));
    else printf(" %10.5f %8s", m->test.loss, "-");
    printf(" %11lld %11lld", (long long)m->parameters, (long long)m->nonzeros);
    if (m->file_bytes) printf(" %9.1f", (double)m->file_bytes / 1000);
    else printf(" %9s", "-");
    printf(" %9.3f", (double)m->memory / 1e6);
    if (m->device_ms > 0) printf(" %9.3f %9.3f\n", m->device_ms, m->cpu_ms);
    else printf(" %9s %9s\n", "-", "-");
}

void compress_print(const compress_row rows[], int count)
{
    const tuff_measure *first = &rows[0].m, *last = &rows[count - 1].m;
    printf("%-12s %10s %8s %11s %11s %9s %9s %9s %9s\n", "",
           has_classes(first) || !first->test.examples ? "accuracy" : "loss", "errors",
           "parameters", "not zero", "KB disk", "MB memory", "ms device", "ms cpu");
    for (int i = 0; i < count; i++) print_row(&rows[i]);
    if (count > 1 && has_classes(first) && has_classes(last) && first->test.examples)
        printf("drop %.2f points\n", (first->test.accuracy - last->test.accuracy) * 100);
}

cJSON *compress_row_json(const tuff_measure *m)
{
    cJSON *o = cJSON_CreateObject();
    if (m->test.examples) {
        cJSON *test = cJSON_AddObjectToObject(o, "test");
        report_metrics(test, &m->test);
    }
    if (m->test.examples && has_classes(m)) {
        cJSON_AddNumberToObject(o, "accuracy", m->test.accuracy);
        cJSON_AddNumberToObject(o, "errors", (double)(m->test.examples - m->test.correct));
    }
    cJSON_AddNumberToObject(o, "parameters", (double)m->parameters);
    cJSON_AddNumberToObject(o, "nonzeros", (double)m->nonzeros);
    if (m->file_bytes) cJSON_AddNumberToObject(o, "disk_kb", (double)m->file_bytes / 1000);
    cJSON_AddNumberToObject(o, "memory_mb", (double)m->memory / 1e6);
    if (m->device_ms > 0) {
        cJSON_AddNumberToObject(o, "device_ms", m->device_ms);
        cJSON_AddNumberToObject(o, "cpu_ms", m->cpu_ms);
    }
    return o;
}

cJSON *compress_json(const compress_row rows[], int count)
{
    const tuff_measure *first = &rows[0].m, *last = &rows[count - 1].m;
    cJSON *o = cJSON_CreateObject();
    keep_rows(rows, count);
    for (int i = 0; i < count; i++)
        cJSON_AddItemToObject(o, rows[i].name, compress_row_json(&rows[i].m));
    if (has_classes(first) && has_classes(last) && first->test.examples)
        cJSON_AddNumberToObject(o, "drop", first->test.accuracy - last->test.accuracy);
    return o;
}
