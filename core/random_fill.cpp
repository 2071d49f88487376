// Tensors of random numbers: randn, rand, randperm.
//
// A fill reserves its blocks at once and element i reads a fixed place in them, so any number of threads gives the same
// bits. f32 uses one word an element (four elements a block), f64 one half (two elements a block).
#include "core/error.h"
#include "core/parallel.h"
#include "core/philox.h"
#include "core/random.h"
#include "core/tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>
#include <utility>

namespace gradus {

namespace {

constexpr Index kChunk = 1 << 14;  // elements a task; a whole number of blocks

template <class T>
constexpr Index kPerBlock = std::is_same_v<T, float> ? 4 : 2;

// Element j of a block as a number in [0, 1): 32 bits or 53.
template <class T>
double unit(const detail::PhiloxBlock& block, Index j) {
  if constexpr (std::is_same_v<T, float>)
    return block[static_cast<std::size_t>(j)] * 0x1p-32;
  else
    return detail::unit_double(detail::philox_u64(block, static_cast<int>(j)));
}

// Calls make(block, out) for every block, where `out` has room for a whole one, and copies the elements the tensor has.
template <class T, class Make>
void fill_blocks(Tensor& x, Rng& rng, const Make& make) {
  constexpr Index kWidth = kPerBlock<T>;
  const Index numel = x.numel();
  const std::uint64_t key = rng.key();
  const std::uint64_t first = rng.reserve(static_cast<std::uint64_t>((numel + kWidth - 1) / kWidth));
  T* values = x.mutable_ptr<T>();
  parallel_for(numel, kChunk, [&](Index begin, Index end) {
    for (Index i = begin; i < end; i += kWidth) {
      T out[kWidth];
      make(detail::philox_block(key, first + static_cast<std::uint64_t>(i / kWidth)), out);
      for (Index j = 0; j < kWidth && i + j < end; ++j) values[i + j] = out[j];
    }
  });
}

// Box and Muller 1958, both results: elements 2j and 2j + 1 of a block come from uniforms 2j and 2j + 1. In double also
// for f32: log needs the digits near 1.
template <class T>
void fill_normal(Tensor& x, Rng& rng) {
  // Centers the 32-bit (53-bit) steps, so that the logarithm never sees 0; f32 reaches 6.8 standard deviations.
  constexpr double kHalfStep = std::is_same_v<T, float> ? 0x1p-33 : 0x1p-54;
  fill_blocks<T>(x, rng, [](const detail::PhiloxBlock& block, T* out) {
    for (Index j = 0; j < kPerBlock<T>; j += 2) {
      const double radius = std::sqrt(-2 * std::log(unit<T>(block, j) + kHalfStep));
      const double angle = 2 * std::numbers::pi * unit<T>(block, j + 1);
      out[j] = static_cast<T>(radius * std::cos(angle));
      out[j + 1] = static_cast<T>(radius * std::sin(angle));
    }
  });
}

template <class T>
void fill_uniform(Tensor& x, Rng& rng, T low, T high) {
  const double width = static_cast<double>(high) - static_cast<double>(low);
  const T last = low < high ? std::nextafter(high, low) : low;
  fill_blocks<T>(x, rng, [=](const detail::PhiloxBlock& block, T* out) {
    for (Index j = 0; j < kPerBlock<T>; ++j) {
      const T value = static_cast<T>(static_cast<double>(low) + width * unit<T>(block, j));
      out[j] = value < high ? value : last;  // rounding may reach `high`, which does not belong to the range
    }
  });
}

}  // namespace

Tensor randn(const Shape& shape, Rng& rng, DType dtype) {
  GRADUS_CHECK(dtype == DType::f32 || dtype == DType::f64,
               fmt::format("randn: dtype is {}; expected f32 or f64 (convert the result with `to`)", name_of(dtype)));
  Tensor x = empty(shape, dtype);
  if (dtype == DType::f32)
    fill_normal<float>(x, rng);
  else
    fill_normal<double>(x, rng);
  return x;
}

Tensor rand(const Shape& shape, Rng& rng, double low, double high, DType dtype) {
  GRADUS_CHECK(dtype == DType::f32 || dtype == DType::f64,
               fmt::format("rand: dtype is {}; expected f32 or f64 (convert the result with `to`)", name_of(dtype)));
  const double largest = dtype == DType::f32 ? std::numeric_limits<float>::max() : std::numeric_limits<double>::max();
  GRADUS_CHECK(
      -largest <= low && low <= high && high <= largest && high - low <= largest,
      fmt::format("rand: [{}, {}) is no range of {}\n  needs low <= high, with bounds and width that are finite", low,
                  high, name_of(dtype)));
  Tensor x = empty(shape, dtype);
  if (dtype == DType::f32)
    fill_uniform(x, rng, static_cast<float>(low), static_cast<float>(high));
  else
    fill_uniform(x, rng, low, high);
  return x;
}

Tensor randperm(Index count, Rng& rng) {
  GRADUS_CHECK(count >= 0, fmt::format("randperm: count is {}; expected 0 or more", count));
  Tensor x = empty({count}, DType::i64);
  Index* values = x.mutable_ptr<Index>();
  // Fisher and Yates, from the front: after step i the first i + 1 places hold a uniform permutation of 0 .. i.
  for (Index i = 0; i < count; ++i) {
    values[i] = i;
    std::swap(values[i], values[rng.below(static_cast<std::uint64_t>(i) + 1)]);
  }
  return x;
}

}  // namespace gradus
