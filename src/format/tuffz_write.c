// Writing a .tuffz. A tensor is made into bytes in each coding that it may have, and the fewest
// are kept.
#include "base/alloc.h"
#include "base/distinct.h"
#include "base/status.h"
#include "base/text.h"
#include "format/tuffz.h"
#include <string.h>
#include <zlib.h>

// ---- bytes ---------------------------------------------------------------------------------

// What is written so far; `failed` once there was no memory, and then nothing is added.
typedef struct bytes {
    uint8_t *data;
    size_t size, room;
    bool failed;
    uint64_t window; // bits that make no byte yet, the last one lowest
    int bits;
} bytes;

static void put(bytes *b, const void *data, size_t size)
{
    if (b->failed || !size) return;
    if (b->room - b->size < size) {
        const size_t room = (b->size + size) * 2 + 256;
        uint8_t *grown = tuff_realloc(b->data, room, 1);
        b->failed = !grown;
        if (!grown) return;
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_number(bytes *b, int size, uint64_t value)
{
    uint8_t raw[8];
    for (int i = 0; i < size; i++) raw[i] = (uint8_t)(value >> 8 * i);
    put(b, raw, (size_t)size);
}

static void put_bits(bytes *b, int count, uint32_t value)
{
    b->window = b->window << count | value;
    b->bits += count;
    while (b->bits >= 8) {
        b->bits -= 8;
        put_number(b, 1, b->window >> b->bits & 255);
    }
}

static void clear(bytes *b)
{
    tuff_free(b->data);
    *b = (bytes){ 0 };
}

// ---- codebooks -----------------------------------------------------------------------------

// A tensor of few different numbers: where each lies in the codebook.
typedef struct book {
    tuff_distinct numbers;
    int count;      // without zero
    uint8_t *index; // of each element
    int64_t size;
} book;

// ---- entries -------------------------------------------------------------------------------

// Goes through the entries of a tensor with gaps of so many bits.
typedef struct entries {
    const book *k;
    int64_t at, span; // the next element; how far an entry reaches at most
} entries;

// The next entry: how many zeros lie before its element, and the element's index (zero: a
// filler). False: no more are needed.
static bool next_entry(entries *e, int *gap, int *index)
{
    const book *k = e->k;
    int64_t at = e->at;
    if (e->span > 1)
        while (at < k->size && !k->index[at] && at - e->at < e->span) at++;
    if (at - e->at == e->span) at--; // that zero is the filler
    else if (at == k->size) return false;
    *gap = (int)(at - e->at);
    *index = k->index[at];
    e->at = at + 1;
    return true;
}

typedef struct tables {
    int gap_bits;
    int64_t entries, bits;
    uint8_t index[TUFF_HUFFMAN_SYMBOLS], gap[TUFF_HUFFMAN_SYMBOLS]; // lengths
} tables;

static void make_tables(const book *k, int gap_bits, tables *t)
{
    int64_t indices[TUFF_HUFFMAN_SYMBOLS] = { 0 }, gaps[TUFF_HUFFMAN_SYMBOLS] = { 0 };
    entries e = { k, 0, (int64_t)1 << gap_bits };
    int gap, index;
    *t = (tables){ .gap_bits = gap_bits };
    for (; next_entry(&e, &gap, &index); t->entries++) {
        indices[index]++;
        gaps[gap]++;
    }
    tuff_huffman_lengths(indices, k->count + 1, t->index);
    if (gap_bits) tuff_huffman_lengths(gaps, 1 << gap_bits, t->gap);
    for (int i = 0; i <= k->count; i++) t->bits += indices[i] * t->index[i];
    for (int i = 0; i < 1 << gap_bits; i++) t->bits += gaps[i] * t->gap[i];
    t->bits += gap_bits ? 4 << gap_bits : 0;
}

static void put_lengths(bytes *b, const uint8_t length[], int n)
{
    for (int i = 0; i < n; i += 2)
        put_number(b, 1, length[i] | (i + 1 < n ? length[i + 1] << 4 : 0));
}

static void put_codes(bytes *b, const book *k, const tables *t)
{
    uint16_t index_code[TUFF_HUFFMAN_SYMBOLS], gap_code[TUFF_HUFFMAN_SYMBOLS];
    entries e = { k, 0, (int64_t)1 << t->gap_bits };
    int gap, index;
    tuff_huffman_codes(t->index, k->count + 1, index_code);
    tuff_huffman_codes(t->gap, 1 << t->gap_bits, gap_code);
    while (next_entry(&e, &gap, &index)) {
        put_bits(b, t->gap[gap], gap_code[gap]); // no bits without gaps
        put_bits(b, t->index[index], index_code[index]);
    }
    put_bits(b, b->bits ? 8 - b->bits : 0, 0);
}

static void put_book(bytes *b, const book *k)
{
    tables best, t;
    make_tables(k, 0, &best);
    for (int bits = 1; bits <= TUFF_TUFFZ_GAPS; bits++) {
        make_tables(k, bits, &t);
        if (t.bits < best.bits) best = t;
    }
    put_number(b, 1, TUFF_TUFFZ_CODEBOOK);
    put_number(b, 1, (uint64_t)best.gap_bits);
    put_number(b, 1, (uint64_t)k->count);
    put_number(b, 4, (uint64_t)best.entries);
    for (int i = 1; i <= k->count; i++) {
        uint32_t word;
        memcpy(&word, &k->numbers.number[i], sizeof word);
        put_number(b, 4, word);
    }
    put_lengths(b, best.index, k->count + 1);
    if (best.gap_bits) put_lengths(b, best.gap, 1 << best.gap_bits);
    put_codes(b, k, &best);
}

// ---- tensors -------------------------------------------------------------------------------

static tuff_status pack_book(const tuff_array *a, bytes *b)
{
    book k = { .size = tuff_desc_count(&a->desc) };
    if (a->desc.dtype != TUFF_F32 || !tuff_distinct_find(&k.numbers, a->data, k.size))
        return TUFF_OK;
    k.count = k.numbers.count;
    k.index = tuff_alloc((size_t)k.size, 1);
    if (!k.index) return TUFF_ERR_MEMORY;
    tuff_distinct_index(&k.numbers, a->data, k.size, k.index);
    put_book(b, &k);
    tuff_free(k.index);
    return b->failed ? TUFF_ERR_MEMORY : TUFF_OK;
}

static tuff_status pack_zlib(const tuff_array *a, bytes *b)
{
    const size_t size = tuff_desc_bytes(&a->desc);
    uLongf packed = compressBound(size);
    uint8_t *data = tuff_alloc(packed, 1);
    if (!data) return TUFF_ERR_MEMORY;
    const int code = compress2(data, &packed, a->data, size, 9);
    put_number(b, 1, TUFF_TUFFZ_ZLIB);
    put(b, data, packed);
    tuff_free(data);
    return code == Z_OK && !b->failed ? TUFF_OK
           : tuff_fail(TUFF_ERR_MEMORY, "out of memory while packing");
}

// Appends the coding that takes the fewest bytes.
static tuff_status pack(const tuff_array *a, bytes *b)
{
    bytes book = { 0 }, zlib = { 0 };
    const size_t raw = tuff_desc_bytes(&a->desc) + 1;
    tuff_status status = TUFF_OK;
    TUFF_GO(pack_book(a, &book));
    TUFF_GO(pack_zlib(a, &zlib));
    if (book.size && book.size <= zlib.size && book.size < raw) {
        put(b, book.data, book.size);
    } else if (zlib.size < raw) {
        put(b, zlib.data, zlib.size);
    } else {
        put_number(b, 1, TUFF_TUFFZ_RAW);
        put(b, a->data, raw - 1);
    }
exit:
    clear(&book);
    clear(&zlib);
    return status;
}

static tuff_status make_tensor(const tuff_named_array *named, bytes *b)
{
    const tuff_desc *d = &named->array.desc;
    const size_t length = strlen(named->name);
    TUFF_REQUIRE(length <= TUFF_TUFFZ_NAME, ARG, "the name '%s' has %zu bytes, expected at "
                 "most %d", tuff_show(named->name, length), length, TUFF_TUFFZ_NAME);
    TUFF_REQUIRE(tuff_tuffz_code_of(d->dtype), ARG, "'%s' has elements of no type",
                 tuff_show(named->name, length));
    put_number(b, 2, length);
    put(b, named->name, length);
    put_number(b, 1, (uint64_t)tuff_tuffz_code_of(d->dtype));
    put_number(b, 1, (uint64_t)d->rank);
    for (int i = 0; i < d->rank; i++) put_number(b, 4, (uint64_t)d->dim[i]);
    TUFF_TRY(pack(&named->array, b));
    return b->failed ? TUFF_ERR_MEMORY : TUFF_OK;
}

// ---- files ---------------------------------------------------------------------------------

static tuff_status put_chunk(tuff_file_out *out, const char *tag, const bytes *body)
{
    bytes head = { 0 }, tail = { 0 };
    tuff_status status = TUFF_OK;
    put(&head, tag, 4);
    put_number(&head, 8, body->size);
    uLong crc = crc32(crc32(0, NULL, 0), head.data, (uInt)head.size);
    if (body->size) crc = (uLong)crc32_z(crc, body->data, body->size);
    put_number(&tail, 4, crc);
    if (body->failed || head.failed || tail.failed) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_file_put(out, head.data, head.size));
    TUFF_GO(tuff_file_put(out, body->data, body->size));
    TUFF_GO(tuff_file_put(out, tail.data, tail.size));
exit:
    clear(&head);
    clear(&tail);
    return status;
}

static tuff_status put_meta(tuff_file_out *out, const tuff_pair *meta, int count)
{
    bytes b = { 0 };
    put_number(&b, 2, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        put_number(&b, 2, strlen(meta[i].key));
        put(&b, meta[i].key, strlen(meta[i].key));
        put_number(&b, 4, strlen(meta[i].value));
        put(&b, meta[i].value, strlen(meta[i].value));
    }
    const tuff_status status = put_chunk(out, "META", &b);
    clear(&b);
    return status;
}

static tuff_status put_all(tuff_file_out *out, const tuff_named_array *arrays, int count,
                           const tuff_pair *meta, int meta_count)
{
    bytes head = { 0 }, none = { 0 };
    put(&head, TUFF_TUFFZ_MAGIC, 8);
    put_number(&head, 4, TUFF_TUFFZ_VERSION);
    tuff_status status = head.failed ? TUFF_ERR_MEMORY
                                     : tuff_file_put(out, head.data, head.size);
    clear(&head);
    if (status == TUFF_OK) status = put_meta(out, meta, meta_count);
    for (int i = 0; i < count && status == TUFF_OK; i++) {
        bytes b = { 0 };
        status = make_tensor(&arrays[i], &b);
        if (status == TUFF_OK) status = put_chunk(out, "TENS", &b);
        clear(&b);
    }
    return status == TUFF_OK ? put_chunk(out, "END ", &none) : status;
}

static tuff_status check_names(const tuff_named_array *arrays, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            TUFF_REQUIRE(strcmp(arrays[i].name, arrays[k].name) != 0, ARG,
                         "'%s' is there twice",
                         tuff_show(arrays[i].name, strlen(arrays[i].name)));
    return TUFF_OK;
}

tuff_status tuff_tuffz_write(const char *path, const tuff_named_array *arrays, int count,
                             const tuff_pair *meta, int meta_count)
{
    tuff_file_out *out = NULL;
    tuff_status status = check_names(arrays, count);
    if (status == TUFF_OK) status = tuff_file_create(path, &out);
    if (status == TUFF_OK) status = put_all(out, arrays, count, meta, meta_count);
    if (status == TUFF_OK) status = tuff_file_commit(&out);
    tuff_file_abandon(&out);
    if (status == TUFF_ERR_ARG) tuff_fail_prefix(path);
    return status;
}
