// tuff devices
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = { "CPU path",   "software", "virtual",
                                     "integrated", "discrete", "other" };

static cJSON *device_json(const tuff_device_info *d)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "id", d->id);
    cJSON_AddStringToObject(o, "name", d->name);
    cJSON_AddStringToObject(o, "vendor", d->vendor);
    cJSON_AddStringToObject(o, "type", types[d->type]);
    cJSON_AddStringToObject(o, "driver", d->driver);
    cJSON_AddStringToObject(o, "api", d->api);
    cJSON_AddNumberToObject(o, "memory", (double)d->memory);
    cJSON_AddNumberToObject(o, "max_tensor", (double)d->max_tensor);
    cJSON_AddNumberToObject(o, "subgroup", d->subgroup);
    cJSON_AddNumberToObject(o, "max_workgroup", d->max_group);
    cJSON_AddNumberToObject(o, "shared_memory", d->shared);
    cJSON_AddStringToObject(o, "features", d->features);
    cJSON_AddBoolToObject(o, "usable", !d->problem[0]);
    if (d->problem[0]) cJSON_AddStringToObject(o, "problem", d->problem);
    return o;
}

static void print_device(const tuff_device_info *d)
{
    char memory[32], tensor[32], shared[32];
    printf("%-10s %s\n", d->id, d->name);
    if (d->problem[0]) printf("           not usable: %s\n", d->problem);
    printf("           %s, %s", types[d->type], d->vendor);
    if (d->driver[0]) printf(", %s", d->driver);
    if (d->api[0]) printf(", Vulkan %s", d->api);
    printf("\n           memory %s, largest tensor %s\n",
           cli_bytes(d->memory, memory, sizeof memory),
           cli_bytes(d->max_tensor, tensor, sizeof tensor));
    if (d->type == TUFF_DEVICE_CPU) {
        printf("           %u threads\n", d->max_group);
        return;
    }
    printf("           subgroup %u, workgroup %u, shared memory %s\n", d->subgroup,
           d->max_group, cli_bytes(d->shared, shared, sizeof shared));
    printf("           %s\n", d->features[0] ? d->features : "no optional features");
}

int cmd_devices(const cli_command *self, int argc, char **argv)
{
    static const cli_option options[] = { { NULL, CLI_FLAG, NULL, NULL, NULL } };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    char only[sizeof((tuff_device_info *)0)->id] = ""; // --device D: that one alone
    if (cli.device) {
        tuff_device *device = cli_open_device(self);
        if (!device) return EXIT_WRONG;
        snprintf(only, sizeof only, "%s", tuff_device_get_info(device)->id);
        tuff_device_close(&device);
    }
    int count = 0;
    if (tuff_device_list(NULL, 0, &count) != TUFF_OK) return cli_error(self);
    tuff_device_info *list = calloc((size_t)count, sizeof *list);
    if (!list) return cli_wrong(self, "out of memory");
    if (tuff_device_list(list, count, &count) != TUFF_OK) {
        free(list);
        return cli_error(self);
    }
    cJSON *array = cJSON_CreateArray();
    for (int i = 0; i < count; i++) {
        if (only[0] && strcmp(only, list[i].id) != 0) continue;
        if (cli.json) cJSON_AddItemToArray(array, device_json(&list[i]));
        else print_device(&list[i]);
    }
    free(list);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, "devices", array);
    if (cli.json) return cli_print_json(json, EXIT_OK);
    cJSON_Delete(json);
    return EXIT_OK;
}
