// The table of ops, made from op_list.h.
#include "ops/ops.h"
#include <string.h>

static const tuff_op *const ops[] = {
#define X(name) &tuff_op_##name,
#include "ops/op_list.h"
#undef X
    NULL
};

int tuff_op_count(void) { return (int)(sizeof ops / sizeof *ops) - 1; }

const tuff_op *tuff_op_at(int index) { return ops[index]; }

const tuff_op *tuff_op_find(const char *name)
{
    for (int i = 0; name && i < tuff_op_count(); i++)
        if (strcmp(ops[i]->name, name) == 0) return ops[i];
    return NULL;
}
