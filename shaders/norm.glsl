// What the kernels of normalisation share: where an element lies, whose mean and whose scale
// it has, and the mean and variance of pieces put together.
#include "divide.glsl"
#include "abi/norm.h"

// Where element j of set q lies, without the part of q.
uint norm_base(tuff_norm_sets s, uint q)
{
    const uint a = divide(q, s.beside);
    return a * s.terms * s.beside.by + (q - a * s.beside.by) * s.run.by;
}

// `even`: one run, or runs of one element.
uint norm_step(tuff_norm_sets s, uint j, bool even)
{
    if (even) return j * s.step;
    const uint o = divide(j, s.run);
    return o * s.beside.by * s.run.by + (j - o * s.run.by);
}

// The elements of a set from number j on that lie one behind the other, not beyond `end`:
// they are walked without a division each.
struct Run {
    uint at, n, step;
};

Run norm_run(tuff_norm_sets s, uint base, uint j, uint end, bool even)
{
    if (even) return Run(base + j * s.step, end - j, s.step);
    const uint o = divide(j, s.run), first = j - o * s.run.by;
    return Run(base + o * s.beside.by * s.run.by + first, min(s.run.by - first, end - j), 1);
}

uint norm_param(tuff_norm_params p, uint i)
{
    const uint q = divide(i, p.span);
    return q - divide(q, p.period) * p.period.by;
}

// (n, mean, M2): M2 is the sum of squares of what differs from the mean. Two of them together
// (Chan, Golub and LeVeque, 1979); nothing cancels, however large the mean is.
vec3 norm_join(vec3 a, vec3 b)
{
    const float n = a.x + b.x, d = b.y - a.y, part = n > 0.0 ? b.x / n : 0.0;
    return vec3(n, a.y + d * part, a.z + b.z + d * d * a.x * part);
}
