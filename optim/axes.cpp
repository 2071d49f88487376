#include "optim/axes.h"

#include "core/ops.h"

namespace gradus::optim {
namespace {

/// The order of axes that puts `axis` first, and the one that undoes it.
struct Orders {
  Axes front, back;
};
Orders orders_for(int rank, int axis) {
  Orders orders;
  orders.front.push_back(axis);
  for (int i = 0; i < rank; ++i)
    if (i != axis) orders.front.push_back(i);
  orders.back.resize(static_cast<std::size_t>(rank));
  for (int i = 0; i < rank; ++i) orders.back[static_cast<std::size_t>(orders.front[static_cast<std::size_t>(i)])] = i;
  return orders;
}

}  // namespace

Tensor unfold(const Tensor& x, int axis) {
  const Index d = x.size(axis);
  return reshape(contiguous(permute(x, orders_for(x.rank(), axis).front)), {d, d == 0 ? Index{0} : x.numel() / d});
}

Tensor multiply_axis(const Tensor& matrix, const Tensor& x, int axis) {
  const Orders orders = orders_for(x.rank(), axis);
  const Tensor moved = permute(x, orders.front);
  Shape shape = moved.shape();
  shape[0] = matrix.size(0);
  return contiguous(permute(reshape(matmul(matrix, unfold(x, axis)), shape), orders.back));
}

}  // namespace gradus::optim
