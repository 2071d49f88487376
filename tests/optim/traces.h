// Start values and gradients of the golden traces, made by the same integer hash as tests/golden/optim/harness.py.
#pragma once

#include "core/autograd.h"
#include "core/tensor.h"
#include "optim/options.h"

#include <array>
#include <string>
#include <string_view>

namespace gradus::traces {

struct Known {
  std::string_view name;
  Shape shape;
};
inline const std::array<Known, 5> kTensors = {
    {{"vector", {7}}, {"tall", {8, 3}}, {"wide", {3, 8}}, {"square", {5, 5}}, {"conv", {4, 3, 2, 2}}}};

inline int index_of(std::string_view name) {
  for (std::size_t k = 0; k < kTensors.size(); ++k)
    if (kTensors[k].name == name) return static_cast<int>(k);
  fail("golden trace: unknown tensor \"" + std::string(name) + "\"");
}

inline std::vector<double> hashed(int k, Index t, Index count) {
  std::vector<double> values;
  for (Index i = 0; i < count; ++i) {
    auto h = static_cast<std::uint32_t>(static_cast<std::uint64_t>(i) * 2654435761U +
                                        static_cast<std::uint64_t>(k) * 40503U +
                                        static_cast<std::uint64_t>(t) * 97531U + 12345U);
    h = (h ^ (h >> 15)) * 2246822519U;
    h = (h ^ (h >> 13)) * 3266489917U;
    h = (h ^ (h >> 16)) * 668265263U;
    h ^= h >> 16;
    values.push_back(static_cast<double>(h) / 2147483648.0 - 1.0);
  }
  return values;
}

inline Tensor values(std::string_view name, Index t, double scale, DType dtype, double shift = 0) {
  const int k = index_of(name);
  const Shape& shape = kTensors[static_cast<std::size_t>(k)].shape;
  std::vector<double> numbers = hashed(k, t, shape.numel());
  for (double& x : numbers) x = shift + scale * x;
  return tensor(numbers, shape, dtype);
}

inline Tensor start(std::string_view name, DType dtype) { return values(name, 0, 1, dtype); }
inline Tensor gradient(std::string_view name, Index t, DType dtype) {
  return values(name, t, static_cast<double>(1 + t % 3), dtype);
}

}  // namespace gradus::traces
