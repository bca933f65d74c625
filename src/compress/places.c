#include "compress/places.h"
#include "base/status.h"
#include "base/text.h"
#include <string.h>

static bool has_weights(const tuff_model *m, int part)
{
    for (int k = 0; k < m->part[part].params; k++)
        if (m->param[m->part[part].param + k].role == TUFF_PARAM_WEIGHT) return true;
    return false;
}

// The part with weights at the place name[n], or -1; a block's join has its name, too.
static int find_place(const tuff_model *m, const char *name, size_t n)
{
    for (int i = 0; i < m->parts; i++) {
        const char *is = m->part[i].item.name;
        if (strlen(is) == n && memcmp(is, name, n) == 0 && has_weights(m, i)) return i;
    }
    return -1;
}

tuff_status tuff_places_read(const tuff_model *m, const char *text, const char *what,
                             const char *thing, const char *example, tuff_place_fn take,
                             void *user)
{
    size_t n;
    for (const char *at = text + strspn(text, " ,"); *at; at += n, at += strspn(at, " ,")) {
        n = strcspn(at, " ,");
        const char *equals = memchr(at, '=', n);
        const int shown = n > 64 ? 64 : (int)n;
        const size_t length = equals ? (size_t)(equals - at) : n;
        double value = 0;
        TUFF_REQUIRE(equals && tuff_parse_f64(equals + 1, n - length - 1, &value), ARG,
                     "%s: '%.*s' is no %s, expected PLACE=X such as %s", what, shown, at, thing,
                     example);
        const int part = find_place(m, at, length);
        TUFF_REQUIRE(part >= 0, ARG,
                     "%s: the net has no layer with weights at the place '%.*s'", what,
                     (int)(length > 64 ? 64 : length), at);
        TUFF_TRY(take(user, part, value, at, shown));
    }
    return TUFF_OK;
}
