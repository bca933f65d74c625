// The drawing of `tuff bench`: what the device can do at most, and where the cases are.
#include "bench_report.h"
#include <math.h>

// Both axes are logarithmic, in whole decades: operations a byte to the right, GFLOP/s up.
typedef struct plot {
    FILE *f;
    double low_x, high_x, low_y, high_y; // powers of ten
} plot;
enum { LEFT = 60, RIGHT = 860, TOP = 20, BOTTOM = 440 };

static double at_x(const plot *p, double v)
{
    return LEFT + (RIGHT - LEFT) * (log10(v) - p->low_x) / (p->high_x - p->low_x);
}

static double at_y(const plot *p, double v)
{
    return BOTTOM - (BOTTOM - TOP) * (log10(v) - p->low_y) / (p->high_y - p->low_y);
}

// A case without arithmetic has no place here, nor has one whose bytes nobody counted.
static bool has_place(const tuff_bench_result *r) { return r->flops > 0 && r->bytes > 0; }
// The peaks but for that of memory, which is the last.
static const bench_peak *arithmetic_at(int i)
{
    return bench_peak_at(i + 1) ? bench_peak_at(i) : NULL;
}

static double gflops(const tuff_bench_result *r) { return r->flops / r->wall.median * 1e-9; }

static void choose_axes(plot *p, const bench_table *t)
{
    double low_x = 0.1, high_x = 100, low_y = t->roof.f32 * 1e-9, high_y = low_y;
    const bench_peak *peak;
    for (int i = 0; (peak = arithmetic_at(i)); i++)
        high_y = fmax(high_y, bench_peak_of(&t->roof, peak) * 1e-9);
    low_y = fmin(low_y, t->roof.copy * 1e-10);
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->entry[i].r;
        if (!has_place(r)) continue;
        low_x = fmin(low_x, r->flops / r->bytes);
        high_x = fmax(high_x, r->flops / r->bytes);
        low_y = fmin(low_y, gflops(r));
        high_y = fmax(high_y, gflops(r));
    }
    p->low_x = floor(log10(low_x)), p->high_x = ceil(log10(high_x) + 0.01);
    p->low_y = floor(log10(low_y)), p->high_y = ceil(log10(high_y) + 0.01);
}

static void draw_grid(const plot *p)
{
    for (double d = p->low_x; d <= p->high_x; d++) {
        const double x = at_x(p, pow(10, d));
        fprintf(p->f, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                      "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                x, TOP, x, BOTTOM, x, BOTTOM + 16, pow(10, d));
    }
    for (double d = p->low_y; d <= p->high_y; d++) {
        const double y = at_y(p, pow(10, d));
        fprintf(p->f, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                      "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                LEFT, y, RIGHT, y, LEFT - 6, y + 4, pow(10, d));
    }
    fprintf(p->f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations a byte</text>\n"
                  "<text x=\"6\" y=\"12\">GFLOP/s</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 36);
}

// From where memory's line meets the edge, up to the peak, and level from there.
static void draw_roof(const plot *p, double copy, double peak, const char *name)
{
    if (!(peak > 0)) return;
    double from = pow(10, p->low_x);
    const double knee = peak / copy, to = pow(10, p->high_x);
    const double level = at_y(p, peak * 1e-9);
    if (from * copy * 1e-9 < pow(10, p->low_y)) from = pow(10, p->low_y) / (copy * 1e-9);
    fprintf(p->f, "<polyline class=\"roof\" points=\"");
    if (knee > from) fprintf(p->f, "%.1f,%.1f %.1f,%.1f ", at_x(p, from),
                             at_y(p, from * copy * 1e-9), at_x(p, fmin(knee, to)),
                             at_y(p, fmin(knee, to) * copy * 1e-9));
    if (knee < to) fprintf(p->f, "%.1f,%.1f", (double)RIGHT, level);
    fprintf(p->f, "\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s, %.4g</text>\n",
            RIGHT, level - 5, name, peak * 1e-9);
}

static void draw_dots(page *page, const plot *p, const bench_table *t)
{
    for (int i = 0; i < t->count; i++) {
        const tuff_bench_result *r = &t->entry[i].r;
        if (!has_place(r)) continue;
        const double x = at_x(p, r->flops / r->bytes), y = at_y(p, gflops(r));
        fprintf(p->f, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", x, y);
        page_text(page, r->text);
        fprintf(p->f, "</title></circle><text x=\"%.1f\" y=\"%.1f\">%d</text>\n", x + 6, y + 4,
                i + 1);
    }
}

void bench_plot(page *page, const bench_table *t)
{
    plot p = { .f = page->out };
    const bench_peak *peak;
    choose_axes(&p, t);
    fprintf(p.f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 490\" "
                 "role=\"img\" aria-label=\"Roofline\">\n");
    draw_grid(&p);
    for (int i = 0; (peak = arithmetic_at(i)); i++)
        draw_roof(&p, t->roof.copy, bench_peak_of(&t->roof, peak), peak->name);
    draw_dots(page, &p, t);
    fputs("</svg>\n", p.f);
}
