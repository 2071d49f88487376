#include "optim/schedule_free.h"

#include "core/ops.h"
#include "optim/adam_variants.h"

#include <algorithm>

namespace gradus::optim {
namespace {

void check_common(OptionCheck& is, const auto& o, double beta) {
  is.at_least("lr", o.lr, 0);
  is.that(beta > 0 && beta < 1, "the first beta needs to lie between 0 and 1, both excluded");
  is.at_least("weight_decay", o.weight_decay, 0);
  is.at_least("r", o.r, 0);
  is.at_least("weight_lr_power", o.weight_lr_power, 0);
}

double warmed(double lr, Index k, Index warmup_steps) {
  return k < warmup_steps ? lr * static_cast<double>(k + 1) / static_cast<double>(warmup_steps) : lr;
}

/// x from y and z = slot 0; empty before the first update.
Tensor average_of(const Tensor& y, const Tensor& z, double beta) {
  if (!z) return {};
  return y.detach() * (1 / beta) + z * (1 - 1 / beta);
}

/// The formula of the header; `direction(y, grad, slot...)` is d.
template <class T, class Direction>
auto move_along(double lr, double share, double beta, Direction direction) {
  const T c = T(share), step_y = T(lr * (beta * (1 - share) - 1)), step_z = T(lr);
  return [=](T& y, T grad, T& z, auto&... slot) {
    const T d = direction(y, grad, slot...);
    y = (y + c * (z - y)) + step_y * d;
    z -= step_z * d;
  };
}

}  // namespace

double AverageWeights::next(double lr, Index k, double r, double power) {
  lr_max = std::max(lr_max, lr);
  const double weight = std::pow(static_cast<double>(k + 1), r) * std::pow(lr_max, power);
  sum += weight;
  return sum > 0 ? weight / sum : 0;  // lr is 0 so far: 0 / 0
}

// --- SGD
// ---------------------------------------------------------------------------------------------------------------

void ScheduleFreeSGDOptions::check(OptionCheck& is) const {
  check_common(is, *this, beta);
  is.at_least("warmup_steps", static_cast<double>(warmup_steps), 0);
}

bool ScheduleFreeSGD::before_step(std::span<Item>) {
  const auto& o = default_options();
  share_ = average_.next(warmed(o.lr, steps(), o.warmup_steps), steps(), o.r, o.weight_lr_power);
  return true;
}

void ScheduleFreeSGD::update(const ScheduleFreeSGDOptions& o, Item& item) {
  if (item.step == 1) item.slots[0].copy_(item.parameter);
  const double lr = warmed(o.lr, steps(), o.warmup_steps);
  sweep(
      [&]<class T>(T) {
        const T decay = T(o.weight_decay);
        return move_along<T>(lr, share_, o.beta, [=](T y, T grad) { return grad + decay * y; });
      },
      item.parameter, item.grad, item.slots[0]);
}

Tensor ScheduleFreeSGD::eval_weight(Index i) {
  return average_of(parameters()[static_cast<std::size_t>(i)].tensor, slot(i, 0), options_of(i).beta);
}

// --- AdamW
// -------------------------------------------------------------------------------------------------------------

namespace {

double scheduled(const ScheduleFreeAdamWOptions& o, Index k) {
  const double lr = warmed(o.lr, k, o.warmup_steps);
  return o.paper ? lr * std::sqrt(1 - std::pow(o.betas[1], static_cast<double>(k + 1))) : lr;
}

}  // namespace

void ScheduleFreeAdamWOptions::check(OptionCheck& is) const {
  check_common(is, *this, betas[0]);
  is.fraction("betas", betas);
  is.at_least("eps", eps, 0);
  is.at_least("warmup_steps", static_cast<double>(warmup_steps), 0);
}

bool ScheduleFreeAdamW::before_step(std::span<Item>) {
  const auto& o = default_options();
  share_ = average_.next(scheduled(o, steps()), steps(), o.r, o.weight_lr_power);
  return true;
}

void ScheduleFreeAdamW::update(const ScheduleFreeAdamWOptions& o, Item& item) {
  if (item.step == 1) item.slots[0].copy_(item.parameter);
  const double correction = o.paper ? 1 : 1 / std::sqrt(1 - std::pow(o.betas[1], static_cast<double>(steps() + 1)));
  sweep(
      [&]<class T>(T) {
        const T decay = T(o.weight_decay), beta2 = T(o.betas[1]), eps = T(o.eps), corrected = T(correction);
        return move_along<T>(scheduled(o, steps()), share_, o.betas[0], [=](T y, T grad, T& v) {
          v = beta2 * v + (1 - beta2) * (grad * grad);
          return grad / (std::sqrt(v) * corrected + eps) + decay * y;
        });
      },
      item.parameter, item.grad, item.slots[0], item.slots[1]);
}

Tensor ScheduleFreeAdamW::eval_weight(Index i) {
  return average_of(parameters()[static_cast<std::size_t>(i)].tensor, slot(i, 0), options_of(i).betas[0]);
}

// --- RAdam
// -------------------------------------------------------------------------------------------------------------

namespace {

constexpr double kThreshold = 4;

double rectified(const ScheduleFreeRAdamOptions& o, Index k) {
  const double rectification = radam_rectification(o.betas[1], k + 1, kThreshold);
  return o.lr * (rectification > 0 ? rectification : (o.silent_sgd_phase ? 0 : 1));
}

}  // namespace

void ScheduleFreeRAdamOptions::check(OptionCheck& is) const {
  check_common(is, *this, betas[0]);
  is.fraction("betas", betas);
  is.at_least("eps", eps, 0);
}

bool ScheduleFreeRAdam::before_step(std::span<Item>) {
  const auto& o = default_options();
  share_ = average_.next(rectified(o, steps()), steps(), o.r, o.weight_lr_power);
  return true;
}

void ScheduleFreeRAdam::update(const ScheduleFreeRAdamOptions& o, Item& item) {
  if (item.step == 1) item.slots[0].copy_(item.parameter);
  const bool adapt = radam_rectification(o.betas[1], steps() + 1, kThreshold) > 0;
  const double correction = 1 / std::sqrt(1 - std::pow(o.betas[1], static_cast<double>(steps() + 1)));
  sweep(
      [&]<class T>(T) {
        const T decay = T(o.weight_decay), beta2 = T(o.betas[1]), eps = T(o.eps), corrected = T(correction);
        return move_along<T>(rectified(o, steps()), share_, o.betas[0], [=](T y, T grad, T& v) {
          v = beta2 * v + (1 - beta2) * (grad * grad);
          return (adapt ? grad / (std::sqrt(v) * corrected + eps) : grad) + decay * y;
        });
      },
      item.parameter, item.grad, item.slots[0], item.slots[1]);
}

Tensor ScheduleFreeRAdam::eval_weight(Index i) {
  return average_of(parameters()[static_cast<std::size_t>(i)].tensor, slot(i, 0), options_of(i).betas[0]);
}

}  // namespace gradus::optim
