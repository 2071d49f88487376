// Variance reduction for finite sums, loss = mean of n terms: SVRG and SAGA. They wrap an optimizer, plain SGD in the
// papers, and hand it a gradient whose noise vanishes at the solution.
//
// A term is whatever the closure makes of its int argument, 0 to terms - 1: a sample, or a batch of a fixed division of
// the data. Which term comes in a step depends on the seed and the step alone.
#pragma once

#include "optim/wrapper.h"

namespace gradus::optim {

struct SVRGOptions {
  Index terms = 1;
  Index inner_steps = 0;  // steps between full gradients; 0: twice the number of terms, as in the paper
  Index seed = 0;

  static auto fields(auto& o) { return named("terms", o.terms, "inner_steps", o.inner_steps, "seed", o.seed); }
  void check(OptionCheck& is) const;
};

/// Johnson and Zhang, "Accelerating Stochastic Gradient Descent using Predictive Variance Reduction", NIPS 2013, with
/// option I: g_i(w) - g_i(snapshot) + full gradient at the snapshot. Two evaluations a step and `terms` at each
/// snapshot.
class SVRG : public WrapperWith<SVRG, SVRGOptions> {
 public:
  static constexpr std::string_view kName = "svrg";
  static constexpr const char* kSlot = "svrg";  // the snapshot, and its full gradient
  using WrapperWith::WrapperWith;
  bool needs_closure() const override { return true; }

 protected:
  void do_step() override {}
  double do_closure_step(const Closure& closure) override;
};

struct SAGAOptions {
  Index terms = 1;
  Index seed = 0;

  static auto fields(auto& o) { return named("terms", o.terms, "seed", o.seed); }
  void check(OptionCheck& is) const;
};

/// Defazio, Bach, Lacoste-Julien, "SAGA: A Fast Incremental Gradient Method", NIPS 2014, equation 1: the last gradient
/// of every term is kept, and a step takes g_i(w) - kept_i + mean of kept. One evaluation a step, and `terms` before
/// the first.
class SAGA : public WrapperWith<SAGA, SAGAOptions> {
 public:
  static constexpr std::string_view kName = "saga";
  static constexpr const char* kSlot = "saga";  // the mean, and the gradients of the terms
  using WrapperWith::WrapperWith;
  bool needs_closure() const override { return true; }

 protected:
  void do_step() override {}
  double do_closure_step(const Closure& closure) override;
};

}  // namespace gradus::optim
