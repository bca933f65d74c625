// The language of nets: what it reads, how its errors point at the word, what it refuses; and
// the models that are built from it.
#include "harness.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "nn/net.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;

// ---- text ----------------------------------------------------------------------------------

static void canonical_text(void)
{
    static const struct {
        const char *net, *want;
    } cases[] = {
        { "relu", "relu" },
        { "conv 6 5", "conv 6 5" },
        { "  conv   6\t5 |\n relu\n", "conv 6 5 | relu" },
        { "conv 6 5x5 stride=1 pad=0 bias=yes", "conv 6 5" },
        { "conv 6 5x3 stride=2x1 pad=0x1 dilation=3 group=2 bias=no",
          "conv 6 5x3 stride=2x1 pad=0x1 dilation=3 group=2 bias=no" },
        { "conv 6 bias = no 5", "conv 6 5 bias=no" },
        { "maxpool 2 | avgpool 3x1 stride=2 pad=1", "maxpool 2 | avgpool 3x1 stride=2 pad=1" },
        { "dense 10 bias=no # the last one\n# and a whole line\n| softmax",
          "dense 10 bias=no | softmax" },
        { "2x(dense 9|relu)|tanh", "dense 9 | relu | dense 9 | relu | tanh" },
        { "2x(3x(relu) | sigmoid)",
          "relu | relu | relu | sigmoid | relu | relu | relu | sigmoid" },
        { "lenet-300-100", "flatten | dense 300 | relu | dense 100 | relu | dense 10" },
        { "residual(conv 8 3 pad=1|bn)|relu", "residual(conv 8 3 pad=1 | bn) | relu" },
        { "2x(residual( relu ;tanh ))", "residual(relu ; tanh) | residual(relu ; tanh)" },
        { "concat(relu; 2x(tanh) ;residual(sigmoid))",
          "concat(relu ; tanh | tanh ; residual(sigmoid))" },
        { "bn eps=1e-5 momentum=0.10 | bn eps=0.001", "bn | bn eps=0.001" },
        { "dwconv 3 pad=1 multiplier=2", "dwconv 3 multiplier=2 pad=1" },
        { "leaky_relu 0.01 | leaky_relu 0.2 | elu | gelu approximate=none | dropout 0.50",
          "leaky_relu | leaky_relu 0.2 | elu | gelu | dropout 0.5" },
        { "dense 3 bias_bits=16 weights=affine bits=4 per=channel | conv 6 5 weights=f32",
          "dense 3 weights=affine bits=4 bias_bits=16 | conv 6 5" },
        { "conv 6 5 weights=affine per=tensor | dense 9 bits = 8 weights = symmetric",
          "conv 6 5 weights=affine per=tensor | dense 9 weights=symmetric bits=8" },
        { "lstm 4 weights=q4_0 | dense 3 weights=half",
          "lstm 4 weights=q4_0 | dense 3 weights=half" },
        { "gelu tanh | gelu none", "gelu approximate=tanh | gelu" },
        { "embedding 100 8 | attention 2 causal=yes bias=yes",
          "embedding 100 8 | attention 2 causal=yes" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[512] = "", again[512] = "";
        EXPECT_OK(tuff_net_text(cases[i].net, text, sizeof text));
        EXPECT_STR(text, cases[i].want);
        EXPECT_OK(tuff_net_text(text, again, sizeof again)); // a fixed point
        EXPECT_STR(again, text);
    }
    char small[8];
    EXPECT_STATUS(tuff_net_text("conv 6 5 | relu", small, sizeof small), TUFF_ERR_ARG);
    EXPECT_OK(tuff_net_text("conv 6 5 | relu", NULL, 0));
}

// Every error is one sentence, the line, and marks that begin at the wrong word.
// Leaves relu out, puts a layer with its number behind a dense one, and one behind a sum.
static void other_layer(void *user, int item, const tuff_layer *l, char *text)
{
    int *calls = user;
    ++*calls;
    if (strcmp(l->kind->name, "relu") == 0) return;
    if (strcmp(l->kind->name, "add") == 0) {
        sprintf(text, "softsign");
        return;
    }
    if (strcmp(l->kind->name, "concat") == 0) return;
    tuff_layer_print(l, text);
    if (strcmp(l->kind->name, "dense") == 0)
        sprintf(text + strlen(text), " | dense %d", 1000 + item);
}

static void rewritten_text(void)
{
    static const struct {
        const char *net, *want;
        int calls;
    } cases[] = {
        { "relu | dense 3", "dense 3 | dense 1001", 2 },
        { "2x(dense 4 | relu)", "dense 4 | dense 1000 | dense 4 | dense 1002", 4 },
        // The items of a block come before what joins them, which is an item too.
        { "residual(dense 4 | relu ; relu | tanh) | dense 5",
          "residual(dense 4 | dense 1000 ; tanh) | softsign | dense 5 | dense 1005", 6 },
        { "concat(tanh ; relu | relu | tanh ; dense 1) | relu | dense 2",
          "concat(tanh ; tanh ; dense 1 | dense 1004) | dense 2 | dense 1007", 8 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_net *net;
        char *text;
        int calls = 0;
        EXPECT_OK(tuff_net_parse(cases[i].net, &net));
        EXPECT_OK(tuff_net_rewrite(net, other_layer, &calls, &text));
        EXPECT_STR(text, cases[i].want);
        EXPECT_EQ(calls, cases[i].calls);
        tuff_free(text);
        tuff_net_free(&net);
    }
}

static void errors_point_at_the_word(void)
{
    static const struct {
        const char *net, *place, *why;
    } cases[] = {
        { "", "line 1, column 1", "expected a layer, found the end" },
        { "conv 6 5 |", "line 1, column 11", "expected a layer, found the end" },
        { "conv 6 5 | | relu", "line 1, column 12", "expected a layer, found '|'" },
        { "conv 6 5 | maxpol 2", "line 1, column 12", "'maxpol' is no layer (did you mean" },
        { "relu |\nrelu |\n  qqq 1", "line 3, column 3", "'qqq' is no layer, expected one of" },
        { "conv 6 | relu", "line 1, column 1", "conv is not given its KERNEL" },
        { "conv | relu", "line 1, column 1", "conv is not given its CHANNELS" },
        { "conv 6 5 7", "line 1, column 10", "'7' is more than conv takes" },
        { "conv six 5", "line 1, column 6", "'six' is no whole number, expected CHANNELS" },
        { "conv 6 5x", "line 1, column 8", "'5x' is no whole number" },
        { "conv 6 x5", "line 1, column 8", "'x5' is no whole number" },
        { "conv 0 5", "line 1, column 6", "CHANNELS is 0, expected 1 to 1000000" },
        { "conv -3 5", "line 1, column 6", "CHANNELS is -3" },
        { "conv 1000001 5", "line 1, column 6", "CHANNELS is 1000001" },
        { "dense 99999999999999999999999999", "line 1, column 7", "is no whole number" },
        { "conv 6 5 stride=0", "line 1, column 17", "stride is 0, expected 1 to 1000" },
        { "dense 3 weights=q4", "line 1, column 17", "weights is 'q4', expected one of f32" },
        { "dense 3 weights=fixed bits=0", "line 1, column 28", "bits is 0, expected 1 to 16" },
        { "dense 3 weights=affine bits=17", "line 1, column 29", "bits is 17, expected 1 to" },
        { "dense 3 weights=nf4 bits=4", "line 1, column 1", "has no bits to choose" },
        { "dense 3 weights=half per=tensor", "line 1, column 1", "has its own scales" },
        { "dense 3 bias_bits=4", "line 1, column 1", "are of weights= other than f32" },
        { "bdense 3 bits=4", "line 1, column 1", "are of weights= other than f32" },
        { "flatten weights=half", "line 1, column 1", "it has no weights" },
        { "dense 3 weights=half weights=half", "line 1, column 22", "weights is given twice" },
        { "conv 6 5 strde=2", "line 1, column 10", "conv has no attribute 'strde'" },
        { "conv 6 5 pad=1 pad=1", "line 1, column 16", "pad is given twice" },
        { "conv 6 5 pad=", "line 1, column 14", "expected a value for pad, found the end" },
        { "conv 6 5 pad | relu", "line 1, column 10", "expected = and a value after pad" },
        { "conv 6 5 bias=maybe", "line 1, column 15", "bias is 'maybe', expected yes or no" },
        { "dense 10x2", "line 1, column 7", "'10x2' is no whole number" },
        { "relu 3", "line 1, column 6", "'3' is more than relu takes" },
        { "relu ) | tanh", "line 1, column 6", "expected | or the end, found ')'" },
        { "2x(relu | tanh", "line 1, column 3", "this ( has no ) that closes it" },
        { "2x()", "line 1, column 4", "expected a layer, found ')'" },
        { "0x(relu)", "line 1, column 1", "the repeat is 0x, expected 1 to 1000" },
        { "1001x(relu)", "line 1, column 1", "the repeat is 1001x, expected 1 to 1000" },
        { "(relu)", "line 1, column 1", "expected a layer, found '('" },
        { "relu \x01 | tanh", "line 1, column 6", "is more than relu takes" },
        { "relu | residual", "line 1, column 16", "expected ( after residual, found the end" },
        { "residual(relu ; tanh ; relu)", "line 1, column 22", "residual takes at most 2" },
        { "concat(relu)", "line 1, column 12", "concat takes at least 2 chains" },
        { "2x(relu ; tanh)", "line 1, column 9", "a repeat takes at most 1 chain" },
        { "concat(relu ; )", "line 1, column 15", "expected a layer, found ')'" },
        { "gelu erf", "line 1, column 6", "expected gelu [approximate=none] (none or tanh)" },
        { "gelu tanh approximate=tanh", "line 1, column 11", "approximate is given twice" },
        { "gelu tanh none", "line 1, column 11", "approximate is given twice" },
        { "bn eps=0", "line 1, column 8", "eps is 0, expected 1e-12 to 1" },
        { "bn eps=x", "line 1, column 8", "'x' is no number, expected eps" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        EXPECT_STATUS(tuff_net_text(cases[i].net, NULL, 0), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), cases[i].place);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
    }
    EXPECT_STATUS(tuff_net_text("relu | maxpol 2", NULL, 0), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "\n  relu | maxpol 2\n         ^^^^^^");
    EXPECT_STATUS(tuff_net_text(NULL, NULL, 0), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_net_text("lenet6", NULL, 0), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "'lenet6' is no preset, no file and no layer");
    EXPECT_HAS(tuff_last_error(), "(did you mean lenet5?)");
}

// The mark of an error far inside a long line is below the word it means.
static void marks_in_a_long_line(void)
{
    char net[600];
    int n = 0;
    for (int i = 0; i < 60; i++) n += sprintf(net + n, "relu | ");
    const int at = n;
    sprintf(net + n, "oops | relu");
    EXPECT_STATUS(tuff_net_text(net, NULL, 0), TUFF_ERR_FORMAT);
    char place[64];
    sprintf(place, "line 1, column %d", at + 1);
    EXPECT_HAS(tuff_last_error(), place);
    const char *line = strchr(tuff_last_error(), '\n');
    const char *marks = line ? strchr(line + 1, '\n') : NULL;
    if (!EXPECT(marks != NULL)) return;
    const char *word = strstr(line, "oops");
    EXPECT(word && word < marks && word - line == strchr(marks, '^') - marks);
}

static char *repeated(const char *part, int times, const char *end)
{
    char *text = malloc(strlen(part) * (size_t)times + strlen(end) + 1);
    int n = 0;
    for (int i = 0; i < times; i++) n += sprintf(text + n, "%s", part);
    strcpy(text + n, end);
    return text;
}

static void refuse(char *net, const char *why)
{
    EXPECT_STATUS(tuff_net_text(net, NULL, 0), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), why);
    free(net);
}

static void hostile_text(void)
{
    refuse(repeated("2x(", 100000 / 3 - 20000, "relu"), "deep");
    refuse(repeated("2x(", 17, "relu)))))))))))))))))"), "blocks lie more than 16 deep");
    refuse(repeated("relu | ", 1024, "relu"), "more than 1024 layers");
    refuse(repeated("1000x(", 9, "relu)))))))))"), "more than 1024 layers");
    refuse(repeated("2x(", 11, "relu)))))))))))"), "more than 1024 layers");
    refuse(repeated("relu | ", 20000, "relu"), "longer than 65536 bytes");
    refuse(repeated("x", 60000, ""), "is no preset");
    refuse(repeated("x", 60000, " 1"), "is no layer");
    refuse(repeated("9", 60000, "x(relu)"), "is no whole number");
    refuse(repeated("#", 60000, ""), "found the end");
    char *text = malloc(65536);
    char *net = repeated("2x(", 10, "relu))))))))))"); // 1024 layers are allowed
    EXPECT_OK(tuff_net_text(net, text, 65536));
    free(net);
    free(text);
}

// Cut, and with any one byte changed, a net is read or refused, and never more than that.
static void damaged_text(void)
{
    static const char whole[] = "conv 6 5x3 pad=1x2 | 2x(relu | maxpool 2) # end\n| dense 9";
    int read = 0, refused = 0;
    for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
        char net[sizeof whole];
        memcpy(net, whole, cut);
        net[cut] = 0;
        const tuff_status status = tuff_net_text(net, NULL, 0);
        EXPECT(status == TUFF_OK || status == TUFF_ERR_FORMAT);
        for (int byte = 1; byte < 256; byte += 7) {
            memcpy(net, whole, sizeof whole);
            net[cut] = (char)byte;
            if (tuff_net_text(net, NULL, 0) == TUFF_OK)
                read++;
            else
                refused++;
        }
    }
    EXPECT(read > 10 && refused > 10);
}

static void from_a_file(void)
{
    const char *path = temp_path("net.txt");
    FILE *file = fopen(path, "w");
    fputs("# two layers\nflatten |\n  dense 10\n", file);
    fclose(file);
    char text[64] = "";
    EXPECT_OK(tuff_net_text(path, text, sizeof text));
    EXPECT_STR(text, "flatten | dense 10");
    EXPECT_STATUS(tuff_net_text("/no/such/file", NULL, 0), TUFF_ERR_IO);
    file = fopen(path, "w");
    fwrite("relu\0| tanh", 1, 11, file);
    fclose(file);
    EXPECT_STATUS(tuff_net_text(path, NULL, 0), TUFF_ERR_FORMAT);
}

static void every_preset_and_layer_is_told(void)
{
    EXPECT_EQ(tuff_preset_count(), 9);
    for (int i = 0; i < tuff_preset_count(); i++) {
        const tuff_preset *p = tuff_preset_at(i);
        char text[4096] = "", again[4096] = "";
        EXPECT_OK(tuff_net_text(p->name, text, sizeof text));
        EXPECT_OK(tuff_net_text(p->text, again, sizeof again));
        EXPECT_STR(text, again);
        if (!strstr(p->text, "x(")) EXPECT_STR(text, p->text); // written canonically
        EXPECT(strlen(p->doc) > 10);
    }
    EXPECT(!tuff_preset_at(-1) && !tuff_preset_at(tuff_preset_count()));
    tuff_layer_doc doc;
    for (int i = 0; i < tuff_layer_doc_count(); i++) {
        EXPECT(tuff_layer_doc_at(i, &doc));
        EXPECT(strncmp(doc.usage, doc.name, strlen(doc.name)) == 0 && strlen(doc.doc) > 5);
    }
    EXPECT(!tuff_layer_doc_at(tuff_layer_doc_count(), &doc));
}

// ---- models --------------------------------------------------------------------------------

static tuff_status make(const char *net, tuff_desc input, tuff_model **model)
{
    return tuff_model_create(device, &(tuff_model_params){ .net = net, .input = input }, model);
}

static void preset_sizes(void)
{
    static const struct {
        const char *net;
        tuff_desc input;
        int64_t parameters, outputs;
    } cases[] = {
        { "simplenet", { TUFF_F32, 3, { 3, 32, 32 } }, 62006, 10 },
        { "lenet5", { TUFF_F32, 3, { 1, 28, 28 } }, 61706, 10 },
        { "lenet-300-100", { TUFF_F32, 3, { 1, 28, 28 } }, 266610, 10 },
        { "mlp-10-20-1", { TUFF_F32, 1, { 10 } }, 241, 1 },
        { "dense-64-10", { TUFF_F32, 1, { 32 } }, 2762, 10 },
        { "conv-32-64", { TUFF_F32, 3, { 1, 28, 28 } }, 421642, 10 },
        { "resnet20", { TUFF_F32, 3, { 3, 32, 32 } }, 269722, 10 },
        { "resnet18", { TUFF_F32, 3, { 3, 224, 224 } }, 11689512, 1000 },
        { "squeezenet1_1", { TUFF_F32, 3, { 3, 224, 224 } }, 1235496, 1000 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *m;
        if (!EXPECT_OK(make(cases[i].net, cases[i].input, &m))) continue;
        EXPECT_EQ(tuff_model_parameters(m), cases[i].parameters);
        EXPECT_EQ(tuff_model_output(m)->rank, 1);
        EXPECT_EQ(tuff_model_output(m)->dim[0], cases[i].outputs);
        tuff_model_destroy(&m);
    }
}

static void layout_and_names(void)
{
    tuff_model *m;
    if (!EXPECT_OK(make("lenet5", TUFF_SHAPE(TUFF_F32, 1, 28, 28), &m))) return;
    static const struct {
        const char *name;
        tuff_desc desc;
    } want[] = {
        { "0.weight", { TUFF_F32, 4, { 6, 1, 5, 5 } } },
        { "0.bias", { TUFF_F32, 1, { 6 } } },
        { "3.weight", { TUFF_F32, 4, { 16, 6, 5, 5 } } },
        { "3.bias", { TUFF_F32, 1, { 16 } } },
        { "7.weight", { TUFF_F32, 2, { 120, 400 } } },
        { "7.bias", { TUFF_F32, 1, { 120 } } },
        { "9.weight", { TUFF_F32, 2, { 84, 120 } } },
        { "9.bias", { TUFF_F32, 1, { 84 } } },
        { "11.weight", { TUFF_F32, 2, { 10, 84 } } },
        { "11.bias", { TUFF_F32, 1, { 10 } } },
    };
    EXPECT_EQ(tuff_model_param_count(m), COUNT(want));
    int64_t end = 0;
    for (int i = 0; i < (int)COUNT(want); i++) {
        tuff_param_info p;
        EXPECT(tuff_model_param(m, i, &p));
        EXPECT_STR(p.name, want[i].name);
        EXPECT(tuff_desc_equal(&p.desc, &want[i].desc));
        EXPECT(p.offset % 64 == 0 && p.offset >= end && p.offset < end + 64);
        end = p.offset + tuff_desc_count(&p.desc);
    }
    tuff_layer_info l;
    EXPECT_EQ(tuff_model_layer_count(m), 12);
    EXPECT(tuff_model_layer(m, 3, &l) && !tuff_model_layer(m, 12, &l));
    EXPECT_STR(l.text, "conv 16 5");
    EXPECT_EQ(l.parameters, 2416);
    EXPECT(l.input.dim[0] == 6 && l.input.dim[1] == 14 && l.output.dim[2] == 10);
    tuff_model_destroy(&m);
}

// One sample through a net of which each parameter is set.
static void run_one(tuff_model *m, const float *x, float *y)
{
    EXPECT_OK(tuff_predict(m, x, 1, y));
}

// Places in blocks, and what the blocks compute.
static void blocks_are_named_and_computed(void)
{
    static const char *const names[] = { "0.0.weight", "0.shortcut.1.weight", "1.0.0.weight",
                                         "1.1.1.bias", "1.1.1.weight" };
    tuff_model *m;
    if (!EXPECT_OK(make("residual(dense 2 bias=no ; relu | dense 2 bias=no) | "
                        "concat(dense 1 bias=no ; relu | dense 1)", TUFF_SHAPE(TUFF_F32, 2),
                        &m)))
        return;
    for (size_t i = 0; i < COUNT(names); i++) {
        bool found = false;
        for (int k = 0; k < tuff_model_param_count(m); k++) {
            tuff_param_info p;
            found |= tuff_model_param(m, k, &p) && strcmp(p.name, names[i]) == 0;
        }
        if (!found) FAIL("there is no parameter %s", names[i]);
    }
    tuff_layer_info l;
    EXPECT(tuff_model_layer(m, 3, &l));
    EXPECT_STR(l.text, "add");
    EXPECT_STR(l.name, "0");
    // y1 = W x + S relu(x); y = (a y1, b relu(y1) + c)
    const float w[] = { 1, 2, 3, 4 }, s[] = { 10, 20, 30, 40 }, a[] = { 1, -1 }, b[] = { 2, 3 };
    const float c[] = { 0.5f }, x[] = { -1, 2 };
    EXPECT_OK(tuff_model_set(m, "0.0.weight", w, 4));
    EXPECT_OK(tuff_model_set(m, "0.shortcut.1.weight", s, 4));
    EXPECT_OK(tuff_model_set(m, "1.0.0.weight", a, 2));
    EXPECT_OK(tuff_model_set(m, "1.1.1.weight", b, 2));
    EXPECT_OK(tuff_model_set(m, "1.1.1.bias", c, 1));
    float y[2] = { 0 };
    run_one(m, x, y); // y1 = (3 + 40, 5 + 80)
    EXPECT_NEAR((double)y[0], 43 - 85, 1e-4);
    EXPECT_NEAR((double)y[1], 2 * 43 + 3 * 85 + 0.5, 1e-3);
    tuff_model_destroy(&m);
}

// Attention over positions that are all the same gives each what it gives the first; a causal
// one gives the first position what it gives alone.
static void attention_looks_where_it_may(void)
{
    tuff_model *m;
    float x[6 * 8], y[6 * 8], changed[6 * 8];
    if (!EXPECT_OK(make("attention 2 causal=yes", TUFF_SHAPE(TUFF_F32, 6, 8), &m))) return;
    for (int i = 0; i < 48; i++) x[i] = (float)(i * 7 % 11) / 5 - 1;
    run_one(m, x, y);
    for (int i = 3 * 8; i < 48; i++) x[i] = -x[i] + 1; // the last three positions
    run_one(m, x, changed);
    for (int i = 0; i < 3 * 8; i++) EXPECT_NEAR((double)changed[i], (double)y[i], 1e-6);
    double moved = 0;
    for (int i = 3 * 8; i < 48; i++) moved += fabs((double)changed[i] - (double)y[i]);
    EXPECT(moved > 0.1);
    tuff_model_destroy(&m);
    EXPECT_STATUS(make("attention 3", TUFF_SHAPE(TUFF_F32, 6, 8), &m), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "3 heads divide not the 8 numbers");
}

static void embedding_picks_rows(void)
{
    tuff_model *m;
    float table[5 * 3], y[12], x[] = { 4, 0, 2, 4 };
    if (!EXPECT_OK(make("embedding 5 3", TUFF_SHAPE(TUFF_F32, 4), &m))) return;
    for (int i = 0; i < 15; i++) table[i] = (float)i;
    EXPECT_OK(tuff_model_set(m, "0.weight", table, 15));
    run_one(m, x, y);
    for (int i = 0; i < 12; i++) EXPECT_NEAR((double)y[i], (double)x[i / 3] * 3 + i % 3, 0);
    tuff_model_destroy(&m);
}

static void shapes_that_do_not_fit(void)
{
    static const struct {
        const char *net, *why;
    } cases[] = {
        { "conv 6 5 | relu | dense 10",
          "layer 2 (dense 10): dense takes samples of one dimension, it is given 6x24x24: put "
          "flatten before it" },
        { "flatten | conv 6 5", "layer 1 (conv 6 5): conv takes samples of channels x rows x "
                                "columns, it is given 784" },
        { "conv 6 5 | conv 9 5 group=4", "layer 1 (conv 9 5 group=4): group=4 divides not both "
                                         "its 6 input and 9 output channels" },
        { "maxpool 2 | maxpool 2 | conv 6 9", "layer 2 (conv 6 9): conv2d: " },
        { "maxpool 29", "layer 0 (maxpool 29): max_pool2d: " },
        { "maxpool 2 pad=2", "layer 0 (maxpool 2 pad=2): max_pool2d: " },
        { "softmax", "softmax takes samples of one dimension" },
        { "flatten | dense 1000000 | dense 1000000", "layer 2 (dense 1000000)" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *m;
        const tuff_status status = make(cases[i].net, TUFF_SHAPE(TUFF_F32, 1, 28, 28), &m);
        EXPECT(status == TUFF_ERR_SHAPE || status == TUFF_ERR_ARG || status == TUFF_ERR_LIMIT);
        EXPECT(!m);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
    }
    tuff_model *m;
    EXPECT_STATUS(make("relu", TUFF_SHAPE(TUFF_I32, 3), &m), TUFF_ERR_ARG);
    EXPECT_STATUS(make("relu", TUFF_SCALAR(TUFF_F32), &m), TUFF_ERR_ARG);
    EXPECT_STATUS(make("relu", TUFF_SHAPE(TUFF_F32, 3, 0), &m), TUFF_ERR_SHAPE);
}

// ---- starting values ------------------------------------------------------------------------

static void init_text(void)
{
    tuff_init init;
    EXPECT_OK(tuff_init_parse("uniform=-0.5,2", &init));
    EXPECT(init.kind == TUFF_INIT_UNIFORM && init.a == -0.5f && init.b == 2);
    EXPECT_OK(tuff_init_parse("constant=3", &init));
    EXPECT(init.kind == TUFF_INIT_CONSTANT && init.a == 3);
    EXPECT_OK(tuff_init_parse("kaiming_normal", &init));
    EXPECT_EQ(init.kind, TUFF_INIT_HE_NORMAL);
    static const char *const wrong[] = { "", "he", "zeros=1", "constant", "constant=",
                                         "normal=1", "normal=1,", "normal=1,2,3", "uniform=2,1",
                                         "normal=0,-1", "constant=x", "uniform=1;2",
                                         "constant=1e99" };
    for (size_t i = 0; i < COUNT(wrong); i++)
        EXPECT(tuff_init_parse(wrong[i], &init) != TUFF_OK);
}

// Mean, deviation and bounds of a parameter's starting values against the formulas.
static void init_values(void)
{
    const double in = 400, out = 120;
    const struct {
        const char *text;
        double mean, deviation, bound; // bound 0: none
    } cases[] = {
        { "default", 0, 1 / sqrt(3 * in), 1 / sqrt(in) },
        { "zeros", 0, 0, 1e-30 },
        { "constant=0.25", 0.25, 0, 0.25 },
        { "uniform=1,3", 2, 1 / sqrt(3), 3 },
        { "normal=1,0.5", 1, 0.5, 0 },
        { "glorot_uniform", 0, sqrt(2 / (in + out)), sqrt(6 / (in + out)) },
        { "glorot_normal", 0, sqrt(2 / (in + out)), 0 },
        { "he_uniform", 0, sqrt(2 / in), sqrt(6 / in) },
        { "he_normal", 0, sqrt(2 / in), 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *m;
        tuff_model_params p = { .net = "dense 120", .input = TUFF_SHAPE(TUFF_F32, 400),
                                .seed = 7 };
        EXPECT_OK(tuff_init_parse(cases[i].text, &p.init));
        if (!EXPECT_OK(tuff_model_create(device, &p, &m))) continue;
        static float w[48000], b[120];
        EXPECT_OK(tuff_model_get(m, "0.weight", w, 48000));
        EXPECT_OK(tuff_model_get(m, "0.bias", b, 120));
        double sum = 0, squares = 0, most = 0, bias = 0;
        for (int k = 0; k < 48000; k++) {
            sum += w[k];
            squares += ((double)w[k] - cases[i].mean) * ((double)w[k] - cases[i].mean);
            most = fmax(most, fabs(w[k]));
        }
        for (int k = 0; k < 120; k++) bias = fmax(bias, fabs(b[k]));
        const double near = 0.02 * cases[i].deviation + 1e-7;
        EXPECT_NEAR(sum / 48000, cases[i].mean, near);
        EXPECT_NEAR(sqrt(squares / 48000), cases[i].deviation, near);
        if (cases[i].bound > 0) EXPECT(most <= cases[i].bound * (1 + 1e-6));
        EXPECT(i == 0 ? bias > 0 && bias <= cases[i].bound : bias == 0);
        tuff_model_destroy(&m);
    }
}

static void same_seed_same_bits(void)
{
    tuff_model *m[3];
    static float w[3][2400];
    const uint64_t seeds[3] = { 1, 1, 2 };
    for (int i = 0; i < 3; i++) {
        const tuff_model_params p = { .net = "lenet5", .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28),
                                      .seed = seeds[i] };
        if (!EXPECT_OK(tuff_model_create(device, &p, &m[i]))) return;
        EXPECT_OK(tuff_model_get(m[i], "3.weight", w[i], 2400));
        tuff_model_destroy(&m[i]);
    }
    EXPECT(memcmp(w[0], w[1], sizeof w[0]) == 0);
    EXPECT(memcmp(w[0], w[2], sizeof w[0]) != 0);
    // Element i of the flat tensor is number i of the seed's own sequence, on every device.
    const uint64_t own = tuff_rng_fork(1, 1);
    const double r = 1 / sqrt(150); // 3.weight begins at 192 + 64
    EXPECT(w[0][5] == (float)(-r + 2 * r * (double)tuff_rng_uniform_at(own, 256 + 5)));
}

static void get_and_set(void)
{
    tuff_model *m;
    if (!EXPECT_OK(make("dense 2", TUFF_SHAPE(TUFF_F32, 3), &m))) return;
    const float w[6] = { 1, 2, 3, 4, 5, 6 };
    float got[6] = { 0 };
    EXPECT_OK(tuff_model_set(m, "0.weight", w, 6));
    EXPECT_OK(tuff_model_get(m, "0.weight", got, 6));
    EXPECT(memcmp(w, got, sizeof w) == 0);
    EXPECT_STATUS(tuff_model_get(m, "0.weight", got, 5), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "0.weight has 6 elements, 5 were asked for");
    EXPECT_STATUS(tuff_model_get(m, "1.weight", got, 6), TUFF_ERR_ARG);
    tuff_model_destroy(&m);
}

// ---- on a graph -----------------------------------------------------------------------------

// dense 2 | relu by hand.
static void forward_values(void)
{
    tuff_model *m = NULL;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    if (!EXPECT_OK(make("dense 2 | relu", TUFF_SHAPE(TUFF_F32, 3), &m))) return;
    EXPECT_OK(tuff_model_set(m, "0.weight", (float[]){ 1, 2, 3, -1, 0, 1 }, 6));
    EXPECT_OK(tuff_model_set(m, "0.bias", (float[]){ 0.5f, -4 }, 2));
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 2, 3));
    tuff_var params[2];
    const tuff_var y = tuff_model_forward(g, m, x, params);
    EXPECT(params[0].id && params[1].id);
    tuff_graph_output(g, "y", y);
    if (EXPECT_OK(tuff_program_create(device, g, NULL, &program))) {
        float got[4];
        EXPECT_OK(tuff_program_write(program, x, (float[]){ 1, 1, 1, 0, 0, 5 }, 24));
        EXPECT_OK(tuff_program_run(program));
        EXPECT_OK(tuff_program_read(program, y, got, sizeof got));
        EXPECT_NEAR(got[0], 6.5, 1e-5);
        EXPECT_NEAR(got[1], 0, 0);
        EXPECT_NEAR(got[2], 15.5, 1e-5);
        EXPECT_NEAR(got[3], 1, 1e-5);
    }
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
    tuff_model_destroy(&m);
}

static void forward_refuses(void)
{
    tuff_model *m;
    tuff_graph *g;
    if (!EXPECT_OK(make("dense 2", TUFF_SHAPE(TUFF_F32, 3), &m))) return;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 2, 4));
    EXPECT_EQ(tuff_model_forward(g, m, x, NULL).id, 0);
    EXPECT_STATUS(tuff_graph_status(g), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "expected a batch of samples of f32 [3]");
    tuff_graph_destroy(&g);
    tuff_model_destroy(&m);
}

// Each allocation of making a model fails once; every failure is clean and is told.
static void failed_allocations(void)
{
    int64_t n = 1;
    for (; n < 10000; n++) {
        tuff_model *m;
        const int64_t made = tuff_alloc_count();
        tuff_alloc_fail_at(n);
        const tuff_status status = make("lenet5", TUFF_SHAPE(TUFF_F32, 1, 28, 28), &m);
        tuff_alloc_fail_at(0);
        tuff_model_destroy(&m);
        if (tuff_alloc_count() - made < n) break; // none failed
        EXPECT_STATUS(status, TUFF_ERR_MEMORY);
    }
    EXPECT(n > 20 && n < 10000);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(canonical_text);
    CASE(rewritten_text);
    CASE(errors_point_at_the_word);
    CASE(marks_in_a_long_line);
    CASE(hostile_text);
    CASE(damaged_text);
    CASE(from_a_file);
    CASE(every_preset_and_layer_is_told);
    CASE(preset_sizes);
    CASE(layout_and_names);
    CASE(blocks_are_named_and_computed);
    CASE(attention_looks_where_it_may);
    CASE(embedding_picks_rows);
    CASE(shapes_that_do_not_fit);
    CASE(init_text);
    CASE(init_values);
    CASE(same_seed_same_bits);
    CASE(get_and_set);
    CASE(forward_values);
    CASE(forward_refuses);
    CASE(failed_allocations);
    tuff_device_close(&device);
    return report();
}
