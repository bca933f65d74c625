// Model files: weights, net and data of a model, as safetensors or .tuffz; declared in
// <tuff/train.h>.
#include "train/model_file.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include "nn/model.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 400 }; // bytes of a parameter's name with its prefix
#define VERSION "1"

// ---- writing -------------------------------------------------------------------------------

// Keeps a string until tuff_out_clear; NULL with the last error set when there is no memory.
static const char *keep(tuff_model_out *out, char *text)
{
    char **grown = text ? tuff_realloc(out->text, (size_t)out->texts + 1, sizeof *grown) : NULL;
    if (!grown) {
        tuff_free(text);
        return NULL;
    }
    out->text = grown;
    return out->text[out->texts++] = text;
}

static tuff_status add_pair(tuff_model_out *out, const char *key, const char *value)
{
    if (!value) return TUFF_ERR_MEMORY;
    tuff_pair *grown = tuff_realloc(out->pair, (size_t)out->pairs + 1, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    out->pair = grown;
    out->pair[out->pairs++] = (tuff_pair){ key, value };
    return TUFF_OK;
}

tuff_status tuff_out_pair(tuff_model_out *out, const char *key, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return add_pair(out, key, keep(out, tuff_strdup(text)));
}

tuff_status tuff_out_params(tuff_model_out *out, const tuff_model *model, const char *prefix,
                            float *flat, bool buffers)
{
    const int n = tuff_model_param_count(model);
    tuff_named_array *grown = tuff_realloc(out->array, (size_t)(out->arrays + n) + 1,
                                           sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    out->array = grown;
    for (int i = 0; i < n; i++) {
        tuff_param_info p;
        char name[NAME];
        (void)tuff_model_param(model, i, &p);
        if (p.buffer && !buffers) continue;
        snprintf(name, sizeof name, "%s%s", prefix, p.name);
        const char *kept = keep(out, tuff_strdup(name));
        if (!kept) return TUFF_ERR_MEMORY;
        out->array[out->arrays++] = (tuff_named_array){ kept, { p.desc, flat + p.offset } };
    }
    return TUFF_OK;
}

// "1.5,2,3"
static char *print_floats(const float *x, int n)
{
    char *text = tuff_alloc((size_t)n * 24 + 1, 1);
    for (int i = 0, used = 0; text && i < n; i++)
        used += sprintf(text + used, i ? ",%.9g" : "%.9g", (double)x[i]);
    return text;
}

// One name a line.
static char *print_names(const char *const *names, int n)
{
    size_t bytes = 1;
    for (int i = 0; i < n; i++) bytes += strlen(names[i]) + 1;
    char *text = tuff_alloc(bytes, 1), *at = text;
    for (int i = 0; text && i < n; i++) {
        if (i) *at++ = '\n';
        for (const char *c = names[i]; *c; c++) *at++ = *c == '\n' ? ' ' : *c;
    }
    return text;
}

tuff_status tuff_out_net(tuff_model_out *out, const char *key, const tuff_model *model)
{
    return add_pair(out, key, keep(out, tuff_strdup(tuff_model_net(model))));
}

tuff_status tuff_out_model(tuff_model_out *out, const tuff_model *model)
{
    const tuff_model_data *d = tuff_model_get_data(model);
    const tuff_desc *input = tuff_model_input(model);
    char dims[TUFF_MAX_DIMS * 24] = "";
    for (int i = 0, used = 0; i < input->rank; i++)
        used += sprintf(dims + used, i ? ",%lld" : "%lld", (long long)input->dim[i]);
    TUFF_TRY(tuff_out_pair(out, "tuff.version", "%s", VERSION));
    TUFF_TRY(tuff_out_net(out, "tuff.net", model));
    TUFF_TRY(tuff_out_pair(out, "tuff.input", "%s", dims));
    if (d->channels) {
        TUFF_TRY(add_pair(out, "tuff.scale", keep(out, print_floats(d->scale, d->channels))));
        TUFF_TRY(add_pair(out, "tuff.shift", keep(out, print_floats(d->shift, d->channels))));
    }
    if (model->loss)
        TUFF_TRY(tuff_out_pair(out, "tuff.loss", "%s", tuff_loss_name((tuff_loss)model->loss)));
    TUFF_TRY(tuff_out_pair(out, "tuff.classes", "%d", d->classes));
    if (!d->class_names) return TUFF_OK;
    const char *names = keep(out, print_names(d->class_names, d->classes));
    return add_pair(out, "tuff.class_names", names);
}

tuff_status tuff_out_write(const tuff_model_out *out, const char *path)
{
    return tuff_safetensors_write(path, out->array, out->arrays, out->pair, out->pairs);
}

void tuff_out_clear(tuff_model_out *out)
{
    for (int i = 0; i < out->texts; i++) tuff_free(out->text[i]);
    tuff_free(out->text);
    tuff_free(out->array);
    tuff_free(out->pair);
    *out = (tuff_model_out){ 0 };
}

// ---- weights to and from the host -----------------------------------------------------------

static size_t flat_count(const tuff_model *model)
{
    return (size_t)tuff_desc_count(tuff_tensor_desc(tuff_model_weights(model)));
}

tuff_status tuff_move_weights(tuff_model *model, float *flat, bool read)
{
    tuff_stream *stream;
    tuff_tensor *w = tuff_model_weights(model);
    const size_t bytes = flat_count(model) * sizeof *flat;
    TUFF_TRY(tuff_stream_create(tuff_model_device(model), &stream));
    tuff_status status = read ? tuff_tensor_read(stream, w, flat, bytes)
                              : tuff_tensor_write(stream, w, flat, bytes);
    if (status == TUFF_OK) status = tuff_stream_wait(stream);
    tuff_stream_destroy(&stream);
    return status;
}

bool tuff_is_packed_name(const char *path)
{
    static const char end[] = ".tuffz";
    const size_t n = strlen(path), m = sizeof end - 1;
    return n > m && strcmp(path + n - m, end) == 0;
}

tuff_status tuff_model_save(tuff_model *model, const char *path)
{
    tuff_model_out out = { 0 };
    tuff_status status = TUFF_OK;
    float *flat = tuff_alloc(flat_count(model), sizeof *flat);
    if (!flat) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_move_weights(model, flat, true));
    TUFF_GO(tuff_out_params(&out, model, "", flat, true));
    TUFF_GO(tuff_out_model(&out, model));
    if (tuff_is_packed_name(path))
        status = tuff_tuffz_write(path, out.array, out.arrays, out.pair, out.pairs);
    else
        status = tuff_out_write(&out, path);
exit:
    tuff_out_clear(&out);
    tuff_free(flat);
    return status;
}

// ---- reading -------------------------------------------------------------------------------

bool tuff_in_has(const tuff_safetensors *file, const char *prefix)
{
    for (int i = 0; i < tuff_safetensors_count(file); i++)
        if (strncmp(tuff_safetensors_at(file, i)->name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

tuff_status tuff_in_param(const tuff_array *a, const tuff_param_info *p, const char *name,
                          float *flat)
{
    char want[96], got[96];
    TUFF_REQUIRE(a, FORMAT, "model file: %s is missing", name);
    tuff_desc desc = a->desc;
    if (p->desc.dtype == TUFF_F32) desc.dtype = TUFF_F32; // other floats become such
    TUFF_REQUIRE(tuff_desc_equal(&desc, &p->desc), FORMAT,
                 "model file: %s is %s, the net has %s", name,
                 tuff_desc_print(&a->desc, got, sizeof got),
                 tuff_desc_print(&p->desc, want, sizeof want));
    tuff_array converted = { 0 };
    if (a->desc.dtype != desc.dtype) TUFF_TRY(tuff_array_convert(a, TUFF_F32, &converted));
    memcpy(flat + p->offset, converted.data ? converted.data : a->data, tuff_desc_bytes(&desc));
    tuff_array_clear(&converted);
    return TUFF_OK;
}

tuff_status tuff_in_params(const tuff_safetensors *file, const tuff_model *model,
                           const char *prefix, float *flat, size_t count, bool buffers)
{
    memset(flat, 0, count * sizeof *flat);
    for (int i = 0; i < tuff_model_param_count(model); i++) {
        tuff_param_info p;
        char name[NAME];
        (void)tuff_model_param(model, i, &p);
        if (p.buffer && !buffers) continue;
        snprintf(name, sizeof name, "%s%s", prefix, p.name);
        TUFF_TRY(tuff_in_param(tuff_safetensors_find(file, name), &p, name, flat));
    }
    return TUFF_OK;
}

tuff_status tuff_in_text(const tuff_safetensors *file, const char *key, const char **text)
{
    *text = tuff_safetensors_meta(file, key);
    TUFF_REQUIRE(*text, FORMAT, "model file: its metadata have no %s", key);
    return TUFF_OK;
}

static tuff_status read_int(const char *text, const char *key, int64_t min, int64_t max,
                            int64_t *value)
{
    TUFF_REQUIRE(tuff_parse_int(text, value) && *value >= min && *value <= max, FORMAT,
                 "model file: %s is '%.64s', expected a whole number from %lld to %lld", key,
                 text, (long long)min, (long long)max);
    return TUFF_OK;
}

tuff_status tuff_in_int(const tuff_safetensors *file, const char *key, int64_t min, int64_t max,
                        int64_t *value)
{
    const char *text;
    TUFF_TRY(tuff_in_text(file, key, &text));
    return read_int(text, key, min, max, value);
}

tuff_status tuff_in_float(const tuff_safetensors *file, const char *key, double *value)
{
    const char *text;
    TUFF_TRY(tuff_in_text(file, key, &text));
    TUFF_REQUIRE(tuff_parse_f64(text, strlen(text), value), FORMAT,
                 "model file: %s is '%.64s', expected a number", key, text);
    return TUFF_OK;
}

// How many batches a norm has seen, which PyTorch keeps beside its statistics and which nothing
// needs.
static bool is_count(const char *name)
{
    static const char end[] = ".num_batches_tracked";
    const size_t n = strlen(name), m = sizeof end - 1;
    return n > m && strcmp(name + n - m, end) == 0;
}

// Names that belong to no parameter of the net, under no prefix of a checkpoint. Where another
// net is trained the prefixes' names are that one's, and who resumes looks at them.
static tuff_status check_names(const tuff_safetensors *file, const tuff_model *model)
{
    static const char *const prefixes[] = { "optimizer.m.", "optimizer.v.", "optimizer.x.",
                                            "best.", "last.", "latent.", "" };
    const bool other = tuff_safetensors_meta(file, "train.net");
    for (int i = 0; i < tuff_safetensors_count(file); i++) {
        const char *name = tuff_safetensors_at(file, i)->name, *rest = name;
        for (int k = 0; rest == name && *prefixes[k]; k++)
            if (strncmp(name, prefixes[k], strlen(prefixes[k])) == 0)
                rest = name + strlen(prefixes[k]);
        bool found = is_count(rest) || (other && rest != name);
        for (int k = 0; !found && k < tuff_model_param_count(model); k++) {
            tuff_param_info p;
            found = tuff_model_param(model, k, &p) && strcmp(p.name, rest) == 0;
        }
        TUFF_REQUIRE(found, FORMAT, "model file: the net has no parameter %.64s", name);
    }
    return TUFF_OK;
}

// ---- files of either kind ------------------------------------------------------------------

// One of the two is there.
typedef struct source {
    tuff_safetensors *tensors;
    tuff_tuffz *packed;
} source;

static tuff_status open_source(const char *path, source *s)
{
    *s = (source){ 0 };
    if (tuff_tuffz_is(path)) return tuff_tuffz_open(path, &s->packed);
    return tuff_safetensors_read(path, &s->tensors);
}

static void close_source(source *s)
{
    if (s->packed) tuff_tuffz_destroy(&s->packed);
    if (s->tensors) tuff_safetensors_destroy(&s->tensors);
}

static const char *find_text(const source *s, const char *key)
{
    return s->packed ? tuff_tuffz_meta(s->packed, key) : tuff_safetensors_meta(s->tensors, key);
}

static tuff_status need_text(const source *s, const char *key, const char **text)
{
    *text = find_text(s, key);
    TUFF_REQUIRE(*text, FORMAT, "model file: its metadata have no %s", key);
    return TUFF_OK;
}

// Of all tensors.
static int64_t count_numbers(const source *s)
{
    int64_t numbers = 0;
    tuff_tuffz_tensor t;
    for (int i = 0; s->packed && tuff_tuffz_at(s->packed, i, &t); i++)
        numbers += tuff_desc_count(&t.desc);
    for (int i = 0; s->tensors && i < tuff_safetensors_count(s->tensors); i++)
        numbers += tuff_desc_count(&tuff_safetensors_at(s->tensors, i)->array.desc);
    return numbers;
}

static tuff_status read_weights(const source *s, tuff_model *model)
{
    if (s->packed) return tuff_in_packed(s->packed, model);
    TUFF_TRY(check_names(s->tensors, model));
    float *flat = tuff_alloc(flat_count(model), sizeof *flat);
    if (!flat) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_in_params(s->tensors, model, "", flat, flat_count(model), true);
    if (status == TUFF_OK) status = tuff_move_weights(model, flat, false);
    tuff_free(flat);
    return status;
}

tuff_status tuff_model_load_weights(tuff_model *model, const char *path)
{
    source s;
    TUFF_TRY(open_source(path, &s));
    const tuff_status status = read_weights(&s, model);
    close_source(&s);
    return status;
}

// Reads exactly n numbers with commas between.
static bool parse_floats(const char *text, float *x, int n)
{
    for (int i = 0; i < n; i++) {
        double v;
        const size_t length = strcspn(text, ",");
        if (!tuff_parse_f64(text, length, &v)) return false;
        x[i] = (float)v;
        text += length;
        if (*text == ',' && i + 1 == n) return false;
        if (*text) text++;
    }
    return !*text;
}

static tuff_status read_input(const source *file, tuff_desc *input)
{
    const char *text;
    TUFF_TRY(need_text(file, "tuff.input", &text));
    *input = (tuff_desc){ .dtype = TUFF_F32 };
    for (const char *at = text;; at++) {
        const size_t n = strcspn(at, ",");
        int64_t dim = 0;
        TUFF_REQUIRE(input->rank < TUFF_MAX_DIMS - 1 && tuff_parse_i64(at, n, &dim) && dim >= 1,
                     FORMAT, "model file: tuff.input is '%.64s', expected dims such as 1,28,28",
                     text);
        input->dim[input->rank++] = dim;
        at += n;
        if (!*at) return TUFF_OK;
    }
}

// Cuts a copy of the lines into names; false when there are not exactly n.
static bool cut_names(char *lines, const char **names, int n)
{
    for (int i = 0; i < n; i++) {
        names[i] = lines;
        lines += strcspn(lines, "\n");
        if (i + 1 < n ? *lines != '\n' : *lines != 0) return false;
        *lines++ = 0;
    }
    return true;
}

static tuff_status read_data(const source *file, tuff_model *model)
{
    const char *scale = find_text(file, "tuff.scale"), *shift = find_text(file, "tuff.shift");
    const char *names = find_text(file, "tuff.class_names"), *number;
    const int channels = scale || shift ? (int)tuff_model_input(model)->dim[0] : 0;
    int64_t classes;
    TUFF_TRY(need_text(file, "tuff.classes", &number));
    TUFF_TRY(read_int(number, "tuff.classes", 0, 1 << 20, &classes));
    float *numbers = tuff_alloc(2 * (size_t)channels, sizeof *numbers);
    const char **name = tuff_alloc((size_t)classes, sizeof *name);
    char *lines = tuff_strdup(names ? names : "");
    tuff_status status = numbers && name && lines ? TUFF_OK : TUFF_ERR_MEMORY;
    if (status == TUFF_OK && channels &&
        (!scale || !shift || !parse_floats(scale, numbers, channels) ||
         !parse_floats(shift, numbers + channels, channels)))
        status = tuff_fail(TUFF_ERR_FORMAT,
                           "model file: tuff.scale and tuff.shift must hold %d numbers each",
                           channels);
    if (status == TUFF_OK && names && (!classes || !cut_names(lines, name, (int)classes)))
        status = tuff_fail(TUFF_ERR_FORMAT, "model file: tuff.class_names must hold %lld lines",
                           (long long)classes);
    const tuff_model_data d = { channels, numbers, numbers ? numbers + channels : NULL,
                                (int)classes, names ? name : NULL };
    if (status == TUFF_OK) status = tuff_model_set_data(model, &d);
    tuff_free(numbers);
    tuff_free(name);
    tuff_free(lines);
    return status == TUFF_ERR_ARG ? TUFF_ERR_FORMAT : status;
}

static tuff_status read_loss(const source *file, tuff_model *model)
{
    const char *name = find_text(file, "tuff.loss");
    tuff_loss loss = TUFF_LOSS_AUTO;
    if (name) TUFF_TRY(tuff_loss_parse(name, &loss));
    model->loss = (int)loss;
    return TUFF_OK;
}

static tuff_status make_model(tuff_device *device, const source *file, tuff_model **model)
{
    const char *version;
    tuff_model_params p = { .init = { .kind = TUFF_INIT_ZEROS } };
    TUFF_TRY(need_text(file, "tuff.version", &version));
    TUFF_REQUIRE(strcmp(version, VERSION) == 0, FORMAT,
                 "model file: its version is '%.16s', this library reads %s", version, VERSION);
    TUFF_TRY(need_text(file, "tuff.net", &p.net));
    TUFF_TRY(read_input(file, &p.input));
    TUFF_TRY(tuff_model_build(device, &p, count_numbers(file), model));
    tuff_status status = read_weights(file, *model);
    if (status == TUFF_OK) status = read_loss(file, *model);
    if (status == TUFF_OK) status = read_data(file, *model);
    if (status != TUFF_OK) tuff_model_destroy(model);
    return status;
}

tuff_status tuff_model_load(tuff_device *device, const char *path, tuff_model **model)
{
    source file;
    *model = NULL;
    TUFF_TRY(open_source(path, &file));
    const tuff_status status = make_model(device, &file, model);
    close_source(&file);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    return status;
}
