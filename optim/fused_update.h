// fused: one pass over a parameter, its gradient and its slots, element by element.
//
// The speed of such a rule is memory traffic: Adam reads 16 and writes 12 bytes a number. One loop touches each byte
// once and vectorizes by itself, because the arrays cannot overlap.
#pragma once

#include "core/autograd.h"
#include "core/parallel.h"
#include "core/tensor.h"

#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace gradus::optim {

/// One parameter in one step.
struct Item {
  const std::string& name;
  Tensor parameter;         // f32 or f64, dense
  const Tensor grad;        // of the same shape and dtype; never written
  std::span<Tensor> slots;  // in the order the rule lists them
  Index step;               // of this parameter; 1 at its first update
  int group;
  std::size_t index;  // position among the optimizer's parameters
};

namespace detail {

inline constexpr Index kUpdateChunk = 32768;  // elements: large enough to hide a task's start, small enough to share

template <class T, class Kernel, class... Slot>
inline void update_range(Index size, const Kernel& kernel, T* __restrict weight, const T* __restrict grad,
                         Slot* __restrict... slots) {
  for (Index i = 0; i < size; ++i) kernel(weight[i], grad[i], slots[i]...);
}

template <class T, class Kernel, std::size_t... K>
void update_all(const Item& item, const Kernel& kernel, std::index_sequence<K...>) {
  T* const weight = item.parameter.mutable_ptr<T>();
  const T* const grad = item.grad.ptr<T>();
  const std::array<T*, sizeof...(K) + 1> slots = {item.slots[K].template mutable_ptr<T>()..., nullptr};
  parallel_for(item.parameter.numel(), kUpdateChunk, [&](Index begin, Index end) {
    update_range(end - begin, kernel, weight + begin, grad + begin, (slots[K] + begin)...);
  });
}

template <class T, class Kernel>
void update_with(const Item& item, const Kernel& kernel) {
  if constexpr (std::is_invocable_v<const Kernel&, T&, T>) {
    update_all<T>(item, kernel, std::make_index_sequence<0>());
  } else if constexpr (std::is_invocable_v<const Kernel&, T&, T, T&>) {
    update_all<T>(item, kernel, std::make_index_sequence<1>());
  } else if constexpr (std::is_invocable_v<const Kernel&, T&, T, T&, T&>) {
    update_all<T>(item, kernel, std::make_index_sequence<2>());
  } else if constexpr (std::is_invocable_v<const Kernel&, T&, T, T&, T&, T&>) {
    update_all<T>(item, kernel, std::make_index_sequence<3>());
  } else {
    static_assert(std::is_invocable_v<const Kernel&, T&, T, T&, T&, T&, T&>,
                  "a fused kernel takes (T& weight, T grad, T& slot...) with at most four slots");
    update_all<T>(item, kernel, std::make_index_sequence<4>());
  }
}

}  // namespace detail

/// Calls `make(T())` with T the parameter's type, float or double, for a kernel `(T& weight, T grad, T& slot0, ...)`,
/// and runs that over all elements. The kernel takes the item's first slots, as many as it has arguments for.
template <class Make>
void fused(Item& item, const Make& make) {
  item.parameter.mark_written("an optimizer's step");
  if (item.parameter.dtype() == DType::f32) {
    detail::update_with<float>(item, make(float()));
  } else {
    detail::update_with<double>(item, make(double()));
  }
}

}  // namespace gradus::optim
