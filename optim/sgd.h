// Gradient descent, with or without momentum.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;     // share of the gradient kept out of the momentum buffer, from the second step on
  double weight_decay = 0;  // added to the gradient (L2), so it enters the momentum
  bool nesterov = false;
  bool maximize = false;

  static auto fields(auto& o) {
    return named("lr", o.lr, "momentum", o.momentum, "dampening", o.dampening, "weight_decay", o.weight_decay,
                 "nesterov", o.nesterov, "maximize", o.maximize);
  }
  void check(OptionCheck& is) const;
};

/// Stochastic gradient descent as in PyTorch: the learning rate stands outside the buffer, and the first gradient
/// enters it undamped (Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML
/// 2013).
struct SGD : Rule<SGD, SGDOptions> {
  static constexpr std::string_view kName = "sgd";
  using Rule::Rule;
  static void slots(const SGDOptions& o, SlotList& list) {
    if (o.momentum != 0) list.add("momentum_buffer");
  }
  void update(const SGDOptions& o, Item& item);
};

}  // namespace gradus::optim
