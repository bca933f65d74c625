// Where barriers go: a pure question about byte ranges.
#include "harness.h"
#include "device/vulkan/hazard.h"

static int names[3]; // buffers are only compared, so any three addresses will do

static tuff_binding touch(int buffer, size_t offset, size_t size, uint8_t access)
{
    return (tuff_binding){ { (tuff_buffer *)&names[buffer], offset, size }, 0, access };
}

static bool add(tuff_hazard *h, int buffer, size_t offset, size_t size, uint8_t access)
{
    const tuff_binding b = touch(buffer, offset, size, access);
    return tuff_hazard_add(h, &b, 1);
}

// One command, then another: is there a barrier between them?
static bool between(tuff_binding first, tuff_binding second)
{
    tuff_hazard h = { .count = 0 };
    EXPECT(!tuff_hazard_add(&h, &first, 1));
    return tuff_hazard_add(&h, &second, 1);
}

static void what_needs_a_barrier(void)
{
    const tuff_binding read = touch(0, 256, 256, TUFF_READ);
    const tuff_binding write = touch(0, 256, 256, TUFF_WRITE);
    const tuff_binding both = touch(0, 256, 256, TUFF_READ | TUFF_WRITE);
    EXPECT(between(write, read));
    EXPECT(between(read, write));
    EXPECT(between(write, write));
    EXPECT(between(both, both));
    EXPECT(!between(read, read));
    // Neighbours do not touch; one byte shared is enough.
    EXPECT(!between(write, touch(0, 0, 256, TUFF_WRITE)));
    EXPECT(!between(write, touch(0, 512, 256, TUFF_READ)));
    EXPECT(between(write, touch(0, 0, 257, TUFF_READ)));
    EXPECT(between(write, touch(0, 511, 1, TUFF_READ)));
    EXPECT(between(touch(0, 0, 1024, TUFF_READ), write));
    EXPECT(!between(write, touch(1, 256, 256, TUFF_WRITE)));
}

// After a barrier only what came later counts, and the command behind it does.
static void what_is_forgotten(void)
{
    tuff_hazard h = { .count = 0 };
    EXPECT(!add(&h, 0, 0, 64, TUFF_WRITE));
    EXPECT(!add(&h, 1, 0, 64, TUFF_WRITE));
    EXPECT(add(&h, 0, 0, 64, TUFF_READ));
    EXPECT(!add(&h, 1, 0, 64, TUFF_READ));
    EXPECT(!add(&h, 2, 0, 64, TUFF_WRITE));
    EXPECT(add(&h, 0, 32, 4, TUFF_WRITE));
    EXPECT(add(&h, 0, 0, 64, TUFF_WRITE));
}

// A command that reads and writes through several bindings is in no hazard with itself.
static void one_command(void)
{
    tuff_hazard h = { .count = 0 };
    const tuff_binding b[3] = { touch(0, 0, 64, TUFF_READ), touch(0, 0, 64, TUFF_WRITE),
                                touch(1, 0, 64, TUFF_READ) };
    EXPECT(!tuff_hazard_add(&h, b, 3));
    EXPECT(add(&h, 0, 0, 4, TUFF_READ));
}

// A full set takes a barrier too many, never one too few.
static void more_than_it_holds(void)
{
    tuff_hazard h = { .count = 0 };
    int barriers = 0;
    for (size_t i = 0; i < 3 * TUFF_HAZARD_MOST; i++)
        barriers += add(&h, 0, i * 256, 256, TUFF_WRITE);
    EXPECT_EQ(barriers, 2);
    EXPECT(add(&h, 0, (3 * TUFF_HAZARD_MOST - 1) * 256, 4, TUFF_READ));
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(what_needs_a_barrier);
    CASE(what_is_forgotten);
    CASE(one_command);
    CASE(more_than_it_holds);
    return report();
}
