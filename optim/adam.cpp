#include "optim/adam.h"

namespace gradus::optim {
namespace {

void check_adam(OptionCheck& is, const auto& o) {
  is.at_least("lr", o.lr, 0);
  is.fraction("betas", o.betas);
  is.at_least("eps", o.eps, 0);
  is.at_least("weight_decay", o.weight_decay, 0);
}

void adam_slots(bool amsgrad, SlotList& list) {
  list.add("exp_avg");
  list.add("exp_avg_sq");
  if (amsgrad) list.add("max_exp_avg_sq");
}

/// `coupled` decay goes into the gradient, `decoupled` decay into the weight.
void adam_update(const auto& o, double coupled, double decoupled, Item& item) {
  // In double: 1 - beta^t cancels for beta near 1.
  const auto t = static_cast<double>(item.step);
  const double step_size = o.lr / (1 - std::pow(o.betas[0], t));
  const double correction = 1 / std::sqrt(1 - std::pow(o.betas[1], t));

  const auto constants = [&]<class T>(T) {
    struct Constants {
      T step, corrected, eps, beta1, beta2, l2, keep;
    };
    return Constants{T(step_size), T(correction),          T(o.eps), T(o.betas[0]), T(o.betas[1]),
                     T(coupled),   T(1 - o.lr * decoupled)};
  };
  if (o.amsgrad) {
    fused(item, [&]<class T>(T type) {
      return [c = constants(type)](T& weight, T grad, T& m, T& v, T& v_max) {
        const T g = grad + c.l2 * weight;
        m += (1 - c.beta1) * (g - m);
        v = c.beta2 * v + (1 - c.beta2) * (g * g);
        v_max = v > v_max ? v : v_max;
        const T scale = std::sqrt(v_max) * c.corrected + c.eps;
        weight = c.keep * weight - c.step * (m / scale);
      };
    });
  } else {
    fused(item, [&]<class T>(T type) {
      return [c = constants(type)](T& weight, T grad, T& m, T& v) {
        const T g = grad + c.l2 * weight;
        m += (1 - c.beta1) * (g - m);
        v = c.beta2 * v + (1 - c.beta2) * (g * g);
        const T scale = std::sqrt(v) * c.corrected + c.eps;
        weight = c.keep * weight - c.step * (m / scale);
      };
    });
  }
}

}  // namespace

void AdamOptions::check(OptionCheck& is) const { check_adam(is, *this); }
void AdamWOptions::check(OptionCheck& is) const { check_adam(is, *this); }
void Adam::slots(const AdamOptions& o, SlotList& list) { adam_slots(o.amsgrad, list); }
void AdamW::slots(const AdamWOptions& o, SlotList& list) { adam_slots(o.amsgrad, list); }
void Adam::update(const AdamOptions& o, Item& item) { adam_update(o, o.weight_decay, 0, item); }
void AdamW::update(const AdamWOptions& o, Item& item) { adam_update(o, 0, o.weight_decay, item); }

}  // namespace gradus::optim
