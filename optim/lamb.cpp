#include "optim/lamb.h"

#include "optim/vector.h"

#include <algorithm>

namespace gradus::optim {

void LAMBOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("betas", betas);
  is.at_least("eps", eps, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.that(max_weight_norm > 0, "max_weight_norm needs to be above 0");
}

void LAMB::update(const LAMBOptions& o, Item& item) {
  const auto t = static_cast<double>(item.step);
  const double correct1 = o.bias_correction ? 1 / (1 - std::pow(o.betas[0], t)) : 1;
  const double correct2 = o.bias_correction ? 1 / std::sqrt(1 - std::pow(o.betas[1], t)) : 1;
  const Tensor weight = item.parameter;
  Tensor direction = empty(weight.shape(), weight.dtype());  // u
  sweep(
      [&]<class T>(T) {
        const T beta1 = T(o.betas[0]), beta2 = T(o.betas[1]), eps = T(o.eps), decay = T(o.weight_decay);
        const T c1 = T(correct1), c2 = T(correct2);
        return [=](T& u, T grad, T& m, T& v, T w) {
          m += (1 - beta1) * (grad - m);
          v = beta2 * v + (1 - beta2) * (grad * grad);
          u = c1 * m / (std::sqrt(v) * c2 + eps) + decay * w;
        };
      },
      direction, item.grad, item.slots[0], item.slots[1], weight);
  const double weight_norm = std::min(std::sqrt(squared_norm(weight)), o.max_weight_norm);
  const double step_norm = std::sqrt(squared_norm(direction));
  const double trust = weight_norm > 0 && step_norm > 0 ? weight_norm / step_norm : 1;
  sweep(
      [&]<class T>(T) {
        const T step = T(o.lr * trust);
        return [=](T& w, T& u) { w -= step * u; };
      },
      item.parameter, direction);
}

}  // namespace gradus::optim
