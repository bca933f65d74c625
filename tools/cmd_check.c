// tuff check: a table with a line for each operator, kernel and type.
#include "check_report.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static check_row *row_of(check_table *t, const tuff_check_result *r)
{
    const int most = (int)(sizeof t->rows / sizeof *t->rows);
    const char *variant = t->fuzz ? "all" : r->variant;
    char type[8];
    snprintf(type, sizeof type, "%.*s", (int)strcspn(r->text, " "), r->text);
    if (t->fuzz) strcpy(type, "all");
    for (int i = t->count - 1; i >= 0; i--)
        if (strcmp(t->rows[i].op, r->op) == 0 && strcmp(t->rows[i].type, type) == 0 &&
            strcmp(t->rows[i].variant, variant) == 0)
            return &t->rows[i];
    check_row *new = &t->rows[t->count < most ? t->count++ : most - 1];
    *new = (check_row){ .grad_error = -1 };
    snprintf(new->op, sizeof new->op, "%s", r->op);
    snprintf(new->variant, sizeof new->variant, "%s", variant);
    snprintf(new->type, sizeof new->type, "%s", type);
    return new;
}

// Ops are judged in the order of their list.
static int op_index(const char *name)
{
    tuff_op_info op;
    for (int i = 0; tuff_op_get_info(i, &op); i++)
        if (strcmp(op.name, name) == 0) return i;
    return 0;
}

static void add_failure(check_table *t, const tuff_check_result *r)
{
    char again[700];
    snprintf(again, sizeof again, "tuff check --device %s --seed %lld --op '%s %s'", r->device,
             (long long)cli.seed, r->op, r->text);
    cli_bar_end();
    fprintf(stderr, "FAILED  %s %s %s\n        %s\n        again: %s\n", r->op, r->variant,
            r->text, r->problem, again);
    cJSON *f = cJSON_CreateObject();
    cJSON_AddStringToObject(f, "op", r->op);
    cJSON_AddStringToObject(f, "variant", r->variant);
    cJSON_AddStringToObject(f, "case", r->text);
    cJSON_AddStringToObject(f, "problem", r->problem);
    cJSON_AddStringToObject(f, "again", again);
    cJSON_AddItemToArray(t->failures, f);
}

static void on_result(void *user, const tuff_check_result *r)
{
    check_table *t = user;
    check_row *line = row_of(t, r);
    line->passed += r->passed && !r->skipped && !r->refused;
    line->refused += r->refused;
    line->failed += !r->passed && !r->skipped;
    line->skipped += r->skipped;
    line->error = fmax(line->error, r->error);
    line->tolerance = fmax(line->tolerance, r->tolerance);
    line->grad_error = fmax(line->grad_error, r->grad_error);
    line->grad_tolerance = fmax(line->grad_tolerance, r->grad_tolerance);
    t->results++;
    cli_bar(t->fuzz ? (now() - t->start) / t->seconds : (double)op_index(r->op) / t->ops,
            "%d results, %s %s", t->results, r->op, r->text);
    if (!r->passed && !r->skipped) add_failure(t, r);
}

static void print_errors(const check_row *r)
{
    printf(" %9.1e %9.1e", r->error, r->tolerance);
    if (r->grad_error >= 0) printf(" %9.1e %9.1e", r->grad_error, r->grad_tolerance);
    printf("\n");
}

static void print_table(const check_table *t)
{
    printf("%-26s %-12s %-4s %6s %6s %9s %9s %9s %9s\n", "operator", "kernel", "type", "passed",
           "failed", "error", "tolerance", "gradient", "tolerance");
    for (int i = 0; i < t->count; i++) {
        const check_row *r = &t->rows[i];
        printf("%-26s %-12s %-4s %6d %6d", r->op, r->variant, r->type, r->passed, r->failed);
        print_errors(r);
    }
}

static int by_op(const void *a, const void *b)
{
    return op_index(((const check_row *)a)->op) - op_index(((const check_row *)b)->op);
}

// Random cases: an operator a row.
static void print_fuzz(const check_table *t)
{
    printf("%-26s %6s %6s %7s %7s %9s %9s %9s %9s\n", "operator", "passed", "failed", "refused",
           "skipped", "error", "tolerance", "gradient", "tolerance");
    for (int i = 0; i < t->count; i++) {
        const check_row *r = &t->rows[i];
        printf("%-26s %6d %6d %7d %7d", r->op, r->passed, r->failed, r->refused, r->skipped);
        print_errors(r);
    }
}

static tuff_status run_fuzz(check_table *t, tuff_device *device, double seconds,
                            const tuff_check_params *p)
{
    tuff_fuzz_result r;
    t->kind = "random cases";
    t->fuzz = true;
    t->seconds = seconds;
    const tuff_status status = tuff_check_fuzz(device, seconds, p, on_result, t, &r);
    qsort(t->rows, (size_t)t->count, sizeof *t->rows, by_op);
    return status;
}

// Prints what was found; returns the exit status.
static int report(const cli_command *self, check_table *t, const char *html)
{
    const check_row sum = check_total(t);
    const int status = sum.failed ? EXIT_FAILED : EXIT_OK;
    char problem[4200];
    if (html && !check_html(t, html, problem, sizeof problem))
        return cli_wrong(self, "%s", problem);
    if (cli.json) return cli_print_json(check_json(t), status);
    if (t->fuzz) print_fuzz(t);
    else print_table(t);
    if (t->fuzz)
        printf("%d of %d operators; %d cases were refused in words, as they should be\n",
               t->count, t->ops, sum.refused);
    printf("%s (%s): %d passed, %d failed, %d skipped in %.0f s\n", t->info->name,
           t->info->driver, sum.passed, sum.failed, sum.skipped, t->seconds);
    return status;
}

// Whether --op begins with an operator's name, or a pattern that may match one.
static bool names_operator(const char *op)
{
    const size_t n = strcspn(op, " ");
    if (n && strcspn(op, "*?") < n) return true;
    tuff_op_info info;
    for (int i = 0; n && tuff_op_get_info(i, &info); i++)
        if (strlen(info.name) == n && memcmp(info.name, op, n) == 0) return true;
    return false;
}

int cmd_check(const cli_command *self, int argc, char **argv)
{
    static check_table t; // too large for the stack of a small machine
    const char *op = NULL, *html = NULL;
    bool forward = false, thorough = false;
    int64_t repeat = 2;
    double fuzz = CLI_NOT_GIVEN;
    const cli_option options[] = {
        { "op", CLI_TEXT, &op, "NAME",
          "one operator, or the whole string that a failure printed" },
        { "forward", CLI_FLAG, &forward, NULL, "leave gradients out" },
        { "thorough", CLI_FLAG, &thorough, NULL,
          "every case in every type, and with special numbers" },
        { "repeat", CLI_INT, &repeat, "N", "runs of a case that must give the same bits (2)" },
        { "fuzz", CLI_REAL, &fuzz, "SECONDS",
          "random cases for so long, from --seed; a failure is made as small as it can be" },
        { "html", CLI_TEXT, &html, "FILE", "write the report as a page" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    if (repeat < 2 || repeat > 1000000)
        return cli_wrong(self, "--repeat is %lld, expected 2 to 1000000", (long long)repeat);
    if (cli_given(fuzz) && !(fuzz > 0 && fuzz < 1e7))
        return cli_wrong(self, "--fuzz is %g, expected seconds above 0", fuzz);
    const char *variant = getenv("TUFF_VARIANT");
    if (variant && *variant)
        return cli_wrong(self, "TUFF_VARIANT is '%s', but a check runs every kernel: unset it",
                         variant);
    if (op && !names_operator(op))
        return cli_wrong(self, "there is no operator in '%.60s' (tuff op --list shows them)",
                         op);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    char filter[700];
    snprintf(filter, sizeof filter, op && strchr(op, ' ') ? "%s" : "%s *", op ? op : "");
    const tuff_check_params params = { .filter = op ? filter : NULL, .no_grad = forward,
                                       .thorough = thorough, .repeat = (int)repeat,
                                       .seed = (uint64_t)cli.seed };
    t = (check_table){ .failures = cJSON_CreateArray(), .info = tuff_device_get_info(device),
                       .seed = cli.seed, .kind = thorough ? "thorough" : "every case" };
    for (tuff_op_info info; tuff_op_get_info(t.ops, &info);) t.ops++;
    t.start = now();
    const tuff_status result = cli_given(fuzz)
                             ? run_fuzz(&t, device, fuzz, &params)
                             : tuff_check_device(device, &params, on_result, &t);
    t.seconds = now() - t.start;
    cli_bar_end();
    if (result != TUFF_OK && result != TUFF_ERR_CHECK) status = cli_error(self);
    else if (!t.count) status = cli_wrong(self, "no operator or case matches '%s'", op);
    else status = report(self, &t, html);
    cJSON_Delete(t.failures);
    tuff_device_close(&device);
    return status;
}
