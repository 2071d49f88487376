#include "optim/vector.h"

#include "core/parallel.h"

#include <cmath>
#include <vector>

namespace gradus::optim {
namespace {

constexpr Index kChunk = 16384;
constexpr int kLanes = 8;

/// Adds term(i) for i in [0, size): lanes within a chunk, chunks in order. Nothing depends on the number of threads.
template <class Term>
double chunked_sum(Index size, const Term& term) {
  const auto sum_range = [&](Index begin, Index end) {
    double lanes[kLanes] = {};
    Index i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
    for (; i < end; ++i) lanes[0] += term(i);
    double total = 0;
    for (const double lane : lanes) total += lane;
    return total;
  };
  if (size <= kChunk) return sum_range(0, size);
  std::vector<double> partial(static_cast<std::size_t>((size + kChunk - 1) / kChunk));
  parallel_for(size, kChunk, [&](Index begin, Index end) {
    partial[static_cast<std::size_t>(begin / kChunk)] = sum_range(begin, end);
  });
  double total = 0;
  for (const double part : partial) total += part;
  return total;
}

template <class Body>
double by_type(const Tensor& x, const Body& body) {
  return x.dtype() == DType::f32 ? body(x.data<float>().data()) : body(x.data<double>().data());
}

}  // namespace

double dot(const Tensor& a, const Tensor& b) {
  GRADUS_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(),
               "dot: the tensors differ\n  a: " + describe(a) + "\n  b: " + describe(b));
  return by_type(a, [&]<class T>(const T* x) {
    const T* const y = b.data<T>().data();
    return chunked_sum(a.numel(), [=](Index i) { return double(x[i]) * double(y[i]); });
  });
}

double squared_norm(const Tensor& x) { return dot(x, x); }

double abs_sum(const Tensor& x) {
  return by_type(
      x, [&](const auto* p) { return chunked_sum(x.numel(), [=](Index i) { return std::abs(double(p[i])); }); });
}

double abs_max(const Tensor& x) {
  return by_type(x, [&](const auto* p) {
    double largest = 0;
    for (Index i = 0; i < x.numel(); ++i) {
      const double value = std::abs(double(p[i]));
      if (!(value <= largest)) largest = value;  // NaN is kept: nothing compares with it
    }
    return largest;
  });
}

double power_sum(const Tensor& x, double p) {
  return by_type(x, [&](const auto* values) {
    return chunked_sum(x.numel(), [=](Index i) { return std::pow(std::abs(double(values[i])), p); });
  });
}

}  // namespace gradus::optim
