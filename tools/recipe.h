// The text of `tuff optimize`: lines of words.
//
//   # smaller by a factor of ten
//   data  fashion
//   model lenet5.safetensors
//   out   small.tuffz
//
//   prune --sparsity 0.9 --finetune 5
//   compress --sparsity 0 --bits-dense 5     # what is behind a mark does not count
//
// A word with blanks in it stands in quotes, "0=0.5 3=0.9" or '...'.
#ifndef TUFF_TOOLS_RECIPE_H
#define TUFF_TOOLS_RECIPE_H
#include "cli.h"

enum { RECIPE_STEPS = 64, RECIPE_WORDS = 64 };

typedef struct recipe_line {
    int number; // counted from 1
    char *word[RECIPE_WORDS];
    int words;
} recipe_line;

// Its lines in which there are words.
typedef struct recipe {
    const char *file;
    char *text; // what the words are parts of
    recipe_line line[RECIPE_STEPS];
    int lines;
} recipe;

// Says what is wrong with a line ("small.txt:7: ..."), or with number 0 with the file; returns
// EXIT_WRONG.
int recipe_wrong(const cli_command *self, const recipe *r, int number, const char *format, ...)
    TUFF_PRINTF(4, 5);
// EXIT_OK, or EXIT_WRONG with what is wrong said. Cleared by the caller in both cases.
int recipe_read(const cli_command *self, const char *file, recipe *r);
void recipe_clear(recipe *r);
#endif
