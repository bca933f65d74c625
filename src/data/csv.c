// Tables of numbers in text, a row a line, with one column of classes or of targets.
#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/text.h"
#include "data/array.h"
#include "data/parts.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t most_bytes = (size_t)1 << 32;
enum { MOST_COLUMNS = 1 << 20 };

// A piece of the file's text; quotes and the space around are gone.
struct cell {
    const char *text;
    size_t size;
};

// A table while it is read.
struct table {
    const char *path;
    char *at, *end;          // text that is left
    int64_t row;             // of the file, from 1: the one in cells[]
    struct cell *cells;
    int count, room;         // cells
    struct cell *names;      // [columns], or NULL
    int columns;             // 0: as many as the first row has
    int answer;              // the column of classes or targets
    bool target;
    float *x, *y;            // examples and targets so far
    struct cell *classes;    // classes so far
    size_t rows, rows_room;
};

// ---- rows -----------------------------------------------------------------------------------

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// Takes what stands between quotes, "" standing for one of them, and moves it together.
static tuff_status take_quoted(struct table *t, struct cell *cell)
{
    char *to = ++t->at;
    cell->text = to;
    for (;;) {
        char *quote = memchr(t->at, '"', (size_t)(t->end - t->at));
        TUFF_REQUIRE(quote, FORMAT, "%s: row %lld: a quote is not closed", t->path,
                     (long long)t->row);
        const bool doubled = quote + 1 < t->end && quote[1] == '"';
        const size_t n = (size_t)(quote - t->at) + doubled;
        memmove(to, t->at, n);
        to += n;
        t->at = quote + 1 + doubled;
        if (!doubled) break;
    }
    cell->size = (size_t)(to - cell->text);
    while (t->at < t->end && is_blank(*t->at)) t->at++;
    TUFF_REQUIRE(t->at == t->end || *t->at == ',' || *t->at == '\n', FORMAT,
                 "%s: row %lld: text follows a closing quote", t->path, (long long)t->row);
    return TUFF_OK;
}

static tuff_status take_cell(struct table *t, struct cell *cell)
{
    while (t->at < t->end && is_blank(*t->at)) t->at++;
    if (t->at < t->end && *t->at == '"') return take_quoted(t, cell);
    const char *start = t->at;
    while (t->at < t->end && *t->at != ',' && *t->at != '\n') t->at++;
    const char *last = t->at;
    while (last > start && is_blank(last[-1])) last--;
    *cell = (struct cell){ start, (size_t)(last - start) };
    return TUFF_OK;
}

// Reads the next row that is not empty into cells[]; *more: there was one.
static tuff_status next_row(struct table *t, bool *more)
{
    do {
        *more = t->at < t->end;
        if (!*more) return TUFF_OK;
        t->count = 0;
        t->row++;
        for (bool comma = true; comma;) {
            if (t->count == t->room) {
                const int room = t->room ? t->room * 2 : 64;
                TUFF_REQUIRE(room <= MOST_COLUMNS, FORMAT, "%s: row %lld has over %d cells",
                             t->path, (long long)t->row, MOST_COLUMNS / 2);
                void *grown = tuff_realloc(t->cells, (size_t)room, sizeof *t->cells);
                if (!grown) return TUFF_ERR_MEMORY;
                t->cells = grown;
                t->room = room;
            }
            TUFF_TRY(take_cell(t, &t->cells[t->count++]));
            comma = t->at < t->end && *t->at == ',';
            t->at += t->at < t->end;
        }
    } while (t->count == 1 && t->cells[0].size == 0);
    return TUFF_OK;
}

static bool is_number(struct cell c)
{
    double v;
    return tuff_parse_f64(c.text, c.size, &v);
}

// "row 7, column 'width'" of the cell in column i.
static const char *place(const struct table *t, int i, char text[160])
{
    if (t->names)
        snprintf(text, 160, "row %lld, column '%s'", (long long)t->row,
                 tuff_show(t->names[i].text, t->names[i].size));
    else snprintf(text, 160, "row %lld, column %d (from 0)", (long long)t->row, i);
    return text;
}

static tuff_status read_number(const struct table *t, int i, float *value)
{
    const struct cell c = t->cells[i];
    char where[160];
    double v;
    TUFF_REQUIRE(c.size, FORMAT, "%s: %s is empty", t->path, place(t, i, where));
    TUFF_REQUIRE(tuff_parse_f64(c.text, c.size, &v) && fabs(v) <= FLT_MAX, FORMAT,
                 "%s: %s is '%s', expected a number", t->path, place(t, i, where),
                 tuff_show(c.text, c.size));
    *value = (float)v;
    return TUFF_OK;
}

static tuff_status grow_rows(struct table *t)
{
    const size_t room = t->rows_room ? t->rows_room * 2 : 256;
    size_t width;
    if (__builtin_mul_overflow(sizeof(float), (size_t)t->columns - 1, &width))
        return TUFF_ERR_MEMORY;
    void *x = tuff_realloc(t->x, room, width);
    if (x) t->x = x;
    void *y = tuff_realloc(t->y, room, sizeof *t->y);
    if (y) t->y = y;
    void *classes = tuff_realloc(t->classes, room, sizeof *t->classes);
    if (classes) t->classes = classes;
    if (!x || !y || !classes) return TUFF_ERR_MEMORY;
    t->rows_room = room;
    return TUFF_OK;
}

// Takes the row in cells[] as an example.
static tuff_status add_example(struct table *t)
{
    TUFF_REQUIRE(t->count == t->columns, FORMAT, "%s: row %lld has %d cells, expected %d",
                 t->path, (long long)t->row, t->count, t->columns);
    if (t->rows == t->rows_room) TUFF_TRY(grow_rows(t));
    float *x = t->x + t->rows * (size_t)(t->columns - 1);
    for (int i = 0; i < t->columns; i++)
        if (i != t->answer) TUFF_TRY(read_number(t, i, x++));
    if (t->target) {
        TUFF_TRY(read_number(t, t->answer, &t->y[t->rows]));
    } else {
        char where[160];
        t->classes[t->rows] = t->cells[t->answer];
        TUFF_REQUIRE(t->classes[t->rows].size, FORMAT, "%s: %s is empty", t->path,
                     place(t, t->answer, where));
    }
    t->rows++;
    return TUFF_OK;
}

// ---- the table ------------------------------------------------------------------------------

static int find_name(const struct table *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (strlen(name) == t->cells[i].size &&
            memcmp(name, t->cells[i].text, t->cells[i].size) == 0)
            return i;
    return -1;
}

// Finds the column that `name` counts, else names in the first row.
static tuff_status choose_answer(struct table *t, const char *name, bool *named)
{
    int64_t index = -1;
    TUFF_REQUIRE(!t->columns || t->columns == t->count, FORMAT,
                 "%s has %d columns, the training examples have %d", t->path, t->count,
                 t->columns);
    t->columns = t->count;
    TUFF_REQUIRE(t->columns >= 2, FORMAT, "%s: row %lld has one cell, expected 2 at least",
                 t->path, (long long)t->row);
    *named = name && !tuff_parse_int(name, &index);
    if (*named) {
        t->answer = find_name(t, name);
        TUFF_REQUIRE(t->answer >= 0, ARG, "%s: no column is named '%.99s' in its first row",
                     t->path, name);
        return TUFF_OK;
    }
    TUFF_REQUIRE(index >= -t->columns && index < t->columns, ARG,
                 "%s: column %lld is asked for, it has %d", t->path, (long long)index,
                 t->columns);
    t->answer = (int)(index < 0 ? index + t->columns : index);
    return TUFF_OK;
}

// Whether the row in cells[] has text where the examples have numbers.
static bool has_names(const struct table *t)
{
    for (int i = 0; i < t->count; i++)
        if ((i != t->answer || t->target) && t->cells[i].size && !is_number(t->cells[i]))
            return true;
    return false;
}

// Takes another row than the one in cells[] as an example, and frees it.
static tuff_status add_other(struct table *t, struct cell *cells, int count, int64_t row)
{
    const struct table kept = *t;
    t->cells = cells;
    t->count = count;
    t->row = row;
    const tuff_status status = add_example(t);
    t->cells = kept.cells;
    t->count = kept.count;
    t->row = kept.row;
    tuff_free(cells);
    return status;
}

// The first row holds names when the answer's is among them, when it has text where the
// examples have numbers, or a word above the number that is the second row's class.
static tuff_status read_first_rows(struct table *t, const char *name)
{
    bool more = false, names = false;
    TUFF_TRY(next_row(t, &more));
    TUFF_REQUIRE(more, FORMAT, "%s: it has no rows", t->path);
    TUFF_TRY(choose_answer(t, name, &names));
    names = names || has_names(t);
    struct cell *first = tuff_alloc((size_t)t->count, sizeof *first);
    if (!first) return TUFF_ERR_MEMORY;
    memcpy(first, t->cells, (size_t)t->count * sizeof *first);
    const int64_t row = t->row;
    const struct cell answer = first[t->answer];
    tuff_status status = next_row(t, &more);
    if (status != TUFF_OK) {
        tuff_free(first);
        return status;
    }
    if (more && t->answer < t->count && answer.size && !is_number(answer))
        names = names || is_number(t->cells[t->answer]);
    if (names) t->names = first;
    else TUFF_TRY(add_other(t, first, t->columns, row));
    return more ? add_example(t) : TUFF_OK;
}

static tuff_status read_table(struct table *t, char *text, size_t size, const char *name)
{
    bool more = true;
    TUFF_REQUIRE(!memchr(text, '\0', size), FORMAT, "%s: it is not text", t->path);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { // a mark of UTF-8
        text += 3;
        size -= 3;
    }
    t->at = text;
    t->end = text + size;
    TUFF_TRY(read_first_rows(t, name));
    for (;;) {
        TUFF_TRY(next_row(t, &more));
        if (!more) break;
        TUFF_TRY(add_example(t));
    }
    TUFF_REQUIRE(t->rows, FORMAT, "%s: it has names of columns, but no rows", t->path);
    return TUFF_OK;
}

static void clear_table(struct table *t)
{
    tuff_free(t->cells);
    tuff_free(t->names);
    tuff_free(t->x);
    tuff_free(t->y);
    tuff_free(t->classes);
}

// ---- classes --------------------------------------------------------------------------------

// A class: a number when all of them are.
struct word {
    int64_t number;
    struct cell cell;
};

static int compare(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    const size_t n = x->cell.size < y->cell.size ? x->cell.size : y->cell.size;
    const int order = memcmp(x->cell.text, y->cell.text, n);
    return order ? order : (x->cell.size > y->cell.size) - (x->cell.size < y->cell.size);
}

static struct word word_of(struct cell cell, bool whole)
{
    struct word w = { .cell = cell };
    if (whole && tuff_parse_i64(cell.text, cell.size, &w.number))
        w.cell = (struct cell){ "", 0 }; // 01 and 1 are the same class
    return w;
}

// Whether all classes of the tables are whole numbers; other numbers are refused.
static tuff_status check_classes(const struct table *const t[2], bool *whole)
{
    bool all = true, numbers = true;
    struct cell fraction = { NULL, 0 };
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; t[k] && i < t[k]->rows; i++) {
            int64_t v;
            const struct cell c = t[k]->classes[i];
            if (tuff_parse_i64(c.text, c.size, &v)) continue;
            all = false;
            if (!is_number(c)) numbers = false;
            else if (!fraction.text) fraction = c;
        }
    TUFF_REQUIRE(all || !numbers, FORMAT,
                 "%s: a class is %s, expected whole numbers or words (target=COLUMN takes "
                 "numbers to be predicted)",
                 t[0]->path, tuff_show(fraction.text, fraction.size));
    *whole = all;
    return TUFF_OK;
}

static tuff_status name_classes(const struct word *words, int count, bool whole,
                                tuff_parts *parts)
{
    TUFF_TRY(tuff_parts_name(parts, count));
    for (int i = 0; i < count; i++) {
        const size_t room = whole ? 24 : words[i].cell.size + 1;
        char *name = parts->names[i] = tuff_alloc(room, 1);
        if (!name) return TUFF_ERR_MEMORY;
        if (whole) snprintf(name, room, "%lld", (long long)words[i].number);
        else memcpy(name, words[i].cell.text, words[i].cell.size);
    }
    return TUFF_OK;
}

// Numbers the classes of both tables in their order; y[k] gets the labels of t[k].
static tuff_status label(const struct table *const t[2], tuff_parts *parts,
                         tuff_array *const y[2])
{
    tuff_status status = TUFF_OK;
    bool whole = false;
    size_t n = 0, count = 0;
    TUFF_TRY(check_classes(t, &whole));
    struct word *words = tuff_alloc(t[0]->rows + (t[1] ? t[1]->rows : 0), sizeof *words);
    if (!words) return TUFF_ERR_MEMORY;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; t[k] && i < t[k]->rows; i++)
            words[n++] = word_of(t[k]->classes[i], whole);
    qsort(words, n, sizeof *words, compare);
    for (size_t i = 0; i < n; i++)
        if (count == 0 || compare(&words[count - 1], &words[i]) != 0) words[count++] = words[i];
    TUFF_GO(name_classes(words, (int)count, whole, parts));
    for (int k = 0; k < 2 && t[k]; k++) {
        TUFF_GO(tuff_array_init(y[k], TUFF_SHAPE(TUFF_I32, (int64_t)t[k]->rows)));
        for (size_t i = 0; i < t[k]->rows; i++) {
            const struct word w = word_of(t[k]->classes[i], whole);
            const struct word *found = bsearch(&w, words, count, sizeof w, compare);
            ((int32_t *)y[k]->data)[i] = (int32_t)(found - words);
        }
    }
exit:
    tuff_free(words);
    return status;
}

// ---- parts ----------------------------------------------------------------------------------

static tuff_status copy_rows(const struct table *t, tuff_array *x, tuff_array *y)
{
    const int64_t rows = (int64_t)t->rows, columns = t->columns - 1;
    TUFF_TRY(tuff_array_init(x, TUFF_SHAPE(TUFF_F32, rows, columns)));
    memcpy(x->data, t->x, tuff_desc_bytes(&x->desc));
    if (!t->target) return TUFF_OK;
    TUFF_TRY(tuff_array_init(y, TUFF_SHAPE(TUFF_F32, rows, 1)));
    memcpy(y->data, t->y, tuff_desc_bytes(&y->desc));
    return TUFF_OK;
}

// Arrays of one table, or of two.
static tuff_status make_parts(const struct table *train, const struct table *test,
                              tuff_parts *parts)
{
    const struct table *const both[2] = { train, test };
    tuff_array *const y[2] = { &parts->y, &parts->test_y };
    TUFF_TRY(copy_rows(train, &parts->x, &parts->y));
    if (test) TUFF_TRY(copy_rows(test, &parts->test_x, &parts->test_y));
    return train->target ? TUFF_OK : label(both, parts, y);
}

tuff_status tuff_csv_parse(const char *path, char *text, size_t size, const char *label_name,
                           const char *target, tuff_parts *parts)
{
    struct table t = { .path = path, .target = target != NULL };
    tuff_status status = read_table(&t, text, size, target ? target : label_name);
    if (status == TUFF_OK) status = make_parts(&t, NULL, parts);
    clear_table(&t);
    return status;
}

// A spec taken apart in place: FILE[,name=value]...
struct options {
    char *file, *label, *target, *test;
};

static tuff_status read_options(char *spec, struct options *o)
{
    static const char *const names[] = { "label", "target", "test" };
    char **const values[] = { &o->label, &o->target, &o->test };
    *o = (struct options){ .file = spec };
    for (char *at = spec; (at = strchr(at, ','));) {
        const size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (n == 0 || at[1 + n] != '=') { // a comma in the name of a file
            at++;
            continue;
        }
        char *const name = at + 1, *const value = name + n + 1;
        *at = name[n] = '\0';
        char **to = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(name, names[i]) == 0) to = values[i];
        TUFF_REQUIRE(to, ARG, "csv: has no option '%.40s', expected label=, target= or test=",
                     name);
        TUFF_REQUIRE(!*to && *value && *value != ',', ARG, "csv: %s= is empty, or given twice",
                     name);
        *to = value;
        at = value;
    }
    TUFF_REQUIRE(*o->file, ARG, "csv: names no file");
    TUFF_REQUIRE(!o->label || !o->target, ARG, "csv: label= and target= exclude each other");
    return TUFF_OK;
}

tuff_status tuff_parts_csv(const char *spec, tuff_parts *parts)
{
    tuff_status status = TUFF_OK;
    struct options o;
    struct table train = { 0 }, test = { 0 };
    void *text = NULL, *test_text = NULL;
    size_t size, test_size;
    char *copy = tuff_strdup(spec);
    if (!copy) return TUFF_ERR_MEMORY;
    TUFF_GO(read_options(copy, &o));
    const char *answer = o.target ? o.target : o.label;
    train = (struct table){ .path = o.file, .target = o.target };
    TUFF_GO(tuff_file_read_gz(o.file, most_bytes, &text, &size));
    TUFF_GO(read_table(&train, text, size, answer));
    if (o.test) {
        char index[24];
        test = (struct table){ .path = o.test, .target = o.target,
                               .columns = train.columns };
        // A file without names takes the place that the name had in the first one.
        snprintf(index, sizeof index, "%d", train.answer);
        TUFF_GO(tuff_file_read_gz(o.test, most_bytes, &test_text, &test_size));
        TUFF_GO(read_table(&test, test_text, test_size, index));
    }
    status = make_parts(&train, o.test ? &test : NULL, parts);
exit:
    clear_table(&train);
    clear_table(&test);
    tuff_free(text);
    tuff_free(test_text);
    tuff_free(copy);
    return status;
}
