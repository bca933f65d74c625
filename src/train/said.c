// The file is safetensors: "logits", f32 [examples, classes], and in its metadata what they are
// of: digests of the teachers (net, weights, how they normalise; of several the temperature,
// too, which their mean depends on), of the examples, and of the logits themselves.
#include "train/said.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "data/dataset.h"
#include "nn/model.h"
#include "train/model_file.h"
#include <stdio.h>
#include <string.h>

struct tuff_said {
    tuff_array logits; // [examples, classes]
    float *batch;      // room for those of one
    int64_t width;
};

// What a file says it is of, as text.
typedef struct identity {
    char teachers[48], examples[48];
} identity;

// ---- what it is of -------------------------------------------------------------------------

static tuff_status digest_model(tuff_model *m, uint64_t *h)
{
    const tuff_model_data *d = &m->data;
    float *flat = tuff_alloc((size_t)m->flat, sizeof *flat);
    if (!flat) return TUFF_ERR_MEMORY;
    const tuff_status status = tuff_move_weights(m, flat, true);
    *h = tuff_digest(*h, m->text, strlen(m->text) + 1);
    *h = tuff_digest(*h, d->scale, (size_t)d->channels * sizeof *d->scale);
    *h = tuff_digest(*h, d->shift, (size_t)d->channels * sizeof *d->shift);
    for (int i = 0; status == TUFF_OK && i < m->params; i++) // not the gaps between
        *h = tuff_digest(*h, flat + m->param[i].offset, tuff_desc_bytes(&m->param[i].desc));
    tuff_free(flat);
    return status;
}

static tuff_status identify(const tuff_teach *teach, const tuff_dataset *data, identity *id)
{
    uint64_t h = TUFF_DIGEST_START;
    for (int k = 0; k < teach->teachers; k++) TUFF_TRY(digest_model(teach->teacher[k], &h));
    if (teach->teachers > 1) h = tuff_digest(h, &teach->temperature, sizeof(float));
    snprintf(id->teachers, sizeof id->teachers, "%d %016llx", teach->teachers,
             (unsigned long long)h);
    snprintf(id->examples, sizeof id->examples, "%lld %016llx",
             (long long)tuff_dataset_get_info(data)->count[TUFF_TRAIN],
             (unsigned long long)tuff_dataset_digest(data, TUFF_TRAIN));
    return TUFF_OK;
}

static void digest_logits(const tuff_said *s, char text[24])
{
    const size_t bytes = tuff_desc_bytes(&s->logits.desc);
    snprintf(text, 24, "%016llx",
             (unsigned long long)tuff_digest(TUFF_DIGEST_START, s->logits.data, bytes));
}

// ---- asking --------------------------------------------------------------------------------

typedef struct asking {
    tuff_program *program;
    tuff_var x, logits;
    size_t x_bytes, y_bytes;
} asking;

static tuff_desc batch_of(const tuff_desc *sample, int64_t count)
{
    tuff_desc d = { .dtype = sample->dtype, .rank = sample->rank + 1, .dim = { count } };
    memcpy(d.dim + 1, sample->dim, (size_t)sample->rank * sizeof *d.dim);
    return d;
}

static tuff_status make_program(const tuff_model *student, const tuff_teach *teach, int batch,
                                asking *a)
{
    const tuff_desc in = batch_of(tuff_model_input(student), batch);
    const tuff_desc out = batch_of(tuff_model_output(student), batch);
    tuff_graph *g;
    tuff_status status = TUFF_OK;
    TUFF_TRY(tuff_graph_create(&g));
    a->x_bytes = tuff_desc_bytes(&in);
    a->y_bytes = tuff_desc_bytes(&out);
    a->x = tuff_graph_input(g, "x", in);
    TUFF_GO(tuff_emit_teachers(g, student, teach, a->x, NULL, &a->logits));
    tuff_graph_output(g, "logits", a->logits);
    TUFF_GO(tuff_program_create(tuff_model_device(student), g, NULL, &a->program));
exit:
    tuff_graph_destroy(&g);
    return status;
}

// A last batch that is smaller is filled up with zeros by the loader: its rows are what counts.
static tuff_status ask(tuff_said *s, const tuff_model *student, const tuff_teach *teach,
                       const tuff_dataset *data, int batch)
{
    asking a = { .program = NULL };
    tuff_loader *loader = NULL;
    tuff_batch b;
    float *to = s->logits.data;
    tuff_status status = TUFF_OK;
    TUFF_GO(make_program(student, teach, batch, &a));
    TUFF_GO(tuff_loader_create(data, &(tuff_loader_params){ .batch = batch, .epochs = 1 },
                               &loader));
    for (tuff_loader_next(loader, &b); b.count; tuff_loader_next(loader, &b)) {
        TUFF_GO(tuff_program_write(a.program, a.x, b.x, a.x_bytes));
        TUFF_GO(tuff_program_run(a.program));
        TUFF_GO(tuff_program_read(a.program, a.logits, s->batch, a.y_bytes));
        memcpy(to, s->batch, (size_t)(b.count * s->width) * sizeof *to);
        to += b.count * s->width;
    }
exit:
    tuff_loader_destroy(&loader);
    tuff_program_destroy(&a.program);
    return status;
}

// ---- the file ------------------------------------------------------------------------------

static tuff_status write_file(const tuff_said *s, const identity *id, const char *path)
{
    char logits[24];
    digest_logits(s, logits);
    const tuff_named_array array = { "logits", s->logits };
    const tuff_pair meta[] = { { "said.teachers", id->teachers },
                               { "said.examples", id->examples },
                               { "said.logits", logits } };
    return tuff_safetensors_write(path, &array, 1, meta, 3);
}

static tuff_status take(tuff_said *s, const tuff_safetensors *file, const identity *id,
                        const char *path)
{
    const tuff_array *a = tuff_safetensors_find(file, "logits");
    const char *teachers = tuff_safetensors_meta(file, "said.teachers");
    const char *examples = tuff_safetensors_meta(file, "said.examples");
    const char *digest = tuff_safetensors_meta(file, "said.logits");
    char whole[24];
    TUFF_REQUIRE(a && teachers && examples && digest, FORMAT,
                 "%s: no cache of what teachers say", path);
    TUFF_REQUIRE(strcmp(teachers, id->teachers) == 0, ARG,
                 "distill: the cache %s is of another teacher: name another file, or remove "
                 "it", path);
    TUFF_REQUIRE(strcmp(examples, id->examples) == 0, ARG,
                 "distill: the cache %s is of other training examples: name another file, or "
                 "remove it", path);
    TUFF_REQUIRE(tuff_desc_equal(&a->desc, &s->logits.desc), FORMAT,
                 "%s: its logits have another shape than the teacher's", path);
    memcpy(s->logits.data, a->data, tuff_desc_bytes(&a->desc));
    digest_logits(s, whole);
    TUFF_REQUIRE(strcmp(digest, whole) == 0, FORMAT, "%s: its logits are damaged", path);
    return TUFF_OK;
}

static tuff_status read_file(tuff_said *s, const identity *id, const char *path)
{
    tuff_safetensors *file;
    TUFF_TRY(tuff_safetensors_read(path, &file));
    const tuff_status status = take(s, file, id, path);
    tuff_safetensors_destroy(&file);
    return status;
}

// ---- the whole -----------------------------------------------------------------------------

tuff_status tuff_said_open(const tuff_model *student, const tuff_teach *teach,
                           const tuff_dataset *data, int batch, tuff_said **said)
{
    const int64_t n = tuff_dataset_get_info(data)->count[TUFF_TRAIN];
    identity id;
    tuff_status status = TUFF_OK;
    *said = NULL;
    tuff_said *s = tuff_alloc(1, sizeof *s);
    if (!s) return TUFF_ERR_MEMORY;
    s->width = tuff_desc_count(tuff_model_output(student));
    s->batch = tuff_alloc((size_t)(batch * s->width), sizeof *s->batch);
    if (!s->batch) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_array_init(&s->logits, TUFF_SHAPE(TUFF_F32, n, s->width)));
    TUFF_GO(identify(teach, data, &id));
    if (tuff_file_exists(teach->cache)) TUFF_GO(read_file(s, &id, teach->cache));
    else {
        TUFF_GO(ask(s, student, teach, data, batch));
        TUFF_GO(write_file(s, &id, teach->cache));
    }
    *said = s;
    s = NULL;
exit:
    tuff_said_destroy(&s);
    return status;
}

void tuff_said_destroy(tuff_said **said)
{
    if (!*said) return;
    tuff_array_clear(&(*said)->logits);
    tuff_free((*said)->batch);
    tuff_free(*said);
    *said = NULL;
}

tuff_status tuff_said_give(tuff_said *s, tuff_trainer *t, const tuff_batch *b)
{
    const float *logits = s->logits.data;
    for (int i = 0; i < b->count; i++)
        memcpy(s->batch + i * s->width, logits + b->example[i] * s->width,
               (size_t)s->width * sizeof *logits);
    return tuff_trainer_say(t, s->batch, b->count);
}
