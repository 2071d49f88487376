// check_optimizer: what every method must keep, checked on a method of your own in one line.
//
//   TEST_CASE("mine") { optim::check_optimizer<Mine>(); }
#pragma once

#include "optim/optimizer.h"

#include <memory>

namespace gradus::optim {

struct CheckOptions {
  bool elementwise = true;  // each number of a tensor is updated by itself
};

namespace detail {
struct Maker {
  std::unique_ptr<Optimizer> (*call)(const void* context, NamedTensors parameters);
  const void* context;
};
void check_contract(const Maker& make, const CheckOptions& options);
}  // namespace detail

/// Throws an Error that says what a method breaks of this contract; returns when it keeps all of it.
///  - Gradients are only read. A parameter without one keeps its value, its slots and its step count.
///  - Zero gradients from the first step on, and parameters without elements, give finite weights.
///  - Saved after some steps and loaded into an optimizer with other options, training goes on with the same bits.
///  - A state that lacks a tensor, has one too many or of another shape, is refused and changes nothing.
///  - The bits do not depend on the number of threads.
///  - All slots count as optimizer memory, and as much of it as the state holds.
///  - Elementwise methods: a tensor cut in two is updated like the whole.
///  - Evaluation weights, where a method has them, come and go without a trace.
/// `make(NamedTensors)` returns a std::unique_ptr<Optimizer>.
template <class Make>
void check_optimizer_made_by(const Make& make, const CheckOptions& options = {}) {
  detail::check_contract({[](const void* context, NamedTensors parameters) -> std::unique_ptr<Optimizer> {
                            return (*static_cast<const Make*>(context))(std::move(parameters));
                          },
                          &make},
                         options);
}

template <class Method>
void check_optimizer(const CheckOptions& options = {}, const typename Method::Options& method_options = {}) {
  check_optimizer_made_by(
      [&](NamedTensors parameters) -> std::unique_ptr<Optimizer> {
        return std::make_unique<Method>(std::move(parameters), method_options);
      },
      options);
}

}  // namespace gradus::optim
