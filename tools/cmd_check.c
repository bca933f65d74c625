// tuff check: a table with a line for each operator and variant.
#include "cli.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct row {
    char op[32], variant[24];
    int passed, failed, skipped;
    double error, tolerance, grad_error, grad_tolerance;
} row;

typedef struct table {
    row rows[512];
    int count, results, ops;
    cJSON *failures;
} table;

static row *row_of(table *t, const tuff_check_result *r)
{
    const int most = (int)(sizeof t->rows / sizeof *t->rows);
    for (int i = t->count - 1; i >= 0; i--)
        if (strcmp(t->rows[i].op, r->op) == 0 && strcmp(t->rows[i].variant, r->variant) == 0)
            return &t->rows[i];
    row *new = &t->rows[t->count < most ? t->count++ : most - 1];
    *new = (row){ .grad_error = -1 };
    snprintf(new->op, sizeof new->op, "%s", r->op);
    snprintf(new->variant, sizeof new->variant, "%s", r->variant);
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

static void print_failure(const tuff_check_result *r)
{
    cli_bar_end();
    fprintf(stderr, "FAILED  %s %s %s\n        %s\n", r->op, r->variant, r->text, r->problem);
    fprintf(stderr, "        again: tuff check --device %s --seed %lld --op '%s %s'\n",
            r->device, (long long)cli.seed, r->op, r->text);
}

static void on_result(void *user, const tuff_check_result *r)
{
    table *t = user;
    row *line = row_of(t, r);
    line->passed += r->passed && !r->skipped;
    line->failed += !r->passed && !r->skipped;
    line->skipped += r->skipped;
    line->error = fmax(line->error, r->error);
    line->tolerance = fmax(line->tolerance, r->tolerance);
    line->grad_error = fmax(line->grad_error, r->grad_error);
    line->grad_tolerance = fmax(line->grad_tolerance, r->grad_tolerance);
    cli_bar((double)op_index(r->op) / t->ops, "%d results, %s %s", ++t->results, r->op,
            r->text);
    if (r->passed || r->skipped) return;
    print_failure(r);
    cJSON *f = cJSON_CreateObject();
    cJSON_AddStringToObject(f, "op", r->op);
    cJSON_AddStringToObject(f, "variant", r->variant);
    cJSON_AddStringToObject(f, "case", r->text);
    cJSON_AddStringToObject(f, "problem", r->problem);
    cJSON_AddItemToArray(t->failures, f);
}

static void print_table(const table *t)
{
    printf("%-22s %-10s %6s %6s %9s %9s %9s %9s\n", "operator", "variant", "passed", "failed",
           "error", "tolerance", "gradient", "tolerance");
    for (int i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        printf("%-22s %-10s %6d %6d %9.1e %9.1e", r->op, r->variant, r->passed, r->failed,
               r->error, r->tolerance);
        if (r->grad_error >= 0) printf(" %9.1e %9.1e", r->grad_error, r->grad_tolerance);
        printf("\n");
    }
}

static cJSON *table_json(const table *t)
{
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "op", r->op);
        cJSON_AddStringToObject(o, "variant", r->variant);
        cJSON_AddNumberToObject(o, "passed", r->passed);
        cJSON_AddNumberToObject(o, "failed", r->failed);
        cJSON_AddNumberToObject(o, "skipped", r->skipped);
        cJSON_AddNumberToObject(o, "error", r->error);
        cJSON_AddNumberToObject(o, "tolerance", r->tolerance);
        if (r->grad_error >= 0) {
            cJSON_AddNumberToObject(o, "grad_error", r->grad_error);
            cJSON_AddNumberToObject(o, "grad_tolerance", r->grad_tolerance);
        }
        cJSON_AddItemToArray(array, o);
    }
    return array;
}

static void totals(const table *t, row *sum)
{
    *sum = (row){ 0 };
    for (int i = 0; i < t->count; i++) {
        sum->passed += t->rows[i].passed;
        sum->failed += t->rows[i].failed;
        sum->skipped += t->rows[i].skipped;
    }
}

int cmd_check(const cli_command *self, int argc, char **argv)
{
    static table t; // too large for the stack of a small machine
    const char *op = NULL;
    bool forward = false;
    const cli_option options[] = {
        { "op", CLI_TEXT, &op, "NAME",
          "one operator, or the whole string that a failure printed" },
        { "forward", CLI_FLAG, &forward, NULL, "leave gradients out" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    const tuff_device_info *info = tuff_device_get_info(device);
    char filter[600];
    snprintf(filter, sizeof filter, op && strchr(op, ' ') ? "%s" : "%s *", op ? op : "");
    const tuff_check_params params = { .filter = op ? filter : NULL, .no_grad = forward,
                                       .seed = (uint64_t)cli.seed };
    t.failures = cJSON_CreateArray();
    for (tuff_op_info info; tuff_op_get_info(t.ops, &info);) t.ops++;
    const tuff_status result = tuff_check_device(device, &params, on_result, &t);
    cli_bar_end();
    row sum;
    totals(&t, &sum);
    if (result != TUFF_OK && result != TUFF_ERR_CHECK) status = cli_error(self);
    else if (!t.count) status = cli_wrong(self, "no operator or case matches '%s'", op);
    else status = sum.failed ? EXIT_FAILED : EXIT_OK;
    if (status != EXIT_WRONG && cli.json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "device", info->id);
        cJSON_AddStringToObject(json, "name", info->name);
        cJSON_AddStringToObject(json, "driver", info->driver);
        cJSON_AddNumberToObject(json, "passed", sum.passed);
        cJSON_AddNumberToObject(json, "failed", sum.failed);
        cJSON_AddNumberToObject(json, "skipped", sum.skipped);
        cJSON_AddItemToObject(json, "operators", table_json(&t));
        cJSON_AddItemToObject(json, "failures", t.failures);
        status = cli_print_json(json, status);
    } else if (status != EXIT_WRONG) {
        print_table(&t);
        printf("%s (%s): %d passed, %d failed, %d skipped\n", info->name, info->driver,
               sum.passed, sum.failed, sum.skipped);
        cJSON_Delete(t.failures);
    } else {
        cJSON_Delete(t.failures);
    }
    tuff_device_close(&device);
    return status;
}
