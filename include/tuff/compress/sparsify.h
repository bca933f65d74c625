#ifndef TUFF_COMPRESS_SPARSIFY_H
#define TUFF_COMPRESS_SPARSIFY_H
#include <tuff/nn.h>
// Dense layers with many zeros, computed sparse where that is faster.

typedef struct tuff_sparsify_params {
    tuff_sparse_form form; // what dense layers become; 0: the fastest, which may be dense
    int64_t batch;         // samples that the net is given at once, for the choice; 0: 1
    bool measure;          // times the forms on the device first, for seconds a layer, where
                           // sizes are multiples of 16; else what is known of its kind counts
} tuff_sparsify_params;

// Makes *sparse, which the caller destroys: the net with its dense layers as csr, bsr (blocks
// of 4x4) or nm layers (docs/net.md), which hold what is not zero; those that are faster dense,
// or that cannot have the form, stay. It computes the same, up to the order of sums, and is
// trained like any: the zeros that were left out stay. `p` may be NULL.
// Fails: TUFF_ERR_ARG (a NULL, a batch or form that cannot be), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_sparsify(tuff_model *model, const tuff_sparsify_params *p,
                                              tuff_model **sparse);
#endif
