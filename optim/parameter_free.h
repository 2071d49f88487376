// Methods that find their learning rate: Prodigy and D-Adaptation. lr stays 1 and multiplies the estimate.
//
// They estimate d, the distance from the start to the solution, from inner products over all parameters; d only grows.
// All groups share it. A step in which every gradient is zero, before anything was learned, changes nothing.
#pragma once

#include "optim/rule.h"

#include <limits>

namespace gradus::optim {

struct ProdigyOptions {
  double lr = 1;
  Betas betas = {0.9, 0.999};
  double beta3 = 0;  // decay of the estimates; 0: sqrt(betas[1])
  double eps = 1e-8;
  double weight_decay = 0;  // decoupled: weights shrink by d * lr * weight_decay before the update
  bool use_bias_correction = false;
  bool safeguard_warmup = false;  // keep lr out of the denominator: for runs with a warm-up
  double d0 = 1e-6;
  double d_coef = 1;
  double growth_rate = std::numeric_limits<double>::infinity();

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "beta3", o.beta3, "eps", o.eps, "weight_decay", o.weight_decay,
                 "use_bias_correction", o.use_bias_correction, "safeguard_warmup", o.safeguard_warmup, "d0", o.d0,
                 "d_coef", o.d_coef, "growth_rate", o.growth_rate);
  }
  void check(OptionCheck& is) const;
};

/// Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", ICML 2024, algorithm 4, as in
/// the authors' code.
struct Prodigy : Rule<Prodigy, ProdigyOptions> {
  static constexpr std::string_view kName = "prodigy";
  static constexpr std::array kSlots = {"exp_avg", "exp_avg_sq", "s", "p0"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const ProdigyOptions& o, Item& item);
  static auto state(auto& self) {
    return named("d", self.d_, "d_max", self.d_max_, "numerator", self.numerator_, "k", self.k_);
  }
  /// The estimate now; 0 before the first step.
  double d() const { return d_; }

 private:
  double d_ = 0, d_max_ = 0, numerator_ = 0;
  Index k_ = 0;
  double step_lr_ = 0;  // of this step: with the d from before it
};

struct DAdaptAdamOptions {
  double lr = 1;
  Betas betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;  // decoupled
  bool use_bias_correction = false;
  double d0 = 1e-6;
  double growth_rate = std::numeric_limits<double>::infinity();

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "use_bias_correction",
                 o.use_bias_correction, "d0", o.d0, "growth_rate", o.growth_rate);
  }
  void check(OptionCheck& is) const;
};

/// Defazio and Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML 2023, algorithm 5, as in the authors'
/// code.
struct DAdaptAdam : Rule<DAdaptAdam, DAdaptAdamOptions> {
  static constexpr std::string_view kName = "dadapt_adam";
  static constexpr std::array kSlots = {"exp_avg", "exp_avg_sq", "s"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const DAdaptAdamOptions& o, Item& item);
  static auto state(auto& self) { return named("d", self.d_, "numerator", self.numerator_, "k", self.k_); }
  double d() const { return d_; }

 private:
  double d_ = 0, numerator_ = 0;
  Index k_ = 0;
  double step_lr_ = 0;
};

struct DAdaptSGDOptions {
  double lr = 1;
  double momentum = 0;
  double weight_decay = 0;  // added to the gradient
  double d0 = 1e-6;
  double growth_rate = std::numeric_limits<double>::infinity();

  static auto fields(auto& o) {
    return named("lr", o.lr, "momentum", o.momentum, "weight_decay", o.weight_decay, "d0", o.d0, "growth_rate",
                 o.growth_rate);
  }
  void check(OptionCheck& is) const;
};

/// The same paper, algorithm 4: steps d lr g / ||g_0|| from the start, mixed in by 1 - momentum.
struct DAdaptSGD : Rule<DAdaptSGD, DAdaptSGDOptions> {
  static constexpr std::string_view kName = "dadapt_sgd";
  static constexpr std::array kSlots = {"s", "x0"};
  using Rule::Rule;
  bool before_step(std::span<Item> items);
  void update(const DAdaptSGDOptions& o, Item& item);
  static auto state(auto& self) { return named("d", self.d_, "numerator", self.numerator_, "g0_norm", self.g0_norm_); }
  double d() const { return d_; }

 private:
  double d_ = 0, numerator_ = 0, g0_norm_ = 0;
};

}  // namespace gradus::optim
