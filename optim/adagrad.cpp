#include "optim/adagrad.h"

namespace gradus::optim {

void AdagradOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.at_least("lr_decay", lr_decay, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.at_least("initial_accumulator_value", initial_accumulator_value, 0);
  is.at_least("eps", eps, 0);
}

void Adagrad::update(const AdagradOptions& o, Item& item) {
  if (item.step == 1) item.slots[0].fill_(o.initial_accumulator_value);
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr / (1 + static_cast<double>(item.step - 1) * o.lr_decay)), decay = T(o.weight_decay);
    const T eps_in = T(o.eps_inside ? o.eps : 0), eps_out = T(o.eps_inside ? 0 : o.eps);
    return [=](T& weight, T grad, T& sum) {
      const T g = grad + decay * weight;
      sum += g * g;
      weight -= g == 0 ? T(0) : lr * g / (std::sqrt(sum + eps_in) + eps_out);  // 0 / 0 with eps = 0
    };
  });
}

}  // namespace gradus::optim
