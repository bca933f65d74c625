// Params structs <-> text, through the fields that an op's record describes. Two dialects:
//
//   case  "stride=2,1 axis=1"       the struct's own names and values; axes count from the
//                                   innermost, sets of axes are written "0,2"
//   ONNX  "strides=2,1 axis=-2"     ONNX's names where they differ, axes counted from the
//                                   outermost, or from the innermost when negative
//
// Where ONNX's name differs, a case may say it too ("strides=2,1").
//
// Whole numbers and real ones are decimal; booleans are 0 or 1 (also false or true); lists
// are "1,2,3" (ONNX: also "[1, 2, 3]"). One number stands for a whole list of strides, sizes
// or pads ("stride=2"); what a list leaves out otherwise stays 0.
#ifndef TUFF_OPS_FIELDS_H
#define TUFF_OPS_FIELDS_H
#include "ops/op.h"

typedef enum tuff_dialect { TUFF_DIALECT_CASE, TUFF_DIALECT_ONNX } tuff_dialect;

// Sets in *params what one "key=value" says. `rank` is the number of dims of the op's first
// input, to which ONNX's axes refer. *field (may be NULL) receives the field that was set.
// Fails: TUFF_ERR_FORMAT, with a sentence that quotes the word and says what is expected.
tuff_status tuff_field_parse(const tuff_op *op, tuff_dialect dialect, int rank,
                             const char *text, void *params, const tuff_field **field);

// Writes every field that is not zero as "key=value" in the case dialect, in the order of
// the record and with blanks between; parsing it gives the same params. Lists with a place
// for every dim are written `rank` long, or as long as they need. Returns the length of the
// whole text, which is cut when it does not fit (as snprintf does).
size_t tuff_field_print(const tuff_op *op, int rank, const void *params, char *text,
                        size_t size);
#endif
