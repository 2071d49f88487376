#include "optim/clip.h"

#include "core/autograd.h"
#include "optim/fused_update.h"
#include "optim/vector.h"

#include <cmath>

namespace gradus::optim {
namespace {

/// Replaces each gradient by f of it, in new memory, so that other handles on it see no change.
template <class F>
void map_gradients(const NamedTensors& parameters, const F& f) {
  const NoGrad no_grad;
  for (const NamedTensor& parameter : parameters) {
    const Tensor grad = parameter.tensor.grad();
    if (!grad) continue;
    const memory::TagScope tag(MemTag::gradient);
    Tensor changed = empty(grad.shape(), grad.dtype());
    sweep([&]<class T>(T) { return [&f](T& to, T from) { to = f(from); }; }, changed, grad);
    parameter.tensor.set_grad(changed);
  }
}

}  // namespace

double grad_norm(const NamedTensors& parameters, double p) {
  GRADUS_CHECK(p >= 1, "grad_norm: p = " + std::to_string(p) + "\n  needs p >= 1, or infinity");
  double total = 0;
  for (const NamedTensor& parameter : parameters) {
    const Tensor grad = parameter.tensor.grad();
    if (!grad) continue;
    if (std::isinf(p)) {
      const double largest = abs_max(grad);
      if (!(largest <= total)) total = largest;
    } else {
      total += p == 2 ? squared_norm(grad) : p == 1 ? abs_sum(grad) : power_sum(grad, p);
    }
  }
  return std::isinf(p) || p == 1 ? total : p == 2 ? std::sqrt(total) : std::pow(total, 1 / p);
}

double clip_grad_norm(const NamedTensors& parameters, double max_norm, double p) {
  GRADUS_CHECK(max_norm > 0, "clip_grad_norm: max_norm = " + std::to_string(max_norm) + "\n  needs max_norm > 0");
  const double norm = grad_norm(parameters, p);
  const double factor = max_norm / (norm + 1e-6);
  if (!std::isfinite(norm) || factor >= 1) return norm;
  map_gradients(parameters, [factor](auto g) { return static_cast<decltype(g)>(factor) * g; });
  return norm;
}

void clip_grad_value(const NamedTensors& parameters, double value) {
  GRADUS_CHECK(value > 0, "clip_grad_value: value = " + std::to_string(value) + "\n  needs value > 0");
  map_gradients(parameters, [value](auto g) {
    const auto limit = static_cast<decltype(g)>(value);
    return g > limit ? limit : (g < -limit ? -limit : g);
  });
}

}  // namespace gradus::optim
