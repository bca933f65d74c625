// What `tuff bench` has measured, and the reports it makes of it.
#ifndef TUFF_TOOLS_BENCH_REPORT_H
#define TUFF_TOOLS_BENCH_REPORT_H
#include "cli.h"
#include "page.h"

enum { BENCH_CASES = 256 };

typedef enum bench_kind {
    BENCH_OP,      // a case of the check
    BENCH_NET,     // "train lenet5 64x1x28x28", "infer resnet18 1x3x224x224"
    BENCH_REPLAY,  // "replay 100"
    BENCH_STARTUP, // "startup lenet5 64x1x28x28 cache=empty"
    BENCH_KINDS
} bench_kind;

typedef struct bench_entry {
    bench_kind kind;
    tuff_bench_result r;
    double open, build, step; // startup: medians in seconds, of which r.wall are the sums
} bench_entry;

typedef struct bench_table {
    const tuff_device_info *info;
    tuff_bench_roof roof;
    bench_entry entry[BENCH_CASES];
    int count;
} bench_table;

// The arithmetic and memory of a roof, in the order of the reports.
typedef struct bench_peak {
    const char *name, *unit; // "f32", "GFLOP/s"
    const char *key;         // in JSON: "f32_gflops"
    size_t offset;           // of the double in tuff_bench_roof
} bench_peak;
const bench_peak *bench_peak_at(int index); // NULL behind the last
double bench_peak_of(const tuff_bench_roof *roof, const bench_peak *peak); // 0: none

void bench_print(const bench_table *t);
// The whole report as one JSON object, to be freed.
cJSON *bench_json(const bench_table *t);
// Writes the report as a page, with a drawing of the roof; as check_html.
bool bench_html(const bench_table *t, const char *file, char *problem, size_t size);
// bench_plot.c: the drawing alone.
void bench_plot(page *page, const bench_table *t);

// ---- bench_case.c: cases of each kind ------------------------------------------------------

bench_kind bench_kind_of(const char *text);
// Only reads the case. Fails with the library's last error set, or `problem` filled.
bool bench_case_check(const char *text, char *problem, size_t size);
// Measures a case of any kind but BENCH_STARTUP.
tuff_status bench_case_run(tuff_device *device, const char *text, const tuff_bench_roof *roof,
                           const tuff_bench_params *p, bench_entry *e);

// ---- bench_startup.c: the first step of a fresh process ------------------------------------

// "startup NET SHAPE [optimizer=NAME] cache=empty|warm". The process must have opened no device
// yet: each run is a child of it. False: a sentence is in `problem`.
bool bench_startup_check(const char *text, char *problem, size_t size);
bool bench_startup_run(const char *text, const char *device, const tuff_bench_params *p,
                       bench_entry *e, char *problem, size_t size);

// ---- bench_infer.c: models beside one another ----------------------------------------------

// `models`: "infer" and the files behind it; `batches`: what --batch was given. Opens the
// device, measures and prints. EXIT_OK, or an error.
int bench_infer(const cli_command *self, const cli_list *models, const cli_list *batches,
                const char *input, const tuff_bench_params *p);
#endif
