// Lion: the sign of an interpolated momentum.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct LionOptions {
  double lr = 1e-4;
  Betas betas = {0.9, 0.99};
  double weight_decay = 0;  // decoupled: weights shrink by lr * weight_decay beforehand

  static auto fields(auto& o) { return named("lr", o.lr, "betas", o.betas, "weight_decay", o.weight_decay); }
  void check(OptionCheck& is) const;
};

/// Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2. The step mixes the old
/// momentum with betas[0]; the momentum is updated afterwards with betas[1]. Use 3 to 10 times AdamW's decay and as
/// much less lr.
struct Lion : Rule<Lion, LionOptions> {
  static constexpr std::string_view kName = "lion";
  static constexpr std::array kSlots = {"exp_avg"};
  using Rule::Rule;
  void update(const LionOptions& o, Item& item);
};

}  // namespace gradus::optim
