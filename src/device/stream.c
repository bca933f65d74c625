// Eager streams. A stream owns a ring of lists: it records into one while earlier ones run.
//
//   slot 0  submitted, running      slot 2  open: commands and uploads are recorded here
//   slot 1  submitted, waiting      slot 3  empty
//
// Each slot has its own piece of staging memory, so that the ring of lists is the ring of
// staging memory as well: when a slot is reused its work is done, and so are its copies.
#include "base/alloc.h"
#include "device/impl.h"
#include <string.h>

enum {
    SLOTS = 4,
    LONG_LIST = 64,      // commands after which a list is submitted by itself
    STAGING_FIRST = 1 << 20, // bytes; grows to STAGING_MOST where an upload needs it
    STAGING_MOST = 8 << 20
};

typedef struct slot {
    tuff_cmd *cmd;
    tuff_buffer *staging;
    size_t staged; // bytes of staging memory in use by this list
} slot;

struct tuff_stream {
    tuff_device *dev;
    slot slot[SLOTS];
    int open;         // the slot that is recorded into
    tuff_ticket last; // last submission
};

tuff_status tuff_stream_create(tuff_device *device, tuff_stream **stream)
{
    TUFF_REQUIRE(device && stream, ARG, "stream create: device or stream is NULL");
    *stream = NULL;
    tuff_stream *s = tuff_alloc(1, sizeof *s);
    if (!s) return TUFF_ERR_MEMORY;
    s->dev = device;
    *stream = s;
    return TUFF_OK;
}

void tuff_stream_destroy(tuff_stream **stream)
{
    if (!stream || !*stream) return;
    tuff_stream *s = *stream;
    *stream = NULL;
    if (tuff_stream_wait(s) != TUFF_OK)
        tuff_log(0, "a stream ended with an error: %s", tuff_last_error());
    for (int i = 0; i < SLOTS; i++) {
        tuff_cmd_destroy(&s->slot[i].cmd);
        tuff_buffer_release(&s->slot[i].staging);
    }
    tuff_free(s);
}

tuff_device *tuff_stream_device(const tuff_stream *stream) { return stream->dev; }

// Empties a slot whose list was submitted; waits for it. An open list stays as it is.
static tuff_status recycle(slot *at)
{
    if (!at->cmd || !at->cmd->ticket) return TUFF_OK;
    at->staged = 0;
    return tuff_cmd_reset(at->cmd);
}

// Commands recorded and not yet submitted; a slot that comes around again still holds a list
// that was.
static int recorded(const slot *at)
{
    return at->cmd && !at->cmd->ticket ? at->cmd->length : 0;
}

tuff_status tuff_stream_flush(tuff_stream *s)
{
    slot *at = &s->slot[s->open];
    if (!recorded(at)) return TUFF_OK;
    const tuff_status status = tuff_device_submit(s->dev, &at->cmd, 1, &s->last);
    if (status != TUFF_OK) {
        // What could not be submitted is dropped, so that the stream stays usable. The
        // sentence about the first failure is the one to keep.
        at->staged = 0;
        if (status != TUFF_ERR_LOST) (void)tuff_cmd_reset(at->cmd);
        return status;
    }
    s->open = (s->open + 1) % SLOTS;
    // Lists that are done by now give back what they kept alive.
    for (int i = 0; i < SLOTS; i++)
        if (s->slot[i].cmd && tuff_device_done(s->dev, s->slot[i].cmd->ticket))
            TUFF_TRY(recycle(&s->slot[i]));
    return TUFF_OK;
}

// The open slot, ready to be recorded into.
static tuff_status open_slot(tuff_stream *s, slot **open)
{
    if (recorded(&s->slot[s->open]) >= LONG_LIST) TUFF_TRY(tuff_stream_flush(s));
    slot *at = &s->slot[s->open];
    if (!at->cmd) TUFF_TRY(tuff_cmd_create(s->dev, false, &at->cmd));
    TUFF_TRY(recycle(at));
    *open = at;
    return TUFF_OK;
}

tuff_status tuff_stream_cmd(tuff_stream *s, tuff_cmd **cmd)
{
    slot *at;
    TUFF_TRY(open_slot(s, &at));
    *cmd = at->cmd;
    return TUFF_OK;
}

tuff_status tuff_stream_wait(tuff_stream *s)
{
    TUFF_TRY(tuff_stream_flush(s));
    TUFF_TRY(tuff_device_wait(s->dev, s->last));
    for (int i = 0; i < SLOTS; i++) TUFF_TRY(recycle(&s->slot[i]));
    return TUFF_OK;
}

// Finds room for up to `size` bytes of staging memory in the open slot; *got says how many.
static tuff_status stage(tuff_stream *s, size_t size, slot **open, size_t *got)
{
    slot *at;
    TUFF_TRY(open_slot(s, &at));
    size_t have = at->staging ? at->staging->size : 0;
    if (have - at->staged < size && recorded(at)) {
        TUFF_TRY(tuff_stream_flush(s));
        TUFF_TRY(open_slot(s, &at));
        have = at->staging ? at->staging->size : 0;
    }
    if (have < size && have < STAGING_MOST && at->staged == 0) {
        size_t want = STAGING_FIRST;
        while (want < size && want < STAGING_MOST) want *= 2;
        tuff_buffer_release(&at->staging);
        TUFF_TRY(tuff_buffer_create_host(s->dev, want, &at->staging));
        have = want;
    }
    *got = size < have - at->staged ? size : have - at->staged;
    *open = at;
    return TUFF_OK;
}

tuff_status tuff_stream_upload(tuff_stream *s, tuff_range to, const void *data)
{
    if (to.buffer->map && tuff_buffer_idle(to.buffer)) {
        memcpy((char *)to.buffer->map + to.offset, data, to.size);
        tuff_buffer_touch(to.buffer);
        return TUFF_OK;
    }
    for (size_t done = 0; done < to.size;) {
        slot *at;
        size_t n;
        TUFF_TRY(stage(s, to.size - done, &at, &n));
        memcpy((char *)at->staging->map + at->staged, (const char *)data + done, n);
        const tuff_range from = { at->staging, at->staged, n };
        TUFF_TRY(tuff_cmd_copy(at->cmd, (tuff_range){ to.buffer, to.offset + done, n }, from));
        // Pieces stay aligned for the copy engines that like it.
        at->staged = (at->staged + n + 255) / 256 * 256;
        if (at->staged > at->staging->size) at->staged = at->staging->size;
        done += n;
    }
    return TUFF_OK;
}

static tuff_status download_staged(tuff_stream *s, tuff_range from, void *data)
{
    for (size_t done = 0; done < from.size;) {
        slot *at;
        size_t n;
        TUFF_TRY(stage(s, from.size - done, &at, &n));
        tuff_buffer *staging = at->staging;
        const size_t offset = at->staged;
        TUFF_TRY(tuff_cmd_copy(at->cmd, (tuff_range){ staging, offset, n },
                               (tuff_range){ from.buffer, from.offset + done, n }));
        at->staged = staging->size;
        TUFF_TRY(tuff_stream_flush(s));
        TUFF_TRY(tuff_device_wait(s->dev, s->last));
        memcpy((char *)data + done, (const char *)staging->map + offset, n);
        done += n;
    }
    return TUFF_OK;
}

tuff_status tuff_stream_download(tuff_stream *s, tuff_range from, void *data)
{
    TUFF_TRY(tuff_stream_flush(s));
    if (!from.buffer->map || !from.buffer->cached) return download_staged(s, from, data);
    TUFF_TRY(tuff_device_wait(s->dev, atomic_load(&from.buffer->last)));
    memcpy(data, (const char *)from.buffer->map + from.offset, from.size);
    return TUFF_OK;
}
