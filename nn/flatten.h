// Flatten, for models that take images.
#pragma once

#include "core/ops.h"

namespace gradus::nn {

/// Joins axes start_dim..end_dim into one; by default all but the batch.
struct Flatten {
  int start_dim = 1;
  int end_dim = -1;
  Tensor operator()(const Tensor& x) const { return flatten(x, start_dim, end_dim); }
};

}  // namespace gradus::nn
