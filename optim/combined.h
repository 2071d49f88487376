// Several methods under one object, each for its own parameters.
#pragma once

#include "optim/optimizer.h"

#include <memory>
#include <string>
#include <vector>

namespace gradus::optim {

/// Steps, saves and loads its parts together:
///
///   optim::Combined both("mine");
///   both.add("", std::make_unique<optim::Muon>(matrices));
///   both.add("aux", std::make_unique<optim::AdamW>(rest));
///
/// Options of a part carry its prefix: set("aux.lr", 1e-3). set_lr_scale reaches all parts.
class Combined : public Optimizer {
 public:
  explicit Combined(std::string name) : name_(std::move(name)) {}

  /// Prefixes must differ, and no parameter may be in two parts.
  void add(std::string prefix, std::unique_ptr<Optimizer> part);

  std::string_view name() const override { return name_; }
  const NamedTensors& parameters() const override { return parameters_; }
  Index steps() const override { return steps_; }
  bool needs_closure() const override;
  void set_lr_scale(double scale) override;
  using Optimizer::set;
  void set(std::string_view key, std::string_view value) override;
  OptionList options() const override;
  Tensor eval_weight(Index parameter) override;
  void visit(StateVisitor& visitor) override;

  /// "muon: fc1.weight, fc2.weight; adamw: fc1.bias, fc2.bias": which method updates what.
  std::string describe() const;
  /// The part with this prefix, or Error.
  Optimizer& part(std::string_view prefix);

 protected:
  void do_step() override;

 private:
  struct Part {
    std::string prefix;
    std::unique_ptr<Optimizer> optimizer;
  };
  std::string name_;
  std::vector<Part> parts_;
  NamedTensors parameters_;  // of all parts, in their order
  Index steps_ = 0;
};

}  // namespace gradus::optim
