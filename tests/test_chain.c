// Chains: elementwise steps that programs run as one kernel. Random ones, of ordinary and of
// special numbers, by every kernel that runs chains and one by one, against the references of
// their steps; chains as records, by the library's own check; what is fused and what is not.
#include "base/alloc.h"
#include "base/rng.h"
#include "glsl/compile.h"
#include "glsl/kept.h"
#include "graph/program.h"
#include "harness.h"
#include "ops/check.h"
#include <dirent.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;
static tuff_stream *stream;

// ---- random chains -------------------------------------------------------------------------

enum { LEAVES = 8, STEPS = 9, VALUES = LEAVES + 2 * STEPS, MOST = 1600, ARGS = 5 };

// What a value may be, given what its steps may do. Where `any` is set nothing is asked of it.
typedef struct range {
    float low, v, high;
    bool may_nan, any;
} range;

typedef struct node {
    const tuff_op *op; // NULL: a leaf
    union {
        unsigned char bytes[64];
        tuff_affine_params affine;
        tuff_clip_params clip;
    } params;
    int in[ARGS], nin;
    tuff_desc desc;
    tuff_var var;
    float data[MOST]; // of a leaf
    tuff_tensor *bound;
    bool output;
} node;

typedef struct world {
    tuff_rng rng;
    tuff_desc full;
    node n[VALUES];
    int count, first; // first: the first step
    bool special;
    range r[VALUES];
} world;

static world w;

static int below(int n) { return (int)tuff_rng_below(&w.rng, (uint32_t)n); }

static float ordinary(void) { return tuff_rng_uniform(&w.rng) * 8 - 4; }

static float special(void)
{
    static const float odd[] = { 0.0f, -0.0f, 1e-41f, -1e-41f, 1e-38f, 1e30f, -1e30f, 3e38f, 1,
                                 -1, 88.5f, -104, INFINITY, -INFINITY, NAN };
    return below(2) ? odd[below((int)COUNT(odd))] : ordinary();
}

// A leaf: `positive` for a variance.
static void add_leaf(tuff_desc d, bool positive)
{
    node *n = &w.n[w.count++];
    *n = (node){ .desc = d };
    for (int64_t i = 0; i < tuff_desc_count(&d); i++) {
        n->data[i] = w.special && !positive ? special() : ordinary();
        if (positive) n->data[i] = fabsf(n->data[i]) + 0.1f;
    }
}

static void add_leaves(void)
{
    const tuff_desc d = w.full;
    const int64_t c = d.dim[1], row = d.dim[d.rank - 1];
    tuff_desc channel = d;
    channel.rank = d.rank - 1;
    channel.dim[0] = c;
    for (int i = 1; i < channel.rank; i++) channel.dim[i] = 1;
    w.count = 0;
    add_leaf(d, false);
    add_leaf(d, false);
    add_leaf(TUFF_SHAPE(TUFF_F32, row), false);
    add_leaf(channel, false);
    add_leaf(TUFF_SHAPE(TUFF_F32, 1), false);
    for (int i = 0; i < 3; i++) add_leaf(TUFF_SHAPE(TUFF_F32, c), i == 2);
    w.first = w.count;
}

// A value of the full shape, f32; the later the likelier.
static int full_value(void)
{
    for (;;) {
        const int i = below(3) ? w.count - 1 - below(w.count < 4 ? w.count : 4)
                               : below(w.count);
        if (w.n[i].desc.dtype == TUFF_F32 && tuff_desc_equal(&w.n[i].desc, &w.full)) return i;
    }
}

static int any_value(void) { return below(3) ? full_value() : 2 + below(3); }

static int add_node(const char *op, int nin, const int in[])
{
    node *n = &w.n[w.count];
    *n = (node){ .op = tuff_op_find(op), .nin = nin, .desc = w.full };
    memcpy(n->in, in, (size_t)nin * sizeof *in);
    return w.count++;
}

static void add_unary(void)
{
    static const char *const ops[] = {
        "relu", "sigmoid", "tanh", "exp", "log", "sqrt", "abs", "sign", "square", "neg",
        "rsqrt", "reciprocal", "leaky_relu", "silu", "hardswish", "hardsigmoid", "affine",
        "clip", "relu", "affine", "floor", "erf", "sin", "elu", "gelu", "softplus", "mish",
        "softsign"
    };
    const char *op = ops[below((int)COUNT(ops))];
    const int v = full_value(), y = add_node(op, 1, &v);
    if (strcmp(op, "affine") == 0)
        w.n[y].params.affine = (tuff_affine_params){ ordinary() / 4, ordinary() / 4 };
    if (strcmp(op, "clip") == 0)
        w.n[y].params.clip = (tuff_clip_params){ -1 - fabsf(ordinary()), 2 };
}

static void add_some(void)
{
    static const char *const binary[] = { "add", "sub", "mul", "div", "min", "max", "prelu",
                                          "add", "mul", "xlogy" };
    static const char *const slope[] = { "relu_grad", "sigmoid_grad", "tanh_grad",
                                         "leaky_relu_grad", "silu_grad", "hardswish_grad",
                                         "gelu_grad" };
    static const char *const compare[] = { "greater", "less_or_equal", "equal" };
    const int a = full_value(), b = any_value(), kind = below(20);
    if (kind < 8) {
        add_unary();
    } else if (kind < 13) {
        (void)add_node(binary[below((int)COUNT(binary))], 2, (int[]){ a, b });
    } else if (kind < 15) {
        // Of special numbers only the first: the others are not made for them.
        const int f = below((int)COUNT(slope));
        (void)add_node(slope[w.special ? 0 : f], 2, (int[]){ a, full_value() });
    } else if (kind == 15) {
        (void)add_node(below(2) ? "max" : "min", 3, (int[]){ a, b, any_value() });
    } else if (kind < 18) {
        const int cond = add_node(compare[below(3)], 2, (int[]){ a, b });
        w.n[cond].desc.dtype = TUFF_BOOL;
        const int absent = below(3);
        (void)add_node("where", 3, (int[]){ cond, absent == 0 ? -1 : full_value(),
                                            absent == 1 ? -1 : any_value() });
    } else if (kind == 18) {
        (void)add_node("clip", 3, (int[]){ a, -1, 4 });
    } else if (!w.special) {
        (void)add_node("batch_norm", 5, (int[]){ a, 5, 6, 5, 7 });
    }
}

static void build(uint32_t seed, bool of_special)
{
    static const tuff_desc shapes[] = {
        { .dtype = TUFF_F32, .rank = 3, .dim = { 2, 5, 8 } },
        { .dtype = TUFF_F32, .rank = 3, .dim = { 3, 5, 7 } },
        { .dtype = TUFF_F32, .rank = 2, .dim = { 9, 12 } },
        { .dtype = TUFF_F32, .rank = 4, .dim = { 2, 3, 8, 9 } },
        { .dtype = TUFF_F32, .rank = 4, .dim = { 3, 2, 8, 8 } },
        { .dtype = TUFF_F32, .rank = 2, .dim = { 13, 1 } }
    };
    w.rng = (tuff_rng){ .seed = seed };
    w.special = of_special;
    w.full = shapes[below((int)COUNT(shapes))];
    add_leaves();
    for (int i = 2 + below(STEPS - 1); i > 0; i--) add_some();
    for (int i = w.first; i < w.count; i++)
        w.n[i].output = w.n[i].desc.dtype == TUFF_F32 && below(6) == 0;
    while (w.n[w.count - 1].desc.dtype != TUFF_F32) add_unary();
    if (w.count == w.first) add_unary();
    w.n[w.count - 1].output = true;
}

// ---- what its steps may give ---------------------------------------------------------------

// One element through the reference of a step's record.
static float one_element(const node *n, const float x[])
{
    static const unsigned char zero_params[512];
    unsigned char params[512] = { 0 };
    memcpy(params, n->params.bytes, sizeof n->params.bytes);
    tuff_call c = { .op = n->op, .nin = n->nin, .params = n->op->params_size ? params
                                                                             : zero_params };
    union { float real; uint8_t byte; } v[ARGS], y = { .real = 0 };
    tuff_ref r = { .call = &c, .out = { &y.real }, .begin = 0, .end = 1 };
    for (int i = 0; i < n->nin; i++) {
        if (n->in[i] < 0) continue;
        const tuff_dtype type = w.n[n->in[i]].desc.dtype;
        c.in[i] = TUFF_SHAPE(type, 1);
        v[i].real = x[i];
        if (type == TUFF_BOOL) v[i].byte = x[i] != 0;
        r.in[i] = &v[i].real;
    }
    if (strcmp(n->op->name, "batch_norm") == 0) c.in[0] = TUFF_SHAPE(TUFF_F32, 1, 1);
    if (!EXPECT_OK(tuff_call_infer(&c))) return NAN;
    n->op->ref(&r);
    return n->desc.dtype == TUFF_BOOL ? (float)y.byte : y.real;
}

static range leaf_range(float v)
{
    range r = { v, v, v, isnan(v), false };
    if (v != 0 && fabsf(v) < FLT_MIN) { // a device may take it for 0
        r.low = fminf(v, 0);
        r.high = fmaxf(v, 0);
    }
    return r;
}

// What an operand may be: its ends, what lies between, and both zeros where they do.
static int candidates(const range *r, float to[])
{
    int n = 0;
    to[n++] = r->v;
    if (r->low != r->v && !isnan(r->low)) to[n++] = r->low;
    if (r->high != r->v && !isnan(r->high)) to[n++] = r->high;
    if (r->may_nan && !isnan(r->v)) to[n++] = NAN;
    if (r->low <= 0 && r->high >= 0 && (r->low != 0 || r->high != 0)) {
        to[n++] = 0.0f;
        to[n++] = -0.0f;
    }
    return n;
}

static void widen(const node *n, range *r, double operands)
{
    const double size = fmax(fabs((double)r->low), fabs((double)r->high));
    const double tol = (double)n->op->tol.f32;
    if (tol > 0 && isfinite(size)) {
        const double e = tol * (size + 1 + operands);
        r->low = (float)((double)r->low - e);
        r->high = (float)((double)r->high + e);
    }
    if (r->high > FLT_MAX * (1 - 1e-5f)) r->high = INFINITY;
    if (r->low < -FLT_MAX * (1 - 1e-5f)) r->low = -INFINITY;
    if (r->low > 0 && r->low < FLT_MIN) r->low = 0;
    if (r->high < 0 && r->high > -FLT_MIN) r->high = 0;
    if ((double)r->high - (double)r->low > 0.01 * (1 + fabs((double)r->v))) r->any = true;
}

static range step_range(const node *n)
{
    float x[ARGS] = { 0 }, of[ARGS][8];
    int many[ARGS], all = 1;
    double operands = 0;
    range r = { .low = INFINITY, .high = -INFINITY };
    for (int i = 0; i < n->nin; i++) {
        many[i] = 1;
        if (n->in[i] < 0) continue;
        const range *from = &w.r[n->in[i]];
        if (from->any) return (range){ .any = true };
        many[i] = candidates(from, of[i]);
        all *= many[i];
        if (isfinite(from->v)) operands = fmax(operands, fabs((double)from->v));
    }
    for (int k = 0; k < all; k++) {
        for (int i = 0, rest = k; i < n->nin; rest /= many[i++])
            if (n->in[i] >= 0) x[i] = of[i][rest % many[i]];
        const float y = one_element(n, x);
        if (k == 0) r.v = y;
        if (isnan(y)) r.may_nan = true;
        else if (y < r.low) r.low = y;
        if (y > r.high) r.high = y;
    }
    const bool sums = strcmp(n->op->name, "batch_norm") == 0 || n->op == tuff_op_find("affine");
    if (r.low <= r.high) widen(n, &r, sums ? 4 * operands : 0);
    return r;
}

static size_t element_of(const node *n, size_t i)
{
    if (n->desc.rank == 1 && n->desc.dim[0] == w.full.dim[1] && n - w.n >= 5) return 0;
    return tuff_broadcast_at(&n->desc, &w.full, i);
}

static bool within(const range *r, float got)
{
    if (r->any) return true;
    if (isnan(got)) return r->may_nan;
    return got >= r->low && got <= r->high;
}

// ---- running -------------------------------------------------------------------------------

typedef struct way {
    const char *name, *variant;
    bool no_chains;
} way;

static float got[VALUES][MOST];

static tuff_program *program_of(const way *how)
{
    tuff_graph *g = NULL;
    tuff_program *p = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    for (int i = 0; i < w.count; i++) {
        node *n = &w.n[i];
        tuff_var in[ARGS] = { { 0 } };
        for (int k = 0; k < n->nin; k++)
            if (n->in[k] >= 0) in[k] = w.n[n->in[k]].var;
        n->var = n->op ? tuff_graph_op(g, n->op->name, in, n->nin, n->params.bytes)
                       : tuff_graph_bind(g, NULL, n->bound);
        if (n->output) tuff_graph_output(g, NULL, n->var);
    }
    if (how->variant) setenv("TUFF_VARIANT", how->variant, 1);
    EXPECT_OK(tuff_program_create(device, g, &(tuff_program_params){
        .no_chains = how->no_chains }, &p));
    unsetenv("TUFF_VARIANT");
    tuff_graph_destroy(&g);
    return p;
}

static void run_way(const way *how, int *fused)
{
    tuff_program *p = program_of(how);
    if (!p) return;
    tuff_program_stats stats;
    tuff_program_get_stats(p, &stats);
    *fused += stats.fused;
    EXPECT_OK(tuff_program_run(p));
    for (int i = 0; i < w.count; i++)
        if (w.n[i].output)
            EXPECT_OK(tuff_program_read(p, w.n[i].var, got[i], tuff_desc_bytes(&w.full)));
    tuff_program_destroy(&p);
}

static void print_chain(void)
{
    for (int i = w.first; i < w.count; i++) {
        fprintf(stderr, "    %2d = %s", i, w.n[i].op->name);
        for (int k = 0; k < w.n[i].nin; k++) fprintf(stderr, " %d", w.n[i].in[k]);
        fprintf(stderr, "%s\n", w.n[i].output ? "  output" : "");
    }
}

// Judges element e of all outputs, whose ranges are there. Counts those that ask for something.
static bool judge_element(const char *name, size_t e, long *judged)
{
    for (int i = w.first; i < w.count; i++) {
        if (!w.n[i].output) continue;
        *judged += !w.r[i].any;
        if (within(&w.r[i], got[i][e])) continue;
        FAIL("%s: value %d element %zu is %.9g, expected %.9g to %.9g%s", name, i, e,
             (double)got[i][e], (double)w.r[i].low, (double)w.r[i].high,
             w.r[i].may_nan ? " or NaN" : "");
        for (int k = 0; k <= i; k++)
            fprintf(stderr, "      value %d: %.9g (%.9g to %.9g)\n", k, (double)w.r[k].v,
                    (double)w.r[k].low, (double)w.r[k].high);
        print_chain();
        return false;
    }
    return true;
}

static void ranges_at(size_t e)
{
    for (int i = 0; i < w.count; i++) {
        const node *n = &w.n[i];
        if (n->op) {
            w.r[i] = step_range(n);
            continue;
        }
        size_t at = element_of(n, e);
        if (i >= 5) { // a batch norm's: of the element's channel
            size_t plane = 1;
            for (int d = 2; d < w.full.rank; d++) plane *= (size_t)w.full.dim[d];
            at = e / plane % (size_t)w.full.dim[1];
        }
        w.r[i] = leaf_range(n->data[at]);
    }
}

static int ways_of(way to[])
{
    int n = 0;
    to[n++] = (way){ .name = "by default" };
    to[n++] = (way){ .name = "one by one", .no_chains = true };
    if (tuff_device_caps(device)->cpu) {
        to[n++] = (way){ .name = "reference", .variant = "ref" };
    } else {
        to[n++] = (way){ .name = "steps", .variant = "steps" };
    }
    return n;
}

static void random_chains(bool of_special, int count)
{
    way how[4];
    const int ways = ways_of(how);
    int fused[4] = { 0 };
    long judged = 0, all = 0;
    for (int seed = 0; seed < count && !case_failed(); seed++) {
        build((uint32_t)seed, of_special);
        for (int i = 0; i < w.first; i++)
            w.n[i].bound = new_tensor(device, stream, w.n[i].desc, w.n[i].data);
        EXPECT_OK(tuff_stream_wait(stream));
        for (int k = 0; k < ways && !case_failed(); k++) {
            run_way(&how[k], &fused[k]);
            for (size_t e = 0; e < (size_t)tuff_desc_count(&w.full) && !case_failed(); e += 3) {
                ranges_at(e);
                all++;
                (void)judge_element(how[k].name, e, &judged);
            }
        }
        for (int i = 0; i < w.first; i++) tuff_tensor_destroy(&w.n[i].bound);
        if (case_failed()) fprintf(stderr, "    seed %d\n", seed);
    }
    EXPECT(judged * 2 > all);
    EXPECT(fused[0] > count && fused[1] == 0);
}

// On a GPU each chain is a pipeline or two.
static int chains(void) { return tuff_device_caps(device)->cpu ? 400 : 40; }
static void of_ordinary_numbers(void) { random_chains(false, chains()); }
static void of_special_numbers(void) { random_chains(true, chains()); }

// ---- chains as records ---------------------------------------------------------------------

typedef struct recipe {
    const char *text; // "op operands": x and r of the full shape, w a row, c a channel's, s one
                      // number, digits are earlier steps; the last one is the output
    const char *dims;
} recipe;

static const recipe recipes[] = {
    { "relu x, square 0, neg 1", "5x64" },
    { "mul xw, add 0s, add 1r, relu 2, neg 3", "257x12" },
    { "mul xc, add 0c, relu 1", "3x5x7x11" },
    { "tanh x, mul x0, sigmoid 1, add 2r", "13x1031" },
    { "add xr, relu_grad x0", "64x1024" },
    { "greater xr, where 0xr, exp 1", "7x9" },
    { "mul xw, add 0r, relu 1", "300x1024" }, // more than one dispatch where texels are few
    { "batch_norm xbbbv, add 0r, relu 1", "3x6x8x9" },
    { "exp x, add 0s, sqrt x, mul 2w, sub 13", "1x43" }
};

static tuff_var operand(const char *names, const tuff_var v[], const tuff_var step[])
{
    static const char letters[] = "xrwcsbv";
    if (*names >= '0' && *names <= '9') return step[*names - '0'];
    return v[strchr(letters, *names) - letters];
}

static tuff_desc parse_dims(const char *text)
{
    tuff_desc d = { .dtype = TUFF_F32 };
    for (char *end = (char *)text; ; text = end + 1) {
        d.dim[d.rank++] = strtol(text, &end, 10);
        if (*end != 'x') return d;
    }
}

// The graph of a recipe, all of whose values but the last are inside.
static tuff_graph *graph_of(const recipe *of)
{
    tuff_graph *g = NULL;
    tuff_var v[7], step[8], in[5];
    const tuff_desc d = parse_dims(of->dims);
    tuff_desc c = d;
    int n = 0;
    c.rank--;
    for (int i = 0; i < c.rank; i++) c.dim[i] = i == 0 ? d.dim[1] : 1;
    const tuff_desc b = TUFF_SHAPE(TUFF_F32, d.dim[1]);
    const tuff_desc all[] = { d, d, TUFF_SHAPE(TUFF_F32, d.dim[d.rank - 1]), c,
                              TUFF_SCALAR(TUFF_F32), b, b };
    EXPECT_OK(tuff_graph_create(&g));
    for (size_t i = 0; i < COUNT(v); i++) v[i] = tuff_graph_input(g, NULL, all[i]);
    for (const char *at = of->text; *at; n++) {
        char op[32], names[8];
        int length, nin = 0;
        EXPECT(sscanf(at, "%31s %7[a-z0-9]%n", op, names, &length) == 2);
        for (const char *k = names; *k; k++) in[nin++] = operand(k, v, step);
        step[n] = tuff_graph_op(g, op, in, nin, NULL);
        at += length + (int)strspn(at + length, ", ");
    }
    tuff_graph_output(g, NULL, step[n - 1]);
    EXPECT_OK(tuff_graph_status(g));
    return g;
}

static void tell(void *user, const tuff_check_result *r)
{
    const char *name = user;
    if (!r->passed && !r->skipped) FAIL("%s %s: %s", name, r->variant, r->problem);
}

// A chain's dims, as a case has them.
static void write_case(const tuff_chain *c, char *text, size_t size)
{
    int used = 0;
    for (int i = 0; i < c->nin; i++) {
        used += snprintf(text + used, size - (size_t)used, "%s", i ? " " : "");
        if (!c->x[i].rank)
            used += snprintf(text + used, size - (size_t)used, "[]");
        for (int d = 0; d < c->x[i].rank; d++)
            used += snprintf(text + used, size - (size_t)used, "%s%lld", d ? "x" : "",
                             (long long)c->x[i].dim[d]);
    }
}

static int made_ways;

// The kernel made at run time, which reads either texels or storage buffers: both, whatever the
// device takes by itself. How many there are.
static int judge_ways(const tuff_op *op, const char *text, const char *name)
{
    static tuff_plan plan;
    static const char *const ways[] = { "texel", "storage" };
    tuff_trial *t = NULL;
    int ran = 0;
    EXPECT_OK(tuff_trial_create(op, TUFF_F32, text, 0, TUFF_DRAW_ANY, &t));
    for (size_t i = 0; t && i < COUNT(ways); i++) {
        const tuff_candidate as = { .variant = "generated", .way = ways[i], .forced = true };
        double error;
        if (tuff_select_as(&t->c.call, tuff_device_caps(device), &as, &plan) != TUFF_OK)
            continue;
        tuff_candidate_pin(&as);
        const tuff_status status = tuff_trial_run(t, op, stream, (double)op->tol.f32, 2,
                                                  &error);
        tuff_candidate_pin(NULL);
        if (status != TUFF_OK) FAIL("%s by %s: %s", name, ways[i], tuff_last_error());
        ran++;
    }
    tuff_trial_destroy(&t);
    return ran;
}

static void judge_recipe(const recipe *of)
{
    tuff_graph *g = graph_of(of);
    int fused = 0, found = 0;
    EXPECT_OK(tuff_graph_chain(g, tuff_device_caps(device), &fused));
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_chain *c = tuff_chain_of(g->steps[s].op);
        if (!c) continue;
        char text[256];
        write_case(c, text, sizeof text);
        const char *const cases[] = { text, NULL };
        tuff_op op = c->op, *own = (tuff_op *)&c->op;
        own->cases = cases;
        tuff_check_count count = { 0 };
        EXPECT_OK(tuff_check_op(device, own, own, &(tuff_check_params){ .repeat = 2 }, 0, tell,
                                (void *)of->text, &count));
        EXPECT(count.run > 0 && count.failed == 0);
        const int ways = judge_ways(own, text, of->text);
        if (!tuff_device_caps(device)->cpu && tuff_compiler_there()) EXPECT(ways > 0);
        made_ways += ways;
        *own = op;
        found++;
    }
    EXPECT_EQ(found, 1);
    EXPECT_EQ(g->nsteps, 1);
    tuff_graph_destroy(&g);
}

static void chains_as_records(void)
{
    const bool made = !tuff_device_caps(device)->cpu && tuff_compiler_there();
    for (size_t i = 0; i < COUNT(recipes); i++) judge_recipe(&recipes[i]);
    EXPECT(!made || made_ways > (int)COUNT(recipes)); // few have too many inputs for buffers
}

// ---- what is fused -------------------------------------------------------------------------

static void count_lines(void *user, const char *line)
{
    if (strstr(line, " chain ")) ++*(int *)user;
    if (strstr(line, "mul add relu")) *(int *)user += 100;
}

// A value that something else reads in between splits a chain, or becomes its output.
static void what_is_fused(void)
{
    tuff_graph *g = NULL;
    tuff_program *p = NULL;
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, 8, 8);
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", d), r = tuff_graph_input(g, "r", d);
    const tuff_var a = tuff_graph_op(g, "mul", (tuff_var[]){ x, r }, 2, NULL);
    const tuff_var b = tuff_graph_op(g, "add", (tuff_var[]){ a, r }, 2, NULL);
    const tuff_var c = tuff_graph_op(g, "relu", &b, 1, NULL);
    const tuff_var m = tuff_graph_op(g, "transpose", &a, 1, NULL); // after the chain
    const tuff_var e = tuff_graph_op(g, "sigmoid", &m, 1, NULL);
    const tuff_var f = tuff_graph_op(g, "add", (tuff_var[]){ c, e }, 2, NULL);
    tuff_graph_output(g, "f", f);
    EXPECT_OK(tuff_program_create(device, g, NULL, &p));
    int lines = 0;
    tuff_program_describe(p, count_lines, &lines);
    EXPECT_EQ(lines, 102); // mul add relu, with two outputs; then sigmoid add
    tuff_program_stats stats;
    tuff_program_get_stats(p, &stats);
    EXPECT_EQ(stats.ops, 3);
    EXPECT_EQ(stats.fused, 3);
    tuff_program_destroy(&p);
    setenv("TUFF_CHAINS", "off", 1);
    EXPECT_OK(tuff_program_create(device, g, NULL, &p));
    tuff_program_get_stats(p, &stats);
    EXPECT_EQ(stats.ops, 6);
    tuff_program_destroy(&p);
    setenv("TUFF_CHAINS", "maybe", 1);
    EXPECT_STATUS(tuff_program_create(device, g, NULL, &p), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "TUFF_CHAINS is 'maybe', expected on or off");
    unsetenv("TUFF_CHAINS");
    tuff_graph_destroy(&g);
}

// ---- code that is kept ---------------------------------------------------------------------

static const char kept_source[] =
    "#version 450\nlayout(local_size_x = 1) in;\n"
    "layout(binding = 0) writeonly buffer Y { uint y[]; };\nvoid main() { y[0] = 1u; }\n";

// The file that the cache folder has of it, there being no other.
static const char *kept_file(void)
{
    static char path[1024];
    struct dirent *e;
    DIR *d = opendir(temp_path("cache/spirv"));
    path[0] = '\0';
    while (d && (e = readdir(d)))
        if (strstr(e->d_name, ".bin"))
            snprintf(path, sizeof path, "%s/%s", temp_path("cache/spirv"), e->d_name);
    if (d) closedir(d);
    return path;
}

static void write_byte(const char *path, long at, int byte)
{
    FILE *f = fopen(path, "r+b");
    if (!EXPECT(f)) return;
    fseek(f, at, SEEK_SET);
    fputc(byte, f);
    fclose(f);
}

static void code_is_kept(void)
{
    uint32_t *words[3] = { NULL };
    size_t bytes[3] = { 0 };
    const char *was = getenv("TUFF_CACHE_DIR");
    char *before = was ? strdup(was) : NULL;
    if (!tuff_kernel_can_compile()) SKIP("this build compiles no GLSL");
    setenv("TUFF_CACHE_DIR", temp_path("cache"), 1);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(tuff_compile_kept("kept", kept_source, &words[i], &bytes[i]));
        EXPECT(kept_file()[0]);
        EXPECT(bytes[i] == bytes[0] && words[i] && !memcmp(words[i], words[0], bytes[0]));
        // The second time it comes from the file; then the file is damaged, and made anew.
        if (i == 1) write_byte(kept_file(), 60, 0x5a);
    }
    // What is no file of ours is replaced, too.
    write_byte(kept_file(), 0, 'x');
    tuff_free(words[1]);
    tuff_free(words[2]);
    EXPECT_OK(tuff_compile_kept("kept", kept_source, &words[2], &bytes[2]));
    EXPECT_STATUS(tuff_compile_kept("kept", "#version 450\nvoid main() { floot x; }\n",
                                    &words[1], &bytes[1]), TUFF_ERR_FORMAT);
    for (int i = 0; i < 3; i++) tuff_free(words[i]);
    if (before) setenv("TUFF_CACHE_DIR", before, 1);
    else unsetenv("TUFF_CACHE_DIR");
    free(before);
}

// ---- gradients -----------------------------------------------------------------------------

// Backwards through a net of elementwise steps: the same numbers in chains and one by one.
static void gradients(void)
{
    enum { M = 24, N = 40 };
    static float x[M * N], dx[2][M * N], dw[2][N];
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, M, N), row = TUFF_SHAPE(TUFF_F32, N);
    const tuff_reduce_params all = { .axes = 3 };
    for (int i = 0; i < M * N; i++) x[i] = sinf((float)i * 0.37f) * 2;
    for (int k = 0; k < 2; k++) {
        tuff_graph *g = NULL;
        tuff_program *p = NULL;
        EXPECT_OK(tuff_graph_create(&g));
        const tuff_var vx = tuff_graph_input(g, "x", d), w = tuff_graph_constant(g, row, x);
        const tuff_var a = tuff_graph_op(g, "mul", (tuff_var[]){ vx, w }, 2, NULL);
        const tuff_var b = tuff_graph_op(g, "silu", &a, 1, NULL);
        const tuff_var c = tuff_graph_op(g, "add", (tuff_var[]){ b, vx }, 2, NULL);
        const tuff_var e = tuff_graph_op(g, "tanh", &c, 1, NULL);
        const tuff_var f = tuff_graph_op(g, "square", &e, 1, NULL);
        const tuff_var loss = tuff_graph_op(g, "reduce_sum", &f, 1, &all);
        tuff_var grad[2];
        tuff_graph_backward(g, loss, (tuff_var[]){ vx, w }, 2, grad);
        for (int i = 0; i < 2; i++) tuff_graph_output(g, NULL, grad[i]);
        EXPECT_OK(tuff_program_create(device, g, &(tuff_program_params){ .no_chains = k }, &p));
        EXPECT_OK(tuff_program_write(p, vx, x, sizeof x));
        EXPECT_OK(tuff_program_run(p));
        EXPECT_OK(tuff_program_read(p, grad[0], dx[k], sizeof dx[k]));
        EXPECT_OK(tuff_program_read(p, grad[1], dw[k], sizeof dw[k]));
        tuff_program_stats stats;
        tuff_program_get_stats(p, &stats);
        EXPECT(k || stats.fused >= 6);
        tuff_program_destroy(&p);
        tuff_graph_destroy(&g);
    }
    for (int i = 0; i < M * N; i++)
        EXPECT_NEAR((double)dx[0][i], (double)dx[1][i], 1e-5 * (1 + fabs((double)dx[1][i])));
    for (int i = 0; i < N; i++)
        EXPECT_NEAR((double)dw[0][i], (double)dw[1][i], 1e-5 * (1 + fabs((double)dw[1][i])));
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    EXPECT_OK(tuff_stream_create(device, &stream));
    CASE(of_ordinary_numbers);
    CASE(of_special_numbers);
    CASE(chains_as_records);
    CASE(what_is_fused);
    CASE(code_is_kept);
    CASE(gradients);
    tuff_stream_destroy(&stream);
    tuff_device_close(&device);
    return report();
}
