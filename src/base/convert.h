// Elements of one type turned into another, in plain C: what the op `cast` means.
#ifndef TUFF_BASE_CONVERT_H
#define TUFF_BASE_CONVERT_H
#include <tuff/base.h>

// to[i] = from[i] for begin <= i < end, whose types may be any two:
//   real to whole    towards zero; what does not fit becomes the nearest end of the range,
//                    a NaN 0
//   whole to whole   the low bits, as C does; with `saturate` the nearest end of the range
//   to f16, bf16, f32  the nearest, ties to even; from 64 bits in one rounding
//   to bool          1 for everything but 0 (also for a NaN)
void tuff_convert(tuff_dtype from_type, const void *from, tuff_dtype to_type, void *to,
                  bool saturate, size_t begin, size_t end);

// The same with other code, for those that are worth it; tuff_convert's bits, where what is not
// a NaN.
bool tuff_convert_is_fast(tuff_dtype from_type, tuff_dtype to_type, bool saturate);
void tuff_convert_fast(tuff_dtype from_type, const void *from, tuff_dtype to_type, void *to,
                       bool saturate, size_t begin, size_t end);
#endif
