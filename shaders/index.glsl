// Which row of x an index (or a tuple of them) names. Who includes this has declared
// `uint load_index(uint i)` and the push constants `pc` (tuff_index_pc).

// Negative ones count from the end.
uint wrap_index(uint word, uint n)
{
    const int i = int(word), at = i < 0 ? i + int(n) : i;
    return uint(at) < n ? uint(at) : TUFF_NO_ROW;
}

// Of the tuple at `at`: its coordinates are digits of the row.
uint row_of_tuple(uint at)
{
    uint row = 0;
    bool there = true;
    for (uint k = 0; k < pc.coords; k++) {
        const uint c = wrap_index(load_index(at * pc.coords + k), pc.dim[k]);
        there = there && c != TUFF_NO_ROW;
        row = row * pc.dim[k] + c;
    }
    return there ? row : TUFF_NO_ROW;
}

// Where element i of y lies in x but for the axis.
uint beside_axis(uint i)
{
    uint at = 0;
    for (uint d = 0; d < 8 && i > 0; d++) {
        const uint q = quotient(i, pc.dim[d]);
        at += (i - q * pc.dim[d]) * pc.step[d];
        i = q;
    }
    return at;
}
