// What the examples share: every failure of the library ends the program with its sentence.
#ifndef TUFF_EXAMPLES_EXAMPLE_H
#define TUFF_EXAMPLES_EXAMPLE_H
#include <stdio.h>
#include <stdlib.h>
#include <tuff/tuff.h>

#define DO(call)                                                                \
    do {                                                                        \
        if ((call) != TUFF_OK) {                                                \
            fprintf(stderr, "%s\n", tuff_last_error());                         \
            exit(2);                                                            \
        }                                                                       \
    } while (0)

// n normal numbers from the library's counter-based generator: the same on every machine.
static inline void normals(tuff_stream *s, uint64_t seed, int n, float *out)
{
    tuff_tensor *t;
    DO(tuff_tensor_create(tuff_stream_device(s), TUFF_SHAPE(TUFF_F32, n), &t));
    DO(tuff_random_normal(s, t, &(tuff_random_params){ .seed = seed }));
    DO(tuff_tensor_read(s, t, out, (size_t)n * sizeof *out));
    tuff_tensor_destroy(&t);
}
#endif
