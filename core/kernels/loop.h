// Loops over strided operands: axes are merged where strides allow, so that dense operands become one flat loop.
#pragma once

#include "core/parallel.h"
#include "core/shape.h"

#include <array>

namespace gradus::kernels {

/// Elements a thread takes at a time; less than this is never worth a second thread.
inline constexpr Index kChunk = 32768;

/// A nest of loops over N operands, outermost first, with strides in elements.
template <int N>
struct LoopNest {
  Shape shape;  // rank >= 1
  std::array<Strides, N> strides;
};

/// Drops axes of size 1 and merges neighbors that every operand walks evenly.
template <int N>
LoopNest<N> merge_axes(const Shape& shape, const std::array<const Strides*, N>& strides) {
  LoopNest<N> nest;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const int last = nest.shape.rank() - 1;
    bool mergeable = last >= 0;
    for (int k = 0; k < N && mergeable; ++k)
      mergeable = nest.strides[static_cast<std::size_t>(k)][last] ==
                  (*strides[static_cast<std::size_t>(k)])[axis] * shape[axis];
    if (mergeable) {
      nest.shape[last] *= shape[axis];
      for (int k = 0; k < N; ++k)
        nest.strides[static_cast<std::size_t>(k)][last] = (*strides[static_cast<std::size_t>(k)])[axis];
    } else {
      nest.shape.push_back(shape[axis]);
      for (int k = 0; k < N; ++k)
        nest.strides[static_cast<std::size_t>(k)].push_back((*strides[static_cast<std::size_t>(k)])[axis]);
    }
  }
  if (nest.shape.rank() == 0) {
    nest.shape.push_back(1);
    for (auto& s : nest.strides) s.push_back(0);
  }
  return nest;
}

/// Calls row(offsets, count, steps) for every innermost loop: operand k starts at offsets[k] and advances by steps[k].
/// Parallel over rows, or within the only row.
template <int N, class Row>
void for_each_row(const LoopNest<N>& nest, const Row& row) {
  const int inner = nest.shape.rank() - 1;
  const Index count = nest.shape[inner];
  std::array<Index, N> steps;
  for (std::size_t k = 0; k < N; ++k) steps[k] = nest.strides[k][inner];
  Index rows = 1;
  for (int axis = 0; axis < inner; ++axis) rows *= nest.shape[axis];
  if (rows == 0 || count == 0) return;

  if (rows == 1) {
    parallel_for(count, kChunk, [&](Index begin, Index end) {
      std::array<Index, N> offsets;
      for (std::size_t k = 0; k < N; ++k) offsets[k] = begin * steps[k];
      row(offsets, end - begin, steps);
    });
    return;
  }
  const Index chunk = count >= kChunk ? 1 : kChunk / count;
  parallel_for(rows, chunk, [&](Index begin, Index end) {
    Shape position = Shape::filled(inner, 0);
    std::array<Index, N> offsets{};
    Index rest = begin;
    for (int axis = inner - 1; axis >= 0; --axis) {
      position[axis] = rest % nest.shape[axis];
      rest /= nest.shape[axis];
      for (std::size_t k = 0; k < N; ++k) offsets[k] += position[axis] * nest.strides[k][axis];
    }
    for (Index r = begin; r < end; ++r) {
      row(offsets, count, steps);
      for (int axis = inner - 1; axis >= 0; --axis) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += nest.strides[k][axis];
        if (++position[axis] < nest.shape[axis]) break;
        for (std::size_t k = 0; k < N; ++k) offsets[k] -= nest.shape[axis] * nest.strides[k][axis];
        position[axis] = 0;
      }
    }
  });
}

}  // namespace gradus::kernels
