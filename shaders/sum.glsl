// Sums whose error does not grow with the number of terms: beside the running sum s goes the
// running sum e of what each addition lost, which TwoSum (Knuth, TAOCP 2, 4.2.2) finds exactly:
//
//   t = s + v;  what reached t of v is b = t - s;  lost: (s - (t - b)) + (v - b)
//
// `precise`: in any other order there is nothing to be found.
struct Sum {
    float s, e;
};

void sum_add(inout Sum a, float v)
{
    precise const float t = a.s + v;
    precise const float b = t - a.s;
    precise const float lost = (a.s - (t - b)) + (v - b);
    a.s = t;
    a.e += lost;
}

// With an infinity among the terms what was lost is NaN, and s alone is right.
float sum_value(Sum a)
{
    return (floatBitsToUint(a.e) & 0x7f800000u) == 0x7f800000u ? a.s : a.s + a.e;
}
