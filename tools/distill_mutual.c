#include "distill_mutual.h"
#include "compress_report.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct pupil {
    tuff_model *before, *after;
    const char *path, *out; // path NULL: it started anew
    compress_row rows[2];
} pupil;

static bool open_pupils(const cli_command *self, const cli_list *students, const cli_list *outs,
                        tuff_device *device, const tuff_dataset *data, pupil pupils[])
{
    for (int i = 0; i < students->count; i++) {
        pupil *p = &pupils[i];
        const char *student = students->item[i];
        *p = (pupil){ .path = report_is_model(student) ? student : NULL, .out = outs->item[i],
                      .rows = { { .name = "before" }, { .name = "after" } } };
        p->before = distill_student(self, student, i, device, data);
        if (!p->before) return false;
    }
    return true;
}

// All are measured before the first is written: an `out` may be another one's file.
static tuff_status measure(pupil pupils[], int count, int runs, tuff_dataset *data)
{
    for (int i = 0; i < count; i++) {
        const tuff_measure_params p = { .path = pupils[i].path, .runs = runs };
        tuff_measure *m = &pupils[i].rows[0].m;
        const tuff_status status = tuff_model_measure(pupils[i].before, data, &p, m);
        if (status != TUFF_OK) return status;
    }
    for (int i = 0; i < count; i++) {
        const tuff_measure_params p = { .path = pupils[i].out, .runs = runs };
        tuff_measure *m = &pupils[i].rows[1].m;
        tuff_status status = tuff_model_save(pupils[i].after, pupils[i].out);
        if (status == TUFF_OK) status = tuff_model_measure(pupils[i].after, data, &p, m);
        if (status != TUFF_OK) return status;
    }
    return TUFF_OK;
}

static int report(tuff_device *device, const pupil pupils[], int count)
{
    cJSON *json = cli.json ? cJSON_CreateObject() : NULL;
    cJSON *list = json ? cJSON_AddArrayToObject(json, "students") : NULL;
    for (int i = 0; i < count; i++) {
        const pupil *p = &pupils[i];
        if (json) {
            cJSON *row = compress_json(p->rows, 2);
            cJSON_AddStringToObject(row, "net", tuff_model_net(p->after));
            cJSON_AddStringToObject(row, "model", p->out);
            cJSON_AddItemToArray(list, row);
            continue;
        }
        printf("%sstudent %d: %s\n", i ? "\n" : "", i + 1, tuff_model_net(p->after));
        compress_print(p->rows, 2);
        printf("model: %s\n", p->out);
    }
    if (!json) return EXIT_OK;
    cJSON_AddStringToObject(json, "device", tuff_device_get_info(device)->id);
    return cli_print_json(json, EXIT_OK);
}

static tuff_status teach(pupil pupils[], int count, const tuff_mutual_params *p,
                         tuff_dataset *data)
{
    tuff_model *before[CLI_ITEMS] = { NULL }, *after[CLI_ITEMS] = { NULL };
    for (int i = 0; i < count; i++) before[i] = pupils[i].before;
    const tuff_status status = tuff_distill_mutual(before, count, data, p, after);
    for (int i = 0; i < count; i++) pupils[i].after = after[i];
    return status;
}

int distill_mutual(const cli_command *self, const cli_list *students, const cli_list *outs,
                   const tuff_mutual_params *p, int runs, tuff_device *device,
                   tuff_dataset *data)
{
    const int count = students->count;
    pupil pupils[CLI_ITEMS] = { { .before = NULL } };
    int status = EXIT_WRONG;
    if (open_pupils(self, students, outs, device, data, pupils)) {
        tuff_status done = teach(pupils, count, p, data);
        cli_bar_end();
        if (done == TUFF_OK) done = measure(pupils, count, runs, data);
        status = done == TUFF_OK ? report(device, pupils, count) : cli_error(self);
    }
    for (int i = 0; i < count; i++) {
        tuff_model_destroy(&pupils[i].before);
        tuff_model_destroy(&pupils[i].after);
    }
    return status;
}
