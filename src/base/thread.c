#include "base/thread.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

// One loop at a time is shared. Workers sleep between loops (they never spin), wake when
// `generation` changes, and take pieces off `next` until there are none. A worker that wakes
// when the caller has done it all is not waited for: it finds the loop closed.
enum {
    MOST_THREADS = 64,
    PIECES_A_THREAD = 4,
    EVEN = 64,           // pieces of long loops are multiples of this, so that no two of them
    LONG = EVEN * 1024   // write into one cache line
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    pthread_mutex_t turn; // held by the caller whose loop is shared
    pthread_once_t once;
    int threads; // callers included
    unsigned long generation;
    bool open;   // the loop may be joined
    int busy;    // workers inside it
    void (*fn)(void *, size_t, size_t);
    void *arg;
    size_t n, piece;
    atomic_size_t next;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
           .done = PTHREAD_COND_INITIALIZER, .turn = PTHREAD_MUTEX_INITIALIZER,
           .once = PTHREAD_ONCE_INIT, .threads = 1 };

static _Thread_local bool inside;

static void take_pieces(void)
{
    inside = true;
    for (;;) {
        const size_t begin = atomic_fetch_add(&pool.next, pool.piece);
        if (begin >= pool.n) break;
        pool.fn(pool.arg, begin, begin + pool.piece < pool.n ? begin + pool.piece : pool.n);
    }
    inside = false;
}

static void *worker(void *unused)
{
    (void)unused;
    unsigned long seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.generation == seen) pthread_cond_wait(&pool.wake, &pool.lock);
        seen = pool.generation;
        if (!pool.open) continue;
        pool.busy++;
        pthread_mutex_unlock(&pool.lock);
        take_pieces();
        pthread_mutex_lock(&pool.lock);
        if (--pool.busy == 0) pthread_cond_signal(&pool.done);
    }
    return NULL;
}

static void start(void)
{
    const char *text = getenv("TUFF_THREADS");
    long want = text && *text ? strtol(text, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);
    if (want < 1) want = 1;
    if (want > MOST_THREADS) want = MOST_THREADS;
    for (long i = 1; i < want; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, NULL) != 0) break;
        pthread_detach(thread);
        pool.threads++;
    }
}

int tuff_thread_count(void)
{
    pthread_once(&pool.once, start);
    return pool.threads;
}

void tuff_parallel_for(size_t n, void (*fn)(void *arg, size_t begin, size_t end), void *arg)
{
    const int threads = n > 1 && !inside ? tuff_thread_count() : 1;
    if (threads == 1) {
        if (n) fn(arg, 0, n);
        return;
    }
    pthread_mutex_lock(&pool.turn);
    pthread_mutex_lock(&pool.lock);
    const size_t pieces = (size_t)threads * PIECES_A_THREAD;
    pool.fn = fn;
    pool.arg = arg;
    pool.n = n;
    pool.piece = (n + pieces - 1) / pieces;
    if (n >= LONG) pool.piece = (pool.piece + EVEN - 1) / EVEN * EVEN;
    atomic_store(&pool.next, 0);
    pool.open = true;
    pool.generation++;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    take_pieces();
    pthread_mutex_lock(&pool.lock);
    pool.open = false;
    while (pool.busy) pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    pthread_mutex_unlock(&pool.turn);
}
