// tuff op: one operator on files of arrays.
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 10, OUTPUTS = 8 };

typedef struct job {
    const char *op;
    cli_list inputs, attributes, outputs;
    const char *shape;
    bool onnx;     // `op` is one of ONNX's operators, of version `opset`
    int64_t opset;
    int made;      // outputs that the operator gave
    bool chosen;   // `point` was chosen, of quantize_fixed
    int point;
} job;

// Names that people look for, of an operator with an attribute.
static const struct {
    const char *name, *op, *attribute, *key;
} aliases[] = {
    { "embedding", "gather", "axis=0", "axis" },
};
enum { ALIASES = sizeof aliases / sizeof *aliases };

static int list_json(void)
{
    tuff_op_info op;
    cJSON *json = cJSON_CreateObject(), *ops = cJSON_AddArrayToObject(json, "operators");
    for (int i = 0; tuff_op_get_info(i, &op); i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", op.name);
        cJSON_AddStringToObject(o, "doc", op.doc);
        if (op.onnx) cJSON_AddStringToObject(o, "onnx", op.onnx);
        cJSON_AddItemToObject(o, "inputs", cJSON_CreateStringArray(op.input, op.inputs));
        cJSON_AddItemToObject(o, "outputs", cJSON_CreateStringArray(op.output, op.outputs));
        cJSON_AddItemToObject(o, "attributes",
                              cJSON_CreateStringArray(op.attribute, op.attributes));
        cJSON_AddItemToArray(ops, o);
    }
    return cli_print_json(json, EXIT_OK);
}

static void print_names(void)
{
    tuff_op_info op;
    for (int i = 0; tuff_op_get_info(i, &op); i++) printf("%s\n", op.name);
}

static void print_types(uint32_t set)
{
    const char *comma = "";
    for (uint32_t t = 1; t && t <= set; t <<= 1) {
        if (!(set & t)) continue;
        printf("%s%s", comma, tuff_dtype_name((tuff_dtype)t));
        comma = " ";
    }
}

// One operator as a section of docs/ops.md.
static void print_section(const tuff_op_info *op)
{
    printf("## %s\n\n%s%s.\n\n", op->name, op->doc[0] ? "" : "(no text)", op->doc);
    if (op->onnx) printf("- ONNX: `%s`\n", op->onnx);
    for (int i = 0; i < ALIASES; i++)
        if (strcmp(aliases[i].op, op->name) == 0)
            printf("- with `%s`: `tuff op %s`\n", aliases[i].attribute, aliases[i].name);
    for (int i = 0; i < op->inputs; i++) {
        printf("- input `%s`%s: ", op->input[i], op->optional[i] ? " (may be left out)" : "");
        print_types(op->input_dtypes[i]);
        printf("\n");
    }
    printf("- output%s:", op->outputs > 1 ? "s" : "");
    for (int i = 0; i < op->outputs; i++) printf(" `%s`", op->output[i]);
    printf("\n");
    for (int i = 0; i < op->attributes; i++) {
        printf("- attribute `%s`: %s", op->attribute[i], op->attribute_type[i]);
        for (int k = 0; op->choices[i] && op->choices[i][k]; k++)
            printf("%s `%s`", k ? "," : "", op->choices[i][k]);
        printf("\n");
    }
    printf("- kernels:");
    for (int i = 0; i < op->variants; i++) printf(" %s", op->variant[i]);
    if (op->hosts) printf("; on the CPU path");
    for (int i = 0; i < op->hosts; i++) printf(" %s", op->host[i]);
    printf("\n- %s; ", op->gradient ? "differentiable" : "no gradient");
    if (op->tolerance > 0) printf("tolerance %.1e\n\n", (double)op->tolerance);
    else printf("the same bits on every device\n\n");
}

static void print_docs(void)
{
    tuff_op_info op;
    printf("# Operators\n\n"
           "What each operator's record says of it; made by `tuff op --docs`. Attributes have "
           "ONNX's names where it has\nthem, and are what `tuff op NAME --attr` takes. A "
           "tolerance is relative: |got - want| <= tolerance (|want| +\nrms(want)) for f32; "
           "16-bit results may differ by one step more. Types other than f32, i32 and u32 "
           "are\ncomputed by casts before and behind unless a kernel takes them as they "
           "are.\n\n");
    for (int i = 0; tuff_op_get_info(i, &op); i++) print_section(&op);
}

static bool find_op(const char *name, tuff_op_info *op)
{
    for (int i = 0; tuff_op_get_info(i, op); i++)
        if (strcmp(op->name, name) == 0) return true;
    return false;
}

// "3,4,5" as the shape of an f32 tensor.
static bool parse_shape(const char *text, tuff_desc *shape)
{
    *shape = TUFF_SCALAR(TUFF_F32);
    for (char *end; *text; text = *end ? end + 1 : end) {
        const long long n = strtoll(text, &end, 10);
        if (end == text || (*end && *end != ',') || n < 1 || shape->rank == TUFF_MAX_DIMS)
            return false;
        shape->dim[shape->rank++] = n;
    }
    return shape->rank > 0;
}

// What a file's elements become for a port that takes `dtypes`: floats may be rounded to other
// floats, and whole numbers become those that the port takes, above all i32 for the i64 that
// NumPy makes of Python's. Any other type is left to the op, which refuses it by name.
static tuff_dtype type_for(tuff_dtype type, uint32_t dtypes)
{
    const uint32_t floats = TUFF_F32 | TUFF_F16 | TUFF_BF16, lowest = dtypes & -dtypes;
    const bool whole = !(type & (floats | TUFF_BOOL));
    if (type & dtypes) return type;
    if (type & floats && dtypes & floats) return (tuff_dtype)lowest;
    if (type == TUFF_I64 && dtypes & TUFF_I32) return TUFF_I32;
    const bool clear = dtypes == lowest || dtypes & TUFF_I32; // which type is meant
    return whole && clear && !(dtypes & floats) ? (tuff_dtype)lowest : type;
}

// The value of an attribute that was given, or NULL.
static const char *attribute(const job *j, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < j->attributes.count; i++) {
        const char *text = j->attributes.item[i];
        if (strncmp(text, name, n) == 0 && text[n] == '=') return text + n + 1;
    }
    return NULL;
}

// Adds an attribute; `text` must outlive the job.
static void add_attribute(job *j, const char *text)
{
    if (j->attributes.count < CLI_ITEMS) j->attributes.item[j->attributes.count++] = text;
}

// Where quantize_fixed is not told a point it gets the one with most digits of those with which
// nothing in x overflows. What is wrong with `bits` the op says.
static tuff_status choose_point(job *j, tuff_stream *s, const tuff_tensor *x)
{
    static char text[40];
    const char *bits = attribute(j, "bits");
    const int n = bits ? atoi(bits) : 0;
    if (strcmp(j->op, "quantize_fixed") != 0 || attribute(j, "point")) return TUFF_OK;
    if (bits && n != 8 && n != 16 && n != 32) return TUFF_OK;
    const tuff_status status = tuff_fixed_choose_for(s, x, n, &j->point);
    if (status != TUFF_OK) return status;
    j->chosen = true;
    snprintf(text, sizeof text, "point=%d", j->point);
    add_attribute(j, text);
    cli_note("%s: %s, so that nothing overflows", j->op, text);
    return TUFF_OK;
}

// Reads input i of the op from its file; says what is wrong. Of ONNX's operators all inputs are
// described alike.
static int read_input(const cli_command *self, tuff_stream *s, job *j, const tuff_op_info *op,
                      int i, tuff_tensor **t)
{
    const char *path = j->inputs.item[i];
    if (i >= op->inputs) i = op->inputs - 1;
    tuff_array file = { 0 }, array = { 0 };
    int status = EXIT_OK;
    if (array_file_read(self, path, &file) != EXIT_OK) {
        status = EXIT_WRONG;
    } else if (tuff_array_convert(&file, type_for(file.desc.dtype, op->input_dtypes[i]),
                                  &array) != TUFF_OK) {
        status = cli_wrong(self, "%s: %s, %s: %s", op->name, op->input[i], path,
                           tuff_last_error());
    } else if (tuff_tensor_create(tuff_stream_device(s), array.desc, t) != TUFF_OK ||
               tuff_tensor_write(s, *t, array.data, tuff_desc_bytes(&array.desc)) != TUFF_OK ||
               (array.desc.dtype & op->input_dtypes[i] && choose_point(j, s, *t) != TUFF_OK)) {
        status = cli_error(self);
    }
    tuff_array_clear(&file);
    tuff_array_clear(&array);
    return status;
}

static int write_output(const cli_command *self, tuff_stream *s, const tuff_tensor *t,
                        const char *path, const char *name)
{
    tuff_array array = { 0 };
    int status;
    if (tuff_array_init(&array, *tuff_tensor_desc(t)) != TUFF_OK ||
        tuff_tensor_read(s, t, array.data, tuff_desc_bytes(&array.desc)) != TUFF_OK)
        status = cli_error(self);
    else
        status = array_file_write(self, path, name, &array);
    tuff_array_clear(&array);
    return status;
}

static tuff_status apply(job *j, tuff_stream *s, const tuff_tensor *const in[],
                         tuff_tensor *out[])
{
    tuff_desc shape = TUFF_SCALAR(TUFF_F32);
    if (j->shape) (void)parse_shape(j->shape, &shape); // was checked
    j->made = j->outputs.count;
    if (j->onnx)
        return tuff_onnx_apply(s, j->op, (int)j->opset, in, j->inputs.count, j->attributes.item,
                               j->attributes.count, &shape, out, &j->made);
    return tuff_op_apply(s, j->op, in, j->inputs.count, j->attributes.item, j->attributes.count,
                         &shape, out, &j->made);
}

static int run(const cli_command *self, job *j, const tuff_op_info *op, tuff_device *device,
               cJSON *written)
{
    tuff_stream *s = NULL;
    tuff_tensor *in[CLI_ITEMS] = { 0 }, *out[OUTPUTS] = { 0 };
    int status = tuff_stream_create(device, &s) == TUFF_OK ? EXIT_OK : cli_error(self);
    // ONNX's nodes have inputs of no elements in the place of those that they leave out
    // (Resize's roi).
    for (int i = 0; i < j->inputs.count && status == EXIT_OK; i++)
        if (strcmp(j->inputs.item[i], "-") != 0 &&
            !(j->onnx && tuff_npy_is_empty(j->inputs.item[i])))
            status = read_input(self, s, j, op, i, &in[i]);
    if (status == EXIT_OK && apply(j, s, (const tuff_tensor *const *)in, out) != TUFF_OK)
        status = cli_error(self);
    const int wanted = j->outputs.count <= j->made ? j->outputs.count : 0;
    for (int i = 0; i < wanted && status == EXIT_OK; i++) {
        char text[96];
        status = write_output(self, s, out[i], j->outputs.item[i], op->output[i]);
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", op->output[i]);
        cJSON_AddStringToObject(o, "file", j->outputs.item[i]);
        cJSON_AddStringToObject(o, "shape",
                                tuff_desc_print(tuff_tensor_desc(out[i]), text, sizeof text));
        cJSON_AddItemToArray(written, o);
    }
    for (int i = 0; i < CLI_ITEMS; i++) tuff_tensor_destroy(&in[i]);
    for (int i = 0; i < OUTPUTS; i++) tuff_tensor_destroy(&out[i]);
    tuff_stream_destroy(&s);
    return status;
}

// The operator that an alias stands for, and its attribute where it is not given.
static void follow_alias(job *j)
{
    for (int i = 0; i < ALIASES; i++) {
        if (strcmp(aliases[i].name, j->op) != 0) continue;
        j->op = aliases[i].op;
        if (!attribute(j, aliases[i].key)) add_attribute(j, aliases[i].attribute);
    }
}

// --seed goes to an operator that draws numbers, unless an attribute says otherwise.
static void add_seed(job *j, const tuff_op_info *op)
{
    static char text[40];
    bool takes = false;
    for (int i = 0; i < op->attributes; i++) takes |= strcmp(op->attribute[i], "seed") == 0;
    if (!takes || attribute(j, "seed")) return;
    snprintf(text, sizeof text, "seed=%lld", (long long)cli.seed);
    add_attribute(j, text);
}

// An operator of ONNX's takes what its own description says; the library knows.
static void onnx_info(const char *name, tuff_op_info *op)
{
    static const char *const names[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    *op = (tuff_op_info){ .name = name, .onnx = name, .inputs = INPUTS, .outputs = OUTPUTS };
    for (int i = 0; i < INPUTS; i++) {
        op->input[i] = names[i];
        op->optional[i] = true;
        op->input_dtypes[i] = UINT32_MAX;
    }
    for (int i = 0; i < OUTPUTS; i++) op->output[i] = names[i];
}

static int check_job(const cli_command *self, const job *j, const tuff_op_info *op)
{
    tuff_desc shape;
    if (j->inputs.count > op->inputs && !j->onnx)
        return cli_wrong(self, "%s has %d input%s, %d were given", op->name, op->inputs,
                         op->inputs == 1 ? "" : "s", j->inputs.count);
    if (!j->outputs.count || j->outputs.count > op->outputs)
        return cli_wrong(self, "%s has %d output%s: give --output FILE for each", op->name,
                         op->outputs, op->outputs > 1 ? "s" : "");
    if (j->opset < 1 || j->opset > TUFF_ONNX_LATEST)
        return cli_wrong(self, "--opset takes 1 to %d, not %lld", TUFF_ONNX_LATEST,
                         (long long)j->opset);
    for (int i = 1; i < j->outputs.count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(j->outputs.item[i], j->outputs.item[k]) == 0)
                return cli_wrong(self, "--output %s is given twice, expected a file for each",
                                 j->outputs.item[i]);
    for (int i = 0; i < j->outputs.count; i++) {
        const int status = array_file_check(self, j->outputs.item[i]);
        if (status != EXIT_OK) return status;
    }
    for (int i = 1; i < j->attributes.count; i++)
        for (int k = 0; k < i; k++) {
            const char *a = j->attributes.item[i], *b = j->attributes.item[k];
            const size_t n = strcspn(a, "=");
            if (strcspn(b, "=") == n && strncmp(a, b, n) == 0)
                return cli_wrong(self, "--attr %.*s is given twice: %s and %s", (int)n, a, b,
                                 a);
        }
    if (j->shape && !parse_shape(j->shape, &shape))
        return cli_wrong(self, "--shape takes sizes like 3,4,5, not '%s'", j->shape);
    if (!j->inputs.count && (!op->inputs || op->optional[0]) && !j->shape && !j->onnx)
        return cli_wrong(self, "%s without an input needs --shape", op->name);
    return -1;
}

int cmd_op(const cli_command *self, int argc, char **argv)
{
    job j = { .opset = TUFF_ONNX_OPSET };
    bool list = false, docs = false;
    const cli_option options[] = {
        { "input", CLI_LIST, &j.inputs, "FILE",
          "an input, in the operator's order; - leaves an optional one out\n"
          "(.npy, or .safetensors, with :NAME where it has several arrays)" },
        { "attr", CLI_LIST, &j.attributes, "KEY=VALUE",
          "an attribute, as in ONNX: strides=2,1" },
        { "output", CLI_LIST, &j.outputs, "FILE",
          "where an output goes (.npy, or .safetensors, which knows bf16)" },
        { "shape", CLI_TEXT, &j.shape, "N,M", "of the output, for operators without inputs" },
        { "opset", CLI_INT, &j.opset, "N",
          "version of ONNX's operators that an ONNX name is of (22)" },
        { "list", CLI_FLAG, &list, NULL, "the operators' names, a line each" },
        { "docs", CLI_FLAG, &docs, NULL, "every operator's inputs and attributes" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_op_info op;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if ((list || docs) && words.count)
        return cli_wrong(self, "'%s' is too much", words.item[0]);
    if (docs && cli.json) return cli_wrong(self, "--docs is Markdown, --list is JSON as well");
    if (list && cli.json) return list_json();
    if (list) return print_names(), EXIT_OK;
    if (docs) return print_docs(), EXIT_OK;
    if (words.count != 1) return cli_wrong(self, "one operator's name was expected");
    j.op = words.item[0];
    follow_alias(&j);
    if (!find_op(j.op, &op)) {
        j.onnx = tuff_onnx_has(j.op);
        onnx_info(j.op, &op);
    }
    if (!op.doc && !j.onnx)
        return cli_wrong(self, "there is no operator '%s' (tuff op --list shows them)", j.op);
    status = check_job(self, &j, &op);
    if (status >= 0) return status;
    add_seed(&j, &op);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    cJSON *json = cJSON_CreateObject(), *written = cJSON_AddArrayToObject(json, "outputs");
    cJSON_AddStringToObject(json, "device", tuff_device_get_info(device)->id);
    status = run(self, &j, &op, device, written);
    if (j.chosen) cJSON_AddNumberToObject(json, "point", j.point);
    if (status == EXIT_OK && j.made < j.outputs.count)
        status = cli_wrong(self, "%s gives %d output%s here, --output was given %d times", j.op,
                           j.made, j.made == 1 ? "" : "s", j.outputs.count);
    const cJSON *o;
    cJSON_ArrayForEach(o, written) if (!cli.json && status == EXIT_OK)
        printf("%s: %s %s\n", cJSON_GetObjectItem(o, "file")->valuestring,
               cJSON_GetObjectItem(o, "name")->valuestring,
               cJSON_GetObjectItem(o, "shape")->valuestring);
    tuff_device_close(&device);
    if (cli.json && status == EXIT_OK) return cli_print_json(json, status);
    cJSON_Delete(json);
    return status;
}
