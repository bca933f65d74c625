// Making a kernel: what the user gave is checked, copied, and the shader is held against its
// description. See kernel.h.
#include "kernel/kernel.h"
#include "base/alloc.h"
#include "base/status.h"
#include "glsl/compile.h"
#include <math.h>
#include <string.h>

enum { MOST_PARAMS = 512 };

static bool is_name(const char *name)
{
    if (!name || name[0] < 'a' || name[0] > 'z' || strlen(name) > 40) return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

// A copy of a text that lives as long as the kernel; NULL stays NULL.
static tuff_status keep(tuff_kernel *k, const char *text, const char **copy)
{
    *copy = NULL;
    if (!text) return TUFF_OK;
    if (!(k->text[k->ntext] = tuff_strdup(text))) return TUFF_ERR_MEMORY;
    *copy = k->text[k->ntext++];
    return TUFF_OK;
}

// ---- ports and fields --------------------------------------------------------------------

static tuff_status take_ports(tuff_kernel *k, const tuff_kernel_port *from, int most,
                              bool inputs, int *count)
{
    const uint32_t known = TUFF_MOVABLE | TUFF_I64;
    for (*count = 0; *count < most && from[*count].name; ++*count) {
        const tuff_kernel_port *f = &from[*count];
        tuff_port *to = inputs ? &k->op.in[*count] : &k->op.out[*count];
        TUFF_REQUIRE(is_name(f->name), ARG, "a port is named '%.40s', expected a-z, 0-9 and _",
                     f->name);
        TUFF_REQUIRE(!(f->dtypes & ~known), ARG, "%s takes types that do not exist", f->name);
        TUFF_REQUIRE((unsigned)f->view <= TUFF_VIEW_TEXEL4 &&
                         (inputs || f->view == TUFF_VIEW_STORAGE),
                     ARG, "%s: an output is a storage buffer", f->name);
        to->dtypes = f->dtypes ? f->dtypes : TUFF_F32;
        to->no_grad = f->no_grad || !(to->dtypes & TUFF_FLOATS);
        to->positive = f->positive;
        to->alias = !inputs && f->in_place;
        to->mixed = inputs;
        TUFF_TRY(keep(k, f->name, &to->name));
    }
    TUFF_REQUIRE(*count < most || !from[most].name, ARG, "it has over %d %s", most,
                 inputs ? "inputs" : "outputs");
    return TUFF_OK;
}

static tuff_status take_fields(tuff_kernel *k, const tuff_kernel_params *p)
{
    static const tuff_field_type types[] = { [TUFF_PARAM_FLOAT] = TUFF_FIELD_FLOAT,
                                             [TUFF_PARAM_INT] = TUFF_FIELD_INT,
                                             [TUFF_PARAM_BOOL] = TUFF_FIELD_BOOL };
    static const size_t sizes[] = { sizeof(float), sizeof(int), sizeof(bool) };
    TUFF_REQUIRE(p->params_size <= MOST_PARAMS, ARG, "its params have %zu bytes, at most %d "
                 "are taken", p->params_size, MOST_PARAMS);
    k->op.params_size = p->params_size;
    for (int i = 0; i < TUFF_OP_PARAMS && p->fields[i].name; i++) {
        const tuff_kernel_field *f = &p->fields[i];
        TUFF_REQUIRE(is_name(f->name), ARG, "a field is named '%.40s', expected a-z, 0-9 "
                     "and _", f->name);
        TUFF_REQUIRE((unsigned)f->type <= TUFF_PARAM_BOOL, ARG, "%s: %d is no type of a field",
                     f->name, (int)f->type);
        TUFF_REQUIRE(f->offset <= p->params_size &&
                         sizes[f->type] <= p->params_size - f->offset,
                     ARG, "%s lies beyond the params' %zu bytes", f->name, p->params_size);
        k->op.params[i].type = types[f->type];
        k->op.params[i].offset = f->offset;
        TUFF_TRY(keep(k, f->name, &k->op.params[i].name));
    }
    return TUFF_OK;
}

static tuff_status take_cases(tuff_kernel *k, const tuff_kernel_params *p)
{
    int n = 0;
    for (; p->cases && p->cases[n]; n++) {
        TUFF_REQUIRE(n < TUFF_KERNEL_CASES, ARG, "it has over %d cases", TUFF_KERNEL_CASES);
        TUFF_TRY(keep(k, p->cases[n], &k->cases[n]));
    }
    k->op.cases = k->cases;
    k->op.special = TUFF_SPECIAL_NONE; // nothing is known of what it makes of them
    TUFF_REQUIRE(p->tolerance >= 0 && p->tolerance < HUGE_VALF, ARG,
                 "tolerance is %g, expected at least 0", (double)p->tolerance);
    k->op.tol.f32 = (float)tuff_number(p->tolerance, 2e-6);
    TUFF_REQUIRE(p->sample_min <= p->sample_max && isfinite(p->sample_min) &&
                     isfinite(p->sample_max),
                 ARG, "samples are from %g to %g", (double)p->sample_min,
                 (double)p->sample_max);
    k->op.sample.min = p->sample_min;
    k->op.sample.max = p->sample_max;
    return TUFF_OK;
}

// ---- the shader --------------------------------------------------------------------------

static const char *view_name(tuff_reflect_kind kind)
{
    switch (kind) {
    case TUFF_REFLECT_NONE: return "not there";
    case TUFF_REFLECT_STORAGE: return "a storage buffer";
    case TUFF_REFLECT_TEXEL_F32: return "a samplerBuffer";
    case TUFF_REFLECT_TEXEL_U32: return "a usamplerBuffer";
    case TUFF_REFLECT_TEXEL_I32: return "an isamplerBuffer";
    case TUFF_REFLECT_OTHER: break;
    }
    return "neither a buffer nor a samplerBuffer";
}

static tuff_reflect_kind described(const tuff_kernel *k, int i)
{
    if (i >= k->nin || k->p.in[i].view == TUFF_VIEW_STORAGE) return TUFF_REFLECT_STORAGE;
    return k->op.in[i].dtypes & TUFF_FLOATS ? TUFF_REFLECT_TEXEL_F32 : TUFF_REFLECT_TEXEL_U32;
}

// The description against what the shader says of itself. An input that it does not read is
// left out by the optimizer; an output that nothing writes is a mistake.
static tuff_status check_bindings(const tuff_kernel *k)
{
    const tuff_reflect *r = &k->reflect;
    const int count = k->nin + k->nout;
    int last = r->beyond;
    TUFF_REQUIRE(!r->other_set, ARG, "the shader has a binding outside of set 0");
    for (int i = 0; i < TUFF_MAX_BINDINGS && last < 0; i++)
        if (i >= count && r->binding[i] != TUFF_REFLECT_NONE) last = i;
    TUFF_REQUIRE(last < 0, ARG, "the shader has a binding %d, the description ends with "
                 "%d (%s)", last, count - 1, k->op.out[k->nout - 1].name);
    for (int i = 0; i < count; i++) {
        const bool in = i < k->nin;
        const char *name = in ? k->op.in[i].name : k->op.out[i - k->nin].name;
        const tuff_reflect_kind got = r->binding[i], want = described(k, i);
        TUFF_REQUIRE(got != TUFF_REFLECT_NONE || in, ARG, "the shader has no binding %d, which "
                     "is to be the output %s", i, name);
        TUFF_REQUIRE(got == want || got == TUFF_REFLECT_NONE, ARG, "binding %d (%s) is %s in "
                     "the shader and %s in the description", i, name, view_name(got),
                     view_name(want));
    }
    TUFF_REQUIRE(r->capability < 0, UNSUPPORTED, "the shader needs %s (capability %d), which "
                 "not every device has", tuff_capability_name(r->capability), r->capability);
    return TUFF_OK;
}

static tuff_status take_spirv(tuff_kernel *k, const uint32_t *words, size_t bytes)
{
    TUFF_TRY(tuff_reflect_spirv(words, bytes, &k->reflect));
    TUFF_TRY(tuff_validate_spirv(words, bytes));
    TUFF_TRY(check_bindings(k));
    return tuff_shader_add(k->op.name, words, bytes, &k->shader);
}

static tuff_status take_shader(tuff_kernel *k, const tuff_kernel_params *p)
{
    TUFF_REQUIRE(!p->glsl || !p->spirv, ARG, "it is given both as GLSL and as SPIR-V");
    TUFF_REQUIRE(p->glsl || p->spirv || p->reference, ARG,
                 "it has neither a shader nor a reference");
    if (p->spirv) return take_spirv(k, p->spirv, p->spirv_bytes);
    if (!p->glsl) return TUFF_OK;
    uint32_t *words;
    size_t bytes;
    TUFF_TRY(tuff_compile_glsl(p->file ? p->file : k->op.name, p->glsl, &words, &bytes));
    const tuff_status status = take_spirv(k, words, bytes);
    tuff_free(words);
    return status;
}

// ---- all of it ---------------------------------------------------------------------------

static tuff_status make(tuff_kernel *k, const tuff_kernel_params *p)
{
    k->shader = -1;
    k->p = *p;
    k->op.own = true;
    TUFF_TRY(keep(k, p->name, &k->op.name));
    TUFF_TRY(keep(k, p->doc ? p->doc : "an operator of the user's", &k->op.doc));
    TUFF_TRY(take_ports(k, p->in, TUFF_OP_IN, true, &k->nin));
    TUFF_TRY(take_ports(k, p->out, TUFF_OP_OUT, false, &k->nout));
    TUFF_REQUIRE(k->nin >= 1 && k->nout >= 1, ARG, "it has %d inputs and %d outputs, expected "
                 "at least one of each", k->nin, k->nout);
    TUFF_REQUIRE(k->nin + k->nout <= TUFF_MAX_BINDINGS, ARG, "it has %d bindings, at most %d "
                 "are taken", k->nin + k->nout, TUFF_MAX_BINDINGS);
    TUFF_TRY(take_fields(k, p));
    TUFF_TRY(take_cases(k, p));
    TUFF_TRY(take_shader(k, p));
    tuff_kernel_fill(k);
    return TUFF_OK;
}

tuff_status tuff_kernel_create(const tuff_kernel_params *p, tuff_kernel **kernel)
{
    *kernel = NULL;
    TUFF_REQUIRE(p && is_name(p->name), ARG, "a kernel is named '%.40s', expected a-z, 0-9 "
                 "and _, a letter first", p && p->name ? p->name : "");
    tuff_kernel *k = tuff_alloc(1, sizeof *k);
    if (!k) return TUFF_ERR_MEMORY;
    const tuff_status status = make(k, p);
    if (status == TUFF_OK) {
        *kernel = k;
        return TUFF_OK;
    }
    tuff_kernel_destroy(&k);
    if (!p->glsl || status != TUFF_ERR_FORMAT) tuff_fail_prefix(p->name);
    return status;
}

void tuff_kernel_destroy(tuff_kernel **kernel)
{
    if (!kernel || !*kernel) return;
    tuff_kernel *k = *kernel;
    for (int i = 0; i < k->ntext; i++) tuff_free(k->text[i]);
    tuff_free(k);
    *kernel = NULL;
}

bool tuff_kernel_can_compile(void) { return tuff_compiler_there(); }
