// One run on a device, between guard words; see check.h.
//
// Every tensor is a view into a larger one:
//
//     | 256 bytes of guard | elements | guard to the next multiple of 256, and 256 more |
//
// The guard is a NaN of its own bits, so an element read out of bounds shows in the result,
// one written out of bounds shows in the guard, and one not written at all stays NaN.
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/check.h"
#include <math.h>
#include <string.h>

enum { EDGE = TUFF_BUFFER_ALIGN / 4 }; // words of guard on either side
static const uint32_t guard = 0x7fe5a5a5;

typedef struct cradle {
    tuff_tensor *base, *view;
    uint32_t *host;  // the base's words
    size_t words;    // in host
    size_t bytes;    // in the view
} cradle;

typedef struct bench {
    const tuff_trial *t;
    const tuff_call *call;
    const tuff_op *subject;
    tuff_stream *stream;
    double tolerance;
    int repeat;
    cradle in[TUFF_OP_IN], out[TUFF_OP_OUT];
    void *got[TUFF_OP_OUT];
} bench;

static tuff_status make(tuff_device *dev, const tuff_desc *d, cradle *c)
{
    c->bytes = tuff_desc_bytes(d);
    c->words = (c->bytes + TUFF_BUFFER_ALIGN - 1) / TUFF_BUFFER_ALIGN * EDGE + 2 * EDGE;
    c->host = tuff_alloc(c->words, sizeof *c->host);
    if (!c->host) return TUFF_ERR_MEMORY;
    TUFF_TRY(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, (int64_t)c->words), &c->base));
    return tuff_tensor_view(c->base, EDGE, *d, &c->view);
}

// Guards everywhere, and `data` as the elements (NULL: guards there too).
static tuff_status fill(tuff_stream *s, cradle *c, const void *data)
{
    for (size_t i = 0; i < c->words; i++) c->host[i] = guard;
    if (data) memcpy(c->host + EDGE, data, c->bytes);
    return tuff_tensor_write(s, c->base, c->host, c->words * sizeof *c->host);
}

// Reads a tensor back with its guards, and looks at those.
static tuff_status look(tuff_stream *s, cradle *c, const char *name)
{
    TUFF_TRY(tuff_tensor_read(s, c->base, c->host, c->words * sizeof *c->host));
    const unsigned char *bytes = (const unsigned char *)c->host;
    // A tensor owns the whole of its last word.
    const size_t start = EDGE * sizeof guard, end = start + (c->bytes + 3) / 4 * 4;
    for (size_t i = 0; i < c->words * sizeof guard; i++) {
        if (i == start) i = end;
        const unsigned char want = (unsigned char)(guard >> i % 4 * 8);
        TUFF_REQUIRE(bytes[i] == want, CHECK, "%lld bytes %s %s something was written",
                     i < start ? (long long)(start - i) : (long long)(i - end),
                     i < start ? "before" : "after", name);
    }
    return TUFF_OK;
}

static tuff_status set_up(bench *b)
{
    tuff_device *dev = tuff_stream_device(b->stream);
    for (int i = 0; i < b->call->nin; i++)
        if (b->t->in[i]) TUFF_TRY(make(dev, &b->call->in[i], &b->in[i]));
    for (int o = 0; o < b->call->nout; o++) {
        TUFF_TRY(make(dev, &b->call->out[o], &b->out[o]));
        b->got[o] = tuff_alloc(b->out[o].bytes, 1);
        if (!b->got[o]) return TUFF_ERR_MEMORY;
    }
    return TUFF_OK;
}

static void cradle_destroy(cradle *c)
{
    tuff_tensor_destroy(&c->view);
    tuff_tensor_destroy(&c->base);
    tuff_free(c->host);
}

static void tear_down(bench *b)
{
    for (int i = 0; i < TUFF_OP_IN; i++) cradle_destroy(&b->in[i]);
    for (int o = 0; o < TUFF_OP_OUT; o++) {
        cradle_destroy(&b->out[o]);
        tuff_free(b->got[o]);
    }
}

// The input that output o may take the place of, when both have one shape, else -1.
static int alias_of(const bench *b, int o)
{
    const tuff_port *port = &b->call->op->out[o];
    if (!port->alias || port->alias_in >= b->call->nin || !b->t->in[port->alias_in]) return -1;
    const bool same = tuff_desc_equal(&b->call->in[port->alias_in], &b->call->out[o]);
    return same ? port->alias_in : -1;
}

// Uploads, runs, and downloads to the cradles; outputs lie over inputs where `alias` is set.
static tuff_status run_once(bench *b, bool alias)
{
    const tuff_tensor *in[TUFF_OP_IN] = { 0 };
    tuff_tensor *out[TUFF_OP_OUT] = { 0 };
    cradle *place[TUFF_OP_OUT];
    bool taken[TUFF_OP_IN] = { 0 };
    for (int i = 0; i < b->call->nin; i++) {
        if (!b->t->in[i]) continue;
        TUFF_TRY(fill(b->stream, &b->in[i], b->t->in[i]));
        in[i] = b->in[i].view;
    }
    for (int o = 0; o < b->call->nout; o++) {
        const int i = alias ? alias_of(b, o) : -1;
        place[o] = i < 0 ? &b->out[o] : &b->in[i];
        if (i < 0) TUFF_TRY(fill(b->stream, place[o], NULL));
        if (i >= 0) taken[i] = true;
        out[o] = place[o]->view;
    }
    TUFF_TRY(tuff_run(b->stream, b->subject, in, b->call->nin, out, b->call->nout,
                      b->call->params));
    for (int o = 0; o < b->call->nout; o++) {
        TUFF_TRY(look(b->stream, place[o], b->call->op->out[o].name));
        if (place[o] != &b->out[o])
            memcpy(b->out[o].host + EDGE, place[o]->host + EDGE, b->out[o].bytes);
    }
    for (int i = 0; i < b->call->nin; i++) {
        if (!b->t->in[i] || taken[i]) continue;
        TUFF_TRY(look(b->stream, &b->in[i], b->call->op->in[i].name));
        TUFF_REQUIRE(memcmp(b->in[i].host + EDGE, b->t->in[i], b->in[i].bytes) == 0, CHECK,
                     "input %s was changed", b->call->op->in[i].name);
    }
    return TUFF_OK;
}

static double number(tuff_dtype type, const void *element)
{
    if (type == TUFF_I64) return (double)*(const int64_t *)element;
    if (type & (TUFF_I32 | TUFF_U32)) {
        int64_t wide;
        tuff_convert(type, element, TUFF_I64, &wide, false, 0, 1);
        return (double)wide;
    }
    float v; // holds every number of all other types
    tuff_convert(type, element, TUFF_F32, &v, false, 0, 1);
    return (double)v;
}

// Says where an output differs most, in its own numbers.
static tuff_status differs(const bench *b, int o, const char *how)
{
    const tuff_desc *d = &b->call->out[o];
    const size_t n = (size_t)tuff_desc_count(d), size = tuff_dtype_size(d->dtype);
    const char *name = b->call->op->out[o].name;
    const char *got = (const char *)(b->out[o].host + EDGE), *want = b->t->want[o];
    size_t at = 0, wrong = 0;
    double worst = -1;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(got + i * size, want + i * size, size) == 0) continue;
        const double e = fabs(number(d->dtype, got + i * size) -
                              number(d->dtype, want + i * size));
        wrong++;
        if (worst < 0 || !(e <= worst)) {
            worst = e;
            at = i;
        }
        if (isnan(e)) break;
    }
    return tuff_fail(TUFF_ERR_CHECK, "%s[%zu] is %.9g, expected %.9g%s (%zu of %zu elements "
                     "have other bits)", name, at, number(d->dtype, got + at * size),
                     number(d->dtype, want + at * size), how, wrong, n);
}

static tuff_status compare(const bench *b, const char *how, double *error)
{
    tuff_status status = TUFF_OK;
    for (int o = 0; o < b->call->nout; o++) {
        const void *got = b->out[o].host + EDGE;
        const double e = b->t->flushed[o]
                       ? tuff_trial_special_error(b->t, o, got, b->tolerance)
                       : tuff_trial_error(&b->call->out[o], got, b->t->want[o], 0,
                                          b->tolerance);
        if (e > *error) *error = e;
        const double most = tuff_trial_tolerance(&b->call->out[o], b->tolerance);
        if (!(e <= most) && status == TUFF_OK) status = differs(b, o, how);
    }
    return status;
}

static tuff_status judge(bench *b, double *error)
{
    TUFF_TRY(run_once(b, false));
    TUFF_TRY(compare(b, "", error));
    for (int o = 0; o < b->call->nout; o++)
        memcpy(b->got[o], b->out[o].host + EDGE, b->out[o].bytes);
    bool alias = false;
    for (int o = 0; o < b->call->nout; o++) alias |= alias_of(b, o) >= 0;
    for (int n = 2; n <= (b->repeat > 2 ? b->repeat : 2); n++) {
        TUFF_TRY(run_once(b, false));
        for (int o = 0; o < b->call->nout; o++)
            TUFF_REQUIRE(memcmp(b->got[o], b->out[o].host + EDGE, b->out[o].bytes) == 0, CHECK,
                         "run %d gave other bits in %s than the first", n,
                         b->call->op->out[o].name);
    }
    if (!alias) return TUFF_OK;
    TUFF_TRY(run_once(b, true));
    return compare(b, " when it takes the place of its input", error);
}

tuff_status tuff_trial_run(const tuff_trial *t, const tuff_op *subject, tuff_stream *stream,
                           double tolerance, int repeat, double *error)
{
    bench b = { .t = t, .call = &t->c.call, .subject = subject, .stream = stream,
                .tolerance = tolerance, .repeat = repeat };
    *error = 0;
    tuff_status status = set_up(&b);
    if (status == TUFF_OK) status = judge(&b, error);
    tear_down(&b);
    return status;
}
