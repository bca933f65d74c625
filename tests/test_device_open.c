// Listing, opening and closing devices, and the file of pipelines.
#include "device_common.h"
#include "base/alloc.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static tuff_device *dev;

// ---- opening -----------------------------------------------------------------------------

static void lists_devices(void)
{
    int count = 0;
    EXPECT_OK(tuff_device_list(NULL, 0, &count));
    EXPECT(count >= 1 && count <= 64);
    tuff_device_info *list = calloc((size_t)count, sizeof *list);
    int again = 0;
    EXPECT_OK(tuff_device_list(list, count, &again));
    EXPECT_EQ(again, count);
    EXPECT_STR(list[count - 1].id, "cpu");
    EXPECT_EQ(list[count - 1].type, TUFF_DEVICE_CPU);
    for (int i = 0; i < count; i++) EXPECT(list[i].name[0] && list[i].vendor[0]);
    free(list);
    EXPECT_STATUS(tuff_device_list(NULL, 0, NULL), TUFF_ERR_ARG);
}

static void opens_by_name(void)
{
    const tuff_device_info *info = tuff_device_get_info(dev);
    tuff_device *other = NULL;
    EXPECT_OK(tuff_device_open(info->id, &other));
    EXPECT(other && other != dev);
    if (other) EXPECT_STR(tuff_device_get_info(other)->name, info->name);
    tuff_device_close(&other);
    EXPECT(!other);
    char part[8] = "";
    for (int i = 0; i < 5; i++) // the first letters, in the other case
        part[i] = info->name[i] >= 'a' && info->name[i] <= 'z' ? (char)(info->name[i] - 32)
                : info->name[i] >= 'A' && info->name[i] <= 'Z' ? (char)(info->name[i] + 32)
                                                               : info->name[i];
    EXPECT_OK(tuff_device_open(part, &other));
    tuff_device_close(&other);
    EXPECT_OK(tuff_device_open("cpu", &other));
    if (other) EXPECT_STR(tuff_device_get_info(other)->id, "cpu");
    tuff_device_close(&other);
    tuff_device_close(&other);
    tuff_device_close(NULL);
}

static void refuses_unknown_names(void)
{
    tuff_device *other = dev;
    EXPECT_STATUS(tuff_device_open("no such device", &other), TUFF_ERR_DEVICE);
    EXPECT(!other);
    EXPECT_HAS(tuff_last_error(), "'no such device'");
    EXPECT_HAS(tuff_last_error(), "cpu (");
    EXPECT_STATUS(tuff_device_open("vulkan:63", &other), TUFF_ERR_DEVICE);
    EXPECT_STATUS(tuff_device_open("auto", NULL), TUFF_ERR_ARG);
}

// `auto` is what TUFF_DEVICE says; a name that is asked for outright is not.
static void environment_names_the_device(void)
{
    const char *before = getenv("TUFF_DEVICE");
    char *old = strdup(before ? before : "cpu");
    tuff_device *other = NULL;
    setenv("TUFF_DEVICE", "cpu", 1);
    EXPECT_OK(tuff_device_open(NULL, &other));
    if (other) EXPECT_STR(tuff_device_get_info(other)->id, "cpu");
    tuff_device_close(&other);
    setenv("TUFF_DEVICE", "no such device", 1);
    EXPECT_STATUS(tuff_device_open("", &other), TUFF_ERR_DEVICE);
    EXPECT_HAS(tuff_last_error(), "'no such device'");
    EXPECT_OK(tuff_device_open("cpu", &other));
    tuff_device_close(&other);
    setenv("TUFF_DEVICE", "auto", 1);
    EXPECT_OK(tuff_device_open("AUTO", &other));
    tuff_device_close(&other);
    setenv("TUFF_DEVICE", old, 1);
    free(old);
}

// ---- several devices ---------------------------------------------------------------------

// The same driver opened three times, beside the CPU path, all in use at once.
static void several_devices(void)
{
    enum { DEVICES = 4, N = 1000 };
    tuff_device *d[DEVICES] = { NULL };
    tuff_stream *s[DEVICES];
    tuff_buffer *b[DEVICES];
    uint8_t data[N], got[N];
    for (int i = 0; i < DEVICES; i++) {
        EXPECT_OK(tuff_device_open(i ? tuff_device_get_info(dev)->id : "cpu", &d[i]));
        if (!d[i]) return;
        EXPECT_OK(tuff_stream_create(d[i], &s[i]));
        EXPECT_OK(tuff_buffer_create(d[i], N, &b[i]));
    }
    pattern(data, N, 99);
    EXPECT_OK(tuff_stream_upload(s[0], all(b[0]), data));
    for (int i = 0; i < DEVICES; i++) { // handed from one to the next
        EXPECT_OK(tuff_stream_download(s[i], all(b[i]), got));
        if (i + 1 < DEVICES) EXPECT_OK(tuff_stream_upload(s[i + 1], all(b[i + 1]), got));
    }
    EXPECT(memcmp(data, got, N) == 0);
    for (int i = 0; i < DEVICES; i++) {
        tuff_stream_destroy(&s[i]);
        tuff_buffer_release(&b[i]);
        tuff_device_close(&d[i]);
    }
}

// Every allocation of host memory fails once while a device is opened.
static void opens_with_little_memory(void)
{
    const char *id = tuff_device_get_info(dev)->id;
    tuff_device *other = NULL;
    int n = 1, failed = 0;
    for (; n < 200; n++) {
        tuff_alloc_fail_at(n);
        const int64_t start = tuff_alloc_count();
        const tuff_status status = tuff_device_open(id, &other);
        tuff_alloc_fail_at(0);
        if (status == TUFF_OK) {
            if (tuff_alloc_count() - start < n) break;
            tuff_device_close(&other);
        } else {
            EXPECT_STATUS(status, TUFF_ERR_MEMORY);
            EXPECT(!other);
            failed++;
        }
    }
    EXPECT(failed >= 1 && n < 200);
    tuff_device_close(&other);
}

// A lost device says so, again and again, and is closed like any other.
static void lost_device(void)
{
#ifdef TUFF_NO_VULKAN
    SKIP("this build has no Vulkan backend");
#else
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path is never lost");
    tuff_device *other = NULL;
    tuff_stream *s;
    tuff_buffer *a, *b;
    tuff_cmd *cmd;
    uint8_t data[100] = { 0 };
    EXPECT_OK(tuff_device_open(tuff_device_get_info(dev)->id, &other));
    if (!other) return;
    EXPECT_OK(tuff_stream_create(other, &s));
    EXPECT_OK(tuff_buffer_create(other, sizeof data, &a));
    EXPECT_OK(tuff_buffer_create(other, sizeof data, &b));
    EXPECT_OK(tuff_stream_cmd(s, &cmd));
    EXPECT_OK(tuff_cmd_copy(cmd, all(b), all(a)));
    EXPECT_OK(tuff_stream_wait(s));
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tuff_stream_cmd(s, &cmd));
        EXPECT_OK(tuff_cmd_copy(cmd, all(b), all(a)));
        tuff_vulkan_lose(other);
        EXPECT_STATUS(tuff_stream_wait(s), TUFF_ERR_LOST);
        EXPECT_HAS(tuff_last_error(), tuff_device_get_info(other)->name);
        EXPECT_HAS(tuff_last_error(), "close it and open it again");
        EXPECT_STATUS(tuff_stream_download(s, all(b), data), TUFF_ERR_LOST);
    }
    tuff_stream_destroy(&s);
    tuff_buffer_release(&a);
    tuff_buffer_release(&b);
    tuff_device_close(&other);
    EXPECT(loops_right(dev, 10, 0)); // the one beside it is well
#endif
}

// ---- the file of pipelines ---------------------------------------------------------------

static char notes[4096];

static void keep_note(void *user, int level, const char *line)
{
    (void)user, (void)level;
    const size_t n = strlen(notes);
    snprintf(notes + n, sizeof notes - n, "%s\n", line);
}

// Opens the device anew, runs a shader on it, closes it; `notes` holds what was logged.
static void session(void)
{
    notes[0] = '\0';
    tuff_device *mine = dev;
    EXPECT_OK(tuff_device_open(tuff_device_get_info(mine)->id, &dev));
    if (dev) {
        tuff_memory_stats stats;
        EXPECT(loops_right(dev, 10, 1));
        tuff_device_get_stats(dev, &stats);
        EXPECT_EQ(stats.pipelines, 1);
        tuff_device_close(&dev);
    }
    dev = mine;
}

static void change_file(const char *path, long at, long length)
{
    FILE *file = fopen(path, "r+b");
    if (!EXPECT(file)) return;
    if (at >= 0) {
        EXPECT(fseek(file, at, SEEK_SET) == 0);
        const int byte = fgetc(file);
        EXPECT(fseek(file, at, SEEK_SET) == 0);
        EXPECT(fputc(byte ^ 0x55, file) != EOF);
    }
    fclose(file);
    if (length >= 0) EXPECT(truncate(path, length) == 0);
}

static void file_of_pipelines(void)
{
    if (tuff_device_caps(dev)->cpu) SKIP("the CPU path has no pipelines");
    char folder[512], path[1024];
    glob_t found = { 0 };
    const char *before = getenv("TUFF_CACHE_DIR");
    char *old = before ? strdup(before) : NULL;
    snprintf(folder, sizeof folder, "%s", temp_path("a/new/folder"));
    setenv("TUFF_CACHE_DIR", folder, 1);
    tuff_log_set(keep_note, NULL);
    session();
    EXPECT(!strstr(notes, "not used"));
    snprintf(path, sizeof path, "%s/pipelines-*.bin", folder);
    EXPECT_EQ(glob(path, 0, NULL, &found), 0);
    if (EXPECT_EQ(found.gl_pathc, 1)) {
        const char *file = found.gl_pathv[0];
        session();
        EXPECT(!strstr(notes, "not used"));
        static const struct { long at, length; const char *why; } damage[] = {
            { 0, -1, "no file of Tuff's" },  { 8, -1, "another driver or build" },
            { 24, -1, "another driver" },    { 57, -1, "damaged" },
            { 70, -1, "damaged" },           { -1, 60, "damaged" },
            { -1, 20, "cut" },               { -1, 0, "cut" },
        };
        for (size_t i = 0; i < COUNT(damage); i++) {
            change_file(file, damage[i].at, damage[i].length);
            session();
            EXPECT_HAS(notes, damage[i].why);
            session(); // it was replaced by a good one
            EXPECT(!strstr(notes, "not used"));
        }
    }
    globfree(&found);
    // Where nothing can be kept, that is said, and all else works.
    setenv("TUFF_CACHE_DIR", "/dev/null/nowhere", 1);
    session();
    EXPECT_HAS(notes, "could not be kept");
    tuff_log_set(NULL, NULL);
    if (old)
        setenv("TUFF_CACHE_DIR", old, 1);
    else
        unsetenv("TUFF_CACHE_DIR");
    free(old);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    CASE(lists_devices);
    CASE(opens_by_name);
    CASE(refuses_unknown_names);
    CASE(environment_names_the_device);
    CASE(several_devices);
    CASE(opens_with_little_memory);
    CASE(lost_device);
    CASE(file_of_pipelines);
    tuff_device_close(&dev);
    return report();
}
