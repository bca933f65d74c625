#include "base/json.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

tuff_status tuff_json_parse(const char *text, size_t size, cJSON **root)
{
    const char *end = text, *last = text + size;
    *root = NULL;
    cJSON *json = size ? cJSON_ParseWithLengthOpts(text, size, &end, false) : NULL;
    while (json && end < last && strchr(" \t\r\n", *end) && *end) end++;
    if (!json || end != last) {
        cJSON_Delete(json);
        return tuff_fail(TUFF_ERR_FORMAT, "not JSON from byte %zu of %zu on",
                         end ? (size_t)(end - text) : (size_t)0, size);
    }
    *root = json;
    return TUFF_OK;
}

bool tuff_json_int(const cJSON *item, int64_t low, int64_t high, int64_t *value)
{
    if (!cJSON_IsNumber(item)) return false;
    const double v = item->valuedouble;
    // Written so that a NaN is refused too.
    if (!(v >= (double)low && v <= (double)high) || v != floor(v)) return false;
    *value = (int64_t)v;
    return true;
}

const char *tuff_json_text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}
