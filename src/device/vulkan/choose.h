// What follows from a snapshot: whether Tuff can use the device, how it opens it, and what
// ops may count on. Pure.
#ifndef TUFF_VULKAN_CHOOSE_H
#define TUFF_VULKAN_CHOOSE_H
#include "device/caps.h"
#include "device/vulkan/snapshot.h"

typedef struct tuff_vk_choice {
    char problem[256]; // "" when usable
    int family;        // of the queue
    bool enable[TUFF_VK_EXT_COUNT];
    bool memory_model;
    // Memory types in order of preference: for tensors, and for staging.
    int tensor_type[TUFF_VK_MOST_TYPES], tensor_types;
    int staging_type[TUFF_VK_MOST_TYPES], staging_types;
    bool specialize;    // modules are pruned before the driver sees them (specialize.h)
    bool tensor_cached; // the host reads unified memory at full speed
    char quirks[256];   // a sentence for each quirk of caps, for the log; "" for none
    tuff_caps caps;
} tuff_vk_choice;

// `avoid`: words of tuff_device_info.features, separated by spaces or commas, which are left
// alone though they are there (the environment's TUFF_AVOID); NULL for none.
void tuff_vk_choose(const tuff_vk_snapshot *s, const char *avoid, tuff_vk_choice *c);
// Fails: TUFF_ERR_ARG (a word of `avoid` is none: the sentence names it, and those there are).
tuff_status tuff_vk_check_avoid(const char *avoid);
// Fills all but the id.
void tuff_vk_describe(const tuff_vk_snapshot *s, const tuff_vk_choice *c,
                      tuff_device_info *info);
#endif
