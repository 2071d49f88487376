// Adam and AdamW: steps in units of the gradient's own scale.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct AdamOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient (L2)
  bool amsgrad = false;     // divide by the largest second moment so far (Reddi, Kale, Kumar, ICLR 2018, algorithm 2)

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "amsgrad", o.amsgrad);
  }
  void check(OptionCheck& is) const;
};

/// Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1. As in PyTorch, eps is added to
/// the bias-corrected root, and amsgrad takes its maximum before the bias correction.
struct Adam : Rule<Adam, AdamOptions> {
  static constexpr std::string_view kName = "adam";
  using Rule::Rule;
  static void slots(const AdamOptions& o, SlotList& list);
  void update(const AdamOptions& o, Item& item);
};

struct AdamWOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0.01;  // weights shrink by lr * weight_decay before the update
  bool amsgrad = false;

  static auto fields(auto& o) { return AdamOptions::fields(o); }
  void check(OptionCheck& is) const;
};

/// Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2, with PyTorch's reading of
/// the decay: it is multiplied by lr. The paper multiplies it by the schedule alone: its lambda is lr * weight_decay
/// here.
struct AdamW : Rule<AdamW, AdamWOptions> {
  static constexpr std::string_view kName = "adamw";
  using Rule::Rule;
  static void slots(const AdamWOptions& o, SlotList& list);
  void update(const AdamWOptions& o, Item& item);
};

}  // namespace gradus::optim
