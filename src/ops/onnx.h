// ONNX's operators in terms of ours. Most records say which operator they are (tuff_op.onnx),
// and their fields what its attributes are called; what is left differs from operator to
// operator and from opset to opset, and stands in one table (onnx_table.c):
//
//   inputs    what became an input in a later opset, or always was one, and is an attribute
//             of ours: ReduceSum's axes, Clip's min and max, Reshape's shape. Such an input is
//             read back to the host.
//   needs     attributes (or such inputs) that ONNX has no default for
//   defaults  what ONNX means where an attribute is not given and our zero means something else
//   fix       what cannot be said as a table; may name another record: BatchNormalization in
//             training is batch_norm_train
//   run       what is made of several records: LSTM, Attention
#ifndef TUFF_OPS_ONNX_H
#define TUFF_OPS_ONNX_H
#include "ops/op.h"

enum { TUFF_ONNX_ATTRS = 48, TUFF_ONNX_BYTES = 16384, TUFF_ONNX_IN = 256 };

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
// Gives one another name, if it is there. Fails: TUFF_ERR_LIMIT.
tuff_status tuff_onnx_rename(tuff_onnx_attrs *a, const char *from, const char *to);
// Numbers of "[1, -2, 3]" or "1,-2,3"; how many there were, at most `most`.
int tuff_onnx_ints(const char *value, int64_t v[], int most);

// How many numbers a list has, of any kind; -1 where it is not given.
int tuff_onnx_length(const tuff_onnx_attrs *a, const char *name);

// A call on its way: the inputs that are still tensors, and the attributes.
typedef struct tuff_onnx_call {
    tuff_stream *stream;
    const char *op; // ONNX's, or the name of a record that ONNX has no name for
    int opset;      // TUFF_ONNX_OPSET when nobody said
    const tuff_tensor *in[TUFF_ONNX_IN];
    int nin;
    int asked; // outputs that the node has; 0: not known
    tuff_onnx_attrs attrs;
    const tuff_desc *shape; // of the output, for operators without inputs; or NULL
    tuff_desc y;   // what the first output is seen as; dtype 0: as it is
    tuff_tensor **made; // on the way, destroyed with the call
    int count, room;
} tuff_onnx_call;

// One whole number of an attribute, or `otherwise`. Fails: TUFF_ERR_FORMAT.
tuff_status tuff_onnx_int(const tuff_onnx_call *c, const char *name, int64_t otherwise,
                          int64_t *v);
// One number, or `otherwise`. Fails: TUFF_ERR_FORMAT (also for what is no f32).
tuff_status tuff_onnx_float(const tuff_onnx_call *c, const char *name, double otherwise,
                            double *v);
// True when it is given and not 0.
bool tuff_onnx_flag(const tuff_onnx_call *c, const char *name);
// Refuses attributes that are not among the words: of rules that run by themselves.
// Fails: TUFF_ERR_FORMAT.
tuff_status tuff_onnx_only(const tuff_onnx_call *c, const char *words);
// The call owns a tensor from here on, also when this fails.
tuff_status tuff_onnx_keep(tuff_onnx_call *c, tuff_tensor *t);
// A tensor of these elements, which the call owns.
tuff_status tuff_onnx_upload(tuff_onnx_call *c, tuff_desc desc, const void *data,
                             const tuff_tensor **t);
// The same elements under another shape. y may be x's variable.
tuff_status tuff_onnx_view(tuff_onnx_call *c, const tuff_tensor *x, tuff_desc desc,
                           const tuff_tensor **y);
// The outputs of a record, which the call owns.
tuff_status tuff_onnx_op(tuff_onnx_call *c, const tuff_op *op, const tuff_tensor *const in[],
                         int nin, const void *params, const tuff_tensor *out[]);
// x as another type, or x itself.
tuff_status tuff_onnx_cast(tuff_onnx_call *c, const tuff_tensor *x, tuff_dtype type,
                           const tuff_tensor **y);
// x as an output of the call, in another shape; the caller's.
tuff_status tuff_onnx_give(const tuff_tensor *x, tuff_desc desc, tuff_tensor **out);
// The first record of that operator that takes the call; fails as the one that came closest.
tuff_status tuff_onnx_records(tuff_onnx_call *c, tuff_tensor *out[], int *nout);

typedef struct tuff_onnx_rule {
    const char *op;
    int from, to;         // opsets that it is for; 0: from the first / to the last
    const char *inputs;   // "1:axes 2:steps"
    const char *needs;    // "kernel_shape"
    const char *defaults; // "axis=0 keepdims=1"
    const char *dropped;  // attributes that change nothing here
    uint32_t wide;        // outputs that ONNX has in i64, a bit each
    tuff_status (*fix)(tuff_onnx_call *c);
    const char *as;       // the operator whose records do it, when it is another
    // Does it all itself, where no record is of its form. What it leaves in out[] on a failure
    // is destroyed.
    tuff_status (*run)(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
} tuff_onnx_rule;

// The rule for an operator, or NULL: there is nothing special about it.
const tuff_onnx_rule *tuff_onnx_rule_for(const char *op, int opset);

// One tensor of `count` by a record of many inputs, some at a time and in order, so that Concat
// is exact; t[] is overwritten. params NULL: what the call's attributes say.
tuff_status tuff_onnx_chain(tuff_onnx_call *c, const tuff_op *op, const void *params,
                            const tuff_tensor *t[], int64_t count, const tuff_tensor **y);
// Concat, Max, Min, Sum and Mean of more inputs than the records take, some at a time.
tuff_status tuff_onnx_many(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
// What operators of older opsets mean (onnx_old.c).
tuff_status tuff_onnx_rows(tuff_onnx_call *c);         // Softmax: a matrix about its axis
tuff_status tuff_onnx_broadcast(tuff_onnx_call *c);    // Add: broadcast and axis
tuff_status tuff_onnx_old_slope(tuff_onnx_call *c);    // PRelu: a slope a channel
tuff_status tuff_onnx_old_gemm(tuff_onnx_call *c);     // broadcast
tuff_status tuff_onnx_old_cast(tuff_onnx_call *c);     // types by their names
tuff_status tuff_onnx_pad(tuff_onnx_call *c);          // paddings, value
tuff_status tuff_onnx_old_lp_pool(tuff_onnx_call *c);  // p
tuff_status tuff_onnx_old_upsample(tuff_onnx_call *c); // width_scale, height_scale
tuff_status tuff_onnx_old_tile(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
tuff_status tuff_onnx_old_dropout(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
tuff_status tuff_onnx_old_batch_norm(tuff_onnx_call *c, tuff_tensor *out[], int *nout);

// ConvInteger and QLinearConv (onnx_quant.c).
tuff_status tuff_onnx_quant_conv(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
// QuantizeLinear and DequantizeLinear (onnx_quant.c).
tuff_status tuff_onnx_quantize(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
// Adagrad, Adam and Momentum (onnx_train.c).
tuff_status tuff_onnx_update(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
// Attention and RotaryEmbedding (onnx_attention.c).
tuff_status tuff_onnx_attention(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
tuff_status tuff_onnx_rotary(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
// RNN, GRU and LSTM (onnx_rnn.c).
tuff_status tuff_onnx_recurrent(tuff_onnx_call *c, tuff_tensor *out[], int *nout);
#endif
