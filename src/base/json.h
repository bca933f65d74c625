// JSON through cJSON, with the checks that it leaves to its callers.
#ifndef TUFF_BASE_JSON_H
#define TUFF_BASE_JSON_H
#include <cjson/cJSON.h>
#include <tuff/base.h>

// Parses one value that fills text[0, size) but for white space. Free *root with cJSON_Delete.
// Fails: TUFF_ERR_FORMAT (the sentence has the byte where it stopped), TUFF_ERR_MEMORY.
TUFF_CHECK tuff_status tuff_json_parse(const char *text, size_t size, cJSON **root);

// Whether `item` is a whole number in [low, high], which lie within +-2^53; then *value has it.
bool tuff_json_int(const cJSON *item, int64_t low, int64_t high, int64_t *value);
// The string of object[key]; NULL when there is none.
const char *tuff_json_text(const cJSON *object, const char *key);
#endif
