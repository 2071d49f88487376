// fused and sweep: one pass over a parameter, its gradient and its slots, element by element.
//
// The speed of such a rule is memory traffic: Adam reads 16 and writes 12 bytes a number. One loop touches each byte
// once and vectorizes by itself, because the arrays are told not to overlap.
#pragma once

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

template <class T>
const T* element_pointer(const Tensor& tensor) {
  return tensor.ptr<T>();
}
template <class T>
T* element_pointer(Tensor& tensor) {
  tensor.mark_written("an optimizer's step");
  return tensor.mutable_ptr<T>();
}

template <class Kernel, class... Element>
inline void sweep_range(Index size, const Kernel& kernel, Element* __restrict... elements) {
  for (Index i = 0; i < size; ++i) kernel(elements[i]...);
}

template <class Kernel, class... Element>
void sweep_all(Index size, const Kernel& kernel, Element*... elements) {
  parallel_for(size, kUpdateChunk,
               [&](Index begin, Index end) { sweep_range(end - begin, kernel, (elements + begin)...); });
}

}  // namespace detail

/// Calls `make(T())`, T being float or double as the tensors are, for a kernel, and the kernel on all elements: with T&
/// for a tensor, which it may write, and a value for a const Tensor. Tensors are dense, of one shape and dtype, and do
/// not overlap.
template <class Make, class First, class... Rest>
void sweep(const Make& make, First& first, Rest&... rest) {
  if (first.dtype() == DType::f32) {
    detail::sweep_all(first.numel(), make(float()), detail::element_pointer<float>(first),
                      detail::element_pointer<float>(rest)...);
  } else {
    detail::sweep_all(first.numel(), make(double()), detail::element_pointer<double>(first),
                      detail::element_pointer<double>(rest)...);
  }
}

/// sweep over a parameter, its gradient, and as many of its first slots as the kernel has arguments for:
/// kernel(T& weight, T grad, T& slot0, ...), four slots at most.
template <class Make>
void fused(Item& item, const Make& make) {
  using Kernel = decltype(make(float()));
  using F = float;
  if constexpr (std::is_invocable_v<const Kernel&, F&, F>) {
    sweep(make, item.parameter, item.grad);
  } else if constexpr (std::is_invocable_v<const Kernel&, F&, F, F&>) {
    sweep(make, item.parameter, item.grad, item.slots[0]);
  } else if constexpr (std::is_invocable_v<const Kernel&, F&, F, F&, F&>) {
    sweep(make, item.parameter, item.grad, item.slots[0], item.slots[1]);
  } else if constexpr (std::is_invocable_v<const Kernel&, F&, F, F&, F&, F&>) {
    sweep(make, item.parameter, item.grad, item.slots[0], item.slots[1], item.slots[2]);
  } else {
    static_assert(std::is_invocable_v<const Kernel&, F&, F, F&, F&, F&, F&>,
                  "a fused kernel takes (T& weight, T grad, T& slot...) with at most four slots");
    sweep(make, item.parameter, item.grad, item.slots[0], item.slots[1], item.slots[2], item.slots[3]);
  }
}

}  // namespace gradus::optim
