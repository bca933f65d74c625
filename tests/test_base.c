// The bottom room: random numbers, text, files, time.
#include "harness.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/time.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>
#include <zlib.h>

// ---- random numbers ------------------------------------------------------------------------

// The published known answers of the paper's library.
static void philox_known_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } rows[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t got[4];
        tuff_philox(rows[i].counter, rows[i].key, got);
        for (int k = 0; k < 4; k++) EXPECT_EQ(got[k], rows[i].want[k]);
    }
}

// The mapping from places to words that the header promises and the shader repeats.
static void rng_places(void)
{
    const uint64_t seed = 0x123456789abcdef0u, places[] = { 0, 1, 6, 1023, 0x5ffffffffdu };
    for (size_t k = 0; k < COUNT(places); k++) {
        const uint64_t i = places[k];
        const uint32_t counter[4] = { (uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), 0, 0 };
        const uint32_t key[2] = { 0x9abcdef0, 0x12345678 };
        uint32_t w[4];
        tuff_philox(counter, key, w);
        EXPECT_EQ(tuff_rng_word_at(seed, i), w[i % 4]);
        EXPECT(tuff_rng_uniform_at(seed, i) == (float)(w[i % 4] >> 8) / 16777216.0f);
        const uint32_t *p = w + (i % 4 & ~1u);
        const double r = sqrt(-2 * log(((p[0] >> 8) + 1) / 16777216.0));
        const double a = 2 * acos(-1) * (p[1] >> 8) / 16777216.0;
        EXPECT_NEAR(tuff_rng_normal_at(seed, i), i & 1 ? r * sin(a) : r * cos(a), 1e-6);
        tuff_rng walk = { seed, i };
        EXPECT_EQ(tuff_rng_word(&walk), w[i % 4]);
        EXPECT_EQ(walk.counter, i + 1);
    }
    EXPECT(tuff_rng_fork(seed, 1) != tuff_rng_fork(seed, 2));
    EXPECT(tuff_rng_fork(seed, 1) != tuff_rng_fork(seed + 1, 1));
}

static void rng_moments(void)
{
    const int n = 200000;
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0, pair = 0, last = 0;
    tuff_rng u = { 7, 0 }, z = { 8, 0 };
    for (int i = 0; i < n; i++) {
        const double x = tuff_rng_uniform(&u), y = tuff_rng_normal(&z);
        EXPECT(x >= 0 && x < 1);
        u1 += x / n;
        u2 += x * x / n;
        n1 += y / n;
        n2 += y * y / n;
        n4 += y * y * y * y / n;
        pair += y * last / n;
        last = y;
    }
    // Four standard errors of each.
    EXPECT_NEAR(u1, 1.0 / 2, 4 * sqrt(1.0 / 12 / n));
    EXPECT_NEAR(u2, 1.0 / 3, 4 * sqrt(4.0 / 45 / n));
    EXPECT_NEAR(n1, 0, 4 * sqrt(1.0 / n));
    EXPECT_NEAR(n2, 1, 4 * sqrt(2.0 / n));
    EXPECT_NEAR(n4, 3, 4 * sqrt(96.0 / n));
    EXPECT_NEAR(pair, 0, 4 * sqrt(1.0 / n));
}

// Every order of four items comes up equally often, and a shuffle loses nothing.
static void shuffle_is_fair(void)
{
    enum { RUNS = 48000, ORDERS = 24 };
    int seen[256] = { 0 }, orders = 0;
    tuff_rng rng = { 3, 0 };
    for (int run = 0; run < RUNS; run++) {
        uint32_t items[4] = { 0, 1, 2, 3 };
        tuff_rng_shuffle(&rng, items, 4);
        seen[items[0] | items[1] << 2 | items[2] << 4 | items[3] << 6]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 256; i++) {
        if (!seen[i]) continue;
        const double want = (double)RUNS / ORDERS;
        orders++;
        chi2 += (seen[i] - want) * (seen[i] - want) / want;
    }
    EXPECT_EQ(orders, ORDERS);
    EXPECT(chi2 < 49.7); // 23 degrees of freedom: one in a thousand
    uint32_t many[1009];
    for (uint32_t i = 0; i < COUNT(many); i++) many[i] = i;
    tuff_rng again = { 5, 0 };
    tuff_rng_shuffle(&again, many, COUNT(many));
    int moved = 0;
    bool there[COUNT(many)] = { 0 };
    for (uint32_t i = 0; i < COUNT(many); i++) {
        moved += many[i] != i;
        EXPECT(many[i] < COUNT(many) && !there[many[i]]);
        there[many[i]] = true;
    }
    EXPECT(moved > 950);
}

static void below_is_even(void)
{
    tuff_rng rng = { 11, 0 };
    // 3 * 2^30 refuses a quarter of all words; without refusal the halves differ by half.
    const uint32_t n = 3u << 30;
    int low = 0;
    for (int i = 0; i < 40000; i++) low += tuff_rng_below(&rng, n) < n / 2;
    EXPECT_NEAR(low, 20000, 4 * 100);
    EXPECT(rng.counter > 50000);
    int thirds[3] = { 0 };
    for (int i = 0; i < 30000; i++) thirds[tuff_rng_below(&rng, 3)]++;
    for (int i = 0; i < 3; i++) EXPECT_NEAR(thirds[i], 10000, 4 * 82);
    EXPECT_EQ(tuff_rng_below(&rng, 1), 0);
}

// ---- text ----------------------------------------------------------------------------------

static void parses_numbers(void)
{
    int64_t i = 5;
    uint64_t u = 5;
    double f = 5;
    float g = 5;
    EXPECT(tuff_parse_int("-9223372036854775808", &i) && i == INT64_MIN);
    EXPECT(tuff_parse_int("9223372036854775807", &i) && i == INT64_MAX);
    EXPECT(tuff_parse_int("+12", &i) && i == 12);
    EXPECT(tuff_parse_u64("18446744073709551615", 20, &u) && u == UINT64_MAX);
    EXPECT(tuff_parse_u64("1299", 2, &u) && u == 12);
    EXPECT(tuff_parse_f64("-1.5e-3x", 7, &f) && f == -1.5e-3);
    EXPECT(tuff_parse_f64(".5", 2, &f) && f == 0.5);
    EXPECT(tuff_parse_f64("5.", 2, &f) && f == 5);
    EXPECT(tuff_parse_f64("0.1", 3, &f) && f == 0.1);
    EXPECT(tuff_parse_float("3e38", &g) && g == 3e38f);
    static const char *const no_int[] = { "", "-", "+", "1 ", " 1", "1.0", "0x1", "1e3", "--1",
                                          "9223372036854775808", "-9223372036854775809",
                                          "99999999999999999999999", "one" };
    i = 5;
    for (size_t k = 0; k < COUNT(no_int); k++)
        if (!EXPECT(!tuff_parse_int(no_int[k], &i))) FAIL("%s", no_int[k]);
    EXPECT_EQ(i, 5);
    static const char *const no_float[] = { "",      ".",     "-",   "e5",    "1e", "1e+",
                                            "nan",   "inf",   " 1",  "1e999", "1f", "+-1",
                                            "0x1p3", "1.2.3", "1,5", "1 " };
    f = 5;
    for (size_t k = 0; k < COUNT(no_float); k++)
        if (!EXPECT(!tuff_parse_f64(no_float[k], strlen(no_float[k]), &f)))
            FAIL("%s", no_float[k]);
    EXPECT(f == 5);
    EXPECT(!tuff_parse_float("4e38", &g) && g == 3e38f);
    char long_number[300];
    memset(long_number, '1', sizeof long_number);
    EXPECT(!tuff_parse_f64(long_number, sizeof long_number, &f));
}

static void suggests_names(void)
{
    static const char *const names[] = { "conv", "relu", "maxpool", "softmax", "dense" };
    const size_t n = COUNT(names);
    EXPECT_STR(tuff_nearest("relu", names, n), "relu");
    EXPECT_STR(tuff_nearest("ReLU", names, n), "relu");
    EXPECT_STR(tuff_nearest("rleu", names, n), "relu");
    EXPECT_STR(tuff_nearest("maxpol", names, n), "maxpool");
    EXPECT_STR(tuff_nearest("max_pool", names, n), "maxpool");
    EXPECT_STR(tuff_nearest("dens", names, n), "dense");
    EXPECT(tuff_nearest("attention", names, n) == NULL);
    EXPECT(tuff_nearest("", names, n) == NULL);
    char endless[500];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    EXPECT(tuff_nearest(endless, names, n) == NULL);
}

static void shows_text(void)
{
    char long_text[100];
    memset(long_text, 'x', sizeof long_text);
    EXPECT_STR(tuff_show("a\x1b[31m\n\x7f\0z", 10), "a?[31m???z");
    EXPECT_STR(tuff_show("", 0), "");
    EXPECT_EQ(strlen(tuff_show(long_text, 60)), 60);
    EXPECT_EQ(strlen(tuff_show(long_text, 61)), 63);
    EXPECT_HAS(tuff_show(long_text, 61), "x...");
}

static void reads_json(void)
{
    cJSON *json;
    int64_t v = 7;
    const char *text = "{\"a\":3,\"b\":1.5,\"c\":9007199254740993,\"d\":\"x\",\"e\":1e3} \n?";
    EXPECT_STATUS(tuff_json_parse(text, strlen(text), &json), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "not JSON from byte ");
    EXPECT(json == NULL);
    if (!EXPECT_OK(tuff_json_parse(text, strlen(text) - 1, &json))) return;
    EXPECT(tuff_json_int(cJSON_GetObjectItem(json, "a"), 3, 3, &v) && v == 3);
    EXPECT(tuff_json_int(cJSON_GetObjectItem(json, "e"), 0, 1000, &v) && v == 1000);
    EXPECT(!tuff_json_int(cJSON_GetObjectItem(json, "a"), 4, 9, &v));
    EXPECT(!tuff_json_int(cJSON_GetObjectItem(json, "a"), 0, 2, &v));
    EXPECT(!tuff_json_int(cJSON_GetObjectItem(json, "b"), 0, 9, &v));
    EXPECT(!tuff_json_int(cJSON_GetObjectItem(json, "c"), 0, 1ll << 53, &v) || v == 1ll << 53);
    EXPECT(!tuff_json_int(cJSON_GetObjectItem(json, "d"), 0, 9, &v));
    EXPECT(!tuff_json_int(NULL, 0, 9, &v));
    EXPECT_STR(tuff_json_text(json, "d"), "x");
    EXPECT(!tuff_json_text(json, "a") && !tuff_json_text(json, "D"));
    cJSON_Delete(json);
    static const char *const wrong[] = { "", " ", "{", "{\"a\":}", "[1,]", "{} {}", "nul" };
    for (size_t i = 0; i < COUNT(wrong); i++)
        EXPECT_STATUS(tuff_json_parse(wrong[i], strlen(wrong[i]), &json), TUFF_ERR_FORMAT);
}

// ---- files ---------------------------------------------------------------------------------

static bool file_is(const char *path, const void *want, size_t size)
{
    void *data;
    size_t got;
    if (tuff_file_read(path, 1 << 26, &data, &got) != TUFF_OK) return false;
    const bool same = got == size && memcmp(data, want, size) == 0 && ((char *)data)[got] == 0;
    tuff_free(data);
    return same;
}

static int files_in(const char *folder)
{
    int n = 0;
    DIR *dir = opendir(folder);
    if (!dir) return -1;
    for (const struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void file_round_trip(void)
{
    const char *folder = temp_path("a/b/c"), *path = temp_path("a/b/c/file");
    EXPECT_OK(tuff_folder_make(folder));
    EXPECT_OK(tuff_folder_make(folder));
    EXPECT_OK(tuff_file_write(path, "", 0));
    EXPECT(file_is(path, "", 0));
    EXPECT_OK(tuff_file_write(path, "hello", 5));
    EXPECT(file_is(path, "hello", 5));
    tuff_file_out *out;
    EXPECT_OK(tuff_file_create(path, &out));
    EXPECT_OK(tuff_file_put(out, "left", 4));
    EXPECT(file_is(path, "hello", 5)); // nothing is seen before the commit
    tuff_file_abandon(&out);
    EXPECT(out == NULL);
    EXPECT(file_is(path, "hello", 5));
    EXPECT_EQ(files_in(folder), 1);
    char big[100001];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * i >> 7);
    EXPECT_OK(tuff_file_create(path, &out));
    for (size_t at = 0; at < sizeof big; at += 9091) {
        const size_t rest = sizeof big - at;
        EXPECT_OK(tuff_file_put(out, big + at, rest < 9091 ? rest : 9091));
    }
    EXPECT_OK(tuff_file_commit(&out));
    EXPECT(file_is(path, big, sizeof big));
    EXPECT_EQ(files_in(folder), 1);
}

static void file_keeps_mode_and_link(void)
{
    const char *path = temp_path("kept"), *link = temp_path("link");
    EXPECT_OK(tuff_file_write(path, "1", 1));
    EXPECT_EQ(chmod(path, 0640), 0);
    EXPECT_EQ(symlink(path, link), 0);
    EXPECT_OK(tuff_file_write(link, "2", 1));
    struct stat info;
    EXPECT(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    EXPECT(file_is(path, "2", 1));
    EXPECT(stat(path, &info) == 0 && (info.st_mode & 0777) == 0640);
}

static void file_by_places(void)
{
    const char *path = temp_path("places");
    tuff_file_in *in;
    char text[5] = "";
    EXPECT_OK(tuff_file_write(path, "0123456789", 10));
    if (!EXPECT_OK(tuff_file_open(path, &in))) return;
    EXPECT_EQ(in->size, 10);
    EXPECT_OK(tuff_file_read_at(in, 6, text, 4));
    EXPECT_STR(text, "6789");
    EXPECT_OK(tuff_file_read_at(in, 1, text, 2));
    EXPECT_STR(text, "1289");
    EXPECT_STATUS(tuff_file_read_at(in, 8, text, 4), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "it ends at byte 10");
    tuff_file_close(&in);
    tuff_file_close(&in);
    EXPECT_STATUS(tuff_file_open(temp_path("none"), &in), TUFF_ERR_IO);
    EXPECT_STATUS(tuff_file_open(temp_path("."), &in), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "it is not a file");
}

static void file_errors(void)
{
    void *data = &data;
    size_t size = 1;
    EXPECT_STATUS(tuff_file_read(temp_path("none"), 9, &data, &size), TUFF_ERR_IO);
    EXPECT(data == NULL && size == 0);
    EXPECT_HAS(tuff_last_error(), "none could not be opened: No such file");
    EXPECT_STATUS(tuff_file_read(temp_path("."), 9, &data, &size), TUFF_ERR_IO);
    EXPECT_STATUS(tuff_file_write(temp_path("no/such/file"), "x", 1), TUFF_ERR_IO);
    EXPECT_STATUS(tuff_file_write("/dev/null", "x", 1), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "it is not a file");
    const char *path = temp_path("ten");
    EXPECT_OK(tuff_file_write(path, "0123456789", 10));
    EXPECT_STATUS(tuff_file_read(path, 9, &data, &size), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "expected at most 9 bytes");
    EXPECT_STATUS(tuff_file_read_gz(path, 9, &data, &size), TUFF_ERR_FORMAT);
    EXPECT_OK(tuff_file_read(path, 10, &data, &size));
    tuff_free(data);
    EXPECT_OK(tuff_file_read_gz(path, 10, &data, &size));
    tuff_free(data);
    EXPECT_STATUS(tuff_folder_make(temp_path("ten")), TUFF_ERR_IO);
    EXPECT_STATUS(tuff_folder_make(temp_path("ten/below")), TUFF_ERR_IO);
}

// A limit on the size of files stands in for a full disk: write() fails in the middle.
static void full_disk_keeps_the_old_file(void)
{
    const char *folder = temp_path("full"), *path = temp_path("full/model");
    EXPECT_OK(tuff_folder_make(folder));
    EXPECT_OK(tuff_file_write(path, "the old one", 11));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        const struct rlimit limit = { 65536, 65536 };
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(9);
        static char big[200000];
        _exit(tuff_file_write(path, big, sizeof big) == TUFF_ERR_IO &&
                      strstr(tuff_last_error(), "could not be written")
                  ? 7
                  : 8);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT(file_is(path, "the old one", 11));
    EXPECT_EQ(files_in(folder), 1);
}

static void out_of_memory_leaves_nothing(void)
{
    const char *folder = temp_path("memory"), *path = temp_path("memory/file");
    EXPECT_OK(tuff_folder_make(folder));
    int refused = 0;
    for (int n = 1; n < 20; n++) {
        tuff_alloc_fail_at(n);
        const tuff_status status = tuff_file_write(path, "x", 1);
        tuff_alloc_fail_at(0);
        if (status == TUFF_OK) break;
        refused++;
        EXPECT_STATUS(status, TUFF_ERR_MEMORY);
        EXPECT(files_in(folder) <= 1);
    }
    EXPECT(refused >= 3);
    EXPECT(file_is(path, "x", 1));
}

// ---- gzip ----------------------------------------------------------------------------------

static size_t pack(const void *data, size_t size, uint8_t *out, size_t room)
{
    z_stream z = { .next_in = (void *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = out,
                   .avail_out = (uInt)room };
    if (deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    const bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    deflateEnd(&z);
    return ok ? z.total_out : 0;
}

static bool gz_is(const char *path, const void *want, size_t size, size_t cap)
{
    void *data;
    size_t got;
    if (tuff_file_read_gz(path, cap, &data, &got) != TUFF_OK) return false;
    const bool same = got == size && memcmp(data, want, size) == 0 && ((char *)data)[got] == 0;
    tuff_free(data);
    return same;
}

static void gzip_round_trip(void)
{
    const size_t sizes[] = { 0, 1, 4095, 4096, 65536, 3000001 };
    uint8_t *raw = malloc(3000001), *packed = malloc(3200000);
    tuff_rng rng = { 1, 0 };
    for (size_t i = 0; i < 3000001; i++) raw[i] = (uint8_t)(tuff_rng_word(&rng) % 11);
    const char *path = temp_path("packed.gz");
    for (size_t k = 0; k < COUNT(sizes); k++) {
        const size_t n = pack(raw, sizes[k], packed, 3200000);
        EXPECT(n > 0);
        EXPECT_OK(tuff_file_write(path, packed, n));
        EXPECT(gz_is(path, raw, sizes[k], sizes[k]));
        EXPECT(sizes[k] == 0 || !gz_is(path, raw, sizes[k], sizes[k] - 1));
        EXPECT(sizes[k] == 0 || strstr(tuff_last_error(), "too large"));
    }
    // Two members in a row are one file.
    const size_t a = pack(raw, 1000, packed, 3200000);
    const size_t b = pack(raw + 1000, 70000, packed + a, 3200000 - a);
    EXPECT_OK(tuff_file_write(path, packed, a + b));
    EXPECT(gz_is(path, raw, 71000, 71000));
    free(raw);
    free(packed);
}

// Every cut, every trailing byte and every flipped bit is refused.
static void gzip_damaged(void)
{
    const char text[] = "the quick brown fox jumps over the lazy dog, the quick brown fox";
    uint8_t packed[300];
    const size_t n = pack(text, sizeof text, packed, sizeof packed);
    const char *path = temp_path("damaged.gz");
    void *data;
    size_t size;
    for (size_t cut = 2; cut < n; cut++) {
        EXPECT_OK(tuff_file_write(path, packed, cut));
        EXPECT_STATUS(tuff_file_read_gz(path, 1000, &data, &size), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), "damaged.gz is a damaged gzip file: it ends too early");
    }
    packed[n] = 0;
    EXPECT_OK(tuff_file_write(path, packed, n + 1));
    EXPECT_STATUS(tuff_file_read_gz(path, 1000, &data, &size), TUFF_ERR_FORMAT);
    int refused = 0;
    for (size_t i = 10; i < n; i++) { // the ten bytes before are flags, times and names
        packed[i] ^= 4;
        EXPECT_OK(tuff_file_write(path, packed, n));
        if (tuff_file_read_gz(path, 1000, &data, &size) == TUFF_OK) tuff_free(data);
        else refused++;
        packed[i] ^= 4;
    }
    EXPECT_EQ(refused, n - 10);
}

// 64 MiB of zeros in 64 KiB: unpacking ends at the cap, long before the memory does.
static void gzip_bomb(void)
{
    const size_t big = 64u << 20;
    uint8_t *packed = malloc(1 << 20), *zeros = calloc(big, 1);
    const size_t n = pack(zeros, big, packed, 1 << 20);
    EXPECT(n > 0 && n < 100000);
    EXPECT_OK(tuff_file_write(temp_path("bomb.gz"), packed, n));
    void *data;
    size_t size;
    EXPECT_STATUS(tuff_file_read_gz(temp_path("bomb.gz"), 1 << 20, &data, &size),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "expected at most 1048576 bytes");
    free(packed);
    free(zeros);
}

static void finds_files(void)
{
    static const char *const names[] = { "find.b", "find.a" };
    char path[512];
    EXPECT(!tuff_file_find(temp_path("."), names, 2, path, sizeof path));
    EXPECT_OK(tuff_file_write(temp_path("find.a"), "", 0));
    EXPECT(tuff_file_find(temp_path("."), names, 2, path, sizeof path));
    EXPECT_HAS(path, "/find.a");
    EXPECT(!tuff_file_find(temp_path("."), names, 2, path, 5));
}

static void time_goes_on(void)
{
    const double start = tuff_time_now();
    usleep(2000);
    const double passed = tuff_time_now() - start;
    EXPECT(passed >= 0.002 && passed < 60);
}

// ---- threads -----------------------------------------------------------------------------

static atomic_int lines[2], mixed;

static void log_first(void *user, int level, const char *line)
{
    (void)level, (void)line;
    atomic_fetch_add(user == &lines[0] ? &lines[0] : &mixed, 1);
}

static void log_second(void *user, int level, const char *line)
{
    (void)level, (void)line;
    atomic_fetch_add(user == &lines[1] ? &lines[1] : &mixed, 1);
}

static void *log_much(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) tuff_log(2, "a line");
    return NULL;
}

// Whoever logs meanwhile never meets one function with what is the other's.
static void logs_change_hands(void)
{
    atomic_bool stop = false;
    pthread_t thread;
    if (!EXPECT(pthread_create(&thread, NULL, log_much, &stop) == 0)) return;
    for (int i = 0; i < 20000 || !atomic_load(&lines[0]) || !atomic_load(&lines[1]); i++)
        tuff_log_set(i % 2 ? log_first : log_second, &lines[i % 2 ? 0 : 1]);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    tuff_log_set(NULL, NULL);
    EXPECT_EQ(atomic_load(&mixed), 0);
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    EXPECT_STR(tuff_last_error(), "");
    (void)tuff_fail(TUFF_ERR_ARG, "theirs");
    return NULL;
}

static void errors_are_of_a_thread(void)
{
    pthread_t thread;
    (void)tuff_fail(TUFF_ERR_IO, "ours, %d", 7);
    if (!EXPECT(pthread_create(&thread, NULL, fail_elsewhere, NULL) == 0)) return;
    pthread_join(thread, NULL);
    EXPECT_STR(tuff_last_error(), "ours, 7");
    tuff_fail_prefix("op");
    tuff_fail_prefix("op"); // said once
    EXPECT_STR(tuff_last_error(), "op: ours, 7");
    (void)tuff_fail(TUFF_ERR_FORMAT, "'%s' is no word", "\033[2Jx\177\r\n");
    EXPECT_STR(tuff_last_error(), "'?[2Jx??\n' is no word"); // nothing moves the cursor
}

enum { LOOP = 10007 };
static atomic_int visits[LOOP];

static void visit_inner(void *arg, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) atomic_fetch_add((atomic_int *)arg, 1);
}

static void visit(void *arg, size_t begin, size_t end)
{
    (void)arg;
    for (size_t i = begin; i < end; i++) tuff_parallel_for(3, visit_inner, &visits[i]);
}

static void *loop(void *arg)
{
    tuff_parallel_for(LOOP, visit, arg);
    return NULL;
}

// Each index once, by loops of two callers at a time, with loops inside.
static void loops_cover_all(void)
{
    pthread_t thread;
    if (!EXPECT(pthread_create(&thread, NULL, loop, NULL) == 0)) return;
    (void)loop(NULL);
    pthread_join(thread, NULL);
    int wrong = 0;
    for (int i = 0; i < LOOP; i++) wrong += atomic_load(&visits[i]) != 6;
    EXPECT_EQ(wrong, 0);
    tuff_parallel_for(0, visit, NULL);
    EXPECT(tuff_thread_count() >= 1);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(logs_change_hands);
    CASE(errors_are_of_a_thread);
    CASE(loops_cover_all);
    CASE(philox_known_answers);
    CASE(rng_places);
    CASE(rng_moments);
    CASE(shuffle_is_fair);
    CASE(below_is_even);
    CASE(parses_numbers);
    CASE(suggests_names);
    CASE(shows_text);
    CASE(reads_json);
    CASE(file_round_trip);
    CASE(file_keeps_mode_and_link);
    CASE(file_by_places);
    CASE(file_errors);
    CASE(full_disk_keeps_the_old_file);
    CASE(out_of_memory_leaves_nothing);
    CASE(gzip_round_trip);
    CASE(gzip_damaged);
    CASE(gzip_bomb);
    CASE(finds_files);
    CASE(time_goes_on);
    return report();
}
