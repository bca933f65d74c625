#ifndef TUFF_BASE_H
#define TUFF_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What every other header stands on: status codes, the last error, logging, types of
// elements and descriptions of tensors.
//
//   Threads  every function here may be called from any thread at any time.

#define TUFF_VERSION_MAJOR 0
#define TUFF_VERSION_MINOR 1
#define TUFF_VERSION_PATCH 0
#define TUFF_VERSION       "0.1.0"

#if defined(__GNUC__)
#define TUFF_API           __attribute__((visibility("default")))
#define TUFF_CHECK         __attribute__((warn_unused_result))
#define TUFF_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#else
#define TUFF_API
#define TUFF_CHECK
#define TUFF_PRINTF(f, a)
#endif

// Every status the library returns: X(name, text).
#define TUFF_STATUS_LIST(X)                                                     \
    X(OK, "no error")                                                           \
    X(ERR_ARG, "an argument is out of its range")                               \
    X(ERR_SHAPE, "shapes do not fit")                                           \
    X(ERR_DTYPE, "this type of element is not taken here")                      \
    X(ERR_MEMORY, "out of memory")                                              \
    X(ERR_LIMIT, "a limit of the device is exceeded")                           \
    X(ERR_DEVICE, "no such device, or it could not be opened")                  \
    X(ERR_LOST, "the device was lost")                                          \
    X(ERR_UNSUPPORTED, "not supported on this device or in this build")         \
    X(ERR_IO, "a file could not be read or written")                            \
    X(ERR_FORMAT, "a file or text is malformed")                                \
    X(ERR_STATE, "called in the wrong order")                                   \
    X(ERR_CHECK, "a result differs from the reference")

typedef enum tuff_status {
#define TUFF_STATUS_ENUM(name, text) TUFF_##name,
    TUFF_STATUS_LIST(TUFF_STATUS_ENUM)
#undef TUFF_STATUS_ENUM
    TUFF_STATUS_COUNT
} tuff_status;

// The general text of a status; never NULL.
TUFF_API const char *tuff_status_text(tuff_status status);

// One full sentence about the last call on this thread that failed: what was expected and
// what was given. Valid until the next failing call on this thread; "" before the first.
TUFF_API const char *tuff_last_error(void);

// Log lines go to `fn` (NULL: to nowhere, which is the default); level 0 = error, 1 = note,
// 2 = detail. `fn` may be called from any thread.
typedef void (*tuff_log_fn)(void *user, int level, const char *line);
TUFF_API void tuff_log_set(tuff_log_fn fn, void *user);

// A zeroed params struct is the default. In a number whose comment says "0 = default" this
// asks for 0 itself: it is minus zero, which no other number is taken for. Texts ("momentum=0")
// and the command line say 0.
#define TUFF_ZERO (-0.0f)

// The type of a tensor's elements. Values are bits, so that sets of types can be written.
typedef enum tuff_dtype {
    TUFF_F32 = 1,
    TUFF_F16 = 2,
    TUFF_BF16 = 4,
    TUFF_I32 = 8,
    TUFF_U32 = 16,
    TUFF_I8 = 32,
    TUFF_U8 = 64,
    TUFF_BOOL = 128,
    TUFF_I64 = 256
} tuff_dtype;

// Bytes of one element; 0 for a value that is no single dtype.
TUFF_API size_t tuff_dtype_size(tuff_dtype dtype);
// "f32", "i32", ...; "?" for a value that is no single dtype.
TUFF_API const char *tuff_dtype_name(tuff_dtype dtype);

#define TUFF_MAX_DIMS 8

// A tensor's type and shape, outermost dimension first, row-major. rank 0 is one element.
typedef struct tuff_desc {
    tuff_dtype dtype;
    int rank;
    int64_t dim[TUFF_MAX_DIMS];
} tuff_desc;

// TUFF_SHAPE(TUFF_F32, 64, 1, 28, 28): a description written in place.
#define TUFF_SHAPE(type, ...)                                                   \
    ((tuff_desc){ .dtype = (type),                                              \
                  .rank = (int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)), \
                  .dim = { __VA_ARGS__ } })
// One element, no dimensions.
#define TUFF_SCALAR(type) ((tuff_desc){ .dtype = (type), .rank = 0 })

// Elements described; the product of the dims (1 for rank 0). The caller has checked the
// dims (tuff_tensor_create does); no overflow is looked for here.
TUFF_API int64_t tuff_desc_count(const tuff_desc *d);
// The same in bytes.
TUFF_API size_t tuff_desc_bytes(const tuff_desc *d);
// Same dtype, rank and dims.
TUFF_API bool tuff_desc_equal(const tuff_desc *a, const tuff_desc *b);

// Writes "f32 [64, 1, 28, 28]" into text (cut when it does not fit) and returns text.
TUFF_API const char *tuff_desc_print(const tuff_desc *d, char *text, size_t size);
#endif
