// What the kernels of convolutions that are no plain matrix product share.
#ifndef TUFF_ABI_CONV_H
#define TUFF_ABI_CONV_H
#include "abi.h"

// conv_slide.comp: an invocation writes `cols` columns of four rows of a plane.
struct tuff_slide_pc {
    uint planes;           // channels x images written
    uint chs, og;          // channels written; of them, those of one channel read
    uint from_x, from_y, to_x, to_y;
    int off_x, off_y;      // place read by the first tap for pixel 0
    uint blocks, segments; // of four rows in a plane, of `cols` columns in a row
    uint cols;
    uint flip;             // 1: the kernel's taps run backwards
    uint after;            // TUFF_AFTER bits
};

// conv_slide_dw.comp: an invocation sums some blocks of four rows of dy for one channel of it.
struct tuff_slide_dw_pc {
    uint chs, og, images;  // chs, og: of dy
    uint from_x, from_y, to_x, to_y;
    int off_x, off_y;
    uint blocks;           // in a plane of dy
    uint parts, of_part;   // sums of one channel; blocks that one of them takes
};

// Winograd convolutions, see winograd.glsl. The kernels' transform: elements of w lie at
// row * w_row + ch * w_ch + tap.
struct tuff_winograd_w_pc {
    uint rows, chs;  // channels written and read
    uint w_row, w_ch;
    uint flip;       // 1: taps run backwards
};

// The transform of what is read, and that of what is written, of `tiles` tiles of all images
// from the tile `first` on.
struct tuff_winograd_pc {
    uint chs;              // of the tensor read or written
    uint size_x, size_y;   // of it
    int off_x, off_y;      // place read by the first tap for pixel 0
    uint tiles_x, tiles_y; // of one image
    uint first, tiles;
    uint pitch;            // elements from one channel's tiles to the next one's
    uint splits, part;     // sums to be added, and elements from one to the next
    uint after;            // TUFF_AFTER bits, and the tuff_act
};

// Operands of its weight gradient: `quads` fours of tiles of all images from the four `first`
// on, of each channel.
struct tuff_winograd_panel_pc {
    uint chs, size_x, size_y; // of x or dy
    int off_x, off_y;         // the first pixel of tile 0
    uint quads_x, tiles_y;    // of one image: fours in a row of tiles, rows of tiles
    uint first, quads;
};

struct tuff_winograd_dw_pc {
    uint pairs;       // channels of dy x channels of x
    uint parts, part; // to be added, and elements from one to the next
};

// conv_spread.comp
struct tuff_spread_pc {
    uint count, chs;         // elements of y; channels of one image of it
    uint to_x, to_y, from_x, from_y, k_x, k_y;
    uint stride_x, stride_y, pad_x, pad_y;
    uint times_x, times_y;   // taps that may fall on one pixel, along each dim
    uint after;              // TUFF_AFTER bits, and the tuff_act
};
#endif
