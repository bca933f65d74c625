#include "ops/host.h"
#include "base/convert.h"
#include <string.h>
#if defined __x86_64__
#include <emmintrin.h>
#endif

// ---- reading --------------------------------------------------------------------------------

tuff_operand tuff_operand_of(const void *x, const tuff_desc *d, const tuff_desc *y)
{
    int64_t step[TUFF_MAX_DIMS];
    tuff_steps_as(d, y, step);
    tuff_operand o = { .x = x, .type = d->dtype, .size = tuff_dtype_size(d->dtype),
                       .walk = tuff_walk_make(y->rank, y->dim, step, step) };
    o.same = o.walk.rank == 0 || (o.walk.rank == 1 && o.walk.step[0][0] == 1);
    return o;
}

static void repeat(const char *x, size_t size, size_t n, char *y)
{
    if (size == 1) {
        memset(y, *x, n);
    } else if (size == 4) {
        uint32_t word;
        memcpy(&word, x, sizeof word);
        for (size_t i = 0; i < n; i++) memcpy(y + i * 4, &word, sizeof word);
    } else {
        for (size_t i = 0; i < n; i++) memcpy(y + i * size, x, size);
    }
}

// Runs along the innermost dim, from element `at` of the walk.
static void spread(const tuff_operand *o, size_t at, size_t n, char *y)
{
    const tuff_walk *w = &o->walk;
    size_t place[TUFF_MAX_DIMS], from = 0;
    for (int d = 0; d < w->rank; at /= w->dim[d++]) {
        place[d] = at % w->dim[d];
        from += place[d] * w->step[0][d];
    }
    while (n) {
        size_t run = w->dim[0] - place[0];
        if (run > n) run = n;
        if (w->step[0][0]) memcpy(y, o->x + from * o->size, run * o->size);
        else repeat(o->x + from * o->size, o->size, run, y);
        y += run * o->size;
        n -= run;
        place[0] += run;
        from += run * w->step[0][0];
        for (int d = 0; d < w->rank && place[d] == w->dim[d]; d++) {
            from -= (size_t)w->dim[d] * w->step[0][d];
            place[d] = 0;
            if (d + 1 < w->rank) place[d + 1]++, from += w->step[0][d + 1];
        }
    }
}

const void *tuff_operand_raw(const tuff_operand *o, size_t at, size_t n, void *room)
{
    const size_t rest = tuff_whole_lanes(n) - n;
    if (o->same && !rest) return o->x + at * o->size;
    if (o->same) memcpy(room, o->x + at * o->size, n * o->size);
    else spread(o, at, n, room);
    memset((char *)room + n * o->size, 0, rest * o->size);
    return room;
}

const void *tuff_operand_read(const tuff_operand *o, size_t at, size_t n, void *room)
{
    if (!(o->type & (TUFF_F16 | TUFF_BF16))) return tuff_operand_raw(o, at, n, room);
    uint16_t half[TUFF_BLOCK];
    const void *x = o->same ? o->x + at * o->size : (const char *)half;
    if (!o->same) spread(o, at, n, (char *)half);
    tuff_convert_fast(o->type, x, TUFF_F32, room, false, 0, n);
    memset((float *)room + n, 0, (tuff_whole_lanes(n) - n) * sizeof(float));
    return room;
}

// ---- writing --------------------------------------------------------------------------------

// More than caches keep until the result is read.
bool tuff_host_streams(size_t bytes) { return bytes >= (size_t)16 << 20; }

void tuff_host_write(void *to, const void *from, size_t bytes)
{
#if defined __x86_64__
    const size_t lead = (0 - (uintptr_t)to) % sizeof(__m128i);
    if (lead <= bytes) {
        memcpy(to, from, lead);
        char *y = (char *)to + lead;
        const char *x = (const char *)from + lead;
        bytes -= lead;
        for (; bytes >= sizeof(__m128i); bytes -= sizeof(__m128i)) {
            _mm_stream_si128((__m128i *)(void *)y,
                             _mm_loadu_si128((const __m128i *)(const void *)x));
            x += sizeof(__m128i);
            y += sizeof(__m128i);
        }
        to = y;
        from = x;
    }
#endif
    memcpy(to, from, bytes);
}

void tuff_host_written(void)
{
#if defined __x86_64__
    _mm_sfence();
#endif
}

// ---- blocks ---------------------------------------------------------------------------------

void tuff_blocks_run(const tuff_blocks *b, const tuff_ref *r, int output)
{
    _Alignas(64) uint64_t room[TUFF_OPERANDS + 1][TUFF_BLOCK];
    const void *x[TUFF_OPERANDS];
    const tuff_dtype type = r->call->out[output].dtype;
    const size_t size = tuff_dtype_size(type);
    const bool streams = tuff_host_streams(tuff_desc_bytes(&r->call->out[output]));
    const bool casts = size < b->y_size;
    uint16_t half[TUFF_BLOCK];
    char *out = (char *)r->out[output];
    for (size_t at = r->begin; at < r->end;) {
        const size_t n = r->end - at < TUFF_BLOCK ? r->end - at : TUFF_BLOCK;
        for (int k = 0; k < b->operands; k++)
            x[k] = (b->raw ? tuff_operand_raw : tuff_operand_read)(&b->operand[k], at, n,
                                                                   room[k + 1]);
        const bool aside = streams || casts || n % TUFF_LANES;
        char *y = out + at * size;
        const void *made = room[0];
        b->block(b->how, x, aside ? (void *)room[0] : y, tuff_whole_lanes(n));
        if (casts) {
            tuff_convert_fast(TUFF_F32, made, type, half, false, 0, n);
            made = half;
        }
        if (streams) tuff_host_write(y, made, n * size);
        else if (aside) memcpy(y, made, n * size);
        at += n;
    }
    if (streams) tuff_host_written();
}
