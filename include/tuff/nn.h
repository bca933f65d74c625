#ifndef TUFF_NN_H
#define TUFF_NN_H
#include <tuff/graph.h>
// Nets: a line of text that names the layers, and a model, which is such a net with weights
// on a device.
//
//   tuff_model *model;
//   tuff_model_create(device, &(tuff_model_params){ .net = "lenet5",
//                                                   .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) },
//                     &model);
//
// All weights of a model lie in ONE flat tensor, each parameter a view of it that starts at
// a multiple of 64 floats (the gaps are zero and stay zero):
//
//   0.weight     0.bias   3.weight
//   |=========|..|==|.....|==============|....      tuff_model_weights
//
// Gradients and the state of an optimizer have the same layout, so that an update, a norm or
// an exchange between devices is one operation whatever the net.
//
//   Names    parameters are named as PyTorch's nn.Sequential names them: the layer's place,
//            counted from 0 with every layer of the text (also those without parameters),
//            then weight or bias. Weights have PyTorch's shapes: conv [out, in / group, rows,
//            columns], dense [out, in].
//   Threads  a model belongs to one thread at a time.

// ---- net text -------------------------------------------------------------------------------

// A ready-made net. docs/net.md has the grammar of the text.
typedef struct tuff_preset {
    const char *name; // "lenet5"
    const char *text; // "conv 6 5 pad=2 | relu | ..."
    const char *doc;  // one sentence: where it comes from, and the sample it takes
} tuff_preset;
TUFF_API int tuff_preset_count(void);
TUFF_API const tuff_preset *tuff_preset_at(int index); // NULL when there is none

// The layers of the language: what "conv" takes and does. For help texts.
typedef struct tuff_layer_doc {
    const char *name;  // "conv"
    const char *usage; // "conv CHANNELS KERNEL [stride=1] [pad=0] ..."
    const char *doc;   // one sentence
} tuff_layer_doc;
TUFF_API int tuff_layer_doc_count(void);
TUFF_API bool tuff_layer_doc_at(int index, tuff_layer_doc *doc); // false when there is none

// Checks a net and writes its canonical text (one line, repeats written out, no defaults)
// into text[size]; NULL for `text` only checks. `net` is a preset's name, the path of a file
// that holds the text, or the text itself.
// Fails: TUFF_ERR_FORMAT (the error shows the line with a mark below the word, and says what
// was expected), TUFF_ERR_IO (the file cannot be read), TUFF_ERR_ARG (size is too small).
TUFF_API TUFF_CHECK tuff_status tuff_net_text(const char *net, char *text, size_t size);

// ---- starting values ------------------------------------------------------------------------

// How the weights start. Numbers come from the counter-based generator on the host, so that
// every device starts with the same bits; element i of the flat tensor takes number i.
// fan_in is the count of inputs of one output (in / group * rows * columns), fan_out that of
// outputs of one input, as PyTorch counts them.
typedef enum tuff_init_kind {
    TUFF_INIT_DEFAULT, // PyTorch's: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases too
    TUFF_INIT_ZEROS,
    TUFF_INIT_CONSTANT,       // a
    TUFF_INIT_UNIFORM,        // U[a, b)
    TUFF_INIT_NORMAL,         // N(a, b^2)
    TUFF_INIT_GLOROT_UNIFORM, // U(-r, r), r = sqrt(6 / (fan_in + fan_out)) (Glorot 2010)
    TUFF_INIT_GLOROT_NORMAL,  // N(0, 2 / (fan_in + fan_out))
    TUFF_INIT_HE_UNIFORM,     // U(-r, r), r = sqrt(6 / fan_in) (He 2015)
    TUFF_INIT_HE_NORMAL       // N(0, 2 / fan_in)
} tuff_init_kind;

// Biases start at 0, except with TUFF_INIT_DEFAULT.
typedef struct tuff_init {
    tuff_init_kind kind;
    float a, b;
} tuff_init;

// Reads "default", "zeros", "constant=0.1", "uniform=-0.1,0.1", "normal=0,0.02",
// "glorot_uniform" (also "xavier_uniform"), "glorot_normal", "he_uniform" (also
// "kaiming_uniform"), "he_normal". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_init_parse(const char *text, tuff_init *init);

// ---- models ---------------------------------------------------------------------------------

typedef struct tuff_model tuff_model;

typedef struct tuff_model_params {
    const char *net; // a preset's name, net text, or the path of a file holding such text
    tuff_desc input; // one sample, f32: TUFF_SHAPE(TUFF_F32, 1, 28, 28) or (TUFF_F32, 10)
    tuff_init init;
    uint64_t seed;
} tuff_model_params;

// Builds a net for one shape of sample and puts its starting weights on the device.
// Fails: TUFF_ERR_FORMAT and TUFF_ERR_IO (net), TUFF_ERR_SHAPE (the sentence names the layer
// that does not fit and what it is given), TUFF_ERR_LIMIT (more weights than one tensor
// holds), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_model_create(tuff_device *device,
                                                  const tuff_model_params *p,
                                                  tuff_model **model);
// The same net on a device (the same one, or another): weights, and what it knows of its data.
// Fails: TUFF_ERR_LIMIT, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_model_copy(tuff_model *model, tuff_device *device,
                                                tuff_model **copy);
// Programs made from the model must be destroyed before.
TUFF_API void tuff_model_destroy(tuff_model **model);

TUFF_API tuff_device *tuff_model_device(const tuff_model *model);
TUFF_API const char *tuff_model_net(const tuff_model *model);         // canonical text
TUFF_API const tuff_desc *tuff_model_input(const tuff_model *model);  // one sample
TUFF_API const tuff_desc *tuff_model_output(const tuff_model *model); // of one sample

typedef struct tuff_layer_info {
    const char *text;        // "conv 6 5"; "add" and "concat" join the chains of a block
    const char *name;        // its place: "3", or "3.shortcut.0" in a block
    tuff_desc input, output; // of one sample
    int param;               // its first parameter; meaningless when it has none
    int params;              // how many it has
    int64_t parameters;      // that those stand for
} tuff_layer_info;
TUFF_API int tuff_model_layer_count(const tuff_model *model);
TUFF_API bool tuff_model_layer(const tuff_model *model, int index, tuff_layer_info *info);

typedef struct tuff_param_info {
    const char *name; // "0.weight"
    tuff_desc desc;
    int64_t offset;      // of its first element in the flat tensor
    tuff_tensor *tensor; // a view of the flat tensor; belongs to the model
    bool buffer;         // not trained: a running mean, or weights in a stored form (of any
                         // type; the offset counts floats all the same)
} tuff_param_info;
TUFF_API int tuff_model_param_count(const tuff_model *model);
TUFF_API bool tuff_model_param(const tuff_model *model, int index, tuff_param_info *info);

// Parameters of the net (61,706 for lenet5): elements of what is trained, and what weights in a
// stored form stand for.
TUFF_API int64_t tuff_model_parameters(const tuff_model *model);
// The flat tensor, f32 [n], buffers at its end; belongs to the model.
TUFF_API tuff_tensor *tuff_model_weights(const tuff_model *model);
// A view of what an optimizer may change: the flat tensor without the buffers.
TUFF_API tuff_tensor *tuff_model_trained(const tuff_model *model);
// Whether a layer draws numbers while training (dropout): then a step's numbers should differ
// from another's, see tuff_model_forward_train.
TUFF_API bool tuff_model_random(const tuff_model *model);

// Copies one parameter to or from host memory (`count` = its elements). Waits for the
// device's work.
// Fails: TUFF_ERR_ARG (no such name, another count, a parameter that is not f32).
TUFF_API TUFF_CHECK tuff_status tuff_model_get(tuff_model *model, const char *name,
                                               float *data, int64_t count);
TUFF_API TUFF_CHECK tuff_status tuff_model_set(tuff_model *model, const char *name,
                                               const float *data, int64_t count);

// What a model knows of the data it was trained on: how samples are normalised (x = scale[c]
// v + shift[c] for channel c, dim 0 of a sample) and what its classes are called. tuff_train
// sets it, model files keep it, and whoever predicts must prepare samples so.
typedef struct tuff_model_data {
    int channels;                   // 0: not known
    const float *scale, *shift;     // [channels]
    int classes;                    // 0: none, or not known
    const char *const *class_names; // [classes], or NULL
} tuff_model_data;
// Copies what is given; on failure the model knows what it knew.
// Fails: TUFF_ERR_ARG (a negative count, another number of channels than a sample has, a
// number that is not finite), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_model_set_data(tuff_model *model,
                                                    const tuff_model_data *data);
TUFF_API const tuff_model_data *tuff_model_get_data(const tuff_model *model);

// Emits the net on a graph: x [n, input...] -> [n, output...]. `params`, when it is not NULL,
// has tuff_model_param_count places and receives the variables bound to the parameters, in
// their order: what tuff_graph_backward differentiates by.
// As every building call, it returns a null variable after a failure; the graph's error then
// names the layer.
TUFF_API tuff_var tuff_model_forward(tuff_graph *g, const tuff_model *model, tuff_var x,
                                     tuff_var *params);
// The same for a step of training: batch norm takes the batch's statistics and stores the
// running ones, dropout drops. `counter`, i32 [2] or null, is a low and a high word that the
// caller counts up from step to step, so that each draws other numbers.
TUFF_API tuff_var tuff_model_forward_train(tuff_graph *g, const tuff_model *model, tuff_var x,
                                           tuff_var counter, tuff_var *params);
#endif
