#include "base/file.h"
#include "base/alloc.h"
#include "base/status.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static tuff_status io_error(const char *verb, const char *path)
{
    return tuff_fail(TUFF_ERR_IO, "%s could not be %s: %s", path, verb, strerror(errno));
}

// ---- reading -------------------------------------------------------------------------------

// A block that grows up to a cap, and always has room for one byte more.
struct growing {
    const char *path;
    uint8_t *data;
    size_t size, room, cap;
};

static tuff_status too_large(const struct growing *g)
{
    return tuff_fail(TUFF_ERR_FORMAT, "%s is too large: expected at most %zu bytes", g->path,
                     g->cap);
}

// Makes room for more bytes: `hint` bytes at first, then twice as many each time. Room past
// the cap by one byte is how an oversized file is noticed.
static tuff_status grow(struct growing *g, size_t hint)
{
    size_t room = g->room ? g->room * 2 : hint;
    if (room < 4096) room = 4096;
    if (room > g->cap) room = g->cap + 1;
    uint8_t *data = tuff_realloc(g->data, room + 1, 1);
    if (!data) return TUFF_ERR_MEMORY;
    g->data = data;
    g->room = room;
    return TUFF_OK;
}

static tuff_status read_some(int fd, const char *path, void *data, size_t size, size_t *got)
{
    ssize_t n;
    *got = 0;
    do {
        n = read(fd, data, size < (1u << 30) ? size : (1u << 30));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return io_error("read", path);
    *got = (size_t)n;
    return TUFF_OK;
}

static tuff_status read_plain(int fd, struct growing *g, const uint8_t *head, size_t nhead)
{
    struct stat info;
    const bool known = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    if (known && (uint64_t)info.st_size > g->cap) return too_large(g);
    // One byte more than the size is asked for, so that the end is met without growing.
    TUFF_TRY(grow(g, known ? (size_t)info.st_size + 1 : 1 << 16));
    if (nhead) memcpy(g->data, head, nhead);
    g->size = nhead;
    for (;;) {
        size_t got;
        TUFF_TRY(read_some(fd, g->path, g->data + g->size, g->room - g->size, &got));
        if (got == 0) return TUFF_OK;
        g->size += got;
        if (g->size > g->cap) return too_large(g);
        if (g->size == g->room) TUFF_TRY(grow(g, 0));
    }
}

static tuff_status damaged(const struct growing *g, const char *what)
{
    return tuff_fail(TUFF_ERR_FORMAT, "%s is a damaged gzip file: %s", g->path, what);
}

// Unpacks what z->next_in holds, into the block; *end says whether a member has ended.
static tuff_status inflate_some(z_stream *z, struct growing *g, bool *end)
{
    for (*end = false; !*end;) {
        if (g->size == g->room) TUFF_TRY(grow(g, 1 << 20));
        const size_t room = g->room - g->size;
        z->next_out = g->data + g->size;
        z->avail_out = (uInt)(room < (1u << 30) ? room : (1u << 30));
        const uInt before = z->avail_out;
        const int code = inflate(z, Z_NO_FLUSH);
        g->size += before - z->avail_out;
        if (code == Z_MEM_ERROR)
            return tuff_fail(TUFF_ERR_MEMORY, "out of memory while unpacking %s", g->path);
        if (code == Z_BUF_ERROR) break; // it needs more input
        if (code != Z_OK && code != Z_STREAM_END)
            return damaged(g, z->msg ? z->msg : "its data cannot be unpacked");
        if (g->size > g->cap) return too_large(g);
        *end = code == Z_STREAM_END;
    }
    return TUFF_OK;
}

static tuff_status read_gzip(int fd, struct growing *g, uint8_t *in, size_t size, size_t got)
{
    tuff_status status = TUFF_OK;
    z_stream z = { .next_in = in, .avail_in = (uInt)got };
    bool end = false; // a member has ended, and nothing of another was read
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return tuff_fail(TUFF_ERR_MEMORY, "out of memory while unpacking %s", g->path);
    for (;;) {
        if (z.avail_in == 0) {
            TUFF_GO(read_some(fd, g->path, in, size, &got));
            if (got == 0) break;
            z.next_in = in;
            z.avail_in = (uInt)got;
        }
        if (end) inflateReset(&z); // another member follows
        TUFF_GO(inflate_some(&z, g, &end));
    }
    if (!end) status = damaged(g, "it ends too early");
    // An empty file inside leaves no block yet.
    if (status == TUFF_OK && !g->data) status = grow(g, 0);
exit:
    inflateEnd(&z);
    return status;
}

static tuff_status read_file(const char *path, size_t cap, bool unpack, void **data,
                             size_t *size)
{
    tuff_status status = TUFF_OK;
    struct growing g = { .path = path, .cap = cap < SIZE_MAX / 4 ? cap : SIZE_MAX / 4 };
    uint8_t *in = NULL;
    const size_t chunk = 1 << 16;
    size_t got = 0;
    *data = NULL;
    *size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error("opened", path);
    if (unpack) {
        in = tuff_alloc(chunk, 1);
        if (!in) {
            status = TUFF_ERR_MEMORY;
            goto exit;
        }
        TUFF_GO(read_some(fd, path, in, chunk, &got));
    }
    if (got >= 2 && in[0] == 0x1f && in[1] == 0x8b)
        TUFF_GO(read_gzip(fd, &g, in, chunk, got));
    else if (got > g.cap)
        TUFF_GO(too_large(&g));
    else
        TUFF_GO(read_plain(fd, &g, in, got));
    g.data[g.size] = 0;
    *data = g.data;
    *size = g.size;
    g.data = NULL;
exit:
    close(fd);
    tuff_free(in);
    tuff_free(g.data);
    return status;
}

tuff_status tuff_file_read(const char *path, size_t cap, void **data, size_t *size)
{
    return read_file(path, cap, false, data, size);
}

tuff_status tuff_file_read_gz(const char *path, size_t cap, void **data, size_t *size)
{
    return read_file(path, cap, true, data, size);
}

tuff_status tuff_file_open(const char *path, tuff_file_in **in)
{
    struct stat info;
    *in = NULL;
    tuff_file_in *f = tuff_alloc(1, sizeof *f);
    if (!f) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    f->path = tuff_strdup(path);
    f->fd = f->path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (!f->path) TUFF_GO(TUFF_ERR_MEMORY);
    if (f->fd < 0 || fstat(f->fd, &info) != 0) TUFF_GO(io_error("opened", path));
    if (!S_ISREG(info.st_mode))
        TUFF_GO(tuff_fail(TUFF_ERR_IO, "%s could not be read: it is not a file", path));
    f->size = (uint64_t)info.st_size;
    *in = f;
    f = NULL;
exit:
    tuff_file_close(&f);
    return status;
}

tuff_status tuff_file_read_at(const tuff_file_in *in, uint64_t at, void *data, size_t size)
{
    uint8_t *to = data;
    while (size > 0) {
        const ssize_t n = pread(in->fd, to, size < (1u << 30) ? size : (1u << 30), (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error("read", in->path);
        TUFF_REQUIRE(n > 0, IO, "%s could not be read: it ends at byte %llu", in->path,
                     (unsigned long long)at);
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return TUFF_OK;
}

void tuff_file_close(tuff_file_in **in)
{
    if (!*in) return;
    if ((*in)->fd >= 0) close((*in)->fd);
    tuff_free((*in)->path);
    tuff_free(*in);
    *in = NULL;
}

bool tuff_file_exists(const char *path) { return access(path, F_OK) == 0; }

bool tuff_file_find(const char *folder, const char *const *names, size_t n, char *path,
                    size_t size)
{
    for (size_t i = 0; i < n; i++) {
        const int length = snprintf(path, size, "%s/%s", folder, names[i]);
        if (length > 0 && (size_t)length < size && access(path, R_OK) == 0) return true;
    }
    return false;
}

// ---- writing -------------------------------------------------------------------------------

struct tuff_file_out {
    char *path, *temporary;
    int fd;
    bool failed;
};

// Opens a file of a name that nobody else has, beside the one it will replace.
static tuff_status open_temporary(tuff_file_out *out)
{
    static atomic_uint serial;
    const size_t room = strlen(out->path) + 48;
    out->temporary = tuff_alloc(room, 1);
    if (!out->temporary) return TUFF_ERR_MEMORY;
    for (int attempt = 0; attempt < 1000 && out->fd < 0; attempt++) {
        snprintf(out->temporary, room, "%s.%ld-%u.tmp", out->path, (long)getpid(),
                 atomic_fetch_add(&serial, 1));
        out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (out->fd < 0 && errno != EEXIST) break;
    }
    if (out->fd >= 0) return TUFF_OK;
    // The file is not this writer's to delete.
    tuff_free(out->temporary);
    out->temporary = NULL;
    return io_error("written", out->path);
}

tuff_status tuff_file_create(const char *path, tuff_file_out **out)
{
    tuff_status status = TUFF_OK;
    struct stat old;
    *out = NULL;
    const bool exists = stat(path, &old) == 0;
    if (exists && !S_ISREG(old.st_mode))
        return tuff_fail(TUFF_ERR_IO, "%s could not be written: it is not a file", path);
    tuff_file_out *o = tuff_alloc(1, sizeof *o);
    if (!o) return TUFF_ERR_MEMORY;
    o->fd = -1;
    char *real = exists ? realpath(path, NULL) : NULL;
    o->path = tuff_strdup(real ? real : path);
    free(real);
    if (!o->path) {
        status = TUFF_ERR_MEMORY;
        goto exit;
    }
    TUFF_GO(open_temporary(o));
    if (exists && fchmod(o->fd, old.st_mode & 07777) != 0) TUFF_GO(io_error("written", path));
    *out = o;
    o = NULL;
exit:
    tuff_file_abandon(&o);
    return status;
}

tuff_status tuff_file_put(tuff_file_out *out, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0 && !out->failed) {
        const ssize_t n = write(out->fd, from, size < (1u << 30) ? size : (1u << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            out->failed = true;
            return io_error("written", out->path);
        }
        from += n;
        size -= (size_t)n;
    }
    if (out->failed)
        return tuff_fail(TUFF_ERR_IO, "%s could not be written: an earlier part was not",
                         out->path);
    return TUFF_OK;
}

// Makes the new name last: without it a power cut may bring the old folder back. Some file
// systems cannot sync a folder (EINVAL); there is nothing more to do on those.
static tuff_status sync_folder(const char *path)
{
    char *folder = tuff_strdup(path);
    if (!folder) return TUFF_ERR_MEMORY;
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    const int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tuff_free(folder);
    const bool ok = fd < 0 || fsync(fd) == 0 || errno == EINVAL;
    const tuff_status status = ok ? TUFF_OK : io_error("written", path);
    if (fd >= 0) close(fd);
    return status;
}

tuff_status tuff_file_commit(tuff_file_out **out)
{
    tuff_status status = TUFF_OK;
    tuff_file_out *o = *out;
    TUFF_GO(tuff_file_put(o, NULL, 0));
    if (fsync(o->fd) != 0) TUFF_GO(io_error("written", o->path));
    const int closed = close(o->fd);
    o->fd = -1;
    if (closed != 0) TUFF_GO(io_error("written", o->path));
    if (rename(o->temporary, o->path) != 0) TUFF_GO(io_error("replaced", o->path));
    tuff_free(o->temporary); // it has its final name
    o->temporary = NULL;
    status = sync_folder(o->path);
exit:
    tuff_file_abandon(out);
    return status;
}

void tuff_file_abandon(tuff_file_out **out)
{
    tuff_file_out *o = *out;
    if (!o) return;
    if (o->fd >= 0) close(o->fd);
    if (o->temporary) unlink(o->temporary);
    tuff_free(o->temporary);
    tuff_free(o->path);
    tuff_free(o);
    *out = NULL;
}

tuff_status tuff_file_write(const char *path, const void *data, size_t size)
{
    tuff_status status = TUFF_OK;
    tuff_file_out *out = NULL;
    TUFF_TRY(tuff_file_create(path, &out));
    TUFF_GO(tuff_file_put(out, data, size));
    status = tuff_file_commit(&out);
exit:
    tuff_file_abandon(&out);
    return status;
}

tuff_status tuff_folder_make(const char *path)
{
    tuff_status status = TUFF_OK;
    char *copy = tuff_strdup(path);
    if (!copy) return TUFF_ERR_MEMORY;
    for (char *p = copy + (*copy == '/');; p++) {
        const char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) TUFF_GO(io_error("made", copy));
        *p = c;
        if (c == '\0') break;
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        status = tuff_fail(TUFF_ERR_IO, "%s could not be made: it is not a folder", path);
exit:
    tuff_free(copy);
    return status;
}

void tuff_cache_path(const char *tail, char *path, size_t size)
{
    const char *own = getenv("TUFF_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    path[0] = '\0';
    int n = 0;
    if (own && own[0])
        n = snprintf(path, size, "%s/%s", own, tail);
    else if (xdg && xdg[0] == '/') // the specification ignores relative ones
        n = snprintf(path, size, "%s/tuff/%s", xdg, tail);
    else if (home && home[0])
        n = snprintf(path, size, "%s/.cache/tuff/%s", home, tail);
    if (n < 0 || (size_t)n >= size) path[0] = '\0';
}
