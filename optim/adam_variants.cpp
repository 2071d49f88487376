#include "optim/adam_variants.h"

namespace gradus::optim {
namespace {

void check_adam(OptionCheck& is, const auto& o) {
  is.at_least("lr", o.lr, 0);
  is.fraction("betas", o.betas);
  is.at_least("eps", o.eps, 0);
  is.at_least("weight_decay", o.weight_decay, 0);
}

}  // namespace

void AdamaxOptions::check(OptionCheck& is) const { check_adam(is, *this); }

void Adamax::update(const AdamaxOptions& o, Item& item) {
  const double step_size = o.lr / (1 - std::pow(o.betas[0], static_cast<double>(item.step)));
  fused(item, [&]<class T>(T) {
    const T step = T(step_size), beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), eps = T(o.eps),
            decay = T(o.weight_decay);
    return [=](T& weight, T grad, T& m, T& u) {
      const T g = grad + decay * weight;
      m += (1 - beta1) * (g - m);
      const T faded = beta2 * u, now = std::abs(g) + eps;
      u = faded > now ? faded : now;
      weight -= u == 0 ? T(0) : step * m / u;  // 0 / 0 with eps = 0
    };
  });
}

void NAdamOptions::check(OptionCheck& is) const {
  check_adam(is, *this);
  is.at_least("momentum_decay", momentum_decay, 0);
}

void NAdam::slots(const NAdamOptions&, SlotList& list) {
  list.add("exp_avg");
  list.add("exp_avg_sq");
  list.add("mu_product", Shape(), DType::f64);  // of all momenta so far
}

void NAdam::update(const NAdamOptions& o, Item& item) {
  const auto t = static_cast<double>(item.step);
  const double mu = o.betas[0] * (1 - 0.5 * std::pow(0.96, t * o.momentum_decay));
  const double mu_next = o.betas[0] * (1 - 0.5 * std::pow(0.96, (t + 1) * o.momentum_decay));
  const double product = (item.step == 1 ? 1 : item.slots[2].item()) * mu;
  item.slots[2].fill_(product);

  const double grad_step = o.lr * (1 - mu) / (1 - product), momentum_step = o.lr * mu_next / (1 - product * mu_next);
  const double correction = 1 / std::sqrt(1 - std::pow(o.betas[1], t));
  fused(item, [&]<class T>(T) {
    const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), eps = T(o.eps), corrected = T(correction);
    const T of_grad = T(grad_step), of_momentum = T(momentum_step);
    const T l2 = T(o.decoupled_weight_decay ? 0 : o.weight_decay);
    const T keep = T(o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1);
    return [=](T& weight, T grad, T& m, T& v) {
      const T g = grad + l2 * weight;
      m += (1 - beta1) * (g - m);
      v = beta2 * v + (1 - beta2) * (g * g);
      weight = keep * weight - (of_grad * g + of_momentum * m) / (std::sqrt(v) * corrected + eps);
    };
  });
}

void RAdamOptions::check(OptionCheck& is) const {
  check_adam(is, *this);
  is.at_least("threshold", threshold, 4);
}

double radam_rectification(double beta2, Index step, double threshold) {
  const auto t = static_cast<double>(step);
  const double power = std::pow(beta2, t);
  const double limit = 2 / (1 - beta2) - 1;
  const double length = limit - 2 * t * power / (1 - power);  // of the moving average, in steps
  if (!(length > threshold)) return 0;
  return std::sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
}

void RAdam::update(const RAdamOptions& o, Item& item) {
  const auto t = static_cast<double>(item.step);
  const double step_size = o.lr / (1 - std::pow(o.betas[0], t));
  const double rectification = radam_rectification(o.betas[1], item.step, o.threshold);
  const double adapted = step_size * rectification * std::sqrt(1 - std::pow(o.betas[1], t));
  fused(item, [&]<class T>(T) {
    const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), eps = T(o.eps);
    const T l2 = T(o.decoupled_weight_decay ? 0 : o.weight_decay);
    const T keep = T(o.decoupled_weight_decay ? 1 - o.lr * o.weight_decay : 1);
    const bool adapt = rectification > 0;
    const T step = T(adapt ? adapted : step_size);
    return [=](T& weight, T grad, T& m, T& v) {
      const T g = grad + l2 * weight;
      m += (1 - beta1) * (g - m);
      v = beta2 * v + (1 - beta2) * (g * g);
      weight = keep * weight - step * m / (adapt ? std::sqrt(v) + eps : T(1));
    };
  });
}

}  // namespace gradus::optim
