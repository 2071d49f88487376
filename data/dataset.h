// What a DataLoader reads: the Dataset concept, and a data set over two tensors.
//
//   struct Countdown {                                              // a data set of your own
//     Index size() const { return 100; }
//     Batch allocate(Index count) const { return {empty({count, 1}), empty({count}, DType::i64)}; }
//     void fill(std::span<const Index> indices, Batch& batch) const {
//       for (std::size_t i = 0; i < indices.size(); ++i) {
//         batch.x.mutable_data<float>()[i] = 1.0f / static_cast<float>(indices[i] + 1);
//         batch.y.mutable_data<Index>()[i] = 99 - indices[i];
//       }
//     }
//   };
#pragma once

#include "core/tensor.h"

#include <concepts>
#include <cstdint>
#include <span>
#include <utility>

namespace gradus::data {

/// Examples and their targets; the first axis of both counts them.
struct Batch {
  Tensor x;
  Tensor y;

  Index size() const { return x.size(0); }
};

/// size() examples; allocate(count) makes the tensors of a batch; fill writes the examples with these indices into it.
/// The two are apart because the consumer's thread allocates (its pool gets the memory back), while a worker thread
/// may fill. fill must not depend on anything but its arguments, and two threads may call it on two batches at once.
template <class T>
concept Dataset = requires(const T& dataset, Index count, std::span<const Index> indices, Batch& batch) {
  { dataset.size() } -> std::convertible_to<Index>;
  { dataset.allocate(count) } -> std::same_as<Batch>;
  dataset.fill(indices, batch);
};

/// For fill: Error unless the batch has room for just these examples and they all lie in [0, size).
void check_fill(const char* who, Index size, std::span<const Index> indices, const Batch& batch);

/// Rows of two tensors in memory: example i is x[i] with target y[i].
class TensorDataset {
 public:
  /// x [count, ...] and y [count, ...] of any dtype. Shares their storage, which is from now on tagged as data; a
  /// tensor that is not contiguous is copied.
  TensorDataset(const Tensor& x, const Tensor& y);

  Index size() const { return x_.size(0); }
  Batch allocate(Index count) const;
  void fill(std::span<const Index> indices, Batch& batch) const;

  const Tensor& x() const { return x_; }
  const Tensor& y() const { return y_; }

  /// The first round(fraction * size()) examples and the others. Shares the storage.
  std::pair<TensorDataset, TensorDataset> split(double fraction) const;

 private:
  Tensor x_;
  Tensor y_;
};

}  // namespace gradus::data
