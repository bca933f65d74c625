// A user's kernel inside the library: a record like any op's, whose functions call the user's.
//
//   kernel.c    making it: copies, the shader and its description held together
//   record.c    the record's functions: infer, ref, plan, grad
//   operator.c  running, checking, registering
#ifndef TUFF_KERNEL_KERNEL_H
#define TUFF_KERNEL_KERNEL_H
#include "kernel/reflect.h"
#include "ops/op.h"
#include <tuff/kernel.h>

enum { TUFF_KERNEL_CASES = 64 };

struct tuff_kernel {
    tuff_op op;            // first: a record is its kernel
    tuff_kernel_params p;  // the functions, `user` and the ports' views; its texts are not kept
    int nin, nout;
    int shader;            // -1: none
    tuff_reflect reflect;
    char *text[160];       // what the record's names and cases point to
    int ntext;
    const char *cases[TUFF_KERNEL_CASES + 1];
};

// Fills the record's functions.
void tuff_kernel_fill(tuff_kernel *k);
#endif
