// What the subcommands that make a net smaller print: the net before and after, side by side.
#ifndef TUFF_TOOLS_COMPRESS_REPORT_H
#define TUFF_TOOLS_COMPRESS_REPORT_H
#include "cli.h"
#include <tuff/compress.h>

// A row of the table.
typedef struct compress_row {
    const char *name; // "before", "pruned"
    tuff_measure m;
} compress_row;

// Measures a model, saves what was made of it to `out`, and measures that: rows[0] and rows[1].
// `path` is the first one's file, which may be the one that is written; NULL: none. `p` says
// the rest. On failure the library's error is printed: EXIT_OK or EXIT_WRONG.
int compress_measure(const cli_command *self, tuff_dataset *data, tuff_model *before,
                     const char *path, tuff_model *after, const char *out,
                     const tuff_measure_params *p, compress_row rows[2]);
// A table with a line for each row, and the drop from the first to the last.
void compress_print(const compress_row rows[], int count);
// The rows of which an object was made last: for who runs another subcommand (cli_run).
int compress_last(const compress_row **rows);
// An object of one row.
cJSON *compress_row_json(const tuff_measure *m);
// An object of the same: {"before": {...}, "after": {...}} by the rows' names, and "drop".
cJSON *compress_json(const compress_row rows[], int count);
#endif
