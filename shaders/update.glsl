// The formulas of the optimizers, as include/tuff/ops.h has them; for one element.
// Needs abi/update.h, OP (a constant), pc (tuff_update_pc) and hyper (a texel buffer).

float lr() { return texelFetch(hyper, 0).x; }
float bias1() { return texelFetch(hyper, 1).x; }
float bias2() { return texelFetch(hyper, 2).x; }

// g': scaled, clipped and with the penalties' slopes. A NaN passes through.
float penalised(float g, float w)
{
    float v = g * texelFetch(hyper, 3).x;
    if (pc.clip_value > 0.0)
        v = v > pc.clip_value ? pc.clip_value : v < -pc.clip_value ? -pc.clip_value : v;
    if (OP != TUFF_UPDATE_ADAMW) v += pc.weight_decay * w;
    return v + (w > 0.0 ? pc.l1 : w < 0.0 ? -pc.l1 : 0.0);
}

float next_m(float m, float g) { return pc.keep_m * m + pc.add_m * g; }

float next_v(float v, float g) { return pc.keep_v * v + pc.add_v * g * g; }

// From g' and the new m and v (what an optimizer lacks is not read).
float next_w(float w, float g, float m, float v)
{
    switch (OP) {
    case TUFF_UPDATE_SGD: return w - lr() * g;
    case TUFF_UPDATE_MOMENTUM: return w - lr() * m;
    case TUFF_UPDATE_NESTEROV: return w - lr() * (g + pc.keep_m * m);
    case TUFF_UPDATE_RMSPROP: return w - lr() * g / (sqrt(v) + pc.eps);
    }
    const float decay = OP == TUFF_UPDATE_ADAMW ? lr() * pc.weight_decay : 0.0;
    return w - decay * w - lr() * (m / bias1()) / (sqrt(v / bias2()) + pc.eps);
}
