// tuff op: one operator on NumPy files.
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>

enum { INPUTS = 10, OUTPUTS = 4 };

typedef struct job {
    const char *op;
    cli_list inputs, attributes, outputs;
    const char *shape;
} job;

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

static void print_ops(void)
{
    tuff_op_info op;
    for (int i = 0; tuff_op_get_info(i, &op); i++) {
        printf("%s(", op.name);
        for (int k = 0; k < op.inputs; k++)
            printf("%s%s%s", k ? ", " : "", op.input[k], op.optional[k] ? "?" : "");
        printf(") ->");
        for (int k = 0; k < op.outputs; k++) printf(" %s", op.output[k]);
        printf("%s%s\n    %s\n", op.onnx ? "    ONNX " : "", op.onnx ? op.onnx : "", op.doc);
        for (int k = 0; k < op.attributes; k++)
            printf("%s%s%s", k ? " " : "    --attr ", op.attribute[k],
                   k + 1 < op.attributes ? "=" : "=\n");
    }
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

// Reads input k of the op from a file: f32 where the port takes it, else the port's type.
static tuff_status read_input(tuff_stream *s, const char *path, uint32_t dtypes,
                              tuff_tensor **t)
{
    tuff_array file = { 0 }, array = { 0 };
    tuff_status status = tuff_npy_read(path, &file);
    const tuff_dtype want = dtypes & TUFF_F32 ? TUFF_F32 : (tuff_dtype)(dtypes & -dtypes);
    if (status == TUFF_OK) status = tuff_array_convert(&file, want, &array);
    if (status == TUFF_OK)
        status = tuff_tensor_create(tuff_stream_device(s), array.desc, t);
    if (status == TUFF_OK)
        status = tuff_tensor_write(s, *t, array.data, tuff_desc_bytes(&array.desc));
    tuff_array_clear(&file);
    tuff_array_clear(&array);
    return status;
}

static tuff_status write_output(tuff_stream *s, const tuff_tensor *t, const char *path)
{
    tuff_array array = { 0 };
    tuff_status status = tuff_array_init(&array, *tuff_tensor_desc(t));
    if (status == TUFF_OK)
        status = tuff_tensor_read(s, t, array.data, tuff_desc_bytes(&array.desc));
    if (status == TUFF_OK) status = tuff_npy_write(path, &array);
    tuff_array_clear(&array);
    return status;
}

static tuff_status run(const job *j, const tuff_op_info *op, tuff_device *device,
                       cJSON *written)
{
    tuff_stream *s = NULL;
    tuff_tensor *in[INPUTS] = { 0 }, *out[OUTPUTS] = { 0 };
    tuff_desc shape = TUFF_SCALAR(TUFF_F32);
    int nout = 0;
    tuff_status status = tuff_stream_create(device, &s);
    if (j->shape) (void)parse_shape(j->shape, &shape); // was checked
    for (int i = 0; i < j->inputs.count && status == TUFF_OK; i++)
        if (strcmp(j->inputs.item[i], "-") != 0)
            status = read_input(s, j->inputs.item[i], op->input_dtypes[i], &in[i]);
    if (status == TUFF_OK)
        status = tuff_op_apply(s, j->op, (const tuff_tensor *const *)in, j->inputs.count,
                               j->attributes.item, j->attributes.count, &shape, out, &nout);
    for (int i = 0; i < j->outputs.count && status == TUFF_OK; i++) {
        char text[96];
        status = write_output(s, out[i], j->outputs.item[i]);
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", op->output[i]);
        cJSON_AddStringToObject(o, "file", j->outputs.item[i]);
        cJSON_AddStringToObject(o, "shape",
                                tuff_desc_print(tuff_tensor_desc(out[i]), text, sizeof text));
        cJSON_AddItemToArray(written, o);
    }
    for (int i = 0; i < INPUTS; i++) tuff_tensor_destroy(&in[i]);
    for (int i = 0; i < OUTPUTS; i++) tuff_tensor_destroy(&out[i]);
    tuff_stream_destroy(&s);
    return status;
}

// --seed goes to an operator that draws numbers, unless an attribute says otherwise.
static void add_seed(job *j, const tuff_op_info *op)
{
    static char text[40];
    bool takes = false;
    for (int i = 0; i < op->attributes; i++) takes |= strcmp(op->attribute[i], "seed") == 0;
    for (int i = 0; i < j->attributes.count; i++)
        takes &= strncmp(j->attributes.item[i], "seed=", 5) != 0;
    if (!takes || j->attributes.count == CLI_ITEMS) return;
    snprintf(text, sizeof text, "seed=%lld", (long long)cli.seed);
    j->attributes.item[j->attributes.count++] = text;
}

static int check_job(const cli_command *self, const job *j, const tuff_op_info *op)
{
    tuff_desc shape;
    if (j->inputs.count > op->inputs)
        return cli_wrong(self, "%s has %d inputs, %d were given", op->name, op->inputs,
                         j->inputs.count);
    if (!j->outputs.count || j->outputs.count > op->outputs)
        return cli_wrong(self, "%s has %d output%s: give --output FILE.npy for each", op->name,
                         op->outputs, op->outputs > 1 ? "s" : "");
    if (j->shape && !parse_shape(j->shape, &shape))
        return cli_wrong(self, "--shape takes sizes like 3,4,5, not '%s'", j->shape);
    if (!j->inputs.count && (!op->inputs || op->optional[0]) && !j->shape)
        return cli_wrong(self, "%s without an input needs --shape", op->name);
    return -1;
}

int cmd_op(const cli_command *self, int argc, char **argv)
{
    job j = { 0 };
    bool list = false;
    const cli_option options[] = {
        { "input", CLI_LIST, &j.inputs, "FILE",
          "an input, in the operator's order; - leaves an optional one out" },
        { "attr", CLI_LIST, &j.attributes, "KEY=VALUE",
          "an attribute, as in ONNX: strides=2,1" },
        { "output", CLI_LIST, &j.outputs, "FILE", "where an output goes" },
        { "shape", CLI_TEXT, &j.shape, "N,M", "of the output, for operators without inputs" },
        { "list", CLI_FLAG, &list, NULL, "every operator, its inputs and attributes" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_op_info op;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (list && cli.json) return list_json();
    if (list) return print_ops(), EXIT_OK;
    if (words.count != 1) return cli_wrong(self, "one operator's name was expected");
    j.op = words.item[0];
    if (!find_op(j.op, &op))
        return cli_wrong(self, "there is no operator '%s' (tuff op --list shows them)", j.op);
    status = check_job(self, &j, &op);
    if (status >= 0) return status;
    add_seed(&j, &op);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    cJSON *json = cJSON_CreateObject(), *written = cJSON_AddArrayToObject(json, "outputs");
    cJSON_AddStringToObject(json, "device", tuff_device_get_info(device)->id);
    status = run(&j, &op, device, written) == TUFF_OK ? EXIT_OK : cli_error(self);
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
