// Reading ONNX's files through protobuf-c; see onnx_file.h. The code for the messages is made
// from onnx.proto when the tests are built.
#include "onnx_file.h"
#ifdef TUFF_ONNX_PROTO
#include "onnx.pb-c.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    *size = 0;
    if (!file) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && ftell(file) >= 0) {
        *size = (size_t)ftell(file);
        rewind(file);
        bytes = malloc(*size + 1);
        if (bytes && fread(bytes, 1, *size, file) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

// ---- tensors -------------------------------------------------------------------------------

typedef Onnx__TensorProto proto_tensor;

static tuff_dtype dtype_of(int type)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return TUFF_F32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return TUFF_F16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return TUFF_BF16;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return TUFF_I32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32: return TUFF_U32;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return TUFF_I8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return TUFF_U8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return TUFF_BOOL;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return TUFF_I64;
    default: return 0;
    }
}

static const char *type_name(int type)
{
    static const char *const names[] = {
        "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string",
        "bool", "float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16"
    };
    return type >= 0 && type < (int)(sizeof names / sizeof *names) ? names[type] : "unknown";
}

// Elements of one of the typed lists, which hold small types in 32 bits.
static void from_lists(const proto_tensor *t, tuff_array *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (t->n_float_data > i) ((float *)a->data)[i] = t->float_data[i];
        else if (t->n_double_data > i) ((float *)a->data)[i] = (float)t->double_data[i];
        else if (t->n_int64_data > i) ((int64_t *)a->data)[i] = t->int64_data[i];
        else if (t->n_uint64_data > i) ((uint32_t *)a->data)[i] = (uint32_t)t->uint64_data[i];
        else if (t->n_int32_data > i)
            memcpy((char *)a->data + i * tuff_dtype_size(a->desc.dtype), &t->int32_data[i],
                   tuff_dtype_size(a->desc.dtype));
    }
}

static bool take_tensor(const proto_tensor *t, onnx_value *v, char *problem, size_t size)
{
    tuff_desc d = { .dtype = dtype_of(t->data_type), .rank = (int)t->n_dims };
    memset(v, 0, sizeof *v);
    snprintf(v->name, sizeof v->name, "%s", t->name ? t->name : "");
    v->wide = t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    if (!d.dtype || t->n_dims > TUFF_MAX_DIMS) {
        snprintf(problem, size, "a tensor of %s with %zu dims", type_name(t->data_type),
                 t->n_dims);
        return false;
    }
    for (size_t i = 0; i < t->n_dims; i++) {
        d.dim[i] = t->dims[i];
        if (t->dims[i] < 1) {
            snprintf(problem, size, "a tensor without elements");
            return false;
        }
    }
    if (tuff_array_init(&v->array, d) != TUFF_OK) {
        snprintf(problem, size, "%.150s", tuff_last_error());
        return false;
    }
    const size_t n = (size_t)tuff_desc_count(&d), bytes = tuff_desc_bytes(&d);
    if (v->wide && t->has_raw_data && t->raw_data.len == n * sizeof(double)) {
        for (size_t i = 0; i < n; i++) {
            double x;
            memcpy(&x, t->raw_data.data + i * sizeof x, sizeof x);
            ((float *)v->array.data)[i] = (float)x;
        }
    } else if (t->has_raw_data && t->raw_data.len == bytes) {
        memcpy(v->array.data, t->raw_data.data, bytes);
    } else {
        from_lists(t, &v->array, n);
    }
    return true;
}

bool onnx_tensor_read(const char *path, onnx_value *value, char *problem, size_t size)
{
    size_t bytes;
    unsigned char *data = read_file(path, &bytes);
    memset(value, 0, sizeof *value);
    snprintf(problem, size, "%.100s: it cannot be read", path);
    if (!data) return false;
    proto_tensor *t = onnx__tensor_proto__unpack(NULL, bytes, data);
    free(data);
    if (!t) return false;
    problem[0] = '\0';
    const bool ok = take_tensor(t, value, problem, size);
    onnx__tensor_proto__free_unpacked(t, NULL);
    return ok;
}

// ---- nodes ---------------------------------------------------------------------------------

static char *attribute_text(const Onnx__AttributeProto *a)
{
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, "%.60s=", a->name);
#define ADD(...) \
    used += used < sizeof text                                                  \
                ? (size_t)snprintf(text + used, sizeof text - used, __VA_ARGS__) : 0
    switch (a->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: ADD("%lld", (long long)a->i); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: ADD("%.9g", (double)a->f); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        ADD("%.*s", (int)a->s.len, (const char *)a->s.data);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        ADD("[");
        for (size_t i = 0; i < a->n_ints; i++) ADD(i ? ",%lld" : "%lld", (long long)a->ints[i]);
        ADD("]");
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        ADD("[");
        for (size_t i = 0; i < a->n_floats; i++)
            ADD(i ? ",%.9g" : "%.9g", (double)a->floats[i]);
        ADD("]");
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        for (size_t i = 0; i < a->n_strings; i++)
            ADD(i ? ",%.*s" : "%.*s", (int)a->strings[i].len,
                (const char *)a->strings[i].data);
        break;
    default: return NULL;
    }
#undef ADD
    return used < sizeof text ? strdup(text) : NULL;
}

static bool take_names(size_t n, char *const from[], char to[][128], int *count)
{
    if (n > ONNX_NAMES) return false;
    for (size_t i = 0; i < n; i++) snprintf(to[i], 128, "%s", from[i]);
    *count = (int)n;
    return true;
}

// The value of a Constant.
static bool take_constant(const Onnx__AttributeProto *a, onnx_node *to)
{
    if (strcmp(a->name, "value") == 0 && a->t)
        return take_tensor(a->t, &to->value, to->problem, sizeof to->problem);
    const bool one = strcmp(a->name, "value_float") == 0 || strcmp(a->name, "value_int") == 0;
    const bool ints = strcmp(a->name, "value_ints") == 0;
    const bool real = strcmp(a->name, "value_float") == 0 ||
                      strcmp(a->name, "value_floats") == 0;
    tuff_desc d = { .dtype = real ? TUFF_F32 : TUFF_I64, .rank = one ? 0 : 1 };
    d.dim[0] = (int64_t)(ints ? a->n_ints : a->n_floats);
    if ((!one && d.dim[0] < 1) || tuff_array_init(&to->value.array, d) != TUFF_OK) {
        snprintf(to->problem, sizeof to->problem, "a constant without elements");
        return false;
    }
    if (one && real) *(float *)to->value.array.data = a->f;
    else if (one) *(int64_t *)to->value.array.data = a->i;
    else if (real) memcpy(to->value.array.data, a->floats, a->n_floats * sizeof(float));
    else memcpy(to->value.array.data, a->ints, a->n_ints * sizeof(int64_t));
    return true;
}

static void take_node(const Onnx__NodeProto *n, onnx_node *to)
{
    snprintf(to->op, sizeof to->op, "%s", n->op_type);
    if (!take_names(n->n_input, n->input, to->input, &to->inputs) ||
        !take_names(n->n_output, n->output, to->output, &to->outputs))
        snprintf(to->problem, sizeof to->problem, "%zu inputs of %s", n->n_input, to->op);
    for (size_t i = 0; i < n->n_attribute && !to->problem[0]; i++) {
        if (strcmp(to->op, "Constant") == 0) {
            take_constant(n->attribute[i], to);
            continue;
        }
        char *text = attribute_text(n->attribute[i]);
        if (!text || to->attributes == ONNX_ATTRIBUTES) {
            free(text);
            snprintf(to->problem, sizeof to->problem, "the attribute %.60s of %s, a graph or a "
                     "tensor", n->attribute[i]->name, to->op);
            return;
        }
        to->attribute[to->attributes++] = text;
    }
}

// Whether all are tensors: a sequence's or an optional value's file is no tensor's.
static bool take_values(size_t n, Onnx__ValueInfoProto **v, onnx_model *m)
{
    for (size_t i = 0; i < n; i++) {
        if (!v[i]->type || v[i]->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
            continue;
        snprintf(m->problem, sizeof m->problem, "%.60s is no tensor", v[i]->name);
        return false;
    }
    return true;
}

static bool take_graph(const Onnx__GraphProto *g, onnx_model *m)
{
    char *in[ONNX_NAMES], *out[ONNX_NAMES];
    if (g->n_input > ONNX_NAMES || g->n_output > ONNX_NAMES || g->n_node > ONNX_NODES ||
        g->n_initializer > ONNX_VALUES) {
        snprintf(m->problem, sizeof m->problem, "a graph of %zu nodes and %zu inputs",
                 g->n_node, g->n_input);
        return false;
    }
    for (size_t i = 0; i < g->n_input; i++) in[i] = g->input[i]->name;
    for (size_t i = 0; i < g->n_output; i++) out[i] = g->output[i]->name;
    take_names(g->n_input, in, m->input, &m->inputs);
    take_names(g->n_output, out, m->output, &m->outputs);
    for (size_t i = 0; i < g->n_initializer; i++)
        if (!take_tensor(g->initializer[i], &m->constant[m->constants++], m->problem,
                         sizeof m->problem))
            return false;
    m->node = calloc(g->n_node ? g->n_node : 1, sizeof *m->node);
    for (size_t i = 0; i < g->n_node && m->node; i++)
        take_node(g->node[i], &m->node[m->nodes++]);
    return m->node && take_values(g->n_input, g->input, m) &&
           take_values(g->n_output, g->output, m);
}

bool onnx_model_read(const char *path, onnx_model *model)
{
    size_t bytes;
    unsigned char *data = read_file(path, &bytes);
    memset(model, 0, sizeof *model);
    snprintf(model->problem, sizeof model->problem, "%.100s: it cannot be read", path);
    if (!data) return false;
    Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, bytes, data);
    free(data);
    if (!m) return false;
    model->problem[0] = '\0';
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *domain = m->opset_import[i]->domain;
        if (!domain || !domain[0]) model->opset = (int)m->opset_import[i]->version;
    }
    const bool ok = m->graph && take_graph(m->graph, model);
    onnx__model_proto__free_unpacked(m, NULL);
    return ok;
}

void onnx_model_clear(onnx_model *model)
{
    for (int i = 0; i < model->nodes; i++) {
        for (int k = 0; k < model->node[i].attributes; k++) free(model->node[i].attribute[k]);
        tuff_array_clear(&model->node[i].value.array);
    }
    for (int i = 0; i < model->constants; i++) tuff_array_clear(&model->constant[i].array);
    free(model->node);
    memset(model, 0, sizeof *model);
}
#endif
