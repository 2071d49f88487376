#include "optim/shampoo.h"

#include "core/linalg.h"
#include "core/ops.h"
#include "optim/axes.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>

namespace gradus::optim {
namespace {

/// One block of a tensor: begin and size along every axis.
struct Block {
  Shape begin, size;
};

/// Cuts every axis into pieces of at most `limit`. A scalar counts as a vector of one.
std::vector<Block> blocks_of(const Shape& tensor_shape, Index limit) {
  const Shape shape = tensor_shape.rank() == 0 ? Shape{1} : tensor_shape;
  std::vector<Block> blocks = {{Shape(), Shape()}};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    std::vector<Block> longer;
    for (const Block& block : blocks)
      for (Index begin = 0; begin < shape[axis]; begin += limit) {
        Block next = block;
        next.begin.push_back(begin);
        next.size.push_back(std::min(limit, shape[axis] - begin));
        longer.push_back(next);
      }
    blocks = std::move(longer);
  }
  return blocks;
}

Tensor cut(const Tensor& x, const Block& block) {
  Tensor part = x;
  for (int axis = 0; axis < x.rank(); ++axis)
    part = slice(part, axis, block.begin[axis], block.begin[axis] + block.size[axis]);
  return part;
}

Index start_of(const ShampooOptions& o) {
  return o.start_preconditioning_step > 0 ? o.start_preconditioning_step : o.precondition_frequency;
}

double correction(double beta, Index step, bool wanted) {
  return wanted && beta < 1 ? 1 / (1 - std::pow(beta, static_cast<double>(step))) : 1;
}

/// The grafting method's step. It differs from SGD by its own second moment in `second`.
Tensor graft_direction(const ShampooOptions& o, const Tensor& filtered, const Tensor& grad, Tensor second, Index step) {
  if (o.graft == Graft::none || o.graft == Graft::sgd) return filtered;
  const double beta2 = o.graft == Graft::adagrad ? 1 : o.graft_beta2;
  second.copy_(second * beta2 + square(grad) * (o.graft == Graft::adagrad ? 1 : 1 - beta2));
  const double corrected = o.graft == Graft::adam ? correction(beta2, step, o.use_bias_correction) : 1;
  return filtered / (sqrt(second * corrected) + o.graft_eps);
}

}  // namespace

void ShampooOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("beta1", beta1);
  is.between("beta2", beta2, 0, 1);
  is.above("eps", eps, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.at_least("precondition_frequency", static_cast<double>(precondition_frequency), 1);
  is.that(start_preconditioning_step == 0 || start_preconditioning_step >= precondition_frequency,
          "start_preconditioning_step needs to be 0 or at least precondition_frequency");
  is.at_least("max_preconditioner_dim", static_cast<double>(max_preconditioner_dim), 1);
  is.that(exponent <= 0, "exponent needs to be negative, or 0 for -1 / (2 k)");
  is.that(exponent == 0 || root == RootMethod::eigen, "an exponent of your own needs root = eigen");
  is.fraction("graft_beta2", graft_beta2);
  is.at_least("graft_eps", graft_eps, 0);
}

void Shampoo::slots(const ShampooOptions& o, SlotList& list) {
  const Shape shape = list.parameter_shape();
  if (o.beta1 > 0) list.add("exp_avg");
  if (o.graft == Graft::adagrad || o.graft == Graft::rmsprop || o.graft == Graft::adam) list.add("graft_sq");
  const std::vector<Block> blocks = blocks_of(shape, o.max_preconditioner_dim);
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (int axis = 0; axis < blocks[b].size.rank(); ++axis) {
      const Index d = blocks[b].size[axis];
      const std::string where = std::to_string(b) + "." + std::to_string(axis);
      list.add("statistics." + where, {d, d});
      list.add("root." + where, {d, d});
    }
}

void Shampoo::update(const ShampooOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const Shape shape = item.parameter.rank() == 0 ? Shape{1} : item.parameter.shape();
  const Tensor grad = reshape(item.grad, shape);
  std::size_t next = 0;

  Tensor filtered = grad;
  if (o.beta1 > 0) {
    Tensor& average = item.slots[next++];
    average.copy_(average * o.beta1 + item.grad * (1 - o.beta1));
    filtered = reshape(average, shape) * correction(o.beta1, item.step, o.use_bias_correction);
  }
  Tensor second;
  if (o.graft == Graft::adagrad || o.graft == Graft::rmsprop || o.graft == Graft::adam)
    second = reshape(item.slots[next++], shape);
  const Tensor graft = graft_direction(o, filtered, grad, second, item.step);

  const bool started = item.step >= start_of(o);
  const bool refresh = started && (item.step == start_of(o) || item.step % o.precondition_frequency == 0);
  Tensor direction = clone(graft);
  for (const Block& block : blocks_of(shape, o.max_preconditioner_dim)) {
    const Tensor g = contiguous(cut(grad, block));
    Tensor step = contiguous(cut(filtered, block));
    for (int axis = 0; axis < shape.rank(); ++axis) {
      Tensor &statistics = item.slots[next++], &root = item.slots[next++];
      const Tensor outer = linalg::gram(unfold(g, axis));
      statistics.copy_(o.beta2 == 1 ? statistics + outer : statistics * o.beta2 + outer * (1 - o.beta2));
      if (refresh) {
        const Tensor corrected = statistics * correction(o.beta2, item.step, o.use_bias_correction);
        const int order = 2 * shape.rank();
        root.copy_(o.root == RootMethod::newton
                       ? to(linalg::inverse_root_newton(to(corrected, DType::f64), order, o.eps, 1e-10), root.dtype())
                       : linalg::symmetric_power(corrected, o.exponent < 0 ? o.exponent : -1.0 / order, o.eps));
      }
      if (started) step = multiply_axis(root, step, axis);
    }
    if (!started) continue;
    if (o.graft != Graft::none) {
      const double wanted = std::sqrt(squared_norm(contiguous(cut(graft, block))));
      step = step * (wanted / (std::sqrt(squared_norm(step)) + 1e-16));
    }
    Tensor target = cut(direction, block);
    target.copy_(step);
  }

  const Tensor d = reshape(direction, item.parameter.shape());
  sweep(
      [&]<class T>(T) {
        const T lr = T(o.lr), decay = T(o.weight_decay);
        return [=](T& weight, T u) { weight -= lr * (u + decay * weight); };
      },
      item.parameter, d);
}

}  // namespace gradus::optim
