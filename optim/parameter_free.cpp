#include "optim/parameter_free.h"

#include "core/ops.h"
#include "optim/vector.h"

#include <algorithm>

namespace gradus::optim {
namespace {

void check_common(OptionCheck& is, const auto& o) {
  is.at_least("lr", o.lr, 0);
  is.at_least("weight_decay", o.weight_decay, 0);
  is.above("d0", o.d0, 0);
  is.that(o.growth_rate >= 1, "growth_rate needs to be at least 1, or inf");
}

double bias_correction(const Betas& betas, Index k) {
  const auto t = static_cast<double>(k + 1);
  return std::sqrt(1 - std::pow(betas[1], t)) / (1 - std::pow(betas[0], t));
}

}  // namespace

// --- Prodigy
// -----------------------------------------------------------------------------------------------------------

void ProdigyOptions::check(OptionCheck& is) const {
  check_common(is, *this);
  is.fraction("betas", betas);
  is.fraction("beta3", beta3);
  is.at_least("eps", eps, 0);
  is.above("d_coef", d_coef, 0);
}

bool Prodigy::before_step(std::span<Item> items) {
  const ProdigyOptions& o = default_options();
  if (d_ == 0) d_ = d_max_ = o.d0;
  const double beta3 = o.beta3 > 0 ? o.beta3 : std::sqrt(o.betas[1]);
  step_lr_ = d_ * o.lr * (o.use_bias_correction ? bias_correction(o.betas, k_) : 1);
  const double scale = d_ / o.d0;  // keeps the numbers away from underflow
  double progress = 0, denominator = 0;
  for (Item& item : items) {
    Tensor &m = item.slots[0], &v = item.slots[1], &s = item.slots[2], &p0 = item.slots[3];
    if (item.step == 1) p0.copy_(item.parameter);
    if (o.lr == 0) continue;
    progress += scale * step_lr_ * dot(item.grad, p0 - item.parameter.detach());
    sweep(
        [&]<class T>(T) {
          const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), b3 = T(beta3), d = T(d_);
          const T s_step = T(scale * (o.safeguard_warmup ? d_ : step_lr_));
          return [=](T& first, T& second, T& sum, T g) {
            first = beta1 * first + d * (1 - beta1) * g;
            second = beta2 * second + d * d * (1 - beta2) * (g * g);
            sum = b3 * sum + s_step * g;
          };
        },
        m, v, s, item.grad);
    denominator += abs_sum(s);
  }
  if (o.lr > 0) {
    if (denominator == 0) return false;
    numerator_ = beta3 * numerator_ + progress;
    const double estimate = o.d_coef * numerator_ / denominator;
    if (d_ == o.d0) d_ = std::max(d_, estimate);
    d_max_ = std::max(d_max_, estimate);
    d_ = std::min(d_max_, d_ * o.growth_rate);
  }
  ++k_;
  return true;
}

void Prodigy::update(const ProdigyOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T lr = T(step_lr_), keep = T(1 - step_lr_ * o.weight_decay), eps = T(d_ * o.eps);
    return [=](T& weight, T, T& m, T& v) {
      weight *= keep;
      if (m != 0) weight -= lr * m / (std::sqrt(v) + eps);  // 0 / 0 where nothing was seen and eps vanishes
    };
  });
}

// --- D-Adaptation, Adam
// ------------------------------------------------------------------------------------------------

void DAdaptAdamOptions::check(OptionCheck& is) const {
  check_common(is, *this);
  is.fraction("betas", betas);
  is.above("eps", eps, 0);
}

bool DAdaptAdam::before_step(std::span<Item> items) {
  const DAdaptAdamOptions& o = default_options();
  if (d_ == 0) d_ = o.d0;
  step_lr_ = d_ * o.lr * (o.use_bias_correction ? bias_correction(o.betas, k_) : 1);
  const double root = std::sqrt(o.betas[1]);
  double progress = 0, s_norm = 0;
  for (Item& item : items) {
    Tensor &m = item.slots[0], &v = item.slots[1], &s = item.slots[2];
    if (o.lr == 0) continue;
    progress += step_lr_ * dot(item.grad, s / (sqrt(v) + o.eps));
    sweep(
        [&]<class T>(T) {
          const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), q = T(root), lr = T(step_lr_);
          return [=](T& first, T& second, T& sum, T g) {
            first = beta1 * first + lr * (1 - beta1) * g;
            second = beta2 * second + (1 - beta2) * (g * g);
            sum = q * sum + lr * (1 - q) * g;
          };
        },
        m, v, s, item.grad);
    s_norm += abs_sum(s);
  }
  if (o.lr > 0) {
    if (s_norm == 0) return false;
    numerator_ = root * numerator_ + (1 - root) * progress;
    d_ = std::max(d_, std::min(numerator_ / ((1 - root) * s_norm), d_ * o.growth_rate));
  }
  ++k_;
  return true;
}

void DAdaptAdam::update(const DAdaptAdamOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T keep = T(1 - step_lr_ * o.weight_decay), eps = T(o.eps);
    return [=](T& weight, T, T& m, T& v) { weight = keep * weight - m / (std::sqrt(v) + eps); };
  });
}

// --- D-Adaptation, SGD
// -------------------------------------------------------------------------------------------------

void DAdaptSGDOptions::check(OptionCheck& is) const {
  check_common(is, *this);
  is.fraction("momentum", momentum);
}

bool DAdaptSGD::before_step(std::span<Item> items) {
  const DAdaptSGDOptions& o = default_options();
  if (d_ == 0) d_ = o.d0;
  if (g0_norm_ == 0) {
    double squares = 0;
    for (const Item& item : items) squares += squared_norm(item.grad);
    g0_norm_ = std::sqrt(squares);
    if (g0_norm_ == 0) return false;
  }
  const double step = d_ * o.lr / g0_norm_;
  double squares = 0;
  for (Item& item : items) {
    Tensor &s = item.slots[0], &x0 = item.slots[1];
    if (item.step == 1) x0.copy_(item.parameter);
    const Tensor g = o.weight_decay == 0 ? item.grad : item.grad + item.parameter.detach() * o.weight_decay;
    numerator_ += step * dot(g, s);
    sweep(
        [&]<class T>(T) {
          const T lr = T(step);
          return [=](T& sum, T gradient) { sum += lr * gradient; };
        },
        s, g);
    squares += squared_norm(s);
  }
  if (o.lr > 0 && squares > 0) d_ = std::max(d_, std::min(2 * numerator_ / std::sqrt(squares), d_ * o.growth_rate));
  return squares > 0;
}

void DAdaptSGD::update(const DAdaptSGDOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T share = T(1 - o.momentum);
    return [=](T& weight, T, T& s, T& x0) { weight += share * ((x0 - s) - weight); };
  });
}

}  // namespace gradus::optim
