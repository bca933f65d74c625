// The GLSL of a chain: text out of a chain's code, pure; and what was compiled of it.
#include "ops/chain_glsl.h"
#include "base/alloc.h"
#include "glsl/compile.h"
#include "glsl/kept.h"
#include "tuff_formulas.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- text ----------------------------------------------------------------------------------

typedef struct writer {
    char *text;
    size_t used, room;
} writer;

static void say(writer *w, const char *format, ...) TUFF_PRINTF(2, 3);

// What does not fit is counted, so that the caller can tell.
static void say(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const size_t left = w->used < w->room ? w->room - w->used : 0;
    const int n = vsnprintf(left ? w->text + w->used : NULL, left, format, args);
    va_end(args);
    w->used += n > 0 ? (size_t)n : 0;
}

// ---- declarations --------------------------------------------------------------------------

// Functions by number, made of the lists that the shaders have. Precise for the reason that
// chain.comp tells, and `zero` as there.
static const char functions[] =
    "#define NAMED(a, b) a##b\n"
    "#define NAME(a, b) NAMED(a, b)\n"
    "#define UNARY(N, y) float NAME(unary_, TUFF_UNARY_##N)(float v, float a, float b) "
    "{ precise float r = y; return r; }\n"
    "#define GUARDED(N, y) float NAME(unary_, TUFF_UNARY_##N)(float v, float a, float b) "
    "{ precise float r = is_nan(v) ? v : y; return r; }\n"
    "#define SLOPE(N, y) float NAME(slope_, TUFF_UNARY_##N)(float v, float dy, float a, "
    "float b) { precise float r = is_nan(v) ? v : y; return r; }\n"
    "#define BINARY(N, y) float NAME(binary_, TUFF_BINARY_##N)(float u, float w) "
    "{ float v = uintBitsToFloat(floatBitsToUint(w) ^ zero), n = 2.0; "
    "precise float r = y; return r; }\n"
    "#define COMPARED(N, y) float NAME(binary_, TUFF_BINARY_##N)(float u, float v) "
    "{ return y ? 1.0 : 0.0; }\n"
    "UNARY_PLAIN(UNARY)\nUNARY_COMMON(GUARDED)\nUNARY_RARE(GUARDED)\n"
    "SLOPE_COMMON(SLOPE)\nSLOPE_RARE(SLOPE)\n"
    "BINARY_COMMON(BINARY)\nBINARY_RARE(BINARY)\nCOMPARE(COMPARED)\n"
    "float chosen(float a, float b, float c) { return a != 0.0 ? b : c; }\n"
    "float inverse(float a, float p) { precise float r = 1.0 / sqrt_f32(a + p); return r; }\n"
    "float normal(float a, float b, float c) { precise float r = (a - b) * c; return r; }\n"
    "float add_to(float a, float b, float c) { precise float r = a * b + c; return r; }\n";

static bool has_place(const tuff_chain_code *c, int i)
{
    return c->mode[i] != TUFF_CHAIN_SAME && c->mode[i] != TUFF_CHAIN_SCALAR;
}

static bool is_power(uint32_t n) { return (n & (n - 1)) == 0; }

// Whether an input's place takes a shift and a mask, div and mod being powers of two.
static bool is_shifted(const tuff_chain_code *c, int i)
{
    return is_power(c->div[i]) && is_power(c->mod[i]) && c->mode[i] != TUFF_CHAIN_PERIODIC;
}

static uint32_t log_2(uint32_t n)
{
    uint32_t bits = 0;
    while (n >>= 1) bits++;
    return bits;
}

static bool has_numbers(const tuff_chain_micro *m)
{
    return m->p != 0 || m->q != 0 || m->function == TUFF_UNARY_AFFINE ||
           m->function == TUFF_UNARY_CLIP || m->function == TUFF_CHAIN_INVERSE;
}

static void say_push(writer *w, const tuff_chain_code *c, int nin)
{
    say(w, "layout(push_constant) uniform Push {\n    uint count, first, zero;\n");
    for (int i = 0; i < nin; i++)
        if (has_place(c, i)) say(w, "    uint div%d, mod%d;\n", i, i);
    for (int s = 0; s < c->count; s++)
        if (has_numbers(&c->micro[s])) say(w, "    float p%d, q%d;\n", s, s);
    say(w, "};\n");
}

uint32_t tuff_chain_words(const tuff_chain_code *c, int nin, uint64_t first, uint64_t count,
                          uint32_t words[])
{
    uint32_t n = 0;
    words[n++] = (uint32_t)count;
    words[n++] = (uint32_t)first;
    words[n++] = 0;
    for (int i = 0; i < nin; i++) {
        if (!has_place(c, i)) continue;
        words[n++] = is_shifted(c, i) ? log_2(c->div[i]) : c->div[i];
        words[n++] = is_shifted(c, i) ? c->mod[i] - 1 : c->mod[i];
    }
    for (int s = 0; s < c->count; s++) {
        if (!has_numbers(&c->micro[s])) continue;
        memcpy(&words[n++], &c->micro[s].p, sizeof *words);
        memcpy(&words[n++], &c->micro[s].q, sizeof *words);
    }
    return n;
}

static void say_bindings(writer *w, const tuff_chain_code *c, int nin, int nout,
                         tuff_chain_form form)
{
    const char *type = form.wide ? "vec4" : "float";
    for (int i = 0; i < nin; i++) {
        if (form.storage && c->mode[i] == TUFF_CHAIN_SAME)
            say(w, "layout(binding = %d) readonly buffer X%d { %s x%d[]; };\n", i, i, type, i);
        else
            say(w, "layout(binding = %d) uniform samplerBuffer x%d;\n", i, i);
    }
    for (int o = 0; o < nout; o++)
        say(w, "layout(binding = %d) writeonly buffer Y%d { %s y%d[]; };\n", nin + o, o, type,
            o);
}

// ---- elements ------------------------------------------------------------------------------

// Whether an operand is one number for all four elements.
static bool is_one(const tuff_chain_code *c, const bool one[], int k)
{
    if (k >= TUFF_CHAIN_STEP_0) return one[k - TUFF_CHAIN_STEP_0];
    return c->mode[k] == TUFF_CHAIN_SCALAR || c->mode[k] == TUFF_CHAIN_BLOCK;
}

static void say_same(writer *w, int i, tuff_chain_form form)
{
    if (form.wide) {
        say(w, form.storage ? "x%d[i / 4];\n" : "texelFetch(x%d, int(i / 4));\n", i);
        return;
    }
    say(w, "vec4(");
    for (int k = 0; k < 4; k++)
        say(w, form.storage ? "x%d[min(i + %d, count - 1)]%s"
                            : "texelFetch(x%d, int(min(i + %d, count - 1))).x%s",
            i, k, k < 3 ? ", " : ");\n");
}

static void say_input(writer *w, const tuff_chain_code *c, int i, tuff_chain_form form)
{
    say(w, "    const %s v%d = ", is_one(c, NULL, i) ? "float" : "vec4", i);
    if (has_place(c, i) && is_shifted(c, i)) {
        if (c->mode[i] == TUFF_CHAIN_ROW)
            say(w, "texelFetch(x%d, int((first + i) / 4 & mod%d));\n", i, i);
        else
            say(w, "texelFetch(x%d, int((first + i) >> div%d & mod%d)).x;\n", i, i, i);
        return;
    }
    switch (c->mode[i]) {
    case TUFF_CHAIN_SAME: say_same(w, i, form); break;
    case TUFF_CHAIN_SCALAR: say(w, "texelFetch(x%d, 0).x;\n", i); break;
    case TUFF_CHAIN_BLOCK:
        say(w, "texelFetch(x%d, int(periodic(first + i, div%d, mod%d))).x;\n", i, i, i);
        break;
    case TUFF_CHAIN_ROW:
        say(w, "texelFetch(x%d, int(row_texel(first + i, mod%d)));\n", i, i);
        break;
    default: say(w, "four(x%d, periodic_four(first + i, div%d, mod%d));\n", i, i, i); break;
    }
}

static int operands_of(uint32_t f)
{
    if (f >= TUFF_CHAIN_SELECT) return f == TUFF_CHAIN_INVERSE ? 1 : 3;
    return f >= TUFF_CHAIN_SLOPE ? 2 : 1;
}

static void say_function(writer *w, uint32_t f)
{
    if (f == TUFF_CHAIN_SELECT) say(w, "chosen");
    else if (f == TUFF_CHAIN_INVERSE) say(w, "inverse");
    else if (f == TUFF_CHAIN_NORMAL) say(w, "normal");
    else if (f == TUFF_CHAIN_ADD_TO) say(w, "add_to");
    else if (f >= TUFF_CHAIN_BINARY) say(w, "binary_%u", f - TUFF_CHAIN_BINARY);
    else if (f >= TUFF_CHAIN_SLOPE) say(w, "slope_%u", f - TUFF_CHAIN_SLOPE);
    else say(w, "unary_%u", f);
}

// One call, of component "x" (or "" where all operands are one number).
static void say_call(writer *w, const tuff_chain_code *c, int s, const bool one[],
                     const char *part)
{
    const tuff_chain_micro *m = &c->micro[s];
    const int operand[3] = { m->a, m->b, m->c };
    say_function(w, m->function);
    for (int i = 0; i < operands_of(m->function); i++) {
        const int k = operand[i];
        say(w, "%s%s%d%s%s", i ? ", " : "(", k < TUFF_CHAIN_STEP_0 ? "v" : "s",
            k < TUFF_CHAIN_STEP_0 ? k : k - TUFF_CHAIN_STEP_0,
            is_one(c, one, k) ? "" : ".", is_one(c, one, k) ? "" : part);
    }
    const bool numbers = has_numbers(m);
    if (m->function == TUFF_CHAIN_INVERSE) say(w, ", p%d", s);
    else if (m->function < TUFF_CHAIN_BINARY && numbers) say(w, ", p%d, q%d", s, s);
    else if (m->function < TUFF_CHAIN_BINARY) say(w, ", 0.0, 0.0");
    say(w, ")");
}

static void say_step(writer *w, const tuff_chain_code *c, int s, bool one[])
{
    static const char *const parts[] = { "x", "y", "z", "w" };
    const tuff_chain_micro *m = &c->micro[s];
    const int operand[3] = { m->a, m->b, m->c };
    one[s] = true;
    for (int i = 0; i < operands_of(m->function); i++) one[s] &= is_one(c, one, operand[i]);
    say(w, "    const %s s%d = %s", one[s] ? "float" : "vec4", s, one[s] ? "" : "vec4(");
    for (int k = 0; k < (one[s] ? 1 : 4); k++) {
        say(w, k ? ", " : "");
        say_call(w, c, s, one, parts[k]);
    }
    say(w, one[s] ? ";\n" : ");\n");
}

static void say_output(writer *w, int o, int step, tuff_chain_form form)
{
    if (form.wide) {
        say(w, "    y%d[i / 4] = vec4(s%d);\n", o, step);
        return;
    }
    for (int k = 0; k < 4; k++)
        say(w, "    if (i + %d < count) y%d[i + %d] = vec4(s%d)[%d];\n", k, o, k, step, k);
}

// What a text begins with whose elements are few.
static const char small_mark[] = "// small\n";

bool tuff_chain_source(const tuff_chain_code *c, int nin, int nout, tuff_chain_form form,
                       char *text, size_t size)
{
    writer w = { .text = text, .room = size };
    bool one[TUFF_CHAIN_MICRO];
    say(&w, "%slayout(local_size_x_id = 0) in;\nlayout(constant_id = 0) const uint WG = 64;\n",
        form.small ? small_mark : "");
    say_push(&w, c, nin);
    say_bindings(&w, c, nin, nout, form);
    say(&w, "%s"
            "vec4 four(samplerBuffer x, uvec4 at)\n{\n"
            "    return vec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.y)).x,\n"
            "                texelFetch(x, int(at.z)).x, texelFetch(x, int(at.w)).x);\n}\n"
            "void main()\n{\n"
            "    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;\n"
            "    if (i >= count) return;\n", functions);
    for (int i = 0; i < nin; i++) say_input(&w, c, i, form);
    for (int s = 0; s < c->count; s++) say_step(&w, c, s, one);
    for (int o = 0; o < nout; o++) say_output(&w, o, c->out[o] - TUFF_CHAIN_STEP_0, form);
    say(&w, "}\n");
    return w.used < size;
}

// ---- what was compiled ---------------------------------------------------------------------

// The table only grows, as that of shaders does.
enum { MOST = 1024 };
typedef struct made {
    char *source; // without the formulas
    int shader;   // -1: it did not compile
} made;
static made table[MOST];
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char small_head[] = "#version 450\n#define QUOTIENT small_quotient\n";
static const char head[] = "#version 450\n#define QUOTIENT quotient\n";

static tuff_status build(const char *source, int *shader)
{
    size_t length = sizeof small_head + strlen(source);
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++)
        length += strlen(formulas[i]);
    uint32_t *words = NULL;
    size_t bytes;
    char *whole = tuff_alloc(1, length), *at = whole;
    if (!whole) return TUFF_ERR_MEMORY;
    at = stpcpy(at, strncmp(source, small_mark, strlen(small_mark)) == 0 ? small_head : head);
    for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++)
        at = stpcpy(at, formulas[i]);
    strcpy(at, source);
    tuff_status status = tuff_compile_kept("chain", whole, &words, &bytes);
    if (status == TUFF_OK) status = tuff_shader_add("chain", words, bytes, shader);
    tuff_free(words);
    tuff_free(whole);
    return status;
}

static int find(const char *source)
{
    int i = 0;
    while (i < count && strcmp(table[i].source, source) != 0) i++;
    if (i < count) return table[i].shader;
    if (count == MOST || !(table[count].source = tuff_strdup(source))) return -1;
    table[count].shader = -1;
    if (build(source, &table[count].shader) != TUFF_OK) {
        table[count].shader = -1;
        tuff_log(1, "a chain of elementwise steps is not compiled: %s", tuff_last_error());
    }
    return table[count++].shader;
}

int tuff_chain_shader(const char *source)
{
    if (!tuff_compiler_there()) return -1;
    pthread_mutex_lock(&lock);
    const int shader = find(source);
    pthread_mutex_unlock(&lock);
    return shader;
}
