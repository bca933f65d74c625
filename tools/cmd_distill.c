// tuff distill
#include "compress_report.h"
#include "distill_mutual.h"
#include "finetune.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS = 5 };

typedef struct settings {
    cli_list teachers, students, outs;
    const char *student, *data, *without, *out, *match, *cache; // student, out: the first
    double temperature, alpha;
    int64_t limit_train, limit_test, runs;
    bool mutual;
    finetune tune;
} settings;

typedef struct nets {
    tuff_model *teacher[CLI_ITEMS];
    tuff_model *student, *distilled;
    bool trained; // the student is a model file's
} nets;

// Test examples of the classes that were left out of the training, and how many are right.
typedef struct missing {
    int64_t examples, teacher, before, distilled;
} missing;

// ---- what is given -------------------------------------------------------------------------

static int check_mutual(const cli_command *self, const settings *s)
{
    if (s->teachers.count || s->match || s->cache || s->without)
        return cli_wrong(self, "--mutual takes no --%s: the students teach each other",
                         s->teachers.count ? "teacher"
                         : s->match        ? "match"
                         : s->cache        ? "cache"
                                           : "without");
    if (s->students.count < 2)
        return cli_wrong(self, "--mutual needs two --student at least");
    if (s->outs.count != s->students.count)
        return cli_wrong(self, "--mutual needs an --out for each --student: %d were given for "
                         "%d", s->outs.count, s->students.count);
    return -1;
}

static int check_alone(const cli_command *self, const settings *s)
{
    if (!s->teachers.count) return cli_wrong(self, "--teacher is needed, or --mutual");
    if (!s->students.count) return cli_wrong(self, "--student is needed");
    if (s->students.count > 1)
        return cli_wrong(self, "one --student learns from teachers; several, with --mutual, "
                         "from each other");
    if (!s->outs.count) return cli_wrong(self, "--out is needed");
    if (s->outs.count > 1) return cli_wrong(self, "one --out was expected, not %d",
                                            s->outs.count);
    if (s->match && s->cache)
        return cli_wrong(self, "--match and --cache do not go together: a cache has no "
                         "features");
    return -1;
}

static int check_settings(const cli_command *self, settings *s, const cli_list *words)
{
    if (words->count) return cli_wrong(self, "'%s' is too much", words->item[0]);
    const int status = s->mutual ? check_mutual(self, s) : check_alone(self, s);
    if (status >= 0) return status;
    for (int i = 0; i < s->teachers.count; i++)
        if (!report_is_model(s->teachers.item[i]))
            return cli_wrong(self, "--teacher: %s is no model file", s->teachers.item[i]);
    for (int i = 0; i < s->students.count; i++)
        if (!report_is_model(s->students.item[i]) &&
            tuff_net_text(s->students.item[i], NULL, 0) != TUFF_OK)
            return cli_error(self);
    s->student = s->students.item[0];
    s->out = s->outs.item[0];
    if (!s->data) return cli_wrong(self, "--data is needed, for example --data fashion");
    if (!cli_given(s->temperature)) s->temperature = s->mutual ? 1 : 4;
    if (!cli_given(s->alpha)) s->alpha = s->mutual ? 0.5 : 0.9;
    if (!(s->temperature > 0))
        return cli_wrong(self, "--temperature is a number larger than 0, not %g",
                         s->temperature);
    if (!(s->alpha >= 0 && s->alpha <= 1))
        return cli_wrong(self, "--alpha is a number from 0 to 1, not %g", s->alpha);
    if (s->tune.epochs < 1)
        return cli_wrong(self, "--epochs is a whole number of at least 1, not %lld",
                         (long long)s->tune.epochs);
    return -1;
}

tuff_model *distill_student(const cli_command *self, const char *student, int index,
                            tuff_device *device, const tuff_dataset *data)
{
    const tuff_model_params p = { .net = student, .seed = (uint64_t)cli.seed + (uint64_t)index,
                                  .input = tuff_dataset_get_info(data)->sample };
    tuff_model *model = NULL;
    if (report_is_model(student)) return report_load(self, device, student);
    if (tuff_model_create(device, &p, &model) != TUFF_OK) (void)cli_error(self);
    return model;
}

static bool open_nets(const cli_command *self, const settings *s, tuff_device *device,
                      const tuff_dataset *data, nets *n)
{
    for (int i = 0; i < s->teachers.count; i++) {
        n->teacher[i] = report_load(self, device, s->teachers.item[i]);
        if (!n->teacher[i]) return false;
    }
    n->trained = report_is_model(s->student);
    n->student = distill_student(self, s->student, 0, device, data);
    return n->student;
}

static void close_nets(nets *n)
{
    for (int i = 0; i < CLI_ITEMS; i++) tuff_model_destroy(&n->teacher[i]);
    tuff_model_destroy(&n->student);
    tuff_model_destroy(&n->distilled);
}

// ---- classes that were left out ------------------------------------------------------------

// `present[class]`: it has training examples.
static bool find_present(const tuff_dataset *data, bool present[])
{
    const int64_t n = tuff_dataset_get_info(data)->count[TUFF_TRAIN];
    int32_t *label = malloc((size_t)n * sizeof *label);
    if (!label) return false;
    const bool ok = tuff_dataset_read(data, TUFF_TRAIN, 0, n, NULL, label, NULL) == TUFF_OK;
    for (int64_t i = 0; ok && i < n; i++) present[label[i]] = true;
    free(label);
    return ok;
}

static bool count_right(tuff_model *model, tuff_dataset *data, const bool present[],
                        int64_t *examples, int64_t *right)
{
    tuff_metrics m;
    int64_t n = 0;
    const int64_t width = tuff_desc_count(tuff_model_output(model));
    float *scores = report_scores(model, data, TUFF_LOSS_CROSS_ENTROPY, 0, &m, &n);
    const int64_t rows = tuff_dataset_get_info(data)->count[TUFF_TEST];
    int32_t *label = malloc((size_t)rows * sizeof *label);
    const bool ok = scores && label &&
                    tuff_dataset_read(data, TUFF_TEST, 0, rows, NULL, label, NULL) == TUFF_OK;
    *examples = *right = 0;
    for (int64_t i = 0; ok && i < rows; i++) {
        const float *y = scores + i * width;
        int64_t best = 0;
        for (int64_t c = 1; c < width; c++) best = y[c] > y[best] ? c : best;
        if (present[label[i]]) continue;
        ++*examples;
        *right += best == label[i];
    }
    free(scores);
    free(label);
    return ok;
}

static bool look_at_missing(nets *n, tuff_dataset *data, missing *m)
{
    const int classes = tuff_dataset_get_info(data)->classes;
    bool *present = calloc((size_t)classes, sizeof *present);
    const bool ok =
        present && find_present(data, present) &&
        count_right(n->teacher[0], data, present, &m->examples, &m->teacher) &&
        count_right(n->student, data, present, &m->examples, &m->before) &&
        count_right(n->distilled, data, present, &m->examples, &m->distilled);
    free(present);
    return ok;
}

// ---- what comes of it ----------------------------------------------------------------------

static cJSON *missing_json(const settings *s, const missing *m)
{
    cJSON *o = cJSON_CreateObject();
    const double n = m->examples ? (double)m->examples : 1;
    cJSON_AddStringToObject(o, "classes", s->without);
    cJSON_AddNumberToObject(o, "examples", (double)m->examples);
    cJSON_AddNumberToObject(o, "teacher", (double)m->teacher / n);
    cJSON_AddNumberToObject(o, "before", (double)m->before / n);
    cJSON_AddNumberToObject(o, "after", (double)m->distilled / n);
    return o;
}

static int report(const cli_command *self, const settings *s, const nets *n,
                  const compress_row rows[], const missing *m)
{
    if (cli.json) {
        cJSON *json = compress_json(rows, 3);
        cJSON_AddStringToObject(json, "device",
                                tuff_device_get_info(tuff_model_device(n->student))->id);
        cJSON_AddStringToObject(json, "net", tuff_model_net(n->distilled));
        if (s->without) cJSON_AddItemToObject(json, "without", missing_json(s, m));
        cJSON_AddStringToObject(json, "model", s->out);
        return cli_print_json(json, EXIT_OK);
    }
    (void)self;
    compress_print(rows, 3);
    if (s->without)
        printf("test examples of classes without training examples (%s): %lld, of which the "
               "teacher has %lld right, the student before %lld, after %lld\n", s->without,
               (long long)m->examples, (long long)m->teacher, (long long)m->before,
               (long long)m->distilled);
    printf("model: %s\n", s->out);
    return EXIT_OK;
}

// The files are read before the first is written: `out` may be one of them.
static int measure(const cli_command *self, const settings *s, tuff_dataset *data, nets *n)
{
    compress_row rows[3] = { { .name = "teacher" }, { .name = "before" }, { .name = "after" } };
    missing m = { 0 };
    const int runs = (int)s->runs;
    const tuff_measure_params teacher = { .path = s->teachers.item[0], .runs = runs },
                              before = { .path = n->trained ? s->student : NULL, .runs = runs },
                              after = { .path = s->out, .runs = runs };
    const bool ok =
        (!s->without || look_at_missing(n, data, &m)) &&
        tuff_model_measure(n->teacher[0], data, &teacher, &rows[0].m) == TUFF_OK &&
        tuff_model_measure(n->student, data, &before, &rows[1].m) == TUFF_OK &&
        tuff_model_save(n->distilled, s->out) == TUFF_OK &&
        tuff_model_measure(n->distilled, data, &after, &rows[2].m) == TUFF_OK;
    return ok ? report(self, s, n, rows, &m) : cli_error(self);
}

static int distill(const cli_command *self, const settings *s, const tuff_train_params *tune,
                   tuff_device *device, tuff_dataset *data)
{
    nets n = { .trained = false };
    int status = EXIT_WRONG;
    if (open_nets(self, s, device, data, &n)) {
        const tuff_distill_params p = {
            .teach = { .teacher = n.teacher, .teachers = s->teachers.count,
                       .temperature = (float)s->temperature,
                       .alpha = s->alpha == 0 ? TUFF_ZERO : (float)s->alpha,
                       .match = s->match, .cache = s->cache },
            .tune = tune,
        };
        const tuff_status done = tuff_distill(n.student, data, &p, &n.distilled);
        cli_bar_end();
        status = done == TUFF_OK ? measure(self, s, data, &n) : cli_error(self);
    }
    close_nets(&n);
    return status;
}

static int mutual(const cli_command *self, const settings *s, const tuff_train_params *tune,
                  tuff_device *device, tuff_dataset *data)
{
    const tuff_mutual_params p = {
        .temperature = (float)s->temperature,
        .alpha = s->alpha == 0 ? TUFF_ZERO : (float)s->alpha, .tune = tune,
    };
    return distill_mutual(self, &s->students, &s->outs, &p, (int)s->runs, device, data);
}

int cmd_distill(const cli_command *self, int argc, char **argv)
{
    settings s = { .temperature = CLI_NOT_GIVEN, .alpha = CLI_NOT_GIVEN,
                   .tune = FINETUNE_DEFAULTS };
    s.tune.epochs = EPOCHS;
    const cli_option options[] = {
        { "teacher", CLI_LIST, &s.teachers, "MODEL", "who teaches; several may be given" },
        { "student", CLI_LIST, &s.students, "NET|MODEL",
          "who learns: a net as of tuff train, which starts anew, or a model file" },
        { "mutual", CLI_FLAG, &s.mutual, NULL,
          "without teachers: several students teach each other; each has an --out" },
        { "temperature", CLI_REAL, &s.temperature, "T",
          "by which logits are divided before the softmax; 4, with --mutual 1" },
        { "alpha", CLI_REAL, &s.alpha, "A",
          "0 to 1: the part of the loss that is the teachers', the rest is the labels';\n"
          "0.9, with --mutual 0.5" },
        { "match", CLI_TEXT, &s.match, "TEXT",
          "layers that are to become alike besides, by place (tuff info), the (first)\n"
          "teacher's and the student's, perhaps with a weight: \"3=2 5=4:0.5\"" },
        { "cache", CLI_TEXT, &s.cache, "FILE",
          "of what the teachers say of all training examples: written where it is not\n"
          "there, read where it is, so that they need not run again" },
        { "data", CLI_TEXT, &s.data, "SPEC", "what to train and to test on" },
        { "without", CLI_TEXT, &s.without, "CLASS[,CLASS]",
          "classes (numbers or names) whose training examples are left out; then it is shown\n"
          "how many test examples of theirs are right all the same" },
        { "epochs", CLI_INT, &s.tune.epochs, "N", "passes over the training data; 5" },
        FINETUNE_HOW(s.tune),
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        { "limit-test", CLI_INT, &s.limit_test, "N", "use N test examples only" },
        { "runs", CLI_INT, &s.runs, "N", "timed, of which the median counts; 15, -1: none" },
        { "out", CLI_LIST, &s.outs, "MODEL",
          "where the student goes; with --mutual one for each, in their order" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_train_params tune;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    status = check_settings(self, &s, &words);
    if (status < 0) status = finetune_read(self, &s.tune, &tune);
    if (status >= 0) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    const tuff_dataset_params dp = { .limit_train = s.limit_train, .limit_test = s.limit_test,
                                     .without = s.without };
    tuff_dataset *data = report_open_data(self, s.data, &dp);
    status = !data      ? EXIT_WRONG
             : s.mutual ? mutual(self, &s, &tune, device, data)
                        : distill(self, &s, &tune, device, data);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return status;
}
