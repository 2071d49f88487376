// gradcheck: compares backward() with central differences. Public, because users write ops.
#pragma once

#include "core/autograd.h"

#include <cstdint>
#include <string>
#include <type_traits>

namespace gradus {

struct GradcheckOptions {
  int order = 1;      // 2 checks the gradient of the gradient too
  bool full = false;  // every input element by itself, instead of one random direction
  double eps = 1e-6;  // step of the central difference
  double atol = 1e-5;
  double rtol = 1e-3;  // |analytic - numeric| <= atol + rtol |numeric|
  std::uint64_t seed = 0;
};

struct GradcheckResult {
  bool ok = true;
  std::string message;  // what differs: order, input, element, both values
  explicit operator bool() const { return ok; }
};

namespace detail {
GradcheckResult run_gradcheck(Tensor (*call)(const void* function, const Tensors& inputs), const void* function,
                              const Tensors& inputs, const GradcheckOptions& options);
}

/// Checks the gradients of function(const Tensors&) -> Tensor at f64 inputs; i64 inputs are passed on. Outputs of any
/// shape are weighted by random numbers. Stay away from kinks. Throws Error for f32 inputs, whose differences say
/// nothing.
template <class Function>
GradcheckResult gradcheck(const Function& function, const Tensors& inputs, const GradcheckOptions& options = {}) {
  return detail::run_gradcheck([](const void* f, const Tensors& in) { return (*static_cast<const Function*>(f))(in); },
                               &function, inputs, options);
}

}  // namespace gradus
