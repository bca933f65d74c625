// A net as text and as a tree. docs/net.md is the grammar; parse.c reads it, the files
// layers*.c have one record per kind of layer, and nothing else in the library knows a layer by
// name.
//
//   "conv 6 5 | 2x(dense 9 | relu)"        stage    layer     next  branch
//                                            0      conv 6 5    1     -
//                                            1      2 times     -     2
//                                            2      dense 9     3     -
//                                            3      relu        -     -
//
// A chain is a list of stages linked by `next`; a stage is a layer, or a block around chains:
// a repeat around one, a residual around one or two, a concat around two or more.
// tuff_net_flatten walks the tree and writes it out as items, each of which says whose outputs
// it takes:
//
//   "residual(conv 8 3 pad=1 | relu) | tanh"     item      takes       name
//                                                  conv      the input   0.0
//                                                  relu      0           0.1
//                                                  add       1, input    0
//                                                  tanh      2           1
#ifndef TUFF_NN_NET_H
#define TUFF_NN_NET_H
#include <tuff/nn.h>

enum {
    TUFF_NET_BYTES = 65536, // of text
    TUFF_NET_LAYERS = 1024, // stages of a tree, and items of a model
    TUFF_NET_DEPTH = 16,    // blocks in blocks
    TUFF_NET_ARGS = 10,     // arguments of one layer
    TUFF_NET_BRANCHES = 8,  // chains of one block
    TUFF_LAYER_PARAMS = 12,
    TUFF_LAYER_NAME = 256,  // bytes of an item's place: "3.shortcut.0"
    TUFF_LAYER_TEXT = 224   // bytes of one layer's canonical text
};

typedef struct tuff_layer_kind tuff_layer_kind;

typedef enum tuff_arg_type {
    TUFF_ARG_INT,
    TUFF_ARG_PAIR,   // rows x columns: "3" is 3x3
    TUFF_ARG_SWITCH, // yes, no
    TUFF_ARG_REAL,
    TUFF_ARG_CHOICE, // one of `choices`; the first is the standard
    TUFF_ARG_FORM    // a form of weights (forms.h)
} tuff_arg_type;

// One argument of a kind of layer. Those with `place` are given by their order, the others as
// name=value; those with `optional` too may be left out though they have a place.
typedef struct tuff_arg_spec {
    const char *name; // "KERNEL", "stride"
    bool place;
    tuff_arg_type type;
    int min, max, standard; // `standard` is what an absent attribute means
    bool optional;
    float low, high, usual; // the same of a real one
    const char *choices[5]; // ended by NULL
} tuff_arg_spec;

// How a layer's weights lie (forms.h): all 0 as they are trained, in f32.
typedef struct tuff_storage {
    int form;
    int bits;       // of a number; 0: the form's
    int per_tensor; // one scale for all of a tensor, not for each channel
    int bias_bits;  // 0: biases stay f32, or become what all does
} tuff_storage;

typedef struct tuff_layer {
    const tuff_layer_kind *kind;
    int arg[TUFF_NET_ARGS][2]; // in the order of kind->arg
    float real[TUFF_NET_ARGS]; // of those of TUFF_ARG_REAL
    tuff_storage store;
} tuff_layer;

// What a parameter is, which says how it starts.
typedef enum tuff_role_of {
    TUFF_PARAM_WEIGHT,
    TUFF_PARAM_BIAS,
    TUFF_PARAM_ONES,   // a scale
    TUFF_PARAM_ZEROS,  // a shift
    TUFF_PARAM_SLOPE,  // 0.25, as PyTorch's PReLU
    TUFF_PARAM_NORMAL, // N(0, 1), as PyTorch's Embedding
    // Not trained: running statistics, and weights in a stored form (integers, blocks, scales).
    TUFF_BUFFER_ZEROS,
    TUFF_BUFFER_ONES,
    TUFF_BUFFER_STORED // of any type; its bytes start as zeros
} tuff_role_of;

// The parameters that a layer has for one shape of input.
typedef struct tuff_layer_params {
    int count;
    const char *name[TUFF_LAYER_PARAMS]; // "weight", "bias"
    tuff_desc desc[TUFF_LAYER_PARAMS];
    tuff_role_of role[TUFF_LAYER_PARAMS];
    int64_t stands[TUFF_LAYER_PARAMS]; // for so many parameters; 0: for none
    char made[TUFF_LAYER_PARAMS][48];  // names that are not constants
    float clip[TUFF_LAYER_PARAMS]; // each update ends within [-clip, clip]; 0: anywhere
} tuff_layer_params;

// Where a layer is emitted.
typedef struct tuff_emit {
    tuff_graph *g;
    bool training;
    tuff_var counter;            // i32 [2], changes from step to step; null: none
    int index;                   // of the item
    tuff_tensor *const *tensor;  // of its parameters, in order; NULL while shapes are found
    const tuff_var *stored;      // of a layer whose weights are stored: these (forms.h)
} tuff_emit;

// What an output of a layer is made of, by features: channels of an image, numbers of a row,
// and of a sequence the numbers of a position. Who leaves features out (compress/prune.h) needs
// to know no more of a layer.
typedef enum tuff_mixing {
    TUFF_MIX_ALL,     // of all inputs, in a way of its own: none of them can be left out
    TUFF_MIX_DENSE,   // weight [out, in]; arg[0] is how many it has
    TUFF_MIX_CONV,    // weight [out, in / group, ...]; likewise, arg[TUFF_ARG_GROUP] the groups
    TUFF_MIX_DEPTH,   // weight [in * arg[0], 1, ...]: each of one input
    TUFF_MIX_NONE,    // of the input of the same place, and of parameters of that place
    TUFF_MIX_FLATTEN, // likewise, but that those of one place take several
    TUFF_MIX_PAD      // likewise, behind arg[0] and before arg[1] zeros
} tuff_mixing;
enum { TUFF_ARG_GROUP = 5 };

struct tuff_layer_kind {
    const char *name, *usage, *doc;
    tuff_mixing mixing;
    bool wide;    // computes in f32 alone, whatever others do
    bool selects; // gives numbers that it takes, and zeros
    bool scales; // f(c x) = c f(x) for c > 0: of layers without sizes of their own
    tuff_arg_spec arg[TUFF_NET_ARGS + 1]; // ended by a NULL name
    // Checks that a sample `x` is of the kind that the layer takes, and says what parameters
    // it then has. NULL: any sample, no parameters. (Sizes are the ops' business.)
    tuff_status (*params)(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p);
    tuff_var (*forward)(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                        const tuff_var param[]);
    const char *op; // of a layer that is one op without parameters, when its name is another
    bool random;    // draws numbers while training
    // Of a layer with stored weights, which stand for other numbers than their bytes: how many
    // of those are zero. `x` is a sample that it takes.
    int64_t (*zeros)(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                     const void *const data[]);
};

// How a layer mixes features. Weights that are stored have none that could be left out.
static inline tuff_mixing tuff_mixing_of(const tuff_layer *l)
{
    return l->store.form ? TUFF_MIX_ALL : l->kind->mixing;
}
// The word of a choice, or of a form; NULL past the last.
const char *tuff_choice_at(const tuff_arg_spec *a, int index);

int tuff_layer_kind_count(void);
const tuff_layer_kind *tuff_layer_kind_at(int index);
// What joins the branches of a block: not written by a user.
extern const tuff_layer_kind tuff_join_add, tuff_join_concat;
static inline bool tuff_is_join(const tuff_layer_kind *kind)
{
    return kind == &tuff_join_add || kind == &tuff_join_concat;
}
// Writes "conv 6 5 stride=2" into text[TUFF_LAYER_TEXT].
void tuff_layer_print(const tuff_layer *l, char *text);

typedef enum tuff_block {
    TUFF_BLOCK_REPEAT,
    TUFF_BLOCK_RESIDUAL,
    TUFF_BLOCK_CONCAT
} tuff_block;

typedef struct tuff_stage {
    tuff_layer layer; // kind NULL: a block
    tuff_block block;
    int branch[TUFF_NET_BRANCHES], branches; // the first stage of each chain
    int times;        // of a repeat
    int next;         // of the chain; -1 ends it
} tuff_stage;

typedef struct tuff_net {
    tuff_stage *stage; // stage[0] is the first
    int count;
} tuff_net;

enum { TUFF_NET_INPUT = -1 };

typedef struct tuff_net_item {
    tuff_layer layer;
    char name[TUFF_LAYER_NAME];
    int in[TUFF_NET_BRANCHES], nin; // items whose outputs it takes, or TUFF_NET_INPUT
} tuff_net_item;

// Reads net text. Fails: TUFF_ERR_FORMAT, TUFF_ERR_MEMORY.
tuff_status tuff_net_parse(const char *text, tuff_net **net);
void tuff_net_free(tuff_net **net);
// The tree that a preset's name, a file's path or net text stands for.
tuff_status tuff_net_open(const char *text, tuff_net **net);
// Writes everything out in order; `*items` is freed with tuff_free. The last item is the net's
// output. Fails: TUFF_ERR_FORMAT (more than TUFF_NET_LAYERS), TUFF_ERR_MEMORY.
tuff_status tuff_net_flatten(const tuff_net *net, tuff_net_item **items, int *count);
// Writes what stands in place of a layer, the item-th of tuff_net_flatten, into `text`: nothing
// (it is left out), a layer, or several with | between. Of what joins a block's branches: the
// layers that follow the block.
enum { TUFF_REWRITE_TEXT = 4 * TUFF_LAYER_TEXT };
typedef void (*tuff_rewrite_fn)(void *user, int item, const tuff_layer *l, char *text);
// tuff_net_print with other layers in their places. (Whether the text makes a net is found when
// it is read: a chain of which all layers were left out does not.)
tuff_status tuff_net_rewrite(const tuff_net *net, tuff_rewrite_fn rewrite, void *user,
                             char **text);
// "conv 6 5 | residual(relu)", repeats written out, freed with tuff_free.
// Fails: TUFF_ERR_FORMAT (more than TUFF_NET_LAYERS), TUFF_ERR_MEMORY.
tuff_status tuff_net_print(const tuff_net *net, char **text);
#endif
