// ONNX's operators as nodes of every opset write them. A call is a string:
//
//   Softmax@11 axis=1 | 2x3x4        an operator, its opset, attributes; inputs
//
// and an input is its dims, in f32 or after a type ("f16:2x3", "[]" for none), a list of
// numbers of one dim ("i64=1,2"), or "-" where it is left out. Elements are the same numbers in
// the same order whatever the dims; those of an input that ends in "+" are above 0, and with
// "*" they are whole, and eight times as large.
//
// What a call gives is held against a call that means the same; that each operator computes
// what it should is test_onnx's and test_ops' matter.
#include "harness.h"
#include "base/convert.h"
#include "base/dtype.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

enum { INPUTS = 40, OUTPUTS = 8, LONGEST = 4096 };

typedef struct node {
    char text[1200];
    char *op;
    int opset;
    const char *attribute[16];
    int attributes;
    tuff_tensor *in[INPUTS];
    int nin;
    tuff_tensor *out[OUTPUTS];
    int nout;
} node;

// ---- reading a call ------------------------------------------------------------------------

static float element(int input, int i, bool positive, bool whole)
{
    const float v = (float)((i * 37 + input * 11 + i / 5) % 29 - 14) / (whole ? 1 : 8);
    return positive ? fabsf(v) + (whole ? 4 : 0.5f) : v;
}

static tuff_dtype type_of(const char *word, size_t n)
{
    const tuff_dtype type = tuff_dtype_find(word, n);
    return type ? type : TUFF_F32;
}

// Fills v with the input's numbers; false where it is left out.
static bool read_input(const char *word, int index, tuff_desc *d, float *v)
{
    const char *list = strchr(word, '='), *colon = strchr(word, ':');
    const bool positive = word[strlen(word) - 1] == '+';
    int n = 1;
    if (strcmp(word, "-") == 0) return false;
    *d = (tuff_desc){ .dtype = TUFF_F32 };
    if (list) {
        d->dtype = type_of(word, (size_t)(list - word));
        for (n = 0; *list; n++) v[n] = strtof(list + 1, (char **)(uintptr_t)&list);
        d->dim[d->rank++] = n;
        return true;
    }
    if (colon) d->dtype = type_of(word, (size_t)(colon - word));
    const char *at = colon ? colon + 1 : word;
    while (*at >= '0' && *at <= '9') {
        d->dim[d->rank] = strtol(at, (char **)(uintptr_t)&at, 10);
        n *= (int)d->dim[d->rank++];
        if (*at == 'x') at++;
    }
    const bool whole = strchr(word, '*');
    for (int i = 0; i < n && n <= LONGEST; i++) v[i] = element(index, i, positive, whole);
    return EXPECT(n <= LONGEST);
}

static bool add_input(node *x, const char *word)
{
    static float v[LONGEST];
    static double data[LONGEST];
    tuff_desc d;
    const int k = x->nin++;
    if (!read_input(word, k, &d, v)) return true;
    tuff_convert(TUFF_F32, v, d.dtype, data, false, 0, (size_t)tuff_desc_count(&d));
    return EXPECT_OK(tuff_tensor_create(dev, d, &x->in[k])) &&
           EXPECT_OK(tuff_tensor_write(stream, x->in[k], data, tuff_desc_bytes(&d)));
}

static bool read_node(node *x, const char *text)
{
    char *rest = NULL;
    bool inputs = false, ok = true;
    memset(x, 0, sizeof *x);
    snprintf(x->text, sizeof x->text, "%s", text);
    x->op = strtok_r(x->text, " ", &rest);
    char *at = strchr(x->op, '@');
    if (at) {
        x->opset = atoi(at + 1);
        *at = '\0';
    }
    for (char *w = strtok_r(NULL, " ", &rest); w && ok; w = strtok_r(NULL, " ", &rest)) {
        if (strcmp(w, "|") == 0) inputs = true;
        else if (inputs) ok = add_input(x, w);
        else x->attribute[x->attributes++] = w;
    }
    return ok;
}

static tuff_status run_node(node *x, int asked)
{
    x->nout = asked;
    return tuff_onnx_apply(stream, x->op, x->opset, (const tuff_tensor *const *)x->in, x->nin,
                           x->attribute, x->attributes, NULL, x->out, &x->nout);
}

static void clear(node *x)
{
    for (int i = 0; i < INPUTS; i++) tuff_tensor_destroy(&x->in[i]);
    for (int i = 0; i < OUTPUTS; i++) tuff_tensor_destroy(&x->out[i]);
}

// The numbers of a tensor, to be freed.
static float *numbers(const tuff_tensor *t, int *count)
{
    const tuff_desc *d = tuff_tensor_desc(t);
    *count = (int)tuff_desc_count(d);
    float *v = malloc((size_t)*count * sizeof *v);
    void *data = malloc(tuff_desc_bytes(d) + 8);
    EXPECT_OK(tuff_tensor_read(stream, t, data, tuff_desc_bytes(d)));
    tuff_convert(d->dtype, data, TUFF_F32, v, false, 0, (size_t)*count);
    free(data);
    return v;
}

// ---- comparing -----------------------------------------------------------------------------

static void compare(const tuff_tensor *got, const tuff_tensor *want, int output)
{
    int n, m;
    float *g = numbers(got, &n), *w = numbers(want, &m);
    const tuff_dtype type = tuff_tensor_desc(got)->dtype;
    const float most = type == TUFF_F16 ? 2e-3f : type == TUFF_F32 ? 1e-5f : 0;
    // Sums of whole numbers may be held against those of reals.
    if (type != TUFF_I32)
        EXPECT_STR(tuff_dtype_name(type), tuff_dtype_name(tuff_tensor_desc(want)->dtype));
    if (n != m) FAIL("output %d has %d elements, not %d", output, n, m);
    for (int i = 0; i < n && n == m; i++) {
        if (g[i] == w[i] || fabsf(g[i] - w[i]) <= most * (1 + fabsf(w[i]))) continue;
        FAIL("output %d: [%d] is %.9g, not %.9g", output, i, (double)g[i], (double)w[i]);
        break;
    }
    free(g);
    free(w);
}

typedef struct pair {
    const char *call, *same; // what the second gives is right
    const char *shape;       // of the first's output; NULL: as the second's
    int outputs;
    int part, of;            // not 0: this output alone against that one of the second's
} pair;

static void same(const pair *p)
{
    if (!case_begin("%s", p->call)) return;
    const int asked = p->outputs, most = p->part ? 1 : asked;
    const int wanted = p->part ? p->of + 1 : asked;
    node a, b;
    char text[96], other[96];
    const bool first = read_node(&a, p->call), read = read_node(&b, p->same);
    if (first && read && EXPECT_OK(run_node(&a, asked)) && EXPECT_OK(run_node(&b, wanted)) &&
        EXPECT(a.nout >= asked && b.nout >= wanted)) {
        tuff_tensor *const *out = a.out + p->part, *const *want = b.out + p->of;
        for (int i = 0; i < most; i++) compare(out[i], want[i], i + p->part);
        tuff_desc_print(tuff_tensor_desc(want[0]), other, sizeof other);
        EXPECT_STR(tuff_desc_print(tuff_tensor_desc(out[0]), text, sizeof text),
                   p->shape ? p->shape : other);
    }
    clear(&a);
    clear(&b);
    case_end();
}

#define SAME(call, same)          { call, same, NULL, 1, 0, 0 }
#define SEEN(call, same, shape)   { call, same, shape, 1, 0, 0 }
#define GIVES(count, call, same)  { call, same, NULL, count, 0, 0 }
#define PART(part, of, call, same) { call, same, NULL, (part) + 1, part, of }

static const pair pairs[] = {
    // Softmax and its like saw a matrix about their axis until opset 12.
    SEEN("Softmax@12 | 2x3x4", "Softmax@13 axis=1 | 2x12", "f32 [2, 3, 4]"),
    SEEN("Softmax@1 axis=2 | 2x3x4", "Softmax@13 | 6x4", "f32 [2, 3, 4]"),
    SEEN("Softmax@11 axis=0 | 2x3x4", "Softmax@13 | 24", "f32 [2, 3, 4]"),
    SEEN("Softmax@11 axis=-2 | 2x3x4", "Softmax@13 | 2x12", "f32 [2, 3, 4]"),
    SEEN("LogSoftmax@12 | f16:2x3x4", "LogSoftmax@13 | f16:2x12", "f16 [2, 3, 4]"),
    SEEN("Hardmax@11 | 2x3x4", "Hardmax@13 | 2x12", "f32 [2, 3, 4]"),
    // Two inputs of which the second was repeated from an axis on.
    SAME("Add@6 broadcast=1 axis=1 | 2x3x4x5 3x4", "Add | 2x3x4x5 3x4x1"),
    SAME("Sub@6 broadcast=1 axis=0 | 2x3 2", "Sub | 2x3 2x1"),
    SAME("Mul@1 broadcast=1 consumed_inputs=0,0 | 2x3x4 3x4", "Mul | 2x3x4 3x4"),
    SAME("Div@6 broadcast=1 | 2x3 1", "Div | 2x3 []"),
    SAME("Pow@1 broadcast=1 axis=0 | 2x3+ 2", "Pow | 2x3+ 2x1"),
    SAME("Greater@1 broadcast=1 axis=1 | 2x3x4 3", "Greater | 2x3x4 3x1"),
    SAME("And@1 broadcast=1 axis=0 | bool:2x3 bool:2", "And | bool:2x3 bool:2x1"),
    SAME("Add@6 | 2x3 2x3", "Add | 2x3 2x3"),
    SAME("PRelu@6 | 2x3x4 3", "PRelu | 2x3x4 3x1"),
    SAME("PRelu@1 | 2x3 3", "PRelu | 2x3 3"),
    SAME("Gemm@6 broadcast=1 transB=1 | 2x3 4x3 4", "Gemm transB=1 | 2x3 4x3 4"),
    SAME("Gemm@6 | 2x3 3x4 2x4", "Gemm | 2x3 3x4 2x4"),
    SAME("Gemm alpha=0 | 2x3 3x4 4", "Gemm alpha=1e-30 | 2x3 3x4 4"),
    // Attributes that became inputs, or other attributes.
    SAME("Selu@1 | 3x5", "Selu alpha=1.6732 gamma=1.0507 | 3x5"),
    SAME("LpPool@1 kernel_shape=2 p=3.0 | 1x2x5", "LpPool kernel_shape=2 p=3 | 1x2x5"),
    SAME("Cast@1 to=INT32 | 2x3", "Cast to=6 | 2x3"),
    SAME("Cast@5 to=FLOAT16 | 2x3", "Cast saturate=1 to=10 | 2x3"),
    SAME("Reshape@1 shape=3,-1 consumed_inputs=0 | 2x3x4", "Reshape | 2x3x4 i64=3,8"),
    SEEN("Reshape@5 | 2x3x4 i64=2,3,0", "Identity | 2x3x4", "f32 [2, 3, 4]"),
    SEEN("Reshape@14 | 2x3x4x5 i64=0,0,4,0", "Identity | 2x3x4x5", "f32 [2, 3, 4, 5]"),
    SEEN("Reshape@14 allowzero=1 | 2x3 i64=3,2", "Identity | 3x2", "f32 [3, 2]"),
    SEEN("Reshape@1 shape=[] | 1x1", "Identity | []", "f32 []"),
    SAME("Pad@2 pads=0,1,2,0 value=1.5 | 2x3", "Pad | 2x3 i64=0,1,2,0 f32=1.5"),
    SAME("Pad@10 pads=0,1,1,0 mode=edge | 2x3", "Pad mode=edge | 2x3 i64=0,1,1,0"),
    SAME("Pad@1 paddings=0,1,2,0 value=-1 | 2x3", "Pad | 2x3 i64=0,1,2,0 f32=-1"),
    SAME("Upsample@1 height_scale=2 width_scale=3.5 mode=nearest | 1x2x3x4",
         "Upsample@9 | 1x2x3x4 f32=1,1,2,3.5"),
    SAME("Upsample@1 height_scale=2 width_scale=2 mode=bilinear | 1x2x3x4",
         "Resize@10 mode=linear | 1x2x3x4 f32=1,1,2,2"),
    SAME("Upsample@7 scales=1,1,2,3 mode=linear | 1x2x3x4",
         "Upsample@9 mode=linear | 1x2x3x4 f32=1,1,2,3"),
    SAME("Tile@1 | 2x3 f32=4 f32=1", "Tile | 2x3 i64=1,4"),
    SAME("Tile@5 | 2x3 i64=4 i64=-2", "Tile | 2x3 i64=4,1"),
    SAME("Clip@6 min=-0.5 max=0 | 3x5", "Clip | 3x5 f32=-0.5 f32=0"),
    SAME("Clip@1 max=0.5 consumed_inputs=0 | 3x5", "Clip | 3x5 - f32=0.5"),
    SAME("Slice@1 starts=1,0 ends=3,2 axes=1,0 | 2x3x4",
         "Slice | 2x3x4 i64=1,0 i64=3,2 i64=1,0"),
    SAME("Squeeze@1 axes=1 | 2x1x3", "Squeeze | 2x1x3 i64=1"),
    SAME("Unsqueeze@11 axes=0,-1 | 2x3", "Unsqueeze | 2x3 i64=0,-1"),
    SAME("ReduceSum@11 axes=1 keepdims=0 | 2x3x4", "ReduceSum keepdims=0 | 2x3x4 i64=1"),
    SAME("ReduceMax@1 axes=0,2 | 2x3x4", "ReduceMax@18 | 2x3x4 i64=0,2"),
    SAME("TopK@1 k=2 axis=0 | 5x3", "TopK axis=0 | 5x3 i64=2"),
    GIVES(2, "TopK@9 k=2 | 3x5", "TopK | 3x5 i64=2"),
    GIVES(2, "Split@2 split=1,3 axis=1 | 2x4", "Split axis=1 | 2x4 i64=1,3"),
    GIVES(3, "Split@1 | 6x2", "Split@18 num_outputs=3 | 6x2"),
    SAME("Concat@1 | 2x3 2x1", "Concat axis=1 | 2x3 2x1"),
    SAME("Dropout@7 ratio=0.3 | 2x3", "Identity | 2x3"),
    SAME("Dropout@1 ratio=0.3 is_test=1 | 2x3", "Identity | 2x3"),
    SAME("Dropout@1 ratio=0.3 | 7x9", "Dropout | 7x9 f32=0.3 bool=1"),
    GIVES(2, "Dropout@11 ratio=0.3 | 2x3", "Dropout | 2x3 f32=0.3"),
    SAME("BatchNormalization@7 | 2x3x4 3 3 3 3+", "BatchNormalization | 2x3x4 3 3 3 3+"),
    SAME("BatchNormalization@1 is_test=1 spatial=1 consumed_inputs=0,0,0,1,1 | 2x3x4 3 3 3 3+",
         "BatchNormalization | 2x3x4 3 3 3 3+"),
    SAME("BatchNormalization@6 | 2x3x4 3 3 3 3+",
         "BatchNormalization training_mode=1 | 2x3x4 3 3 3 3+"),
    GIVES(3, "BatchNormalization@9 momentum=0.75 | 2x3x4 3 3 3 3+",
          "BatchNormalization training_mode=1 momentum=0.75 | 2x3x4 3 3 3 3+"),
    PART(3, 0, "BatchNormalization@7 momentum=0 | 2x3x4 3 3 3 3+",
         "ReduceMean axes=0,2 keepdims=0 | 2x3x4"),
    PART(4, 2, "BatchNormalization@9 momentum=0 epsilon=0 | 2x3x4 3 3 3 3+",
         "BatchNormalization training_mode=1 momentum=0 | 2x3x4 3 3 3 3+"),
    // Attention by ours: heads in one dim, masks of bools, causal where keys are more than
    // queries (which stand at the beginning, unless keys are past), lengths, softcaps.
    SAME("Attention@23 is_causal=1 | 2x6x5x8 2x2x5x8 2x2x5x9",
         "attention causal=1 | 2x6x5x8 2x2x5x8 2x2x5x9"),
    SAME("Attention@23 scale=0.25 | f16:1x2x3x4 f16:1x2x5x4 f16:1x2x5x4 f16:3x5",
         "attention scale=0.25 | f16:1x2x3x4 f16:1x2x5x4 f16:1x2x5x4 f16:3x5"),
    SEEN("Attention@23 q_num_heads=1 kv_num_heads=1 | 2x3x4 2x5x4 2x5x6",
         "attention | 2x1x3x4 2x1x5x4 2x1x5x6", "f32 [2, 3, 6]"),
    SEEN("Attention@23 q_num_heads=4 kv_num_heads=2 | 2x1x12 2x1x6 2x1x10",
         "attention | 2x4x1x3 2x2x1x3 2x2x1x5", "f32 [2, 1, 20]"),
    SAME("Attention@23 | 1x2x3x4 1x2x5x4 1x2x5x4 bool=1,0,1,1,0",
         "attention | 1x2x3x4 1x2x5x4 1x2x5x4 f32=0,-1e30,0,0,-1e30"),
    SAME("Attention@23 is_causal=1 | 1x2x1x4 1x2x3x4 1x2x3x4",
         "attention | 1x2x1x4 1x2x3x4 1x2x3x4 f32=0,-1e30,-1e30"),
    SAME("Attention@24 | 1x2x3x4 1x2x5x4 1x2x5x4 - - - i64=2",
         "attention | 1x2x3x4 1x2x5x4 1x2x5x4 f32=0,0,-1e30,-1e30,-1e30"),
    SAME("Attention@24 | 1x2x3x4 1x2x5x4 1x2x5x4 bool=0,0,0,0,0",
         "Mul | 1x2x3x4 f32=0"),
    SAME("Attention@23 softcap=1e4 | 2x4x3x4 2x2x5x4 2x2x5x6",
         "attention | 2x4x3x4 2x2x5x4 2x2x5x6"),
    PART(3, 0, "Attention@23 qk_matmul_output_mode=3 | 2x4x3x4 2x2x5x4 2x2x5x6 f32=0,1,2,0,-1",
         "attention_probs | 2x4x3x4 2x2x5x4 f32=0,1,2,0,-1"),
    SEEN("RotaryEmbedding@23 num_heads=2 interleaved=1 | 3x1x8 5x2 5x2 i64:3x1",
         "RotaryEmbedding@23 interleaved=1 | 3x2x1x4 5x2 5x2 i64:3x1", "f32 [3, 1, 8]"),
    SAME("RotaryEmbedding@23 rotary_embedding_dim=4 | 1x2x5x6 1x5x2 1x5x2",
         "RotaryEmbedding@23 rotary_embedding_dim=4 | 1x2x5x6 5x2 5x2 i64=0,1,2,3,4"),
    // Sequences: clips that bound nothing, and all.
    GIVES(3, "LSTM@7 clip=1e6 | 3x2x3 1x16x3 1x16x4 1x32 - 1x2x4 1x2x4",
          "LSTM@14 | 3x2x3 1x16x3 1x16x4 1x32 - 1x2x4 1x2x4"),
    GIVES(2, "GRU@7 clip=1e6 | 3x2x3 1x12x3 1x12x4 1x24", "GRU@14 | 3x2x3 1x12x3 1x12x4 1x24"),
    GIVES(2, "GRU@7 linear_before_reset=1 clip=1e6 | 3x2x3 1x12x3 1x12x4 1x24",
          "GRU@14 linear_before_reset=1 | 3x2x3 1x12x3 1x12x4 1x24"),
    SAME("RNN@7 clip=1e-20 activations=Tanh output_sequence=1 | 3x2x3 1x4x3 1x4x4 1x8",
         "Mul | 3x1x2x4 f32=0"),
    // Quantized convolutions of sequences, as of images of one row; of volumes of one slice, of
    // kernels of one slice, and against Conv, whose sums are exact here.
    SEEN("ConvInteger@10 strides=2 pads=1,2 dilations=2 | u8:2x3x9*+ i8:4x3x3* u8=3",
         "ConvInteger@10 strides=1,2 pads=0,1,0,2 dilations=1,2 "
         "| u8:2x3x1x9*+ i8:4x3x1x3* u8=3",
         "i32 [2, 4, 4]"),
    SEEN("QLinearConv@10 auto_pad=SAME_LOWER group=3 "
         "| u8:2x3x9*+ f32=0.5 u8=1 i8:6x1x4* f32=1 i8=0 f32=4 u8=9",
         "QLinearConv@10 auto_pad=SAME_LOWER group=3 "
         "| u8:2x3x1x9*+ f32=0.5 u8=1 i8:6x1x1x4* f32=1 i8=0 f32=4 u8=9", "u8 [2, 6, 9]"),
    SEEN("ConvInteger@10 | u8:2x3x1x4x5*+ i8:4x3x1x2x2* u8=1",
         "ConvInteger@10 | u8:2x3x4x5*+ i8:4x3x2x2* u8=1", "i32 [2, 4, 1, 3, 4]"),
    SEEN("ConvInteger@10 strides=2,1,2 pads=1,0,1,0,1,1 dilations=1,2,1 group=2 "
         "| i8:2x4x4x5x6* i8:6x2x3x2x2*",
         "Conv strides=2,1,2 pads=1,0,1,0,1,1 dilations=1,2,1 group=2 "
         "| f32:2x4x4x5x6* f32:6x2x3x2x2*", "i32 [2, 6, 2, 4, 4]"),
    SEEN("ConvInteger@10 auto_pad=SAME_UPPER strides=2,2,2 kernel_shape=2,3,3 "
         "| i8:1x2x5x5x6* i8:3x2x2x3x3*",
         "Conv auto_pad=SAME_UPPER strides=2,2,2 | f32:1x2x5x5x6* f32:3x2x2x3x3*",
         "i32 [1, 3, 3, 3, 3]"),
    SEEN("ConvInteger@10 pads=1,0,0,1,0,0 | u8:1x1x2x1x1*+ i8:2x1x3x1x1* u8=3",
         "ConvInteger@10 pads=1,1 | u8:1x1x2*+ i8:2x1x3* u8=3", "i32 [1, 2, 2, 1, 1]"),
    SAME("QLinearMatMul act=relu | u8:3x7*+ f32=1 u8=1 i8:7x5* f32=1 i8=0 f32=9 u8=0",
         "QLinearMatMul | u8:3x7*+ f32=1 u8=1 i8:7x5* f32=1 i8=0 f32=9 u8=0"),
    SAME("QLinearMatMul | u8:3x7*+ f16=1 u8=1 i8:7x5* f16=0.5 i8=0 f16=9 u8=7",
         "QLinearMatMul | u8:3x7*+ f32=1 u8=1 i8:7x5* f32=0.5 i8=0 f32=9 u8=7"),
    SAME("Resize@13 axes=0,1 | 2x3x4 - - i64=4,3", "Resize@13 | 2x3x4 - - i64=4,3,4"),
    SAME("Slice | 5x4 i64=-1 i64=-9 i64=0 i64=-1", "Slice | 5x4 i64=4 i64=-6 i64=0 i64=-1"),
    // Blocks along an axis as rows of their own.
    SEEN("QuantizeLinear@21 axis=1 block_size=3 | 2x6 2x2+ u8:2x2*+",
         "QuantizeLinear@21 axis=0 | 4x3 4+ u8:4*+", "u8 [2, 6]"),
    SEEN("DequantizeLinear@21 axis=0 block_size=2 | i8:4x1* 2x1 i8:2x1",
         "DequantizeLinear@21 axis=0 | i8:2x2* 2 i8:2", "f32 [4, 1]"),
    SAME("DequantizeLinear@21 axis=-2 block_size=1 | i8:2x3x4* 2x3x4",
         "Mul | f32:2x3x4* 2x3x4"),
    // A 0 that is one.
    SAME("BatchNormalization epsilon=0 | 2x3 3 3 3 3+",
         "BatchNormalization epsilon=1e-30 | 2x3 3 3 3 3+"),
    SAME("LRN size=3 alpha=0 bias=2 beta=1 | 1x5x2", "Div | 1x5x2 f32=2"),
};

// Softcap, past keys, a mask and causal at once, by loops: H heads share one of keys.
static void attention_by_loops(void)
{
    enum { H = 2, T = 2, S = 3, D = 4, PAST = 2, ALL = PAST + S };
    node a;
    int n[6];
    float *in[6], *y, *capped;
    if (read_node(&a, "Attention@23 is_causal=1 softcap=1.5 scale=0.5 qk_matmul_output_mode=1 "
                      "| 1x2x2x4 1x1x3x4 1x1x3x4 2x5 1x1x2x4 1x1x2x4") &&
        EXPECT_OK(run_node(&a, 4)) && EXPECT_EQ(a.nout, 4)) {
        for (int i = 0; i < 6; i++) in[i] = numbers(a.in[i], &n[i]);
        y = numbers(a.out[0], n);
        capped = numbers(a.out[3], n);
        for (int r = 0; r < H * T; r++) {
            double part[ALL], sum = 0;
            for (int j = 0; j < ALL; j++) {
                const float *key = j < PAST ? in[4] + j * D : in[1] + (j - PAST) * D;
                double dot = 0;
                for (int d = 0; d < D; d++) dot += (double)in[0][r * D + d] * (double)key[d];
                dot = 1.5 * tanh(0.5 * dot / 1.5);
                EXPECT_NEAR((double)capped[r * ALL + j], dot, 1e-5);
                const bool asks = j <= r % T + PAST;
                part[j] = asks ? exp(dot + (double)in[3][r % T * ALL + j]) : 0;
                sum += part[j];
            }
            for (int d = 0; d < D; d++) {
                double want = 0;
                for (int j = 0; j < ALL; j++)
                    want += part[j] / sum *
                            (double)(j < PAST ? in[5][j * D + d] : in[2][(j - PAST) * D + d]);
                EXPECT_NEAR((double)y[r * D + d], want, 1e-5);
            }
        }
        for (int i = 0; i < 6; i++) free(in[i]);
        free(y);
        free(capped);
    }
    clear(&a);
}

// Direction `dir` of t dims [.., 2, N, H] (or with N first) against the only one of u.
static void compare_direction(const tuff_tensor *t, const tuff_tensor *u, int dir, int at)
{
    const tuff_desc *d = tuff_tensor_desc(t);
    int n, m, inner = 1;
    float *x = numbers(t, &n), *y = numbers(u, &m);
    for (int i = at + 1; i < d->rank; i++) inner *= (int)d->dim[i];
    EXPECT_EQ(n, 2 * m);
    EXPECT_EQ(d->dim[at], 2);
    for (int i = 0; i < m && n == 2 * m; i++)
        EXPECT_NEAR((double)x[(i / inner * 2 + dir) * inner + i % inner], (double)y[i], 1e-6);
    free(x);
    free(y);
}

// Each direction of a bidirectional net is what a net of its weights alone gives, in that
// direction: input k of 2 directions is cut by hand. `n` first: layout 1.
static void two_directions(const char *op, int gates, int layout, const char *more)
{
    enum { T = 3, N = 2, I = 3, H = 4 };
    if (!case_begin("two directions of %s, layout %d%s", op, layout, more)) return;
    char text[400];
    const int a = layout ? N : T, b = layout ? T : N, rows = gates * H;
    node whole;
    snprintf(text, sizeof text, "%s@14 direction=bidirectional layout=%d%s | %dx%dx%d 2x%dx%d "
             "2x%dx%d 2x%d i32=3,2 2x2x4", op, layout, more, a, b, I, rows, I, rows, H,
             2 * rows);
    if (read_node(&whole, text) && EXPECT_OK(run_node(&whole, 2))) {
        for (int dir = 0; dir < 2; dir++) {
            node one;
            snprintf(text, sizeof text, "%s@14 direction=%s layout=%d%s | %dx%dx%d 1x%dx%d "
                     "1x%dx%d 1x%d i32=3,2 %s", op, dir ? "reverse" : "forward", layout, more,
                     a, b, I, rows, I, rows, H, 2 * rows, layout ? "2x1x4" : "1x2x4");
            EXPECT(read_node(&one, text));
            for (int k = 1; k < 6; k++) { // the direction's part of each input
                int n, m;
                if (k == 4) continue;
                float *x = numbers(whole.in[k], &n), *y = numbers(one.in[k], &m);
                for (int i = 0; i < m; i++)
                    y[i] = k == 5 && layout ? x[(i / H * 2 + dir) * H + i % H]
                                            : x[dir * m + i];
                EXPECT_OK(tuff_tensor_write(stream, one.in[k], y, (size_t)m * sizeof *y));
                free(x);
                free(y);
            }
            if (EXPECT_OK(run_node(&one, 2))) {
                compare_direction(whole.out[0], one.out[0], dir, layout ? 2 : 1);
                compare_direction(whole.out[1], one.out[1], dir, layout ? 1 : 0);
            }
            clear(&one);
        }
    }
    clear(&whole);
    case_end();
}

// One step of one element: what clip and input_forget do to the gates.
static void lstm_by_hand(void)
{
    node a;
    int n;
    if (read_node(&a, "LSTM@14 clip=0.5 input_forget=1 | 1x1x1 1x4x1 1x4x1 - - 1x1x1 1x1x1") &&
        EXPECT_OK(run_node(&a, 3))) {
        float *x = numbers(a.in[0], &n), *w = numbers(a.in[1], &n), *r = numbers(a.in[2], &n);
        float *h = numbers(a.in[5], &n), *c = numbers(a.in[6], &n);
        float *h1 = numbers(a.out[1], &n), *c1 = numbers(a.out[2], &n);
        double v[4];
        for (int k = 0; k < 4; k++)
            v[k] = fmin(fmax((double)x[0] * w[k] + (double)h[0] * r[k], -0.5), 0.5);
        const double i = 1 / (1 + exp(-v[0])), o = 1 / (1 + exp(-v[1]));
        const double next = (1 - i) * c[0] + i * tanh(v[3]);
        EXPECT_NEAR((double)c1[0], next, 1e-6);
        EXPECT_NEAR((double)h1[0], o * tanh(next), 1e-6);
        EXPECT(fabs(v[0]) == 0.5 || fabs(v[1]) == 0.5 || fabs(v[3]) == 0.5);
        float *const all[] = { x, w, r, h, c, h1, c1 };
        for (size_t k = 0; k < COUNT(all); k++) free(all[k]);
    }
    clear(&a);
}

// More inputs than the record takes, of which one is repeated.
static void many_inputs(const char *op, const char *more, int count, int rows)
{
    enum { COLS = 3 };
    char text[600];
    node a;
    if (!case_begin("%s of %d inputs", op, count)) return;
    snprintf(text, sizeof text, "%s %s|", op, more);
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %dx%d",
                 rows && i == 7 ? 1 : 2, COLS);
    if (read_node(&a, text) && EXPECT_OK(run_node(&a, 1)) && EXPECT_EQ(a.nout, 1)) {
        int n, m;
        float *y = numbers(a.out[0], &n), *in[INPUTS];
        for (int i = 0; i < count; i++) in[i] = numbers(a.in[i], &m);
        EXPECT_EQ(n, rows ? 2 * COLS : 2 * COLS * count);
        for (int i = 0; i < n; i++) {
            double want = rows && op[2] == 'x' ? -1e9 : op[2] == 'n' ? 1e9 : 0;
            for (int k = 0; rows && k < count; k++) {
                const double v = (double)in[k][k == 7 ? i % COLS : i];
                want = op[2] == 'x' ? fmax(want, v) : op[2] == 'n' ? fmin(want, v) : want + v;
            }
            if (op[1] == 'e') want /= count;
            // Rows of all inputs side by side.
            if (!rows) want = (double)in[i / COLS % count][i / COLS / count * COLS + i % COLS];
            EXPECT_NEAR((double)y[i], want, rows && op[2] != 'x' && op[2] != 'n' ? 1e-5 : 0);
        }
        for (int i = 0; i < count; i++) free(in[i]);
        free(y);
    }
    clear(&a);
    case_end();
}

// 16-bit numbers: the same net in f32, rounded.
static void half_sequences(void)
{
    node a, b;
    const bool first = read_node(&a, "GRU@14 | f16:3x2x3 f16:1x12x3 f16:1x12x4");
    if (read_node(&b, "GRU@14 | 3x2x3 1x12x3 1x12x4") && first &&
        EXPECT_OK(run_node(&a, 2)) && EXPECT_OK(run_node(&b, 2))) {
        for (int k = 0; k < 2; k++) {
            int n, m;
            float *x = numbers(a.out[k], &n), *y = numbers(b.out[k], &m);
            EXPECT_STR(tuff_dtype_name(tuff_tensor_desc(a.out[k])->dtype), "f16");
            for (int i = 0; i < n && n == m; i++)
                EXPECT_NEAR((double)x[i], (double)y[i], 1e-3);
            free(x);
            free(y);
        }
    }
    clear(&a);
    clear(&b);
}

typedef struct refusal {
    const char *call, *says;
} refusal;

static void refused(const refusal *r)
{
    if (!case_begin("refused: %s", r->call)) return;
    node a;
    if (read_node(&a, r->call)) {
        if (run_node(&a, 1) == TUFF_OK) FAIL("it was taken");
        else EXPECT_HAS(tuff_last_error(), r->says);
        if (!strstr(tuff_last_error(), ": ")) FAIL("no name before: %s", tuff_last_error());
    }
    clear(&a);
    case_end();
}

static const refusal refusals[] = {
    { "Softmax@12 | 4", "Softmax: axis is 1, x has 1 dims" },
    { "Softmax@11 axis=3 | 2x3x4", "axis is 3" },
    { "Relu@99 | 4", "Relu: opset is 99, it must be 1 to 24" },
    { "Relu@-1 | 4", "Relu: opset is -1, it must be 1 to 24" },
    // What ONNX has no default for.
    { "MaxPool | 1x1x4x4", "MaxPool: kernel_shape is missing" },
    { "AveragePool | 1x1x4x4", "AveragePool: kernel_shape is missing" },
    { "LpPool | 1x1x4x4", "LpPool: kernel_shape is missing" },
    { "OneHot | i64=1,2 - 2", "OneHot: depth is missing" },
    { "Unsqueeze | 2x3", "Unsqueeze: axes is missing" },
    { "Concat | 2x3 2x3", "Concat: axis is missing" },
    { "TopK | 2x3", "TopK: k is missing" },
    { "Slice@1 starts=1 | 2x3", "Slice: ends is missing" },
    { "Pad@1 | 2x3", "Pad: paddings is missing" },
    { "LRN | 1x5x2", "LRN: size is missing" },
    { "Upsample@1 width_scale=2 | 1x1x2x2", "Upsample: height_scale is missing" },
    // Numbers that may not be 0, and lists of another length.
    { "MaxPool kernel_shape=0,2 | 1x1x4x4", "kernel_shape is 0, it must be at least 1" },
    { "MaxPool kernel_shape=2,2 strides=0,1 | 1x1x4x4", "strides is 0" },
    { "MaxPool kernel_shape=2,2 dilations=0,0 | 1x1x4x4", "dilations is 0" },
    { "MaxPool kernel_shape=2,2,2 | 1x1x4x4", "has 3 numbers, for 4 dims it must have 2" },
    { "AveragePool kernel_shape=2,2 pads=1,1 | 1x1x4x4", "for 4 dims it must have 4" },
    { "Conv strides=0,1 | 1x1x4x4 1x1x2x2", "strides is 0" },
    { "Conv dilations=0,0 | 1x1x4x4 1x1x2x2", "dilations is 0" },
    { "Conv strides=2,1 | 1x1x4x4x4 1x1x2x2x2", "for 5 dims it must have 3" },
    { "Conv group=0 | 1x1x4x4 1x1x2x2", "group is 0, it must be at least 1" },
    { "Conv kernel_shape=2,0 | 1x1x4x4 1x1x2x2", "kernel_shape is 0" },
    { "Conv | 1x1x4 1x1x5", "the kernel covers 5" },
    { "Slice | 2x3 i64=0 i64=1 i64=0 i64=0", "steps is 0, it must not be 0" },
    { "Slice | 2x3 i64=0 i64=0", "ends[0] is 0, which leaves nothing" },
    { "Slice | 2x3 i64=0 i64=1,2", "starts has 1 numbers and ends 2" },
    { "Slice | 2x3 i64=0,0 i64=1,2 i64=1", "starts has 2 numbers and axes 1" },
    { "Pad | 2x3 i64=1,1", "pads has 2 numbers, it must have 4" },
    { "Pad@2 pads=1,1,1 | 2x3", "pads has 3 numbers, it must have 4" },
    { "Pad | 2x3 i64=1,1,1,1 - i64=1", "pads has 4 numbers, it must have 2" },
    { "Resize@13 | 1x1x2x2 - f32=2,2", "scales has 2 numbers, it must have 4" },
    { "Resize@13 | 1x1x2x2", "scales and sizes are both missing" },
    { "Resize@13 | 1x1x2x2 - f32=1,1,2,2 i64=1,1,4,4", "scales and sizes are both given" },
    { "Squeeze | 1x1x3 i64=0,-3", "axis -3 is named twice" },
    { "Shape first=1 | 2x3", "Shape: it has no attribute 'first'; it has start end" },
    { "Pow axis=1 | 2x3 2x3", "Pow: it has no attribute 'axis'; it has none" },
    { "DequantizeLinear@21 axis=1 block_size=4 | i8:2x6 2x2", "with blocks of 4 along dim 1" },
    { "LpPool@1 kernel_shape=2 p=1.5 | 1x1x4", "p is 1.5, only whole numbers" },
    { "Transpose perm=0,0 | 2x3", "must hold each of 0 to 1 once" },
    { "Transpose perm=0,0,0 | 2x3", "must hold each of 0 to 1 once" },
    { "Transpose perm=1 | 2x3", "must hold each of 0 to 1 once" },
    { "Tile | 2x3 i64=2", "repeats has 1 number, for 2 dims it must have 2" },
    { "Tile | 2x3 i64=2,0", "repeats is 0, it must be at least 1" },
    { "Tile@1 | 2x3 i64=0 i64=1", "tiles is 0" },
    { "OneHot | i64=1,2 i64=0 2", "depth is 0, it must be at least 1" },
    { "TopK | 2x3 i64=0", "k is 0, it must be at least 1" },
    { "Expand | 1x3 i64=0,3", "shape is 0, it must be at least 1" },
    { "Split@2 split=0,4 | 4", "split is 0, it must be at least 1" },
    { "DepthToSpace blocksize=0 | 1x4x2x2", "blocksize is 0, it must be at least 1" },
    { "Reshape@14 allowzero=1 | 2x3 i64=0,3", "shape[0] is 0 with allowzero" },
    // What older opsets had otherwise.
    { "Add@6 | 2x3 3", "without broadcast=1 opset 6 has them equal" },
    { "Add@6 broadcast=1 axis=1 | 2x3 2x3", "does not fit it from axis 1 on" },
    { "Gemm@6 | 2x3 3x4 4", "without broadcast=1 opset 6 has it 2x4" },
    { "BatchNormalization@7 spatial=0 | 2x3x4 3x4 3x4 3x4 3x4", "spatial is 0" },
    { "BatchNormalization@9 spatial=1 | 2x3x4 3 3 3 3", "no parameter 'spatial'" },
    { "Cast@1 to=DOUBLE | 2x3", "'DOUBLE' is none of" },
    { "Attention@23 | 2x3x4 2x5x4 2x5x4", "Q has 3 dims, its number of heads is missing" },
    { "Attention@23 window=1 | 1x1x1x1 1x1x1x1 1x1x1x1", "it has no attribute 'window'" },
    { "RotaryEmbedding@23 | 1x5x8 1x5x2 1x5x2", "its number of heads is missing" },
    { "RotaryEmbedding@23 num_heads=2 | 1x5x8 1x5x4 1x5x4", "must be half of 4" },
    { "LSTM@14 direction=both | 1x1x1 1x4x1 1x4x1", "direction is both, this library computes "
                                                    "forward, reverse, bidirectional" },
    { "GRU@14 clip=0 | 1x1x1 1x3x1 1x3x1", "clip is 0, it must be a number above 0" },
    { "RNN@14 | f16:1x1x1 1x1x1 1x1x1", "and alike" },
    { "RNN@14 hidden=3 | 1x1x1 1x1x1 1x1x1", "it has no attribute 'hidden'" },
    { "RNN@14 direction=bidirectional | 1x1x1 1x1x1 1x1x1",
      "input 1 is f32 [1, 1, 1], expected f32 [1, 1] for each of 2 directions" },
    { "Concat axis=2 | 2 2 2 2 2 2 2 2 2 2 2", "there is no axis 2 among 1 dims" },
    { "Sum | 2 2 2 2 2 2 - 2", "Sum: input 6 is missing" },
    { "ConvInteger@10 strides=1,1 | u8:1x1x5 u8:1x1x2", "has 2 numbers, it must have 1" },
    { "ConvInteger@10 strides=0 | u8:1x1x5 u8:1x1x2", "0 must be at least 1" },
    { "ConvInteger@10 | u8:1x1x2x5x5 u8:1x1x3x2x2", "the kernel covers 3 slices" },
    { "QLinearMatMul act=tanh | u8:1x1 f32=1 u8=1 u8:1x1 f32=1 u8=1 f32=1 u8=1", "act is 3" },
    { "Relu consumed_inputs=0 | 2x3", "no parameter 'consumed_inputs'" },
};

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (tuff_stream_create(dev, &stream) != TUFF_OK) return 1;
    for (size_t i = 0; i < COUNT(pairs); i++) same(&pairs[i]);
    CASE(attention_by_loops);
    for (int layout = 0; layout < 2; layout++) {
        two_directions("RNN", 1, layout, "");
        two_directions("GRU", 3, layout, "");
        two_directions("GRU", 3, layout, " linear_before_reset=1");
        two_directions("LSTM", 4, layout, " clip=0.5");
    }
    many_inputs("Concat", "axis=1 ", 11, 0);
    many_inputs("Concat", "axis=-1 ", 37, 0);
    many_inputs("Max", "", 38, 2);
    many_inputs("Min", "", 8, 2);
    many_inputs("Sum", "", 13, 2);
    many_inputs("Mean", "", 37, 2);
    CASE(lstm_by_hand);
    CASE(half_sequences);
    for (size_t i = 0; i < COUNT(refusals); i++) refused(&refusals[i]);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
