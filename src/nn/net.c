// Nets: the presets, what a name or a path stands for, and trees written out as lists.
#include "nn/net.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIMPLENET                                                               \
    "conv 6 5 | relu | maxpool 2 | conv 16 5 | relu | maxpool 2 | flatten | "   \
    "dense 120 | relu | dense 84 | relu | dense 10"

static const tuff_preset presets[] = {
    { "simplenet", SIMPLENET,
      "Two convolutions and three dense layers, as PyTorch's first tutorial has them; for "
      "3x32x32 images." },
    { "lenet5",
      "conv 6 5 pad=2 | relu | maxpool 2 | conv 16 5 | relu | maxpool 2 | flatten | "
      "dense 120 | relu | dense 84 | relu | dense 10",
      "LeNet-5 (LeCun 1998) with relu and max pooling; 61,706 parameters on 1x28x28 images." },
    { "lenet-300-100", "flatten | dense 300 | relu | dense 100 | relu | dense 10",
      "LeNet-300-100 (LeCun 1998) with relu; 266,610 parameters on 1x28x28 images." },
    { "mlp-10-20-1", "dense 20 | relu | dense 1",
      "A regression from 10 numbers to 1 through 20 hidden units." },
    { "dense-64-10", "flatten | dense 64 | relu | dense 10",
      "A classifier into 10 classes through 64 hidden units, for any sample." },
    // One pool of 4x4 takes 28x28 to 7x7, and is what two of 2x2 in a row compute.
    { "conv-32-64",
      "conv 32 3 pad=1 | relu | conv 64 3 pad=1 | relu | maxpool 4 | flatten | dense 128 | "
      "relu | dense 10",
      "Two 3x3 convolutions of 32 and 64 channels, pooling to 7x7, two dense layers; for "
      "1x28x28 images." },
};
enum { PRESETS = sizeof presets / sizeof *presets };

int tuff_preset_count(void) { return PRESETS; }

const tuff_preset *tuff_preset_at(int index)
{
    return index >= 0 && index < PRESETS ? &presets[index] : NULL;
}

static const tuff_preset *find_preset(const char *name)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

// ---- trees to lists ------------------------------------------------------------------------

// Layers of a chain with repeats written out, or TUFF_NET_LAYERS + 1 for any larger number.
static int chain_layers(const tuff_net *net, int index)
{
    int64_t n = 0;
    for (; index >= 0 && n <= TUFF_NET_LAYERS; index = net->stage[index].next) {
        const tuff_stage *s = &net->stage[index];
        n += s->layer.kind ? 1 : (int64_t)s->times * chain_layers(net, s->block);
    }
    return n > TUFF_NET_LAYERS ? TUFF_NET_LAYERS + 1 : (int)n;
}

static void write_chain(const tuff_net *net, int index, tuff_layer *layers, int *count)
{
    for (; index >= 0; index = net->stage[index].next) {
        const tuff_stage *s = &net->stage[index];
        if (s->layer.kind) layers[(*count)++] = s->layer;
        for (int i = 0; !s->layer.kind && i < s->times; i++)
            write_chain(net, s->block, layers, count);
    }
}

tuff_status tuff_net_flatten(const tuff_net *net, tuff_layer **layers, int *count)
{
    const int n = chain_layers(net, 0);
    TUFF_REQUIRE(n <= TUFF_NET_LAYERS, FORMAT,
                 "net: with its repeats written out it has more than %d layers",
                 TUFF_NET_LAYERS);
    *layers = tuff_alloc((size_t)n, sizeof **layers);
    if (!*layers) return TUFF_ERR_MEMORY;
    *count = 0;
    write_chain(net, 0, *layers, count);
    return TUFF_OK;
}

char *tuff_net_print(const tuff_layer *layers, int count)
{
    char *text = tuff_alloc((size_t)count * (TUFF_LAYER_TEXT + 3) + 1, 1);
    for (int i = 0, used = 0; text && i < count; i++) {
        if (i) used += sprintf(text + used, " | ");
        tuff_layer_print(&layers[i], text + used);
        used += (int)strlen(text + used);
    }
    return text;
}

// ---- names, files, text --------------------------------------------------------------------

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool is_kind(const char *word)
{
    for (int i = 0; i < tuff_layer_kind_count(); i++)
        if (strcmp(tuff_layer_kind_at(i)->name, word) == 0) return true;
    return false;
}

// A word alone that is neither preset nor layer was meant as a name: says which there are.
static tuff_status unknown_name(const char *word)
{
    const char *names[PRESETS];
    char list[256] = "";
    for (size_t i = 0, used = 0; i < PRESETS; i++) {
        names[i] = presets[i].name;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 names[i]);
    }
    const char *near = tuff_nearest(word, names, PRESETS);
    return tuff_fail(TUFF_ERR_FORMAT,
                     "net: '%.64s' is no preset, no file and no layer%s%s%s, expected %s, "
                     "a file, or text such as \"flatten | dense 10\"",
                     word, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
                     list);
}

static tuff_status read_net(const char *net, char **file, const char **text)
{
    const tuff_preset *preset = find_preset(net);
    *file = NULL;
    *text = preset ? preset->text : net;
    if (preset) return TUFF_OK;
    if (strchr(net, '/') || is_file(net)) {
        size_t size;
        TUFF_TRY(tuff_file_read(net, TUFF_NET_BYTES, (void **)file, &size));
        *text = *file;
        if (strlen(*file) == size) return TUFF_OK;
        tuff_free(*file);
        *file = NULL;
        return tuff_fail(TUFF_ERR_FORMAT, "net: %s holds a zero byte, expected text", net);
    }
    if (*net && !net[strcspn(net, " \t\r\n|()=;#")] && !is_kind(net)) return unknown_name(net);
    return TUFF_OK;
}

tuff_status tuff_net_read(const char *text, tuff_layer **layers, int *count)
{
    tuff_net *tree;
    *layers = NULL;
    *count = 0;
    TUFF_TRY(tuff_net_parse(text, &tree));
    const tuff_status status = tuff_net_flatten(tree, layers, count);
    tuff_net_free(&tree);
    return status;
}

tuff_status tuff_net_open(const char *net, tuff_layer **layers, int *count)
{
    *layers = NULL;
    *count = 0;
    TUFF_REQUIRE(net, ARG, "net: none was given, expected a preset's name, a file or text");
    char *file;
    const char *text;
    TUFF_TRY(read_net(net, &file, &text));
    const tuff_status status = tuff_net_read(text, layers, count);
    tuff_free(file);
    return status;
}

tuff_status tuff_net_text(const char *net, char *text, size_t size)
{
    tuff_layer *layers = NULL;
    char *whole = NULL;
    int count;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_net_open(net, &layers, &count));
    if (!text) goto exit;
    whole = tuff_net_print(layers, count);
    if (!whole) TUFF_GO(TUFF_ERR_MEMORY);
    const size_t need = strlen(whole) + 1;
    if (need > size)
        TUFF_GO(tuff_fail(TUFF_ERR_ARG, "net: its text takes %zu bytes, %zu were given", need,
                          size));
    memcpy(text, whole, need);
exit:
    tuff_free(whole);
    tuff_free(layers);
    return status;
}
