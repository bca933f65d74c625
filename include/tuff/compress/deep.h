#ifndef TUFF_COMPRESS_DEEP_H
#define TUFF_COMPRESS_DEEP_H
#include <tuff/train.h>
// Deep Compression (Han, Mao & Dally, arXiv:1510.00149): weights are pruned (tuff_prune), what
// is left of a layer shares few numbers (tuff_share), and these and the gaps between them are
// Huffman coded (tuff_model_save to a path that ends in .tuffz). docs/compress.md has a section
// on it.

// Where the shared numbers of a layer begin.
typedef enum tuff_share_init {
    TUFF_SHARE_LINEAR,  // evenly between the least and the largest weight: large weights, which
                        // are few and matter most, get numbers of their own
    TUFF_SHARE_DENSITY, // at even steps of the weights' distribution
    TUFF_SHARE_RANDOM   // at weights drawn by `seed` (Forgy)
} tuff_share_init;
// "linear", "density", "random". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_share_init_parse(const char *name, tuff_share_init *init);

typedef struct tuff_kmeans_params {
    int clusters; // at most so many; at least 1
    tuff_share_init init;
    uint64_t seed; // of TUFF_SHARE_RANDOM
    int rounds;    // of Lloyd's iterations at most; 0 = 1000. It ends when nothing changes
} tuff_kmeans_params;
// Clusters n numbers so that the sum of squared distances to centroids gets smaller with each
// round. centroid[clusters] gets *count of them, sorted, none of which is empty; *error, which
// may be NULL, the sum. Numbers are sorted once, so that a round takes clusters log n steps.
// Fails: TUFF_ERR_ARG (no number, one that is not finite, clusters or rounds), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_kmeans(const float *x, int64_t n,
                                            const tuff_kmeans_params *p, float *centroid,
                                            int *count, double *error);

typedef struct tuff_share_params {
    int bits_conv, bits_dense; // of an index into a layer's numbers, of which zero is one: 2 to
                               // 8; 0 = 8 for weights of convolutions, 5 for all others
    int bits_bias;             // the same of biases, which share theirs when all is trained;
                               // 0: they stay as they are, as in the paper
    tuff_share_init init;
    uint64_t seed;
    const tuff_train_params *tune; // trains the shared numbers afterwards; NULL: as they are
} tuff_share_params;
// Makes *shared, which the caller destroys: the same net, in which the weights of each layer
// (not norms, nor as a rule biases) have at most 2^bits - 1 numbers besides zero. Zeros stay
// zero. `data` may be NULL where nothing is trained; no loader of the dataset may live.
// Fails: TUFF_ERR_ARG (a param out of its range, a net without weights), and as tuff_train.
TUFF_API TUFF_CHECK tuff_status tuff_share(tuff_model *model, tuff_dataset *data,
                                           const tuff_share_params *p, tuff_model **shared);
#endif
