// The file behind a device's VkPipelineCache.
//
//   folder/pipelines-DEVICE.bin:   header | what vkGetPipelineCacheData gave
//
// The header says for which device, driver and build the data is, how long it is, and its
// digest: drivers are not all careful with what they are handed. Whatever does not match is
// ignored with a note and replaced at the end. The file is replaced whole (base/file.h).
#include "device/vulkan/vk.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 256 << 20 };

typedef struct file_header {
    char magic[8];
    uint32_t vendor, device, driver_version, bytes;
    uint8_t uuid[16];
    uint64_t build;  // digest of this build's shaders and version
    uint64_t digest; // of the data behind the header
} file_header;

static uint64_t build_digest(void)
{
    uint64_t h = tuff_digest(TUFF_DIGEST_START, TUFF_VERSION, sizeof TUFF_VERSION);
    for (int i = 0; i < TUFF_SHADER_COUNT; i++)
        h = tuff_digest(h, tuff_shader_codes[i].packed, tuff_shader_codes[i].bytes);
    return h;
}

static file_header header_of(const vk_device *d, const void *data, size_t bytes)
{
    file_header h = {
        .magic = "TUFFPC1",
        .vendor = d->snap.vendor,
        .device = d->snap.device,
        .driver_version = d->snap.driver_version,
        .bytes = (uint32_t)bytes,
        .build = build_digest(),
        .digest = tuff_digest(TUFF_DIGEST_START, data, bytes),
    };
    memcpy(h.uuid, d->snap.cache_uuid, sizeof h.uuid);
    return h;
}

// One file for each device and driver.
static void file_path(const vk_device *d, char *path, size_t size)
{
    uint64_t h = tuff_digest(TUFF_DIGEST_START, &d->snap.vendor, sizeof d->snap.vendor);
    h = tuff_digest(h, &d->snap.device, sizeof d->snap.device);
    h = tuff_digest(h, d->snap.name, strlen(d->snap.name));
    h = tuff_digest(h, d->snap.driver_name, strlen(d->snap.driver_name));
    char name[64];
    snprintf(name, sizeof name, "pipelines-%016llx.bin", (unsigned long long)h);
    tuff_cache_path(name, path, size);
}

// The data of the device's file behind its header, or NULL when there is none that is good;
// free *file.
static const void *file_load(vk_device *d, void **file, size_t *bytes)
{
    char path[1024];
    size_t size;
    *file = NULL;
    file_path(d, path, sizeof path);
    FILE *there = path[0] ? fopen(path, "rb") : NULL;
    if (!there) return NULL; // the first time
    fclose(there);
    if (tuff_file_read(path, MOST_BYTES, file, &size) != TUFF_OK) {
        tuff_log(1, "kernels kept in %s are not used: %s", path, tuff_last_error());
        return NULL;
    }
    file_header h, want;
    const char *data = (const char *)*file + sizeof h;
    const char *why = NULL, *other = "they are of another driver or build";
    if (size < sizeof h) {
        why = "the file is cut";
    } else {
        memcpy(&h, *file, sizeof h);
        want = header_of(d, data, size - sizeof h);
        if (memcmp(h.magic, want.magic, sizeof h.magic) != 0)
            why = "it is no file of Tuff's";
        else if (h.bytes != want.bytes || h.digest != want.digest)
            why = "the file is cut or damaged";
        else if (memcmp(&h, &want, sizeof h) != 0)
            why = other;
    }
    if (why) {
        tuff_log(why == other ? 2 : 1, "kernels kept in %s are not used: %s", path, why);
        tuff_free(*file);
        *file = NULL;
        return NULL;
    }
    *bytes = want.bytes;
    d->cache_digest = want.digest;
    return data;
}

tuff_status vk_cache_open(vk_device *d)
{
    tuff_status status = TUFF_OK;
    void *file;
    size_t bytes = 0;
    const void *data = file_load(d, &file, &bytes);
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = bytes,
        .pInitialData = data,
    };
    // A driver that refuses the data gets none.
    if (!data || d->vk.vkCreatePipelineCache(d->device, &info, NULL, &d->cache) < 0) {
        info.initialDataSize = 0;
        info.pInitialData = NULL;
        d->cache_digest = 0;
        VK(d->vk.vkCreatePipelineCache(d->device, &info, NULL, &d->cache));
    }
    vk_name(d, VK_OBJECT_TYPE_PIPELINE_CACHE, (uint64_t)d->cache, "pipelines");
exit:
    tuff_free(file);
    return status;
}

static tuff_status file_save(vk_device *d)
{
    tuff_status status = TUFF_OK;
    char path[1024], folder[1024];
    unsigned char *file = NULL;
    size_t bytes = 0;
    VK(d->vk.vkGetPipelineCacheData(d->device, d->cache, &bytes, NULL));
    file = tuff_alloc(1, sizeof(file_header) + bytes);
    if (!file) return TUFF_ERR_MEMORY;
    VK(d->vk.vkGetPipelineCacheData(d->device, d->cache, &bytes, file + sizeof(file_header)));
    const file_header h = header_of(d, file + sizeof h, bytes);
    memcpy(file, &h, sizeof h);
    file_path(d, path, sizeof path);
    tuff_cache_path("", folder, sizeof folder);
    if (h.digest == d->cache_digest || !path[0] || bytes > MOST_BYTES - sizeof h) goto exit;
    TUFF_GO(tuff_folder_make(folder));
    TUFF_GO(tuff_file_write(path, file, sizeof h + bytes));
exit:
    tuff_free(file);
    return status;
}

void vk_cache_close(vk_device *d)
{
    // Nothing was built: the file says all there is to say.
    if (d->cache && atomic_load(&d->pipelines) && !atomic_load(&d->lost) &&
        file_save(d) != TUFF_OK)
        tuff_log(1, "kernels could not be kept: %s", tuff_last_error());
    d->vk.vkDestroyPipelineCache(d->device, d->cache, NULL);
}
