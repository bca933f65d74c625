// A model: layers, the layout of their parameters in one flat tensor, and that tensor.
#ifndef TUFF_NN_MODEL_H
#define TUFF_NN_MODEL_H
#include "nn/net.h"

enum {
    TUFF_PARAM_ALIGN = 64, // floats; a view starts at a multiple of it
    TUFF_PARAM_NAME = TUFF_LAYER_NAME + 32
};

typedef struct tuff_param {
    char name[TUFF_PARAM_NAME]; // "0.weight", "3.shortcut.0.weight"
    tuff_desc desc;
    int64_t offset; // in the flat tensor
    int64_t count;  // elements
    int64_t stands; // for so many parameters of the net
    tuff_role_of role;
    float clip;     // each update ends within [-clip, clip]; 0: anywhere
    tuff_tensor *view;
} tuff_param;

typedef struct tuff_model_part {
    tuff_net_item item;
    char text[TUFF_LAYER_TEXT];
    tuff_desc input, output; // of one sample
    int param, params;       // its first one, and how many
} tuff_model_part;

struct tuff_model {
    tuff_device *device;
    tuff_stream *stream; // for reading and writing weights
    char *text;          // the net, canonical
    tuff_model_part *part;
    int parts;
    tuff_param *param;
    int params;
    tuff_tensor *weights; // f32 [flat]: what is trained, then the buffers
    tuff_tensor *trained; // a view of its first part
    int64_t flat;         // elements with the gaps
    int64_t trained_flat; // the same of the first part
    int64_t parameters;   // that the net has: without gaps and running statistics
    int64_t elements;     // of all tensors
    bool random;          // a layer draws numbers while training
    tuff_desc input, output;
    tuff_model_data data;
    void *data_memory;    // of what `data` points to, in one piece
    int loss;             // the tuff_loss it was trained with last; 0: not known
};

// tuff_model_create, where `most` is below 0. Else p->net comes from a file that may lie: it is
// read as text only, never as a name or a path, and a net with more than `most` parameters is
// refused (TUFF_ERR_FORMAT) before any memory is taken for them.
tuff_status tuff_model_build(tuff_device *device, const tuff_model_params *p, int64_t most,
                             tuff_model **model);

// Likewise a model of zeros of another net, which knows of its data what `m` does.
tuff_status tuff_model_like(const tuff_model *m, tuff_device *device, const char *net,
                            int64_t most, tuff_model **model);

// Whether a parameter is the scale of a norm by features (of bn, and of none but that).
bool tuff_model_is_scale(const tuff_model *m, int param);
// What is said to who wants a net's weights as floats and finds none: why, where they lie in
// another form, else "".
const char *tuff_model_stored(const tuff_model *m);
// A model of zeros, of the net as `rewrite` writes it (net.h); it knows of its data what `m`
// does.
tuff_status tuff_model_rewritten(const tuff_model *m, tuff_rewrite_fn rewrite, void *user,
                                 tuff_model **rewritten);

// tuff_model_forward, and what each of the model's parts gives.
tuff_var tuff_model_forward_parts(tuff_graph *g, const tuff_model *m, tuff_var x,
                                  tuff_var made[]);
// What is put between a net's layers: in place of a parameter that a part takes, of what it
// takes, and of what it gives to others. NULL: nothing.
typedef struct tuff_between {
    void *user;
    tuff_var (*param)(void *user, tuff_graph *g, int part, int param, tuff_var v);
    tuff_var (*take)(void *user, tuff_graph *g, int part, tuff_var x);
    tuff_var (*give)(void *user, tuff_graph *g, int part, tuff_var y);
} tuff_between;
// tuff_model_forward_train with that, and what each of the model's parts gives; `between` NULL:
// nothing is put there.
tuff_var tuff_model_forward_taught(tuff_graph *g, const tuff_model *m, tuff_var x,
                                   tuff_var counter, tuff_var *params, tuff_var made[],
                                   const tuff_between *between);

static inline bool tuff_is_buffer(tuff_role_of role) { return role >= TUFF_BUFFER_ZEROS; }

// Starting values of data[n], the flat tensor from number `first` on; gaps are zero. Pure.
void tuff_init_fill(const tuff_init *init, uint64_t seed, const tuff_param *params, int count,
                    int64_t first, int64_t n, float *data);
tuff_status tuff_init_check(const tuff_init *init);
#endif
