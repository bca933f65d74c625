// Calls with types that an op does not compute in. Every op is written for elements of four
// bytes (its `native` types); a call with others is lowered:
//
//   f16 x ---- cast ---> f32 scratch --+
//   i64 index - cast --> i32 scratch --+--> the op, as ever --> f32 scratch -- cast --> f16 y
//   f32 z -----------------------------+
//
// So every op takes every type everywhere, also on devices whose buffers hold 32-bit words
// alone, and its reference lowers in just the same way. f16 and bf16 become f32; i8, u8 and
// bool become i32; i64, which holds indices here, becomes i32, what does not fit being the
// nearest that does. Results of whole numbers are cut to their low bits again, as C does.
#ifndef TUFF_OPS_LOWER_H
#define TUFF_OPS_LOWER_H
#include "ops/op.h"

bool tuff_is_native(const tuff_op *op, tuff_dtype type);
// Types of the call that the op (with `more` of a variant) does not handle itself.
uint32_t tuff_call_foreign(const tuff_call *c, uint32_t more);
// The same call in native types. `c` has been inferred.
void tuff_call_lower(const tuff_call *c, tuff_call *low);
// The call that a kernel of the CPU path is given; NULL: the reference, given a native one.
void tuff_call_for_host(const tuff_call *c, const tuff_host *host, tuff_call *call);
// Bytes of scratch that the tensors take which are lowered for it, each at a multiple of
// TUFF_BUFFER_ALIGN; 0 for a call that needs no lowering.
size_t tuff_lower_bytes(const tuff_call *c, const tuff_host *host);
// The call that a variant plans: the call itself, or lowered, but for the inputs that it keeps.
void tuff_call_for(const tuff_call *c, const tuff_variant *v, tuff_call *call);
// Turns a plan of such a call into one of the call itself: casts before and behind, and
// bindings that point to scratch. False when that is too much for a plan or for the device.
bool tuff_lower_plan(const tuff_call *c, const tuff_call *low, const tuff_caps *k,
                     tuff_plan *p);

// The reference of any call over host memory: begin fills `r` (whose call is *low) and casts
// the inputs into scratch[tuff_lower_bytes]; then r->call->op->ref is run over all units of
// *low; end casts the outputs. With native calls both pass the tensors on as they are. `host`:
// the kernel that is run in the reference's place; NULL: references are cast by what shares
// no code with kernels.
void tuff_lower_begin(const tuff_call *c, void *const in[], void *const out[], void *scratch,
                      const tuff_host *host, tuff_call *low, tuff_ref *r);
void tuff_lower_end(const tuff_call *c, const tuff_ref *r, void *const out[],
                    const tuff_host *host);
#endif
