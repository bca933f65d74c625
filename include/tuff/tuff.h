#ifndef TUFF_TUFF_H
#define TUFF_TUFF_H
// The whole library.
#include <tuff/base.h>
#include <tuff/bench.h>
#include <tuff/check.h>
#include <tuff/compress.h>
#include <tuff/data.h>
#include <tuff/device.h>
#include <tuff/format.h>
#include <tuff/graph.h>
#include <tuff/kernel.h>
#include <tuff/nn.h>
#include <tuff/ops.h>
#include <tuff/tensor.h>
#include <tuff/train.h>
#include <tuff/tune.h>
#endif
