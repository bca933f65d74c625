// Push constants of shaders/selftest.comp.
#ifndef TUFF_ABI_SELFTEST_H
#define TUFF_ABI_SELFTEST_H
#include "abi.h"

struct selftest_pc {
    uint n, mul, add;
    uint skew; // invocation i takes i * skew steps more
};
#endif
