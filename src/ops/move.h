// Copies of elements, whatever their type, from one place to another: what all movement ops
// are made of.
//
//   move   a loop whose steps are even on both sides         shaders/move.comp
//          (transpose, reshape, expand, slice, flip, concat, split, depth_to_space)
//   remap  each coordinate of y by itself tells one of x     shaders/remap.comp
//          (pad, tile, roll, trilu)
#ifndef TUFF_OPS_MOVE_H
#define TUFF_OPS_MOVE_H
#include "ops/op.h"
#include "abi/remap.h"

// Types that these ops move: as they are when elements have four or eight bytes.
#define TUFF_MOVED (TUFF_MOVABLE | TUFF_I64)

// A loop over dim[0..rank), outermost first, that reads in[] at in_base + sum of c in_step and
// writes out[output] at out_base + sum of c out_step (elements). Steps may be negative.
typedef struct tuff_move {
    int rank, output;
    int64_t dim[TUFF_MAX_DIMS], in_step[TUFF_MAX_DIMS], out_step[TUFF_MAX_DIMS];
    int64_t in_base, out_base;
} tuff_move;

// Adds the dispatch that copies from in[input]: any device / fetching from a texel buffer, or
// where neighbours of x are none in y by tiles for GPUs, by blocks of 4 x 4 for software
// drivers. Those are false where that is not to be had or of no use.
typedef bool tuff_move_fn(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                          const tuff_move *m);
tuff_move_fn tuff_move_plain, tuff_move_texel, tuff_move_tile, tuff_move_block;

// out[0] from in[0], dims outermost first: coordinate c of y becomes c - before of x, which
// has `size`; or, where that is outside, what the mode says. before is below 0 where x is cut.
typedef struct tuff_remap {
    int rank;
    uint32_t mode; // TUFF_MODE_...
    int64_t dim[TUFF_MAX_DIMS], size[TUFF_MAX_DIMS], before[TUFF_MAX_DIMS];
    uint32_t value; // a word
} tuff_remap;
bool tuff_remap_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                      const tuff_remap *m);
bool tuff_remap_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                      const tuff_remap *m);

// The two planners of an op, made of the file's own `static bool plan(call, caps, plan, fn)`.
#define TUFF_MOVE_PLANS(name)                                                   \
    static bool name##_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return name##_plan(c, k, p, tuff_move_texel);                           \
    }                                                                           \
    static bool name##_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return name##_plan(c, k, p, tuff_move_plain);                           \
    }
#define TUFF_MOVE_KERNELS(name)                                                 \
    { TUFF_KERNEL("texel", name##_texel), TUFF_KERNEL("plain", name##_plain) }
// The same of one loop, made of `static tuff_move name_move(call)`.
#define TUFF_ONE_MOVE(name)                                                     \
    static bool name##_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, \
                            tuff_move_fn *copy)                                 \
    {                                                                           \
        const tuff_move m = name##_move(c);                                     \
        return copy(c, k, p, 0, &m);                                            \
    }                                                                           \
    TUFF_MOVE_PLANS(name)                                                       \
    TUFF_ONE_MOVE_HOST(name)
// The same of a remap, made of `static tuff_remap name_remap(call)`.
#define TUFF_ONE_REMAP(name)                                                    \
    static bool name##_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        const tuff_remap m = name##_remap(c);                                   \
        return tuff_remap_texel(c, k, p, &m);                                   \
    }                                                                           \
    static bool name##_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        const tuff_remap m = name##_remap(c);                                   \
        return tuff_remap_plain(c, k, p, &m);                                   \
    }
// The same on the CPU path (remap_host.c), of any mode but the two triangles.
size_t tuff_remap_host_units(const tuff_call *c, const tuff_remap *m);
void tuff_remap_host(const tuff_ref *r, const tuff_remap *m);
#define TUFF_ONE_REMAP_HOST(name)                                               \
    static bool name##_host_takes(const tuff_call *c)                           \
    {                                                                           \
        (void)c;                                                                \
        return true;                                                            \
    }                                                                           \
    static size_t name##_host_units(const tuff_call *c, int stage)              \
    {                                                                           \
        const tuff_remap m = name##_remap(c);                                   \
        return stage ? 0 : tuff_remap_host_units(c, &m);                        \
    }                                                                           \
    static void name##_host(const tuff_ref *r)                                  \
    {                                                                           \
        const tuff_remap m = name##_remap(r->call);                             \
        tuff_remap_host(r, &m);                                                 \
    }

// Of the CPU path (move_host.c): loops that write y in its order, in units of their own.
bool tuff_move_host_takes(const tuff_call *c, const tuff_move *m);
size_t tuff_move_host_units(const tuff_call *c, const tuff_move *m);
void tuff_move_host(const tuff_ref *r, const tuff_move *m);
#define TUFF_ONE_MOVE_HOST(name)                                                \
    static bool name##_host_takes(const tuff_call *c)                           \
    {                                                                           \
        const tuff_move m = name##_move(c);                                     \
        return tuff_move_host_takes(c, &m);                                     \
    }                                                                           \
    static size_t name##_host_units(const tuff_call *c, int stage)              \
    {                                                                           \
        const tuff_move m = name##_move(c);                                     \
        return stage ? 0 : tuff_move_host_units(c, &m);                         \
    }                                                                           \
    static void name##_host(const tuff_ref *r)                                  \
    {                                                                           \
        const tuff_move m = name##_move(r->call);                               \
        tuff_move_host(r, &m);                                                  \
    }
#define TUFF_MOVE_FAST(of)                                                      \
    .hosts = { { .name = "fast", .takes = of##_host_takes, .run = of##_host,    \
                 .units = of##_host_units } }

// What several records have in common.
#define TUFF_MOVE_XY                                                            \
    .in = { { .name = "x", .dtypes = TUFF_MOVED } },                            \
    .out = { { .name = "y", .dtypes = TUFF_MOVED } }
#define TUFF_MOVE_COMMON                                                        \
    .native = TUFF_WORDS | TUFF_I64, .units = tuff_move_units,                  \
    .cost = tuff_move_cost, .sample = { -4, 4 }

// Units of a reference whose outer loop runs over the elements of out[0].
size_t tuff_move_units(const tuff_call *c);
// Movement computes nothing.
tuff_cost tuff_move_cost(const tuff_call *c);

// Copies one element of a reference's tensors, whatever its type; `from` below 0 is 0.
static inline void tuff_put(const tuff_ref *r, int output, size_t to, int input, int64_t from)
{
    if (r->call->in[input].dtype == TUFF_I64) {
        const int64_t *x = (const int64_t *)(const void *)r->in[input];
        ((int64_t *)(void *)r->out[output])[to] = from < 0 ? 0 : x[from];
    } else {
        const uint32_t *x = (const uint32_t *)(const void *)r->in[input];
        ((uint32_t *)(void *)r->out[output])[to] = from < 0 ? 0 : x[from];
    }
}
// Elements of four bytes, whatever their type.
static inline const uint32_t *tuff_words(const tuff_ref *r, int input)
{
    return (const uint32_t *)(const void *)r->in[input];
}
static inline uint32_t *tuff_words_out(const tuff_ref *r, int output)
{
    return (uint32_t *)(void *)r->out[output];
}

// The dims (from the outermost) that lists such as slice's starts belong to: those of `axes`
// (as in TUFF_FIELD_DIMS), or all of them in their order when it is empty. Fails:
// TUFF_ERR_ARG (no such dim, or one twice).
tuff_status tuff_dims_of(const int axes[], int rank, int dim[], int *count);
#endif
