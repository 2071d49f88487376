#include "optim/normalized.h"

#include "optim/vector.h"

namespace gradus::optim {
namespace {

template <class T>
T sign_of(T x) {
  return T(x > 0) - T(x < 0);
}

void check_common(OptionCheck& is, const auto& o) {
  is.at_least("lr", o.lr, 0);
  is.fraction("momentum", o.momentum);
  is.at_least("weight_decay", o.weight_decay, 0);
}

}  // namespace

void NormalizedGDOptions::check(OptionCheck& is) const { check_common(is, *this); }
void SignSGDOptions::check(OptionCheck& is) const { check_common(is, *this); }

bool NormalizedGD::before_step(std::span<Item> items) {
  double squares = 0;
  for (Item& item : items) {
    const NormalizedGDOptions& o = group_options(item);
    if (o.momentum != 0)
      sweep(
          [&]<class T>(T) {
            const T momentum = T(o.momentum);
            return [=](T& m, T grad) { m = momentum * m + (1 - momentum) * grad; };
          },
          item.slots[0], item.grad);
    if (o.scope == Scope::global) squares += squared_norm(o.momentum != 0 ? item.slots[0] : item.grad);
  }
  global_norm_ = std::sqrt(squares);
  return true;
}

void NormalizedGD::update(const NormalizedGDOptions& o, Item& item) {
  const Tensor direction = o.momentum != 0 ? item.slots[0] : item.grad;
  const double norm = o.scope == Scope::global ? global_norm_ : std::sqrt(squared_norm(direction));
  const double scale = norm == 0 ? 0 : o.lr / norm;
  sweep(
      [&]<class T>(T) {
        const T keep = T(1 - o.lr * o.weight_decay), step = T(scale);
        return [=](T& weight, T d) { weight = keep * weight - step * d; };
      },
      item.parameter, direction);
}

void SignSGD::update(const SignSGDOptions& o, Item& item) {
  if (o.momentum == 0) {
    fused(item, [&]<class T>(T) {
      const T lr = T(o.lr), keep = T(1 - o.lr * o.weight_decay);
      return [=](T& weight, T grad) { weight = keep * weight - lr * sign_of(grad); };
    });
    return;
  }
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), keep = T(1 - o.lr * o.weight_decay), momentum = T(o.momentum);
    return [=](T& weight, T grad, T& m) {
      m = momentum * m + (1 - momentum) * grad;
      weight = keep * weight - lr * sign_of(m);
    };
  });
}

}  // namespace gradus::optim
