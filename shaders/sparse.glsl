// A sparse matrix, a row of blocks at a time: what the shaders of sparse*.comp share.
//
// Blocks (CSR, BSR; of one number in CSR): those of a row are e from blocks_of(row).x to below
// .y, and block e has the columns from col_of(row, e) on. With -DNM, every `of` neighbours in a
// row of A have `keep` numbers, and a stream of bits tells their places.
//
// What is out of range is set to the last: data are not to be trusted. Who includes this has
// declared `pc`, word(i) (columns, or the stream), and, without NM, start(i), starts of rows.
#ifdef NM
layout(constant_id = 1) const uint BITS = 2;
uint index_word(uint i) { return word(i); }
#include "codebook.glsl"

uvec2 blocks_of(uint row) { return uvec2(row, row + 1) * pc.kept; }
uint col_of(uint row, uint e)
{
    const uint i = e - row * pc.kept;
    return min(i / pc.keep * pc.of + index_at(row * pc.words, i), pc.k - 1);
}
#else
uvec2 blocks_of(uint row)
{
    return min(uvec2(start(row - pc.first), start(row - pc.first + 1)), uvec2(pc.count));
}
uint col_of(uint row, uint e) { return min(word(e), pc.k / pc.width - 1) * pc.width; }
#endif
