// Reverse-mode differentiation, define-by-run: ops run at once, and a node is recorded when some input needs a
// gradient.
//
// An op is a small struct (docs/adding_an_op.md):
//
//   struct Square {
//     static constexpr std::string_view kName = "square";
//     static constexpr int kSaved = 1;                                // how many tensors forward may save
//     Tensor forward(Saver<1>& save, const Tensor& x) { save(x); return ...; }
//     Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const { return {dy * (2.0 * saved[0])}; }
//   };
//   Tensor square(const Tensor& x) { return apply(Square{}, x); }
//
// vjp is written in the library's own ops, so gradients of gradients come free. A fused op may call kernels in vjp; it
// then defines `Tensor reference(inputs...) const` in ordinary ops, which is differentiated instead under create_graph,
// and saves its inputs, in order, in its first slots.
#pragma once

#include "core/tensor.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradus {

using Tensors = std::vector<Tensor>;

namespace detail {
inline constinit thread_local bool grad_mode = true;
}

// ---------------------------------------------------------------------------------------------------------------------
// For users
// ---------------------------------------------------------------------------------------------------------------------

struct BackwardOptions {
  bool retain_graph = false;  // keep what was saved, so that backward can run again
  bool create_graph = false;  // record the backward pass itself, so that gradients can be differentiated
};

/// Adds d loss / d leaf into the grad() of every leaf that `loss` depends on. `loss` has one element.
/// Frees the graph, unless told to retain it.
void backward(const Tensor& loss, BackwardOptions options = {});
/// The same for an output of any shape, with `gradient` (same shape) coming from outside.
void backward(const Tensor& output, const Tensor& gradient, BackwardOptions options = {});

struct GradOptions {
  bool create_graph = false;
  bool retain_graph = false;  // create_graph implies it
  bool allow_unused = false;  // an input that no output depends on gives an empty Tensor instead of an Error
};

/// d sum(outputs) / d inputs, without touching any grad(). `grad_outputs`, if given, weight the outputs (same shapes).
Tensors grad(const Tensors& outputs, const Tensors& inputs, GradOptions options = {}, const Tensors& grad_outputs = {});

/// Whether this thread records ops now.
inline bool grad_enabled() { return detail::grad_mode; }

/// While it lives, this thread records nothing: evaluation, updates.
class NoGrad {
 public:
  NoGrad() : before_(std::exchange(detail::grad_mode, false)) {}
  ~NoGrad() { detail::grad_mode = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// The opposite of NoGrad, for use inside it.
class EnableGrad {
 public:
  EnableGrad() : before_(std::exchange(detail::grad_mode, true)) {}
  ~EnableGrad() { detail::grad_mode = before_; }
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

/// Sums `x` down to `shape`, undoing a broadcast: what the vjp of a broadcasting op needs.
Tensor sum_to(const Tensor& x, const Shape& shape);
inline Tensor sum_to(Tensor&& x, const Shape& shape) {
  return x.shape() == shape ? std::move(x) : sum_to(std::as_const(x), shape);
}

// ---------------------------------------------------------------------------------------------------------------------
// For authors of ops
// ---------------------------------------------------------------------------------------------------------------------

/// Gradients for the N inputs of an op; leave the ones not needed empty.
template <int N>
using Grads = std::array<Tensor, static_cast<std::size_t>(N)>;

/// Which of the N inputs need a gradient.
template <int N>
struct Needs {
  std::uint64_t bits = 0;
  bool operator[](int input) const { return (bits >> input) & 1U; }
};

namespace detail {

struct SavedSlot {
  Tensor tensor;              // an output is saved without its history, else node and tensor would own each other
  std::uint32_t version = 0;  // of the storage at the time of saving
  bool is_output = false;
};

/// What an op left behind. Intrusively counted; lives in the pool. Nodes are freed iteratively, however long the chain.
struct Node {
  ReferenceCount references;
  std::int32_t pending = 0;  // gradients still to come, during a backward pass
  std::int32_t capture = 0;  // 1 + position in the inputs of grad(), or 0
  std::int32_t edge_count = 0;
  std::uint64_t mark = 0;     // the last backward pass that visited
  Node** edges = nullptr;     // one per input, null where no gradient is needed; owning
  Node* next_dead = nullptr;  // while waiting to be freed
  Tensor gradient;            // of the output, while it accumulates; in a leaf: what backward collected
  bool is_leaf = false;
  bool leads_to_input = false;  // in grad(): some input lies below
  bool freed = false;           // saved tensors are gone

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual ~Node() = default;

  virtual std::string_view name() const = 0;
  /// Writes the gradient of input i to grads[i] where bit i of `needs` is set.
  virtual void run(const Tensor& dy, Tensor* grads, std::uint64_t needs, bool create_graph) = 0;
  /// Drops saved tensors.
  virtual void free_saved() {}

  void retain() { references.add(); }
  void release() noexcept;
  void release_edges() noexcept;

  static void* operator new(std::size_t size) { return pool_allocate(size); }
  static void operator delete(void* block, std::size_t size) { pool_free(block, size); }
};

/// Owns one reference to a node under construction.
class NodeGuard {
 public:
  explicit NodeGuard(Node* node) : node_(node) {}
  ~NodeGuard() {
    if (node_) node_->release();
  }
  NodeGuard(const NodeGuard&) = delete;
  NodeGuard& operator=(const NodeGuard&) = delete;
  Node* release() { return std::exchange(node_, nullptr); }

 private:
  Node* node_;
};

void save_into(SavedSlot& slot, const Tensor& tensor);
void detach_saved_outputs(SavedSlot* slots, int count, const Tensor& output);
const Tensor& read_saved(const SavedSlot& slot, int position, const Node& node);
Tensor reattach(const Tensor& saved, Node& node);
[[noreturn]] void fail_once_differentiable(std::string_view op);
[[noreturn]] void fail_reference_inputs(std::string_view op);
void reference_vjp(Tensor (*call)(const void* op, std::span<const Tensor> inputs), const void* op,
                   std::span<const Tensor> inputs, const Tensor& dy, Tensor* grads, std::uint64_t needs);

}  // namespace detail

/// Handed to forward: keeps tensors for vjp. Does nothing when the op is not recorded.
template <int N>
class Saver {
 public:
  Saver() = default;
  Saver(detail::SavedSlot* slots, std::uint64_t needs) : slots_(slots), needs_(needs) {}

  /// Saves the given tensors in slots 0, 1, ...
  template <class... T>
  void operator()(const T&... tensors) {
    static_assert(sizeof...(T) <= N, "more tensors than the op's kSaved");
    if (!slots_) return;
    int slot = 0;
    (detail::save_into(slots_[slot++], tensors), ...);
  }
  /// Saves one tensor in one slot.
  void at(int slot, const Tensor& tensor) {
    if (slots_) detail::save_into(slots_[slot], tensor);
  }
  /// Whether input i will need a gradient: skip saving what only others need.
  bool needs(int input) const { return (needs_ >> input) & 1U; }
  bool active() const { return slots_ != nullptr; }

 private:
  detail::SavedSlot* slots_ = nullptr;
  std::uint64_t needs_ = 0;
};

/// Handed to vjp: saved[i] is what forward saved, checked to be unchanged since.
template <int N>
class Saved {
 public:
  Saved(const detail::SavedSlot* slots, const Tensor* reattached, const detail::Node& node)
      : slots_(slots), reattached_(reattached), node_(node) {}
  const Tensor& operator[](int slot) const {
    const Tensor& tensor = detail::read_saved(slots_[slot], slot, node_);
    return reattached_ && slots_[slot].is_output ? reattached_[slot] : tensor;
  }

 private:
  const detail::SavedSlot* slots_;
  const Tensor* reattached_;
  const detail::Node& node_;
};

namespace detail {

template <class Op, int N>
struct OpNode final : Node {
  static constexpr int kSlots = Op::kSaved > 0 ? Op::kSaved : 1;
  static constexpr bool kHasReference = requires { &Op::reference; };
  static constexpr bool kOnce = requires { requires Op::kOnceDifferentiable; };

  Op op;
  Node* inputs[N];
  SavedSlot slots[kSlots];

  explicit OpNode(Op&& o) : op(std::move(o)) {
    edge_count = N;
    edges = inputs;
  }
  ~OpNode() override { release_edges(); }

  std::string_view name() const override { return Op::kName; }

  void run(const Tensor& dy, Tensor* grads, std::uint64_t needs, bool create_graph) override {
    if constexpr (kOnce)
      if (create_graph) fail_once_differentiable(Op::kName);
    if constexpr (kHasReference) {
      if (create_graph) {
        Tensor tensors[N];
        for (int i = 0; i < N; ++i) tensors[i] = read_saved(slots[i], i, *this);
        reference_vjp(
            [](const void* self, std::span<const Tensor> in) {
              return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return static_cast<const Op*>(self)->reference(in[I]...);
              }
              (std::make_index_sequence<N>{});
            },
            &op, tensors, dy, grads, needs);
        return;
      }
    }
    Tensor reattached[kSlots];
    if (create_graph)
      for (int i = 0; i < Op::kSaved; ++i)
        if (slots[i].is_output) reattached[i] = reattach(read_saved(slots[i], i, *this), *this);
    const Saved<Op::kSaved> saved(slots, create_graph ? reattached : nullptr, *this);
    Grads<N> result = op.vjp(saved, dy, Needs<N>{needs});
    for (int i = 0; i < N; ++i) grads[i] = std::move(result[static_cast<std::size_t>(i)]);
  }

  void free_saved() override {
    for (auto& slot : slots) slot.tensor = Tensor();
  }
};

/// The node of an op over a list of tensors (concat, stack): forward takes a span, vjp returns a vector.
template <class Op>
struct ListNode final : Node {
  Op op;
  std::vector<Node*> inputs;

  explicit ListNode(Op&& o) : op(std::move(o)) {}
  ~ListNode() override { release_edges(); }
  std::string_view name() const override { return Op::kName; }
  void run(const Tensor& dy, Tensor* grads, std::uint64_t, bool) override {
    Tensors result = op.vjp(dy);
    for (std::size_t i = 0; i < result.size(); ++i) grads[i] = std::move(result[i]);
  }
};

}  // namespace detail

namespace detail {

/// What apply does. Takes the op over without a copy on the way: an op may hold shapes, and copying what was stored a
/// moment ago stalls.
template <class Op, class... Inputs>
Tensor run_op(Op& op, const Inputs&... inputs) {
  constexpr int kArity = sizeof...(Inputs);
  if (!(grad_mode && (inputs.requires_grad() || ...))) {
    Saver<Op::kSaved> nothing;
    return op.forward(nothing, inputs...);
  }
  auto* node = new OpNode<Op, kArity>(std::move(op));
  int i = 0;
  std::uint64_t needs = 0;
  const auto link = [&](const Tensor& input) {
    Node* edge = input.impl()->node;
    if (edge) {
      edge->retain();
      needs |= std::uint64_t{1} << i;
    }
    node->inputs[i++] = edge;
  };
  (link(inputs), ...);
  NodeGuard guard(node);

  Tensor output;
  {
    const NoGrad inner;
    Saver<Op::kSaved> save(node->slots, needs);
    output = node->op.forward(save, inputs...);
  }
  if constexpr (Op::kSaved > 0) detach_saved_outputs(node->slots, Op::kSaved, output);
  if constexpr (OpNode<Op, kArity>::kHasReference) {
    static_assert(Op::kSaved >= kArity, "an op with a reference saves its inputs in its first slots");
    int slot = 0;
    if (!(node->slots[slot++].tensor.is_same(inputs) && ...)) fail_reference_inputs(Op::kName);
  }
  output.impl()->node = guard.release();
  return output;
}

}  // namespace detail

/// Runs an op on its inputs and records it if some input needs a gradient.
template <class Op, class... Inputs>
Tensor apply(Op op, const Inputs&... inputs) {
  return detail::run_op(op, inputs...);
}

/// The same for an op over a list of tensors.
template <class Op>
Tensor apply_list(Op op, std::span<const Tensor> inputs) {
  bool record = false;
  if (detail::grad_mode)
    for (const Tensor& input : inputs) record = record || input.requires_grad();
  if (!record) return op.forward(inputs);
  auto* node = new detail::ListNode<Op>(std::move(op));
  detail::NodeGuard guard(node);
  for (const Tensor& input : inputs) {
    if (input.impl()->node) input.impl()->node->retain();
    node->inputs.push_back(input.impl()->node);
  }
  node->edges = node->inputs.data();
  node->edge_count = static_cast<std::int32_t>(node->inputs.size());
  Tensor output;
  {
    const NoGrad inner;
    output = node->op.forward(inputs);
  }
  output.impl()->node = guard.release();
  return output;
}

}  // namespace gradus
