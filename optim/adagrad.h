// AdaGrad: the step of each entry shrinks with all the gradient it has seen.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;      // lr / (1 + (t - 1) lr_decay)
  double weight_decay = 0;  // added to the gradient
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool eps_inside = false;  // grad / sqrt(sum + eps) instead of grad / (sqrt(sum) + eps)

  static auto fields(auto& o) {
    return named("lr", o.lr, "lr_decay", o.lr_decay, "weight_decay", o.weight_decay, "initial_accumulator_value",
                 o.initial_accumulator_value, "eps", o.eps, "eps_inside", o.eps_inside);
  }
  void check(OptionCheck& is) const;
};

/// Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 2011, the diagonal form. eps stands outside the root as
/// in PyTorch; textbooks often put it inside.
struct Adagrad : Rule<Adagrad, AdagradOptions> {
  static constexpr std::string_view kName = "adagrad";
  static constexpr std::array kSlots = {"sum"};
  using Rule::Rule;
  void update(const AdagradOptions& o, Item& item);
};

}  // namespace gradus::optim
