// What the library knows of an op: one record of type tuff_op. The runner, autograd, tests,
// bench and the command line all read that record; none of them knows an op by name.
//
//              record            who reads it
//   infer      shapes            run.c, graph (the only shape check)
//   ref        the oracle        the CPU path, check.c
//   variants   what to launch    select.c (first that plans wins; the plain one is last)
//   grad       composed of ops   graph/backward.c
//   cost       FLOPs, bytes      bench, info --plan
//   cases ...  how it is judged  check.c
#ifndef TUFF_OPS_OP_H
#define TUFF_OPS_OP_H
#include "base/status.h"
#include "device/backend.h"
#include "tuff_shaders.h"
#include <math.h>
#include <tuff/graph.h>

enum {
    TUFF_OP_IN = 10,      // inputs of one op, absent optional ones included
    TUFF_OP_OUT = 8,      // outputs of one op, those left out included
    TUFF_OP_PARAMS = 24,  // described fields of a params struct
    TUFF_OP_VARIANTS = 16,
    TUFF_OP_HOSTS = 4,
    TUFF_PLAN_MAX = 64,   // dispatches of one call
    TUFF_PLAN_SCRATCH = 5,
    TUFF_PLAN_KEPT = 1,   // the scratch that holds what a tuff_host keeps; its other is 0
    TUFF_PLAN_LOWERED = 4 // the scratch that lower.c takes: ops have 0 to 3
};

// Sets of types that ports take. TUFF_MOVABLE: what is moved as it is.
#define TUFF_FLOATS (TUFF_F32 | TUFF_F16 | TUFF_BF16)
#define TUFF_INDEX (TUFF_I32 | TUFF_I64)
#define TUFF_WORDS (TUFF_F32 | TUFF_I32 | TUFF_U32)
#define TUFF_MOVABLE (TUFF_FLOATS | TUFF_I32 | TUFF_U32 | TUFF_I8 | TUFF_U8 | TUFF_BOOL)

typedef struct tuff_op tuff_op;

// One call, as descriptions. An absent optional input has dtype 0.
typedef struct tuff_call {
    const tuff_op *op;
    tuff_desc in[TUFF_OP_IN], out[TUFF_OP_OUT];
    int nin, nout;
    const void *params; // never NULL here
    uint32_t constant;  // inputs, a bit each, that are the same in every run of a program: what
                        // a plan makes of them alone costs next to nothing
} tuff_call;

// Whether an input is there and the same in every run.
static inline bool tuff_call_constant(const tuff_call *c, int input)
{
    return input >= 0 && (c->constant >> input & 1);
}

// Whether an input is there; -1 is none.
static inline bool tuff_call_has(const tuff_call *c, int input)
{
    return input >= 0 && input < c->nin && c->in[input].dtype != 0;
}

// ---- reference ---------------------------------------------------------------------------

// One call of a reference, over host memory. `in` and `out` are the tensors' elements: f32
// ones as they are; those of integer ports are cast by the op, as in
// `(const int32_t *)(const void *)r->in[1]`. An absent input is NULL.
// The outer loop is cut into `units` (see tuff_op.units) that threads share: a call computes
// the units begin <= i < end, and writes nothing that belongs to another unit.
typedef struct tuff_ref {
    const tuff_call *call;
    const float *in[TUFF_OP_IN];
    float *out[TUFF_OP_OUT];
    size_t begin, end;
    int stage;     // of a tuff_host
    void *scratch; // likewise
    void *kept;    // likewise
} tuff_ref;

// ---- plan --------------------------------------------------------------------------------

typedef enum tuff_role { TUFF_ROLE_IN, TUFF_ROLE_OUT, TUFF_ROLE_SCRATCH } tuff_role;

// What one binding of a dispatch is bound to: in[index], out[index] or scratch[index] of the
// call, cut to [offset, offset + size) bytes (size 0: to its end).
typedef struct tuff_slot {
    uint8_t role, index, kind, access;
    size_t offset, size;
} tuff_slot;

typedef struct tuff_dispatch {
    tuff_launch launch;
    tuff_slot slot[TUFF_MAX_BINDINGS];
    int nslot;
} tuff_dispatch;

typedef struct tuff_plan {
    tuff_dispatch d[TUFF_PLAN_MAX];
    int count;
    size_t scratch[TUFF_PLAN_SCRATCH]; // bytes; 0: not used
    const char *variant;               // name of the variant that planned (set by select.c)
    const struct tuff_host *host;      // on the CPU path, what runs the call; NULL: `ref`
    uint64_t stages;                   // and which of its stages are to be run, a bit each
    bool forced; // set by select.c: the variant was asked for by name, and plans what it can
                 // run, also where another one is thought to be faster
    // Of several ways that a planner has (tuff_plan_way): the one asked for, or NULL; and all
    // of them, set by the planner.
    const char *way;
    const char *const *ways;
    uint32_t group; // set by select.c: invocations of a workgroup that are asked for; 0: usual
    bool tuned;     // set by select.c: measured to be the fastest (ops/tuning.h)
} tuff_plan;

// One way to run a call, as names that stay: what the tuner compares, and what a program keeps
// of its plans.
typedef struct tuff_candidate {
    const char *variant, *way; // way NULL: what the planner thinks best
    uint32_t group;            // 0: likewise
    bool forced;               // see tuff_plan
} tuff_candidate;

// For planners that know several ways (tiles of two shapes, a sum in more parts): the index of
// the one to take. names[0], ended by NULL, is what is best as far as is known, and is taken
// unless another is asked for; the tuner measures all of them. At most one list a planner.
int tuff_plan_way(tuff_plan *p, const char *const names[]);

// Appends a zeroed dispatch of a shader; the caller has counted (asserts on overflow).
tuff_dispatch *tuff_plan_add(tuff_plan *p, int shader);
// Appends a binding.
void tuff_bind(tuff_dispatch *d, tuff_role role, int index, tuff_bind_kind kind, int access);
static inline void tuff_bind_in(tuff_dispatch *d, int i)
{
    tuff_bind(d, TUFF_ROLE_IN, i, TUFF_BIND_STORAGE, TUFF_READ);
}
// Binds an input of a call, or where it is not there (-1 is none) a few bytes of input `other`
// that the kernel never reads.
void tuff_bind_or_word(const tuff_call *c, tuff_dispatch *d, int input, int other,
                       tuff_bind_kind kind);
static inline void tuff_bind_out(tuff_dispatch *d, int i)
{
    tuff_bind(d, TUFF_ROLE_OUT, i, TUFF_BIND_STORAGE, TUFF_WRITE);
}
// Cuts the last binding to [offset, offset + size) bytes.
static inline void tuff_bind_range(tuff_dispatch *d, size_t offset, size_t size)
{
    d->slot[d->nslot - 1].offset = offset;
    d->slot[d->nslot - 1].size = size;
}
// Appends the specialization constant with the next constant_id.
void tuff_spec(tuff_dispatch *d, uint32_t value);
void tuff_push(tuff_dispatch *d, const void *data, size_t bytes);
// The dispatches, a bit each, that need not be done again as long as the inputs in `constant`
// (a bit each) stay as they are: they read nothing else, and what they write no other
// dispatch writes. On the CPU path bits are stages of the host (tuff_host.keeps).
uint64_t tuff_plan_once(const tuff_plan *p, uint32_t constant);
// Leaves only the dispatches, or the stages, of a set in the plan.
void tuff_plan_keep(tuff_plan *p, uint64_t set);
#define TUFF_PUSH(d, ...) tuff_push(d, &(__VA_ARGS__), sizeof(__VA_ARGS__))
// Spreads `groups` workgroups over x and then y (and z) within the device's limits; the
// shader finds its index as in common.glsl's group_index() and leaves when it is too large.
void tuff_grid(tuff_dispatch *d, uint64_t groups, const tuff_caps *k);
// Workgroup size for a kernel in which every invocation is independent: a power of two
// within the device's limits (64 on GPUs, the subgroup on CPU-like drivers).
uint32_t tuff_group_size(const tuff_caps *k);
// The same for a kernel whose invocations do little: a software driver spends some 100 ns on
// a workgroup whatever it does, so that wide ones are up to twice as fast there.
uint32_t tuff_group_size_flat(const tuff_caps *k);
// And where there are not many of them: groups that its threads can share evenly.
uint32_t tuff_group_size_for(const tuff_caps *k, uint64_t invocations);
// True when `bytes` fit one storage binding.
static inline bool tuff_fits(const tuff_caps *k, size_t bytes)
{
    return bytes <= k->max_storage_range;
}
// True when a tensor may be bound as a texel buffer with texels of `texel` bytes.
static inline bool tuff_fits_texel(const tuff_caps *k, const tuff_desc *d, size_t texel)
{
    return tuff_desc_bytes(d) % texel == 0 && tuff_desc_bytes(d) / texel <= k->max_texels;
}

// Elements of `size` bytes that a texel buffer of vec4s shows at most, in whole 1,024s, so that
// every device takes the offset where the next begin: what a dispatch takes of longer tensors.
// (Of texels with one word: of an element of four times the size.)
static inline uint64_t tuff_texel_piece(const tuff_caps *k, size_t size)
{
    return (uint64_t)k->max_texels * 16 / size / 1024 * 1024;
}

// How many runs of `bytes` that lie one behind the other one texel buffer shows, and that end
// where the next buffer may begin; 0: not one.
static inline uint64_t tuff_texel_runs(const tuff_caps *k, uint64_t bytes, size_t texel)
{
    const uint64_t low = bytes & (~bytes + 1), unit = low < 256 ? 256 / low : 1;
    return (uint64_t)k->max_texels * texel / bytes / unit * unit;
}

// tuff_fits_texel for texels of 4 bytes and a tensor that may end within its last word.
static inline bool tuff_fits_words(const tuff_caps *k, const tuff_desc *d)
{
    return (tuff_desc_bytes(d) + 3) / 4 <= k->max_texels;
}

typedef struct tuff_variant {
    const char *name;
    // Pure: descriptions and capabilities in, dispatches out. Returns false (and may leave
    // the plan half-written) when this variant cannot run this call on such a device.
    bool (*plan)(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
    // Made for GPUs (barriers, tiles in shared memory): a software driver runs it, but takes
    // any other variant first.
    bool gpu;
    // Types beyond the op's `native` ones that this variant reads and writes as they are; with
    // all others it plans the call that lower.h makes of it.
    uint32_t types;
    // With `types`: the inputs, a bit each, that it reads as they are, while the rest of the
    // call is lowered around it; 0: it takes all of the call so.
    uint32_t kept;
    // What this variant keeps to where that is not the op's tolerance, 0: it is. Its plan must
    // have been allowed by the call's params, or the variant asked for by name.
    float tol;
} tuff_variant;

#define TUFF_KERNEL(name_, plan_)     { .name = (name_), .plan = (plan_) }
#define TUFF_GPU_KERNEL(name_, plan_) { .name = (name_), .plan = (plan_), .gpu = true }

#define TUFF_COARSE_KERNEL(name_, plan_, tol_)                                  \
    { .name = (name_), .plan = (plan_), .tol = (tol_) }
#define TUFF_COARSE_GPU_KERNEL(name_, plan_, tol_)                              \
    { .name = (name_), .plan = (plan_), .gpu = true, .tol = (tol_) }

// The planners of one function of a family of elementwise ops, made of the file's own
// plan_texel and plan_plain.
#define TUFF_FUNCTION_PLANS(name, function)                                     \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_texel(c, k, p, function);                                   \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_plain(c, k, p, function);                                   \
    }

// A kernel of the CPU path, beside the reference and as fast as a processor is. It is given the
// native call (or with `types` the call), and obeys the rules of a reference: any cut of its
// units gives the same bits.
typedef struct tuff_host {
    const char *name;
    bool (*takes)(const tuff_call *c);
    void (*run)(const tuff_ref *r);
    // Units of its own, in stages: one begins when the one before has ended, and one that has
    // no units ends the call. A unit should be some 10 us of work, for waking a thread takes
    // as long. NULL: the record's units, in one stage.
    size_t (*units)(const tuff_call *c, int stage);
    // Bytes that the stages share, tuff_ref.scratch, aligned to 64; nobody clears them.
    size_t (*scratch)(const tuff_call *c);
    // Bytes that the first stage makes of the inputs in `made_of` (a bit each) and of nothing
    // else, tuff_ref.kept, aligned to 64: where these are constant, a program runs that stage
    // once. NULL, or 0: the first stage is one like the others.
    size_t (*keeps)(const tuff_call *c);
    uint32_t made_of;
    float tol; // as tuff_variant's
    // Types beyond the op's `native` ones that it reads and writes as they are: a call of these
    // alone is given to it, and any other's native one.
    uint32_t types;
} tuff_host;

// The CPU path's one kernel of a record beside its reference, with `types` or without.
#define TUFF_FAST_OF(types_, takes_, run_)                                      \
    .hosts = { { .name = "fast", .takes = (takes_), .run = (run_), .types = (types_) } }
#define TUFF_FAST(takes_, run_) TUFF_FAST_OF(0, takes_, run_)

// ---- gradient ----------------------------------------------------------------------------

// A gradient rule sees the node (descriptions, params, the variables it read and wrote) and
// emits ops on the tape. The tape is an interface, so that ops need not know the graph.
typedef struct tuff_tape tuff_tape;
struct tuff_tape {
    // Appends one op; its outputs to out[]. On failure the tape remembers the first status
    // and every later call is a no-op that gives null variables.
    void (*emit)(tuff_tape *t, const tuff_op *op, const tuff_var in[], int nin,
                 const void *params, tuff_var out[]);
    const tuff_desc *(*desc)(tuff_tape *t, tuff_var v);
    // The same elements under another shape: no op, no copy.
    tuff_var (*reshape)(tuff_tape *t, tuff_var v, const tuff_desc *shape);
    tuff_status status;
};

typedef struct tuff_node {
    tuff_call call;
    tuff_var in[TUFF_OP_IN], out[TUFF_OP_OUT];
} tuff_node;

static inline bool tuff_var_null(tuff_var v) { return v.id == 0; }
// Emits an op with one output.
tuff_var tuff_v(tuff_tape *t, const tuff_op *op, const void *params, int nin,
                const tuff_var in[]);
#define TUFF_V(t, op, params, ...)                                              \
    tuff_v(t, op, params, (int)(sizeof((tuff_var[]){ __VA_ARGS__ }) / sizeof(tuff_var)), \
           (tuff_var[]){ __VA_ARGS__ })

// ---- params as described fields ------------------------------------------------------------

typedef enum tuff_field_type {
    TUFF_FIELD_INT,   // int
    TUFF_FIELD_INT64, // int64_t
    TUFF_FIELD_UINT64,
    TUFF_FIELD_BOOL,  // bool
    TUFF_FIELD_FLOAT, // float
    TUFF_FIELD_FLOATS, // float[n], text "1,0.5"; what is not given is 0
    TUFF_FIELD_INTS,  // int[n], text "1,2,3"
    TUFF_FIELD_AXIS,  // int counted from the innermost; ONNX text "-1" is 0
    TUFF_FIELD_AXES,  // uint32_t bit mask counted from the innermost; text "0,2"
    TUFF_FIELD_DIMS,  // int[n]: axes in an order, each as 1 + its number counted from the
                      // innermost, 0 after the last; text "0,2"
    TUFF_FIELD_ENUM,  // int; names in `names`, NULL-terminated
    TUFF_FIELD_DTYPE  // int, a tuff_dtype; text "f16"
} tuff_field_type;

// What a number in the text may be, where the struct's 0 would otherwise pass for one that
// nobody gave.
typedef enum tuff_field_range {
    TUFF_ANY_NUMBER,
    TUFF_AT_LEAST_1,
    TUFF_NOT_0,
    TUFF_EACH_DIM // of a list: each dim of the first input once
} tuff_field_range;

// How many numbers a list in ONNX's text has, or one for all; the rest of a list is no matter
// of the text.
typedef enum tuff_field_length {
    TUFF_ANY_LENGTH,
    TUFF_PER_DIM,     // of the first input; one number does not stand for all
    TUFF_PER_SPATIAL, // dim of the first input, which has two more
    TUFF_PER_SIDE     // the same, twice
} tuff_field_length;

typedef struct tuff_field {
    const char *name;
    tuff_field_type type;
    size_t offset;
    int count;                // of TUFF_FIELD_INTS, _FLOATS and _DIMS; at most 16
    const char *const *names; // of TUFF_FIELD_ENUM
    const char *const *also;  // of TUFF_FIELD_ENUM, as many: other libraries' names, or NULLs
    const char *onnx;         // ONNX's name of the attribute when it differs, else NULL
    bool added;               // axes: of the output, which has these beside the input's
    bool zero;                // TUFF_FIELD_FLOAT: 0 in the text is TUFF_ZERO in the struct
    bool counted;             // TUFF_FIELD_INT: 1 + what ONNX's text says, 0 for what is below
                              // 0 there, which is as good as not given
    tuff_field_range range;   // TUFF_FIELD_INT and _INTS
    tuff_field_length length; // TUFF_FIELD_INTS
} tuff_field;

// A number of a params struct whose plain 0 means `otherwise`, while TUFF_ZERO means 0; and the
// number that stands in such a struct for v.
static inline double tuff_number(float v, double otherwise)
{
    return v != 0 ? (double)v : signbit(v) ? 0 : otherwise;
}
// Whether such a number is given, 0 or not.
static inline bool tuff_given(float v) { return v != 0 || signbit(v); }
static inline float tuff_or_zero(double v) { return v == 0 ? TUFF_ZERO : (float)v; }

#define TUFF_FIELD_AT(kind, type_, name_)                                       \
    { .name = #name_, .type = (kind), .offset = offsetof(type_, name_) }
#define TUFF_INT(type, name)   TUFF_FIELD_AT(TUFF_FIELD_INT, type, name)
#define TUFF_COUNTED(type_, name_, onnx_)                                       \
    { .name = #name_, .type = TUFF_FIELD_INT, .offset = offsetof(type_, name_), \
      .onnx = onnx_, .counted = true }
// A number, or numbers, of which none is 0 or less.
#define TUFF_POSITIVE(type_, name_)                                             \
    { .name = #name_, .type = TUFF_FIELD_INT, .offset = offsetof(type_, name_), \
      .range = TUFF_AT_LEAST_1 }
#define TUFF_POSITIVES(type_, name_, onnx_)                                     \
    { .name = #name_, .type = TUFF_FIELD_INTS, .offset = offsetof(type_, name_), \
      .count = (int)(sizeof(((type_ *)0)->name_) / sizeof(int)), .onnx = onnx_, \
      .range = TUFF_AT_LEAST_1 }
#define TUFF_INT64(type, name) TUFF_FIELD_AT(TUFF_FIELD_INT64, type, name)
#define TUFF_UINT64(type, name) TUFF_FIELD_AT(TUFF_FIELD_UINT64, type, name)
#define TUFF_BOOLEAN(type, name) TUFF_FIELD_AT(TUFF_FIELD_BOOL, type, name)
#define TUFF_FLOAT(type, name) TUFF_FIELD_AT(TUFF_FIELD_FLOAT, type, name)
#define TUFF_DTYPE(type, name) TUFF_FIELD_AT(TUFF_FIELD_DTYPE, type, name)
// A number whose 0 in the struct is a default that is another number (tuff_number).
#define TUFF_FLOAT_ZERO(type_, name_)                                           \
    { .name = #name_, .type = TUFF_FIELD_FLOAT, .offset = offsetof(type_, name_), \
      .zero = true }
#define TUFF_AXIS(type, name)  TUFF_FIELD_AT(TUFF_FIELD_AXIS, type, name)
#define TUFF_AXES(type, name)  TUFF_FIELD_AT(TUFF_FIELD_AXES, type, name)
#define TUFF_NEW_AXIS(type_, name_)                                             \
    { .name = #name_, .type = TUFF_FIELD_AXIS, .offset = offsetof(type_, name_), \
      .added = true }
#define TUFF_NEW_AXES(type_, name_)                                             \
    { .name = #name_, .type = TUFF_FIELD_AXES, .offset = offsetof(type_, name_), \
      .added = true }
#define TUFF_DIMS(type_, name_)                                                 \
    { .name = #name_, .type = TUFF_FIELD_DIMS, .offset = offsetof(type_, name_), \
      .count = (int)(sizeof(((type_ *)0)->name_) / sizeof(int)) }
#define TUFF_INTS(type_, name_, onnx_)                                          \
    { .name = #name_, .type = TUFF_FIELD_INTS, .offset = offsetof(type_, name_), \
      .count = (int)(sizeof(((type_ *)0)->name_) / sizeof(int)), .onnx = onnx_ }
#define TUFF_REALS(type_, name_)                                                \
    { .name = #name_, .type = TUFF_FIELD_FLOATS, .offset = offsetof(type_, name_), \
      .count = (int)(sizeof(((type_ *)0)->name_) / sizeof(float)) }
#define TUFF_ENUM(type_, name_, names_)                                         \
    { .name = #name_, .type = TUFF_FIELD_ENUM, .offset = offsetof(type_, name_), \
      .names = names_ }

// ---- the record ----------------------------------------------------------------------------

typedef struct tuff_port {
    const char *name;
    uint32_t dtypes; // set of tuff_dtype that this op takes here
    bool optional;   // inputs: may be absent; outputs: infer may give them no type, which
                     // leaves them out. Always the last ones
    bool alias;      // outputs: may be the same tensor as the input `alias_in`
    int alias_in;    // outputs: index of that input
    bool alias_any;  // outputs: may be any one input of the same shape (elementwise ops)
    bool no_grad;    // integers, targets, state; never differentiated
    bool positive;   // inputs: samples are drawn from (0.1, sample.max]
    bool whole;      // inputs: samples are whole numbers, so that equals meet
    bool ordinary;   // inputs: stays without special numbers when the op is judged with them
    int index_below; // inputs of i32: cases draw from [0, dim[rank-1] of in[0]) when 1
    bool mixed;      // inputs: need not be of the type of the others that take the same set
    int low, high;   // inputs: whole numbers are drawn from [low, high]; 0, 0: from sample
} tuff_port;

typedef struct tuff_cost {
    double flops, bytes;
} tuff_cost;

// Which numbers beyond its sample range an op is judged with in f32. Whatever is drawn, one
// answer is right: so no infinities nor huge numbers where they are added up, for what a sum of
// those is depends on its order.
typedef enum tuff_special {
    TUFF_SPECIAL_NAN,  // one NaN, and a half zeros, tiny and subnormal ones
    TUFF_SPECIAL_EACH, // element by element: huge ones, infinities and many NaNs, too
    TUFF_SPECIAL_TINY, // zeros, tiny and subnormal ones: what becomes of a NaN has no rule
    TUFF_SPECIAL_NONE  // its inputs belong together, and drawn ones would not
} tuff_special;

struct tuff_op {
    const char *name;
    const char *doc;  // one sentence of mathematics
    const char *onnx; // ONNX's operator, NULL when it has none
    const void *family; // which of a family's functions it is: what its planners read
    int spatial; // dims of the first input beside two, where other records of the same ONNX
                 // operator have other numbers of them; 0: any
    // Types that `ref` and the variants handle as they are; 0: TUFF_WORDS. Calls with others
    // are lowered (lower.h): cast to f32 or i32, computed, and cast back.
    uint32_t native;
    tuff_port in[TUFF_OP_IN + 1], out[TUFF_OP_OUT + 1]; // ended by a NULL name
    bool own; // a user's, made at run time (the kernel room)
    size_t params_size; // 0: none
    tuff_field params[TUFF_OP_PARAMS];

    // The only shape check: writes out[] or fails with a sentence (no op name in it).
    // Ports (count, dtypes, absence) were checked before. Ops without inputs (fill, random)
    // find the description that the caller asks for in c->out[], which is `out` itself; a
    // case of theirs names the output's dims.
    tuff_status (*infer)(const tuff_call *c, tuff_desc out[]);
    void (*ref)(const tuff_ref *r);
    size_t (*units)(const tuff_call *c); // parallel units of ref; NULL: one
    tuff_variant variants[TUFF_OP_VARIANTS]; // best first; the last runs everywhere
    tuff_host hosts[TUFF_OP_HOSTS]; // the CPU path's, best first; then there is `ref`
    // dx[i] stays null where no gradient flows. NULL: not differentiable.
    void (*grad)(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[]);
    // `grad` is by definition not the derivative (straight through): held against the CPU
    // path's, not against differences.
    bool surrogate;
    tuff_cost (*cost)(const tuff_call *c); // NULL: bytes of all tensors, one FLOP an output
    // Steps that `ref` takes, where they are many more than cost's FLOPs and the elements.
    double (*work)(const tuff_call *c);

    // Of ops that only move elements: the byte of output o at which input i begins, or of input
    // i at which output o does, where the smaller of the two is a whole run of the larger one's
    // elements in their order; -1 where it is none. A program gives both the same memory and
    // moves nothing (graph/pieces.c). What is written is made of such runs alone. NULL: never.
    int64_t (*piece)(const tuff_call *c, int i, int o);

    // Fusing (graph/fuse.c): which optional input takes a bias [channels] / a tensor of the
    // output's shape added after it (input index, 0: none), and where the activation that is
    // applied last lies in the params (offset of an int of type tuff_act; 0: none).
    struct {
        int bias, residual;
        size_t act;
        int bias_axis; // output dim the bias runs along, counted from the innermost
        int weight; // input whose first dim is the bias's: a factor along that dim may be
                    // multiplied into it instead (0: none)
    } fuse;

    // How it is judged.
    struct { float f32; } tol; // |got - want| <= tol * (|want| + rms(want)); 0: same bits
    struct { float min, max; } sample;
    tuff_special special; // it is judged with such numbers, too
    // Makes inputs that were drawn one by one belong together, where the op assumes it (a y
    // that is the maximum of x). NULL: nothing to do.
    void (*prepare)(const tuff_call *c, void *const in[]);
    float grad_tol; // against central differences of the reference; 0: 1e-4 (check_grad.c)
    const char *const *cases; // see check.c for the grammar; ended by NULL
};

#define TUFF_CASES(...) ((const char *const[]){ __VA_ARGS__, NULL })

// Every op of the library, in the order of op_list.h, and then those that were added.
int tuff_op_count(void);
const tuff_op *tuff_op_at(int index);
// By name, or NULL.
const tuff_op *tuff_op_find(const char *name);
// Adds a record, which must stay for good. Fails: TUFF_ERR_ARG (the name is taken),
// TUFF_ERR_LIMIT.
tuff_status tuff_registry_add(const tuff_op *op);

// ---- running (run.c, select.c) --------------------------------------------------------------

// Checks ports, calls infer, fills c->out. Errors are prefixed with the op's name.
tuff_status tuff_call_infer(tuff_call *c);
// The first variant of the op that plans this call on such a device; TUFF_VARIANT in the
// environment (or tuff_variant_force) names the only one to try. On the CPU path the plan has
// no dispatches, and the first of the op's `hosts` that takes the call, or "ref".
// Fails: TUFF_ERR_UNSUPPORTED.
tuff_status tuff_select(const tuff_call *c, const tuff_caps *k, tuff_plan *p);
void tuff_variant_force(const char *name); // this thread; NULL: none
// The plan of one candidate and of nothing else. Fails: TUFF_ERR_UNSUPPORTED.
tuff_status tuff_select_as(const tuff_call *c, const tuff_caps *k, const tuff_candidate *as,
                           tuff_plan *p);
// The candidate that a plan is of, so that it can be made again.
tuff_candidate tuff_plan_candidate(const tuff_plan *p);
// This thread: tuff_select gives the plan of this candidate, which must stay; NULL: as ever.
void tuff_candidate_pin(const tuff_candidate *as);
// This thread: the CPU path is asked what is right, so that references run where no variant is
// forced. Returns what it was before.
bool tuff_select_oracle(bool on);
// What the variant keeps to that tuff_select would choose: its own tolerance, or the op's.
double tuff_select_tolerance(const tuff_call *c, const tuff_caps *k);
// Units of a stage of a native call on the CPU path; `host` NULL: of its reference.
size_t tuff_host_units(const tuff_host *host, const tuff_call *c, int stage);
// Bytes of all inputs and outputs.
double tuff_call_bytes(const tuff_call *c);
// What the record says, or has when it says nothing (see tuff_op.cost).
tuff_cost tuff_call_cost(const tuff_call *c);
// About how many steps the reference takes for a call.
double tuff_call_work(const tuff_call *c);
// Records a call whose descriptions are complete and valid into a list. Absent inputs have a
// NULL buffer. `scratch[i]` must hold plan->scratch[i] bytes.
tuff_status tuff_record(tuff_cmd *cmd, const tuff_call *c, const tuff_plan *plan,
                        const tuff_range in[], const tuff_range out[],
                        const tuff_range scratch[]);
// One eager call: checks, selects, allocates scratch, records on the stream.
// in[]/out[] are ended by NULL only through the macros; an absent input is NULL.
tuff_status tuff_run(tuff_stream *s, const tuff_op *op, const tuff_tensor *const in[], int nin,
                     tuff_tensor *const out[], int nout, const void *params);
#define TUFF_RUN_IN(...)                                                        \
    (const tuff_tensor *const[]){ __VA_ARGS__ },                                \
        (int)(sizeof((const tuff_tensor *[]){ __VA_ARGS__ }) / sizeof(tuff_tensor *))
#define TUFF_RUN_OUT(...)                                                       \
    (tuff_tensor *const[]){ __VA_ARGS__ },                                      \
        (int)(sizeof((tuff_tensor *[]){ __VA_ARGS__ }) / sizeof(tuff_tensor *))

// ---- help for shapes along one axis (softmax, reductions, concat) ---------------------------

// `x` seen as rows x cols along an axis counted from the innermost: element (row, j) lies at
// base(row) + j * step.
typedef struct tuff_axis {
    size_t rows, cols, step;
} tuff_axis;
tuff_axis tuff_axis_of(const tuff_desc *x, int axis);
static inline size_t tuff_axis_base(tuff_axis a, size_t row)
{
    return row / a.step * a.cols * a.step + row % a.step;
}
#endif
