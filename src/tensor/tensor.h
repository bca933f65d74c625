// A tensor is a description over a range of a buffer.
#ifndef TUFF_TENSOR_TENSOR_H
#define TUFF_TENSOR_TENSOR_H
#include "device/backend.h"
#include <tuff/tensor.h>

struct tuff_tensor {
    tuff_desc desc;
    tuff_buffer *buffer; // retained
    size_t offset;       // bytes into the buffer, a multiple of TUFF_BUFFER_ALIGN
};

static inline tuff_range tuff_tensor_range(const tuff_tensor *t)
{
    return (tuff_range){ t->buffer, t->offset, tuff_desc_bytes(&t->desc) };
}

// A new tensor that holds these elements, of desc's type; the caller's. NULL on a failure.
tuff_status tuff_tensor_upload(tuff_stream *s, tuff_desc desc, const void *data,
                               tuff_tensor **tensor);

// Fails when a description is none that a tensor can have: rank, dims, dtype, count.
tuff_status tuff_desc_check(const tuff_desc *d);
#endif
