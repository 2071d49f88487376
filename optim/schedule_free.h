// Schedule-Free: a running average in place of a learning-rate schedule (Defazio et al., "The Road Less Scheduled",
// 2024).
//
// Three sequences: z takes the steps, x is their running average, and gradients are taken between them,
// y = (1 - beta) z + beta x. The parameters hold y while training and z is the only slot; x, the point to evaluate and
// to publish, is computed from both by eval_weights(). As in the authors' code:
//   y <- (1 - c) y + c z + lr (beta (1 - c) - 1) d;   z <- z - lr d;   c = lr_max^weight_lr_power t^r / (sum of these).
// Warm-up is part of the method and recommended. Clipping gradients harms; a schedule is not needed.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

/// What the average has seen so far. Follows the options of the default group; a group that scales lr changes nothing.
struct AverageWeights {
  double sum = 0;
  double lr_max = 0;
  /// The share c of the newest z, in step k + 1.
  double next(double lr, Index k, double r, double power);
};

struct ScheduleFreeSGDOptions {
  double lr = 1;
  double beta = 0.9;
  double weight_decay = 0;  // at y, added to the gradient
  Index warmup_steps = 0;
  double r = 0;                // weight of step t in the average: t^r ...
  double weight_lr_power = 2;  // ... times the largest lr so far to this power

  static auto fields(auto& o) {
    return named("lr", o.lr, "beta", o.beta, "weight_decay", o.weight_decay, "warmup_steps", o.warmup_steps, "r", o.r,
                 "weight_lr_power", o.weight_lr_power);
  }
  void check(OptionCheck& is) const;
};

struct ScheduleFreeSGD : Rule<ScheduleFreeSGD, ScheduleFreeSGDOptions> {
  static constexpr std::string_view kName = "schedule_free_sgd";
  static constexpr std::array kSlots = {"z"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const ScheduleFreeSGDOptions& o, Item& item);
  Tensor eval_weight(Index parameter) override;
  static auto state(auto& self) { return named("weight_sum", self.average_.sum, "lr_max", self.average_.lr_max); }

 private:
  AverageWeights average_;
  double share_ = 0;  // c of this step
};

struct ScheduleFreeAdamWOptions {
  double lr = 0.0025;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;  // at y
  Index warmup_steps = 0;
  double r = 0;
  double weight_lr_power = 2;
  bool paper = false;  // as in the paper: the bias correction is part of lr, so decay and average see it too

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "warmup_steps",
                 o.warmup_steps, "r", o.r, "weight_lr_power", o.weight_lr_power, "paper", o.paper);
  }
  void check(OptionCheck& is) const;
};

struct ScheduleFreeAdamW : Rule<ScheduleFreeAdamW, ScheduleFreeAdamWOptions> {
  static constexpr std::string_view kName = "schedule_free_adamw";
  static constexpr std::array kSlots = {"z", "exp_avg_sq"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const ScheduleFreeAdamWOptions& o, Item& item);
  Tensor eval_weight(Index parameter) override;
  static auto state(auto& self) { return named("weight_sum", self.average_.sum, "lr_max", self.average_.lr_max); }

 private:
  AverageWeights average_;
  double share_ = 0;
};

struct ScheduleFreeRAdamOptions {
  double lr = 0.0025;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double r = 0;
  double weight_lr_power = 2;
  bool silent_sgd_phase = true;  // stand still until the rectification starts, instead of SGD steps

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "r", o.r,
                 "weight_lr_power", o.weight_lr_power, "silent_sgd_phase", o.silent_sgd_phase);
  }
  void check(OptionCheck& is) const;
};

/// With RAdam's rectification, from rho_t > 4 on, in place of a warm-up.
struct ScheduleFreeRAdam : Rule<ScheduleFreeRAdam, ScheduleFreeRAdamOptions> {
  static constexpr std::string_view kName = "schedule_free_radam";
  static constexpr std::array kSlots = {"z", "exp_avg_sq"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const ScheduleFreeRAdamOptions& o, Item& item);
  Tensor eval_weight(Index parameter) override;
  static auto state(auto& self) { return named("weight_sum", self.average_.sum, "lr_max", self.average_.lr_max); }

 private:
  AverageWeights average_;
  double share_ = 0;
};

}  // namespace gradus::optim
