#ifndef TUFF_DATA_H
#define TUFF_DATA_H
#include <tuff/format.h>
// Datasets, and loaders that make batches of them.
//
//   tuff_dataset *data = NULL;
//   tuff_loader *loader = NULL;
//   tuff_dataset_open("fashion", NULL, &data);
//   tuff_loader_create(data, &(tuff_loader_params){ .batch = 64, .shuffle = true }, &loader);
//   for (int64_t i = 0; i < epochs * tuff_loader_batches(loader); i++) {
//       tuff_batch b;
//       tuff_loader_next(loader, &b); // b.x [64, 1, 28, 28], b.labels [64]
//   }
//
//   Errors   TUFF_ERR_IO, TUFF_ERR_FORMAT (the file, and the place in it), TUFF_ERR_ARG,
//            TUFF_ERR_MEMORY. On failure the output is NULL.
//   Threads  a dataset may be read by many threads at once (tuff_dataset_set_norm excepted);
//            a loader belongs to one thread at a time.

typedef struct tuff_dataset tuff_dataset;

// The parts of a dataset. HELD is taken from the training examples (see `held_out`).
typedef enum tuff_split { TUFF_TRAIN, TUFF_TEST, TUFF_HELD, TUFF_SPLITS } tuff_split;

typedef struct tuff_dataset_params {
    float held_out;      // part of the training examples that is put aside as TUFF_HELD,
                         // for early stop; 0 = none, at most 0.9
    uint64_t split_seed; // of what is held out, and of the test part where the files have
                         // none; not the seed of the training, so that no test example of
                         // one run is trained on in another
    int64_t limit_train; // use at most that many examples; 0 = all
    int64_t limit_test;
    int pad_to;          // lay images in the middle of zeros, pad_to x pad_to; 0 = as they are
    int channels;        // repeat the one channel of grey images; 0 = as they are
    const char *without; // classes by number or name, "3,7", whose training examples are left
                         // out before any are counted; their test examples stay. NULL = none
} tuff_dataset_params;

// Opens what `spec` names, and loads all of it:
//
//   fashion, default      Fashion-MNIST of Debian's package dataset-fashion-mnist
//   idx:FOLDER            MNIST's four files, plain or .gz, sizes from their headers:
//                         {train,t10k}-{images-idx3,labels-idx1}-ubyte, or with a dot
//                         instead of the dash before idx
//   cifar10:FOLDER        CIFAR-10's binary batches, plain or .gz: those of
//                         data_batch_{1,2,3,4,5}.bin that are there, and test_batch.bin
//   csv:FILE              numbers, plain or .gz; a first row of names is recognised. Options:
//     ,label=COLUMN       the classes, whole numbers or words, are in this column: an index
//                         from 0 (negative: from the end), or a name. Without, in the last
//     ,target=COLUMN      a number to be predicted instead of a class
//     ,test=FILE          another file of the same columns; else a fifth is held out
//   npy:X,Y               X [N, F], [N, H, W] or [N, C, H, W]; Y whole numbers [N] (classes)
//                         or floats [N] or [N, T] (targets); a fifth is held out
//
// Examples are normalised: x = scale[c] v + shift[c], where v is u8 / 255 for bytes, else the
// number as it is, and the training examples' mean is 0 and their deviation 1 in each channel
// c (dim 0 of a sample: a colour of an image, a column of a table). A constant channel gets
// scale 1. Padding is v = 0.
TUFF_API TUFF_CHECK tuff_status tuff_dataset_open(const char *spec,
                                                  const tuff_dataset_params *p,
                                                  tuff_dataset **dataset);
// The same from memory, which is copied. x and y as for npy: above, of any type; test_x and
// test_y likewise, or both NULL: then a fifth is held out.
TUFF_API TUFF_CHECK tuff_status tuff_dataset_from_arrays(const tuff_array *x,
                                                         const tuff_array *y,
                                                         const tuff_array *test_x,
                                                         const tuff_array *test_y,
                                                         const tuff_dataset_params *p,
                                                         tuff_dataset **dataset);
TUFF_API void tuff_dataset_destroy(tuff_dataset **dataset);

typedef struct tuff_dataset_info {
    tuff_desc sample;                // one example: f32 [C, H, W] or [F]
    int64_t count[TUFF_SPLITS];      // examples of each part
    int classes;                     // 0: there are targets
    int targets;                     // numbers a target has; 0: there are classes
    const char *const *class_names;  // [classes], or NULL where the files have none
    int channels;                    // sample.dim[0]
    const float *scale, *shift;      // [channels]
} tuff_dataset_info;
// Lives as long as the dataset.
TUFF_API const tuff_dataset_info *tuff_dataset_get_info(const tuff_dataset *dataset);

// Normalises by other numbers from now on: those that a model was trained with. n is the
// number of channels, or 1 for all alike. Not while a loader of this dataset lives.
TUFF_API TUFF_CHECK tuff_status tuff_dataset_set_norm(tuff_dataset *dataset,
                                                      const float *scale, const float *shift,
                                                      int n);

// Copies `count` examples from number `first` on, normalised: x [count, sample], labels
// [count], targets [count, T]; what is NULL is left out (labels of a dataset with targets,
// and the other way round, must be).
// Fails: TUFF_ERR_ARG (they are not all there).
TUFF_API TUFF_CHECK tuff_status tuff_dataset_read(const tuff_dataset *dataset,
                                                  tuff_split split, int64_t first,
                                                  int64_t count, float *x, int32_t *labels,
                                                  float *targets);

// ---- loaders --------------------------------------------------------------------------------

// Random changes of images (samples [C, H, W]), drawn anew for each example in each epoch.
typedef struct tuff_augment {
    int shift; // each image is moved by up to so many pixels, up or down and to a side, every
               // place equally likely; padding (v = 0) comes in. As torchvision's RandomCrop
               // with that padding
    bool flip; // half of them are mirrored, left to right (RandomHorizontalFlip)
} tuff_augment;
// "none", "shift=2", "flip", "shift=4,flip". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_augment_parse(const char *text, tuff_augment *augment);

typedef struct tuff_loader tuff_loader;

typedef struct tuff_loader_params {
    tuff_split split; // 0 = TUFF_TRAIN
    int batch;        // examples; 0 = 64
    bool shuffle;     // a new order each epoch, a function of (seed, epoch) alone
    uint64_t seed;
    int64_t start;    // number of the first batch, counted from epoch 0 on: a run that is
                      // resumed at batch n sees what an unbroken one sees from n on
    int64_t epochs;   // ends after that many, counted from epoch 0 on; 0 = goes on for ever
    int ahead;        // batches made ahead by a thread; 0 = 2
    tuff_augment augment; // a function of (seed, epoch, example) alone, whatever the batch is;
                          // zeros: images as they are
} tuff_loader_params;

typedef struct tuff_batch {
    const float *x;         // [batch, sample]
    const int32_t *labels;  // [batch], or NULL
    const float *targets;   // [batch, T], or NULL
    const uint32_t *example; // [count] which ones they are, as tuff_dataset_read counts
    int count;              // examples; fewer than `batch` at the end of an epoch (rows past
                            // them are 0, their labels -1, which the loss does not count);
                            // 0: the last epoch is over
    int64_t epoch, index;   // index: of the batch within its epoch
} tuff_batch;

// Starts a thread that makes batches ahead. The dataset must outlive the loader. No memory is
// allocated after this call.
// Fails: TUFF_ERR_ARG (a negative number, no examples, a shift as large as the images),
// TUFF_ERR_SHAPE (samples are to be augmented and are no images), TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_loader_create(const tuff_dataset *dataset,
                                                   const tuff_loader_params *p,
                                                   tuff_loader **loader);
// Stops the thread and waits for it.
TUFF_API void tuff_loader_destroy(tuff_loader **loader);
// Batches an epoch has, the last one included.
TUFF_API int64_t tuff_loader_batches(const tuff_loader *loader);
// Waits for the next batch; what it points to lives until the next call.
TUFF_API void tuff_loader_next(tuff_loader *loader, tuff_batch *batch);
#endif
