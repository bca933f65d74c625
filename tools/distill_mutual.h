// tuff distill --mutual.
#ifndef TUFF_TOOLS_DISTILL_MUTUAL_H
#define TUFF_TOOLS_DISTILL_MUTUAL_H
#include "cli.h"
#include <tuff/compress.h>

// A student of a model file, or a net that starts anew with the index-th seed. NULL: the error
// is printed.
tuff_model *distill_student(const cli_command *self, const char *student, int index,
                            tuff_device *device, const tuff_dataset *data);
// Trains students together, writes each to its place of `outs`, and prints what became of them.
int distill_mutual(const cli_command *self, const cli_list *students, const cli_list *outs,
                   const tuff_mutual_params *p, int runs, tuff_device *device,
                   tuff_dataset *data);
#endif
