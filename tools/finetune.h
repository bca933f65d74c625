// The options of subcommands that train a net on after they changed it, and what they show.
#ifndef TUFF_TOOLS_FINETUNE_H
#define TUFF_TOOLS_FINETUNE_H
#include "cli.h"

typedef struct finetune {
    int64_t epochs, batch;
    const char *optimizer, *schedule, *augment, *gradients, *precision;
    double lr, weight_decay, l1, slim;
} finetune;

#define FINETUNE_DEFAULTS                                                       \
    { .optimizer = "adam", .schedule = "constant", .lr = CLI_NOT_GIVEN,         \
      .augment = "none", .gradients = "full", .precision = "f32" }
// Rows of an option table; f is the name of a finetune.
#define FINETUNE_OPTIONS(f)                                                     \
    { "finetune", CLI_INT, &(f).epochs, "EPOCHS", "then trains for so many; 0" }, \
    FINETUNE_HOW(f)
// All but the epochs.
#define FINETUNE_HOW(f)                                                         \
    { "optimizer", CLI_TEXT, &(f).optimizer, "NAME", "as of tuff train; adam" }, \
    { "lr", CLI_REAL, &(f).lr, "X", "its learning rate; by the optimizer" },    \
    { "lr-schedule", CLI_TEXT, &(f).schedule, "TEXT", "--schedule of tuff train" }, \
    { "augment", CLI_TEXT, &(f).augment, "TEXT", "likewise; none" },            \
    { "gradients", CLI_TEXT, &(f).gradients, "TEXT", "likewise; full" },        \
    { "precision", CLI_TEXT, &(f).precision, "TEXT", "likewise; f32" },         \
    { "batch", CLI_INT, &(f).batch, "N", "examples in a step; 64" },            \
    { "weight-decay", CLI_REAL, &(f).weight_decay, "X", "L2 penalty" },         \
    { "l1", CLI_REAL, &(f).l1, "X", "L1 penalty" },                             \
    { "slim", CLI_REAL, &(f).slim, "X", "L1 penalty on the scales of batch norms alone" }

// Reads the words and numbers into *p, with a bar and a line an epoch. Returns -1 to go on, or
// the status to exit with.
int finetune_read(const cli_command *self, const finetune *f, tuff_train_params *p);
#endif
