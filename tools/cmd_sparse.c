// tuff sparse
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>

// "1024x1024" or "1024x1024x64".
static bool parse_shape(const char *text, tuff_sparse_shape *shape)
{
    int64_t *const to[] = { &shape->rows, &shape->cols, &shape->batch };
    shape->batch = 1;
    for (int i = 0; i < 3; i++) {
        char *end;
        *to[i] = strtoll(text, &end, 10);
        if (end == text || *to[i] < 1 || *to[i] > INT32_MAX) return false;
        if (!*end) return i > 0;
        if (*end != 'x') return false;
        text = end + 1;
    }
    return false;
}

static bool parse_densities(const cli_list *list, tuff_sparse_measure_params *p, int *wrong)
{
    for (int i = 0; i < list->count; i++) {
        char *end;
        const double d = strtod(list->item[i], &end);
        *wrong = i;
        if (end == list->item[i] || *end || !(d > 0 && d < 1)) return false;
        p->density[i] = (float)d;
    }
    return true;
}

static int print_json(tuff_device *device, const tuff_sparse_shape *shape,
                      const tuff_sparse_times *t)
{
    const double dims[] = { (double)shape->rows, (double)shape->cols, (double)shape->batch };
    cJSON *json = cJSON_CreateObject(), *points = cJSON_CreateArray();
    cJSON_AddStringToObject(json, "device", tuff_device_get_info(device)->id);
    cJSON_AddItemToObject(json, "shape", cJSON_CreateDoubleArray(dims, 3));
    cJSON_AddBoolToObject(json, "linear", shape->linear);
    for (int i = 0; i < t->count; i++) {
        const tuff_sparse_point *p = &t->point[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "form", tuff_sparse_form_name(p->form));
        cJSON_AddNumberToObject(o, "density", p->density);
        cJSON_AddNumberToObject(o, "ms", p->seconds * 1e3);
        cJSON_AddNumberToObject(o, "dense_ms", p->dense * 1e3);
        cJSON_AddItemToArray(points, o);
    }
    cJSON_AddItemToObject(json, "points", points);
    cJSON *even = cJSON_AddObjectToObject(json, "break_even");
    for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++)
        cJSON_AddNumberToObject(even, tuff_sparse_form_name(f), t->break_even[f]);
    return cli_print_json(json, EXIT_OK);
}

static void print_table(const tuff_sparse_times *t)
{
    printf("%-5s %9s %11s %11s %7s\n", "form", "density", "ms", "dense ms", "ratio");
    for (int i = 0; i < t->count; i++) {
        const tuff_sparse_point *p = &t->point[i];
        printf("%-5s %9.4f %11.4f %11.4f %7.2f\n", tuff_sparse_form_name(p->form), p->density,
               p->seconds * 1e3, p->dense * 1e3, p->seconds / p->dense);
    }
    printf("break-even:");
    for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++)
        if (t->break_even[f] > 0)
            printf("  %s %.3f", tuff_sparse_form_name(f), t->break_even[f]);
        else printf("  %s never", tuff_sparse_form_name(f));
    printf("  (below it the form is faster than dense)\n");
}

int cmd_sparse(const cli_command *self, int argc, char **argv)
{
    bool linear = false;
    int64_t runs = 9;
    cli_list density = { 0 }, words;
    const cli_option options[] = {
        { "linear", CLI_FLAG, &linear, NULL,
          "y = b A^T, as in a linear layer; y = A b if not given" },
        { "density", CLI_LIST, &density, "D",
          "a density to measure at, up to 8; 0.5 0.3 0.2 0.1 0.05 0.02" },
        { "runs", CLI_INT, &runs, "N", "of which the median counts, 3 to 999; 9" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    int status = cli_parse(self, options, argc, argv, &words), wrong = 0;
    tuff_sparse_shape shape = { 0 };
    if (status >= 0) return status;
    if (!words.count) return cli_wrong(self, "a shape was expected, such as 1024x1024x64");
    if (words.count > 1) return cli_wrong(self, "'%s' is too much", words.item[1]);
    if (!parse_shape(words.item[0], &shape))
        return cli_wrong(self, "'%s' is no shape such as 1024x1024x64", words.item[0]);
    shape.linear = linear;
    if (runs < 3 || runs > 999)
        return cli_wrong(self, "--runs is %lld, expected 3 to 999", (long long)runs);
    tuff_sparse_measure_params p = { .runs = (int)runs };
    if (density.count > TUFF_SPARSE_DENSITIES)
        return cli_wrong(self, "%d densities, at most %d are measured", density.count,
                         TUFF_SPARSE_DENSITIES);
    if (!parse_densities(&density, &p, &wrong))
        return cli_wrong(self, "--density is '%s', expected above 0 and below 1",
                         density.item[wrong]);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_sparse_times times;
    if (tuff_sparse_measure(device, &shape, &p, &times) != TUFF_OK) status = cli_error(self);
    else if (cli.json) status = print_json(device, &shape, &times);
    else {
        print_table(&times);
        status = EXIT_OK;
    }
    tuff_device_close(&device);
    return status;
}
