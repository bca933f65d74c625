// ONNX's operators in terms of ours. Most records say which operator they are (tuff_op.onnx),
// and their fields what its attributes are called; what is left differs from operator to
// operator and from opset to opset, and stands in one table (onnx_table.c):
//
//   inputs    what became an input in a later opset, or always was one, and is an attribute
//             of ours: ReduceSum's axes, Clip's min and max, Reshape's shape. Such an input is
//             read back to the host.
//   defaults  what ONNX means where an attribute is not given and our zero means something else
//   fix       what cannot be said as a table; may name another record: BatchNormalization in
//             training is batch_norm_train
#ifndef TUFF_OPS_ONNX_H
#define TUFF_OPS_ONNX_H
#include "ops/op.h"

enum { TUFF_ONNX_ATTRS = 48, TUFF_ONNX_BYTES = 16384 };

// Attributes as "name=value", ours to change.
typedef struct tuff_onnx_attrs {
    const char *item[TUFF_ONNX_ATTRS];
    int count;
    char text[TUFF_ONNX_BYTES];
    size_t used;
} tuff_onnx_attrs;

// The value of an attribute, or NULL.
const char *tuff_onnx_get(const tuff_onnx_attrs *a, const char *name);
// Adds one, in the place of any of that name. Fails: TUFF_ERR_LIMIT.
tuff_status tuff_onnx_set(tuff_onnx_attrs *a, const char *name, const char *format, ...)
    TUFF_PRINTF(3, 4);
void tuff_onnx_drop(tuff_onnx_attrs *a, const char *name);
// Numbers of "[1, -2, 3]" or "1,-2,3"; how many there were, at most `most`.
int tuff_onnx_ints(const char *value, int64_t v[], int most);

// A call on its way: the inputs that are still tensors, and the attributes.
typedef struct tuff_onnx_call {
    const char *op; // ONNX's, or the name of a record that ONNX has no name for
    int opset;      // TUFF_ONNX_OPSET when nobody said
    const tuff_tensor *in[TUFF_OP_IN];
    int nin;
    int asked; // outputs that the node has; 0: not known
    tuff_onnx_attrs attrs;
} tuff_onnx_call;

typedef struct tuff_onnx_rule {
    const char *op;
    int from, to;         // opsets that it is for; 0: from the first / to the last
    const char *inputs;   // "1:axes 2:steps"
    const char *defaults; // "axis=0 keepdims=1"
    const char *dropped;  // attributes that change nothing here
    uint32_t wide;        // outputs that ONNX has in i64, a bit each
    tuff_status (*fix)(tuff_onnx_call *c);
    const char *as;       // the operator whose records do it, when it is another
    // Does it all itself, where no record is of its form. What it leaves in out[] on a failure
    // is destroyed.
    tuff_status (*run)(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[], int *nout);
} tuff_onnx_rule;

// The rule for an operator, or NULL: there is nothing special about it.
const tuff_onnx_rule *tuff_onnx_rule_for(const char *op, int opset);
// Adagrad, Adam and Momentum (onnx_train.c).
tuff_status tuff_onnx_update(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[],
                             int *nout);
// RNN, GRU and LSTM (onnx_rnn.c).
tuff_status tuff_onnx_recurrent(tuff_stream *s, const tuff_onnx_call *c, tuff_tensor *out[],
                                int *nout);
#endif
