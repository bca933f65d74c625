// quantize_linear, dequantize_linear and fake_quantize on the CPU path, in runs of elements
// that have one scale, or along which scales and zero points run, too.
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/quantize.h"

enum { X, SCALE, ZERO, DY };

// A run, from element `at` on, and where its scales begin.
typedef struct run {
    size_t at, n, first;
    bool each; // a scale for each element, else one for all
} run;

static run run_of(tuff_quant_axis a, size_t at, size_t end)
{
    run r = { .at = at, .n = end - at, .each = a.inner == 1 && a.scales > 1 };
    if (a.scales == 1) return r;
    r.first = at / a.inner % a.scales;
    const size_t left = r.each ? a.scales - r.first : a.inner - at % a.inner;
    if (r.n > left) r.n = left;
    return r;
}

// Ties to even; what is far outside is the nearest end whatever is added.
TUFF_INLINE int32_t quantized(float x, float s, int32_t zero, int32_t low, int32_t high)
{
    const float q = x / s, v = q != q ? 0 : q;
    const int32_t y = (int32_t)tuff_whole(tuff_between(v, -1024, 1024)) + zero;
    const int32_t most = y < high ? y : high;
    return most > low ? most : low;
}

#define QUANTIZE(type, low, high)                                               \
    do {                                                                        \
        const type *zero = zero_;                                               \
        type *y = y_;                                                           \
        if (each && zero)                                                       \
            for (size_t i = 0; i < n; i++)                                      \
                y[i] = (type)quantized(x[i], s[i], zero[i], low, high);         \
        else if (each)                                                          \
            for (size_t i = 0; i < n; i++)                                      \
                y[i] = (type)quantized(x[i], s[i], 0, low, high);               \
        else                                                                    \
            for (size_t i = 0; i < n; i++)                                      \
                y[i] = (type)quantized(x[i], one, all, low, high);              \
    } while (0)

TUFF_EACH_PROCESSOR void quantize(bool is_signed, bool each, const float *x, const float *s,
                                  const void *zero_, void *y_, size_t n)
{
    const float one = *s;
    const int32_t all = !zero_ ? 0 : is_signed ? *(const int8_t *)zero_
                                               : *(const uint8_t *)zero_;
    if (is_signed) QUANTIZE(int8_t, -128, 127);
    else QUANTIZE(uint8_t, 0, 255);
}
TUFF_FOR_PROCESSORS(quantize, (bool is_signed, bool each, const float *x, const float *s,
                               const void *zero_, void *y_, size_t n),
                    (is_signed, each, x, s, zero_, y_, n))

// What does not fit 32 bits wraps round.
TUFF_INLINE float number(int32_t x, int32_t zero, float s)
{
    return (float)((double)(int32_t)((uint32_t)x - (uint32_t)zero) * (double)s);
}

#define DEQUANTIZE(type)                                                        \
    do {                                                                        \
        const type *x = x_, *zero = zero_;                                      \
        const int32_t all = zero ? *zero : 0;                                   \
        if (each && zero)                                                       \
            for (size_t i = 0; i < n; i++) y[i] = number(x[i], zero[i], s[i]);  \
        else if (each)                                                          \
            for (size_t i = 0; i < n; i++) y[i] = number(x[i], 0, s[i]);        \
        else                                                                    \
            for (size_t i = 0; i < n; i++) y[i] = number(x[i], all, one);       \
    } while (0)

TUFF_EACH_PROCESSOR void dequantize(tuff_dtype type, bool each, const void *x_, const float *s,
                                    const void *zero_, float *y, size_t n)
{
    const float one = *s;
    if (type == TUFF_I8) DEQUANTIZE(int8_t);
    else if (type == TUFF_U8) DEQUANTIZE(uint8_t);
    else DEQUANTIZE(int32_t);
}
TUFF_FOR_PROCESSORS(dequantize, (tuff_dtype type, bool each, const void *x_, const float *s,
                                 const void *zero_, float *y, size_t n),
                    (type, each, x_, s, zero_, y, n))

void tuff_quantize_host(const tuff_ref *r, tuff_quant_axis a, size_t begin, size_t end)
{
    const bool is_signed = r->call->out[0].dtype == TUFF_I8;
    const char *zero = (const char *)r->in[ZERO];
    for (run k; begin < end; begin += k.n) {
        k = run_of(a, begin, end);
        quantize_best()(is_signed, k.each, r->in[X] + k.at, r->in[SCALE] + k.first,
                        zero ? zero + k.first : NULL, (char *)r->out[0] + k.at, k.n);
    }
}

void tuff_dequantize_host(const tuff_ref *r, tuff_quant_axis a, size_t begin, size_t end)
{
    const tuff_dtype type = r->call->in[X].dtype;
    const size_t size = tuff_dtype_size(type);
    const char *x = (const char *)r->in[X], *zero = (const char *)r->in[ZERO];
    for (run k; begin < end; begin += k.n) {
        k = run_of(a, begin, end);
        dequantize_best()(type, k.each, x + k.at * size, r->in[SCALE] + k.first,
                          zero ? zero + k.first * size : NULL, r->out[0] + k.at, k.n);
    }
}

// ---- fake quantization -------------------------------------------------------------------

TUFF_INLINE float steps_from_0(float x, float s)
{
    const float q = x / s, v = q != q ? 0 : q;
    return tuff_whole(tuff_between(v, -4000000, 4000000));
}

TUFF_INLINE float fake(float x, float s, float low, float high)
{
    const float y = tuff_between(steps_from_0(x, s), low, high) * s;
    return x != x ? x : y;
}

// What an element's dy is multiplied by in the gradient of its scale. q s is exact in two
// parts, for q has few bits and each half of s 12; and their difference from x nearly is.
TUFF_INLINE float of_scale(float x, float s, float q, float low, float high)
{
    const float upper = tuff_float(tuff_bits(s) & 0xfffff000);
    const float lost = ((q * upper - x) + q * (s - upper)) / s;
    return q < low ? low : q > high ? high : lost;
}

TUFF_EACH_PROCESSOR void fake_all(bool each, tuff_steps8 e, const float *x, const float *s,
                                  const int32_t *zero, float *y, size_t n)
{
    const float one = *s, low = (float)(e.low - *zero), high = (float)(e.high - *zero);
    if (each)
        for (size_t i = 0; i < n; i++)
            y[i] = fake(x[i], s[i], (float)(e.low - zero[i]), (float)(e.high - zero[i]));
    else
        for (size_t i = 0; i < n; i++) y[i] = fake(x[i], one, low, high);
}
TUFF_FOR_PROCESSORS(fake_all, (bool each, tuff_steps8 e, const float *x, const float *s,
                               const int32_t *zero, float *y, size_t n),
                    (each, e, x, s, zero, y, n))

TUFF_EACH_PROCESSOR void fake_grad(bool each, tuff_steps8 e, const float *x, const float *s,
                                   const int32_t *zero, const float *dy, float *dx, float *ds,
                                   size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t k = each ? i : 0;
        const float low = (float)(e.low - zero[k]), high = (float)(e.high - zero[k]);
        const float q = steps_from_0(x[i], s[k]);
        dx[i] = ((q >= low) & (q <= high)) ? dy[i] : 0;
        ds[i] = dy[i] * of_scale(x[i], s[k], q, low, high);
    }
}
TUFF_FOR_PROCESSORS(fake_grad, (bool each, tuff_steps8 e, const float *x, const float *s,
                                const int32_t *zero, const float *dy, float *dx, float *ds,
                                size_t n),
                    (each, e, x, s, zero, dy, dx, ds, n))

static const int32_t *zeros_of(const tuff_ref *r)
{
    return (const int32_t *)(const void *)r->in[ZERO];
}

void tuff_fake_quantize_host(const tuff_ref *r, tuff_quant_axis a)
{
    const tuff_steps8 e = tuff_fake_steps(r->call);
    size_t at = r->begin;
    for (run k; at < r->end; at += k.n) {
        k = run_of(a, at, r->end);
        fake_all_best()(k.each, e, r->in[X] + at, r->in[SCALE] + k.first, zeros_of(r) + k.first,
                        r->out[0] + at, k.n);
    }
}

void tuff_fake_grad_host(const tuff_ref *r, tuff_quant_axis a)
{
    const tuff_steps8 e = tuff_fake_steps(r->call);
    size_t at = r->begin;
    for (run k; at < r->end; at += k.n) {
        k = run_of(a, at, r->end);
        fake_grad_best()(k.each, e, r->in[X] + at, r->in[SCALE] + k.first,
                         zeros_of(r) + k.first, r->in[DY] + at, r->out[0] + at,
                         r->out[1] + at, k.n);
    }
}
