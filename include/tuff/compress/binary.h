#ifndef TUFF_COMPRESS_BINARY_H
#define TUFF_COMPRESS_BINARY_H
#include <tuff/nn.h>
// Weights of one bit, or of three levels, packed 32 to a word: nets that were trained with such
// weights (layers bdense and bconv, docs/net.md), and any others.
//
//   bdense 1024 | bn | sign | bdense 10          as it is trained, f32 weights behind the signs
//   bdense 1024 packed=yes | bn | bdense 10 inputs=signs packed=yes          packed
//
// Where a layer of signs takes what a sign layer gave (also through dropout, flatten and
// maxpool), both are bits, and a product is an xor and a count.

typedef struct tuff_levels_params {
    bool ternary;   // of a net without bdense and bconv: each weight -1, 0 or 1 times a number
                    // of its output's (Li et al. 2016, 1605.04711); else its sign times one
                    // (Rastegari et al. 2016, 1603.05279)
    bool keep_ends; // likewise: its first and its last product stay as they are
} tuff_levels_params;

// The packed form of a net. What bdense and bconv compute stays the same, but for rounding;
// other products of such a net stay as they are. Of a net that has none of them, all dense
// layers and convolutions without groups and dilation are packed, which only training after it
// would make good (<tuff/compress/latent.h>). The model stays as it is.
// Fails: TUFF_ERR_ARG (nothing to pack, or it is packed already), TUFF_ERR_MEMORY,
// TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_levels(tuff_model *model,
                                                     const tuff_levels_params *p,
                                                     tuff_model **packed);
#endif
