// Tensors: descriptions over ranges of buffers; declared in <tuff/tensor.h>.
#include "tensor/tensor.h"
#include "base/alloc.h"
#include "base/status.h"

tuff_status tuff_desc_check(const tuff_desc *d)
{
    TUFF_REQUIRE(tuff_dtype_size(d->dtype), DTYPE, "%d is no type of element", (int)d->dtype);
    TUFF_REQUIRE(d->rank >= 0 && d->rank <= TUFF_MAX_DIMS, SHAPE,
                 "a tensor has at most %d dims, %d were given", TUFF_MAX_DIMS, d->rank);
    int64_t count = 1;
    for (int i = 0; i < d->rank; i++) {
        TUFF_REQUIRE(d->dim[i] >= 1, SHAPE, "dim %d is %lld, every dim must be at least 1", i,
                     (long long)d->dim[i]);
        TUFF_REQUIRE(!__builtin_mul_overflow(count, d->dim[i], &count) && count <= INT32_MAX,
                     SHAPE, "a tensor holds at most 2^31 - 1 elements");
    }
    return TUFF_OK;
}

static tuff_status new_tensor(tuff_buffer *buffer, size_t offset, tuff_desc desc,
                              tuff_tensor **tensor)
{
    tuff_tensor *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    *t = (tuff_tensor){ desc, tuff_buffer_retain(buffer), offset };
    *tensor = t;
    return TUFF_OK;
}

tuff_status tuff_tensor_create(tuff_device *device, tuff_desc desc, tuff_tensor **tensor)
{
    TUFF_REQUIRE(device && tensor, ARG, "tensor create: device or tensor is NULL");
    *tensor = NULL;
    TUFF_TRY(tuff_desc_check(&desc));
    const tuff_caps *caps = tuff_device_caps(device);
    const size_t bytes = tuff_desc_bytes(&desc);
    char text[96];
    TUFF_REQUIRE(caps->cpu || bytes <= caps->max_storage_range, LIMIT,
                 "%s takes %zu bytes, and %s binds at most %llu (maxStorageBufferRange)",
                 tuff_desc_print(&desc, text, sizeof text), bytes,
                 tuff_device_get_info(device)->name,
                 (unsigned long long)caps->max_storage_range);
    tuff_buffer *buffer;
    TUFF_TRY(tuff_buffer_create(device, bytes, &buffer));
    const tuff_status status = new_tensor(buffer, 0, desc, tensor);
    tuff_buffer_release(&buffer);
    return status;
}

tuff_status tuff_tensor_view(tuff_tensor *base, int64_t offset, tuff_desc desc,
                             tuff_tensor **view)
{
    TUFF_REQUIRE(base && view, ARG, "tensor view: base or view is NULL");
    *view = NULL;
    TUFF_TRY(tuff_desc_check(&desc));
    const size_t size = tuff_dtype_size(base->desc.dtype), bytes = tuff_desc_bytes(&desc);
    const size_t whole = tuff_desc_bytes(&base->desc);
    TUFF_REQUIRE(offset >= 0 && (uint64_t)offset <= whole / size, ARG,
                 "a view starts at element %lld of a tensor of %zu", (long long)offset,
                 whole / size);
    const size_t at = (size_t)offset * size;
    TUFF_REQUIRE(at % TUFF_BUFFER_ALIGN == 0, ARG,
                 "a view starts at byte %zu, which is no multiple of %d", at,
                 TUFF_BUFFER_ALIGN);
    TUFF_REQUIRE(bytes <= whole - at, SHAPE,
                 "a view of %zu bytes from byte %zu does not fit a tensor of %zu bytes", bytes,
                 at, whole);
    return new_tensor(base->buffer, base->offset + at, desc, view);
}

void tuff_tensor_destroy(tuff_tensor **tensor)
{
    if (!tensor || !*tensor) return;
    tuff_buffer_release(&(*tensor)->buffer);
    tuff_free(*tensor);
    *tensor = NULL;
}

const tuff_desc *tuff_tensor_desc(const tuff_tensor *tensor) { return &tensor->desc; }

tuff_device *tuff_tensor_device(const tuff_tensor *tensor)
{
    return tuff_buffer_device(tensor->buffer);
}

// Host memory and tensor must be of one size and, for safety, of one device's stream.
static tuff_status check_transfer(const tuff_stream *s, const tuff_tensor *t, const void *data,
                                  size_t bytes)
{
    char text[96];
    TUFF_REQUIRE(s && t && data, ARG, "tensor transfer: stream, tensor or data is NULL");
    TUFF_REQUIRE(bytes == tuff_desc_bytes(&t->desc), ARG,
                 "%zu bytes were given for a tensor of %s, which has %zu", bytes,
                 tuff_desc_print(&t->desc, text, sizeof text), tuff_desc_bytes(&t->desc));
    TUFF_REQUIRE(tuff_stream_device(s) == tuff_buffer_device(t->buffer), ARG,
                 "the tensor lies on another device than the stream");
    return TUFF_OK;
}

tuff_status tuff_tensor_write(tuff_stream *stream, tuff_tensor *tensor, const void *data,
                              size_t bytes)
{
    TUFF_TRY(check_transfer(stream, tensor, data, bytes));
    return tuff_stream_upload(stream, tuff_tensor_range(tensor), data);
}

tuff_status tuff_tensor_upload(tuff_stream *s, tuff_desc desc, const void *data,
                               tuff_tensor **tensor)
{
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(s), desc, tensor));
    const tuff_status status = tuff_tensor_write(s, *tensor, data, tuff_desc_bytes(&desc));
    if (status != TUFF_OK) tuff_tensor_destroy(tensor);
    return status;
}

tuff_status tuff_tensor_read(tuff_stream *stream, const tuff_tensor *tensor, void *data,
                             size_t bytes)
{
    TUFF_TRY(check_transfer(stream, tensor, data, bytes));
    return tuff_stream_download(stream, tuff_tensor_range(tensor), data);
}
