// What a leaf that requires grad owns: its collected gradient (Node::gradient) and its name. Internal to core.
#pragma once

#include "core/autograd.h"

#include <string>

namespace gradus::detail {

struct LeafNode final : Node {
  TensorImpl* leaf;   // not owning; null once the tensor is gone
  std::string label;  // the parameter's path, for messages

  explicit LeafNode(TensorImpl* tensor) : leaf(tensor) { is_leaf = true; }
  std::string_view name() const override { return "leaf"; }
  void run(const Tensor&, Tensor*, std::uint64_t, bool) override {}
};

/// sum += addend, elementwise, where `sum` is dense and exclusively owned.
void add_in_place(Tensor& sum, const Tensor& addend);

/// A tensor over the same storage, without history. `offset` counts elements from x's first one.
Tensor view_of(const Tensor& x, const Shape& shape, const Strides& strides, Index offset = 0);

}  // namespace gradus::detail
