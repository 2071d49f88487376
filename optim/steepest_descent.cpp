#include "optim/steepest_descent.h"

#include "core/ops.h"
#include "optim/vector.h"

#include <cmath>

namespace gradus::optim {
namespace {

/// [first, the rest]; a vector is one column.
Tensor as_layer(const Tensor& x) {
  const Index rows = x.rank() == 0 ? 1 : x.size(0);
  return reshape(x, {rows, rows == 0 ? Index{0} : x.numel() / rows});
}

}  // namespace

void SteepestDescentOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("momentum", momentum);
  is.at_least("weight_decay", weight_decay, 0);
  is.between("ns_steps", static_cast<double>(ns_steps), 1, 100);
}

SteepestDescent::SteepestDescent(NamedTensors parameters, ModularNorm composition, SteepestDescentOptions options)
    : Rule(std::move(parameters), options), composition_(std::move(composition)) {
  for (const ModularNorm::Atom& atom : composition_->atoms()) {
    bool known = false;
    for (const NamedTensor& parameter : this->parameters()) known = known || parameter.name == atom.name;
    GRADUS_CHECK(known, "steepest_descent: the norm speaks of a parameter \"" + atom.name +
                            "\", which is not in the list\n  needs the names of named_parameters");
  }
}

Tensor SteepestDescent::direction_of(const SteepestDescentOptions& o, const Item& item, const Tensor& g) const {
  switch (o.norm) {
    case WeightNorm::l2:
    case WeightNorm::l1: return g;  // scaled below, over all parameters
    case WeightNorm::linf: return sign(g);
    case WeightNorm::spectral: return reshape(orthogonalize(as_layer(g), o.orthogonalization, o.ns_steps), g.shape());
    case WeightNorm::rms_to_rms:
      return reshape(dualize(AtomNorm::linear, as_layer(g), o.orthogonalization, o.ns_steps), g.shape());
    case WeightNorm::l1_to_rms:
      return g.rank() < 2 ? dualize(AtomNorm::vector, g) : reshape(dualize(AtomNorm::embed, as_layer(g)), g.shape());
    case WeightNorm::modular: break;
  }
  for (const ModularNorm::Atom& atom : composition_->atoms())
    if (atom.name == item.name) return dualize(atom.norm, g, o.orthogonalization, o.ns_steps) * atom.coefficient;
  return zeros_like(g);  // no part of the norm: it would be free to move anywhere
}

bool SteepestDescent::before_step(std::span<Item> items) {
  if (!composition_) composition_ = ModularNorm::chain(parameters());
  directions_.assign(parameters().size(), Tensor());
  const SteepestDescentOptions& all = default_options();
  Tensors gradients;
  for (Item& item : items) {
    const SteepestDescentOptions& o = group_options(item);
    if (o.momentum != 0)
      sweep(
          [&]<class T>(T) {
            const T momentum = T(o.momentum);
            return [=](T& m, T grad) { m = momentum * m + (1 - momentum) * grad; };
          },
          item.slots[0], item.grad);
    gradients.push_back(o.momentum != 0 ? item.slots[0] : item.grad);
    directions_[item.index] = contiguous(direction_of(o, item, gradients.back()));
  }

  if (all.norm == WeightNorm::l2) {
    double squares = 0;
    for (const Tensor& g : gradients) squares += squared_norm(g);
    for (const Item& item : items)
      directions_[item.index] = directions_[item.index] * (squares > 0 ? 1 / std::sqrt(squares) : 0);
  } else if (all.norm == WeightNorm::l1) {
    double largest = 0;
    for (const Tensor& g : gradients) largest = std::max(largest, abs_max(g));
    bool taken = false;  // of equal entries the first
    for (std::size_t k = 0; k < items.size(); ++k) {
      std::vector<double> values = gradients[k].to_vector();
      for (double& value : values) {
        const bool move = !taken && largest > 0 && std::abs(value) == largest;
        value = move ? (value > 0 ? 1 : -1) : 0;
        taken = taken || move;
      }
      directions_[items[k].index] = tensor(values, gradients[k].shape(), gradients[k].dtype());
    }
  }

  factor_ = 1;
  if (all.exact_step) {
    factor_ = 0;
    for (std::size_t k = 0; k < items.size(); ++k) factor_ += dot(gradients[k], directions_[items[k].index]);
  }
  return true;
}

void SteepestDescent::update(const SteepestDescentOptions& o, Item& item) {
  const Tensor direction = directions_[item.index];
  sweep(
      [&]<class T>(T) {
        const T keep = T(1 - o.lr * o.weight_decay), step = T(o.lr * factor_);
        return [=](T& weight, T d) { weight = keep * weight - step * d; };
      },
      item.parameter, direction);
  directions_[item.index] = Tensor();
}

}  // namespace gradus::optim
