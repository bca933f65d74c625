// `tuff quantize --mixed`: bits of each layer under a budget.
#ifndef TUFF_TOOLS_MIXED_SEARCH_H
#define TUFF_TOOLS_MIXED_SEARCH_H
#include "compress_report.h"

// What a file takes at most, or one sample's prediction: one of the two is not 0.
typedef struct mixed_budget {
    double part;   // of the file as it is
    int64_t bytes;
    double ms;
} mixed_budget;

// The part of the training data on which it is measured what rounding costs.
#define MIXED_HELD_OUT 0.05f

typedef struct mixed_search {
    tuff_mixed *mixed;
    int *layer_bits; // of each layer of the model
} mixed_search;

// Reads "40KB", "1.5MB", "25%" or "0.5ms". -1 to go on, or the status to exit with.
int mixed_read_budget(const cli_command *self, const char *text, mixed_budget *b);
// Measures each layer in each number of bits, and chooses. `path` is the model's file, `out`
// the one to come, beside which what is tried lies for a moment. EXIT_OK, or EXIT_WRONG with
// what is wrong printed. `s` is cleared by the caller in both cases.
int mixed_run(const cli_command *self, const mixed_budget *b, const char *path, const char *out,
              tuff_model *model, tuff_dataset *data, const tuff_weights_params *weights,
              mixed_search *s);
// A line for each layer: its bits, what it takes, and what the loss gained by it alone.
void mixed_print(const mixed_search *s, const tuff_model *model);
cJSON *mixed_json(const mixed_search *s, const tuff_model *model);
void mixed_clear(mixed_search *s);
#endif
