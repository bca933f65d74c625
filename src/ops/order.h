// What the ops that go along an axis share: argmax, hardmax, top_k, cumsum.
#ifndef TUFF_OPS_ORDER_H
#define TUFF_OPS_ORDER_H
#include "ops/op.h"
#include "abi/order.h"

tuff_status tuff_order_check_axis(const tuff_call *c, int axis);

// A row cut into pieces: enough to keep the device busy, and none so long that an invocation
// passes its limit on loop iterations. `lanes`: invocations that share a piece.
typedef struct tuff_order_pieces {
    uint32_t segments, span;
} tuff_order_pieces;
tuff_order_pieces tuff_order_cut(tuff_axis a, uint32_t lanes, const tuff_caps *k);

// How x is read: any device, as a texel buffer of bits, by a workgroup a piece.
typedef enum tuff_order_how { TUFF_ORDER_PLAIN, TUFF_ORDER_TEXEL, TUFF_ORDER_GROUP }
    tuff_order_how;
uint32_t tuff_order_group_size(tuff_order_how how, const tuff_caps *k);

// Binds in[0].
static inline void tuff_order_bind_x(tuff_dispatch *d, tuff_order_how how)
{
    tuff_bind(d, TUFF_ROLE_IN, 0,
              how == TUFF_ORDER_TEXEL ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE, TUFF_READ);
}

// Appends the launches that write each row's place to `role`[index] (int, a row each);
// scratch[scratch] and the next are used. False where `how` is of no use.
typedef struct tuff_order_arg {
    int axis;
    bool min, last;
    tuff_role role;
    int index, scratch;
} tuff_order_arg;
bool tuff_order_add_arg(const tuff_call *c, tuff_order_how how, const tuff_order_arg *o,
                        const tuff_caps *k, tuff_plan *p);
#endif
