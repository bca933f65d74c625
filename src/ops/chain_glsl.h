// A chain's kernel as GLSL, made of the formulas of the elementwise shaders, and compiled where
// the build has a compiler.
#ifndef TUFF_OPS_CHAIN_GLSL_H
#define TUFF_OPS_CHAIN_GLSL_H
#include "ops/chain.h"

typedef struct tuff_chain_form {
    bool wide;    // elements are a multiple of 4: vectors of four are read and written
    bool small;   // elements' numbers are below 2^24
    bool storage; // what is read SAME is a storage buffer, not a texel buffer
} tuff_chain_form;

enum { TUFF_CHAIN_SOURCE = 16384 }; // bytes that the text of a chain takes at most

// The text behind the formulas. Bindings are the inputs, then the outputs; push constants what
// tuff_chain_words gives. False where it does not fit.
bool tuff_chain_source(const tuff_chain_code *c, int nin, int nout, tuff_chain_form form,
                       char *text, size_t size);
// Push constants for the elements from `first` on; up to 3 + 2 nin + 2 steps. How many.
uint32_t tuff_chain_words(const tuff_chain_code *c, int nin, uint64_t first, uint64_t count,
                          uint32_t words[]);
// The shader of such a text, compiled the first time; -1 where it cannot be.
int tuff_chain_shader(const char *source);
#endif
