// Layouts, shader modules and pipelines, each made once for a device.
#include "device/vulkan/specialize.h"
#include "device/vulkan/vk.h"
#include "base/alloc.h"
#include "base/thread.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

// ---- layouts -----------------------------------------------------------------------------

int vk_signature(const tuff_binding b[], int count)
{
    int mask = 0;
    for (int i = 0; i < count; i++)
        if (b[i].kind != TUFF_BIND_STORAGE) mask |= 1 << i;
    return (1 << count) - 1 + mask;
}

static tuff_status layout_create(vk_device *d, int signature, vk_layout *layout)
{
    tuff_status status = TUFF_OK;
    vk_layout made = { 0 };
    VkDescriptorSetLayoutBinding b[TUFF_MAX_BINDINGS];
    int count = 0;
    while ((2 << count) - 1 <= signature) count++;
    const int mask = signature - ((1 << count) - 1);
    for (int i = 0; i < count; i++)
        b[i] = (VkDescriptorSetLayoutBinding){
            .binding = (uint32_t)i,
            .descriptorType = mask >> i & 1 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                            : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    VK(d->vk.vkCreateDescriptorSetLayout(
        d->device,
        &(VkDescriptorSetLayoutCreateInfo){
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
            .bindingCount = (uint32_t)count,
            .pBindings = b,
        },
        NULL, &made.set));
    VK(d->vk.vkCreatePipelineLayout(
        d->device,
        &(VkPipelineLayoutCreateInfo){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
            .setLayoutCount = 1,
            .pSetLayouts = &made.set,
            .pushConstantRangeCount = 1,
            .pPushConstantRanges =
                &(VkPushConstantRange){
                    .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                    .size = TUFF_MAX_PUSH,
                },
        },
        NULL, &made.pipeline));
    vk_name(d, VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT, (uint64_t)made.set,
            "%d bindings, texels 0x%02x", count, mask);
    vk_name(d, VK_OBJECT_TYPE_PIPELINE_LAYOUT, (uint64_t)made.pipeline,
            "%d bindings, texels 0x%02x", count, mask);
    *layout = made;
    return TUFF_OK;
exit:
    d->vk.vkDestroyDescriptorSetLayout(d->device, made.set, NULL);
    return status;
}

tuff_status vk_layout_get(vk_device *d, int signature, vk_layout *layout)
{
    tuff_status status = TUFF_OK;
    assert(signature >= 0 && signature < VK_SIGNATURES);
    pthread_mutex_lock(&d->pipeline_lock);
    if (!d->layout[signature].pipeline)
        status = layout_create(d, signature, &d->layout[signature]);
    *layout = d->layout[signature];
    pthread_mutex_unlock(&d->pipeline_lock);
    return status;
}

// ---- shader modules ----------------------------------------------------------------------

// Makes room in the table for a shader, which may have been added after the device was opened.
static tuff_status module_room(vk_device *d, int shader)
{
    if (shader < d->modules) return TUFF_OK;
    const int more = tuff_shader_count();
    VkShaderModule *grown = tuff_realloc(d->module, (size_t)more, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    for (int i = d->modules; i < more; i++) grown[i] = VK_NULL_HANDLE;
    d->module = grown;
    d->modules = more;
    return TUFF_OK;
}

static tuff_status module_create(vk_device *d, const char *name, const uint32_t *words,
                                 size_t bytes, VkShaderModule *module)
{
    tuff_status status = TUFF_OK;
    VK(d->vk.vkCreateShaderModule(d->device,
                                  &(VkShaderModuleCreateInfo){
                                      .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                      .codeSize = bytes,
                                      .pCode = words,
                                  },
                                  NULL, module));
    vk_name(d, VK_OBJECT_TYPE_SHADER_MODULE, (uint64_t)*module, "%s", name);
exit:
    return status;
}

static tuff_status module_get(vk_device *d, int shader, VkShaderModule *module)
{
    tuff_status status = TUFF_OK;
    uint32_t *words = NULL;
    size_t count;
    pthread_mutex_lock(&d->pipeline_lock);
    TUFF_GO(module_room(d, shader));
    if (!d->module[shader]) {
        TUFF_GO(tuff_shader_words(shader, &words, &count));
        TUFF_GO(module_create(d, tuff_shader_name(shader), words, count * 4,
                              &d->module[shader]));
    }
    *module = d->module[shader];
exit:
    pthread_mutex_unlock(&d->pipeline_lock);
    tuff_free(words);
    return status;
}

// A module for one pipeline, pruned by its constants, for drivers that do not do it
// themselves; *own receives it, or stays null where the common one serves.
static tuff_status module_prune(vk_device *d, const vk_pipeline_key *k, VkShaderModule *own)
{
    tuff_status status = TUFF_OK;
    uint32_t *whole = NULL, *words = NULL;
    size_t all, count = 0;
    if (!d->choice.specialize) return TUFF_OK;
    TUFF_GO(tuff_shader_words(k->shader, &whole, &all));
    TUFF_GO(tuff_vk_specialize(whole, all, k->spec, k->nspec, &words, &count));
    if (words) TUFF_GO(module_create(d, tuff_shader_name(k->shader), words, count * 4, own));
exit:
    tuff_free(whole);
    tuff_free(words);
    return status;
}

// ---- pipelines ---------------------------------------------------------------------------

static unsigned bin_of(const vk_pipeline_key *key)
{
    uint32_t h = 2166136261u;
    const unsigned char *bytes = (const unsigned char *)key;
    for (size_t i = 0; i < sizeof *key; i++) h = (h ^ bytes[i]) * 16777619u;
    return (h ^ h >> 16) % VK_PIPELINE_BINS;
}

tuff_status vk_pipeline_get(vk_device *d, const tuff_launch *l, int signature,
                            vk_pipeline **pipeline)
{
    // Zeroed whole, so that keys compare as bytes.
    vk_pipeline_key key;
    memset(&key, 0, sizeof key);
    assert(l->shader >= 0 && l->shader < tuff_shader_count());
    assert(!l->subgroup || d->choice.caps.subgroup_control);
    key.shader = l->shader;
    key.nspec = l->nspec;
    key.signature = signature;
    key.subgroup = l->subgroup;
    memcpy(key.spec, l->spec, (size_t)l->nspec * sizeof *l->spec);
    vk_pipeline **bin = &d->pipeline[bin_of(&key)];
    pthread_mutex_lock(&d->pipeline_lock);
    vk_pipeline *p = *bin;
    while (p && memcmp(&p->key, &key, sizeof key) != 0) p = p->next;
    if (!p && (p = tuff_alloc(1, sizeof *p)) != NULL) {
        p->key = key;
        p->next = *bin;
        *bin = p;
    }
    pthread_mutex_unlock(&d->pipeline_lock);
    *pipeline = p;
    return p ? TUFF_OK : TUFF_ERR_MEMORY;
}

// "matmul 8 8 1": what the pipeline is called.
static void name_pipeline(vk_device *d, const vk_pipeline_key *k, VkPipeline pipeline)
{
    char text[96];
    int n = snprintf(text, sizeof text, "%.40s", tuff_shader_name(k->shader));
    for (int i = 0; i < k->nspec && n < 80; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, " %u", k->spec[i]);
    vk_name(d, VK_OBJECT_TYPE_PIPELINE, (uint64_t)pipeline, "%s", text);
}

static tuff_status build_one(vk_device *d, vk_pipeline *p)
{
    tuff_status status = TUFF_OK;
    const vk_pipeline_key *k = &p->key;
    VkPipeline made = VK_NULL_HANDLE, none = VK_NULL_HANDLE;
    VkShaderModule module = VK_NULL_HANDLE, own = VK_NULL_HANDLE;
    vk_layout layout;
    TUFF_REQUIRE(tuff_shader_built(k->shader), UNSUPPORTED, "this build leaves shader %s out",
                 tuff_shader_name(k->shader));
    TUFF_GO(module_prune(d, k, &own));
    if (!own) TUFF_GO(module_get(d, k->shader, &module));
    TUFF_GO(vk_layout_get(d, k->signature, &layout));
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = k->subgroup,
    };
    VkSpecializationMapEntry entry[TUFF_MAX_SPEC];
    for (int i = 0; i < k->nspec; i++)
        entry[i] = (VkSpecializationMapEntry){ (uint32_t)i, (uint32_t)i * 4, 4 };
    VK(d->vk.vkCreateComputePipelines(
        d->device, d->cache, 1,
        &(VkComputePipelineCreateInfo){
            .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
            .stage = {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = k->subgroup ? &subgroup : NULL,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = own ? own : module,
                .pName = "main",
                .pSpecializationInfo = own ? NULL :
                    &(VkSpecializationInfo){
                        .mapEntryCount = (uint32_t)k->nspec,
                        .pMapEntries = entry,
                        .dataSize = (size_t)k->nspec * 4,
                        .pData = k->spec,
                    },
            },
            .layout = layout.pipeline,
        },
        NULL, &made));
    name_pipeline(d, k, made);
    // Two lists may build the same one at a time: the first to be ready stays.
    if (atomic_compare_exchange_strong(&p->pipeline, &none, made))
        atomic_fetch_add(&d->pipelines, 1);
    else
        d->vk.vkDestroyPipeline(d->device, made, NULL);
exit:
    d->vk.vkDestroyShaderModule(d->device, own, NULL);
    return status;
}

// What several threads build from, and the first failure with its sentence.
typedef struct build_job {
    vk_device *d;
    vk_pipeline *const *list;
    pthread_mutex_t lock;
    tuff_status status;
    char why[512];
} build_job;

static void build_some(void *arg, size_t begin, size_t end)
{
    build_job *job = arg;
    for (size_t i = begin; i < end; i++) {
        if (atomic_load(&job->list[i]->pipeline)) continue;
        const tuff_status status = build_one(job->d, job->list[i]);
        if (status == TUFF_OK) continue;
        pthread_mutex_lock(&job->lock);
        if (job->status == TUFF_OK) {
            job->status = status;
            snprintf(job->why, sizeof job->why, "shader %s: %.400s",
                     tuff_shader_name(job->list[i]->key.shader), tuff_last_error());
        }
        pthread_mutex_unlock(&job->lock);
    }
}

tuff_status vk_pipeline_build(vk_device *d, vk_pipeline *const list[], int count)
{
    if (!count) return TUFF_OK;
    build_job job = { .d = d, .list = list, .lock = PTHREAD_MUTEX_INITIALIZER };
    tuff_parallel_for((size_t)count, build_some, &job);
    pthread_mutex_destroy(&job.lock);
    // The failure may be another thread's: its sentence is made this thread's.
    return job.status == TUFF_OK ? TUFF_OK : tuff_fail(job.status, "%s", job.why);
}

void vk_pipeline_destroy_all(vk_device *d)
{
    for (int i = 0; i < VK_PIPELINE_BINS; i++)
        for (vk_pipeline *p = d->pipeline[i], *next; p; p = next) {
            next = p->next;
            d->vk.vkDestroyPipeline(d->device, atomic_load(&p->pipeline), NULL);
            tuff_free(p);
        }
    for (int i = 0; i < VK_SIGNATURES; i++) {
        d->vk.vkDestroyPipelineLayout(d->device, d->layout[i].pipeline, NULL);
        d->vk.vkDestroyDescriptorSetLayout(d->device, d->layout[i].set, NULL);
    }
    for (int i = 0; i < d->modules; i++)
        d->vk.vkDestroyShaderModule(d->device, d->module[i], NULL);
    tuff_free(d->module);
}
