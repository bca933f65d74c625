// Choices of kernels without a device: classes of calls, the table and its file, what there is
// to be tried, and what planning makes of a choice.
#include "harness.h"
#include "base/alloc.h"
#include "base/file.h"
#include "ops/lower.h"
#include "ops/ops.h"
#include "ops/tune.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const tuff_caps gpu = {
    .subgroup = 32, .subgroup_min = 32, .subgroup_max = 32, .subgroup_basic = true,
    .max_group = 1024, .max_group_size = { 1024, 1024, 64 },
    .max_groups = { 65535, 65535, 65535 }, .shared = 49152, .storage_buffers = 1 << 20,
    .max_storage_range = 4095u << 20, .max_alloc = 4095u << 20, .max_texels = 1 << 27,
    .storage_align = 16, .texel_align = 16, .f16 = true,
};

static tuff_device_info info = {
    .id = "vulkan:0", .name = "Toy GPU", .vendor = "Toys", .driver = "toy 1.2.3",
    .api = "1.3.0", .features = "timeline f16", .type = TUFF_DEVICE_DISCRETE,
    .subgroup = 32, .max_group = 1024, .shared = 49152,
};

static char notes[4096];

static void keep_note(void *user, int level, const char *line)
{
    (void)user, (void)level;
    const size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", line);
}

static tuff_tuning *new_table(void)
{
    tuff_tuning *t = NULL;
    EXPECT_OK(tuff_tuning_create(&info, NULL, true, &t));
    return t;
}

static tuff_tuned line_of(const char *op, const char *class, const char *variant, double us)
{
    tuff_tuned l = { .us = us };
    snprintf(l.op, sizeof l.op, "%s", op);
    snprintf(l.class, sizeof l.class, "%s", class);
    snprintf(l.variant, sizeof l.variant, "%s", variant);
    return l;
}

static void put(tuff_tuning *t, const char *op, const char *class, const char *variant,
                double us)
{
    const tuff_tuned l = line_of(op, class, variant, us);
    EXPECT_OK(tuff_tuning_put(t, &l));
}

static void put_wrong(tuff_tuning *t, const char *op, const char *class, const char *variant)
{
    tuff_tuned l = line_of(op, class, variant, 0);
    l.wrong = true;
    EXPECT_OK(tuff_tuning_put(t, &l));
}

static const char *chosen(tuff_tuning *t, const char *op, const char *class)
{
    static tuff_tuned l;
    return tuff_tuning_find(t, op, class, &l) ? l.variant : "none";
}

// ---- classes -----------------------------------------------------------------------------

static const char *class_of(const char *op, tuff_dtype type, const char *text)
{
    static char class[4][TUFF_CLASS_TEXT];
    static int next;
    static tuff_case c;
    char *to = class[next++ % 4];
    if (!EXPECT_OK(tuff_case_parse(tuff_op_find(op), type, text, &c))) return "";
    EXPECT(tuff_tuning_class(&c.call, to, TUFF_CLASS_TEXT) < TUFF_CLASS_TEXT);
    return to;
}

static void classes(void)
{
    EXPECT_STR(class_of("matmul", TUFF_F32, "1000x1024 1024x60"), "f32:1024x1024 f32:1024x64");
    EXPECT_STR(class_of("matmul", TUFF_F32, "1001x1024 1024x60"),
               "f32:1024~x1024 f32:1024x64");
    EXPECT_STR(class_of("matmul", TUFF_F16, "3x16 16x7"), "f16:3x16 f16:16x7");
    // The nearest by the ratio: 78.4 lies between 64 and 96, 110.9 between 96 and 128.
    EXPECT_STR(class_of("relu", TUFF_F32, "76x80"), "f32:64x96");
    EXPECT_STR(class_of("relu", TUFF_F32, "108x112"), "f32:96x128");
    EXPECT_STR(class_of("matmul", TUFF_F32, "3x5 5x7 - 3x7 act=relu"),
               "f32:3x5 f32:5x7 - f32:3x7 act=relu");
    EXPECT(strcmp(class_of("matmul", TUFF_F32, "64x64 64x64"),
                  class_of("matmul", TUFF_F32, "64x64 64x64 trans_b=1")) != 0);
    EXPECT_STR(class_of("conv2d", TUFF_F32, "1x3x8x8 4x3x3x3 stride=1 pad=1 group=1"),
               class_of("conv2d", TUFF_F32, "1x3x8x8 4x3x3x3 pad=1"));
    EXPECT(strcmp(class_of("conv2d", TUFF_F32, "1x3x8x8 4x3x3x3 stride=2 pad=1"),
                  class_of("conv2d", TUFF_F32, "1x3x8x8 4x3x3x3 pad=1")) != 0);
    // What is the same in every run is marked: a kernel may do a part of its work once.
    tuff_case known;
    char marked[64];
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "8x8 8x8", &known));
    known.call.constant = 2;
    tuff_tuning_class(&known.call, marked, sizeof marked);
    EXPECT_STR(marked, "f32:8x8 f32:8x8=");
    // A factor or a seed makes no other kernel.
    EXPECT_STR(class_of("leaky_relu", TUFF_F32, "64 alpha=0.5"),
               class_of("leaky_relu", TUFF_F32, "64"));
    EXPECT_STR(class_of("random_uniform", TUFF_F32, "64 seed=7"), "f32:64");
    tuff_case c;
    EXPECT_OK(tuff_case_parse(tuff_op_find("relu"), TUFF_F32, "64x64", &c));
    char small[6];
    EXPECT_EQ(tuff_tuning_class(&c.call, small, sizeof small), strlen("f32:64x64"));
}

// ---- the table ---------------------------------------------------------------------------

static void table(void)
{
    tuff_tuning *t = new_table();
    tuff_tuned line;
    EXPECT(tuff_tuning_empty(t));
    EXPECT(!tuff_tuning_find(NULL, "matmul", "a", &line));
    EXPECT_STR(chosen(t, "matmul", "a"), "none");
    put(t, "matmul", "a", "tile", 10);
    put(t, "matmul", "b", "plain", 20);
    put(t, "matmul", "a", "plain", 9); // measured anew
    EXPECT(!tuff_tuning_empty(t));
    EXPECT_STR(chosen(t, "matmul", "a"), "plain");
    EXPECT_STR(chosen(t, "matmul", "b"), "plain");
    EXPECT_STR(chosen(t, "matmu", "la"), "none");
    put_wrong(t, "matmul", "a", "plain"); // and it turns out to be wrong
    EXPECT_STR(chosen(t, "matmul", "a"), "none");
    put(t, "matmul", "a", "plain", 1);
    EXPECT_STR(chosen(t, "matmul", "a"), "none");
    EXPECT(tuff_tuning_is_wrong(t, "matmul", "a", "plain", "", 0));
    EXPECT(!tuff_tuning_is_wrong(t, "matmul", "a", "plain", "", 64));
    EXPECT(!tuff_tuning_is_wrong(t, "matmul", "b", "plain", "", 0));
    // What a file says does not replace what this process has measured.
    const tuff_tuned old = line_of("matmul", "b", "tile", 5);
    EXPECT_OK(tuff_tuning_merge(t, &old));
    EXPECT_STR(chosen(t, "matmul", "b"), "plain");
    int count = 0;
    while (tuff_tuning_at(t, count, &line)) count++;
    EXPECT_EQ(count, 2);
    EXPECT(!tuff_tuning_at(t, -1, &line));
    tuff_tuning_destroy(&t);
    tuff_tuning_destroy(&t);
}

// ---- the file ----------------------------------------------------------------------------

static tuff_tuning *full_table(void)
{
    tuff_tuning *t = new_table();
    put(t, "matmul", "f32:64x64 f32:64x64", "tile", 12.5);
    put(t, "softmax", "f32:256x1024~", "group", 7);
    put_wrong(t, "matmul", "f32:64x64 f32:64x64", "plain");
    tuff_tuned l = line_of("add", "f32:64 f32:64", "plain", 0.5);
    l.group = 128;
    l.full = true;
    snprintf(l.way, sizeof l.way, "twice");
    EXPECT_OK(tuff_tuning_put(t, &l));
    EXPECT_OK(tuff_tuning_put_auto(t, "CPU path (a toy), 8 threads, 0.1.0", 2.5));
    return t;
}

static void file_says_all(void)
{
    tuff_tuning *t = full_table(), *copy = new_table();
    size_t size;
    int count = 0;
    tuff_tuned l;
    char *text = tuff_tuning_print(t, &size);
    EXPECT_OK(tuff_tuning_read(copy, text, size, &count));
    EXPECT_EQ(count, 3);
    EXPECT_STR(chosen(copy, "softmax", "f32:256x1024~"), "group");
    EXPECT(tuff_tuning_is_wrong(copy, "matmul", "f32:64x64 f32:64x64", "plain", "", 0));
    EXPECT(tuff_tuning_find(copy, "add", "f32:64 f32:64", &l));
    EXPECT_EQ(l.group, 128);
    EXPECT_STR(l.way, "twice");
    EXPECT(l.full);
    EXPECT_NEAR(l.us, 0.5, 1e-9);
    EXPECT_NEAR(tuff_tuning_auto(copy, "CPU path (a toy), 8 threads, 0.1.0"), 2.5, 1e-9);
    EXPECT_NEAR(tuff_tuning_auto(copy, "another"), 0, 0);
    size_t again;
    char *same = tuff_tuning_print(copy, &again);
    EXPECT_STR(same, text);
    tuff_free(same);
    tuff_free(text);
    tuff_tuning_destroy(&copy);
    tuff_tuning_destroy(&t);
}

// Whatever is cut off, and whatever byte is changed in a digit, a tab or a keyword, the file is
// refused whole or says nothing that it did not say; nothing is taken in by halves.
static void file_that_is_cut(void)
{
    tuff_tuning *t = full_table();
    size_t size;
    char *text = tuff_tuning_print(t, &size);
    for (size_t n = 0; n < size; n++) {
        tuff_tuning *copy = new_table();
        int count = 1;
        const tuff_status status = tuff_tuning_read(copy, text, n, &count);
        EXPECT(status == TUFF_ERR_FORMAT || status == TUFF_ERR_STATE);
        EXPECT_EQ(count, 0);
        EXPECT(tuff_tuning_empty(copy));
        tuff_tuning_destroy(&copy);
    }
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            tuff_tuning *copy = new_table();
            int count;
            text[i] = (char)(text[i] ^ 1 << bit);
            if (tuff_tuning_read(copy, text, size, &count) != TUFF_OK)
                EXPECT(tuff_tuning_empty(copy));
            text[i] = (char)(text[i] ^ 1 << bit);
            tuff_tuning_destroy(&copy);
        }
    tuff_free(text);
    tuff_tuning_destroy(&t);
}

// The good head of a file for this device, and lines behind it.
static tuff_status read_lines(const char *lines, int *count)
{
    static char text[1 << 16];
    tuff_tuning *t = new_table();
    size_t size;
    char *head = tuff_tuning_print(t, &size);
    snprintf(text, sizeof text, "%.*s%s", (int)(strstr(head, "end\t") - head), head, lines);
    const tuff_status status = tuff_tuning_read(t, text, strlen(text), count);
    if (status != TUFF_OK) EXPECT(tuff_tuning_empty(t));
    tuff_free(head);
    tuff_tuning_destroy(&t);
    return status;
}

static void hostile_lines(void)
{
    static const char *const bad[] = {
        "", "end\n", "end\t1\n", "end\t-1\n", "end\t0", "end\t0\nend\t0\n", "end\t0\nmore\n",
        "choice\nend\t1\n", "choice\t\t\t\t\t\t\t\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t0\t1\tslow\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t0\tnan\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t0\t-1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t99999999999\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t-1\t1\tfull\nend\t1\n",
        "choice\tmat mul\tf32:1\ttile\t-\t0\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:\x01\ttile\t-\t0\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:\xff\ttile\t-\t0\t1\tfull\nend\t1\n",
        "choice\t-\tf32:1\ttile\t-\t0\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\t-\t-\t0\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t../x\t0\t1\tfull\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t0\t1\tfull\tmore\nend\t1\n",
        "choice\tmatmul\tf32:1\ttile\t-\t0\t1\tfull\tmore\tand\tmore\tand\tmore\nend\t1\n",
        "wrong\tmatmul\tf32:1\ttile\t-\nend\t1\n",
        "wrong\tmatmul\tf32:1\ttile\t-\t0\t1\tfull\nend\t1\n",
        "auto\tCPU\t0\nend\t1\n", "auto\tCPU\n", "auto\tCPU\tinf\nend\t1\n",
        "unknown\tline\nend\t1\n", "\nend\t1\n",
    };
    int count;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!EXPECT_STATUS(read_lines(bad[i], &count), TUFF_ERR_FORMAT)) FAIL("%s", bad[i]);
    // Names and lines of a length that nothing here has.
    char text[5000];
    for (int n = 30; n < 4000; n *= 3) {
        snprintf(text, sizeof text, "choice\t%0*d\tf32:1\ttile\t-\t0\t1\tfull\nend\t1\n", n, 1);
        EXPECT_STATUS(read_lines(text, &count), n < TUFF_TUNED_NAME ? TUFF_OK
                                                                    : TUFF_ERR_FORMAT);
        snprintf(text, sizeof text, "choice\tmatmul\t%0*d\ttile\t-\t0\t1\tfull\nend\t1\n", n,
                 1);
        EXPECT_STATUS(read_lines(text, &count), n < TUFF_CLASS_TEXT ? TUFF_OK
                                                                    : TUFF_ERR_FORMAT);
    }
    // An operator or kernel that is not there is no damage: an app may bring it.
    EXPECT_OK(read_lines("choice\tmine\tf32:1\tnew\t-\t0\t1\tfull\nend\t1\n", &count));
    EXPECT_EQ(count, 1);
}

// ---- whose file it is --------------------------------------------------------------------

static void foreign_files(void)
{
    tuff_tuning *t = full_table();
    size_t size;
    char *text = tuff_tuning_print(t, &size);
    const tuff_device_info mine = info;
    const char *const why[] = { "device", "driver", "driver", "features", "lanes", "lanes" };
    for (int i = 0; i < (int)COUNT(why); i++) {
        if (i == 0) strcpy(info.name, "Other GPU");
        if (i == 1) strcpy(info.driver, "toy 1.2.4");
        if (i == 2) strcpy(info.api, "1.4.0");
        if (i == 3) strcpy(info.features, "timeline");
        if (i == 4) info.subgroup = 64;
        if (i == 5) info.max_group = 512;
        tuff_tuning *other = new_table();
        int count;
        EXPECT_STATUS(tuff_tuning_read(other, text, size, &count), TUFF_ERR_STATE);
        EXPECT_HAS(tuff_last_error(), why[i]);
        EXPECT(tuff_tuning_empty(other));
        tuff_tuning_destroy(&other);
        info = mine;
    }
    char *version = strstr(text, "version\t");
    version[strlen("version\t")] ^= 1;
    tuff_tuning *other = new_table();
    int count;
    EXPECT_STATUS(tuff_tuning_read(other, text, size, &count), TUFF_ERR_STATE);
    EXPECT_HAS(tuff_last_error(), "version");
    text[strlen("Tuff tuning ")] = '2';
    EXPECT_STATUS(tuff_tuning_read(other, text, size, &count), TUFF_ERR_STATE);
    EXPECT_HAS(tuff_last_error(), "another format");
    tuff_tuning_destroy(&other);
    tuff_free(text);
    tuff_tuning_destroy(&t);
}

static void write_text(const char *path, const char *text)
{
    EXPECT_OK(tuff_file_write(path, text, strlen(text)));
}

static void bad_files_are_noted(void)
{
    static const struct { const char *text, *why; } bad[] = {
        { "", "cut" }, { "hello\n", "no tuning file" }, { "\177ELF\n", "no tuning file" },
        { "Tuff tuning 1\ndevice\tToys, Another\n", "another device" },
    };
    char path[1024];
    snprintf(path, sizeof path, "%s", temp_path("bad.txt"));
    tuff_log_set(keep_note, NULL);
    for (size_t i = 0; i < COUNT(bad); i++) {
        tuff_tuning *t = new_table();
        int count = 5;
        notes[0] = '\0';
        write_text(path, bad[i].text);
        EXPECT_OK(tuff_tuning_load(t, path, &count));
        EXPECT_EQ(count, 0);
        EXPECT_HAS(notes, "bad.txt are not used");
        EXPECT_HAS(notes, bad[i].why);
        EXPECT(strchr(notes, '\n') == strrchr(notes, '\n')); // one line
        // It is somebody's: left as it is, unless it is the library's own.
        EXPECT(tuff_tuning_save(t, path) != TUFF_OK);
        EXPECT_HAS(tuff_last_error(), "bad.txt");
        tuff_tuning_destroy(&t);
        EXPECT_OK(tuff_tuning_create(&info, path, true, &t));
        EXPECT_OK(tuff_tuning_save(t, path));
        EXPECT_OK(tuff_tuning_load(t, path, &count));
        tuff_tuning_destroy(&t);
    }
    tuff_log_set(NULL, NULL);
}

static void save_merges(void)
{
    char path[1024];
    snprintf(path, sizeof path, "%s", temp_path("merge.txt"));
    tuff_tuning *a = new_table(), *b = new_table(), *both = new_table();
    int count;
    put(a, "matmul", "one", "tile", 1);
    put(a, "matmul", "two", "tile", 1);
    put(b, "matmul", "two", "plain", 2);
    put_wrong(b, "matmul", "one", "tile");
    put(b, "matmul", "three", "plain", 3);
    EXPECT_OK(tuff_tuning_save(a, path));
    EXPECT_OK(tuff_tuning_save(b, path));
    EXPECT_OK(tuff_tuning_load(both, path, &count));
    EXPECT_STR(chosen(both, "matmul", "one"), "none"); // wrong is wrong, whoever saw it
    EXPECT_STR(chosen(both, "matmul", "two"), "plain");
    EXPECT_STR(chosen(both, "matmul", "three"), "plain");
    tuff_tuning_destroy(&a);
    tuff_tuning_destroy(&b);
    tuff_tuning_destroy(&both);
    EXPECT(tuff_tuning_save(a = new_table(), "/dev/null/x/y.txt") == TUFF_ERR_IO);
    tuff_tuning_destroy(&a);
}

// Processes that save at the same time lose nothing of each other's.
static void save_from_processes(void)
{
    enum { PROCESSES = 6, EACH = 10 };
    char path[1024], class[64];
    snprintf(path, sizeof path, "%s", temp_path("many.txt"));
    for (int p = 0; p < PROCESSES; p++) {
        const pid_t child = fork();
        if (child > 0) continue;
        if (!EXPECT(child == 0)) return;
        tuff_tuning *t = new_table();
        for (int i = 0; i < EACH; i++) {
            snprintf(class, sizeof class, "f32:%d", p * EACH + i);
            put(t, "relu", class, "plain", 1);
            if (tuff_tuning_save(t, path) != TUFF_OK) _exit(1);
        }
        _exit(0);
    }
    for (int p = 0, status; p < PROCESSES; p++) EXPECT(wait(&status) > 0 && status == 0);
    tuff_tuning *t = new_table();
    int count = 0;
    EXPECT_OK(tuff_tuning_load(t, path, &count));
    EXPECT_EQ(count, PROCESSES * EACH);
    tuff_tuning_destroy(&t);
}

// ---- what there is to be tried -----------------------------------------------------------

static tuff_case call;
static tuff_candidates list;

static bool lists(const char *variant, const char *way, uint32_t group)
{
    for (int i = 0; i < list.count; i++)
        if (strcmp(list.at[i].variant, variant) == 0 && list.at[i].group == group &&
            strcmp(list.at[i].way ? list.at[i].way : "", way) == 0)
            return true;
    return false;
}

static void candidates(void)
{
    static tuff_plan plan;
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "512x512 512x512", &call));
    EXPECT_OK(tuff_tune_candidates(&call.call, &gpu, true, &list));
    EXPECT_OK(tuff_select(&call.call, &gpu, &plan));
    EXPECT_STR(list.at[0].variant, plan.variant); // what runs it without tuning comes first
    EXPECT_STR(list.at[0].variant, "tile");
    EXPECT(lists("plain", "", 0) && lists("plain", "", 256));
    // Of the sizes of tiles, the one that is usual is not listed once more by its name.
    EXPECT_EQ(lists("tile", "large", 0) + lists("tile", "long", 0) +
                  lists("tile", "medium", 0) + lists("tile", "small", 0), 3);
    // On a GPU, 64 are usual for the plain kernel; kernels of software drivers cannot run.
    EXPECT(!lists("plain", "", 64) && !lists("texel", "", 0));
    // Sums of f16 are for calls that allow them.
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F16, "512x512 512x512", &call));
    EXPECT_OK(tuff_tune_candidates(&call.call, &gpu, true, &list));
    EXPECT(!lists("half_tile", "", 0) && lists("tile", "", 0));
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F16, "512x512 512x512 fast=1", &call));
    EXPECT_OK(tuff_tune_candidates(&call.call, &gpu, true, &list));
    EXPECT(lists("half_tile", "", 0) && lists("tile", "", 0));
    // A software driver's kernels; those for GPUs only where all are asked for.
    tuff_caps software = gpu;
    software.cpu_like = true;
    software.subgroup = software.subgroup_min = software.subgroup_max = 8;
    software.subgroup_shuffle = true;
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "512x512 512x512", &call));
    EXPECT_OK(tuff_tune_candidates(&call.call, &software, false, &list));
    EXPECT(lists("packed", "", 0) && lists("texel", "", 0) && !lists("tile", "", 0));
    EXPECT_OK(tuff_tune_candidates(&call.call, &software, true, &list));
    EXPECT(lists("tile", "", 0));
    // No plan is listed twice, and each plans the call.
    static tuff_plan other;
    for (int i = 0; i < list.count; i++) {
        EXPECT_OK(tuff_select_as(&call.call, &software, &list.at[i], &plan));
        for (int k = 0; k < i; k++) {
            EXPECT_OK(tuff_select_as(&call.call, &software, &list.at[k], &other));
            if (plan.count == other.count && strcmp(plan.variant, other.variant) == 0)
                EXPECT(memcmp(plan.d, other.d, (size_t)plan.count * sizeof *plan.d) != 0);
        }
    }
}

// Every case of every op: some smaller call fits where the op lets dims be halved, and it is
// one that takes no more steps than asked for.
static void cuts(void)
{
    static tuff_case cut;
    int cut_ones = 0;
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "1024x512 512x1023", &call));
    EXPECT(tuff_tune_cut(&call.call, 1e6, &cut));
    EXPECT(tuff_call_work(&cut.call) <= 1e6);
    EXPECT_EQ(cut.call.in[0].dim[1], cut.call.in[1].dim[0]);
    EXPECT_EQ(cut.call.in[0].dim[0] % 4, 0);
    EXPECT_EQ(cut.call.in[1].dim[1] % 2, 1); // ragged stays ragged
    for (int o = 0; o < tuff_op_count(); o++)
        for (const char *const *text = tuff_op_at(o)->cases; text && *text; text++) {
            if (!EXPECT_OK(tuff_case_parse(tuff_op_at(o), TUFF_F32, *text, &call))) continue;
            const double most = tuff_call_work(&call.call) / 2;
            if (!tuff_tune_cut(&call.call, most, &cut)) continue;
            EXPECT(tuff_call_work(&cut.call) <= most);
            cut_ones++;
            EXPECT(tuff_tune_cut(&call.call, 2 * most, &cut)); // no need to
            EXPECT_EQ(cut.call.in[0].dim[0], call.call.in[0].dim[0]);
        }
    EXPECT(cut_ones > 100);
}

// ---- what planning makes of it -----------------------------------------------------------

static void selection(void)
{
    static tuff_plan plan;
    tuff_caps k = gpu;
    const char *class = class_of("matmul", TUFF_F32, "512x512 512x512");
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "512x512 512x512", &call));
    k.tuning = new_table();
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT_STR(plan.variant, "tile");
    EXPECT(!plan.tuned);
    tuff_tuned l = line_of("matmul", class, "tile", 1);
    strcpy(l.way, "small");
    EXPECT_OK(tuff_tuning_put(k.tuning, &l));
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT(plan.tuned && plan.way && strcmp(plan.way, "small") == 0);
    EXPECT_EQ(plan.d[0].launch.spec[1], 32); // rows of a tile
    l = line_of("matmul", class, "plain", 1);
    l.group = 256;
    EXPECT_OK(tuff_tuning_put(k.tuning, &l));
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT(plan.tuned && strcmp(plan.variant, "plain") == 0);
    EXPECT_EQ(plan.d[0].launch.spec[0], 256);
    const tuff_candidate as = tuff_plan_candidate(&plan);
    EXPECT_OK(tuff_select_as(&call.call, &gpu, &as, &plan));
    EXPECT_EQ(plan.d[0].launch.spec[0], 256);
    // What nothing here knows, and what cannot run this call, is as if it were not there.
    static const char *const useless[] = { "no_such", "texel", "half_tile", "matvec_group" };
    for (size_t i = 0; i < COUNT(useless); i++) {
        put(k.tuning, "matmul", class, useless[i], 1);
        EXPECT_OK(tuff_select(&call.call, &k, &plan));
        EXPECT(!plan.tuned && strcmp(plan.variant, "tile") == 0);
    }
    l = line_of("matmul", class, "tile", 1);
    strcpy(l.way, "no_such");
    EXPECT_OK(tuff_tuning_put(k.tuning, &l));
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT(!plan.tuned);
    // A name that is asked for goes before.
    tuff_variant_force("plain");
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT(!plan.tuned && strcmp(plan.variant, "plain") == 0);
    tuff_variant_force(NULL);
    // What was wrong is passed over, and where all was there is an error.
    put_wrong(k.tuning, "matmul", class, "tile");
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT_STR(plan.variant, "plain");
    put_wrong(k.tuning, "matmul", class, "plain");
    EXPECT_STATUS(tuff_select(&call.call, &k, &plan), TUFF_ERR_CHECK);
    EXPECT_HAS(tuff_last_error(), "every kernel");
    // Another class knows nothing of it.
    EXPECT_OK(tuff_case_parse(&tuff_op_matmul, TUFF_F32, "64x512 512x512", &call));
    EXPECT_OK(tuff_select(&call.call, &k, &plan));
    EXPECT_STR(plan.variant, "tile");
    tuff_tuning_destroy(&k.tuning);
}

static void words(void)
{
    tuff_tune_mode mode;
    EXPECT_OK(tuff_tune_parse("off", &mode));
    EXPECT_EQ(mode, TUFF_TUNE_OFF);
    EXPECT_OK(tuff_tune_parse("full", &mode));
    EXPECT_EQ(mode, TUFF_TUNE_FULL);
    EXPECT_STATUS(tuff_tune_parse("fast", &mode), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "'fast'");
    EXPECT_STATUS(tuff_tune_parse(NULL, &mode), TUFF_ERR_ARG);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(words);
    CASE(classes);
    CASE(table);
    CASE(file_says_all);
    CASE(file_that_is_cut);
    CASE(hostile_lines);
    CASE(foreign_files);
    CASE(bad_files_are_noted);
    CASE(save_merges);
    CASE(save_from_processes);
    CASE(candidates);
    CASE(cuts);
    CASE(selection);
    return report();
}
