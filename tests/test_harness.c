// The harness itself: what must fail does, in a child whose output is read.
#include "harness.h"
#include "base/glob.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct known known[] = {
    { .match = "debt fails", .why = "because" },
    { .match = "debt passes", .why = "because" },
    { .match = "limit *", .why = "too small", .never = true },
};

static void with_case(const char *name, bool hold)
{
    if (!case_begin("%s", name)) return;
    EXPECT(hold);
    case_end();
}

static void skipped(void) { SKIP("not %s", "here"); }

static void differences(void)
{
    if (case_begin("int")) { EXPECT_EQ(1, 2); case_end(); }
    if (case_begin("text")) { EXPECT_STR("a", "b"); case_end(); }
    if (case_begin("part")) { EXPECT_HAS("abc", "d"); case_end(); }
    if (case_begin("near")) { EXPECT_NEAR(1.0, 1.1, 0.01); case_end(); }
    if (case_begin("nan")) { EXPECT_NEAR(NAN, NAN, 1); case_end(); }
    if (case_begin("status")) { EXPECT_OK(TUFF_ERR_ARG); case_end(); }
    if (case_begin("said")) { FAIL("a sentence about %d", 7); case_end(); }
}

static void child(const char *what)
{
    if (strcmp(what, "passes") == 0) with_case("a", true);
    if (strcmp(what, "fails") == 0) with_case("a", false), with_case("b", true);
    if (strcmp(what, "debts") == 0) with_case("debt fails", false), with_case("limit 3", false);
    if (strcmp(what, "paid") == 0) with_case("debt passes", true);
    if (strcmp(what, "skips") == 0) CASE(skipped);
    if (strcmp(what, "outside") == 0) EXPECT(false);
    if (strcmp(what, "differences") == 0) differences();
    if (strcmp(what, "filter") == 0) with_case("no", false), with_case("yes [] 1", true);
}

// Runs child(what) in a process of its own; its output, and its exit status.
static int run_child(const char *what, const char *only, char *text, size_t size)
{
    int ends[2];
    if (!EXPECT(pipe(ends) == 0)) return -1;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = { (char *)"test", (char *)only };
        dup2(ends[1], 1);
        close(ends[0]);
        harness_init(only ? 2 : 1, argv, known, COUNT(known));
        child(what);
        _exit(report());
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n + 1 < size && (got = read(ends[0], text + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(ends[0]);
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void judge(const char *what, const char *only, int want, const char *last)
{
    char text[4096];
    EXPECT_EQ(run_child(what, only, text, sizeof text), want);
    EXPECT_HAS(text, last);
}

static void counts(void)
{
    judge("passes", NULL, 0, "1 passed, 0 failed, 0 skipped, 0 known\n");
    judge("fails", NULL, 1, "1 passed, 1 failed, 0 skipped, 0 known\n");
    judge("debts", NULL, 0, "0 passed, 0 failed, 1 skipped, 1 known\n");
    judge("paid", NULL, 1, "0 passed, 1 failed, 0 skipped, 0 known\n");
    judge("skips", NULL, 0, "0 passed, 0 failed, 1 skipped, 0 known\n");
    judge("outside", NULL, 1, "0 passed, 1 failed, 0 skipped, 0 known\n");
    judge("differences", NULL, 1, "0 passed, 7 failed, 0 skipped, 0 known\n");
    judge("filter", "yes [] ?", 0, "1 passed, 0 failed, 0 skipped, 0 known\n");
}

static void messages(void)
{
    judge("fails", NULL, 1, "a: hold does not hold\nFAILED: a\n");
    judge("differences", NULL, 1, "int: 1 == 2: got 1, expected 2\n");
    judge("differences", NULL, 1, "said: a sentence about 7\n");
    judge("skips", NULL, 0, "skipped: skipped (not here)\n");
    judge("paid", NULL, 1, "remove its line 'debt passes' from the list of debts\n");
}

static void globs(void)
{
    EXPECT(tuff_glob(NULL, "anything"));
    EXPECT(tuff_glob("*", ""));
    EXPECT(tuff_glob("a*b*c", "a-b-b-c"));
    EXPECT(!tuff_glob("a*b*c", "a-b-b-d"));
    EXPECT(tuff_glob("3x? axis=*", "3x2 axis=0"));
    EXPECT(!tuff_glob("3x?", "3x"));
    EXPECT(tuff_glob("[] 1x1", "[] 1x1"));
    EXPECT(!tuff_glob("", "x"));
}

static void paths(void)
{
    EXPECT(source_path("tests/harness.h") != NULL);
    EXPECT(source_path("tests/no such file") == NULL);
    FILE *file = fopen(temp_path("x"), "w");
    EXPECT(file != NULL);
    if (file) fclose(file);
    EXPECT(access(temp_path("x"), R_OK) == 0);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(counts);
    CASE(messages);
    CASE(globs);
    CASE(paths);
    return report();
}
