// tuff import: a model file from a net and somebody's weights.
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 1024, CLASSES = 4096 };

typedef struct settings {
    const char *net, *weights, *map, *input, *mean, *std, *classes, *out;
} settings;

// Numbers with commas between; how many, or -1.
static int parse_numbers(const char *text, float v[CHANNELS])
{
    int n = 0;
    for (char *end; *text; text = *end ? end + 1 : end) {
        if (n == CHANNELS) return -1;
        v[n++] = strtof(text, &end);
        if (end == text || (*end && *end != ',') || (*end && !end[1])) return -1;
    }
    return n;
}

// x = (v - mean) / std, as torchvision's Normalize has it.
static int set_norm(const cli_command *self, const settings *s, tuff_model *model)
{
    static float mean[CHANNELS], std[CHANNELS];
    static char names[1 << 16];
    static const char *class_name[CLASSES];
    const int n = s->mean ? parse_numbers(s->mean, mean) : 0;
    const int m = s->std ? parse_numbers(s->std, std) : 0;
    if (n < 0 || m < 0 || (s->mean && s->std && n != m) || !s->mean != !s->std)
        return cli_wrong(self, "--mean and --std take a number a channel each: 0.5,0.5,0.5");
    for (int i = 0; i < n; i++) {
        if (!(std[i] > 0)) return cli_wrong(self, "--std holds %g, expected above 0", std[i]);
        mean[i] = -mean[i] / std[i];
        std[i] = 1 / std[i];
    }
    int classes = 0;
    if (s->classes && strlen(s->classes) >= sizeof names)
        return cli_wrong(self, "--classes is too long");
    if (s->classes) {
        strcpy(names, s->classes);
        char *rest = NULL;
        for (char *w = strtok_r(names, ",", &rest); w && classes < CLASSES;
             w = strtok_r(NULL, ",", &rest))
            class_name[classes++] = w;
    }
    const tuff_desc *out = tuff_model_output(model);
    const int64_t outputs = tuff_desc_count(out);
    if (classes && classes != outputs)
        return cli_wrong(self, "--classes has %d names, the net has %lld outputs", classes,
                         (long long)outputs);
    const tuff_model_data d = { n, std, mean, classes, classes ? class_name : NULL };
    return tuff_model_set_data(model, &d) == TUFF_OK ? EXIT_OK : cli_error(self);
}

static int import(const cli_command *self, const settings *s, tuff_device *device)
{
    tuff_model *model = NULL;
    tuff_model_params p = { .net = s->net, .init = { .kind = TUFF_INIT_ZEROS } };
    if (!cli_sample(self, s->input, &p.input)) return EXIT_WRONG;
    if (tuff_model_create(device, &p, &model) != TUFF_OK) return cli_error(self);
    int status = EXIT_OK;
    if ((s->map ? tuff_model_map_weights(model, s->weights, s->map)
                : tuff_model_load_weights(model, s->weights)) != TUFF_OK)
        status = cli_error(self);
    if (status == EXIT_OK) status = set_norm(self, s, model);
    if (status == EXIT_OK && tuff_model_save(model, s->out) != TUFF_OK)
        status = cli_error(self);
    if (status == EXIT_OK && cli.json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "model", s->out);
        cJSON_AddStringToObject(json, "net", tuff_model_net(model));
        cJSON_AddNumberToObject(json, "parameters", (double)tuff_model_parameters(model));
        cli_print_json(json, status);
    } else if (status == EXIT_OK) {
        printf("%s: %lld parameters\n", s->out, (long long)tuff_model_parameters(model));
    }
    tuff_model_destroy(&model);
    return status;
}

int cmd_import(const cli_command *self, int argc, char **argv)
{
    settings s = { .net = NULL };
    const cli_option options[] = {
        { "net", CLI_TEXT, &s.net, "NET", "a preset, a line of text, or a file that holds it" },
        { "weights", CLI_TEXT, &s.weights, "FILE", "a safetensors file" },
        { "map", CLI_TEXT, &s.map, "FILE",
          "lines of two names, ours and the file's, where they differ" },
        { "input", CLI_TEXT, &s.input, "CxHxW", "the sizes of a sample" },
        { "mean", CLI_TEXT, &s.mean, "A,B,...", "samples less this, a number a channel," },
        { "std", CLI_TEXT, &s.std, "A,B,...", "and divided by that, are what the net takes" },
        { "classes", CLI_TEXT, &s.classes, "A,B,...", "what the outputs are called" },
        { "out", CLI_TEXT, &s.out, "MODEL", "where the model goes" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    if (!s.net || !s.weights || !s.input || !s.out)
        return cli_wrong(self, "--net, --weights, --input and --out are needed");
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    status = import(self, &s, device);
    tuff_device_close(&device);
    return status;
}
