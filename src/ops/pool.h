// What pooling over one, two or three dims shares: the params seen beside x and y.
#ifndef TUFF_OPS_POOL_H
#define TUFF_OPS_POOL_H
#include "ops/pool2d.h"
#include "abi/pool.h"

enum { TUFF_POOL_AXES = 3 };

typedef struct tuff_pool_axis {
    int64_t size, out;                // of x, of y
    int64_t kernel, stride, dilation; // adaptive: the longest window, 1, 1
    int64_t before, after;            // padding
} tuff_pool_axis;

typedef struct tuff_pool {
    int64_t planes;
    int dims; // spatial dims of x
    tuff_pool_axis axis[TUFF_POOL_AXES]; // the innermost is last; those that x lacks are 1 wide
    bool adaptive, include_pad;
} tuff_pool;

extern const char *const tuff_auto_pads[];

// Described fields of tuff_pool_params, for records.
#define TUFF_POOL_LIST(name_, onnx_, ...)                                       \
    { .name = #name_, .type = TUFF_FIELD_INTS, .onnx = onnx_,                   \
      .count = (int)(sizeof(((tuff_pool_params *)0)->name_) / sizeof(int)),     \
      .offset = offsetof(tuff_pool_params, name_), __VA_ARGS__ }
#define TUFF_POOL_COUNTS(name_, onnx_)                                          \
    TUFF_POOL_LIST(name_, onnx_, .range = TUFF_AT_LEAST_1, .length = TUFF_PER_SPATIAL)
#define TUFF_POOL_FIELDS                                                        \
    TUFF_POOL_COUNTS(kernel, "kernel_shape"),                                   \
        TUFF_POOL_COUNTS(stride, "strides"),                                    \
        TUFF_POOL_LIST(pad, "pads", .length = TUFF_PER_SIDE),                   \
        TUFF_POOL_COUNTS(dilation, "dilations"),                                \
        TUFF_ENUM(tuff_pool_params, auto_pad, tuff_auto_pads),                  \
        TUFF_BOOLEAN(tuff_pool_params, ceil_mode)

// Checks params and x, and fills the geometry. `name` is what x is called in sentences.
// Windows are adaptive when the op is, or where an output_size is given.
tuff_status tuff_pool_of(const tuff_pool_params *p, bool adaptive, const tuff_desc *x,
                         const char *name, tuff_pool *g);
// As above, of what infer has already found good.
tuff_pool tuff_pool_good(const tuff_pool_params *p, bool adaptive, const tuff_desc *x);
// True when the params ask for windows by their number.
bool tuff_pool_is_adaptive(const tuff_pool_params *p);
// y's description, x's being given.
tuff_desc tuff_pool_y(const tuff_pool *g, const tuff_desc *x);
// Window number o along an axis: its first place (may lie in the padding) and its taps.
void tuff_pool_window(const tuff_pool *g, int axis, int64_t o, int64_t *start, int64_t *taps);

// True when this is what pool2d.h's faster kernels do, whose geometry *g2 receives.
bool tuff_pool_as_image(const tuff_pool *g, bool mean, tuff_pool2d *g2);

// A box of up to three dims cut into parts of few enough loop iterations for one invocation.
typedef struct tuff_boxes {
    uint32_t size[TUFF_POOL_AXES], part[TUFF_POOL_AXES];
    uint64_t count; // parts
} tuff_boxes;
tuff_boxes tuff_boxes_of(const uint32_t size[TUFF_POOL_AXES], const tuff_caps *k);
// Appends pool.comp in all its parts: in[0] to role[0], and where `indices` is set to out[1]
// too, counted as TUFF_CELLS_... False when they are too many.
typedef struct tuff_windows {
    uint32_t mode; // TUFF_WINDOW_...
    tuff_role role;
    bool texel, indices;
    uint32_t form, power;
} tuff_windows;
bool tuff_windows_add(const tuff_pool *g, const tuff_windows *w, const tuff_caps *k,
                      tuff_plan *p);
// Appends pool_gather.comp in all its parts: in[dy] to out[0]; `max`: the cells are in
// scratch[0].
bool tuff_pool_gather_add(const tuff_pool *g, int dy, bool max, bool texel, const tuff_caps *k,
                          tuff_plan *p);
#endif
