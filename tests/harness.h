// What every test program stands on: named cases, expectations that are recorded and do not
// stop the program, and the last line that tests/run reads.
//
//   static void adds(void)
//   {
//       EXPECT(1 + 1 == 2);
//       EXPECT_EQ(add(1, 1), 2);
//       if (!there) SKIP("no such file here");    // leaves the function
//   }
//   int main(int argc, char **argv)
//   {
//       harness_init(argc, argv, NULL, 0);        // argv[1]: a glob over names of cases
//       CASE(adds);
//       if (case_begin("softmax f32 %s", text)) { // the same, with a name made up
//           check(text);
//           case_end();
//       }
//       return report();                          // "2 passed, 0 failed, 0 skipped, 0 known"
//   }
//
// What may fail is in a list of `struct known`. `never` is a limit of a device: the case is
// skipped for good. The rest is debt: the case runs anyway, and once it passes, the program
// fails until the line is removed.
//
//   Threads  EXPECT may be used from several threads; the rest belongs to the main thread.
#ifndef TUFF_TESTS_HARNESS_H
#define TUFF_TESTS_HARNESS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuff/tuff.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct known {
    const char *match; // a glob over names of cases ("*" any text, "?" any byte)
    const char *why;
    bool never;
};

// Starts counting from zero.
void harness_init(int argc, char **argv, const struct known *known, size_t count);

// Opens a case; false when it is filtered away or can never run, and then case_end must not
// be called.
bool case_begin(const char *name, ...) TUFF_PRINTF(1, 2);
void case_end(void);
// Marks the open case as skipped and prints why.
void case_skip(const char *why, ...) TUFF_PRINTF(1, 2);
bool case_failed(void); // did the open case fail so far?

#define CASE(function)                                                          \
    do {                                                                        \
        if (case_begin("%s", #function)) {                                      \
            function();                                                         \
            case_end();                                                         \
        }                                                                       \
    } while (0)
#define SKIP(...)                                                               \
    do {                                                                        \
        case_skip(__VA_ARGS__);                                                 \
        return;                                                                 \
    } while (0)

// Expectations. Each is an expression: true when it held.
#define EXPECT(condition) \
    expect_true((condition), __FILE__, __LINE__, #condition)
#define EXPECT_OK(status) \
    expect_status((status), TUFF_OK, __FILE__, __LINE__, #status)
#define EXPECT_STATUS(status, want) \
    expect_status((status), (want), __FILE__, __LINE__, #status)
#define EXPECT_EQ(got, want) \
    expect_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got " == " #want)
#define EXPECT_STR(got, want) \
    expect_text((got), (want), __FILE__, __LINE__, #got)
// `text` holds `part`, as in EXPECT_HAS(tuff_last_error(), "axis is 3").
#define EXPECT_HAS(text, part) \
    expect_part((text), (part), __FILE__, __LINE__, #text)
// |got - want| <= tolerance; a NaN fails.
#define EXPECT_NEAR(got, want, tolerance) \
    expect_near((got), (want), (tolerance), __FILE__, __LINE__, #got)
// A failure with a sentence of its own.
#define FAIL(...) expect_fail(__FILE__, __LINE__, __VA_ARGS__)

bool expect_true(bool held, const char *file, int line, const char *text);
bool expect_status(tuff_status got, tuff_status want, const char *file, int line,
                   const char *text);
bool expect_int(int64_t got, int64_t want, const char *file, int line, const char *text);
bool expect_text(const char *got, const char *want, const char *file, int line,
                 const char *text);
bool expect_part(const char *whole, const char *part, const char *file, int line,
                 const char *text);
bool expect_near(double got, double want, double tolerance, const char *file, int line,
                 const char *text);
bool expect_fail(const char *file, int line, const char *why, ...) TUFF_PRINTF(3, 4);

// Prints the summary as the last line; 1 if anything failed, else 0: main's result.
int report(void);

// The device that the environment's TUFF_DEVICE names, else the CPU path. Ends the program
// with a summary that says so when it cannot be opened.
tuff_device *open_device(void);
// A tensor that holds `data`, or anything where that is NULL. NULL where there is none, which
// was recorded.
tuff_tensor *new_tensor(tuff_device *device, tuff_stream *stream, tuff_desc d,
                        const void *data);

// A file below the folder of shared data (environment TUFF_SHARED, else ../shared beside the
// sources): its path, or NULL when it is not there. Valid until the fourth call after it.
const char *shared_path(const char *name);
// A file of the sources ("tests/data/x.npy"), likewise.
const char *source_path(const char *name);
// A path below a fresh folder of this program, which report() removes with all it holds.
const char *temp_path(const char *name);
#endif
