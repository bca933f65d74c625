// One output (of one part of the sum) per invocation; runs everywhere.
//
//   spec 0  WG  invocations in a workgroup
//   grid    m * n * batches * splits invocations, folded
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;

void main()
{
    uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.g.count * pc.g.splits) return;
    const uint split = i / pc.g.count;
    i -= split * pc.g.count;
    const uint col = i % pc.g.n, row = i / pc.g.n % pc.g.m;
    gemm_batch(i / pc.g.n / pc.g.m);

    const Row r = row_of(row);
    const Col c = col_of(col);
    const uint end = min(pc.g.k, (split + 1) * pc.g.k_step);
    float sum = 0.0;
    for (uint k = split * pc.g.k_step; k < end; k++) {
        const Inner at = inner_of(k);
        sum += load_a(r, at) * load_b(at, c);
    }
    gemm_store(row, col, split, sum);
}
