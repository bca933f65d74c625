// The formulas of the optimizers, as <tuff/ops/optimizer.h> has them; for one element.
// Needs abi/update.h, OP (a constant), pc (tuff_update_pc) and hyper (a texel buffer).
//
// What an optimizer lacks of m, v and x is handed as anything and not read. A NaN in the
// gradient reaches w.

float hyper_at(int i) { return texelFetch(hyper, i).x; }
bool skipped() { return hyper_at(TUFF_HYPER_SKIP) >= 1.0; }

// g': scaled, clipped and with the penalties' slopes.
float penalised(float g, float w)
{
    float v = g * hyper_at(TUFF_HYPER_SCALE);
    if (pc.clip_value > 0.0)
        v = v > pc.clip_value ? pc.clip_value : v < -pc.clip_value ? -pc.clip_value : v;
    v += pc.weight_decay * w;
    return v + (w > 0.0 ? pc.l1 : w < 0.0 ? -pc.l1 : 0.0);
}

float next_v(float v, float g)
{
    if (OP == TUFF_UPDATE_ADAGRAD) return v + g * g;
    if (OP == TUFF_UPDATE_ADAMAX) {
        const float size = abs(g) + pc.eps, kept = pc.keep_v * v;
        return kept > size || is_nan(kept) ? kept : size;
    }
    return pc.keep_v * v + pc.add_v * g * g;
}

// `a` is the new v of AMSGrad, g' of centred RMSprop.
float next_x(float x, float a)
{
    if (OP == TUFF_UPDATE_AMSGRAD) return x > a || is_nan(x) ? x : a;
    return pc.keep_v * x + pc.add_v * a;
}

// What RMSprop with momentum adds to m, from g' and the new v and x.
float ratio(float g, float v, float x)
{
    if (OP == TUFF_UPDATE_RMSPROP_MOMENTUM) return g / (sqrt_f32(v) + pc.eps);
    // The variance; rounding may take it below 0.
    if (OP == TUFF_UPDATE_RMSPROP_CENTERED) return g / (sqrt_f32(max(v - x * x, 0.0)) + pc.eps);
    return g;
}

float next_m(float m, float g)
{
    const bool first = (OP == TUFF_UPDATE_MOMENTUM || OP == TUFF_UPDATE_NESTEROV) &&
                       hyper_at(TUFF_HYPER_FIRST) >= 1.0;
    return pc.keep_m * m + (first ? 1.0 : pc.add_m) * g;
}

// The step is lr numerator / denominator. `m` is the new one, but Lion's is the old.
float numerator(float g, float m)
{
    switch (OP) {
    case TUFF_UPDATE_SGD:
    case TUFF_UPDATE_ADAGRAD:
    case TUFF_UPDATE_RMSPROP: return g;
    case TUFF_UPDATE_MOMENTUM:
    case TUFF_UPDATE_RMSPROP_MOMENTUM:
    case TUFF_UPDATE_RMSPROP_CENTERED: return m;
    case TUFF_UPDATE_NESTEROV: return g + pc.keep_m * m;
    case TUFF_UPDATE_NADAM:
        return hyper_at(TUFF_HYPER_FIRST) * g + m / hyper_at(TUFF_HYPER_BIAS1);
    case TUFF_UPDATE_LION: {
        const float c = pc.keep_v * m + pc.add_v * g;
        return c > 0.0 ? 1.0 : c < 0.0 ? -1.0 : c; // a NaN stays one
    }
    }
    return m / hyper_at(TUFF_HYPER_BIAS1);
}

// From the new v, or AMSGrad's new x.
float denominator(float v)
{
    switch (OP) {
    case TUFF_UPDATE_ADAGRAD:
    case TUFF_UPDATE_RMSPROP: return sqrt_f32(v) + pc.eps;
    case TUFF_UPDATE_ADAM:
    case TUFF_UPDATE_AMSGRAD:
    case TUFF_UPDATE_NADAM:
    case TUFF_UPDATE_LAMB: return sqrt_f32(v / hyper_at(TUFF_HYPER_BIAS2)) + pc.eps;
    case TUFF_UPDATE_ADAMAX: return v;
    }
    return 1.0;
}

// The new w, or Lamb's direction.
float next_w(float w, float n, float d)
{
    if (OP == TUFF_UPDATE_LAMB) return n / d + pc.decoupled * w;
    const float lr = hyper_at(TUFF_HYPER_LR);
    return w * (1.0 - lr * pc.decoupled) - lr * n / d;
}
