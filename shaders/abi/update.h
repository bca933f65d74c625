// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// OP of update.comp and update_split.comp. AdamW is Adam with another decay.
#define TUFF_UPDATE_SGD      0
#define TUFF_UPDATE_MOMENTUM 1
#define TUFF_UPDATE_NESTEROV 2
#define TUFF_UPDATE_ADAGRAD  3
#define TUFF_UPDATE_RMSPROP  4
#define TUFF_UPDATE_RMSPROP_MOMENTUM 5
#define TUFF_UPDATE_RMSPROP_CENTERED 6
#define TUFF_UPDATE_ADAM     7
#define TUFF_UPDATE_AMSGRAD  8
#define TUFF_UPDATE_ADAMAX   9
#define TUFF_UPDATE_NADAM    10
#define TUFF_UPDATE_LION     11
#define TUFF_UPDATE_LAMB     12 // writes the direction in the place of w: see lamb.comp

// PART of update_split.comp.
#define TUFF_UPDATE_GRADIENT  0
#define TUFF_UPDATE_M         1
#define TUFF_UPDATE_V         2
#define TUFF_UPDATE_X         3
#define TUFF_UPDATE_RATIO     4
#define TUFF_UPDATE_NUMERATOR 5
#define TUFF_UPDATE_W         6

// What hyper [8] holds.
#define TUFF_HYPER_LR    0
#define TUFF_HYPER_BIAS1 1
#define TUFF_HYPER_BIAS2 2
#define TUFF_HYPER_SCALE 3
#define TUFF_HYPER_SKIP  4
#define TUFF_HYPER_FIRST 5

struct tuff_update_pc {
    uint count;
    float keep_m, add_m; // m = keep_m m + add_m g'
    float keep_v, add_v; // v = keep_v v + add_v g'^2
    float eps;
    float weight_decay;  // added to the gradient
    float decoupled;     // the other kind, times lr taken from w
    float l1;
    float clip_value;    // 0: none
};

// lamb.comp: the flat tensor cut into `segments` parameters, and into chunks of `span`.
struct tuff_lamb_pc {
    uint count, segments, span;
};

struct tuff_clip_pc {
    uint count;
    float max_norm;
};

// The scaler [4] of losses, and what loss_scale does with it.
#define TUFF_SCALER_SCALE   0
#define TUFF_SCALER_TRACKER 1
#define TUFF_SCALER_STEPS   2
#define TUFF_SCALER_PRODUCT 3

struct tuff_unscale_pc {
    uint count;
};

struct tuff_loss_scale_pc {
    float growth, backoff, interval;
    float log_beta1, log_beta2; // natural
    float beta1;
    float log_decay;            // nadam: momentum_decay times the logarithm of 0.96
    uint nadam;
};
