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

// A table with a line for each row, and the drop from the first to the last.
void compress_print(const compress_row rows[], int count);
// An object of the same: {"before": {...}, "after": {...}} by the rows' names, and "drop".
cJSON *compress_json(const compress_row rows[], int count);
#endif
