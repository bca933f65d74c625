// Arrays in files as the command line names them: FILE.npy, FILE.safetensors, and NAME in it.
#include "cli.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>
#include <unistd.h>

static const char ending[] = ".safetensors";

// The length of the path when `spec` names a safetensors file, else 0; *name receives what
// stands behind the path, or NULL.
static size_t safetensors_path(const char *spec, const char **name)
{
    const size_t n = sizeof ending - 1;
    for (const char *s = spec; (s = strstr(s, ending)); s += n)
        if (!s[n] || s[n] == ':') {
            *name = s[n] ? s + n + 1 : NULL;
            return (size_t)(s - spec) + n;
        }
    return 0;
}

// "a, b, c" of a file's arrays, as many as there is room for.
static void list_names(const tuff_safetensors *file, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < tuff_safetensors_count(file) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %s" : "%s",
                                 tuff_safetensors_at(file, i)->name);
}

static int pick(const cli_command *self, const tuff_safetensors *file, const char *path,
                const char *name, tuff_array *a)
{
    const int count = tuff_safetensors_count(file);
    const tuff_array *from = name ? tuff_safetensors_find(file, name)
                           : count == 1 ? &tuff_safetensors_at(file, 0)->array : NULL;
    char names[200];
    list_names(file, names, sizeof names);
    if (!from && name)
        return cli_wrong(self, "%s has no array '%s', it has %s", path, name,
                         count ? names : "none");
    if (!from)
        return cli_wrong(self, "%s has %d arrays, expected %s:NAME, one of %s", path, count,
                         path, count ? names : "none");
    if (tuff_array_convert(from, from->desc.dtype, a) != TUFF_OK) return cli_error(self);
    return EXIT_OK;
}

int array_file_read(const cli_command *self, const char *spec, tuff_array *a)
{
    const char *name = NULL;
    const size_t n = safetensors_path(spec, &name);
    if (!n) return tuff_npy_read(spec, a) == TUFF_OK ? EXIT_OK : cli_error(self);
    tuff_safetensors *file = NULL;
    int status = EXIT_WRONG;
    char *path = malloc(n + 1);
    if (!path) return cli_wrong(self, "out of memory");
    memcpy(path, spec, n);
    path[n] = 0;
    if (tuff_safetensors_read(path, &file) != TUFF_OK) status = cli_error(self);
    else status = pick(self, file, path, name, a);
    tuff_safetensors_destroy(&file);
    free(path);
    return status;
}

int array_file_check(const cli_command *self, const char *path)
{
    const char *inner = NULL;
    const size_t n = strlen(path);
    if (safetensors_path(path, &inner) == 0 && (n < 4 || strcmp(path + n - 4, ".npy") != 0))
        return cli_wrong(self, "%s: expected a file *.npy or *%s", path, ending);
    return report_folder(self, path);
}

int array_file_write(const cli_command *self, const char *path, const char *name,
                     const tuff_array *a)
{
    const char *inner = NULL;
    if (!safetensors_path(path, &inner)) {
        if (a->desc.dtype == TUFF_BF16)
            return cli_wrong(self, "%s: NumPy has no bf16, expected a file *%s (or another "
                             "type: tuff op cast --attr to=f32)", path, ending);
        return tuff_npy_write(path, a) == TUFF_OK ? EXIT_OK : cli_error(self);
    }
    if (inner)
        return cli_wrong(self, "%s: an output has its own name, expected a path alone", path);
    const tuff_named_array array = { .name = name, .array = *a };
    return tuff_safetensors_write(path, &array, 1, NULL, 0) == TUFF_OK ? EXIT_OK
                                                                       : cli_error(self);
}
