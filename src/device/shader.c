// Shaders by number: those of the build, and behind them those that were added at run time.
#include "base/alloc.h"
#include "base/status.h"
#include "device/backend.h"
#include "tuff_shaders.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <zlib.h>

typedef struct own_code {
    char *name;
    uint32_t *words;
    size_t bytes;
} own_code;

// The table only grows: a number stands for the same code as long as the process runs, so
// that readers need no lock and a pipeline made of it is never of another.
enum { MOST = 4096 };
static own_code *added[MOST];
static atomic_int added_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int tuff_shader_count(void) { return TUFF_SHADER_COUNT + atomic_load(&added_count); }

static const own_code *own_at(int shader)
{
    assert(shader >= 0 && shader < tuff_shader_count());
    return shader < TUFF_SHADER_COUNT ? NULL : added[shader - TUFF_SHADER_COUNT];
}

const char *tuff_shader_name(int shader)
{
    const own_code *own = own_at(shader);
    return own ? own->name : tuff_shader_codes[shader].name;
}

bool tuff_shader_built(int shader)
{
    return own_at(shader) || tuff_shader_codes[shader].packed;
}

// Puts the planes of bytes (cmake/embed_shader.py) together.
static tuff_status unpack(const struct tuff_shader_code *code, uint32_t *words, size_t count)
{
    uLongf bytes = (uLongf)count * 4;
    unsigned char *plane = tuff_alloc(count, 4);
    if (!plane) return TUFF_ERR_MEMORY;
    const int done = uncompress(plane, &bytes, (const unsigned char *)(code->packed + 1),
                                code->bytes - 4);
    for (size_t i = 0; i < count; i++)
        words[i] = plane[i] | (uint32_t)plane[count + i] << 8 |
                   (uint32_t)plane[2 * count + i] << 16 | (uint32_t)plane[3 * count + i] << 24;
    tuff_free(plane);
    TUFF_REQUIRE(done != Z_MEM_ERROR, MEMORY, "out of memory");
    assert(done == Z_OK && bytes == count * 4); // it is a part of this library
    return TUFF_OK;
}

tuff_status tuff_shader_words(int shader, uint32_t **words, size_t *count)
{
    const own_code *own = own_at(shader);
    TUFF_REQUIRE(tuff_shader_built(shader), UNSUPPORTED, "this build leaves shader %s out",
                 tuff_shader_name(shader));
    *count = own ? own->bytes / 4 : tuff_shader_codes[shader].packed[0];
    *words = tuff_alloc(*count, sizeof **words);
    if (!*words) return TUFF_ERR_MEMORY;
    if (own) memcpy(*words, own->words, own->bytes);
    const tuff_status status = own ? TUFF_OK
                                   : unpack(&tuff_shader_codes[shader], *words, *count);
    if (status != TUFF_OK) {
        tuff_free(*words);
        *words = NULL;
    }
    return status;
}

static int find(const char *name, const uint32_t *words, size_t bytes, int count)
{
    for (int i = 0; i < count; i++)
        if (added[i]->bytes == bytes && memcmp(added[i]->words, words, bytes) == 0 &&
            strcmp(added[i]->name, name) == 0)
            return i;
    return -1;
}

static own_code *copy_of(const char *name, const uint32_t *words, size_t bytes)
{
    own_code *code = tuff_alloc(1, sizeof *code);
    uint32_t *own = tuff_alloc(1, bytes);
    char *text = tuff_strdup(name);
    if (code && own && text) {
        memcpy(own, words, bytes);
        *code = (own_code){ .name = text, .words = own, .bytes = bytes };
        return code;
    }
    tuff_free(code);
    tuff_free(own);
    tuff_free(text);
    return NULL;
}

static tuff_status add(const char *name, const uint32_t *words, size_t bytes, int *index)
{
    const int count = atomic_load(&added_count);
    *index = find(name, words, bytes, count);
    if (*index >= 0) return TUFF_OK;
    TUFF_REQUIRE(count < MOST, LIMIT, "there are %d shaders of one's own, more are not taken",
                 MOST);
    added[count] = copy_of(name, words, bytes);
    if (!added[count]) return TUFF_ERR_MEMORY;
    *index = count;
    atomic_store(&added_count, count + 1);
    return TUFF_OK;
}

tuff_status tuff_shader_add(const char *name, const uint32_t *words, size_t bytes, int *shader)
{
    int index = 0;
    pthread_mutex_lock(&lock);
    const tuff_status status = add(name, words, bytes, &index);
    pthread_mutex_unlock(&lock);
    *shader = TUFF_SHADER_COUNT + index;
    return status;
}
