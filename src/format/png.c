// Images through libpng's simplified interface, which reports errors without longjmp.
#include "format/png.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include <png.h>
#include <string.h>

static const uint64_t most_pixels = 1u << 26;
static const size_t most_bytes = (size_t)1 << 29; // of the file

static tuff_status decode(png_image *image, int channels, tuff_array *a)
{
    tuff_status status = TUFF_OK;
    const size_t pixels = (size_t)image->width * image->height;
    const png_color black = { 0, 0, 0 };
    png_bytep rows = tuff_alloc(pixels, (size_t)channels);
    if (!rows) return TUFF_ERR_MEMORY;
    image->format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    if (!png_image_finish_read(image, &black, rows, 0, NULL)) {
        status = tuff_fail(TUFF_ERR_FORMAT, "the image is damaged: %s", image->message);
        goto exit;
    }
    const tuff_desc desc = TUFF_SHAPE(TUFF_F32, channels, image->height, image->width);
    TUFF_GO(tuff_array_init(a, desc));
    float *to = a->data;
    for (int c = 0; c < channels; c++)
        for (size_t i = 0; i < pixels; i++)
            *to++ = (float)rows[i * (size_t)channels + (size_t)c] / 255;
exit:
    tuff_free(rows);
    return status;
}

tuff_status tuff_png_parse(const void *bytes, size_t size, int channels, tuff_array *a)
{
    tuff_status status = TUFF_OK;
    png_image image = { .version = PNG_IMAGE_VERSION };
    *a = (tuff_array){ 0 };
    TUFF_REQUIRE(channels == 0 || channels == 1 || channels == 3, ARG,
                 "channels is %d, expected 0, 1 or 3", channels);
    if (!png_image_begin_read_from_memory(&image, bytes, size))
        return tuff_fail(TUFF_ERR_FORMAT, "it is no PNG image: %s", image.message);
    if ((uint64_t)image.width * image.height > most_pixels) {
        status = tuff_fail(TUFF_ERR_FORMAT,
                           "the image is %u x %u, expected at most 2^26 pixels",
                           image.width, image.height);
        goto exit;
    }
    if (channels == 0) channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
    status = decode(&image, channels, a);
exit:
    png_image_free(&image);
    return status;
}

tuff_status tuff_png_read(const char *path, int channels, tuff_array *a)
{
    void *bytes;
    size_t size;
    *a = (tuff_array){ 0 };
    TUFF_TRY(tuff_file_read(path, most_bytes, &bytes, &size));
    const tuff_status status = tuff_png_parse(bytes, size, channels, a);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    tuff_free(bytes);
    return status;
}
