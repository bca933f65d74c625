// Opening a .tuffz: its chunks, their checksums, and what each says of its tensor. Everything
// is held against the size of the file before memory is taken for it.
#include "format/tuffz.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static const tuff_dtype types[] = { TUFF_F32, TUFF_F16, TUFF_BF16, TUFF_I32, TUFF_U32,
                                    TUFF_I8,  TUFF_U8,  TUFF_BOOL, TUFF_I64 };
enum { TYPES = sizeof types / sizeof *types, HEAD = 12, MOST_PAIRS = 4096,
       MOST_TENSORS = 16384 };

int tuff_tuffz_code_of(tuff_dtype dtype)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i] == dtype) return i + 1;
    return 0;
}

tuff_dtype tuff_tuffz_dtype_of(int code)
{
    return code >= 1 && code <= TYPES ? types[code - 1] : (tuff_dtype)0;
}

int tuff_tuffz_index_bits(int n)
{
    int bits = 0;
    while (n >> bits) bits++;
    return bits ? bits : 1;
}

tuff_status tuff_tuffz_bytes(const tuff_tuffz *f, uint64_t at, void *data, size_t size)
{
    if (f->in) return tuff_file_read_at(f->in, at, data, size);
    if (size) memcpy(data, f->bytes + at, size);
    return TUFF_OK;
}

// ---- reading numbers -----------------------------------------------------------------------

// A place in the body of a chunk.
typedef struct cursor {
    const tuff_tuffz *f;
    uint64_t at, end;
    const char *what; // for messages
} cursor;

static tuff_status take(cursor *c, void *data, uint64_t size)
{
    TUFF_REQUIRE(size <= c->end - c->at, FORMAT, "%s ends too early", c->what);
    TUFF_TRY(tuff_tuffz_bytes(c->f, c->at, data, (size_t)size));
    c->at += size;
    return TUFF_OK;
}

// A whole number of `bytes` bytes, the lowest first.
static tuff_status number(cursor *c, int bytes, uint64_t *value)
{
    uint8_t raw[8];
    TUFF_TRY(take(c, raw, (uint64_t)bytes));
    *value = 0;
    for (int i = bytes; i-- > 0;) *value = *value << 8 | raw[i];
    return TUFF_OK;
}

// ---- metadata ------------------------------------------------------------------------------

// A string of the pairs into f->text, which has room for the chunk and an end for each string.
static tuff_status read_text(cursor *c, int length_bytes, char **at, const char **text)
{
    uint64_t n;
    TUFF_TRY(number(c, length_bytes, &n));
    *text = *at;
    TUFF_TRY(take(c, *at, n));
    TUFF_REQUIRE(!memchr(*at, 0, (size_t)n), FORMAT, "its metadata hold a zero byte");
    *at += n + 1;
    return TUFF_OK;
}

static tuff_status read_meta(tuff_tuffz *f, cursor *c)
{
    uint64_t count;
    TUFF_REQUIRE(!f->text, FORMAT, "its metadata are there twice");
    TUFF_TRY(number(c, 2, &count));
    TUFF_REQUIRE(count <= MOST_PAIRS, FORMAT, "it has %llu pairs of metadata, expected at most "
                 "%d", (unsigned long long)count, MOST_PAIRS);
    f->text = tuff_alloc((size_t)(c->end - c->at + 2 * count + 1), 1);
    f->pair = tuff_alloc((size_t)count + 1, sizeof *f->pair);
    if (!f->text || !f->pair) return TUFF_ERR_MEMORY;
    char *at = f->text;
    for (uint64_t i = 0; i < count; i++) {
        tuff_pair *p = &f->pair[f->pairs];
        TUFF_TRY(read_text(c, 2, &at, &p->key));
        TUFF_TRY(read_text(c, 4, &at, &p->value));
        TUFF_REQUIRE(!tuff_tuffz_meta(f, p->key), FORMAT, "its metadata have '%s' twice",
                     tuff_show(p->key, strlen(p->key)));
        f->pairs++;
    }
    TUFF_REQUIRE(c->at == c->end, FORMAT, "%llu bytes of its metadata belong to no pair",
                 (unsigned long long)(c->end - c->at));
    return TUFF_OK;
}

// ---- tensors -------------------------------------------------------------------------------

static tuff_status read_desc(cursor *c, tuff_desc *d)
{
    uint64_t code, rank, dim;
    int64_t count = 1;
    TUFF_TRY(number(c, 1, &code));
    TUFF_TRY(number(c, 1, &rank));
    d->dtype = tuff_tuffz_dtype_of((int)code);
    TUFF_REQUIRE(d->dtype, FORMAT, "%s has elements of the unknown type %d", c->what,
                 (int)code);
    TUFF_REQUIRE(rank <= TUFF_MAX_DIMS, FORMAT, "%s has %d dims, expected at most %d", c->what,
                 (int)rank, TUFF_MAX_DIMS);
    for (d->rank = 0; d->rank < (int)rank; d->rank++) {
        TUFF_TRY(number(c, 4, &dim));
        TUFF_REQUIRE(dim >= 1, FORMAT, "dim %d of %s is 0", d->rank, c->what);
        TUFF_REQUIRE((int64_t)dim <= INT32_MAX / count, FORMAT,
                     "%s has more than 2^31 - 1 elements", c->what);
        count *= d->dim[d->rank] = (int64_t)dim;
    }
    return TUFF_OK;
}

// The least bytes that so many entries take, and the most elements that they reach: a small
// file cannot ask for much memory.
static tuff_status check_entries(const cursor *c, const tuff_tuffz_tensor *t)
{
    const int64_t count = tuff_desc_count(&t->desc);
    const uint64_t bits = (uint64_t)t->entries * (t->gap_bits ? 2 : 1);
    TUFF_REQUIRE(bits <= (c->end - c->at) * 8, FORMAT,
                 "%s says it has %lld entries, its %llu bytes hold fewer", c->what,
                 (long long)t->entries, (unsigned long long)(c->end - c->at));
    TUFF_REQUIRE(t->gap_bits || t->entries == count, FORMAT,
                 "%s has %lld entries without gaps for %lld elements", c->what,
                 (long long)t->entries, (long long)count);
    TUFF_REQUIRE(t->entries <= count && count < (t->entries + 1) << t->gap_bits, FORMAT,
                 "%s has %lld entries with gaps of %d bits for %lld elements", c->what,
                 (long long)t->entries, t->gap_bits, (long long)count);
    return TUFF_OK;
}

static tuff_status read_codebook(cursor *c, tuff_tuffz_entry *e)
{
    uint64_t gap, book, entries;
    tuff_tuffz_tensor *t = &e->tensor;
    TUFF_REQUIRE(t->desc.dtype == TUFF_F32, FORMAT, "%s has a codebook, but elements of %s",
                 c->what, tuff_dtype_name(t->desc.dtype));
    TUFF_TRY(number(c, 1, &gap));
    TUFF_TRY(number(c, 1, &book));
    TUFF_TRY(number(c, 4, &entries));
    TUFF_REQUIRE(gap <= TUFF_TUFFZ_GAPS, FORMAT, "%s has gaps of %d bits, expected at most %d",
                 c->what, (int)gap, TUFF_TUFFZ_GAPS);
    t->gap_bits = (int)gap;
    t->codebook = (int)book;
    t->index_bits = tuff_tuffz_index_bits(t->codebook);
    t->entries = (int64_t)entries;
    e->at = c->at;
    const uint64_t tables = 4 * book + (book + 2) / 2 + (gap ? ((1u << gap) + 1) / 2 : 0);
    TUFF_REQUIRE(tables <= c->end - c->at, FORMAT, "%s ends within its tables", c->what);
    c->at += tables;
    return check_entries(c, t);
}

static tuff_status read_coding(cursor *c, tuff_tuffz_entry *e)
{
    uint64_t coding;
    TUFF_TRY(number(c, 1, &coding));
    const uint64_t bytes = tuff_desc_bytes(&e->tensor.desc), left = c->end - c->at;
    e->tensor.coding = (tuff_tuffz_coding)coding;
    e->at = c->at;
    e->end = c->end;
    switch (coding) {
    case TUFF_TUFFZ_RAW:
        TUFF_REQUIRE(left == bytes, FORMAT, "%s has %llu bytes, its elements take %llu",
                     c->what, (unsigned long long)left, (unsigned long long)bytes);
        return TUFF_OK;
    case TUFF_TUFFZ_ZLIB: // deflate makes a byte of 1032 at best
        TUFF_REQUIRE(bytes / 1040 <= left, FORMAT,
                     "%s has %llu bytes, which cannot hold the %llu of its elements", c->what,
                     (unsigned long long)left, (unsigned long long)bytes);
        return TUFF_OK;
    case TUFF_TUFFZ_CODEBOOK: return read_codebook(c, e);
    default: break;
    }
    return tuff_fail(TUFF_ERR_FORMAT, "%s has the unknown coding %d", c->what, (int)coding);
}

static tuff_status read_tensor(tuff_tuffz *f, cursor *c, uint64_t bytes)
{
    uint64_t n;
    char what[80] = "a tensor";
    TUFF_REQUIRE(f->entries < MOST_TENSORS, FORMAT, "it has more than %d tensors",
                 MOST_TENSORS);
    tuff_tuffz_entry *grown = tuff_realloc(f->entry, (size_t)f->entries + 1, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    f->entry = grown;
    tuff_tuffz_entry *e = &f->entry[f->entries];
    *e = (tuff_tuffz_entry){ .tensor = { .bytes = (int64_t)bytes } };
    c->what = what;
    TUFF_TRY(number(c, 2, &n));
    TUFF_REQUIRE(n <= TUFF_TUFFZ_NAME, FORMAT, "a tensor's name has %d bytes, expected at most "
                 "%d", (int)n, TUFF_TUFFZ_NAME);
    TUFF_TRY(take(c, e->name, n));
    TUFF_REQUIRE(!memchr(e->name, 0, (size_t)n), FORMAT, "a tensor's name holds a zero byte");
    snprintf(what, sizeof what, "%s", n ? tuff_show(e->name, (size_t)n) : "''");
    TUFF_REQUIRE(tuff_tuffz_find(f, e->name) < 0, FORMAT, "'%s' is there twice", what);
    TUFF_TRY(read_desc(c, &e->tensor.desc));
    TUFF_TRY(read_coding(c, e));
    f->entries++;
    return TUFF_OK;
}

// ---- chunks --------------------------------------------------------------------------------

static tuff_status check_crc(const tuff_tuffz *f, uint64_t at, uint64_t end, const char *tag)
{
    enum { BLOCK = 1 << 14 };
    uint8_t block[BLOCK];
    uLong crc = crc32(0, NULL, 0);
    while (at < end) {
        const size_t n = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
        TUFF_TRY(tuff_tuffz_bytes(f, at, block, n));
        crc = crc32(crc, block, (uInt)n);
        at += n;
    }
    uint64_t stored;
    cursor c = { f, end, f->size, "a chunk" };
    TUFF_TRY(number(&c, 4, &stored));
    TUFF_REQUIRE(crc == stored, FORMAT, "its chunk '%s' is damaged: its checksum is %08lx, "
                 "expected %08lx", tag, (unsigned long)crc, (unsigned long)stored);
    return TUFF_OK;
}

// One chunk at *at, which is then behind it; *last says whether it was the end.
static tuff_status read_chunk(tuff_tuffz *f, uint64_t *at, bool *last)
{
    uint64_t length;
    char tag[5] = { 0 };
    cursor c = { f, *at, f->size, "it" };
    TUFF_TRY(take(&c, tag, 4));
    TUFF_TRY(number(&c, 8, &length));
    const char *shown = tuff_show(tag, 4);
    TUFF_REQUIRE(length <= c.end - c.at && c.end - c.at - length >= 4, FORMAT,
                 "it is cut short: its chunk '%s' at byte %llu has %llu bytes, %llu are left",
                 shown, (unsigned long long)*at, (unsigned long long)length,
                 (unsigned long long)(c.end - c.at));
    c.end = c.at + length;
    TUFF_TRY(check_crc(f, *at, c.end, shown));
    *at = c.end + 4;
    *last = memcmp(tag, "END ", 4) == 0;
    if (*last) {
        TUFF_REQUIRE(length == 0 && *at == f->size, FORMAT, "%llu bytes follow its end",
                     (unsigned long long)(f->size - *at + length));
        return TUFF_OK;
    }
    if (memcmp(tag, "META", 4) == 0) return read_meta(f, &c);
    if (memcmp(tag, "TENS", 4) == 0) return read_tensor(f, &c, length + TUFF_TUFFZ_FRAME);
    return tuff_fail(TUFF_ERR_FORMAT, "its chunk '%s' is not known", shown);
}

static tuff_status read_head(tuff_tuffz *f)
{
    char magic[8];
    uint64_t version;
    cursor c = { f, 0, f->size, "it" };
    TUFF_TRY(take(&c, magic, sizeof magic));
    TUFF_REQUIRE(memcmp(magic, TUFF_TUFFZ_MAGIC, sizeof magic) == 0, FORMAT,
                 "it does not begin as a .tuffz file does");
    TUFF_TRY(number(&c, 4, &version));
    TUFF_REQUIRE(version == TUFF_TUFFZ_VERSION, FORMAT,
                 "its version is %llu, this library reads %d", (unsigned long long)version,
                 TUFF_TUFFZ_VERSION);
    return TUFF_OK;
}

static tuff_status read_all(tuff_tuffz *f)
{
    uint64_t at = HEAD;
    bool last = false;
    TUFF_TRY(read_head(f));
    while (!last) TUFF_TRY(read_chunk(f, &at, &last));
    for (int i = 0; i < f->entries; i++) f->entry[i].tensor.name = f->entry[i].name;
    return TUFF_OK;
}

static tuff_status open_over(tuff_file_in *in, const void *bytes, uint64_t size,
                             tuff_tuffz **file)
{
    *file = NULL;
    tuff_tuffz *f = tuff_alloc(1, sizeof *f);
    if (!f) {
        tuff_file_close(&in);
        return TUFF_ERR_MEMORY;
    }
    f->in = in;
    f->bytes = bytes;
    f->size = size;
    const tuff_status status = read_all(f);
    if (status == TUFF_OK) *file = f;
    else tuff_tuffz_destroy(&f);
    return status;
}

tuff_status tuff_tuffz_parse(const void *bytes, size_t size, tuff_tuffz **file)
{
    return open_over(NULL, bytes, size, file);
}

tuff_status tuff_tuffz_open(const char *path, tuff_tuffz **file)
{
    tuff_file_in *in;
    *file = NULL;
    TUFF_TRY(tuff_file_open(path, &in));
    const tuff_status status = open_over(in, NULL, in->size, file);
    if (status != TUFF_OK) tuff_fail_prefix(path);
    return status;
}

bool tuff_tuffz_is(const char *path)
{
    tuff_file_in *in;
    char magic[8];
    if (tuff_file_open(path, &in) != TUFF_OK) return false;
    const bool is = in->size >= sizeof magic &&
                    tuff_file_read_at(in, 0, magic, sizeof magic) == TUFF_OK &&
                    memcmp(magic, TUFF_TUFFZ_MAGIC, sizeof magic) == 0;
    tuff_file_close(&in);
    return is;
}

void tuff_tuffz_destroy(tuff_tuffz **file)
{
    tuff_tuffz *f = *file;
    if (!f) return;
    tuff_file_close(&f->in);
    tuff_free(f->entry);
    tuff_free(f->pair);
    tuff_free(f->text);
    tuff_free(f);
    *file = NULL;
}

// ---- what there is -------------------------------------------------------------------------

int tuff_tuffz_count(const tuff_tuffz *f) { return f->entries; }

bool tuff_tuffz_at(const tuff_tuffz *f, int i, tuff_tuffz_tensor *tensor)
{
    if (i < 0 || i >= f->entries) return false;
    *tensor = f->entry[i].tensor;
    return true;
}

int tuff_tuffz_find(const tuff_tuffz *f, const char *name)
{
    for (int i = 0; i < f->entries; i++)
        if (strcmp(f->entry[i].name, name) == 0) return i;
    return -1;
}

const char *tuff_tuffz_meta(const tuff_tuffz *f, const char *key)
{
    for (int i = 0; i < f->pairs; i++)
        if (strcmp(f->pair[i].key, key) == 0) return f->pair[i].value;
    return NULL;
}
