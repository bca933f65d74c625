// Whole files: read with a cap, and written so that a crash, a full disk or a second writer
// leaves either the old file or the new one, never half of one.
//
//   Errors   TUFF_ERR_IO with the path and the system's reason, TUFF_ERR_FORMAT (too large,
//            a damaged gzip stream), TUFF_ERR_MEMORY.
//   Threads  every function may be called from any thread; a writer belongs to one at a time.
#ifndef TUFF_BASE_FILE_H
#define TUFF_BASE_FILE_H
#include <tuff/base.h>

// Reads a whole file of at most `cap` bytes. *data gets one byte more, a zero, so that text
// ends; free it with tuff_free. On failure *data is NULL and *size 0.
TUFF_CHECK tuff_status tuff_file_read(const char *path, size_t cap, void **data, size_t *size);
// The same; a gzip file (told by its first two bytes, not its name; several members in a row
// too) is unpacked. `cap` is of the unpacked bytes, so that a small file cannot fill the
// memory. A stream that is cut, damaged or followed by something else is refused.
TUFF_CHECK tuff_status tuff_file_read_gz(const char *path, size_t cap, void **data,
                                         size_t *size);
// A file that is read by places. Its size is that at opening; one that got shorter since is
// TUFF_ERR_IO. Close accepts NULL.
typedef struct tuff_file_in {
    char *path;
    int fd;
    uint64_t size;
} tuff_file_in;
TUFF_CHECK tuff_status tuff_file_open(const char *path, tuff_file_in **in);
TUFF_CHECK tuff_status tuff_file_read_at(const tuff_file_in *in, uint64_t at, void *data,
                                         size_t size);
void tuff_file_close(tuff_file_in **in);
// Whether there is a file, or a folder, of that name.
bool tuff_file_exists(const char *path);
// The first of folder/names[i] that can be opened, written into path; false: none.
bool tuff_file_find(const char *folder, const char *const *names, size_t n, char *path,
                    size_t size);

// Replaces a file: *out writes to a temporary file beside it, which commit puts in its
// place (fsync, rename, fsync of the folder). Commit and abandon set *out to NULL; commit
// abandons when it fails, abandon deletes the temporary file and accepts NULL. When a put
// has failed, so does commit. The old file's permissions are kept, and a link is followed.
typedef struct tuff_file_out tuff_file_out;
TUFF_CHECK tuff_status tuff_file_create(const char *path, tuff_file_out **out);
TUFF_CHECK tuff_status tuff_file_put(tuff_file_out *out, const void *data, size_t size);
TUFF_CHECK tuff_status tuff_file_commit(tuff_file_out **out);
void tuff_file_abandon(tuff_file_out **out);
// The three in one.
TUFF_CHECK tuff_status tuff_file_write(const char *path, const void *data, size_t size);

// Makes a folder and those above it that are not there.
TUFF_CHECK tuff_status tuff_folder_make(const char *path);
// The path of `tail` in the folder where the library keeps what it can make again: what
// TUFF_CACHE_DIR names, else tuff in XDG_CACHE_HOME, else ~/.cache/tuff. Empty: there is none.
void tuff_cache_path(const char *tail, char *path, size_t size);
#endif
