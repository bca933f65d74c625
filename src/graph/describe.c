// What a program does, in lines of text: `tuff info --plan`.
#include "graph/program.h"
#include <stdio.h>
#include <string.h>

typedef void (*line_fn)(void *user, const char *text);

static double step_bytes(const tuff_graph *g, const tuff_step *s)
{
    double bytes = 0;
    for (int i = 0; i < s->nin; i++)
        if (s->in[i]) bytes += (double)tuff_desc_bytes(&g->values[s->in[i]].desc);
    for (int i = 0; i < s->nout; i++)
        bytes += (double)tuff_desc_bytes(&g->values[s->out[i]].desc);
    return bytes;
}

static void describe_step(const tuff_program *p, int s, line_fn line, void *user)
{
    const tuff_graph *g = p->graph;
    const tuff_step *step = &g->steps[s];
    const tuff_step_plan *plan = &p->steps[s];
    char in[96] = "", out[96], text[400], launches[16] = "once";
    if (!plan->once) snprintf(launches, sizeof launches, "%d", plan->launches);
    if (step->in[0]) tuff_desc_print(&g->values[step->in[0]].desc, in, sizeof in);
    const int o = step->op ? step->out[0] : step->in[0];
    tuff_desc_print(&g->values[o].desc, out, sizeof out);
    tuff_cost cost = { .bytes = step_bytes(g, step) };
    if (step->op) {
        const tuff_call c = tuff_step_call(g, step);
        cost = tuff_call_cost(&c);
    }
    char variant[64];
    snprintf(variant, sizeof variant, "%s%s", plan->variant, plan->tuned ? "*" : "");
    snprintf(text, sizeof text, "%4d  %-20s %-28s -> %-28s %-13s %4s  %10.1f  %10.3f", s,
             step->op ? step->op->name : "store", in, out, variant, launches,
             cost.bytes / 1024, cost.flops / 1e6);
    const size_t used = strlen(text);
    const tuff_chain *chain = step->op ? tuff_chain_of(step->op) : NULL;
    if (chain) snprintf(text + used, sizeof text - used, "  %s", chain->doc);
    line(user, text);
}

void tuff_program_describe(const tuff_program *p, line_fn line, void *user)
{
    char text[400];
    snprintf(text, sizeof text, "step  %-20s %-28s    %-28s %-13s %4s  %10s  %10s", "op",
             "first input", "output", "variant", "n", "KiB", "MFLOP");
    line(user, text);
    for (int s = 0; s < p->graph->nsteps; s++) describe_step(p, s, line, user);
    int tuned = 0;
    for (int s = 0; s < p->graph->nsteps; s++) tuned += p->steps[s].tuned;
    if (tuned) {
        snprintf(text, sizeof text, "* %d of the variants were measured to be the fastest "
                 "(tuff tune)", tuned);
        line(user, text);
    }
    const tuff_program_stats *t = &p->stats;
    snprintf(text, sizeof text,
             "%d ops (%d fused into their producer), %d kernels a run and %d done once, "
             "%.3f MFLOP a run",
             t->ops, t->fused, t->launches, t->prepared, t->flops / 1e6);
    line(user, text);
    if (t->blocked) {
        snprintf(text, sizeof text, "%d images in blocks of 4 channels, %d of them also in "
                 "planes", t->blocked, t->conversions);
        line(user, text);
    }
    snprintf(text, sizeof text, "peak memory %.1f KiB (%.1f KiB without reuse), one submission",
             (double)t->planned / 1024, (double)t->unshared / 1024);
    line(user, text);
}
