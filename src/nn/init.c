// Starting values of weights. Element i of the flat tensor is made from number i of the
// seed's sequence alone, so the values do not depend on who makes them, or in which order.
#include "nn/model.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include <math.h>
#include <string.h>

// Separates these numbers from others that are drawn from the same seed.
enum { PURPOSE_INIT = 1 };

typedef enum form { FORM_CONSTANT, FORM_UNIFORM, FORM_NORMAL } form;

static const struct {
    const char *name;
    tuff_init_kind kind;
    int numbers; // after the =
} inits[] = {
    { "default", TUFF_INIT_DEFAULT, 0 },
    { "zeros", TUFF_INIT_ZEROS, 0 },
    { "constant", TUFF_INIT_CONSTANT, 1 },
    { "uniform", TUFF_INIT_UNIFORM, 2 },
    { "normal", TUFF_INIT_NORMAL, 2 },
    { "glorot_uniform", TUFF_INIT_GLOROT_UNIFORM, 0 },
    { "glorot_normal", TUFF_INIT_GLOROT_NORMAL, 0 },
    { "he_uniform", TUFF_INIT_HE_UNIFORM, 0 },
    { "he_normal", TUFF_INIT_HE_NORMAL, 0 },
    { "xavier_uniform", TUFF_INIT_GLOROT_UNIFORM, 0 },
    { "xavier_normal", TUFF_INIT_GLOROT_NORMAL, 0 },
    { "kaiming_uniform", TUFF_INIT_HE_UNIFORM, 0 },
    { "kaiming_normal", TUFF_INIT_HE_NORMAL, 0 },
};

tuff_status tuff_init_check(const tuff_init *init)
{
    TUFF_REQUIRE((unsigned)init->kind <= TUFF_INIT_HE_NORMAL, ARG, "init: %d is no kind",
                 (int)init->kind);
    TUFF_REQUIRE(isfinite(init->a) && isfinite(init->b), ARG,
                 "init: its numbers must be finite");
    TUFF_REQUIRE(init->kind != TUFF_INIT_UNIFORM || init->a <= init->b, ARG,
                 "init: uniform from %g to %g is an empty range", (double)init->a,
                 (double)init->b);
    TUFF_REQUIRE(init->kind != TUFF_INIT_NORMAL || init->b >= 0, ARG,
                 "init: the deviation of normal is %g, expected at least 0", (double)init->b);
    return TUFF_OK;
}

tuff_status tuff_init_parse(const char *text, tuff_init *init)
{
    const size_t n = strcspn(text, "=");
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        if (strlen(inits[i].name) != n || memcmp(inits[i].name, text, n) != 0) continue;
        double v[2] = { 0, 0 };
        const char *at = text + n;
        for (int k = 0; k < inits[i].numbers; k++) {
            const size_t length = *at ? strcspn(at + 1, ",") : 0;
            if (*at != "=,"[k] || !tuff_parse_f64(at + 1, length, &v[k])) break;
            at += 1 + length;
            if (k + 1 == inits[i].numbers && !*at) goto done;
        }
        if (inits[i].numbers == 0 && !*at) goto done;
        return tuff_fail(TUFF_ERR_FORMAT, "init: '%.64s' should be %s%s", text, inits[i].name,
                         inits[i].numbers == 0   ? " alone"
                         : inits[i].numbers == 1 ? "=NUMBER"
                                                 : "=NUMBER,NUMBER");
    done:
        *init = (tuff_init){ inits[i].kind, (float)v[0], (float)v[1] };
        return tuff_init_check(init);
    }
    return tuff_fail(TUFF_ERR_FORMAT,
                     "init: '%.64s' is not known, expected default, zeros, constant=A, "
                     "uniform=A,B, normal=MEAN,DEVIATION, glorot_uniform, glorot_normal, "
                     "he_uniform or he_normal",
                     text);
}

// What one parameter is filled with: `a` the constant, low or mean; `b` high or deviation.
typedef struct recipe {
    form form;
    double a, b;
} recipe;

static recipe recipe_of(const tuff_init *init, double in, double out)
{
    const double he = sqrt(6 / in), glorot = sqrt(6 / (in + out)), plain = 1 / sqrt(in);
    switch (init->kind) {
    case TUFF_INIT_DEFAULT: return (recipe){ FORM_UNIFORM, -plain, plain };
    case TUFF_INIT_ZEROS: return (recipe){ FORM_CONSTANT, 0, 0 };
    case TUFF_INIT_CONSTANT: return (recipe){ FORM_CONSTANT, init->a, 0 };
    case TUFF_INIT_UNIFORM: return (recipe){ FORM_UNIFORM, init->a, init->b };
    case TUFF_INIT_NORMAL: return (recipe){ FORM_NORMAL, init->a, init->b };
    case TUFF_INIT_GLOROT_UNIFORM: return (recipe){ FORM_UNIFORM, -glorot, glorot };
    case TUFF_INIT_GLOROT_NORMAL: return (recipe){ FORM_NORMAL, 0, sqrt(2 / (in + out)) };
    case TUFF_INIT_HE_UNIFORM: return (recipe){ FORM_UNIFORM, -he, he };
    case TUFF_INIT_HE_NORMAL: return (recipe){ FORM_NORMAL, 0, sqrt(2 / in) };
    }
    return (recipe){ FORM_CONSTANT, 0, 0 };
}

// Norms, embeddings and buffers start as PyTorch's whatever is asked for the weights.
static recipe recipe_for(const tuff_init *init, tuff_role_of role, double in, double out)
{
    switch (role) {
    case TUFF_PARAM_ONES:
    case TUFF_BUFFER_ONES: return (recipe){ FORM_CONSTANT, 1, 0 };
    case TUFF_PARAM_ZEROS:
    case TUFF_BUFFER_STORED:
    case TUFF_BUFFER_ZEROS: return (recipe){ FORM_CONSTANT, 0, 0 };
    case TUFF_PARAM_SLOPE: return (recipe){ FORM_CONSTANT, 0.25, 0 };
    case TUFF_PARAM_NORMAL: return (recipe){ FORM_NORMAL, 0, 1 };
    case TUFF_PARAM_BIAS:
        if (init->kind != TUFF_INIT_DEFAULT) return (recipe){ FORM_CONSTANT, 0, 0 };
        break;
    case TUFF_PARAM_WEIGHT: break;
    }
    return recipe_of(init, in, out);
}

static float draw(const recipe *r, uint64_t seed, uint64_t i)
{
    if (r->form == FORM_UNIFORM)
        return (float)(r->a + (r->b - r->a) * (double)tuff_rng_uniform_at(seed, i));
    if (r->form == FORM_NORMAL)
        return (float)(r->a + r->b * (double)tuff_rng_normal_at(seed, i));
    return (float)r->a;
}

void tuff_init_fill(const tuff_init *init, uint64_t seed, const tuff_param *params, int count,
                    int64_t first, int64_t n, float *data)
{
    const uint64_t own = tuff_rng_fork(seed, PURPOSE_INIT);
    memset(data, 0, (size_t)n * sizeof *data);
    double in = 1, out = 1; // of the last weight: a bias belongs to the weight before it
    for (int i = 0; i < count; i++) {
        const tuff_param *p = &params[i];
        if (p->role == TUFF_PARAM_WEIGHT) {
            in = (double)p->count / (double)p->desc.dim[0];
            out = (double)p->count / (double)p->desc.dim[1];
        }
        if (p->role == TUFF_BUFFER_STORED) continue; // zeros
        const recipe r = recipe_for(init, p->role, in, out);
        const int64_t end = p->offset + p->count, last = first + n;
        for (int64_t k = p->offset > first ? p->offset : first; k < end && k < last; k++)
            data[k - first] = draw(&r, own, (uint64_t)k);
    }
}
