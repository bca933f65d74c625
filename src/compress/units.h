// Which features of a net must go together. Every value of a net (its input, and what each
// layer gives) has features: channels of an image, numbers of a row. Features that one layer
// makes are units, and whoever takes them must agree on which of them are left:
//
//   conv 8 | residual(conv 16 ... ; ...) | ...    a sum makes those of one place the same unit
//   concat(...)                                   puts them one behind the other
//   conv | flatten | dense                        several columns belong to one channel
//   bn, relu, pooling, dwconv                     go along with what they are given
//   conv group=G                                  inputs and outputs of a group are one unit
//   channelpad                                    its zeros are units that nobody makes
//
// A unit is fixed where it may not go: the net's samples and outputs, and what a layer mixes in
// a way of its own (attention, group norm, recurrent cells).
#ifndef TUFF_COMPRESS_UNITS_H
#define TUFF_COMPRESS_UNITS_H
#include "nn/model.h"

typedef struct tuff_features {
    int count;
    int *unit;
} tuff_features;

typedef struct tuff_units {
    const tuff_model *model;
    int count, room;
    int *parent;          // of joined units; unit 0 is what all fixed ones are joined with
    tuff_features *value; // [parts + 1]: the net's input, then what each part gives
    // By the unit that others are joined with:
    bool *gone;
    float *worth;
    int *made; // how many features convolutions and dense layers make of it
    // Makers of a unit, a list each: entry e is a feature that maker[e] makes.
    int *first, *next, *maker, entries;
    int *left;  // of each part that makes features: how many are left
    int *least; // likewise: how many must be
} tuff_units;

tuff_status tuff_units_create(const tuff_model *model, tuff_units **units);
void tuff_units_destroy(tuff_units **units);
// The unit that it was joined with.
int tuff_unit_of(const tuff_units *u, int unit);
static inline bool tuff_unit_fixed(const tuff_units *u, int unit)
{
    return tuff_unit_of(u, unit) == tuff_unit_of(u, 0);
}
// Lets a unit go, unless some layer that makes it would have too few left; false then.
bool tuff_unit_go(tuff_units *u, int unit);

// The values that a part takes and gives.
const tuff_features *tuff_units_in(const tuff_units *u, int part);
static inline const tuff_features *tuff_units_out(const tuff_units *u, int part)
{
    return &u->value[part + 1];
}
static inline bool tuff_part_makes(const tuff_model *m, int part)
{
    const tuff_mixing mixing = tuff_mixing_of(&m->part[part].item.layer);
    return mixing == TUFF_MIX_DENSE || mixing == TUFF_MIX_CONV;
}
// Whether row i of a parameter belongs to feature i of what its part gives.
bool tuff_param_by_feature(const tuff_model *m, int part, int param);

// The same net without the units that are gone. The weights that it has come from flat[], which
// is in the layout of the net's model.
tuff_status tuff_units_build(const tuff_units *u, const float *flat, tuff_model **model);
#endif
