// ONNX's files for the tests: a model's nodes, and tensors, as this library's own types.
#ifndef TUFF_TESTS_ONNX_FILE_H
#define TUFF_TESTS_ONNX_FILE_H
#include <tuff/data.h>

typedef struct onnx_value {
    char name[128];
    tuff_array array; // f64 as f32
    bool wide;        // it was f64
} onnx_value;

enum { ONNX_NAMES = 16, ONNX_ATTRIBUTES = 20, ONNX_NODES = 64, ONNX_VALUES = 32 };

typedef struct onnx_node {
    char op[64];
    char input[ONNX_NAMES][128], output[ONNX_NAMES][128];
    int inputs, outputs;
    char *attribute[ONNX_ATTRIBUTES]; // "name=value"
    int attributes;
    char problem[256]; // an attribute or a type that has no counterpart here, else ""
    onnx_value value;  // of Constant
} onnx_node;

typedef struct onnx_model {
    int opset;
    onnx_node *node;
    int nodes;
    onnx_value constant[ONNX_VALUES]; // initializers
    int constants;
    char input[ONNX_NAMES][128], output[ONNX_NAMES][128];
    int inputs, outputs;
    char problem[256];
} onnx_model;

// False with a sentence in model->problem when the file cannot be read or holds what there is
// no counterpart for.
bool onnx_model_read(const char *path, onnx_model *model);
void onnx_model_clear(onnx_model *model);
// A TensorProto in a file of its own; `problem` holds the sentence where false is returned.
bool onnx_tensor_read(const char *path, onnx_value *value, char *problem, size_t size);
#endif
