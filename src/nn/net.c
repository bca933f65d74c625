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

#define RESNET_BLOCK(c, first)                                                  \
    "residual(conv " c " 3 " first "pad=1 bias=no | bn | relu | conv " c " 3 pad=1 bias=no | bn"
#define RESNET_STAGE(c, pad)                                                    \
    RESNET_BLOCK(c, "stride=2 ")                                                \
    " ; maxpool 1 stride=2 | channelpad " pad " " pad ") | relu | "             \
    "2x(" RESNET_BLOCK(c, "") ") | relu)"

#define FIRE(squeezed, expanded)                                                \
    "conv " squeezed " 1 | relu | concat(conv " expanded " 1 | relu ; "         \
    "conv " expanded " 3 pad=1 | relu)"

#define RESNET18_STAGE(c)                                                       \
    RESNET_BLOCK(c, "stride=2 ") " ; conv " c " 1 stride=2 bias=no | bn) | relu | " \
    RESNET_BLOCK(c, "") ") | relu"

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
    { "resnet20",
      "conv 16 3 pad=1 bias=no | bn | relu | 3x(" RESNET_BLOCK("16", "") ") | relu) | "
      RESNET_STAGE("32", "8") " | " RESNET_STAGE("64", "16") " | gap | dense 10",
      "ResNet-20 for CIFAR-10 (He et al., 1512.03385) with shortcuts without weights; 269,722 "
      "parameters on 3x32x32 images." },
    { "resnet18",
      "conv 64 7 stride=2 pad=3 bias=no | bn | relu | maxpool 3 stride=2 pad=1 | "
      "2x(" RESNET_BLOCK("64", "") ") | relu) | " RESNET18_STAGE("128") " | "
      RESNET18_STAGE("256") " | " RESNET18_STAGE("512") " | gap | dense 1000",
      "ResNet-18 (He et al., 1512.03385) for ImageNet; 11,689,512 parameters on 3x224x224 "
      "images." },
    { "squeezenet1_1",
      "conv 64 3 stride=2 | relu | maxpool 3 stride=2 | 2x(" FIRE("16", "64") ") | "
      "maxpool 3 stride=2 | 2x(" FIRE("32", "128") ") | maxpool 3 stride=2 | "
      "2x(" FIRE("48", "192") ") | 2x(" FIRE("64", "256") ") | dropout 0.5 | "
      "conv 1000 1 | relu | gap",
      "SqueezeNet 1.1 (Iandola et al., 1602.07360) for ImageNet; 1,235,496 parameters on "
      "3x224x224 images." },
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

// Items of a chain, or TUFF_NET_LAYERS + 1 for any larger number.
static int chain_items(const tuff_net *net, int index)
{
    int64_t n = 0;
    for (; index >= 0 && n <= TUFF_NET_LAYERS; index = net->stage[index].next) {
        const tuff_stage *s = &net->stage[index];
        int64_t own = s->layer.kind || s->block != TUFF_BLOCK_REPEAT; // a layer, or the join
        for (int i = 0; i < s->branches; i++) own += chain_items(net, s->branch[i]);
        n += own * (s->times > 1 ? s->times : 1);
    }
    return n > TUFF_NET_LAYERS ? TUFF_NET_LAYERS + 1 : (int)n;
}

typedef struct writer {
    const tuff_net *net;
    tuff_net_item *item;
    int count;
} writer;

static int add_item(writer *w, const tuff_layer *layer, const char *name, const int in[], int n)
{
    tuff_net_item *item = &w->item[w->count];
    item->layer = *layer;
    snprintf(item->name, sizeof item->name, "%s", name);
    memcpy(item->in, in, (size_t)n * sizeof *in);
    item->nin = n;
    return w->count++;
}

static int write_chain(writer *w, int index, int from, const char *prefix, int *place);

static const tuff_layer_kind *join_of(const tuff_stage *s)
{
    return s->block == TUFF_BLOCK_RESIDUAL ? &tuff_join_add : &tuff_join_concat;
}

// A block's branches and what joins them; returns the item that its output is.
static int write_block(writer *w, const tuff_stage *s, int from, const char *name)
{
    int out[TUFF_NET_BRANCHES], n = s->branches;
    const bool residual = s->block == TUFF_BLOCK_RESIDUAL;
    for (int i = 0; i < s->branches; i++) {
        char prefix[TUFF_LAYER_NAME];
        int place = 0;
        if (residual) snprintf(prefix, sizeof prefix, "%.230s.%s", name, i ? "shortcut." : "");
        else snprintf(prefix, sizeof prefix, "%.230s.%d.", name, i);
        out[i] = write_chain(w, s->branch[i], from, prefix, &place);
    }
    if (residual && n == 1) out[n++] = from;
    const tuff_layer join = { .kind = join_of(s) };
    return add_item(w, &join, name, out, n);
}

// Writes a chain that takes the output of `from`; *place counts the stages of the chain that
// it lies in, repeats written out.
static int write_chain(writer *w, int index, int from, const char *prefix, int *place)
{
    for (; index >= 0; index = w->net->stage[index].next) {
        const tuff_stage *s = &w->net->stage[index];
        char name[TUFF_LAYER_NAME];
        if (!s->layer.kind && s->block == TUFF_BLOCK_REPEAT) {
            for (int i = 0; i < s->times; i++)
                from = write_chain(w, s->branch[0], from, prefix, place);
            continue;
        }
        snprintf(name, sizeof name, "%.240s%d", prefix, (*place)++);
        from = s->layer.kind ? add_item(w, &s->layer, name, &from, 1)
                             : write_block(w, s, from, name);
    }
    return from;
}

static tuff_status too_long(void)
{
    return tuff_fail(TUFF_ERR_FORMAT, "net: with its repeats written out it has more than %d "
                     "layers", TUFF_NET_LAYERS);
}

tuff_status tuff_net_flatten(const tuff_net *net, tuff_net_item **items, int *count)
{
    const int n = chain_items(net, 0);
    int place = 0;
    if (n > TUFF_NET_LAYERS) return too_long();
    *items = tuff_alloc((size_t)n, sizeof **items);
    if (!*items) return TUFF_ERR_MEMORY;
    writer w = { .net = net, .item = *items };
    write_chain(&w, 0, TUFF_NET_INPUT, "", &place);
    *count = w.count;
    return TUFF_OK;
}

// ---- trees to text -------------------------------------------------------------------------

typedef struct printer {
    const tuff_net *net;
    tuff_rewrite_fn rewrite; // NULL: as it is
    void *user;
    int item;   // the next, counted as tuff_net_flatten does
} printer;

static void print_layer(printer *p, const tuff_layer *l, bool join, char *text)
{
    *text = 0;
    if (p->rewrite) p->rewrite(p->user, p->item, l, text);
    else if (!join) tuff_layer_print(l, text);
    p->item++;
}

static char *print_chain(printer *p, int index, char *at, bool *first);

static char *print_block(printer *p, const tuff_stage *s, char *at)
{
    at += sprintf(at, "%s(", s->block == TUFF_BLOCK_RESIDUAL ? "residual" : "concat");
    for (int i = 0; i < s->branches; i++) {
        bool first = true;
        if (i) at += sprintf(at, " ; ");
        at = print_chain(p, s->branch[i], at, &first);
    }
    at += sprintf(at, ")");
    const tuff_layer join = { .kind = join_of(s) };
    print_layer(p, &join, true, at + 3);
    if (!at[3]) return at;
    memcpy(at, " | ", 3);
    return at + strlen(at);
}

static char *print_chain(printer *p, int index, char *at, bool *first)
{
    for (; index >= 0; index = p->net->stage[index].next) {
        const tuff_stage *s = &p->net->stage[index];
        if (!s->layer.kind && s->block == TUFF_BLOCK_REPEAT) {
            for (int i = 0; i < s->times; i++) at = print_chain(p, s->branch[0], at, first);
            continue;
        }
        char *start = at;
        if (!*first) at += sprintf(at, " | ");
        if (!s->layer.kind) {
            at = print_block(p, s, at);
        } else {
            print_layer(p, &s->layer, false, at);
            at = *at ? at + strlen(at) : start;
        }
        *at = 0;
        *first &= at == start;
    }
    return at;
}

tuff_status tuff_net_rewrite(const tuff_net *net, tuff_rewrite_fn rewrite, void *user,
                             char **text)
{
    const int n = chain_items(net, 0);
    const size_t most = rewrite ? TUFF_REWRITE_TEXT : TUFF_LAYER_TEXT;
    printer p = { net, rewrite, user, 0 };
    bool first = true;
    *text = NULL;
    if (n > TUFF_NET_LAYERS) return too_long();
    // An item is a layer and what stands before it, or the words of a block.
    *text = tuff_alloc((size_t)n * (most + 16) + 1, 1);
    if (!*text) return TUFF_ERR_MEMORY;
    print_chain(&p, 0, *text, &first);
    return TUFF_OK;
}

tuff_status tuff_net_print(const tuff_net *net, char **text)
{
    return tuff_net_rewrite(net, NULL, NULL, text);
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

tuff_status tuff_net_open(const char *net, tuff_net **tree)
{
    *tree = NULL;
    TUFF_REQUIRE(net, ARG, "net: none was given, expected a preset's name, a file or text");
    char *file;
    const char *text;
    TUFF_TRY(read_net(net, &file, &text));
    const tuff_status status = tuff_net_parse(text, tree);
    tuff_free(file);
    return status;
}

tuff_status tuff_net_text(const char *net, char *text, size_t size)
{
    tuff_net *tree = NULL;
    char *whole = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_net_open(net, &tree));
    TUFF_GO(tuff_net_print(tree, &whole));
    if (!text) goto exit;
    const size_t need = strlen(whole) + 1;
    if (need > size)
        TUFF_GO(tuff_fail(TUFF_ERR_ARG, "net: its text takes %zu bytes, %zu were given", need,
                          size));
    memcpy(text, whole, need);
exit:
    tuff_free(whole);
    tuff_net_free(&tree);
    return status;
}
