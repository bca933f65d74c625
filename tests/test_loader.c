// Loaders: order, the last batch, resuming, ending, memory.
#include "harness.h"
#include "base/alloc.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A dataset of n examples of f numbers: number j of example i is f i + j, its class i % 5.
static tuff_dataset *counted(int n, int f, tuff_dtype dtype, const tuff_dataset_params *p)
{
    tuff_array x = { 0 }, y = { 0 }, typed = { 0 };
    tuff_dataset *d = NULL;
    EXPECT_OK(tuff_array_init(&x, TUFF_SHAPE(TUFF_F32, n, f)));
    EXPECT_OK(tuff_array_init(&y, TUFF_SHAPE(TUFF_I32, n)));
    for (int i = 0; i < n * f; i++) ((float *)x.data)[i] = (float)i;
    for (int i = 0; i < n; i++) ((int32_t *)y.data)[i] = i % 5;
    EXPECT_OK(tuff_array_convert(&x, dtype, &typed));
    EXPECT_OK(tuff_dataset_from_arrays(&typed, &y, &typed, &y, p, &d));
    const float one = dtype == TUFF_U8 ? 255 : 1, zero = 0;
    if (d) EXPECT_OK(tuff_dataset_set_norm(d, &one, &zero, 1));
    tuff_array_clear(&x);
    tuff_array_clear(&y);
    tuff_array_clear(&typed);
    return d;
}

// In order, without shuffling: every example once, the last batch short and filled up.
static void loader_in_order(void)
{
    for (int f = 1; f <= 70; f += 69) { // 70 channels: bytes without a table
        tuff_dataset *d = counted(f == 1 ? 253 : 3, f, TUFF_U8, NULL);
        const int n = f == 1 ? 253 : 3, batch = f == 1 ? 20 : 2;
        tuff_loader *l;
        const tuff_loader_params p = { .split = TUFF_TEST, .batch = batch };
        if (!EXPECT_OK(tuff_loader_create(d, &p, &l))) return;
        EXPECT_EQ(tuff_loader_batches(l), (n + batch - 1) / batch);
        for (int epoch = 0; epoch < 3; epoch++)
            for (int at = 0, index = 0; at < n; at += batch, index++) {
                tuff_batch b;
                tuff_loader_next(l, &b);
                EXPECT_EQ(b.count, n - at < batch ? n - at : batch);
                EXPECT(b.epoch == epoch && b.index == index && b.targets == NULL);
                for (int i = 0; i < batch; i++) {
                    const bool in = i < b.count;
                    EXPECT_EQ(b.labels[i], in ? (at + i) % 5 : -1);
                    for (int j = 0; j < f; j++)
                        EXPECT_NEAR(b.x[i * f + j], in ? (at + i) * f + j : 0, 1e-4);
                }
            }
        tuff_loader_destroy(&l);
        EXPECT(l == NULL);
        tuff_loader_destroy(&l);
        tuff_dataset_destroy(&d);
    }
}

enum { EXAMPLES = 103, BATCH = 10, BATCHES = 11 };

// Reads `n` batches from `start` on into order[][BATCH]: the examples' numbers, else -1.
static void record(const tuff_dataset *d, uint64_t seed, int64_t start, int n, int ahead,
                   int order[][BATCH])
{
    tuff_loader *l;
    const tuff_loader_params p = { .batch = BATCH, .shuffle = true, .seed = seed,
                                   .start = start, .ahead = ahead };
    if (!EXPECT_OK(tuff_loader_create(d, &p, &l))) return;
    for (int k = 0; k < n; k++) {
        tuff_batch b;
        tuff_loader_next(l, &b);
        EXPECT(b.epoch == (start + k) / BATCHES && b.index == (start + k) % BATCHES);
        if (k % 5 == 0) usleep(500); // now the one, now the other is ahead
        for (int i = 0; i < BATCH; i++) {
            order[k][i] = i < b.count ? (int)b.x[i * 3] / 3 : -1;
            EXPECT(i >= b.count || b.labels[i] == order[k][i] % 5);
        }
        for (int i = 0; i < b.count; i++) {
            float x[3];
            EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, b.example[i], 1, x, NULL, NULL));
            EXPECT(memcmp(x, b.x + i * 3, sizeof x) == 0);
        }
    }
    tuff_loader_destroy(&l);
}

static void loader_shuffles(void)
{
    static int whole[3 * BATCHES][BATCH], again[3 * BATCHES][BATCH];
    tuff_dataset *d = counted(EXAMPLES, 3, TUFF_F32, NULL);
    record(d, 1, 0, 3 * BATCHES, 2, whole);
    for (int epoch = 0; epoch < 3; epoch++) {
        int seen[EXAMPLES] = { 0 }, in_place = 0;
        for (int k = 0; k < BATCHES * BATCH; k++) {
            const int example = whole[epoch * BATCHES + k / BATCH][k % BATCH];
            if (example < 0) continue;
            seen[example]++;
            in_place += example == k;
        }
        for (int i = 0; i < EXAMPLES; i++) EXPECT_EQ(seen[i], 1);
        EXPECT(in_place < 10);
    }
    EXPECT(memcmp(whole[0], whole[BATCHES], sizeof whole / 3) != 0);
    // The same, whatever is made ahead, and from any batch on.
    for (int start = 0; start < 3 * BATCHES; start += 5) {
        record(d, 1, start, 3 * BATCHES - start, 1 + start % 7, again);
        EXPECT(memcmp(whole[start], again, (size_t)(3 * BATCHES - start) * sizeof *whole) == 0);
    }
    record(d, 2, 0, BATCHES, 2, again);
    EXPECT(memcmp(whole, again, BATCHES * sizeof *whole) != 0);
    tuff_dataset_destroy(&d);
}

static void loader_ends(void)
{
    tuff_dataset *d = counted(EXAMPLES, 1, TUFF_F32, NULL);
    tuff_loader *l;
    const tuff_loader_params p = { .batch = BATCH, .epochs = 2, .start = BATCHES };
    EXPECT_OK(tuff_loader_create(d, &p, &l));
    tuff_batch b;
    int64_t examples = 0;
    for (int i = 0; i < BATCHES; i++) {
        tuff_loader_next(l, &b);
        examples += b.count;
        EXPECT_EQ(b.epoch, 1);
    }
    EXPECT_EQ(examples, EXAMPLES);
    for (int i = 0; i < 10; i++) {
        tuff_loader_next(l, &b);
        EXPECT_EQ(b.count, 0);
    }
    tuff_loader_destroy(&l);
    const struct {
        tuff_loader_params p;
        const char *why;
    } wrong[] = { { { .split = TUFF_HELD }, "no examples" },
                  { { .batch = -1 }, "0 or more" },
                  { { .start = -1 }, "0 or more" },
                  { { .ahead = 65 }, "ahead 0 to 64" },
                  { { .split = (tuff_split)7 }, "part 7" } };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_loader_create(d, &wrong[i].p, &l), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].why);
    }
    // Made and left at once, while the thread is anywhere.
    for (int i = 0; i < 100; i++) {
        const tuff_loader_params small = { .batch = 7, .ahead = i % 4 };
        EXPECT_OK(tuff_loader_create(d, &small, &l));
        for (int k = 0; k < i % 3; k++) tuff_loader_next(l, &b);
        tuff_loader_destroy(&l);
    }
    tuff_dataset_destroy(&d);
}

static void loader_targets(void)
{
    float x[9], y[18];
    for (int i = 0; i < 18; i++) y[i] = (float)i;
    for (int i = 0; i < 9; i++) x[i] = (float)i;
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, 9), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_F32, 9, 2), y };
    tuff_dataset *d;
    tuff_loader *l;
    EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, NULL, &d));
    EXPECT_OK(tuff_loader_create(d, &(tuff_loader_params){ .batch = 4 }, &l));
    for (int k = 0; k < 3; k++) {
        tuff_batch b;
        tuff_loader_next(l, &b);
        EXPECT(b.labels == NULL);
        for (int i = 0; i < 8; i++)
            EXPECT(b.targets[i] == (i / 2 < b.count ? (float)(8 * k + i) : 0));
    }
    tuff_loader_destroy(&l);
    tuff_dataset_destroy(&d);
}

// ---- augmented images -----------------------------------------------------------------------

enum { IMAGES = 23, TALL = 4, WIDE = 6, SIDE = 7, SHIFT = 2, MOVES = 2 * SHIFT + 1, FLIPS = 2 };

// Images [1, TALL, WIDE] of numbers 1, 2, ... laid into SIDE x SIDE, twice; padding is -3 in
// the first channel and 5 in the second.
static tuff_dataset *numbered_images(void)
{
    static const float scale[] = { 1, 2 }, shift[] = { -3, 5 };
    float x[IMAGES * TALL * WIDE];
    int32_t y[IMAGES];
    for (int i = 0; i < IMAGES * TALL * WIDE; i++) x[i] = (float)(i + 1);
    for (int i = 0; i < IMAGES; i++) y[i] = i % 3;
    const tuff_array ax = { TUFF_SHAPE(TUFF_F32, IMAGES, 1, TALL, WIDE), x };
    const tuff_array ay = { TUFF_SHAPE(TUFF_I32, IMAGES), y };
    tuff_dataset *d;
    EXPECT_OK(tuff_dataset_from_arrays(&ax, &ay, &ax, &ay, &(tuff_dataset_params){
        .pad_to = SIDE, .channels = 2 }, &d));
    EXPECT_OK(tuff_dataset_set_norm(d, scale, shift, 2));
    return d;
}

// Whether `got` is `image`, perhaps flipped, then moved.
static bool is_moved(const float *got, const float *image, bool flip, int down, int right)
{
    for (int i = 0; i < 2 * SIDE * SIDE; i++) {
        const int c = i / (SIDE * SIDE), y = i / SIDE % SIDE - down, x = i % SIDE - right;
        const bool in = y >= 0 && y < SIDE && x >= 0 && x < SIDE;
        const float padding = c ? 5 : -3;
        const int at = (c * SIDE + y) * SIDE + (flip ? SIDE - 1 - x : x);
        if (got[i] != (in ? image[at] : padding)) return false;
    }
    return true;
}

// The number of the change that was made, or -1.
static int change_of(const float *got, const float *image, const tuff_augment *a)
{
    for (int i = 0; i < FLIPS * MOVES * MOVES; i++) {
        const int down = i / MOVES % MOVES - SHIFT, right = i % MOVES - SHIFT;
        const bool flip = i / (MOVES * MOVES);
        if (is_moved(got, image, flip, down, right))
            return abs(down) <= a->shift && abs(right) <= a->shift && (a->flip || !flip) ? i
                                                                                         : -1;
    }
    return -1;
}

// changes[epoch * IMAGES + example], from example `start` of the order on.
static void record_changes(const tuff_dataset *d, const tuff_augment *a, int batch, int start,
                           int epochs, int *changes)
{
    enum { NUMBERS = 2 * SIDE * SIDE };
    tuff_loader *l;
    tuff_batch b;
    float image[NUMBERS];
    const tuff_loader_params p = { .batch = batch, .shuffle = true, .seed = 4, .start = start,
                                   .epochs = epochs, .augment = *a };
    if (!EXPECT_OK(tuff_loader_create(d, &p, &l))) return;
    for (tuff_loader_next(l, &b); b.count; tuff_loader_next(l, &b))
        for (int i = 0; i < b.count; i++) {
            const int example = (int)b.example[i];
            EXPECT_OK(tuff_dataset_read(d, TUFF_TRAIN, example, 1, image, NULL, NULL));
            EXPECT_EQ(b.labels[i], example % 3);
            changes[b.epoch * IMAGES + example] = change_of(b.x + i * NUMBERS, image, a);
        }
    tuff_loader_destroy(&l);
}

static void count_changes(const int *changes, int n, int want)
{
    int seen[FLIPS * MOVES * MOVES] = { 0 }, kinds = 0;
    for (int i = 0; i < n; i++)
        if (EXPECT(changes[i] >= 0)) kinds += seen[changes[i]]++ == 0;
    EXPECT_EQ(kinds, want);
    for (int i = 0; i < FLIPS * MOVES * MOVES; i++) EXPECT(seen[i] < 3 * n / want);
}

static void images_are_augmented(void)
{
    enum { EPOCHS = 40, ALL = EPOCHS * IMAGES };
    static int changes[ALL], again[ALL];
    static const struct {
        tuff_augment a;
        int kinds;
    } table[] = { { { .shift = 2 }, 25 }, { { .flip = true }, 2 },
                  { { .shift = 2, .flip = true }, 50 }, { { .shift = 1 }, 9 }, { { 0 }, 1 } };
    tuff_dataset *d = numbered_images();
    for (size_t i = 0; i < COUNT(table); i++) {
        record_changes(d, &table[i].a, 5, 0, EPOCHS, changes);
        count_changes(changes, ALL, table[i].kinds);
        // What becomes of an example is the same in other batches, and from any batch on.
        record_changes(d, &table[i].a, 8, 0, EPOCHS, again);
        EXPECT(memcmp(changes, again, sizeof changes) == 0);
        memcpy(again, changes, sizeof changes / 2);
        record_changes(d, &table[i].a, 1, ALL / 2, EPOCHS, again);
        EXPECT(memcmp(changes, again, sizeof changes) == 0);
    }
    tuff_dataset_destroy(&d);
}

static void augmenting_refuses(void)
{
    static const char *const wrong[] = { "", "shift", "shift=", "shift=0", "shift=-1", "flop",
                                         "shift=1.5", "flip,", "flip,flip", "shift=1,shift=2",
                                         "flip shift=1", "none,flip", "shift=99999" };
    tuff_augment a = { .shift = 7 };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_augment_parse(wrong[i], &a), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), "expected none, or shift=PIXELS and flip");
        EXPECT(a.shift == 7 && !a.flip);
    }
    EXPECT_OK(tuff_augment_parse("flip,shift=4", &a));
    EXPECT(a.shift == 4 && a.flip);
    EXPECT_OK(tuff_augment_parse("none", &a));
    EXPECT(a.shift == 0 && !a.flip);
    tuff_dataset *numbers = counted(9, 3, TUFF_F32, NULL), *images = numbered_images();
    tuff_loader *l;
    tuff_loader_params p = { .augment = { .flip = true } };
    EXPECT_STATUS(tuff_loader_create(numbers, &p, &l), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "are for images, the data's samples are f32 [3]");
    p.augment.shift = SIDE;
    EXPECT_STATUS(tuff_loader_create(images, &p, &l), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "shift is 7, expected fewer pixels");
    tuff_dataset_destroy(&numbers);
    tuff_dataset_destroy(&images);
}

// In steady state no memory is allocated, whichever epoch begins.
static void loader_allocates_nothing(void)
{
    tuff_dataset *d = counted(EXAMPLES, 3, TUFF_F32, NULL);
    tuff_loader *l;
    const tuff_loader_params p = { .batch = BATCH, .shuffle = true };
    EXPECT_OK(tuff_loader_create(d, &p, &l));
    const int64_t before = tuff_alloc_count();
    tuff_batch b;
    for (int i = 0; i < 50 * BATCHES; i++) tuff_loader_next(l, &b);
    EXPECT_EQ(tuff_alloc_count(), before);
    tuff_loader_destroy(&l);
    tuff_dataset_destroy(&d);
}

// The n-th allocation fails, for every n, from the file to the first batch.
static void memory_runs_out(void)
{
    const char *table = "a,kind\n1,x\n2,y\n3,z\n4,x\n5,x\n6,x\n7,y\n";
    char name[600];
    EXPECT_OK(tuff_file_write(temp_path("m.csv"), table, strlen(table)));
    snprintf(name, sizeof name, "csv:%s", temp_path("m.csv"));
    int failed = 0;
    for (int n = 1; n < 200; n++) {
        tuff_dataset *d = NULL;
        tuff_loader *l = NULL;
        tuff_alloc_fail_at(n);
        tuff_status status =
            tuff_dataset_open(name, &(tuff_dataset_params){ .held_out = 0.2f }, &d);
        if (status == TUFF_OK) status = tuff_loader_create(d, NULL, &l);
        tuff_alloc_fail_at(0);
        tuff_loader_destroy(&l);
        tuff_dataset_destroy(&d);
        if (status == TUFF_OK) break;
        failed++;
        EXPECT_STATUS(status, TUFF_ERR_MEMORY);
    }
    EXPECT(failed > 20 && failed < 190);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(loader_in_order);
    CASE(loader_shuffles);
    CASE(loader_ends);
    CASE(loader_targets);
    CASE(images_are_augmented);
    CASE(augmenting_refuses);
    CASE(loader_allocates_nothing);
    CASE(memory_runs_out);
    return report();
}
