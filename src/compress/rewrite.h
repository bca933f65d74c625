// A net written again with other layers, and the weights of the old one beside the new one's:
// what every step that changes layers is made of.
//
//   tuff_rewrite_open(model, &w);              each layer's text as it is
//   tuff_rewrite_set(w, i, "quantize | conv 6 5");  another one, several, or "" for none
//   tuff_rewrite_build(w);                     w->to: a model of zeros, of the new net
//   from_flat[] -> to_flat[]                   parameters, found by tuff_part_param
//   tuff_rewrite_close(&w, &model);            writes to_flat into the model, and hands it out
#ifndef TUFF_COMPRESS_REWRITE_H
#define TUFF_COMPRESS_REWRITE_H
#include "nn/model.h"

typedef struct tuff_rewrite {
    tuff_model *from, *to;
    float *from_flat, *to_flat; // all their parameters; those that are not f32 lie there too
    char *text;                 // TUFF_REWRITE_TEXT bytes for each of from's parts
    int *first;                 // of to's parts: where those of a part of `from` begin
    int *count;                 // how many they are; a join (add, concat) is one itself
} tuff_rewrite;

tuff_status tuff_rewrite_open(tuff_model *model, tuff_rewrite **rewrite);
// printf's arguments. Of what joins branches: the layers behind it.
void tuff_rewrite_set(tuff_rewrite *w, int part, const char *format, ...) TUFF_PRINTF(3, 4);
// A product, as it is but with a bias.
void tuff_rewrite_give_bias(tuff_rewrite *w, int part);
// Layers before, or behind, those that stand there.
void tuff_rewrite_before(tuff_rewrite *w, int part, const char *text);
void tuff_rewrite_behind(tuff_rewrite *w, int part, const char *text);
// Fails: as tuff_model_create; what the model knows of its data is copied.
tuff_status tuff_rewrite_build(tuff_rewrite *w);
// Copies the parameters of a part of `from` that one of `to` has with the same name, type and
// shape.
void tuff_rewrite_copy(tuff_rewrite *w, int part, int to);
// Does so with every part of which one came; the rest stays zero.
void tuff_rewrite_keep(tuff_rewrite *w);
// With `model` NULL, or after a failure, nothing is handed out.
tuff_status tuff_rewrite_close(tuff_rewrite **w, tuff_model **model);

// A parameter of a part by its name there ("weight"), or NULL.
const tuff_param *tuff_part_param(const tuff_model *m, int part, const char *name);
// Where it lies in a flat array.
static inline void *tuff_param_at(float *flat, const tuff_param *p) { return flat + p->offset; }
// Whether a part is of this kind.
bool tuff_part_is(const tuff_model *m, int part, const char *kind);
// Whether all that flows through a net is f32, and no weights are stored in another form.
// Fails: TUFF_ERR_ARG, of `what` ("prune").
tuff_status tuff_want_floats(const tuff_model *m, const char *what);
// A convolution, depthwise too, or a dense layer, whose weights are not stored in another form.
bool tuff_part_is_product(const tuff_model *m, int part);
// An argument of a part's layer by its name, or NULL.
int *tuff_part_arg(tuff_model_part *part, const char *name);
// How many parts take what a part (TUFF_NET_INPUT: the net's input) gives, and one of them in
// *user (NULL: not asked). A net's last part has no user.
int tuff_part_users(const tuff_model *m, int part, int *user);
#endif
