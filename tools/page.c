#include "page.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;"
    "color:#222;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}"
    "table{border-collapse:collapse;font-size:13px}th,td{text-align:left;padding:2px 12px 2px "
    "0;border-bottom:1px solid #ddd;vertical-align:top}td.n,th.n{text-align:right}"
    ".bad{color:#b00020;font-weight:600}.good{color:#1b6e3c}code,pre{font:13px ui-monospace,"
    "monospace}pre{background:#f4f4f4;padding:.6em;overflow-x:auto}"
    "svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#222}"
    ".grid{stroke:#ddd}.roof{stroke:#b00020;stroke-width:2;fill:none}.dot{fill:#1f5fa8}"
    "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:"
    "#444}pre{background:#262626}.bad{color:#ff6f7d}.good{color:#6fce93}svg text{fill:#ddd}"
    ".grid{stroke:#444}.roof{stroke:#ff6f7d}.dot{fill:#7ab4f5}}";

void page_text(page *p, const char *text)
{
    if (!p->out) return;
    for (const char *s = text; *s; s++) {
        if (*s == '&') fputs("&amp;", p->out);
        else if (*s == '<') fputs("&lt;", p->out);
        else if (*s == '>') fputs("&gt;", p->out);
        else if (*s == '"') fputs("&quot;", p->out);
        else fputc(*s, p->out);
    }
}

void page_open(page *p, const char *file, const char *title, const tuff_device_info *info)
{
    *p = (page){ .file = file };
    if (snprintf(p->part, sizeof p->part, "%s.part", file) >= (int)sizeof p->part) {
        errno = ENAMETOOLONG;
        return;
    }
    p->out = fopen(p->part, "w");
    if (!p->out) return;
    fprintf(p->out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"/>"
                    "<meta name=\"viewport\" content=\"width=device-width\"/><title>%s: ",
            title);
    page_text(p, info->name);
    fprintf(p->out, "</title><style>%s</style>\n<h1>", style);
    page_text(p, info->name);
}

void page_fact(page *p, const char *name, const char *value)
{
    if (!p->out) return;
    fprintf(p->out, "<tr><th>%s</th><td>", name);
    page_text(p, value);
    fputs("</td></tr>\n", p->out);
}

void page_facts(page *p, const tuff_device_info *info)
{
    if (!p->out) return;
    fputs("</h1>\n<table>\n", p->out);
    page_fact(p, "Device", info->name);
    page_fact(p, "Vendor", info->vendor);
    page_fact(p, "Driver", info->driver);
    if (info->api[0]) page_fact(p, "Vulkan", info->api);
    if (info->features[0]) page_fact(p, "Features used", info->features);
}

void page_date(page *p)
{
    char when[64];
    const time_t now = time(NULL);
    struct tm parts;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &parts));
    page_fact(p, "Date", when);
    if (p->out) fputs("</table>\n", p->out);
}

bool page_close(page *p, char *problem, size_t size)
{
    int error = errno;
    bool ok = p->out != NULL;
    if (ok) {
        fputs("</html>\n", p->out);
        ok = fflush(p->out) == 0 && !ferror(p->out) && fsync(fileno(p->out)) == 0;
        if (!ok) error = errno;
        if (fclose(p->out) != 0 && ok) ok = false, error = errno;
        if (ok && rename(p->part, p->file) != 0) ok = false, error = errno;
        if (!ok) remove(p->part);
    }
    if (!ok) snprintf(problem, size, "%s cannot be written: %s", p->file, strerror(error));
    return ok;
}
