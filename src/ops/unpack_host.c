// See unpack_host.h.
#include "ops/unpack_host.h"

enum { PANEL = TUFF_PANEL, COLS = TUFF_UNPACK_COLS, PART = TUFF_PART };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void tuff_unpack_run(const tuff_unpack *u, int64_t col)
{
    const int64_t cols = least(u->n - col, COLS);
    float numbers[COLS][PART], panels[PART * COLS];
    tuff_finish f = u->finish;
    if (f.plus) f.plus += col * f.plus_n;
    if (f.residual) f.residual += col;
    tuff_tiles t = { .a_m = u->k, .a_six = TUFF_PANEL_ROWS * u->k, .a_k = 1, .b = panels,
                     .b_k = PANEL, .rows = u->rows, .cols = cols, .y = u->y + col,
                     .y_m = u->n, .finish = &f };
    for (int64_t at = 0; at < u->k; at += PART) {
        t.depth = least(u->k - at, PART);
        t.b_panel = t.depth * PANEL;
        t.first = at == 0;
        t.last = at + PART >= u->k;
        t.a = u->x + at;
        u->numbers(u->w, col, cols, at, t.depth, numbers);
        for (int64_t j = 0; j < cols; j += PANEL)
            tuff_panel_pack(numbers[j], 1, PART, t.depth, least(cols - j, PANEL),
                            panels + j * t.depth);
        tuff_tiles_add(&t);
    }
}
