#ifndef TUFF_COMPRESS_H
#define TUFF_COMPRESS_H
// Making nets smaller, and saying what that did. What a function here gives is a model like any
// other: it is tested, saved, loaded and run by the calls of <tuff/train.h>.
#include <tuff/compress/aware.h>
#include <tuff/compress/binary.h>
#include <tuff/compress/deep.h>
#include <tuff/compress/distill.h>
#include <tuff/compress/latent.h>
#include <tuff/compress/measure.h>
#include <tuff/compress/mixed.h>
#include <tuff/compress/prune.h>
#include <tuff/compress/quantize.h>
#include <tuff/compress/sensitivity.h>
#include <tuff/compress/sparsify.h>
#include <tuff/compress/weights.h>
#endif
