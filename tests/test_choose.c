// What follows from what a device says of itself, tried with devices that were made up.
#include "harness.h"
#include "device/impl.h"
#include <stdio.h>
#include <string.h>

// ---- which device is meant ---------------------------------------------------------------

static tuff_device_info made_up(const char *id, const char *name, tuff_device_type type,
                                const char *problem)
{
    tuff_device_info info = { .type = type };
    snprintf(info.id, sizeof info.id, "%s", id);
    snprintf(info.name, sizeof info.name, "%s", name);
    snprintf(info.problem, sizeof info.problem, "%s", problem);
    return info;
}

static void laptop_with_two_gpus(void)
{
    tuff_device_info list[] = {
        made_up("vulkan:0", "llvmpipe (LLVM 15.0.6, 256 bits)", TUFF_DEVICE_SOFTWARE, ""),
        made_up("vulkan:1", "Intel(R) UHD Graphics 620", TUFF_DEVICE_INTEGRATED, ""),
        made_up("vulkan:2", "NVIDIA GeForce MX150", TUFF_DEVICE_DISCRETE, ""),
        made_up("vulkan:3", "NVIDIA GeForce MX150", TUFF_DEVICE_DISCRETE, ""),
        made_up("cpu", "CPU path (Intel(R) Core(TM) i7-8550U)", TUFF_DEVICE_CPU, ""),
    };
    const int n = COUNT(list);
    EXPECT_EQ(tuff_device_prefer(list, n), 2);
    EXPECT_EQ(tuff_device_match(list, n, "geforce"), 2);
    EXPECT_EQ(tuff_device_match(list, n, "uhd GRAPHICS"), 1);
    EXPECT_EQ(tuff_device_match(list, n, "intel"), 1);
    EXPECT_EQ(tuff_device_match(list, n, "vulkan:3"), 3);
    EXPECT_EQ(tuff_device_match(list, n, "VULKAN:3"), 3);
    EXPECT_EQ(tuff_device_match(list, n, "cpu"), 4);
    EXPECT_EQ(tuff_device_match(list, n, "radeon"), -1);
    // The id "vulkan:1" is no part of a name, and one that is not there matches nothing.
    EXPECT_EQ(tuff_device_match(list, n, "vulkan:7"), -1);
    // Unusable ones are passed over, unless they are all that the name fits.
    snprintf(list[2].problem, sizeof list[2].problem, "broken");
    EXPECT_EQ(tuff_device_prefer(list, n), 3);
    EXPECT_EQ(tuff_device_match(list, n, "geforce"), 3);
    snprintf(list[3].problem, sizeof list[3].problem, "broken");
    EXPECT_EQ(tuff_device_prefer(list, n), 1);
    EXPECT_EQ(tuff_device_match(list, n, "geforce"), 2);
}

static void order_of_types(void)
{
    tuff_device_info list[] = {
        made_up("cpu", "CPU path", TUFF_DEVICE_CPU, ""),
        made_up("vulkan:0", "o", TUFF_DEVICE_OTHER, ""),
        made_up("vulkan:1", "s", TUFF_DEVICE_SOFTWARE, ""),
        made_up("vulkan:2", "v", TUFF_DEVICE_VIRTUAL, ""),
        made_up("vulkan:3", "i", TUFF_DEVICE_INTEGRATED, ""),
        made_up("vulkan:4", "d", TUFF_DEVICE_DISCRETE, ""),
    };
    for (int n = (int)COUNT(list); n > 0; n--) EXPECT_EQ(tuff_device_prefer(list, n), n - 1);
    EXPECT_EQ(tuff_device_prefer(list, 0), -1);
}

#ifndef TUFF_NO_VULKAN
#include "device/vulkan/choose.h"

static const uint64_t GIB = 1ull << 30;

// ---- made-up devices ---------------------------------------------------------------------

static void add_type(tuff_vk_snapshot *s, int heap, bool local, bool visible, bool cached)
{
    s->type_of[s->types].heap = heap;
    s->type_of[s->types].local = local;
    s->type_of[s->types].visible = visible;
    s->type_of[s->types].coherent = visible;
    s->type_of[s->types].cached = cached;
    s->types++;
}

static void add_heap(tuff_vk_snapshot *s, uint64_t size, bool local)
{
    s->heap[s->heaps].size = size;
    s->heap[s->heaps++].local = local;
}

static void add_family(tuff_vk_snapshot *s, bool graphics, bool compute)
{
    s->family[s->families].count = 1;
    s->family[s->families].graphics = graphics;
    s->family[s->families].compute = compute;
    s->family[s->families++].timestamp_bits = 64;
}

// The least that Vulkan 1.1 promises, and that Tuff needs.
static tuff_vk_snapshot plain(const char *name, tuff_device_type type)
{
    tuff_vk_snapshot s = {
        .major = 1, .minor = 1, .type = type, .api = "1.1.0", .driver_version = 7,
        .group = 128, .group_size = { 128, 128, 64 }, .groups = { 65535, 65535, 65535 },
        .shared = 16384, .stage_storage = 4, .set_storage = 24, .stage_sampled = 16,
        .storage_range = 1u << 27, .texels = 65536, .push = 128, .max_alloc = GIB,
        .max_allocs = 4096, .storage_align = 256, .texel_align = 256,
        .subgroup = 1,
    };
    snprintf(s.name, sizeof s.name, "%s", name);
    return s;
}

// One kind of memory, as phones and CPU drivers have it.
static void one_memory(tuff_vk_snapshot *s, uint64_t size)
{
    add_heap(s, size, true);
    add_type(s, 0, true, true, true);
}

static tuff_vk_snapshot weak_phone(void)
{
    tuff_vk_snapshot s = plain("Mali-G31", TUFF_DEVICE_INTEGRATED);
    s.vendor = 0x13b5;
    add_family(&s, true, true);
    add_heap(&s, GIB, true);
    add_type(&s, 0, true, false, false);
    add_type(&s, 0, true, true, false);
    add_type(&s, 0, true, true, true);
    s.type_of[2].coherent = false; // cached, but what the host writes must be flushed
    return s;
}

static void add_coopmat(tuff_vk_snapshot *s, uint32_t m, uint32_t n, uint32_t k, uint32_t type,
                        uint32_t sum)
{
    s->coopmats[s->coopmat_kinds++] = (tuff_vk_coopmat){
        .m = m, .n = n, .k = k, .a = type, .b = type, .c = sum, .result = sum, .scope = 3
    };
}

static tuff_vk_snapshot nvidia_card(void)
{
    tuff_vk_snapshot s = plain("NVIDIA GeForce RTX 3080", TUFF_DEVICE_DISCRETE);
    s.vendor = 0x10de;
    s.minor = 3;
    s.group = 1024;
    s.shared = 49152;
    s.stage_storage = s.set_storage = 1048576;
    s.storage_range = UINT32_MAX;
    s.texels = 1u << 27;
    s.max_alloc = 4 * GIB;
    s.subgroup = s.subgroup_min = s.subgroup_max = 32;
    s.subgroup_basic = s.subgroup_shuffle = s.subgroup_arithmetic = true;
    s.subgroup_control = s.subgroup_required = true;
    s.timeline = s.storage16 = s.storage8 = s.f16 = s.i8 = s.dot = s.dot8_fast = true;
    s.coopmat = s.memory_model = s.memory_model_device = true;
    add_coopmat(&s, 16, 8, 16, 0, 0); // f16 with sums of f16
    add_coopmat(&s, 16, 16, 16, 0, 1);
    add_coopmat(&s, 16, 8, 8, 0, 1);
    add_coopmat(&s, 16, 8, 32, 3, 5); // i8
    add_coopmat(&s, 16, 8, 32, 7, 9); // u8
    add_coopmat(&s, 16, 16, 16, 1000141000, 1); // bf16
    add_coopmat(&s, 24, 8, 8, 0, 1); // an edge that divides no tile
    add_coopmat(&s, 64, 64, 64, 0, 1);
    s.coopmats[s.coopmat_kinds - 1].scope = 2; // of a workgroup
    add_coopmat(&s, 8, 8, 8, 3, 5);
    s.coopmats[s.coopmat_kinds - 1].saturating = true;
    s.bfloat16 = s.coopmat_each = true;
    s.cores = 68;
    for (int e = 0; e < TUFF_VK_EXT_COUNT; e++) s.ext[e] = e != TUFF_VK_PORTABILITY;
    s.timestamp_ns = 1;
    add_family(&s, true, true);
    add_family(&s, false, false); // copies only
    add_family(&s, false, true);
    add_heap(&s, 10 * GIB, true);
    add_heap(&s, 32 * GIB, false);
    add_heap(&s, GIB / 4, true); // the window through which the host sees the card
    add_type(&s, 1, false, false, false);
    add_type(&s, 0, true, false, false);
    add_type(&s, 1, false, true, false);
    add_type(&s, 1, false, true, true);
    add_type(&s, 2, true, true, false);
    return s;
}

static tuff_vk_snapshot moltenvk_mac(void)
{
    tuff_vk_snapshot s = plain("Apple M1", TUFF_DEVICE_INTEGRATED);
    s.vendor = 0x106b;
    s.minor = 1;
    s.group = 1024;
    s.shared = 32768;
    s.stage_storage = 31;
    s.subgroup = 32;
    s.subgroup_basic = s.subgroup_shuffle = true;
    s.storage16 = s.storage8 = s.f16 = s.i8 = s.timeline = true;
    s.ext[TUFF_VK_PORTABILITY] = s.ext[TUFF_VK_TIMELINE] = s.ext[TUFF_VK_STORAGE8] = true;
    s.ext[TUFF_VK_F16_I8] = true;
    add_family(&s, true, true);
    add_heap(&s, 11 * GIB, true);
    add_type(&s, 0, true, false, false);
    add_type(&s, 0, true, true, true);
    return s;
}

static tuff_vk_snapshot lavapipe(const char *info)
{
    tuff_vk_snapshot s = plain("llvmpipe", TUFF_DEVICE_SOFTWARE);
    s.driver_id = 13;
    snprintf(s.driver_name, sizeof s.driver_name, "llvmpipe");
    snprintf(s.driver_info, sizeof s.driver_info, "%s", info);
    add_family(&s, true, true);
    one_memory(&s, 2 * GIB);
    return s;
}

static tuff_vk_choice choose(tuff_vk_snapshot s)
{
    tuff_vk_choice c;
    tuff_vk_choose(&s, NULL, &c);
    return c;
}

// ---- usable or not -----------------------------------------------------------------------

static void refused(tuff_vk_snapshot s, const char *why)
{
    const tuff_vk_choice c = choose(s);
    EXPECT_HAS(c.problem, why);
    tuff_device_info info;
    tuff_vk_describe(&s, &c, &info);
    EXPECT_STR(info.problem, c.problem);
    EXPECT_STR(info.name, s.name);
}

static void devices_that_cannot_be_used(void)
{
    tuff_vk_snapshot s = weak_phone();
    s.stage_storage = 3;
    refused(s, "it has 3 storage buffers per stage, 4 are needed");
    s = weak_phone();
    s.set_storage = 2;
    refused(s, "2 storage buffers per descriptor set");
    s = weak_phone();
    s.minor = 0;
    refused(s, "it speaks Vulkan 1.0, 1.1 is needed");
    s = weak_phone();
    s.family[0].compute = false;
    refused(s, "none of its queues runs compute shaders");
    s = weak_phone();
    s.family[0].count = 0;
    refused(s, "none of its queues");
    s = weak_phone();
    s.group = 64;
    refused(s, "64 invocations per workgroup, 128 are needed");
    s = weak_phone();
    s.types = 1; // only memory that the host cannot see
    refused(s, "no memory that the host can write to");
    EXPECT_STR(choose(weak_phone()).problem, "");
}

// ---- each of them ------------------------------------------------------------------------

static void on_a_weak_phone(void)
{
    const tuff_vk_choice c = choose(weak_phone());
    EXPECT_STR(c.problem, "");
    EXPECT(c.caps.unified && !c.caps.cpu_like);
    // Seen by the host and coherent, though slow to read: it reads through staging.
    EXPECT_EQ(c.tensor_types, 1);
    EXPECT_EQ(c.tensor_type[0], 1);
    EXPECT(!c.tensor_cached);
    EXPECT_EQ(c.caps.storage_buffers, 4);
    EXPECT_EQ(c.caps.subgroup, 1);
    EXPECT_EQ(c.caps.max_texels, 65536);
    EXPECT(!c.caps.timeline && !c.caps.f16 && !c.caps.subgroup_shuffle);
    for (int e = 0; e < TUFF_VK_EXT_COUNT; e++) EXPECT(!c.enable[e]);
}

static void on_an_nvidia_card(void)
{
    tuff_vk_snapshot s = nvidia_card();
    const tuff_vk_choice c = choose(s);
    EXPECT_STR(c.problem, "");
    EXPECT_EQ(c.family, 0);
    EXPECT(!c.caps.unified);
    EXPECT_EQ(c.tensor_type[0], 1);
    EXPECT_EQ(c.staging_type[0], 3); // cached, in the host's memory
    EXPECT(c.caps.timeline && c.caps.coopmat && c.caps.dot8 && c.caps.subgroup_control);
    // Part of Vulkan 1.3, so no extension; those two are not.
    EXPECT(!c.enable[TUFF_VK_TIMELINE] && !c.enable[TUFF_VK_DOT]);
    EXPECT(c.enable[TUFF_VK_COOPMAT] && c.enable[TUFF_VK_BUDGET] && c.memory_model);
    EXPECT(c.caps.max_alloc == 4 * GIB);
    EXPECT_EQ(c.caps.max_loop, 0);
    EXPECT(c.caps.timestamp_ns == 1);
    tuff_device_info info;
    tuff_vk_describe(&s, &c, &info);
    EXPECT_STR(info.vendor, "NVIDIA");
    EXPECT_HAS(info.features, "coopmat");
    EXPECT(info.memory == 10 * GIB);

    // The same card where the host sees all of its memory.
    s.heap[2].size = 10 * GIB;
    s.type_of[4].heap = 0;
    const tuff_vk_choice whole = choose(s);
    EXPECT(whole.caps.unified && !whole.tensor_cached);
    EXPECT_EQ(whole.tensor_type[0], 4);
}

// A driver of 1.1 that offers as extensions what became core later.
static void of_cooperative_matrices(void)
{
    tuff_vk_snapshot s = nvidia_card();
    const tuff_vk_choice c = choose(s);
    const tuff_coop *f16 = c.caps.coop[TUFF_COOP_F16], *i8 = c.caps.coop[TUFF_COOP_I8];
    EXPECT(f16[0].m == 16 && f16[0].n == 16 && f16[0].k == 16);
    EXPECT(f16[1].m == 16 && f16[1].n == 8 && f16[1].k == 8 && !f16[2].m);
    EXPECT(i8[0].m == 16 && i8[0].n == 8 && i8[0].k == 32 && !i8[1].m);
    EXPECT(c.caps.coop[TUFF_COOP_BF16][0].m == 16 && c.enable[TUFF_VK_BFLOAT16]);
    EXPECT_EQ(c.caps.cores, 68);
    // Without the arithmetic there are no matrices of it.
    tuff_vk_choice avoiding;
    tuff_vk_choose(&s, "f16 bfloat16", &avoiding);
    EXPECT(!avoiding.caps.coop[TUFF_COOP_F16][0].m && avoiding.caps.coop[TUFF_COOP_I8][0].m);
    EXPECT(!avoiding.caps.coop[TUFF_COOP_BF16][0].m && !avoiding.enable[TUFF_VK_BFLOAT16]);
    EXPECT(c.caps.coopmat2 && c.enable[TUFF_VK_COOPMAT2]);
    tuff_vk_choose(&s, "coopmat", &avoiding);
    EXPECT(!avoiding.caps.coopmat2 && !avoiding.enable[TUFF_VK_COOPMAT2]);
    EXPECT(!avoiding.caps.coop[TUFF_COOP_I8][0].m && !avoiding.enable[TUFF_VK_BFLOAT16]);
}

static void on_an_older_driver(void)
{
    tuff_vk_snapshot s = nvidia_card();
    s.minor = 1;
    const tuff_vk_choice c = choose(s);
    EXPECT(c.caps.timeline && c.enable[TUFF_VK_TIMELINE]);
    EXPECT(c.enable[TUFF_VK_F16_I8] && c.enable[TUFF_VK_STORAGE8] && c.enable[TUFF_VK_DOT]);
    EXPECT(!c.caps.coopmat && !c.enable[TUFF_VK_COOPMAT]); // its shaders need 1.3
    s.families = 0;
    add_family(&s, true, false);
    add_family(&s, false, true);
    EXPECT_EQ(choose(s).family, 1);
}

static void on_a_mac(void)
{
    const tuff_vk_choice c = choose(moltenvk_mac());
    EXPECT_STR(c.problem, "");
    EXPECT(c.enable[TUFF_VK_PORTABILITY] && c.caps.portability);
    EXPECT(c.enable[TUFF_VK_TIMELINE] && c.caps.timeline);
    EXPECT(c.caps.unified && c.tensor_cached);
    EXPECT_EQ(c.tensor_type[0], 1);
    EXPECT(!c.caps.subgroup_control);
    EXPECT_EQ(c.caps.subgroup_min, 32);
}

static void limit_on_loops_by_version(void)
{
    static const struct { const char *info; uint32_t limit; } v[] = {
        { "Mesa 22.3.6 (LLVM 15.0.6)", 65535 }, { "Mesa 20.3.5 (LLVM 11.0.1)", 65535 },
        { "Mesa 25.0.7-2 (LLVM 19.1.7)", 65535 }, { "", 65535 }, { "something else", 65535 },
        { "Mesa 26.2.6-1 (LLVM 22.1.8)", 0 }, { "Mesa 27.0.0 (LLVM 23.1.0)", 0 },
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        const tuff_vk_choice c = choose(lavapipe(v[i].info));
        EXPECT_EQ(c.caps.max_loop, v[i].limit);
        EXPECT((c.quirks[0] != 0) == (v[i].limit != 0));
        EXPECT(c.caps.cpu_like);
    }
    tuff_vk_snapshot s = nvidia_card();
    snprintf(s.driver_info, sizeof s.driver_info, "Mesa 22.3.6");
    EXPECT_EQ(choose(s).caps.max_loop, 0);
}

static void swiftshader_is_given_small_modules(void)
{
    tuff_vk_snapshot s = lavapipe("");
    EXPECT(!choose(s).specialize && !choose(nvidia_card()).specialize);
    EXPECT(!choose(s).caps.slow_compile && !choose(nvidia_card()).caps.slow_compile);
    s.driver_id = 10; // VK_DRIVER_ID_GOOGLE_SWIFTSHADER
    EXPECT(choose(s).specialize && choose(s).caps.slow_compile);
    EXPECT(choose(s).caps.slow_multiply && !choose(nvidia_card()).caps.slow_multiply);
    EXPECT_HAS(choose(s).quirks, "SwiftShader");
    EXPECT_HAS(choose(s).quirks, "minutes to compile");
}

static void what_is_avoided(void)
{
    const tuff_vk_snapshot s = nvidia_card(), m = moltenvk_mac();
    tuff_vk_choice c;
    tuff_vk_choose(&s, "timeline, coopmat,f16", &c);
    EXPECT(!c.caps.timeline && !c.caps.coopmat && !c.caps.f16);
    EXPECT(!c.enable[TUFF_VK_COOPMAT] && c.caps.i8 && c.caps.dot8);
    tuff_vk_choose(&s, "subgroup-shuffle limits", &c);
    EXPECT(!c.caps.subgroup_shuffle && c.caps.subgroup_arithmetic);
    EXPECT(c.caps.max_group == 128 && c.caps.shared == 16384 && c.caps.storage_buffers == 4);
    EXPECT(c.caps.max_texels == 65536 && c.caps.max_storage_range == 1 << 27);
    EXPECT(!c.problem[0]);
    tuff_vk_choose(&s, "f1", &c);
    EXPECT(c.caps.f16);
    tuff_vk_choose(&m, "unified", &c);
    EXPECT(!c.caps.unified);
    EXPECT_EQ(c.tensor_type[0], 0);

    EXPECT_OK(tuff_vk_check_avoid(NULL));
    EXPECT_OK(tuff_vk_check_avoid(" f16,, timeline "));
    EXPECT_STATUS(tuff_vk_check_avoid("f16 f1"), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "TUFF_AVOID: 'f1' is no feature");
    EXPECT_HAS(tuff_last_error(), "timeline f16 int8");
}

// Memory that needs more than this backend does is never chosen.
static void odd_memory(void)
{
    tuff_vk_snapshot s = lavapipe("Mesa 26.2.6");
    s.type_of[0].odd = true;
    EXPECT_HAS(choose(s).problem, "memory");
    add_type(&s, 0, true, true, false);
    const tuff_vk_choice c = choose(s);
    EXPECT_STR(c.problem, "");
    EXPECT_EQ(c.tensor_type[0], 1);
}
#endif

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(laptop_with_two_gpus);
    CASE(order_of_types);
#ifndef TUFF_NO_VULKAN
    CASE(devices_that_cannot_be_used);
    CASE(on_a_weak_phone);
    CASE(on_an_nvidia_card);
    CASE(of_cooperative_matrices);
    CASE(on_an_older_driver);
    CASE(on_a_mac);
    CASE(limit_on_loops_by_version);
    CASE(swiftshader_is_given_small_modules);
    CASE(what_is_avoided);
    CASE(odd_memory);
#endif
    return report();
}
