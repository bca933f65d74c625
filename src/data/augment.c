// Random changes of training images; declared in <tuff/data.h>.
#include "data/augment.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

// ---- text ----------------------------------------------------------------------------------

static bool take(const char *word, size_t n, tuff_augment *a)
{
    int64_t shift;
    if (n == 4 && memcmp(word, "flip", 4) == 0) {
        const bool again = a->flip;
        a->flip = true;
        return !again;
    }
    if (n < 6 || memcmp(word, "shift=", 6) != 0 || a->shift) return false;
    if (!tuff_parse_i64(word + 6, n - 6, &shift) || shift < 1 || shift > INT16_MAX)
        return false;
    a->shift = (int)shift;
    return true;
}

tuff_status tuff_augment_parse(const char *text, tuff_augment *augment)
{
    tuff_augment a = { 0 };
    if (strcmp(text, "none") != 0)
        for (const char *at = text, *next; at; at = next) {
            const size_t n = strcspn(at, ",");
            next = at[n] ? at + n + 1 : NULL;
            TUFF_REQUIRE(take(at, n, &a), FORMAT,
                         "augment: '%s' does not fit, expected none, or shift=PIXELS and flip "
                         "with a comma between, each once at most",
                         tuff_show(text, strlen(text)));
        }
    *augment = a;
    return TUFF_OK;
}

const char *tuff_augment_print(const tuff_augment *a, char *text, size_t size)
{
    char shift[24] = "";
    if (a->shift) snprintf(shift, sizeof shift, "shift=%d%s", a->shift, a->flip ? "," : "");
    snprintf(text, size, "%s%s", shift, a->flip ? "flip" : a->shift ? "" : "none");
    return text;
}

tuff_status tuff_augment_check(const tuff_augment *a, const tuff_desc *sample)
{
    char text[96];
    if (!tuff_augments(a)) return TUFF_OK;
    TUFF_REQUIRE(sample->rank == 3, SHAPE,
                 "augment: shift and flip are for images, the data's samples are %s",
                 tuff_desc_print(sample, text, sizeof text));
    TUFF_REQUIRE(a->shift >= 0 && a->shift < sample->dim[1] && a->shift < sample->dim[2], ARG,
                 "augment: shift is %d, expected fewer pixels than the images have, %lld x "
                 "%lld", a->shift, (long long)sample->dim[1], (long long)sample->dim[2]);
    return TUFF_OK;
}

// ---- images --------------------------------------------------------------------------------

static void mirror(float *row, int64_t width)
{
    for (int64_t i = 0, k = width - 1; i < k; i++, k--) {
        const float v = row[i];
        row[i] = row[k];
        row[k] = v;
    }
}

static void fill(float *x, int64_t n, float v)
{
    for (int64_t i = 0; i < n; i++) x[i] = v;
}

// Row y becomes what row y - down was, moved to the right by `right`. Rows are taken in the
// order in which none is written before it is read.
static void move(float *x, int64_t height, int64_t width, int64_t down, int64_t right, float v)
{
    const int64_t left = right < 0 ? -right : 0, in = right > 0 ? right : 0;
    const int64_t stay = width - left - in;
    for (int64_t i = 0; i < height; i++) {
        const int64_t y = down > 0 ? height - 1 - i : i, from = y - down;
        float *row = x + y * width;
        if (from < 0 || from >= height) {
            fill(row, width, v);
            continue;
        }
        memmove(row + in, x + from * width + left, (size_t)stay * sizeof *row);
        fill(row, in, v);
        fill(row + in + stay, left, v);
    }
}

void tuff_augment_image(const tuff_augment *a, const tuff_desc *sample, const float *padding,
                        uint64_t seed, float *x)
{
    const int64_t height = sample->dim[1], width = sample->dim[2];
    const uint32_t places = 2 * (uint32_t)a->shift + 1;
    tuff_rng rng = { .seed = seed };
    const bool flip = tuff_rng_word(&rng) & a->flip;
    const int64_t down = (int64_t)tuff_rng_below(&rng, places) - a->shift;
    const int64_t right = (int64_t)tuff_rng_below(&rng, places) - a->shift;
    for (int64_t c = 0; c < sample->dim[0]; c++, x += height * width) {
        for (int64_t y = 0; flip && y < height; y++) mirror(x + y * width, width);
        if (down || right) move(x, height, width, down, right, padding[c]);
    }
}
