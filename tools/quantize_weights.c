#include "quantize_weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *weights_schemes(char *text, size_t size)
{
    *text = 0;
    for (int i = 0; tuff_weights_scheme(i, NULL); i++) {
        const size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", i ? ", " : "", tuff_weights_scheme(i, NULL));
    }
    return text;
}

bool weights_is_scheme(const char *name, bool *bits)
{
    for (int i = 0; tuff_weights_scheme(i, bits); i++)
        if (strcmp(tuff_weights_scheme(i, NULL), name) == 0) return true;
    return false;
}

// Strings of the library's last only as long as the call.
static void add(void *user, const tuff_stored_weights *w)
{
    weights_list *l = user;
    tuff_stored_weights *grown = realloc(l->item, (size_t)(l->count + 1) * sizeof *grown);
    if (!grown) return;
    l->item = grown;
    l->item[l->count] = *w;
    l->item[l->count].layer = strdup(w->layer);
    l->item[l->count++].name = strdup(w->name);
}

tuff_status weights_store(tuff_model *model, tuff_dataset *data, tuff_weights_params *p,
                          weights_list *told, tuff_model **stored)
{
    p->on_weights = add;
    p->user = told;
    return tuff_store_weights(model, data, p, stored);
}

void weights_print(const weights_list *told)
{
    int64_t saturated = 0, count = 0;
    for (int i = 0; i < told->count; i++) {
        saturated += told->item[i].saturated;
        count += told->item[i].count;
    }
    if (!saturated) return;
    printf("saturated %lld of %lld:", (long long)saturated, (long long)count);
    for (int i = 0; i < told->count; i++) {
        const tuff_stored_weights *w = &told->item[i];
        if (w->saturated)
            printf(" %s.%s %lld of %lld", w->layer, w->name, (long long)w->saturated,
                   (long long)w->count);
    }
    printf("\n");
}

cJSON *weights_json(const weights_list *told)
{
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < told->count; i++) {
        const tuff_stored_weights *w = &told->item[i];
        cJSON *o = cJSON_CreateObject();
        char name[512];
        snprintf(name, sizeof name, "%s.%s", w->layer, w->name);
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddNumberToObject(o, "count", (double)w->count);
        cJSON_AddNumberToObject(o, "saturated", (double)w->saturated);
        cJSON_AddNumberToObject(o, "point", w->point);
        cJSON_AddNumberToObject(o, "error", w->error);
        if (w->output_error > 0) cJSON_AddNumberToObject(o, "output_error", w->output_error);
        cJSON_AddItemToArray(list, o);
    }
    return list;
}

void weights_free(weights_list *told)
{
    for (int i = 0; i < told->count; i++) {
        free((void *)told->item[i].layer);
        free((void *)told->item[i].name);
    }
    free(told->item);
    *told = (weights_list){ 0 };
}
