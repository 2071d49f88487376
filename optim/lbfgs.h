// L-BFGS: a quasi-Newton method for losses without noise.
#pragma once

#include "optim/optimizer.h"

#include <string>
#include <vector>

namespace gradus::optim {

enum class LineSearch { none, strong_wolfe };
constexpr std::array<std::string_view, 2> names_of(LineSearch) { return {"none", "strong_wolfe"}; }

struct LBFGSOptions {
  double lr = 1;
  Index max_iter = 20;  // iterations in one step()
  Index max_eval = 0;   // evaluations in one step(); 0: max_iter * 5 / 4
  double tolerance_grad = 1e-7;
  double tolerance_change = 1e-9;
  Index history_size = 100;
  LineSearch line_search = LineSearch::none;

  static auto fields(auto& o) {
    return named("lr", o.lr, "max_iter", o.max_iter, "max_eval", o.max_eval, "tolerance_grad", o.tolerance_grad,
                 "tolerance_change", o.tolerance_change, "history_size", o.history_size, "line_search", o.line_search);
  }
  void check(OptionCheck& is) const;
};

/// Liu and Nocedal, "On the Limited Memory BFGS Method for Large Scale Optimization", 1989, with the step lengths and
/// stopping rules of PyTorch's LBFGS; the line search is that of Nocedal and Wright, algorithms 3.5 and 3.6, with cubic
/// interpolation. All parameters are one vector, of one dtype. step() needs a closure and evaluates it up to max_eval
/// times; the loss must not change in between.
class LBFGS : public Optimizer {
 public:
  using Options = LBFGSOptions;
  static constexpr std::string_view kName = "lbfgs";

  explicit LBFGS(NamedTensors parameters, LBFGSOptions options = {});

  std::string_view name() const override { return kName; }
  const NamedTensors& parameters() const override { return parameters_; }
  bool needs_closure() const override { return true; }
  Index steps() const override { return steps_; }
  void set_lr_scale(double scale) override { lr_scale_ = scale; }
  using Optimizer::set;
  void set(std::string_view key, std::string_view value) override;
  OptionList options() const override { return list_options(options_); }
  LBFGSOptions& defaults() { return options_; }
  void visit(StateVisitor& visitor) override;

 protected:
  void do_step() override {}
  double do_closure_step(const Closure& closure) override;

 private:
  /// A place on the search line: how far, the loss there, its gradient, and the slope along the direction.
  struct Point {
    double at = 0, loss = 0;
    Tensor gradient;
    double slope = 0;
  };
  struct Search {
    Point end;
    Index evaluations;
  };

  Tensor flat_gradient() const;
  Tensor flat_weights() const;
  void place(const Tensor& flat) const;
  void mask_missing(Tensor& direction) const;
  void learn(const Tensor& gradient);
  Tensor quasi_newton_direction(const Tensor& gradient) const;
  Point evaluate_at(const Closure& closure, const Tensor& from, double length, int evaluation) const;
  Search strong_wolfe(const Closure& closure, const Tensor& from, const Point& start, double length, Index budget,
                      int evaluation) const;

  NamedTensors parameters_;
  LBFGSOptions options_;
  double lr_scale_ = 1;
  Index numel_ = 0;
  Index steps_ = 0;

  // Between iterations, also from one step() to the next.
  Index iterations_ = 0;
  double length_ = 0;            // of the last move, in directions
  double curvature_ = 1;         // scale of the first inverse Hessian
  Tensor direction_, gradient_;  // of the last iteration
  Tensors moves_, changes_;      // s and y: of the weights and of the gradient, oldest first
};

}  // namespace gradus::optim
