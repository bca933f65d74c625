// The sizes of a block of FORMAT, which who includes this has declared. 32 indices into a
// codebook are a block too, of as many words as an index has bits.
const uint BITS = FORMAT > TUFF_FORMAT_CODEBOOK ? FORMAT - TUFF_FORMAT_CODEBOOK : 1;
const uint BLOCK_BYTES =
    FORMAT > TUFF_FORMAT_CODEBOOK ? 4 * BITS :
    FORMAT == TUFF_FORMAT_Q4_0 ? 18 : FORMAT == TUFF_FORMAT_Q4_1 ? 20 :
    FORMAT == TUFF_FORMAT_Q5_0 ? 22 : FORMAT == TUFF_FORMAT_Q5_1 ? 24 :
    FORMAT == TUFF_FORMAT_Q8_0 ? 34 : FORMAT == TUFF_FORMAT_Q2_K ? 84 :
    FORMAT == TUFF_FORMAT_Q3_K ? 110 : FORMAT == TUFF_FORMAT_Q4_K ? 144 :
    FORMAT == TUFF_FORMAT_Q5_K ? 176 : FORMAT == TUFF_FORMAT_Q6_K ? 210 :
    FORMAT == TUFF_FORMAT_IQ4_NL ? 18 : FORMAT == TUFF_FORMAT_NF4 ? 36 : 34;
const uint BLOCK_COUNT = FORMAT > TUFF_FORMAT_CODEBOOK ? 32 : FORMAT >= TUFF_FORMAT_NF4 ? 64
                       : FORMAT >= TUFF_FORMAT_Q2_K && FORMAT <= TUFF_FORMAT_Q6_K ? 256 : 32;
// Formats whose blocks lie at multiples of 4 bytes.
const bool BLOCK_ALIGNED = BLOCK_BYTES % 4 == 0;
