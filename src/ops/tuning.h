// What was measured on a device: for each op and class of shapes the candidate that was
// fastest, and those whose results were wrong. tuff_select asks it before it goes by the order
// of an op's variants (select.c); the tuner fills it (tune.c); it lies in a file of text:
//
//   Tuff tuning 1
//   device   llvmpipe (LLVM 15.0.6, 256 bits)        one fact a line, tabs between the words
//   driver   ...
//   choice   matmul  f32:1024x1024 f32:1024x1024  packed  -  0  41234.5  full
//   wrong    softmax f32:256x1024~                group   -  128
//   auto     CPU path (...), 8 threads, 0.1.0     2.53
//   end      3
//
// A choice says op, class, variant, way, group (tuff_candidate), microseconds of a call and how
// thoroughly it was measured; `auto` by how many times the CPU path is faster than the device.
// The file is replaced whole, after what another process wrote to it in the meantime was taken
// in. One that is cut, damaged, or of another device, driver or version is passed over.
//
//   Threads  a table may be used from several threads.
#ifndef TUFF_OPS_TUNING_H
#define TUFF_OPS_TUNING_H
#include "ops/op.h"
#include <pthread.h>
#include <tuff/tune.h>

typedef struct tuff_tuning tuff_tuning;

enum { TUFF_CLASS_TEXT = 512, TUFF_TUNED_NAME = 48 }; // bytes, the final 0 included

// A line of a table. `way` is "" where there is none.
typedef struct tuff_tuned {
    char op[TUFF_TUNED_NAME], variant[TUFF_TUNED_NAME], way[TUFF_TUNED_NAME];
    char class[TUFF_CLASS_TEXT];
    uint32_t group;
    double us;   // of a call
    bool full;   // measured thoroughly
    bool wrong;  // its results were wrong: it is never chosen
} tuff_tuned;

// The class of a call: types, dims and params as in a case string, where dims over 16 stand for
// the nearest power of two, or one and a half of one ("~" behind those that are no multiple of
// 4), and params that are real numbers or seeds do not count. "=" stands behind what is the
// same in every run. Returns its length; the text is cut when it does not fit.
size_t tuff_tuning_class(const tuff_call *c, char *text, size_t size);

// An empty table for a device of this description; `path` is its file, "" or NULL for none.
// `own` tells whether the file is one that the library named itself, so that it may replace
// what is foreign there.
tuff_status tuff_tuning_create(const tuff_device_info *info, const char *path, bool own,
                               tuff_tuning **t);
void tuff_tuning_destroy(tuff_tuning **t);
// Nothing is in it: no need to ask.
bool tuff_tuning_empty(tuff_tuning *t);
// The choice for an op and class. NULL table: none.
bool tuff_tuning_find(tuff_tuning *t, const char *op, const char *class, tuff_tuned *found);
// Whether this candidate was wrong there.
bool tuff_tuning_is_wrong(tuff_tuning *t, const char *op, const char *class,
                          const char *variant, const char *way, uint32_t group);
// Puts a line in, in the place of the choice that is there. A choice known to be wrong is not
// taken. TUFF_ERR_MEMORY; TUFF_ERR_LIMIT: the table is full.
tuff_status tuff_tuning_put(tuff_tuning *t, const tuff_tuned *line);
// The same of a line from a file: what this process measured stays.
tuff_status tuff_tuning_merge(tuff_tuning *t, const tuff_tuned *line);
// The i-th line, in no order; false: there are not so many.
bool tuff_tuning_at(tuff_tuning *t, int i, tuff_tuned *line);

// What `auto` measured, 0: nothing, or with another CPU path.
double tuff_tuning_auto(tuff_tuning *t, const char *cpu);
tuff_status tuff_tuning_put_auto(tuff_tuning *t, const char *cpu, double faster);

// ---- the file (tuning_file.c) ------------------------------------------------------------

// The table's file in the cache folder, or "" where there is no such folder.
void tuff_tuning_path(const tuff_device_info *info, char *path, size_t size);
// Takes in the lines of a text of `size` bytes; those measured by this process stay. *count
// receives how many choices it holds. Nothing is taken in unless all can be.
// Fails: TUFF_ERR_FORMAT (cut or damaged, by the line's number), TUFF_ERR_STATE (of another
// device, driver or version), TUFF_ERR_MEMORY.
tuff_status tuff_tuning_read(tuff_tuning *t, const char *text, size_t size, int *count);
// The text of the whole table, to be freed with tuff_free; NULL: out of memory.
char *tuff_tuning_print(tuff_tuning *t, size_t *size);
// Reads a file; one that is not good is noted, and that is all. *count receives its choices.
// Fails: TUFF_ERR_MEMORY.
tuff_status tuff_tuning_load(tuff_tuning *t, const char *path, int *count);
// Takes in what is in the file now, and replaces it. Fails: TUFF_ERR_IO, TUFF_ERR_MEMORY,
// TUFF_ERR_STATE (it is of another device, and not the library's own).
tuff_status tuff_tuning_save(tuff_tuning *t, const char *path);

// ---- inside ------------------------------------------------------------------------------

struct tuff_tuning {
    pthread_mutex_t lock;
    tuff_device_info info;
    char path[1024];
    bool own;          // the path
    struct tuff_tuned_entry {
        uint64_t hash; // of op and class
        bool fresh;    // measured by this process
        tuff_tuned line;
    } **entry;
    int count, capacity;
    char cpu[320];     // what `auto` was measured against, "": it was not
    double faster;
    bool dirty;        // there is something to be saved
    // The tuner's (tune.c).
    tuff_tune_params params;
    double left;       // seconds that may still be spent
    double slowest;    // seconds that the slowest candidate took so far
    tuff_tune_stats stats;
};
#endif
