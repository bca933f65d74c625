// Numbers of single layers, by their places: "0=0.34 3.shortcut.0=0.9".
#ifndef TUFF_COMPRESS_PLACES_H
#define TUFF_COMPRESS_PLACES_H
#include "nn/model.h"

// Takes one: of part `part`, as it stands in word[length].
typedef tuff_status (*tuff_place_fn)(void *user, int part, double value, const char *word,
                                     int length);

// Hands over each "PLACE=NUMBER" of `text`, which blanks or commas part. `what` and `thing`
// are for sentences: "prune", "rate", with `example` "3=0.9".
// Fails: TUFF_ERR_ARG (a word that is none, a place where no layer with weights is), as `take`.
tuff_status tuff_places_read(const tuff_model *m, const char *text, const char *what,
                             const char *thing, const char *example, tuff_place_fn take,
                             void *user);
#endif
