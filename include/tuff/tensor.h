#ifndef TUFF_TENSOR_H
#define TUFF_TENSOR_H
#include <tuff/device.h>
// Tensors: dense, row-major, on one device.
//
//   Threads  distinct tensors are independent; one tensor belongs to one thread at a time.

typedef struct tuff_tensor tuff_tensor;

// Creates a tensor whose elements are not set. Every dim must be at least 1.
// Fails: TUFF_ERR_SHAPE (rank over TUFF_MAX_DIMS, a dim below 1, or more than 2^31 - 1
// elements), TUFF_ERR_LIMIT (larger than the device can bind: the sentence names the limit),
// TUFF_ERR_MEMORY (nothing else is disturbed).
TUFF_API TUFF_CHECK tuff_status tuff_tensor_create(tuff_device *device, tuff_desc desc,
                                                   tuff_tensor **tensor);
// A tensor that shares `base`'s memory: `desc` laid over it from element `offset` on. The
// memory lives until the last tensor that shares it is destroyed. offset * element size must
// be a multiple of 256 bytes, or 0.
// Fails: TUFF_ERR_ARG (offset), TUFF_ERR_SHAPE (it does not fit the base), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_tensor_view(tuff_tensor *base, int64_t offset,
                                                 tuff_desc desc, tuff_tensor **view);
// At any time: work that was recorded keeps the memory until it is done.
TUFF_API void tuff_tensor_destroy(tuff_tensor **tensor);
// Valid as long as the tensor.
TUFF_API const tuff_desc *tuff_tensor_desc(const tuff_tensor *tensor);
TUFF_API tuff_device *tuff_tensor_device(const tuff_tensor *tensor);

// Copies `bytes` (exactly the tensor's size) from host memory, in order with the stream's
// other work; `data` may be reused when the call returns.
// Fails: TUFF_ERR_ARG (size), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_tensor_write(tuff_stream *stream, tuff_tensor *tensor,
                                                  const void *data, size_t bytes);
// Submits the stream's work, waits for it and copies the tensor to host memory. Fails: as
// tuff_tensor_write, and with the first error of the work.
TUFF_API TUFF_CHECK tuff_status tuff_tensor_read(tuff_stream *stream,
                                                 const tuff_tensor *tensor, void *data,
                                                 size_t bytes);
#endif
