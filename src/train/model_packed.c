// Weights of a .tuffz, decoded piece by piece into a model's flat tensor: host memory holds one
// piece at a time.
#include "base/status.h"
#include "nn/model.h"
#include "train/model_file.h"
#include <string.h>

typedef struct target {
    tuff_model *model;
    const tuff_param *param;
} target;

static tuff_status upload(void *user, size_t at, const void *data, size_t size)
{
    const target *t = user;
    tuff_tensor *view;
    const int64_t offset = t->param->offset + (int64_t)(at / sizeof(float));
    TUFF_TRY(tuff_tensor_view(t->model->weights, offset,
                              TUFF_SHAPE(TUFF_U8, (int64_t)size), &view));
    const tuff_status status = tuff_tensor_write(t->model->stream, view, data, size);
    tuff_tensor_destroy(&view);
    return status;
}

static tuff_status read_param(const tuff_tuffz *file, tuff_model *model, const tuff_param *p)
{
    char want[96], got[96];
    tuff_tuffz_tensor t;
    target to = { model, p };
    const int i = tuff_tuffz_find(file, p->name);
    TUFF_REQUIRE(tuff_tuffz_at(file, i, &t), FORMAT, "model file: %s is missing", p->name);
    TUFF_REQUIRE(tuff_desc_equal(&t.desc, &p->desc), FORMAT,
                 "model file: %s is %s, the net has %s", p->name,
                 tuff_desc_print(&t.desc, got, sizeof got),
                 tuff_desc_print(&p->desc, want, sizeof want));
    return tuff_tuffz_read(file, i, upload, &to, NULL);
}

static tuff_status check_names(const tuff_tuffz *file, const tuff_model *model)
{
    tuff_tuffz_tensor t;
    for (int i = 0; tuff_tuffz_at(file, i, &t); i++) {
        bool found = false;
        for (int k = 0; !found && k < model->params; k++)
            found = strcmp(model->param[k].name, t.name) == 0;
        TUFF_REQUIRE(found, FORMAT, "model file: the net has no parameter %.64s", t.name);
    }
    return TUFF_OK;
}

tuff_status tuff_in_packed(const tuff_tuffz *file, tuff_model *model)
{
    TUFF_TRY(check_names(file, model));
    for (int i = 0; i < model->params; i++)
        TUFF_TRY(read_param(file, model, &model->param[i]));
    return tuff_stream_wait(model->stream);
}
