// Optimizer: what every method offers, whether a single rule (optim/rule.h), several for different parameters
// (optim/combined.h) or a wrapper around another (optim/sam.h).
//
//   optim::AdamW optimizer(nn::named_parameters(model), {.lr = 3e-3});
//   for (...) {
//     backward(cross_entropy(model(x), y));
//     optimizer.set_lr_scale(schedule(optimizer.steps()));
//     optimizer.step();
//     optimizer.zero_grad();
//   }
#pragma once

#include "core/autograd.h"
#include "core/named.h"
#include "optim/closure.h"
#include "optim/options.h"
#include "optim/state.h"

#include <string>
#include <string_view>

namespace gradus::optim {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual std::string_view name() const = 0;
  virtual const NamedTensors& parameters() const = 0;

  /// One update of the parameters from the gradients that backward() left in them. A parameter without a gradient is
  /// skipped wholly: no decay, no change of its state. Gradients are only read. Numbers that are not finite pass
  /// through.
  void step();
  /// zero_grad, loss, backward, update; returns the loss before the update. Works for every method; some need it.
  double step(const Closure& closure);
  virtual bool needs_closure() const { return false; }

  /// Forgets all gradients.
  void zero_grad() const;
  /// How often step() was called: the argument for schedules.
  virtual Index steps() const = 0;

  /// Multiplies the learning rate of every group and part, without changing the options: what a schedule sets each
  /// step.
  virtual void set_lr_scale(double scale) = 0;
  /// Changes one option for all parameters: set("weight_decay", 0.1). Groups' overrides apply on top.
  virtual void set(std::string_view key, std::string_view value) = 0;
  void set(std::string_view key, double value) { set(key, to_text(value)); }
  /// All options with their values.
  virtual OptionList options() const = 0;

  /// Copies of everything that later steps depend on.
  State state_dict();
  /// Goes on exactly where the state was saved: options included, groups must be the same. Throws Error listing every
  /// entry that is missing, unexpected or of another shape; then nothing has changed.
  void load_state_dict(const State& state);

  /// Some methods train one point and evaluate another (averages, Schedule-Free). eval_weights() puts the point to
  /// evaluate or to publish into the parameters, train_weights() puts the trained point back, bit for bit. In between
  /// step() is an Error. Other methods do nothing. Prefer the scoped EvalWeights.
  void eval_weights();
  void train_weights();
  bool evaluating() const { return evaluating_; }

  // --- for authors of methods ---
  /// The weight to evaluate parameter i with, or an empty tensor when it is the parameter itself.
  virtual Tensor eval_weight(Index /*parameter*/) { return {}; }
  /// Lists everything to save (optim/state.h); called through state_dict and load_state_dict.
  virtual void visit(StateVisitor& visitor) = 0;

 protected:
  Optimizer() = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  virtual void do_step() = 0;
  /// Evaluates the closure once and updates; methods that evaluate more often override it.
  virtual double do_closure_step(const Closure& closure);
  /// zero_grad, loss, backward. `evaluation` counts from 0 within a step.
  double evaluate(const Closure& closure, int evaluation) const;

 private:
  void visit_all(StateVisitor& visitor);
  void check_training() const;

  bool evaluating_ = false;
  Tensors train_weights_;  // while evaluating: what the parameters were, empty where nothing was swapped

  friend class Wrapper;
  friend class Combined;
};

/// Evaluates with the right weights, whatever the method: swaps them in now and back at the end of the scope.
class EvalWeights {
 public:
  explicit EvalWeights(Optimizer& optimizer) : optimizer_(optimizer), was_(optimizer.evaluating()) {
    optimizer_.eval_weights();
  }
  ~EvalWeights() {
    if (!was_) optimizer_.train_weights();
  }
  EvalWeights(const EvalWeights&) = delete;
  EvalWeights& operator=(const EvalWeights&) = delete;

 private:
  Optimizer& optimizer_;
  bool was_;
};

}  // namespace gradus::optim
