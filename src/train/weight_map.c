// Weights from a file that names them in its own way. A map is text, a line a pair:
//
//   # ours         the file's
//   0              conv1          a name up to a dot stands for all that begin so
//   2.0.weight     layer1.0.conv1.weight
//
// The longest of our names that fits is taken; a parameter that none fits keeps its own name.
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "train/model_file.h"
#include <stdio.h>
#include <string.h>

enum { MAP_BYTES = 1 << 20, NAME = 400 };

typedef struct pair {
    const char *ours, *theirs;
    int line;
    bool used;
} pair;

typedef struct map {
    char *text;
    pair *pair;
    int count;
} map;

static void map_clear(map *m)
{
    tuff_free(m->text);
    tuff_free(m->pair);
    *m = (map){ .text = NULL };
}

static tuff_status read_line(map *m, char *line, int number, const char *path)
{
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    const char *ours = strtok_r(line, " \t\r", &rest), *theirs = strtok_r(NULL, " \t\r", &rest);
    if (!ours) return TUFF_OK;
    TUFF_REQUIRE(theirs && !strtok_r(NULL, " \t\r", &rest), FORMAT,
                 "%s, line %d: expected two names, ours and the file's", path, number);
    m->pair[m->count++] = (pair){ ours, theirs, number, false };
    return TUFF_OK;
}

static tuff_status map_read(const char *path, map *m)
{
    size_t size;
    int lines = 1;
    *m = (map){ .text = NULL };
    TUFF_TRY(tuff_file_read(path, MAP_BYTES, (void **)&m->text, &size));
    for (size_t i = 0; i < size; i++) lines += m->text[i] == '\n';
    m->pair = tuff_alloc((size_t)lines, sizeof *m->pair);
    tuff_status status = m->pair ? TUFF_OK : TUFF_ERR_MEMORY;
    char *line = m->text;
    for (int n = 1; n <= lines && status == TUFF_OK; n++) {
        char *end = strchr(line, '\n');
        if (end) *end = '\0';
        status = read_line(m, line, n, path);
        line = end ? end + 1 : line + strlen(line);
    }
    if (status != TUFF_OK) map_clear(m);
    return status;
}

// Whether `part` is the name, or what stands before one of its dots.
static bool begins(const char *name, const char *part)
{
    const size_t n = strlen(part);
    return strncmp(name, part, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

// Returns whether a line of the map names it, or what it belongs to.
static bool translate(map *m, const char *ours, char *theirs, size_t size)
{
    pair *best = NULL;
    for (int i = 0; i < m->count; i++)
        if (begins(ours, m->pair[i].ours) &&
            (!best || strlen(m->pair[i].ours) > strlen(best->ours)))
            best = &m->pair[i];
    if (best) best->used = true;
    snprintf(theirs, size, "%s%s", best ? best->theirs : "",
             best ? ours + strlen(best->ours) : ours);
    return best != NULL;
}

static tuff_status fill(tuff_model *model, const tuff_safetensors *file, map *m,
                        const char *path, float *flat)
{
    for (int i = 0; i < tuff_model_param_count(model); i++) {
        tuff_param_info p;
        char name[NAME];
        (void)tuff_model_param(model, i, &p);
        const bool mapped = translate(m, p.name, name, sizeof name);
        const tuff_array *a = tuff_safetensors_find(file, name);
        TUFF_REQUIRE(a || mapped, FORMAT, "the file has no %s, and no line of %s says what it "
                     "is called there", p.name, path);
        TUFF_REQUIRE(a, FORMAT, "the file has no %s, which the map makes of %s", name, p.name);
        TUFF_TRY(tuff_in_param(a, &p, name, flat));
    }
    for (int i = 0; i < m->count; i++)
        TUFF_REQUIRE(m->pair[i].used, FORMAT, "%s, line %d: the net has no parameter %s", path,
                     m->pair[i].line, m->pair[i].ours);
    return TUFF_OK;
}

tuff_status tuff_model_map_weights(tuff_model *model, const char *path, const char *map_path)
{
    map m = { .text = NULL };
    float *flat = NULL;
    tuff_safetensors *file = NULL;
    TUFF_REQUIRE(model && path && map_path, ARG, "map weights: a path or the model is NULL");
    tuff_status status = map_read(map_path, &m);
    if (status != TUFF_OK) return status;
    const size_t count = (size_t)tuff_desc_count(tuff_tensor_desc(tuff_model_weights(model)));
    TUFF_GO(tuff_safetensors_read(path, &file));
    flat = tuff_alloc(count, sizeof *flat);
    if (!flat) TUFF_GO(TUFF_ERR_MEMORY);
    memset(flat, 0, count * sizeof *flat);
    TUFF_GO(fill(model, file, &m, map_path, flat));
    TUFF_GO(tuff_move_weights(model, flat, false));
exit:
    tuff_free(flat);
    tuff_safetensors_destroy(&file);
    map_clear(&m);
    return status;
}
