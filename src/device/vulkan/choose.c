// Pure decisions about a Vulkan device; declared in choose.h. Every quirk of a driver lives
// here, with the driver and the versions that have it.
#include "device/vulkan/choose.h"
#include "base/status.h"
#include "base/text.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { DRIVER_SWIFTSHADER = 10, DRIVER_LLVMPIPE = 13 }; // VkDriverId

// VkComponentTypeKHR and VkScopeKHR.
enum { COMPONENT_F16 = 0, COMPONENT_F32 = 1, COMPONENT_I8 = 3, COMPONENT_I32 = 5,
       COMPONENT_BF16 = 1000141000, SCOPE_SUBGROUP = 3 };

enum { NEED_STORAGE_BUFFERS = 4, NEED_GROUP = 128, NEED_SHARED = 16384, NEED_PUSH = 128 };

// ---- usable? -----------------------------------------------------------------------------

static void problem(tuff_vk_choice *c, const char *what, unsigned have, unsigned need)
{
    if (!c->problem[0])
        snprintf(c->problem, sizeof c->problem, "it has %u %s, %u are needed", have, what,
                 need);
}

static void choose_family(const tuff_vk_snapshot *s, tuff_vk_choice *c)
{
    c->family = -1;
    // A queue that also draws is preferred: it is the one that every driver runs at full
    // width, and Tuff uses one queue.
    for (int pass = 0; pass < 2 && c->family < 0; pass++)
        for (int i = 0; i < s->families && c->family < 0; i++)
            if (s->family[i].count && s->family[i].compute && (pass || s->family[i].graphics))
                c->family = i;
}

static void check(const tuff_vk_snapshot *s, tuff_vk_choice *c)
{
    if (s->major == 1 && s->minor < 1) {
        snprintf(c->problem, sizeof c->problem, "it speaks Vulkan %d.%d, 1.1 is needed",
                 s->major, s->minor);
        return;
    }
    if (c->family < 0)
        snprintf(c->problem, sizeof c->problem, "none of its queues runs compute shaders");
    if (s->stage_storage < NEED_STORAGE_BUFFERS)
        problem(c, "storage buffers per stage", s->stage_storage, NEED_STORAGE_BUFFERS);
    if (s->set_storage < NEED_STORAGE_BUFFERS)
        problem(c, "storage buffers per descriptor set", s->set_storage, NEED_STORAGE_BUFFERS);
    if (s->group < NEED_GROUP) problem(c, "invocations per workgroup", s->group, NEED_GROUP);
    if (s->shared < NEED_SHARED) problem(c, "bytes of shared memory", s->shared, NEED_SHARED);
    if (s->push < NEED_PUSH) problem(c, "bytes of push constants", s->push, NEED_PUSH);
    if (!c->problem[0] && (!c->tensor_types || !c->staging_types))
        snprintf(c->problem, sizeof c->problem, "it has no memory that the host can write to");
}

// ---- memory ------------------------------------------------------------------------------

static int largest_local_heap(const tuff_vk_snapshot *s)
{
    int best = -1;
    for (int i = 0; i < s->heaps; i++)
        if (s->heap[i].local && (best < 0 || s->heap[i].size > s->heap[best].size)) best = i;
    return best;
}

// Higher is better; negative: not at all.
static int tensor_score(const tuff_vk_snapshot *s, int t, int largest, bool unified)
{
    if (s->type_of[t].odd || !s->type_of[t].local) return -1;
    const bool host = s->type_of[t].visible && s->type_of[t].coherent;
    const int big = s->type_of[t].heap == largest ? 8 : 0;
    if (unified) return host ? big + (s->type_of[t].cached ? 4 : 0) : -1;
    return big + (s->type_of[t].visible ? 0 : 4);
}

static int staging_score(const tuff_vk_snapshot *s, int t)
{
    if (s->type_of[t].odd || !s->type_of[t].visible || !s->type_of[t].coherent) return -1;
    // Cached memory is read quickly by the host; a small window of device memory is scarce.
    return (s->type_of[t].cached ? 4 : 0) + (s->type_of[t].local ? 0 : 2);
}

static int sort_types(const int score[], int n, int out[])
{
    int count = 0;
    for (int want = 16; want >= 0; want--)
        for (int t = 0; t < n; t++)
            if (score[t] == want) out[count++] = t;
    return count;
}

static void choose_memory(const tuff_vk_snapshot *s, bool staged, tuff_vk_choice *c)
{
    const int largest = largest_local_heap(s);
    bool unified = false;
    for (int t = 0; t < s->types && !staged; t++)
        unified = unified || tensor_score(s, t, largest, true) >= 8;
    int score[TUFF_VK_MOST_TYPES];
    for (int t = 0; t < s->types; t++) score[t] = tensor_score(s, t, largest, unified);
    c->tensor_types = sort_types(score, s->types, c->tensor_type);
    for (int t = 0; t < s->types; t++) score[t] = staging_score(s, t);
    c->staging_types = sort_types(score, s->types, c->staging_type);
    c->caps.unified = unified;
    // Types of a lesser kind are kept out, so that every tensor is as good as the first.
    if (unified && c->tensor_types) {
        c->tensor_cached = s->type_of[c->tensor_type[0]].cached;
        int n = 0;
        for (int i = 0; i < c->tensor_types; i++)
            if (s->type_of[c->tensor_type[i]].cached == c->tensor_cached)
                c->tensor_type[n++] = c->tensor_type[i];
        c->tensor_types = n;
    }
}

// ---- features ----------------------------------------------------------------------------

static void add_word(char *text, size_t size, bool there, const char *word)
{
    const size_t n = strlen(text);
    if (there) snprintf(text + n, size - n, "%s%s", n ? " " : "", word);
}

// Every word that TUFF_AVOID may hold.
static const char *const avoidable[] = {
    "timeline", "f16", "int8", "storage16", "storage8", "dot8", "coopmat", "coopmat2",
    "bfloat16", "subgroup-shuffle", "subgroup-arithmetic", "subgroup-control", "memory-budget",
    "unified", "limits",
};

enum { AVOIDABLE = sizeof avoidable / sizeof *avoidable };

static bool is_avoidable(const char *word, size_t n)
{
    for (int i = 0; i < AVOIDABLE; i++)
        if (strlen(avoidable[i]) == n && memcmp(avoidable[i], word, n) == 0) return true;
    return false;
}

tuff_status tuff_vk_check_avoid(const char *avoid)
{
    char list[300] = "";
    for (int i = 0; i < AVOIDABLE; i++) add_word(list, sizeof list, true, avoidable[i]);
    for (const char *p = avoid; p && *p;) {
        p += strspn(p, " ,");
        const size_t n = strcspn(p, " ,");
        TUFF_REQUIRE(!n || is_avoidable(p, n), ARG,
                     "TUFF_AVOID: '%s' is no feature of devices, expected some of: %s",
                     tuff_show(p, n), list);
        p += n;
    }
    return TUFF_OK;
}

// Is `word` in the list `avoid`?
static bool avoided(const char *avoid, const char *word)
{
    assert(is_avoidable(word, strlen(word)));
    const size_t n = strlen(word);
    for (const char *p = avoid; p && *p;) {
        p += strspn(p, " ,");
        const size_t k = strcspn(p, " ,");
        if (k == n && strncmp(p, word, n) == 0) return true;
        p += k;
    }
    return false;
}

const char *const tuff_vk_ext_name[TUFF_VK_EXT_COUNT] = {
#define TUFF_VK_EXT_NAME(id, name, core) [TUFF_VK_##id] = name,
    TUFF_VK_EXTENSIONS(TUFF_VK_EXT_NAME)
#undef TUFF_VK_EXT_NAME
};

bool tuff_vk_ext_in_core(const tuff_vk_snapshot *s, int ext)
{
    static const int since[TUFF_VK_EXT_COUNT] = {
#define TUFF_VK_EXT_CORE(id, name, core) [TUFF_VK_##id] = (core),
        TUFF_VK_EXTENSIONS(TUFF_VK_EXT_CORE)
#undef TUFF_VK_EXT_CORE
    };
    return since[ext] && s->major * 10 + s->minor >= since[ext];
}

// Notes that an extension is used, where it is not part of the API already.
static void enable(const tuff_vk_snapshot *s, tuff_vk_choice *c, int ext)
{
    c->enable[ext] = s->ext[ext] && !tuff_vk_ext_in_core(s, ext);
}

// Keeps the shapes of products of one type, `a`, with sums in `sum`, that a subgroup makes and
// kernels can cut memory into.
static void choose_coopmats(const tuff_vk_snapshot *s, uint32_t a, uint32_t sum,
                            tuff_coop out[TUFF_COOP_MOST])
{
    int count = 0;
    for (int i = 0; i < s->coopmat_kinds && count < TUFF_COOP_MOST; i++) {
        const tuff_vk_coopmat *p = &s->coopmats[i];
        const uint32_t edges = p->m | p->n | p->k;
        if (p->a != a || p->b != a || p->c != sum || p->result != sum || p->saturating ||
            p->scope != SCOPE_SUBGROUP || edges > 128)
            continue;
        if (!p->m || (p->m & (p->m - 1)) || (p->n & (p->n - 1)) || (p->k & (p->k - 1)))
            continue;
        out[count++] = (tuff_coop){ (uint16_t)p->m, (uint16_t)p->n, (uint16_t)p->k };
    }
}

static void choose_features(const tuff_vk_snapshot *s, const char *avoid, tuff_vk_choice *c)
{
    tuff_caps *k = &c->caps;
    k->timeline = s->timeline && !avoided(avoid, "timeline");
    k->storage16 = s->storage16 && !avoided(avoid, "storage16");
    k->storage8 = s->storage8 && !avoided(avoid, "storage8");
    k->f16 = s->f16 && !avoided(avoid, "f16");
    k->i8 = s->i8 && !avoided(avoid, "int8");
    // A software driver takes kernels made for GPUs last; there it is for checking them.
    k->dot8 = s->dot && (s->dot8_fast || s->type == TUFF_DEVICE_SOFTWARE) &&
              !avoided(avoid, "dot8");
    k->subgroup_control = s->subgroup_control && s->subgroup_required &&
                          !avoided(avoid, "subgroup-control");
    // Its shaders are SPIR-V 1.6 and use the Vulkan memory model.
    k->coopmat = s->coopmat && s->memory_model && s->major * 10 + s->minor >= 13 &&
                 !avoided(avoid, "coopmat");
    k->coopmat2 = k->coopmat && s->coopmat_each && !avoided(avoid, "coopmat2");
    if (k->coopmat && k->f16)
        choose_coopmats(s, COMPONENT_F16, COMPONENT_F32, k->coop[TUFF_COOP_F16]);
    if (k->coopmat && k->i8)
        choose_coopmats(s, COMPONENT_I8, COMPONENT_I32, k->coop[TUFF_COOP_I8]);
    if (k->coopmat && s->bfloat16 && !avoided(avoid, "bfloat16"))
        choose_coopmats(s, COMPONENT_BF16, COMPONENT_F32, k->coop[TUFF_COOP_BF16]);
    k->memory_budget = s->ext[TUFF_VK_BUDGET] && !avoided(avoid, "memory-budget");
    k->portability = s->ext[TUFF_VK_PORTABILITY];
    c->memory_model = k->coopmat;

    if (k->timeline) enable(s, c, TUFF_VK_TIMELINE);
    if (k->storage8) enable(s, c, TUFF_VK_STORAGE8);
    if (k->f16 || k->i8) enable(s, c, TUFF_VK_F16_I8);
    if (k->dot8) enable(s, c, TUFF_VK_DOT);
    if (k->subgroup_control) enable(s, c, TUFF_VK_SUBGROUP);
    if (k->coopmat) enable(s, c, TUFF_VK_COOPMAT);
    if (k->coopmat) enable(s, c, TUFF_VK_MEMORY_MODEL);
    if (k->coopmat2) enable(s, c, TUFF_VK_COOPMAT2);
    if (k->coop[TUFF_COOP_BF16][0].m) enable(s, c, TUFF_VK_BFLOAT16);
    if (k->memory_budget) enable(s, c, TUFF_VK_BUDGET);
    // The specification asks for this one wherever it is offered.
    enable(s, c, TUFF_VK_PORTABILITY);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void choose_limits(const tuff_vk_snapshot *s, tuff_vk_choice *c)
{
    tuff_caps *k = &c->caps;
    k->cpu_like = s->type == TUFF_DEVICE_SOFTWARE;
    k->subgroup = s->subgroup ? s->subgroup : 1;
    k->subgroup_basic = s->subgroup_basic;
    k->subgroup_shuffle = s->subgroup_shuffle;
    k->subgroup_arithmetic = s->subgroup_arithmetic;
    k->subgroup_min = k->subgroup_control ? s->subgroup_min : k->subgroup;
    k->subgroup_max = k->subgroup_control ? s->subgroup_max : k->subgroup;
    k->max_group = s->group;
    for (int i = 0; i < 3; i++) {
        k->max_group_size[i] = s->group_size[i];
        k->max_groups[i] = s->groups[i];
    }
    k->shared = s->shared;
    k->cores = s->cores;
    k->storage_buffers = (uint32_t)least(s->stage_storage, s->set_storage);
    k->max_storage_range = s->storage_range;
    k->max_texels = s->texels;
    const int heap = largest_local_heap(s);
    k->max_alloc = heap >= 0 ? s->heap[heap].size : 0;
    if (s->max_alloc) k->max_alloc = least(k->max_alloc, s->max_alloc);
    if (s->max_buffer) k->max_alloc = least(k->max_alloc, s->max_buffer);
    k->storage_align = (uint32_t)s->storage_align;
    k->texel_align = (uint32_t)s->texel_align;
    if (c->family >= 0 && s->family[c->family].timestamp_bits)
        k->timestamp_ns = s->timestamp_ns;
}

// No more than every Vulkan device promises, so that what falls back on a poor device can be
// tried on any.
static void least_limits(tuff_caps *k)
{
    k->max_group = (uint32_t)least(k->max_group, NEED_GROUP);
    for (int i = 0; i < 3; i++)
        k->max_group_size[i] = (uint32_t)least(k->max_group_size[i], i < 2 ? NEED_GROUP : 64);
    for (int i = 0; i < 3; i++) k->max_groups[i] = (uint32_t)least(k->max_groups[i], 65535);
    k->shared = (uint32_t)least(k->shared, NEED_SHARED);
    k->storage_buffers = (uint32_t)least(k->storage_buffers, NEED_STORAGE_BUFFERS);
    k->max_storage_range = least(k->max_storage_range, (uint64_t)1 << 27);
    k->max_texels = least(k->max_texels, 65536);
}

// ---- quirks ------------------------------------------------------------------------------

// "Mesa 22.3.6 (LLVM 15.0.6)" -> 2203; 0 when there is no such number.
static int mesa_version(const char *info)
{
    int major, minor;
    const char *mesa = strstr(info, "Mesa ");
    return mesa && sscanf(mesa, "Mesa %d.%d", &major, &minor) == 2 ? major * 100 + minor : 0;
}

static void choose_quirks(const tuff_vk_snapshot *s, tuff_vk_choice *c)
{
    // It runs, and compiles, what specialization constants rule out: relu took 400 times as
    // long beside 33 functions of which none was asked for. Kernels that keep a tile in
    // registers, unrolled for each lane, take it a minute and gigabytes of memory to compile.
    // Both seen in that of Chromium 156.
    if (s->driver_id == DRIVER_SWIFTSHADER) {
        c->specialize = true;
        c->caps.slow_compile = true;
        // Products of 4 to 8 rows and Winograd's transforms, timed beside each other kernel.
        c->caps.slow_multiply = true;
        snprintf(c->quirks, sizeof c->quirks, "SwiftShader is given modules without what "
                 "specialization constants rule out, and none of the largest kernels, which "
                 "take it minutes to compile");
    }
    if (s->driver_id != DRIVER_LLVMPIPE) return;
    // Its compiler counts the iterations of all loops of an invocation together and leaves
    // them, silently, after 65,535. Seen in Mesa 22.3, gone in 26.2; no version between was
    // tried, so each is taken to do it.
    const int version = mesa_version(s->driver_info);
    if (version == 0 || version < 2602) {
        c->caps.max_loop = 65535;
        snprintf(c->quirks, sizeof c->quirks,
                 "lavapipe of %.60s stops after 65,535 loop iterations of an invocation",
                 version ? s->driver_info : "an unknown version");
    }
}

void tuff_vk_choose(const tuff_vk_snapshot *s, const char *avoid, tuff_vk_choice *c)
{
    *c = (tuff_vk_choice){ .family = -1 };
    choose_family(s, c);
    choose_memory(s, avoided(avoid, "unified"), c);
    choose_features(s, avoid, c);
    choose_limits(s, c);
    if (avoided(avoid, "subgroup-shuffle")) c->caps.subgroup_shuffle = false;
    if (avoided(avoid, "subgroup-arithmetic")) c->caps.subgroup_arithmetic = false;
    if (avoided(avoid, "limits")) least_limits(&c->caps);
    choose_quirks(s, c);
    check(s, c);
}

// ---- in words ----------------------------------------------------------------------------

static void vendor_name(uint32_t id, char *text, size_t size)
{
    static const struct { uint32_t id; const char *name; } names[] = {
        { 0x1002, "AMD" },      { 0x1010, "Imagination" }, { 0x106b, "Apple" },
        { 0x10de, "NVIDIA" },   { 0x13b5, "Arm" },         { 0x14e4, "Broadcom" },
        { 0x1ae0, "Google" },   { 0x5143, "Qualcomm" },    { 0x8086, "Intel" },
        { 0x10005, "Mesa" },    { 0x1414, "Microsoft" },   { 0x144d, "Samsung" },
    };
    snprintf(text, size, "0x%04x", (unsigned)id);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].id == id) snprintf(text, size, "%s", names[i].name);
}

static void features_text(const tuff_caps *k, char *text, size_t size)
{
    add_word(text, size, k->timeline, "timeline");
    add_word(text, size, k->f16, "f16");
    add_word(text, size, k->i8, "int8");
    add_word(text, size, k->storage16, "storage16");
    add_word(text, size, k->storage8, "storage8");
    add_word(text, size, k->dot8, "dot8");
    add_word(text, size, k->coopmat, "coopmat");
    add_word(text, size, k->coopmat2, "coopmat2");
    add_word(text, size, k->coop[TUFF_COOP_BF16][0].m, "bfloat16");
    add_word(text, size, k->subgroup_shuffle, "subgroup-shuffle");
    add_word(text, size, k->subgroup_arithmetic, "subgroup-arithmetic");
    add_word(text, size, k->subgroup_control, "subgroup-control");
    add_word(text, size, k->memory_budget, "memory-budget");
    add_word(text, size, k->unified, "unified");
    add_word(text, size, k->portability, "portability");
}

void tuff_vk_describe(const tuff_vk_snapshot *s, const tuff_vk_choice *c,
                      tuff_device_info *info)
{
    *info = (tuff_device_info){
        .type = s->type,
        .max_tensor = least(s->storage_range, c->caps.max_alloc),
        .subgroup = c->caps.subgroup,
        .max_group = s->group,
        .shared = s->shared,
    };
    snprintf(info->name, sizeof info->name, "%s", s->name);
    vendor_name(s->vendor, info->vendor, sizeof info->vendor);
    if (s->driver_name[0])
        snprintf(info->driver, sizeof info->driver, "%.60s%s%.60s", s->driver_name,
                 s->driver_info[0] ? " " : "", s->driver_info);
    else
        snprintf(info->driver, sizeof info->driver, "0x%08x", (unsigned)s->driver_version);
    snprintf(info->api, sizeof info->api, "%s", s->api);
    snprintf(info->problem, sizeof info->problem, "%s", c->problem);
    features_text(&c->caps, info->features, sizeof info->features);
    const int heap = largest_local_heap(s);
    info->memory = heap >= 0 ? s->heap[heap].size : 0;
}
