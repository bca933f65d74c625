// Reads net text into a tree: a recursive descent whose errors point at the word.
#include "nn/forms.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// A piece of the text: a word, one of | ( ) =, or the end.
typedef struct token {
    char kind; // 'w' for a word, 0 for the end, else the character itself
    size_t at, n;
} token;

typedef struct parser {
    const char *text;
    size_t end; // where reading goes on behind `now`
    token now;
    tuff_net *net;
} parser;

// ---- errors ------------------------------------------------------------------------------

static char shown(char c) { return (unsigned char)c < ' ' || c == 127 ? ' ' : c; }

// Fails with "net, line 1, column 5: ...", the line, and marks below the word. Of a long line
// the part around the word is shown.
static tuff_status complain(const parser *p, token t, const char *format, ...)
    TUFF_PRINTF(3, 4);
static tuff_status complain(const parser *p, token t, const char *format, ...)
{
    enum { WIDTH = 76, BEFORE = 40, WORD = 32 };
    size_t line = 1, start = 0;
    for (size_t i = 0; i < t.at; i++)
        if (p->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    const size_t column = t.at - start + 1;
    if (t.at - start > BEFORE) start = t.at - BEFORE;
    char part[WIDTH + 1], marks[WIDTH + 1];
    size_t n = 0;
    for (; n < WIDTH && p->text[start + n] && p->text[start + n] != '\n'; n++)
        part[n] = shown(p->text[start + n]);
    part[n] = 0;
    size_t m = 0;
    for (; m < t.at - start; m++) marks[m] = ' ';
    const size_t width = t.n > WORD ? WORD : t.n ? t.n : 1;
    for (size_t i = 0; i < width && m < WIDTH; i++) marks[m++] = '^';
    marks[m] = 0;

    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return tuff_fail(TUFF_ERR_FORMAT, "net, line %zu, column %zu: %s\n  %s\n  %s", line, column,
                     why, part, marks);
}

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

// A word as errors quote it: cut when it is long.
#define QUOTE(p, t) (int)((t).n > 32 ? 32 : (t).n), (p)->text + (t).at

// ---- tokens ------------------------------------------------------------------------------

static bool in_word(char c)
{
    return c && !isspace((unsigned char)c) && !strchr("|()=;#", c);
}

static token look(const parser *p, size_t at)
{
    const char *s = p->text;
    for (;;) {
        while (s[at] && isspace((unsigned char)s[at])) at++;
        if (s[at] != '#') break;
        while (s[at] && s[at] != '\n') at++; // a comment runs to the end of its line
    }
    token t = { s[at], at, s[at] != 0 };
    if (in_word(s[at])) {
        t.kind = 'w';
        while (in_word(s[at + t.n])) t.n++;
    }
    return t;
}

static void advance(parser *p)
{
    p->end = p->now.at + p->now.n;
    p->now = look(p, p->end);
}

static bool is_word(const parser *p, token t, const char *word)
{
    return t.kind == 'w' && strlen(word) == t.n && memcmp(p->text + t.at, word, t.n) == 0;
}

static void describe(const parser *p, token t, char *text, size_t size)
{
    if (t.kind)
        snprintf(text, size, "'%.*s'", QUOTE(p, t));
    else
        snprintf(text, size, "the end");
}

// ---- arguments ---------------------------------------------------------------------------

static tuff_status read_int(const parser *p, token whole, const char *digits, size_t n,
                            const tuff_arg_spec *a, int *value)
{
    int64_t v;
    if (!tuff_parse_i64(digits, n, &v))
        return complain(p, whole, "'%.*s' is no whole number, expected %s from %d to %d",
                        QUOTE(p, whole), a->name, a->min, a->max);
    if (v < a->min || v > a->max)
        return complain(p, whole, "%s is %.*s, expected %d to %d", a->name, QUOTE(p, whole),
                        a->min, a->max);
    *value = (int)v;
    return TUFF_OK;
}

static tuff_status read_choice(const parser *p, token t, const tuff_arg_spec *a, int value[2])
{
    char list[256] = "";
    for (int i = 0; tuff_choice_at(a, i); i++) {
        if (is_word(p, t, tuff_choice_at(a, i))) return value[0] = value[1] = i, TUFF_OK;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 tuff_choice_at(a, i));
    }
    return complain(p, t, "%s is '%.*s', expected one of %s", a->name, QUOTE(p, t), list);
}

static tuff_status read_real(const parser *p, token t, const tuff_arg_spec *a, float *value)
{
    double v;
    if (t.kind != 'w') {
        char found[64];
        describe(p, t, found, sizeof found);
        return complain(p, t, "expected a value for %s, found %s", a->name, found);
    }
    if (!tuff_parse_f64(p->text + t.at, t.n, &v))
        return complain(p, t, "'%.*s' is no number, expected %s from %g to %g", QUOTE(p, t),
                        a->name, (double)a->low, (double)a->high);
    if (!(v >= (double)a->low && v <= (double)a->high))
        return complain(p, t, "%s is %.*s, expected %g to %g", a->name, QUOTE(p, t),
                        (double)a->low, (double)a->high);
    *value = (float)v;
    return TUFF_OK;
}

static tuff_status read_value(const parser *p, token t, const tuff_arg_spec *a, int value[2])
{
    const char *s = p->text + t.at;
    if (t.kind != 'w') {
        char found[64];
        describe(p, t, found, sizeof found);
        return complain(p, t, "expected a value for %s, found %s", a->name, found);
    }
    if (a->type == TUFF_ARG_CHOICE || a->type == TUFF_ARG_FORM)
        return read_choice(p, t, a, value);
    if (a->type == TUFF_ARG_SWITCH) {
        value[0] = is_word(p, t, "yes");
        if (!value[0] && !is_word(p, t, "no"))
            return complain(p, t, "%s is '%.*s', expected yes or no", a->name, QUOTE(p, t));
        return TUFF_OK;
    }
    const char *cross = a->type == TUFF_ARG_PAIR ? memchr(s, 'x', t.n) : NULL;
    const size_t rows = cross ? (size_t)(cross - s) : t.n;
    TUFF_TRY(read_int(p, t, s, rows, a, &value[0]));
    value[1] = value[0];
    return cross ? read_int(p, t, cross + 1, t.n - rows - 1, a, &value[1]) : TUFF_OK;
}

// Index of the attribute that a word names, or -1.
static int find_attribute(const parser *p, token t, const tuff_layer_kind *k)
{
    for (int i = 0; k->arg[i].name; i++)
        if (!k->arg[i].place && is_word(p, t, k->arg[i].name)) return i;
    return -1;
}

// Index of the attribute of words that has `t` among its choices, or -1: the word says which.
static int find_choice(const parser *p, token t, const tuff_layer_kind *k)
{
    for (int i = 0; k->arg[i].name; i++)
        for (int c = 0; k->arg[i].choices[c]; c++)
            if (is_word(p, t, k->arg[i].choices[c])) return i;
    return -1;
}

static int find_place(const tuff_layer_kind *k, unsigned given)
{
    for (int i = 0; k->arg[i].name; i++)
        if (k->arg[i].place && !(given & 1u << i)) return i;
    return -1;
}

// Index of the attribute of storage that stands before a =, or -1.
static int find_storage(const parser *p)
{
    if (look(p, p->now.at + p->now.n).kind != '=') return -1;
    for (int i = 0; tuff_storage_args[i].name; i++)
        if (is_word(p, p->now, tuff_storage_args[i].name)) return i;
    return -1;
}

static tuff_status read_storage(parser *p, tuff_layer *l, int i, unsigned *given)
{
    const tuff_arg_spec *a = &tuff_storage_args[i];
    int value[2];
    if (*given & 1u << i) return complain(p, p->now, "%s is given twice", a->name);
    *given |= 1u << i;
    advance(p);
    advance(p);
    TUFF_TRY(read_value(p, p->now, a, value));
    *tuff_storage_value(&l->store, i) = value[0];
    advance(p);
    return TUFF_OK;
}

// One argument: a value in its place, name=value, or a word that only one attribute has.
static tuff_status read_argument(parser *p, tuff_layer *l, unsigned *given)
{
    const tuff_layer_kind *k = l->kind;
    token t = p->now;
    int i;
    if (look(p, t.at + t.n).kind == '=') {
        i = find_attribute(p, t, k);
        if (i < 0)
            return complain(p, t, "%s has no attribute '%.*s', expected %s", k->name,
                            QUOTE(p, t), k->usage);
        if (*given & 1u << i) return complain(p, t, "%s is given twice", k->arg[i].name);
        advance(p);
        advance(p);
        t = p->now;
    } else {
        i = find_place(k, *given);
        if (i < 0) i = find_choice(p, t, k);
        if (i >= 0 && *given & 1u << i)
            return complain(p, t, "%s is given twice", k->arg[i].name);
        if (i < 0 && find_attribute(p, t, k) >= 0)
            return complain(p, t, "expected = and a value after %.*s", QUOTE(p, t));
        if (i < 0)
            return complain(p, t, "'%.*s' is more than %s takes, expected %s, then | or the "
                                  "end", QUOTE(p, t), k->name, k->usage);
    }
    *given |= 1u << i;
    if (k->arg[i].type == TUFF_ARG_REAL) TUFF_TRY(read_real(p, t, &k->arg[i], &l->real[i]));
    else TUFF_TRY(read_value(p, t, &k->arg[i], l->arg[i]));
    advance(p);
    return TUFF_OK;
}

// ---- stages ------------------------------------------------------------------------------

static const tuff_layer_kind *find_kind(const parser *p, token t)
{
    for (int i = 0; i < tuff_layer_kind_count(); i++)
        if (is_word(p, t, tuff_layer_kind_at(i)->name)) return tuff_layer_kind_at(i);
    return NULL;
}

static tuff_status unknown_layer(const parser *p, token t)
{
    const char *names[80];
    char list[600] = "", word[33];
    size_t n = 0, used = 0;
    for (; n < (size_t)tuff_layer_kind_count() && n < COUNT_OF(names); n++) {
        names[n] = tuff_layer_kind_at((int)n)->name;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "",
                                     names[n]);
    }
    snprintf(word, sizeof word, "%.*s", QUOTE(p, t));
    const char *near = tuff_nearest(word, names, n);
    return complain(p, t, "'%s' is no layer%s%s%s, expected one of %s", word,
                    near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", list);
}

// Whether all arguments that must be given are, and the name of one that is not.
static const char *missing_argument(const tuff_layer_kind *k, unsigned given)
{
    for (int i = 0; k->arg[i].name; i++)
        if (k->arg[i].place && !k->arg[i].optional && !(given & 1u << i)) return k->arg[i].name;
    return NULL;
}

static tuff_status read_layer(parser *p, tuff_layer *l)
{
    const token word = p->now;
    l->kind = find_kind(p, word);
    if (!l->kind) return unknown_layer(p, word);
    for (int i = 0; l->kind->arg[i].name; i++) {
        l->arg[i][0] = l->arg[i][1] = l->kind->arg[i].standard;
        l->real[i] = l->kind->arg[i].usual;
    }
    advance(p);
    unsigned given = 0, stored = 0;
    while (p->now.kind == 'w') {
        const int i = find_storage(p);
        if (i < 0) TUFF_TRY(read_argument(p, l, &given));
        else TUFF_TRY(read_storage(p, l, i, &stored));
    }
    const char *wrong = tuff_storage_wrong(l, stored);
    if (wrong) return complain(p, word, "%s: %s", l->kind->name, wrong);
    const char *missing = missing_argument(l->kind, given);
    if (missing)
        return complain(p, word, "%s is not given its %s, expected %s", l->kind->name, missing,
                        l->kind->usage);
    return TUFF_OK;
}

static tuff_status new_stage(parser *p, int *index)
{
    tuff_net *net = p->net;
    if (net->count == TUFF_NET_LAYERS)
        return complain(p, p->now, "the net has more than %d layers", TUFF_NET_LAYERS);
    if ((net->count & (net->count - 1)) == 0) { // full at 0, 1, 2, 4, ...
        const size_t room = net->count ? 2 * (size_t)net->count : 1;
        tuff_stage *grown = tuff_realloc(net->stage, room, sizeof *grown);
        if (!grown) return TUFF_ERR_MEMORY;
        net->stage = grown;
    }
    *index = net->count++;
    net->stage[*index] = (tuff_stage){ .times = 1, .next = -1 };
    return TUFF_OK;
}

static tuff_status read_chain(parser *p, int depth, int *first);

// "(" chain { ";" chain } ")"
static tuff_status read_branches(parser *p, int depth, int index, const char *what, int least,
                                 int most)
{
    int branch[TUFF_NET_BRANCHES], n = 0;
    if (p->now.kind != '(') {
        char found[64];
        describe(p, p->now, found, sizeof found);
        return complain(p, p->now, "expected ( after %s, found %s", what, found);
    }
    if (depth == TUFF_NET_DEPTH)
        return complain(p, p->now, "blocks lie more than %d deep", TUFF_NET_DEPTH);
    const token open = p->now;
    do {
        const token mark = p->now; // the ( or the ; before the chain
        if (n == most)
            return complain(p, mark, "%s takes at most %d chain%s", what, most,
                            most == 1 ? "" : "s");
        advance(p);
        TUFF_TRY(read_chain(p, depth + 1, &branch[n++]));
    } while (p->now.kind == ';');
    if (p->now.kind != ')') return complain(p, open, "this ( has no ) that closes it");
    if (n < least)
        return complain(p, p->now, "%s takes at least %d chains with ; between", what, least);
    advance(p);
    memcpy(p->net->stage[index].branch, branch, sizeof branch); // it may have moved since
    p->net->stage[index].branches = n;
    return TUFF_OK;
}

// "3x(" chain ")"
static tuff_status read_repeat(parser *p, int depth, int index)
{
    static const tuff_arg_spec times = { .name = "the repeat", .min = 1, .max = 1000 };
    const token word = p->now;
    int n;
    TUFF_TRY(read_int(p, word, p->text + word.at, word.n - 1, &times, &n));
    advance(p);
    TUFF_TRY(read_branches(p, depth, index, "a repeat", 1, 1));
    p->net->stage[index].block = TUFF_BLOCK_REPEAT;
    p->net->stage[index].times = n;
    return TUFF_OK;
}

// "residual(" or "concat(" and what belongs to it.
static tuff_status read_block(parser *p, int depth, int index)
{
    const bool residual = is_word(p, p->now, "residual");
    advance(p);
    if (residual) TUFF_TRY(read_branches(p, depth, index, "residual", 1, 2));
    else TUFF_TRY(read_branches(p, depth, index, "concat", 2, TUFF_NET_BRANCHES));
    p->net->stage[index].block = residual ? TUFF_BLOCK_RESIDUAL : TUFF_BLOCK_CONCAT;
    return TUFF_OK;
}

static tuff_status read_stage(parser *p, int depth, int *index)
{
    const token t = p->now;
    if (t.kind != 'w') {
        char found[64];
        describe(p, t, found, sizeof found);
        return complain(p, t, "expected a layer, found %s", found);
    }
    TUFF_TRY(new_stage(p, index));
    const char *s = p->text + t.at;
    if (s[t.n - 1] == 'x' && isdigit((unsigned char)s[0]) && look(p, t.at + t.n).kind == '(')
        return read_repeat(p, depth, *index);
    if (is_word(p, t, "residual") || is_word(p, t, "concat"))
        return read_block(p, depth, *index);
    tuff_layer layer = { 0 };
    TUFF_TRY(read_layer(p, &layer));
    p->net->stage[*index].layer = layer;
    return TUFF_OK;
}

static tuff_status read_chain(parser *p, int depth, int *first)
{
    int last = -1;
    for (;;) {
        int index = -1;
        TUFF_TRY(read_stage(p, depth, &index));
        if (last < 0)
            *first = index;
        else
            p->net->stage[last].next = index;
        last = index;
        if (p->now.kind != '|') return TUFF_OK;
        advance(p);
    }
}

tuff_status tuff_net_parse(const char *text, tuff_net **net)
{
    *net = NULL;
    TUFF_REQUIRE(strnlen(text, TUFF_NET_BYTES + 1) <= TUFF_NET_BYTES, FORMAT,
                 "net: the text is longer than %d bytes", TUFF_NET_BYTES);
    parser p = { .text = text, .net = tuff_alloc(1, sizeof *p.net) };
    if (!p.net) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    int first;
    p.now = look(&p, 0);
    TUFF_GO(read_chain(&p, 0, &first));
    if (p.now.kind) {
        char found[64];
        describe(&p, p.now, found, sizeof found);
        TUFF_GO(complain(&p, p.now, "expected | or the end, found %s", found));
    }
    *net = p.net;
    p.net = NULL;
exit:
    tuff_net_free(&p.net);
    return status;
}

void tuff_net_free(tuff_net **net)
{
    if (!*net) return;
    tuff_free((*net)->stage);
    tuff_free(*net);
    *net = NULL;
}
