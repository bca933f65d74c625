// The functions of two floats, as binary.comp and kernels of chains (ops/chain.h) compute them.
#include "power.glsl"

// F(NAME, y): y = TUFF_BINARY_NAME of u and v. COMMON ones are those that nets are full of;
// MEAN takes n.
#define BINARY_COMMON(F)                                                        \
    F(ADD, u + v)                                                               \
    F(SUB, u - v)                                                               \
    F(MUL, u * v)                                                               \
    F(DIV, u / v)                                                               \
    F(MIN, u < v || is_nan(u) ? u : v)                                          \
    F(MAX, u > v || is_nan(u) ? u : v)                                          \
    F(PRELU, u < 0.0 ? u * v : u)
#define BINARY_RARE(F)                                                          \
    F(MEAN, (u + v) / n)                                                        \
    F(POW, pow_f32(u, v))                                                       \
    F(MOD, mod_f32(u, v))                                                       \
    F(FMOD, fmod_f32(u, v))                                                     \
    F(XLOGY, u == 0.0 && !is_nan(v) ? 0.0 : u * log_f32(v))
// Those that tell whether something holds.
#define COMPARE(F)                                                              \
    F(EQUAL, u == v)                                                            \
    F(GREATER, u > v)                                                           \
    F(GREATER_OR_EQUAL, u >= v)                                                 \
    F(LESS, u < v)                                                              \
    F(LESS_OR_EQUAL, u <= v)
