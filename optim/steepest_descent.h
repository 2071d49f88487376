// Steepest descent under a norm: choose a norm of the weights, and the method follows (Bernstein and Newhouse, "Old
// Optimizer, New Norm: An Anthology", 2024).
#pragma once

#include "optim/modular_norm.h"
#include "optim/rule.h"

#include <optional>

namespace gradus::optim {

/// The norm of all weights, and what comes of it without averages.
enum class WeightNorm {
  l2,          // of one vector: normalized gradient descent
  linf,        // of one vector: sign descent; also the largest entry over layers
  l1,          // of one vector: the largest entry alone moves (coordinate descent)
  spectral,    // the largest singular value over layers: U V^T, Shampoo without accumulation, Muon
  rms_to_rms,  // the same between root mean squares: sqrt(out / in) U V^T
  l1_to_rms,   // every row over its root mean square
  modular,     // composed over the model: ModularNorm
};
constexpr std::array<std::string_view, 7> names_of(WeightNorm) {
  return {"l2", "linf", "l1", "spectral", "rms_to_rms", "l1_to_rms", "modular"};
}

struct SteepestDescentOptions {
  double lr = 1e-2;
  double momentum = 0;      // m = momentum m + (1 - momentum) grad takes the gradient's place
  double weight_decay = 0;  // decoupled: weights shrink by lr * weight_decay beforehand
  WeightNorm norm = WeightNorm::modular;
  bool exact_step = false;  // times the dual norm of the gradient: the minimizer of <g, d> + ||d||^2 / (2 lr)
  Orthogonalization orthogonalization = Orthogonalization::svd;
  Index ns_steps = 6;

  static auto fields(auto& o) {
    return named("lr", o.lr, "momentum", o.momentum, "weight_decay", o.weight_decay, "norm", o.norm, "exact_step",
                 o.exact_step, "orthogonalization", o.orthogonalization, "ns_steps", o.ns_steps);
  }
  void check(OptionCheck& is) const;
};

/// w -= lr dualize(g), where dualize(g) has norm 1 and the largest inner product with g; times ||g||_dual with
/// exact_step (proposition 1). A weight with other than two axes counts as [first, the rest], a vector as one column.
/// For `modular` give the composition, else the parameters are taken as a chain of layers.
struct SteepestDescent : Rule<SteepestDescent, SteepestDescentOptions> {
  static constexpr std::string_view kName = "steepest_descent";
  using Rule::Rule;
  SteepestDescent(NamedTensors parameters, ModularNorm composition, SteepestDescentOptions options = {});
  static void slots(const SteepestDescentOptions& o, SlotList& list) {
    if (o.momentum != 0) list.add("momentum_buffer");
  }
  bool before_step(std::span<Item> items);
  void update(const SteepestDescentOptions& o, Item& item);

 private:
  Tensor direction_of(const SteepestDescentOptions& o, const Item& item, const Tensor& g) const;

  std::optional<ModularNorm> composition_;
  Tensors directions_;  // of this step, by parameter
  double factor_ = 1;   // of this step: the dual norm, or 1
};

}  // namespace gradus::optim
