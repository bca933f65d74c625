// tuff prune
#include "compress_report.h"
#include "finetune.h"
#include <stdio.h>
#include <string.h>

typedef struct settings {
    const char *method, *target, *schedule, *rates, *data, *out, *form;
    double sparsity, threshold, ramp, most;
    int64_t examples, limit_train, limit_test, runs;
    bool global;
    finetune tune;
} settings;

static tuff_sparse_form find_form(const char *name)
{
    int form = 0;
    while (form < TUFF_SPARSE_FORMS &&
           strcmp(tuff_sparse_form_name((tuff_sparse_form)form), name) != 0)
        form++;
    return (tuff_sparse_form)form;
}

static bool asks_to_prune(const settings *s)
{
    return s->sparsity != 0 || s->threshold != 0 || s->rates || strchr(s->target, ':');
}

static int read_params(const cli_command *self, const settings *s, tuff_train_params *tune,
                       tuff_prune_params *p)
{
    *p = (tuff_prune_params){ .sparsity = s->sparsity, .threshold = s->threshold,
                              .global = s->global, .most = s->most,
                              .rates = s->rates, .ramp = s->ramp,
                              .seed = (uint64_t)cli.seed, .examples = (int)s->examples };
    if (s->tune.epochs) p->tune = tune;
    if (tuff_prune_method_parse(s->method, &p->method) != TUFF_OK ||
        tuff_prune_target_parse(s->target, p) != TUFF_OK)
        return cli_error(self);
    p->gradual = strcmp(s->schedule, "gradual") == 0;
    if (!p->gradual && strcmp(s->schedule, "oneshot") != 0)
        return cli_wrong(self, "--schedule is oneshot or gradual, not '%s'", s->schedule);
    if (find_form(s->form) == TUFF_SPARSE_FORMS)
        return cli_wrong(self, "--form is dense, any, csr, bsr or nm, not '%s'", s->form);
    const int status = finetune_read(self, &s->tune, tune);
    if (status >= 0) return status;
    // The form alone may be what is asked for.
    if (!asks_to_prune(s) && find_form(s->form) != TUFF_SPARSE_DENSE) return -1;
    return tuff_prune_check(p, s->data) == TUFF_OK ? -1 : cli_error(self);
}

static cJSON *result_json(const compress_row rows[], const settings *s, tuff_model *before,
                          tuff_model *after)
{
    cJSON *json = compress_json(rows, 2);
    cJSON_AddStringToObject(json, "device",
                            tuff_device_get_info(tuff_model_device(before))->id);
    cJSON_AddStringToObject(json, "net_before", tuff_model_net(before));
    cJSON_AddStringToObject(json, "net", tuff_model_net(after));
    cJSON_AddStringToObject(json, "model", s->out);
    return json;
}

static int measure(const cli_command *self, const settings *s, const char *path,
                   tuff_dataset *data, tuff_model *before, tuff_model *after)
{
    compress_row rows[2] = { { .name = "before" }, { .name = "after" } };
    const tuff_measure_params p = { .runs = (int)s->runs };
    if (compress_measure(self, data, before, path, after, s->out, &p, rows) != EXIT_OK)
        return EXIT_WRONG;
    if (cli.json) return cli_print_json(result_json(rows, s, before, after), EXIT_OK);
    compress_print(rows, 2);
    if (strcmp(tuff_model_net(before), tuff_model_net(after)) != 0)
        printf("net: %s\n", tuff_model_net(after));
    printf("model: %s\n", s->out);
    return EXIT_OK;
}

// Prunes, and puts what is left into a sparse form; each where it was asked for.
static tuff_status make_smaller(const settings *s, const tuff_prune_params *p,
                                tuff_dataset *data, tuff_model *model, tuff_model **pruned)
{
    const tuff_sparsify_params sparse = { .form = find_form(s->form), .measure = true };
    tuff_model *dense = NULL;
    if (sparse.form == TUFF_SPARSE_DENSE) return tuff_prune(model, data, p, pruned);
    if (!asks_to_prune(s)) return tuff_sparsify(model, &sparse, pruned);
    tuff_status status = tuff_prune(model, data, p, &dense);
    if (status == TUFF_OK) status = tuff_sparsify(dense, &sparse, pruned);
    tuff_model_destroy(&dense);
    return status;
}

static int prune(const cli_command *self, const settings *s, const char *path,
                 const tuff_prune_params *p, tuff_dataset *data, tuff_model *model)
{
    tuff_model *pruned = NULL;
    const tuff_status status = make_smaller(s, p, data, model, &pruned);
    cli_bar_end();
    const int result = status == TUFF_OK ? measure(self, s, path, data, model, pruned)
                                         : cli_error(self);
    tuff_model_destroy(&pruned);
    return result;
}

int cmd_prune(const cli_command *self, int argc, char **argv)
{
    settings s = { .method = "l1", .target = "weights", .schedule = "oneshot",
                   .form = "dense",
                   .tune = FINETUNE_DEFAULTS };
    const cli_option options[] = {
        { "method", CLI_TEXT, &s.method, "NAME",
          "l1 l2 random threshold taylor slimming similar; the default is l1" },
        { "target", CLI_TEXT, &s.target, "WHAT",
          "weights channels neurons layers 4x4 (blocks) 2:4 (or another N:M); the\n"
          "default is weights" },
        { "sparsity", CLI_REAL, &s.sparsity, "X", "part that goes, below 1" },
        { "threshold", CLI_REAL, &s.threshold, "X",
          "of the method threshold: what is below X deviations of its layer's weights\n"
          "goes, or with --global what is below X" },
        { "global", CLI_FLAG, &s.global, NULL,
          "ranks over all layers; else each loses the same part" },
        { "most", CLI_REAL, &s.most, "X",
          "with --global no layer loses more of its channels or neurons; 0.9" },
        { "rates", CLI_TEXT, &s.rates, "TEXT",
          "other rates of single layers: \"0=0.34 3=0.9 5=100\", by place (tuff info);\n"
          "1 and more is how many stay" },
        { "schedule", CLI_TEXT, &s.schedule, "HOW",
          "oneshot, or gradual: while the net is fine-tuned" },
        { "ramp", CLI_REAL, &s.ramp, "X",
          "the part of the fine-tuning in which the sparsity grows; 0.7" },
        { "examples", CLI_INT, &s.examples, "N", "that taylor looks at; 1024" },
        { "form", CLI_TEXT, &s.form, "FORM",
          "of dense layers afterwards: any (what is fastest here, by measurement),\n"
          "csr, bsr (blocks of 4x4), nm, or dense, the default" },
        { "data", CLI_TEXT, &s.data, "SPEC", "to fine-tune and to test on" },
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        { "limit-test", CLI_INT, &s.limit_test, "N", "use N test examples only" },
        { "runs", CLI_INT, &s.runs, "N", "timed, of which the median counts; 15, -1: none" },
        { "out", CLI_TEXT, &s.out, "MODEL", "where the pruned model goes" },
        FINETUNE_OPTIONS(s.tune),
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_prune_params p;
    tuff_train_params tune;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    if (!s.out) return cli_wrong(self, "--out is needed");
    status = read_params(self, &s, &tune, &p);
    if (status >= 0) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, words.item[0]);
    const tuff_dataset_params dp = { .limit_train = s.limit_train,
                                     .limit_test = s.limit_test };
    tuff_dataset *data = model && s.data ? report_open_data(self, s.data, &dp) : NULL;
    status = model && (data || !s.data) ? prune(self, &s, words.item[0], &p, data, model)
                                        : EXIT_WRONG;
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
