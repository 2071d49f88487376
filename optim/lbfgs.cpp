#include "optim/lbfgs.h"

#include "core/ops.h"
#include "optim/rule.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace gradus::optim {
namespace {

constexpr double kSufficientDecrease = 1e-4, kCurvature = 0.9;  // c1 and c2 of the Wolfe conditions
constexpr double kLeastCurvature = 1e-10;                       // pairs with a smaller y.s are not learned

/// x + factor y, as a new flat vector.
Tensor moved(const Tensor& x, double factor, const Tensor& y) { return x + y * factor; }

/// The minimizer of the cubic through two points with their slopes, within [low, high]; their middle where it has none.
double cubic_minimum(double x1, double f1, double g1, double x2, double f2, double g2, double low, double high) {
  if (x1 > x2) {
    std::swap(x1, x2);
    std::swap(f1, f2);
    std::swap(g1, g2);
  }
  const double d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2);
  const double squared = d1 * d1 - g1 * g2;
  if (!(squared >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(squared);
  return std::min(std::max(x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)), low), high);
}

}  // namespace

void LBFGSOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.at_least("max_iter", static_cast<double>(max_iter), 1);
  is.at_least("max_eval", static_cast<double>(max_eval), 0);
  is.at_least("tolerance_grad", tolerance_grad, 0);
  is.at_least("tolerance_change", tolerance_change, 0);
  is.at_least("history_size", static_cast<double>(history_size), 1);
}

LBFGS::LBFGS(NamedTensors parameters, LBFGSOptions options) : parameters_(std::move(parameters)), options_(options) {
  detail::check_parameters(kName, parameters_);
  check_options(kName, options_);
  for (const auto& [name, tensor] : parameters_) {
    GRADUS_CHECK(tensor.dtype() == parameters_[0].tensor.dtype(), "lbfgs: parameters \"" + parameters_[0].name +
                                                                      "\" and \"" + name +
                                                                      "\" differ in dtype\n  needs one dtype, "
                                                                      "because all parameters are one vector");
    numel_ += tensor.numel();
  }
}

void LBFGS::set(std::string_view key, std::string_view value) {
  LBFGSOptions changed = options_;
  set_option(kName, changed, key, value);
  check_options(kName, changed);
  options_ = changed;
}

// --- all parameters as one vector
// --------------------------------------------------------------------------------------

Tensor LBFGS::flat_gradient() const {
  Tensor flat = zeros({numel_}, parameters_[0].tensor.dtype());
  Index at = 0;
  for (const auto& [name, tensor] : parameters_) {
    const Index size = tensor.numel();
    Tensor part = slice(flat, 0, at, at + size);
    if (const Tensor grad = tensor.grad()) part.copy_(reshape(grad, {size}));
    at += size;
  }
  return flat;
}

Tensor LBFGS::flat_weights() const {
  Tensor flat = empty({numel_}, parameters_[0].tensor.dtype());
  Index at = 0;
  for (const auto& [name, tensor] : parameters_) {
    Tensor part = slice(flat, 0, at, at + tensor.numel());
    part.copy_(reshape(tensor.detach(), {tensor.numel()}));
    at += tensor.numel();
  }
  return flat;
}

void LBFGS::place(const Tensor& flat) const {
  Index at = 0;
  for (const auto& [name, tensor] : parameters_) {
    Tensor(tensor).copy_(reshape(slice(flat, 0, at, at + tensor.numel()), tensor.shape()));
    at += tensor.numel();
  }
}

/// A parameter without a gradient does not move.
void LBFGS::mask_missing(Tensor& direction) const {
  Index at = 0;
  for (const auto& [name, tensor] : parameters_) {
    if (!tensor.grad()) slice(direction, 0, at, at + tensor.numel()).fill_(0);
    at += tensor.numel();
  }
}

// --- the method
// --------------------------------------------------------------------------------------------------------

/// Takes in what the last move taught about the curvature.
void LBFGS::learn(const Tensor& gradient) {
  const Tensor change = gradient - gradient_, move = direction_ * length_;
  const double product = dot(change, move);
  if (!(product > kLeastCurvature)) return;
  if (static_cast<Index>(moves_.size()) >= options_.history_size) {
    moves_.erase(moves_.begin());
    changes_.erase(changes_.begin());
  }
  moves_.push_back(slot_copy(move));
  changes_.push_back(slot_copy(change));
  curvature_ = product / squared_norm(change);
}

/// The two-loop recursion (Nocedal 1980).
Tensor LBFGS::quasi_newton_direction(const Tensor& gradient) const {
  Tensor q = gradient * -1.0;
  std::vector<double> alpha(moves_.size());
  for (std::size_t i = moves_.size(); i-- > 0;) {
    alpha[i] = dot(moves_[i], q) / dot(changes_[i], moves_[i]);
    q = moved(q, -alpha[i], changes_[i]);
  }
  q = q * curvature_;
  for (std::size_t i = 0; i < moves_.size(); ++i) {
    const double beta = dot(changes_[i], q) / dot(changes_[i], moves_[i]);
    q = moved(q, alpha[i] - beta, moves_[i]);
  }
  return q;
}

LBFGS::Point LBFGS::evaluate_at(const Closure& closure, const Tensor& from, double length, int evaluation) const {
  place(moved(from, length, direction_));
  Point point;
  point.at = length;
  point.loss = evaluate(closure, evaluation);
  point.gradient = flat_gradient();
  point.slope = dot(point.gradient, direction_);
  return point;
}

LBFGS::Search LBFGS::strong_wolfe(const Closure& closure, const Tensor& from, const Point& start, double length,
                                  Index budget, int evaluation) const {
  const double reach = abs_max(direction_);
  const auto enough_decrease = [&](const Point& p) {
    return p.loss <= start.loss + kSufficientDecrease * p.at * start.slope;
  };
  const auto flat_enough = [&](const Point& p) { return std::abs(p.slope) <= -kCurvature * start.slope; };

  Index evaluations = 1, iterations = 0;
  const auto look = [&](double at) { return evaluate_at(closure, from, at, evaluation++); };
  Point before = start, now = look(length);

  // Walk out until two points bracket a place that satisfies both conditions.
  Point bracket[2];
  bool found = false, bracketed = false;
  while (iterations < budget) {
    if (!enough_decrease(now) || (iterations > 1 && now.loss >= before.loss)) {
      bracketed = true;
    } else if (flat_enough(now)) {
      found = true;
    } else if (now.slope >= 0) {
      bracketed = true;
    }
    if (found || bracketed) break;
    const double next = cubic_minimum(before.at, before.loss, before.slope, now.at, now.loss, now.slope,
                                      now.at + 0.01 * (now.at - before.at), now.at * 10);
    before = now;
    now = look(next);
    ++evaluations;
    ++iterations;
  }
  if (found) return {now, evaluations};
  bracket[0] = bracketed ? before : start;
  bracket[1] = now;

  // Shrink the bracket.
  int low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
  bool little_progress = false;
  while (!found && iterations < budget) {
    if (std::abs(bracket[1].at - bracket[0].at) * reach < options_.tolerance_change) break;
    const double left = std::min(bracket[0].at, bracket[1].at), right = std::max(bracket[0].at, bracket[1].at);
    double at = cubic_minimum(bracket[0].at, bracket[0].loss, bracket[0].slope, bracket[1].at, bracket[1].loss,
                              bracket[1].slope, left, right);
    const double margin = 0.1 * (right - left);
    if (std::min(right - at, at - left) < margin) {  // close to an end: once is well, twice is no progress
      if (little_progress || at >= right || at <= left) {
        at = std::abs(at - right) < std::abs(at - left) ? right - margin : left + margin;
        little_progress = false;
      } else {
        little_progress = true;
      }
    } else {
      little_progress = false;
    }
    now = look(at);
    ++evaluations;
    ++iterations;
    const int high = 1 - low;
    if (!enough_decrease(now) || now.loss >= bracket[low].loss) {
      bracket[high] = now;
      low = bracket[0].loss <= bracket[1].loss ? 0 : 1;
    } else {
      if (flat_enough(now)) {
        found = true;
      } else if (now.slope * (bracket[high].at - bracket[low].at) >= 0) {
        bracket[high] = bracket[low];
      }
      bracket[low] = now;
    }
  }
  return {bracket[low], evaluations};
}

double LBFGS::do_closure_step(const Closure& closure) {
  int evaluation = 0;
  Point here;
  here.loss = evaluate(closure, evaluation++);
  const double first_loss = here.loss;
  const NoGrad no_grad;
  ++steps_;
  here.gradient = flat_gradient();
  const Index max_eval = options_.max_eval > 0 ? options_.max_eval : options_.max_iter * 5 / 4;
  const double lr = options_.lr * lr_scale_;
  const auto optimal = [&] { return abs_max(here.gradient) <= options_.tolerance_grad; };
  if (optimal()) return first_loss;

  Index evaluations = 1;
  for (Index iteration = 1; iteration <= options_.max_iter; ++iteration) {
    ++iterations_;
    if (iterations_ == 1) {
      direction_ = slot_copy(here.gradient * -1.0);
    } else {
      learn(here.gradient);
      direction_ = slot_copy(quasi_newton_direction(here.gradient));
    }
    mask_missing(direction_);
    gradient_ = slot_copy(here.gradient);
    const double before = here.loss;
    length_ = iterations_ == 1 ? std::min(1.0, 1 / abs_sum(here.gradient)) * lr : lr;
    here.at = 0;
    here.slope = dot(here.gradient, direction_);
    if (here.slope > -options_.tolerance_change) break;

    const Tensor from = flat_weights();
    if (options_.line_search == LineSearch::strong_wolfe) {
      const Search search = strong_wolfe(closure, from, here, length_, max_eval - evaluations, evaluation);
      evaluation += static_cast<int>(search.evaluations);
      evaluations += search.evaluations;
      here = search.end;
      length_ = here.at;
      place(moved(from, length_, direction_));
    } else {
      place(moved(from, length_, direction_));
      if (iteration < options_.max_iter) {  // the next step() evaluates there anyway
        here.loss = evaluate(closure, evaluation++);
        here.gradient = flat_gradient();
        ++evaluations;
      }
    }
    if (iteration == options_.max_iter || evaluations >= max_eval || optimal()) break;
    if (abs_max(direction_) * length_ <= options_.tolerance_change) break;
    if (std::abs(here.loss - before) < options_.tolerance_change) break;
  }
  return first_loss;
}

void LBFGS::visit(StateVisitor& visitor) {
  LBFGSOptions options = options_;
  for_each_field(options, [&](const char* key, auto& value) { visitor.value(std::string("option.") + key, value); });
  std::string names;  // the vectors are cut in this order
  for (const NamedTensor& parameter : parameters_) names += (names.empty() ? "" : ",") + parameter.name;
  visitor.expect("parameters", names, "list the same parameters in the same order");

  Index steps = steps_, iterations = iterations_, pairs = static_cast<Index>(moves_.size());
  double length = length_, curvature = curvature_, lr_scale = lr_scale_;
  visitor.value("steps", steps);
  visitor.value("iterations", iterations);
  visitor.value("pairs", pairs);
  visitor.value("length", length);
  visitor.value("curvature", curvature);
  visitor.value("lr_scale", lr_scale);
  Tensor direction = direction_, gradient = gradient_;
  Tensors moves = moves_, changes = changes_;
  const DType dtype = parameters_[0].tensor.dtype();
  if (iterations > 0) {
    visitor.tensor("all/direction", direction, {numel_}, dtype);
    visitor.tensor("all/gradient", gradient, {numel_}, dtype);
  } else {
    direction = gradient = Tensor();
  }
  if (pairs < 0 || pairs > 1000000)
    return visitor.problem("pairs is " + std::to_string(pairs) + ", no possible history");
  moves.resize(static_cast<std::size_t>(pairs));
  changes.resize(static_cast<std::size_t>(pairs));
  for (std::size_t i = 0; i < moves.size(); ++i) {
    visitor.tensor("all/move." + std::to_string(i), moves[i], {numel_}, dtype);
    visitor.tensor("all/change." + std::to_string(i), changes[i], {numel_}, dtype);
  }
  if (!visitor.loading()) return;
  options_ = options;
  steps_ = steps;
  iterations_ = iterations;
  length_ = length;
  curvature_ = curvature;
  lr_scale_ = lr_scale;
  direction_ = direction;
  gradient_ = gradient;
  moves_ = std::move(moves);
  changes_ = std::move(changes);
}

}  // namespace gradus::optim
