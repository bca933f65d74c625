// tuff optimize: a recipe's steps, each a subcommand that is given the model of the one before.
#include "compress_report.h"
#include "recipe.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 512, ARGS = RECIPE_WORDS + 16 };

// A subcommand that can be a step.
typedef struct step_kind {
    const char *name;
    bool makes; // gives a model
} step_kind;

static const step_kind kinds[] = {
    { "train", true },    { "prune", true },    { "distill", true },
    { "quantize", true }, { "compress", true }, { "sensitivity", false },
};

typedef struct step {
    const recipe_line *line;
    const step_kind *kind;
    char out[PATH]; // where its model goes; "": it makes none
    bool trains, begins; // with a net of its own
    cJSON *object;  // what its subcommand says of it
    int row;        // of what it made; -1: none
} step;

// What stands once, and in which line.
typedef struct setting {
    const char *value;
    int line;
} setting;

typedef struct job {
    const cli_command *self;
    recipe recipe;
    setting data, model, out, limit;
    char folder[PATH], placeholder[PATH];
    step step[RECIPE_STEPS];
    int steps;
    compress_row row[RECIPE_STEPS + 1]; // of the net as it was, and of what steps made
    int rows;
} job;

// ---- lines ---------------------------------------------------------------------------------

static const step_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

static int take_setting(job *j, const recipe_line *line, setting *s)
{
    if (s->value)
        return recipe_wrong(j->self, &j->recipe, line->number, "%s was said before",
                            line->word[0]);
    if (line->words != 2)
        return recipe_wrong(j->self, &j->recipe, line->number,
                            "%s takes one word, with quotes round it if it has blanks",
                            line->word[0]);
    *s = (setting){ line->word[1], line->number };
    return EXIT_OK;
}

// What a step is given, and what is asked for once of all.
static bool is_outer(const char *word)
{
    static const char *const outer[] = { "--out", "--json", "--quiet", "--device", "--tune",
                                         "--tune-file", "--help" };
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++) {
        const size_t n = strlen(outer[i]);
        if (strncmp(word, outer[i], n) == 0 && (!word[n] || word[n] == '=')) return true;
    }
    return false;
}

static bool has_option(const step *s, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 1; i < s->line->words; i++) {
        const char *word = s->line->word[i];
        if (strncmp(word, name, n) == 0 && (!word[n] || word[n] == '=')) return true;
    }
    return false;
}

static int take_line(job *j, const recipe_line *line)
{
    const char *const name = line->word[0];
    const struct {
        const char *name;
        setting *value;
    } settings[] = { { "data", &j->data }, { "model", &j->model }, { "out", &j->out },
                     { "limit-test", &j->limit } };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(settings[i].name, name) == 0)
            return take_setting(j, line, settings[i].value);
    const step_kind *kind = find_kind(name);
    if (!kind)
        return recipe_wrong(j->self, &j->recipe, line->number,
                            "'%.64s' is unknown, expected data, model, out, limit-test, train, "
                            "prune, distill, quantize, compress or sensitivity", name);
    for (int i = 1; i < line->words; i++)
        if (is_outer(line->word[i]))
            return recipe_wrong(j->self, &j->recipe, line->number,
                                "%s is no option of a step: tuff optimize has it, or the line "
                                "'out'", line->word[i]);
    step *s = &j->step[j->steps];
    *s = (step){ .line = line, .kind = kind, .row = -1, .trains = strcmp(name, "train") == 0 };
    s->begins = s->trains && has_option(s, "--net");
    if (s->begins && (j->steps || j->model.value))
        return recipe_wrong(j->self, &j->recipe, line->number,
                            "train --net begins a net: that is the first step, of a recipe "
                            "without model");
    j->steps++;
    return EXIT_OK;
}

static const step *last_maker(const job *j)
{
    for (int i = j->steps; i-- > 0;)
        if (j->step[i].kind->makes) return &j->step[i];
    return NULL;
}

static bool is_packed(const char *path)
{
    const size_t n = strlen(path);
    return n > 6 && strcmp(path + n - 6, ".tuffz") == 0;
}

static int check_whole(const job *j)
{
    const recipe *r = &j->recipe;
    const step *last = last_maker(j);
    const char *missing = NULL;
    if (!j->steps) missing = "there is no step in it";
    else if (!j->data.value) missing = "a line 'data SPEC' is needed";
    else if (!j->model.value && !j->step[0].begins)
        missing = "a line 'model MODEL' is needed, or a first step 'train --net NET'";
    else if (last && !j->out.value) missing = "a line 'out MODEL' is needed";
    if (missing) return recipe_wrong(j->self, r, 0, "%s", missing);
    if (!last && j->out.value)
        return recipe_wrong(j->self, r, j->out.line, "no step makes a model for 'out'");
    if (!last) return EXIT_OK;
    if (strcmp(last->kind->name, "compress") == 0 && !is_packed(j->out.value))
        return recipe_wrong(j->self, r, j->out.line,
                            "out is '%s', but what compress makes is a .tuffz", j->out.value);
    return report_folder(j->self, j->out.value);
}

static int read_lines(job *j, const char *file)
{
    int status = recipe_read(j->self, file, &j->recipe);
    for (int i = 0; i < j->recipe.lines && status == EXIT_OK; i++)
        status = take_line(j, &j->recipe.line[i]);
    return status == EXIT_OK ? check_whole(j) : status;
}

// ---- one step ------------------------------------------------------------------------------

// The arguments of a step's subcommand: what it is given, then the words of the line, which
// count where they say the same thing again.
static int fill_args(const job *j, const step *s, const char *model, const char *args[])
{
    int n = 0;
    if (strcmp(s->kind->name, "distill") == 0) {
        // The model is who learns, or else who teaches.
        args[n++] = has_option(s, "--student") ? "--teacher" : "--student";
        args[n++] = model;
    } else if (!s->begins) {
        if (s->trains) args[n++] = "--net";
        args[n++] = model;
    }
    args[n++] = "--data";
    args[n++] = j->data.value;
    if (j->limit.value) {
        args[n++] = "--limit-test";
        args[n++] = j->limit.value;
    }
    if (s->kind->makes) {
        args[n++] = "--out";
        args[n++] = s->out;
    }
    for (int i = 1; i < s->line->words; i++) args[n++] = s->line->word[i];
    return n;
}

static int run_step(const job *j, const step *s, const char *model, cli_caught *caught)
{
    char where[PATH + 64];
    const char *args[ARGS];
    const int n = fill_args(j, s, model, args);
    snprintf(where, sizeof where, "tuff optimize: %s:%d: %s", j->recipe.file, s->line->number,
             s->kind->name);
    caught->where = where;
    return cli_run(cli_command_named(s->kind->name), n, (char **)args, caught);
}

// Whether the words of every step can be, before the first one runs.
static int check_steps(const job *j)
{
    for (int i = 0; i < j->steps; i++) {
        cli_caught caught = { .check = true };
        (void)run_step(j, &j->step[i], j->placeholder, &caught);
        if (!caught.right) return EXIT_WRONG;
    }
    return EXIT_OK;
}

// ---- rows ----------------------------------------------------------------------------------

static void add_row(job *j, const char *name, const tuff_measure *m)
{
    j->row[j->rows++] = (compress_row){ .name = name, .m = *m };
}

// Of the rows of a step's own table the last is what it made. The first of all that is named
// so, or else a teacher who was given, is the net as it was.
static void take_rows(job *j, step *s)
{
    const compress_row *rows;
    const int n = compress_last(&rows);
    const bool teaches = strcmp(s->kind->name, "distill") == 0 && has_option(s, "--student");
    if (!j->rows && j->model.value) {
        int first = 0;
        while (!teaches && first < n - 1 && strcmp(rows[first].name, "before") != 0) first++;
        add_row(j, "before", &rows[first].m);
    }
    s->row = j->rows;
    add_row(j, s->kind->name, &rows[n - 1].m);
}

// tuff train has no such table. EXIT_OK, or an error that was said.
static int measure(job *j, const char *path, const char *name, tuff_device *device,
                   tuff_dataset *data)
{
    const tuff_measure_params p = { .path = path };
    tuff_measure m;
    tuff_model *model = report_load(j->self, device, path);
    if (!model) return EXIT_WRONG;
    const tuff_status status = tuff_model_measure(model, data, &p, &m);
    tuff_model_destroy(&model);
    if (status != TUFF_OK) return cli_error(j->self);
    add_row(j, name, &m);
    return EXIT_OK;
}

static int run_steps(job *j, tuff_device *device, tuff_dataset *data, const char **made)
{
    const char *model = j->model.value;
    for (int i = 0; i < j->steps; i++) {
        step *s = &j->step[i];
        cli_caught caught = { .text = !cli.json };
        cli_note("%s:%d: %s", j->recipe.file, s->line->number, s->kind->name);
        const int status = run_step(j, s, model, &caught);
        s->object = caught.object;
        if (status != EXIT_OK) return EXIT_WRONG;
        if (s->trains && !j->rows && !s->begins && measure(j, model, "before", device, data))
            return EXIT_WRONG;
        if (s->trains && measure(j, s->out, "train", device, data)) return EXIT_WRONG;
        if (!s->kind->makes) continue;
        if (s->trains) s->row = j->rows - 1;
        else take_rows(j, s);
        model = s->out;
    }
    *made = model;
    return EXIT_OK;
}

// ---- what comes of it ----------------------------------------------------------------------

static cJSON *step_json(const job *j, step *s)
{
    cJSON *o = cJSON_CreateObject(), *words = NULL;
    cJSON_AddStringToObject(o, "step", s->kind->name);
    cJSON_AddNumberToObject(o, "line", s->line->number);
    words = cJSON_AddArrayToObject(o, "words");
    for (int i = 1; i < s->line->words; i++)
        cJSON_AddItemToArray(words, cJSON_CreateString(s->line->word[i]));
    if (s->row >= 0)
        cJSON_AddItemToObject(o, "after", compress_row_json(&j->row[s->row].m));
    cJSON_DeleteItemFromObject(s->object, "model"); // a file that is gone
    cJSON_AddItemToObject(o, "result", s->object);
    s->object = NULL;
    return o;
}

static int show_json(job *j)
{
    compress_row ends[2] = { j->row[0], j->row[j->rows ? j->rows - 1 : 0] };
    ends[0].name = "before";
    ends[1].name = "after";
    cJSON *json = j->rows ? compress_json(ends, 2) : cJSON_CreateObject();
    cJSON *steps = cJSON_AddArrayToObject(json, "steps");
    cJSON_AddStringToObject(json, "recipe", j->recipe.file);
    for (int i = 0; i < j->steps; i++) cJSON_AddItemToArray(steps, step_json(j, &j->step[i]));
    if (j->out.value) cJSON_AddStringToObject(json, "model", j->out.value);
    return cli_print_json(json, EXIT_OK);
}

static int finish(job *j, tuff_device *device, const char *made)
{
    if (j->out.value) {
        tuff_model *model = report_load(j->self, device, made);
        if (!model) return EXIT_WRONG;
        const tuff_status status = tuff_model_save(model, j->out.value);
        tuff_model_destroy(&model);
        if (status != TUFF_OK) return cli_error(j->self);
    }
    if (cli.json) return show_json(j);
    if (j->rows) compress_print(j->row, j->rows);
    if (j->out.value) printf("model: %s\n", j->out.value);
    return EXIT_OK;
}

// ---- the whole -----------------------------------------------------------------------------

// A folder for the models between steps, and a model file without a net in it, which stands for
// them while words are checked.
static int make_folder(job *j)
{
    static const unsigned char empty[] = { 2, 0, 0, 0, 0, 0, 0, 0, '{', '}' };
    const char *temp = getenv("TMPDIR");
    snprintf(j->folder, sizeof j->folder, "%.400s/tuff-optimize-XXXXXX", temp ? temp : "/tmp");
    if (!mkdtemp(j->folder)) {
        cli_wrong(j->self, "%s could not be made", j->folder);
        j->folder[0] = 0;
        return EXIT_WRONG;
    }
    const step *last = last_maker(j);
    snprintf(j->placeholder, PATH, "%.480s/none", j->folder);
    for (int i = 0; i < j->steps; i++) {
        step *s = &j->step[i];
        const bool packed = strcmp(s->kind->name, "compress") == 0 ||
                            (s == last && is_packed(j->out.value));
        if (s->kind->makes)
            snprintf(s->out, PATH, "%.480s/%d.%s", j->folder, i,
                     packed ? "tuffz" : "safetensors");
    }
    FILE *f = fopen(j->placeholder, "wb");
    const bool written = f && fwrite(empty, sizeof empty, 1, f) == 1;
    if (f && fclose(f) == 0 && written) return EXIT_OK;
    return cli_wrong(j->self, "%s could not be written", j->placeholder);
}

static void remove_folder(const job *j)
{
    for (int i = 0; i < j->steps; i++)
        if (j->step[i].out[0]) (void)unlink(j->step[i].out);
    if (j->placeholder[0]) (void)unlink(j->placeholder);
    if (j->folder[0]) (void)rmdir(j->folder);
}

static void clear(job *j)
{
    for (int i = 0; i < j->steps; i++) cJSON_Delete(j->step[i].object);
    remove_folder(j);
    recipe_clear(&j->recipe);
}

// Who is interrupted leaves no models behind; the signal then ends the program as ever.
static const job *running;

static void interrupted(int signal)
{
    remove_folder(running);
    (void)raise(signal);
}

static void watch_signals(const job *j)
{
    static const int ends[] = { SIGHUP, SIGINT, SIGTERM };
    const struct sigaction once = { .sa_handler = interrupted, .sa_flags = (int)SA_RESETHAND };
    running = j;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        (void)sigaction(ends[i], &once, NULL);
}

static int optimize(job *j, tuff_device *device, tuff_dataset *data)
{
    const char *made = NULL;
    const int status = run_steps(j, device, data, &made);
    return status == EXIT_OK ? finish(j, device, made) : status;
}

// What the settings name is there: the data, and a model that can be read.
static int open_settings(job *j, tuff_device *device, tuff_dataset **data)
{
    tuff_dataset_params p = { .limit_train = 0 };
    tuff_model *model = NULL;
    char *end = "";
    if (j->limit.value) p.limit_test = strtoll(j->limit.value, &end, 10);
    if (j->limit.value && (p.limit_test < 1 || *end))
        return recipe_wrong(j->self, &j->recipe, j->limit.line,
                            "limit-test is '%s', expected a whole number of at least 1",
                            j->limit.value);
    if (j->model.value && tuff_model_load(device, j->model.value, &model) != TUFF_OK)
        return recipe_wrong(j->self, &j->recipe, j->model.line, "%s", tuff_last_error());
    tuff_model_destroy(&model);
    if (tuff_dataset_open(j->data.value, &p, data) != TUFF_OK)
        return recipe_wrong(j->self, &j->recipe, j->data.line, "%s", tuff_last_error());
    return EXIT_OK;
}

int cmd_optimize(const cli_command *self, int argc, char **argv)
{
    static job j; // large
    bool check = false;
    const cli_option options[] = {
        { "check", CLI_FLAG, &check, NULL, "looks whether the recipe is right, and stops" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one recipe was expected");
    tuff_dataset *data = NULL;
    tuff_device *device = NULL;
    j.self = self;
    watch_signals(&j);
    status = read_lines(&j, words.item[0]);
    if (status == EXIT_OK) status = make_folder(&j);
    if (status == EXIT_OK) status = check_steps(&j);
    if (status == EXIT_OK && !(device = cli_open_device(self))) status = EXIT_WRONG;
    if (status == EXIT_OK) status = open_settings(&j, device, &data);
    if (status == EXIT_OK && check) cli_note("%s: %d steps", j.recipe.file, j.steps);
    else if (status == EXIT_OK) status = optimize(&j, device, data);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    clear(&j);
    return status;
}
