#include "nn/linear.h"

#include "core/error.h"
#include "nn/init.h"

#include <fmt/format.h>

#include <cmath>

namespace gradus::nn {

Linear::Linear(Index in_features, Index out_features, Rng& rng, const LinearOptions& options) {
  GRADUS_CHECK(
      in_features > 0 && out_features > 0,
      fmt::format("Linear: in_features and out_features must be positive, got {} and {}", in_features, out_features));
  weight = Parameter(empty({out_features, in_features}, options.dtype));
  init::kaiming_uniform_(weight, rng, {.a = std::sqrt(5.0)});  // the bound becomes 1 / sqrt(in_features)
  if (!options.bias) return;
  const double bound = 1 / std::sqrt(static_cast<double>(in_features));
  bias = Parameter(empty({out_features}, options.dtype));
  init::uniform_(bias, rng, -bound, bound);
}

}  // namespace gradus::nn
