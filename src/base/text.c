#include "base/text.h"
#include <ctype.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool tuff_parse_u64(const char *text, size_t n, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i]) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    }
    if (n == 0) return false;
    *value = v;
    return true;
}

bool tuff_parse_i64(const char *text, size_t n, int64_t *value)
{
    const bool sign = n > 0 && (*text == '-' || *text == '+');
    const bool negative = sign && *text == '-';
    uint64_t v;
    if (!tuff_parse_u64(text + sign, n - sign, &v)) return false;
    if (v > (uint64_t)INT64_MAX + negative) return false;
    *value = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

// Whether text[0, n) is a decimal number in the grammar of tuff_parse_f64.
static bool is_decimal(const char *text, size_t n)
{
    size_t i = 0, digits = 0, exponent = 0;
    if (i < n && (text[i] == '-' || text[i] == '+')) i++;
    for (; i < n && is_digit(text[i]); i++) digits++;
    if (i < n && text[i] == '.')
        for (i++; i < n && is_digit(text[i]); i++) digits++;
    if (digits && i < n && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < n && (text[i] == '-' || text[i] == '+')) i++;
        for (; i < n && is_digit(text[i]); i++) exponent++;
        if (exponent == 0) return false;
    }
    return digits && i == n;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

bool tuff_parse_f64(const char *text, size_t n, double *value)
{
    char copy[128]; // longer than any number that a program prints
    if (n >= sizeof copy || !is_decimal(text, n)) return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    pthread_once(&c_locale_once, make_c_locale);
    const double v = c_locale ? strtod_l(copy, NULL, c_locale) : strtod(copy, NULL);
    if (!isfinite(v)) return false;
    *value = v;
    return true;
}

bool tuff_parse_int(const char *text, int64_t *value)
{
    return tuff_parse_i64(text, strlen(text), value);
}

bool tuff_parse_float(const char *text, float *value)
{
    double v;
    if (!tuff_parse_f64(text, strlen(text), &v) || fabs(v) > FLT_MAX) return false;
    *value = (float)v;
    return true;
}

const char *tuff_show(const char *text, size_t n)
{
    enum { MOST = 60 };
    static _Thread_local char shown[4][MOST + 4];
    static _Thread_local unsigned next;
    char *to = shown[next++ % 4];
    const size_t kept = n < MOST ? n : MOST;
    for (size_t i = 0; i < kept; i++)
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    memcpy(to + kept, kept < n ? "..." : "", kept < n ? 4 : 1);
    return to;
}

enum { LONGEST_WORD = 63 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Distance with swaps of neighbours (optimal string alignment), kept in three rows: row[0] is
// that of i - 2 letters of a, row[1] of i - 1, row[2] of i.
static size_t distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    size_t rows[3][LONGEST_WORD + 1], *row[3] = { rows[0], rows[1], rows[2] };
    if (m > LONGEST_WORD || n > LONGEST_WORD) return SIZE_MAX;
    for (size_t j = 0; j <= n; j++) row[1][j] = j;
    for (size_t i = 1; i <= m; i++) {
        row[2][0] = i;
        for (size_t j = 1; j <= n; j++) {
            const int x = tolower((unsigned char)a[i - 1]);
            const int y = tolower((unsigned char)b[j - 1]);
            size_t best = row[1][j - 1] + (x != y);
            best = smaller(best, smaller(row[1][j], row[2][j - 1]) + 1);
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                best = smaller(best, row[0][j - 2] + 1);
            row[2][j] = best;
        }
        size_t *spare = row[0];
        row[0] = row[1];
        row[1] = row[2];
        row[2] = spare;
    }
    return row[1][n];
}

const char *tuff_nearest(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    const size_t length = strlen(word);
    size_t least = (length < 3 ? 3 : length) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        const size_t d = distance(word, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}
