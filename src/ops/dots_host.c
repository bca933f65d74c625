// See dots_host.h.
#include "ops/dots_host.h"
#include "ops/qgemm_host.h"
#include <stdlib.h>

static int64_t number_at(const tuff_ref *r, int input, int64_t i)
{
    if (input < 0 || !r->in[input]) return 0;
    const tuff_desc *d = &r->call->in[input];
    return tuff_whole_at(d->dtype, r->in[input], tuff_desc_count(d) == 1 ? 0 : (size_t)i);
}

bool tuff_dots_takes(void)
{
#if defined __x86_64__
    return tuff_processor_dots_i8() && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
    return false;
#endif
}

uint8_t tuff_dots_flip_x(const tuff_ref *r)
{
    return r->call->in[tuff_qconv_inputs_of(r->call)->x].dtype == TUFF_I8 ? 0x80 : 0;
}

uint8_t tuff_dots_flip_w(const tuff_ref *r)
{
    return r->call->in[tuff_qconv_inputs_of(r->call)->w].dtype == TUFF_U8 ? 0x80 : 0;
}

int32_t tuff_dots_zero_x(const tuff_ref *r)
{
    const tuff_qconv_inputs *in = tuff_qconv_inputs_of(r->call);
    return (int32_t)number_at(r, in->x_zero, 0) + tuff_dots_flip_x(r);
}

static double factor_of(const tuff_ref *r, const tuff_qconv_inputs *in, int64_t o)
{
    if (in->y_zero < 0) return 0;
    const bool many = tuff_desc_count(&r->call->in[in->w_scale]) > 1;
    return tuff_qfactor(r->in[in->w_scale][many ? o : 0], r->in[in->x_scale][0],
                        r->in[in->y_scale][0]);
}

tuff_dots_row tuff_dots_row_of(const tuff_ref *r, const tuff_conv *v, int64_t o)
{
    const tuff_qconv_inputs *in = tuff_qconv_inputs_of(r->call);
    const uint8_t flip = tuff_dots_flip_w(r);
    const int64_t k = v->cg * v->k[1] * v->k[2];
    uint8_t room[TUFF_QCONV_SOME];
    const int32_t zero = (int32_t)number_at(r, in->w_zero, o) - flip;
    int64_t sum = 0, reach = 0;
    for (int64_t first = 0; first < k; first += TUFF_QCONV_SOME) {
        const int64_t n = k - first < TUFF_QCONV_SOME ? k - first : TUFF_QCONV_SOME;
        const uint8_t *w = tuff_qconv_weights(r, o * k + first, n, room);
        for (int64_t i = 0; i < n; i++) {
            const int32_t q = (int8_t)(w[i] ^ flip);
            sum += q;
            reach += abs(q - zero);
        }
    }
    return (tuff_dots_row){ factor_of(r, in, o), 255 * reach, (int32_t)sum, zero };
}

tuff_dots_call tuff_dots_call_of(const tuff_ref *r, const tuff_conv *v)
{
    const tuff_qconv_inputs *in = tuff_qconv_inputs_of(r->call);
    const int32_t *bias = in->bias < 0 ? NULL : (const int32_t *)(const void *)r->in[in->bias];
    return (tuff_dots_call){ bias, tuff_dots_zero_x(r), (int32_t)(v->cg * v->k[1] * v->k[2]) };
}

tuff_dots_range tuff_dots_range_of(const tuff_ref *r)
{
    const tuff_qconv_inputs *in = tuff_qconv_inputs_of(r->call);
    const tuff_conv_params *p = r->call->params;
    const bool is_signed = r->call->out[0].dtype == TUFF_I8;
    tuff_dots_range to = { (int32_t)number_at(r, in->y_zero, 0), is_signed ? -128 : 0,
                           is_signed ? 127 : 255 };
    if (p->act == TUFF_ACT_RELU && to.zero > to.low) to.low = to.zero;
    return to;
}

void tuff_dots_far(const int32_t *sum, const double *factor, bool one,
                   const tuff_dots_range *to, int64_t n, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = tuff_requantized(sum[i], factor[one ? 0 : i]) + to->zero;
        y[i] = (uint8_t)(v < to->low ? to->low : v > to->high ? to->high : v);
    }
}
