// Sophia-G: momentum divided by an estimate of the curvature, entry by entry, and clipped.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct SophiaGOptions {
  double lr = 1e-4;
  Betas betas = {0.965, 0.99};
  double rho = 0.04;
  double weight_decay = 0.1;  // decoupled: weights shrink by lr * weight_decay beforehand
  Index k = 10;               // the closure's curvature is taken every k steps
  double batch_size = 5120;   // terms in the mean that the loss is: tokens, usually

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "rho", o.rho, "weight_decay", o.weight_decay, "k", o.k, "batch_size",
                 o.batch_size);
  }
  void check(OptionCheck& is) const;
};

/// Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", ICLR 2024, with
/// the Gauss-Newton-Bartlett estimate, as in the authors' code: w -= lr sign(m) min(|m| / (rho batch_size h + 1e-15),
/// 1). Before the first estimate h is 0 and every step is lr sign(m).
///
/// The curvature comes from the gradient of the loss on labels sampled from the model itself. Either call
/// update_hessian() while those gradients are in the parameters, or step with a closure that takes an int: every k
/// steps it is called with 1 for that loss, and always with 0 for the usual one.
struct SophiaG : Rule<SophiaG, SophiaGOptions> {
  static constexpr std::string_view kName = "sophia";
  static constexpr std::array kSlots = {"exp_avg", "hessian"};
  using Rule::Rule;
  /// h = betas[1] h + (1 - betas[1]) g^2 with the gradients now in the parameters.
  void update_hessian();
  void update(const SophiaGOptions& o, Item& item);

 protected:
  double do_closure_step(const Closure& closure) override;
};

}  // namespace gradus::optim
