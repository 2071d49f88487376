// LAMB: Adam with a trust ratio per tensor, for large batches.
#pragma once

#include "optim/rule.h"

#include <limits>

namespace gradus::optim {

struct LAMBOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-6;
  double weight_decay = 0;
  bool bias_correction = true;
  double max_weight_norm =
      std::numeric_limits<double>::infinity();  // limits ||w|| in the trust ratio; some codes use 10

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "bias_correction",
                 o.bias_correction, "max_weight_norm", o.max_weight_norm);
  }
  void check(OptionCheck& is) const;
};

/// You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR 2020, algorithm 2: the
/// step u = m / (sqrt(v) + eps) + weight_decay w of each tensor is made as long as lr ||w||; where ||w|| or ||u|| is 0
/// the ratio is 1. Give biases and norms a group with weight_decay 0.
struct LAMB : Rule<LAMB, LAMBOptions> {
  static constexpr std::string_view kName = "lamb";
  static constexpr std::array kSlots = {"exp_avg", "exp_avg_sq"};
  using Rule::Rule;
  void update(const LAMBOptions& o, Item& item);
};

}  // namespace gradus::optim
