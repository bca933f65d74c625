// What `tuff check` has found, and the reports it makes of it.
#ifndef TUFF_TOOLS_CHECK_REPORT_H
#define TUFF_TOOLS_CHECK_REPORT_H
#include "cli.h"

typedef struct check_row { // an operator's variant in one type; of random cases, all of it
    char op[32], variant[24], type[8];
    int passed, failed, skipped, refused;
    double error, tolerance, grad_error, grad_tolerance;
} check_row;

typedef struct check_table {
    check_row rows[4096];
    int count, results, ops;
    cJSON *failures;    // op, variant, case, problem, again
    const tuff_device_info *info;
    int64_t seed;
    double start, seconds;
    bool fuzz;          // random cases: a row is an operator, and has what it refused
    const char *kind;   // "every case", "thorough", "random cases"
} check_table;

check_row check_total(const check_table *t);
// The whole report as one JSON object, to be freed; takes t->failures.
cJSON *check_json(check_table *t);
// Writes the report as a page without outside parts, first beside the file and then in its
// place. False with a sentence in `problem` when that cannot be done.
bool check_html(const check_table *t, const char *file, char *problem, size_t size);
#endif
