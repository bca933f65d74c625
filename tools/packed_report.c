#include "packed_report.h"
#include <stdio.h>
#include <string.h>

// A tensor, or the sum of all.
typedef struct line {
    const char *name, *coding;
    double numbers, plain; // elements, and their bytes unpacked
    double kept;           // elements that are not zero; below 0: they are codes, not known
    double index_bits, gap_bits;   // of an entry, before Huffman's code
    double index_coded, gap_coded; // after it
    double quantized;      // bytes before Huffman's code
    double bytes;          // in the file
} line;

static const char *const codings[] = { "raw", "zlib", "codebook" };

// What of a tensor of floats is not zero, a piece at a time.
typedef struct counting {
    size_t width; // bytes of an element
    int64_t nonzeros;
} counting;

static tuff_status count_piece(void *user, size_t at, const void *data, size_t size)
{
    counting *c = user;
    (void)at;
    for (size_t i = 0; i < size; i += c->width) {
        uint32_t bits = 0; // on top, so that the sign goes with the shift
        memcpy((char *)&bits + (sizeof bits - c->width), (const char *)data + i, c->width);
        c->nonzeros += bits << 1 != 0;
    }
    return TUFF_OK;
}

static tuff_status count_nonzeros(const tuff_tuffz *file, int i, tuff_dtype type, line *l)
{
    l->kept = -1;
    if (type != TUFF_F32 && type != TUFF_F16 && type != TUFF_BF16) return TUFF_OK;
    counting c = { .width = tuff_dtype_size(type) };
    const tuff_status status = tuff_tuffz_read(file, i, count_piece, &c, NULL);
    l->kept = (double)c.nonzeros;
    return status;
}

static tuff_status measure(const tuff_tuffz *file, int i, line *l)
{
    tuff_tuffz_tensor t;
    tuff_tuffz_bits bits;
    const tuff_status status = tuff_tuffz_read(file, i, NULL, NULL, &bits);
    if (status != TUFF_OK || !tuff_tuffz_at(file, i, &t)) return status;
    const double elements = (double)tuff_desc_count(&t.desc), entries = (double)t.entries;
    const double width = 8 * (double)tuff_dtype_size(t.desc.dtype);
    *l = (line){ .name = t.name, .coding = codings[t.coding], .numbers = elements,
                 .plain = (double)tuff_desc_bytes(&t.desc), .index_bits = width,
                 .index_coded = width, .bytes = (double)t.bytes };
    l->quantized = l->plain;
    if (t.coding != TUFF_TUFFZ_CODEBOOK) return count_nonzeros(file, i, t.desc.dtype, l);
    l->kept = (double)bits.nonzeros;
    l->index_bits = t.index_bits;
    l->gap_bits = t.gap_bits;
    l->index_coded = entries > 0 ? (double)bits.index / entries : 0;
    l->gap_coded = entries > 0 ? (double)bits.gap / entries : 0;
    l->quantized = entries * (t.index_bits + t.gap_bits) / 8 + 4.0 * t.codebook;
    return TUFF_OK;
}

static void print_line(const line *l)
{
    printf("%-24s %10.0f", l->name, l->numbers);
    if (l->kept < 0) printf(" %8s", "-");
    else printf(" %6.1f %%", l->numbers > 0 ? 100 * l->kept / l->numbers : 100.0);
    if (l->index_bits > 0)
        printf(" %6.0f %6.1f %6.0f %6.1f", l->index_bits, l->index_coded, l->gap_bits,
               l->gap_coded);
    else
        printf(" %6s %6s %6s %6s", "", "", "", "");
    printf(" %10.0f %9.2f %% %9.2f %% %7.1fx  %s\n", l->bytes, 100 * l->quantized / l->plain,
           100 * l->bytes / l->plain, l->plain / l->bytes, l->coding);
}

static void add_line(cJSON *array, const line *l)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", l->name);
    if (*l->coding) cJSON_AddStringToObject(o, "coding", l->coding);
    cJSON_AddNumberToObject(o, "elements", l->numbers);
    if (l->kept >= 0) cJSON_AddNumberToObject(o, "nonzeros", l->kept);
    if (l->index_bits > 0) {
        cJSON_AddNumberToObject(o, "weight_bits", l->index_bits);
        cJSON_AddNumberToObject(o, "weight_bits_coded", l->index_coded);
        cJSON_AddNumberToObject(o, "gap_bits", l->gap_bits);
        cJSON_AddNumberToObject(o, "gap_bits_coded", l->gap_coded);
    }
    cJSON_AddNumberToObject(o, "plain_bytes", l->plain);
    cJSON_AddNumberToObject(o, "quantized_bytes", l->quantized);
    cJSON_AddNumberToObject(o, "bytes", l->bytes);
    cJSON_AddNumberToObject(o, "ratio", l->plain / l->bytes);
    cJSON_AddItemToArray(array, o);
}

static void show(cJSON *array, const line *l)
{
    if (array) add_line(array, l);
    else print_line(l);
}

static tuff_status show_all(const tuff_tuffz *file, cJSON *array, double file_bytes)
{
    line total = { .name = "the file", .coding = "" };
    if (!array)
        printf("%-24s %10s %8s %13s %13s %10s %11s %11s %8s\n%-24s %10s %8s %6s %6s %6s %6s "
               "%10s %11s %11s\n", "", "", "", "bits: weight", "gap", "", "quantized",
               "Huffman", "", "tensor", "elements", "kept", "", "coded", "", "coded", "bytes",
               "of plain", "of plain");
    for (int i = 0; i < tuff_tuffz_count(file); i++) {
        line l = { 0 };
        const tuff_status status = measure(file, i, &l);
        if (status != TUFF_OK) return status;
        total.numbers += l.numbers;
        total.plain += l.plain;
        total.kept = total.kept < 0 || l.kept < 0 ? -1 : total.kept + l.kept;
        total.quantized += l.quantized;
        show(array, &l);
    }
    total.bytes = file_bytes;
    show(array, &total);
    return TUFF_OK;
}

int packed_report(const cli_command *self, const char *path, cJSON *json)
{
    tuff_tuffz *file;
    if (tuff_tuffz_open(path, &file) != TUFF_OK) return cli_error(self);
    cJSON *array = json ? cJSON_AddArrayToObject(json, "packed") : NULL;
    const tuff_status status = show_all(file, array, (double)report_file_bytes(path));
    tuff_tuffz_destroy(&file);
    return status == TUFF_OK ? EXIT_OK : cli_error(self);
}
