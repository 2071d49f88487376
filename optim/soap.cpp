// SOAP; its declaration stands beside that of Shampoo.
#include "core/linalg.h"
#include "core/ops.h"
#include "optim/axes.h"
#include "optim/shampoo.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gradus::optim {
namespace {

/// Which axes are rotated. Vectors are not, unless asked for: SOAP is Adam there.
std::vector<int> rotated_axes(const SOAPOptions& o, const Shape& shape) {
  std::vector<int> axes;
  if (shape.rank() == 0 || (shape.rank() == 1 && !o.precondition_1d)) return axes;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] <= o.max_precond_dim) axes.push_back(axis);
  return axes;
}

constexpr std::size_t kMoment = 0, kSecond = 1, kFirstAxis = 2;  // then statistics and basis of each rotated axis

/// Into the eigenbasis, or back to the weights' own axes.
Tensor rotate(Tensor x, const std::vector<int>& axes, std::span<Tensor> slots, bool back) {
  for (std::size_t a = 0; a < axes.size(); ++a) {
    const Tensor& basis = slots[kFirstAxis + 2 * a + 1];
    x = multiply_axis(back ? basis : transpose(basis), x, axes[a]);
  }
  return x;
}

Tensor flipped_columns(const Tensor& matrix) { return contiguous(flip(matrix, {1})); }

/// One step of orthogonal iteration, the columns in the order of falling eigenvalue estimates; the second moment's
/// axis is reordered alike.
void refresh(Tensor& basis, const Tensor& statistics, Tensor& second, int axis) {
  const Tensor q = to(basis, DType::f64), h = to(statistics, DType::f64);
  const std::vector<double> estimates = sum(q * matmul(h, q), {0}).to_vector();  // diagonal of Q^T H Q
  std::vector<Index> order(estimates.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return estimates[static_cast<std::size_t>(a)] > estimates[static_cast<std::size_t>(b)];
  });
  const Tensor permutation = indices(order);
  second.copy_(index_select(second, axis, permutation));
  basis.copy_(linalg::orthonormal_columns(contiguous(matmul(h, index_select(q, 1, permutation)))));
}

}  // namespace

void SOAPOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("betas", betas);
  is.that(shampoo_beta == -1 || (shampoo_beta >= 0 && shampoo_beta < 1),
          "shampoo_beta needs to lie in [0, 1), or be -1");
  is.at_least("eps", eps, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.at_least("precondition_frequency", static_cast<double>(precondition_frequency), 1);
  is.at_least("max_precond_dim", static_cast<double>(max_precond_dim), 1);
}

void SOAP::slots(const SOAPOptions& o, SlotList& list) {
  const Shape shape = list.parameter_shape();
  list.add("exp_avg");  // rotated, as exp_avg_sq
  list.add("exp_avg_sq");
  for (const int axis : rotated_axes(o, shape)) {
    list.add("statistics." + std::to_string(axis), {shape[axis], shape[axis]});
    list.add("basis." + std::to_string(axis), {shape[axis], shape[axis]});
  }
}

void SOAP::update(const SOAPOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const std::vector<int> axes = rotated_axes(o, item.parameter.shape());
  const double beta = o.shampoo_beta >= 0 ? o.shampoo_beta : o.betas[1];
  const auto gather_statistics = [&] {
    for (std::size_t a = 0; a < axes.size(); ++a) {
      Tensor& statistics = item.slots[kFirstAxis + 2 * a];
      statistics.copy_(statistics * beta + linalg::gram(unfold(item.grad, axes[a])) * (1 - beta));
    }
  };
  if (item.step == 1) {
    gather_statistics();
    for (std::size_t a = 0; a < axes.size(); ++a)
      item.slots[kFirstAxis + 2 * a + 1].copy_(flipped_columns(linalg::eigh(item.slots[kFirstAxis + 2 * a]).vectors));
    return;
  }

  const auto t = static_cast<double>(item.step - 1);  // of updates
  Tensor &m = item.slots[kMoment], &v = item.slots[kSecond];
  const Tensor projected = contiguous(rotate(item.grad, axes, item.slots, false));
  Tensor direction = empty(item.parameter.shape(), item.parameter.dtype());
  sweep(
      [&]<class T>(T) {
        const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), eps = T(o.eps);
        return [=](T& d, T g, T& first, T& second) {
          first = beta1 * first + (1 - beta1) * g;
          second = beta2 * second + (1 - beta2) * (g * g);
          d = first / (std::sqrt(second) + eps);
        };
      },
      direction, projected, m, v);
  Tensor update = contiguous(rotate(direction, axes, item.slots, true));
  if (o.normalize_grads) {
    const double size = std::sqrt(squared_norm(update) / static_cast<double>(update.numel()));
    update = update * (1 / (size + 1e-30));
  }
  const double corrected =
      o.correct_bias ? o.lr * std::sqrt(1 - std::pow(o.betas[1], t)) / (1 - std::pow(o.betas[0], t)) : o.lr;
  sweep(
      [&]<class T>(T) {
        const T step = T(corrected), keep = T(1 - o.lr * o.weight_decay);
        return [=](T& weight, T u) { weight = keep * (weight - step * u); };
      },
      item.parameter, update);

  // The gradient enters the basis only after its own step. The first moment moves to the new basis with it.
  gather_statistics();
  if ((item.step - 1) % o.precondition_frequency != 0 || axes.empty()) return;
  const Tensor unrotated = rotate(m, axes, item.slots, true);
  for (std::size_t a = 0; a < axes.size(); ++a)
    refresh(item.slots[kFirstAxis + 2 * a + 1], item.slots[kFirstAxis + 2 * a], v, axes[a]);
  m.copy_(rotate(unrotated, axes, item.slots, false));
}

}  // namespace gradus::optim
