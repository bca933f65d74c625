// Rows of sums by one subgroup of W invocations, whose left operand lies in panels of W rows:
// what gemm_packed.comp and conv_point.comp share. Of 32 rows a fetch of the right operand
// gives twice as many products as of 16; there are four panels of them at most.
//
//   spec 2  ROWS  16, or 32 where W is 8 or more; with -DBLOCKED always 16, and no constant
#ifdef BLOCKED
const uint ROWS = 16;
#else
layout(constant_id = 2) const uint ROWS = 16;
#endif
#define EACH_ROW(DO)                                                            \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)                       \
    DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23)                     \
    DO(24) DO(25) DO(26) DO(27) DO(28) DO(29) DO(30) DO(31)
#define DECLARE_ROW(r) vec4 s##r = vec4(0.0);
// A panel that no row of this W uses is never fetched: compilers see to it.
// Chosen by mix, not by ?:, which would become branches that these drivers keep.
#define SPREAD(x0, x1, x2, x3, r)                                               \
    subgroupShuffle(mix(mix(x0, x1, (r) / W == 1), mix(x2, x3, (r) / W == 3),   \
                        (r) / W >= 2), (r) % W)
