#include "fuzz.h"
#include "base/alloc.h"
#include "base/file.h"
#include <unistd.h>

// Through a file, as there is no other way in; at most 64 KiB come out.
FUZZ_TARGET(gzip)
{
    void *out;
    size_t n;
    char path[] = "/tmp/tuff-fuzz-XXXXXX";
    const int fd = mkstemp(path);
    FUZZ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    const tuff_status status = tuff_file_read_gz(path, 1 << 16, &out, &n);
    unlink(path);
    FUZZ_REQUIRE((status == TUFF_OK) == (out != NULL));
    FUZZ_REQUIRE(n <= 1 << 16);
    if (out) fuzz_touch(out, n + 1);
    tuff_free(out);
    return status;
}
