// What `tuff sensitivity` found, and its drawing.
#ifndef TUFF_TOOLS_SENSITIVITY_REPORT_H
#define TUFF_TOOLS_SENSITIVITY_REPORT_H
#include "page.h"
#include <tuff/compress.h>

// Points as they came: the net as it is, then layer by layer.
typedef struct sensitivity_table {
    tuff_sensitivity_point *point;
    int count;
    const char **name; // of each layer of the net: "3 dense 10"
    bool bits;         // of weights that are rounded; else the parts that went
} sensitivity_table;

static inline bool sensitivity_classes(const sensitivity_table *t)
{
    return t->point[0].test.accuracy >= 0;
}
void sensitivity_plot(page *page, const sensitivity_table *t);
#endif
