// A report as a page that needs nothing else: it can be mailed, and opened anywhere.
#ifndef TUFF_TOOLS_PAGE_H
#define TUFF_TOOLS_PAGE_H
#include <stdbool.h>
#include <stdio.h>
#include <tuff/tuff.h>

// A page is written to FILE.part, which takes FILE's place when all of it is on the disk.
typedef struct page {
    FILE *out; // what is written goes here; NULL when it could not be created
    char part[4096];
    const char *file;
} page;

// Writes the head, up to an <h1> that shows the device's name and is left open.
void page_open(page *p, const char *file, const char *title, const tuff_device_info *info);
// Ends the <h1> and opens a table of facts with what is known of the device.
void page_facts(page *p, const tuff_device_info *info);
// A row of it; the last is the date, behind which the table ends.
void page_fact(page *p, const char *name, const char *value);
void page_date(page *p);
// Text with what HTML reads as marks written as names.
void page_text(page *p, const char *text);
// Puts the page in its place; false: a sentence is in `problem`, and no file is left.
bool page_close(page *p, char *problem, size_t size);
#endif
