// Reads SPIR-V (Khronos, "SPIR-V Specification", 2.3 and 3): a header of five words, then
// instructions of one word that holds length and opcode, and operands. One pass notes by id
// what declares types, variables and decorations; those come before they are asked for.
#include "kernel/reflect.h"
#include "base/alloc.h"
#include "base/status.h"
#include <string.h>

enum { MAGIC = 0x07230203, HEADER = 5, BOUND = 3, MOST_IDS = 1 << 22 };
enum {
    OP_ENTRY_POINT = 15,
    OP_EXECUTION_MODE = 16,
    OP_CAPABILITY = 17,
    OP_TYPE_INT = 21,
    OP_TYPE_FLOAT = 22,
    OP_TYPE_IMAGE = 25,
    OP_TYPE_SAMPLED_IMAGE = 27,
    OP_TYPE_POINTER = 32,
    OP_SPEC_CONSTANT_COMPOSITE = 51,
    OP_VARIABLE = 59,
    OP_DECORATE = 71
};
enum { MODEL_COMPUTE = 5, MODE_LOCAL_SIZE = 17 };
enum { DECORATION_BUFFER_BLOCK = 3, DECORATION_BUILT_IN = 11, DECORATION_BINDING = 33,
       DECORATION_SET = 34 };
enum { BUILT_IN_WORKGROUP_SIZE = 25 };
enum { CLASS_UNIFORM_CONSTANT = 0, CLASS_UNIFORM = 2, CLASS_STORAGE = 12 };
enum { DIM_BUFFER = 5 };

// What is noted of an id.
typedef struct note {
    uint16_t opcode;  // that declares it, of those above; 0: another
    bool buffer_block, workgroup_size;
    uint32_t operand[2]; // int: width, signed; image: sampled type, dim; sampled image: image;
                         // pointer: class, type
    int binding, set;    // -1: none
} note;

typedef struct reader {
    const uint32_t *words;
    size_t count;
    note *notes;
    uint32_t bound;
    bool entry;
    tuff_reflect *r;
} reader;

static note *note_of(reader *d, uint32_t id) { return id < d->bound ? &d->notes[id] : NULL; }

// ---- capabilities --------------------------------------------------------------------------

static const struct capability {
    int number;
    const char *name;
    bool everywhere; // on every device with Vulkan 1.1, or asked of the device at a launch
} capabilities[] = {
    { 0, "Matrix", true }, { 1, "Shader", true }, { 46, "SampledBuffer", true },
    { 50, "ImageQuery", true }, { 61, "GroupNonUniform", true },
    { 62, "GroupNonUniformVote", false }, { 63, "GroupNonUniformArithmetic", true },
    { 64, "GroupNonUniformBallot", false }, { 65, "GroupNonUniformShuffle", true },
    { 66, "GroupNonUniformShuffleRelative", false }, { 67, "GroupNonUniformClustered", false },
    { 68, "GroupNonUniformQuad", false }, { 9, "Float16", false }, { 10, "Float64", false },
    { 11, "Int64", false }, { 12, "Int64Atomics", false }, { 22, "Int16", false },
    { 39, "Int8", false }, { 4433, "StorageBuffer16BitAccess", false },
    { 4448, "StorageBuffer8BitAccess", false }, { 5345, "VulkanMemoryModel", false },
    { 6022, "CooperativeMatrixKHR", false }, { 6033, "AtomicFloat32AddEXT", false },
};

static const struct capability *capability_of(int number)
{
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (capabilities[i].number == number) return &capabilities[i];
    return NULL;
}

const char *tuff_capability_name(int number)
{
    const struct capability *c = capability_of(number);
    return c ? c->name : "?";
}

static void take_capability(tuff_reflect *r, int number)
{
    const struct capability *c = capability_of(number);
    if ((!c || !c->everywhere) && r->capability < 0) r->capability = number;
    r->subgroup_basic |= number == 61;
    r->subgroup_arithmetic |= number == 63;
    r->subgroup_shuffle |= number == 65;
}

// ---- instructions --------------------------------------------------------------------------

static void take_decoration(reader *d, const uint32_t *w, uint32_t n)
{
    note *t = note_of(d, w[1]);
    if (!t) return;
    if (w[2] == DECORATION_BUFFER_BLOCK) t->buffer_block = true;
    if (n < 4) return;
    if (w[2] == DECORATION_BINDING) t->binding = (int)w[3];
    if (w[2] == DECORATION_SET) t->set = (int)w[3];
    if (w[2] == DECORATION_BUILT_IN && w[3] == BUILT_IN_WORKGROUP_SIZE)
        t->workgroup_size = true;
}

static tuff_reflect_kind kind_of(reader *d, uint32_t pointer)
{
    const note *p = note_of(d, pointer);
    const note *t = p && p->opcode == OP_TYPE_POINTER ? note_of(d, p->operand[1]) : NULL;
    if (!t) return TUFF_REFLECT_OTHER;
    if (p->operand[0] == CLASS_STORAGE) return TUFF_REFLECT_STORAGE;
    if (p->operand[0] == CLASS_UNIFORM)
        return t->buffer_block ? TUFF_REFLECT_STORAGE : TUFF_REFLECT_OTHER;
    if (p->operand[0] != CLASS_UNIFORM_CONSTANT || t->opcode != OP_TYPE_SAMPLED_IMAGE)
        return TUFF_REFLECT_OTHER;
    const note *image = note_of(d, t->operand[0]);
    if (!image || image->opcode != OP_TYPE_IMAGE || image->operand[1] != DIM_BUFFER)
        return TUFF_REFLECT_OTHER;
    const note *texel = note_of(d, image->operand[0]);
    if (texel && texel->opcode == OP_TYPE_FLOAT) return TUFF_REFLECT_TEXEL_F32;
    return texel && texel->operand[1] ? TUFF_REFLECT_TEXEL_I32 : TUFF_REFLECT_TEXEL_U32;
}

static void take_variable(reader *d, const uint32_t *w)
{
    const note *t = note_of(d, w[2]);
    if (!t || t->binding < 0) return;
    if (t->set > 0) d->r->other_set = true;
    if (t->binding >= TUFF_MAX_BINDINGS) d->r->beyond = t->binding;
    else d->r->binding[t->binding] = kind_of(d, w[1]);
}

// Notes a declaration whose result is operand `at` and whose own operands follow it.
static void declare(reader *d, const uint32_t *w, uint32_t n, uint32_t at)
{
    note *t = note_of(d, w[at]);
    if (!t) return;
    t->opcode = (uint16_t)(w[0] & 0xffff);
    for (uint32_t i = 0; i < 2 && at + 1 + i < n; i++) t->operand[i] = w[at + 1 + i];
}

static void take_entry(reader *d, const uint32_t *w, uint32_t n)
{
    static const char name[] = "main"; // five bytes with the zero, in two words
    if (n >= 5 && w[1] == MODEL_COMPUTE && memcmp(&w[3], name, sizeof name) == 0)
        d->entry = true;
}

static void take(reader *d, const uint32_t *w, uint32_t n)
{
    switch (w[0] & 0xffff) {
    case OP_CAPABILITY:
        if (n >= 2) take_capability(d->r, (int)w[1]);
        break;
    case OP_ENTRY_POINT: take_entry(d, w, n); break;
    case OP_EXECUTION_MODE:
        if (n >= 6 && w[2] == MODE_LOCAL_SIZE)
            memcpy(d->r->group, &w[3], sizeof d->r->group);
        break;
    case OP_DECORATE:
        if (n >= 3) take_decoration(d, w, n);
        break;
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT:
    case OP_TYPE_IMAGE:
    case OP_TYPE_SAMPLED_IMAGE:
    case OP_TYPE_POINTER:
        if (n >= 3) declare(d, w, n, 1);
        break;
    case OP_SPEC_CONSTANT_COMPOSITE:
        if (n >= 3 && note_of(d, w[2]) && note_of(d, w[2])->workgroup_size)
            d->r->sized_by_spec = true;
        break;
    case OP_VARIABLE:
        if (n >= 4) take_variable(d, w);
        break;
    }
}

static tuff_status read_all(reader *d)
{
    for (size_t at = HEADER; at < d->count;) {
        const uint32_t n = d->words[at] >> 16;
        TUFF_REQUIRE(n > 0 && n <= d->count - at, FORMAT,
                     "its SPIR-V is cut at word %zu of %zu", at, d->count);
        take(d, d->words + at, n);
        at += n;
    }
    TUFF_REQUIRE(d->entry, FORMAT, "its SPIR-V has no compute shader named main");
    return TUFF_OK;
}

tuff_status tuff_reflect_spirv(const uint32_t *words, size_t bytes, tuff_reflect *r)
{
    reader d = { .words = words, .count = bytes / sizeof *words, .r = r };
    *r = (tuff_reflect){ .beyond = -1, .capability = -1, .group = { 1, 1, 1 } };
    TUFF_REQUIRE(bytes % sizeof *words == 0 && d.count >= HEADER && words[0] == MAGIC &&
                     words[BOUND] <= MOST_IDS,
                 FORMAT, "its SPIR-V does not begin as SPIR-V does");
    d.bound = words[BOUND];
    d.notes = tuff_alloc((size_t)d.bound + 1, sizeof *d.notes);
    if (!d.notes) return TUFF_ERR_MEMORY;
    for (uint32_t i = 0; i < d.bound; i++) d.notes[i].binding = d.notes[i].set = -1;
    const tuff_status status = read_all(&d);
    tuff_free(d.notes);
    return status;
}
