// What the readers of files give, and a dataset is made of.
#ifndef TUFF_DATA_PARTS_H
#define TUFF_DATA_PARTS_H
#include <tuff/data.h>

typedef struct tuff_parts {
    tuff_array x, y;           // every example; or the training ones, when there are test ones
    tuff_array test_x, test_y; // or empty
    char **names;              // of the classes, or NULL
    int name_count;
} tuff_parts;

void tuff_parts_clear(tuff_parts *parts);

// Brings examples into the form that a dataset keeps: x u8 or f32 [N, F] or [N, C, H, W],
// y i32 [N] or f32 [N, T]. Both are replaced by converted copies where they must be.
// Fails: TUFF_ERR_SHAPE, TUFF_ERR_DTYPE (a label is no whole number that fits i32).
TUFF_CHECK tuff_status tuff_parts_arrange(tuff_array *x, tuff_array *y);
// Makes room for `count` names, all NULL.
TUFF_CHECK tuff_status tuff_parts_name(tuff_parts *parts, int count);

// Readers: `spec` is what follows the colon. *parts is empty at first, and is to be cleared
// by the caller, also on failure.
TUFF_CHECK tuff_status tuff_parts_fashion(const char *spec, tuff_parts *parts);
TUFF_CHECK tuff_status tuff_parts_idx(const char *spec, tuff_parts *parts);
TUFF_CHECK tuff_status tuff_parts_cifar10(const char *spec, tuff_parts *parts);
TUFF_CHECK tuff_status tuff_parts_csv(const char *spec, tuff_parts *parts);
TUFF_CHECK tuff_status tuff_parts_npy(const char *spec, tuff_parts *parts);

// Parsers of files in memory; the arrays are empty at first, and on failure.
TUFF_CHECK tuff_status tuff_idx_parse(const void *bytes, size_t size, tuff_array *a);
// Appends records to x u8 [N, 3, 32, 32] and y i32 [N].
TUFF_CHECK tuff_status tuff_cifar10_parse(const void *bytes, size_t size, tuff_array *x,
                                          tuff_array *y);
// One table in memory (which is written to), with the options of csv: but test; `path` is for
// messages.
TUFF_CHECK tuff_status tuff_csv_parse(const char *path, char *text, size_t size,
                                      const char *label, const char *target,
                                      tuff_parts *parts);
#endif
