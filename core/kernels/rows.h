// Sums and maxima along dense rows, in a fixed order: what softmax and its losses are made of.
#pragma once

#include "core/kernels/loop.h"
#include "core/kernels/math.h"

#include <algorithm>
#include <cmath>

namespace gradus::kernels {

/// Rows a thread takes at a time when each element costs an exponential.
inline Index rows_per_chunk(Index columns) { return std::max<Index>(1, kChunk / 4 / std::max<Index>(columns, 1)); }

template <class T>
T row_max(const T* x, Index count) {
  constexpr Index kLanes = 16;
  T best = x[0];
  if (count >= kLanes) {
    T lanes[kLanes];
    std::copy(x, x + kLanes, lanes);
    Index i = kLanes;
    for (; i + kLanes <= count; i += kLanes)
      for (Index k = 0; k < kLanes; ++k) lanes[k] = x[i + k] > lanes[k] ? x[i + k] : lanes[k];
    best = *std::max_element(lanes, lanes + kLanes);
    for (; i < count; ++i) best = x[i] > best ? x[i] : best;
  } else {
    for (Index i = 1; i < count; ++i) best = x[i] > best ? x[i] : best;
  }
  return best;
}

// Sum of f(i) in a fixed order with 16 running sums.
template <class T, class F>
T row_sum(Index count, const F& f) {
  constexpr Index kLanes = 16;
  T lanes[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (Index k = 0; k < kLanes; ++k) lanes[k] += f(i + k);
  for (Index k = 0; i < count; ++i, ++k) lanes[k] += f(i);
  for (Index width = kLanes / 2; width > 0; width /= 2)
    for (Index k = 0; k < width; ++k) lanes[k] += lanes[k + width];
  return lanes[0];
}

/// log sum exp of a row in two parts, so that differences to large logits keep their precision.
template <class T>
struct LogSumExp {
  T top;      // the largest element
  T log_sum;  // log of the sum of exp(x - top)
};

template <class T>
LogSumExp<T> row_logsumexp(const T* x, Index count) {
  const T top = row_max(x, count);
  if (std::isinf(top)) return {top, T(0)};  // a row of -infinity
  return {top, std::log(row_sum<T>(count, [=](Index i) { return math::exp(x[i] - top); }))};
}

}  // namespace gradus::kernels
