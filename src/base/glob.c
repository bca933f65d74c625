// Patterns over names.
#include "base/glob.h"
#include <stddef.h>

// On a mismatch, the last star takes one byte more; earlier stars never need to be tried
// again, so the time is at most the product of the lengths.
bool tuff_glob(const char *pattern, const char *text)
{
    if (!pattern) return true;
    const char *star = NULL, *mark = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*pattern && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == '\0';
}
