#include "optim/rmsprop.h"

namespace gradus::optim {

void RMSpropOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("alpha", alpha);
  is.at_least("eps", eps, 0);
  is.at_least("weight_decay", weight_decay, 0);
  is.fraction("momentum", momentum);
}

void RMSprop::slots(const RMSpropOptions& o, SlotList& list) {
  list.add("square_avg");
  if (o.centered) list.add("grad_avg");
  if (o.momentum != 0) list.add("momentum_buffer");
}

void RMSprop::update(const RMSpropOptions& o, Item& item) {
  const auto rule = [&]<class T>(T) {
    const T lr = T(o.lr), alpha = T(o.alpha), decay = T(o.weight_decay), momentum = T(o.momentum);
    const T eps_in = T(o.eps_inside ? o.eps : 0), eps_out = T(o.eps_inside ? 0 : o.eps);
    // The scaled gradient. The variance may come out slightly negative: it counts as zero then.
    const auto scaled = [=](T g, T& v, T mean) {
      v = alpha * v + (1 - alpha) * (g * g);
      const T variance = v - mean * mean;
      return g / (std::sqrt((variance > 0 ? variance : T(0)) + eps_in) + eps_out);
    };
    const auto centered = [=](T g, T& v, T& mean) {
      mean += (1 - alpha) * (g - mean);
      return scaled(g, v, mean);
    };
    struct Kernels {
      T lr, decay, momentum;
      decltype(scaled) scale;
      decltype(centered) center;
    };
    return Kernels{lr, decay, momentum, scaled, centered};
  };
  if (o.centered && o.momentum != 0) {
    fused(item, [&]<class T>(T type) {
      return [k = rule(type)](T& weight, T grad, T& v, T& mean, T& buffer) {
        buffer = k.momentum * buffer + k.center(grad + k.decay * weight, v, mean);
        weight -= k.lr * buffer;
      };
    });
  } else if (o.centered) {
    fused(item, [&]<class T>(T type) {
      return [k = rule(type)](T& weight, T grad, T& v, T& mean) {
        weight -= k.lr * k.center(grad + k.decay * weight, v, mean);
      };
    });
  } else if (o.momentum != 0) {
    fused(item, [&]<class T>(T type) {
      return [k = rule(type)](T& weight, T grad, T& v, T& buffer) {
        buffer = k.momentum * buffer + k.scale(grad + k.decay * weight, v, T(0));
        weight -= k.lr * buffer;
      };
    });
  } else {
    fused(item, [&]<class T>(T type) {
      return [k = rule(type)](T& weight, T grad, T& v) { weight -= k.lr * k.scale(grad + k.decay * weight, v, T(0)); };
    });
  }
}

void AdadeltaOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("rho", rho);
  is.above("eps", eps, 0);
  is.at_least("weight_decay", weight_decay, 0);
}

void Adadelta::update(const AdadeltaOptions& o, Item& item) {
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), rho = T(o.rho), eps = T(o.eps), decay = T(o.weight_decay);
    return [=](T& weight, T grad, T& square_avg, T& acc_delta) {
      const T g = grad + decay * weight;
      square_avg = rho * square_avg + (1 - rho) * (g * g);
      const T delta = std::sqrt(acc_delta + eps) / std::sqrt(square_avg + eps) * g;
      acc_delta = rho * acc_delta + (1 - rho) * (delta * delta);
      weight -= lr * delta;
    };
  });
}

}  // namespace gradus::optim
