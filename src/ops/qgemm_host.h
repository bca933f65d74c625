// The CPU path's products of 8-bit integers: what the four ops share. Operands become whole
// numbers of 16 bits less their zero points, which are multiplied two and two.
//
//   left   rows, packed first: [rows][k, made even]
//   right  16 columns at a time, each pair of rows in one: panel[k / 2][16 columns][2]
//
// What is made of weights alone is kept from run to run: a convolution's are the rows at the
// left; those of a product of rows by weights (a dense layer) are panels at the right.
#ifndef TUFF_OPS_QGEMM_HOST_H
#define TUFF_OPS_QGEMM_HOST_H
#include "ops/product_host.h"
#include "ops/qgemm.h"

typedef struct tuff_qhost tuff_qhost;
typedef enum tuff_qkept { TUFF_QKEPT_NONE, TUFF_QKEPT_LEFT, TUFF_QKEPT_RIGHT } tuff_qkept;
struct tuff_qhost {
    // y is [products][m][n], and its rows are left rows of k.
    int64_t m, n, k, products;
    int64_t left_rows, period; // row i of the left operand has scale and zero point i % period
    int left, left_zero, left_scale, right, right_zero, right_scale, y_scale, y_zero, bias;
    tuff_qkept kept;  // which operand; at the right there is one product, and many scales
    bool column_bias; // the bias is of columns, else of rows
    bool relu;
    const void *own; // the op's, for its functions:
    // Numbers first .. first + n, at most 256, of the left operand; NULL: bytes as they lie.
    const uint8_t *(*numbers)(const tuff_ref *r, int64_t first, int64_t n, uint8_t *room);
    // The first row of a product.
    int64_t (*first_row)(const tuff_qhost *h, int64_t z);
    // Columns col .. col + cols of rows k .. k + depth of the right operand, 16 bytes a row;
    // there is room for one row more, to be written over.
    void (*columns)(const tuff_qhost *h, const tuff_ref *r, const void *extra, int64_t z,
                    int64_t col, int64_t cols, int64_t k, int64_t depth,
                    uint8_t to[][TUFF_PANEL]);
    // What else is prepared, from the right operand: items, bytes of scratch, and one item.
    // None where the operand at the right is kept.
    int64_t items;
    size_t extra;
    void (*prepare)(const tuff_qhost *h, const tuff_ref *r, int64_t i, void *extra);
};

size_t tuff_qhost_units(const tuff_qhost *h, int stage);
size_t tuff_qhost_scratch(const tuff_qhost *h);
size_t tuff_qhost_keeps(const tuff_qhost *h);
void tuff_qhost_run(const tuff_qhost *h, const tuff_ref *r);
// The zero point at place i of an input, as a number.
int32_t tuff_qhost_zero(const tuff_ref *r, int input, int64_t i);

// acc m to the nearest whole number, as tuff_requant_ref has it, without divisions.
int64_t tuff_requantized(int32_t acc, double m);

// The tuff_host of an op, made of the file's own type `host`, whose member h is a tuff_qhost,
// and describe_host(host *, const tuff_call *).
#define TUFF_QHOST                                                              \
    static bool host_takes(const tuff_call *c)                                  \
    {                                                                           \
        (void)c;                                                                \
        return true;                                                            \
    }                                                                           \
    static size_t host_units(const tuff_call *c, int stage)                     \
    {                                                                           \
        host f;                                                                 \
        describe_host(&f, c);                                                   \
        return tuff_qhost_units(&f.h, stage);                                   \
    }                                                                           \
    static size_t host_scratch(const tuff_call *c)                              \
    {                                                                           \
        host f;                                                                 \
        describe_host(&f, c);                                                   \
        return tuff_qhost_scratch(&f.h);                                        \
    }                                                                           \
    static size_t host_keeps(const tuff_call *c)                                \
    {                                                                           \
        host f;                                                                 \
        describe_host(&f, c);                                                   \
        return tuff_qhost_keeps(&f.h);                                          \
    }                                                                           \
    static void host_run(const tuff_ref *r)                                     \
    {                                                                           \
        host f;                                                                 \
        describe_host(&f, r->call);                                             \
        tuff_qhost_run(&f.h, r);                                                \
    }
// made_of: the inputs that what is kept depends on.
#define TUFF_QHOST_FAST(made_of_)                                               \
    { .name = "fast", .takes = host_takes, .run = host_run, .units = host_units, \
      .scratch = host_scratch, .keeps = host_keeps, .made_of = (made_of_) }
#endif
