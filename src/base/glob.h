// Patterns over names: "*" is any text, "?" any one byte, all else stands for itself (a "["
// too, so that every case string matches itself).
#ifndef TUFF_BASE_GLOB_H
#define TUFF_BASE_GLOB_H
#include <stdbool.h>

// True when the whole of `text` matches; a NULL pattern matches everything.
bool tuff_glob(const char *pattern, const char *text);
#endif
