// The CPU path's kernels as a processor runs them that has less than this one: each instruction
// set they are built for is judged as the best one is in test_ops.
#include "harness.h"
#include "base/processor.h"
#include "ops/check.h"
#include <stdio.h>
#include <string.h>

static const char *const names[] = { "any", "avx2", "avx512" };

static void on_result(void *user, const tuff_check_result *r)
{
    const tuff_processor *p = user;
    if (strcmp(r->variant, "ref") == 0) return;
    if (!case_begin("%s %s %s %s", names[*p], r->op, r->variant, r->text)) return;
    if (r->skipped) case_skip("%s", r->problem);
    else if (!r->passed) FAIL("%s\n    error %.3g, tolerance %.3g", r->problem, r->error,
                              r->tolerance);
    case_end();
}

static void check_as(tuff_device *dev, tuff_processor p)
{
    const tuff_check_params params = { .quick = true };
    tuff_processor_limit(p);
    const tuff_status status = tuff_check_device(dev, &params, on_result, &p);
    if (status != TUFF_OK && status != TUFF_ERR_CHECK) FAIL("%s", tuff_last_error());
}

static void a_limit_is_kept(void)
{
    if (!case_begin("a limit is kept")) return;
    const tuff_processor here = tuff_this_processor();
    tuff_processor_limit(TUFF_PROCESSOR_ANY);
    EXPECT(tuff_this_processor() == TUFF_PROCESSOR_ANY);
    tuff_processor_limit(TUFF_PROCESSOR_AVX512);
    EXPECT(tuff_this_processor() == here);
    case_end();
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    a_limit_is_kept();
    const tuff_processor here = tuff_this_processor();
    tuff_device *dev = open_device();
    for (tuff_processor p = TUFF_PROCESSOR_ANY; p < here; p++) check_as(dev, p);
    tuff_device_close(&dev);
    return report();
}
