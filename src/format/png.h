// PNG in memory; <tuff/format.h> has the function on files.
#ifndef TUFF_FORMAT_PNG_H
#define TUFF_FORMAT_PNG_H
#include <tuff/format.h>

// Decodes a whole file that is in memory; channels as in tuff_png_read.
TUFF_CHECK tuff_status tuff_png_parse(const void *bytes, size_t size, int channels,
                                      tuff_array *a);
#endif
