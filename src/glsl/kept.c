// See kept.h. A file is named by the digest of its source and of this version:
//
//   folder/spirv/DIGEST.bin:   header | SPIR-V
#include "glsl/kept.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "glsl/compile.h"
#include <stdio.h>
#include <string.h>

enum { MOST_BYTES = 4 << 20 };

typedef struct header {
    char magic[8];
    uint64_t source, length; // digest and length of the source
    uint64_t bytes, digest;  // of the words behind the header
} header;

static uint64_t digest_of(const char *source)
{
    const uint64_t h = tuff_digest(TUFF_DIGEST_START, TUFF_VERSION, sizeof TUFF_VERSION);
    return tuff_digest(h, source, strlen(source));
}

static void path_of(const char *source, char *path, size_t size)
{
    char name[48];
    snprintf(name, sizeof name, "spirv/%016llx.bin", (unsigned long long)digest_of(source));
    tuff_cache_path(name, path, size);
}

static header header_of(const char *source, const void *words, size_t bytes)
{
    return (header){ .magic = "TUFFSPV", .source = digest_of(source), .length = strlen(source),
                     .bytes = bytes, .digest = tuff_digest(TUFF_DIGEST_START, words, bytes) };
}

// The SPIR-V of a file that is whole and of this source; else *words stays NULL.
static void load(const char *path, const char *source, uint32_t **words, size_t *bytes)
{
    void *data = NULL;
    size_t size = 0;
    header h;
    if (!path[0] || tuff_file_read(path, MOST_BYTES, &data, &size) != TUFF_OK) return;
    if (size > sizeof h && (size - sizeof h) % sizeof **words == 0) {
        const char *code = (const char *)data + sizeof h;
        h = header_of(source, code, size - sizeof h);
        *bytes = size - sizeof h;
        *words = memcmp(&h, data, sizeof h) == 0 ? tuff_alloc(1, *bytes) : NULL;
        if (*words) memcpy(*words, code, *bytes);
    }
    tuff_free(data);
    if (*words && tuff_validate_spirv(*words, *bytes) == TUFF_OK) return;
    tuff_free(*words);
    *words = NULL;
}

static tuff_status save(const char *path, const char *source, const uint32_t *words,
                        size_t bytes)
{
    char folder[1024];
    const header h = header_of(source, words, bytes);
    tuff_file_out *out = NULL;
    tuff_status status = TUFF_OK;
    tuff_cache_path("spirv", folder, sizeof folder);
    TUFF_GO(tuff_folder_make(folder));
    TUFF_GO(tuff_file_create(path, &out));
    TUFF_GO(tuff_file_put(out, &h, sizeof h));
    TUFF_GO(tuff_file_put(out, words, bytes));
    status = tuff_file_commit(&out);
exit:
    tuff_file_abandon(&out);
    return status;
}

tuff_status tuff_compile_kept(const char *file, const char *source, uint32_t **words,
                              size_t *bytes)
{
    char path[1024];
    *words = NULL;
    path_of(source, path, sizeof path);
    load(path, source, words, bytes);
    if (*words) return TUFF_OK;
    TUFF_TRY(tuff_compile_glsl(file, source, words, bytes));
    const tuff_status status = tuff_validate_spirv(*words, *bytes);
    if (status != TUFF_OK) {
        tuff_free(*words);
        *words = NULL;
        return status;
    }
    if (path[0] && save(path, source, *words, *bytes) != TUFF_OK)
        tuff_log(2, "%s: its code is not kept: %s", file, tuff_last_error());
    return TUFF_OK;
}
