#include "ops/compose.h"

tuff_var tuff_unbroadcast(tuff_tape *t, tuff_var v, const tuff_desc *to)
{
    if (tuff_var_null(v)) return v;
    const tuff_desc from = *t->desc(t, v);
    tuff_reduce_params p = { .keepdims = true };
    for (int axis = 0; axis < from.rank; axis++) {
        const int64_t n = axis < to->rank ? to->dim[to->rank - 1 - axis] : 1;
        if (n == 1 && from.dim[from.rank - 1 - axis] != 1) p.axes |= 1u << axis;
    }
    if (p.axes) v = TUFF_V(t, &tuff_op_reduce_sum, &p, v);
    if (tuff_var_null(v) || tuff_desc_equal(t->desc(t, v), to)) return v;
    return t->reshape(t, v, to);
}

tuff_var tuff_scaled(tuff_tape *t, tuff_var v, float scale)
{
    const tuff_affine_params p = { .scale = scale };
    return TUFF_V(t, &tuff_op_affine, &p, v);
}

tuff_var tuff_mask(tuff_tape *t, tuff_var a, tuff_var b)
{
    const tuff_desc *d = tuff_var_null(a) ? NULL : t->desc(t, a);
    const tuff_cast_params real = { .to = d && d->dtype & TUFF_FLOATS ? d->dtype : TUFF_F32 };
    return TUFF_V(t, &tuff_op_cast, &real, TUFF_V(t, &tuff_op_equal, NULL, a, b));
}
