#include "optim/sgd.h"

namespace gradus::optim {

void SGDOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("momentum", momentum);
  is.between("dampening", dampening, 0, 1);
  is.at_least("weight_decay", weight_decay, 0);
  is.that(!nesterov || (momentum > 0 && dampening == 0), "nesterov = true needs momentum > 0 and dampening = 0");
}

void SGD::update(const SGDOptions& o, Item& item) {
  const double direction = o.maximize ? -1 : 1;
  if (o.momentum == 0) {
    fused(item, [&]<class T>(T) {
      const T lr = T(o.lr), decay = T(o.weight_decay), ascend = T(direction);
      return [=](T& weight, T grad) { weight -= lr * (ascend * grad + decay * weight); };
    });
    return;
  }
  const bool first = item.step == 1;
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), decay = T(o.weight_decay), ascend = T(direction), momentum = T(o.momentum);
    const T kept = T(first ? 1 : 1 - o.dampening);
    const T gradient_share = T(o.nesterov ? 1 : 0), buffer_share = T(o.nesterov ? o.momentum : 1);
    return [=](T& weight, T grad, T& buffer) {
      const T g = ascend * grad + decay * weight;
      buffer = momentum * buffer + kept * g;
      weight -= lr * (gradient_share * g + buffer_share * buffer);
    };
  });
}

}  // namespace gradus::optim
