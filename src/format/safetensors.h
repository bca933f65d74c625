// safetensors in memory; <tuff/format.h> has the functions on files.
#ifndef TUFF_FORMAT_SAFETENSORS_H
#define TUFF_FORMAT_SAFETENSORS_H
#include <tuff/format.h>

// Parses a whole file that is in memory from tuff_alloc or tuff_file_read, and takes it over:
// it is freed with *file, or at once on failure.
TUFF_CHECK tuff_status tuff_safetensors_parse(void *bytes, size_t size,
                                              tuff_safetensors **file);
#endif
