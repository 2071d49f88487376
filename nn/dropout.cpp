#include "nn/dropout.h"

#include "core/error.h"
#include "core/ops.h"

#include <fmt/format.h>

namespace gradus::nn {
namespace {

Rng own_stream(Rng& rng) {
  const std::uint64_t high = rng.next_u32();
  return rng.split((high << 32) | rng.next_u32());
}

}  // namespace

Dropout::Dropout(double p, Rng& rng) : p_(p), rng_(own_stream(rng)) {
  GRADUS_CHECK(p >= 0 && p < 1, fmt::format("Dropout: p must be in [0, 1), got {}", p));
}

Tensor Dropout::operator()(const Tensor& x) const { return training && p_ > 0 ? dropout(x, p_, rng_) : x; }

}  // namespace gradus::nn
