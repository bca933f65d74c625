// a / d for 0 <= a < 2^31, 0 < d < 2^31, exact, by float divisions: integer ones are done lane
// by lane on CPUs. The first quotient is off by at most 128, the second by at most 1.
uint quotient(uint a, uint d)
{
    int q = int(float(a) / float(d));
    int r = int(a) - q * int(d);
    q += int(floor(float(r) / float(d)));
    r = int(a) - q * int(d);
    return uint(r < 0 ? q - 1 : r >= int(d) ? q + 1 : q);
}

// The same for a and d below 2^24, where the first quotient is off by at most 1.
uint small_quotient(uint a, uint d)
{
    const int q = int(float(int(a)) / float(int(d))), r = int(a) - q * int(d);
    return uint(r < 0 ? q - 1 : r >= int(d) ? q + 1 : q);
}
