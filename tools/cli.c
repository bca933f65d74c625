#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

cli_common cli;

static const cli_option common_options[] = {
    { "device", CLI_TEXT, &cli.device, "D",
      "auto, cpu, vulkan:N, or a part of a device's name (see: tuff devices)" },
    { "seed", CLI_INT, &cli.seed, "N", "of every random choice; the default is 0" },
    { "quiet", CLI_FLAG, &cli.quiet, NULL, "no notes and no progress" },
    { "json", CLI_FLAG, &cli.json, NULL, "one JSON object on stdout" },
    { "help", CLI_FLAG, NULL, NULL, "this text" },
    { NULL, CLI_FLAG, NULL, NULL, NULL },
};

// ---- messages ------------------------------------------------------------------------------

static int put_json(cJSON *json, int status)
{
    char *text = json ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (!text) return cli_wrong(NULL, "out of memory");
    const bool written = puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    if (!written) return cli_wrong(NULL, "stdout: %s", strerror(errno));
    return status;
}

int cli_wrong(const cli_command *self, const char *format, ...)
{
    static bool said; // only the first of several makes the JSON object
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_bar_end();
    const char *where = cli.caught ? cli.caught->where : NULL;
    if (where) fprintf(stderr, "%s: %s\n", where, text);
    else fprintf(stderr, "tuff%s%s: %s\n", self ? " " : "", self ? self->name : "", text);
    if (!(cli.caught ? cli.caught->json : cli.json) || said) return EXIT_WRONG;
    said = true;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "error", text);
    if (where) cJSON_AddStringToObject(json, "where", where);
    return put_json(json, EXIT_WRONG);
}

// The library names the step, which is often the subcommand's name: once is enough.
int cli_error(const cli_command *self)
{
    const char *text = tuff_last_error();
    const size_t n = self ? strlen(self->name) : 0;
    const bool twice = n && strncmp(text, self->name, n) == 0 &&
                       strncmp(text + n, ": ", 2) == 0;
    return cli_wrong(self, "%s", twice ? text + n + 2 : text);
}

void cli_note(const char *format, ...)
{
    if (cli.quiet) return;
    va_list args;
    va_start(args, format);
    cli_bar_end();
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

// ---- help ----------------------------------------------------------------------------------

static void print_options(const cli_option *options)
{
    for (const cli_option *o = options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        const char *help = o->help;
        printf("  %-22s ", left);
        for (size_t n; *help; help += n + (help[n] == '\n')) {
            n = strcspn(help, "\n");
            printf("%s%.*s\n", help == o->help ? "" : "                         ", (int)n,
                   help);
        }
    }
}

static int print_help(const cli_command *self, const cli_option *options)
{
    printf("usage: tuff %s %s\n%s\n", self->name, self->args, self->summary);
    if (self->text) printf("\n%s\n", self->text);
    printf("\noptions:\n");
    print_options(options);
    print_options(common_options);
    return EXIT_OK;
}

// ---- parsing -------------------------------------------------------------------------------

static const cli_option *find(const cli_option *options, const char *name, size_t length)
{
    for (const cli_option *o = options; o && o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
    return NULL;
}

static int set_value(const cli_command *self, const cli_option *o, const char *text)
{
    char *end = NULL;
    errno = 0;
    switch (o->kind) {
    case CLI_FLAG: *(bool *)o->value = true; return -1;
    case CLI_TEXT: *(const char **)o->value = text; return -1;
    case CLI_LIST: {
        cli_list *list = o->value;
        if (list->count == CLI_ITEMS)
            return cli_wrong(self, "--%s may be given %d times", o->name, CLI_ITEMS);
        list->item[list->count++] = text;
        return -1;
    }
    case CLI_INT:
        *(int64_t *)o->value = strtoll(text, &end, 10);
        if (errno || end == text || *end)
            return cli_wrong(self, "--%s takes a whole number, not '%s'", o->name, text);
        return -1;
    case CLI_REAL:
        *(double *)o->value = strtod(text, &end);
        if (errno || end == text || *end || !isfinite(*(double *)o->value))
            return cli_wrong(self, "--%s takes a number, not '%s'", o->name, text);
        return -1;
    }
    return -1;
}

// One option at argv[*i]; moves *i over its value.
static int parse_option(const cli_command *self, const cli_option *options, int argc,
                        char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const size_t length = strcspn(name, "=");
    if (length == 4 && memcmp(name, "help", 4) == 0) return print_help(self, options);
    const cli_option *o = find(options, name, length);
    if (!o) o = find(common_options, name, length);
    if (!o)
        return cli_wrong(self, "there is no option --%.*s (tuff %s --help lists them)",
                         (int)length, name, self->name);
    if (o->kind == CLI_FLAG) {
        if (name[length]) return cli_wrong(self, "--%s takes no value", o->name);
        return set_value(self, o, NULL);
    }
    if (name[length]) return set_value(self, o, name + length + 1);
    if (*i + 1 >= argc) return cli_wrong(self, "--%s needs a value: %s", o->name, o->arg);
    return set_value(self, o, argv[++*i]);
}

static void print_log(void *user, int level, const char *line)
{
    (void)user;
    if (level <= 1 && (level == 0 || !cli.quiet)) {
        cli_bar_end();
        fprintf(stderr, "tuff: %s\n", line);
    }
}

// The library reads the file's name from the environment, for every device that is opened.
static int use_tune_file(const cli_command *self)
{
    tuff_tune_mode mode = TUFF_TUNE_OFF;
    if (cli.tune && tuff_tune_parse(cli.tune, &mode) != TUFF_OK)
        return cli_wrong(self, "--tune: %s", tuff_last_error());
    if (!cli.tune_file) return EXIT_OK;
    const bool none = strcmp(cli.tune_file, "none") == 0;
    if (!none && mode == TUFF_TUNE_OFF && access(cli.tune_file, R_OK) != 0)
        return cli_wrong(self, "--tune-file: %s: %s", cli.tune_file, strerror(errno));
    if (setenv("TUFF_TUNE", cli.tune_file, 1) != 0)
        return cli_wrong(self, "--tune-file: %s", strerror(errno));
    return EXIT_OK;
}

int cli_parse(const cli_command *self, const cli_option *options, int argc, char **argv,
              cli_list *words)
{
    bool only_words = false;
    words->count = 0;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] == '-') {
            const int status = parse_option(self, options, argc, argv, &i);
            if (status >= 0) return status;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            return cli_wrong(self, "there is no option %s (options begin with two dashes)",
                             argv[i]);
        } else {
            if (words->count == CLI_ITEMS) return cli_wrong(self, "too many words");
            words->item[words->count++] = argv[i];
        }
    }
    tuff_log_set(print_log, NULL);
    return use_tune_file(self) == EXIT_OK ? -1 : EXIT_WRONG;
}

// ---- output --------------------------------------------------------------------------------

int cli_print_json(cJSON *json, int status)
{
    if (!cli.caught) return put_json(json, status);
    cJSON_Delete(cli.caught->object);
    cli.caught->object = json;
    return status;
}

bool cli_sample(const cli_command *self, const char *text, tuff_desc *d)
{
    *d = TUFF_SCALAR(TUFF_F32);
    const char *at = text;
    for (char *end; *at; at = *end ? end + 1 : end) {
        const long long n = strtoll(at, &end, 10);
        if (end == at || (*end && *end != ',' && *end != 'x') || (*end && !end[1]) || n < 1 ||
            d->rank == TUFF_MAX_DIMS - 1)
            break;
        d->dim[d->rank++] = n;
    }
    if (d->rank > 0 && !*at) return true;
    (void)cli_wrong(self, "--input takes the sizes of a sample, like 3x32x32, not '%s'", text);
    return false;
}

const char *cli_bytes(uint64_t bytes, char *text, size_t size)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    int u = 0;
    for (; value >= 1024 && u < 4; u++) value /= 1024;
    snprintf(text, size, u && value < 100 ? "%.1f %s" : "%.0f %s", value, unit[u]);
    return text;
}

static bool bar_shown;

void cli_bar(double fraction, const char *format, ...)
{
    enum { WIDTH = 30 };
    if (cli.quiet || !isatty(STDERR_FILENO)) return;
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int full = (int)(fmin(fmax(fraction, 0), 1) * WIDTH + 0.5);
    fprintf(stderr, "\r[%.*s%*s] %3d %%  %s\033[K", full, "##############################",
            WIDTH - full, "", (int)(fraction * 100 + 0.5), text);
    fflush(stderr);
    bar_shown = true;
}

void cli_bar_end(void)
{
    if (!bar_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar_shown = false;
}

static bool is_gpu(tuff_device *device)
{
    const tuff_device_type type = tuff_device_get_info(device)->type;
    return type != TUFF_DEVICE_CPU && type != TUFF_DEVICE_SOFTWARE;
}

static void show_candidate(void *user, const char *text)
{
    (void)user;
    cli_bar(0, "%.100s", text);
}

int cli_tune(const cli_command *self, tuff_device *device)
{
    tuff_tune_params p = { .on_candidate = show_candidate, .again = cli.tune_again };
    if (!cli.tune && cli.tune_pays && is_gpu(device)) p.mode = TUFF_TUNE_QUICK;
    if (cli.tune && tuff_tune_parse(cli.tune, &p.mode) != TUFF_OK)
        return cli_wrong(self, "--tune: %s", tuff_last_error());
    if (tuff_tune_set(device, &p) != TUFF_OK) return cli_error(self);
    return EXIT_OK;
}

tuff_device *cli_open_device(const cli_command *self)
{
    tuff_device *device = NULL;
    if (cli.caught && cli.caught->check) {
        cli.caught->right = true;
        return NULL;
    }
    if (tuff_device_open(cli.device, &device) != TUFF_OK) (void)cli_error(self);
    else if (cli_tune(self, device) != EXIT_OK) tuff_device_close(&device);
    return device;
}

// ---- one in another ------------------------------------------------------------------------

int cli_run(const cli_command *command, int argc, char **argv, cli_caught *caught)
{
    const cli_common before = cli;
    caught->json = before.json;
    cli.json = true;
    cli.caught = caught;
    const int status = command->run(command, argc, argv);
    cli = before;
    return status;
}
