// The part of a model file that every one has: weights, the net, and its data. Arrays in host
// memory have the layout of the model's flat tensor.
#ifndef TUFF_TRAIN_MODEL_FILE_H
#define TUFF_TRAIN_MODEL_FILE_H
#include <tuff/train.h>

// Whether a path's end says .tuffz.
bool tuff_is_packed_name(const char *path);

// What is going to be written. Strings are copied into `text`.
typedef struct tuff_model_out {
    tuff_named_array *array;
    int arrays;
    tuff_pair *pair;
    int pairs;
    char **text; // owned strings
    int texts;
} tuff_model_out;

// Appends the parameters that lie in flat[] under prefix + name; buffers too, or only what is
// trained (flat[] is then the first part of that layout).
tuff_status tuff_out_params(tuff_model_out *out, const tuff_model *model, const char *prefix,
                            float *flat, bool buffers);
tuff_status tuff_out_pair(tuff_model_out *out, const char *key, const char *format, ...)
    TUFF_PRINTF(3, 4);
// The net's text as a pair.
tuff_status tuff_out_net(tuff_model_out *out, const char *key, const tuff_model *model);
// The pairs tuff.*: net, input, data.
tuff_status tuff_out_model(tuff_model_out *out, const tuff_model *model);
tuff_status tuff_out_write(const tuff_model_out *out, const char *path);
void tuff_out_clear(tuff_model_out *out);

// Whether any array's name begins with the prefix.
bool tuff_in_has(const tuff_safetensors *file, const char *prefix);
// Fills flat[count] with the parameters under prefix + name; gaps become 0. Likewise.
// Fails: TUFF_ERR_FORMAT (one is missing, or of another shape: the sentence names it).
tuff_status tuff_in_params(const tuff_safetensors *file, const tuff_model *model,
                           const char *prefix, float *flat, size_t count, bool buffers);
// Fills a model's parameters from a .tuffz that has exactly these.
tuff_status tuff_in_packed(const tuff_tuffz *file, tuff_model *model);
// Fills one parameter's place in flat[] from an array (NULL: it is missing).
tuff_status tuff_in_param(const tuff_array *a, const tuff_param_info *p, const char *name,
                          float *flat);
// The model's whole flat tensor to or from the host.
tuff_status tuff_move_weights(tuff_model *model, float *flat, bool read);
// The value of a key. Fails: TUFF_ERR_FORMAT (not there).
tuff_status tuff_in_text(const tuff_safetensors *file, const char *key, const char **text);
tuff_status tuff_in_int(const tuff_safetensors *file, const char *key, int64_t min, int64_t max,
                        int64_t *value);
tuff_status tuff_in_float(const tuff_safetensors *file, const char *key, double *value);
#endif
