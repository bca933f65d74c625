// The forms in which a layer's weights may lie: what `weights=` says behind any layer that has
// some. A layer's record knows nothing of them: it says which parameters it has in f32, and is
// given their values in f32 when it is emitted.
//
//   tuff_layer_kind.params     weight f32 [out, in]                bias f32 [out]
//   tuff_form.params           weight u32 [words], weight_scale    bias
//   tuff_form.decode           weight f32 [out, in]                bias
//   tuff_layer_kind.forward    reads these
//
// What is decoded is the same in every run of a program, so that a program does it once. Dense
// layers whose form has a product of its own (tuff_form.product) read the stored numbers, and
// nothing is decoded. A new
// form is a record in tuff_forms, and what makes it of floats in compress/weights.c.
#ifndef TUFF_NN_FORMS_H
#define TUFF_NN_FORMS_H
#include "nn/layers.h"

typedef struct tuff_form {
    const char *name, *doc;
    int bits;      // the usual ones of a form that has some; 0: it has none to choose
    int most;      // bits that it can have, from 1 on
    bool per;      // its scales are for a channel each, or for a tensor
    bool all;      // biases and norms take it, too
    bool zero;     // its whole numbers are unsigned, with zero points
    int block;     // of blocks: the tuff_block_format
    bool codebook; // numbers are indices into one of 2^bits for each tensor
    // Adds what a parameter w of this name becomes, the numbers themselves first.
    void (*params)(const tuff_storage *s, const char *name, const tuff_desc *w, int64_t stands,
                   tuff_layer_params *p);
    // w in f32 of what `params` added.
    tuff_var (*decode)(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                       const tuff_var stored[]);
    // x w^T + bias (null: none); null where it is not for these sizes. May be NULL.
    tuff_var (*product)(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                        tuff_var x, const tuff_var stored[], tuff_var bias);
    // w in f32 on the host.
    void (*read)(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                 float *out);
} tuff_form;

enum { TUFF_FORM_BITS = 16, TUFF_FORM_TENSORS = 3 }; // of a number; of a parameter

// Form 0 is none: f32, trained. NULL past the end.
const tuff_form *tuff_form_at(int index);
int tuff_form_find(const char *name); // -1: there is none
static inline const tuff_form *tuff_form_of(const tuff_storage *s)
{
    return tuff_form_at(s->form);
}

// How many scales a parameter has.
int64_t tuff_form_scales(const tuff_storage *s, const tuff_desc *w);
int tuff_form_bits(const tuff_storage *s);
// How many tensors a parameter becomes.
int tuff_form_tensors(const tuff_storage *s, const tuff_desc *w);
// In how many bytes, or words, its whole numbers lie: those of 8 bits are i8, or u8 with zero
// points, others packed (<tuff/ops/block.h>).
static inline bool tuff_form_in_bytes(const tuff_storage *s) { return tuff_form_bits(s) == 8; }

// How a codebook's indices lie: each row begins with a word of its own.
int64_t tuff_form_rows(const tuff_desc *w);

// The zero points of a parameter's scales as they lie, unsigned; zeros where the form has none.
void tuff_form_zeros(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                     int32_t *zero);

// How a layer's parameter with this role lies.
tuff_storage tuff_storage_of(const tuff_layer *l, tuff_role_of role);
// Parameters of the layer as it takes them, and as they lie.
tuff_status tuff_layer_plain(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p);
tuff_status tuff_layer_stored(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p);
// Emits a layer whose parameters lie as they do. x is a sample of its input.
tuff_var tuff_layer_emit(const tuff_emit *e, const tuff_layer *l, const tuff_desc *x,
                         const tuff_var in[], int n, const tuff_var param[]);
// How many of the numbers that stored parameters stand for are zero.
int64_t tuff_layer_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                         const void *const data[]);

// For a layer that is a product, in its `forward`: by the stored weights (the first parameter),
// or null.
tuff_var tuff_stored_product(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                             const tuff_desc *w, tuff_var bias);

// The attributes of storage, for the parser and the printer: ended by a NULL name. A value is
// that of the attribute with the same index.
extern const tuff_arg_spec tuff_storage_args[];
int *tuff_storage_value(tuff_storage *s, int index);
// NULL, or what is wrong with attributes that were given (a bit each) of a layer.
const char *tuff_storage_wrong(const tuff_layer *l, unsigned given);
#endif
