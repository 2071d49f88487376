#include "data/dataset.h"

#include "core/error.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstring>

namespace gradus::data {

namespace {

Tensor owned(const Tensor& tensor) {
  Tensor dense = contiguous(tensor.detach());
  dense.set_tag(MemTag::data);
  return dense;
}

Shape with_count(Shape shape, Index count) {
  shape[0] = count;
  return shape;
}

// to[k] = from[indices[k]], whole rows at a time.
void copy_rows(const Tensor& from, std::span<const Index> indices, Tensor& to) {
  const std::size_t row = static_cast<std::size_t>(with_count(from.shape(), 1).numel()) * size_of(from.dtype());
  if (row == 0) return;
  const auto* source = from.ptr<std::byte>();
  auto* target = to.mutable_ptr<std::byte>();
  for (const Index index : indices) {
    std::memcpy(target, source + static_cast<std::size_t>(index) * row, row);
    target += row;
  }
}

}  // namespace

TensorDataset::TensorDataset(const Tensor& x, const Tensor& y) {
  GRADUS_CHECK(x.defined() && y.defined(), "TensorDataset: a tensor is empty (not defined); needs x and y");
  GRADUS_CHECK(
      x.rank() >= 1 && y.rank() >= 1 && x.size(0) == y.size(0),
      fmt::format("TensorDataset: x and y do not count the same examples\n  x: {}\n  y: {}\n  needs x.shape[0] == "
                  "y.shape[0]",
                  describe(x), describe(y)));
  x_ = owned(x);
  y_ = owned(y);
}

Batch TensorDataset::allocate(Index count) const {
  return {empty(with_count(x_.shape(), count), x_.dtype()), empty(with_count(y_.shape(), count), y_.dtype())};
}

void TensorDataset::fill(std::span<const Index> indices, Batch& batch) const {
  check_fill("TensorDataset", size(), indices, batch);
  copy_rows(x_, indices, batch.x);
  copy_rows(y_, indices, batch.y);
}

std::pair<TensorDataset, TensorDataset> TensorDataset::split(double fraction) const {
  GRADUS_CHECK(fraction >= 0 && fraction <= 1,
               fmt::format("TensorDataset::split: fraction is {}; expected 0 to 1", fraction));
  const Index first = std::llround(fraction * static_cast<double>(size()));
  return {TensorDataset(slice(x_, 0, 0, first), slice(y_, 0, 0, first)),
          TensorDataset(slice(x_, 0, first, size()), slice(y_, 0, first, size()))};
}

void check_fill(const char* who, Index size, std::span<const Index> indices, const Batch& batch) {
  const auto count = static_cast<Index>(indices.size());
  GRADUS_CHECK(batch.x.defined() && batch.y.defined() && batch.x.size(0) == count && batch.y.size(0) == count,
               fmt::format("{}: the batch was not made by allocate({})", who, count));
  for (const Index index : indices)
    GRADUS_CHECK(index >= 0 && index < size,
                 fmt::format("{}: example {} does not exist; allowed are 0 to {}", who, index, size - 1));
}

}  // namespace gradus::data
