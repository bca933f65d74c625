// Plans and references of sparse matrices; see sparse.h. The shaders are sparse_*.comp.
#include "ops/sparse.h"
#include "ops/codebook.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include "abi/fill.h"

// ---- references ----------------------------------------------------------------------------

static int64_t within(int64_t v, int64_t most) { return v < 0 || v > most ? most : v; }

// Blocks of a row of blocks: begin <= e < end.
static void row_range(const tuff_sparse *a, const tuff_sparse_data *d, int64_t row,
                      int64_t *begin, int64_t *end)
{
    *begin = a->of ? row * a->length : within(d->rows[row], a->count);
    *end = a->of ? (row + 1) * a->length : within(d->rows[row + 1], a->count);
}

// The first column of block e.
static int64_t col_of(const tuff_sparse *a, const tuff_sparse_data *d, int64_t row, int64_t e)
{
    if (!a->of) return within(d->cols[e], a->k / a->width - 1) * a->width;
    const int64_t i = e - row * a->length;
    const uint32_t place = tuff_codebook_index(a->bits, d->indices + row * a->words, i);
    return within(i / a->keep * a->of + place, a->k - 1);
}

void tuff_sparse_ref_matmul(const tuff_sparse *a, const tuff_sparse_data *d, const float *b,
                            float *y, int64_t m)
{
    int64_t begin, end;
    const int64_t row = m / a->height, b_k = a->linear ? 1 : a->n, b_n = a->linear ? a->k : 1;
    row_range(a, d, row, &begin, &end);
    for (int64_t n = 0; n < a->n; n++) {
        double sum = 0;
        for (int64_t e = begin; e < end; e++) {
            const int64_t k = col_of(a, d, row, e);
            const float *v = d->values + (e * a->height + m % a->height) * a->width;
            for (int64_t j = 0; j < a->width; j++)
                sum += (double)v[j] * (double)b[(k + j) * b_k + n * b_n];
        }
        y[a->linear ? n * a->m + m : m * a->n + n] = (float)sum;
    }
}

void tuff_sparse_ref_dense(const tuff_sparse *a, const tuff_sparse_data *d, float *y, int64_t m)
{
    int64_t begin, end;
    const int64_t row = m / a->height;
    row_range(a, d, row, &begin, &end);
    for (int64_t k = 0; k < a->k; k++) y[m * a->k + k] = 0;
    for (int64_t e = begin; e < end; e++) {
        float *to = y + m * a->k + col_of(a, d, row, e);
        for (int64_t j = 0; j < a->width; j++)
            to[j] += d->values[(e * a->height + m % a->height) * a->width + j];
    }
}

void tuff_sparse_ref_values(const tuff_sparse *a, const tuff_sparse_data *d, const float *dy,
                            const float *b, float *dvalues, int64_t m)
{
    int64_t begin, end;
    const int64_t row = m / a->height, b_k = a->linear ? 1 : a->n, b_n = a->linear ? a->k : 1;
    const int64_t dy_m = a->linear ? 1 : a->n, dy_n = a->linear ? a->m : 1;
    row_range(a, d, row, &begin, &end);
    for (int64_t e = begin; e < end; e++)
        for (int64_t j = 0; j < a->width; j++) {
            const int64_t k = col_of(a, d, row, e) + j;
            double sum = 0;
            for (int64_t n = 0; n < a->n; n++)
                sum += (double)dy[m * dy_m + n * dy_n] * (double)b[k * b_k + n * b_n];
            dvalues[(e * a->height + m % a->height) * a->width + j] = (float)sum;
        }
}

// ---- plans ---------------------------------------------------------------------------------

// What is left of a driver's limit for loops within the loop that is cut.
static uint32_t longest(const tuff_caps *k, int64_t each)
{
    const int64_t most = k->max_loop ? k->max_loop / 2 / (each + 1) : INT32_MAX;
    return (uint32_t)(most > 0 ? most : 1);
}

// Rows of blocks that one launch can have the starts of, beginning where bindings may.
static int64_t rows_of_launch(const tuff_sparse *a, const tuff_caps *k)
{
    const int64_t all = a->m / a->height, step = TUFF_BUFFER_ALIGN / 4;
    if (a->of || (uint64_t)all < k->max_texels) return all;
    return ((int64_t)k->max_texels - 1) / step * step;
}

static struct tuff_sparse_pc push_of(const tuff_sparse *a, int64_t first, int64_t rows)
{
    return (struct tuff_sparse_pc){
        .m = (uint32_t)a->m, .k = (uint32_t)a->k, .n = (uint32_t)a->n,
        .first = (uint32_t)first, .rows = (uint32_t)rows, .height = (uint32_t)a->height,
        .width = (uint32_t)a->width, .count = (uint32_t)a->count, .keep = (uint32_t)a->keep,
        .of = (uint32_t)a->of, .words = (uint32_t)a->words, .kept = (uint32_t)a->length,
    };
}

static void bind_starts(const tuff_sparse_plan *s, tuff_dispatch *d, int64_t first,
                        int64_t rows)
{
    if (s->a.of) return;
    tuff_bind(d, TUFF_ROLE_IN, s->in.rows, TUFF_BIND_TEXEL_U32, TUFF_READ);
    tuff_slot *slot = &d->slot[d->nslot - 1];
    slot->offset = (size_t)first * 4;
    slot->size = (size_t)(rows + 1) * 4;
}

static void bind_y(tuff_dispatch *d, bool again)
{
    tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_WRITE | (again ? TUFF_READ : 0));
}

// Every launch of a loop that is cut: rows first .. first + rows - 1, span after span.
typedef void add_fn(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                    const struct tuff_sparse_pc *pc);

static bool for_launches(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                         int64_t loop, uint32_t span, add_fn *add)
{
    const int64_t rows = rows_of_launch(&s->a, k), all = s->a.m / s->a.height;
    const int64_t launches = ((all + rows - 1) / rows) * ((loop + span - 1) / span);
    if (launches > TUFF_PLAN_MAX - 1) return false;
    for (int64_t first = 0; first < all; first += rows) {
        const int64_t here = all - first < rows ? all - first : rows;
        for (int64_t begin = 0; begin < loop; begin += span) {
            struct tuff_sparse_pc pc = push_of(&s->a, first, here);
            pc.begin = (uint32_t)begin;
            pc.span = span;
            add(s, k, p, &pc);
        }
    }
    return true;
}

// A dispatch of a kernel that goes through A: `nm` where A is N:M, else `sparse`. `first` is
// the input of its first binding, `b` that of its third, -1: it has none.
static tuff_dispatch *add_kernel(const tuff_sparse_plan *s, tuff_plan *p, int nm, int sparse,
                                 int first, int b, bool again, uint32_t wg,
                                 const struct tuff_sparse_pc *pc)
{
    tuff_dispatch *d = tuff_plan_add(p, s->a.of ? nm : sparse);
    tuff_bind_in(d, first);
    tuff_bind_in(d, s->in.cols);
    if (b >= 0) tuff_bind_in(d, b);
    bind_y(d, again);
    bind_starts(s, d, pc->first, pc->rows);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)s->a.bits);
    TUFF_PUSH(d, *pc);
    return d;
}

static void add_plain(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                      const struct tuff_sparse_pc *pc)
{
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = add_kernel(s, p, TUFF_SHADER_nm_matmul, TUFF_SHADER_sparse_matmul,
                                  s->in.values, s->in.b, pc->begin > 0, wg, pc);
    tuff_spec(d, s->a.linear);
    tuff_grid(d, ((uint64_t)pc->rows * pc->height * pc->n + wg - 1) / wg, k);
}

// Whether the kernel for CPU-like drivers may take four numbers of A at a time.
static bool takes_quads(const tuff_sparse_plan *s, const tuff_caps *k)
{
    const tuff_sparse *a = &s->a;
    const bool whole = a->of ? a->length % 4 == 0
                             : tuff_fits_texel(k, &s->call->in[s->in.cols], 16);
    return a->linear && a->height * a->width == 1 && whole &&
           tuff_fits_texel(k, &s->call->in[s->in.values], 16);
}

static void add_texel(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                      const struct tuff_sparse_pc *pc)
{
    const tuff_sparse *a = &s->a;
    const bool quads = takes_quads(s, k);
    const uint32_t w = k->subgroup, cols = (a->linear ? a->n > 1 : a->n % 4 == 0) ? 4 : 1;
    const uint32_t each = a->linear ? cols : cols * w;
    tuff_dispatch *d = tuff_plan_add(p, a->of ? TUFF_SHADER_nm_texel
                                              : TUFF_SHADER_sparse_texel);
    tuff_bind(d, TUFF_ROLE_IN, s->in.values,
              quads ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, s->in.cols,
              quads && !a->of ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, s->in.b,
              cols == 4 && !a->linear ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32, TUFF_READ);
    bind_y(d, pc->begin > 0);
    bind_starts(s, d, pc->first, pc->rows);
    tuff_spec(d, w);
    tuff_spec(d, (uint32_t)a->bits);
    tuff_spec(d, a->linear);
    tuff_spec(d, cols);
    tuff_spec(d, (uint32_t)a->width);
    tuff_spec(d, quads);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, (uint64_t)pc->rows * pc->height * ((pc->n + each - 1) / each), k);
}

// Most blocks of a row.
static int64_t row_length(const tuff_sparse *a) { return a->of ? a->length : a->k / a->width; }

bool tuff_sparse_plan_texel(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p)
{
    const tuff_desc *in = s->call->in;
    const bool fits = tuff_fits_texel(k, &in[s->in.values], 4) &&
                      tuff_fits_texel(k, &in[s->in.cols], 4) &&
                      tuff_fits_texel(k, &in[s->in.b], 4);
    return tuff_takes_texels(k) && fits &&
           for_launches(s, k, p, row_length(&s->a), longest(k, s->a.width), add_texel);
}

bool tuff_sparse_plan_plain(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p)
{
    return for_launches(s, k, p, row_length(&s->a), longest(k, s->a.width), add_plain);
}

static void add_group(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                      const struct tuff_sparse_pc *pc)
{
    tuff_dispatch *d = add_kernel(s, p, TUFF_SHADER_nm_group, TUFF_SHADER_sparse_group,
                                  s->in.values, s->in.b, false, 0, pc);
    tuff_grid(d, (uint64_t)((pc->rows + 3) / 4) * ((pc->n + 3) / 4), k);
}

enum { GROUP_ROWS = 16 }; // of b, beyond which an invocation an output is as good

bool tuff_sparse_plan_group(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p)
{
    const tuff_sparse *a = &s->a;
    if (!a->linear || a->height * a->width > 1 || a->n > GROUP_ROWS) return false;
    if (k->max_group < 128 || k->max_group_size[0] < 128) return false;
    const uint32_t span = (uint32_t)row_length(a);
    if (k->max_loop && span / 32 > k->max_loop / 2) return false;
    return for_launches(s, k, p, row_length(a), span, add_group);
}

static void add_dense(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                      const struct tuff_sparse_pc *pc)
{
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = add_kernel(s, p, TUFF_SHADER_nm_dense, TUFF_SHADER_sparse_dense,
                                  s->in.values, -1, true, wg, pc);
    tuff_grid(d, ((uint64_t)pc->rows * pc->height + wg - 1) / wg, k);
}

bool tuff_sparse_plan_dense(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size_flat(k);
    const uint32_t count = (uint32_t)(s->a.m * s->a.k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_fill);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    TUFF_PUSH(d, (struct tuff_fill_pc){ .count = count });
    tuff_grid(d, (count + 4 * (uint64_t)wg - 1) / (4 * wg), k);
    return for_launches(s, k, p, row_length(&s->a), longest(k, s->a.width), add_dense);
}

static void add_values(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p,
                       const struct tuff_sparse_pc *pc)
{
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = add_kernel(s, p, TUFF_SHADER_nm_values, TUFF_SHADER_sparse_values,
                                  s->in.dy, s->in.b, pc->begin > 0, wg, pc);
    tuff_spec(d, s->a.linear);
    tuff_grid(d, ((uint64_t)pc->count * pc->height * pc->width + wg - 1) / wg, k);
}

bool tuff_sparse_plan_values(const tuff_sparse_plan *s, const tuff_caps *k, tuff_plan *p)
{
    return for_launches(s, k, p, s->a.n, longest(k, 0), add_values);
}

// ---- products ------------------------------------------------------------------------------

tuff_desc tuff_sparse_y(const tuff_sparse *a, tuff_dtype type)
{
    return a->linear ? TUFF_SHAPE(type, a->n, a->m) : TUFF_SHAPE(type, a->m, a->n);
}

tuff_cost tuff_sparse_cost(const tuff_call *c, const tuff_sparse *a)
{
    return (tuff_cost){ .flops = 2.0 * (double)tuff_desc_count(&c->in[0]) * (double)a->n,
                        .bytes = tuff_call_bytes(c) };
}

// ---- gradient ------------------------------------------------------------------------------

tuff_var tuff_sparse_grad_b(tuff_tape *t, tuff_var dense, tuff_var dy, bool linear)
{
    const tuff_matmul_params transposed = { .trans_a = true };
    return linear ? TUFF_V(t, &tuff_op_matmul, NULL, dy, dense)
                  : TUFF_V(t, &tuff_op_matmul, &transposed, dense, dy);
}
