#include "recipe.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 16 };

int recipe_wrong(const cli_command *self, const recipe *r, int number, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (number) return cli_wrong(self, "%s:%d: %s", r->file, number, text);
    return cli_wrong(self, "%s: %s", r->file, text);
}

static int read_text(const cli_command *self, recipe *r)
{
    FILE *f = fopen(r->file, "rb");
    if (!f) return recipe_wrong(self, r, 0, "%s", strerror(errno));
    r->text = calloc(MOST_BYTES + 1, 1);
    const size_t n = r->text ? fread(r->text, 1, MOST_BYTES, f) : 0;
    const bool whole = r->text && !ferror(f) && feof(f);
    fclose(f);
    if (!whole) return recipe_wrong(self, r, 0, "it could not be read, or is no recipe");
    if (strlen(r->text) != n) return recipe_wrong(self, r, 0, "it is no text");
    return EXIT_OK;
}

// Takes the word at *at out of its quotes, in place, and ends it; *at is behind it then.
static bool take_word(char **at)
{
    char *from = *at, *to = *at, quote = 0;
    for (; *from && (quote || !strchr(" \t\r", *from)); from++) {
        if (quote ? *from == quote : *from == '"' || *from == '\'') quote = quote ? 0 : *from;
        else *to++ = *from;
    }
    *at = *from ? from + 1 : from;
    *to = 0;
    return !quote;
}

static int take_line(const cli_command *self, recipe *r, int number, char *text)
{
    char *at = text + strspn(text, " \t\r");
    if (!*at || *at == '#') return EXIT_OK;
    if (r->lines == RECIPE_STEPS)
        return recipe_wrong(self, r, number, "a recipe has %d lines at most", RECIPE_STEPS);
    recipe_line *line = &r->line[r->lines++];
    line->number = number;
    for (; *at && *at != '#'; at += strspn(at, " \t\r")) {
        if (line->words == RECIPE_WORDS)
            return recipe_wrong(self, r, number, "a line has %d words at most", RECIPE_WORDS);
        line->word[line->words++] = at;
        if (!take_word(&at)) return recipe_wrong(self, r, number, "a quote is not closed");
    }
    return EXIT_OK;
}

int recipe_read(const cli_command *self, const char *file, recipe *r)
{
    *r = (recipe){ .file = file };
    int status = read_text(self, r);
    char *at = r->text;
    for (int number = 1; status == EXIT_OK && at; number++) {
        char *end = strchr(at, '\n');
        if (end) *end = 0;
        status = take_line(self, r, number, at);
        at = end ? end + 1 : NULL;
    }
    return status;
}

void recipe_clear(recipe *r)
{
    free(r->text);
    r->text = NULL;
}
