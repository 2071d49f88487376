#include "optim/lion.h"

namespace gradus::optim {

void LionOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("betas", betas);
  is.at_least("weight_decay", weight_decay, 0);
}

void Lion::update(const LionOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), keep = T(1 - o.lr * o.weight_decay), beta1 = T(o.betas[0]), beta2 = T(o.betas[1]);
    return [=](T& weight, T grad, T& m) {
      const T direction = beta1 * m + (1 - beta1) * grad;
      weight = keep * weight - lr * (T(direction > 0) - T(direction < 0));
      m = beta2 * m + (1 - beta2) * grad;
    };
  });
}

}  // namespace gradus::optim
