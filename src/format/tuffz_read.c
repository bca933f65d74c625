// Decoding the tensors of a .tuffz, a piece at a time.
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include "format/tuffz.h"
#include <string.h>
#include <zlib.h>

enum { BLOCK = 1 << 14, NUMBERS = TUFF_TUFFZ_PIECE / sizeof(float) };

// What a tensor is decoded with.
typedef struct decoder {
    const tuff_tuffz *f;
    const tuff_tuffz_entry *e;
    uint64_t at;            // of the next byte of the file
    uint8_t block[BLOCK];   // bytes before it
    size_t have, next;      // in the block, and how many of them were taken
    uint64_t window;        // bits that were taken from the block, the next one uppermost
    int bits;               // how many of them
    tuff_tuffz_sink sink;
    void *user;
    size_t count;           // numbers of the tensor
    size_t base;            // the first of the piece
    float piece[NUMBERS];
    float book[TUFF_TUFFZ_BOOK + 1]; // zero first
    tuff_huffman index, gap;
    tuff_tuffz_bits met;
} decoder;

static const char *name_of(const decoder *d)
{
    return tuff_show(d->e->name, strlen(d->e->name));
}

static tuff_status give(decoder *d, size_t at, const void *data, size_t size)
{
    return d->sink ? d->sink(d->user, at, data, size) : TUFF_OK;
}

static tuff_status refill(decoder *d)
{
    const uint64_t left = d->e->end - d->at;
    d->next = 0;
    d->have = left < BLOCK ? (size_t)left : BLOCK;
    TUFF_TRY(tuff_tuffz_bytes(d->f, d->at, d->block, d->have));
    d->at += d->have;
    return TUFF_OK;
}

// ---- bytes ---------------------------------------------------------------------------------

static tuff_status read_raw(decoder *d)
{
    uint8_t *piece = (uint8_t *)d->piece;
    for (uint64_t at = d->e->at; at < d->e->end;) {
        const uint64_t left = d->e->end - at;
        const size_t n = left < TUFF_TUFFZ_PIECE ? (size_t)left : TUFF_TUFFZ_PIECE;
        TUFF_TRY(tuff_tuffz_bytes(d->f, at, piece, n));
        TUFF_TRY(give(d, (size_t)(at - d->e->at), piece, n));
        at += n;
    }
    return TUFF_OK;
}

// One piece, full but for the last; *n bytes of it.
static tuff_status inflate_piece(decoder *d, z_stream *z, size_t want, bool *end)
{
    z->next_out = (uint8_t *)d->piece;
    z->avail_out = (uInt)want;
    while (z->avail_out && !*end) {
        if (!z->avail_in) {
            TUFF_TRY(refill(d));
            TUFF_REQUIRE(d->have, FORMAT, "'%s': its deflated bytes end too early", name_of(d));
            z->next_in = d->block;
            z->avail_in = (uInt)d->have;
        }
        const int code = inflate(z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR)
            return tuff_fail(TUFF_ERR_MEMORY, "out of memory while unpacking");
        TUFF_REQUIRE(code == Z_OK || code == Z_STREAM_END, FORMAT,
                     "'%s' cannot be unpacked: %s", name_of(d),
                     z->msg ? z->msg : "its deflated bytes are damaged");
        *end = code == Z_STREAM_END;
    }
    TUFF_REQUIRE(!z->avail_out, FORMAT, "'%s': its deflated bytes hold too few elements",
                 name_of(d));
    return TUFF_OK;
}

static tuff_status inflate_all(decoder *d, z_stream *z)
{
    const size_t bytes = tuff_desc_bytes(&d->e->tensor.desc);
    bool end = false;
    for (size_t at = 0; at < bytes; at += TUFF_TUFFZ_PIECE) {
        const size_t left = bytes - at;
        const size_t n = left < TUFF_TUFFZ_PIECE ? left : TUFF_TUFFZ_PIECE;
        TUFF_TRY(inflate_piece(d, z, n, &end));
        TUFF_TRY(give(d, at, d->piece, n));
    }
    // The stream's own end, with its checksum, must follow at once, and nothing else.
    uint8_t more;
    while (!end) {
        z->next_out = &more;
        z->avail_out = 1;
        if (!z->avail_in) {
            TUFF_TRY(refill(d));
            z->next_in = d->block;
            z->avail_in = (uInt)d->have;
        }
        const int code = z->avail_in ? inflate(z, Z_NO_FLUSH) : Z_DATA_ERROR;
        end = code == Z_STREAM_END;
        TUFF_REQUIRE((end || code == Z_OK) && z->avail_out, FORMAT,
                     "'%s': its deflated bytes do not end where its elements do", name_of(d));
    }
    TUFF_REQUIRE(!z->avail_in && d->at == d->e->end, FORMAT,
                 "'%s': something follows its deflated bytes", name_of(d));
    return TUFF_OK;
}

static tuff_status read_zlib(decoder *d)
{
    z_stream z = { 0 };
    if (inflateInit(&z) != Z_OK)
        return tuff_fail(TUFF_ERR_MEMORY, "out of memory while unpacking");
    const tuff_status status = inflate_all(d, &z);
    inflateEnd(&z);
    return status;
}

// ---- codes ---------------------------------------------------------------------------------

// Fills the window to 15 bits at least; zeros stand for what is beyond the end.
static tuff_status fill_window(decoder *d)
{
    while (d->bits <= 56) {
        if (d->next == d->have && d->at < d->e->end) TUFF_TRY(refill(d));
        if (d->next == d->have) break;
        d->window |= (uint64_t)d->block[d->next++] << (56 - d->bits);
        d->bits += 8;
    }
    return TUFF_OK;
}

static tuff_status read_symbol(decoder *d, const tuff_huffman *h, int64_t *met, int *symbol)
{
    if (d->bits < TUFF_HUFFMAN_BITS) TUFF_TRY(fill_window(d));
    const uint16_t code = h->table[d->window >> (64 - h->bits)];
    const int length = code >> 8;
    TUFF_REQUIRE(length, FORMAT, "'%s' holds a code that its tables do not have", name_of(d));
    TUFF_REQUIRE(length <= d->bits, FORMAT, "'%s' ends within its codes", name_of(d));
    d->window <<= length;
    d->bits -= length;
    *met += length;
    *symbol = code & 255;
    return TUFF_OK;
}

static tuff_status read_bytes(decoder *d, void *data, size_t size)
{
    TUFF_TRY(tuff_tuffz_bytes(d->f, d->at, data, size));
    d->at += size;
    return TUFF_OK;
}

static tuff_status read_table(decoder *d, int n, const char *what, tuff_huffman *h)
{
    uint8_t packed[TUFF_HUFFMAN_SYMBOLS / 2], length[TUFF_HUFFMAN_SYMBOLS];
    TUFF_TRY(read_bytes(d, packed, (size_t)(n + 1) / 2));
    for (int i = 0; i < n; i++) length[i] = i % 2 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
    if (!d->e->tensor.entries) return TUFF_OK; // nothing has a code
    const tuff_status status = tuff_huffman_build(h, length, n, what);
    if (status == TUFF_ERR_FORMAT) tuff_fail_prefix(name_of(d));
    return status;
}

static tuff_status read_tables(decoder *d)
{
    const tuff_tuffz_tensor *t = &d->e->tensor;
    for (int i = 1; i <= t->codebook; i++) {
        uint8_t b[4];
        TUFF_TRY(read_bytes(d, b, sizeof b));
        const uint32_t word = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                              (uint32_t)b[3] << 24;
        memcpy(&d->book[i], &word, sizeof word);
    }
    TUFF_TRY(read_table(d, t->codebook + 1, "indices", &d->index));
    return t->gap_bits ? read_table(d, 1 << t->gap_bits, "gaps", &d->gap) : TUFF_OK;
}

// Gives the pieces before that of number `at`.
static tuff_status go_to(decoder *d, size_t at)
{
    while (at >= d->base + NUMBERS) {
        TUFF_TRY(give(d, d->base * sizeof(float), d->piece, TUFF_TUFFZ_PIECE));
        memset(d->piece, 0, sizeof d->piece);
        d->base += NUMBERS;
    }
    return TUFF_OK;
}

static tuff_status read_entries(decoder *d)
{
    const tuff_tuffz_tensor *t = &d->e->tensor;
    size_t at = 0;
    for (int64_t i = 0; i < t->entries; i++) {
        int gap = 0, index;
        if (t->gap_bits) TUFF_TRY(read_symbol(d, &d->gap, &d->met.gap, &gap));
        TUFF_TRY(read_symbol(d, &d->index, &d->met.index, &index));
        at += (size_t)gap;
        TUFF_REQUIRE(at < d->count, FORMAT, "'%s' has a gap beyond its %zu elements",
                     name_of(d), d->count);
        TUFF_TRY(go_to(d, at));
        d->piece[at++ - d->base] = d->book[index];
        if (index) d->met.nonzeros++;
        else d->met.fillers++;
    }
    TUFF_REQUIRE(d->count - at < (size_t)1 << t->gap_bits, FORMAT,
                 "'%s': its entries end %zu elements early", name_of(d), d->count - at);
    TUFF_TRY(go_to(d, d->count - 1));
    return give(d, d->base * sizeof(float), d->piece, (d->count - d->base) * sizeof(float));
}

static tuff_status read_codebook(decoder *d)
{
    d->at = d->e->at;
    TUFF_TRY(read_tables(d));
    TUFF_TRY(read_entries(d));
    // The rest of the last byte, which is zero.
    TUFF_REQUIRE(d->bits < 8 && d->next == d->have && d->at == d->e->end && !d->window, FORMAT,
                 "'%s': something follows its codes", name_of(d));
    return TUFF_OK;
}

tuff_status tuff_tuffz_read(const tuff_tuffz *f, int i, tuff_tuffz_sink sink, void *user,
                            tuff_tuffz_bits *bits)
{
    TUFF_REQUIRE(i >= 0 && i < f->entries, ARG, "tuffz: there is no tensor %d", i);
    decoder *d = tuff_alloc(1, sizeof *d);
    if (!d) return TUFF_ERR_MEMORY;
    const tuff_tuffz_coding coding = f->entry[i].tensor.coding;
    d->f = f;
    d->e = &f->entry[i];
    d->at = d->e->at;
    d->sink = sink;
    d->user = user;
    d->count = (size_t)tuff_desc_count(&d->e->tensor.desc);
    const tuff_status status = coding == TUFF_TUFFZ_RAW    ? read_raw(d)
                               : coding == TUFF_TUFFZ_ZLIB ? read_zlib(d)
                                                           : read_codebook(d);
    if (bits) *bits = d->met;
    tuff_free(d);
    return status;
}
