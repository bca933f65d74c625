// tuff info
#include "packed_report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *what, *input;
    int64_t batch;
    bool plan, train;
} settings;

// ---- the plan ------------------------------------------------------------------------------

typedef struct lines {
    cJSON *array; // NULL: print
} lines;

static void on_line(void *user, const char *text)
{
    const lines *l = user;
    if (l->array) cJSON_AddItemToArray(l->array, cJSON_CreateString(text));
    else puts(text);
}

static tuff_status make_forward(tuff_model *model, int64_t batch, tuff_program **program)
{
    tuff_graph *g = NULL;
    tuff_desc x = *tuff_model_input(model);
    memmove(x.dim + 1, x.dim, (size_t)x.rank * sizeof *x.dim);
    x.dim[0] = batch;
    x.rank++;
    tuff_status status = tuff_graph_create(&g);
    if (status != TUFF_OK) return status;
    const tuff_var y = tuff_model_forward(g, model, tuff_graph_input(g, "x", x), NULL);
    tuff_graph_output(g, "y", y);
    status = tuff_program_create(tuff_model_device(model), g, NULL, program);
    tuff_graph_destroy(&g);
    return status;
}

static cJSON *program_json(const tuff_program *program, cJSON *kernels)
{
    tuff_program_stats t;
    tuff_program_get_stats(program, &t);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "ops", t.ops);
    cJSON_AddNumberToObject(o, "fused", t.fused);
    cJSON_AddNumberToObject(o, "launches", t.launches);
    cJSON_AddNumberToObject(o, "prepared", t.prepared);
    cJSON_AddNumberToObject(o, "peak_bytes", (double)t.planned);
    cJSON_AddNumberToObject(o, "bytes_without_reuse", (double)t.unshared);
    cJSON_AddNumberToObject(o, "flops", t.flops);
    cJSON_AddItemToObject(o, "lines", kernels);
    return o;
}

// Describes a program: what a run of it does. Returns its JSON, or NULL with the error set.
static cJSON *describe(const settings *s, tuff_model *model, bool train)
{
    tuff_program *forward = NULL, *program = NULL;
    tuff_trainer *trainer = NULL;
    cJSON *json = NULL;
    const tuff_train_params p = { .batch = (int)s->batch };
    tuff_status status;
    if (train) {
        status = tuff_trainer_create(model, &p, tuff_desc_count(tuff_model_output(model)), 0,
                                     &trainer);
        if (status == TUFF_OK) status = tuff_trainer_program(trainer, s->batch, &program);
    } else {
        status = make_forward(model, s->batch, &forward);
        program = forward;
    }
    if (status == TUFF_OK) {
        lines l = { cli.json ? cJSON_CreateArray() : NULL };
        if (!cli.json)
            printf("\n%s, batch %lld, on %s\n", train ? "a training step" : "inference",
                   (long long)s->batch, tuff_device_get_info(tuff_model_device(model))->name);
        tuff_program_describe(program, on_line, &l);
        json = program_json(program, l.array ? l.array : cJSON_CreateArray());
    }
    tuff_program_destroy(&forward);
    tuff_trainer_destroy(&trainer);
    return json;
}

// ---- layers --------------------------------------------------------------------------------

static void print_layers(const tuff_model *model, cJSON *layers)
{
    tuff_layer_info l;
    char in[96], out[96];
    int wide = 28;
    for (int i = 0; tuff_model_layer(model, i, &l); i++)
        if ((int)strlen(l.text) > wide && strlen(l.text) <= 60) wide = (int)strlen(l.text);
    if (!cli.json)
        printf("%-3s %-*s %-22s %-22s %10s\n", "", wide, "layer", "input", "output",
               "parameters");
    for (int i = 0; tuff_model_layer(model, i, &l); i++) {
        tuff_desc_print(&l.input, in, sizeof in);
        tuff_desc_print(&l.output, out, sizeof out);
        if (!cli.json)
            printf("%-3d %-*s %-22s %-22s %10lld\n", i, wide, l.text, in, out,
                   (long long)l.parameters);
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "layer", l.text);
        cJSON_AddStringToObject(o, "input", in);
        cJSON_AddStringToObject(o, "output", out);
        cJSON_AddNumberToObject(o, "parameters", (double)l.parameters);
        cJSON_AddItemToArray(layers, o);
    }
}

static void print_params(const tuff_model *model, cJSON *params)
{
    tuff_param_info p;
    char shape[96];
    for (int i = 0; tuff_model_param(model, i, &p); i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", p.name);
        cJSON_AddStringToObject(o, "shape", tuff_desc_print(&p.desc, shape, sizeof shape));
        cJSON_AddNumberToObject(o, "bytes", (double)tuff_desc_bytes(&p.desc));
        cJSON_AddItemToArray(params, o);
        if (!cli.json)
            printf("    %-28s %-22s %zu bytes\n", p.name, shape, tuff_desc_bytes(&p.desc));
    }
}

// Of all tensors, running statistics too.
static long long tensor_bytes(const tuff_model *model)
{
    long long bytes = 0;
    tuff_param_info p;
    for (int i = 0; tuff_model_param(model, i, &p); i++)
        bytes += (long long)tuff_desc_bytes(&p.desc);
    return bytes;
}

static int info(const cli_command *self, const settings *s, tuff_model *model)
{
    cJSON *json = cJSON_CreateObject();
    const long long parameters = (long long)tuff_model_parameters(model);
    const long long bytes = tensor_bytes(model);
    if (!cli.json) printf("%s\n\n", tuff_model_net(model));
    cJSON_AddStringToObject(json, "net", tuff_model_net(model));
    print_layers(model, cJSON_AddArrayToObject(json, "layers"));
    if (!cli.json) printf("\n");
    print_params(model, cJSON_AddArrayToObject(json, "tensors"));
    cJSON_AddNumberToObject(json, "parameters", (double)parameters);
    cJSON_AddNumberToObject(json, "bytes", (double)bytes);
    if (!cli.json) printf("\n%lld parameters, %lld bytes\n", parameters, bytes);
    if (report_is_model(s->what)) {
        cJSON_AddNumberToObject(json, "file_bytes", (double)report_file_bytes(s->what));
        if (!cli.json) printf("%s: %lld bytes\n", s->what, report_file_bytes(s->what));
    }
    if (tuff_tuffz_is(s->what)) {
        if (!cli.json) printf("\n");
        const int status = packed_report(self, s->what, cli.json ? json : NULL);
        if (status != EXIT_OK) {
            cJSON_Delete(json);
            return status;
        }
    }
    for (int train = 0; s->plan && train <= s->train; train++) {
        cJSON *plan = describe(s, model, train);
        if (!plan) {
            cJSON_Delete(json);
            return cli_error(self);
        }
        cJSON_AddItemToObject(json, train ? "training_plan" : "plan", plan);
    }
    if (cli.json) return cli_print_json(json, EXIT_OK);
    cJSON_Delete(json);
    return EXIT_OK;
}

int cmd_info(const cli_command *self, int argc, char **argv)
{
    settings s = { .input = "1x28x28", .batch = 64 };
    const cli_option options[] = {
        { "plan", CLI_FLAG, &s.plan, NULL,
          "what a run does: kernels, variants, bytes, peak memory" },
        { "train", CLI_FLAG, &s.train, NULL, "with --plan: of a training step too" },
        { "batch", CLI_INT, &s.batch, "N", "with --plan: examples of a run; 64" },
        { "input", CLI_TEXT, &s.input, "SIZES", "of a sample, for a net; 1x28x28" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file or net was expected");
    if (s.batch < 1 || s.batch > INT32_MAX) return cli_wrong(self, "--batch is at least 1");
    s.what = words.item[0];
    if (!s.plan && !cli.device) cli.device = "cpu"; // nothing is run
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_open_model(self, device, s.what, s.input);
    status = model ? info(self, &s, model) : EXIT_WRONG;
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
