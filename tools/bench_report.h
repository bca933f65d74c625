// What `tuff bench` has measured, and the reports it makes of it.
#ifndef TUFF_TOOLS_BENCH_REPORT_H
#define TUFF_TOOLS_BENCH_REPORT_H
#include "cli.h"

enum { BENCH_CASES = 256 };

typedef struct bench_table {
    const tuff_device_info *info;
    tuff_bench_roof roof;
    tuff_bench_result result[BENCH_CASES];
    int count;
} bench_table;

void bench_print(const bench_table *t);
// The whole report as one JSON object, to be freed.
cJSON *bench_json(const bench_table *t);
// Writes the report as a page, with a drawing of the roof; as check_html.
bool bench_html(const bench_table *t, const char *file, char *problem, size_t size);
#endif
