#include "finetune.h"
#include <stdio.h>

static bool on_step(void *user, const tuff_progress *p)
{
    (void)user;
    cli_bar((double)p->step / (double)p->steps, "epoch %d/%d", p->epoch, p->epochs);
    return true;
}

static bool on_epoch(void *user, const tuff_epoch *e)
{
    (void)user;
    char text[96];
    cli_bar_end();
    cli_note("epoch %d/%d  loss %.4f  %.1f s%s%s", e->epoch, e->epochs, e->train.loss,
             e->train.seconds, e->test.examples ? "  |  test " : "",
             e->test.examples ? report_line(&e->test, text, sizeof text) : "");
    return true;
}

int finetune_read(const cli_command *self, const finetune *f, tuff_train_params *p)
{
    *p = (tuff_train_params){ .seed = (uint64_t)cli.seed, .slim = (float)f->slim,
                              .on_step = on_step, .on_epoch = on_epoch };
    if (f->epochs < 0 || f->epochs > INT32_MAX)
        return cli_wrong(self, "--finetune is a number of epochs, not %lld",
                         (long long)f->epochs);
    if (f->batch < 0 || f->batch > INT32_MAX)
        return cli_wrong(self, "--batch is at least 1, not %lld", (long long)f->batch);
    if (cli_given(f->lr) && !(f->lr > 0))
        return cli_wrong(self, "--lr is a number larger than 0, not %g", f->lr);
    p->epochs = (int)f->epochs;
    p->batch = (int)f->batch;
    if (cli_given(f->lr)) p->optimizer.lr = (float)f->lr;
    p->optimizer.weight_decay = (float)f->weight_decay;
    p->optimizer.l1 = (float)f->l1;
    if (tuff_optimizer_parse(f->optimizer, &p->optimizer.kind) != TUFF_OK ||
        tuff_schedule_parse(f->schedule, &p->schedule) != TUFF_OK ||
        tuff_augment_parse(f->augment, &p->augment) != TUFF_OK ||
        tuff_gradients_parse(f->gradients, &p->gradients) != TUFF_OK ||
        tuff_precision_parse(f->precision, &p->precision) != TUFF_OK)
        return cli_error(self);
    return -1;
}
