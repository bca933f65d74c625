#include "ops/broadcast.h"

static int64_t dim_from_inner(const tuff_desc *d, int axis)
{
    return axis < d->rank ? d->dim[d->rank - 1 - axis] : 1;
}

tuff_status tuff_broadcast_infer(const tuff_call *c, tuff_desc *y)
{
    int first = 0;
    while (!tuff_call_has(c, first)) first++;
    tuff_desc sum = c->in[first];
    for (int i = first + 1; i < c->nin; i++) {
        const tuff_desc *x = &c->in[i], so_far = sum;
        if (!tuff_call_has(c, i)) continue;
        if (x->rank > sum.rank) sum.rank = x->rank;
        for (int axis = 0; axis < sum.rank; axis++) {
            const int64_t m = dim_from_inner(&so_far, axis), n = dim_from_inner(x, axis);
            char ta[96], tb[96];
            TUFF_REQUIRE(m == n || m == 1 || n == 1, SHAPE,
                         "%s is %s and %s is %s: dims must be equal or 1, counted from the "
                         "last", i == first + 1 ? c->op->in[first].name : "what comes before",
                         tuff_desc_print(&so_far, ta, sizeof ta), c->op->in[i].name,
                         tuff_desc_print(x, tb, sizeof tb));
            sum.dim[sum.rank - 1 - axis] = m == 1 ? n : m;
        }
    }
    *y = sum;
    return TUFF_OK;
}

size_t tuff_broadcast_at(const tuff_desc *x, const tuff_desc *y, size_t i)
{
    size_t at = 0, step = 1;
    if (tuff_desc_count(x) == tuff_desc_count(y)) return i;
    for (int axis = 0; axis < x->rank; axis++) {
        const size_t n = (size_t)dim_from_inner(x, axis), m = (size_t)dim_from_inner(y, axis);
        if (n > 1) at += i % m * step;
        step *= n;
        i /= m;
    }
    return at;
}

// Bit 8 k: operand k stands still along an axis counted from the innermost.
static uint32_t standing(const tuff_desc *const x[], int n, int axis)
{
    uint32_t bits = 0;
    for (int k = 0; k < n; k++)
        if (!x[k] || dim_from_inner(x[k], axis) == 1) bits |= 1u << 8 * k;
    return bits;
}

static uint32_t merge_dims(const tuff_desc *const x[], int n, const tuff_desc *y,
                           struct tuff_broadcast *pc)
{
    uint32_t rank = 0, last = 0;
    for (int axis = 0; axis < y->rank; axis++) {
        const uint32_t bits = standing(x, n, axis);
        const uint32_t size = (uint32_t)dim_from_inner(y, axis);
        if (size == 1) continue;
        if (rank && bits == last) {
            pc->dim[rank - 1] *= size;
            continue;
        }
        pc->dim[rank] = size;
        pc->repeat |= bits << rank++;
        last = bits;
    }
    return rank;
}

// The dims along which an operand moves are one block of neighbours in most broadcasts (a
// scalar, a row, a column, a channel's value): then no walk is needed.
static void read_operand(tuff_spread *s, int k, uint32_t rank)
{
    struct tuff_broadcast *pc = &s->pc;
    const uint32_t still = pc->repeat >> 8 * k;
    uint32_t d = 0;
    pc->div[k] = pc->mod[k] = 1;
    while (d < rank && still >> d & 1) pc->div[k] *= pc->dim[d++];
    for (; d < rank && !(still >> d & 1); d++) pc->mod[k] *= pc->dim[d];
    while (d < rank && still >> d & 1) d++;
    s->mode[k] = d < rank                   ? TUFF_READ_ND
               : pc->mod[k] == pc->count ? TUFF_READ_SAME
                                         : TUFF_READ_PERIODIC;
}

tuff_spread tuff_spread_of(const tuff_desc *const x[], int n, const tuff_desc *y)
{
    tuff_spread s = { .pc = { .count = (uint32_t)tuff_desc_count(y) } };
    const uint32_t rank = merge_dims(x, n, y, &s.pc);
    for (int k = 0; k < n; k++) read_operand(&s, k, rank);
    for (int k = 0; k < n; k++)
        if (s.mode[k] == TUFF_READ_ND) s.rank = rank;
    for (int k = 0; k < n; k++) {
        if (s.rank) s.mode[k] = TUFF_READ_ND;
        if (!x[k]) s.mode[k] = TUFF_READ_NONE;
    }
    return s;
}
