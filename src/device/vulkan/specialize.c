// Pruning SPIR-V by its specialization constants; see specialize.h. Numbers of instructions
// are those of the SPIR-V specification.
#include "device/vulkan/specialize.h"
#include "base/alloc.h"
#include <string.h>

enum {
    OP_NOP = 0, OP_UNDEF = 1, OP_NAME = 5, OP_MEMBER_NAME = 6, OP_LINE = 8, OP_NO_LINE = 317,
    OP_TYPE_BOOL = 20, OP_TYPE_INT = 21, OP_DECORATE = 71,
    OP_CONSTANT_TRUE = 41, OP_CONSTANT_FALSE = 42, OP_CONSTANT = 43, OP_CONSTANT_COMPOSITE = 44,
    OP_SPEC_TRUE = 48, OP_SPEC_FALSE = 49, OP_SPEC_CONSTANT = 50, OP_SPEC_COMPOSITE = 51,
    OP_SPEC_OP = 52,
    // Control flow; all from OP_LOOP_MERGE to OP_LIFETIME_STOP have no result but labels.
    OP_FUNCTION = 54, OP_FUNCTION_PARAMETER = 55, OP_FUNCTION_END = 56, OP_PHI = 245,
    OP_LOOP_MERGE = 246, OP_SELECTION_MERGE = 247, OP_LABEL = 248, OP_BRANCH = 249,
    OP_BRANCH_CONDITIONAL = 250, OP_SWITCH = 251, OP_UNREACHABLE = 255, OP_LIFETIME_STOP = 257,
    // Memory and barriers, without a result.
    OP_STORE = 62, OP_COPY_MEMORY = 63, OP_IMAGE_WRITE = 99, OP_CONTROL_BARRIER = 224,
    OP_MEMORY_BARRIER = 225, OP_ATOMIC_STORE = 228, OP_COOPMAT_STORE = 4458,
    OP_COOPMAT_STORE_NV = 5360,
    // Operations on values.
    OP_COPY = 83, OP_BITCAST = 124, OP_ADD = 128, OP_SUB = 130, OP_MUL = 132, OP_UDIV = 134,
    OP_UMOD = 137, OP_LOGICAL_EQUAL = 164, OP_LOGICAL_NOT_EQUAL = 165, OP_LOGICAL_OR = 166,
    OP_LOGICAL_AND = 167, OP_LOGICAL_NOT = 168, OP_SELECT = 169, OP_EQUAL = 170,
    OP_NOT_EQUAL = 171, OP_UGREATER = 172, OP_SGREATER = 173, OP_UGREATER_EQUAL = 174,
    OP_SGREATER_EQUAL = 175, OP_ULESS = 176, OP_SLESS = 177, OP_ULESS_EQUAL = 178,
    OP_SLESS_EQUAL = 179, OP_SHIFT_RIGHT = 194, OP_SHIFT_LEFT = 196, OP_OR = 197, OP_XOR = 198,
    OP_AND = 199, OP_NOT = 200,
    SPEC_ID = 1, // the decoration
    HEADER = 5   // words before the first instruction
};

// What is known of an id.
typedef struct fact {
    uint32_t value, type;
    int32_t spec;      // number of the constant, -1: none
    int32_t block;     // where it is defined, -1: outside of functions
    bool known, is_bool, is_int;
} fact;

typedef struct block {
    uint32_t label, begin, end; // words: after the label, and after the terminator
    uint32_t last;              // where the terminator begins
    uint32_t merge, next;       // labels that its merge instruction names, 0: none
    uint32_t target;            // the only way on, where it is decided; 0: it is not
    bool live, kept_merge, kept_continue; // kept: dead, but named by a live merge instruction
    uint32_t header;            // of the loop that a kept block continues
} block;

typedef struct pruner {
    const uint32_t *code;
    uint32_t words, bound;
    const uint32_t *spec;
    int nspec;
    fact *fact;
    block *block;
    int blocks;
    uint32_t *out, used, size;
    uint32_t *undef, undefs; // pairs of type and id
    bool strange;            // a module of another kind
} pruner;

static uint32_t op_at(const pruner *p, uint32_t at) { return p->code[at] & 0xffff; }
static uint32_t length_at(const pruner *p, uint32_t at) { return p->code[at] >> 16; }

// ---- values --------------------------------------------------------------------------------

static bool get(const pruner *p, uint32_t id, uint32_t *v)
{
    *v = p->fact[id].value;
    return p->fact[id].known;
}

// One operation on known operands; false where it is not one of those done here.
static bool compute(uint32_t op, uint32_t a, uint32_t b, uint32_t *v)
{
    switch (op) {
    case OP_ADD: *v = a + b; return true;
    case OP_SUB: *v = a - b; return true;
    case OP_MUL: *v = a * b; return true;
    case OP_UDIV: *v = b ? a / b : 0; return b != 0;
    case OP_UMOD: *v = b ? a % b : 0; return b != 0;
    case OP_SHIFT_RIGHT: *v = b < 32 ? a >> b : 0; return b < 32;
    case OP_SHIFT_LEFT: *v = b < 32 ? a << b : 0; return b < 32;
    case OP_LOGICAL_OR: case OP_OR: *v = a | b; return true;
    case OP_LOGICAL_NOT_EQUAL: case OP_XOR: *v = a ^ b; return true;
    case OP_LOGICAL_AND: case OP_AND: *v = a & b; return true;
    case OP_LOGICAL_EQUAL: case OP_EQUAL: *v = a == b; return true;
    case OP_NOT_EQUAL: *v = a != b; return true;
    case OP_UGREATER: *v = a > b; return true;
    case OP_SGREATER: *v = (int32_t)a > (int32_t)b; return true;
    case OP_UGREATER_EQUAL: *v = a >= b; return true;
    case OP_SGREATER_EQUAL: *v = (int32_t)a >= (int32_t)b; return true;
    case OP_ULESS: *v = a < b; return true;
    case OP_SLESS: *v = (int32_t)a < (int32_t)b; return true;
    case OP_ULESS_EQUAL: *v = a <= b; return true;
    case OP_SLESS_EQUAL: *v = (int32_t)a <= (int32_t)b; return true;
    default: return false;
    }
}

// Those that take their first operand as it is, or turned over.
static bool takes_one(uint32_t op)
{
    return op == OP_COPY || op == OP_BITCAST || op == OP_LOGICAL_NOT || op == OP_NOT;
}

static bool folds(uint32_t op)
{
    uint32_t v;
    return takes_one(op) || op == OP_SELECT || compute(op, 1, 1, &v);
}

// The value of an operation with `n` operands, which are ids.
static bool evaluate(const pruner *p, uint32_t op, const uint32_t *operand, uint32_t n,
                     uint32_t *v)
{
    uint32_t a = 0, b = 0;
    if (!folds(op)) return false;
    const bool has_a = n > 0 && get(p, operand[0], &a), has_b = n > 1 && get(p, operand[1], &b);
    if (takes_one(op)) {
        *v = op == OP_LOGICAL_NOT ? !a : op == OP_NOT ? ~a : a;
        return has_a;
    }
    if (op == OP_SELECT) return has_a && n == 3 && get(p, operand[a ? 1 : 2], v);
    // One operand may decide: false and x, true or x.
    if (op == OP_LOGICAL_AND && ((has_a && !a) || (has_b && !b))) return *v = 0, true;
    if (op == OP_LOGICAL_OR && ((has_a && a) || (has_b && b))) return *v = 1, true;
    return has_a && has_b && compute(op, a, b, v);
}

static void learn(pruner *p, uint32_t id, uint32_t type, bool known, uint32_t v)
{
    fact *f = &p->fact[id];
    const fact *t = &p->fact[type];
    f->type = type;
    f->value = t->is_bool ? v != 0 : v;
    f->known = known && (t->is_bool || t->is_int);
}

// Types, constants and decorations, up to the first function.
static uint32_t read_globals(pruner *p)
{
    uint32_t at = HEADER;
    for (; at < p->words && op_at(p, at) != OP_FUNCTION; at += length_at(p, at)) {
        const uint32_t *w = p->code + at, n = length_at(p, at);
        uint32_t v = 0;
        switch (op_at(p, at)) {
        case OP_DECORATE:
            if (w[2] == SPEC_ID) p->fact[w[1]].spec = (int32_t)w[3];
            break;
        case OP_TYPE_BOOL: p->fact[w[1]].is_bool = true; break;
        case OP_TYPE_INT: p->fact[w[1]].is_int = w[2] == 32; break;
        case OP_CONSTANT_TRUE: learn(p, w[2], w[1], true, 1); break;
        case OP_CONSTANT_FALSE: learn(p, w[2], w[1], true, 0); break;
        case OP_CONSTANT: learn(p, w[2], w[1], n == 4, w[3]); break;
        case OP_SPEC_TRUE:
        case OP_SPEC_FALSE:
        case OP_SPEC_CONSTANT:
            v = op_at(p, at) == OP_SPEC_CONSTANT ? w[3] : op_at(p, at) == OP_SPEC_TRUE;
            if (p->fact[w[2]].spec >= 0 && p->fact[w[2]].spec < p->nspec)
                v = p->spec[p->fact[w[2]].spec];
            learn(p, w[2], w[1], true, v);
            p->fact[w[2]].value = v; // of a float too
            break;
        case OP_SPEC_OP: {
            const bool known = evaluate(p, w[3], w + 4, n - 4, &v);
            learn(p, w[2], w[1], known, v);
            break;
        }
        default: break;
        }
    }
    return at;
}

// ---- blocks --------------------------------------------------------------------------------

static int block_of(const pruner *p, uint32_t label)
{
    return p->fact[label].block;
}

// Has the instruction a result, and where; by the words that come first: [type] result.
static uint32_t result_of(const pruner *p, uint32_t at)
{
    const uint32_t op = op_at(p, at), n = length_at(p, at);
    if (op == OP_LABEL) return p->code[at + 1];
    // Without one: stores, barriers, copies, branches, merges, lines.
    const bool none = op == OP_STORE || op == OP_COPY_MEMORY || op == OP_LINE ||
                      op == OP_NO_LINE || op == OP_IMAGE_WRITE || op == OP_CONTROL_BARRIER ||
                      op == OP_MEMORY_BARRIER || op == OP_ATOMIC_STORE ||
                      (op >= OP_LOOP_MERGE && op <= OP_LIFETIME_STOP) ||
                      op == OP_FUNCTION_END || op == OP_NOP || op == OP_COOPMAT_STORE ||
                      op == OP_COOPMAT_STORE_NV;
    return none || n < 3 ? 0 : p->code[at + 2];
}

static tuff_status add_block(pruner *p, uint32_t at)
{
    if (p->blocks % 64 == 0) {
        block *more = tuff_realloc(p->block, (size_t)p->blocks + 64, sizeof *more);
        if (!more) return TUFF_ERR_MEMORY;
        p->block = more;
    }
    p->block[p->blocks] = (block){ .label = p->code[at + 1],
                                   .begin = at + length_at(p, at) };
    p->fact[p->code[at + 1]].block = p->blocks++;
    return TUFF_OK;
}

// The blocks of all functions, and where each id is defined.
static tuff_status read_blocks(pruner *p, uint32_t at)
{
    for (; at < p->words; at += length_at(p, at)) {
        const uint32_t op = op_at(p, at), *w = p->code + at;
        if (op == OP_LABEL) {
            TUFF_TRY(add_block(p, at));
            continue;
        }
        if (!p->blocks || op == OP_FUNCTION || op == OP_FUNCTION_END ||
            op == OP_FUNCTION_PARAMETER) continue;
        block *b = &p->block[p->blocks - 1];
        const uint32_t id = result_of(p, at);
        if (id) p->fact[id].block = p->blocks - 1;
        if (op == OP_SELECTION_MERGE || op == OP_LOOP_MERGE) b->merge = w[1];
        if (op == OP_LOOP_MERGE) b->next = w[2];
        b->last = at;
        b->end = at + length_at(p, at);
    }
    return TUFF_OK;
}

// ---- what is reached -----------------------------------------------------------------------

// Target number i of a terminator, 0 past the last.
static uint32_t target_at(const pruner *p, const block *b, uint32_t i)
{
    const uint32_t *w = p->code + b->last, n = length_at(p, b->last);
    if (b->target) return i == 0 ? b->target : 0;
    switch (op_at(p, b->last)) {
    case OP_BRANCH: return i == 0 ? w[1] : 0;
    case OP_BRANCH_CONDITIONAL: return i < 2 ? w[2 + i] : 0;
    case OP_SWITCH: return i == 0 ? w[2] : 2 + 2 * i < n ? w[2 + 2 * i] : 0;
    default: return 0;
    }
}

static bool leads_to(const pruner *p, const block *b, uint32_t label)
{
    for (uint32_t i = 0, t; b->live && (t = target_at(p, b, i)) != 0; i++)
        if (t == label) return true;
    return false;
}

// A phi is known when the values of all ways that may be taken are, and are one.
static bool evaluate_phi(const pruner *p, int here, const uint32_t *w, uint32_t n, uint32_t *v)
{
    bool any = false;
    for (uint32_t i = 3; i + 1 < n; i += 2) {
        const int from = block_of(p, w[i + 1]);
        uint32_t x;
        if (from >= here) return false; // the way back of a loop
        if (!leads_to(p, &p->block[from], p->block[here].label)) continue;
        if (!get(p, w[i], &x) || (any && x != *v)) return false;
        *v = x;
        any = true;
    }
    return any;
}

static void decide(pruner *p, block *b)
{
    const uint32_t *w = p->code + b->last, n = length_at(p, b->last), op = op_at(p, b->last);
    uint32_t v;
    if ((op != OP_BRANCH_CONDITIONAL && op != OP_SWITCH) || !get(p, w[1], &v)) return;
    if (op == OP_BRANCH_CONDITIONAL) {
        b->target = v ? w[2] : w[3];
        return;
    }
    b->target = w[2];
    for (uint32_t i = 3; i + 1 < n; i += 2)
        if (w[i] == v) b->target = w[i + 1];
}

static void visit(pruner *p, int here)
{
    block *b = &p->block[here];
    for (uint32_t at = b->begin; at < b->last; at += length_at(p, at)) {
        const uint32_t *w = p->code + at, n = length_at(p, at), id = result_of(p, at);
        uint32_t v = 0;
        if (!id) continue;
        const bool known = op_at(p, at) == OP_PHI
                               ? evaluate_phi(p, here, w, n, &v)
                               : evaluate(p, op_at(p, at), w + 3, n - 3, &v);
        learn(p, id, w[1], known, v);
    }
    decide(p, b);
    for (uint32_t i = 0, t; (t = target_at(p, b, i)) != 0; i++) {
        block *to = &p->block[block_of(p, t)];
        if (to <= b && !to->next) p->strange = true; // backwards, and not to a loop's head
        to->live = true;
    }
}

// A decided branch needs no place to meet again; a switch keeps it, since what it holds may
// leave it from within, and a loop does.
static bool keeps_no_merge(const pruner *p, const block *b)
{
    return b->target && !b->next && op_at(p, b->last) == OP_BRANCH_CONDITIONAL;
}

static void reach(pruner *p, uint32_t first)
{
    // A function's first block follows its head.
    for (uint32_t at = first; at < p->words; at += length_at(p, at))
        if (op_at(p, at) == OP_FUNCTION) {
            while (op_at(p, at) != OP_LABEL && op_at(p, at) != OP_FUNCTION_END)
                at += length_at(p, at);
            if (op_at(p, at) == OP_LABEL) p->block[block_of(p, p->code[at + 1])].live = true;
        }
    for (int i = 0; i < p->blocks && !p->strange; i++)
        if (p->block[i].live) visit(p, i);
    for (int i = 0; i < p->blocks; i++) {
        const block *b = &p->block[i];
        if (!b->live || !b->merge || keeps_no_merge(p, b)) continue;
        p->block[block_of(p, b->merge)].kept_merge = true;
        if (!b->next) continue;
        p->block[block_of(p, b->next)].kept_continue = true;
        p->block[block_of(p, b->next)].header = b->label;
    }
}

// ---- writing -------------------------------------------------------------------------------

static tuff_status put(pruner *p, const uint32_t *w, uint32_t n)
{
    if (p->used + n > p->size) {
        p->size = p->size * 2 + n + 1024;
        uint32_t *more = tuff_realloc(p->out, p->size, sizeof *more);
        if (!more) return TUFF_ERR_MEMORY;
        p->out = more;
    }
    memcpy(p->out + p->used, w, n * sizeof *w);
    p->used += n;
    return TUFF_OK;
}

#define PUT(p, op, ...)                                                         \
    put_words(p, op, (const uint32_t[]){ __VA_ARGS__ },                         \
              sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
static tuff_status put_words(pruner *p, uint32_t op, const uint32_t *operand, size_t n)
{
    const uint32_t head = ((uint32_t)n + 1) << 16 | op;
    TUFF_TRY(put(p, &head, 1));
    return put(p, operand, (uint32_t)n);
}

static tuff_status put_constant(pruner *p, uint32_t type, uint32_t id)
{
    const fact *f = &p->fact[id];
    if (p->fact[type].is_bool)
        return PUT(p, f->value ? OP_CONSTANT_TRUE : OP_CONSTANT_FALSE, type, id);
    return PUT(p, OP_CONSTANT, type, id, f->value);
}

// An id that nothing defines any more: of a block that is not written.
static bool is_gone(const pruner *p, uint32_t id)
{
    if (p->fact[id].block < 0) return false;
    const block *b = &p->block[p->fact[id].block];
    return !b->live && !(id == b->label && (b->kept_merge || b->kept_continue));
}

static tuff_status write_globals(pruner *p, uint32_t end)
{
    for (uint32_t at = HEADER; at < end; at += length_at(p, at)) {
        const uint32_t *w = p->code + at, n = length_at(p, at), op = op_at(p, at);
        uint32_t head = w[0];
        switch (op) {
        case OP_NAME:
        case OP_MEMBER_NAME:
        case OP_DECORATE:
            if (is_gone(p, w[1]) || (op == OP_DECORATE && w[2] == SPEC_ID)) continue;
            break;
        case OP_SPEC_TRUE:
        case OP_SPEC_FALSE:
        case OP_SPEC_CONSTANT:
            TUFF_TRY(put_constant(p, w[1], w[2]));
            continue;
        case OP_SPEC_OP:
            if (!p->fact[w[2]].known) break;
            TUFF_TRY(put_constant(p, w[1], w[2]));
            continue;
        case OP_SPEC_COMPOSITE:
            head = n << 16 | OP_CONSTANT_COMPOSITE;
            break;
        default: break;
        }
        TUFF_TRY(put(p, &head, 1));
        TUFF_TRY(put(p, w + 1, n - 1));
    }
    return TUFF_OK;
}

// An undefined value of a type, in the place of one from a block that is gone.
static uint32_t undefined(pruner *p, uint32_t type)
{
    for (uint32_t i = 0; i < p->undefs; i++)
        if (p->undef[2 * i] == type) return p->undef[2 * i + 1];
    uint32_t *more = tuff_realloc(p->undef, 2 * ((size_t)p->undefs + 1), sizeof *more);
    if (!more) return 0;
    p->undef = more;
    p->undef[2 * p->undefs] = type;
    return p->undef[2 * p->undefs++ + 1] = p->bound++;
}

// The ways into the block that are left.
static tuff_status write_phi(pruner *p, const block *b, const uint32_t *w, uint32_t n)
{
    const uint32_t start = p->used;
    TUFF_TRY(put(p, w, 3));
    for (uint32_t i = 3; i + 1 < n; i += 2) {
        const block *from = &p->block[block_of(p, w[i + 1])];
        const bool back = !from->live && from->kept_continue && from->header == b->label;
        if (!back && !leads_to(p, from, b->label)) continue;
        uint32_t value = w[i];
        if (is_gone(p, value)) value = undefined(p, w[1]);
        if (!value) return TUFF_ERR_MEMORY;
        TUFF_TRY(put(p, (const uint32_t[]){ value, w[i + 1] }, 2));
    }
    p->out[start] = (p->used - start) << 16 | OP_PHI;
    return TUFF_OK;
}

static tuff_status write_block(pruner *p, const block *b)
{
    if (!b->live && !b->kept_merge && !b->kept_continue) return TUFF_OK;
    TUFF_TRY(PUT(p, OP_LABEL, b->label));
    if (!b->live && b->kept_continue) return PUT(p, OP_BRANCH, b->header);
    if (!b->live) return put(p, (const uint32_t[]){ 1u << 16 | OP_UNREACHABLE }, 1);
    const bool was_switch = op_at(p, b->last) == OP_SWITCH;
    for (uint32_t at = b->begin; at < b->last; at += length_at(p, at)) {
        const uint32_t *w = p->code + at, n = length_at(p, at), op = op_at(p, at);
        if (op == OP_SELECTION_MERGE && keeps_no_merge(p, b)) continue;
        if (op == OP_PHI) TUFF_TRY(write_phi(p, b, w, n));
        else TUFF_TRY(put(p, w, n));
    }
    if (!b->target) return put(p, p->code + b->last, length_at(p, b->last));
    if (was_switch) return PUT(p, OP_SWITCH, p->code[b->last + 1], b->target);
    return PUT(p, OP_BRANCH, b->target);
}

static tuff_status write_functions(pruner *p, uint32_t at)
{
    while (at < p->words) {
        if (op_at(p, at) != OP_LABEL) {
            TUFF_TRY(put(p, p->code + at, length_at(p, at)));
            at += length_at(p, at);
            continue;
        }
        const block *b = &p->block[block_of(p, p->code[at + 1])];
        TUFF_TRY(write_block(p, b));
        at = b->end;
    }
    return TUFF_OK;
}

static tuff_status write_module(pruner *p, uint32_t functions)
{
    TUFF_TRY(put(p, p->code, HEADER));
    TUFF_TRY(write_globals(p, functions));
    const uint32_t middle = p->used;
    TUFF_TRY(write_functions(p, functions));
    // Undefined values are known by now, and belong before the functions.
    const uint32_t behind = p->used, extra = 3 * p->undefs;
    for (uint32_t i = 0; i < p->undefs; i++)
        TUFF_TRY(PUT(p, OP_UNDEF, p->undef[2 * i], p->undef[2 * i + 1]));
    uint32_t *moved = tuff_alloc(extra + 1, sizeof *moved);
    if (!moved) return TUFF_ERR_MEMORY;
    memcpy(moved, p->out + behind, extra * sizeof *moved);
    memmove(p->out + middle + extra, p->out + middle, (behind - middle) * sizeof *moved);
    memcpy(p->out + middle, moved, extra * sizeof *moved);
    tuff_free(moved);
    p->out[3] = p->bound;
    return TUFF_OK;
}

tuff_status tuff_vk_specialize(const uint32_t *code, size_t words, const uint32_t spec[],
                               int nspec, uint32_t **out, size_t *out_words)
{
    tuff_status status = TUFF_OK;
    pruner p = { .code = code, .words = (uint32_t)words, .bound = code[3], .spec = spec,
                 .nspec = nspec };
    *out = NULL;
    *out_words = 0;
    p.fact = tuff_alloc(p.bound, sizeof *p.fact);
    if (!p.fact) return TUFF_ERR_MEMORY;
    for (uint32_t i = 0; i < p.bound; i++) p.fact[i].spec = p.fact[i].block = -1;
    const uint32_t functions = read_globals(&p);
    TUFF_GO(read_blocks(&p, functions));
    reach(&p, functions);
    if (!p.strange) TUFF_GO(write_module(&p, functions));
    if (!p.strange) {
        *out = p.out;
        *out_words = p.used;
        p.out = NULL;
    }
exit:
    tuff_free(p.out);
    tuff_free(p.undef);
    tuff_free(p.block);
    tuff_free(p.fact);
    return status;
}
