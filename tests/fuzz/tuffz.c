#include "fuzz.h"
#include "format/tuffz.h"
#include <zlib.h>

enum { MOST_BYTES = 1 << 26 };

static uint64_t number(const uint8_t *at, int bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0) v = v << 8 | at[bytes];
    return v;
}

// Makes the checksums right, so that a hunt comes past them.
static void mend(uint8_t *data, size_t size)
{
    for (size_t at = 12; size - at >= 16 && at < size;) {
        const uint64_t length = number(data + at + 4, 8);
        if (length > size - at - 16) return;
        const size_t end = at + 12 + (size_t)length;
        const uint32_t crc = (uint32_t)crc32(0, data + at, (uInt)(end - at));
        for (int i = 0; i < 4; i++) data[end + (size_t)i] = (uint8_t)(crc >> 8 * i);
        at = end + 4;
    }
}

struct sum {
    size_t at, size;
};

static tuff_status take(void *user, size_t at, const void *data, size_t size)
{
    struct sum *sum = user;
    FUZZ_REQUIRE(at == sum->at && size >= 1 && size <= TUFF_TUFFZ_PIECE);
    fuzz_touch(data, size);
    sum->at += size;
    FUZZ_REQUIRE(sum->at <= sum->size);
    return TUFF_OK;
}

static tuff_status read_tensor(const tuff_tuffz *f, int i)
{
    tuff_tuffz_tensor t;
    tuff_tuffz_bits bits;
    FUZZ_REQUIRE(tuff_tuffz_at(f, i, &t) && tuff_tuffz_find(f, t.name) == i);
    struct sum sum = { 0, tuff_desc_bytes(&t.desc) };
    if (sum.size > MOST_BYTES) return TUFF_OK; // justified, but slow
    const tuff_status status = tuff_tuffz_read(f, i, take, &sum, &bits);
    if (status != TUFF_OK) return status;
    FUZZ_REQUIRE(sum.at == sum.size);
    if (t.coding == TUFF_TUFFZ_CODEBOOK)
        FUZZ_REQUIRE(bits.nonzeros + bits.fillers == t.entries &&
                     bits.index + bits.gap <= t.bytes * 8);
    return TUFF_OK;
}

FUZZ_TARGET(tuffz)
{
    tuff_tuffz *f;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return TUFF_ERR_MEMORY;
    if (size) memcpy(copy, data, size);
    mend(copy, size);
    tuff_status status = tuff_tuffz_parse(copy, size, &f);
    FUZZ_REQUIRE((status == TUFF_OK) == (f != NULL));
    for (int i = 0; f && i < tuff_tuffz_count(f) && status == TUFF_OK; i++) {
        tuff_tuffz_tensor t;
        // What a file of so many bytes may ask for.
        FUZZ_REQUIRE(tuff_tuffz_at(f, i, &t));
        FUZZ_REQUIRE(tuff_desc_bytes(&t.desc) <= 8448 * ((size_t)t.bytes + 1));
        status = read_tensor(f, i);
    }
    if (f && tuff_tuffz_meta(f, "k")) fuzz_touch(tuff_tuffz_meta(f, "k"), 1);
    tuff_tuffz_destroy(&f);
    free(copy);
    return status;
}
