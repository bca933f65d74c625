#ifndef TUFF_TRAIN_H
#define TUFF_TRAIN_H
#include <tuff/data.h>
#include <tuff/nn.h>
#include <tuff/precision.h>
// Training, testing, predicting, and the files that trained models live in.
//
//   tuff_dataset_open("fashion", NULL, &data);                        1. the data
//   tuff_model_create(device, &(tuff_model_params){                   2. the model
//       .net = "lenet5", .input = tuff_dataset_get_info(data)->sample }, &model);
//   tuff_train_params p = { .optimizer = { .kind = TUFF_ADAM } };     3. the optimizer
//   tuff_train(model, data, &p, &result);                             4. train
//   tuff_test(model, data, NULL, &metrics);                           5. test
//
// One step (forward, loss, gradients, optimizer) is one program that is recorded once and
// replayed; loss and accuracy are summed on the device and read when somebody asks. A last
// batch that is smaller has a program of its own size.
//
//   Defaults  a zeroed params struct is valid: cross entropy for data with classes, else mean
//             squared error; Adam with lr 0.001; 5 epochs of batches of 64.
//   Same bits on one device and one build, the same seed gives the same weights, also when a
//             run was killed and resumed from its checkpoint.
//   Threads   a trainer, and its model belong to one thread at a time.

// ---- optimizers -----------------------------------------------------------------------------

typedef enum tuff_optimizer_kind {
    TUFF_ADAM, // the formulas stand with the ops in <tuff/ops/optimizer.h>
    TUFF_ADAMW,
    TUFF_SGD,
    TUFF_MOMENTUM,
    TUFF_NESTEROV,
    TUFF_RMSPROP,
    TUFF_RMSPROP_MOMENTUM,
    TUFF_RMSPROP_CENTERED, // with momentum where that is asked for
    TUFF_ADAGRAD,
    TUFF_AMSGRAD,
    TUFF_ADAMAX,
    TUFF_NADAM,
    TUFF_LION,
    TUFF_LAMB
} tuff_optimizer_kind;

// The defaults of those that an optimizer has stand with its formula; TUFF_ZERO asks for 0.
typedef struct tuff_optimizer {
    tuff_optimizer_kind kind;
    float lr;             // 0 = 0.01 for sgd, momentum, nesterov and adagrad, 0.002 for adamax
                          // and nadam, 0.0001 for lion, else 0.001
    float momentum;       // 0 = 0.9; rmsprop_centered: none
    float dampening;      // of momentum
    float alpha;          // 0 = 0.99
    float beta1, beta2;   // 0 = 0.9, 0.999; lion: 0.9, 0.99
    float momentum_decay; // of nadam; 0 = 0.004
    float eps;            // 0 = 1e-8; adagrad: 1e-10; lamb: 1e-6
    float weight_decay;   // L2 penalty
    bool decoupled;       // weight_decay is a factor on the weights; adamw, lion, lamb: always
    float l1;             // L1 penalty
    float clip_value;   // 0 = none; each gradient is clipped to [-clip_value, clip_value]
    float clip_norm;    // 0 = none; all gradients together are scaled to this length
} tuff_optimizer;

// By name, "adam" ... "lamb", and back. Fails: TUFF_ERR_FORMAT (lists the names).
TUFF_API TUFF_CHECK tuff_status tuff_optimizer_parse(const char *name,
                                                     tuff_optimizer_kind *kind);
TUFF_API const char *tuff_optimizer_name(tuff_optimizer_kind kind); // "?" for none

// ---- schedules ------------------------------------------------------------------------------

// The learning rate of step t (from 0) out of T. The first W steps warm up:
//
//   t < W     lr (t + 1) / W
//   constant  lr
//   step      lr factor^floor(epoch / every)             epoch = t / steps an epoch, whole
//   cosine    min + (lr - min) (1 + cos(pi p)) / 2       p = (t - W) / (T - W)
//                                                        (Loshchilov & Hutter 2017)
typedef enum tuff_schedule_kind {
    TUFF_CONSTANT,
    TUFF_STEP,
    TUFF_COSINE
} tuff_schedule_kind;

typedef struct tuff_schedule {
    tuff_schedule_kind kind;
    int64_t warmup; // steps
    int64_t every;  // step: epochs; 0 = 1
    float factor;   // step: 0 = 0.1
    float min;      // cosine: the rate it ends at
} tuff_schedule;

TUFF_API double tuff_schedule_lr(const tuff_schedule *s, double lr, int64_t step,
                                 int64_t steps_per_epoch, int64_t steps);
// Reads words with spaces between: "constant", "step=EVERY,FACTOR", "cosine", "cosine=MIN",
// "warmup=STEPS", as in "warmup=500 cosine". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_schedule_parse(const char *text, tuff_schedule *s);

// ---- training -------------------------------------------------------------------------------

typedef enum tuff_loss {
    TUFF_LOSS_AUTO,          // to test: the one that the model was trained with; else cross
                             // entropy where the data has classes, mse where it has targets
    TUFF_LOSS_CROSS_ENTROPY, // of logits (the net ends without softmax) and class indices
    TUFF_LOSS_MSE            // of outputs and targets; classes become one-hot targets
} tuff_loss;
// "auto", "cross_entropy", "mse". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_loss_parse(const char *name, tuff_loss *loss);
TUFF_API const char *tuff_loss_name(tuff_loss loss);

typedef struct tuff_metrics {
    double loss;     // mean over the examples
    double accuracy; // correct / examples; -1 where the data has no classes
    int64_t correct; // examples whose largest output is their class's
    int64_t examples;
    double seconds;
    double images_per_second;
} tuff_metrics;

typedef struct tuff_epoch {
    int epoch;          // counted from 1
    int epochs;         // of the whole run
    double lr;          // of its last step
    tuff_metrics train; // while the weights were changing
    tuff_metrics test;  // after the epoch; `examples` is 0 where the data has no such part
    tuff_metrics held;  // likewise
    int64_t skipped;    // steps of the run so far that left the weights: gradients overflowed
    double loss_scale;  // after it; 0 where the loss is not scaled
} tuff_epoch;

typedef struct tuff_progress {
    int epoch, epochs;   // this one, from 1; of how many
    int64_t step, steps; // done in this epoch; of how many
    int64_t examples;    // done in this epoch
    double seconds;      // since the epoch began
    double loss;         // mean of this epoch when last looked at (once a second); -1 before
} tuff_progress;

// Return false to stop after this step / epoch; a checkpoint is then written where `out` says.
typedef bool (*tuff_progress_fn)(void *user, const tuff_progress *progress);
typedef bool (*tuff_epoch_fn)(void *user, const tuff_epoch *epoch);

// Teachers (distillation; Hinton et al., 1503.02531): other models, whose outputs for the batch
// a student learns beside its labels. The loss of a step is
//
//   alpha T^2 KL(p || softmax(y / T)) + (1 - alpha) cross entropy(y, labels)
//
// with y the student's logits and p the mean over the teachers of softmax(their logits / T).
// They run as in use, in the program of the step, each on the batch normalised as it knows.
//
// `match` names layers whose outputs are to become alike besides (FitNets; Romero et al.,
// 1412.6550): pairs of places of the first teacher and of the student, perhaps with a weight,
// as in "3=2 5=4:0.5". To the loss is added weight * mean((P f - F)^2), f and F what the
// student's and the teacher's layer give. They agree in all but the number of features; where
// that differs P is a 1x1 convolution or a dense layer that is trained with the student and is
// no part of it, else it is nothing.
//
// `cache` is a file of what the teachers say of every training example. Where it is not there
// it is written first, and then the step runs no teacher: tuff_train only. One that is of other
// teachers or of other examples is refused (TUFF_ERR_ARG), a damaged one too (TUFF_ERR_FORMAT).
// It says nothing of augmented images, which are others in each epoch: they are refused with
// it.
typedef struct tuff_teach {
    tuff_model *const *teacher; // [teachers], on the student's device; they stay as they are
    int teachers;
    float temperature; // T; 0 = 4
    float alpha;       // 0 = 0.9; TUFF_ZERO: labels alone
    const char *match; // NULL: logits alone. Not with a cache
    const char *cache; // NULL: none
} tuff_teach;

// A net whose weights lie in a form that is run and not trained is trained through another one
// (<tuff/compress/latent.h>, whose tuff_train_stored gives this): it is `model` that is tested
// and written, and `store` that gives it the weights of what is trained.
typedef struct tuff_stored_as {
    tuff_model *model;
    tuff_status (*store)(void *user, tuff_model *trained, tuff_model *model);
    void *user;
} tuff_stored_as;

typedef struct tuff_train_params {
    tuff_optimizer optimizer;
    tuff_schedule schedule;
    tuff_loss loss;
    int epochs;    // in all, also counting those before `resume`; 0 = 5
    int batch;     // examples in a step; 0 = 64
    uint64_t seed; // of the order of the examples, and of how they are augmented
    tuff_augment augment; // of training images alone: tests see them as they are. A checkpoint
                          // remembers it. Who steps a trainer brings batches as they are to be
    int patience;  // early stop: end when the loss of the held-out part of the data has not
                   // become smaller for that many epochs, and give the model its best
                   // weights back; 0 = never
    // Pruned nets: weights (not biases or norms) that are zero when the run begins stay zero.
    // A checkpoint remembers it, so that a resumed run keeps its file's zeros.
    bool keep_zeros;
    tuff_tensor *mask; // the same, said by the caller: NULL, or f32 like tuff_model_trained,
                       // by which weights are multiplied after each update. It may be written
                       // between steps, and must outlive the run
    bool keep_shared; // weights of a layer (not biases or norms) that are equal when the run
                      // begins stay equal, and zeros zero: a shared number's gradient is the
                      // sum of those of its weights. Layers of more than 255 numbers besides
                      // zero are trained as ever. A checkpoint remembers it
    float slim;    // L1 penalty on the scales of batch norms alone (network slimming, Liu et
                   // al., 1708.06519), so that channels fall silent that the net can spare
    const tuff_teach *teach; // NULL, or who teaches beside the labels; the loss is then cross
                   // entropy, and tests count labels alone. A checkpoint does not keep them:
                   // who resumes gives them again
    tuff_gradients gradients; // in few bits
    tuff_precision precision; // what a step computes with; a checkpoint remembers both
    const tuff_stored_as *stored; // NULL: the net that is trained is tested and written
    // Files.
    const char *out;    // model file, written after each epoch (with the optimizer's state;
                        // where `stored` is not NULL, or with keep_shared the name ends in
                        // .tuffz, the end of the run leaves the net alone in it)
    int64_t save_every; // also after this many steps; 0 = only after epochs
    const char *resume; // a model file to go on from. Weights, optimizer, schedule, loss,
                        // batch, seed and early stop come from the file; of these params
                        // `epochs` counts when it is not 0, and the files and functions
    // Told how it goes, from the calling thread.
    tuff_progress_fn on_step;
    tuff_epoch_fn on_epoch;
    void *user;
} tuff_train_params;

typedef struct tuff_train_result {
    tuff_epoch last; // the last whole epoch of this call; epoch is 0 when there was none
    int64_t steps;   // in all, also counting those before `resume`
    int best_epoch;  // with early stop: whose weights the model has; else 0
    bool early;      // ended by early stop
    bool asked;      // ended because a function returned false
} tuff_train_result;

// Trains a model on the training part of a dataset; the held-out and the test part (where
// there are such) are tested after each epoch, and never learnt from. A model that does not
// know yet how samples are normalised takes it from the dataset; else the dataset is set to
// normalise as the model knows (tuff_dataset_set_norm). No loader of the dataset may live.
// Fails: TUFF_ERR_ARG (a setting is out of its range: the sentence names it; early stop
// without a held-out part), TUFF_ERR_SHAPE (the data's samples or classes are not what the
// net takes or gives), TUFF_ERR_CHECK (the loss is no longer a number), TUFF_ERR_IO and
// TUFF_ERR_FORMAT (files), TUFF_ERR_MEMORY, TUFF_ERR_LOST. After a failure the model's
// weights are those of some step.
TUFF_API TUFF_CHECK tuff_status tuff_train(tuff_model *model, tuff_dataset *data,
                                           const tuff_train_params *p,
                                           tuff_train_result *result);

// ---- step by step ---------------------------------------------------------------------------

// A trainer does single steps on batches that the caller has: for other kinds of data, and for
// tests. Files and functions of the params are not used.
typedef struct tuff_trainer tuff_trainer;

// `classes` is the number of classes, or 0 for targets of the output's shape; `examples` the
// number in one epoch (schedules count by it; 0 = schedules other than constant are refused).
TUFF_API TUFF_CHECK tuff_status tuff_trainer_create(tuff_model *model,
                                                    const tuff_train_params *p, int64_t classes,
                                                    int64_t examples, tuff_trainer **trainer);
TUFF_API void tuff_trainer_destroy(tuff_trainer **trainer);
// One step on `count` examples: x is f32 [count, input...], y i32 [count] (classes) or f32
// [count, output...]. Copies both and returns before the step is done.
TUFF_API TUFF_CHECK tuff_status tuff_trainer_step(tuff_trainer *trainer, const float *x,
                                                  const void *y, int64_t count);
// Waits; the mean over the steps since the last call of this function.
TUFF_API TUFF_CHECK tuff_status tuff_trainer_read(tuff_trainer *trainer, tuff_metrics *m);
// The program of a batch of `count` examples (0: the params' batch), made when it is not
// there yet; belongs to the trainer. For `tuff info --plan` and tests.
TUFF_API TUFF_CHECK tuff_status tuff_trainer_program(tuff_trainer *trainer, int64_t count,
                                                     tuff_program **program);

// ---- testing and predicting -----------------------------------------------------------------

typedef struct tuff_test_params {
    bool held; // the held-out part; else the test part
    tuff_loss loss;
    int batch;     // 0 = 64
    float *scores; // NULL, or [examples, output...]: receives the net's outputs (logits)
} tuff_test_params;

// Loss and accuracy of a model on all examples of a part of a dataset, normalised as the
// model knows. No loader of the dataset may live. Fails: as tuff_train.
TUFF_API TUFF_CHECK tuff_status tuff_test(tuff_model *model, tuff_dataset *data,
                                          const tuff_test_params *p, tuff_metrics *metrics);

// The net's outputs for `count` samples that are normalised as tuff_model_get_data says:
// x f32 [count, input...], scores f32 [count, output...].
TUFF_API TUFF_CHECK tuff_status tuff_predict(tuff_model *model, const float *x, int64_t count,
                                             float *scores);

// The same for who predicts again and again: the program of a number of samples is made once,
// and a run is one submission. A predictor reads the model's weights as they are when it runs;
// it must be destroyed before the model.
typedef struct tuff_predictor tuff_predictor;
TUFF_API TUFF_CHECK tuff_status tuff_predictor_create(tuff_model *model,
                                                      tuff_predictor **predictor);
TUFF_API void tuff_predictor_destroy(tuff_predictor **predictor);
TUFF_API TUFF_CHECK tuff_status tuff_predictor_run(tuff_predictor *predictor, const float *x,
                                                   int64_t count, float *scores);

// ---- ahead of use ---------------------------------------------------------------------------

// The first run of a net on a device waits for the driver to compile its kernels. That can be
// done ahead, at the end of an installation or behind a splash screen: kernels are kept in the
// cache folder (TUFF_CACHE_DIR), so that the next process finds them there.
typedef struct tuff_warm_params {
    int batch; // samples of a run; 0 = 64. One sample alone is prepared too
    const tuff_train_params *train; // NULL: predicting and testing alone; else training too
} tuff_warm_params;

typedef struct tuff_warm_result {
    int programs;
    uint32_t pipelines; // created; on the CPU path there are none
    double seconds;
} tuff_warm_result;

// Makes the programs of predicting, testing (with cross entropy, where the net's output is one
// row) and, with `train`, training, and runs each once on zeros. The model's weights are
// afterwards what they were. `result` may be NULL.
// Fails: TUFF_ERR_ARG (batch), and as tuff_predict and tuff_trainer_create.
TUFF_API TUFF_CHECK tuff_status tuff_warm(tuff_model *model, const tuff_warm_params *p,
                                          tuff_warm_result *result);

// ---- model files ----------------------------------------------------------------------------

// A model file is a safetensors file: weights under their names, and in its metadata the net,
// the sample's shape, how the data were prepared, and (when it is a checkpoint, which
// tuff_train writes) the settings and the place in the run; the optimizer's state then lies
// under "optimizer.m.0.weight" and so on. It is written to a new file beside `path` that then
// takes its place: whoever reads sees the old file or the new one, whole. A path that ends in
// .tuffz gives the same in that format (<tuff/format.h>), which is small where weights are few
// or shared; a checkpoint is safetensors whatever its name.

// Writes the weights. Fails: TUFF_ERR_IO, TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_model_save(tuff_model *model, const char *path);
// Makes a model from a file; it is as it was when it was saved. Fails: TUFF_ERR_IO,
// TUFF_ERR_FORMAT (no model file, or one that is damaged: the sentence says what is wrong),
// TUFF_ERR_MEMORY.
TUFF_API TUFF_CHECK tuff_status tuff_model_load(tuff_device *device, const char *path,
                                                tuff_model **model);
// Fills a model's weights from a file whose parameters have the same names and shapes
// (PyTorch's counts of batches, num_batches_tracked, are passed over).
TUFF_API TUFF_CHECK tuff_status tuff_model_load_weights(tuff_model *model, const char *path);
// The same from a file that names them in its own way. `map_path` is text with a pair a line,
// our name and the file's; a name up to a dot stands for all that begin so ("2.0
// layer1.0.conv1"), # begins a comment. Parameters that no line names keep their own; what else
// the file holds is passed over.
// Fails: TUFF_ERR_IO, TUFF_ERR_FORMAT (a line; a name that is not there; a shape),
// TUFF_ERR_MEMORY; the model is then as it was.
TUFF_API TUFF_CHECK tuff_status tuff_model_map_weights(tuff_model *model, const char *path,
                                                       const char *map_path);
#endif
