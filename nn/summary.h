// A model as a table.
#pragma once

#include "nn/module.h"

#include <string>
#include <vector>

namespace gradus::nn {

namespace detail {
std::string summary(const std::vector<StateEntry>& entries);
}

/// A line for each parameter and buffer with name, shape, dtype, count and bytes, and the totals:
///
///   name      shape       dtype    count      bytes
///   0.weight  [512, 784]  f32    401,408  1,605,632
///   0.bias    [512]       f32        512      2,048
///   total                        401,920  1,607,680
///
/// Buffers are marked and, as they are not trained, counted in a total of their own.
template <class Model>
std::string summary(const Model& model) {
  return detail::summary(detail::list_state(model));
}

}  // namespace gradus::nn
