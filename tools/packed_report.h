// Where the bytes of a .tuffz go, as the tables of Deep Compression have it.
#ifndef TUFF_TOOLS_PACKED_REPORT_H
#define TUFF_TOOLS_PACKED_REPORT_H
#include "cli.h"

// A line for each tensor and one for the whole file: an array is appended to `json` where that
// is not NULL, else they are printed. EXIT_OK, or an error that was said.
int packed_report(const cli_command *self, const char *path, cJSON *json);
#endif
