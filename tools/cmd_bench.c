// tuff bench: operators and nets, held against what the device can do.
#include "bench_report.h"
#include "tuff_suites.h"
#include <stdio.h>
#include <string.h>

enum { SUITES = (int)(sizeof suites / sizeof *suites) };

typedef struct case_list {
    const char *text[BENCH_CASES];
    int count;
} case_list;

static int add_case(const cli_command *self, case_list *list, const char *text)
{
    char problem[700];
    if (list->count == BENCH_CASES)
        return cli_wrong(self, "more than %d cases", (int)BENCH_CASES);
    if (!bench_case_check(text, problem, sizeof problem))
        return cli_wrong(self, "%s", problem);
    list->text[list->count++] = text;
    return EXIT_OK;
}

// "conv, lenet5, ..": the list has the cases suite by suite.
static void suite_names(char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < SUITES; i++) {
        const size_t used = strlen(text);
        if (i && strcmp(suites[i].suite, suites[i - 1].suite) == 0) continue;
        snprintf(text + used, size - used, "%s%s", i ? ", " : "", suites[i].suite);
    }
}

static int add_suite(const cli_command *self, case_list *list, const char *suite)
{
    char known[256];
    bool found = false;
    for (int i = 0; i < SUITES; i++) {
        if (strcmp(suite, "all") != 0 && strcmp(suite, suites[i].suite) != 0) continue;
        found = true;
        const int status = add_case(self, list, suites[i].text);
        if (status != EXIT_OK) return status;
    }
    if (found) return EXIT_OK;
    suite_names(known, sizeof known);
    return cli_wrong(self, "there is no suite '%s', expected all or one of %s", suite, known);
}

// Children of this process, which may not have opened a device yet.
static int measure_startups(const cli_command *self, const case_list *list,
                            const tuff_bench_params *p, bench_table *t)
{
    char problem[700];
    for (int i = 0; i < list->count; i++) {
        if (bench_kind_of(list->text[i]) != BENCH_STARTUP) continue;
        cli_bar((double)i / list->count, "%s", list->text[i]);
        if (!bench_startup_run(list->text[i], cli.device, p, &t->entry[i], problem,
                               sizeof problem))
            return cli_wrong(self, "%s: %s", list->text[i], problem);
    }
    return EXIT_OK;
}

static int measure(const cli_command *self, tuff_device *device, const case_list *list,
                   bool roof, const tuff_bench_params *p, bench_table *t)
{
    cli_bar(0, "the device's roof");
    if (roof && tuff_bench_measure_roof(device, &t->roof) != TUFF_OK) return cli_error(self);
    for (int i = 0; i < list->count; i++) {
        bench_entry *e = &t->entry[t->count];
        if (bench_kind_of(list->text[i]) == BENCH_STARTUP) {
            *e = t->entry[i];
            t->count++;
            continue;
        }
        cli_bar((double)i / list->count, "%s", list->text[i]);
        if (cli_tune(self, device) != EXIT_OK) return EXIT_WRONG; // each case has its seconds
        tuff_status status = bench_kind_of(list->text[i]) == BENCH_OP
                           ? tuff_tune_case(device, list->text[i]) : TUFF_OK;
        if (status == TUFF_OK)
            status = bench_case_run(device, list->text[i], &t->roof, p, e);
        // A device's limit ends neither a suite nor what was measured before.
        if ((status == TUFF_ERR_LIMIT || status == TUFF_ERR_UNSUPPORTED) && list->count > 1)
            cli_note("left out: %s: %s", list->text[i], tuff_last_error());
        else if (status != TUFF_OK) return cli_error(self);
        else t->count++;
    }
    cli_bar_end();
    return EXIT_OK;
}

static int report(const cli_command *self, const bench_table *t, const char *html)
{
    char problem[4200];
    if (html && !bench_html(t, html, problem, sizeof problem))
        return cli_wrong(self, "%s", problem);
    if (cli.json) return cli_print_json(bench_json(t), EXIT_OK);
    bench_print(t);
    return EXIT_OK;
}

static int add_words(const cli_command *self, case_list *list, const cli_list *words,
                     const char *suite)
{
    for (int i = 0; i < words->count; i++) {
        const int status = add_case(self, list, words->item[i]);
        if (status != EXIT_OK) return status;
    }
    return suite || !words->count ? add_suite(self, list, suite ? suite : "all") : EXIT_OK;
}

int cmd_bench(const cli_command *self, int argc, char **argv)
{
    static bench_table t; // too large for the stack of a small machine
    static case_list list;
    static cli_list batches;
    const char *suite = NULL, *html = NULL, *input = NULL;
    int64_t runs = 15;
    bool no_roof = false;
    char known[256], about[320];
    suite_names(known, sizeof known);
    snprintf(about, sizeof about, "cases that come with tuff:\n%s, or all", known);
    const cli_option options[] = {
        { "suite", CLI_TEXT, &suite, "NAME", about },
        { "html", CLI_TEXT, &html, "FILE", "write the report as a page, with a drawing" },
        { "runs", CLI_INT, &runs, "N", "of which the median counts, 3 to 9999; 15" },
        { "no-roof", CLI_FLAG, &no_roof, NULL,
          "leave out what the device can do at most, and what part of it is reached" },
        { "batch", CLI_LIST, &batches, "N,N",
          "of tuff bench infer MODEL ..: samples at once, such as 1,64; 1" },
        { "input", CLI_TEXT, &input, "CxHxW",
          "likewise: the sample of a preset or a net among the models" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (runs < 3 || runs > 9999)
        return cli_wrong(self, "--runs is %lld, expected 3 to 9999", (long long)runs);
    const tuff_bench_params p = { .runs = (int)runs };
    if (words.count && strcmp(words.item[0], "infer") == 0) {
        if (suite || html || no_roof)
            return cli_wrong(self, "--suite, --html and --no-roof are of cases, infer takes "
                             "model files");
        return bench_infer(self, &words, &batches, input, &p);
    }
    if (batches.count || input)
        return cli_wrong(self, "--batch and --input are of infer MODEL, a case has its own");
    if (no_roof && html) return cli_wrong(self, "--html draws the roof, --no-roof has none");
    status = add_words(self, &list, &words, suite);
    if (status == EXIT_OK) status = measure_startups(self, &list, &p, &t);
    if (status != EXIT_OK) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    t.info = tuff_device_get_info(device);
    status = measure(self, device, &list, !no_roof, &p, &t);
    if (status == EXIT_OK) status = report(self, &t, html);
    tuff_device_close(&device);
    return status;
}
