// The tuner on the device that TUFF_DEVICE names: of candidates made for this test (one slow,
// one wrong, one that is wrong where it is large) the right ones win; choices are kept, found
// again and used; time is kept to; and where nothing can be kept, all else works.
#include "harness.h"
#include "base/alloc.h"
#include "base/file.h"
#include "device/impl.h"
#include "ops/lower.h"
#include "ops/ops.h"
#include "ops/tune.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <tuff/tensor.h>
#include <unistd.h>

static tuff_device *dev;
static char id[32];
static char notes[1 << 14];

static void keep_note(void *user, int level, const char *line)
{
    (void)user;
    if (level > 1) return;
    const size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", line);
}

static int count_notes(const char *part)
{
    int count = 0;
    for (const char *at = notes; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

// ---- operators with kernels that are not as they should be -------------------------------

enum { SLOWER = 6, LARGE = 1 << 19 }; // times; elements

static bool plan_of(const tuff_op *op, const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    int last = 0;
    tuff_call call = *c;
    call.op = op;
    while (last + 1 < TUFF_OP_VARIANTS && op->variants[last + 1].name) last++;
    return op->variants[last].plan(&call, k, p);
}

static bool plan_right(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_of(&tuff_op_relu, c, k, p);
}

static bool plan_slow(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    for (int i = 0; i < SLOWER; i++)
        if (!plan_right(c, k, p)) return false;
    return true;
}

static bool plan_wrong(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_of(&tuff_op_abs, c, k, p);
}

static bool plan_wrong_if_large(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return tuff_desc_count(&c->in[0]) < LARGE ? plan_right(c, k, p) : plan_wrong(c, k, p);
}

static bool takes(const tuff_call *c) { return c->in[0].dtype == TUFF_F32; }

static void run_of(const tuff_op *op, const tuff_ref *r)
{
    tuff_ref ref = *r;
    tuff_call call = *r->call;
    call.op = op;
    ref.call = &call;
    op->ref(&ref);
}

static void run_wrong(const tuff_ref *r) { run_of(&tuff_op_abs, r); }

static void run_slow(const tuff_ref *r)
{
    for (int i = 0; i < SLOWER; i++) run_of(&tuff_op_relu, r);
}

static void run_wrong_if_large(const tuff_ref *r)
{
    run_of(tuff_desc_count(&r->call->in[0]) < LARGE ? &tuff_op_relu : &tuff_op_abs, r);
}

static tuff_op mixed, late, broken;

// Records like relu's, with other kernels: what runs a call without tuning is the first.
static void add_ops(void)
{
    const tuff_op like = tuff_op_relu;
    mixed = late = broken = like;
    mixed.name = "relu_mixed";
    late.name = "relu_late";
    broken.name = "relu_broken";
    memset(mixed.variants, 0, sizeof mixed.variants);
    memset(late.variants, 0, sizeof late.variants);
    memset(broken.variants, 0, sizeof broken.variants);
    mixed.variants[0] = (tuff_variant){ .name = "slow", .plan = plan_slow };
    mixed.variants[1] = (tuff_variant){ .name = "wrong", .plan = plan_wrong };
    mixed.variants[2] = (tuff_variant){ .name = "right", .plan = plan_right };
    late.variants[0] = (tuff_variant){ .name = "slow", .plan = plan_slow };
    late.variants[1] = (tuff_variant){ .name = "late", .plan = plan_wrong_if_large };
    broken.variants[0] = (tuff_variant){ .name = "wrong", .plan = plan_wrong };
    broken.variants[1] = (tuff_variant){ .name = "right", .plan = plan_right };
    mixed.hosts[0] = (tuff_host){ .name = "slow", .takes = takes, .run = run_slow };
    mixed.hosts[1] = (tuff_host){ .name = "wrong", .takes = takes, .run = run_wrong };
    late.hosts[0] = (tuff_host){ .name = "slow", .takes = takes, .run = run_slow };
    late.hosts[1] = (tuff_host){ .name = "late", .takes = takes, .run = run_wrong_if_large };
    broken.hosts[0] = (tuff_host){ .name = "wrong", .takes = takes, .run = run_wrong };
    broken.hosts[1] = (tuff_host){ 0 };
    EXPECT_OK(tuff_registry_add(&mixed));
    EXPECT_OK(tuff_registry_add(&late));
    EXPECT_OK(tuff_registry_add(&broken));
}

// On the CPU path the right one is the reference itself.
static const char *right(void) { return tuff_device_caps(dev)->cpu ? "ref" : "right"; }

static const char *selected(const char *op, const char *text, bool *tuned)
{
    static tuff_plan plan;
    static tuff_case c;
    EXPECT_OK(tuff_case_parse(tuff_op_find(op), TUFF_F32, text, &c));
    if (!EXPECT_OK(tuff_select(&c.call, tuff_device_caps(dev), &plan))) return "none";
    if (tuned) *tuned = plan.tuned;
    return plan.variant;
}

static void set_mode(tuff_tune_mode mode, double seconds)
{
    EXPECT_OK(tuff_tune_set(dev, &(tuff_tune_params){ .mode = mode, .seconds = seconds }));
}

static void reopen(void)
{
    tuff_device_close(&dev);
    EXPECT_OK(tuff_device_open(id, &dev));
}

// A cache folder of its own, with nothing in it.
static void fresh_cache(const char *name)
{
    setenv("TUFF_CACHE_DIR", temp_path(name), 1);
    unsetenv("TUFF_TUNE");
    notes[0] = '\0';
    reopen();
}

// ---- choosing ----------------------------------------------------------------------------

static void the_fastest_right_one_wins(void)
{
    tuff_tune_stats stats;
    bool tuned;
    fresh_cache("wins");
    EXPECT_STR(selected("relu_mixed", "300x301", NULL), "slow");
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 300x301"));
    EXPECT_STR(selected("relu_mixed", "300x301", &tuned), right());
    EXPECT(tuned);
    // Once for a kernel, with the reason, though sizes of workgroups are tried, too.
    EXPECT_HAS(notes, "wrong of relu_mixed gives wrong results");
    EXPECT_HAS(notes, "expected");
    EXPECT_EQ(count_notes("wrong of relu_mixed gives wrong results"), 1);
    tuff_tune_get_stats(dev, &stats);
    EXPECT_EQ(stats.measured, 1);
    EXPECT_EQ(stats.choices, 1);
    EXPECT(stats.candidates >= 3 && stats.wrong >= 1 && stats.seconds > 0);
    // Another process finds both, and measures nothing.
    reopen();
    notes[0] = '\0';
    EXPECT_STR(selected("relu_mixed", "308x309", &tuned), right()); // of the same class
    EXPECT(tuned);
    EXPECT_STR(selected("relu_mixed", "30x31", &tuned), "slow");
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 300x301"));
    tuff_tune_get_stats(dev, &stats);
    EXPECT_EQ(stats.candidates, 0);
    EXPECT_EQ(stats.choices, 1);
    EXPECT_STR(notes, "");
}

// A kernel that is first in its list and wrong is not used even where nothing else was chosen.
static void a_wrong_one_is_never_used(void)
{
    fresh_cache("never");
    set_mode(TUFF_TUNE_QUICK, 60);
    EXPECT_STR(selected("relu_broken", "300x301", NULL), "wrong");
    EXPECT_OK(tuff_tune_case(dev, "relu_broken f32 300x301"));
    EXPECT_STR(selected("relu_broken", "300x301", NULL), right());
    reopen();
    EXPECT_STR(selected("relu_broken", "300x301", NULL), right());
    // An operator that is run by itself, too.
    tuff_stream *s = NULL;
    float x[64], y[64] = { 0 };
    for (int i = 0; i < 64; i++) x[i] = (float)(i % 3 - 1);
    EXPECT_OK(tuff_stream_create(dev, &s));
    tuff_tensor *a = new_tensor(dev, s, TUFF_SHAPE(TUFF_F32, 64), x);
    tuff_tensor *b = new_tensor(dev, s, TUFF_SHAPE(TUFF_F32, 64), NULL);
    set_mode(TUFF_TUNE_QUICK, 60);
    EXPECT_OK(tuff_tune_case(dev, "relu_broken f32 64"));
    EXPECT_OK(tuff_op_run(s, "relu_broken", (const tuff_tensor *const[]){ a }, 1,
                          (tuff_tensor *const[]){ b }, 1, NULL));
    EXPECT_OK(tuff_tensor_read(s, b, y, sizeof y));
    int wrong = 0;
    for (int i = 0; i < 64; i++) wrong += y[i] != (x[i] > 0 ? x[i] : 0);
    EXPECT_EQ(wrong, 0);
    tuff_tensor_destroy(&a);
    tuff_tensor_destroy(&b);
    tuff_stream_destroy(&s);
}

// The reference judges a smaller call: what is wrong on the large one alone is seen by its
// results there.
static void wrong_where_it_is_large(void)
{
    fresh_cache("large");
    set_mode(TUFF_TUNE_QUICK, 60);
    EXPECT_OK(tuff_tune_case(dev, "relu_late f32 1000x900"));
    EXPECT_HAS(notes, "late of relu_late gives wrong results");
    EXPECT(strcmp(selected("relu_late", "1000x900", NULL), "late") != 0);
    notes[0] = '\0';
    EXPECT_OK(tuff_tune_case(dev, "relu_late f32 100x900"));
    EXPECT_STR(notes, "");
}

// ---- programs ----------------------------------------------------------------------------

static char lines[1 << 14];

static void keep_line(void *user, const char *text)
{
    (void)user;
    const size_t n = strlen(lines);
    snprintf(lines + n, sizeof lines - n, "%s\n", text);
}

static tuff_program *program_of(const char *op, int64_t rows, int64_t cols, tuff_var *x,
                                tuff_var *y)
{
    tuff_graph *g = NULL;
    tuff_program *p = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    *x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, rows, cols));
    *y = tuff_graph_op(g, op, x, 1, NULL);
    tuff_graph_output(g, "y", *y);
    EXPECT_OK(tuff_program_create(dev, g, NULL, &p));
    tuff_graph_destroy(&g);
    lines[0] = '\0';
    if (p) tuff_program_describe(p, keep_line, NULL);
    return p;
}

static void programs_tune_and_use_it(void)
{
    enum { ROWS = 512, COLS = 257 };
    static float x[ROWS * COLS], got[ROWS * COLS];
    tuff_var in, out;
    char want[64];
    fresh_cache("programs");
    tuff_program *p = program_of("relu_mixed", ROWS, COLS, &in, &out);
    EXPECT_HAS(lines, " slow ");
    EXPECT(!strstr(lines, "measured"));
    tuff_program_destroy(&p);
    set_mode(TUFF_TUNE_FULL, 0);
    p = program_of("relu_mixed", ROWS, COLS, &in, &out);
    snprintf(want, sizeof want, " %s* ", right());
    EXPECT_HAS(lines, want);
    EXPECT_HAS(lines, "* 1 of the variants were measured");
    for (int i = 0; i < ROWS * COLS; i++) x[i] = (float)(i % 7 - 3);
    EXPECT_OK(tuff_program_write(p, in, x, sizeof x));
    EXPECT_OK(tuff_program_run(p));
    EXPECT_OK(tuff_program_read(p, out, got, sizeof got));
    int wrong = 0;
    for (int i = 0; i < ROWS * COLS; i++) wrong += got[i] != (x[i] > 0 ? x[i] : 0);
    EXPECT_EQ(wrong, 0);
    tuff_program_destroy(&p);
    reopen(); // nothing is measured, and the choice is used
    p = program_of("relu_mixed", ROWS, COLS, &in, &out);
    EXPECT_HAS(lines, want);
    tuff_program_destroy(&p);
}

// A real net's operators, in the seconds that a quick look has; whatever was chosen runs.
static void a_quick_look_takes_three_seconds(void)
{
    tuff_tune_stats stats;
    tuff_model *model = NULL;
    fresh_cache("quick");
    set_mode(TUFF_TUNE_QUICK, 0);
    const tuff_model_params mp = { .net = "lenet5",
                                   .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) };
    EXPECT_OK(tuff_model_create(dev, &mp, &model));
    const tuff_train_params train = { .batch = 64 };
    EXPECT_OK(tuff_warm(model, &(tuff_warm_params){ .train = &train }, NULL));
    tuff_tune_get_stats(dev, &stats);
    EXPECT(stats.candidates > 0 && stats.seconds <= 3);
    EXPECT_EQ(stats.wrong, 0);
    printf("    %d operators, %d candidates in %.2f s\n", stats.measured, stats.candidates,
           stats.seconds);
    EXPECT_STR(notes, "");
    tuff_model_destroy(&model);
}

// ---- files -------------------------------------------------------------------------------

static void files_of_an_app(void)
{
    char path[1024], other[1024];
    bool tuned;
    int count = 0;
    fresh_cache("app");
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 256x512"));
    snprintf(path, sizeof path, "%s", temp_path("app.txt"));
    EXPECT_OK(tuff_tune_save(dev, path));
    fresh_cache("app2");
    EXPECT_STR(selected("relu_mixed", "256x512", &tuned), "slow");
    EXPECT_OK(tuff_tune_load(dev, path, &count));
    EXPECT_EQ(count, 1);
    EXPECT_STR(selected("relu_mixed", "256x512", &tuned), right());
    lines[0] = '\0';
    tuff_tune_describe(dev, keep_line, NULL);
    EXPECT_HAS(lines, "relu_mixed f32:256x512: ");
    EXPECT_STATUS(tuff_tune_load(dev, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_tune_save(dev, "/dev/null/x"), TUFF_ERR_IO);
    // The environment names it.
    setenv("TUFF_TUNE", path, 1);
    reopen();
    EXPECT_STR(selected("relu_mixed", "256x512", &tuned), right());
    // Of another device it is noted and not used, and stays as it is.
    void *text = NULL, *after = NULL;
    size_t size, length;
    EXPECT_OK(tuff_file_read(path, 1 << 20, &text, &size));
    char *driver = strstr(text, "driver\t");
    driver[strlen("driver\t")] ^= 1;
    snprintf(other, sizeof other, "%s", temp_path("other.txt"));
    EXPECT_OK(tuff_file_write(other, text, size));
    setenv("TUFF_TUNE", other, 1);
    notes[0] = '\0';
    reopen();
    EXPECT_EQ(count_notes("other.txt are not used: it is of another driver"), 1);
    EXPECT_STR(selected("relu_mixed", "256x512", &tuned), "slow");
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 256x512"));
    EXPECT_HAS(notes, "could not be kept");
    EXPECT_OK(tuff_file_read(other, 1 << 20, &after, &length));
    EXPECT(length == size && memcmp(text, after, size) == 0);
    tuff_free(text);
    tuff_free(after);
    // No file at all.
    setenv("TUFF_TUNE", "none", 1);
    notes[0] = '\0';
    reopen();
    EXPECT_STR(selected("relu_mixed", "256x512", &tuned), "slow");
    EXPECT_STR(notes, "");
    unsetenv("TUFF_TUNE");
}

static void where_nothing_can_be_kept(void)
{
    setenv("TUFF_CACHE_DIR", "/dev/null/nowhere", 1);
    reopen();
    notes[0] = '\0';
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 256x512"));
    EXPECT_HAS(notes, "choices of kernels could not be kept");
    EXPECT_STR(selected("relu_mixed", "256x512", NULL), right());
    // A disk that is full: no file may grow. What was there stays. A driver may have its memory
    // in files, too: only the CPU path measures meanwhile.
    fresh_cache("full");
    set_mode(TUFF_TUNE_FULL, 0);
    EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 256x512"));
    char kept[4096];
    snprintf(kept, sizeof kept, "%s", temp_path("kept.txt"));
    EXPECT_OK(tuff_tune_save(dev, kept));
    void *text = NULL, *after = NULL;
    size_t size, length;
    EXPECT_OK(tuff_file_read(kept, 1 << 20, &text, &size));
    const bool cpu = tuff_device_get_info(dev)->type == TUFF_DEVICE_CPU;
    struct rlimit before, none = { 16, 16 };
    EXPECT(getrlimit(RLIMIT_FSIZE, &before) == 0);
    none.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    notes[0] = '\0';
    EXPECT(setrlimit(RLIMIT_FSIZE, &none) == 0);
    EXPECT_STATUS(tuff_tune_save(dev, kept), TUFF_ERR_IO);
    if (cpu) EXPECT_OK(tuff_tune_case(dev, "relu_mixed f32 512x512"));
    EXPECT(setrlimit(RLIMIT_FSIZE, &before) == 0);
    EXPECT_OK(tuff_file_read(kept, 1 << 20, &after, &length));
    EXPECT(length == size && memcmp(text, after, size) == 0);
    tuff_free(text);
    tuff_free(after);
    if (cpu) {
        EXPECT_HAS(notes, "could not be kept");
        EXPECT_STR(selected("relu_mixed", "512x512", NULL), right());
    }
    notes[0] = '\0';
    reopen();
    EXPECT_STR(notes, "");
    EXPECT_STR(selected("relu_mixed", "256x512", NULL), right());
}

// ---- auto --------------------------------------------------------------------------------

static tuff_device_info software;

static bool has_software_alone(void)
{
    tuff_device_info list[16];
    int count = 0;
    EXPECT_OK(tuff_device_list(list, 16, &count));
    for (int i = 0; i < count && i < 16; i++) {
        if (list[i].problem[0]) continue;
        if (list[i].type > TUFF_DEVICE_SOFTWARE) return false;
        if (list[i].type == TUFF_DEVICE_SOFTWARE && !software.id[0]) software = list[i];
    }
    return software.id[0] != '\0';
}

static void took(const char *want, bool measures, bool says)
{
    tuff_device *d = NULL;
    notes[0] = '\0';
    EXPECT_OK(tuff_device_open("auto", &d));
    EXPECT_EQ(strstr(notes, "auto compares") != NULL, measures);
    EXPECT_EQ(count_notes("auto took"), says);
    if (d && want) EXPECT_STR(tuff_device_get_info(d)->id, want);
    tuff_device_close(&d);
}

// Puts another verdict into the file that holds the one that was measured.
static void rewrite(double faster)
{
    char path[1024], line[512];
    void *text = NULL;
    size_t size;
    bool own;
    tuff_tune_place(&software, path, sizeof path, &own);
    if (!EXPECT_OK(tuff_file_read(path, 1 << 20, &text, &size))) return;
    char *at = strstr(text, "\nauto\t");
    if (EXPECT(at) && EXPECT(strlen(at) < sizeof line)) {
        char *tab = strrchr(at, '\t'); // of the last line
        while (*--tab != '\t') { }
        snprintf(line, sizeof line, "\t%.3f\nend\t1\n", faster);
        strcpy(tab, line);
        EXPECT_OK(tuff_file_write(path, text, strlen(text)));
    }
    tuff_free(text);
}

static void auto_takes_the_faster(void)
{
    if (!has_software_alone()) SKIP("there is a GPU here, or no Vulkan driver");
    fresh_cache("auto");
    const char *named = getenv("TUFF_DEVICE");
    char *old = named ? strdup(named) : NULL;
    unsetenv("TUFF_DEVICE");
    took(NULL, true, true); // measured once
    const bool cpu = strstr(notes, "auto took cpu") != NULL;
    if (cpu) EXPECT_HAS(notes, "overrule");
    took(cpu ? "cpu" : software.id, false, true);
    rewrite(1.5);
    took("cpu", false, true);
    EXPECT_HAS(notes, "1.5 times faster");
    rewrite(0.5);
    took(software.id, false, true);
    // What is named is taken, whatever was measured.
    rewrite(9);
    setenv("TUFF_DEVICE", software.id, 1);
    took(software.id, false, false);
    unsetenv("TUFF_DEVICE");
    // Without a file nothing is measured.
    setenv("TUFF_TUNE", "none", 1);
    took(software.id, false, true);
    unsetenv("TUFF_TUNE");
    if (old) setenv("TUFF_DEVICE", old, 1);
    free(old);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    snprintf(id, sizeof id, "%s", tuff_device_get_info(dev)->id);
    tuff_log_set(keep_note, NULL);
    add_ops();
    CASE(the_fastest_right_one_wins);
    CASE(a_wrong_one_is_never_used);
    CASE(wrong_where_it_is_large);
    CASE(programs_tune_and_use_it);
    CASE(a_quick_look_takes_three_seconds);
    CASE(files_of_an_app);
    CASE(where_nothing_can_be_kept);
    CASE(auto_takes_the_faster);
    tuff_log_set(NULL, NULL);
    tuff_device_close(&dev);
    return report();
}
