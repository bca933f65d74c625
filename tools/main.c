// The command line: `tuff SUBCOMMAND ...`.
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cli_command commands[] = {
    { "devices", "", "Lists the devices that can run a net, and those that cannot, and why.",
      NULL, cmd_devices },
    { "train", "--net NET --data SPEC [--out MODEL]",
      "Trains a net, tests it after each epoch, and writes it to a model file.",
      "NET is a preset, a line of text such as \"conv 6 5 | relu | maxpool 2 | flatten | dense "
      "10\",\na file that holds such text (docs/net.md), or a model file, whose weights are "
      "trained on:\nquantized, packed and compressed ones too, which keep their form.\n"
      "SPEC is fashion, idx:FOLDER, cifar10:FOLDER, csv:FILE[,label=COLUMN] or npy:X,Y.",
      cmd_train },
    { "test", "MODEL --data SPEC", "Tests a model file on the test part of a dataset.", NULL,
      cmd_test },
    { "predict", "MODEL --input FILE.npy|IMAGE.png", "Prints the scores a model gives.",
      "An array holds one sample or several, as they are in the data (pixels of 0 to 255 as\n"
      "bytes, or 0 to 1 as floats); they are normalised as the model's data were.",
      cmd_predict },
    { "import", "--net NET --weights FILE [--map FILE] --input CxHxW --out MODEL",
      "Makes a model file of a net and the weights of a safetensors file.",
      "A map names weights that the file calls otherwise, two names a line: ours and the\n"
      "file's. A name up to a dot stands for all that begin so: 2.0 layer1.0.conv1",
      cmd_import },
    { "info", "MODEL|NET", "Layers, shapes, parameters and bytes of a model file or a net.",
      NULL, cmd_info },
    { "quantize", "MODEL --data SPEC --out MODEL",
      "Makes a net of 8-bit numbers, or with weights in fewer bits, of a trained one.",
      "With --scheme symmetric or affine (and at most 8 bits) the net runs on integer kernels\n"
      "from end to end; else its weights are stored in the form named, and what flows through\n"
      "it stays f32. --scheme float makes floats of any of them again.\n"
      "Prints what it was and what it is: accuracy, and three columns of size and time. KB on\n"
      "disk is the file, MB in memory what the device holds to predict one sample.\n"
      "With --aware the net is trained on, rounded as it will be, before it is converted.",
      cmd_quantize },
    { "warm", "MODEL|NET", "Compiles a model's kernels on a device ahead of use.",
      "What the driver compiles is kept in the cache folder, so that the first run of tuff\n"
      "predict, test and (with --train) train need not wait for it.", cmd_warm },
    { "demo", "",
      "Trains lenet5 on Fashion-MNIST, judges every device by the CPU path, makes it smaller.",
      "The net is quantized to 8 bits (tuff quantize), and pruned, shared and coded (tuff\n"
      "compress); a table shows what each saves and costs.\n"
      "Exits 1 when a device's outputs differ from the CPU path's by more than the tolerance.",
      cmd_demo },
    { "check", "[--op NAME]",
      "Judges a device: every operator, case and variant against the CPU path's reference.",
      "Exits 1 when a result is wrong; each failure is printed with a string to repeat it.",
      cmd_check },
    { "bench", "[CASE ...] [--suite NAME] | infer MODEL ... [--batch N,N]",
      "Measures operators and nets, and what part they reach of the most that the device can "
      "do.",
      "A CASE is a string as in tuff check, or a product's M, K and N, such as\n"
      "    tuff bench 'matmul f32 1024x1024x1024' 'softmax f32 4096x1000'\n"
      "or a whole net, given its samples with the batch first, or a cost beside the work:\n"
      "    train NET 64x1x28x28 [optimizer=NAME]  a step of training\n"
      "    infer NET 1x3x224x224                  a batch, until its outputs are read\n"
      "    startup NET 64x1x28x28 cache=empty     opening the device, building, first step,\n"
      "                                           in a new process; or cache=warm\n"
      "    replay 100                             a program of that many tiny dispatches,\n"
      "                                           beside bare calls of the driver\n"
      "Model files of any form are timed beside one another, in turns in one process:\n"
      "    tuff bench infer m.safetensors q.safetensors m.tuffz --batch 1,64\n"
      "prints for each its bytes in the file and on the device, the time of a batch until its\n"
      "outputs are read, and how many times as fast as the first it is, round by round.\n"
      "The roof is the least of what the device's arithmetic and its memory allow, both\n"
      "measured first. What is read from a cache, and what only reads, may pass the roof of a\n"
      "copy. Times are wall-clock time: a busy machine shows. Device times are by\n"
      "the device's own clock, without what submitting costs. A case is left after 3 s.",
      cmd_bench },
    { "tune", "MODEL|NET|CASE ...",
      "Measures which kernels are fastest on a device for a net or operators, and keeps that.",
      "A CASE is a string as in tuff bench. Each kernel's results are held against the\n"
      "reference before its time counts. Choices lie in a file of text in the cache folder,\n"
      "one for each device, driver and version; --tune-file names another one, to be shipped\n"
      "with an app (--tune-file FILE, or the environment's TUFF_TUNE, makes use of it).",
      cmd_tune },
    { "op", "NAME --input A.npy [--input B.npy ...] [--attr KEY=VALUE ...] --output Y.npy",
      "Runs one operator on arrays in files, with ONNX's names for attributes.",
      "tuff op --list prints the operators' names, --docs their inputs and attributes too\n"
      "(docs/ops.md). Floats are rounded to the floats that an operator takes, i64 becomes\n"
      "the i32 that it takes, and no other type is changed (tuff op cast does that).\n"
      "quantize_fixed chooses its point where none is given, and says it.",
      cmd_op },
    { "compress", "MODEL --data SPEC --out FILE.tuffz",
      "Prunes a net, lets its weights share few numbers, and Huffman codes them.",
      "Deep Compression (docs/compress.md). Printed are the net before and after each step,\n"
      "and where the bytes of the file go, as the paper's tables have it.", cmd_compress },
    { "sparse", "ROWSxCOLS[xBATCH]",
      "Measures from which density on a sparse matrix is faster than a dense one.",
      "A product of a ROWS x COLS matrix by BATCH (1) vectors is timed dense and in each\n"
      "sparse form, in turns. ROWS and COLS are multiples of 16.", cmd_sparse },
    { "prune", "MODEL --sparsity X --out MODEL",
      "Makes a net smaller: zeros among its weights, or channels, neurons and layers left out.",
      "Weights become zero and stay so while the net is fine-tuned (--finetune EPOCHS). Where\n"
      "channels, neurons or layers go, the net that is written is a smaller one. What stays\n"
      "and what that costs is printed before and after. docs/compress.md tells more.",
      cmd_prune },
    { "distill", "--teacher MODEL --student NET|MODEL --data SPEC --out MODEL",
      "Trains a small net on what larger ones say of each example, beside its labels.",
      "The loss is alpha T^2 KL(teachers / T || student / T) + (1 - alpha) cross entropy with\n"
      "the labels (Hinton et al. 2015); with several --teacher the mean of what they say\n"
      "counts. --match makes layers alike, too (FitNets); --cache keeps what teachers say on\n"
      "the disk; --mutual has students teach each other, and each --student needs an --out:\n"
      "tuff distill --mutual --student A --student B --data SPEC --out a.st --out b.st.\n"
      "docs/compress.md tells more.", cmd_distill },
    { "sensitivity", "MODEL --data SPEC", "Measures how much each layer of a net can lose.",
      "One layer at a time is pruned, more and more, or rounded to fewer bits (--bits), the\n"
      "others stay as they are; the net is tested, and nothing is trained. --html FILE draws\n"
      "accuracy against sparsity, or bits.",
      cmd_sensitivity },
    { "optimize", "RECIPE",
      "Runs the steps that a file lists, each on the model that the one before it made.",
      "A recipe has a line 'data SPEC', 'model MODEL' (or a first step train), 'out MODEL',\n"
      "and a line for each step: train, prune, distill, quantize, compress or sensitivity,\n"
      "then options as that subcommand takes them. A '#' begins a comment. All lines are\n"
      "checked before the first step runs; the model is written when the last one is done.\n"
      "docs/compress.md tells more.", cmd_optimize },
};

const cli_command *cli_command_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    return NULL;
}

static int usage(FILE *out)
{
    fprintf(out, "Tuff %s trains, compresses and runs neural networks on any GPU that speaks "
                 "Vulkan.\n\nusage: tuff SUBCOMMAND [OPTIONS]\n\n", TUFF_VERSION);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\ntuff SUBCOMMAND --help says more. Environment:\n\n"
                 "  TUFF_DEVICE     the device, where --device does not say\n"
                 "  TUFF_VARIANT    a kernel by its name, for operators that have it\n"
                 "  TUFF_CHAINS     off: elementwise operators run one by one in a program\n"
                 "  TUFF_AVOID      features to leave alone, in the words of tuff devices\n"
                 "  TUFF_THREADS    threads of the CPU path\n"
                 "  TUFF_TUNE       a file of choices of kernels (tuff tune), or none\n"
                 "  TUFF_CACHE_DIR  where compiled kernels and such choices are kept\n");
    return out == stdout ? EXIT_OK : EXIT_WRONG;
}

// The library takes what is no number for 1, having nobody to tell.
static bool threads_are_a_number(void)
{
    const char *text = getenv("TUFF_THREADS");
    char *end = NULL;
    return !text || !*text || (strtol(text, &end, 10) >= 1 && !*end);
}

int main(int argc, char **argv)
{
    if (!threads_are_a_number()) {
        fprintf(stderr, "tuff: TUFF_THREADS is '%s', expected a number of threads, 1 or more\n",
                getenv("TUFF_THREADS"));
        return EXIT_WRONG;
    }
    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) return printf("tuff %s\n", TUFF_VERSION) < 0;
    // Known before anything can go wrong, because errors are JSON then too.
    for (int i = 2; i < argc; i++) cli.json |= strcmp(argv[i], "--json") == 0;
    const cli_command *command = cli_command_named(argv[1]);
    if (command) return command->run(command, argc - 2, argv + 2);
    return cli_wrong(NULL, "there is no subcommand '%s' (tuff --help lists them)", argv[1]);
}
