// Modules pruned by their constants (src/device/vulkan/specialize.h): every kernel, with the
// constants that the plans of every case give it on two invented devices. What is left must
// hold together; that it computes the same, the tests of ops show on a driver.
#include "harness.h"
#ifdef TUFF_NO_VULKAN
int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    if (case_begin("specialize")) {
        case_skip("this build has no Vulkan backend");
        case_end();
    }
    return report();
}
#else
#include "base/alloc.h"
#include "device/vulkan/specialize.h"
#include "ops/case.h"
#include "ops/lower.h"
#include <stdlib.h>
#include <string.h>

enum {
    MOST = 4096, FUNCTION = 54, PHI = 245, LABEL = 248, BRANCH = 249, CONDITIONAL = 250,
    SWITCH = 251
};

static const tuff_caps devices[] = {
    { .subgroup = 32, .subgroup_min = 32, .subgroup_max = 32, .subgroup_basic = true,
      .subgroup_shuffle = true, .subgroup_arithmetic = true, .max_group = 256,
      .max_group_size = { 256, 256, 64 }, .max_groups = { 65535, 65535, 65535 },
      .shared = 32768, .storage_buffers = 16, .max_storage_range = 1u << 30,
      .max_texels = 1 << 27, .storage_align = 16, .texel_align = 16 },
    { .subgroup = 4, .subgroup_min = 4, .subgroup_max = 4, .subgroup_basic = true,
      .subgroup_shuffle = true, .subgroup_arithmetic = true, .max_group = 256,
      .max_group_size = { 256, 256, 64 }, .max_groups = { 65535, 65535, 65535 },
      .shared = 32768, .storage_buffers = 16, .max_storage_range = 1u << 27,
      .max_texels = 65536, .storage_align = 256, .texel_align = 256, .cpu_like = true,
      .slow_compile = true },
};

// ---- what is wrong with a module -----------------------------------------------------------

typedef struct module {
    const uint32_t *w;
    size_t n;
    uint8_t *label, *defined; // by id
} module;

// Instructions whose result, behind its type, may be a value that a phi names, as ranges of
// the specification's numbers; the others in functions have no result, or are labels.
static const struct { uint32_t from, to; } valued[] = {
    { 1, 1 }, { 12, 12 }, { 41, 46 }, { 52, 52 }, { 54, 55 }, { 57, 57 }, { 59, 61 },
    { 65, 70 }, { 77, 84 }, { 86, 98 }, { 100, 107 }, { 109, 124 }, { 126, 152 }, { 154, 191 },
    { 194, 205 }, { 207, 215 }, { 227, 227 }, { 229, 242 }, { PHI, PHI }, { 261, 271 },
    { 333, 366 }, { 4450, 4455 }, { 4457, 4457 }, { 4459, 4460 }, { 5293, 5293 },
    { 5366, 5367 }, { 5369, 5369 }, { 5390, 5390 }, // NV's cooperative matrices
};
static const struct { uint32_t from, to; } valueless[] = {
    { 0, 0 }, { 8, 8 }, { 56, 56 }, { 62, 63 }, { 99, 99 }, { 224, 225 }, { 228, 228 },
    { 246, 257 }, { 317, 317 }, { 4458, 4458 }, { 5368, 5368 },
};

static bool has_value(uint32_t op)
{
    for (size_t i = 0; i < COUNT(valued); i++)
        if (op >= valued[i].from && op <= valued[i].to) return true;
    return false;
}

static bool has_none(uint32_t op)
{
    for (size_t i = 0; i < COUNT(valueless); i++)
        if (op >= valueless[i].from && op <= valueless[i].to) return true;
    return false;
}

static size_t next_of(const module *m, size_t at) { return at + (m->w[at] >> 16); }

// Edges from one label to another: [from, to].
typedef struct edges {
    uint32_t (*e)[2];
    size_t count;
} edges;

static void add_edge(edges *e, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->e[i][0] == from && e->e[i][1] == to) return;
    e->e[e->count][0] = from;
    e->e[e->count++][1] = to;
}

static void read_edges(const module *m, edges *e)
{
    uint32_t here = 0;
    for (size_t at = 5; at < m->n; at = next_of(m, at)) {
        const uint32_t *w = m->w + at, op = *w & 0xffff, n = *w >> 16;
        if (op == LABEL) here = w[1];
        if (op == BRANCH) add_edge(e, here, w[1]);
        for (uint32_t i = 2; op == CONDITIONAL && i < 4; i++) add_edge(e, here, w[i]);
        for (uint32_t i = 2; op == SWITCH && i < n; i += 2) add_edge(e, here, w[i]);
    }
}

// Each way in has its value, and there is no other.
static const char *phi_problem(const module *m, const edges *e, uint32_t here,
                               const uint32_t *w, uint32_t n)
{
    size_t ways = 0;
    for (size_t i = 0; i < e->count; i++) ways += e->e[i][1] == here;
    if (ways != (n - 3) / 2) return "a phi has not as many values as there are ways in";
    for (uint32_t i = 3; i < n; i += 2) {
        bool there = false;
        for (size_t k = 0; k < e->count; k++)
            there |= e->e[k][0] == w[i + 1] && e->e[k][1] == here;
        if (!there) return "a phi names a block that does not lead to it";
        if (!m->defined[w[i]]) return "a phi names a value that is gone";
    }
    return NULL;
}

static const char *problem_of(const module *m, edges *e)
{
    uint32_t here = 0;
    bool function = false;
    for (size_t at = 5; at < m->n; at = next_of(m, at)) {
        const uint32_t *w = m->w + at, op = *w & 0xffff, n = *w >> 16;
        if (!n || at + n > m->n) return "an instruction leaves the module";
        if (op >= 48 && op <= 51) return "a specialization constant is left";
        if (op == LABEL && here) return "a block has no end";
        if (op == LABEL && m->label[w[1]]++) return "a label is there twice";
        if (op == LABEL) here = w[1];
        if (op >= BRANCH && op <= 255) here = 0;
        function |= op == FUNCTION;
        if (function && has_value(op) == has_none(op))
            return "this test does not know an instruction";
        if (!has_value(op)) continue;
        if (n < 3 || w[2] >= m->w[3]) return "a result has no id";
        if (m->defined[w[2]]++) return "a value is there twice";
    }
    read_edges(m, e);
    for (size_t i = 0; i < e->count; i++)
        if (!m->label[e->e[i][1]]) return "a branch leads nowhere";
    for (size_t at = 5; at < m->n; at = next_of(m, at)) {
        const uint32_t *w = m->w + at, op = *w & 0xffff, n = *w >> 16;
        if (op == LABEL) here = w[1];
        const char *problem = op == PHI ? phi_problem(m, e, here, w, n) : NULL;
        if (problem) return problem;
    }
    return NULL;
}

static const char *check_module(const uint32_t *w, size_t n)
{
    module m = { w, n, tuff_alloc(w[3], 1), tuff_alloc(w[3], 1) };
    edges e = { .e = tuff_alloc(n, sizeof *e.e) };
    const char *problem = problem_of(&m, &e);
    tuff_free(e.e);
    tuff_free(m.label);
    tuff_free(m.defined);
    return problem;
}

// ---- every kernel --------------------------------------------------------------------------

static tuff_launch seen[MOST];
static int seen_count;
static size_t words_before, words_after;

static bool is_new(const tuff_launch *l)
{
    for (int i = 0; i < seen_count; i++)
        if (seen[i].shader == l->shader && seen[i].nspec == l->nspec &&
            memcmp(seen[i].spec, l->spec, (size_t)l->nspec * sizeof *l->spec) == 0)
            return false;
    if (seen_count < MOST) seen[seen_count++] = *l;
    return true;
}

// Specializes a shader of the library; NULL when that fails or leaves it as it was.
static uint32_t *specialized(int shader, const uint32_t spec[], int nspec, size_t *n)
{
    uint32_t *whole = NULL, *words = NULL;
    size_t count = 0;
    if (EXPECT_OK(tuff_shader_words(shader, &whole, &count)))
        EXPECT_OK(tuff_vk_specialize(whole, count, spec, nspec, &words, n));
    if (words) words_before += count;
    tuff_free(whole);
    return words;
}

static void check_launch(const tuff_launch *l)
{
    size_t n;
    if (!tuff_shader_built(l->shader) || !is_new(l)) return;
    uint32_t *words = specialized(l->shader, l->spec, l->nspec, &n);
    if (!EXPECT(words != NULL)) return;
    const char *problem = check_module(words, n);
    if (problem) FAIL("shader %s: %s", tuff_shader_name(l->shader), problem);
    words_after += n;
    tuff_free(words);
}

static void kernels_hold_together(void)
{
    static tuff_plan plan;
    for (int o = 0; o < tuff_op_count(); o++)
        for (const char *const *text = tuff_op_at(o)->cases; *text; text++) {
            const tuff_op *op = tuff_op_at(o);
            tuff_case c;
            if (!EXPECT_OK(tuff_case_parse(op, TUFF_F32, *text, &c))) return;
            for (int v = 0; v < TUFF_OP_VARIANTS && op->variants[v].name; v++)
                for (size_t k = 0; k < COUNT(devices); k++) {
                    tuff_call call = c.call;
                    tuff_call_for(&c.call, &op->variants[v], &call);
                    memset(&plan, 0, sizeof plan);
                    if (!op->variants[v].plan(&call, &devices[k], &plan)) continue;
                    for (int i = 0; i < plan.count; i++) check_launch(&plan.d[i].launch);
                }
        }
    EXPECT(seen_count > 200 && seen_count < MOST);
    EXPECT(words_after < words_before / 2);
}

// Constants decide a kernel whatever they are: also those that no plan gives it.
static void any_constants_do(void)
{
    uint32_t spec[TUFF_MAX_SPEC];
    size_t n;
    int given = 0, pruned = 0;
    for (int shader = 0; shader < TUFF_SHADER_COUNT; shader++) {
        for (uint32_t value = 0; tuff_shader_built(shader) && value < 7; value++) {
            for (int i = 0; i < TUFF_MAX_SPEC; i++) spec[i] = i == 0 ? 64 : value;
            uint32_t *words = specialized(shader, spec, TUFF_MAX_SPEC, &n);
            given++;
            if (!words) continue; // another kind of module, which is left as it was
            pruned++;
            const char *problem = check_module(words, n);
            if (problem)
                FAIL("shader %s, all constants %u: %s", tuff_shader_name(shader), value,
                     problem);
            tuff_free(words);
        }
    }
    EXPECT(given > 0 && pruned == given);
}

// Gives another id to the value that a phi names first, where an instruction of a function
// makes it; false where it is made before.
static bool lose_value(uint32_t *w, size_t n, size_t phi)
{
    const uint32_t value = w[phi + 3];
    bool function = false;
    for (size_t at = 5; at < n; at += w[at] >> 16) {
        function |= (w[at] & 0xffff) == FUNCTION;
        if (!function || !has_value(w[at] & 0xffff) || w[at + 2] != value) continue;
        w[at + 2] = w[3]++;
        return true;
    }
    return false;
}

// A module in which what its first phi names is gone must be noticed.
static bool lose_one(const uint32_t *words, size_t n, const char *name)
{
    bool lost = false;
    uint32_t *copy = tuff_alloc(n, sizeof *copy);
    memcpy(copy, words, n * sizeof *copy);
    for (size_t at = 5; at < n && !lost; at += copy[at] >> 16)
        lost = (copy[at] & 0xffff) == PHI && lose_value(copy, n, at);
    const char *problem = lost ? check_module(copy, n) : NULL;
    if (lost && !EXPECT_STR(problem ? problem : "", "a phi names a value that is gone"))
        FAIL("shader %s", name);
    tuff_free(copy);
    return lost;
}

static void values_that_are_gone_are_noticed(void)
{
    uint32_t spec[TUFF_MAX_SPEC];
    size_t n;
    int lost = 0;
    for (int i = 0; i < TUFF_MAX_SPEC; i++) spec[i] = i == 0 ? 64 : 1;
    for (int shader = 0; shader < TUFF_SHADER_COUNT; shader++) {
        if (!tuff_shader_built(shader)) continue;
        uint32_t *words = specialized(shader, spec, TUFF_MAX_SPEC, &n);
        lost += words && lose_one(words, n, tuff_shader_name(shader));
        tuff_free(words);
    }
    EXPECT(lost > 10);
}

// A failed allocation leaves nothing behind (a sanitizer sees).
static void survives_without_memory(void)
{
    const uint32_t spec[] = { 64, 3, 0 };
    for (int64_t i = 1; i < 40; i++) {
        uint32_t *whole = NULL, *words = NULL;
        size_t count, n;
        tuff_alloc_fail_at(i);
        tuff_status status = tuff_shader_words(TUFF_SHADER_unary, &whole, &count);
        if (status == TUFF_OK)
            status = tuff_vk_specialize(whole, count, spec, 3, &words, &n);
        tuff_alloc_fail_at(0);
        EXPECT(status == TUFF_ERR_MEMORY || words);
        EXPECT(status == TUFF_OK || !words);
        tuff_free(whole);
        tuff_free(words);
        if (status == TUFF_OK) return;
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(kernels_hold_together);
    CASE(any_constants_do);
    CASE(values_that_are_gone_are_noticed);
    CASE(survives_without_memory);
    return report();
}
#endif
