// A matrix on a device in the form that its products are fastest in.
#include "base/alloc.h"
#include "ops/ops.h"
#include "ops/sparse.h"
#include "tensor/tensor.h"

// ---- what there is to keep -----------------------------------------------------------------

// Most numbers of a group of `of` neighbours that are not 0; at least 1.
static int most_of_group(const float *x, int64_t count, int of)
{
    int most = 1;
    for (int64_t g = 0; g < count && most < of; g += of) {
        int here = 0;
        for (int i = 0; i < of; i++) here += x[g + i] != 0;
        if (here > most) most = here;
    }
    return most;
}

static void inspect_nm(const float *x, int64_t rows, int64_t cols, tuff_sparse_kept *kept)
{
    for (int of = 4; of <= 16 && cols % of == 0; of *= 2) {
        const int keep = most_of_group(x, rows * cols, of);
        const double part = (double)keep / of;
        if (keep == of || (kept->nm > 0 && part >= kept->nm)) continue;
        kept->nm = part;
        kept->keep = keep;
        kept->of = of;
    }
}

tuff_status tuff_sparse_inspect(const float *x, int64_t rows, int64_t cols,
                                tuff_sparse_kept *kept)
{
    TUFF_REQUIRE(x && kept, ARG, "sparse: a pointer is NULL");
    TUFF_REQUIRE(rows >= 1 && cols >= 1, ARG, "sparse: a matrix of %lld x %lld numbers",
                 (long long)rows, (long long)cols);
    const double all = (double)rows * (double)cols;
    const int b = TUFF_SPARSE_BLOCK;
    *kept = (tuff_sparse_kept){
        .csr = (double)tuff_sparse_count(x, rows, cols, 1, 1) / all,
        .bsr = (double)tuff_sparse_count(x, rows, cols, b, b) * b * b / all,
    };
    inspect_nm(x, rows, cols, kept);
    return TUFF_OK;
}

// ---- encoding ------------------------------------------------------------------------------

static tuff_status fill_blocks(tuff_stream *s, const float *x, tuff_sparse_matrix *a)
{
    const int size = a->form == TUFF_SPARSE_BSR ? TUFF_SPARSE_BLOCK : 1;
    const int64_t count = tuff_sparse_count(x, a->rows, a->cols, size, size);
    const int64_t starts = a->rows / size + 1;
    TUFF_REQUIRE(count, ARG, "sparse: blocks of %d x %d do not divide %lld x %lld numbers",
                 size, size, (long long)a->rows, (long long)a->cols);
    // Numbers that belong to no row fill whole texels of four, which kernels then can read.
    const int64_t all = size > 1 ? count : (count + 3) / 4 * 4;
    float *values = tuff_alloc((size_t)(all * size * size), sizeof *values);
    int32_t *cols = tuff_alloc((size_t)(all + starts), sizeof *cols);
    tuff_status status = values && cols ? TUFF_OK : TUFF_ERR_MEMORY;
    TUFF_GO(status);
    int32_t *rows = cols + all;
    TUFF_GO(tuff_sparse_encode(x, a->rows, a->cols, size, size, values, cols, rows));
    TUFF_GO(tuff_tensor_upload(s, size > 1 ? TUFF_SHAPE(TUFF_F32, all, size, size)
                            : TUFF_SHAPE(TUFF_F32, all), values, &a->part[0]));
    TUFF_GO(tuff_tensor_upload(s, TUFF_SHAPE(TUFF_I32, all), cols, &a->part[1]));
    TUFF_GO(tuff_tensor_upload(s, TUFF_SHAPE(TUFF_I32, starts), rows, &a->part[2]));
exit:
    tuff_free(values);
    tuff_free(cols);
    return status;
}

static tuff_status fill_nm(tuff_stream *s, const float *x, tuff_sparse_matrix *a)
{
    const tuff_nm_params p = { .keep = a->keep, .of = a->of };
    const int64_t words = tuff_nm_words(a->cols, &p);
    TUFF_REQUIRE(a->of && words, ARG, "sparse: %lld x %lld numbers are no N:M",
                 (long long)a->rows, (long long)a->cols);
    const int64_t length = a->cols / a->of * a->keep;
    float *values = tuff_alloc((size_t)(a->rows * length), sizeof *values);
    uint32_t *indices = tuff_alloc((size_t)(a->rows * words), sizeof *indices);
    tuff_status status = values && indices ? TUFF_OK : TUFF_ERR_MEMORY;
    TUFF_GO(status);
    TUFF_GO(tuff_nm_encode(x, a->rows, a->cols, &p, values, indices));
    TUFF_GO(tuff_tensor_upload(s, TUFF_SHAPE(TUFF_F32, a->rows, length), values, &a->part[0]));
    TUFF_GO(tuff_tensor_upload(s, TUFF_SHAPE(TUFF_U32, a->rows, words), indices, &a->part[1]));
exit:
    tuff_free(values);
    tuff_free(indices);
    return status;
}

tuff_status tuff_sparse_matrix_fill(tuff_stream *s, const float *x, tuff_sparse_matrix *a)
{
    if (a->form == TUFF_SPARSE_NM) return fill_nm(s, x, a);
    if (a->form != TUFF_SPARSE_DENSE) return fill_blocks(s, x, a);
    return tuff_tensor_upload(s, TUFF_SHAPE(TUFF_F32, a->rows, a->cols), x, &a->part[0]);
}

void tuff_sparse_matrix_clear(tuff_sparse_matrix *a)
{
    for (int i = 0; i < 3; i++) tuff_tensor_destroy(&a->part[i]);
}

// ---- the matrix ----------------------------------------------------------------------------

tuff_status tuff_sparse_matrix_create(tuff_stream *s, const float *x, int64_t rows,
                                      int64_t cols, const tuff_sparse_matrix_params *p,
                                      tuff_sparse_matrix **out)
{
    static const tuff_sparse_matrix_params zero;
    if (!p) p = &zero;
    TUFF_REQUIRE(s && x && out, ARG, "sparse: a pointer is NULL");
    TUFF_REQUIRE(p->form >= TUFF_SPARSE_ANY && p->form < TUFF_SPARSE_FORMS, ARG,
                 "sparse: there is no form %d", (int)p->form);
    const tuff_sparse_shape shape = { rows, cols, p->batch, p->linear };
    tuff_sparse_kept kept;
    tuff_status status = TUFF_OK;
    *out = NULL;
    TUFF_TRY(tuff_sparse_inspect(x, rows, cols, &kept));
    tuff_sparse_matrix *a = tuff_alloc(1, sizeof *a);
    if (!a) return TUFF_ERR_MEMORY;
    *a = (tuff_sparse_matrix){ .form = p->form, .rows = rows, .cols = cols,
                               .linear = p->linear, .keep = kept.keep, .of = kept.of };
    if (!a->form) a->form = tuff_sparse_choose(tuff_stream_device(s), &shape, &kept);
    TUFF_GO(tuff_sparse_matrix_fill(s, x, a));
    *out = a;
    a = NULL;
exit:
    tuff_sparse_matrix_destroy(&a);
    return status;
}

void tuff_sparse_matrix_destroy(tuff_sparse_matrix **a)
{
    if (!a || !*a) return;
    tuff_sparse_matrix_clear(*a);
    tuff_free(*a);
    *a = NULL;
}

tuff_sparse_form tuff_sparse_matrix_form(const tuff_sparse_matrix *a)
{
    return a ? a->form : TUFF_SPARSE_ANY;
}

void tuff_sparse_product_of(const tuff_sparse_matrix *a, const tuff_tensor *b,
                            tuff_sparse_product *p)
{
    *p = (tuff_sparse_product){ 0 };
    if (a->form == TUFF_SPARSE_DENSE) {
        p->op = &tuff_op_matmul;
        p->params.dense.trans_b = a->linear;
        p->in[a->linear] = a->part[0];
        p->in[!a->linear] = b;
        p->nin = 2;
        return;
    }
    if (a->form == TUFF_SPARSE_NM) {
        p->op = &tuff_op_nm_matmul;
        p->params.nm = (tuff_nm_params){ a->keep, a->of, a->linear };
    } else {
        p->op = a->form == TUFF_SPARSE_BSR ? &tuff_op_bsr_matmul : &tuff_op_csr_matmul;
        p->params.blocks.linear = a->linear;
    }
    for (int i = 0; i < 3 && a->part[i]; i++) p->in[p->nin++] = a->part[i];
    p->in[p->nin++] = b;
}

tuff_status tuff_sparse_multiply(tuff_stream *s, const tuff_sparse_matrix *a,
                                 const tuff_tensor *b, tuff_tensor *y)
{
    tuff_sparse_product p;
    TUFF_REQUIRE(s && a && b && y, ARG, "sparse: a pointer is NULL");
    tuff_sparse_product_of(a, b, &p);
    return tuff_run(s, p.op, p.in, p.nin, &y, 1, &p.params);
}
