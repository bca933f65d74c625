// Shaders by number: those of the build, and behind them those that were added at run time.
#include "base/alloc.h"
#include "base/status.h"
#include "device/backend.h"
#include "tuff_shaders.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

// The table only grows: a number stands for the same code as long as the process runs, so
// that readers need no lock and a pipeline made of it is never of another.
enum { MOST = 4096 };
static struct tuff_shader_code *added[MOST];
static atomic_int added_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int tuff_shader_count(void) { return TUFF_SHADER_COUNT + atomic_load(&added_count); }

const struct tuff_shader_code *tuff_shader_at(int shader)
{
    assert(shader >= 0 && shader < tuff_shader_count());
    return shader < TUFF_SHADER_COUNT ? &tuff_shader_codes[shader]
                                      : added[shader - TUFF_SHADER_COUNT];
}

static int find(const char *name, const uint32_t *words, size_t bytes, int count)
{
    for (int i = 0; i < count; i++)
        if (added[i]->bytes == bytes && memcmp(added[i]->words, words, bytes) == 0 &&
            strcmp(added[i]->name, name) == 0)
            return i;
    return -1;
}

static struct tuff_shader_code *copy_of(const char *name, const uint32_t *words, size_t bytes)
{
    struct tuff_shader_code *code = tuff_alloc(1, sizeof *code);
    uint32_t *own = tuff_alloc(1, bytes);
    char *text = tuff_strdup(name);
    if (code && own && text) {
        memcpy(own, words, bytes);
        *code = (struct tuff_shader_code){ .name = text, .words = own, .bytes = bytes };
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
