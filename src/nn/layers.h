// What the files of layers share: macros for their records, and checks of samples.
#ifndef TUFF_NN_LAYERS_H
#define TUFF_NN_LAYERS_H
#include "graph/graph.h"
#include "nn/net.h"

// Each ends with a NULL name.
extern const tuff_layer_kind tuff_layers_image[], tuff_layers_row[], tuff_layers_op[],
    tuff_layers_sparse[], tuff_layers_integer[], tuff_layers_aware[], tuff_layers_binary[];

enum { WIDEST = 1000000, LONGEST = 1000 }; // channels and units; kernels, strides and pads
#define PLACE(name_, type_, max_) \
    { .name = name_, .place = true, .type = type_, .min = 1, .max = max_ }
#define ATTRIBUTE(name_, type_, min_, max_, standard_) \
    { .name = name_, .type = type_, .min = min_, .max = max_, .standard = standard_ }
#define SWITCH(name_, standard_) \
    { .name = name_, .type = TUFF_ARG_SWITCH, .max = 1, .standard = standard_ }
#define REAL(name_, low_, high_, usual_) \
    { .name = name_, .type = TUFF_ARG_REAL, .low = low_, .high = high_, .usual = usual_ }
// A real one in its place, which may be left out where `optional_`.
#define REAL_PLACE(name_, low_, high_, usual_, optional_) \
    { .name = name_, .place = true, .optional = optional_, .type = TUFF_ARG_REAL, \
      .low = low_, .high = high_, .usual = usual_ }
// Of a layer with weights: the bits that they are rounded to while it trains, and what has a
// step of its own (layers_aware.c).
#define FAKE_ARGS                                                               \
    { .name = "fake", .type = TUFF_ARG_INT, .max = 8 },                         \
    { .name = "fake_per", .type = TUFF_ARG_CHOICE, .choices = { "channel", "tensor" } }
// Keeps the place of an argument that this layer has not.
#define HIDDEN { .name = "", .min = 1, .max = 1, .standard = 1 }

// "16x5x5" into text; returns text.
const char *tuff_sample_print(const tuff_desc *d, char *text, size_t size);
tuff_status tuff_want_image(const tuff_layer *l, const tuff_desc *x); // C x H x W
tuff_status tuff_want_row(const tuff_layer *l, const tuff_desc *x);   // N
tuff_status tuff_want_rows(const tuff_layer *l, const tuff_desc *x);  // N, or T x N
void tuff_add_param(tuff_layer_params *p, const char *name, tuff_role_of role, tuff_desc desc);
// Something stored that is not trained, of any type, which stands for so many parameters of the
// net (packed weights: more than it has elements; a scale: 0).
void tuff_add_stored(tuff_layer_params *p, const char *name, tuff_desc desc, int64_t stands);

// ---- layers_integer.c: what a layer of the same name is between quantize and dequantize ---

static inline bool tuff_is_integer(const tuff_desc *d) { return d && d->dtype == TUFF_I8; }

// Of a product: 8 tensors with a bias, 7 without, in the order in which the calls take them.
// Weights with bits=2 to 7 lie packed. Fails: TUFF_ERR_ARG (other bits).
tuff_status tuff_integer_weights(const tuff_layer *l, tuff_desc weight, bool bias,
                                 tuff_layer_params *p);
// Its weights on the host, all n of them, as they lie to numbers and back.
tuff_status tuff_integer_read(const tuff_layer *l, const void *stored, int64_t n, int32_t *q);
tuff_status tuff_integer_write(const tuff_layer *l, const int32_t *q, int64_t n, void *stored);
int64_t tuff_integer_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                           const void *const data[]);
tuff_var tuff_integer_conv(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                           const tuff_var w[], const tuff_conv_params *p, bool bias);
tuff_var tuff_integer_dense(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                            const tuff_var w[], bool bias);
// input_scale, input_zero_point, output_scale, output_zero_point.
void tuff_integer_ends(tuff_layer_params *p);
tuff_var tuff_integer_mean(const tuff_emit *e, tuff_var x, const tuff_var end[],
                           const tuff_pool2d_params *p);
tuff_var tuff_integer_gap(const tuff_emit *e, tuff_var x, const tuff_var end[]);
tuff_var tuff_integer_max(const tuff_emit *e, tuff_var x, const tuff_pool2d_params *p);
tuff_var tuff_integer_channelpad(const tuff_emit *e, tuff_var x, tuff_var zero, int before,
                                 int behind);
tuff_var tuff_integer_relu(const tuff_emit *e, tuff_var x, tuff_var zero);
// left_, right_ and output_, each a scale and a zero_point.
void tuff_integer_sum_ends(tuff_layer_params *p);
tuff_var tuff_integer_sum(const tuff_emit *e, const tuff_var x[], const tuff_var end[]);

// ---- layers_aware.c: weights as if they were quantized ------------------------------------

// weight_scale, weight_zero_point and weight_log_gain, of `out` outputs or of all.
void tuff_fake_weights(tuff_layer_params *p, int64_t out, bool per_tensor);
tuff_var tuff_fake_weight(const tuff_emit *e, tuff_var weight, const tuff_var step[], int bits);
// Those of 1 bit, which have no steps: signs times the mean size of their output's, or of all.
tuff_var tuff_fake_sign(const tuff_emit *e, tuff_var weight, bool per_tensor);
#endif
