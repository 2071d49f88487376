// RMSProp and Adadelta: AdaGrad that forgets.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient
  double momentum = 0;      // a buffer of scaled gradients; lr stands outside
  bool centered = false;    // divide by the standard deviation instead of the root mean square
  bool eps_inside = false;  // eps under the root, as in textbooks

  static auto fields(auto& o) {
    return named("lr", o.lr, "alpha", o.alpha, "eps", o.eps, "weight_decay", o.weight_decay, "momentum", o.momentum,
                 "centered", o.centered, "eps_inside", o.eps_inside);
  }
  void check(OptionCheck& is) const;
};

/// Tieleman and Hinton, "Lecture 6.5: rmsprop", 2012, in PyTorch's form. Nothing corrects the bias of the first steps:
/// they are 1 / sqrt(1 - alpha) times as long as later ones, ten times for the default.
struct RMSprop : Rule<RMSprop, RMSpropOptions> {
  static constexpr std::string_view kName = "rmsprop";
  using Rule::Rule;
  static void slots(const RMSpropOptions& o, SlotList& list);
  void update(const RMSpropOptions& o, Item& item);
};

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;  // added to the gradient

  static auto fields(auto& o) { return named("lr", o.lr, "rho", o.rho, "eps", o.eps, "weight_decay", o.weight_decay); }
  void check(OptionCheck& is) const;
};

/// Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1: steps in the units of past steps, eps
/// inside both roots. The first step is about sqrt(eps / (1 - rho)) whatever the gradient.
struct Adadelta : Rule<Adadelta, AdadeltaOptions> {
  static constexpr std::string_view kName = "adadelta";
  static constexpr std::array kSlots = {"square_avg", "acc_delta"};
  using Rule::Rule;
  void update(const AdadeltaOptions& o, Item& item);
};

}  // namespace gradus::optim
