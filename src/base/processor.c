#include "base/processor.h"
#include <stdatomic.h>

static atomic_int limit = TUFF_PROCESSOR_AVX512;

#if defined __x86_64__
static tuff_processor this_one(void)
{
    if (!__builtin_cpu_supports("fma")) return TUFF_PROCESSOR_ANY;
    if (__builtin_cpu_supports("avx512f")) return TUFF_PROCESSOR_AVX512;
    return __builtin_cpu_supports("avx2") ? TUFF_PROCESSOR_AVX2 : TUFF_PROCESSOR_ANY;
}
#else
static tuff_processor this_one(void) { return TUFF_PROCESSOR_ANY; }
#endif

tuff_processor tuff_this_processor(void)
{
    const tuff_processor most = (tuff_processor)atomic_load_explicit(&limit,
                                                                     memory_order_relaxed);
    const tuff_processor p = this_one();
    return p < most ? p : most;
}

void tuff_processor_limit(tuff_processor most) { atomic_store(&limit, most); }
