// A loss to evaluate, handed to optimizers that look at it more than once in a step.
#pragma once

#include "core/tensor.h"

#include <concepts>
#include <type_traits>

namespace gradus::optim {

/// Refers to a callable that computes the loss and returns it: `[&] { return cross_entropy(model(x), y); }`. It neither
/// clears gradients nor calls backward: the optimizer does both.
///
/// A callable that takes an int is told how often the loss was evaluated in this step already. Use it to draw the same
/// dropout masks again (`Rng masks = rng;` before each pass) and to keep running statistics of batch normalization from
/// seeing a batch twice. SVRG and SAGA (optim/finite_sum.h) pass the number of the term to evaluate instead. Does not
/// own the callable: pass it on, do not store it.
class Closure {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Closure> &&
           (std::is_invocable_r_v<Tensor, F&> || std::is_invocable_r_v<Tensor, F&, int>)) Closure(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, int evaluation) -> Tensor {
          auto& callable = *static_cast<std::remove_reference_t<F>*>(object);
          if constexpr (std::is_invocable_r_v<Tensor, F&, int>) {
            return callable(evaluation);
          } else {
            return callable();
          }
        }) {}

  Tensor operator()(int evaluation) const { return call_(object_, evaluation); }

 private:
  void* object_;
  Tensor (*call_)(void*, int);
};

}  // namespace gradus::optim
