// Latent weights inside the library. The files:
//
//   latent.c          the whole, and weights in other forms
//   latent_integer.c  nets of integers; back they go by aware.c
//   binary.c          packed signs and levels
//   weights.c         floats into a form
#ifndef TUFF_COMPRESS_LATENT_INTERNAL_H
#define TUFF_COMPRESS_LATENT_INTERNAL_H
#include "compress/quantize.h"
#include "nn/forms.h"

bool tuff_has_integers(const tuff_model *m);
// A net of integers as one with fake quantizers of its steps, or as one of floats alone. Layers
// of floats are copied.
tuff_status tuff_integers_open(tuff_model *m, bool aware, tuff_model **opened);

// The weights of a part of two nets of integers, of which one has bytes where the other has
// fewer bits. Fails: TUFF_ERR_ARG (a number that those do not hold).
tuff_status tuff_integers_move(const tuff_rewrite *w, int part);

// Whether a part is a layer of packed signs or levels.
bool tuff_is_packed(const tuff_model *m, int part);
// Weights of a part that is trained into one of `to` that is packed; and the other way round,
// with signs of half the size within which they are kept, or of their scale's.
void tuff_levels_pack(const tuff_rewrite *w, int part, int to);
void tuff_levels_unpack(const tuff_rewrite *w, int part, int to);

// The parameter `name` of a layer, w, in the form s. With `steps` of each scale whole numbers
// are rounded to those. Fails: TUFF_ERR_CHECK (a weight is no number), TUFF_ERR_MEMORY.
tuff_status tuff_weights_encode(const tuff_model_part *layer, const char *name,
                                const tuff_storage *s, const tuff_desc *desc, const float *w,
                                const tuff_steps *steps, void *const to[]);
#endif
