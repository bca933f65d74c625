#ifndef TUFF_FORMAT_H
#define TUFF_FORMAT_H
#include <tuff/base.h>
// Files of arrays: NumPy's .npy, safetensors, .tuffz, PNG. All work on arrays in host memory.
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

// ---- .tuffz ---------------------------------------------------------------------------------

// Arrays packed as in Deep Compression (Han et al., arXiv:1510.00149): those with few different
// numbers as gaps between what is not zero and indices into a codebook, both Huffman coded.
// What is written comes back bit for bit. docs/tuffz.md has every byte.
typedef struct tuff_tuffz tuff_tuffz;

typedef enum tuff_tuffz_coding {
    TUFF_TUFFZ_RAW,     // the elements as they are
    TUFF_TUFFZ_ZLIB,    // deflated
    TUFF_TUFFZ_CODEBOOK // f32 with at most 255 different numbers besides 0
} tuff_tuffz_coding;

typedef struct tuff_tuffz_tensor {
    const char *name;
    tuff_desc desc;
    tuff_tuffz_coding coding;
    int64_t bytes;    // of the file
    // Of TUFF_TUFFZ_CODEBOOK, else 0:
    int codebook;     // numbers that are not 0
    int index_bits;   // of an index, before Huffman's code
    int gap_bits;     // of a gap; 0: there are none, each element has an index
    int64_t entries;  // indices, those of filler zeros too
} tuff_tuffz_tensor;

// Opens a file, and holds every checksum and size in it against its bytes; elements are read
// later, so the file stays open. Destroy with tuff_tuffz_destroy.
TUFF_API TUFF_CHECK tuff_status tuff_tuffz_open(const char *path, tuff_tuffz **file);
TUFF_API void tuff_tuffz_destroy(tuff_tuffz **file);
// Whether a file begins as a .tuffz does; false where it cannot be read.
TUFF_API bool tuff_tuffz_is(const char *path);
// The tensors in the file's order, valid as long as it; false: there is none of that number.
TUFF_API int tuff_tuffz_count(const tuff_tuffz *file);
TUFF_API bool tuff_tuffz_at(const tuff_tuffz *file, int i, tuff_tuffz_tensor *tensor);
// The number of the tensor of that name, or -1.
TUFF_API int tuff_tuffz_find(const tuff_tuffz *file, const char *name);
// The metadata's value of that key, or NULL.
TUFF_API const char *tuff_tuffz_meta(const tuff_tuffz *file, const char *key);

// Receives bytes [at, at + size) of a tensor, in order and at most TUFF_TUFFZ_PIECE at a time
// (`at` is a multiple of it), so that a tensor is never whole in host memory.
enum { TUFF_TUFFZ_PIECE = 1 << 18 };
typedef tuff_status (*tuff_tuffz_sink)(void *user, size_t at, const void *data, size_t size);
// What decoding a codebook tensor met.
typedef struct tuff_tuffz_bits {
    int64_t nonzeros;    // elements
    int64_t fillers;     // entries that only bridge a gap
    int64_t index, gap;  // bits of all indices and of all gaps, Huffman coded
} tuff_tuffz_bits;
// Decodes a tensor into a sink (NULL: only decodes); `bits` may be NULL.
// Fails: TUFF_ERR_FORMAT (which tensor, and what is wrong with it), and as the sink does.
TUFF_API TUFF_CHECK tuff_status tuff_tuffz_read(const tuff_tuffz *file, int i,
                                                tuff_tuffz_sink sink, void *user,
                                                tuff_tuffz_bits *bits);

// Writes arrays and metadata in the order given, each array in the coding that is smallest.
// Fails: TUFF_ERR_ARG (a name twice, one of over 400 bytes), TUFF_ERR_IO, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_tuffz_write(const char *path,
                                                 const tuff_named_array *arrays, int count,
                                                 const tuff_pair *meta, int meta_count);

// ---- PNG ------------------------------------------------------------------------------------

// Reads an image as f32 [C, H, W] in [0, 1] (value / 255 of 8 bits a channel). `channels` is
// 1 (grey), 3 (red, green, blue), or 0: 3 where the file has colour, else 1. Palettes are
// looked up, 16 bits become 8, what is transparent is laid over black. At most 2^26 pixels.
TUFF_API TUFF_CHECK tuff_status tuff_png_read(const char *path, int channels, tuff_array *a);
#endif
