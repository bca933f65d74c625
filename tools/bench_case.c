// Cases of `tuff bench`, by their first word.
#include "bench_report.h"
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *word)
{
    const size_t n = strlen(word);
    text += strspn(text, " ");
    return strncmp(text, word, n) == 0 && (text[n] == ' ' || text[n] == '\0');
}

bench_kind bench_kind_of(const char *text)
{
    if (tuff_bench_is_net(text)) return BENCH_NET;
    return begins(text, "replay") ? BENCH_REPLAY : begins(text, "startup") ? BENCH_STARTUP
                                                                           : BENCH_OP;
}

// The N of "replay N", or 0.
static int replay_launches(const char *text)
{
    char *end;
    text += strspn(text, " ") + strlen("replay");
    const long n = strtol(text, &end, 10);
    end += strspn(end, " ");
    return *end || end == text || n < 1 || n > 10000 ? 0 : (int)n;
}

bool bench_case_check(const char *text, char *problem, size_t size)
{
    char name[TUFF_BENCH_TEXT];
    tuff_status status = TUFF_OK;
    switch (bench_kind_of(text)) {
    case BENCH_NET: status = tuff_bench_net_check(text); break;
    case BENCH_STARTUP: return bench_startup_check(text, problem, size);
    case BENCH_REPLAY:
        if (replay_launches(text)) break;
        snprintf(problem, size, "'%s' is no case, expected replay N with N from 1 to 10000",
                 text);
        return false;
    default: status = tuff_bench_name(text, name, sizeof name); break;
    }
    if (status != TUFF_OK) snprintf(problem, size, "%s", tuff_last_error());
    return status == TUFF_OK;
}

tuff_status bench_case_run(tuff_device *device, const char *text, const tuff_bench_roof *roof,
                           const tuff_bench_params *p, bench_entry *e)
{
    *e = (bench_entry){ .kind = bench_kind_of(text) };
    if (e->kind == BENCH_NET) return tuff_bench_net(device, text, roof, p, &e->r);
    if (e->kind == BENCH_REPLAY)
        return tuff_bench_replay(device, replay_launches(text), p, &e->r);
    return tuff_bench_case(device, text, roof, p, &e->r);
}
