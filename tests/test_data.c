// Datasets: what real and made files hold, and how they are refused.
#include "harness.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static tuff_dataset *open_data(const char *spec, const tuff_dataset_params *p)
{
    tuff_dataset *d = NULL;
    if (!EXPECT_OK(tuff_dataset_open(spec, p, &d))) printf("  %s\n", tuff_last_error());
    return d;
}

static const char *spec(const char *format, const char *path)
{
    static char text[4][600];
    static int next;
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], format, path);
    return to;
}

static void write_text(const char *name, const char *text)
{
    EXPECT_OK(tuff_file_write(temp_path(name), text, strlen(text)));
}

// ---- real data ------------------------------------------------------------------------------

// Counts, first labels and moments as they are published.
static void check_real(tuff_dataset *d, const tuff_desc *sample, int64_t train, int64_t test,
                       const int *labels, const double *mean, const double *deviation)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(d);
    int32_t got[5];
    EXPECT(tuff_desc_equal(&info->sample, sample));
    EXPECT_EQ(info->count[TUFF_TRAIN], train);
    EXPECT_EQ(info->count[TUFF_TEST], test);
    EXPECT_EQ(info->count[TUFF_HELD], 0);
    EXPECT_EQ(info->classes, 10);
    EXPECT_EQ(info->targets, 0);
    EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 0, 5, NULL, got, NULL));
    for (int i = 0; labels && i < 5; i++) EXPECT_EQ(got[i], labels[i]);
    for (int c = 0; c < info->channels; c++) {
        EXPECT_NEAR(-info->shift[c] / info->scale[c], mean[c], 0.0011);
        EXPECT_NEAR(1 / info->scale[c], deviation[c], 0.0011);
    }
}

static void real_fashion(void)
{
    if (access("/usr/share/datasets/fashion-mnist", R_OK) != 0) {
        tuff_dataset *none;
        EXPECT_STATUS(tuff_dataset_open("fashion", NULL, &none), TUFF_ERR_IO);
        EXPECT_HAS(tuff_last_error(), "install Debian's package dataset-fashion-mnist");
        SKIP("Debian's package dataset-fashion-mnist is not installed");
    }
    tuff_dataset *d = open_data("default", NULL);
    if (!d) return;
    check_real(d, &TUFF_SHAPE(TUFF_F32, 1, 28, 28), 60000, 10000, (int[]){ 9, 0, 0, 3, 0 },
               (double[]){ 0.2860 }, (double[]){ 0.3530 });
    EXPECT_STR(tuff_dataset_get_info(d)->class_names[9], "Ankle boot");
    // The whole training set, normalised: mean 0, deviation 1.
    float *x = malloc(1000 * 784 * sizeof *x);
    double sum = 0, squares = 0;
    for (int64_t at = 0; at < 60000; at += 1000) {
        EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, at, 1000, x, NULL, NULL));
        for (int i = 0; i < 784000; i++) {
            sum += x[i];
            squares += (double)x[i] * x[i];
        }
    }
    EXPECT_NEAR(sum / 47040000, 0, 1e-5);
    EXPECT_NEAR(squares / 47040000, 1, 1e-5);
    int32_t *labels = malloc(10000 * sizeof *labels);
    int of[10] = { 0 };
    EXPECT_OK(tuff_dataset_read(d, TUFF_TEST, 0, 10000, NULL, labels, NULL));
    for (int i = 0; i < 10000; i++) of[labels[i]]++;
    for (int c = 0; c < 10; c++) EXPECT_EQ(of[c], 1000);
    free(x);
    free(labels);
    tuff_dataset_destroy(&d);
    EXPECT(d == NULL);
}

static void real_mnist(void)
{
    const char *folder = shared_path("data/mnist");
    if (!folder) SKIP("no shared folder data/mnist");
    tuff_dataset *d = open_data(spec("idx:%s", folder), NULL);
    if (d)
        check_real(d, &TUFF_SHAPE(TUFF_F32, 1, 28, 28), 60000, 10000, (int[]){ 5, 0, 4, 1, 9 },
                   (double[]){ 0.1307 }, (double[]){ 0.3081 });
    tuff_dataset_destroy(&d);
}

static void real_cifar10(void)
{
    const char *folder = shared_path("data/cifar10");
    if (!folder) SKIP("no shared folder data/cifar10");
    tuff_dataset *d = open_data(spec("cifar10:%s", folder), NULL);
    if (!d) return;
    check_real(d, &TUFF_SHAPE(TUFF_F32, 3, 32, 32), 10000, 10000, NULL,
               (double[]){ .4914, .4822, .4465 }, (double[]){ .2470, .2435, .2616 });
    EXPECT_STR(tuff_dataset_get_info(d)->class_names[0], "airplane");
    EXPECT_STR(tuff_dataset_get_info(d)->class_names[9], "truck");
    tuff_dataset_destroy(&d);
}

// ---- IDX ------------------------------------------------------------------------------------

// n images of 2 x 3 whose pixel j is 6 i + j, and labels i % 3.
static size_t idx_images(uint8_t *out, int n)
{
    const uint8_t head[16] = { 0, 0, 8, 3, 0, 0, 0, (uint8_t)n, 0, 0, 0, 2, 0, 0, 0, 3 };
    memcpy(out, head, 16);
    for (int i = 0; i < 6 * n; i++) out[16 + i] = (uint8_t)i;
    return 16 + 6 * (size_t)n;
}

static size_t idx_labels(uint8_t *out, int n)
{
    const uint8_t head[8] = { 0, 0, 8, 1, 0, 0, 0, (uint8_t)n };
    memcpy(out, head, 8);
    for (int i = 0; i < n; i++) out[8 + i] = (uint8_t)(i % 3);
    return 8 + (size_t)n;
}

static void write_gz(const char *path, const void *data, size_t size)
{
    gzFile f = gzopen(path, "wb");
    EXPECT(f && gzwrite(f, data, (unsigned)size) == (int)size && gzclose(f) == Z_OK);
}

static void idx_folders(void)
{
    uint8_t bytes[300];
    EXPECT_OK(tuff_folder_make(temp_path("idx")));
    EXPECT_OK(tuff_file_write(temp_path("idx/train-images-idx3-ubyte"), bytes,
                              idx_images(bytes, 7)));
    write_gz(temp_path("idx/train-labels.idx1-ubyte.gz"), bytes, idx_labels(bytes, 7));
    tuff_dataset *d = NULL;
    EXPECT_STATUS(tuff_dataset_open(spec("idx:%s", temp_path("idx")), NULL, &d), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "has no file t10k-images-idx3-ubyte");
    EXPECT(d == NULL);
    write_gz(temp_path("idx/t10k-images.idx3-ubyte.gz"), bytes, idx_images(bytes, 2));
    EXPECT_OK(tuff_file_write(temp_path("idx/t10k-labels-idx1-ubyte"), bytes,
                              idx_labels(bytes, 2)));
    d = open_data(spec("idx:%s", temp_path("idx")), NULL);
    if (!d) return;
    const tuff_dataset_info *info = tuff_dataset_get_info(d);
    EXPECT(tuff_desc_equal(&info->sample, &TUFF_SHAPE(TUFF_F32, 1, 2, 3)));
    EXPECT(info->count[TUFF_TRAIN] == 7 && info->count[TUFF_TEST] == 2 && info->classes == 3);
    EXPECT(info->class_names == NULL);
    // 0 .. 41: mean 20.5, variance (42^2 - 1) / 12.
    const double deviation = sqrt((42 * 42 - 1) / 12.0);
    float x[12];
    int32_t labels[2];
    EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 4, 2, x, labels, NULL));
    for (int i = 0; i < 12; i++) EXPECT_NEAR(x[i], (24 + i - 20.5) / deviation, 1e-5);
    EXPECT(labels[0] == 1 && labels[1] == 2);
    EXPECT_OK(tuff_dataset_set_norm(d, (float[]){ 255 }, (float[]){ 0 }, 1));
    EXPECT_OK(tuff_dataset_read(d, TUFF_TEST, 1, 1, x, labels, NULL));
    for (int i = 0; i < 6; i++) EXPECT_NEAR(x[i], 6 + i, 1e-4);
    EXPECT_STATUS(tuff_dataset_set_norm(d, x, x, 2), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_set_norm(d, (float[]){ NAN }, x, 1), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_read(d, TUFF_TEST, 1, 2, x, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_read(d, TUFF_TEST, -1, 1, x, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_read(d, TUFF_TRAIN, 0, 1, NULL, NULL, x), TUFF_ERR_ARG);
    tuff_dataset_destroy(&d);
    EXPECT_OK(tuff_file_write(temp_path("idx/t10k-labels-idx1-ubyte"), bytes,
                              idx_labels(bytes, 3)));
    EXPECT_STATUS(tuff_dataset_open(spec("idx:%s", temp_path("idx")), NULL, &d),
                  TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "t10k: there are 2 examples, but 3 labels");
    EXPECT_OK(tuff_file_write(temp_path("idx/t10k-labels-idx1-ubyte"), bytes,
                              idx_images(bytes, 2)));
    EXPECT_STATUS(tuff_dataset_open(spec("idx:%s", temp_path("idx")), NULL, &d),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it has 3 dims, expected 1");
}

static void idx_hostile(void)
{
    uint8_t good[300];
    const size_t size = idx_images(good, 5);
    tuff_array a;
    EXPECT_OK(tuff_idx_parse(good, size, &a));
    EXPECT_EQ(((uint8_t *)a.data)[29], 29);
    tuff_array_clear(&a);
    for (size_t cut = 0; cut <= size + 1; cut++) {
        if (cut == size) continue;
        uint8_t *exact = calloc(cut + 1, 1);
        memcpy(exact, good, cut < size ? cut : size);
        if (cut < size) exact = realloc(exact, cut ? cut : 1);
        EXPECT_STATUS(tuff_idx_parse(exact, cut, &a), TUFF_ERR_FORMAT);
        EXPECT(a.data == NULL && strlen(tuff_last_error()) > 10);
        free(exact);
    }
    // 2^32 - 1 along each of three dims, and 2^16 along four: the products overflow 64 bits.
    uint8_t wide[40] = { 0, 0, 8, 3 };
    memset(wide + 4, 0xff, 12);
    EXPECT_STATUS(tuff_idx_parse(wide, 40, &a), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "overflows");
    uint8_t four[40] = { 0, 0, 8, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0 };
    EXPECT_STATUS(tuff_idx_parse(four, 40, &a), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "overflows");
    static const struct {
        int at, value;
        const char *why;
    } rows[] = { { 0, 1, "no IDX file" }, { 2, 13, "type 13" },
                 { 3, 0, "0 dims" },      { 3, 9, "9 dims" },
                 { 7, 6, "asks for" },    { 7, 0, "dim 0 in its header" },
                 { 4, 0x80, "asks for" } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const uint8_t old = good[rows[i].at];
        good[rows[i].at] = (uint8_t)rows[i].value;
        EXPECT_STATUS(tuff_idx_parse(good, size, &a), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), rows[i].why);
        good[rows[i].at] = old;
    }
}

// ---- CIFAR-10 -------------------------------------------------------------------------------

static void cifar10_folders(void)
{
    enum { RECORD = 3073 };
    uint8_t *bytes = malloc(3 * RECORD);
    for (int i = 0; i < 3 * RECORD; i++)
        bytes[i] = (uint8_t)(i % RECORD ? i % 251 : i / RECORD);
    const char *folder = spec("cifar10:%s", temp_path("cifar"));
    tuff_dataset *d;
    EXPECT_OK(tuff_folder_make(temp_path("cifar")));
    EXPECT_OK(tuff_file_write(temp_path("cifar/test_batch.bin"), bytes + RECORD, RECORD));
    EXPECT_STATUS(tuff_dataset_open(folder, NULL, &d), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "none of data_batch_1.bin to data_batch_5.bin");
    EXPECT_OK(tuff_file_write(temp_path("cifar/data_batch_2.bin"), bytes, 2 * RECORD));
    write_gz(temp_path("cifar/data_batch_5.bin.gz"), bytes + 2 * RECORD, RECORD);
    d = open_data(folder, NULL);
    if (d) {
        int32_t labels[3];
        const tuff_dataset_info *info = tuff_dataset_get_info(d);
        EXPECT(info->count[TUFF_TRAIN] == 3 && info->count[TUFF_TEST] == 1);
        EXPECT(info->classes == 3 && info->class_names == NULL);
        EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 0, 3, NULL, labels, NULL));
        for (int i = 0; i < 3; i++) EXPECT_EQ(labels[i], i);
        EXPECT_OK(tuff_dataset_set_norm(d, (float[]){ 255 }, (float[]){ 0 }, 1));
        float *x = malloc(3072 * sizeof *x);
        EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 2, 1, x, NULL, NULL));
        for (int i = 0; i < 3072; i++)
            if (fabsf(x[i] - bytes[2 * RECORD + 1 + i]) > 1e-3f) FAIL("pixel %d", i);
        free(x);
        tuff_dataset_destroy(&d);
    }
    write_text("cifar/batches.meta.txt", "a\nb\n\n");
    EXPECT_STATUS(tuff_dataset_open(folder, NULL, &d), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "has 2 names of 10");
    EXPECT_OK(tuff_file_write(temp_path("cifar/data_batch_2.bin"), bytes, 2 * RECORD - 1));
    EXPECT_STATUS(tuff_dataset_open(folder, NULL, &d), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "expected a multiple of 3073");
    bytes[RECORD] = 10;
    EXPECT_OK(tuff_file_write(temp_path("cifar/data_batch_2.bin"), bytes, 2 * RECORD));
    EXPECT_STATUS(tuff_dataset_open(folder, NULL, &d), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "record 1 has label 10");
    free(bytes);
}

// ---- CSV ------------------------------------------------------------------------------------

static tuff_status csv(const char *text, const char *label, const char *target,
                       tuff_parts *parts)
{
    const size_t n = strlen(text);
    char *copy = malloc(n ? n : 1); // not ended: the parser must keep to the size
    memcpy(copy, text, n);
    *parts = (tuff_parts){ 0 };
    const tuff_status status = tuff_csv_parse("t.csv", copy, n, label, target, parts);
    free(copy);
    if (status != TUFF_OK) tuff_parts_clear(parts);
    return status;
}

static void csv_reads(void)
{
    static const struct {
        const char *text, *label;
        int columns;
        float x[6]; // of the first rows
        int rows, labels[3];
        const char *names;
    } rows[] = {
        { "1,2,0\n3,4,1\n", NULL, 2, { 1, 2, 3, 4 }, 2, { 0, 1 }, "0 1 " },
        { "1,2,0\n3,4,1", NULL, 2, { 1, 2, 3, 4 }, 2, { 0, 1 }, "0 1 " },
        { "a,b,c\n1,2,7\n3,4,-3\n5,6,7\n", NULL, 2, { 1, 2, 3, 4, 5, 6 }, 3, { 1, 0, 1 },
          "-3 7 " },
        { "kind,a\ncat,1\ndog,-2e3\ncat,.5", "kind", 1, { 1, -2000, .5f }, 3, { 0, 1, 0 },
          "cat dog " },
        { "cat,1\ndog,-2e3\nape,.5", "0", 1, { 1, -2000, .5f }, 3, { 1, 2, 0 },
          "ape cat dog " },
        { "1,x,2\r\n3,y,4\r\n\r\n", "1", 2, { 1, 2, 3, 4 }, 2, { 0, 1 }, "x y " },
        { "1,x,2\n3,y,4\n", "-2", 2, { 1, 2, 3, 4 }, 2, { 0, 1 }, "x y " },
        { "\xef\xbb\xbf 1 ,\t\"2\" , \"a, \"\"b\"\"\nc\" \n\n3,4,d\n", NULL, 2,
          { 1, 2, 3, 4 }, 2, { 0, 1 }, "a, \"b\"\nc d " },
        { "1,01\n2,1\n3,10\n", NULL, 1, { 1, 2, 3 }, 3, { 0, 0, 1 }, "1 10 " },
        { "0,1,kind\n5,6,9\n7,8,3\n", NULL, 2, { 5, 6, 7, 8 }, 2, { 1, 0 }, "3 9 " },
        { "9,1.5e0\n8,a\n7,1\n", NULL, 1, { 9, 8, 7 }, 3, { 1, 2, 0 }, "1 1.5e0 a " },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_parts p;
        char names[64] = "";
        if (!EXPECT_OK(csv(rows[i].text, rows[i].label, NULL, &p))) {
            FAIL("row %zu: %s", i, tuff_last_error());
            continue;
        }
        EXPECT(tuff_desc_equal(&p.x.desc,
                               &TUFF_SHAPE(TUFF_F32, rows[i].rows, rows[i].columns)));
        EXPECT(tuff_desc_equal(&p.y.desc, &TUFF_SHAPE(TUFF_I32, rows[i].rows)));
        for (int k = 0; k < rows[i].rows * rows[i].columns; k++)
            EXPECT(((float *)p.x.data)[k] == rows[i].x[k]);
        for (int k = 0; k < rows[i].rows; k++)
            EXPECT_EQ(((int32_t *)p.y.data)[k], rows[i].labels[k]);
        for (int k = 0; k < p.name_count; k++) {
            strcat(names, p.names[k]);
            strcat(names, " ");
        }
        EXPECT_STR(names, rows[i].names);
        tuff_parts_clear(&p);
    }
    tuff_parts p;
    EXPECT_OK(csv("a,price\n1,2.5\n3,-4\n", NULL, "price", &p));
    EXPECT(tuff_desc_equal(&p.y.desc, &TUFF_SHAPE(TUFF_F32, 2, 1)) && !p.names);
    EXPECT(((float *)p.y.data)[0] == 2.5f && ((float *)p.y.data)[1] == -4);
    tuff_parts_clear(&p);
}

static void csv_refuses(void)
{
    static const struct {
        const char *text, *label, *target, *why;
    } rows[] = {
        { "1,2,0\n3,,1\n", NULL, NULL, "t.csv: row 2, column 1 (from 0) is empty" },
        { "a,b,c\n1,2,0\n\n3, ,1\n", NULL, NULL, "row 4, column 'b' is empty" },
        { "a,b,c\n1,2,0\n3,4,\n", NULL, NULL, "row 3, column 'c' is empty" },
        { "a,b\n1,\n", NULL, "b", "row 2, column 'b' is empty" },
        { "a,b,c\n1,NA,0\n", NULL, NULL, "row 2, column 'b' is 'NA', expected a number" },
        { "a,b,c\n1,1e39,0\n", NULL, NULL, "is '1e39', expected a number" },
        { "a,b,c\n1,0x10,0\n", NULL, NULL, "is '0x10', expected a number" },
        { "1,2,0\n3,4\n", NULL, NULL, "row 2 has 2 cells, expected 3" },
        { "1,2,0\n3,4,1,\n", NULL, NULL, "row 2 has 4 cells, expected 3" },
        { "1,2,0\n3,4,1\n5,6,0.5", NULL, NULL, "a class is 0.5, expected whole numbers" },
        { "a,b\n", NULL, NULL, "no rows" },
        { "", NULL, NULL, "no rows" },
        { "\n\n \n", NULL, NULL, "no rows" },
        { "1\n2\n", NULL, NULL, "one cell" },
        { "a,b\n1,2\n", "c", NULL, "no column is named 'c'" },
        { "1,2\n", "2", NULL, "column 2 is asked for, it has 2" },
        { "1,2\n", "-3", NULL, "column -3 is asked for" },
        { "3,4,\n5,6,1\n", NULL, NULL, "row 1, column 2 (from 0) is empty" },
        { "1,\"2\n", NULL, NULL, "row 1: a quote is not closed" },
        { "1,\"2\"3\n", NULL, NULL, "row 1: text follows a closing quote" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_parts p;
        const tuff_status status = csv(rows[i].text, rows[i].label, rows[i].target, &p);
        if (!EXPECT(status == TUFF_ERR_FORMAT || status == TUFF_ERR_ARG)) FAIL("row %zu", i);
        EXPECT_HAS(tuff_last_error(), rows[i].why);
    }
    tuff_parts p = { 0 };
    char zero[] = "1,2\n3\0,4\n";
    EXPECT_STATUS(tuff_csv_parse("t.csv", zero, sizeof zero - 1, NULL, NULL, &p),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it is not text");
    // Cut anywhere: read, or refused with a sentence; never beyond the end (a sanitizer
    // watches).
    const char text[] = "a,\"b \"\"q\"\"\",kind\n1.5,-2e3,\"x\"\n3,4,y\n";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        char part[sizeof text] = "";
        memcpy(part, text, cut);
        if (csv(part, NULL, NULL, &p) == TUFF_OK) tuff_parts_clear(&p);
        else EXPECT(strncmp(tuff_last_error(), "t.csv: ", 7) == 0);
    }
}

static void csv_options(void)
{
    write_text("o.csv", "id,kind\n1,a\n2,b\n3,c\n4,b\n5,a\n");
    write_text("o-test.csv", "7,d\n8,a\n");
    write_text("o-wide.csv", "7,8,d\n");
    char text[1400];
    tuff_dataset *d;
    snprintf(text, sizeof text, "csv:%s,label=kind,test=%s", temp_path("o.csv"),
             temp_path("o-test.csv"));
    d = open_data(text, NULL);
    if (d) {
        const tuff_dataset_info *info = tuff_dataset_get_info(d);
        int32_t labels[2];
        EXPECT(info->count[TUFF_TRAIN] == 5 && info->count[TUFF_TEST] == 2);
        EXPECT_EQ(info->classes, 4); // d is in the test file alone
        EXPECT_STR(info->class_names[3], "d");
        EXPECT_OK(tuff_dataset_read(d, TUFF_TEST, 0, 2, NULL, labels, NULL));
        EXPECT(labels[0] == 3 && labels[1] == 0);
        tuff_dataset_destroy(&d);
    }
    d = open_data(spec("csv:%s", temp_path("o.csv")), NULL); // a fifth is held out
    if (d) {
        EXPECT_EQ(tuff_dataset_get_info(d)->count[TUFF_TEST], 1);
        EXPECT_EQ(tuff_dataset_get_info(d)->count[TUFF_TRAIN], 4);
        tuff_dataset_destroy(&d);
    }
    snprintf(text, sizeof text, "csv:%s,test=%s", temp_path("o.csv"), temp_path("o-wide.csv"));
    EXPECT_STATUS(tuff_dataset_open(text, NULL, &d), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "o-wide.csv has 3 columns");
    static const struct {
        const char *options, *why;
    } wrong[] = { { ",lable=kind", "no option 'lable'" }, { ",label=", "is empty" },
                  { ",label=kind,label=id", "given twice" },
                  { ",label=kind,target=id", "exclude each other" } };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        snprintf(text, sizeof text, "csv:%s%s", temp_path("o.csv"), wrong[i].options);
        EXPECT_STATUS(tuff_dataset_open(text, NULL, &d), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].why);
    }
    // A packed file with a comma in its name.
    write_gz(temp_path("a,b.csv.gz"), "1,0\n2,1\n3,0\n", 12);
    d = open_data(spec("csv:%s,label=1", temp_path("a,b.csv.gz")), NULL);
    tuff_dataset_destroy(&d);
}

// ---- NumPy's files, and arrays --------------------------------------------------------------

static void npy_pairs(void)
{
    float x[50];
    int64_t y[10];
    for (int i = 0; i < 50; i++) x[i] = (float)(i * i % 17);
    for (int i = 0; i < 10; i++) y[i] = i % 4;
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, 10, 5), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I64, 10), y };
    const tuff_array real = { TUFF_SHAPE(TUFF_F32, 10, 5), x };
    tuff_dataset *d;
    EXPECT_OK(tuff_npy_write(temp_path("x.npy"), &ax));
    EXPECT_OK(tuff_npy_write(temp_path("y.npy"), &ay));
    EXPECT_OK(tuff_npy_write(temp_path("t.npy"), &real));
    char text[1400];
    snprintf(text, sizeof text, "npy:%s,%s", temp_path("x.npy"), temp_path("y.npy"));
    d = open_data(text, NULL);
    if (d) {
        const tuff_dataset_info *info = tuff_dataset_get_info(d);
        EXPECT(info->count[TUFF_TRAIN] == 8 && info->count[TUFF_TEST] == 2);
        EXPECT(info->classes == 4 && info->channels == 5);
        tuff_dataset_destroy(&d);
    }
    snprintf(text, sizeof text, "npy:%s,%s", temp_path("x.npy"), temp_path("t.npy"));
    d = open_data(text, NULL);
    if (d) {
        float got[5], target[5];
        const tuff_dataset_info *info = tuff_dataset_get_info(d);
        EXPECT(info->classes == 0 && info->targets == 5);
        EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 3, 1, got, NULL, target));
        for (int i = 0; i < 5; i++) // targets are not normalised
            EXPECT_NEAR(got[i], info->scale[i] * target[i] + info->shift[i], 1e-5);
        tuff_dataset_destroy(&d);
    }
    EXPECT_STATUS(tuff_dataset_open("npy:x", NULL, &d), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_open("npy:,x", NULL, &d), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_open("npy:", NULL, &d), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_open("fashion:x", NULL, &d), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_open("", NULL, &d), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_dataset_open("fashoin", NULL, &d), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "did you mean fashion?");
}

static void arrays_refused(void)
{
    float x[24] = { 0 };
    int32_t y[4] = { 0, 1, 2, 1 }, negative[4] = { 0, -1, 0, 0 }, huge[4] = { INT32_MAX };
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, 4, 6), x };
    const tuff_array a5 = { TUFF_SHAPE(TUFF_F32, 2, 2, 1, 2, 3), x };
    const tuff_array ax3 = { TUFF_SHAPE(TUFF_F32, 3, 8), x };
    const tuff_array wide = { TUFF_SHAPE(TUFF_F32, 4, 3), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I32, 4), y };
    const tuff_array an = { TUFF_SHAPE(TUFF_I32, 4), negative };
    const tuff_array ah = { TUFF_SHAPE(TUFF_I32, 4), huge };
    const tuff_array ay2 = { TUFF_SHAPE(TUFF_I32, 4, 1), y };
    const tuff_array at = { TUFF_SHAPE(TUFF_F32, 4), x };
    const struct {
        const tuff_array *x, *y, *test_x, *test_y;
        tuff_dataset_params p;
        const char *why;
    } rows[] = {
        { .x = &a5, .y = &ay, .why = "5 dims" },
        { .x = &ax3, .y = &ay, .why = "3 examples, but 4 labels" },
        { .x = &ax, .y = &an, .why = "label 1 is -1" },
        { .x = &ax, .y = &ah, .why = "label 0 is 2147483647" },
        { .x = &ax, .y = &ay2, .why = "labels have 2 dims" },
        { .x = &ax, .y = &ay, .test_x = &ax, .why = "given together" },
        { .x = &ax, .y = &ay, .test_x = &wide, .test_y = &ay, .why = "examples f32 [4, 3]" },
        { .x = &ax, .y = &ay, .test_x = &ax, .test_y = &at, .why = "test examples targets" },
        { .x = &ax, .y = &ay, .p = { .held_out = 0.95f }, .why = "held_out is 0.95" },
        { .x = &ax, .y = &ay, .p = { .held_out = NAN }, .why = "held_out is" },
        { .x = &ax, .y = &ay, .p = { .held_out = 0.01f }, .why = "0 of 3 examples" },
        { .x = &ax, .y = &ay, .p = { .pad_to = 32 }, .why = "are for images" },
        { .x = &ax, .y = &ay, .p = { .limit_train = -1 }, .why = "must not be negative" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_dataset *d;
        const tuff_status status = tuff_dataset_from_arrays(
            rows[i].x, rows[i].y, rows[i].test_x, rows[i].test_y, &rows[i].p, &d);
        if (!EXPECT(status != TUFF_OK && !d)) FAIL("row %zu", i);
        EXPECT_HAS(tuff_last_error(), rows[i].why);
    }
}

// Parts are disjoint, cover everything, and depend on the split seed alone.
static void splits(void)
{
    float x[101];
    int32_t y[101];
    for (int i = 0; i < 101; i++) {
        x[i] = (float)i;
        y[i] = i;
    }
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, 101), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I32, 101), y };
    int32_t first[21], labels[101];
    for (uint64_t seed = 0; seed < 3; seed++) {
        tuff_dataset *d;
        const tuff_dataset_params p = { .held_out = 0.25f, .split_seed = seed % 2 };
        EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, NULL, NULL, &p, &d));
        const int64_t *count = tuff_dataset_get_info(d)->count;
        EXPECT(count[TUFF_TEST] == 21 && count[TUFF_HELD] == 20 && count[TUFF_TRAIN] == 60);
        int seen[101] = { 0 };
        for (int s = 0; s < TUFF_SPLITS; s++) {
            EXPECT_OK(tuff_dataset_read(d, (tuff_split)s, 0, count[s], NULL, labels, NULL));
            for (int i = 0; i < count[s]; i++) seen[labels[i]]++;
            for (int i = 1; i < count[s]; i++) EXPECT(labels[i - 1] < labels[i]);
        }
        for (int i = 0; i < 101; i++) EXPECT_EQ(seen[i], 1);
        EXPECT_OK(tuff_dataset_read(d, TUFF_TEST, 0, 21, NULL, labels, NULL));
        if (seed == 0) memcpy(first, labels, sizeof first);
        else EXPECT_EQ(memcmp(first, labels, sizeof first) == 0, seed == 2);
        tuff_dataset_destroy(&d);
    }
    tuff_dataset *d;
    const tuff_dataset_params few = { .limit_train = 7 };
    EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, &few, &d));
    EXPECT_EQ(tuff_dataset_get_info(d)->count[TUFF_TRAIN], 7);
    EXPECT_EQ(tuff_dataset_get_info(d)->count[TUFF_TEST], 101);
    tuff_dataset_destroy(&d);
}

// Columns of very different sizes, one of them constant and one far from zero.
static void normalises_columns(void)
{
    enum { N = 1000 };
    static float x[N][4];
    static int32_t y[N];
    tuff_rng rng = { .seed = 4 };
    for (int i = 0; i < N; i++) {
        x[i][0] = tuff_rng_normal(&rng) * 1e-4f;
        x[i][1] = 1e6f + tuff_rng_uniform(&rng) * 64;
        x[i][2] = 0.1f;
        x[i][3] = tuff_rng_uniform(&rng) * 1e20f;
    }
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, N, 4), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I32, N), y };
    tuff_dataset *d;
    EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, NULL, &d));
    float *got = malloc(sizeof x);
    EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, 0, N, got, NULL, NULL));
    for (int c = 0; c < 4; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            sum += got[4 * i + c];
            squares += (double)got[4 * i + c] * got[4 * i + c];
        }
        // scale * 1e6 + shift cancels: f32 keeps 1e6 / 64 * 6e-8 of it.
        EXPECT_NEAR(sum / N, 0, c == 1 ? 1e-2 : 1e-5);
        EXPECT_NEAR(squares / N, c == 2 ? 0 : 1, c == 1 ? 1e-2 : 1e-4);
    }
    free(got);
    tuff_dataset_destroy(&d);
}

static void pads_and_repeats(void)
{
    uint8_t x[2][3][5];
    int32_t y[2] = { 0, 1 };
    for (int i = 0; i < 30; i++) x[i / 15][i / 5 % 3][i % 5] = (uint8_t)(i + 1);
    const tuff_array ax = { TUFF_SHAPE(TUFF_U8, 2, 3, 5), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I32, 2), y };
    const tuff_dataset_params p = { .pad_to = 8, .channels = 3 };
    tuff_dataset *d;
    if (!EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, &p, &d))) return;
    const tuff_dataset_info *info = tuff_dataset_get_info(d);
    EXPECT(tuff_desc_equal(&info->sample, &TUFF_SHAPE(TUFF_F32, 3, 8, 8)));
    EXPECT(info->channels == 3 && info->scale[2] == info->scale[0]);
    EXPECT_NEAR(-info->shift[1] / info->scale[1] * 255, 15.5, 1e-4); // of 1 to 30
    EXPECT_OK(tuff_dataset_set_norm(d, (float[]){ 255, 510, 255 }, (float[]){ 0, 0, 1 }, 3));
    float got[2][3][8][8];
    EXPECT_OK(tuff_dataset_read(d, TUFF_TEST, 0, 2, &got[0][0][0][0], NULL, NULL));
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 8; i++)
                for (int j = 0; j < 8; j++) {
                    const bool in = i >= 2 && i < 5 && j >= 1 && j < 6;
                    const float v = in ? x[n][i - 2][j - 1] : 0;
                    EXPECT_NEAR(got[n][c][i][j], c == 1 ? 2 * v : v + (c == 2), 1e-4);
                }
    tuff_dataset_destroy(&d);
    const tuff_dataset_params small = { .pad_to = 4 };
    EXPECT_STATUS(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, &small, &d), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "pad_to is 4, the images are 3 x 5");
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(real_fashion);
    CASE(real_mnist);
    CASE(real_cifar10);
    CASE(idx_folders);
    CASE(idx_hostile);
    CASE(cifar10_folders);
    CASE(csv_reads);
    CASE(csv_refuses);
    CASE(csv_options);
    CASE(npy_pairs);
    CASE(arrays_refused);
    CASE(splits);
    CASE(normalises_columns);
    CASE(pads_and_repeats);
    return report();
}
