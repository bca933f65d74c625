// Errors inside the library: the thread's last sentence, and macros that set it and leave.
#ifndef TUFF_BASE_STATUS_H
#define TUFF_BASE_STATUS_H
#include <tuff/base.h>

// Sets this thread's last error to a full sentence and returns `status`.
tuff_status tuff_fail(tuff_status status, const char *format, ...) TUFF_PRINTF(2, 3);
// Puts "prefix: " before this thread's last error, unless it already starts so.
void tuff_fail_prefix(const char *prefix);
// Log lines of the library; see tuff_log_set.
void tuff_log(int level, const char *format, ...) TUFF_PRINTF(2, 3);

// Returns TUFF_ERR_<code> with a sentence when the condition does not hold.
#define TUFF_REQUIRE(condition, code, ...)                                      \
    do {                                                                        \
        if (!(condition)) return tuff_fail(TUFF_ERR_##code, __VA_ARGS__);       \
    } while (0)

// Passes a failure of `call` on.
#define TUFF_TRY(call)                                                          \
    do {                                                                        \
        const tuff_status status_ = (call);                                     \
        if (status_ != TUFF_OK) return status_;                                 \
    } while (0)

// Keeps a failure of `call` in the local `status` and jumps to the function's exit label.
#define TUFF_GO(call)                                                           \
    do {                                                                        \
        status = (call);                                                        \
        if (status != TUFF_OK) goto exit;                                       \
    } while (0)
#endif
