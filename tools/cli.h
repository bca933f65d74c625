// What the subcommands of `tuff` share: options, output, errors.
//
// A subcommand describes its options in a table; parsing, --help and messages about a wrong
// one come from that table. Every subcommand has --help, --device, --seed, --quiet, --json.
// Results go to stdout (with --json exactly one JSON object), notes and progress to stderr.
#ifndef TUFF_TOOLS_CLI_H
#define TUFF_TOOLS_CLI_H
#include <cjson/cJSON.h>
#include <tuff/format.h>
#include <tuff/train.h>
#include <tuff/tuff.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_WRONG = 2 }; // 1: a check failed; 2: usage or input
enum { CLI_ITEMS = 64 };

typedef enum cli_kind {
    CLI_FLAG, // bool
    CLI_TEXT, // const char *
    CLI_INT,  // int64_t
    CLI_REAL, // double
    CLI_LIST  // cli_list: may be given several times
} cli_kind;

typedef struct cli_list {
    const char *item[CLI_ITEMS];
    int count;
} cli_list;

typedef struct cli_option {
    const char *name; // "epochs" for --epochs; ended by NULL
    cli_kind kind;
    void *value;      // holds the default when parsing starts
    const char *arg;  // "N" in --epochs N; NULL for a flag
    const char *help; // a line, or several with "\n" between
} cli_option;

typedef struct cli_command {
    const char *name;
    const char *args;    // "MODEL --data SPEC"
    const char *summary; // one line
    const char *text;    // more for --help, or NULL
    int (*run)(const struct cli_command *self, int argc, char **argv);
} cli_command;

// The options that every subcommand has.
typedef struct cli_common {
    const char *device; // NULL: auto
    int64_t seed;
    bool quiet, json;
    const char *tune, *tune_file; // of CLI_TUNE_OPTIONS
    bool tune_again; // what is known, too
    bool tune_pays; // the work takes so long that a look at a GPU's kernels is soon paid for
    struct cli_caught *caught; // by whom this subcommand is run; NULL: from the command line
} cli_common;
extern cli_common cli;

// A subcommand that another one runs (tuff optimize, tuff demo). What it would print is kept.
typedef struct cli_caught {
    const char *where; // before its messages, "tuff optimize: small.txt:7: prune"; NULL: its
                       // own name
    bool check;        // it stops where it would open its device
    bool right;        // there it was: what it was given can be
    bool text;         // a table that has no JSON of its own kind is printed all the same
    bool json;         // messages are JSON too
    cJSON *object;     // what it would have printed; the caller deletes it
} cli_caught;
// Runs it with --json; other options are as they are now, and so again afterwards. Its status.
int cli_run(const cli_command *command, int argc, char **argv, cli_caught *caught);
// A subcommand by its name, or NULL. (main.c)
const cli_command *cli_command_named(const char *name);

// Reads argv (without the program and the subcommand). Words that are no options go to
// *words. Returns -1 to go on, or the status to exit with (--help, or something wrong).
int cli_parse(const cli_command *self, const cli_option *options, int argc, char **argv,
              cli_list *words);
// "tuff train: <sentence>" on stderr (with --json also {"error": sentence} on stdout);
// returns EXIT_WRONG.
int cli_wrong(const cli_command *self, const char *format, ...) TUFF_PRINTF(2, 3);
// "3x32x32" or "3,32,32", the value of --input, as the shape of an f32 sample; false has been
// said.
bool cli_sample(const cli_command *self, const char *text, tuff_desc *d);
// The library's last error; returns EXIT_WRONG.
int cli_error(const cli_command *self);
// What CLI_INT and CLI_REAL options hold when they were not given, where 0 has a meaning of
// its own: cli_given tells them apart.
#define CLI_NOT_GIVEN -1e9
static inline bool cli_given(double value) { return value != CLI_NOT_GIVEN; }
// A note on stderr, unless --quiet.
void cli_note(const char *format, ...) TUFF_PRINTF(1, 2);
// Prints and frees a JSON object; returns `status`.
int cli_print_json(cJSON *json, int status);
// Opens --device, tuned as --tune and --tune-file say; on failure prints the error and returns
// NULL.
tuff_device *cli_open_device(const cli_command *self);
// The options of subcommands that run nets or operators, in their tables.
#define CLI_TUNE_OPTIONS                                                        \
    { "tune", CLI_TEXT, &cli.tune, "HOW",                                       \
      "off: use what was measured before (tuff tune); quick: measure kernels first,\n" \
      "for 3 s at most; full: all of them, for minutes. The default is off, and\n" \
      "quick where a net is trained on a GPU" },                                \
    { "tune-file", CLI_TEXT, &cli.tune_file, "FILE",                            \
      "of choices, in place of that in the cache folder; none: no choices" }
// Lets an open device measure as --tune says, with all its seconds. EXIT_OK, or an error.
int cli_tune(const cli_command *self, tuff_device *device);
// "1.2 GiB" into text; returns text.
const char *cli_bytes(uint64_t bytes, char *text, size_t size);
// A bar on stderr when that is a terminal: fraction in 0..1 and a text behind it.
void cli_bar(double fraction, const char *format, ...) TUFF_PRINTF(2, 3);
void cli_bar_end(void); // wipes the bar

// ---- report.c: what training and testing print --------------------------------------------

// Adds loss, accuracy, errors, examples, seconds, images_per_second of m to o. accuracy and
// errors are left out where the data has no classes.
void report_metrics(cJSON *o, const tuff_metrics *m);
// "loss 0.3312  accuracy 88.10 %  errors 1190 of 10000" into text; returns text.
const char *report_line(const tuff_metrics *m, char *text, size_t size);
// Opens --data; on failure prints the error and returns NULL.
tuff_dataset *report_open_data(const cli_command *self, const char *spec,
                               const tuff_dataset_params *p);
// Loads a model onto a device; likewise.
tuff_model *report_load(const cli_command *self, tuff_device *device, const char *path);
// Whether a path is a model file's rather than a file with net text.
bool report_is_model(const char *path);
// Its size; 0 where it is not there.
long long report_file_bytes(const char *path);
// Whether there is a folder for `path` that can be written to. EXIT_OK, or EXIT_WRONG with what
// is wrong printed.
int report_folder(const cli_command *self, const char *path);
// A model file's model, or one made from a net for samples of --input's sizes; likewise.
tuff_model *report_open_model(const cli_command *self, tuff_device *device, const char *what,
                              const char *input);
// Tests a model and keeps its outputs: a block of examples x output elements, freed with
// free. NULL with the library's last error set when it fails.
float *report_scores(tuff_model *model, tuff_dataset *data, tuff_loss loss, int batch,
                     tuff_metrics *m, int64_t *count);
// The largest |a[i] - b[i]|; infinite where one of them is no number and the other is.
double report_difference(const float *a, const float *b, int64_t n);
// How far the outputs of two devices may differ: largest |difference| of a logit. f32 sums
// in another order differ by about 1e-6 of their size at each layer, and logits are of size
// 1 to 30; a wrong kernel differs by far more.
#define REPORT_TOLERANCE 1e-3

// ---- array_file.c: an array in a file -----------------------------------------------------

// Reads FILE.npy, the one array of FILE.safetensors, or FILE.safetensors:NAME. Prints what is
// wrong and returns EXIT_WRONG then, else EXIT_OK.
int array_file_read(const cli_command *self, const char *spec, tuff_array *a);
// Whether `path` names such a file, in a folder that can be written to: asked of all before the
// first is written. EXIT_OK, or EXIT_WRONG with what is wrong printed.
int array_file_check(const cli_command *self, const char *path);
// Writes FILE.safetensors with an array of that name, or else an .npy, which knows no bf16.
int array_file_write(const cli_command *self, const char *path, const char *name,
                     const tuff_array *a);

// The subcommands, each in a file of its own.
int cmd_devices(const cli_command *self, int argc, char **argv);
int cmd_bench(const cli_command *self, int argc, char **argv);
int cmd_check(const cli_command *self, int argc, char **argv);
int cmd_op(const cli_command *self, int argc, char **argv);
int cmd_train(const cli_command *self, int argc, char **argv);
int cmd_test(const cli_command *self, int argc, char **argv);
int cmd_predict(const cli_command *self, int argc, char **argv);
int cmd_info(const cli_command *self, int argc, char **argv);
int cmd_quantize(const cli_command *self, int argc, char **argv);
int cmd_distill(const cli_command *self, int argc, char **argv);
int cmd_compress(const cli_command *self, int argc, char **argv);
int cmd_warm(const cli_command *self, int argc, char **argv);
int cmd_import(const cli_command *self, int argc, char **argv);
int cmd_tune(const cli_command *self, int argc, char **argv);
int cmd_sparse(const cli_command *self, int argc, char **argv);
int cmd_prune(const cli_command *self, int argc, char **argv);
int cmd_optimize(const cli_command *self, int argc, char **argv);
int cmd_sensitivity(const cli_command *self, int argc, char **argv);
int cmd_demo(const cli_command *self, int argc, char **argv);
#endif
