// The drawing of `tuff sensitivity`: a line for each layer, from left to right what went of it
// (or fewer bits), upwards what the net still gets right.
#include "sensitivity_report.h"

enum { LEFT = 60, RIGHT = 640, TOP = 20, BOTTOM = 400, STEPS = 5, NAMES = RIGHT + 20 };

typedef struct plot {
    page *page;
    double low, high; // of what is drawn upwards
    double left, right; // what stands there: parts grow to the right, bits to the left
} plot;

static double at_x(const plot *p, double value)
{
    return LEFT + (RIGHT - LEFT) * (value - p->left) / (p->right - p->left);
}

static double at_y(const plot *p, double v)
{
    return BOTTOM - (BOTTOM - TOP) * (v - p->low) / (p->high - p->low);
}

static double height(const sensitivity_table *t, const tuff_metrics *m)
{
    return sensitivity_classes(t) ? m->accuracy * 100 : m->loss;
}

static void choose_axis(plot *p, const sensitivity_table *t)
{
    p->low = p->high = height(t, &t->point[0].test);
    for (int i = 0; i < t->count; i++) {
        const double v = height(t, &t->point[i].test);
        if (v < p->low) p->low = v;
        if (v > p->high) p->high = v;
    }
    if (sensitivity_classes(t)) p->low = 0, p->high = 100;
    if (!(p->high > p->low)) p->high = p->low + 1;
    p->left = t->bits ? t->point[1].value : 0;
    p->right = t->bits ? p->left : 1;
    for (int i = 1; t->bits && i < t->count; i++) {
        if (t->point[i].value > p->left) p->left = t->point[i].value;
        if (t->point[i].value < p->right) p->right = t->point[i].value;
    }
    if (p->left == p->right) p->left++;
}

static void draw_column(const plot *p, double value)
{
    const double x = at_x(p, value);
    fprintf(p->page->out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
            "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
            x, TOP, x, BOTTOM, x, BOTTOM + 16, value);
}

static void draw_grid(const plot *p, const char *name, bool bits)
{
    FILE *f = p->page->out;
    for (double bit = p->right; bits && bit <= p->left; bit++) draw_column(p, bit);
    for (int i = 0; i <= STEPS; i++) {
        const double v = p->low + (p->high - p->low) * i / STEPS;
        if (!bits) draw_column(p, (double)i / STEPS);
        fprintf(f, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                   "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
                LEFT, at_y(p, v), RIGHT, at_y(p, v), LEFT - 6, at_y(p, v) + 4, v);
    }
    fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n"
               "<text x=\"6\" y=\"12\">%s</text>\n",
            (LEFT + RIGHT) / 2, BOTTOM + 36,
            bits ? "bits of the layer's weights" : "part of the layer that went", name);
}

// One layer's line, from the net as it is, and its name in the line's colour.
static int draw_line(const plot *p, const sensitivity_table *t, int first, int line, int lines)
{
    FILE *f = p->page->out;
    const int layer = t->point[first].layer;
    const double hue = 360.0 * line / lines;
    int i = first;
    fprintf(f, "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"hsl(%.0f,65%%,45%%)\" "
               "points=\"%.1f,%.1f",
            hue, at_x(p, p->left), at_y(p, height(t, &t->point[0].test)));
    for (; i < t->count && t->point[i].layer == layer; i++)
        fprintf(f, " %.1f,%.1f", at_x(p, t->point[i].value),
                at_y(p, height(t, &t->point[i].test)));
    fprintf(f, "\"><title>");
    page_text(p->page, t->name[layer]);
    fprintf(f, "</title></polyline>\n<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"4\" "
               "fill=\"hsl(%.0f,65%%,45%%)\"/><text x=\"%d\" y=\"%d\">",
            NAMES, TOP + 16 * line, hue, NAMES + 18, TOP + 16 * line + 6);
    page_text(p->page, t->name[layer]);
    fputs("</text>\n", f);
    return i;
}

void sensitivity_plot(page *page, const sensitivity_table *t)
{
    plot p = { .page = page };
    int lines = 0, line = 0;
    for (int i = 1; i < t->count; i++) lines += t->point[i].layer != t->point[i - 1].layer;
    const int tall = TOP + 16 * lines > BOTTOM + 50 ? TOP + 16 * lines : BOTTOM + 50;
    choose_axis(&p, t);
    fprintf(page->out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 %d\" "
                       "role=\"img\" aria-label=\"Sensitivity\">\n", tall);
    draw_grid(&p, sensitivity_classes(t) ? "accuracy, %" : "loss", t->bits);
    for (int i = 1; i < t->count;) i = draw_line(&p, t, i, line++, lines);
    fputs("</svg>\n", page->out);
}
