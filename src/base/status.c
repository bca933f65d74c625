#include "base/status.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[1024];
// A function and what it is given change together.
static struct {
    pthread_mutex_t lock;
    tuff_log_fn fn;
    void *user;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *const texts[TUFF_STATUS_COUNT] = {
#define TUFF_STATUS_TEXT(name, text) text,
    TUFF_STATUS_LIST(TUFF_STATUS_TEXT)
#undef TUFF_STATUS_TEXT
};

const char *tuff_status_text(tuff_status status)
{
    return (unsigned)status < TUFF_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *tuff_last_error(void) { return last_error; }

tuff_status tuff_fail(tuff_status status, const char *format, ...)
{
    // Formatted aside first: an argument may be the last error itself.
    char text[sizeof last_error];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    // What is quoted may be anything; a terminal must be able to show it.
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\n') || *c == 127) *c = '?';
    memcpy(last_error, text, sizeof text);
    return status;
}

void tuff_fail_prefix(const char *prefix)
{
    const size_t n = strlen(prefix);
    if (strncmp(last_error, prefix, n) == 0 && last_error[n] == ':') return;
    char text[sizeof last_error];
    memcpy(text, last_error, sizeof text);
    snprintf(last_error, sizeof last_error, "%s: %.900s", prefix, text);
}

void tuff_log_set(tuff_log_fn fn, void *user)
{
    pthread_mutex_lock(&sink.lock);
    sink.fn = fn;
    sink.user = user;
    pthread_mutex_unlock(&sink.lock);
}

void tuff_log(int level, const char *format, ...)
{
    pthread_mutex_lock(&sink.lock);
    const tuff_log_fn fn = sink.fn;
    void *user = sink.user;
    pthread_mutex_unlock(&sink.lock);
    if (!fn) return;
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fn(user, level, line);
}
