#ifndef TUFF_TUNE_H
#define TUFF_TUNE_H
#include <tuff/device.h>
// Which kernel runs an operator: measured on the user's device, and kept.
//
// An operator has several kernels, and some of them several ways. Which is fastest depends on
// the shapes and on the device. Without a measurement the library goes by the order in which it
// lists them. The tuner runs them on the device, for the shapes that a net has:
//
//   candidate --- results beside the reference's --- wrong: noted, and never chosen
//                          | right
//                   time beside the usual one's --- clearly faster: it is the choice
//
// Shapes fall into classes (dims by powers of two and one and a half of those, types, and
// params that matter), and a choice is one of a class. Choices lie in a file of text in the
// cache folder, one for each device, driver and version, which is read when a device is opened;
// they hold for programs and for operators that are run by themselves. Another kernel may round
// in another way: the same device gives the same bits as long as its choices stay.
//
// The environment's TUFF_TUNE names another file in place of that of the cache folder (one that
// is shipped with an app, say), or is "none": then no file is read or written.
//
//   Threads  as a device: from several.

typedef enum tuff_tune_mode {
    TUFF_TUNE_OFF,   // nothing is measured; choices that are there are used
    TUFF_TUNE_QUICK, // the likely kernels, in three seconds at most for all programs together
    TUFF_TUNE_FULL   // every kernel and way, until the medians stand still; takes minutes
} tuff_tune_mode;

// "off", "quick" or "full". Fails: TUFF_ERR_ARG.
TUFF_API TUFF_CHECK tuff_status tuff_tune_parse(const char *text, tuff_tune_mode *mode);

typedef struct tuff_tune_params {
    tuff_tune_mode mode;
    double seconds; // that may be spent from now on; 0: 3 where it is quick, else any time
    bool again;     // measures also what there is a choice for
    // Called before a candidate is tried, unless NULL: "matmul f32:64x64 ..: packed".
    void (*on_candidate)(void *user, const char *text);
    void *user;
} tuff_tune_params;
// From now on, programs that are created on the device measure their operators first, those
// that take most time before the others, as far as the seconds last, and what was chosen is
// saved. Fails: TUFF_ERR_ARG.
TUFF_API TUFF_CHECK tuff_status tuff_tune_set(tuff_device *device, const tuff_tune_params *p);
// Measures one operator, by its case ("matmul f32 64x64x64", as the bench reads it), in the
// mode that was set. Fails: as tuff_bench_case.
TUFF_API TUFF_CHECK tuff_status tuff_tune_case(tuff_device *device, const char *text);

// Reads a tuning file. One that is cut, damaged, or of another device, driver or version is
// passed over with a note in the log; *choices (may be NULL) receives how many it held. What
// was measured by this process stays. Fails: TUFF_ERR_ARG, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_tune_load(tuff_device *device, const char *path,
                                               int *choices);
// Writes all choices of a device into a file, beside those of other processes that it has. The
// tuner does so by itself with the file of the cache folder, and notes it where it cannot.
// Fails: TUFF_ERR_IO, TUFF_ERR_MEMORY; TUFF_ERR_STATE (the file is of another device).
TUFF_API TUFF_CHECK tuff_status tuff_tune_save(tuff_device *device, const char *path);

typedef struct tuff_tune_stats {
    int choices;    // in use
    int measured;   // operators of a class, since the device was opened
    int candidates; // tried for them
    int wrong;      // whose results were wrong, those known from the file among them
    double seconds; // spent
} tuff_tune_stats;
TUFF_API void tuff_tune_get_stats(tuff_device *device, tuff_tune_stats *stats);
// Calls `line` with a line of text for each choice, by operator and class.
TUFF_API void tuff_tune_describe(tuff_device *device,
                                 void (*line)(void *user, const char *text), void *user);
#endif
