// What every op would launch on devices that are not here: each case of each op is planned by
// each of its variants on invented devices, and the plan is held against the device's limits
// and against itself. Nothing is launched.
#include "harness.h"
#include "base/rng.h"
#include "ops/case.h"
#include "ops/divide.h"
#include "ops/gemm.h"
#include "ops/lower.h"
#include "ops/op.h"
#include <stdio.h>
#include <string.h>

typedef struct device {
    const char *name;
    tuff_caps caps;
} device;

#define MIB ((uint64_t)1 << 20)
#define GROUP(most)                                                             \
    .max_group = (most), .max_group_size = { (most), (most), 64 },              \
    .max_groups = { 65535, 65535, 65535 }
#define LANES(size) .subgroup = (size), .subgroup_min = (size), .subgroup_max = (size)
#define SHUFFLES                                                                \
    .subgroup_basic = true, .subgroup_shuffle = true, .subgroup_arithmetic = true
#define SMALL .max_storage_range = 128 * MIB, .max_alloc = 1024 * MIB
#define LARGE .max_storage_range = 4095 * MIB, .max_alloc = 4095 * MIB
#define ALIGN(bytes) .storage_align = (bytes), .texel_align = (bytes)

static const device devices[] = {
    // As little as Vulkan 1.1 promises.
    { "least", { LANES(1), GROUP(128), SMALL, ALIGN(256), .shared = 16384,
                 .storage_buffers = 4, .max_texels = 65536 } },
    { "weak phone", { LANES(16), GROUP(256), SMALL, ALIGN(64), .shared = 32768,
                      .storage_buffers = 4, .max_texels = 65536, .unified = true } },
    { "desktop", { LANES(32), SHUFFLES, GROUP(1024), LARGE, ALIGN(16), .shared = 49152,
                   .storage_buffers = 1 << 20, .max_texels = 1 << 27, .timeline = true,
                   .subgroup_control = true, .f16 = true, .dot8 = true } },
    { "wide desktop", { LANES(64), SHUFFLES, GROUP(1024), LARGE, ALIGN(4), .shared = 65536,
                        .storage_buffers = 1 << 20, .max_texels = 1 << 27 } },
    // As GPUs of four makers are, with what they list of cooperative matrices.
    { "like NVIDIA's", { LANES(32), SHUFFLES, GROUP(1024), LARGE, ALIGN(16), .shared = 49152,
                         .storage_buffers = 1 << 20, .max_texels = 1 << 27, .timeline = true,
                         .subgroup_control = true, .f16 = true, .i8 = true, .dot8 = true,
                         .storage16 = true, .storage8 = true, .coopmat = true,
                         .coopmat2 = true, .cores = 68,
                         .coop = { { { 16, 16, 16 }, { 16, 8, 16 }, { 16, 8, 8 } },
                                   { { 16, 8, 16 }, { 16, 16, 16 } },
                                   { { 16, 16, 32 }, { 16, 8, 32 } } } } },
    { "like AMD's", { LANES(64), SHUFFLES, GROUP(1024), LARGE, ALIGN(4), .shared = 65536,
                      .storage_buffers = 1 << 20, .max_texels = 1 << 27, .timeline = true,
                      .subgroup_control = true, .f16 = true, .i8 = true, .dot8 = true,
                      .storage16 = true, .storage8 = true, .coopmat = true, .cores = 96,
                      .coop = { { { 16, 16, 16 } }, { { 16, 16, 16 } },
                                { { 16, 16, 16 } } } } },
    { "like Intel's", { LANES(16), SHUFFLES, GROUP(1024), LARGE, ALIGN(4), .shared = 65536,
                        .storage_buffers = 1 << 20, .max_texels = 1 << 27, .timeline = true,
                        .subgroup_control = true, .f16 = true, .i8 = true, .dot8 = true,
                        .storage16 = true, .storage8 = true, .coopmat = true, .unified = true,
                        .coop = { { { 8, 16, 16 } }, { { 8, 16, 16 } }, { { 8, 16, 32 } } } } },
    { "phone", { LANES(16), SHUFFLES, GROUP(512), SMALL, ALIGN(64), .shared = 32768,
                 .storage_buffers = 35, .max_texels = 65536, .unified = true, .f16 = true,
                 .i8 = true, .storage16 = true, .coopmat = true, .cores = 10,
                 .coop = { { { 16, 32, 32 } } } } },
    { "old software", { LANES(8), SHUFFLES, GROUP(1024), SMALL, ALIGN(16), .shared = 32768,
                        .storage_buffers = 16, .max_texels = 1 << 27, .max_loop = 65535,
                        .cpu_like = true, .unified = true } },
    { "narrow software", { LANES(4), SHUFFLES, GROUP(256), SMALL, ALIGN(256), .shared = 32768,
                           .storage_buffers = 16, .max_texels = 65536, .cpu_like = true,
                           .slow_compile = true, .slow_multiply = true } },
    { "tiny software", { LANES(4), SHUFFLES, GROUP(128), SMALL, ALIGN(64), .shared = 16384,
                         .storage_buffers = 8, .max_texels = 1 << 27, .cpu_like = true } },
};

// ---- one plan: what is wrong with it, or NULL ----------------------------------------------

static const char *slot_problem(const tuff_call *c, const tuff_plan *p, const tuff_slot *s,
                                const tuff_caps *k)
{
    const bool in = s->role == TUFF_ROLE_IN, out = s->role == TUFF_ROLE_OUT;
    const bool there = in ? tuff_call_has(c, s->index)
                     : out ? s->index < c->nout
                     : s->index < TUFF_PLAN_SCRATCH && p->scratch[s->index] > 0;
    if (!there) return "a tensor is bound that is not there";
    const size_t bytes = in ? tuff_desc_bytes(&c->in[s->index])
                       : out ? tuff_desc_bytes(&c->out[s->index]) : p->scratch[s->index];
    const size_t whole = (bytes + 3) / 4 * 4; // a tensor owns the whole of its last word
    const size_t size = s->size ? s->size : whole - s->offset;
    const bool storage = s->kind == TUFF_BIND_STORAGE;
    const bool wide = s->kind == TUFF_BIND_TEXEL_F32X4 || s->kind == TUFF_BIND_TEXEL_U32X4;
    const size_t texel = wide ? 16 : 4;
    if (s->offset >= whole || size > whole - s->offset) return "a range leaves its tensor";
    if (s->offset % (storage ? k->storage_align : k->texel_align))
        return "a range begins where no binding may";
    if (in && s->access & TUFF_WRITE) return "an input is written";
    if (storage) return size > k->max_storage_range ? "a range is too large to bind" : NULL;
    if (s->access & TUFF_WRITE) return "a texel buffer is written";
    if (size % texel) return "a texel buffer ends inside a texel";
    return size / texel > k->max_texels ? "a texel buffer has too many texels" : NULL;
}

// Bits of what has been written, a bit an output and a scratch.
typedef struct written {
    uint32_t out, scratch;
} written;

static const char *dispatch_problem(const tuff_call *c, const tuff_plan *p,
                                    const tuff_dispatch *d, const tuff_caps *k, written *done)
{
    const tuff_launch *l = &d->launch;
    if (l->shader < 0 || l->shader >= TUFF_SHADER_COUNT) return "there is no such shader";
    for (int i = 0; i < 3; i++)
        if (l->grid[i] < 1 || l->grid[i] > k->max_groups[i]) return "the grid is too large";
    if (l->subgroup && (!k->subgroup_control || l->subgroup < k->subgroup_min ||
                        l->subgroup > k->subgroup_max))
        return "a subgroup size is asked for that is not there";
    const written before = *done;
    uint32_t storage = 0;
    for (int i = 0; i < d->nslot; i++) {
        const tuff_slot *s = &d->slot[i];
        const char *problem = slot_problem(c, p, s, k);
        if (problem) return problem;
        storage += s->kind == TUFF_BIND_STORAGE;
        if (s->role == TUFF_ROLE_IN) continue;
        const bool out = s->role == TUFF_ROLE_OUT;
        const uint32_t bit = 1u << s->index;
        if (s->access & TUFF_READ && !((out ? before.out : before.scratch) & bit))
            return "memory is read that no earlier launch wrote";
        if (s->access & TUFF_WRITE) *(out ? &done->out : &done->scratch) |= bit;
    }
    return storage > k->storage_buffers ? "too many storage buffers are bound" : NULL;
}

static const char *plan_problem(const tuff_call *c, const tuff_plan *p, const tuff_caps *k)
{
    written done = { 0, 0 };
    for (int i = 0; i < p->count; i++) {
        const char *problem = dispatch_problem(c, p, &p->d[i], k, &done);
        if (problem) return problem;
    }
    if (done.out != (1u << c->nout) - 1) return "an output is not written";
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++)
        if (p->scratch[i] && !(done.scratch >> i & 1)) return "a scratch is not used";
    return NULL;
}

// ---- all -----------------------------------------------------------------------------------

static tuff_plan plan;

static void every_variant(const device *d, const tuff_op *op, const char *text)
{
    tuff_case c;
    if (!EXPECT_OK(tuff_case_parse(op, TUFF_F32, text, &c))) return;
    int planned = 0;
    for (int i = 0; i < TUFF_OP_VARIANTS && op->variants[i].name; i++) {
        tuff_call call = c.call;
        tuff_call_for(&c.call, &op->variants[i], &call);
        memset(&plan, 0, sizeof plan);
        if (!op->variants[i].plan(&call, &d->caps, &plan)) continue;
        planned++;
        const char *problem = plan_problem(&call, &plan, &d->caps);
        if (problem) FAIL("%s: %s", op->variants[i].name, problem);
    }
    EXPECT(planned > 0);
}

// A call with types that the op has to be lowered from.
static void every_type(const device *d, const tuff_op *op, const char *text)
{
    const tuff_port *port = op->in[0].name ? op->in : op->out;
    uint32_t types = 0;
    for (; port->name; port++) types |= port->dtypes;
    for (uint32_t t = 1; t <= TUFF_I64; t <<= 1) {
        tuff_case c;
        if (!(types & t) || !EXPECT_OK(tuff_case_parse(op, (tuff_dtype)t, text, &c))) continue;
        if (!EXPECT_OK(tuff_select(&c.call, &d->caps, &plan))) continue;
        const char *problem = plan_problem(&c.call, &plan, &d->caps);
        const char *type = tuff_dtype_name((tuff_dtype)t);
        if (problem) FAIL("%s as %s: %s", plan.variant, type, problem);
    }
}

// Whether a case of the op is run by variant number `index`, when that is asked for by name,
// on some device.
static bool is_run(const tuff_op *op, int index)
{
    static const tuff_dtype types[] = { TUFF_F32, TUFF_F16, TUFF_BF16, TUFF_I8, TUFF_U8 };
    const tuff_variant *v = &op->variants[index];
    for (size_t t = 0; t < COUNT(types); t++)
        for (const char *const *text = op->cases; *text; text++) {
            tuff_case c;
            if (tuff_case_parse(op, types[t], *text, &c) != TUFF_OK) continue;
            tuff_variant_force(v->name);
            for (size_t d = 0; d < COUNT(devices); d++)
                if (tuff_select(&c.call, &devices[d].caps, &plan) == TUFF_OK) return true;
        }
    return false;
}

// Some kernels need tools that know their instructions, or Vulkan at all.
static bool is_built(const char *variant)
{
    if (strcmp(variant, "coop2") == 0)
        return tuff_shader_built(TUFF_SHADER_matmul_coop_each);
    if (strncmp(variant, "coop", 4) == 0) return tuff_shader_built(TUFF_SHADER_matmul_coop);
    return strcmp(variant, "dot8") != 0 || tuff_shader_built(TUFF_SHADER_qgemm_dot);
}

// The check runs every variant: none is listed that no case can choose.
static void every_variant_has_a_case(void)
{
    for (int o = 0; o < tuff_op_count(); o++)
        for (int i = 0; i < TUFF_OP_VARIANTS && tuff_op_at(o)->variants[i].name; i++) {
            const char *variant = tuff_op_at(o)->variants[i].name;
            if (is_built(variant) && !is_run(tuff_op_at(o), i))
                FAIL("no case of %s runs %s", tuff_op_at(o)->name, variant);
        }
    tuff_variant_force(NULL);
}

// A plan that is good, and then is not: each change must be noticed.
static void what_is_wrong_is_noticed(void)
{
    const tuff_op *op = tuff_op_find("max_pool2d_grad");
    const tuff_caps *k = &devices[0].caps;
    tuff_case c;
    if (!EXPECT(op) ||
        !EXPECT_OK(tuff_case_parse(op, TUFF_F32, "1x1x5x5 1x1x3x3 kernel=3 stride=1", &c)) ||
        !EXPECT_OK(tuff_select(&c.call, k, &plan)))
        return;
    EXPECT(!plan_problem(&c.call, &plan, k));
    EXPECT_EQ(plan.count, 2); // finds each maximum, then gathers
    tuff_plan bad = plan;
    bad.d[0].launch.grid[0] = 65536;
    EXPECT_STR(plan_problem(&c.call, &bad, k), "the grid is too large");
    bad = plan;
    bad.d[0] = plan.d[1];
    EXPECT_STR(plan_problem(&c.call, &bad, k), "memory is read that no earlier launch wrote");
    bad = plan;
    bad.count = 1;
    EXPECT_STR(plan_problem(&c.call, &bad, k), "an output is not written");
    bad = plan;
    bad.scratch[0] = 0;
    EXPECT_STR(plan_problem(&c.call, &bad, k), "a tensor is bound that is not there");
    bad = plan;
    bad.d[0].slot[0].size = 101;
    EXPECT_STR(plan_problem(&c.call, &bad, k), "a range leaves its tensor");
    bad = plan;
    while (bad.d[1].nslot < 5) tuff_bind_in(&bad.d[1], 0);
    EXPECT_STR(plan_problem(&c.call, &bad, k), "too many storage buffers are bound");
    bad = plan;
    bad.d[0].slot[0].access |= TUFF_WRITE;
    EXPECT_STR(plan_problem(&c.call, &bad, k), "an input is written");
}

// A sum that is usually cut in two, where two parts are larger than a binding.
static void large_products_are_planned(void)
{
    for (size_t i = 0; i < COUNT(devices); i++) {
        tuff_case c;
        tuff_caps k = devices[i].caps;
        k.max_storage_range = 128 * MIB;
        if (!EXPECT_OK(tuff_case_parse(tuff_op_find("conv2d"), TUFF_F32,
                                       "1x2048x125x128 1800x2048x3x3", &c)))
            return;
        if (!EXPECT_OK(tuff_select(&c.call, &k, &plan))) continue;
        const char *problem = plan_problem(&c.call, &plan, &k);
        if (problem) FAIL("%s: %s", devices[i].name, problem);
    }
}

// Kernels made for GPUs come first there, and after all others on software drivers, also where
// those for software are refused (without shuffles); by name they are to be had everywhere.
// More texels than "narrow software" sees are read from storage buffers.
static void software_passes_over_gpu_kernels(void)
{
    static const struct { const char *device, *forced, *want; bool mute; } rows[] = {
        { "desktop", NULL, "tile", false },       { "weak phone", NULL, "tile", false },
        { "old software", NULL, "texel", false }, { "narrow software", NULL, "texel", false },
        { "narrow software", NULL, "plain", true },
        { "narrow software", "tile", "tile", true },
    };
    tuff_case c;
    if (!EXPECT_OK(tuff_case_parse(tuff_op_find("conv2d"), TUFF_F32,
                                   "64x3x32x32 6x3x5x5 6 act=relu", &c)))
        return;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t d = 0; d < COUNT(devices); d++) {
            if (strcmp(devices[d].name, rows[i].device) != 0) continue;
            tuff_caps k = devices[d].caps;
            if (rows[i].mute) k.subgroup_shuffle = false;
            tuff_variant_force(rows[i].forced);
            EXPECT_OK(tuff_select(&c.call, &k, &plan));
            tuff_variant_force(NULL);
            EXPECT_STR(plan.variant, rows[i].want);
        }
}

// A kernel with a tolerance of its own runs no call that has not allowed it, unless by name.
static void precision_is_not_lost_unasked(void)
{
    static const struct { const char *device, *forced, *more, *want; } rows[] = {
        { "desktop", NULL, "", "winograd2_tile" },
        { "desktop", NULL, " fast=1", "winograd4_tile" },
        { "desktop", "winograd4_tile", "", "winograd4_tile" },
        { "old software", NULL, "", "winograd2" },
        { "old software", NULL, " fast=1", "winograd4" },
        { "least", NULL, " fast=1", "winograd4_tile" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t d = 0; d < COUNT(devices); d++) {
            tuff_case c;
            char text[96];
            if (strcmp(devices[d].name, rows[i].device) != 0) continue;
            snprintf(text, sizeof text, "1x64x56x56 64x64x3x3 pad=1,1,1,1%s", rows[i].more);
            if (!EXPECT_OK(tuff_case_parse(tuff_op_find("conv2d"), TUFF_F32, text, &c)))
                return;
            tuff_variant_force(rows[i].forced);
            EXPECT_OK(tuff_select(&c.call, &devices[d].caps, &plan));
            EXPECT(tuff_select_tolerance(&c.call, &devices[d].caps) ==
                   (double)(strstr(rows[i].want, "winograd4") ? 2e-5f : 1e-5f));
            tuff_variant_force(NULL);
            EXPECT_STR(plan.variant, rows[i].want);
        }
}

static const tuff_caps *caps_of(const char *name)
{
    for (size_t d = 0; d < COUNT(devices); d++)
        if (strcmp(devices[d].name, name) == 0) return &devices[d].caps;
    return NULL;
}

// Which block of a cooperative matrix, and which tile of it, by device and shape.
static void cooperative_matrices_are_chosen(void)
{
    static const struct {
        const char *device;
        uint32_t m, n, k, batches;
        tuff_coop_tile want;
        uint32_t parts, rows;
    } rows[] = {
        { "like NVIDIA's", 4096, 4096, 4096, 1,
          { 128, 128, 32, 256, 32, { 16, 16, 16 }, 2, 4 }, 1, 0 },
        { "like NVIDIA's", 256, 256, 256, 1,
          { 64, 64, 32, 128, 32, { 16, 16, 16 }, 2, 2 }, 1, 0 },
        { "like NVIDIA's", 64, 64, 16384, 1, // few outputs and a long sum
          { 64, 64, 32, 128, 32, { 16, 16, 16 }, 2, 2 }, 32, 0 },
        { "like AMD's", 4096, 4096, 4096, 1,
          { 128, 128, 32, 256, 64, { 16, 16, 16 }, 4, 4 }, 1, 0 },
        { "like AMD's", 512, 512, 64, 8,
          { 64, 64, 32, 128, 64, { 16, 16, 16 }, 2, 4 }, 1, 0 },
        { "like Intel's", 4096, 4096, 4096, 1,
          { 128, 128, 32, 256, 16, { 8, 16, 16 }, 4, 2 }, 1, 0 },
        // Blocks are large, and its shared memory takes none of the larger tiles.
        { "phone", 1024, 1024, 1024, 1,
          { 32, 64, 32, 64, 16, { 16, 32, 32 }, 1, 1 }, 1, 0 },
    };
    const tuff_gemm_form form = { .a_long_k = true, .a_row = 1 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const tuff_gemm g = { .m = rows[i].m, .n = rows[i].n, .k = rows[i].k,
                              .batches = rows[i].batches };
        const tuff_caps *k = caps_of(rows[i].device);
        const tuff_coop_tile *want = &rows[i].want;
        tuff_coop_tile t;
        tuff_gemm_cut cut = { 0 };
        if (!EXPECT(tuff_coop_choose(&g, TUFF_COOP_F16, &form, 0, k, &t, &cut))) continue;
        if (memcmp(&t, want, sizeof t) != 0 || cut.parts != rows[i].parts ||
            cut.rows != rows[i].rows)
            FAIL("%s, %ux%ux%u: %u x %u by %u, %u of %u lanes, blocks %ux%ux%u, %u x %u, in "
                 "%u parts from row %u", rows[i].device, g.m, g.n, g.k, t.rows, t.cols, t.step,
                 t.group, t.lanes, t.block.m, t.block.n, t.block.k, t.row_blocks, t.col_blocks,
                 cut.parts, cut.rows);
        EXPECT(tuff_coop_shared(&t, &form, 2) <= k->shared);
    }
    // Of blocks too small or too large for the kernel none.
    tuff_caps odd = *caps_of("like AMD's");
    tuff_coop block;
    odd.coop[TUFF_COOP_F16][0] = (tuff_coop){ 64, 64, 16 };
    EXPECT(!tuff_coop_pick(&odd, TUFF_COOP_F16, &block));
    odd.coop[TUFF_COOP_F16][1] = (tuff_coop){ 16, 8, 16 };
    odd.coop[TUFF_COOP_F16][2] = (tuff_coop){ 8, 16, 16 };
    EXPECT(tuff_coop_pick(&odd, TUFF_COOP_F16, &block) && block.m == 16 && block.n == 8);
}

static void tiles_are_chosen(void)
{
    static const struct {
        const char *device;
        uint32_t m, n, k, batches, rows, cols, step, group, parts, from;
    } rows[] = {
        { "like NVIDIA's", 4096, 4096, 4096, 1, 128, 128, 16, 256, 1, 0 },
        { "like NVIDIA's", 256, 256, 256, 1, 32, 64, 16, 64, 1, 0 },
        { "like NVIDIA's", 32, 4096, 4096, 1, 32, 64, 16, 64, 4, 0 },
        { "like NVIDIA's", 64, 576, 100352, 1, 64, 64, 16, 64, 64, 0 },
        { "like AMD's", 4096, 4096, 4096, 1, 128, 128, 16, 256, 1, 0 },
        { "like AMD's", 512, 512, 64, 12, 128, 128, 16, 256, 1, 0 },
        { "like Intel's", 1024, 1024, 1024, 1, 128, 128, 16, 256, 1, 0 },
        { "phone", 1024, 1024, 1024, 1, 128, 64, 16, 128, 1, 0 },
        { "weak phone", 100, 100, 100, 1, 32, 64, 16, 64, 1, 0 },
        { "least", 1024, 1024, 1024, 1, 128, 64, 8, 128, 1, 0 },
        // Of 72 tiles 68 are whole, and the others are shared by all cores.
        { "like NVIDIA's", 9216, 128, 4096, 1, 128, 128, 16, 256, 16, 8704 },
    };
    const tuff_gemm_form form = { .a_long_k = true, .a_row = 1 };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const tuff_gemm g = { .m = rows[i].m, .n = rows[i].n, .k = rows[i].k,
                              .batches = rows[i].batches };
        const tuff_caps *k = caps_of(rows[i].device);
        tuff_gemm_tile t;
        tuff_gemm_cut cut = { 0 };
        if (!EXPECT(tuff_gemm_tile_choose(&g, sizeof(float), &form, 0, k, &t, &cut))) continue;
        if (t.rows != rows[i].rows || t.cols != rows[i].cols || t.step != rows[i].step ||
            t.group != rows[i].group || cut.parts != rows[i].parts || cut.rows != rows[i].from)
            FAIL("%s, %ux%ux%u: %u x %u by %u, %u invocations, in %u parts from row %u",
                 rows[i].device, g.m, g.n, g.k, t.rows, t.cols, t.step, t.group, cut.parts,
                 cut.rows);
        EXPECT(tuff_gemm_tile_shared(&t, sizeof(float)) <= k->shared);
    }
}

// Which kernel multiplies matrices, by device and type.
static void matrix_kernels_are_chosen(void)
{
    static const struct { const char *device, *op, *text; tuff_dtype type; const char *want; }
    rows[] = {
        { "like NVIDIA's", "matmul", "512x512 512x512", TUFF_F16, "coop" },
        { "like NVIDIA's", "matmul", "512x512 512x512", TUFF_BF16, "coop" },
        { "like NVIDIA's", "matmul", "512x512 512x512", TUFF_F32, "tile" },
        { "like NVIDIA's", "matmul", "512x512 512x512 fast=1", TUFF_F32, "coop_fast" },
        { "like NVIDIA's", "conv2d", "8x64x28x28 64x64x3x3", TUFF_F16, "coop" },
        { "like NVIDIA's", "conv2d_weight_grad", "8x64x28x28 8x64x26x26 size=3,3", TUFF_F16,
          "coop" },
        { "like AMD's", "matmul", "512x512 512x512", TUFF_F16, "coop" },
        { "like Intel's", "conv2d_input_grad", "8x64x26x26 64x64x3x3 size=28,28", TUFF_F16,
          "coop" },
        { "phone", "matmul", "512x512 512x512", TUFF_F16, "coop" },
        { "phone", "matmul", "512x512 512x512", TUFF_BF16, "tile" },
        { "desktop", "matmul", "512x512 512x512", TUFF_F16, "tile" },
        { "desktop", "matmul", "512x512 512x512 fast=1", TUFF_F16, "half_tile" },
        { "weak phone", "matmul", "512x512 512x512", TUFF_F16, "tile" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_case c;
        const char *want = rows[i].want;
        if (!EXPECT_OK(tuff_case_parse(tuff_op_find(rows[i].op), rows[i].type, rows[i].text,
                                       &c)))
            continue;
        const bool bf16 = rows[i].type == TUFF_BF16 && strcmp(want, "coop") == 0;
        if (!is_built(want)) continue;
        if (bf16 && !tuff_shader_built(TUFF_SHADER_matmul_coop_bf16)) continue;
        if (!EXPECT_OK(tuff_select(&c.call, caps_of(rows[i].device), &plan))) continue;
        if (strcmp(plan.variant, want) != 0)
            FAIL("%s: %s %s is run by %s, not %s", rows[i].device, rows[i].op, rows[i].text,
                 plan.variant, want);
    }
}

// Every case that was planned so far fits each device; these do not fit the first.
static void limits_are_named(void)
{
    static const struct { const char *op, *text, *part; } rows[] = {
        { "relu", "40000001", "f32 [40000001] takes 160000004 bytes" },
        { "add", "6001x6001 6001", "f32 [6001, 6001] takes 144048004 bytes" },
        { "transpose", "33554433", "maxStorageBufferRange" },
        { "matmul", "5003x5003 5003x7001", "f32 [5003, 7001] takes 140104012 bytes" },
    };
    tuff_caps k = devices[0].caps;
    k.max_storage_range = 128 << 20;
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_case c;
        if (!EXPECT_OK(tuff_case_parse(tuff_op_find(rows[i].op), TUFF_F32, rows[i].text, &c)))
            continue;
        EXPECT_STATUS(tuff_select(&c.call, &k, &plan), TUFF_ERR_LIMIT);
        EXPECT_HAS(tuff_last_error(), rows[i].part);
        EXPECT_HAS(tuff_last_error(), rows[i].op);
    }
}

// How long a sum may be is a device's limit, never the op's: here it is the number of
// iterations that a driver's loops make.
static void long_sums_stop_where_loops_do(void)
{
    static const struct { const char *op, *text; } rows[] = {
        { "matmul_q8", "1x16777259 1x16777259" }, { "ternary_matmul", "1x16777259 1x2x524290" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t d = 0; d < COUNT(devices); d++) {
            tuff_case c;
            if (!EXPECT_OK(tuff_case_parse(tuff_op_find(rows[i].op), TUFF_F32, rows[i].text,
                                           &c)))
                return;
            const bool fits = !devices[d].caps.max_loop;
            EXPECT_STATUS(tuff_select(&c.call, &devices[d].caps, &plan),
                          fits ? TUFF_OK : TUFF_ERR_LIMIT);
            if (!fits) EXPECT_HAS(tuff_last_error(), "iterations");
        }
}

// There are no tensors without elements: a call with a dim of 0 anywhere is refused.
static void no_elements_are_refused(void)
{
    for (int o = 0; o < tuff_op_count(); o++) {
        const tuff_op *op = tuff_op_at(o);
        const bool out = !op->in[0].name;
        for (const char *const *text = op->cases; *text; text++) {
            tuff_case c;
            if (!EXPECT_OK(tuff_case_parse(op, TUFF_F32, *text, &c))) return;
            for (int i = 0; i < (out ? 1 : c.call.nin); i++) {
                tuff_desc *d = out ? &c.call.out[0] : &c.call.in[i];
                for (int k = 0; k < d->rank && d->dtype; k++) {
                    const tuff_desc before = *d;
                    d->dim[k] = 0;
                    EXPECT_STATUS(tuff_call_infer(&c.call), TUFF_ERR_SHAPE);
                    EXPECT_HAS(tuff_last_error(), "every dim must be at least 1");
                    EXPECT_HAS(tuff_last_error(), op->name);
                    *d = before;
                }
            }
        }
    }
}

// What shaders/divide.glsl makes of the constants that plans push.
static uint32_t divide(uint32_t n, tuff_divide d)
{
    return (uint32_t)((uint64_t)(2 * n) * d.mul >> 32) >> d.shift;
}

static void divides_exactly(void)
{
    static const uint32_t by[] = { 1, 2, 3, 5, 7, 10, 28, 641, 65535, 65536, 65537, 0x3fffffff,
                                   0x40000000, 0x40000001, 0x7ffffffe, 0x7fffffff };
    const uint32_t most = 0x7fffffff;
    tuff_rng rng = { .seed = 7 };
    for (size_t i = 0; i < COUNT(by) + 1000; i++) {
        const uint32_t d = i < COUNT(by) ? by[i] : 1 + tuff_rng_below(&rng, most);
        const uint32_t edge = d * (1 + tuff_rng_below(&rng, most / d)); // a multiple of d
        const uint32_t n[] = { 0, 1, d - 1, d, edge - 1, edge, most, most - 1, most / d * d,
                               tuff_rng_below(&rng, most) };
        for (size_t k = 0; k < COUNT(n); k++)
            if (divide(n[k], tuff_divide_by(d)) != n[k] / d)
                FAIL("%u / %u is not %u", n[k], d, divide(n[k], tuff_divide_by(d)));
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(divides_exactly);
    CASE(what_is_wrong_is_noticed);
    CASE(limits_are_named);
    CASE(long_sums_stop_where_loops_do);
    CASE(no_elements_are_refused);
    CASE(every_variant_has_a_case);
    CASE(large_products_are_planned);
    CASE(software_passes_over_gpu_kernels);
    CASE(precision_is_not_lost_unasked);
    CASE(cooperative_matrices_are_chosen);
    CASE(tiles_are_chosen);
    CASE(matrix_kernels_are_chosen);
    for (size_t d = 0; d < COUNT(devices); d++)
        for (int o = 0; o < tuff_op_count(); o++)
            for (const char *const *text = tuff_op_at(o)->cases; *text; text++)
                if (case_begin("%s: %s %s", devices[d].name, tuff_op_at(o)->name, *text)) {
                    every_variant(&devices[d], tuff_op_at(o), *text);
                    every_type(&devices[d], tuff_op_at(o), *text);
                    case_end();
                }
    return report();
}
