#include "optim/sophia.h"

namespace gradus::optim {

void SophiaGOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("betas", betas);
  is.above("rho", rho, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.at_least("k", static_cast<double>(k), 1);
  is.above("batch_size", batch_size, 0);
}

void SophiaG::update_hessian() {
  const NoGrad no_grad;
  for_each_item([&](const SophiaGOptions& o, Item& item) {
    sweep(
        [&]<class T>(T) {
          const T beta2 = T(o.betas[1]);
          return [=](T& h, T g) { h = beta2 * h + (1 - beta2) * (g * g); };
        },
        item.slots[1], item.grad);
  });
}

double SophiaG::do_closure_step(const Closure& closure) {
  if (steps() % defaults().k == 0) {
    evaluate(closure, 1);
    update_hessian();
  }
  const double loss = evaluate(closure, 0);
  do_step();
  return loss;
}

void SophiaG::update(const SophiaGOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), keep = T(1 - o.lr * o.weight_decay), beta1 = T(o.betas[0]), scale = T(o.rho * o.batch_size);
    return [=](T& weight, T grad, T& m, T& h) {
      m = beta1 * m + (1 - beta1) * grad;
      const T size = std::abs(m) / (scale * h + T(1e-15));
      weight = keep * weight - lr * (T(m > 0) - T(m < 0)) * (size < 1 ? size : T(1));
    };
  });
}

}  // namespace gradus::optim
