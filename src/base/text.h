// Text that people write: numbers and names. Patterns are in base/glob.h.
//
//   Threads  every function may be called from any thread.
#ifndef TUFF_BASE_TEXT_H
#define TUFF_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The number that the first n characters of `text` write, all of them: no space, no junk,
// no empty text. Return false, and leave *value alone, for anything else and for what does
// not fit. Decimal only; the point is '.' whatever the locale.
bool tuff_parse_i64(const char *text, size_t n, int64_t *value);
bool tuff_parse_u64(const char *text, size_t n, uint64_t *value);
// [+-] digits [. digits] [e [+-] digits], digits on one side of the point at least; neither
// nan, inf nor hexadecimal, and not a magnitude over the largest double.
bool tuff_parse_f64(const char *text, size_t n, double *value);
// As above, of a whole string.
bool tuff_parse_int(const char *text, int64_t *value);
bool tuff_parse_float(const char *text, float *value);

// The name of names[n] that `word` is most likely a misspelling of (fewest letters inserted,
// dropped, changed or swapped with a neighbour; case does not count), or NULL when none is
// within a third of its length (or one letter).
const char *tuff_nearest(const char *word, const char *const *names, size_t n);

// n bytes of somebody's text as a message may show them: 60 at most, control characters as
// '?', so that a file's text can neither break a line nor speak to a terminal. Valid until
// the fourth call after it on this thread.
const char *tuff_show(const char *text, size_t n);
#endif
