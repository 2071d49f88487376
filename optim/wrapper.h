// Wrapper: the base of methods that change how another optimizer is used: SAM (optim/sam.h), averages
// (optim/averaging.h).
#pragma once

#include "optim/optimizer.h"
#include "optim/rule.h"

#include <memory>
#include <utility>

namespace gradus::optim {

/// Owns the optimizer inside, reached as base(); its options are set with the prefix "base.", except lr, which also
/// goes by its plain name: set("lr", ...) and set("base.momentum", ...).
class Wrapper : public Optimizer {
 public:
  const NamedTensors& parameters() const override { return base_->parameters(); }
  Index steps() const override { return steps_; }
  bool needs_closure() const override { return base_->needs_closure(); }
  void set_lr_scale(double scale) override { base_->set_lr_scale(scale); }
  Tensor eval_weight(Index parameter) override { return base_->eval_weight(parameter); }
  Optimizer& base() { return *base_; }

 protected:
  explicit Wrapper(std::unique_ptr<Optimizer> base) : base_(std::move(base)) {
    GRADUS_CHECK(base_ != nullptr,
                 "a wrapper around no optimizer\n  needs one, as in std::make_unique<optim::SGD>(...)");
  }

  void step_base() {
    base_->do_step();
    ++steps_;
  }
  double closure_step_base(const Closure& closure) {
    const double loss = base_->do_closure_step(closure);
    ++steps_;
    return loss;
  }
  void visit_base(StateVisitor& visitor) {
    Index steps = steps_;
    visitor.value("steps", steps);
    if (visitor.loading()) steps_ = steps;
    const StateVisitor::Scope scope(visitor, "base");
    visitor.expect("optimizer", base_->name(), "wrap the same method");
    base_->visit(visitor);
  }
  /// Sets an option of the base if the key is one.
  bool set_base(std::string_view key, std::string_view value) {
    if (key == "lr") {
      base_->set(key, value);
    } else if (key.starts_with("base.")) {
      base_->set(key.substr(5), value);
    } else {
      return false;
    }
    return true;
  }
  void list_base(OptionList& list) const {
    for (const auto& [key, value] : base_->options()) list.emplace_back("base." + key, value);
  }

 private:
  std::unique_ptr<Optimizer> base_;
  Index steps_ = 0;
};

/// A wrapper with options of its own, listed like those of a Rule, and tensors remembered by parameter.
template <class Derived, class OptionsT>
class WrapperWith : public Wrapper {
 public:
  using Options = OptionsT;

  WrapperWith(std::unique_ptr<Optimizer> base, Options options = {}) : Wrapper(std::move(base)), options_(options) {
    check_options(Derived::kName, options_);
    slots_.resize(parameters().size());
  }

  std::string_view name() const override { return Derived::kName; }
  using Optimizer::set;
  void set(std::string_view key, std::string_view value) override {
    if (set_base(key, value)) return;
    Options changed = options_;
    set_option(Derived::kName, changed, key, value);
    check_options(Derived::kName, changed);
    options_ = changed;
  }
  OptionList options() const override {
    OptionList list = list_options(options_);
    list_base(list);
    return list;
  }
  const Options& own_options() const { return options_; }

  void visit(StateVisitor& visitor) override {
    Options options = options_;
    for_each_field(options, [&](const char* key, auto& value) { visitor.value(std::string("option.") + key, value); });
    visit_base(visitor);
    std::vector<Tensors> slots = slots_;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const auto& [name, parameter] = parameters()[i];
      auto present = static_cast<Index>(slots[i].size());
      visitor.value("slots." + name, present);
      if (present < 0 || present > 1000000) return visitor.problem("slots." + name + " is no possible number");
      slots[i].resize(static_cast<std::size_t>(present));
      for (std::size_t k = 0; k < slots[i].size(); ++k) {
        std::string key = name;
        key.append("/").append(Derived::kSlot);
        if (k > 0) key.append(".").append(std::to_string(k));
        visitor.tensor(key, slots[i][k], parameter.shape(), parameter.dtype());
      }
    }
    if (!visitor.loading()) return;
    options_ = options;
    slots_ = std::move(slots);
  }

 protected:
  /// The first tensor remembered of parameter i, or an empty one.
  Tensor slot(std::size_t i) const { return slots_[i].empty() ? Tensor() : slots_[i][0]; }
  /// All of them: set these.
  Tensors& slots(std::size_t i) { return slots_[i]; }
  Tensor weight(std::size_t i) const { return parameters()[i].tensor; }
  std::size_t count() const { return slots_.size(); }

 private:
  Options options_;
  std::vector<Tensors> slots_;  // one list a parameter
};

}  // namespace gradus::optim
