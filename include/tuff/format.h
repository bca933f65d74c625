#ifndef TUFF_FORMAT_H
#define TUFF_FORMAT_H
#include <tuff/base.h>
// Files of arrays: NumPy's .npy, safetensors, PNG. All work on arrays in host memory.
//
//   Errors   TUFF_ERR_IO (the path and the system's reason), TUFF_ERR_FORMAT (what is wrong
//            in the file, and where), TUFF_ERR_DTYPE, TUFF_ERR_MEMORY. On failure an output
//            is left empty. Files are hostile until proven otherwise: nothing that a header
//            says is believed before it is checked against the file's size.
//   Writing  replaces a file whole or not at all, and the same arrays give the same bytes.
//   Threads  every function may be called from any thread; an array belongs to one at a time.

// A dense row-major array in host memory. All-zero is empty.
typedef struct tuff_array {
    tuff_desc desc;
    void *data; // tuff_desc_bytes(&desc) bytes, 64-byte aligned unless said otherwise
} tuff_array;

// Gives `a` memory for `desc`, set to zero. Free it with tuff_array_clear.
// Fails: TUFF_ERR_SHAPE (rank over TUFF_MAX_DIMS, a dim below 1, the size overflows),
// TUFF_ERR_DTYPE, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_array_init(tuff_array *a, tuff_desc desc);
// Frees the memory and empties the array; an empty one is left as it is.
TUFF_API void tuff_array_clear(tuff_array *a);
// Makes `to` a copy of `from` with elements of another type (`to` is another array, and
// empty). Whole numbers stay exact or are refused; to f16 and bf16 rounds to nearest even.
// Fails: TUFF_ERR_DTYPE (an element does not fit: the sentence says which), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_array_convert(const tuff_array *from, tuff_dtype dtype,
                                                   tuff_array *to);

// ---- .npy (NumPy's format, versions 1.0, 2.0 and 3.0) ---------------------------------------

// Reads an array of any of the types of tuff_dtype but bf16, little-endian, in C or Fortran
// order; f8 becomes f32. A structured type, a big-endian one and an array without elements
// are refused.
TUFF_API TUFF_CHECK tuff_status tuff_npy_read(const char *path, tuff_array *a);
// Whether the file is an array without elements, which NumPy writes for a shape like (0,): so
// an input that is left out may be given. False where it cannot be read.
TUFF_API bool tuff_npy_is_empty(const char *path);
// Writes version 1.0 in C order. Fails: TUFF_ERR_DTYPE (bf16 has no name in NumPy).
TUFF_API TUFF_CHECK tuff_status tuff_npy_write(const char *path, const tuff_array *a);

// ---- safetensors ----------------------------------------------------------------------------

// A file that was read: named arrays and a map of strings.
typedef struct tuff_safetensors tuff_safetensors;

typedef struct tuff_named_array {
    const char *name;
    tuff_array array;
} tuff_named_array;

typedef struct tuff_pair {
    const char *key, *value;
} tuff_pair;

// Reads a whole file. Types F32 F16 BF16 I64 I32 U32 I8 U8 BOOL are kept; F64 becomes f32;
// others are refused, as are gaps, overlaps, names that are there twice and bytes that belong
// to no array. Free with tuff_safetensors_destroy.
TUFF_API TUFF_CHECK tuff_status tuff_safetensors_read(const char *path,
                                                      tuff_safetensors **file);
TUFF_API void tuff_safetensors_destroy(tuff_safetensors **file);
// The arrays, sorted by name; they live as long as the file, aligned to their element.
TUFF_API int tuff_safetensors_count(const tuff_safetensors *file);
TUFF_API const tuff_named_array *tuff_safetensors_at(const tuff_safetensors *file, int i);
// The array of that name, or NULL.
TUFF_API const tuff_array *tuff_safetensors_find(const tuff_safetensors *file,
                                                 const char *name);
// The metadata's value of that key, or NULL.
TUFF_API const char *tuff_safetensors_meta(const tuff_safetensors *file, const char *key);

// Writes arrays and metadata; their order in the file depends on their names and types only.
// Fails: TUFF_ERR_ARG (a name twice, or "__metadata__"), TUFF_ERR_IO, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_safetensors_write(const char *path,
                                                       const tuff_named_array *arrays,
                                                       int count, const tuff_pair *meta,
                                                       int meta_count);

// ---- PNG ------------------------------------------------------------------------------------

// Reads an image as f32 [C, H, W] in [0, 1] (value / 255 of 8 bits a channel). `channels` is
// 1 (grey), 3 (red, green, blue), or 0: 3 where the file has colour, else 1. Palettes are
// looked up, 16 bits become 8, what is transparent is laid over black. At most 2^26 pixels.
TUFF_API TUFF_CHECK tuff_status tuff_png_read(const char *path, int channels, tuff_array *a);
#endif
