// The table of ops, made from op_list.h, and what is added to it at run time.
#include "ops/ops.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const tuff_op *const built_in[] = {
#define X(name) &tuff_op_##name,
#include "ops/op_list.h"
#undef X
    NULL
};

enum { BUILT_IN = sizeof built_in / sizeof *built_in - 1, MOST = 256 };

// Those that were added: the list only grows, so that readers need no lock.
static const tuff_op *added[MOST];
static atomic_int added_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int tuff_op_count(void) { return BUILT_IN + atomic_load(&added_count); }

const tuff_op *tuff_op_at(int index)
{
    return index < BUILT_IN ? built_in[index] : added[index - BUILT_IN];
}

const tuff_op *tuff_op_find(const char *name)
{
    for (int i = 0; name && i < tuff_op_count(); i++)
        if (strcmp(tuff_op_at(i)->name, name) == 0) return tuff_op_at(i);
    return NULL;
}

static tuff_status add(const tuff_op *op)
{
    const int count = atomic_load(&added_count);
    TUFF_REQUIRE(!tuff_op_find(op->name), ARG, "there is an op named '%s' already", op->name);
    TUFF_REQUIRE(count < MOST, LIMIT, "%d operators were added, more are not taken", MOST);
    added[count] = op;
    atomic_store(&added_count, count + 1);
    return TUFF_OK;
}

tuff_status tuff_registry_add(const tuff_op *op)
{
    pthread_mutex_lock(&lock);
    const tuff_status status = add(op);
    pthread_mutex_unlock(&lock);
    return status;
}
