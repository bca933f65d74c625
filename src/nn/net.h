// A net as text and as a tree. docs/net.md is the grammar; parse.c reads it, layers.c has one
// record per kind of layer, and nothing else in the library knows a layer by name.
//
//   "conv 6 5 | 2x(dense 9 | relu)"        stage    layer     next  block
//                                            0      conv 6 5    1     -
//                                            1      2 times     -     2
//                                            2      dense 9     3     -
//                                            3      relu        -     -
//
// A chain is a list of stages linked by `next`; a stage is a layer, or a block around a chain.
// tuff_net_flatten walks the tree and writes every repeat out.
#ifndef TUFF_NN_NET_H
#define TUFF_NN_NET_H
#include <tuff/nn.h>

enum {
    TUFF_NET_BYTES = 65536, // of text
    TUFF_NET_LAYERS = 1024, // stages of a tree, and layers of a model
    TUFF_NET_DEPTH = 16,    // blocks in blocks
    TUFF_NET_ARGS = 8,      // arguments of one layer
    TUFF_LAYER_PARAMS = 2,
    TUFF_LAYER_TEXT = 128   // bytes of one layer's canonical text
};

typedef struct tuff_layer_kind tuff_layer_kind;

typedef enum tuff_arg_type {
    TUFF_ARG_INT,
    TUFF_ARG_PAIR,  // rows x columns: "3" is 3x3
    TUFF_ARG_SWITCH // yes, no
} tuff_arg_type;

// One argument of a kind of layer. Those with `place` are given by their order, the others as
// name=value.
typedef struct tuff_arg_spec {
    const char *name; // "KERNEL", "stride"
    bool place;
    tuff_arg_type type;
    int min, max, standard; // `standard` is what an absent attribute means
} tuff_arg_spec;

typedef struct tuff_layer {
    const tuff_layer_kind *kind;
    int arg[TUFF_NET_ARGS][2]; // in the order of kind->arg
} tuff_layer;

// The parameters that a layer has for one shape of input.
typedef struct tuff_layer_params {
    int count;
    const char *name[TUFF_LAYER_PARAMS]; // "weight", "bias"
    tuff_desc desc[TUFF_LAYER_PARAMS];
} tuff_layer_params;

struct tuff_layer_kind {
    const char *name, *usage, *doc;
    tuff_arg_spec arg[TUFF_NET_ARGS + 1]; // ended by a NULL name
    // Checks that a sample `x` is of the kind that the layer takes, and says what parameters
    // it then has. NULL: any sample, no parameters. (Sizes are the ops' business.)
    tuff_status (*params)(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p);
    tuff_var (*forward)(tuff_graph *g, const tuff_layer *l, tuff_var x, const tuff_var param[]);
};

int tuff_layer_kind_count(void);
const tuff_layer_kind *tuff_layer_kind_at(int index);
// Writes "conv 6 5 stride=2" into text[TUFF_LAYER_TEXT].
void tuff_layer_print(const tuff_layer *l, char *text);

typedef struct tuff_stage {
    tuff_layer layer; // kind NULL: a block
    int block, times; // the first stage of its chain, and how often it comes
    int next;         // of the chain; -1 ends it
} tuff_stage;

typedef struct tuff_net {
    tuff_stage *stage; // stage[0] is the first
    int count;
} tuff_net;

// Reads net text. Fails: TUFF_ERR_FORMAT, TUFF_ERR_MEMORY.
tuff_status tuff_net_parse(const char *text, tuff_net **net);
void tuff_net_free(tuff_net **net);
// Writes every layer in order; `*layers` is freed with tuff_free.
// Fails: TUFF_ERR_FORMAT (more than TUFF_NET_LAYERS), TUFF_ERR_MEMORY.
tuff_status tuff_net_flatten(const tuff_net *net, tuff_layer **layers, int *count);
// The net that a text stands for, as layers; `*layers` is freed with tuff_free.
tuff_status tuff_net_read(const char *text, tuff_layer **layers, int *count);
// The net that a preset's name, a file's path or net text stands for, as layers.
tuff_status tuff_net_open(const char *net, tuff_layer **layers, int *count);
// "conv 6 5 | relu", freed with tuff_free; NULL with the last error set.
char *tuff_net_print(const tuff_layer *layers, int count);
#endif
