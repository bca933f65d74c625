// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// OP of update.comp and update_split.comp.
#define TUFF_UPDATE_SGD      0
#define TUFF_UPDATE_MOMENTUM 1
#define TUFF_UPDATE_NESTEROV 2
#define TUFF_UPDATE_RMSPROP  3
#define TUFF_UPDATE_ADAM     4
#define TUFF_UPDATE_ADAMW    5

// PART of update_split.comp.
#define TUFF_UPDATE_M 0
#define TUFF_UPDATE_V 1
#define TUFF_UPDATE_W 2

struct tuff_update_pc {
    uint count;
    float keep_m, add_m; // m = keep_m m + add_m g'
    float keep_v, add_v; // v = keep_v v + add_v g'^2
    float eps, weight_decay, l1;
    float clip_value;    // 0: none
};

struct tuff_clip_pc {
    uint count;
    float max_norm;
};
