// Rule: the base of a method that updates each parameter from its gradient. It owns the parameters' groups, the slots
// (tensors remembered per parameter), step counts and what is saved; a method adds its formula.
//
//   struct SignOptions {
//     double lr = 1e-3, beta = 0.9;
//     static auto fields(auto& o) { return named("lr", o.lr, "beta", o.beta); }
//   };
//   struct SignDescent : optim::Rule<SignDescent, SignOptions> {
//     static constexpr std::string_view kName = "sign_descent";
//     static constexpr std::array kSlots = {"momentum"};  // zeros of the parameter's shape at its first update
//     using Rule::Rule;
//     void update(const SignOptions& o, optim::Item& item) {
//       optim::fused(item, [&]<class T>(T) {
//         const T lr = T(o.lr), beta = T(o.beta);
//         return [=](T& weight, T grad, T& momentum) {
//           momentum = beta * momentum + (1 - beta) * grad;
//           weight -= lr * std::copysign(T(1), momentum);
//         };
//       });
//     }
//   };
//
// docs/adding_an_optimizer.md explains what else a method may define: slots(), before_step(), state().
#pragma once

#include "core/autograd.h"
#include "core/tensor.h"
#include "optim/fused_update.h"
#include "optim/optimizer.h"

#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus::optim {

/// What a slot looks like.
struct SlotSpec {
  std::string name;
  Shape shape;
  DType dtype;
};

/// The slots one parameter needs, in the order in which update() finds them.
class SlotList {
 public:
  SlotList(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {}

  const Shape& parameter_shape() const { return shape_; }
  /// Like the parameter.
  void add(std::string_view name) { add(name, shape_, dtype_); }
  /// Of another shape, in the parameter's dtype.
  void add(std::string_view name, const Shape& shape) { add(name, shape, dtype_); }
  void add(std::string_view name, const Shape& shape, DType dtype) {
    specs_.push_back({std::string(name), shape, dtype});
  }

  const std::vector<SlotSpec>& specs() const { return specs_; }
  std::size_t bytes() const {
    std::size_t total = 0;
    for (const SlotSpec& spec : specs_) total += static_cast<std::size_t>(spec.shape.numel()) * size_of(spec.dtype);
    return total;
  }
  /// Starts again for another parameter.
  void reset(const Shape& shape, DType dtype) {
    specs_.clear();
    shape_ = shape;
    dtype_ = dtype;
  }

 private:
  Shape shape_;
  DType dtype_;
  std::vector<SlotSpec> specs_;
};

namespace detail {

/// A stored `void f(Options&)`.
template <class Options>
class Override {
 public:
  template <class F>
  explicit Override(F f)
      : object_(std::make_shared<F>(std::move(f))),
        call_([](const void* object, Options& options) { (*static_cast<const F*>(object))(options); }) {}
  void operator()(Options& options) const { call_(object_.get(), options); }

 private:
  std::shared_ptr<const void> object_;
  void (*call_)(const void*, Options&);
};

/// One parameter's memory.
struct Entry {
  int group = 0;
  Index steps = 0;
  Tensors slots;
};

void check_parameters(std::string_view method, const NamedTensors& parameters);
void check_gradient(std::string_view method, const NamedTensor& parameter, const Tensor& grad);
/// Makes the slots that are listed but missing; keeps those of the same shape.
void make_slots(Entry& entry, const SlotList& list);
void visit_slots(StateVisitor& visitor, const std::string& parameter, Entry& entry, const SlotList& list);
[[noreturn]] void fail_group_overlap(std::string_view method, const std::string& parameter);
[[noreturn]] void fail_group_empty(std::string_view method, const NamedTensors& parameters);

}  // namespace detail

template <class Derived, class OptionsT>
class Rule : public Optimizer {
 public:
  using Options = OptionsT;

  explicit Rule(NamedTensors parameters, Options options = {})
      : parameters_(std::move(parameters)), defaults_(std::move(options)), entries_(parameters_.size()) {
    detail::check_parameters(Derived::kName, parameters_);
    check_options(Derived::kName, defaults_);
    for (const NamedTensor& parameter : parameters_) check_one(defaults_, parameter);
  }

  std::string_view name() const override { return Derived::kName; }
  const NamedTensors& parameters() const override { return parameters_; }
  Index steps() const override { return steps_; }

  /// The options of parameters in no group; groups see changes too, below their override.
  Options& defaults() { return defaults_; }
  const Options& defaults() const { return defaults_; }

  /// Parameters for which `where(const NamedTensor&)` holds get the options that `change(Options&)` makes of the
  /// defaults:
  ///   optimizer.group([](auto& p) { return p.tensor.rank() < 2; }, [](auto& o) { o.weight_decay = 0; });
  /// A parameter belongs to one group at most, and a group has a member at least; else Error.
  template <class Where, class Change>
  void group(Where where, Change change) {
    detail::Override<Options> made(std::move(change));
    Options options = defaults_;
    made(options);
    check_options(Derived::kName, options);
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (!where(std::as_const(parameters_[i]))) continue;
      if (entries_[i].group != 0) detail::fail_group_overlap(Derived::kName, parameters_[i].name);
      check_one(options, parameters_[i]);
      members.push_back(i);
    }
    if (members.empty()) detail::fail_group_empty(Derived::kName, parameters_);
    overrides_.push_back(std::move(made));
    for (const std::size_t i : members) entries_[i].group = static_cast<int>(overrides_.size());
  }

  /// The options that parameter i is updated with.
  Options options_of(Index i) const { return resolve(entries_[static_cast<std::size_t>(i)].group, defaults_); }

  using Optimizer::set;
  void set(std::string_view key, std::string_view value) override {
    Options changed = defaults_;
    set_option(Derived::kName, changed, key, value);
    check_options(Derived::kName, changed);
    defaults_ = changed;
  }
  OptionList options() const override { return list_options(defaults_); }
  void set_lr_scale(double scale) override { lr_scale_ = scale; }
  double lr_scale() const { return lr_scale_; }

  /// Bytes that one parameter's slots take.
  static std::size_t slot_bytes(const Options& options, const Shape& shape, DType dtype = DType::f32) {
    SlotList list(shape, dtype);
    list_slots(options, list);
    return list.bytes();
  }

  /// Slot k of parameter i, or an empty tensor before the first update.
  Tensor slot(Index i, std::size_t k) const {
    const Tensors& slots = entries_[static_cast<std::size_t>(i)].slots;
    return k < slots.size() ? slots[k] : Tensor();
  }

  void visit(StateVisitor& visitor) override {
    Options defaults = defaults_;
    Index steps = steps_;
    double lr_scale = lr_scale_;
    for_each_field(defaults, [&](const char* key, auto& value) { visitor.value(std::string("option.") + key, value); });
    visitor.value("steps", steps);
    visitor.value("lr_scale", lr_scale);
    visit_derived(visitor);
    visit_groups(visitor, defaults);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const auto& [name, tensor] = parameters_[i];
      list_.reset(tensor.shape(), tensor.dtype());
      list_slots(resolve(entries_[i].group, defaults), list_);
      detail::visit_slots(visitor, name, entries_[i], list_);
    }
    if (!visitor.loading()) return;
    defaults_ = defaults;
    steps_ = steps;
    lr_scale_ = lr_scale;
  }

 protected:
  void do_step() override {
    const NoGrad no_grad;
    resolve_all();
    collect_items();
    if (ready())
      for (Item& item : items_) {
        derived().update(resolved_[static_cast<std::size_t>(item.group)], item);
        entries_[item.index].steps = item.step;
      }
    items_.clear();
    ++steps_;
  }

  /// Calls f(options, item) for every parameter that has a gradient, outside a step: for what a method learns between
  /// steps.
  template <class F>
  void for_each_item(const F& f) {
    resolve_all();
    collect_items();
    for (Item& item : items_) f(resolved_[static_cast<std::size_t>(item.group)], item);
    items_.clear();
  }

  /// Of the item's group in this step, lr scaled; for before_step().
  const Options& group_options(const Item& item) const { return resolved_[static_cast<std::size_t>(item.group)]; }
  /// Of parameters in no group in this step, lr scaled.
  const Options& default_options() const { return resolved_[0]; }

 private:
  Derived& derived() { return static_cast<Derived&>(*this); }

  Options resolve(int group, const Options& defaults) const {
    Options options = defaults;
    if (group > 0) overrides_[static_cast<std::size_t>(group - 1)](options);
    return options;
  }

  /// The options of every group in this step.
  void resolve_all() {
    resolved_.resize(overrides_.size() + 1);
    for (std::size_t g = 0; g < resolved_.size(); ++g) {
      resolved_[g] = resolve(static_cast<int>(g), defaults_);
      if constexpr (requires { resolved_[g].lr; }) resolved_[g].lr *= lr_scale_;
      check_options(Derived::kName, resolved_[g]);
    }
  }

  static void list_slots(const Options& options, SlotList& list) {
    if constexpr (requires { Derived::slots(options, list); }) {
      Derived::slots(options, list);
    } else if constexpr (requires { Derived::kSlots; }) {
      for (const char* name : Derived::kSlots) list.add(name);
    }
  }

  /// A method may refuse parameters it cannot update, in a static check_parameter(options, NamedTensor).
  static void check_one(const Options& options, const NamedTensor& parameter) {
    if constexpr (requires { Derived::check_parameter(options, parameter); })
      Derived::check_parameter(options, parameter);
  }

  void collect_items() {
    items_.clear();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      Tensor grad = parameters_[i].tensor.grad();
      if (!grad) continue;
      const NamedTensor& parameter = parameters_[i];
      detail::check_gradient(Derived::kName, parameter, grad);
      detail::Entry& entry = entries_[i];
      list_.reset(parameter.tensor.shape(), parameter.tensor.dtype());
      list_slots(resolved_[static_cast<std::size_t>(entry.group)], list_);
      if (list_.specs().size() != entry.slots.size() || entry.steps == 0) detail::make_slots(entry, list_);
      items_.push_back({.name = parameter.name,
                        .parameter = parameter.tensor,
                        .grad = std::move(grad),
                        .slots = entry.slots,
                        .step = entry.steps + 1,
                        .group = entry.group,
                        .index = i});
    }
  }

  bool ready() {
    if constexpr (requires { derived().before_step(std::span<Item>(items_)); }) {
      return derived().before_step(std::span<Item>(items_));
    } else {
      return true;
    }
  }

  void visit_derived(StateVisitor& visitor) {
    if constexpr (requires { Derived::state(derived()); })
      std::apply(
          [&](const auto&... field) {
            const auto one = [&](const char* key, auto& value) {
              auto copy = value;
              visitor.value(std::string("state.") + key, copy);
              if (visitor.loading()) value = copy;
            };
            (one(field.name, field.value), ...);
          },
          Derived::state(derived()));
  }

  void visit_groups(StateVisitor& visitor, const Options& defaults) {
    for (std::size_t g = 1; g <= overrides_.size(); ++g) {
      const std::string prefix = "group." + std::to_string(g) + ".";
      std::string members;
      for (std::size_t i = 0; i < entries_.size(); ++i)
        if (entries_[i].group == static_cast<int>(g)) members += (members.empty() ? "" : ",") + parameters_[i].name;
      constexpr std::string_view kHint = "make the same groups before loading";
      visitor.expect(prefix + "parameters", members, kHint);
      for (const auto& [key, text] : list_options(resolve(static_cast<int>(g), defaults)))
        visitor.expect(prefix + "option." + key, text, kHint);
    }
  }

  NamedTensors parameters_;
  Options defaults_;
  std::vector<detail::Override<Options>> overrides_;  // group g is overrides_[g - 1]; group 0 are the defaults
  std::vector<detail::Entry> entries_;                // one a parameter
  Index steps_ = 0;
  double lr_scale_ = 1;

  // Used again in every step, so that a step allocates nothing.
  std::vector<Options> resolved_;
  std::vector<Item> items_;
  SlotList list_{Shape(), DType::f32};
};

}  // namespace gradus::optim
