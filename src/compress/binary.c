// Nets of few levels, packed; declared in <tuff/compress/binary.h>.
#include <tuff/compress.h>
#include "base/status.h"
#include "compress/latent.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// How a part is packed.
typedef enum form { AS_IT_IS, SIGN, XNOR, TERNARY } form;

typedef struct job {
    tuff_rewrite *w;
    const tuff_levels_params *p;
    bool trained; // the net has layers that are trained so, and they alone are packed
} job;

static const tuff_model *from(const job *j) { return j->w->from; }

static int argument(const tuff_model *m, int part, const char *name, int axis)
{
    tuff_model_part copy = m->part[part];
    const int *arg = tuff_part_arg(&copy, name);
    return arg ? arg[axis] : 0;
}

static bool is_trained(const tuff_model *m, int part)
{
    return tuff_part_is(m, part, "bdense") || tuff_part_is(m, part, "bconv");
}

static bool is_conv(const tuff_model *m, int part)
{
    return tuff_part_is(m, part, "conv") || tuff_part_is(m, part, "bconv");
}

static bool is_plain(const tuff_model *m, int part)
{
    if (tuff_part_is(m, part, "dense")) return m->part[part].input.dtype == TUFF_F32;
    return tuff_part_is(m, part, "conv") && m->part[part].input.dtype == TUFF_F32 &&
           argument(m, part, "group", 0) == 1 && argument(m, part, "dilation", 0) == 1 &&
           argument(m, part, "dilation", 1) == 1;
}

// Whether no other product comes before a part, or behind it.
static bool is_end(const tuff_model *m, int part)
{
    bool before = false, behind = false;
    for (int i = 0; i < m->parts; i++) {
        const bool product = tuff_part_is_product(m, i);
        before |= product && i < part;
        behind |= product && i > part;
    }
    return !before || !behind;
}

static form form_of(const job *j, int part)
{
    const tuff_model *m = from(j);
    if (j->trained)
        return is_trained(m, part) ? SIGN + (form)argument(m, part, "levels", 0) : AS_IT_IS;
    if (!is_plain(m, part) || (j->p->keep_ends && is_end(m, part))) return AS_IT_IS;
    return j->p->ternary ? TERNARY : XNOR;
}

// ---- signs ---------------------------------------------------------------------------------

// Gives signs where it takes signs, when the net is in use.
static bool keeps_signs(const tuff_model *m, int part)
{
    return tuff_part_is(m, part, "dropout") || tuff_part_is(m, part, "flatten") ||
           tuff_part_is(m, part, "maxpool") || tuff_part_is(m, part, "gmp");
}

// The sign layer that made what a part takes, or -1.
static int sign_before(const tuff_model *m, int part)
{
    int at = m->part[part].item.in[0];
    while (at >= 0 && keeps_signs(m, at)) at = m->part[at].item.in[0];
    return at >= 0 && tuff_part_is(m, at, "sign") ? at : -1;
}

enum { REAL, SIGNS, SCALED }; // as the layers' argument has them

static int inputs_of(const job *j, int part)
{
    const form f = form_of(j, part);
    const int given = j->trained ? argument(from(j), part, "inputs", 0) : REAL;
    const bool bits = (f == SIGN || f == XNOR) && given == REAL;
    return bits && sign_before(from(j), part) >= 0 ? SIGNS : given;
}

static bool counts_bits(const job *j, int part)
{
    const form f = form_of(j, part);
    return (f == SIGN || f == XNOR) && inputs_of(j, part) != REAL;
}

// A sign layer has nothing to do whose signs only go to a layer that takes them anew.
static bool is_needless(const job *j, int part)
{
    const tuff_model *m = from(j);
    int at = part, user;
    if (!tuff_part_is(m, part, "sign")) return false;
    do {
        if (tuff_part_users(m, at, &user) != 1) return false;
        at = user;
    } while (keeps_signs(m, at));
    return counts_bits(j, at) && inputs_of(j, at) == SIGNS;
}

// ---- texts ---------------------------------------------------------------------------------

static void write_text(const job *j, int part)
{
    static const char *const levels[] = { "", "sign", "xnor", "ternary" };
    static const char *const inputs[] = { "real", "signs", "scaled" };
    const tuff_model *m = from(j);
    char text[TUFF_LAYER_TEXT];
    if (is_conv(m, part))
        snprintf(text, sizeof text, "bconv %d %dx%d stride=%dx%d pad=%dx%d",
                 argument(m, part, "CHANNELS", 0), argument(m, part, "KERNEL", 0),
                 argument(m, part, "KERNEL", 1), argument(m, part, "stride", 0),
                 argument(m, part, "stride", 1), argument(m, part, "pad", 0),
                 argument(m, part, "pad", 1));
    else
        snprintf(text, sizeof text, "bdense %d", argument(m, part, "UNITS", 0));
    tuff_rewrite_set(j->w, part, "%s levels=%s inputs=%s packed=yes bias=%s", text,
                     levels[form_of(j, part)], inputs[inputs_of(j, part)],
                     argument(m, part, "bias", 0) ? "yes" : "no");
}

// ---- packing -------------------------------------------------------------------------------

static void set_bit(uint32_t *words, int64_t i) { words[i / 32] |= 1u << i % 32; }

static double mean_size(const float *w, int64_t n, double beyond)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)w[i]) > beyond)) continue;
        sum += fabs((double)w[i]);
        count++;
    }
    return count ? sum / (double)count : 0;
}

// The weights of one output; its scale is returned.
static float pack_ternary(const float *w, int64_t n, uint32_t *to, int64_t words)
{
    const float limit = (float)(mean_size(w, n, -1) * (double)0.7f);
    for (int64_t i = 0; i < n; i++) {
        if (!(fabsf(w[i]) > limit)) continue;
        set_bit(to, i);
        if (w[i] > 0) set_bit(to + words, i);
    }
    return (float)mean_size(w, n, (double)limit);
}

// Tap by tap the channels' signs, in words of their own; of a row there is one tap.
static void pack_signs(const float *w, int64_t channels, int64_t taps, uint32_t *to)
{
    for (int64_t t = 0; t < taps; t++, to += (channels + 31) / 32)
        for (int64_t c = 0; c < channels; c++)
            if (!(w[c * taps + t] < 0)) set_bit(to, c);
}

void tuff_levels_pack(const tuff_rewrite *rewrite, int part, int to)
{
    const tuff_model *m = rewrite->to;
    const tuff_param *p = tuff_part_param(rewrite->from, part, "weight");
    const tuff_param *q = tuff_part_param(m, to, "weight");
    const tuff_param *s = tuff_part_param(m, to, "weight_scale");
    const float *w = tuff_param_at(rewrite->from_flat, p);
    uint32_t *bits = tuff_param_at(rewrite->to_flat, q);
    float *scale = s ? tuff_param_at(rewrite->to_flat, s) : NULL;
    const int64_t out = p->desc.dim[0], row = p->count / out, each = q->count / out;
    const int64_t in = p->desc.dim[1];
    const bool ternary = SIGN + argument(m, to, "levels", 0) == TERNARY;
    const bool by_tap = is_conv(m, to) && !ternary && argument(m, to, "inputs", 0) != REAL;
    memset(bits, 0, tuff_desc_bytes(&q->desc));
    for (int64_t o = 0; o < out; o++, w += row, bits += each) {
        if (ternary) {
            scale[o] = pack_ternary(w, row, bits, each / 2);
            continue;
        }
        pack_signs(w, by_tap ? in : row, by_tap ? row / in : 1, bits);
        if (scale) scale[o] = (float)mean_size(w, row, -1);
    }
}

// ---- and back ------------------------------------------------------------------------------

bool tuff_is_packed(const tuff_model *m, int part)
{
    return is_trained(m, part) && argument(m, part, "packed", 0);
}

static bool has_bit(const uint32_t *words, int64_t i) { return words[i / 32] >> i % 32 & 1; }

void tuff_levels_unpack(const tuff_rewrite *rewrite, int part, int to)
{
    const tuff_model *m = rewrite->from;
    const tuff_param *p = tuff_part_param(m, part, "weight");
    const tuff_param *s = tuff_part_param(m, part, "weight_scale");
    const tuff_param *q = tuff_part_param(rewrite->to, to, "weight");
    const uint32_t *bits = tuff_param_at(rewrite->from_flat, p);
    const float *scale = s ? tuff_param_at(rewrite->from_flat, s) : NULL;
    float *w = tuff_param_at(rewrite->to_flat, q);
    const int64_t out = q->desc.dim[0], row = q->count / out, each = p->count / out;
    const int64_t in = q->desc.dim[1], taps = row / in, words = (in + 31) / 32;
    const bool ternary = SIGN + argument(m, part, "levels", 0) == TERNARY;
    const bool by_tap = is_conv(m, part) && !ternary && argument(m, part, "inputs", 0) != REAL;
    for (int64_t o = 0; o < out; o++, bits += each)
        for (int64_t i = 0; i < row; i++) {
            const int64_t bit = by_tap ? i % taps * words * 32 + i / taps : i;
            const bool above = has_bit(ternary ? bits + each / 2 : bits, bit);
            const float size = scale ? scale[o] : q->clip / 2;
            w[o * row + i] = ternary && !has_bit(bits, bit) ? 0 : above ? size : -size;
        }
}

// ---- the net -------------------------------------------------------------------------------

static void fill(const job *j)
{
    tuff_rewrite_keep(j->w); // biases, too
    for (int i = 0; i < from(j)->parts; i++)
        if (form_of(j, i) != AS_IT_IS) tuff_levels_pack(j->w, i, j->w->first[i]);
}

static tuff_status check(const tuff_model *m, bool *trained)
{
    bool any = false;
    *trained = false;
    for (int i = 0; i < m->parts; i++) {
        TUFF_REQUIRE(!is_trained(m, i) || !argument(m, i, "packed", 0), ARG,
                     "quantize: layer %s (%s) is packed already", m->part[i].item.name,
                     m->part[i].text);
        *trained |= is_trained(m, i);
        any |= is_plain(m, i);
    }
    TUFF_REQUIRE(any || *trained, ARG, "quantize: the net has no dense layer and no "
                                       "convolution without groups and dilation");
    return TUFF_OK;
}

static int packed_count(const job *j)
{
    int n = 0;
    for (int i = 0; i < from(j)->parts; i++) n += form_of(j, i) != AS_IT_IS;
    return n;
}

tuff_status tuff_quantize_levels(tuff_model *model, const tuff_levels_params *p,
                                 tuff_model **packed)
{
    static const tuff_levels_params defaults;
    TUFF_REQUIRE(model && packed, ARG, "quantize: model or result is NULL");
    tuff_status status = TUFF_OK;
    job j = { .p = p ? p : &defaults };
    *packed = NULL;
    TUFF_TRY(check(model, &j.trained));
    TUFF_TRY(tuff_want_floats(model, "quantize"));
    TUFF_GO(tuff_rewrite_open(model, &j.w));
    if (packed_count(&j) == 0)
        TUFF_GO(tuff_fail(TUFF_ERR_ARG, "quantize: the net has no product between its first "
                                        "and its last, which are kept as they are"));
    for (int i = 0; i < model->parts; i++) {
        if (form_of(&j, i) != AS_IT_IS) write_text(&j, i);
        else if (is_needless(&j, i)) tuff_rewrite_set(j.w, i, "%s", "");
    }
    TUFF_GO(tuff_rewrite_build(j.w));
    fill(&j);
    TUFF_GO(tuff_rewrite_close(&j.w, packed));
exit:
    if (j.w) (void)tuff_rewrite_close(&j.w, NULL);
    return status;
}
