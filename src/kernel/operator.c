// What is done with a kernel: running, recording, checking, registering.
#include "base/status.h"
#include "graph/graph.h"
#include "kernel/kernel.h"
#include "ops/check.h"

tuff_status tuff_kernel_run(tuff_stream *s, const tuff_kernel *kernel,
                            const tuff_tensor *const in[], int nin, tuff_tensor *const out[],
                            int nout, const void *params)
{
    TUFF_REQUIRE(kernel, ARG, "the kernel to run is NULL");
    return tuff_run(s, &kernel->op, in, nin, out, nout, params);
}

void tuff_graph_kernel(tuff_graph *g, const tuff_kernel *kernel, const tuff_var *in, int nin,
                       const void *params, tuff_var *out, int nout)
{
    for (int i = 0; i < nout; i++) out[i] = (tuff_var){ 0 };
    if (g->tape.status != TUFF_OK) return;
    if (!kernel) g->tape.status = tuff_fail(TUFF_ERR_ARG, "graph: the kernel is NULL");
    else tuff_graph_record(g, &kernel->op, in, nin, params, out, nout);
}

tuff_status tuff_kernel_check(tuff_device *device, const tuff_kernel *kernel,
                              const tuff_check_params *p, tuff_check_fn fn, void *user)
{
    static const tuff_check_params defaults;
    TUFF_REQUIRE(device && kernel, ARG, "the device or the kernel to check is NULL");
    const tuff_op *op = &kernel->op;
    TUFF_REQUIRE(op->ref, ARG, "%s: it has no reference to be judged by", op->name);
    TUFF_REQUIRE(op->cases[0], ARG, "%s: it has no cases", op->name);
    TUFF_REQUIRE(op->variants[0].name || tuff_device_caps(device)->cpu, UNSUPPORTED,
                 "%s: it has no kernel, only a reference in C that the CPU path runs",
                 op->name);
    tuff_check_count count = { 0 };
    TUFF_TRY(tuff_check_op(device, op, op, p ? p : &defaults, 0, fn, user, &count));
    TUFF_REQUIRE(!count.failed, CHECK, "%s: %d of %d cases failed, the first is \"%s\"",
                 op->name, count.failed, count.run, count.first);
    return TUFF_OK;
}

tuff_status tuff_kernel_register(tuff_kernel **kernel)
{
    TUFF_REQUIRE(kernel && *kernel, ARG, "the kernel to register is NULL");
    TUFF_REQUIRE((*kernel)->op.ref, ARG, "%s: it has no reference, which an operator needs",
                 (*kernel)->op.name);
    TUFF_TRY(tuff_registry_add(&(*kernel)->op));
    *kernel = NULL;
    return TUFF_OK;
}
