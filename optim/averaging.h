// Averages of the weights along the way, to evaluate and publish: EMA, Polyak-Ruppert and SWA, Lookahead, primal
// averaging.
//
// The wrappers leave the training of the optimizer inside as it is (Lookahead excepted) and offer the average through
// eval_weights() and EvalWeights. Buffers of batch normalization are not weights: evaluate some training batches with
// the average in place to refresh them.
#pragma once

#include "optim/wrapper.h"

namespace gradus::optim {

struct EMAOptions {
  double decay = 0.999;
  bool warmup = false;  // decay rises as min(decay, (1 + t) / (10 + t))

  static auto fields(auto& o) { return named("decay", o.decay, "warmup", o.warmup); }
  void check(OptionCheck& is) const { is.between("decay", decay, 0, 1); }
};

/// average = decay average + (1 - decay) w after each step; the first step copies.
class EMA : public WrapperWith<EMA, EMAOptions> {
 public:
  static constexpr std::string_view kName = "ema";
  static constexpr const char* kSlot = "average";
  using WrapperWith::WrapperWith;
  Tensor eval_weight(Index parameter) override { return slot(static_cast<std::size_t>(parameter)); }

 protected:
  void do_step() override;
  double do_closure_step(const Closure& closure) override;

 private:
  void average();
};

struct SWAOptions {
  Index start = 0;   // steps before the first weights enter
  Index period = 1;  // steps from one to the next

  static auto fields(auto& o) { return named("start", o.start, "period", o.period); }
  void check(OptionCheck& is) const {
    is.at_least("start", static_cast<double>(start), 0);
    is.at_least("period", static_cast<double>(period), 1);
  }
};

/// The uniform average of the weights: with period 1 that of Polyak and Ruppert (Polyak and Juditsky 1992), with the
/// steps of an epoch stochastic weight averaging (Izmailov et al., UAI 2018).
class SWA : public WrapperWith<SWA, SWAOptions> {
 public:
  static constexpr std::string_view kName = "swa";
  static constexpr const char* kSlot = "average";
  using WrapperWith::WrapperWith;
  Tensor eval_weight(Index parameter) override { return slot(static_cast<std::size_t>(parameter)); }

 protected:
  void do_step() override;
  double do_closure_step(const Closure& closure) override;

 private:
  void average();
};

struct LookaheadOptions {
  Index k = 5;
  double alpha = 0.5;

  static auto fields(auto& o) { return named("k", o.k, "alpha", o.alpha); }
  void check(OptionCheck& is) const {
    is.at_least("k", static_cast<double>(k), 1);
    is.between("alpha", alpha, 0, 1);
  }
};

/// Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019, algorithm 1: every k steps
/// slow += alpha (w - slow), w = slow. The inside keeps its momentum. The weights themselves are evaluated.
class Lookahead : public WrapperWith<Lookahead, LookaheadOptions> {
 public:
  static constexpr std::string_view kName = "lookahead";
  static constexpr const char* kSlot = "slow";
  using WrapperWith::WrapperWith;

 protected:
  void do_step() override;
  double do_closure_step(const Closure& closure) override;

 private:
  void remember();
  void look_back();
};

struct PrimalAveragingOptions {
  double lr = 1e-2;
  double weight_decay = 0;  // added to the gradient

  static auto fields(auto& o) { return named("lr", o.lr, "weight_decay", o.weight_decay); }
  void check(OptionCheck& is) const {
    is.at_least("lr", lr, 0);
    is.at_least("weight_decay", weight_decay, 0);
  }
};

/// Gradients at the average: z -= lr grad(x), x += (z - x) / t; Schedule-Free with beta = 1 (Defazio et al. 2024,
/// section 2; Nesterov and Shikhman, "Quasi-monotone Subgradient Methods", 2015).
struct PrimalAveraging : Rule<PrimalAveraging, PrimalAveragingOptions> {
  static constexpr std::string_view kName = "primal_averaging";
  static constexpr std::array kSlots = {"z"};
  using Rule::Rule;
  void update(const PrimalAveragingOptions& o, Item& item);
};

}  // namespace gradus::optim
