// Places along the spatial dims of a convolution, x first: two, or with -DDEPTH three.
// EACH(name) is what the push constants say of every dim.
#ifdef DEPTH
#define DIMS 3
#define PLACE ivec3
#define UPLACE uvec3
#define FPLACE vec3
#define BPLACE bvec3
#define EACH(name) ivec3(pc.name##_x, pc.name##_y, pc.name##_z)
PLACE unfold(uint i, PLACE size)
{
    const uint row = i / size.x;
    return PLACE(i % size.x, row % size.y, row / size.y);
}
int fold(PLACE at, PLACE size) { return (at.z * size.y + at.y) * size.x + at.x; }
int volume(PLACE size) { return size.x * size.y * size.z; }
#else
#define DIMS 2
#define PLACE ivec2
#define UPLACE uvec2
#define FPLACE vec2
#define BPLACE bvec2
#define EACH(name) ivec2(pc.name##_x, pc.name##_y)
PLACE unfold(uint i, PLACE size) { return PLACE(i % size.x, i / size.x); }
int fold(PLACE at, PLACE size) { return at.y * size.x + at.x; }
int volume(PLACE size) { return size.x * size.y; }
#endif

// A negative place is a large unsigned one.
bool is_inside(PLACE at, PLACE size) { return all(lessThan(UPLACE(at), UPLACE(size))); }

// The place after another, x running fastest.
PLACE next_place(PLACE at, PLACE size)
{
    at.x++;
    for (int i = 0; i + 1 < DIMS; i++) {
        const bool over = at[i] == size[i];
        at[i] = over ? 0 : at[i];
        at[i + 1] += over ? 1 : 0;
    }
    return at;
}
