// tuff sensitivity
#include "compress_report.h"
#include "sensitivity_report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 320, VALUES = 32 };

typedef struct settings {
    const char *model, *method, *target, *values, *bits, *data, *html;
    int64_t examples, limit, limit_train;
} settings;

typedef struct state {
    sensitivity_table table;
    int layers;
    bool full; // no memory for another point
} state;

static bool on_point(void *user, const tuff_sensitivity_point *point)
{
    state *s = user;
    sensitivity_table *t = &s->table;
    tuff_sensitivity_point *grown = realloc(t->point, ((size_t)t->count + 1) * sizeof *grown);
    s->full = !grown;
    if (!grown) return false;
    t->point = grown;
    t->point[t->count++] = *point;
    if (point->layer >= 0)
        cli_bar((double)point->layer / s->layers, "%s  %g", t->name[point->layer],
                point->value);
    return true;
}

// ---- names of layers -----------------------------------------------------------------------

static const char **layer_names(const tuff_model *model, int count)
{
    const char **name = calloc((size_t)count, sizeof *name + NAME);
    char *text = (char *)(name + count);
    tuff_layer_info info;
    for (int i = 0; name && i < count; i++, text += NAME) {
        (void)tuff_model_layer(model, i, &info);
        snprintf(text, NAME, "%.150s %.150s", info.name, info.text);
        name[i] = text;
    }
    return name;
}

// ---- output --------------------------------------------------------------------------------

static double shown(const sensitivity_table *t, const tuff_metrics *m)
{
    return sensitivity_classes(t) ? m->accuracy * 100 : m->loss;
}

static cJSON *table_json(const sensitivity_table *t)
{
    cJSON *json = cJSON_CreateObject(), *points = NULL;
    cJSON *layers = cJSON_AddArrayToObject(json, "layers");
    for (int i = 1; i < t->count; i++) {
        const tuff_sensitivity_point *p = &t->point[i];
        if (p->layer != t->point[i - 1].layer) {
            cJSON *layer = cJSON_CreateObject();
            cJSON_AddItemToArray(layers, layer);
            cJSON_AddStringToObject(layer, "layer", t->name[p->layer]);
            points = cJSON_AddArrayToObject(layer, "points");
        }
        cJSON *point = cJSON_CreateObject();
        cJSON_AddItemToArray(points, point);
        cJSON_AddNumberToObject(point, t->bits ? "bits" : "sparsity", p->value);
        cJSON_AddNumberToObject(point, "loss", p->test.loss);
        if (p->test.accuracy < 0) continue;
        cJSON_AddNumberToObject(point, "accuracy", p->test.accuracy);
        cJSON_AddNumberToObject(point, "errors", (double)(p->test.examples - p->test.correct));
        cJSON_AddNumberToObject(point, "drop",
                                t->point[0].test.accuracy - p->test.accuracy);
    }
    return json;
}

// A line for each layer; the values are those of the first.
static void print_table(const sensitivity_table *t)
{
    printf("\n%s with one layer at a time changed\n",
           sensitivity_classes(t) ? "accuracy, %," : "loss");
    printf("%-32s", t->bits ? "bits" : "sparsity");
    for (int i = 1; i < t->count && t->point[i].layer == t->point[1].layer; i++)
        printf(" %7g", t->point[i].value);
    for (int i = 1; i < t->count; i++) {
        if (t->point[i].layer != t->point[i - 1].layer)
            printf("\n%-32.32s", t->name[t->point[i].layer]);
        printf(" %7.4g", shown(t, &t->point[i].test));
    }
    printf("\n");
}

static void table_page(page *p, const sensitivity_table *t)
{
    fputs("<table><tr><th>layer</th>", p->out);
    for (int i = 1; i < t->count && t->point[i].layer == t->point[1].layer; i++)
        fprintf(p->out, "<th class=\"n\">%g</th>", t->point[i].value);
    for (int i = 1; i < t->count; i++) {
        if (t->point[i].layer != t->point[i - 1].layer) {
            fputs("</tr>\n<tr><td>", p->out);
            page_text(p, t->name[t->point[i].layer]);
            fputs("</td>", p->out);
        }
        fprintf(p->out, "<td class=\"n\">%.4g</td>", shown(t, &t->point[i].test));
    }
    fputs("</tr></table>\n", p->out);
}

static int write_page(const cli_command *self, const settings *s, const tuff_model *model,
                      const sensitivity_table *t)
{
    const tuff_device_info *info = tuff_device_get_info(tuff_model_device(model));
    char problem[512], text[96];
    page p;
    page_open(&p, s->html, "Tuff sensitivity", info);
    if (p.out) {
        page_facts(&p, info);
        page_fact(&p, "Net", tuff_model_net(model));
        page_fact(&p, "As it is", report_line(&t->point[0].test, text, sizeof text));
        page_fact(&p, "Method", t->bits ? "weights rounded" : s->method);
        if (!t->bits) page_fact(&p, "Target", s->target);
        page_fact(&p, "Tuff", TUFF_VERSION);
        page_date(&p);
        sensitivity_plot(&p, t);
        table_page(&p, t);
    }
    return page_close(&p, problem, sizeof problem) ? EXIT_OK : cli_wrong(self, "%s", problem);
}

// ---- the whole -----------------------------------------------------------------------------

static int read_values(const cli_command *self, const char *name, const char *text,
                       double value[])
{
    int n = 0;
    for (const char *at = text + strspn(text, " ,"); *at; n++) {
        char *end;
        if (n == VALUES) return cli_wrong(self, "--%s takes %d at most", name, VALUES), -1;
        value[n] = strtod(at, &end);
        if (end == at || (*end && *end != ',' && *end != ' '))
            return cli_wrong(self, "--%s is a list such as %s, not '%s'", name,
                             strcmp(name, "bits") == 0 ? "\"8 4 2\"" : "0.5,0.8", text), -1;
        at = end + strspn(end, " ,");
    }
    return n;
}

static int read_settings(const cli_command *self, const settings *s, double value[],
                         tuff_sensitivity_params *p)
{
    static const tuff_weights_params round;
    const bool bits = s->bits;
    p->prune = (tuff_prune_params){ .seed = (uint64_t)cli.seed, .examples = (int)s->examples };
    if (tuff_prune_method_parse(s->method, &p->prune.method) != TUFF_OK ||
        tuff_prune_target_parse(s->target, &p->prune) != TUFF_OK)
        return cli_error(self);
    if (bits && *s->values) return cli_wrong(self, "--bits and --values do not go together");
    p->round = bits ? &round : NULL;
    p->values = read_values(self, bits ? "bits" : "values", bits ? s->bits : s->values, value);
    if (p->values < 0) return EXIT_WRONG;
    p->value = p->values ? value : NULL;
    return tuff_sensitivity_check(p) == TUFF_OK ? -1 : cli_error(self);
}

// What the net costs as it is stands before what its layers lose.
static int show(const cli_command *self, const settings *s, tuff_model *model,
                const sensitivity_table *t)
{
    compress_row row = { .name = "as it is" };
    const tuff_measure_params p = { .path = s->model };
    if (s->html && write_page(self, s, model, t) != EXIT_OK) return EXIT_WRONG;
    if (tuff_model_measure(model, NULL, &p, &row.m) != TUFF_OK) return cli_error(self);
    row.m.test = t->point[0].test;
    if (!cli.json || (cli.caught && cli.caught->text)) {
        compress_print(&row, 1);
        print_table(t);
    }
    if (!cli.json) return EXIT_OK;
    cJSON *json = table_json(t);
    cJSON_AddItemToObject(json, "before", compress_row_json(&row.m));
    return cli_print_json(json, EXIT_OK);
}

static int walk(const cli_command *self, const settings *s, tuff_sensitivity_params *p,
                tuff_dataset *data, tuff_model *model)
{
    state st = { .layers = tuff_model_layer_count(model) };
    st.table.name = layer_names(model, st.layers);
    st.table.bits = p->round;
    if (!st.table.name) return cli_wrong(self, "no memory");
    p->on_point = on_point;
    p->user = &st;
    const tuff_status status = tuff_sensitivity(model, data, p);
    cli_bar_end();
    int result = st.full ? cli_wrong(self, "no memory") : EXIT_OK;
    if (status != TUFF_OK) result = cli_error(self);
    if (result == EXIT_OK && st.table.count < 2)
        result = cli_wrong(self, "the net has no layer with %s",
                           p->round ? "weights in f32" : s->target);
    if (result == EXIT_OK) result = show(self, s, model, &st.table);
    free(st.table.point);
    free(st.table.name);
    return result;
}

int cmd_sensitivity(const cli_command *self, int argc, char **argv)
{
    settings s = { .method = "l1", .target = "weights", .values = "" };
    double value[VALUES];
    const cli_option options[] = {
        { "data", CLI_TEXT, &s.data, "SPEC", "to test on" },
        { "method", CLI_TEXT, &s.method, "NAME", "of tuff prune; l1" },
        { "target", CLI_TEXT, &s.target, "WHAT", "weights 4x4 channels neurons; weights" },
        { "values", CLI_TEXT, &s.values, "LIST",
          "parts that go, as in 0.5,0.8,0.9; 0.1 to 0.9, and 0.95" },
        { "bits", CLI_TEXT, &s.bits, "LIST",
          "rounds weights to so many bits, as in \"8 6 4 3 2\", and prunes nothing" },
        { "examples", CLI_INT, &s.examples, "N", "that taylor looks at; 1024" },
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        { "limit-test", CLI_INT, &s.limit, "N", "use N test examples only" },
        { "html", CLI_TEXT, &s.html, "FILE", "a page with a drawing" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_sensitivity_params p = { .values = 0 };
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    s.model = words.item[0];
    if (!s.data) return cli_wrong(self, "--data is needed, for example --data fashion");
    status = read_settings(self, &s, value, &p);
    if (status >= 0) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, words.item[0]);
    const tuff_dataset_params dp = { .limit_train = s.limit_train, .limit_test = s.limit };
    tuff_dataset *data = model ? report_open_data(self, s.data, &dp) : NULL;
    status = data ? walk(self, &s, &p, data, model) : EXIT_WRONG;
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
