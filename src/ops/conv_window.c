// Copies of images with pads round them.
#include "ops/conv_host.h"
#include <string.h>

tuff_window tuff_window_of(const tuff_conv *v)
{
    tuff_window w;
    for (int i = 0; i < 3; i++) {
        w.from[i] = v->x[i];
        w.lo[i] = -v->pad[i];
        w.size[i] = (v->y[i] - 1) * v->stride[i] + (v->k[i] - 1) * v->dilation[i] + 1;
    }
    return w;
}

static void copy_row(const tuff_window *w, const float *x, float *to)
{
    const tuff_span s = tuff_span_of(w->size[2], 1, w->lo[2], 0, w->from[2]);
    memset(to, 0, (size_t)s.begin * sizeof *to);
    memcpy(to + s.begin, x + w->lo[2] + s.begin, (size_t)(s.end - s.begin) * sizeof *to);
    memset(to + s.end, 0, (size_t)(w->size[2] - s.end) * sizeof *to);
}

void tuff_window_copy(const tuff_window *w, const float *x, float *to)
{
    for (int64_t i = 0; i < w->size[0]; i++)
        for (int64_t j = 0; j < w->size[1]; j++, to += w->size[2]) {
            const int64_t slice = w->lo[0] + i, row = w->lo[1] + j;
            const bool in = slice >= 0 && slice < w->from[0] && row >= 0 && row < w->from[1];
            if (in) copy_row(w, x + (slice * w->from[1] + row) * w->from[2], to);
            else memset(to, 0, (size_t)w->size[2] * sizeof *to);
        }
}
