// The part of tuff quantize that leaves what flows through a net f32: weights in another form.
#ifndef QUANTIZE_WEIGHTS_H
#define QUANTIZE_WEIGHTS_H
#include "compress_report.h"

// What was told of each parameter.
typedef struct weights_list {
    tuff_stored_weights *item;
    int count;
} weights_list;

// "affine, symmetric, ..." into text; returns text.
const char *weights_schemes(char *text, size_t size);
bool weights_is_scheme(const char *name, bool *bits);
tuff_status weights_store(tuff_model *model, tuff_dataset *data, tuff_weights_params *p,
                          weights_list *told, tuff_model **stored);
// Says how many weights saturated, of how many, and where.
void weights_print(const weights_list *told);
cJSON *weights_json(const weights_list *told);
void weights_free(weights_list *told);
#endif
