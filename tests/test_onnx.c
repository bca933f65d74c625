// The node tests of ONNX's own backend suite, as Debian's libonnx-testdata has them: every
// folder of data/node is a model of one operator (or, named _expanded, of the operators it is
// made of) with inputs and the outputs that they must give. Each model is run node by node on
// the device that TUFF_DEVICE names.
//
// A test that does not apply is skipped, with its reason: an operator that this library has
// not, a type of element that it has not. An operator that it has may not fail, but for the
// tests of `apart`, which run all the same. A line of either list that is needed no more, or
// never was, fails.
//
//   test_onnx                    all of them
//   test_onnx 'test_softmax*'    some
#include "harness.h"
#include "base/glob.h"
#include "onnx_file.h"
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TUFF_ONNX_PROTO
int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    if (case_begin("all")) {
        case_skip("this build has no protobuf-c or no onnx.proto (tools/setup --test)");
        case_end();
    }
    return report();
}
#else

static tuff_device *dev;
static tuff_stream *stream;

// Operators that this library does not set out to have, and why.
#define FUNCTION "a function that no net here needs"
#define SIGNAL   "signal processing"
#define BOXES    "boxes of detectors"
#define DATA     "its output's size depends on the data"
#define LISTS    "sequences of tensors and optional values"
#define CONTROL  "control flow: a graph inside of a node"
#define WORDS    "strings"
#define DRAWS    "its draws are ONNX's own"
static const struct { const char *op, *why; } foreign[] = {
    { "Acos", FUNCTION }, { "Acosh", FUNCTION }, { "Asin", FUNCTION }, { "Asinh", FUNCTION },
    { "Atan", FUNCTION }, { "Atanh", FUNCTION }, { "Cosh", FUNCTION }, { "Sinh", FUNCTION },
    { "Tan", FUNCTION }, { "Shrink", FUNCTION }, { "IsInf", FUNCTION }, { "IsNaN", FUNCTION },
    { "Det", FUNCTION }, { "EyeLike", FUNCTION }, { "Einsum", FUNCTION },
    { "MeanVarianceNormalization", "replaced by the norms" },
    { "Range", DATA }, { "Compress", DATA }, { "NonZero", DATA }, { "Unique", DATA },
    { "ConstantOfShape", DATA }, { "MaxUnpool", "not in the set of pools" },
    { "ReverseSequence", "not in the set of movements" },
    { "GridSample", "not in the set of resamplings" },
    { "Bernoulli", DRAWS },
    { "BlackmanWindow", SIGNAL }, { "HammingWindow", SIGNAL }, { "HannWindow", SIGNAL },
    { "DFT", SIGNAL }, { "STFT", SIGNAL }, { "MelWeightMatrix", SIGNAL },
    { "NonMaxSuppression", BOXES }, { "RoiAlign", BOXES },
    { "SequenceInsert", LISTS }, { "SequenceLength", LISTS }, { "SequenceMap", LISTS },
    { "OptionalHasElement", LISTS },
    { "OptionalGetElement", LISTS },
    { "If", CONTROL }, { "Loop", CONTROL }, { "Scan", CONTROL },
    { "StringNormalizer", WORDS }, { "TfIdfVectorizer", WORDS },
};

// What fails though its operator is there: globs over names of tests.
#define WIDE "i64 holds indices here, not data"
#define DOUBLE "there is no f64"
static const struct known apart[] = {
    { "test_max_int64", WIDE, false },
    { "test_min_int64", WIDE, false },
    { "test_mod_int64_fmod", WIDE, false },
    { "test_mod_mixed_sign_int64", WIDE, false },
    { "test_pow_types_int64_int64", WIDE, false },
    { "test_nllloss_*_ii_expanded", WIDE, false },
    { "test_cast_FLOAT*_to_DOUBLE", DOUBLE, false },
    { "test_castlike_FLOAT*_to_DOUBLE_expanded", DOUBLE, false },
    { "test_adam_multiple", "made with an epsilon of 0.01, which its model does not say",
      false },
    { "test_resize_tf_crop_and_resize", BOXES, false },
    { "test_bernoulli*_expanded", DRAWS, false },
    { "test_training_dropout", DRAWS, false },
    { "test_training_dropout_mask", DRAWS, false },
    { "test_training_dropout_default*", DRAWS, false },
};

static bool met[COUNT(foreign)];  // in a model
static bool failed[COUNT(apart)]; // a test of that line did

// ---- values --------------------------------------------------------------------------------

typedef struct bound {
    char name[128];
    tuff_tensor *tensor;
} bound;

enum { BOUND = 256 };

typedef struct table {
    bound item[BOUND];
    int count;
} table;

static tuff_tensor *lookup(const table *t, const char *name)
{
    for (int i = t->count - 1; i >= 0; i--)
        if (strcmp(t->item[i].name, name) == 0) return t->item[i].tensor;
    return NULL;
}

static void keep(table *t, const char *name, tuff_tensor *tensor)
{
    if (t->count == BOUND) {
        FAIL("there are over %d values", BOUND);
        tuff_tensor_destroy(&tensor);
        return;
    }
    snprintf(t->item[t->count].name, sizeof t->item->name, "%s", name);
    t->item[t->count++].tensor = tensor;
}

static bool upload(table *t, const char *name, const tuff_array *a)
{
    tuff_tensor *tensor = NULL;
    if (!EXPECT_OK(tuff_tensor_create(dev, a->desc, &tensor))) return false;
    const bool ok = EXPECT_OK(tuff_tensor_write(stream, tensor, a->data,
                                                tuff_desc_bytes(&a->desc)));
    keep(t, name, tensor);
    return ok;
}

// ---- comparing -----------------------------------------------------------------------------

// Within 1e-5 of |want| + rms(want): these operators are one to a dozen of ours in a row, each
// within 4e-6 of its reference; 16-bit numbers within two steps. Whole numbers are equal.
static double tolerance_of(tuff_dtype type)
{
    return type == TUFF_F16 ? 2e-3 : type == TUFF_BF16 ? 1.6e-2 : type == TUFF_F32 ? 1e-5 : 0;
}

static void compare(const char *name, const tuff_array *got, const tuff_array *want)
{
    char tg[96], tw[96];
    tuff_array g = { 0 }, w = { 0 };
    tuff_desc shape = got->desc;
    shape.dtype = want->desc.dtype;
    if (!tuff_desc_equal(&shape, &want->desc)) {
        FAIL("%s is %s, ONNX has %s", name, tuff_desc_print(&got->desc, tg, sizeof tg),
             tuff_desc_print(&want->desc, tw, sizeof tw));
        return;
    }
    if (got->desc.dtype != want->desc.dtype) {
        FAIL("%s is of %s, ONNX has %s", name, tuff_dtype_name(got->desc.dtype),
             tuff_dtype_name(want->desc.dtype));
        return;
    }
    const size_t n = (size_t)tuff_desc_count(&want->desc);
    const double most = tolerance_of(want->desc.dtype);
    if (!most) {
        if (memcmp(got->data, want->data, tuff_desc_bytes(&want->desc)) != 0)
            FAIL("%s has other numbers than ONNX", name);
        return;
    }
    if (tuff_array_convert(got, TUFF_F32, &g) || tuff_array_convert(want, TUFF_F32, &w)) {
        FAIL("%s", tuff_last_error());
    } else {
        const float *x = g.data, *y = w.data;
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += isfinite(y[i]) ? (double)y[i] * y[i] : 0;
        const double rms = sqrt(sum / (double)n);
        for (size_t i = 0; i < n; i++) {
            const bool near = isnan(y[i]) ? isnan(x[i])
                            : isinf(y[i]) ? x[i] == y[i]
                            : fabs((double)x[i] - y[i]) <= most * (fabs(y[i]) + rms);
            if (near) continue;
            FAIL("%s[%zu] is %.9g, ONNX has %.9g", name, i, x[i], y[i]);
            break;
        }
    }
    tuff_array_clear(&g);
    tuff_array_clear(&w);
}

static void compare_tensor(const char *name, const tuff_tensor *t, const tuff_array *want)
{
    tuff_array got = { 0 };
    if (!t) {
        FAIL("%s was not computed", name);
        return;
    }
    if (EXPECT_OK(tuff_array_init(&got, *tuff_tensor_desc(t))) &&
        EXPECT_OK(tuff_tensor_read(stream, t, got.data, tuff_desc_bytes(&got.desc))))
        compare(name, &got, want);
    tuff_array_clear(&got);
}

// ---- running -------------------------------------------------------------------------------

static bool known_op(const char *op)
{
    return strcmp(op, "Constant") == 0 || tuff_onnx_has(op);
}

static const char *foreign_op(const char *op)
{
    for (size_t i = 0; i < COUNT(foreign); i++)
        if (strcmp(foreign[i].op, op) == 0) {
            met[i] = true;
            return foreign[i].why;
        }
    return NULL;
}

// Why a test does not apply, or NULL.
static const char *not_applicable(const onnx_model *m)
{
    static char why[400];
    for (int i = 0; i < m->nodes; i++) {
        const char *reason = foreign_op(m->node[i].op);
        if (reason || m->node[i].problem[0]) {
            snprintf(why, sizeof why, "%s: %s", m->node[i].op,
                     reason ? reason : m->node[i].problem);
            return why;
        }
        if (!known_op(m->node[i].op)) FAIL("%s: there is no op that does it", m->node[i].op);
    }
    return m->problem[0] ? m->problem : NULL;
}

static bool run_node(const onnx_node *n, int opset, table *t)
{
    const tuff_tensor *in[ONNX_NAMES] = { 0 };
    tuff_tensor *out[8] = { 0 };
    int nout = n->outputs, nin = n->inputs;
    if (strcmp(n->op, "Constant") == 0) return upload(t, n->output[0], &n->value.array);
    for (int i = 0; i < n->inputs; i++) in[i] = lookup(t, n->input[i]);
    if (!EXPECT_OK(tuff_onnx_apply(stream, n->op, opset, in, nin,
                                   (const char *const *)n->attribute, n->attributes, NULL, out,
                                   &nout)))
        return false;
    for (int i = 0; i < nout; i++)
        if (i < n->outputs && n->output[i][0]) keep(t, n->output[i], out[i]);
        else tuff_tensor_destroy(&out[i]);
    return true;
}

// Reads FOLDER/KIND_i.pb; false when there is no such file (any more), or it cannot be taken.
static bool read_one(const char *folder, const char *kind, int i, onnx_value *v, char *problem,
                     size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, i);
    FILE *file = fopen(path, "rb");
    problem[0] = '\0';
    if (!file) return false;
    fclose(file);
    return onnx_tensor_read(path, v, problem, size);
}

static void run_model(const char *folder, const onnx_model *m)
{
    table t = { .count = 0 };
    char problem[256] = "";
    onnx_value v = { .name = "" };
    for (int i = 0; i < m->constants; i++)
        upload(&t, m->constant[i].name, &m->constant[i].array);
    for (int i = 0; i < m->inputs && !problem[0]; i++) {
        if (read_one(folder, "input", i, &v, problem, sizeof problem))
            upload(&t, m->input[i], &v.array);
        tuff_array_clear(&v.array);
    }
    onnx_value want[ONNX_NAMES] = { 0 };
    for (int i = 0; i < m->outputs && !problem[0]; i++)
        read_one(folder, "output", i, &want[i], problem, sizeof problem);
    if (problem[0]) {
        case_skip("%s", problem);
    } else {
        bool ok = true;
        for (int i = 0; i < m->nodes && ok; i++) ok = run_node(&m->node[i], m->opset, &t);
        for (int i = 0; i < m->outputs && ok; i++)
            if (!want[i].array.data) FAIL("what %s should be is not there", m->output[i]);
            else compare_tensor(m->output[i], lookup(&t, m->output[i]), &want[i].array);
        if (!m->outputs) FAIL("the model has no outputs, nothing was compared");
    }
    for (int i = 0; i < m->outputs; i++) tuff_array_clear(&want[i].array);
    for (int i = 0; i < t.count; i++) tuff_tensor_destroy(&t.item[i].tensor);
}

static void test_folder(const char *root, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/model.onnx", root, name);
    if (!case_begin("%s", name)) return;
    onnx_model m;
    onnx_model_read(path, &m);
    const char *why = not_applicable(&m);
    if (why) case_skip("%s", why);
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (!why) run_model(path, &m);
    for (size_t i = 0; i < COUNT(apart) && case_failed(); i++)
        if (tuff_glob(apart[i].match, name)) failed[i] = true;
    onnx_model_clear(&m);
    case_end();
}

// After all tests: every line of the lists was of use.
static void lists_are_needed(void)
{
    for (size_t i = 0; i < COUNT(foreign); i++) {
        if (!met[i]) FAIL("no test has %s: remove its line", foreign[i].op);
        if (known_op(foreign[i].op)) FAIL("%s is there: remove its line", foreign[i].op);
    }
    for (size_t i = 0; i < COUNT(apart); i++)
        if (!failed[i]) FAIL("no test like %s fails: remove its line", apart[i].match);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return alphasort(a, b); }

static int is_test(const struct dirent *d) { return strncmp(d->d_name, "test_", 5) == 0; }

int main(int argc, char **argv)
{
    static const char root[] = "/usr/share/libonnx-testdata/data/node";
    struct dirent **entry = NULL;
    harness_init(argc, argv, apart, COUNT(apart));
    const int n = scandir(root, &entry, is_test, by_name);
    if (n <= 0) {
        if (case_begin("all")) {
            case_skip("%s is not there: install libonnx-testdata", root);
            case_end();
        }
        return report();
    }
    dev = open_device();
    if (tuff_stream_create(dev, &stream) != TUFF_OK) return 1;
    for (int i = 0; i < n; i++) {
        test_folder(root, entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
    if (argc < 2) CASE(lists_are_needed);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
#endif
