// Adam's relatives: Adamax, NAdam, RAdam.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct AdamaxOptions {
  double lr = 2e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay);
  }
  void check(OptionCheck& is) const;
};

/// Adam with the largest recent gradient in place of the root mean square (Kingma and Ba 2015, algorithm 2).
struct Adamax : Rule<Adamax, AdamaxOptions> {
  static constexpr std::string_view kName = "adamax";
  static constexpr std::array kSlots = {"exp_avg", "exp_inf"};
  using Rule::Rule;
  void update(const AdamaxOptions& o, Item& item);
};

struct NAdamOptions {
  double lr = 2e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;  // psi: how fast the momentum rises to betas[0]
  bool decoupled_weight_decay = false;

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "momentum_decay",
                 o.momentum_decay, "decoupled_weight_decay", o.decoupled_weight_decay);
  }
  void check(OptionCheck& is) const;
};

/// Adam with Nesterov momentum (Dozat, "Incorporating Nesterov Momentum into Adam", 2016) as in PyTorch.
struct NAdam : Rule<NAdam, NAdamOptions> {
  static constexpr std::string_view kName = "nadam";
  using Rule::Rule;
  static void slots(const NAdamOptions& o, SlotList& list);
  void update(const NAdamOptions& o, Item& item);
};

struct RAdamOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  double threshold = 5;  // of rho_t; PyTorch says 5, the paper 4

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "decoupled_weight_decay",
                 o.decoupled_weight_decay, "threshold", o.threshold);
  }
  void check(OptionCheck& is) const;
};

/// Adam that starts as momentum SGD until its second moment can be trusted (Liu et al., "On the Variance of the
/// Adaptive Learning Rate and Beyond", ICLR 2020, algorithm 2), as in PyTorch.
struct RAdam : Rule<RAdam, RAdamOptions> {
  static constexpr std::string_view kName = "radam";
  static constexpr std::array kSlots = {"exp_avg", "exp_avg_sq"};
  using Rule::Rule;
  void update(const RAdamOptions& o, Item& item);
};

/// The factor of RAdam at step t (equation for r_t), or 0 while rho_t <= threshold.
double radam_rectification(double beta2, Index t, double threshold);

}  // namespace gradus::optim
