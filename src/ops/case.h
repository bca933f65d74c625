// A case is a string: the same one is a test, bench input, argument of the command line, and
// what a failure prints to be repeated.
//
//   case   = input { " " input } { " " key=value }
//   input  = [type ":"] dims       one word an input port, in order; the last, optional ones
//          | [type ":"] "[]"       may be left out; an op without inputs (fill) has one word
//          | "-"                   for its output instead. dims is as in 3x257
//
//   "64x1x28x28 6x1x5x5 6 pad=2,2,2,2"   conv2d with a bias
//   "[]"                                 a tensor of rank 0: one element
//   "7x5 5x3 - 7x3"                      matmul without a bias, with a residual
//
// The dtype is given apart from it: an input whose port takes that dtype has it, and the
// others (labels) have the first dtype of their port, where the word does not say another one
// ("i8:5x7", printed for `mixed` ports). Fields are as in ops/fields.h.
#ifndef TUFF_OPS_CASE_H
#define TUFF_OPS_CASE_H
#include "ops/op.h"

enum { TUFF_CASE_TEXT = 512 }; // bytes that hold any case, its final 0 included

// A call and the params it points to; not to be copied.
typedef struct tuff_case {
    tuff_call call;
    uint64_t params[512 / 8];
} tuff_case;

// Reads a case and infers its outputs.
// Fails: TUFF_ERR_FORMAT (the sentence quotes the word), and as tuff_call_infer does.
tuff_status tuff_case_parse(const tuff_op *op, tuff_dtype dtype, const char *text,
                            tuff_case *c);
// Writes the case of a call; reading it gives the same call. Returns its length; the text is
// cut when it does not fit.
size_t tuff_case_print(const tuff_call *call, char *text, size_t size);
#endif
