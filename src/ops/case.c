// Case strings <-> calls; the grammar is in case.h.
#include "ops/case.h"
#include "base/dtype.h"
#include "base/text.h"
#include "ops/fields.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <string.h>

static tuff_status bad_dims(const char *word)
{
    return tuff_fail(TUFF_ERR_FORMAT, "'%s' is no shape: expected one as in 3x257, or []",
                     word);
}

static tuff_status parse_dims(const char *word, tuff_desc *d)
{
    if (strcmp(word, "[]") == 0) return TUFF_OK;
    for (const char *s = word, *next; s; s = next) {
        const char *x = strchr(s, 'x');
        const size_t n = x ? (size_t)(x - s) : strlen(s);
        int64_t v;
        if (*s == '+' || !tuff_parse_i64(s, n, &v) || v < 1 || v > INT32_MAX ||
            d->rank == TUFF_MAX_DIMS)
            return bad_dims(word);
        d->dim[d->rank++] = v;
        next = x ? x + 1 : NULL;
    }
    if (tuff_desc_check(d) == TUFF_OK) return TUFF_OK;
    tuff_fail_prefix(word);
    return TUFF_ERR_FORMAT;
}

// What follows the type that a word may begin with, as in "u8:3x257".
static const char *after_type(const char *word, const tuff_port *port, tuff_dtype *dtype)
{
    const char *colon = strchr(word, ':');
    if (!colon) return word;
    const tuff_dtype type = tuff_dtype_find(word, (size_t)(colon - word));
    if (!(port->dtypes & type)) return word;
    *dtype = type;
    return colon + 1;
}

static tuff_dtype port_dtype(const tuff_port *port, tuff_dtype dtype)
{
    const uint32_t lowest = port->dtypes & (~port->dtypes + 1);
    return port->dtypes & dtype ? dtype : (tuff_dtype)lowest;
}

static tuff_status parse_shape(tuff_call *call, tuff_dtype dtype, int index, const char *word)
{
    const bool output = !call->op->in[0].name;
    const tuff_port *port = output ? call->op->out : call->op->in;
    for (int i = 0; i <= index; i++)
        TUFF_REQUIRE(port[i].name && (!output || i == 0), FORMAT,
                     "'%s': %s takes %d shape%s", word, call->op->name, index,
                     index == 1 ? "" : "s");
    tuff_desc *d = output ? call->out : &call->in[index];
    if (!output) call->nin = index + 1;
    if (strcmp(word, "-") == 0) {
        TUFF_REQUIRE(port[index].optional, FORMAT, "'-': %s of %s may not be left out",
                     port[index].name, call->op->name);
        return TUFF_OK;
    }
    d->dtype = port_dtype(&port[index], dtype);
    return parse_dims(after_type(word, &port[index], &d->dtype), d);
}

static int first_rank(const tuff_call *call)
{
    return call->op->in[0].name ? call->in[0].rank : call->out[0].rank;
}

tuff_status tuff_case_parse(const tuff_op *op, tuff_dtype dtype, const char *text,
                            tuff_case *c)
{
    char copy[TUFF_CASE_TEXT];
    memset(c, 0, sizeof *c);
    c->call.op = op;
    c->call.params = c->params;
    TUFF_REQUIRE(strlen(text) < sizeof copy, FORMAT, "a case of %zu bytes; expected below %zu",
                 strlen(text), sizeof copy);
    TUFF_REQUIRE(op->params_size <= sizeof c->params, LIMIT, "%s has too many params",
                 op->name);
    strcpy(copy, text);
    char *rest = NULL;
    int shapes = 0;
    bool keys = false;
    uint32_t seen = 0;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (!strchr(word, '=')) {
            TUFF_REQUIRE(!keys, FORMAT, "'%s': shapes come before parameters", word);
            TUFF_TRY(parse_shape(&c->call, dtype, shapes++, word));
            continue;
        }
        const tuff_field *f;
        TUFF_TRY(tuff_field_parse(op, TUFF_DIALECT_CASE, first_rank(&c->call), word, c->params,
                                  &f));
        TUFF_REQUIRE(!(seen >> (f - op->params) & 1), FORMAT, "'%s': %s is given twice", word,
                     f->name);
        seen |= 1u << (f - op->params);
        keys = true;
    }
    return tuff_call_infer(&c->call);
}

static size_t print_dims(const tuff_port *port, const tuff_desc *d, char *text, size_t size)
{
    if (!d->dtype) return (size_t)snprintf(text, size, "-");
    size_t n = 0;
    // Of a port that takes other types than its neighbours, the type must be said.
    if (port->mixed && port->dtypes & (port->dtypes - 1))
        n = (size_t)snprintf(text, size, "%s:", tuff_dtype_name(d->dtype));
    if (!d->rank)
        return n + (size_t)snprintf(n < size ? text + n : NULL, n < size ? size - n : 0, "[]");
    for (int i = 0; i < d->rank; i++)
        n += (size_t)snprintf(n < size ? text + n : NULL, n < size ? size - n : 0,
                              i ? "x%lld" : "%lld", (long long)d->dim[i]);
    return n;
}

size_t tuff_case_print(const tuff_call *call, char *text, size_t size)
{
    const bool output = !call->op->in[0].name;
    int count = output ? 1 : call->nin;
    while (!output && count > 0 && !call->in[count - 1].dtype) count--;
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        if (i && n + 1 < size) strcpy(text + n, " ");
        n += i > 0;
        n += print_dims(output ? call->op->out : &call->op->in[i],
                        output ? call->out : &call->in[i], n < size ? text + n : NULL,
                        n < size ? size - n : 0);
    }
    const size_t start = n ? n + 1 : 0;
    const size_t more = tuff_field_print(call->op, first_rank(call), call->params,
                                         start < size ? text + start : NULL,
                                         start < size ? size - start : 0);
    if (!more) return n;
    if (n && n + 1 < size) text[n] = ' ';
    return start + more;
}
