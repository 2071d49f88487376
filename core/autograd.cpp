#include "core/autograd.h"

#include "core/leaf.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

namespace gradus {
namespace detail {
namespace {

// Nodes whose last reference went away, waiting to be freed. Freeing one may add its inputs: a list, not recursion, so
// that a chain of a million ops needs no stack.
thread_local Node* graveyard = nullptr;
thread_local bool digging = false;

std::atomic<std::uint64_t> passes{0};

}  // namespace

void Node::release() noexcept {
  if (!references.drop()) return;
  next_dead = graveyard;
  graveyard = this;
  if (digging) return;
  digging = true;
  while (graveyard) {
    Node* dead = graveyard;
    graveyard = dead->next_dead;
    delete dead;
  }
  digging = false;
}

void Node::release_edges() noexcept {
  for (std::int32_t i = 0; i < edge_count; ++i)
    if (Node* edge = std::exchange(edges[i], nullptr)) edge->release();
}

void save_into(SavedSlot& slot, const Tensor& tensor) {
  slot.tensor = tensor;
  if (!tensor.defined()) return;
  Storage* storage = tensor.impl()->storage;
  slot.version = storage->version;
  if (storage->tag == MemTag::temporary) storage->retag(MemTag::activation);
}

void detach_saved_outputs(SavedSlot* slots, int count, const Tensor& output) {
  for (int i = 0; i < count; ++i)
    if (slots[i].tensor.defined() && slots[i].tensor.is_same(output)) {
      slots[i].tensor = output.detach();
      slots[i].is_output = true;
    }
}

const Tensor& read_saved(const SavedSlot& slot, int position, const Node& node) {
  if (slot.tensor.defined() && slot.tensor.impl()->storage->version != slot.version) [[unlikely]] {
    const Storage* storage = slot.tensor.impl()->storage;
    fail(fmt::format(
        "backward: {} changed {} after {} saved it (slot {}, version {}, now {})\n  hint: call backward before "
        "the change, or give the op a clone",
        storage->last_writer ? storage->last_writer : "something", describe(slot.tensor), node.name(), position,
        slot.version, storage->version));
  }
  return slot.tensor;
}

Tensor reattach(const Tensor& saved, Node& node) {
  Tensor output = saved.detach();
  node.retain();
  output.impl()->node = &node;
  return output;
}

void fail_once_differentiable(std::string_view op) {
  fail(fmt::format("backward: {} can be differentiated only once, but create_graph asks for its derivative's graph",
                   op));
}

void fail_reference_inputs(std::string_view op) {
  fail(fmt::format("{}: an op with a reference must save its inputs, in order, in its first slots", op));
}

}  // namespace detail

namespace {

using detail::LeafNode;
using detail::Node;

// The identity, with a node of its own: the border of the graph inside a reference.
struct Alias {
  static constexpr std::string_view kName = "alias";
  static constexpr int kSaved = 0;
  Tensor forward(Saver<0>&, const Tensor& x) { return x.detach(); }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {dy}; }
};

// True when nobody else can see the values of x, so that they may change in place.
bool exclusively_owned(const Tensor& x) {
  return x.is_contiguous() && x.impl()->references.is_one() && x.impl()->storage->references.is_one() &&
         x.impl()->node == nullptr;
}

// sum += addend. The first gradient to arrive is kept, not copied; later ones are added in place where nobody else
// looks.
void accumulate(Tensor& sum, Tensor&& addend, bool create_graph) {
  if (!sum.defined()) {
    sum = std::move(addend);
  } else if (!create_graph && exclusively_owned(sum) && sum.shape() == addend.shape()) {
    detail::add_in_place(sum, addend);
  } else {
    sum = sum + addend;
  }
}

void store_in_leaf(LeafNode& leaf, Tensor&& gradient, bool create_graph) {
  if (!leaf.leaf) return;  // nobody holds the tensor any more
  GRADUS_CHECK(
      gradient.shape() == leaf.leaf->shape && gradient.dtype() == leaf.leaf->dtype,
      fmt::format("backward: a gradient of {} arrived for {} {}{}\n  hint: does some vjp return a gradient that is "
                  "not shaped like its input?",
                  describe(gradient), name_of(leaf.leaf->dtype), to_string(leaf.leaf->shape),
                  leaf.label.empty() ? "" : " \"" + leaf.label + "\""));
  accumulate(leaf.gradient, std::move(gradient), create_graph);
  if (!create_graph && !exclusively_owned(leaf.gradient)) leaf.gradient = clone(leaf.gradient);
  leaf.gradient.set_tag(MemTag::gradient);
}

// One backward pass. Nodes run when all gradients of their output have arrived; the order is fixed by the graph alone.
class Pass {
 public:
  // With `inputs`: gradients are captured there, not stored in leaves. stop_at_inputs: nothing below them is visited.
  Pass(const Tensors& inputs, bool create_graph, bool retain_graph, bool stop_at_inputs = false)
      : mark_(detail::passes.fetch_add(1, std::memory_order_relaxed) + 1),
        create_graph_(create_graph),
        retain_graph_(retain_graph || create_graph),
        selective_(!inputs.empty()),
        stop_at_inputs_(stop_at_inputs),
        captured_(inputs.size()) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      Node* node = inputs[i].impl()->node;
      before_.push_back(node->capture);
      nodes_.push_back(node);
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) nodes_[i]->capture = 0;
    for (std::size_t i = inputs.size(); i-- > 0;) nodes_[i]->capture = static_cast<std::int32_t>(i) + 1;
  }
  ~Pass() {
    for (std::size_t i = nodes_.size(); i-- > 0;) nodes_[i]->capture = before_[i];
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  void run(const Tensors& outputs, const Tensors& gradients) {
    for (const Tensor& output : outputs) count(output.impl()->node);
    if (selective_) find_needed(outputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].impl()->node->retain();
      deliver(outputs[i].impl()->node, Tensor(gradients[i]));
    }
    const bool before = std::exchange(detail::grad_mode, create_graph_);
    try {
      while (!ready_.empty()) {
        Node* node = ready_.back();
        ready_.pop_back();
        const detail::NodeGuard owner(node);
        step(*node);
      }
    } catch (...) {
      detail::grad_mode = before;
      for (Node* node : ready_) node->release();
      throw;
    }
    detail::grad_mode = before;
  }

  Tensor captured(std::size_t input) const {
    return captured_[static_cast<std::size_t>(nodes_[input]->capture) - 1];  // the same tensor twice: its first place
  }

 private:
  // Counts how many gradients each node will receive. A first visit also clears what a failed pass may have left.
  void visit(Node* node) {
    if (node->mark == mark_) return;
    GRADUS_CHECK(!node->freed,
                 fmt::format("backward: the graph of {} was already freed by an earlier backward\n  hint: pass "
                             "{{.retain_graph = true}} to the first one",
                             node->name()));
    node->mark = mark_;
    node->pending = 0;
    node->gradient = Tensor();
    node->leads_to_input = node->capture != 0;
    stack_.push_back(node);
    if (selective_) visited_.push_back(node);
  }

  void count(Node* root) {
    if (root->is_leaf) return;
    visit(root);
    ++root->pending;
    while (!stack_.empty()) {
      Node* node = stack_.back();
      stack_.pop_back();
      if (is_border(node)) continue;
      for (std::int32_t i = 0; i < node->edge_count; ++i) {
        Node* edge = node->edges[i];
        if (!edge || edge->is_leaf) continue;
        visit(edge);
        ++edge->pending;
      }
    }
  }

  // In grad(): marks the nodes that some wanted input lies below, by a walk from the outputs in topological order and
  // back.
  void find_needed(const Tensors& outputs) {
    std::vector<std::int32_t> pending;
    pending.reserve(visited_.size());
    for (Node* node : visited_) pending.push_back(node->pending);
    std::vector<Node*> order;
    order.reserve(visited_.size());
    const auto arrive = [&](Node* node) {
      if (!node->is_leaf && --node->pending == 0) order.push_back(node);
    };
    for (const Tensor& output : outputs) arrive(output.impl()->node);
    for (std::size_t at = 0; at < order.size(); ++at) {
      if (is_border(order[at])) continue;
      for (std::int32_t i = 0; i < order[at]->edge_count; ++i)
        if (Node* edge = order[at]->edges[i]) arrive(edge);
    }
    for (std::size_t at = order.size(); at-- > 0;) {
      if (is_border(order[at])) continue;
      for (std::int32_t i = 0; i < order[at]->edge_count; ++i)
        if (Node* edge = order[at]->edges[i])
          order[at]->leads_to_input |= edge->is_leaf ? edge->capture != 0 : edge->leads_to_input;
    }
    for (std::size_t i = 0; i < visited_.size(); ++i) visited_[i]->pending = pending[i];
  }

  bool is_border(const Node* node) const { return stop_at_inputs_ && node->capture != 0; }

  bool wanted(const Node* edge) const {
    if (!selective_) return true;
    return edge->is_leaf ? edge->capture != 0 : edge->leads_to_input;
  }

  // Takes over one reference to `node`. An empty gradient only counts as arrived.
  void deliver(Node* node, Tensor&& gradient) {
    detail::NodeGuard owner(node);
    if (node->is_leaf) {
      if (!gradient.defined()) return;
      if (selective_) {
        if (node->capture != 0)
          accumulate(captured_[static_cast<std::size_t>(node->capture) - 1], std::move(gradient), create_graph_);
      } else {
        store_in_leaf(static_cast<LeafNode&>(*node), std::move(gradient), create_graph_);
      }
      return;
    }
    if (gradient.defined()) accumulate(node->gradient, std::move(gradient), create_graph_);
    if (--node->pending == 0) ready_.push_back(owner.release());
  }

  void step(Node& node) {
    Tensor dy = std::exchange(node.gradient, Tensor());
    if (node.capture != 0 && selective_) captured_[static_cast<std::size_t>(node.capture) - 1] = dy;
    if (is_border(&node)) return;

    std::uint64_t needs = 0;
    const bool listed = node.edge_count > 64;  // too many for a mask: all of them
    for (std::int32_t i = 0; i < node.edge_count && !listed; ++i)
      if (node.edges[i] && wanted(node.edges[i])) needs |= std::uint64_t{1} << i;

    const bool runs = dy.defined() && (needs != 0 || listed);
    constexpr std::int32_t kInline = 4;
    Tensor few[kInline];
    Tensors many(node.edge_count > kInline ? static_cast<std::size_t>(node.edge_count) : 0);
    Tensor* grads = node.edge_count > kInline ? many.data() : few;
    if (runs) node.run(dy, grads, needs, create_graph_);
    if (!retain_graph_ && runs) {
      node.free_saved();
      node.freed = true;
    }
    for (std::int32_t i = 0; i < node.edge_count; ++i) {
      Node* edge = node.edges[i];
      if (!edge) continue;
      if (retain_graph_ || !runs)
        edge->retain();
      else
        node.edges[i] = nullptr;
      deliver(edge, wanted(edge) ? std::move(grads[i]) : Tensor());
    }
  }

  const std::uint64_t mark_;
  const bool create_graph_;
  const bool retain_graph_;
  const bool selective_;
  const bool stop_at_inputs_;
  Tensors captured_;
  std::vector<Node*> nodes_;          // of the inputs of grad()
  std::vector<std::int32_t> before_;  // their capture fields, for passes inside passes
  std::vector<Node*> stack_, visited_, ready_;
};

void check_output(const Tensor& output, const Tensor& gradient, const char* op) {
  GRADUS_CHECK(output.defined(), fmt::format("{}: the output is an empty tensor handle", op));
  GRADUS_CHECK(
      output.requires_grad(),
      fmt::format("{}: {} does not depend on anything that requires grad\n  hint: was it computed under NoGrad, from "
                  "detached tensors, or through argmax or a comparison?",
                  op, describe(output)));
  GRADUS_CHECK(gradient.shape() == output.shape() && gradient.dtype() == output.dtype(),
               fmt::format("{}: the incoming gradient does not match the output\n  output: {}\n  gradient: {}", op,
                           describe(output), describe(gradient)));
}

Tensor ones_for(const Tensor& output, const char* op) {
  GRADUS_CHECK(output.defined(), fmt::format("{}: the output is an empty tensor handle", op));
  GRADUS_CHECK(
      output.numel() == 1,
      fmt::format("{}: only a one-element output has an implied gradient, got {}\n  hint: reduce with sum or mean, or "
                  "pass the gradient",
                  op, describe(output)));
  return ones_like(output);
}

}  // namespace

void detail::reference_vjp(Tensor (*call)(const void*, std::span<const Tensor>), const void* op,
                           std::span<const Tensor> inputs, const Tensor& dy, Tensor* grads, std::uint64_t needs) {
  const EnableGrad recording;
  Tensors border;
  Tensors wanted;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool needed = (needs >> i) & 1U;
    border.push_back(needed ? apply(Alias{}, inputs[i]) : inputs[i].defined() ? inputs[i].detach() : Tensor());
    if (needed) wanted.push_back(border.back());
  }
  const Tensor output = call(op, border);
  if (!output.requires_grad()) return;
  Pass pass(wanted, /*create_graph=*/true, /*retain_graph=*/true, /*stop_at_inputs=*/true);
  pass.run({output}, {dy});
  std::size_t next = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if ((needs >> i) & 1U) grads[i] = pass.captured(next++);
}

void backward(const Tensor& loss, BackwardOptions options) { backward(loss, ones_for(loss, "backward"), options); }

void backward(const Tensor& output, const Tensor& gradient, BackwardOptions options) {
  check_output(output, gradient, "backward");
  Pass pass({}, options.create_graph, options.retain_graph);
  pass.run({output}, {gradient});
}

Tensors grad(const Tensors& outputs, const Tensors& inputs, GradOptions options, const Tensors& grad_outputs) {
  GRADUS_CHECK(!inputs.empty(), "grad: no inputs given");
  GRADUS_CHECK(grad_outputs.empty() || grad_outputs.size() == outputs.size(),
               fmt::format("grad: {} outputs but {} gradients for them", outputs.size(), grad_outputs.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    GRADUS_CHECK(inputs[i].defined() && inputs[i].requires_grad(),
                 fmt::format("grad: input {} ({}) does not require grad", i,
                             inputs[i].defined() ? describe(inputs[i]) : "an empty tensor handle"));
  Tensors gradients;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    gradients.push_back(grad_outputs.empty() ? ones_for(outputs[i], "grad") : grad_outputs[i]);
    check_output(outputs[i], gradients[i], "grad");
  }
  Pass pass(inputs, options.create_graph, options.retain_graph);
  pass.run(outputs, gradients);
  Tensors result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    result.push_back(pass.captured(i));
    GRADUS_CHECK(
        result.back().defined() || options.allow_unused,
        fmt::format("grad: no output depends on input {} ({})\n  hint: pass {{.allow_unused = true}} to get an empty "
                    "tensor for it",
                    i, describe(inputs[i])));
  }
  return result;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Axes axes;
  const int extra = x.rank() - shape.rank();
  for (int i = 0; i < x.rank(); ++i)
    if (i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1)) axes.push_back(i);
  const Tensor summed = axes.empty() ? x : sum(x, axes, /*keepdim=*/true);
  return reshape(summed, shape);
}

}  // namespace gradus
